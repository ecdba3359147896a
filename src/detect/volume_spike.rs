//! `volume-spike`: much more than this interface usually sends in an hour of the day, or in a day, in one channel.
//!
//! Each hour is compared with the interface's histogram (its rhythm and a shift of the whole group taken out); adjacent
//! surprising hours are one signal. Cited are the destinations that make up the excess, not the usual traffic beside them.
//! Answers to callers grow with their number, so there only a single caller who got most of them is worth a word.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::edges;
use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, Channel, DayView, Deviation, HOURS};
use crate::net::human_bytes;

/// The detector.
pub struct VolumeSpike;

/// Parameters of `volume-spike`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Decades of surprise from which an hour or a day is cited at all. Two: one window in a hundred.
    pub surprise: f64,
    /// Independent hours in a day: the largest of so many is judged, not a given one. Traffic is correlated over hours,
    /// so a day holds about five, not 24.
    pub correlated: f64,
    /// Decades that the further surprising hours of a spike may add, each its own surprise divided by `correlated`. One:
    /// duration alone makes nothing ten times as rare as its busiest hour.
    pub further: f64,
    /// An adjacent hour belongs to the spike while it carries at least this share of the spike's mean hour on top of twice
    /// what its destinations usually get. A transfer runs through, so only its first and its last hour are partial: beyond
    /// one with less than half of the mean nothing belongs to it.
    pub shoulder: f64,
    /// Share of the excess that the cited destinations must explain.
    pub explained: f64,
    /// So many times the floor is what one caller must get to be worth a word: what is served is there to be fetched.
    pub caller: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            surprise: 2.0,
            correlated: 5.0,
            further: 1.0,
            shoulder: 0.05,
            explained: 0.95,
            caller: 10,
        }
    }
}

impl Detector for VolumeSpike {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "volume-spike",
            title: "More data than usual sent",
            techniques: &["T1048"],
            guardduty: Some("Behavior:EC2/TrafficVolumeUnusual"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            for channel in Channel::ALL {
                out.extend(spikes(view, index, actor, channel, settings));
            }
        }
        out
    }
}

fn spikes(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    channel: Channel,
    settings: &Settings,
) -> Vec<Signal> {
    let own = &settings.volume_spike;
    if actor.hours.iter().all(|h| h[channel as usize] < settings.floor_bytes) {
        return Vec::new();
    }
    let judged: Vec<Deviation> = (0..HOURS).map(|h| judge(view, actor, channel, h, settings)).collect();
    let hot: Vec<bool> = judged
        .iter()
        .map(|d| d.surprise >= own.surprise && d.observed >= settings.floor_bytes)
        .collect();
    runs(&hot)
        .into_iter()
        .filter_map(|run| spike(view, index, actor, channel, &judged, run, settings))
        .collect()
}

/// An hour beside the interface's past. Below the floor nothing is reported, so only the usual bytes are looked up.
fn judge(view: &DayView<'_>, actor: &ActorDay<'_>, channel: Channel, hour: usize, settings: &Settings) -> Deviation {
    let bytes = actor.hours[hour][channel as usize];
    let (at, shift) = ((view.day, hour), view.shift(actor, channel, hour));
    if bytes >= settings.floor_bytes {
        return view.profiles.judge_hour(actor.id, channel, at, bytes, shift);
    }
    let (usual, _) = view.profiles.usual_hour(actor.id, channel, at, shift);
    Deviation {
        expected: usual as u64,
        observed: bytes,
        ..Deviation::default()
    }
}

/// Ranges of adjacent hours, one quiet hour between them allowed.
fn runs(hot: &[bool]) -> Vec<RangeInclusive<usize>> {
    let mut out: Vec<RangeInclusive<usize>> = Vec::new();
    for hour in hot.iter().enumerate().filter_map(|(h, hot)| hot.then_some(h)) {
        match out.last_mut() {
            Some(last) if hour - last.end() <= 2 => *last = *last.start()..=hour,
            _ => out.push(hour..=hour),
        }
    }
    out
}

fn spike(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    channel: Channel,
    judged: &[Deviation],
    run: RangeInclusive<usize>,
    settings: &Settings,
) -> Option<Signal> {
    let own = &settings.volume_spike;
    let worst = *judged
        .get(run.clone())?
        .iter()
        .max_by(|a, b| a.surprise.total_cmp(&b.surprise))?;
    let hours = judged.get(run.clone())?;
    let all = |bytes: fn(&Deviation) -> u64| hours.iter().map(bytes).fold(0, u64::saturating_add);
    let expected = all(|d| d.expected);
    let mut cells = excess(view, actor, channel, run.clone(), expected, settings);
    if channel == Channel::Served {
        let served = all(|d| d.observed);
        cells = of_one_caller(view, cells, served, own.caller.saturating_mul(settings.floor_bytes))?;
    }
    let portions = edges::portions(view, actor, channel, &cells);
    cells.retain(|c| portions.get(c) != Some(&0));
    let length = run.end() - run.start() + 1;
    let mut reasons = vec![format!(
        "{} were sent to {} in one hour; at this time of day {} are usual.",
        human_bytes(worst.observed.into()),
        channel.as_str(),
        human_bytes(worst.expected.into())
    )];
    if channel == Channel::Served {
        reasons.push("Most of it was asked for by one caller.".to_owned());
    }
    reasons.push(compared(&worst, "hour"));
    if length > 1 {
        reasons.push(format!("It went on for {length} hours."));
    }
    reasons.extend(history(&worst));
    let mut signal = Signal::novel("volume-spike", index, cells, worst, reasons);
    signal.portions = portions;
    let all: f64 = judged
        .get(run)?
        .iter()
        .map(|d| d.surprise)
        .filter(|s| *s >= own.surprise)
        .sum();
    // An hour in a row is a fraction of an independent one.
    let further = ((all - worst.surprise) / own.correlated).min(own.further);
    signal.surprise += further - own.correlated.log10();
    Some(signal)
}

