//! How much of an interface's time the logs could show: the numbers that go into every incident.

use crate::aggregate::{EgressTable, Outcome, Row};
use crate::coverage::interfaces::seconds;
use crate::coverage::logs::LogCoverage;
use crate::coverage::slots::Slots;
use crate::net::TimeWindow;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the logs could show of an interface in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    /// Share of the window, 0 to 1, whose flow log files are there; 1 where a missing file cannot be told.
    pub observed: f64,
    /// Seconds of the window in which AWS lost records of the interface.
    pub skipdata: u64,
}

/// Answers for all interfaces of a run.
#[derive(Debug, Default)]
pub struct Claims<'a> {
    slots: BTreeMap<&'a str, &'a Slots>,
    interfaces: BTreeMap<&'a str, Shown<'a>>,
}

/// Under which flow logs an interface is shown, and what they lost.
#[derive(Debug, Default)]
struct Shown<'a> {
    lost: BTreeMap<&'a str, &'a BTreeSet<TimeWindow>>,
}

impl<'a> Claims<'a> {
    /// Collects what is known; the flow logs of an interface follow from where its rows were counted.
    pub fn new(table: &'a EgressTable, outcome: &'a Outcome, logs: &'a [LogCoverage]) -> Self {
        static NOTHING: BTreeSet<TimeWindow> = BTreeSet::new();
        let slots = logs.iter().map(|l| (l.id.as_str(), &l.slots)).collect();
        let mut interfaces: BTreeMap<&str, Shown<'a>> = BTreeMap::new();
        let log_at = |log: u32| outcome.logs.ids.get(log as usize).map(String::as_str);
        for (interface, log) in met(table, outcome) {
            if let (Some(interface), Some(log)) = (table.interfaces.get(interface as usize), log_at(log)) {
                let shown = interfaces.entry(&interface.id).or_default();
                shown.lost.entry(log).or_insert(&NOTHING);
            }
        }
        for ((log, id), presence) in &outcome.seen {
            if let Some(log) = log_at(*log) {
                interfaces.entry(id).or_default().lost.insert(log, &presence.lost);
            }
        }
        Claims { slots, interfaces }
    }

    /// What could be seen of `interface` in `window`; of several flow logs the best counts.
    pub fn of(&self, interface: &str, window: TimeWindow) -> Claim {
        let whole = Claim {
            observed: 1.0,
            skipdata: 0,
        };
        let Some(shown) = self.interfaces.get(interface) else {
            return whole;
        };
        let under = |(log, lost): (&&str, &&BTreeSet<TimeWindow>)| Claim {
            observed: self.slots.get(*log).map_or(1.0, |s| observed(s, window)),
            skipdata: lost_in(lost, window),
        };
        let best = shown.lost.iter().map(under);
        best.max_by(|a, b| a.observed.total_cmp(&b.observed).then(b.skipdata.cmp(&a.skipdata)))
            .unwrap_or(whole)
    }
}

/// Which interfaces have rows that were first counted under which flow logs.
fn met(table: &EgressTable, outcome: &Outcome) -> BTreeSet<(u32, u32)> {
    const ROWS: usize = 1 << 16;
    let of_rows = |rows: &[Row]| {
        let pair = |row: &Row| (row.interface, outcome.logs.of_file(row.sample.file));
        let mut pairs: Vec<(u32, u32)> = rows.iter().map(pair).collect();
        pairs.dedup();
        pairs.into_iter().collect()
    };
    let both = |mut all: BTreeSet<_>, more: BTreeSet<_>| {
        all.extend(more);
        all
    };
    table.rows.par_chunks(ROWS).map(of_rows).reduce(BTreeSet::new, both)
}

/// The share of the window outside all gaps, in thousandths.
fn observed(slots: &Slots, window: TimeWindow) -> f64 {
    let length = window.to.saturating_sub(window.from);
    let gaps: Vec<TimeWindow> = slots.gaps.iter().filter_map(|g| cut(&g.records, window)).collect();
    let missing = seconds(&gaps);
    if length == 0 {
        return 1.0;
    }
    (1_000.0 * (length - missing.min(length)) as f64 / length as f64).round() / 1_000.0
}

fn lost_in(lost: &BTreeSet<TimeWindow>, window: TimeWindow) -> u64 {
    let cut: Vec<TimeWindow> = lost.iter().filter_map(|w| cut(w, window)).collect();
    seconds(&cut)
}

fn cut(span: &TimeWindow, to: TimeWindow) -> Option<TimeWindow> {
    let both = TimeWindow {
        from: span.from.max(to.from),
        to: span.to.min(to.to),
    };
    (both.from < both.to).then_some(both)
}
