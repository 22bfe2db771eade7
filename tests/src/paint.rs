//! What a picture is drawn with, and the file that it ends up in.

use std::{
    env,
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use svg::{
    Document, Node,
    node::element::{Line, Polyline, Rectangle, Style, Text},
};
use tempfile::{Builder, NamedTempFile};

/// In user units, which are pixels where nobody scales the picture.
const LEAST: f64 = 0.05;

/// What all pictures have.
const STYLE: &str = "
text { font: 13px system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; fill: #1f2937;
  paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
.title { font-size: 24px; font-weight: 700 }
.name { font-size: 17px; font-weight: 700 }
.figure { font-size: 30px; font-weight: 700 }
.quiet { fill: #6b7280 }
.value { font-weight: 600 }
.alarm { fill: #b91c1c; stroke: none; font-weight: 600 }
.paper { fill: #ffffff; stroke: #e5e7eb }
.grid { stroke: #e5e7eb }
.rule { stroke: #e5e7eb }
";

/// Where a picture will be. That it can be there is known from the beginning.
#[derive(Debug)]
pub struct Sheet {
    path: PathBuf,
    file: NamedTempFile,
}

impl Sheet {
    /// A place for a picture: beside this program and by its name, unless there is a path.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn new(path: Option<PathBuf>) -> Result<Self> {
        let path = match path {
            Some(path) => path,
            None => env::current_exe()
                .context("find this program")?
                .with_extension("svg"),
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let file = Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .with_context(|| format!("make a place for {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Saves a picture, and says where.
    ///
    /// # Errors
    /// When it does not fit there.
    pub fn save(self, picture: &Document) -> Result<PathBuf> {
        let Self { path, mut file } = self;
        writeln!(file, "{picture}")
            .and_then(|()| Ok(file.persist(&path)?))
            .with_context(|| format!("write the picture {}", path.display()))?;
        Ok(path)
    }
}

/// Which end of a text is where it is put.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// The left one.
    Start,
    /// Its middle.
    Middle,
    /// The right one.
    End,
}

/// A picture that is being drawn. Each thing has a class, and the style says what that looks like:
/// `title`, `name`, `figure`, `quiet`, `value` and `alarm` for texts, `grid` and `rule` for lines.
#[derive(Debug)]
pub struct Paint(Document);

impl Paint {
    /// An empty sheet. `style` is CSS for the classes that this picture has of its own.
    #[must_use]
    pub fn new(width: f64, height: f64, style: &str) -> Self {
        let document = Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .add(Style::new(format!("{STYLE}{style}")));
        let paper = rectangle("paper", (0.5, 0.5), (width - 1.0, height - 1.0));
        Self(document.add(paper.set("rx", 8)))
    }

    /// A bar, if it is long enough to be seen.
    pub fn bar(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        if size.0 < LEAST {
            return;
        }
        self.add(rectangle(class, at, size));
    }

    /// A line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let line = Line::new().set("class", class);
        let line = line.set("x1", from.0).set("y1", from.1);
        self.add(line.set("x2", to.0).set("y2", to.1));
    }

    /// A line through some points.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        self.add(
            Polyline::new()
                .set("class", class)
                .set("points", points.join(" ")),
        );
    }

    /// A text.
    pub fn text(&mut self, class: &str, anchor: Anchor, at: (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = Text::new(text).set("class", class);
        let text = text.set("text-anchor", anchor);
        self.add(text.set("x", at.0).set("y", at.1));
    }

    /// The finished picture.
    #[must_use]
    pub fn finish(self) -> Document {
        self.0
    }

    fn add(&mut self, node: impl Node) {
        self.0.append(node);
    }
}

fn rectangle(class: &str, at: (f64, f64), size: (f64, f64)) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", at.0)
        .set("y", at.1)
        .set("width", size.0)
        .set("height", size.1)
}
