//! One day as it is judged: each interface's hours, and each place that it sent to, beside what was known that morning.
//!
//! A detector reads this and nothing else. Rows are cited by their index in the table, so that bytes can be added up later
//! without counting one twice.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;

use super::group::FLEET;
use super::place::{Channel, Day, HOURS, Places, channel, day_of};
use super::profile::Profiles;
use super::state::Baseline;
use crate::aggregate::{Direction, EgressTable, Role, Row};
use crate::net::Class;

/// A day of the whole fleet.
#[derive(Debug)]
pub struct DayView<'a> {
    /// The table.
    pub table: &'a EgressTable,
    /// The places of its peers.
    pub places: &'a Places,
    /// The day.
    pub day: Day,
    /// What was known before it.
    pub profiles: &'a Profiles,
    /// The raw counts before it.
    pub baseline: &'a Baseline,
    /// The interfaces with records on this day.
    pub actors: Vec<ActorDay<'a>>,
    shifts: BTreeMap<(&'a str, u8, u8), f64>,
}

/// A day of one interface.
#[derive(Debug)]
pub struct ActorDay<'a> {
    /// Index of the interface.
    pub interface: u32,
    /// Its id.
    pub id: &'a str,
    /// The day's rows.
    pub rows: &'a [Row],
    /// Index of the first of them in the table.
    pub first_row: u32,
    /// Bytes sent by hour and [`Channel`].
    pub hours: [[u64; 4]; HOURS],
    /// Where to, without answers to callers.
    pub places: Vec<PlaceDay<'a>>,
    /// True if the interface is too young for its own past to say what is new.
    pub young: bool,
}

/// Where a day's places stand, by the number of their name.
type Index = HashMap<u32, usize, RandomState>;

/// One interface's day with one place.
#[derive(Debug, Clone)]
pub struct PlaceDay<'a> {
    /// Its name.
    pub name: &'a str,
    /// Number of the name.
    pub id: u32,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Country, as its code.
    pub country: Option<String>,
    /// Channel.
    pub channel: Channel,
    /// Bytes sent there.
    pub bytes: u64,
    /// The rows, by index in the table.
    pub cells: Vec<u32>,
    /// What is new about it to this interface: place, autonomous system, country.
    pub new: [bool; 3],
    /// First day on which the interface sent there (today if new).
    pub since: Day,
    /// Bytes sent there before today.
    pub before: u64,
    /// How many interfaces have sent there, before or today.
    pub users: usize,
    /// If it is new to this interface and hardly used by others: bytes on top of what is usual ([`DayView::increase`]).
    pub news: Option<u64>,
}

impl<'a> DayView<'a> {
    /// Lays out a day: `slices` are the rows of each interface on it.
    pub fn new(
        table: &'a EgressTable,
        places: &'a Places,
        day: Day,
        slices: Vec<(u32, &'a [Row])>,
        baseline: &'a Baseline,
        profiles: &'a Profiles,
    ) -> Self {
        let actors: Vec<ActorDay<'a>> = slices
            .into_par_iter()
            .filter_map(|(first_row, rows)| ActorDay::new(table, places, first_row, rows, baseline, profiles))
            .collect();
        let shifts = shifts(&actors, profiles, day);
        let mut view = DayView {
            table,
            places,
            day,
            profiles,
            baseline,
            actors,
            shifts,
        };
        view.count_users();
        view.weigh_news();
        view
    }

    /// How many interfaces have sent to each place.
    fn count_users(&mut self) {
        let mut today = vec![0usize; self.places.of_peer.len()];
        for place in self.actors.iter().flat_map(|a| &a.places) {
            if let Some(users) = today.get_mut(place.id as usize) {
                *users += 1;
            }
        }
        let profiles = self.profiles;
        self.actors
            .par_iter_mut()
            .flat_map_iter(|a| &mut a.places)
            .for_each(|place| {
                let before = profiles.users(place.name);
                place.users = before.max(today.get(place.id as usize).copied().unwrap_or(0));
            });
    }

    /// The bytes on top of what is usual of places that are new and private.
    fn weigh_news(&mut self) {
        let common = self.profiles.learning.common;
        let mut actors = std::mem::take(&mut self.actors);
        actors.par_iter_mut().for_each(|actor| {
            let private = |p: &PlaceDay<'_>| p.new[0] && p.users <= common;
            let mut usual = Channel::ALL.map(|_| None);
            let mut weigh = |p: &PlaceDay<'_>| {
                let usual = usual[p.channel as usize].get_or_insert_with(|| self.usual(actor, p.channel));
                on_top(actor, p.channel, &self.place_hours(p), usual)
            };
            let news: Vec<Option<u64>> = actor.places.iter().map(|p| private(p).then(|| weigh(p))).collect();
            actor.places.iter_mut().zip(news).for_each(|(p, news)| p.news = news);
        });
        self.actors = actors;
    }

