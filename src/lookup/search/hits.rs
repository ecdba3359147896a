//! What one worker has found: records and sums that are about a key, added up by cell.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::ends::{self, Common, Ends};
use super::{Cell, Detail, Found, Search, Side};
use crate::aggregate::counter::Places;
use crate::aggregate::interner::Interner;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::{Facts, Summed, Tally, Volume};
use crate::flow::{FlowDirection, FlowRecord, LogStatus};
use crate::lookup::asked::Asked;
use crate::lookup::records::Records;
use crate::net::{HOUR, Seconds};

/// One worker's findings.
pub(super) struct Hits<'s, P> {
    search: &'s Search<'s, P>,
    cells: HashMap<Cell, Volume, RandomState>,
    /// In place of cells, where only ends are asked for: this worker's first.
    ends: Vec<Ends>,
    interfaces: Interner,
    records: Records,
    counts: RecordCounts,
    task: u32,
    log: u16,
    met: Vec<(u32, Side)>,
    /// The sums that `met` is of, where nothing else decides.
    met_by: Option<Alike>,
}

/// Sums of one interface that go one way.
struct Alike {
    facts: Facts,
    direction: Option<FlowDirection>,
    /// Its number.
    interface: u32,
}

impl<'s, P: Places> Hits<'s, P> {
    pub(super) fn new(search: &'s Search<'s, P>) -> Self {
        Hits {
            search,
            cells: HashMap::default(),
            ends: vec![Ends::default()],
            interfaces: Interner::default(),
            records: Records::default(),
            counts: RecordCounts::default(),
            task: 0,
            log: 0,
            met: Vec::new(),
            met_by: None,
        }
    }

    /// The number of the interface of sums that are wanted; sums of one interface follow each other, and mostly it alone
    /// decides.
    fn wanted_interface(&mut self, r: &Asked<'_>, facts: &Facts) -> Option<u32> {
        let alike = |a: &&Alike| a.direction == r.direction && a.facts == *facts;
        if let Some(alike) = self.met_by.as_ref().filter(alike) {
            return Some(alike.interface).filter(|_| !self.met.is_empty());
        }
        self.met_by = None;
        let wanted = self.is_wanted(r);
        let decides = self.search.names_decide && r.interface.is_some();
        if !wanted && !decides {
            return None;
        }
        let interface = match wanted {
            true => self.interfaces.intern(r.interface.unwrap_or(b"-"), facts),
            false => 0,
        };
        self.met_by = decides.then(|| Alike {
            facts: facts.clone(),
            direction: r.direction,
            interface,
        });
        wanted.then_some(interface)
    }

    /// True if it is about some target and passes; the targets are in `met`.
    fn is_wanted(&mut self, r: &Asked<'_>) -> bool {
        let mut met = std::mem::take(&mut self.met);
        self.search.targets_of(r, &mut met);
        self.met = met;
        !self.met.is_empty() && self.search.window.contains(r.volume.first) && self.search.passes(r)
    }

    fn count(&mut self, r: &Asked<'_>, interface: u32, log: u16) {
        let start = r.volume.first;
        let day = start - start % (24 * HOUR);
        if self.search.detail == Detail::Ends {
            return self.count_ends(r, interface, day, log);
        }
        for (target, side) in &self.met {
            let (near, far) = if *side == Side::To {
                (r.dst, r.src)
            } else {
                (r.src, r.dst)
            };
            let cell = Cell {
                target: *target,
                interface,
                day,
                near,
                far,
                side: *side,
                port: r.port,
                protocol: r.protocol,
                accepted: r.accepted,
                log,
                twice: false,
            };
            self.cells.entry(cell).or_insert(Volume::EMPTY).add(&r.volume);
        }
    }

    fn count_ends(&mut self, r: &Asked<'_>, interface: u32, day: Seconds, log: u16) {
        let Some(ends) = self.ends.first_mut() else { return };
        for (target, side) in &self.met {
            let common = Common {
                target: *target,
                interface,
                day,
                directed: *side != Side::Open,
                accepted: r.accepted,
                log,
                twice: false,
            };
            ends.add(common, (r.src, r.dst), *side, (r.volume.bytes, r.volume.flows));
        }
    }

