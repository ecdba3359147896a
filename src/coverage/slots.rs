//! Which files of one flow log should be there? Learned from the log itself.
//!
//! AWS writes a file for a slot of five minutes in which records arrived; a small or slow log has one every ten minutes,
//! or at odd times. So the step between files is learned (the most common one), and a file is called missing only if the
//! log is steady: hardly any step may be another. A quiet slot of an unsteady log is no loss; of such a log only a hole of
//! more than a day is named.

use crate::net::{Seconds, TimeWindow};
use std::collections::{BTreeMap, BTreeSet};

/// The slots of one flow log, by the stamps of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// The step between files in seconds; `None` for fewer than five steps.
    pub cadence: Option<Seconds>,
    /// True if hardly any step is another: only then a missing file can be told.
    pub steady: bool,
    /// Slots between the first and the last file; 0 if they cannot be told.
    pub expected: u64,
    /// Of these, with a file.
    pub present: u64,
    /// Stamp of the first file.
    pub first: Seconds,
    /// Stamp of the last file.
    pub last: Seconds,
    /// By how many seconds the stamp is later than the last record of a file, rounded to minutes.
    pub lag: i64,
    /// Runs of missing files, in order.
    pub gaps: Vec<Gap>,
}

/// A run of missing files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Stamp of the first missing file.
    pub first: Seconds,
    /// Stamp of the last missing file.
    pub last: Seconds,
    /// How many are missing.
    pub files: u64,
    /// When the records that they held ended.
    pub records: TimeWindow,
}

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// The stamp in its name.
    pub stamp: Seconds,
    /// The end of its latest record, if it had one.
    pub end: Option<Seconds>,
    /// True if another file of the log, of whatever stamp, has the same content.
    pub copy: bool,
}

/// Steps that are needed to learn a cadence.
pub(super) const ENOUGH: usize = 5;

/// Of the steps of a steady log at most one in so many (and one more) is not the cadence.
const ODD: usize = 20;

/// A hole that is named even in a log that is not steady.
const HOLE: Seconds = 86_400;

impl Slots {
    /// From the files of the log. A copy fills its slot only if the records are of that time: of a file delivered twice
    /// under two stamps, nobody knows which is the first.
    pub fn of(files: &[Stamped]) -> Slots {
        let lag = lag(files);
        let all: BTreeSet<Seconds> = files.iter().map(|f| f.stamp).collect();
        let (Some(first), Some(last)) = (all.first().copied(), all.last().copied()) else {
            return Slots::default();
        };
        let mut slots = Slots {
            first,
            last,
            lag,
            ..Slots::default()
        };
        if let Some(cadence) = cadence(&all) {
            let fits =
                |f: &&Stamped| !f.copy || f.end.is_some_and(|e| slots.ended_by(f.stamp).abs_diff(e) < cadence / 2);
            let stamps = files.iter().filter(fits).map(|f| f.stamp).collect();
            slots.learn(cadence, &stamps);
        }
        slots
    }

    fn learn(&mut self, cadence: Seconds, stamps: &BTreeSet<Seconds>) {
        let on_grid = grid(stamps, cadence);
        let (Some(first), Some(last)) = (on_grid.first().copied(), on_grid.last().copied()) else {
            return;
        };
        let odd = steps(&on_grid).filter(|s| *s != cadence).count();
        self.cadence = Some(cadence);
        self.steady = odd <= 1 + on_grid.len() / ODD;
        let least = if self.steady { cadence } else { HOLE };
        for (a, b) in on_grid.iter().zip(on_grid.iter().skip(1)) {
            if b - a > least {
                self.gaps.push(self.gap(a + cadence, b - cadence, cadence));
            }
        }
        if self.steady {
            self.expected = (last - first) / cadence + 1;
            self.present = on_grid.len() as u64;
        }
    }

    fn gap(&self, first: Seconds, last: Seconds, cadence: Seconds) -> Gap {
        Gap {
            first,
            last,
            files: (last - first) / cadence + 1,
            records: TimeWindow {
                from: self.ended_by(first).saturating_sub(cadence),
                to: self.ended_by(last),
            },
        }
    }

    /// When the records of the last file ended; `None` without a file.
    pub fn end(&self) -> Option<Seconds> {
        (self.last > 0).then(|| self.ended_by(self.last))
    }

    /// When the latest record of a file stamped so ended.
    fn ended_by(&self, stamp: Seconds) -> Seconds {
        stamp.saturating_add_signed(-self.lag)
    }
}

fn steps(stamps: &BTreeSet<Seconds>) -> impl Iterator<Item = Seconds> {
    stamps.iter().zip(stamps.iter().skip(1)).map(|(a, b)| b - a)
}

/// The most common step, of several the smallest.
fn cadence(stamps: &BTreeSet<Seconds>) -> Option<Seconds> {
    (stamps.len() > ENOUGH).then(|| most_common(steps(stamps)))?
}

