//! From the shared table of sums to the sorted [`EgressTable`].
//!
//! The rules (`rules.rs`) are learned in passes over all cells; then every cell that counts goes to a bin by its interface
//! (`bins.rs`), peers are looked up once each, and the bins are sorted and become rows. Each step sees everything, so no split of
//! the input changes a byte.

use crate::aggregate::bins::Bins;
use crate::aggregate::cells::Kinds;
use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Cell, FlowKey, Grain, peer_as_class};
use crate::aggregate::rules::{LeftOut, Rules};
use crate::aggregate::spill::Room;
use crate::aggregate::table::{Direction, EgressTable, Row, Sample, Volume};
use crate::net::{Addr, HOUR, Seconds};
use std::collections::BTreeSet;

/// Builds the table. `own` holds addresses known from elsewhere: (interface id, address); `place` turns a sample's task
/// and line into file and line.
pub fn finish<P: Places>(
    mut counter: Counter<'_, P>,
    places: &P,
    grain: &Grain,
    own: &BTreeSet<(String, Addr)>,
    place: impl Fn((u32, u64)) -> Sample + Sync,
) -> (EgressTable, LeftOut) {
    counter.seal();
    let mut left_out = LeftOut {
        smaller: counter.keep_largest(),
        ..LeftOut::default()
    };
    let (mut interfaces, order) = counter.interfaces.sorted();
    let placed = |key: &FlowKey| FlowKey {
        interface: order.get(key.interface as usize).copied().unwrap_or(u32::MAX),
        ..*key
    };
    let each = |f: &mut dyn FnMut(&FlowKey, &Cell)| counter.each(&mut |key, cell| f(&placed(key), cell));
    let rules = Rules::learn(&each, (places, grain), (&interfaces, own), &Room::endless());
    let mut bins = Bins::new(interfaces.len());
    let mut take = |key: FlowKey, cell: Cell| {
        let decided = rules.decide(&placed(&key), &cell, &mut left_out);
        if let Some(key) = decided.filter(|key| is_row(key, places, grain)) {
            bins.put(&key, &cell);
        }
    };
    counter.drain(Kinds::BOTH, &mut take);
    for (interface, address) in rules.addresses() {
        if let Some(i) = interfaces.get_mut(interface as usize) {
            i.addresses.push(address);
        }
    }
    let (peers, rows) = bins.into_table(places, |key, cell, peer| row(key, cell, peer, place(cell.sample)));
    let table = EgressTable {
        interfaces,
        peers,
        rows,
    };
    (table, left_out)
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
