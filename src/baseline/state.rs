//! The raw counts that are learned: integers per window and first sightings, so that merging is addition and union.
//!
//! Histograms, seasons and groups are derived from this ([`super::Profiles`]) and never stored: two states learned from
//! two halves of an archive, in any order, are byte for byte the state learned from the whole. Windows that were flagged
//! stay in the counts and are named in a set beside them, which is applied on reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::place::{Channel, Day, Places, day_of};
use crate::aggregate::{EgressTable, Row};
use crate::net::{HOUR, Seconds};

/// Everything learned, by interface id.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// What each interface did.
    pub interfaces: BTreeMap<String, InterfaceHistory>,
    /// Days that were judged anomalous, by interface and channel: they do not teach until they have lasted.
    pub excluded: BTreeMap<String, BTreeSet<(Day, Channel)>>,
    /// Destinations that were judged anomalous, by interface, with the days on which they were.
    pub flagged: BTreeMap<String, BTreeMap<String, BTreeSet<Day>>>,
    /// Of both, what somebody has looked at and suppressed: it teaches all the same.
    pub accepted: BTreeMap<String, Accepted>,
    /// How many events of each surprise a day had, in hundredths of a decade: what the alert budget is calibrated on.
    pub events: BTreeMap<Day, BTreeMap<u32, u32>>,
    /// Contents that were learned, by length and hash: none of them teaches twice.
    pub learned: BTreeSet<(u64, u128)>,
}

/// What was suppressed at one interface: days of a channel, and destinations.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Days of a channel.
    pub days: BTreeSet<(Day, Channel)>,
    /// Destinations.
    pub places: BTreeSet<String>,
}

/// What one interface did. A day adds at most 24 windows of 32 bytes and the places not met before.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceHistory {
    /// Its subnet, where the records name it.
    pub subnet: Option<String>,
    /// Bytes sent in each hour, by [`Channel`] index; an hour without any record is absent.
    pub hours: BTreeMap<Seconds, [u64; 4]>,
    /// Destinations by [`place`](super::place()).
    pub places: BTreeMap<String, Seen>,
    /// Destinations by autonomous system.
    pub asns: BTreeMap<u32, Seen>,
    /// Destinations by country.
    pub countries: BTreeMap<String, Seen>,
    /// Destination services, protocol × 65,536 + port.
    pub ports: BTreeMap<u32, Seen>,
    /// Records by service and role, port × 2 + 1 if the interface listens: what the machine is for.
    pub habits: BTreeMap<u32, u64>,
}

/// What an interface sent to for the first time, sorted, with what it sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Places.
    pub places: Vec<(String, Seen)>,
    /// Autonomous systems.
    pub asns: Vec<(u32, Seen)>,
    /// Countries.
    pub countries: Vec<(String, Seen)>,
}

/// When something was first and last sent to, and how much. Merges by the earlier first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// First day.
    pub first: Day,
    /// Last day.
    pub last: Day,
    /// Bytes on the first day.
    pub first_bytes: u64,
    /// Hours of the first day with bytes, a bit each.
    pub first_hours: u32,
    /// Bytes in all.
    pub bytes: u64,
}

impl Seen {
    pub(super) fn new(hour: Seconds, bytes: u64) -> Self {
        let day = day_of(hour);
        Seen {
            first: day,
            last: day,
            first_bytes: bytes,
            first_hours: 1 << (hour / HOUR % 24),
            bytes,
        }
    }

    /// Adds another sighting of the same thing: commutative and associative.
    pub fn merge(&mut self, other: &Seen) {
        match self.first.cmp(&other.first) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                self.first_bytes = self.first_bytes.saturating_add(other.first_bytes);
                self.first_hours |= other.first_hours;
            }
            std::cmp::Ordering::Greater => {
                (self.first_bytes, self.first_hours) = (other.first_bytes, other.first_hours);
            }
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Baseline {
    /// Learns every row of a table.
    pub fn learn(&mut self, table: &EgressTable) {
        let places = Places::of(table);
        for interface in 0..table.interfaces.len() {
            let index = u32::try_from(interface).unwrap_or(u32::MAX);
            self.learn_rows(table, table.of_interface(index), &places);
        }
    }

    /// Learns some rows of one interface; `places` names the table's peers. What was met for the first time is returned.
    pub fn learn_rows(&mut self, table: &EgressTable, rows: &[Row], places: &Places) -> Fresh {
        let history = self.history(table, rows);
        history.map_or_else(Fresh::default, |h| h.learn(table, rows, places))
    }

    /// Learns rows of several interfaces, a slice of each. What each met for the first time is returned.
    pub fn learn_all<'r>(
        &mut self,
        table: &EgressTable,
        slices: impl Iterator<Item = &'r [Row]>,
        places: &Places,
    ) -> BTreeMap<String, Fresh> {
        self.each_history(table, slices, |history, rows| history.learn(table, rows, places))
    }

