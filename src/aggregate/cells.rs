//! The sums of all workers: one table in many parts, shared, and no merge at the end.
//!
//! Nearly all keys are IPv4 with usual numbers, and fit three words: a [`LeanKey`]. Workers put such additions into small
//! boxes, one for each part; a full box is emptied into its part under the part's lock, while that part is in the cache.
//! Sums are commutative, so who comes first changes nothing. What does not fit a lean cell (IPv6, odd times, sums beyond
//! 64 bits) is counted by [`Cell`], which takes everything: the slow and obvious twin.
//!
//! A part is an index of tagged numbers into dense cells of one cache line; under a bound, one that is full goes to disk.
//! Parts and places come from a hash that is keyed at random: whoever chooses addresses cannot choose collisions.

mod dense;
mod lean;
mod part;
mod sums;

pub use lean::LeanKey;
pub use sums::SumBox;

use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::spill::Spool;
use crate::flow::ask_for;
use foldhash::fast::RandomState;
use lean::Item;
pub(in crate::aggregate) use lean::Lean;
use part::Part;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const PARTS: usize = 256;
/// Additions that wait for a part; 512 KiB of them a worker.
const BOX: usize = 32;
/// Bytes of memory that a cell takes: its line, and its share of the index.
const TAKES: u64 = 74;

/// Sums that are counted, and not kept one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// How many.
    pub groups: u64,
    /// Their bytes.
    pub bytes: u128,
}

