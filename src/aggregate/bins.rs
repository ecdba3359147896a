//! Cells in the order of the table, without a second copy of them all.
//!
//! Cells come in the order of a hash. They are put into bins by interface, each small enough to be sorted while it is in the
//! cache; sorted are numbers of cells. Cells that share a key (an open flow that turned out to be a known one, peers that are
//! told by class alone) become one. A bin holds lean cells of one cache line, and wide ones for what does not fit. Bins that
//! become rows together share their memory, so that it is given back before the next become rows.

use crate::aggregate::cells::{Lean, LeanKey, LeanList, LeanMemory, ask_for_large_pages};
use crate::aggregate::counter::Places;
use crate::aggregate::key::{Cell, FlowKey, peer_as_class};
use crate::aggregate::table::{Direction, Peer, Row, order};
use crate::net::Addr;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::cmp::Ordering;

const BINS: usize = 256;

/// Memory for the lean cells of all threads.
#[derive(Debug)]
pub(super) struct Room(Vec<LeanMemory>);

impl Room {
    /// For so many cells.
    pub(super) fn new(cells: usize) -> Self {
        let memory = |_| match cells < LARGE {
            true => LeanMemory::small(),
            false => LeanMemory::default(),
        };
        Room((0..BINS / STEP).map(memory).collect())
    }
}

/// So many cells are worth large pages for each step of bins.
const LARGE: usize = 1 << 20;

/// Cells of a table to be, as one thread met them.
#[derive(Debug)]
pub(super) struct Bins {
    interfaces: usize,
    bins: Vec<Bin>,
    peers: Peers,
}

/// Far ends, numbered as they were met.
#[derive(Debug, Default)]
struct Peers {
    /// Nearly all of them: small entries, so that many are in the cache.
    v4: HashMap<u32, u32, RandomState>,
    /// The others, and whether they are classes.
    others: HashMap<(Addr, bool), u32, RandomState>,
}

impl Peers {
    fn len(&self) -> usize {
        self.v4.len() + self.others.len()
    }