    /// Learns of rows of several interfaces, a slice of each, only what the machines are for: enough to find their peer groups.
    pub fn learn_trades<'r>(&mut self, table: &EgressTable, slices: impl Iterator<Item = &'r [Row]>) {
        self.each_history(table, slices, |history, rows| history.learn_trade(rows));
    }

    /// Shows the rows of each interface to its history, several at once.
    fn each_history<'r, T: Send>(
        &mut self,
        table: &EgressTable,
        slices: impl Iterator<Item = &'r [Row]>,
        learn: impl Fn(&mut InterfaceHistory, &[Row]) -> T + Sync,
    ) -> BTreeMap<String, T> {
        let mut of: HashMap<&str, &[Row]> = HashMap::new();
        for rows in slices {
            if self.history(table, rows).is_some()
                && let Some(interface) = rows.first().and_then(|r| table.interfaces.get(r.interface as usize))
            {
                of.insert(&interface.id, rows);
            }
        }
        let histories = self.interfaces.par_iter_mut();
        let learned = histories.filter_map(|(id, history)| Some((id.clone(), learn(history, of.get(id.as_str())?))));
        learned.collect()
    }

    /// The history of the interface whose rows these are.
    fn history(&mut self, table: &EgressTable, rows: &[Row]) -> Option<&mut InterfaceHistory> {
        let interface = table.interfaces.get(rows.first()?.interface as usize)?;
        let history = self.interfaces.entry(interface.id.clone()).or_default();
        history.set_subnet(interface.subnet.as_deref());
        Some(history)
    }

    /// Adds what another state learned: any order and any split give the same.
    pub fn merge(&mut self, other: Baseline) {
        for (id, history) in other.interfaces {
            self.interfaces.entry(id).or_default().merge(history);
        }
        for (id, days) in other.excluded {
            self.excluded.entry(id).or_default().extend(days);
        }
        for (id, places) in other.flagged {
            let mine = self.flagged.entry(id).or_default();
            for (place, days) in places {
                mine.entry(place).or_default().extend(days);
            }
        }
        for (id, accepted) in other.accepted {
            let mine = self.accepted.entry(id).or_default();
            mine.days.extend(accepted.days);
            mine.places.extend(accepted.places);
        }
        for (day, events) in other.events {
            let mine = self.events.entry(day).or_default();
            for (surprise, count) in events {
                // Of two verdicts on one day, the fuller one: judged twice is not twice as much.
                let most = mine.entry(surprise).or_default();
                *most = count.max(*most);
            }
        }
        self.learned.extend(other.learned);
    }

    /// What was known in the morning of a day: nothing is judged by its own future.
    #[must_use]
    pub fn before(mut self, day: Day) -> Self {
        let end = Seconds::from(day) * 86_400;
        for history in self.interfaces.values_mut() {
            history.hours.split_off(&end);
            history.places.retain(|_, s| s.first < day);
            history.asns.retain(|_, s| s.first < day);
            history.countries.retain(|_, s| s.first < day);
            history.ports.retain(|_, s| s.first < day);
        }
        self.interfaces.retain(|_, h| !h.hours.is_empty());
        self.excluded
            .values_mut()
            .for_each(|days| days.retain(|(d, _)| *d < day));
        self.events.split_off(&day);
        for places in self.flagged.values_mut() {
            places.values_mut().for_each(|days| days.retain(|d| *d < day));
            places.retain(|_, days| !days.is_empty());
        }
        self
    }

    /// True if a channel's day was judged anomalous, and nobody has accepted it since.
    pub fn is_excluded(&self, id: &str, day: Day, channel: Channel) -> bool {
        let marked = self.excluded.get(id).is_some_and(|d| d.contains(&(day, channel)));
        marked && !self.accepted.get(id).is_some_and(|a| a.days.contains(&(day, channel)))
    }

    /// How many days of a channel of an interface do not teach, as long as they have not lasted.
    pub fn set_aside(&self, id: &str) -> usize {
        let days = self.excluded.get(id).into_iter().flatten();
        days.filter(|(day, channel)| self.is_excluded(id, *day, *channel))
            .count()
    }

    /// The first day on which a destination was judged anomalous, unless somebody has accepted it since.
    pub fn flagged_since(&self, id: &str, place: &str) -> Option<Day> {
        let first = self.flagged.get(id)?.get(place)?.first().copied();
        let accepted = self.accepted.get(id).is_some_and(|a| a.places.contains(place));
        first.filter(|_| !accepted)
    }

    /// The last day learned.
    pub fn last_day(&self) -> Option<Day> {
        let last = |h: &InterfaceHistory| h.hours.last_key_value().map(|(hour, _)| day_of(*hour));
        self.interfaces.values().filter_map(last).max()
    }
}

