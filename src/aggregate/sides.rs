//! Which end of a flow is the interface's own, and whose bytes they are.
//!
//! A flow between two global addresses (IPv6, mostly), or between two of home, does not tell by itself. An address is the
//! interface's own if a one-sided record showed it so, if the inventory says so, or if it stands in at least 99 % of the
//! interface's open records and in 20 of them (design.md, counting rule 3). What stays open towards the outside is
//! counted as ambiguous.

use crate::aggregate::counter::Places;
use crate::aggregate::key::{Bearing, Cell, FlowKey, Sides};
use crate::aggregate::rules::{Cells, LeftOut};
use crate::aggregate::spill::Room;
use crate::aggregate::table::{Direction, Interface};
use crate::net::{Addr, Class};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;

const OWN_SHARE: (u64, u64) = (99, 100);
const OWN_RECORDS: u64 = 20;

/// (interface, address) pairs that are the interface's own side.
type Known = HashSet<(u32, Addr), RandomState>;

/// The open flows of one interface, and the addresses that may stand in nearly all of them.
///
/// An address in 99 % of the records has nearly half of all ends. Of a few candidates that lose weight whenever another
/// address is met, every one with more than a fifth of the ends is left (Misra and Gries, 1982), also where the candidates of
/// parts are joined (Agarwal and others, Mergeable summaries, 2012), so one more pass tells exactly without a table of all
/// addresses.
#[derive(Default)]
struct Open {
    records: u64,
    candidates: [(Addr, u64); CANDIDATES],
}

const CANDIDATES: usize = 4;

/// Records with each candidate of an interface.
type Counted = [u64; CANDIDATES];

impl Open {
    fn note(&mut self, key: &FlowKey, records: u64) {
        self.records += records;
        self.weigh(key.local, records);
        self.weigh(key.peer, records);
    }

    fn weigh(&mut self, address: Addr, records: u64) {
        if let Some((_, weight)) = self.candidates.iter_mut().find(|(a, w)| *a == address && *w > 0) {
            *weight += records;
            return;
        }
        let least = self.candidates.iter().map(|(_, w)| *w).min().unwrap_or(0);
        let taken = least.min(records);
        self.candidates.iter_mut().for_each(|(_, w)| *w -= taken);
        if records > taken
            && let Some(free) = self.candidates.iter_mut().find(|(_, w)| *w == 0)
        {
            *free = (address, records - taken);
        }
    }

    /// Those of both: what the fifth of them weighs is taken from all.
    fn join(&mut self, other: &Open) {
        self.records += other.records;
        let mut all: Vec<(Addr, u64)> = self.candidates.to_vec();
        for (address, weight) in &other.candidates {
            match all.iter_mut().find(|(a, w)| a == address && *w > 0) {
                Some((_, sum)) => *sum += weight,
                None => all.push((*address, *weight)),
            }
        }
        all.sort_unstable_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let fifth = all.get(CANDIDATES).map_or(0, |(_, weight)| *weight);
        for (slot, (address, weight)) in self.candidates.iter_mut().zip(all) {
            *slot = (address, weight - fifth);
        }
    }

    fn count(&self, key: &FlowKey, records: u64, counted: &mut Counted) {
        for ((address, weight), counted) in self.candidates.iter().zip(counted) {
            let ends = u64::from(*address == key.local) + u64::from(*address == key.peer);
            *counted += if *weight > 0 { ends * records } else { 0 };
        }
    }

    /// The interface's own addresses.
    fn own(&self, counted: &Counted) -> impl Iterator<Item = Addr> {
        let is_own = |n: u64| n >= OWN_RECORDS && n * OWN_SHARE.1 >= self.records * OWN_SHARE.0;
        let counted = self.candidates.iter().zip(counted);
        counted.filter(move |(_, n)| is_own(**n)).map(|((a, _), _)| *a)
    }
}

type ByInterface<T> = HashMap<u32, T, RandomState>;

/// Both; what stands in both is brought together.
fn joined<T: Default>(mut all: ByInterface<T>, part: ByInterface<T>, join: impl Fn(&mut T, T)) -> ByInterface<T> {
    for (interface, part) in part {
        join(all.entry(interface).or_default(), part);
    }
    all
}

