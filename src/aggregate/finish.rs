//! From merged hash tables to the sorted [`EgressTable`]: open directions are resolved, peers looked up, rows ordered.
//!
//! A flow between two global addresses (IPv6, mostly) does not tell which end is the interface's. An address is the
//! interface's own if a one-sided record showed it so, if the inventory says so, or if it stands in at least 99 % of the
//! interface's open records and in 20 of them (design.md, counting rule 3). What stays open is counted as ambiguous.

use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Bearing, Cell, FlowKey, Grain, peer_as_class};
use crate::aggregate::table::{Direction, EgressTable, Peer, Role, Row, Sample, Volume};
use crate::net::{Addr, Class, HOUR, Seconds};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Flows whose direction nothing decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ambiguous {
    /// Records.
    pub flows: u64,
    /// Their bytes.
    pub bytes: u128,
}

const OWN_SHARE: (u64, u64) = (99, 100);
const OWN_RECORDS: u64 = 20;

/// Builds the table. `own` holds addresses known from elsewhere: (interface id, address); `place` turns a sample's task
/// and line into file and line.
pub fn finish<P: Places>(
    counter: Counter<'_, P>,
    places: &P,
    grain: &Grain,
    own: &BTreeSet<(String, Addr)>,
    place: impl Fn((u32, u64)) -> Sample,
) -> (EgressTable, Ambiguous) {
    let (mut interfaces, order) = counter.interfaces.sorted();
    let known = known_addresses(&counter.cells, &interfaces, &order, own);
    let mut ambiguous = Ambiguous::default();
    let mut cells = Vec::with_capacity(counter.cells.len());
    for (key, cell) in counter.cells {
        let key = FlowKey {
            interface: order.get(key.interface as usize).copied().unwrap_or(0),
            ..key
        };
        match resolve(key, &known) {
            Some(key) => cells.push((key, cell)),
            None if grain.home && !crosses_the_border(key, places) => {}
            None => {
                ambiguous.flows += cell.flows;
                ambiguous.bytes += cell.bytes;
            }
        }
    }
    if interfaces.is_empty() && !grain.interface && !cells.is_empty() {
        interfaces.push(crate::aggregate::Interface::default());
    }
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
    (table, ambiguous)
}

fn crosses_the_border<P: Places>(key: FlowKey, places: &P) -> bool {
    places.class(key.local).is_egress() || places.class(key.peer).is_egress()
}

/// Every (interface, address) pair that is the interface's own side.
fn known_addresses<'c>(
    cells: impl IntoIterator<Item = (&'c FlowKey, &'c Cell)>,
    interfaces: &[crate::aggregate::Interface],
    order: &[u32],
    own: &BTreeSet<(String, Addr)>,
) -> BTreeSet<(u32, Addr)> {
    let mut known = BTreeSet::new();
    let mut open: BTreeMap<u32, (u64, HashMap<Addr, u64>)> = BTreeMap::new();
    for (key, cell) in cells {
        let interface = order.get(key.interface as usize).copied().unwrap_or(0);
        if key.sides.bearing() != Bearing::Open {
            if key.local != Addr::default() {
                known.insert((interface, key.local));
            }
            continue;
        }
        let (total, seen) = open.entry(interface).or_default();
        *total += cell.flows;
        *seen.entry(key.local).or_default() += cell.flows;
        *seen.entry(key.peer).or_default() += cell.flows;
    }
    for (i, interface) in interfaces.iter().enumerate() {
        let from = (interface.id.clone(), Addr(0));
        let theirs = own.range(from..).take_while(|(id, _)| *id == interface.id);
        known.extend(theirs.map(|(_, a)| (i as u32, *a)));
    }
    for (interface, (total, seen)) in open {
        let is_own = |n: u64| n >= OWN_RECORDS && n * OWN_SHARE.1 >= total * OWN_SHARE.0;
        known.extend(
            seen.into_iter()
                .filter(|(_, n)| is_own(*n))
                .map(|(a, _)| (interface, a)),
        );
    }
    known
}

fn resolve(key: FlowKey, known: &BTreeSet<(u32, Addr)>) -> Option<FlowKey> {
    if key.sides.bearing() != Bearing::Open {
        return Some(key);
    }
    let role = key.sides.role();
    let own = |a: Addr| known.contains(&(key.interface, a));
    let sides = |d, role| crate::aggregate::key::Sides::new(Bearing::Known(d), role);
    match (own(key.local), own(key.peer)) {
        (true, false) => Some(FlowKey {
            sides: sides(Direction::Egress, role),
            ..key
        }),
        (false, true) => Some(FlowKey {
            local: key.peer,
            peer: key.local,
            sides: sides(Direction::Ingress, role.flip()),
            ..key
        }),
        _ => None,
    }
}

fn peers<P: Places>(cells: &[(FlowKey, Cell)], places: &P, grain: &Grain) -> Vec<Peer> {
    let mut addresses: Vec<Addr> = cells.iter().map(|(k, _)| k.peer).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let of_class = |a: Addr| Peer::of_class(a, peer_as_class(a));
    let is_class = |a: Addr| !grain.peer && a.0 < Class::ALL.len() as u128;
    addresses
        .into_iter()
        .map(|a| if is_class(a) { of_class(a) } else { places.peer(a) })
        .collect()
}

fn rows(cells: Vec<(FlowKey, Cell)>, peers: &[Peer], grain: &Grain, place: impl Fn((u32, u64)) -> Sample) -> Vec<Row> {
    let number: HashMap<Addr, u32> = peers.iter().enumerate().map(|(i, p)| (p.addr, i as u32)).collect();
    let row = |(key, cell): (FlowKey, Cell)| {
        let Bearing::Known(direction) = key.sides.bearing() else {
            return None;
        };
        let class = peers.get(*number.get(&key.peer)? as usize)?.class;
        let wanted = match direction {
            Direction::Egress => class.is_egress() || grain.home,
            Direction::Ingress => grain.ingress,
        };
        wanted.then(|| Row {
            interface: key.interface,
            peer: number[&key.peer],
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
