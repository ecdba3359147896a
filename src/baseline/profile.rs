//! What follows from the raw counts: a histogram per interface and channel, its peer group's and the fleet's.
//!
//! Days are closed one after the other, from the raw counts that hold them; in the morning of each the groups are formed anew.
//! What was flagged does not enter a histogram until it has lasted.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::group::{FLEET, SMALLEST, groups};
use super::place::{Channel, Day, HOURS, day_of};
use super::sample::Sample;
use super::season::{Season, slot};
use super::state::{Baseline, Fresh, InterfaceHistory, Seen};
use crate::net::HOUR;

/// What one interface, one group or the fleet usually does.
#[derive(Debug, Default, Clone)]
pub struct Profile {
    /// Bytes an hour by channel, with the rhythm of the day taken out.
    pub hours: [Sample; 4],
    /// Bytes a day by channel.
    pub days: [Sample; 4],
    /// Bytes a day to what was new that day, by [`Novelty`].
    pub novel: [Sample; 5],
    /// Largest hour by channel, as it was.
    pub peaks: [u64; 4],
    /// First day learned.
    pub first: Option<Day>,
    /// Days learned.
    pub active_days: u32,
    season: Season,
}

/// What can be new about a destination, from narrow to wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Novelty {
    /// The largest single new place of the day.
    Place,
    /// The largest new autonomous system.
    Asn,
    /// The largest new country.
    Country,
    /// Everything new together.
    Sum,
    /// The largest new place that was sent to in many hours of its first day ([`STEADY_HOURS`]).
    Steady,
}

/// Hours of a day in which a destination must get bytes to be called steady.
pub const STEADY_HOURS: u32 = 8;

/// How days become profiles.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// What was flagged teaches when it has lasted this many days.
    pub adopt_after: u32,
    /// First days of an interface, on which everything is new: they do not teach novelty.
    pub warm_up: u32,
    /// Days of its own after which an interface is judged mainly by itself.
    pub full_history: u32,
    /// A place that so many others use is no interface's private novelty.
    pub common: usize,
}

impl Default for Learning {
    fn default() -> Self {
        Learning {
            adopt_after: 7,
            warm_up: 2,
            full_history: 7,
            common: 3,
        }
    }
}

/// How many interfaces have sent to something; asked, never listed.
type Users<K> = HashMap<K, u32, RandomState>;

/// All profiles as of the morning of one day.
#[derive(Debug, Default, Clone)]
pub struct Profiles {
    /// How days become profiles.
    pub learning: Learning,
    own: BTreeMap<String, Profile>,
    pooled: BTreeMap<String, Profile>,
    membership: BTreeMap<String, String>,
    places: Users<String>,
    asns: Users<u32>,
    countries: Users<String>,
    newcomers: BTreeSet<String>,
    days: u32,
}

impl Profiles {
    /// Profiles of a stored state, its days replayed in order.
    pub fn replay(baseline: &Baseline, learning: Learning) -> Self {
        let mut profiles = Profiles {
            learning,
            ..Profiles::default()
        };
        for (day, news) in news_by_day(baseline) {
            profiles.regroup(baseline, &Baseline::default());
            profiles.close_day(baseline, day, &news);
        }
        profiles
    }

    /// Learns a day that `baseline` already holds; `news` is what each interface of the day met for the first time.
    pub fn close_day(&mut self, baseline: &Baseline, day: Day, news: &BTreeMap<String, Fresh>) {
        for fresh in news.values() {
            let names = |seen: &[(String, Seen)], users: &mut Users<String>| {
                seen.iter()
                    .for_each(|(name, _)| *users.entry_ref(name).or_default() += 1);
            };
            names(&fresh.places, &mut self.places);
            names(&fresh.countries, &mut self.countries);
            fresh
                .asns
                .iter()
                .for_each(|(a, _)| *self.asns.entry(*a).or_default() += 1);
        }
        let (nothing, absent) = (Fresh::default(), day.saturating_sub(ABSENT));
        for (id, history) in &baseline.interfaces {
            let recent = history
                .hours
                .last_key_value()
                .is_some_and(|(h, _)| day_of(*h) >= absent);
            let begun = history.hours.first_key_value().is_some_and(|(h, _)| day_of(*h) <= day);
            if recent && begun {
                self.close_interface(baseline, id, history, day, news.get(id).unwrap_or(&nothing));
            }
        }
        self.days += 1;
    }

