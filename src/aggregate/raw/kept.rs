//! Raw cells in memory, in the order of their keys.
//!
//! Nearly all are lean: one cache line each. They go to bins by interface, each small enough to be sorted while it is in the
//! cache; sorted are numbers that decide as the keys do, and then the cells are put into that order, so that they are read
//! in a row. What is not lean (IPv6, packet addresses of their own, odd times) is sorted beside them in the same way.

use crate::aggregate::cells::{Lean, LeanKey};
use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::raw::{RawEntry, RawKey};
use crate::error::Result;
use crate::net::Addr;
use rayon::prelude::*;

/// Cells by interface.
#[derive(Debug, Default)]
pub(super) struct Kept {
    interfaces: usize,
    bins: Vec<Bin>,
    lean: u64,
    wide: u64,
}

#[derive(Debug, Default)]
struct Bin {
    lean: Vec<Lean>,
    wide: Vec<RawEntry>,
}

/// How many bins; an interface has one of them.
const BINS: usize = 256;

impl Kept {
    /// For cells of so many interfaces.
    pub(super) fn new(interfaces: usize) -> Self {
        Kept {
            interfaces: interfaces.max(1),
            bins: (0..BINS).map(|_| Bin::default()).collect(),
            ..Kept::default()
        }
    }

    /// The same with room for the lean cells whose interfaces `each` shows.
    pub(super) fn with_room(interfaces: usize, each: impl FnOnce(&mut dyn FnMut(u32))) -> Self {
        let mut kept = Kept::new(interfaces);
        let mut cells = [0; BINS];
        each(&mut |interface| cells[kept.number(interface)] += 1);
        for (bin, cells) in kept.bins.iter_mut().zip(cells) {
            bin.lean.reserve_exact(cells);
        }
        kept
    }

    fn number(&self, interface: u32) -> usize {
        (interface as usize * BINS / self.interfaces.max(1)).min(BINS - 1)
    }

    /// Takes a cell whose key was not taken before.
    #[inline]
    pub(super) fn push(&mut self, entry: RawEntry) {
        if self.bins.is_empty() {
            *self = Kept::new(1);
        }
        let number = self.number(entry.0.interface);
        let Some(bin) = self.bins.get_mut(number) else { return };
        match lean(&entry) {
            Some(lean) => {
                bin.lean.push(lean);
                self.lean += 1;
            }
            None => {
                bin.wide.push(entry);
                self.wide += 1;
            }
        }
    }

    /// True if there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.lean + self.wide == 0
    }

    /// Bytes that they take until they are sorted, with what is reserved ahead.
    pub(super) fn takes(&self) -> u64 {
        2 * (self.lean * size_of::<Lean>() as u64 + self.wide * (size_of::<RawEntry>() as u64 + 32))
    }

    /// Puts them in order.
    pub(super) fn sort(&mut self) {
        self.bins.par_iter_mut().for_each(Bin::sort);
    }

    /// All of them, in order once they are [sorted](Kept::sort).
    pub(super) fn iter(&self) -> impl Iterator<Item = RawEntry> + '_ {
        self.bins.iter().flat_map(|bin| InOrder {
            lean: &bin.lean,
            wide: &bin.wide,
        })
    }

    /// Shows all of them in the same order, until `show` fails.
    pub(super) fn each(&self, show: &mut impl FnMut(&RawKey, &Cell) -> Result<()>) -> Result<()> {
        for bin in &self.bins {
            if bin.wide.is_empty() {
                for lean in &bin.lean {
                    let (key, cell) = entry(lean);
                    show(&key, &cell)?;
                }
            } else {
                let (lean, wide) = (bin.lean.as_slice(), bin.wide.as_slice());
                InOrder { lean, wide }.try_for_each(|(key, cell)| show(&key, &cell))?;
            }
        }
        Ok(())
    }

    /// Forgets them, and keeps the room.
    pub(super) fn clear(&mut self) {
        (self.lean, self.wide) = (0, 0);
        for bin in &mut self.bins {
            bin.lean.clear();
            bin.wide.clear();
        }
    }
}

