//! Interfaces: since when, until when, what was lost, who is not logged at all.
//!
//! A living interface without traffic writes NODATA, so silence means that the interface, or its flow log, is gone. It is
//! judged by the interface's own rhythm, since not every archive keeps NODATA, and by the stamps of the files, since one record
//! with an odd time would silence all others; without stamps it is not judged.

use crate::aggregate::{Outcome, Presence};
use crate::coverage::logs::LogCoverage;
use crate::inventory::{Inventory, KnownInterface};
use crate::net::{Seconds, TimeWindow};
use std::collections::{BTreeMap, BTreeSet};

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceCoverage {
    /// `eni-…`, or `nat-…` of a regional NAT gateway.
    pub id: String,
    /// Flow logs that show it, sorted.
    pub logs: Vec<String>,
    /// What was seen under all of them.
    pub seen: Presence,
    /// Seconds in SKIPDATA windows, overlaps once.
    pub lost_seconds: u64,
    /// How it stands at the end of its flow logs.
    pub state: State,
}

/// How an interface stands at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Records to the end.
    #[default]
    Live,
    /// No record for the last an hour or more, and no inventory says that it is gone.
    Silent,
    /// The same, and the inventory does not list it: deleted, most likely.
    Gone,
    /// The inventory lists it, and no record names it.
    NotLogged,
}

/// An interface without a record for so long before the end of its flow logs is silent: an hour, …
const SILENT: Seconds = 3_600;

/// … and so many times the mean distance of its records, for not every archive has NODATA.
const RHYTHM: u64 = 20;

/// All interfaces that records or the inventory name, sorted by id. Silence is judged at the end of `window`, if the flow
/// logs go on after it.
pub fn interfaces(
    outcome: &Outcome,
    logs: &[LogCoverage],
    inventory: &Inventory,
    window: TimeWindow,
) -> Vec<InterfaceCoverage> {
    let ends: BTreeMap<&str, Seconds> = logs
        .iter()
        .filter_map(|l| Some((l.id.as_str(), l.slots.end()?.min(window.to))))
        .collect();
    let listed: BTreeSet<&str> = inventory
        .interfaces
        .iter()
        .filter(|i| is_listed(i))
        .map(|i| i.id.as_str())
        .collect();
    let mut all: BTreeMap<&str, InterfaceCoverage> = BTreeMap::new();
    for ((log, id), presence) in outcome.seen.iter().filter(|((_, id), _)| id != "-") {
        let interface = all.entry(id).or_default();
        interface.id = id.clone();
        interface.logs.extend(outcome.logs.ids.get(*log as usize).cloned());
        interface.seen.add(presence.clone());
    }
    for interface in all.values_mut() {
        interface.lost_seconds = seconds(&interface.seen.lost);
        let end = interface.logs.iter().filter_map(|l| ends.get(l.as_str())).max();
        let silent = end.is_some_and(|e| is_silent(&interface.seen, *e));
        interface.state = match (silent, listed.is_empty() || listed.contains(interface.id.as_str())) {
            (false, _) => State::Live,
            (true, true) => State::Silent,
            (true, false) => State::Gone,
        };
    }
    for id in listed {
        all.entry(id).or_insert_with(|| InterfaceCoverage {
            id: id.to_string(),
            state: State::NotLogged,
            ..InterfaceCoverage::default()
        });
    }
    all.into_values().collect()
}

fn is_silent(seen: &Presence, end: Seconds) -> bool {
    let records = seen.accept + seen.reject + seen.nodata + seen.lost.len() as u64;
    let distance = seen.last.saturating_sub(seen.first) / records.max(1);
    let usual = distance.saturating_mul(RHYTHM).max(SILENT);
    seen.last.saturating_add(usual) < end
}

/// True if describe-network-interfaces (or -instances) lists it: what CloudTrail taught may have ended since.
fn is_listed(interface: &KnownInterface) -> bool {
    let described = |o: &crate::inventory::Origin| o.0.starts_with("describe-");
    interface.addresses.iter().any(|e| e.origins.iter().any(described))
}

/// Length of the union of windows.
pub(super) fn seconds<'w>(sorted: impl IntoIterator<Item = &'w TimeWindow>) -> u64 {
    let (mut sum, mut end) = (0u64, 0);
    for window in sorted {
        let from = window.from.max(end);
        sum = sum.saturating_add(window.to.saturating_sub(from));
        end = end.max(window.to);
    }
    sum
}

impl State {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Silent => "silent",
            State::Gone => "gone",
            State::NotLogged => "not logged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_judged_by_the_rhythm_of_the_interface() {
        let seen = |nodata| Presence {
            first: 0,
            last: 86_400,
            nodata,
            ..Presence::default()
        };
        assert!(
            is_silent(&seen(144), 86_400 + 13_000),
            "every ten minutes, then nothing for hours"
        );
        assert!(!is_silent(&seen(12), 86_400 + 13_000), "every two hours is its rhythm");
        assert!(!is_silent(&seen(1_440), 86_400 + 3_600), "an hour is nothing");
    }

    #[test]
    fn overlapping_losses_count_once() {
        let windows = [(0, 60), (30, 90), (100, 160), (100, 110)].map(|(from, to)| TimeWindow { from, to });
        let set: BTreeSet<TimeWindow> = windows.into_iter().collect();
        assert_eq!(seconds(&set), 150);
        let wide = TimeWindow { from: 5, to: u64::MAX };
        assert_eq!(seconds([&wide, &wide]), u64::MAX - 5);
    }
}