    fn close_interface(&mut self, baseline: &Baseline, id: &str, history: &InterfaceHistory, day: Day, fresh: &Fresh) {
        let rhythm = self.group(id).map_or_else(Season::default, |g| g.season);
        let amounts = self.novel_amounts(baseline, id, fresh);
        let taught = Channel::ALL.map(|c| teaches(baseline, id, day, c, self.learning.adopt_after));
        let profile = self.own.entry(id.to_owned()).or_default();
        profile.first.get_or_insert(day);
        let mut totals = [0u64; 4];
        for hour in 0..HOURS {
            let bytes = history.hours.get(&hour_of(day, hour)).copied().unwrap_or_default();
            profile.season.record(slot(day, hour), &bytes);
            for channel in Channel::ALL {
                let (c, b) = (channel as usize, bytes[channel as usize]);
                totals[c] = totals[c].saturating_add(b);
                if taught[c] {
                    profile.hours[c].record((b as f64 / rhythm.factor(channel, slot(day, hour))) as u64);
                    profile.peaks[c] = profile.peaks[c].max(b);
                }
            }
        }
        for c in (0..4).filter(|c| taught[*c]) {
            profile.days[c].record(totals[c]);
        }
        if profile.active_days >= self.learning.warm_up && taught[..3].iter().all(|t| *t) {
            profile
                .novel
                .iter_mut()
                .zip(amounts)
                .for_each(|(sample, bytes)| sample.record(bytes));
        }
        profile.active_days += 1;
    }

    /// Bytes of the day to what was new, by [`Novelty`].
    fn novel_amounts(&self, baseline: &Baseline, id: &str, fresh: &Fresh) -> [u64; 5] {
        let mut amounts = [0u64; 5];
        let flagged = baseline.flagged.contains_key(id);
        for (place, seen) in &fresh.places {
            let hidden = flagged && baseline.flagged_since(id, place).is_some();
            if hidden || self.users(place) > self.learning.common {
                continue;
            }
            amounts[0] = amounts[0].max(seen.first_bytes);
            amounts[3] = amounts[3].saturating_add(seen.first_bytes);
            if seen.first_hours.count_ones() >= STEADY_HOURS {
                amounts[4] = amounts[4].max(seen.first_bytes);
            }
        }
        let rare = |users: usize| users <= self.learning.common;
        for (_, seen) in fresh.asns.iter().filter(|(a, _)| rare(self.asn_users(*a))) {
            amounts[1] = amounts[1].max(seen.first_bytes);
        }
        for (_, seen) in fresh.countries.iter().filter(|(c, _)| rare(self.country_users(c))) {
            amounts[2] = amounts[2].max(seen.first_bytes);
        }
        amounts
    }

    /// Forms the peer groups anew and pools their members' profiles. `newcomers` holds today's records of interfaces
    /// without a past worth the name: they are judged by their group.
    pub fn regroup(&mut self, baseline: &Baseline, newcomers: &Baseline) {
        self.membership = groups(baseline, newcomers)
            .into_iter()
            .map(|(id, group)| (id.to_owned(), group))
            .collect();
        self.newcomers = newcomers.interfaces.keys().cloned().collect();
        self.pooled.clear();
        for (id, profile) in &self.own {
            let group = self.membership.get(id).map_or(FLEET, String::as_str);
            self.pooled.entry(group.to_owned()).or_default().pool(profile);
            if group != FLEET {
                self.pooled.entry(FLEET.to_owned()).or_default().pool(profile);
            }
        }
    }

