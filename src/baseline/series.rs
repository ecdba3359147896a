//! The scorer of hourly volumes, for any series of numbers: how surprising is each value, by what came before it?
//!
//! A value is compared with what is usual now: a level that follows slowly, and the time of day's difference from it. How
//! far it lies above, or below, how far its last hour does, and how far it jumped, are each held against the same quantity
//! of the past week or two by [`Sample::surprise`]; views that agree add as rules of one event do. An event is scored when
//! it begins: while it lasts only what is louder counts, and a level that stays becomes the new normal.

use std::collections::VecDeque;

use super::sample::{QUIET, Sample, TAIL_EXPONENT};
use crate::net::Seconds;

/// Scores one series, value by value.
#[derive(Debug, Clone)]
pub struct SeriesScorer {
    /// Points a day, as the first day's times tell.
    day: usize,
    waiting: Vec<(Seconds, f64)>,
    expected: Expected,
    /// Amount that counts as [`QUIET`]: the usual deviation.
    unit: f64,
    views: [Memory; VIEWS],
    recent: VecDeque<(f64, f64)>,
    peak: f64,
}

/// Above, below, last hour above, last hour below, jump.
const VIEWS: usize = 5;

/// Points before anything is scored: a histogram of fewer says nothing.
const WARM_UP: usize = 100;

/// Days after which what was seen begins to be forgotten.
const WEEK: usize = 7;

/// Decades that each further view adds, and from which it does.
const SECOND: (f64, f64) = (0.5, 1.5);

/// Half-lives, in days: of the level, of the time of day's difference, of an event.
const LEVEL: f64 = 0.25;
const RHYTHM: f64 = 3.0;
const EVENT: f64 = 0.5;

/// Deviations beyond this many usual ones are not told apart.
const HUGE: f64 = 1e9;

/// Half hours of a day.
const SLOTS: usize = 48;

impl Default for SeriesScorer {
    fn default() -> Self {
        SeriesScorer {
            day: 288,
            waiting: Vec::new(),
            expected: Expected::default(),
            unit: 0.0,
            views: Default::default(),
            recent: VecDeque::new(),
            peak: 0.0,
        }
    }
}

impl SeriesScorer {
    /// Decades of surprise at a value, beyond those of an event that is going on; then learns it. Times in seconds, rising.
    pub fn score(&mut self, time: Seconds, value: f64) -> f64 {
        let value = if value.is_finite() {
            value.clamp(-1e100, 1e100)
        } else {
            0.0
        };
        if self.unit == 0.0 {
            self.waiting.push((time, value));
            if self.waiting.len() >= WARM_UP {
                self.begin();
            }
            return 0.0;
        }
        let surprise = self.judge(time, value);
        let louder = (surprise - self.peak).max(0.0);
        self.peak = surprise.max(self.peak * 0.5f64.powf(1.0 / (EVENT * self.day as f64)));
        louder
    }

    /// Fixes the step and the unit by the first values, and learns them.
    fn begin(&mut self) {
        let first = std::mem::take(&mut self.waiting);
        let mut steps: Vec<u64> = first.windows(2).map(|w| w[1].0.saturating_sub(w[0].0)).collect();
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(300).max(1);
        self.day = usize::try_from(86_400 / step).unwrap_or(1).clamp(8, 86_400);
        let mut values: Vec<f64> = first.iter().map(|p| p.1).collect();
        values.sort_by(f64::total_cmp);
        let median = values[values.len() / 2];
        let mut far: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        far.sort_by(f64::total_cmp);
        let spread = far[far.len() / 2].max(far[far.len() * 9 / 10] / 4.0);
        let size = median.abs().max(far[far.len() - 1]);
        self.unit = spread.max(size / 1_000.0).max(1e-9);
        self.expected.level = median;
        for (time, value) in first {
            self.judge(time, value);
        }
    }

    fn judge(&mut self, time: Seconds, value: f64) -> f64 {
        let usual = self.expected.at(time);
        let over = ((value - usual) / self.unit).clamp(-HUGE, HUGE);
        let hour = (self.day / 24).clamp(1, 60);
        let before = self.recent.iter().map(|r| r.1);
        let jump = (value - median(before.rev().take(hour.min(6))).unwrap_or(value)) / self.unit;
        let jump = jump.clamp(-HUGE, HUGE);
        self.recent.push_back((over, value));
        if self.recent.len() > hour.max(6) {
            self.recent.pop_front();
        }
        let lasting = self.recent.iter().rev().take(hour).map(|r| r.0).sum::<f64>() / hour as f64;
        let amounts = [over, -over, lasting, -lasting, jump.abs()];
        let decades: Vec<f64> = amounts.iter().zip(&self.views).map(|(a, v)| v.surprise(*a)).collect();
        for (view, amount) in self.views.iter_mut().zip(amounts) {
            view.record(amount, self.day * WEEK);
        }
        self.expected.learn(time, value, self.unit, self.day);
        let loudest = decades.iter().copied().fold(0.0, f64::max);
        let agree = decades.iter().filter(|d| **d >= SECOND.1).count().saturating_sub(1);
        loudest + SECOND.0 * agree as f64
    }
}

