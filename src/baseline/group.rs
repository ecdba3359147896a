//! Who is like whom: peer groups by what a machine is for.
//!
//! Tags and roles are seldom in the logs, but what a machine does is: the port that it listens on, or the service that it
//! calls, weighed by how many others do the same (everybody answers the monitoring, only web servers answer on 8080).
//! Fewer than [`SMALLEST`] alike fall back to their subnet, and then to the fleet.

use std::collections::BTreeMap;

use super::state::{Baseline, InterfaceHistory};

/// Fewer members than this say nothing about what is usual.
pub const SMALLEST: usize = 3;

/// The name of the group of everybody.
pub const FLEET: &str = "fleet";

/// The group of each interface, of those learned and of `newcomers` (today's records of interfaces without a past).
pub fn groups<'a>(baseline: &'a Baseline, newcomers: &'a Baseline) -> BTreeMap<&'a str, String> {
    let all: BTreeMap<&str, &InterfaceHistory> = baseline
        .interfaces
        .iter()
        .chain(&newcomers.interfaces)
        .map(|(id, h)| (id.as_str(), h))
        .collect();
    let common = prevalence(&all);
    let alike: BTreeMap<&str, Option<String>> = all
        .iter()
        .map(|(id, h)| (*id, trade(&h.habits, &common, all.len())))
        .collect();
    let sizes = count(alike.values().flatten());
    let subnets = count(all.values().filter_map(|h| h.subnet.as_ref()));
    let enough = |sizes: &BTreeMap<&String, usize>, name: &String| sizes.get(name).is_some_and(|n| *n >= SMALLEST);
    let mut out = BTreeMap::new();
    for (&id, history) in &all {
        let by_trade = alike.get(id).cloned().flatten().filter(|t| enough(&sizes, t));
        let by_subnet = history.subnet.clone().filter(|s| enough(&subnets, s));
        out.insert(id, by_trade.or(by_subnet).unwrap_or_else(|| FLEET.to_owned()));
    }
    out
}

/// How many interfaces have each habit.
fn prevalence(all: &BTreeMap<&str, &InterfaceHistory>) -> BTreeMap<u32, usize> {
    let mut common = BTreeMap::new();
    for habit in all.values().flat_map(|h| h.habits.keys()) {
        *common.entry(*habit).or_default() += 1;
    }
    common
}

/// The habit that tells most of a machine: many records, few others with it.
fn trade(habits: &BTreeMap<u32, u64>, common: &BTreeMap<u32, usize>, fleet: usize) -> Option<String> {
    let fleet = fleet as f64;
    let weight = |habit: u32, records: u64| {
        let others = common.get(&habit).copied().unwrap_or(1) as f64;
        records as f64 * (fleet / others).ln()
    };
    let mut best: Option<(f64, u32)> = None;
    for (&habit, &records) in habits
        .iter()
        .filter(|(habit, _)| common.get(habit).is_some_and(|n| *n >= SMALLEST))
    {
        let w = weight(habit, records);
        if w > 0.0 && best.is_none_or(|(most, _)| w > most) {
            best = Some((w, habit));
        }
    }
    best.map(|(_, habit)| format!("{} {}", if habit % 2 == 1 { "serves" } else { "calls" }, habit / 2))
}

fn count<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, usize> {
    let mut sizes = BTreeMap::new();
    for name in names {
        *sizes.entry(name).or_default() += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_grouped_by_what_only_they_do() {
        let mut baseline = Baseline::default();
        for i in 0..8u32 {
            let mut history = InterfaceHistory::default();
            history.habits.insert(9_100 * 2 + 1, 10_000);
            history.habits.insert(if i < 5 { 8_080 * 2 + 1 } else { 5_432 * 2 }, 50);
            baseline.interfaces.insert(format!("eni-{i}"), history);
        }
        let nobody = Baseline::default();
        let groups = groups(&baseline, &nobody);
        assert_eq!(groups["eni-0"], "serves 8080");
        assert_eq!(groups["eni-7"], "calls 5432");
    }
}