    /// The profile of an interface, if it was there before.
    pub fn own(&self, id: &str) -> Option<&Profile> {
        self.own.get(id)
    }

    /// The profile of an interface that has a past worth the name.
    pub(super) fn settled(&self, id: &str) -> Option<&Profile> {
        self.own(id).filter(|_| !self.newcomers.contains(id))
    }

    /// The profile of an interface's group, else of the fleet.
    pub fn group(&self, id: &str) -> Option<&Profile> {
        let enough = |p: &&Profile| p.active_days >= self.learning.full_history * SMALLEST as u32;
        self.pooled
            .get(self.group_name(id))
            .filter(enough)
            .or_else(|| self.pooled.get(FLEET))
    }

    /// The name of an interface's group.
    pub fn group_name(&self, id: &str) -> &str {
        self.membership.get(id).map_or(FLEET, String::as_str)
    }

    /// Days learned so far.
    pub fn days(&self) -> u32 {
        self.days
    }

    /// How many interfaces have sent to a place.
    pub fn users(&self, place: &str) -> usize {
        self.places.get(place).map_or(0, |n| *n as usize)
    }

    /// How many interfaces have sent to an autonomous system.
    pub fn asn_users(&self, asn: u32) -> usize {
        self.asns.get(&asn).map_or(0, |n| *n as usize)
    }

    /// How many interfaces have sent to a country.
    pub fn country_users(&self, country: &str) -> usize {
        self.countries.get(country).map_or(0, |n| *n as usize)
    }

    /// How busy an hour usually is for the interface's group, relative to its mean hour.
    pub fn rhythm(&self, id: &str, channel: Channel, day: Day, hour: usize) -> f64 {
        self.group(id)
            .map_or(1.0, |g| g.season.factor(channel, slot(day, hour)))
    }
}

impl Profile {
    fn pool(&mut self, other: &Profile) {
        let mine = self.hours.iter_mut().chain(&mut self.days).chain(&mut self.novel);
        let theirs = other.hours.iter().chain(&other.days).chain(&other.novel);
        mine.zip(theirs).for_each(|(m, t)| m.merge(t));
        self.peaks
            .iter_mut()
            .zip(other.peaks)
            .for_each(|(m, t)| *m = (*m).max(t));
        self.active_days += other.active_days;
        self.season.pool(&other.season);
    }
}

/// An interface without records for so many days is gone; before that, its silence is a day of zeros.
const ABSENT: Day = 14;

/// True if a channel's day may be learned: it was not flagged, or what was flagged has lasted.
fn teaches(baseline: &Baseline, id: &str, day: Day, channel: Channel, adopt_after: u32) -> bool {
    if !baseline.is_excluded(id, day, channel) {
        return true;
    }
    let Some(days) = baseline.excluded.get(id) else {
        return true;
    };
    let since = day.saturating_sub(adopt_after.saturating_sub(1));
    let lasted = days
        .iter()
        .filter(|(d, c)| *c == channel && (since..=day).contains(d))
        .count();
    lasted >= adopt_after as usize
}

fn hour_of(day: Day, hour: usize) -> u64 {
    u64::from(day) * 86_400 + hour as u64 * HOUR
}