    pub(super) fn finish(self) -> Found {
        let (interfaces, place) = self.interfaces.sorted();
        let mut all = self.ends;
        for ends in &mut all {
            ends.renumber(|i| place.get(i as usize).copied().unwrap_or(0));
        }
        ends::one_log_each(&mut all);
        let renumber = |(cell, volume): (Cell, Volume)| {
            let interface = place.get(cell.interface as usize).copied().unwrap_or(0);
            (Cell { interface, ..cell }, volume)
        };
        let mut cells: Vec<(Cell, Volume)> = self.cells.into_iter().map(renumber).collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        one_log_each(&mut cells);
        let mut records = self.records;
        records.sort();
        Found {
            cells,
            ends: all,
            interfaces,
            records,
            counts: self.counts,
        }
    }
}

/// Several flow logs on one interface: on every day the one with the most bytes counts, the others are marked.
fn one_log_each(cells: &mut [(Cell, Volume)]) {
    let several = cells.windows(2).any(|w| matches!(w, [a, b] if a.0.log != b.0.log));
    if !several {
        return;
    }
    let mut sums: BTreeMap<(u32, Seconds), BTreeMap<u16, (u128, u64)>> = BTreeMap::new();
    for (cell, volume) in &*cells {
        let day = sums.entry((cell.interface, cell.day)).or_default();
        let sum = day.entry(cell.log).or_default();
        *sum = (sum.0 + volume.bytes, sum.1 + volume.flows);
    }
    sums.retain(|_, logs| logs.len() > 1);
    let best = |c: &Cell| {
        let logs = sums.get(&(c.interface, c.day))?;
        logs.iter()
            .max_by_key(|(log, sum)| (**sum, std::cmp::Reverse(**log)))
            .map(|(log, _)| *log)
    };
    for (cell, _) in cells {
        cell.twice = best(cell).is_some_and(|log| log != cell.log);
    }
}

impl<P: Places> Tally for Hits<'_, P> {
    fn begin(&mut self, task: u32, log: u16) {
        (self.task, self.log) = (task, log);
    }

    fn actions(&self) -> (u64, u64) {
        (self.counts.good_accept, self.counts.reject_records)
    }

    fn observe(&mut self, line: u64, r: &FlowRecord<'_>) {
        if r.status != LogStatus::Ok {
            return;
        }
        self.counts.observe(r);
        let Some(asked) = Asked::of_record(r) else { return };
        self.met_by = None;
        if !self.is_wanted(&asked) {
            return;
        }
        if self.search.detail == Detail::Records {
            self.records.keep((self.task, line), r);
        }
        if !r.format().is_transit_gateway() {
            let interface = self.interfaces.intern(asked.interface.unwrap_or(b"-"), r);
            self.count(&asked, interface, self.log);
        }
    }

    fn sums(&mut self, s: &Summed<'_>) {
        let asked = Asked::of_sums(s);
        if let Some(interface) = self.wanted_interface(&asked, s.facts) {
            self.count(&asked, interface, s.log);
        }
    }

    fn counted(&mut self, counts: &RecordCounts) {
        self.counts.add(counts);
    }

    fn merge(&mut self, other: Self) {
        let map = self.interfaces.merge(&other.interfaces);
        for (cell, volume) in other.cells {
            let interface = map.get(cell.interface as usize).copied().unwrap_or(0);
            let cell = Cell { interface, ..cell };
            self.cells.entry(cell).or_insert(Volume::EMPTY).add(&volume);
        }
        for mut ends in other.ends {
            ends.renumber(|i| map.get(i as usize).copied().unwrap_or(0));
            self.ends.push(ends);
        }
        self.records.merge(other.records);
        self.counts.add(&other.counts);
    }
}