/// Own addresses, asked by interface. Addresses behind an interface (pods, carried traffic) are not its own.
#[derive(Debug, Default)]
pub(super) struct Owners {
    known: Known,
    /// By interface: nothing is known, one address alone, or several (none here).
    sole: Vec<Option<Option<Addr>>>,
}

impl Owners {
    /// Learns from all cells, and from addresses that the inventory tells (`own`: interface id, address).
    pub(super) fn learn(
        cells: Cells<'_>,
        interfaces: &[Interface],
        own: &BTreeSet<(String, Addr)>,
        room: &Room,
    ) -> Self {
        let (mut known, open) = shown(cells, interfaces.len(), room);
        for (i, interface) in interfaces.iter().enumerate() {
            let from = (interface.id.clone(), Addr(0));
            let theirs = own.range(from..).take_while(|(id, _)| *id == interface.id);
            known.extend(theirs.map(|(_, a)| (i as u32, *a)));
        }
        let owners = Owners::of(known, interfaces.len());
        if !open {
            return owners;
        }
        let often = owners.stand_nearly_everywhere(cells);
        match often.is_empty() {
            true => owners,
            false => Owners::of(owners.known.into_iter().chain(often).collect(), interfaces.len()),
        }
    }

    fn of(known: Known, interfaces: usize) -> Self {
        let mut sole = vec![None; interfaces];
        for (interface, address) in &known {
            if let Some(sole) = sole.get_mut(*interface as usize) {
                let one = sole.get_or_insert(Some(*address));
                *one = one.filter(|a| a == address);
            }
        }
        Owners { known, sole }
    }

    /// Addresses that stand in nearly all open flows of an interface of which no end is known.
    fn stand_nearly_everywhere(&self, cells: Cells<'_>) -> Vec<(u32, Addr)> {
        let untold = |key: &FlowKey| {
            let own = |a| self.own(key.interface, a);
            key.sides.bearing() == Bearing::Open && !own(key.local) && !own(key.peer)
        };
        let open: ByInterface<Open> = cells.fold(
            ByInterface::default,
            |open: &mut ByInterface<Open>, key, cell| {
                if untold(key) {
                    open.entry(key.interface).or_default().note(key, cell.flows);
                }
            },
            |all, part| joined(all, part, |open, part| open.join(&part)),
        );
        if open.is_empty() {
            return Vec::new();
        }
        // Only now is it known who the candidates are: counted exactly.
        let counted: ByInterface<Counted> = cells.fold(
            ByInterface::default,
            |counted: &mut ByInterface<Counted>, key, cell| {
                if let Some(open) = open.get(&key.interface).filter(|_| untold(key)) {
                    open.count(key, cell.flows, counted.entry(key.interface).or_default());
                }
            },
            |all, part| {
                joined(all, part, |sums, part| {
                    sums.iter_mut().zip(part).for_each(|(sum, n)| *sum += n)
                })
            },
        );
        let own = |(i, counted): (&u32, &Counted)| -> Vec<(u32, Addr)> {
            let open = open.get(i);
            open.iter()
                .flat_map(|open| open.own(counted))
                .map(|a| (*i, a))
                .collect()
        };
        counted.iter().flat_map(own).collect()
    }

    /// All of them: interface and address, sorted.
    pub(super) fn sorted(&self) -> Vec<(u32, Addr)> {
        let mut known: Vec<(u32, Addr)> = self.known.iter().copied().collect();
        known.sort_unstable();
        known
    }

    fn own(&self, interface: u32, a: Addr) -> bool {
        match self.sole.get(interface as usize) {
            Some(Some(Some(sole))) => *sole == a,
            Some(Some(None)) => self.known.contains(&(interface, a)),
            _ => false,
        }
    }