    /// Bytes of a place by hour of the day.
    pub fn place_hours(&self, place: &PlaceDay<'_>) -> [u64; HOURS] {
        let mut out = [0u64; HOURS];
        for row in place.cells.iter().filter_map(|c| self.table.rows.get(*c as usize)) {
            let sum = &mut out[(row.hour / 3_600 % HOURS as u64) as usize];
            *sum = sum.saturating_add(u64::try_from(row.volume.bytes).unwrap_or(u64::MAX));
        }
        out
    }

    /// Bytes of a place that came on top of the interface's usual traffic.
    ///
    /// A vendor that moves to another address is new by name, but takes the place of what went before: the interface sends
    /// no more than usual, and nothing is left of it here.
    pub fn increase(&self, actor: &ActorDay<'_>, place: &PlaceDay<'_>) -> u64 {
        self.increase_in(actor, place.channel, &self.place_hours(place))
    }

    /// As [`DayView::increase`], for any bytes of one channel by hour.
    pub fn increase_in(&self, actor: &ActorDay<'_>, channel: Channel, hours: &[u64; HOURS]) -> u64 {
        on_top(actor, channel, hours, &self.usual(actor, channel))
    }

    /// The usual bytes of each hour in one channel, and how much they vary.
    fn usual(&self, actor: &ActorDay<'_>, channel: Channel) -> [(f64, f64); HOURS] {
        std::array::from_fn(|hour| {
            let shift = self.shift(actor, channel, hour);
            self.profiles.usual_hour(actor.id, channel, (self.day, hour), shift)
        })
    }

    /// How many interfaces have sent to a service (protocol × 65,536 + port) so far.
    pub fn service_users(&self, service: u32) -> usize {
        let histories = self.baseline.interfaces.values();
        histories.filter(|h| h.ports.contains_key(&service)).count()
    }

    /// Mean bytes a day that an interface sent over a service (protocol × 65,536 + port) so far.
    pub fn usual_service(&self, actor: &ActorDay<'_>, service: u32) -> f64 {
        let days = self.profiles.own(actor.id).map_or(0, |p| p.active_days).max(1);
        let history = self.baseline.interfaces.get(actor.id);
        history
            .and_then(|h| h.ports.get(&service))
            .map_or(0.0, |s| s.bytes as f64 / f64::from(days))
    }

    /// How much busier an interface's group is in this hour than usual (1.0: not busier).
    pub fn shift(&self, actor: &ActorDay<'_>, channel: Channel, hour: usize) -> f64 {
        let key = (
            self.profiles.group_name(actor.id),
            channel as u8,
            u8::try_from(hour).unwrap_or(u8::MAX),
        );
        self.shifts.get(&key).copied().unwrap_or(1.0)
    }
}

