//! From merged hash tables to the sorted [`EgressTable`]: what only the whole can tell is decided here.
//!
//! In this order: of several flow logs on one interface one counts; open directions are resolved; bytes carried for
//! another interface of the archive are left to that interface; listening ports are learned; peers are looked up; rows
//! are sorted. Each step sees everything, so no split of the input changes a byte.

use crate::aggregate::cells::Rest;
use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Bearing, Cell, FlowKey, Grain, peer_as_class};
use crate::aggregate::table::{Direction, EgressTable, Peer, Role, Row, Sample, Volume};
use crate::aggregate::{logs, roles, sides};
use crate::net::{Addr, Class, HOUR, Seconds};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;

/// A key and its sums.
pub(super) type Entry = (FlowKey, Cell);

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
    place: impl Fn((u32, u64)) -> Sample,
) -> (EgressTable, LeftOut) {
    let mut left_out = LeftOut {
        smaller: counter.keep_largest(),
        ..LeftOut::default()
    };
    let (mut interfaces, order) = counter.interfaces.sorted();
    let renumbered = |(key, cell): Entry| {
        (
            FlowKey {
                interface: order.get(key.interface as usize).copied().unwrap_or(u32::MAX),
                ..key
            },
            cell,
        )
    };
    let cells: Vec<Entry> = counter.into_entries().into_iter().map(renumbered).collect();
    let cells = logs::one_per_interface(cells, &mut left_out);
    let known = sides::known_addresses(&cells, &interfaces, own);
    let cells = sides::resolve(cells, &known, places, &mut left_out);
    let cells = sides::leave_to_origin(cells, &known, &interfaces, &mut left_out);
    let cells = if grain.port { roles::learn(cells) } else { cells };
    let mut known: Vec<(u32, Addr)> = known.into_iter().collect();
    known.sort_unstable();
    for (interface, address) in known {
        if let Some(i) = interfaces.get_mut(interface as usize) {
            i.addresses.push(address);
        }
    }
    let peers = peers(&cells, places, grain);
    let rows = rows(cells, &peers, grain, place);
    let mut table = EgressTable {
        interfaces,
        peers,
        rows,
    };
    table.sort();
    (table, left_out)
}

/// Adds up cells that have come to share a key.
pub(super) fn fold(mut cells: Vec<Entry>) -> Vec<Entry> {
    cells.sort_unstable_by_key(|(key, cell)| (*key, cell.sample));
    cells.dedup_by(|(key, cell), (kept, sum)| {
        let same = key == kept;
        if same {
            sum.add(cell);
        }
        same
    });
    cells
}

fn peers<P: Places>(cells: &[Entry], places: &P, grain: &Grain) -> Vec<Peer> {
    let distinct: HashSet<Addr, RandomState> = cells.iter().map(|(k, _)| k.peer).collect();
    let mut addresses: Vec<Addr> = distinct.into_iter().collect();
    addresses.sort_unstable();
    let of_class = |a: Addr| Peer::of_class(a, peer_as_class(a));
    let is_class = |a: Addr| !grain.peer && a.0 < Class::ALL.len() as u128;
    addresses
        .into_iter()
        .map(|a| if is_class(a) { of_class(a) } else { places.peer(a) })
        .collect()
}

fn rows(cells: Vec<Entry>, peers: &[Peer], grain: &Grain, place: impl Fn((u32, u64)) -> Sample) -> Vec<Row> {
    let number: HashMap<Addr, u32, RandomState> = peers.iter().enumerate().map(|(i, p)| (p.addr, i as u32)).collect();
    let row = |(key, cell): Entry| {
        let Bearing::Known(direction) = key.sides.bearing() else {
            return None;
        };
        let peer = *number.get(&key.peer)?;
        let class = peers.get(peer as usize)?.class;
        let wanted = match direction {
            Direction::Egress => class.is_egress() || grain.home,
            Direction::Ingress => grain.ingress,
        };
        wanted.then(|| Row {
            interface: key.interface,
            peer,
            hour: Seconds::from(key.hour) * HOUR,
            local: key.local,
            port: key.port,
            protocol: key.protocol,
            direction,
            role: if grain.port { key.sides.role() } else { Role::Unknown },
            volume: Volume {
                bytes: cell.bytes,
                packets: cell.packets,
                flows: cell.flows,
                first: cell.first,
                last: cell.last,
            },
            sample: place(cell.sample),
        })
    };
    cells.into_iter().filter_map(row).collect()
}
