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

    /// The smallest figure.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.percentile(0.0)
    }

    /// The greatest figure.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.percentile(100.0)
    }

    /// How many figures there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(figures: &[f64]) -> Samples {
        Samples::new(figures.to_vec()).expect("figures")
    }

    #[test]
    fn no_figures_and_none_that_is_no_number() {
        assert_eq!(Samples::new(Vec::new()), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
        assert_eq!(Samples::new(vec![1.0, f64::INFINITY]), None);
    }

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let odd = samples(&[5.0, 1.0, 3.0]);
        assert_eq!((odd.least(), odd.median(), odd.most()), (1.0, 3.0, 5.0));
        let even = samples(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((even.median(), even.percentile(75.0)), (2.0, 3.0));
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!(samples(&hundred).percentile(99.0), 99.0);
    }

    #[test]
    fn ratios_are_those_of_neighbours() {
        let ratio = samples(&[2.0, 9.0]).over(&samples(&[1.0, 3.0, 7.0]));
        assert_eq!(ratio, Some(samples(&[2.0, 3.0])));
        assert_eq!(samples(&[1.0]).over(&samples(&[0.0])), None);
    }
}