impl<'a> ActorDay<'a> {
    fn new(
        table: &'a EgressTable,
        places: &'a Places,
        first_row: u32,
        rows: &'a [Row],
        baseline: &'a Baseline,
        profiles: &'a Profiles,
    ) -> Option<Self> {
        let interface = rows.first()?.interface;
        let id = table.interfaces.get(interface as usize)?.id.as_str();
        let young = profiles
            .own(id)
            .is_none_or(|p| p.active_days <= profiles.learning.warm_up);
        let mut actor = ActorDay {
            interface,
            id,
            rows,
            first_row,
            hours: [[0; 4]; HOURS],
            places: Vec::new(),
            young,
        };
        let mut index = Index::default();
        for (row, cell) in rows.iter().zip(first_row..) {
            actor.add(table, places, row, cell, &mut index);
        }
        for place in &mut actor.places {
            recognise(place, id, young, baseline, profiles, day_of(rows.first()?.hour));
        }
        actor
            .places
            .sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.name.cmp(b.name)));
        Some(actor)
    }

    fn add(&mut self, table: &EgressTable, places: &'a Places, row: &Row, cell: u32, index: &mut Index) {
        let (Direction::Egress, Some(channel)) = (row.direction, places.channel(row)) else {
            return;
        };
        let bytes = u64::try_from(row.volume.bytes).unwrap_or(u64::MAX);
        let hour = (row.hour / 3_600 % HOURS as u64) as usize;
        let sum = &mut self.hours[hour][channel as usize];
        *sum = sum.saturating_add(bytes);
        let (Some(&id), Some(name)) = (places.ids.get(row.peer as usize), places.of_peer.get(row.peer as usize)) else {
            return;
        };
        if channel == Channel::Served || row.role == Role::Server {
            return;
        }
        let at = *index.entry(id).or_insert_with(|| {
            let peer = table.peer(row);
            self.places.push(PlaceDay {
                name,
                id,
                asn: peer.asn,
                country: peer.country.map(|c| c.to_string()),
                channel,
                bytes: 0,
                cells: Vec::new(),
                new: [false; 3],
                since: day_of(row.hour),
                before: 0,
                users: 0,
                news: None,
            });
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(at) {
            place.bytes = place.bytes.saturating_add(bytes);
            place.cells.push(cell);
        }
    }

    /// Bytes of the whole day in one channel.
    pub fn day_bytes(&self, channel: Channel) -> u64 {
        self.hours
            .iter()
            .fold(0, |sum, h| sum.saturating_add(h[channel as usize]))
    }

    /// The egress rows of some hours in one channel, with their index in the table.
    pub fn cells<'b>(
        &'b self,
        table: &'b EgressTable,
        wanted: Channel,
        hours: std::ops::RangeInclusive<usize>,
    ) -> impl Iterator<Item = (u32, &'a Row)> + 'b {
        self.rows
            .iter()
            .zip(self.first_row..)
            .map(|(row, cell)| (cell, row))
            .filter(move |(_, row)| {
                row.direction == Direction::Egress
                    && channel(table.peer(row), row.role) == Some(wanted)
                    && hours.contains(&((row.hour / 3_600 % HOURS as u64) as usize))
            })
    }

    /// Bytes received in some hours from S3 or from inside, as the client of a transfer.
    pub fn fetched(&self, table: &EgressTable, hours: std::ops::RangeInclusive<usize>) -> u128 {
        let inside = |class| matches!(class, Class::S3 | Class::Home);
        self.rows
            .iter()
            .filter(|r| r.direction == Direction::Ingress && r.role != Role::Server && inside(table.peer(r).class))
            .filter(|r| hours.contains(&((r.hour / 3_600 % HOURS as u64) as usize)))
            .map(|r| r.volume.bytes)
            .sum()
    }
}

/// The part of some bytes that came on top of what is usual.
fn on_top(actor: &ActorDay<'_>, channel: Channel, hours: &[u64; HOURS], usual: &[(f64, f64); HOURS]) -> u64 {
    let (mut more, mut variance) = (0.0, 0.0);
    for (hour, &bytes) in hours.iter().enumerate().filter(|(_, b)| **b > 0) {
        let (usual, spread) = usual[hour];
        let beyond = actor.hours[hour][channel as usize] as f64 - usual;
        more += beyond.min(bytes as f64);
        variance += spread * spread;
    }
    // Twice the standard error: what chance alone adds up to over so many hours.
    (more - 2.0 * f64::sqrt(variance)).max(0.0) as u64
}

/// Looks up what was known of a place this morning.
fn recognise(place: &mut PlaceDay<'_>, id: &str, young: bool, baseline: &Baseline, profiles: &Profiles, day: Day) {
    let history = baseline.interfaces.get(id);
    let adopted = profiles.learning.adopt_after;
    let flagged = baseline.flagged_since(id, place.name);
    let seen = history.and_then(|h| h.places.get(place.name));
    if let Some(seen) = seen {
        place.since = seen.first;
        place.before = seen.bytes;
    }
    let lasted = flagged.is_none_or(|first| day.saturating_sub(first) >= adopted);
    let own = |known: bool| known && lasted;
    let known_place = own(seen.is_some());
    let known_asn = place
        .asn
        .is_none_or(|a| own(history.is_some_and(|h| h.asns.contains_key(&a))));
    let country = place.country.as_deref();
    let known_country = country.is_none_or(|c| own(history.is_some_and(|h| h.countries.contains_key(c))));
    let others = |users: usize| users > usize::from(flagged.is_some());
    // A young interface knows what its fleet knows.
    let place_known = known_place || young && others(profiles.users(place.name));
    let asn_known = known_asn || young && place.asn.is_some_and(|a| others(profiles.asn_users(a)));
    let country_known = known_country || young && country.is_some_and(|c| others(profiles.country_users(c)));
    place.new = [!place_known, !asn_known, !country_known];
}

/// For each group, channel and hour: the median of its members' bytes over what each usually sends.
fn shifts<'a>(actors: &[ActorDay<'a>], profiles: &'a Profiles, day: Day) -> BTreeMap<(&'a str, u8, u8), f64> {
    let mut ratios: BTreeMap<(&'a str, u8, u8), Vec<f64>> = BTreeMap::new();
    for actor in actors.iter().filter(|a| !a.young) {
        let Some(own) = profiles.own(actor.id) else { continue };
        let group = profiles.group_name(actor.id);
        for channel in Channel::ALL {
            let usual = own.hours[channel as usize].mean();
            if group == FLEET || usual < 1_000.0 {
                continue;
            }
            for hour in 0..HOURS {
                let expected = usual * profiles.rhythm(actor.id, channel, day, hour);
                let ratio = actor.hours[hour][channel as usize] as f64 / expected;
                ratios
                    .entry((group, channel as u8, hour as u8))
                    .or_default()
                    .push(ratio);
            }
        }
    }
    ratios
        .into_iter()
        .filter(|(_, r)| r.len() >= 5)
        .map(|(key, r)| (key, median(r).max(1.0)))
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(1.0)
}
