//! What a picture is drawn with.

use svg::{
    Document, Node,
    node::element::{Line, Rectangle, Style, Text},
};

/// In user units, which are pixels where nobody scales the picture.
const LEAST: f64 = 0.05;

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
.cut { stroke: #ffffff; stroke-width: 5 }
.news { fill: #94a3b8 }
.switch { fill: #f59e0b }
.answer { fill: #38bdf8 }
.never { fill: #fee2e2; stroke: #f87171; stroke-dasharray: 4 3 }
";

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

/// A picture that is being drawn. Each thing has a class, and the style says what that looks like.
pub struct Paint(Document);

impl Paint {
    /// An empty sheet.
    pub fn new(width: f64, height: f64) -> Self {
        let document = Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .add(Style::new(STYLE));
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