    #[inline]
    fn number(&mut self, addr: Addr, classed: bool) -> u32 {
        let next = self.len() as u32;
        match addr.as_v4().filter(|_| !classed) {
            Some(v4) => *self.v4.entry(v4).or_insert(next),
            None => *self.others.entry((addr, classed)).or_insert(next),
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = ((Addr, bool), u32)> {
        let v4 = self.v4.drain().map(|(v4, n)| ((Addr::v4(v4), false), n));
        v4.chain(self.others.drain())
    }
}

#[derive(Debug)]
struct Bin {
    /// As each thread met them.
    lean: Vec<LeanList>,
    wide: Vec<(FlowKey, Cell)>,
    /// Numbers of the peers of lean and of wide cells: as they were met, and at last their places among all.
    peers: [Vec<u32>; 2],
}

/// Where a row stands, and which cell makes it: a lean one, or beyond those a wide one.
#[derive(Debug, Clone, Copy)]
struct Place {
    order: u128,
    rest: Rest,
    cell: u32,
}

/// The order of rows of one interface, hour, peer and direction: local address, protocol, port, role (as `Row::rest`).
///
/// IPv4 fits a word as a whole. Other addresses are cut, in the same order; what was cut is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rest(u64);

impl Rest {
    const V4: u64 = 1 << 62;
    const BEYOND: u64 = 1 << 63;

    fn of(key: &FlowKey) -> Self {
        let service = u64::from(key.protocol) << 18 | u64::from(key.port) << 2 | key.sides.role() as u64;
        Rest(match key.local.as_v4() {
            Some(local) => Rest::V4 | u64::from(local) << 26 | service,
            None if key.local < Addr::v4(0) => 0,
            None => Rest::BEYOND | (key.local.0 >> 65) as u64,
        })
    }

    /// True if nothing was cut.
    fn is_whole(self) -> bool {
        self.0 & Rest::V4 != 0 && self.0 & Rest::BEYOND == 0
    }
}

impl Bins {
    /// For cells of so many interfaces.
    pub(super) fn new(interfaces: usize, room: &Room) -> Self {
        Bins {
            interfaces: interfaces.max(1),
            bins: (0..BINS).map(|n| Bin::new(&room.0[n / STEP])).collect(),
            peers: Peers::default(),
        }
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.bins.iter().map(Bin::len).sum()
    }

    fn number(&self, interface: u32) -> usize {
        (interface as usize * BINS / self.interfaces).min(BINS - 1)
    }

    /// Adds a cell whose direction is known.
    pub(super) fn put(&mut self, key: &FlowKey, cell: &Cell) {
        let peer = self.peers.number(key.peer, key.sides.is_classed());
        let number = self.number(key.interface);
        let bin = &mut self.bins[number];
        match LeanKey::of(key).and_then(|key| Lean::of(key, cell)) {
            Some(lean) => {
                bin.lean[0].push(lean);
                bin.peers[0].push(peer);
            }
            None => {
                bin.wide.push((*key, *cell));
                bin.peers[1].push(peer);
            }
        }
    }
}

/// The peers, sorted by address, and the rows, sorted; `row` makes one of a key, its sums and the number of its peer.
pub(super) fn into_table<P: Places>(
    mut all: Vec<Bins>,
    places: &P,
    row: impl Fn(&FlowKey, &Cell, u32) -> Row + Sync,
) -> (Vec<Peer>, Vec<Row>) {
    let (peers, numbers) = number_peers(&mut all, places);
    let mut rows = Vec::with_capacity(all.iter().map(Bins::len).sum());
    ask_for_large_pages(&mut rows);
    // Some bins at a time: what became rows is given back before the next are sorted.
    for from in (0..BINS).step_by(STEP) {
        let step: Vec<Vec<Bin>> = (from..from + STEP).map(|n| taken(&mut all, n)).collect();
        let of_bin = |parts: Vec<Bin>| {
            let mut bin = joined(parts, &numbers);
            let sorted = bin.sorted();
            (bin, sorted)
        };
        let sorted: Vec<(Bin, Vec<Place>)> = step.into_par_iter().map(of_bin).collect();
        for (bin, sorted) in sorted {
            rows.par_extend(sorted.par_iter().map(|place| {
                let (key, cell) = bin.cell(place.cell);
                row(&key, &cell, (place.order >> 32) as u32)
            }));
        }
    }
    (peers, rows)
}

/// Bins that become rows at a time.
const STEP: usize = BINS / 16;

/// The peers, sorted, and for each, as every thread met it, its place among them.
fn number_peers<P: Places>(all: &mut [Bins], places: &P) -> (Vec<Peer>, Vec<Vec<u32>>) {
    let mut numbers: Vec<Vec<u32>> = all.iter().map(|bins| vec![0; bins.peers.len()]).collect();
    let mut sorted: Vec<Met> = Vec::new();
    for (thread, bins) in all.iter_mut().enumerate() {
        sorted.extend(bins.peers.drain().map(|(peer, met)| (peer, (thread, met))));
    }
    sorted.par_sort_unstable();
    let mut peers: Vec<(Addr, bool)> = Vec::with_capacity(sorted.len());
    for (peer, (thread, met)) in sorted {
        if peers.last() != Some(&peer) {
            peers.push(peer);
        }
        numbers[thread][met as usize] = peers.len() as u32 - 1;
    }
    let peer = |(addr, classed): &(Addr, bool)| match classed {
        true => Peer::of_class(*addr, peer_as_class(*addr)),
        false => places.peer(*addr),
    };
    (peers.par_iter().map(peer).collect(), numbers)
}

/// A far end, and which thread met it as its how manieth.
type Met = ((Addr, bool), (usize, u32));

/// The same bin of every thread.
fn taken(all: &mut [Bins], number: usize) -> Vec<Bin> {
    let bins = all.iter_mut().map(|bins| bins.bins[number].take());
    bins.collect()
}

/// One of all, with the final numbers of their peers.
fn joined(parts: Vec<Bin>, numbers: &[Vec<u32>]) -> Bin {
    let lean = parts.iter().map(Bin::lean).sum();
    let mut all = Bin::empty();
    all.peers[0].reserve_exact(lean);
    for (mut part, numbers) in parts.into_iter().zip(numbers) {
        all.lean.append(&mut part.lean);
        all.wide.append(&mut part.wide);
        for (all, met) in all.peers.iter_mut().zip(part.peers) {
            all.extend(met.into_iter().map(|met| numbers[met as usize]));
        }
    }
    all
}

impl Bin {
    /// For one thread.
    fn new(memory: &LeanMemory) -> Self {
        Bin {
            lean: vec![LeanList::new(memory.clone())],
            ..Bin::empty()
        }
    }

    /// Without a list of lean cells.
    fn empty() -> Self {
        Bin {
            lean: Vec::new(),
            wide: Vec::new(),
            peers: Default::default(),
        }
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Bin::empty())
    }

    /// How many lean cells there are.
    fn lean(&self) -> usize {
        self.lean.iter().map(LeanList::len).sum()
    }

    fn len(&self) -> usize {
        self.lean() + self.wide.len()
    }

    /// The list and the place there of a lean cell, or the place of a wide one.
    #[inline]
    fn at(&self, cell: u32) -> Result<(usize, usize), usize> {
        let mut left = cell as usize;
        for (n, list) in self.lean.iter().enumerate() {
            match left.checked_sub(list.len()) {
                None => return Ok((n, left)),
                Some(beyond) => left = beyond,
            }
        }
        Err(left)
    }

    fn cell(&self, at: u32) -> (FlowKey, Cell) {
        match self.at(at) {
            Ok((list, n)) => {
                let lean: &Lean = &self.lean[list][n];
                (lean.key.key(), lean.cell())
            }
            Err(n) => self.wide[n],
        }
    }

    /// The order of the rows; cells that share a key have become one.
    fn sorted(&mut self) -> Vec<Place> {
        let lean = self.lean.iter().flat_map(LeanList::iter).map(|lean| lean.key.key());
        let keys = lean.chain(self.wide.iter().map(|(key, _)| *key));
        let peers = std::mem::take(&mut self.peers);
        let peers = peers.iter().flatten().copied();
        let place = |((key, peer), cell): ((FlowKey, u32), u32)| Place {
            order: order(key.interface, key.hour, peer, direction(&key)),
            rest: Rest::of(&key),
            cell,
        };
        let mut sorted: Vec<Place> = keys.zip(peers).zip(0..).map(place).collect();
        sorted.par_sort_unstable_by(|a, b| self.compare(a, b));
        sorted.dedup_by(|b, a| {
            let same = self.compare(a, b).is_eq();
            if same {
                a.cell = self.merge(a.cell, b.cell);
            }
            same
        });
        sorted
    }

    fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let by_order = a.order.cmp(&b.order).then(a.rest.cmp(&b.rest));
        match by_order {
            Ordering::Equal if !a.rest.is_whole() => self.rest(a.cell).cmp(&self.rest(b.cell)),
            told => told,
        }
    }

