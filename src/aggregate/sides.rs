//! Which end of a flow is the interface's own, and whose bytes they are.
//!
//! A flow between two global addresses (IPv6, mostly), or between two of home, does not tell by itself. An address is the
//! interface's own if a one-sided record showed it so, if the inventory says so, or if it stands in at least 99 % of the
//! interface's open records and in 20 of them (design.md, counting rule 3). What stays open towards the outside is
//! counted as ambiguous.

use crate::aggregate::counter::Places;
use crate::aggregate::finish::{Entry, LeftOut};
use crate::aggregate::key::{Bearing, FlowKey, Sides};
use crate::aggregate::table::{Direction, Interface};
use crate::net::Addr;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};

const OWN_SHARE: (u64, u64) = (99, 100);
const OWN_RECORDS: u64 = 20;

/// (interface, address) pairs that are the interface's own side.
pub(super) type Known = HashSet<(u32, Addr), RandomState>;

/// Every own address. Addresses behind an interface (pods, carried traffic) are not its own.
pub(super) fn known_addresses(cells: &[Entry], interfaces: &[Interface], own: &BTreeSet<(String, Addr)>) -> Known {
    let mut known = Known::default();
    let mut open: BTreeMap<u32, (u64, HashMap<Addr, u64, RandomState>)> = BTreeMap::new();
    for (key, cell) in cells {
        if key.sides.bearing() != Bearing::Open {
            if key.local != Addr::default() && !key.sides.is_carried() {
                known.insert((key.interface, key.local));
            }
            continue;
        }
        let (total, seen) = open.entry(key.interface).or_default();
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

/// Gives every open flow its direction, or counts it as ambiguous.
pub(super) fn resolve<P: Places>(cells: Vec<Entry>, known: &Known, places: &P, left_out: &mut LeftOut) -> Vec<Entry> {
    let mut resolved = Vec::with_capacity(cells.len());
    for (key, cell) in cells {
        match side(key, known) {
            Some(key) => resolved.push((key, cell)),
            None if places.class(key.local).is_egress() || places.class(key.peer).is_egress() => {
                left_out.ambiguous += cell.bytes;
            }
            None => {}
        }
    }
    resolved
}

fn side(key: FlowKey, known: &Known) -> Option<FlowKey> {
    if key.sides.bearing() != Bearing::Open {
        return Some(key);
    }
    let role = key.sides.role();
    let own = |a: Addr| known.contains(&(key.interface, a));
    match (own(key.local), own(key.peer)) {
        (true, false) => Some(FlowKey {
            sides: Sides::new(Bearing::Known(Direction::Egress), role),
            ..key
        }),
        (false, true) => {
            let sides = Sides::new(Bearing::Known(Direction::Ingress), role.flip());
            let (local, peer) = (key.peer, key.local);
            // The local side's port comes first where nobody is known to listen.
            let unknown = key.other_port != 0;
            let (port, other_port) = if unknown {
                (key.other_port, key.port)
            } else {
                (key.port, 0)
            };
            Some(FlowKey {
                local,
                peer,
                sides,
                port,
                other_port,
                ..key
            })
        }
        _ => None,
    }
}

/// Leaves bytes that an interface carried for an address behind it to the interface that owns the address, if that one
/// is in the archive (it logged them too), and bytes that only came in to be sent on to the record that sends them.
/// Pods and secondary addresses belong to nobody else and stay.
pub(super) fn leave_to_origin(
    cells: Vec<Entry>,
    known: &Known,
    interfaces: &[Interface],
    left_out: &mut LeftOut,
) -> Vec<Entry> {
    let mut owners: HashMap<Addr, Vec<u32>, RandomState> = HashMap::default();
    for (interface, address) in known {
        owners.entry(*address).or_default().push(*interface);
    }
    let same_network = |a: u32, b: u32| {
        let of = |i: u32| interfaces.get(i as usize);
        let agree = |x: Option<&String>, y: Option<&String>| x.is_none() || y.is_none() || x == y;
        match (of(a), of(b)) {
            (Some(a), Some(b)) => agree(a.account.as_ref(), b.account.as_ref()),
            _ => false,
        }
    };
    let elsewhere = |key: &FlowKey| {
        let of = owners.get(&key.local);
        of.is_some_and(|list| {
            list.iter()
                .any(|o| *o != key.interface && same_network(*o, key.interface))
        })
    };
    let sent = sent_on(&cells);
    let leaves_again = |key: &FlowKey, bytes: u128| {
        let out = sent.get(&(key.interface, key.peer, key.hour)).copied().unwrap_or(0);
        key.sides.is_passed() && out * 5 >= bytes * 4
    };
    let mut kept = Vec::with_capacity(cells.len());
    for (mut key, cell) in cells {
        if key.sides.is_carried() && (leaves_again(&key, cell.bytes) || elsewhere(&key)) {
            left_out.forwarded += cell.bytes;
            continue;
        }
        key.sides = key.sides.carried(false).passed(false);
        kept.push((key, cell));
    }
    kept
}

/// What interfaces that pass traffic on sent from their own address, by far end and hour.
fn sent_on(cells: &[Entry]) -> HashMap<(u32, Addr, u32), u128, RandomState> {
    let passing: BTreeSet<u32> = cells
        .iter()
        .filter(|(k, _)| k.sides.is_passed())
        .map(|(k, _)| k.interface)
        .collect();
    let mut sent = HashMap::default();
    let out = Bearing::Known(Direction::Egress);
    let own = |k: &FlowKey| passing.contains(&k.interface) && !k.sides.is_carried() && k.sides.bearing() == out;
    for (key, cell) in cells.iter().filter(|(k, _)| own(k)) {
        *sent.entry((key.interface, key.peer, key.hour)).or_default() += cell.bytes;
    }
    sent
}
