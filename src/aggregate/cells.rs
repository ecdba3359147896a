//! The sums of all workers: one table in many parts, shared, and no merge at the end.
//!
//! Nearly all keys are IPv4 with usual numbers, and fit three words: a [`LeanKey`]. The others (IPv6) have a table of the same
//! kind beside it. Workers put additions into small boxes, one for each part; a full box is emptied into its part under the
//! part's lock, while that part is in the cache. Sums are commutative, so who comes first changes nothing.
//!
//! A part is an index of tagged numbers into dense cells; under a bound, one that is full goes to disk.
//! Parts and places come from a hash that is keyed at random: whoever chooses addresses cannot choose collisions.

mod dense;
mod lean;
mod part;
mod parts;
mod slab;
mod sums;

pub use lean::LeanKey;
pub(in crate::aggregate) use slab::ask_for_large_pages;
pub use sums::SumBox;

/// A list of lean cells.
pub(in crate::aggregate) type LeanList = dense::Dense<LeanKey>;
/// Where its memory comes from.
pub(in crate::aggregate) type LeanMemory = dense::Memory<LeanKey>;

use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::parted::Parted;
use crate::aggregate::spill::Spool;
use crate::flow::ask_for;
pub(in crate::aggregate) use lean::Lean;
use lean::{CellKey, Item};
use parts::{PARTS, Parts, part_of};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Additions that wait for a part; 256 KiB of them a worker.
const BOX: usize = 32;

/// Additions that wait for their box, while it is asked for.
const FRESH: usize = 16;

/// Sums that are counted, and not kept one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// How many.
    pub groups: u64,
    /// Their bytes.
    pub bytes: u128,
}

impl Rest {
    /// Both.
    #[must_use]
    pub fn and(self, other: Rest) -> Rest {
        Rest {
            groups: self.groups + other.groups,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// The largest numbers of some.
#[derive(Debug, Default)]
struct Largest(BinaryHeap<Reverse<u128>>);

impl Largest {
    #[inline]
    fn add(&mut self, bytes: u128, limit: usize) {
        if self.0.len() < limit {
            self.0.push(Reverse(bytes));
        } else if self.0.peek().is_some_and(|least| least.0 < bytes) {
            self.0.pop();
            self.0.push(Reverse(bytes));
        }
    }

    fn and(mut self, other: Largest, limit: usize) -> Largest {
        other.0.into_iter().for_each(|Reverse(bytes)| self.add(bytes, limit));
        self
    }

    fn least(&self) -> u128 {
        self.0.peek().map_or(0, |least| least.0)
    }
}

/// Something of lean cells, and of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Of lean cells: IPv4 alone, or no address.
    pub lean: bool,
    /// Of the others.
    pub full: bool,
}

impl Kinds {
    /// Of both.
    pub const BOTH: Kinds = Kinds { lean: true, full: true };

    /// Of those that this key may yet share a group with: of two families, it has to do with either.
    #[inline]
    pub fn of(key: &FlowKey) -> Kinds {
        Kinds {
            lean: key.local.as_v4().is_some() || key.peer.as_v4().is_some() || LeanKey::of(key).is_some(),
            full: LeanKey::of(key).is_none(),
        }
    }

    /// The other kinds.
    #[must_use]
    pub fn others(self) -> Kinds {
        Kinds {
            lean: !self.lean,
            full: !self.full,
        }
    }

    /// True if it is so of neither.
    pub fn is_none(self) -> bool {
        !self.lean && !self.full
    }
}

impl std::ops::BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Kinds) {
        self.lean |= other.lean;
        self.full |= other.full;
    }
}

/// The shared table.
#[derive(Debug, Default)]
pub struct Cells {
    lean: Parts<LeanKey>,
    /// Of keys that are not lean.
    full: Parts<FlowKey>,
}

impl Cells {
    /// A table of at most so many bytes; what does not fit is written to `spool`.
    pub(in crate::aggregate) fn spilling(bytes: u64, spool: &Arc<Spool>) -> Self {
        Cells {
            lean: Parts::spilling(bytes / 4 * 3, spool.clone()),
            full: Parts::spilling(bytes / 4, spool.clone()),
        }
    }

    /// A table of about so many cells of either kind; it [is full](Cells::is_full) once there are more.
    pub(in crate::aggregate) fn at_most(cells: u64) -> Self {
        Cells {
            lean: Parts::at_most(cells),
            full: Parts::at_most(cells),
        }
    }

    /// True if more was counted than there was room for: some of it is forgotten, and the run cannot go on.
    pub(in crate::aggregate) fn is_full(&self) -> bool {
        self.lean.is_full() || self.full.is_full()
    }

    /// Writes out what is in memory, and gives the memory back.
    pub(in crate::aggregate) fn write_out(&self) {
        self.lean.write_out();
        self.full.write_out();
    }

