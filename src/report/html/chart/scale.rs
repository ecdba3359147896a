//! Scales: bytes to a share of the height, time to a share of the width, and where their ticks stand.

use crate::net::{HOUR, Seconds, human_bytes};
use crate::report::document::When;
use crate::report::story::words::{clock, date};

/// Bytes to 0..1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts {
    most: f64,
    log: bool,
}

/// Where a logarithmic scale begins: less than this is nothing.
const LEAST: f64 = 1e3;

impl Amounts {
    /// From 0 to `most`.
    pub(super) fn linear(most: u128) -> Self {
        Amounts {
            most: (most as f64).max(1.0),
            log: false,
        }
    }

    /// Logarithmic where what is usual would vanish beside what was seen.
    pub(super) fn beside(most: u128, usual: u128) -> Self {
        let most = most.max(usual);
        Amounts {
            log: most as f64 > 20.0 * (usual as f64).max(LEAST) && most as f64 > 100.0 * LEAST,
            ..Amounts::linear(most)
        }
    }

    /// True if equal steps are equal factors.
    pub(super) fn is_log(self) -> bool {
        self.log
    }

    /// The share of the height.
    pub(super) fn at(self, amount: u128) -> f64 {
        let amount = amount as f64;
        if self.log {
            ((amount / LEAST).max(1.0).log10() / (self.most / LEAST).log10()).clamp(0.0, 1.0)
        } else {
            (amount / self.most).clamp(0.0, 1.0)
        }
    }

    /// Round amounts with their words, from low to high.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let amounts: Vec<f64> = if self.log {
            let decades = (self.most / LEAST).log10();
            let factor = if decades > 4.5 { 1e3 } else { 1e1 };
            std::iter::successors(Some(LEAST * factor), |a| Some(a * factor))
                .take_while(|a| *a <= self.most)
                .take(8)
                .collect()
        } else {
            let step = round_step(self.most / 4.0);
            (1..=8)
                .map(|n| f64::from(n) * step)
                .take_while(|a| *a <= self.most)
                .collect()
        };
        let told = |a: f64| (self.at(a as u128), plain(a as u128));
        amounts.into_iter().map(told).collect()
    }
}

/// 1, 2, 2.5 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1.0).log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|f| f * power >= least);
    round.unwrap_or(10.0) * power
}

/// `1 GB`, without the digits that a tick does not need.
fn plain(amount: u128) -> String {
    let text = human_bytes(amount);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// Time to 0..1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    from: Seconds,
    to: Seconds,
}

/// Distances between ticks, in hours.
const STEPS: [u64; 14] = [1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 336, 720, 2_160, 8_760];

/// Most ticks.
const TICKS: u64 = 8;

impl Times {
    /// From one time to another; never empty.
    pub(super) fn new(from: Seconds, to: Seconds) -> Self {
        Times {
            from,
            to: to.max(from.saturating_add(1)),
        }
    }

    /// The share of the width.
    pub(super) fn at(self, t: Seconds) -> f64 {
        let span = self.to.saturating_sub(self.from) as f64;
        (t.saturating_sub(self.from) as f64 / span).clamp(0.0, 1.0)
    }

    /// Round times with their words.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let span = self.to.saturating_sub(self.from);
        let step = STEPS.iter().map(|h| h * HOUR).find(|s| span / s <= TICKS);
        let step = step.unwrap_or(span.max(1));
        let first = self.from.div_ceil(step).saturating_mul(step);
        let label = |t: Seconds| {
            let day = date(When(Some(t)));
            let short: Vec<&str> = day.split(' ').take(2).collect();
            let (number, month) = (short.first().copied(), short.get(1).and_then(|m| m.get(..3)));
            let day = format!("{} {}", number.unwrap_or("-"), month.unwrap_or_default());
            if t.is_multiple_of(24 * HOUR) {
                day
            } else {
                clock(When(Some(t)))
            }
        };
        (0..=TICKS)
            .map(|n| first.saturating_add(n.saturating_mul(step)))
            .filter(|t| *t <= self.to)
            .map(|t| (self.at(t), label(t)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_of_a_thousand_times_needs_equal_factors_and_a_double_does_not() {
        assert!(Amounts::beside(3_000_000_000, 2_000_000).is_log());
        assert!(!Amounts::beside(4_000_000, 2_000_000).is_log());
        let log = Amounts::beside(1_000_000_000, 1_000_000);
        assert_eq!(log.at(0), 0.0);
        assert!((log.at(1_000_000) - 0.5).abs() < 1e-9);
        assert_eq!(log.at(u128::MAX), 1.0);
    }

    #[test]
    fn ticks_are_round_and_few() {
        let words = |s: Amounts| s.ticks().into_iter().map(|(_, t)| t).collect::<Vec<_>>();
        assert_eq!(
            words(Amounts::linear(1_000_000)),
            ["250 kB", "500 kB", "750 kB", "1 MB"]
        );
        assert_eq!(words(Amounts::beside(3_000_000_000, 2_000)), ["1 MB", "1 GB"]);
        let day = 86_400 * 20_000;
        let times: Vec<String> = Times::new(day, day + 86_400)
            .ticks()
            .into_iter()
            .map(|(_, t)| t)
            .collect();
        assert_eq!(times.join(" "), "4 Oct 03:00 06:00 09:00 12:00 15:00 18:00 21:00 5 Oct");
        assert!(Times::new(0, u64::MAX).ticks().len() <= 10);
        assert!(!Times::new(5, 5).at(5).is_nan());
    }
}
