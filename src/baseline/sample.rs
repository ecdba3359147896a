//! How unlikely is a value, given what was seen before?
//!
//! A [`Sample`] is an HdrHistogram of past values. Inside the range of the past the answer is counted; beyond the largest
//! value it is extended by a power law (Pareto's tail, its exponent by Hill's estimator from the upper tenth, pulled
//! towards [`TAIL_EXPONENT`] while there are few values), because traffic is heavy-tailed and a normal curve would call
//! every busy day impossible. The answer is a *surprise*: 3.0 means one window in a thousand.

use hdrhistogram::Histogram;

/// Values seen before, in about 5 kB: one significant digit (buckets ≤ 7 % wide), the largest value exact.
#[derive(Debug, Clone)]
pub struct Sample {
    histogram: Option<Histogram<u32>>,
    count: u64,
    largest: u64,
}

/// Exponent of the power law beyond the largest value while nothing is known: between that of file sizes on the web
/// (1.1, Crovella & Bestavros 1997) and that of daily sums (about 2).
pub const TAIL_EXPONENT: f64 = 1.5;

/// Amounts below this are not told apart: a host that never sent anything is treated as one that once sent this much.
pub const QUIET: u64 = 1_000_000;

/// How many values' weight the assumed exponent has.
const PRIOR: f64 = 5.0;

impl Default for Sample {
    fn default() -> Self {
        Sample {
            histogram: Histogram::new(1).ok(),
            count: 0,
            largest: 0,
        }
    }
}

impl Sample {
    /// Adds one value.
    pub fn record(&mut self, value: u64) {
        if let Some(histogram) = &mut self.histogram {
            // A value beyond the range cannot happen: the histogram grows by itself up to u64.
            let _ = histogram.record(value);
        }
        self.count += 1;
        self.largest = self.largest.max(value);
    }

    /// Adds all values of another sample.
    pub fn merge(&mut self, other: &Sample) {
        if let (Some(mine), Some(theirs)) = (&mut self.histogram, &other.histogram) {
            let _ = mine.add(theirs);
        }
        self.count += other.count;
        self.largest = self.largest.max(other.largest);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exact.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// The value at a quantile, 0 without values.
    pub fn quantile(&self, q: f64) -> u64 {
        self.histogram
            .as_ref()
            .map_or(0, |h| if self.count == 0 { 0 } else { h.value_at_quantile(q) })
            .min(self.largest)
    }

    /// Mean of the values (of their buckets).
    pub fn mean(&self) -> f64 {
        self.histogram
            .as_ref()
            .map_or(0.0, |h| if self.count == 0 { 0.0 } else { h.mean() })
    }

    /// Share of past values below `x`.
    pub fn rank(&self, x: u64) -> f64 {
        let below = if x > self.largest { self.count } else { self.below(x) };
        below as f64 / (self.count + 1) as f64
    }

    fn below(&self, x: u64) -> u64 {
        let Some(histogram) = &self.histogram else { return 0 };
        if x == 0 {
            0
        } else {
            histogram.count_between(0, x - 1).min(self.count)
        }
    }

    /// Decades of surprise at a value: `-log10` of the chance of one at least as large. `prior` is the exponent assumed
    /// for the tail while there are few values.
    pub fn surprise(&self, x: f64, prior: f64) -> f64 {
        self.surprise_within(x, prior, f64::INFINITY)
    }

    /// As [`Sample::surprise`], but a value beyond the largest counts as at most `times` as large as that.
    pub fn surprise_within(&self, x: f64, prior: f64, times: f64) -> f64 {
        let windows = (self.count + 1) as f64;
        let largest = self.largest.max(QUIET) as f64;
        if x > largest {
            return windows.log10() + self.exponent(prior) * (x / largest).min(times.max(1.0)).log10();
        }
        let at_least = (self.count - self.below(x as u64).min(self.count)) as f64 + 1.0;
        (windows / at_least.min(windows)).log10()
    }

    /// Exponent of the tail: Hill's estimator over the upper tenth of the values, pulled towards `prior`.
    pub fn exponent(&self, prior: f64) -> f64 {
        let Some(histogram) = &self.histogram else { return prior };
        let from = self.quantile(0.9).max(QUIET);
        let (mut n, mut logs) = (0.0, 0.0);
        for step in histogram.iter_recorded() {
            let value = step.value_iterated_to();
            if value > from {
                n += f64::from(step.count_at_value());
                logs += f64::from(step.count_at_value()) * (value as f64 / from as f64).ln();
            }
        }
        ((n + PRIOR) / (logs + PRIOR / prior)).clamp(0.7, 3.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unseen_is_rarer_the_farther_it_lies_beyond_the_largest() {
        let mut sample = Sample::default();
        for i in 1..=1_000u64 {
            sample.record(i * 1_000_000);
        }
        assert!(sample.surprise(5e8, TAIL_EXPONENT) < 0.4, "the median surprises nobody");
        let (near, far) = (
            sample.surprise(2e9, TAIL_EXPONENT),
            sample.surprise(2e10, TAIL_EXPONENT),
        );
        assert!(near > 3.0 && far > near + 1.0, "{near} {far}");
    }

    #[test]
    fn beyond_the_largest_a_value_counts_no_more_than_so_many_times() {
        let mut sample = Sample::default();
        (1..=300u64).for_each(|i| sample.record(i * 1_000_000));
        let within = |times| sample.surprise_within(6e9, TAIL_EXPONENT, times);
        assert_eq!(within(f64::INFINITY), sample.surprise(6e9, TAIL_EXPONENT));
        assert!(within(2.0) < within(20.0) - 0.5, "{} {}", within(2.0), within(20.0));
        assert_eq!(within(0.1), 301f64.log10());
    }

    #[test]
    fn small_amounts_from_a_silent_host_are_no_surprise() {
        let mut sample = Sample::default();
        (0..336).for_each(|_| sample.record(0));
        assert!(sample.surprise(900_000.0, TAIL_EXPONENT) <= 2.6);
        assert!(sample.surprise(1e9, TAIL_EXPONENT) > 6.0);
    }

    #[test]
    fn merging_is_recording_both() {
        let (mut a, mut b, mut both) = (Sample::default(), Sample::default(), Sample::default());
        for i in 0..500u64 {
            let value = i * i * 7_919;
            if i % 3 == 0 {
                a.record(value)
            } else {
                b.record(value)
            }
            both.record(value);
        }
        a.merge(&b);
        assert_eq!(
            (a.count(), a.largest(), a.quantile(0.5)),
            (both.count(), both.largest(), both.quantile(0.5))
        );
        assert_eq!(a.surprise(1e10, TAIL_EXPONENT), both.surprise(1e10, TAIL_EXPONENT));
    }
}
