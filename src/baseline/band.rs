//! Egress over time beside what was expected of it: the picture of a report, from the raw counts alone.
//!
//! Each day's band comes from the days before it, as the verdicts did. It is for the eye: what was judged is in the finding.

use std::collections::{BTreeMap, BTreeSet};

use super::place::{Channel, Day, HOURS, day_of};
use super::profile::{Learning, Profiles, news_by_day};
use super::state::{Baseline, InterfaceHistory};
use crate::net::{HOUR, Seconds};

/// An hour: its start, bytes sent, and what was expected: the median and the 99 % quantile of the past at this time of day.
pub type BandHour = (Seconds, u64, Option<(u64, u64)>);

/// The hours of some interfaces and channels, from `from` on. `learned` holds those hours too.
pub fn bands(
    learned: &Baseline,
    learning: Learning,
    wanted: &BTreeSet<(String, Channel)>,
    from: Seconds,
) -> BTreeMap<(String, Channel), Vec<BandHour>> {
    let mut profiles = Profiles::replay(&Baseline::default(), learning);
    let mut out: BTreeMap<(String, Channel), Vec<BandHour>> = BTreeMap::new();
    let nobody = Baseline::default();
    let days = days(learned);
    // What was met on the last day changes no band.
    let mut news = if days.len() > 1 && !wanted.is_empty() {
        news_by_day(learned)
    } else {
        BTreeMap::new()
    };
    for day in days.iter().copied().filter(|_| !wanted.is_empty()) {
        profiles.regroup(learned, &nobody);
        for key in wanted {
            let hours = out.entry(key.clone()).or_default();
            hours.extend(of_day(learned, &profiles, key, day).filter(|(t, _, _)| *t >= from));
        }
        if days.last() != Some(&day) {
            profiles.close_day(learned, day, &news.remove(&day).unwrap_or_default());
        }
    }
    out
}

/// The days on which anybody sent, or met something new.
fn days(learned: &Baseline) -> BTreeSet<Day> {
    let of = |history: &InterfaceHistory, days: &mut BTreeSet<Day>| {
        let mut last = None;
        for day in history.hours.keys().map(|hour| day_of(*hour)) {
            if last.replace(day) != Some(day) {
                days.insert(day);
            }
        }
        let named = history.places.values().chain(history.countries.values());
        for seen in named.chain(history.asns.values()) {
            if last.replace(seen.first) != Some(seen.first) {
                days.insert(seen.first);
            }
        }
    };
    let mut days = BTreeSet::new();
    learned.interfaces.values().for_each(|history| of(history, &mut days));
    days
}

fn of_day<'a>(
    learned: &'a Baseline,
    profiles: &'a Profiles,
    (id, channel): &'a (String, Channel),
    day: Day,
) -> impl Iterator<Item = BandHour> + 'a {
    let history = learned.interfaces.get(id);
    (0..HOURS).filter_map(move |hour| {
        let start = Seconds::from(day) * 86_400 + hour as u64 * HOUR;
        let bytes = history?.hours.get(&start)?[*channel as usize];
        Some((start, bytes, profiles.band(id, *channel, day, hour)))
    })
}

impl Profiles {
    /// Median and 99 % quantile of past hours at this time of day, by the interface's own past.
    pub fn band(&self, id: &str, channel: Channel, day: Day, hour: usize) -> Option<(u64, u64)> {
        let own = self.own(id).filter(|p| p.active_days > self.learning.warm_up)?;
        let (sample, factor) = (&own.hours[channel as usize], self.rhythm(id, channel, day, hour));
        let at = |q| (sample.quantile(q) as f64 * factor) as u64;
        Some((at(0.5), at(0.99)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::state::Seen;

    #[test]
    fn the_days_are_those_with_news() {
        let mut learned = Baseline::default();
        let day = |n: u64| n * 86_400;
        let history = learned.interfaces.entry("eni-1".to_owned()).or_default();
        history
            .hours
            .extend([(day(3), [1; 4]), (day(3) + HOUR, [1; 4]), (day(5), [1; 4])]);
        let history = learned.interfaces.entry("eni-2".to_owned()).or_default();
        history.hours.insert(day(4), [1; 4]);
        let seen = |first| Seen {
            first,
            last: 9,
            bytes: 1,
            first_bytes: 1,
            first_hours: 1,
        };
        history.asns.extend([(1, seen(2)), (2, seen(9))]);
        assert!(days(&learned).into_iter().eq(news_by_day(&learned).into_keys()));
    }

    #[test]
    fn a_band_knows_the_days_before_and_not_its_own() {
        let mut learned = Baseline::default();
        let history = learned.interfaces.entry("eni-1".to_owned()).or_default();
        for hour in 0..10 * 24u64 {
            let bytes = if hour == 9 * 24 + 3 { 900_000_000 } else { 1_000_000 };
            history.hours.insert(hour * HOUR, [bytes, 0, 0, 0]);
        }
        let key = ("eni-1".to_owned(), Channel::External);
        let wanted = [key.clone()].into_iter().collect();
        let bands = bands(&learned, Learning::default(), &wanted, 9 * 86_400);
        assert_eq!(bands[&key].len(), 24);
        let (start, bytes, band) = bands[&key][3];
        assert_eq!((start, bytes), ((9 * 24 + 3) * HOUR, 900_000_000));
        assert!(
            band.is_some_and(|(expected, high)| expected <= high && high < 2_000_000),
            "{band:?}"
        );
    }
}
