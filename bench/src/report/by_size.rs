//! What a row by the size of the table is about: said to people, and understood by the picture.

use std::fmt;

/// So many bindings, and frames that go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BySize<'a> {
    /// How many bindings there are.
    pub bindings: u32,
    /// Which way frames go.
    pub way: &'a str,
}

const BINDINGS: &str = " bindings, ";

impl<'a> BySize<'a> {
    /// The name of the section with such rows.
    pub const SECTION: &'static str = "table-size";

    /// From what a row says.
    pub fn read(text: &'a str) -> Option<Self> {
        let (bindings, way) = text.split_once(BINDINGS)?;
        let bindings = bindings.parse().ok()?;
        Some(Self { bindings, way })
    }
}

impl fmt::Display for BySize<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{BINDINGS}{}", self.bindings, self.way)
    }
}

#[cfg(test)]
mod tests {
    use super::BySize;

    #[test]
    fn what_is_written_is_read() {
        let point = BySize {
            bindings: 100_000,
            way: "down",
        };
        assert_eq!(point.to_string(), "100000 bindings, down");
        assert_eq!(BySize::read(&point.to_string()), Some(point));
        assert_eq!(BySize::read("median, idle"), None);
        assert_eq!(BySize::read("many bindings, down"), None);
    }
}
