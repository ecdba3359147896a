//! From the shared table of sums to the sorted [`EgressTable`].
//!
//! The rules (`rules.rs`) are learned in passes over all cells; then every cell that counts goes to a bin by its interface
//! (`bins.rs`, a set of them by each thread), peers are looked up once each, and the bins are sorted and become rows. Each step sees everything, so no split of
//! the input changes a byte.

use crate::aggregate::bins::{self, Bins, into_table};
use crate::aggregate::cells::Cells;
use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Cell, FlowKey, Grain, peer_as_class};
use crate::aggregate::outcome::Outcome;
use crate::aggregate::parted::Parted;
use crate::aggregate::rules::{LeftOut, Rules};
use crate::aggregate::spill::Room;
use crate::aggregate::table::{Direction, EgressTable, Row, Sample, Volume};
use crate::net::{Addr, HOUR, Seconds};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Builds the table. `own` holds addresses known from elsewhere: (interface id, address); `outcome` knows the file and line of a
/// sample's task and line. Beside the table, the rules that made it.
pub fn finish<P: Places>(
    mut counter: Counter<'_, P>,
    places: &P,
    grain: &Grain,
    own: &BTreeSet<(String, Addr)>,
    outcome: &Outcome,
) -> (EgressTable, LeftOut, Rules) {
    counter.seal();
    let mut left_out = LeftOut {
        smaller: counter.keep_largest(),
        ..LeftOut::default()
    };
    let (mut interfaces, order) = counter.interfaces.sorted();
    let cells = Placed {
        cells: counter.cells(),
        order: &order,
    };
    let rules = Rules::learn(&cells, (places, grain), (&interfaces, own), &Room::endless());
    let all = in_bins(&cells, (&rules, places), interfaces.len(), &|key| {
        is_row(key, places, grain)
    });
    let (all, without): (Vec<Bins>, Vec<LeftOut>) = all.into_iter().unzip();
    left_out = without.into_iter().fold(left_out, LeftOut::and);
    for (interface, address) in rules.addresses() {
        if let Some(i) = interfaces.get_mut(interface as usize) {
            i.addresses.push(address);
        }
    }
    let place = outcome.placing(all.iter().map(Bins::len).sum());
    let (peers, rows) = into_table(all, places, |key, cell, peer| row(key, cell, peer, place(cell.sample)));
    let table = EgressTable {
        interfaces,
        peers,
        rows,
    };
    (table, left_out, rules)
}

/// All cells, with the places of their interfaces among those sorted by id.
struct Placed<'c> {
    cells: &'c Cells,
    order: &'c [u32],
}

impl Placed<'_> {
    fn key(&self, key: &FlowKey) -> FlowKey {
        FlowKey {
            interface: self.order.get(key.interface as usize).copied().unwrap_or(u32::MAX),
            ..*key
        }
    }
}

impl Parted for Placed<'_> {
    fn parts(&self) -> usize {
        self.cells.parts()
    }

    fn show(&self, part: usize, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        self.cells.show(part, &mut |key, cell| each(&self.key(key), cell));
    }
}

/// The cells that count, in bins: a set of bins by each thread. The memory of the cells is given back on the way.
fn in_bins<P: Places>(
    cells: &Placed<'_>,
    (rules, places): (&Rules, &P),
    interfaces: usize,
    is_row: &(dyn Fn(&FlowKey) -> bool + Sync),
) -> Vec<(Bins, LeftOut)> {
    let (next, room) = (AtomicUsize::new(0), bins::Room::new(cells.cells.len()));
    let of_thread = |_| {
        let (mut bins, mut left_out) = (Bins::new(interfaces, &room), LeftOut::default());
        let mut take = |key: FlowKey, cell: Cell| {
            let decided = rules.decide(places, &cells.key(&key), &cell, &mut left_out);
            if let Some(key) = decided.filter(|key| is_row(key)) {
                bins.put(&key, &cell);
            }
        };
        let parts = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let parts = parts.take_while(|part| *part < cells.parts());
        parts.for_each(|part| cells.cells.drain_part(part, &mut take));
        (bins, left_out)
    };
    (0..rayon::current_num_threads())
        .into_par_iter()
        .map(of_thread)
        .collect()
}

/// True if a cell makes a row.
fn is_row<P: Places>(key: &FlowKey, places: &P, grain: &Grain) -> bool {
    let class = match key.sides.is_classed() {
        true => peer_as_class(key.peer),
        false => places.class(key.peer),
    };
    key.sides.direction().is_some_and(|d| grain.wants(d, class))
}

fn row(key: &FlowKey, cell: &Cell, peer: u32, sample: Sample) -> Row {
    Row {
        interface: key.interface,
        peer,
        hour: Seconds::from(key.hour) * HOUR,
        local: key.local,
        port: key.port,
        protocol: key.protocol,
        direction: key.sides.direction().unwrap_or(Direction::Egress),
        role: key.sides.role(),
        volume: Volume {
            bytes: cell.bytes,
            packets: cell.packets,
            flows: cell.flows,
            first: cell.first,
            last: cell.last,
        },
        sample,
    }
}