/// The stamps in the phase that most of them have: files delivered in between are extra.
fn grid(stamps: &BTreeSet<Seconds>, cadence: Seconds) -> BTreeSet<Seconds> {
    let phase = most_common(stamps.iter().map(|s| s % cadence)).unwrap_or(0);
    stamps.iter().copied().filter(|s| s % cadence == phase).collect()
}

fn most_common(values: impl Iterator<Item = Seconds>) -> Option<Seconds> {
    let mut count: BTreeMap<Seconds, u64> = BTreeMap::new();
    values.for_each(|v| *count.entry(v).or_default() += 1);
    let best = count.into_iter().max_by_key(|(v, n)| (*n, std::cmp::Reverse(*v)));
    best.map(|(v, _)| v)
}

/// The median of stamp minus last end, to the minute.
fn lag(files: &[Stamped]) -> i64 {
    let difference = |f: &Stamped| {
        let (stamp, end) = (i64::try_from(f.stamp).ok()?, i64::try_from(f.end?).ok()?);
        Some(stamp.saturating_sub(end))
    };
    let mut all: Vec<i64> = files.iter().filter_map(difference).collect();
    all.sort_unstable();
    let median = all
        .get(all.len() / 2)
        .copied()
        .unwrap_or(0)
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    (median as f64 / 60.0).round() as i64 * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Seconds = 1_770_595_200;

    fn slots(stamps: impl IntoIterator<Item = u64>, lag: i64) -> Slots {
        let file = |s: u64| Stamped {
            stamp: T + s,
            end: Some((T + s).saturating_add_signed(-lag)),
            copy: false,
        };
        Slots::of(&stamps.into_iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn missing_files_are_named_with_the_time_of_their_records() {
        // One file every ten minutes, published five minutes later; those of 09:15, 09:25 and 09:35 are gone.
        let s = slots((0..40).filter(|i| !(9..12).contains(i)).map(|i| 300 + i * 600), 300);
        assert_eq!((s.cadence, s.steady, s.expected, s.present), (Some(600), true, 40, 37));
        let records = TimeWindow {
            from: T + 9 * 600 - 600,
            to: T + 11 * 600,
        };
        let gap = Gap {
            first: T + 300 + 9 * 600,
            last: T + 300 + 11 * 600,
            files: 3,
            records,
        };
        assert_eq!(s.gaps, [gap]);
    }

    #[test]
    fn files_between_the_slots_neither_fill_nor_shift_them() {
        let extra = [4 * 600 + 300, 20 * 600 + 300];
        let s = slots((0..40).filter(|i| *i != 5).map(|i| i * 600).chain(extra), -299);
        assert_eq!((s.expected, s.present, s.lag), (40, 39, -300));
        assert_eq!(s.gaps.iter().map(|g| g.first).collect::<Vec<_>>(), [T + 3_000]);
    }

    #[test]
    fn a_copy_fills_the_slot_of_its_records_and_no_other() {
        let file = |i: u64| Stamped {
            stamp: T + i * 600,
            end: Some(T + i * 600 - 1),
            copy: false,
        };
        let mut files: Vec<Stamped> = (0..40).filter(|i| *i != 7 && *i != 9).map(file).collect();
        // Slot 7 came twice, five minutes early too; what is stamped as slot 9 is slot 8 once more.
        let early = Stamped {
            stamp: T + 7 * 600 - 300,
            ..file(7)
        };
        let copies = [Stamped { copy: true, ..file(7) }, early];
        files.extend(copies);
        files.push(Stamped {
            stamp: T + 9 * 600,
            copy: true,
            ..file(8)
        });
        let slots = Slots::of(&files);
        assert_eq!(slots.gaps.iter().map(|g| g.first).collect::<Vec<_>>(), [T + 9 * 600]);
    }

    #[test]
    fn quiet_slots_of_an_unsteady_log_are_not_missing() {
        let s = slots((0..200u64).filter(|i| i * 7 % 5 < 2).map(|i| i * 300), 0);
        assert_eq!((s.steady, s.expected, s.gaps.len()), (false, 0, 0));
        let s = slots(
            (0..900u64)
                .filter(|i| i * 7 % 5 < 2 && !(300..700).contains(i))
                .map(|i| i * 300),
            0,
        );
        assert_eq!(
            (s.steady, s.gaps.len()),
            (false, 1),
            "more than a day is named all the same"
        );
    }

    #[test]
    fn few_files_teach_nothing() {
        assert_eq!(slots([0, 300, 1_200], 0).cadence, None);
        assert_eq!(Slots::of(&[]), Slots::default());
        assert!(slots([0, 300, 600, 1_200, 1_500, 1_800], 0).gaps.len() == 1);
    }
}
