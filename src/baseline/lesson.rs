//! What some rows of one interface teach, added up by number before it is filed by name.
//!
//! A busy interface has a thousand rows a day towards a hundred places. Their sums are made here, in tables that are keyed
//! by what the rows hold; the history, sorted and keyed by names, is touched once for each place.

use std::collections::BTreeMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::place::{Channel, Places};
use super::state::{Fresh, InterfaceHistory, Seen};
use crate::aggregate::{Direction, EgressTable, Role, Row};
use crate::net::{Country, Seconds};

/// Sums by a key; sorted when they are filed, so that no hash order shows.
type Sums<K, V> = HashMap<K, V, RandomState>;

/// The sums of some rows.
#[derive(Default)]
struct Lesson<'a> {
    hours: BTreeMap<Seconds, [u64; 4]>,
    habits: Sums<u32, u64>,
    places: Sums<&'a str, Seen>,
    asns: Sums<u32, Seen>,
    countries: Sums<Country, Seen>,
    ports: Sums<u32, Seen>,
}

impl InterfaceHistory {
    /// Learns rows of this interface; `places` are those of the table's peers. What was met for the first time is returned, sorted.
    pub(super) fn learn(&mut self, table: &EgressTable, rows: &[Row], places: &Places) -> Fresh {
        let mut lesson = Lesson::default();
        rows.iter().for_each(|row| lesson.add(table, row, places));
        self.file(lesson)
    }

    /// Learns only what the machine is for: enough to find its peer group.
    pub(super) fn learn_trade(&mut self, rows: &[Row]) {
        let mut lesson = Lesson::default();
        rows.iter().for_each(|row| lesson.add_habit(row));
        self.file(lesson);
    }

    fn file(&mut self, lesson: Lesson<'_>) -> Fresh {
        for (hour, bytes) in lesson.hours {
            let mine = self.hours.entry(hour).or_default();
            for (sum, more) in mine.iter_mut().zip(bytes) {
                *sum = sum.saturating_add(more);
            }
        }
        for (habit, records) in lesson.habits {
            let mine = self.habits.entry(habit).or_default();
            *mine = mine.saturating_add(records);
        }
        file(&mut self.ports, sorted(lesson.ports, |port| port));
        Fresh {
            places: file(&mut self.places, sorted(lesson.places, str::to_owned)),
            asns: file(&mut self.asns, sorted(lesson.asns, |asn| asn)),
            countries: file(&mut self.countries, sorted(lesson.countries, |c| c.to_string())),
        }
    }
}

/// Files sorted sightings; returns those that are the first.
fn file<K: Ord + Clone>(map: &mut BTreeMap<K, Seen>, sightings: Vec<(K, Seen)>) -> Vec<(K, Seen)> {
    if map.is_empty() {
        *map = sightings.iter().cloned().collect();
        return sightings;
    }
    let first = |(key, seen): &(K, Seen)| match map.get_mut(key) {
        Some(known) => {
            known.merge(seen);
            false
        }
        None => map.insert(key.clone(), *seen).is_none(),
    };
    let mut sightings = sightings;
    sightings.retain(first);
    sightings
}

impl<'a> Lesson<'a> {
    fn add_habit(&mut self, row: &Row) {
        let habit = u32::from(row.port) * 2 + u32::from(row.role == Role::Server);
        let records = self.habits.entry(habit).or_default();
        *records = records.saturating_add(row.volume.flows);
    }

    fn add(&mut self, table: &EgressTable, row: &Row, places: &'a Places) {
        self.add_habit(row);
        let window = self.hours.entry(row.hour).or_default();
        let (Direction::Egress, Some(channel)) = (row.direction, places.channel(row)) else {
            return;
        };
        let bytes = u64::try_from(row.volume.bytes).unwrap_or(u64::MAX);
        window[channel as usize] = window[channel as usize].saturating_add(bytes);
        if channel == Channel::Served {
            return;
        }
        let seen = Seen::new(row.hour, bytes);
        let place = places.of_peer.get(row.peer as usize).map_or("", String::as_str);
        add(&mut self.places, place, seen);
        let peer = table.peer(row);
        peer.asn.into_iter().for_each(|asn| add(&mut self.asns, asn, seen));
        peer.country.into_iter().for_each(|c| add(&mut self.countries, c, seen));
        add(
            &mut self.ports,
            u32::from(row.protocol) << 16 | u32::from(row.port),
            seen,
        );
    }
}

fn add<K: Hash + Eq>(sums: &mut Sums<K, Seen>, key: K, seen: Seen) {
    sums.entry(key).and_modify(|s| s.merge(&seen)).or_insert(seen);
}

fn sorted<K: Ord, N>(sums: Sums<K, Seen>, name: impl Fn(K) -> N) -> Vec<(N, Seen)> {
    let mut list: Vec<(K, Seen)> = sums.into_iter().collect();
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    list.into_iter().map(|(key, seen)| (name(key), seen)).collect()
}
