//! From merged hash tables to the sorted [`EgressTable`]: what only the whole can tell is decided here.
//!
//! In this order: of several flow logs on one interface one counts; open directions are resolved; bytes carried for
//! another interface of the archive are left to that interface; listening ports are learned; peers are looked up; rows
//! are sorted. Each step sees everything, so no split of the input changes a byte.

use crate::aggregate::cells::Rest;
use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Bearing, Cell, FlowKey, Grain, peer_as_class};
use crate::aggregate::spill::Room;
use crate::aggregate::table::{Direction, EgressTable, Peer, Role, Row, Sample, Volume, order};
use crate::aggregate::{logs, roles, sides};
use crate::net::{Addr, Class, HOUR, Seconds};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// A key and its sums.
pub(super) type Entry = (FlowKey, Cell);

/// Hands out all cells, as often as it is asked.
pub(super) type Each<'e> = &'e dyn Fn(&mut dyn FnMut(&FlowKey, &Cell));

/// What was left out of the table, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Egress or ingress whose direction nothing decides, in bytes.
    pub ambiguous: u128,
    /// Carried for another interface of the archive, which logged it too, in bytes.
    pub forwarded: u128,
    /// Logged once more by another flow log on the same interface, in bytes.
    pub logged_twice: u128,
    /// Groups that the answer will not show (see [`Counting::largest`](crate::aggregate::Counting)).
    pub smaller: Rest,
}

/// Builds the table. `own` holds addresses known from elsewhere: (interface id, address); `place` turns a sample's task
/// and line into file and line.
pub fn finish<P: Places>(
    mut counter: Counter<'_, P>,
    places: &P,
    grain: &Grain,
    own: &BTreeSet<(String, Addr)>,
    place: impl Fn((u32, u64)) -> Sample + Sync,
) -> (EgressTable, LeftOut) {
    let mut left_out = LeftOut {
        smaller: counter.keep_largest(),
        ..LeftOut::default()
    };
    let (mut interfaces, order) = counter.interfaces.sorted();
    let mut cells = counter.into_entries();
    for (key, _) in &mut cells {
        key.interface = order.get(key.interface as usize).copied().unwrap_or(u32::MAX);
    }
    logs::one_per_interface(&mut cells, &mut left_out);
    let each = |f: &mut dyn FnMut(&FlowKey, &Cell)| cells.iter().for_each(|(key, cell)| f(key, cell));
    let known = sides::known_addresses(&each, &interfaces, own, &Room::endless());
    sides::resolve(&mut cells, &known, places, &mut left_out);
    sides::leave_to_origin(&mut cells, &known, &interfaces, &mut left_out);
    if grain.port {
        roles::learn(&mut cells);
    }
    let mut known: Vec<(u32, Addr)> = known.into_iter().collect();
    known.sort_unstable();
    for (interface, address) in known {
        if let Some(i) = interfaces.get_mut(interface as usize) {
            i.addresses.push(address);
        }
    }
    let (peers, numbers) = peers(&cells, places, grain);
    let rows = rows(&cells, &numbers, &peers, grain, place);
    let table = EgressTable {
        interfaces,
        peers,
        rows,
    };
    (table, left_out)
}

/// Adds up cells that have come to share a key.
pub(super) fn fold(cells: &mut Vec<Entry>) {
    cells.sort_unstable_by_key(|(key, cell)| (*key, cell.sample));
    cells.dedup_by(|(key, cell), (kept, sum)| {
        let same = key == kept;
        if same {
            sum.add(cell);
        }
        same
    });
}

/// The distinct peers, sorted, and each cell's number among them.
fn peers<P: Places>(cells: &[Entry], places: &P, grain: &Grain) -> (Vec<Peer>, Vec<u32>) {
    let mut met: HashMap<Addr, u32, RandomState> = HashMap::default();
    let mut number = |peer: Addr| {
        let next = met.len() as u32;
        *met.entry(peer).or_insert(next)
    };
    let mut numbers: Vec<u32> = cells.iter().map(|(key, _)| number(key.peer)).collect();
    let mut addresses: Vec<(Addr, u32)> = met.into_iter().collect();
    addresses.sort_unstable();
    let mut sorted = vec![0; addresses.len()];
    for ((_, met), place) in addresses.iter().zip(0..) {
        sorted[*met as usize] = place;
    }
    numbers.par_iter_mut().for_each(|n| *n = sorted[*n as usize]);
    let is_class = |a: Addr| !grain.peer && a.0 < Class::ALL.len() as u128;
    let peer = |(a, _): &(Addr, u32)| match is_class(*a) {
        true => Peer::of_class(*a, peer_as_class(*a)),
        false => places.peer(*a),
    };
    (addresses.par_iter().map(peer).collect(), numbers)
}

/// The rows that the grain wants, in the table's order.
///
/// Cells and rows are large, so small keys are sorted, and each row is written once, where it stays.
fn rows(
    cells: &[Entry],
    numbers: &[u32],
    peers: &[Peer],
    grain: &Grain,
    place: impl Fn((u32, u64)) -> Sample + Sync,
) -> Vec<Row> {
    let wanted = |(i, (key, _)): (usize, &Entry)| {
        let Bearing::Known(direction) = key.sides.bearing() else {
            return None;
        };
        let class = peers.get(numbers[i] as usize)?.class;
        let wanted = match direction {
            Direction::Egress => class.is_egress() || grain.home,
            Direction::Ingress => grain.ingress,
        };
        wanted.then(|| (order(key.interface, key.hour, numbers[i], direction), i as u32))
    };
    let mut sorted: Vec<(u128, u32)> = cells.par_iter().enumerate().filter_map(wanted).collect();
    let row = |i: u32| {
        let (key, cell) = &cells[i as usize];
        row(key, cell, numbers[i as usize], grain, place(cell.sample))
    };
    // As `Row::rest`: a sample's task and line stand in the order of files and lines.
    let rest = |i: u32| {
        let (key, cell) = &cells[i as usize];
        let role = if grain.port { key.sides.role() } else { Role::Unknown };
        (key.local, key.protocol, key.port, role, cell.sample)
    };
    sorted.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(&rest(b.1))));
    sorted.into_par_iter().map(|(_, i)| row(i)).collect()
}

fn row(key: &FlowKey, cell: &Cell, peer: u32, grain: &Grain, sample: Sample) -> Row {
    Row {
        interface: key.interface,
        peer,
        hour: Seconds::from(key.hour) * HOUR,
        local: key.local,
        port: key.port,
        protocol: key.protocol,
        direction: match key.sides.bearing() {
            Bearing::Known(direction) => direction,
            Bearing::Open => Direction::Egress,
        },
        role: if grain.port { key.sides.role() } else { Role::Unknown },
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
