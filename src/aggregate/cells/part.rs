//! One part of the shared table: an index of tagged numbers into dense cells, and what was written out of it.

use super::Rest;
use super::dense::{Dense, Memory};
use super::lean::{CellKey, Item, Lean};
use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::spill::{Extent, Packed, Spool, pack_cell, unpack_cell};
use crate::flow::ask_for;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::hash::BuildHasher;

const TAG_SHIFT: u32 = 24;
const NUMBER: u32 = (1 << TAG_SHIFT) - 1;

#[derive(Debug, Default)]
struct Written {
    lean: Vec<Extent>,
    wide: Vec<Extent>,
}

#[derive(Debug)]
pub(super) struct Part<K> {
    /// Tag and number + 1 of a cell, 0 where there is none; the length is a power of two.
    slots: Vec<u32>,
    pub(super) cells: Dense<K>,
    /// Sums that outgrew a cell, and odd times.
    pub(super) wide: HashMap<FlowKey, Cell, RandomState>,
    /// Lean and wide cells that were written out.
    written: Written,
}

impl<K: CellKey> Part<K> {
    /// An empty part.
    pub(super) fn new(memory: Memory<K>) -> Self {
        Part {
            slots: Vec::new(),
            cells: Dense::new(memory),
            wide: HashMap::default(),
            written: Written::default(),
        }
    }

    /// All of it; an empty part stays.
    pub(super) fn take(&mut self) -> Self {
        Part {
            slots: std::mem::take(&mut self.slots),
            cells: self.cells.take(),
            wide: std::mem::take(&mut self.wide),
            written: std::mem::take(&mut self.written),
        }
    }

    /// Bytes of memory that a cell takes: its lines, and its share of the index.
    pub(super) const TAKES: u64 = size_of::<Lean<K>>() as u64 + 10;

    #[inline]
    pub(super) fn add(&mut self, item: &Item<K>, hash: &RandomState) {
        match self.find(item.key, item.hash, hash) {
            Ok(number) if self.cells[number].add(item) => {}
            Ok(_) => self.add_wide(item.key, &item.lean().cell()),
            Err(at) => self.insert(at, item.hash, item.lean()),
        }
    }