    /// The key with its direction; nothing if it stays open, which is counted.
    pub(super) fn resolve<P: Places>(
        &self,
        key: FlowKey,
        cell: &Cell,
        places: &P,
        left_out: &mut LeftOut,
    ) -> Option<FlowKey> {
        if key.sides.bearing() != Bearing::Open {
            return Some(key);
        }
        let classes = || [key.local, key.peer].map(|a| places.class(a));
        match (self.own(key.interface, key.local), self.own(key.interface, key.peer)) {
            (true, false) => Some(outward(key)),
            (false, true) => Some(turned(key)),
            // From one of its addresses to another: sent.
            (true, true) if classes() == [Class::Home; 2] => Some(outward(key)),
            _ => {
                let leaves = classes().into_iter().any(Class::is_egress);
                left_out.ambiguous += if leaves { cell.bytes } else { 0 };
                None
            }
        }
    }
}

/// Addresses that one-sided records show as the interface's own, and whether there are open flows.
fn shown(cells: Cells<'_>, interfaces: usize, room: &Room) -> (Known, bool) {
    let new = || Shown {
        latest: vec![Addr::default(); interfaces],
        ..Shown::default()
    };
    let shown = cells.fold(new, |shown, key, _| shown.add(key, room), Shown::and);
    (shown.known, shown.open)
}

#[derive(Default)]
struct Shown {
    known: Known,
    open: bool,
    /// Nearly every interface has one address: what was said last need not be said again.
    latest: Vec<Addr>,
}

impl Shown {
    #[inline]
    fn add(&mut self, key: &FlowKey, room: &Room) {
        if key.sides.bearing() == Bearing::Open {
            self.open = true;
            return;
        }
        let latest = self.latest.get_mut(key.interface as usize);
        let again = latest.as_ref().is_some_and(|a| **a == key.local);
        if !again && key.local != Addr::default() && !key.sides.is_carried() && room.take(0) {
            // A table that grows holds twice what it had, and the old one.
            let new = self.known.insert((key.interface, key.local));
            room.take(if new { 200 } else { 0 });
            latest.into_iter().for_each(|a| *a = key.local);
        }
    }

    fn and(mut self, mut other: Shown) -> Shown {
        if self.known.len() < other.known.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.known.extend(other.known);
        self.open |= other.open;
        self
    }
}

/// An open flow whose source is the interface's.
fn outward(key: FlowKey) -> FlowKey {
    let sides = Sides::new(Bearing::Known(Direction::Egress), key.sides.role());
    FlowKey { sides, ..key }
}

/// An open flow whose destination is the interface's.
fn turned(key: FlowKey) -> FlowKey {
    // The local side's port comes first where nobody is known to listen.
    let (port, other_port) = match key.other_port {
        0 => (key.port, 0),
        other => (other, key.port),
    };
    FlowKey {
        local: key.peer,
        peer: key.local,
        sides: Sides::new(Bearing::Known(Direction::Ingress), key.sides.role().flip()),
        port,
        other_port,
        ..key
    }
}

/// Where bytes that were carried for others began.
///
/// They are left to the interface that owns the address, if that one is in the archive (it logged them too); bytes that only
/// came in to be sent on are left to the record that sends them. Pods and secondary addresses belong to nobody else and stay.
#[derive(Debug)]
pub(super) struct Origins {
    /// Of each interface its account.
    accounts: Vec<Option<String>>,
    owners: HashMap<Addr, Vec<u32>, RandomState>,
    sent: HashMap<(u32, Addr, u32), u128, RandomState>,
}

impl Origins {
    /// Of cells whose directions are known.
    pub(super) fn of(cells: Cells<'_>, own: &Owners, interfaces: &[Interface], room: &Room) -> Self {
        let mut owners: HashMap<Addr, Vec<u32>, RandomState> = HashMap::default();
        for (interface, address) in &own.known {
            owners.entry(*address).or_default().push(*interface);
        }
        Origins {
            accounts: interfaces.iter().map(|i| i.account.clone()).collect(),
            owners,
            sent: sent_on(cells, room),
        }
    }

    /// True if the cell's bytes began here; others are counted.
    pub(super) fn keeps(&self, key: &FlowKey, cell: &Cell, left_out: &mut LeftOut) -> bool {
        let elsewhere = key.sides.is_carried() && (self.leaves_again(key, cell.bytes) || self.is_elsewhere(key));
        left_out.forwarded += if elsewhere { cell.bytes } else { 0 };
        !elsewhere
    }