/// How many days and places of an interface are worth keeping on disk.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Days of hourly windows before the last one. 60: twice the threshold's memory.
    pub days: Day,
    /// Places, the most recently used ones. 4,096 places are about 400 KiB.
    pub places: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            days: 60,
            places: 4_096,
        }
    }
}

impl Baseline {
    /// Forgets what is old, before a state is written. Not for states that are still to be merged: what one half forgets
    /// the other may not.
    pub fn bound(&mut self, bounds: Bounds) {
        for history in self.interfaces.values_mut() {
            history.bound(bounds);
        }
        let last = self.events.last_key_value().map_or(0, |(day, _)| *day);
        self.events = self.events.split_off(&last.saturating_sub(bounds.days));
    }
}

impl InterfaceHistory {
    fn bound(&mut self, bounds: Bounds) {
        let last = self.hours.last_key_value().map_or(0, |(hour, _)| day_of(*hour));
        let from = Seconds::from(last.saturating_sub(bounds.days)) * 86_400;
        self.hours = self.hours.split_off(&from);
        if self.places.len() > bounds.places {
            let mut by_use: Vec<(Day, u64, &String)> = self.places.iter().map(|(p, s)| (s.last, s.bytes, p)).collect();
            by_use.sort_by(|a, b| b.cmp(a));
            let kept: BTreeSet<String> = by_use
                .into_iter()
                .take(bounds.places)
                .map(|(_, _, p)| p.clone())
                .collect();
            self.places.retain(|place, _| kept.contains(place));
        }
    }

    fn set_subnet(&mut self, subnet: Option<&str>) {
        let Some(subnet) = subnet else { return };
        if self.subnet.as_deref().is_none_or(|mine| subnet < mine) {
            self.subnet = Some(subnet.to_owned());
        }
    }

    fn merge(&mut self, other: InterfaceHistory) {
        self.set_subnet(other.subnet.as_deref());
        for (hour, bytes) in other.hours {
            let mine = self.hours.entry(hour).or_default();
            for (sum, more) in mine.iter_mut().zip(bytes) {
                *sum = sum.saturating_add(more);
            }
        }
        for (habit, records) in other.habits {
            let mine = self.habits.entry(habit).or_default();
            *mine = mine.saturating_add(records);
        }
        merge_seen(&mut self.places, other.places);
        merge_seen(&mut self.asns, other.asns);
        merge_seen(&mut self.countries, other.countries);
        merge_seen(&mut self.ports, other.ports);
    }
}

