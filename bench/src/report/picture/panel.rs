//! Curves in a frame, with axes and a key.

use lab::paint::{Anchor, Paint};

/// A place on the paper.
pub struct Panel {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// How wide it is.
    pub width: f64,
    /// How high it is.
    pub height: f64,
}

/// Points and what they are.
pub struct Curve {
    /// What stands in the key.
    pub name: String,
    /// The points, from left to right.
    pub points: Vec<(f64, f64)>,
    /// At a place along the panel: from where to where figures reach.
    pub spreads: Vec<(f64, f64, f64)>,
}

/// One direction of a panel.
pub struct Axis {
    /// Where values begin and end, after [`Axis::scale`].
    range: (f64, f64),
    scale: fn(f64) -> f64,
    /// Where lines are drawn, and what stands at them.
    ticks: Vec<(f64, String)>,
}

/// How many classes of curves the style has.
const CLASSES: usize = 6;
/// As many lines as one likes to see from zero on.
const TICKS: f64 = 6.0;

impl Curve {
    /// One without points yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            points: Vec::new(),
            spreads: Vec::new(),
        }
    }

    /// Where its points are along the panel.
    pub fn along(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(along, _)| *along)
    }
}

impl Axis {
    /// A logarithmic one over whole powers of ten, as far as values reach.
    pub fn decades(values: impl Iterator<Item = f64>, text: impl Fn(f64) -> String) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let logarithms: Vec<_> = values.map(f64::log10).collect();
        let least = logarithms.iter().copied().fold(f64::INFINITY, f64::min);
        let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (first, last) = if least <= most {
            (
                least.floor() as i32,
                (most.ceil() as i32).max(least.floor() as i32 + 1),
            )
        } else {
            (0, 1)
        };
        let powers = (first..=last).map(|power| 10_f64.powi(power));
        Self {
            range: (first.into(), last.into()),
            scale: |value| value.max(f64::MIN_POSITIVE).log10(),
            ticks: powers.map(|power| (power, text(power))).collect(),
        }
    }

    /// A linear one from zero to a round value that is no less than `most`.
    pub fn from_zero(most: f64, text: impl Fn(f64) -> String) -> Self {
        let step = step(most / TICKS);
        let steps = (most / step - 1e-9).ceil().max(1.0) as u32;
        let ticks = (0..=steps).map(|tick| f64::from(tick) * step);
        Self {
            range: (0.0, f64::from(steps) * step),
            scale: |value| value,
            ticks: ticks.map(|tick| (tick, text(tick))).collect(),
        }
    }

    /// Which part of the way a value is.
    fn part(&self, value: f64) -> f64 {
        let (first, last) = self.range;
        (((self.scale)(value) - first) / (last - first)).clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten: the least that is no less than this.
fn step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter();
    times
        .map(|times| times * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

impl Panel {
    /// Draws curves; where there are none, that they were not measured.
    pub fn draw(&self, paint: &mut Paint, title: &str, x: Axis, y: Axis, curves: &[Curve]) {
        let Self {
            left,
            top,
            width,
            height,
        } = *self;
        let (right, bottom) = (left + width, top + height);
        paint.text("name", Anchor::Start, (36.0, top - 28.0), title);
        if curves.is_empty() {
            let none = "not measured in this run";
            paint.text("quiet", Anchor::Start, (left, top + 20.0), none);
            return;
        }
        for (value, text) in &y.ticks {
            let at = bottom - y.part(*value) * height;
            paint.line("grid", (left, at), (right, at));
            paint.text("quiet", Anchor::End, (left - 8.0, at + 4.0), text);
        }
        for (value, text) in &x.ticks {
            let at = left + x.part(*value) * width;
            paint.line("grid", (at, top), (at, bottom));
            paint.text("quiet", Anchor::Middle, (at, bottom + 20.0), text);
        }
        let place =
            |(along, up): (f64, f64)| (left + x.part(along) * width, bottom - y.part(up) * height);
        for (index, curve) in curves.iter().enumerate() {
            for (along, least, most) in &curve.spreads {
                paint.line("spread", place((*along, *least)), place((*along, *most)));
            }
            let class = format!("curve{}", index % CLASSES);
            let points: Vec<_> = curve.points.iter().copied().map(place).collect();
            paint.polyline(&class, &points);
            let at = top + 14.0 + 22.0 * index as f64;
            paint.line(&class, (right + 20.0, at), (right + 44.0, at));
            paint.text(
                "plain",
                Anchor::Start,
                (right + 52.0, at + 4.0),
                &curve.name,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn decades_hold_all_values() {
        let axis = Axis::decades([1000.0, 100_000.0, 1_000_000.0].into_iter(), |v| {
            v.to_string()
        });
        assert_eq!(texts(&axis), ["1000", "10000", "100000", "1000000"]);
        assert_eq!((axis.part(1000.0), axis.part(1e6)), (0.0, 1.0));
        let one = Axis::decades([10.0].into_iter(), |v| v.to_string());
        assert_eq!(texts(&one), ["10", "100"]);
        let none = Axis::decades([].into_iter(), |v| v.to_string());
        assert_eq!(texts(&none), ["1", "10"]);
    }

    #[test]
    fn a_linear_axis_ends_behind_the_greatest_value() {
        let axis = Axis::from_zero(1.72e6, |v| v.to_string());
        assert_eq!(
            texts(&axis),
            ["0", "500000", "1000000", "1500000", "2000000"]
        );
        let whole = Axis::from_zero(1.0, |v| format!("{v:.1}"));
        assert_eq!(texts(&whole), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&Axis::from_zero(0.0, |v| v.to_string())), ["0", "1"]);
    }
}
