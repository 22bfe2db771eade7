//! What kernels and modules are compressed with.

use std::io::Read;

use anyhow::{Context, Result, bail};

/// Decompresses what its first bytes say it is; an ELF file stays as it is.
///
/// # Errors
/// When it is none of what Debian has used, or broken.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let (name, read) = match packed {
        [0x7f, b'E', b'L', b'F', ..] => return Ok(packed.to_vec()),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let mut stream = liblzma::read::XzDecoder::new(packed);
            ("xz", stream.read_to_end(&mut plain))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut stream = zstd::Decoder::new(packed)
                .context("start zstd")?
                .single_frame();
            ("zstd", stream.read_to_end(&mut plain))
        }
        // The kernel's is the legacy frame, which has no end mark.
        [0x02, 0x21, 0x4c, 0x18, ..] => {
            let mut stream = lz4_flex::frame::FrameDecoder::new(packed);
            ("lz4", stream.read_to_end(&mut plain))
        }
        _ => bail!(
            "compressed in a way that we do not know: it begins with {:02x?}",
            &packed[..packed.len().min(6)]
        ),
    };
    read.with_context(|| format!("decompress {name}"))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_kind_is_told_by_its_first_bytes() -> Result<()> {
        let plain = b"a kernel, a kernel, a kernel".repeat(100);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&plain)?;
        assert_eq!(unpack(&xz.finish()?)?, plain);
        assert_eq!(unpack(&zstd::encode_all(plain.as_slice(), 1)?)?, plain);
        assert_eq!(unpack(b"\x7fELF and so on")?, b"\x7fELF and so on");
        assert!(unpack(b"MZ").is_err());
        Ok(())
    }

    #[test]
    fn the_kernels_lz4_is_the_legacy_frame() -> Result<()> {
        let plain = b"a kernel, a kernel, a kernel".repeat(100);
        let block = lz4_flex::block::compress(&plain);
        let mut frame = b"\x02\x21\x4c\x18".to_vec();
        frame.extend((block.len() as u32).to_le_bytes());
        frame.extend(block);
        assert_eq!(unpack(&frame)?, plain);
        Ok(())
    }
}