fn merge_seen<K: Ord>(mine: &mut BTreeMap<K, Seen>, other: BTreeMap<K, Seen>) {
    for (key, seen) in other {
        mine.entry(key).and_modify(|s| s.merge(&seen)).or_insert(seen);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::{Direction, Interface, Peer, Role, Sample, Volume};
    use crate::net::{Addr, Class, Country};

    fn table(cells: &[(u32, u32, u64, u64)]) -> EgressTable {
        let interface = |n: u32| Interface {
            id: format!("eni-{n}"),
            subnet: (n != 1).then(|| format!("subnet-{}", n % 2)),
            ..Interface::default()
        };
        let peer = |n: u32| Peer {
            addr: Addr::v4(0xcb00_7100 + n * 200),
            class: if n == 3 { Class::S3 } else { Class::External },
            service: None,
            region: None,
            country: Country::parse(["DE", "FR"][n as usize % 2]),
            asn: Some(64_500 + n / 2),
            labels: Vec::new(),
        };
        let row = |&(interface, peer, hour, bytes): &(u32, u32, u64, u64)| Row {
            interface,
            peer,
            hour: hour * HOUR,
            local: Addr::v4(0x0a00_0001),
            port: 443,
            protocol: 6,
            direction: Direction::Egress,
            role: Role::Client,
            volume: Volume {
                bytes: u128::from(bytes),
                packets: 1,
                flows: 1,
                first: hour * HOUR,
                last: hour * HOUR + 60,
            },
            sample: Sample::default(),
        };
        let mut table = EgressTable {
            interfaces: (0..3).map(interface).collect(),
            peers: (0..4).map(peer).collect(),
            rows: cells.iter().map(row).collect(),
        };
        table.sort();
        table
    }

    fn learned(cells: &[(u32, u32, u64, u64)]) -> Baseline {
        let mut baseline = Baseline::default();
        baseline.learn(&table(cells));
        baseline
    }

    proptest! {
        #[test]
        fn any_split_in_any_order_teaches_the_same(
            cells in prop::collection::vec((0u32..3, 0u32..4, 0u64..200, 0u64..1 << 40), 1..60),
            parts in prop::collection::vec(0usize..3, 60),
            turn in 0usize..3,
        ) {
            let mut split: [Vec<_>; 3] = Default::default();
            for (cell, part) in cells.iter().zip(parts) {
                split[part].push(*cell);
            }
            split.rotate_left(turn);
            let mut merged = Baseline::default();
            split.iter().for_each(|part| merged.merge(learned(part)));
            let bytes = |b: &Baseline| serde_json::to_vec(b).unwrap();
            prop_assert_eq!(bytes(&merged), bytes(&learned(&cells)));
        }
    }

    #[test]
    fn a_state_survives_being_written_and_read() {
        let mut baseline = learned(&[(0, 1, 5, 1_000), (2, 3, 50, 7)]);
        let days = [(3, Channel::S3)].into_iter().collect();
        baseline.excluded.insert("eni-0".to_owned(), days);
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
    }

    #[test]
    fn what_was_accepted_is_no_longer_excluded_in_any_order_of_merging() {
        let mut judged = Baseline::default();
        judged
            .excluded
            .insert("eni-0".to_owned(), [(3, Channel::S3)].into_iter().collect());
        let flagged = judged.flagged.entry("eni-0".to_owned()).or_default();
        flagged.insert("192.0.2.0/24".to_owned(), [3].into_iter().collect());
        let mut seen = Baseline::default();
        let accepted = seen.accepted.entry("eni-0".to_owned()).or_default();
        accepted.days.insert((3, Channel::S3));
        accepted.places.insert("192.0.2.0/24".to_owned());
        assert!(judged.is_excluded("eni-0", 3, Channel::S3) && !judged.is_excluded("eni-0", 4, Channel::S3));
        let (mut one, mut other) = (judged.clone(), seen.clone());
        one.merge(seen);
        other.merge(judged.clone());
        assert_eq!(one, other);
        assert!(!one.is_excluded("eni-0", 3, Channel::S3));
        assert_eq!(judged.flagged_since("eni-0", "192.0.2.0/24"), Some(3));
        assert_eq!(one.flagged_since("eni-0", "192.0.2.0/24"), None);
    }

    #[test]
    fn what_is_kept_is_the_most_recent() {
        let mut baseline = learned(&[(0, 0, 1, 9), (0, 2, 24 * 90, 5), (0, 3, 24 * 91, 5)]);
        baseline.bound(Bounds { days: 60, places: 2 });
        let history = &baseline.interfaces["eni-0"];
        assert_eq!(
            history.hours.keys().copied().collect::<Vec<_>>(),
            [24 * 90 * HOUR, 24 * 91 * HOUR]
        );
        assert_eq!(history.places.len(), 2);
        assert!(history.places.values().all(|s| s.first >= 90));
    }

    #[test]
    fn the_first_day_of_a_place_is_the_earliest_of_both_halves() {
        let mut late = learned(&[(0, 0, 30, 5)]);
        late.merge(learned(&[(0, 0, 2, 70), (0, 0, 3, 30)]));
        let seen = late.interfaces["eni-0"].places.values().next().copied().unwrap();
        assert_eq!((seen.first, seen.last, seen.first_bytes, seen.bytes), (0, 1, 100, 105));
        assert_eq!(seen.first_hours.count_ones(), 2);
    }
}