    /// What [`Rest`] cut.
    fn rest(&self, at: u32) -> impl Ord + use<> {
        let (key, _) = self.cell(at);
        (key.local, key.protocol, key.port, key.sides.role())
    }

    /// Adds the second cell to the first; tells where the sums stand.
    fn merge(&mut self, into: u32, from: u32) -> u32 {
        let (at, more) = (self.at(into), self.at(from));
        if let (Ok((list, n)), Ok((of, m))) = (at, more) {
            let more = self.lean[of][m];
            if self.lean[list][n].merge(&more) {
                return into;
            }
        }
        let (_, more) = self.cell(from);
        if let Err(n) = at {
            self.wide[n].1.add(&more);
            return into;
        }
        let (key, mut sums) = self.cell(into);
        sums.add(&more);
        self.wide.push((key, sums));
        (self.len() - 1) as u32
    }
}

fn direction(key: &FlowKey) -> Direction {
    key.sides.direction().unwrap_or(Direction::Egress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::{Bearing, Sides, class_as_peer};
    use crate::aggregate::table::{Role, Sample, Volume};
    use crate::net::Class;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct AllExternal;

    impl Places for AllExternal {
        fn class(&self, _: Addr) -> Class {
            Class::External
        }

        fn peer(&self, addr: Addr) -> Peer {
            Peer::of_class(addr, Class::External)
        }
    }

    fn key((interface, hour, local, peer, port, role): (u32, u32, u8, u8, u16, u8)) -> FlowKey {
        let role = [Role::Client, Role::Server, Role::Unknown][usize::from(role)];
        let address = |n: u8| match n {
            0 => Addr::default(),
            1..4 => Addr::v4(0x0a00_0000 + u32::from(n)),
            _ => Addr(0x2001_0db8 << 96 | u128::from(n) << 60),
        };
        let direction = if port % 2 == 0 {
            Direction::Egress
        } else {
            Direction::Ingress
        };
        let classed = peer == 0;
        FlowKey {
            local: address(local),
            peer: if classed {
                class_as_peer(Class::S3)
            } else {
                address(peer)
            },
            interface,
            log: 0,
            other_port: 0,
            hour,
            port,
            protocol: 6,
            sides: Sides::new(Bearing::Known(direction), role).classed(classed),
        }
    }

    type Told = (u32, u32, Addr, Direction, Addr, u16, Role, u128);

    fn quickly(cells: &[(FlowKey, Cell)]) -> Vec<Told> {
        let room = Room::new(cells.len());
        let of_thread = |cells: &[(FlowKey, Cell)]| {
            let mut bins = Bins::new(7, &room);
            cells.iter().for_each(|(key, cell)| bins.put(key, cell));
            bins
        };
        let all = cells.chunks(70).map(of_thread).collect();
        let (peers, rows) = into_table(all, &AllExternal, |key, cell, peer| Row {
            interface: key.interface,
            peer,
            hour: key.hour.into(),
            local: key.local,
            port: key.port,
            protocol: key.protocol,
            direction: direction(key),
            role: key.sides.role(),
            volume: Volume {
                bytes: cell.bytes,
                ..Volume::EMPTY
            },
            sample: Sample::default(),
        });
        assert!(peers.is_sorted_by_key(|p| p.addr));
        let told = |r: &Row| {
            let peer = peers[r.peer as usize].addr;
            let hour = r.hour as u32;
            (
                r.interface,
                hour,
                peer,
                r.direction,
                r.local,
                r.port,
                r.role,
                r.volume.bytes,
            )
        };
        rows.iter().map(told).collect()
    }

    fn slowly(cells: &[(FlowKey, Cell)]) -> Vec<Told> {
        let mut sums = BTreeMap::new();
        for (k, cell) in cells {
            let key = (
                k.interface,
                k.hour,
                k.peer,
                direction(k),
                k.local,
                k.port,
                k.sides.role(),
            );
            *sums.entry(key).or_insert(0u128) += cell.bytes;
        }
        let told = |((i, h, p, d, l, port, r), bytes)| (i, h, p, d, l, port, r, bytes);
        sums.into_iter().map(told).collect()
    }

    proptest! {
        #[test]
        fn rows_come_in_order_and_each_key_once(
            cells in prop::collection::vec(
                ((0u32..7, 0u32..3, 0u8..7, 0u8..7, 0u16..3, 0u8..3), prop_oneof![1u128..100, Just(u128::from(u64::MAX))]),
                0..200,
            ),
        ) {
            let cell = |bytes| Cell { bytes, packets: 1, flows: 1, first: 5, last: 9, sample: (0, 1) };
            let cells: Vec<(FlowKey, Cell)> = cells.into_iter().map(|(k, bytes)| (key(k), cell(bytes))).collect();
            prop_assert_eq!(quickly(&cells), slowly(&cells));
        }
    }
}
