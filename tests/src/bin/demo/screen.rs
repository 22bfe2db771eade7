//! What a person sees: steps, tables, a verdict. Colours where the terminal has them.

use std::{
    fmt::Display,
    io::{Stdout, Write, stdout},
    time::{Duration, Instant},
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use anyhow::Result;

use lab::interrupt;

const HEADING: Style = Style::new().bold();
const TIME: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Standard output, and the time since the demo began.
pub struct Screen {
    out: AutoStream<Stdout>,
    started: Instant,
}

impl Screen {
    /// Begins now.
    pub fn new() -> Self {
        Self {
            out: AutoStream::auto(stdout()),
            started: Instant::now(),
        }
    }

    /// A line for a step that is done, and when. Fails once someone has interrupted the demo.
    pub fn step(&mut self, what: impl Display) -> Result<()> {
        interrupt::check()?;
        let seconds = self.started.elapsed().as_secs_f64();
        writeln!(self.out, "{TIME}{seconds:6.2} s{TIME:#}  {what}")?;
        Ok(())
    }

    /// Lines of a table that stands apart; the first is its heading.
    pub fn table<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Result<()> {
        writeln!(self.out)?;
        for (number, line) in lines.into_iter().enumerate() {
            let style = if number == 0 { HEADING } else { Style::new() };
            writeln!(self.out, "{style}{line}{style:#}")?;
        }
        writeln!(self.out)?;
        Ok(())
    }

    /// A remark.
    pub fn note(&mut self, what: impl Display) -> Result<()> {
        writeln!(self.out, "{what}")?;
        Ok(())
    }

    /// The last line.
    pub fn verdict(&mut self, good: bool, what: impl Display) -> Result<()> {
        let (style, word) = if good { (GOOD, "OK") } else { (BAD, "FAILED") };
        writeln!(self.out, "{style}{word}{style:#}  {what}")?;
        Ok(())
    }
}

/// A line of a table: what it says, and of each column.
pub type Row<T> = (&'static str, fn(&T) -> String);

/// The lines of a table of these columns.
pub fn table<T>(rows: &[Row<T>], columns: &[T]) -> Vec<String> {
    let row = |(what, cell): &Row<T>| {
        let cells = columns.iter().map(cell);
        [(*what).to_owned()].into_iter().chain(cells).collect()
    };
    aligned(&rows.iter().map(row).collect::<Vec<_>>())
}

/// Rows of cells, equally many each, as lines in which the cells stand below each other.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let length = |cell: &String| cell.chars().count();
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = length(cell).max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A time in milliseconds, as people read it.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 9.995 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["NAME", "N", ""], ["a", "1", "x"], ["long-é", "12345", "y"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            aligned(&rows),
            ["NAME    N", "a       1      x", "long-é  12345  y"]
        );
    }

    #[test]
    fn times_are_as_exact_as_one_reads_them() {
        let text = [0, 421, 9_994, 9_996, 20_400].map(|us| ms(Duration::from_micros(us)));
        assert_eq!(text, ["0.00 ms", "0.42 ms", "9.99 ms", "10 ms", "20 ms"]);
    }
}
