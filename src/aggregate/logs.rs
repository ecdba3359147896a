//! Several flow logs on one interface: one counts (design.md, counting rule 5).
//!
//! A VPC, its subnet and the interface itself may each have a flow log; every byte is then logged once by each, in windows
//! that differ, so records cannot be compared one by one. For each interface the log with the most bytes counts; another
//! one counts only in hours in which that one has nothing (it was made later, or a delivery is missing).

use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::rules::{Cells, LeftOut};
use crate::aggregate::spill::Room;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The log that counts in each hour of an interface that several watch.
#[derive(Debug, Default)]
pub(super) struct Chosen(HashMap<(u32, u32), u16, RandomState>);

impl Chosen {
    /// Decides for all cells.
    pub(super) fn of(cells: Cells<'_>, room: &Room) -> Chosen {
        let ranks = ranks(cells);
        if ranks.is_empty() {
            return Chosen::default();
        }
        Chosen(chosen(cells, &ranks, room))
    }

    /// True if the cell counts.
    pub(super) fn keeps(&self, key: &FlowKey, cell: &Cell, left_out: &mut LeftOut) -> bool {
        let chosen = self.0.get(&(key.interface, key.hour));
        let other = chosen.is_some_and(|log| *log != key.log);
        left_out.logged_twice += if other { cell.bytes } else { 0 };
        !other
    }
}

/// Of each interface that several logs watch: the logs, best first (most bytes, then most records, then lowest number).
fn ranks(cells: Cells<'_>) -> BTreeMap<u32, Vec<u16>> {
    let several = watched_twice(cells);
    let mut sums: BTreeMap<u32, BTreeMap<u16, (u128, u64)>> = BTreeMap::new();
    if several.is_empty() {
        return BTreeMap::new();
    }
    cells.each(&mut |key, cell| {
        if several.contains(&key.interface) {
            let sum = sums.entry(key.interface).or_default().entry(key.log).or_default();
            sum.0 += cell.bytes;
            sum.1 += cell.flows;
        }
    });
    let order = |sums: BTreeMap<u16, (u128, u64)>| {
        let mut list: Vec<(u128, u64, std::cmp::Reverse<u16>)> = sums
            .into_iter()
            .map(|(log, (bytes, flows))| (bytes, flows, std::cmp::Reverse(log)))
            .collect();
        list.sort_unstable_by(|a, b| b.cmp(a));
        list.into_iter().map(|(_, _, log)| log.0).collect()
    };
    sums.into_iter()
        .map(|(interface, sums)| (interface, order(sums)))
        .collect()
}

/// Interfaces with cells of more than one log.
fn watched_twice(cells: Cells<'_>) -> BTreeSet<u32> {
    let mut several = BTreeSet::new();
    let mut first: HashMap<u32, u16, RandomState> = HashMap::default();
    cells.each(&mut |key, _| {
        if *first.entry(key.interface).or_insert(key.log) != key.log {
            several.insert(key.interface);
        }
    });
    several
}

/// The log that counts in each hour of those interfaces: the best that has anything there.
fn chosen(cells: Cells<'_>, ranks: &BTreeMap<u32, Vec<u16>>, room: &Room) -> HashMap<(u32, u32), u16, RandomState> {
    let rank = |interface: u32, log: u16| ranks.get(&interface).and_then(|r| r.iter().position(|l| *l == log));
    let mut best: HashMap<(u32, u32), u16, RandomState> = HashMap::default();
    cells.each(&mut |key, _| {
        let place = (key.interface, key.hour);
        if !ranks.contains_key(&key.interface) || !best.contains_key(&place) && !room.take(24) {
            return;
        }
        let log = best.entry(place).or_insert(key.log);
        if rank(key.interface, key.log) < rank(key.interface, *log) {
            *log = key.log;
        }
    });
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::{Bearing, Sides};
    use crate::aggregate::table::{Direction, Role};
    use crate::net::Addr;

    fn cell(interface: u32, log: u16, hour: u32, bytes: u128) -> (FlowKey, Cell) {
        let sides = Sides::new(Bearing::Known(Direction::Egress), Role::Client);
        let key = FlowKey {
            local: Addr::v4(1),
            peer: Addr::v4(2),
            interface,
            log,
            other_port: 0,
            hour,
            port: 443,
            protocol: 6,
            sides,
        };
        (
            key,
            Cell {
                bytes,
                packets: 1,
                flows: 1,
                first: 0,
                last: 1,
                sample: (0, 1),
            },
        )
    }

    fn kept(mut cells: Vec<(FlowKey, Cell)>) -> (Vec<(u32, u32, u128)>, u128) {
        let mut left_out = LeftOut::default();
        let chosen = Chosen::of(&cells, &Room::endless());
        cells.retain(|(key, cell)| chosen.keeps(key, cell, &mut left_out));
        (
            cells.iter().map(|(k, c)| (k.interface, k.hour, c.bytes)).collect(),
            left_out.logged_twice,
        )
    }

    #[test]
    fn one_log_counts_and_another_fills_its_holes() {
        let cells = vec![
            cell(0, 1, 10, 100),
            cell(0, 2, 10, 98),
            cell(0, 1, 11, 50),
            cell(0, 2, 12, 7),
            cell(1, 2, 10, 5),
        ];
        assert_eq!(
            kept(cells),
            (vec![(0, 10, 100), (0, 11, 50), (0, 12, 7), (1, 10, 5)], 98)
        );
    }

    #[test]
    fn one_log_each_is_left_alone() {
        assert_eq!(
            kept(vec![cell(0, 1, 10, 100), cell(1, 2, 10, 98)]),
            (vec![(0, 10, 100), (1, 10, 98)], 0)
        );
    }
}