    fn is_elsewhere(&self, key: &FlowKey) -> bool {
        let of = self.owners.get(&key.local);
        of.is_some_and(|list| {
            list.iter()
                .any(|o| *o != key.interface && self.same_network(*o, key.interface))
        })
    }

    fn same_network(&self, a: u32, b: u32) -> bool {
        let of = |i: u32| self.accounts.get(i as usize);
        let agree = |x: Option<&String>, y: Option<&String>| x.is_none() || y.is_none() || x == y;
        match (of(a), of(b)) {
            (Some(a), Some(b)) => agree(a.as_ref(), b.as_ref()),
            _ => false,
        }
    }

    fn leaves_again(&self, key: &FlowKey, bytes: u128) -> bool {
        let place = (key.interface, key.peer, key.hour);
        let out = self.sent.get(&place).copied().unwrap_or(0);
        key.sides.is_passed() && out * 5 >= bytes * 4
    }
}

/// What interfaces that pass traffic on sent from their own address, by far end and hour.
fn sent_on(cells: Cells<'_>, room: &Room) -> HashMap<(u32, Addr, u32), u128, RandomState> {
    let mut passing: BTreeSet<u32> = BTreeSet::new();
    cells.each(&mut |key, _| {
        if key.sides.is_passed() {
            passing.insert(key.interface);
        }
    });
    let mut sent: HashMap<(u32, Addr, u32), u128, RandomState> = HashMap::default();
    if passing.is_empty() {
        return sent;
    }
    let out = Bearing::Known(Direction::Egress);
    let own = |k: &FlowKey| passing.contains(&k.interface) && !k.sides.is_carried() && k.sides.bearing() == out;
    cells.each(&mut |key, cell| {
        let place = (key.interface, key.peer, key.hour);
        if own(key) && (sent.contains_key(&place) || room.take(150)) {
            *sent.entry(place).or_default() += cell.bytes;
        }
    });
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(local: u32, peer: u32) -> FlowKey {
        FlowKey {
            local: Addr::v4(local),
            peer: Addr::v4(peer),
            interface: 0,
            log: 0,
            other_port: 0,
            hour: 0,
            port: 443,
            protocol: 6,
            sides: Sides::new(Bearing::Open, crate::aggregate::table::Role::Unknown),
        }
    }

    /// As [`Open`], by a table of all addresses.
    fn slowly(flows: &[(u32, u32, u64)]) -> BTreeSet<Addr> {
        let mut seen: BTreeMap<Addr, u64> = BTreeMap::new();
        let total: u64 = flows.iter().map(|f| f.2).sum();
        for (local, peer, records) in flows {
            *seen.entry(Addr::v4(*local)).or_default() += records;
            *seen.entry(Addr::v4(*peer)).or_default() += records;
        }
        let own = |n: u64| n >= OWN_RECORDS && n * OWN_SHARE.1 >= total * OWN_SHARE.0;
        seen.into_iter().filter(|(_, n)| own(*n)).map(|(a, _)| a).collect()
    }

    fn quickly(flows: &[(u32, u32, u64)], parts: usize) -> BTreeSet<Addr> {
        let (mut open, mut counted) = (Open::default(), Counted::default());
        for part in flows.chunks(parts) {
            let mut of_part = Open::default();
            part.iter().for_each(|f| of_part.note(&key(f.0, f.1), f.2));
            open.join(&of_part);
        }
        flows.iter().for_each(|f| open.count(&key(f.0, f.1), f.2, &mut counted));
        open.own(&counted).collect()
    }

    proptest! {
        #[test]
        fn few_candidates_tell_as_much_as_all_addresses(
            others in prop::collection::vec((0u32..6, 0u32..6, 1u64..4), 0..6),
            mine in prop::collection::vec((1u32..300, 1u64..9, any::<bool>()), 0..200),
            one_peer in any::<bool>(),
            parts in 1usize..80,
        ) {
            let flows: Vec<(u32, u32, u64)> = mine
                .into_iter()
                .map(|(peer, records, turned)| {
                    let peer = if one_peer { 7 } else { peer };
                    if turned { (peer, 5, records) } else { (5, peer, records) }
                })
                .chain(others)
                .collect();
            prop_assert_eq!(quickly(&flows, parts), slowly(&flows));
        }
    }
}
