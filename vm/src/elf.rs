//! What we read of ELF files: which loader a program wants, which modules a module needs.

use anyhow::{Context, Result};
use object::{
    LittleEndian, Object as _, ObjectSection as _,
    elf::{FileHeader64, PT_INTERP},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

/// The dynamic loader that a program asks for; none for a statically linked one.
///
/// # Errors
/// When this is no 64-bit little-endian ELF file.
pub(crate) fn interpreter(elf: &[u8]) -> Result<Option<String>> {
    let header = FileHeader64::<LittleEndian>::parse(elf).context("read the ELF header")?;
    let endian = header.endian().context("read the byte order")?;
    let segments = header
        .program_headers(endian, elf)
        .context("read the program headers")?;
    let Some(segment) = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_INTERP)
    else {
        return Ok(None);
    };
    let name = segment
        .data(endian, elf)
        .ok()
        .context("the loader's name is outside the file")?;
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

/// The names of the modules that a kernel module needs, as its `.modinfo` has them. (Debian's packages have no
/// `modules.dep`: depmod writes that from the same place when a kernel is installed.)
///
/// # Errors
/// When this is no kernel module.
pub(crate) fn depends(module: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(module).context("read the module as ELF")?;
    let section = file
        .section_by_name(".modinfo")
        .context("the module has no .modinfo")?;
    Ok(depends_of(section.data().context("read .modinfo")?))
}

/// `.modinfo` is a row of `key=value`, each ended by a zero byte.
fn depends_of(modinfo: &[u8]) -> Vec<String> {
    modinfo
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"depends="))
        .flat_map(|names| names.split(|byte| *byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_what_it_needs() {
        let modinfo = b"license=GPL\0\0depends=stp,llc,ip-x\0retpoline=Y\0";
        assert_eq!(depends_of(modinfo), ["stp", "llc", "ip_x"]);
        assert!(depends_of(b"depends=\0name=veth\0").is_empty());
    }

    #[test]
    fn a_program_names_its_loader() -> Result<()> {
        let this = std::fs::read("/proc/self/exe")?;
        let loader = interpreter(&this)?.context("tests are linked dynamically")?;
        assert!(loader.contains("ld-linux"), "{loader}");
        assert!(interpreter(b"#!/bin/sh").is_err());
        Ok(())
    }
}
