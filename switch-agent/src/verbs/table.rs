//! Tables as `ip -br` and `bridge fdb` print them: aligned, no lines, no
//! colour.

use std::io::{self, Write};

/// A column's title and on which side its values stand.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// For words.
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

/// Rows of `N` columns.
#[derive(Debug)]
pub struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// No rows yet.
    pub fn new(columns: [Column; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Prints titles and rows, each column as wide as its widest cell.
    ///
    /// # Errors
    /// As writing has it.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let title = self
            .columns
            .map(|(Column::Left(title) | Column::Right(title))| title);
        let mut widths = title.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        self.line(title, widths, out)?;
        for row in &self.rows {
            self.line(row.each_ref().map(String::as_str), widths, out)?;
        }
        Ok(())
    }

    fn line(&self, cells: [&str; N], widths: [usize; N], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths) {
            line.push_str(&match column {
                Column::Left(_) => format!("{cell:<width$}  "),
                Column::Right(_) => format!("{cell:>width$}  "),
            });
        }
        writeln!(out, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_line() {
        let mut table = Table::new([
            Column::Left("NAME"),
            Column::Right("N"),
            Column::Left("NOTE"),
        ]);
        table.row(["a".into(), "1".into(), String::new()]);
        table.row(["long-é".into(), "12345".into(), "x".into()]);
        let mut out = Vec::new();
        table.print(&mut out).expect("a table");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "NAME        N  NOTE\n\
             a           1\n\
             long-é  12345  x\n"
        );
    }
}
