//! The verdict on one value: how surprising is it for this interface, its group and the fleet?
//!
//! An interface is judged by itself once it has a week; before that mostly by its peer group, and after that others can only
//! make a value look less surprising, never more.
//!
//! The rhythm of the day says how rare a value is among past ones, but not how far it lies beyond them: bulk transfers keep
//! no office hours, so the tail is measured in bytes as they were.

use super::place::{Channel, Day, HOURS};
use super::profile::{Novelty, Profile, Profiles};
use super::sample::{QUIET, Sample, TAIL_EXPONENT};

/// A value beside what was expected.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Deviation {
    /// Decades of surprise: 3.0 is one window in a thousand.
    pub surprise: f64,
    /// Share of past windows that were smaller.
    pub quantile: f64,
    /// Median of the past.
    pub expected: u64,
    /// The value.
    pub observed: u64,
    /// Largest value of the past.
    pub largest: u64,
    /// Hours of history of this interface.
    pub history_hours: u64,
    /// True if the group had to speak for the interface.
    pub borrowed: bool,
}

impl Profiles {
    /// The usual bytes of an hour in one channel and how much they vary (84 % quantile over the median), by the
    /// interface's own past.
    pub fn usual_hour(&self, id: &str, channel: Channel, at: (Day, usize), shift: f64) -> (f64, f64) {
        let Some(own) = self.settled(id) else {
            return (0.0, 0.0);
        };
        let hours = &own.hours[channel as usize];
        let factor = self.rhythm(id, channel, at.0, at.1) * shift;
        let (median, upper) = (hours.quantile(0.5) as f64, hours.quantile(0.84) as f64);
        (median * factor, (upper - median) * factor)
    }

    /// Judges an hour: `shift` is how much busier the whole group is than usual.
    pub fn judge_hour(&self, id: &str, channel: Channel, at: (Day, usize), bytes: u64, shift: f64) -> Deviation {
        let factor = self.rhythm(id, channel, at.0, at.1);
        let plain = bytes as f64 / shift.max(1.0);
        let mut out = self.judge(
            id,
            |p| (&p.hours[channel as usize], Some((plain, p.peaks[channel as usize]))),
            plain / factor,
            HOURS as u32,
        );
        out.observed = bytes;
        out.expected = (out.expected as f64 * factor) as u64;
        out.largest = self.own(id).map_or(out.largest, |p| p.peaks[channel as usize]);
        out
    }

    /// Judges a day's bytes in one channel.
    pub fn judge_day(&self, id: &str, channel: Channel, bytes: u64, shift: f64) -> Deviation {
        let mut out = self.judge(
            id,
            |p| (&p.days[channel as usize], None),
            bytes as f64 / shift.max(1.0),
            1,
        );
        out.observed = bytes;
        out
    }

    /// Judges a day's bytes to something new.
    pub fn judge_novel(&self, id: &str, novelty: Novelty, bytes: u64) -> Deviation {
        let mut out = self.judge(id, |p| (&p.novel[novelty as usize], None), bytes as f64, 1);
        out.observed = bytes;
        out
    }

    /// `pick` takes the past values from a profile, and where these are without the rhythm, the value and the largest with it.
    fn judge(
        &self,
        id: &str,
        pick: impl for<'p> Fn(&'p Profile) -> (&'p Sample, Option<(f64, u64)>),
        x: f64,
        windows_a_day: u32,
    ) -> Deviation {
        let nothing = Sample::default();
        let (own, own_plain) = self.settled(id).map_or((&nothing, None), &pick);
        let (group, group_plain) = self.group(id).map_or((&nothing, None), &pick);
        let times = |plain: Option<(f64, u64)>| plain.map_or(f64::INFINITY, |(x, peak)| x / peak.max(QUIET) as f64);
        let full = f64::from(self.learning.full_history * windows_a_day);
        let weight = own.count() as f64 / (own.count() as f64 + full);
        let tail = group.exponent(TAIL_EXPONENT);
        let alone = own.surprise_within(x, tail, times(own_plain));
        let together = group.surprise_within(x, TAIL_EXPONENT, times(group_plain));
        let blended = match (own.count(), group.count()) {
            (0, 0) => 0.0,
            (_, 0) => alone,
            _ => weight * alone + (1.0 - weight) * together,
        };
        let borrowed = (own.count() as f64) < full;
        let speaker = if borrowed && group.count() > own.count() {
            group
        } else {
            own
        };
        Deviation {
            surprise: if borrowed { blended } else { blended.min(alone) },
            quantile: speaker.rank(x as u64),
            expected: speaker.quantile(0.5),
            observed: x as u64,
            largest: speaker.largest(),
            history_hours: own.count() * HOURS as u64 / u64::from(windows_a_day.max(1)),
            borrowed,
        }
    }
}