    /// Forgets everything: the run begins again.
    pub fn clear(&self) {
        self.lean.clear();
        self.full.clear();
    }

    /// Hands out every key of these kinds once with its sums, part by part, and gives the memory back as it goes.
    pub fn drain(&self, kinds: Kinds, mut each: impl FnMut(FlowKey, Cell)) {
        let lean = if kinds.lean { 0..PARTS } else { 0..0 };
        let full = if kinds.full { PARTS..2 * PARTS } else { 0..0 };
        lean.chain(full).for_each(|part| self.drain_part(part, &mut each));
    }

    /// The same of one part; those of lean keys come first.
    pub(in crate::aggregate) fn drain_part(&self, part: usize, each: &mut impl FnMut(FlowKey, Cell)) {
        match part.checked_sub(PARTS) {
            None => self.lean.drain(part, each),
            Some(part) => self.full.drain(part, each),
        }
    }

    /// Ends counting: each key has one place from here on.
    pub(in crate::aggregate) fn seal(&self) {
        self.lean.seal();
        self.full.seal();
    }

    /// Keeps, of the sums of either of these kinds that `keeps` (bytes, packets, records) lets through, the `limit` largest and
    /// all that are as large as the smallest of those. Returns how many others `keeps` let through, and their bytes.
    /// After `seal`.
    pub fn keep_largest(
        &self,
        limit: usize,
        kinds: Kinds,
        keeps: impl Fn(u128, u128, u64) -> bool + Copy + Sync,
    ) -> Rest {
        let of_lean = kinds.lean.then(|| self.lean.keep_largest(limit, keeps));
        let of_full = kinds.full.then(|| self.full.keep_largest(limit, keeps));
        of_lean.unwrap_or_default().and(of_full.unwrap_or_default())
    }

    /// Number of keys; one whose sums outgrew its cell counts twice.
    pub fn len(&self) -> usize {
        self.lean.len() + self.full.len()
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// After `seal`; those of lean keys come first.
impl Parted for Cells {
    fn parts(&self) -> usize {
        2 * PARTS
    }

    fn show(&self, part: usize, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        match part.checked_sub(PARTS) {
            None => self.lean.show(part, each),
            Some(part) => self.full.show(part, each),
        }
    }
}

/// One worker's boxes.
#[derive(Debug, Default)]
pub struct Outbox {
    lean: Boxes<LeanKey>,
    full: Boxes<FlowKey>,
}

#[derive(Debug)]
struct Boxes<K> {
    boxes: Vec<Vec<Item<K>>>,
    fresh: Vec<Item<K>>,
}

impl Outbox {
    /// Adds a record to the sums of `key`. Inlined, so that neither goes through memory.
    #[inline(always)]
    pub fn add(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) {
        match LeanKey::of(key) {
            Some(key) => self.lean.add(&to.lean, key, cell),
            None => self.add_full(to, key, cell),
        }
    }

    #[inline(never)]
    fn add_full(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) {
        self.full.add(&to.full, *key, cell);
    }

    /// Adds what still waits.
    pub fn flush(&mut self, to: &Cells) {
        self.lean.flush(&to.lean);
        self.full.flush(&to.full);
    }
}

impl<K> Default for Boxes<K> {
    fn default() -> Self {
        Boxes {
            boxes: Vec::new(),
            fresh: Vec::new(),
        }
    }
}

impl<K: CellKey> Boxes<K> {
    #[inline(always)]
    fn add(&mut self, to: &Parts<K>, key: K, cell: &Cell) {
        match Item::of(key, cell, |key| to.hash(key)) {
            Some(item) => self.put(to, item),
            None => to.add_sum(key, cell),
        }
    }

    /// Inlined, so that the record is written where it belongs, once.
    #[inline(always)]
    fn put(&mut self, to: &Parts<K>, item: Item<K>) {
        if self.fresh.len() == self.fresh.capacity() {
            self.share_out(to);
        }
        if let Some(items) = self.boxes.get(part_of(item.hash)) {
            ask_for(items.as_ptr().wrapping_add(items.len()));
        }
        self.fresh.push(item);
    }

    /// Puts what waits into boxes: written there at once, each would be waited for.
    #[inline(never)]
    fn share_out(&mut self, to: &Parts<K>) {
        if self.boxes.is_empty() {
            self.boxes = (0..PARTS).map(|_| Vec::with_capacity(BOX)).collect();
            self.fresh.reserve_exact(FRESH);
        }
        for item in self.fresh.drain(..) {
            let number = part_of(item.hash);
            let items = &mut self.boxes[number];
            items.push(item);
            if items.len() == BOX {
                to.empty(items, number);
            }
        }
    }

    fn flush(&mut self, to: &Parts<K>) {
        if !self.fresh.is_empty() {
            self.share_out(to);
        }
        for (number, items) in self.boxes.iter_mut().enumerate() {
            to.empty(items, number);
        }
    }
}