#[inline]
fn lean((key, cell): &RawEntry) -> Option<Lean> {
    match key.packet {
        None => Lean::of(LeanKey::of(&key.flow())?, cell),
        Some(_) => None,
    }
}

#[inline]
fn entry(lean: &Lean) -> RawEntry {
    (RawKey::of_flow(&lean.key.key(), None), lean.cell())
}

impl Bin {
    fn sort(&mut self) {
        let places = self.lean.iter().zip(0..).map(|(lean, n)| place(&lean.key.key(), n));
        let mut places: Vec<Place> = places.collect();
        places.par_sort_unstable();
        let lean = |p: &Place| self.lean.get(p.cell as usize).copied();
        self.lean = places.iter().filter_map(lean).collect();
        if !self.wide.is_empty() {
            let wide = |n: u32| self.wide.get(n as usize).copied();
            self.wide = order(&self.wide).into_iter().filter_map(wide).collect();
        }
    }
}

/// What decides where a lean cell stands as its key does, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u128,
    rest: u64,
    cell: u32,
}

fn place(key: &FlowKey, cell: u32) -> Place {
    // The only address beside IPv4 that a lean key has is `::`, before all others.
    let src = key.local.as_v4().map_or(0, |n| u128::from(n) + 1);
    let dst = u128::from(key.peer.as_v4().unwrap_or(0));
    let service = u128::from(key.sides.bits()) << 24 | u128::from(key.protocol) << 16 | u128::from(key.port);
    Place {
        rank: u128::from(key.interface) << 95 | src << 62 | dst << 30 | service,
        rest: u64::from(key.other_port) << 48 | u64::from(key.log) << 32 | u64::from(key.hour),
        cell,
    }
}

/// Two sorted rows as one.
struct InOrder<'b> {
    lean: &'b [Lean],
    wide: &'b [RawEntry],
}

impl Iterator for InOrder<'_> {
    type Item = RawEntry;

    #[inline]
    fn next(&mut self) -> Option<RawEntry> {
        let Some((wide, rest)) = self.wide.split_first() else {
            let (lean, rest) = self.lean.split_first()?;
            self.lean = rest;
            return Some(entry(lean));
        };
        if let Some((lean, rest)) = self.lean.split_first() {
            let lean = entry(lean);
            if lean.0 < wide.0 {
                self.lean = rest;
                return Some(lean);
            }
        }
        self.wide = rest;
        Some(*wide)
    }
}

/// The places of wide cells in the order of their keys. They are large, so numbers are sorted that decide most comparisons.
fn order(cells: &[RawEntry]) -> Vec<u32> {
    let key = |n: u32| cells.get(n as usize).map(|(key, _)| key);
    let mut order: Vec<(u128, u32)> = cells.iter().zip(0u32..).map(|((key, _), n)| (rank(key), n)).collect();
    order.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))));
    order.into_iter().map(|(_, n)| n).collect()
}

/// A number that rises with the key; of IPv4 keys without packet addresses it leaves hardly anything open.
pub(super) fn rank(key: &RawKey) -> u128 {
    let mut rank = u128::from(key.interface) << 96;
    let (src, exact) = squeezed(key.src);
    rank |= src << 63;
    if !exact {
        return rank;
    }
    let (dst, exact) = squeezed(key.dst);
    rank |= dst << 30;
    if !exact || key.packet.is_some() {
        return rank | u128::from(exact) << 29;
    }
    rank | u128::from(key.sides.bits()) << 21 | u128::from(key.protocol) << 13 | u128::from(key.port >> 3)
}

/// An address in 33 bits, in their order; false if others have the same.
fn squeezed(a: Addr) -> (u128, bool) {
    match a.as_v4() {
        Some(v4) => (u128::from(v4) + 1, true),
        None if a < Addr::v4(0) => (0, false),
        None => ((1 << 32) + 1, false),
    }
}