/// What is usual now: a level and the time of day's difference from it.
#[derive(Debug, Clone)]
struct Expected {
    level: f64,
    slots: [(f64, f64); SLOTS],
}

impl Default for Expected {
    fn default() -> Self {
        Expected {
            level: 0.0,
            slots: [(0.0, 0.0); SLOTS],
        }
    }
}

fn slot(time: Seconds) -> usize {
    (time / (86_400 / SLOTS as u64)) as usize % SLOTS
}

impl Expected {
    fn at(&self, time: Seconds) -> f64 {
        let (difference, weight) = self.slots[slot(time)];
        // As long as a time of day was seen on less than a day or two, it hardly speaks.
        self.level + difference * weight / (weight + 1.0)
    }

    /// Follows a value, which counts for no more than some usual deviations: one huge value must not become the usual.
    fn learn(&mut self, time: Seconds, value: f64, unit: f64, day: usize) {
        let usual = self.at(time);
        let held = usual + (value - usual).clamp(-CLIP * unit, CLIP * unit);
        let (difference, weight) = &mut self.slots[slot(time)];
        let rhythm = 1.0 - 0.5f64.powf(SLOTS as f64 / (RHYTHM * day as f64));
        *difference +=
            rhythm.max(1.0 / (*weight * day as f64 / SLOTS as f64 + 1.0)) * (held - self.level - *difference);
        *weight += SLOTS as f64 / day as f64;
        self.level += (1.0 - 0.5f64.powf(1.0 / (LEVEL * day as f64))) * (held - usual);
    }
}

/// Usual deviations beyond which a value counts no more.
const CLIP: f64 = 5.0;

/// A quantity's past: the last week, and the one before while it is under way.
#[derive(Debug, Clone, Default)]
struct Memory {
    all: Sample,
    young: Sample,
}

impl Memory {
    fn surprise(&self, amount: f64) -> f64 {
        if amount <= 0.0 {
            return 0.0;
        }
        self.all.surprise(amount * QUIET as f64, TAIL_EXPONENT)
    }

    fn record(&mut self, amount: f64, week: usize) {
        let whole = (amount.max(0.0) * QUIET as f64) as u64;
        self.all.record(whole);
        self.young.record(whole);
        if self.young.count() >= week as u64 {
            self.all = std::mem::take(&mut self.young);
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two weeks of five-minute values with a daily rhythm and noise; `change` may alter them.
    fn scores(change: impl Fn(usize, f64) -> f64) -> Vec<f64> {
        let mut scorer = SeriesScorer::default();
        let mut state = 7u64;
        (0..4_032usize)
            .map(|n| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
                let rhythm = (n as f64 / 288.0 * std::f64::consts::TAU).sin();
                scorer.score(n as u64 * 300, change(n, 50.0 + 20.0 * rhythm + 4.0 * noise))
            })
            .collect()
    }

    /// The highest score in some points, and outside of them after two days.
    fn inside_and_outside(scores: &[f64], range: std::ops::Range<usize>) -> (f64, f64) {
        let most = |keep: &dyn Fn(usize) -> bool| {
            let kept = scores.iter().enumerate().skip(576).filter(|(n, _)| keep(*n));
            kept.map(|(_, s)| *s).fold(0.0, f64::max)
        };
        (most(&|n| range.contains(&n)), most(&|n| !range.contains(&n)))
    }

    #[test]
    fn spikes_drops_and_shifts_stand_out_and_rhythm_does_not() {
        let spike = scores(|n, v| if n == 3_000 { v + 60.0 } else { v });
        let drop = scores(|n, v| if (3_000..3_020).contains(&n) { v - 40.0 } else { v });
        let shift = scores(|n, v| if n >= 3_000 { v + 40.0 } else { v });
        for (name, all, length) in [("spike", spike, 1), ("drop", drop, 20), ("shift", shift, 12)] {
            let (inside, outside) = inside_and_outside(&all, 3_000..3_000 + length);
            assert!(inside > 3.0 && inside > outside + 0.5, "{name}: {inside} {outside}");
        }
    }

    #[test]
    fn a_value_is_judged_by_its_past_alone() {
        let one = scores(|_, v| v);
        let other = scores(|n, v| if n > 2_000 { v * 9.0 } else { v });
        assert_eq!(one[..=2_000], other[..=2_000]);
    }

    #[test]
    fn constant_and_odd_values_are_no_trouble() {
        let mut scorer = SeriesScorer::default();
        let odd = [0.0, f64::NAN, f64::INFINITY, -1e300, 1e300];
        for n in 0..2_000u64 {
            let value = if n % 400 == 399 { odd[n as usize / 400] } else { 0.0 };
            assert!(scorer.score(n / 2 * 60, value).is_finite());
        }
    }
}