    /// Asks for the cells that records will be added to, all at once: one after the other, each would be waited for. Nothing
    /// here depends on what a slot holds, since a processor that guesses wrong forgets what it asked for in advance.
    #[inline]
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u64> + Clone) {
        let (Some(mask), Some(last)) = (self.slots.len().checked_sub(1), self.cells.len().checked_sub(1)) else {
            return;
        };
        for hash in hashes.clone() {
            ask_for(&raw const self.slots[hash as usize & mask]);
        }
        for hash in hashes {
            let slot = self.slots[hash as usize & mask];
            // Of an empty slot the last cell: behind it, the new one will stand.
            let number = ((slot & NUMBER) as usize).wrapping_sub(1).min(last);
            ask_for(&raw const self.cells[number]);
        }
    }

    /// Adds the sums of several records.
    pub(super) fn add_sum(&mut self, key: K, cell: &Cell, (h, hash): (u64, &RandomState)) {
        match Lean::of(key, cell) {
            Some(lean) => self.merge(lean, h, hash),
            None => self.add_wide(key, cell),
        }
    }

    #[inline]
    pub(super) fn merge(&mut self, lean: Lean<K>, h: u64, hash: &RandomState) {
        match self.find(lean.key, h, hash) {
            Ok(number) if self.cells[number].merge(&lean) => {}
            Ok(_) => self.add_wide(lean.key, &lean.cell()),
            Err(at) => self.insert(at, h, lean),
        }
    }

    /// The number of a key's cell, or the place of its slot.
    #[inline(always)]
    fn find(&mut self, key: K, h: u64, hash: &RandomState) -> Result<usize, usize> {
        if (self.cells.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow(hash);
        }
        let mask = self.slots.len() - 1;
        let tag = tag(h);
        let mut at = h as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            let number = (slot & NUMBER) as usize - 1;
            if slot >> TAG_SHIFT == tag && self.cells[number].key == key {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Inlined, so that the cell is written where it belongs, once.
    #[inline(always)]
    fn insert(&mut self, at: usize, h: u64, lean: Lean<K>) {
        let number = self.cells.len() as u32 + 1;
        if number > NUMBER {
            return self.add_wide(lean.key, &lean.cell());
        }
        self.cells.push(lean);
        self.slots[at] = tag(h) << TAG_SHIFT | number;
    }

    #[cold]
    fn add_wide(&mut self, key: K, cell: &Cell) {
        self.wide.entry(key.flow()).and_modify(|c| c.add(cell)).or_insert(*cell);
    }

    #[cold]
    fn grow(&mut self, hash: &RandomState) {
        let size = (self.slots.len() * 2).max(32);
        self.slots.clear();
        self.slots.resize(size, 0);
        for (cell, number) in self.cells.iter().zip(1u32..) {
            let h = hash.hash_one(cell.key);
            let mut at = h as usize & (size - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = tag(h) << TAG_SHIFT | number;
        }
    }

    /// Cells in memory.
    pub(super) fn len(&self) -> usize {
        // A wide cell takes as much as three lean ones.
        self.cells.len() + self.wide.len() * 3
    }

    /// True if something was written out.
    pub(super) fn is_written(&self) -> bool {
        !self.written.lean.is_empty() || !self.written.wide.is_empty()
    }

    /// Writes out all cells, and begins anew in the same memory.
    pub(super) fn write(&mut self, spool: &Spool) {
        if !self.cells.is_empty() {
            let mut bytes = Vec::with_capacity(self.cells.len() * Lean::<K>::BYTES);
            self.cells.iter().for_each(|lean| lean.pack(&mut bytes));
            self.written.lean.push(spool.write(&bytes));
            self.cells.clear();
            self.slots.fill(0);
        }
        if !self.wide.is_empty() {
            let mut bytes = Vec::new();
            for (key, cell) in self.wide.drain() {
                key.pack(&mut bytes);
                pack_cell(&cell, &mut bytes);
            }
            self.written.wide.push(spool.write(&bytes));
        }
    }

    /// Gives the memory of what was written back.
    pub(super) fn shrink(&mut self) {
        self.cells.take();
        (self.slots, self.wide) = Default::default();
    }

    /// Takes in again what was written out.
    pub(super) fn load(&mut self, spool: &Spool, hash: &RandomState) {
        let Written { lean, wide } = std::mem::take(&mut self.written);
        let mut bytes = Vec::new();
        for extent in lean {
            spool.read(extent, &mut bytes);
            let cells = bytes.chunks_exact(Lean::<K>::BYTES);
            for lean in cells.map(Lean::<K>::unpack) {
                self.merge(lean, hash.hash_one(lean.key), hash);
            }
        }
        for extent in wide {
            spool.read(extent, &mut bytes);
            let mut from = bytes.as_slice();
            while !from.is_empty() {
                let (key, cell) = (FlowKey::unpack(&mut from), unpack_cell(&mut from));
                self.wide.entry(key).and_modify(|c| c.add(&cell)).or_insert(cell);
            }
        }
    }

    /// The bytes of every sum that `keeps` lets through, after [`Part::seal`].
    pub(super) fn sizes(&self, keeps: impl Keeps) -> impl Iterator<Item = u128> {
        let lean = self
            .cells
            .iter()
            .filter(move |c| keeps(c.bytes.into(), c.packets.into(), c.flows.into()));
        let wide = self.wide.values().filter(move |c| keeps(c.bytes, c.packets, c.flows));
        lean.map(|c| c.bytes.into()).chain(wide.map(|c| c.bytes))
    }

    /// Keeps the sums of at least so many bytes; counts the others that `keeps` lets through. After [`Part::seal`].
    pub(super) fn keep_from(&mut self, least: u128, keeps: impl Keeps) -> Rest {
        let mut rest = Rest::default();
        let mut is_kept = |bytes: u128, packets: u128, flows: u64| {
            let small = bytes < least;
            if small && keeps(bytes, packets, flows) {
                rest.groups += 1;
                rest.bytes += bytes;
            }
            !small
        };
        self.cells
            .retain(|c| is_kept(c.bytes.into(), c.packets.into(), c.flows.into()));
        self.wide.retain(|_, c| is_kept(c.bytes, c.packets, c.flows));
        rest
    }

    /// Brings together what stands in two places: sums that grew too large for a lean cell. Nothing is added afterwards.
    pub(super) fn seal(&mut self) {
        self.slots = Vec::new();
        if !self.wide.is_empty() {
            let wide = &mut self.wide;
            self.cells.retain(|lean| match wide.get_mut(&lean.key.flow()) {
                Some(cell) => {
                    cell.add(&lean.cell());
                    false
                }
                None => true,
            });
        }
    }

    /// Hands out every key once with its sums.
    pub(super) fn hand_out(mut self, each: &mut impl FnMut(FlowKey, Cell)) {
        self.seal();
        self.cells.iter().for_each(|lean| each(lean.key.flow(), lean.cell()));
        self.wide.into_iter().for_each(|(key, cell)| each(key, cell));
    }

    /// Shows every key once with its sums, after [`Part::seal`].
    pub(super) fn each(&self, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        self.cells.iter().for_each(|lean| each(&lean.key.flow(), &lean.cell()));
        self.wide.iter().for_each(|(key, cell)| each(key, cell));
    }
}

/// Whether sums (bytes, packets, records) are wanted.
pub(super) trait Keeps: Fn(u128, u128, u64) -> bool + Copy {}

impl<F: Fn(u128, u128, u64) -> bool + Copy> Keeps for F {}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 48) as u32 & 0xff
}