/// What each interface met for the first time, by day, from the raw counts.
pub(super) fn news_by_day(baseline: &Baseline) -> BTreeMap<Day, BTreeMap<String, Fresh>> {
    let mut out: BTreeMap<Day, BTreeMap<String, Fresh>> = BTreeMap::new();
    for (id, history) in &baseline.interfaces {
        for hour in history.hours.keys() {
            out.entry(day_of(*hour)).or_default().entry(id.clone()).or_default();
        }
        let mut at =
            |day: Day, add: &dyn Fn(&mut Fresh)| add(out.entry(day).or_default().entry(id.clone()).or_default());
        history
            .places
            .iter()
            .for_each(|(k, s)| at(s.first, &|f| f.places.push((k.clone(), *s))));
        history
            .asns
            .iter()
            .for_each(|(k, s)| at(s.first, &|f| f.asns.push((*k, *s))));
        history
            .countries
            .iter()
            .for_each(|(k, s)| at(s.first, &|f| f.countries.push((k.clone(), *s))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Channel;

    /// Interfaces that send `usual` MB an hour for some days; the last hour of the last day can be set.
    fn fleet(interfaces: u32, days: Day, usual: u64) -> Baseline {
        let mut baseline = Baseline::default();
        for n in 0..interfaces {
            let history = baseline.interfaces.entry(format!("eni-{n}")).or_default();
            history.habits.insert(2 * 443, 100 * u64::from(days));
            for hour in 0..u64::from(days) * 24 {
                let bytes = usual * 1_000_000 + (hour * 7_919 + u64::from(n)) % 1_000_000;
                history.hours.insert(hour * HOUR, [bytes, 0, 0, 0]);
            }
        }
        baseline
    }

    fn spike(profiles: &Profiles, id: &str) -> f64 {
        profiles
            .judge_hour(id, Channel::External, (14, 12), 2_000_000_000, 1.0)
            .surprise
    }

    #[test]
    fn more_history_makes_the_same_spike_more_surprising() {
        let few = Profiles::replay(&fleet(4, 2, 10), Learning::default());
        let many = Profiles::replay(&fleet(4, 14, 10), Learning::default());
        assert!(spike(&few, "eni-0") < spike(&many, "eni-0"));
        let usual = many.judge_hour("eni-0", Channel::External, (14, 12), 10_400_000, 1.0);
        assert!(usual.surprise < 1.0, "{usual:?}");
    }

    #[test]
    fn a_newcomer_is_judged_by_its_group_and_says_so() {
        let baseline = fleet(4, 14, 10);
        let mut profiles = Profiles::replay(&baseline, Learning::default());
        let mut newcomers = Baseline::default();
        let habits = &mut newcomers.interfaces.entry("eni-new".to_owned()).or_default().habits;
        habits.insert(2 * 443, 5);
        profiles.regroup(&baseline, &newcomers);
        let verdict = profiles.judge_hour("eni-new", Channel::External, (14, 12), 2_000_000_000, 1.0);
        assert!(verdict.borrowed && verdict.surprise > 3.0, "{verdict:?}");
        let like_the_others = profiles.judge_hour("eni-new", Channel::External, (14, 12), 10_400_000, 1.0);
        assert!(like_the_others.surprise < 1.0, "{like_the_others:?}");
    }

    #[test]
    fn what_was_flagged_teaches_only_when_it_has_lasted() {
        let learned = |flagged: Day| {
            let mut baseline = fleet(1, 20, 10);
            let history = baseline.interfaces.get_mut("eni-0").unwrap();
            for day in 20 - flagged..20 {
                history.hours.insert(hour_of(day, 5), [3_000_000_000, 0, 0, 0]);
            }
            let days = (20 - flagged..20).map(|d| (d, Channel::External)).collect();
            baseline.excluded.insert("eni-0".to_owned(), days);
            spike(&Profiles::replay(&baseline, Learning::default()), "eni-0")
        };
        assert!(learned(3) > 3.0, "three days do not teach");
        assert!(learned(8) < 3.0, "eight days do");
    }

    #[test]
    fn a_shift_of_the_whole_group_is_discounted() {
        let profiles = Profiles::replay(&fleet(4, 14, 10), Learning::default());
        let judge = |shift| profiles.judge_hour("eni-0", Channel::External, (14, 12), 40_000_000, shift);
        assert!(judge(4.0).surprise < judge(1.0).surprise - 1.0);
    }
}
