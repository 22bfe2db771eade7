//! The figures of repeated runs.

use serde::Serialize;

/// The figures of one thing, in the order of the runs. There is at least one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Figures, in the order of the runs; nothing where there is none, or one that is no number.
    #[must_use]
    pub fn new(figures: Vec<f64>) -> Option<Self> {
        let sound = !figures.is_empty() && figures.iter().all(|figure| figure.is_finite());
        sound.then_some(Self(figures))
    }

    /// The figures of `self` as multiples of those of `other`, run by run.
    #[must_use]
    pub fn over(&self, other: &Self) -> Option<Self> {
        let pairs = self.0.iter().zip(&other.0);
        Self::new(pairs.map(|(one, other)| one / other).collect())
    }

    /// The smallest figure of which so many per cent are no greater (nearest rank).
    #[must_use]
    pub fn percentile(&self, per_cent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (per_cent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    /// The middle figure.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}