impl Rest {
    fn and(self, other: Rest) -> Rest {
        Rest {
            groups: self.groups + other.groups,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// The largest numbers of some.
#[derive(Debug, Default)]
struct Largest(BinaryHeap<Reverse<u64>>);

impl Largest {
    #[inline]
    fn add(&mut self, bytes: u64, limit: usize) {
        if self.0.len() < limit {
            self.0.push(Reverse(bytes));
        } else if self.0.peek().is_some_and(|least| least.0 < bytes) {
            self.0.pop();
            self.0.push(Reverse(bytes));
        }
    }

    fn least(&self) -> u64 {
        self.0.peek().map_or(0, |least| least.0)
    }
}

/// The shared table.
#[derive(Debug)]
pub struct Cells {
    parts: Box<[Mutex<Part>]>,
    hash: RandomState,
    bound: Option<Bound>,
}

/// What becomes of a part that is full.
#[derive(Debug)]
struct Bound {
    /// Cells of a part.
    most: usize,
    /// Where it is written; nowhere ends the run.
    spool: Option<Arc<Spool>>,
    full: AtomicBool,
}

impl Default for Cells {
    fn default() -> Self {
        Cells {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hash: RandomState::default(),
            bound: None,
        }
    }
}

impl Cells {
    /// A table of at most so many bytes; what does not fit is written to `spool`.
    pub(in crate::aggregate) fn spilling(bytes: u64, spool: Arc<Spool>) -> Self {
        Cells::bounded(bytes / TAKES, Some(spool))
    }

    /// A table of about so many cells; it [is full](Cells::is_full) once there are more.
    pub(in crate::aggregate) fn at_most(cells: u64) -> Self {
        Cells::bounded(cells, None)
    }

    fn bounded(cells: u64, spool: Option<Arc<Spool>>) -> Self {
        Cells {
            bound: Some(Bound {
                most: usize::try_from(cells / PARTS as u64).unwrap_or(usize::MAX).max(1),
                spool,
                full: AtomicBool::new(false),
            }),
            ..Cells::default()
        }
    }

    /// True if more was counted than there was room for: some of it is forgotten, and the run cannot go on.
    pub(in crate::aggregate) fn is_full(&self) -> bool {
        let full = |b: &Bound| b.full.load(Ordering::Relaxed) || b.spool.as_ref().is_some_and(|s| s.has_failed());
        self.bound.as_ref().is_some_and(full)
    }

    /// Writes out what is in memory, and gives the memory back.
    pub(in crate::aggregate) fn write_out(&self) {
        let Some(spool) = self.bound.as_ref().and_then(|b| b.spool.as_ref()) else {
            return;
        };
        for part in &self.parts {
            let mut part = lock(part);
            part.write(spool);
            part.shrink();
        }
    }

    /// Adds the sums of several records; false if the key is not lean.
    pub(in crate::aggregate) fn add_sum(&self, key: &FlowKey, cell: &Cell) -> bool {
        let Some(key) = LeanKey::of(key) else { return false };
        let hash = self.hash.hash_one(key);
        let mut part = lock(&self.parts[(hash >> 56) as usize]);
        self.make_room(&mut part, 1);
        part.add_sum(key, cell, (hash, &self.hash));
        true
    }

    #[inline(never)]
    fn empty(&self, items: &mut Vec<Item>, part: &Mutex<Part>) {
        let mut part = lock(part);
        self.make_room(&mut part, items.len());
        part.warm(items.iter().map(|item| item.hash));
        items.iter().for_each(|item| part.add(item, &self.hash));
        items.clear();
    }

    /// Sees that so many more cells fit.
    #[inline]
    fn make_room(&self, part: &mut Part, more: usize) {
        let Some(bound) = &self.bound else { return };
        if part.len() + more > bound.most && part.len() > 0 {
            match &bound.spool {
                Some(spool) => part.write(spool),
                None => {
                    bound.full.store(true, Ordering::Relaxed);
                    part.shrink();
                }
            }
        }
    }

    /// Forgets everything: the run begins again.
    pub fn clear(&self) {
        for part in &self.parts {
            *lock(part) = Part::default();
        }
    }

    /// Hands out every key once with its sums, part by part, and gives the memory back as it goes.
    pub fn drain(&self, mut each: impl FnMut(FlowKey, Cell)) {
        let spool = self.bound.as_ref().and_then(|b| b.spool.as_ref());
        for part in &self.parts {
            let mut part = std::mem::take(&mut *lock(part));
            if let Some(spool) = spool.filter(|_| part.is_written()) {
                part.load(spool, &self.hash);
            }
            part.hand_out(&mut each);
        }
    }

    /// Ends counting: each key has one place from here on.
    pub(in crate::aggregate) fn seal(&self) {
        self.parts.iter().for_each(|part| lock(part).seal());
    }

    /// Shows every key once with its sums, after [`Cells::seal`].
    pub(in crate::aggregate) fn each(&self, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        self.parts.iter().for_each(|part| lock(part).each(each));
    }

    /// Keeps, of the sums that `keeps` (bytes, packets, records) lets through, the `limit` largest and all that are as
    /// large as the smallest of those. Returns how many others `keeps` let through, and their bytes.
    pub fn keep_largest(&self, limit: usize, keeps: impl Fn(u128, u128, u64) -> bool + Sync) -> Rest {
        let keeps = |c: &Lean| keeps(c.bytes.into(), c.packets.into(), c.flows.into());
        let of_part = |mut largest: Largest, part: &Mutex<Part>| {
            let part = lock(part);
            let kept = part.cells.iter().filter(|c| keeps(c));
            kept.for_each(|cell| largest.add(cell.bytes, limit));
            largest
        };
        let join = |mut a: Largest, b: Largest| {
            b.0.into_iter().for_each(|Reverse(bytes)| a.add(bytes, limit));
            a
        };
        let largest = self.parts.par_iter().fold(Largest::default, of_part);
        let least = largest.reduce(Largest::default, join).least();
        let rest = self.parts.par_iter().map(|part| lock(part).keep_from(least, keeps));
        rest.reduce(Rest::default, Rest::and)
    }

    /// True if some sum outgrew its lean cell.
    pub fn has_wide(&self) -> bool {
        self.parts.iter().any(|p| !lock(p).wide.is_empty())
    }

    /// Number of keys; one whose sums outgrew its lean cell counts twice.
    pub fn len(&self) -> usize {
        self.parts
            .iter()
            .map(|p| lock(p))
            .map(|p| p.cells.len() + p.wide.len())
            .sum()
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn lock(part: &Mutex<Part>) -> std::sync::MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker's boxes.
#[derive(Debug, Default)]
pub struct Outbox {
    boxes: Vec<Vec<Item>>,
}

impl Outbox {
    /// Adds a record to the sums of `key`; false if the key is not lean. Inlined, so that neither goes through memory.
    #[inline(always)]
    pub fn add(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) -> bool {
        let Some(lean) = LeanKey::of(key) else { return false };
        let small = |n: u64| u32::try_from(n).ok();
        let times = (small(cell.first), small(cell.last), small(cell.sample.1));
        let (Some(start), Some(end), Some(line)) = times else {
            return to.add_sum(key, cell);
        };
        let item = Item {
            key: lean,
            hash: to.hash.hash_one(lean),
            // A record's own numbers are below 2^63.
            bytes: cell.bytes as u64,
            packets: cell.packets as u64,
            start,
            end,
            task: cell.sample.0,
            line,
        };
        self.put(to, item);
        true
    }

    #[inline]
    fn put(&mut self, to: &Cells, item: Item) {
        if self.boxes.is_empty() {
            self.boxes = (0..PARTS).map(|_| Vec::with_capacity(BOX)).collect();
        }
        let number = (item.hash >> 56) as usize;
        let items = &mut self.boxes[number];
        items.push(item);
        if items.len() == BOX {
            to.empty(items, &to.parts[number]);
        }
        ask_for(items.as_ptr().wrapping_add(items.len()));
    }

    /// Adds what still waits.
    pub fn flush(&mut self, to: &Cells) {
        for (items, part) in self.boxes.iter_mut().zip(&to.parts) {
            to.empty(items, part);
        }
    }
}
