//! The systems' moves as timelines, to be seen at a glance.

mod scale;

use std::time::Duration;

use lab::paint::{Anchor, Paint};
use svg::Document;

use crate::{
    migration::Move,
    outcome::{Outcome, Stranded, median},
    screen::ms,
};
use scale::Scale;

const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 36.0;
/// Where time 0 and the end of the scale are; the times stand to the right of it.
const LEFT: f64 = 450.0;
const RIGHT: f64 = 900.0;
/// Where the first system begins.
const TOP: f64 = 142.0;
/// One move.
const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
/// From the top of a bar to the line its text stands on.
const TEXT: f64 = 11.5;
/// What is said of a system needs this, however few moves there are.
const LEAST: f64 = 114.0;
/// Between two systems.
const BETWEEN: f64 = 36.0;
/// For the scale below.
const FOOT: f64 = 56.0;

const STYLE: &str = "
.cut { stroke: #ffffff; stroke-width: 5 }
.news { fill: #94a3b8 }
.switch { fill: #f59e0b }
.answer { fill: #38bdf8 }
.never { fill: #fee2e2; stroke: #f87171; stroke-dasharray: 4 3 }
";

/// What a bar consists of: its class and what that means.
const PHASES: [(&str, &str); 3] = [
    ("news", "the news is on its way"),
    ("switch", "the flow table is being changed"),
    ("answer", "the PC's next packet is answered"),
];

/// Draws the moves of some systems.
pub fn draw(outcomes: &[Outcome]) -> Document {
    let scale = Scale::of(outcomes.iter().map(gaps));
    let heights: Vec<_> = outcomes.iter().map(height).collect();
    let bottom = TOP + heights.iter().sum::<f64>() + BETWEEN * (heights.len() as f64 - 1.0);
    let mut paint = Paint::new(WIDTH, bottom + FOOT, STYLE);
    head(&mut paint);
    for time in scale.ticks() {
        let x = place(&scale, time);
        paint.line("grid", (x, TOP - 10.0), (x, bottom + 4.0));
        let text = format!("{} ms", time.as_micros() as f64 / 1e3);
        paint.text("quiet", Anchor::Middle, (x, bottom + 24.0), &text);
    }
    let mut y = TOP;
    for (of, height) in outcomes.iter().zip(heights) {
        if y > TOP {
            let y = y - BETWEEN / 2.0;
            paint.line("rule", (MARGIN, y), (WIDTH - MARGIN, y));
        }
        introduce(&mut paint, of, y);
        moves(&mut paint, &scale, of, y);
        y += height + BETWEEN;
    }
    paint.finish()
}

fn head(paint: &mut Paint) {
    let title = "How long is a VM unreachable after its live migration?";
    paint.text("title", Anchor::Start, (MARGIN, 50.0), title);
    let what = "From its resumption in the other data centre to its first answer at the PC. Each \
                bar is one move, measured.";
    paint.text("quiet", Anchor::Start, (MARGIN, 74.0), what);
    let mut x = MARGIN;
    for (class, text) in PHASES {
        paint.bar(class, (x, 93.0), (BAR, BAR));
        paint.text("plain", Anchor::Start, (x + BAR + 7.0, 93.0 + TEXT), text);
        // About as wide as the text will be.
        x += BAR + 36.0 + 6.3 * text.len() as f64;
    }
}

/// What a system is, on the left.
fn introduce(paint: &mut Paint, of: &Outcome, top: f64) {
    let mut line = |class, down, text: &str| {
        paint.text(class, Anchor::Start, (MARGIN, top + down), text);
    };
    let triggers: Vec<_> = of.triggers().iter().map(ToString::to_string).collect();
    line("name", 14.0, of.title);
    line("quiet", 34.0, &format!("{}, {} VM", of.figures, of.guest));
    line(
        "quiet",
        52.0,
        &format!("switched by {}", triggers.join(", ")),
    );
    if let Some(median) = median(&gaps(of)) {
        line("figure", 92.0, &ms(median));
        let count = of.moves.len();
        line("quiet", 110.0, &format!("median of {count} moves"));
    }
}

/// A system's moves, on the right.
fn moves(paint: &mut Paint, scale: &Scale, of: &Outcome, top: f64) {
    let mut y = top;
    let mut label = |paint: &mut Paint, text: &str| {
        let at = y;
        paint.text("plain", Anchor::End, (LEFT - 12.0, at + TEXT), text);
        y += ROW;
        at
    };
    for (number, a_move) in (1..).zip(&of.moves) {
        let y = label(paint, &format!("move {number}"));
        timeline(paint, scale, a_move, y);
    }
    let y = label(paint, "after kill -9 and restart");
    timeline(paint, scale, &of.after_restart, y);
    if let Some(alone) = &of.stranded {
        let y = label(paint, "control device dead");
        stranded(paint, alone, y);
    }
}

fn timeline(paint: &mut Paint, scale: &Scale, a_move: &Move, y: f64) {
    let mut from = LEFT;
    for ((class, _), until) in PHASES
        .iter()
        .zip([a_move.news, a_move.switched, a_move.gap])
    {
        let to = place(scale, until);
        paint.bar(class, (from, y), (to - from, BAR));
        from = to;
    }
    if !scale.shows(a_move.gap) {
        paint.line("cut", (RIGHT - 14.0, y + BAR + 2.0), (RIGHT - 8.0, y - 2.0));
    }
    let value = ms(a_move.gap);
    paint.text("value", Anchor::Start, (from + 7.0, y + TEXT), &value);
}

fn stranded(paint: &mut Paint, alone: &Stranded, y: f64) {
    let (text, value) = if alone.found {
        ("found all the same", "")
    } else {
        ("unreachable until an operator moves it by hand", "never")
    };
    paint.bar("never", (LEFT, y), (RIGHT - LEFT, BAR));
    let middle = f64::midpoint(LEFT, RIGHT);
    paint.text("alarm", Anchor::Middle, (middle, y + TEXT), text);
    paint.text("alarm", Anchor::Start, (RIGHT + 7.0, y + TEXT), value);
}

/// Where a time is on the paper; what is beyond the scale is at its end.
fn place(scale: &Scale, time: Duration) -> f64 {
    LEFT + (RIGHT - LEFT) * scale.part(time)
}

fn gaps(of: &Outcome) -> Vec<Duration> {
    of.moves.iter().map(|a_move| a_move.gap).collect()
}

fn height(of: &Outcome) -> f64 {
    let rows = of.moves.len() + 1 + usize::from(of.stranded.is_some());
    (rows as f64 * ROW).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        balance::Balance,
        outcome::tests::{MOVE, outcome},
    };

    #[test]
    fn every_move_is_there_with_its_time() {
        let mut of = outcome(1, &[0], Balance::default());
        of.moves = vec![MOVE; 2];
        of.after_restart.gap = Duration::from_millis(70);
        of.stranded = Some(Stranded {
            asked: 2000,
            found: false,
        });
        let drawn = draw(&[of]).to_string();
        let lines: Vec<_> = drawn.lines().collect();
        for (line, times) in [
            ("Second embodiment", 1),
            ("switched by the gateway's learning packet", 1),
            // Both moves, and their median.
            ("0.60 ms", 3),
            ("70 ms", 1),
            ("never", 1),
        ] {
            let found = lines.iter().filter(|found| **found == line).count();
            assert_eq!(found, times, "{line} in\n{drawn}");
        }
        let cut = lines.iter().filter(|line| line.contains(r#"class="cut""#));
        assert_eq!(cut.count(), 1, "the bar that is too long");
    }
}