/// The cells of the caller who got more than half of `served` bytes, and no fewer than `least`, if there is one.
fn of_one_caller(view: &DayView<'_>, cells: Vec<u32>, served: u64, least: u64) -> Option<Vec<u32>> {
    let row = |cell: &u32| view.table.rows.get(*cell as usize);
    let mut callers: BTreeMap<u32, u128> = BTreeMap::new();
    for row in cells.iter().filter_map(row) {
        *callers.entry(row.peer).or_default() += row.volume.bytes;
    }
    let (caller, bytes) = callers.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    let own = |cell: &u32| row(cell).is_some_and(|r| r.peer == caller);
    (bytes * 2 > served.into() && bytes >= least.into()).then(|| cells.into_iter().filter(own).collect())
}

/// The cells of those destinations that make up what exceeds the expected bytes, largest excess first.
fn excess(
    view: &DayView<'_>,
    actor: &ActorDay<'_>,
    channel: Channel,
    run: RangeInclusive<usize>,
    expected: u64,
    settings: &Settings,
) -> Vec<u32> {
    let hours = (run.end() - run.start() + 1) as f64;
    let mut by_peer: BTreeMap<u32, u128> = BTreeMap::new();
    for (_, row) in actor.cells(view.table, channel, run.clone()) {
        *by_peer.entry(row.peer).or_default() += row.volume.bytes;
    }
    let usual = usual_rates(view, actor, &by_peer);
    let mut ranked: Vec<(i128, u32)> = by_peer
        .iter()
        .map(|(peer, bytes)| {
            (
                *bytes as i128 - (usual.get(peer).copied().unwrap_or(0.0) * hours) as i128,
                *peer,
            )
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let total: u128 = by_peer.values().sum();
    let target = (total.saturating_sub(expected.into()) as f64 * settings.volume_spike.explained) as i128;
    let mut chosen: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let mut sum = 0i128;
    for (more, peer) in ranked.into_iter().filter(|(more, _)| *more > 0) {
        if sum >= target {
            break;
        }
        sum += more;
        let rate = by_peer.get(&peer).copied().unwrap_or(0) as f64 / hours;
        chosen.insert(peer, (rate, usual.get(&peer).copied().unwrap_or(0.0)));
    }
    with_shoulders(view, actor, channel, run, &chosen, settings.volume_spike.shoulder)
}

/// Bytes an hour that each peer's place got in the past, shared among its peers of now.
fn usual_rates(view: &DayView<'_>, actor: &ActorDay<'_>, by_peer: &BTreeMap<u32, u128>) -> BTreeMap<u32, f64> {
    let mut out = BTreeMap::new();
    for place in &actor.places {
        let age = f64::from(view.day.saturating_sub(place.since).max(1)) * HOURS as f64;
        let rate = place.before as f64 / age;
        let peers: Vec<u32> = place
            .cells
            .iter()
            .filter_map(|c| view.table.rows.get(*c as usize))
            .map(|r| r.peer)
            .collect();
        let all: u128 = peers
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .iter()
            .filter_map(|p| by_peer.get(p))
            .sum();
        for peer in peers {
            let share = by_peer.get(&peer).map_or(0.0, |b| *b as f64 / (all.max(1)) as f64);
            out.insert(peer, rate * share);
        }
    }
    out
}

/// The chosen peers' (bytes an hour, and usually) cells in the run and in the hours beside it, as far as these carry a share
/// of it; hours at its ends that do not are left out.
fn with_shoulders(
    view: &DayView<'_>,
    actor: &ActorDay<'_>,
    channel: Channel,
    run: RangeInclusive<usize>,
    chosen: &BTreeMap<u32, (f64, f64)>,
    shoulder: f64,
) -> Vec<u32> {
    let mut hours = [0u128; HOURS];
    for (_, row) in actor
        .cells(view.table, channel, 0..=HOURS - 1)
        .filter(|(_, r)| chosen.contains_key(&r.peer))
    {
        hours[(row.hour / 3_600 % HOURS as u64) as usize] += row.volume.bytes;
    }
    let least = chosen
        .values()
        .map(|(rate, usual)| rate * shoulder + 2.0 * usual)
        .sum::<f64>() as u128;
    let (mut from, mut to) = (*run.start(), *run.end());
    while from < to && hours[from] <= least {
        from += 1;
    }
    while from < to && hours[to] <= least {
        to -= 1;
    }
    let half = chosen.values().map(|(rate, _)| rate / 2.0).sum::<f64>() as u128;
    while from > 0 && hours[from - 1] > least && hours[from] > half {
        from -= 1;
    }
    while to + 1 < HOURS && hours[to + 1] > least && hours[to] > half {
        to += 1;
    }
    let cells = actor.cells(view.table, channel, from..=to);
    cells
        .filter(|(_, r)| chosen.contains_key(&r.peer))
        .map(|(cell, _)| cell)
        .collect()
}
