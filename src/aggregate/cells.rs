//! The sums of all workers: one table in many parts, shared, and no merge at the end.
//!
//! Nearly all keys are IPv4 with usual numbers, and fit three words: a [`LeanKey`]. Workers put such additions into small
//! boxes, one for each part; a full box is emptied into its part under the part's lock, while that part is in the cache.
//! Sums are commutative, so who comes first changes nothing. What does not fit a lean cell (IPv6, odd times, sums beyond
//! 64 bits) is counted by [`Cell`], which takes everything: the slow and obvious twin.
//!
//! A part is an index of tagged numbers into dense cells of one cache line. Parts and places come from a hash that is
//! keyed at random: whoever chooses addresses cannot choose collisions.

use crate::aggregate::key::{Cell, FlowKey, Sides};
use crate::net::{Addr, Class};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// A [`FlowKey`] of IPv4 addresses in three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeanKey([u64; 3]);

/// Word by word: as a slice of bytes it would take five times as long.
impl Hash for LeanKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_u64(*word));
    }
}

/// Marks in the byte of the sides.
const NO_LOCAL: u64 = 1 << 6;
const PEER_IS_CLASS: u64 = 1 << 7;

impl LeanKey {
    /// The key, if it fits.
    #[inline]
    pub fn of(key: &FlowKey) -> Option<Self> {
        let (local, no_local) = match key.local.as_v4() {
            Some(n) => (n, 0),
            None if key.local == Addr::default() => (0, NO_LOCAL),
            None => return None,
        };
        let (peer, is_class) = match key.peer.as_v4() {
            Some(n) => (n, 0),
            None if key.peer.0 < Class::ALL.len() as u128 => (key.peer.0 as u32, PEER_IS_CLASS),
            None => return None,
        };
        let sides = u64::from(key.sides.bits()) | no_local | is_class;
        let rest = u64::from(key.log) << 48 | u64::from(key.other_port) << 32 | u64::from(key.port) << 16;
        Some(LeanKey([
            u64::from(local) << 32 | u64::from(peer),
            u64::from(key.interface) << 32 | u64::from(key.hour),
            rest | u64::from(key.protocol) << 8 | sides,
        ]))
    }

    /// The key that it stands for.
    #[inline]
    pub fn key(self) -> FlowKey {
        let [ends, place, rest] = self.0;
        let (local, peer) = ((ends >> 32) as u32, ends as u32);
        FlowKey {
            local: if rest & NO_LOCAL == 0 {
                Addr::v4(local)
            } else {
                Addr::default()
            },
            peer: if rest & PEER_IS_CLASS == 0 {
                Addr::v4(peer)
            } else {
                Addr(peer.into())
            },
            interface: (place >> 32) as u32,
            log: (rest >> 48) as u16,
            other_port: (rest >> 32) as u16,
            hour: place as u32,
            port: (rest >> 16) as u16,
            protocol: (rest >> 8) as u8,
            sides: Sides::from_bits(rest as u8 & 0x3f),
        }
    }
}

/// One record that is to be added.
#[derive(Debug, Clone, Copy)]
struct Item {
    key: LeanKey,
    hash: u64,
    bytes: u64,
    packets: u64,
    start: u32,
    end: u32,
    task: u32,
    line: u32,
}

/// The sums of one key, in one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Lean {
    key: LeanKey,
    bytes: u64,
    packets: u64,
    flows: u32,
    first: u32,
    last: u32,
    task: u32,
    line: u32,
}

impl Lean {
    fn cell(&self) -> Cell {
        Cell {
            bytes: self.bytes.into(),
            packets: self.packets.into(),
            flows: self.flows.into(),
            first: self.first.into(),
            last: self.last.into(),
            sample: (self.task, self.line.into()),
        }
    }

    /// Adds a record; false, and nothing is changed, if a sum would not fit.
    #[inline]
    fn add(&mut self, item: &Item) -> bool {
        let (bytes, packets) = (
            self.bytes.checked_add(item.bytes),
            self.packets.checked_add(item.packets),
        );
        let (Some(bytes), Some(packets), Some(flows)) = (bytes, packets, self.flows.checked_add(1)) else {
            return false;
        };
        (self.bytes, self.packets, self.flows) = (bytes, packets, flows);
        self.first = self.first.min(item.start);
        self.last = self.last.max(item.end);
        if (item.task, item.line) < (self.task, self.line) {
            (self.task, self.line) = (item.task, item.line);
        }
        true
    }
}

impl Item {
    fn lean(&self) -> Lean {
        Lean {
            key: self.key,
            bytes: self.bytes,
            packets: self.packets,
            flows: 1,
            first: self.start,
            last: self.end,
            task: self.task,
            line: self.line,
        }
    }
}

const PARTS: usize = 256;
/// Additions that wait for a part; 512 KiB of them a worker.
const BOX: usize = 32;
const TAG_SHIFT: u32 = 24;
const NUMBER: u32 = (1 << TAG_SHIFT) - 1;

#[derive(Debug, Default)]
struct Part {
    /// Tag and number + 1 of a cell, 0 where there is none; the length is a power of two.
    slots: Vec<u32>,
    cells: Vec<Lean>,
    wide: HashMap<FlowKey, Cell, RandomState>,
}

impl Part {
    #[inline]
    fn add(&mut self, item: &Item, hash: &RandomState) {
        if (self.cells.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow(hash);
        }
        let mask = self.slots.len() - 1;
        let tag = tag(item.hash);
        let mut at = item.hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return self.insert(at, tag, item);
            }
            let number = (slot & NUMBER) as usize - 1;
            if slot >> TAG_SHIFT == tag && self.cells[number].key == item.key {
                if !self.cells[number].add(item) {
                    self.add_wide(item);
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, at: usize, tag: u32, item: &Item) {
        let number = self.cells.len() as u32 + 1;
        if number > NUMBER {
            return self.add_wide(item);
        }
        if self.cells.len() == self.cells.capacity() {
            // By a quarter: what doubles wastes up to half of the memory.
            self.cells.reserve_exact(16.max(self.cells.len() / 4));
        }
        self.cells.push(item.lean());
        self.slots[at] = tag << TAG_SHIFT | number;
    }

    #[cold]
    fn add_wide(&mut self, item: &Item) {
        let cell = item.lean().cell();
        self.wide
            .entry(item.key.key())
            .and_modify(|c| c.add(&cell))
            .or_insert(cell);
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
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 48) as u32 & 0xff
}

/// Sums that are counted, and not kept one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// How many.
    pub groups: u64,
    /// Their bytes.
    pub bytes: u128,
}

/// The shared table.
#[derive(Debug)]
pub struct Cells {
    parts: Box<[Mutex<Part>]>,
    hash: RandomState,
}

impl Default for Cells {
    fn default() -> Self {
        Cells {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hash: RandomState::default(),
        }
    }
}

impl Cells {
    /// Forgets everything: the run begins again.
    pub fn clear(&self) {
        for part in &self.parts {
            *lock(part) = Part::default();
        }
    }

    /// Hands out every key once with its sums, part by part, and gives the memory back as it goes.
    pub fn drain(&self, mut each: impl FnMut(FlowKey, Cell)) {
        for part in &self.parts {
            let mut part = std::mem::take(&mut *lock(part));
            drop(part.slots);
            for lean in &part.cells {
                let (key, mut cell) = (lean.key.key(), lean.cell());
                if let Some(more) = part.wide.remove(&key) {
                    cell.add(&more);
                }
                each(key, cell);
            }
            part.wide.into_iter().for_each(|(key, cell)| each(key, cell));
        }
    }

    /// Keeps, of the sums that `keeps` (bytes, packets, records) lets through, the `limit` largest and all that are as
    /// large as the smallest of those. Returns how many others `keeps` let through, and their bytes.
    pub fn keep_largest(&self, limit: usize, keeps: impl Fn(u128, u128, u64) -> bool) -> Rest {
        let keeps = |c: &Lean| keeps(c.bytes.into(), c.packets.into(), c.flows.into());
        let mut largest: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        for part in &self.parts {
            for cell in lock(part).cells.iter().filter(|c| keeps(c)) {
                if largest.len() < limit {
                    largest.push(Reverse(cell.bytes));
                } else if largest.peek().is_some_and(|least| least.0 < cell.bytes) {
                    largest.pop();
                    largest.push(Reverse(cell.bytes));
                }
            }
        }
        let least = largest.peek().map_or(0, |least| least.0);
        let mut rest = Rest::default();
        for part in &self.parts {
            let mut part = lock(part);
            part.slots = Vec::new();
            part.cells.retain(|cell| {
                let small = cell.bytes < least;
                if small && keeps(cell) {
                    rest.groups += 1;
                    rest.bytes += u128::from(cell.bytes);
                }
                !small
            });
            part.cells.shrink_to_fit();
        }
        rest
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
    /// Adds a record to the sums of `key`; false if it does not fit a lean cell.
    #[inline]
    pub fn add(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) -> bool {
        let small = |n: u64| u32::try_from(n).ok();
        let times = (small(cell.first), small(cell.last), small(cell.sample.1));
        let (Some(key), (Some(start), Some(end), Some(line))) = (LeanKey::of(key), times) else {
            return false;
        };
        let item = Item {
            key,
            hash: to.hash.hash_one(key),
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
            empty(items, &to.parts[number], &to.hash);
        }
    }

    /// Adds what still waits.
    pub fn flush(&mut self, to: &Cells) {
        for (items, part) in self.boxes.iter_mut().zip(&to.parts) {
            empty(items, part, &to.hash);
        }
    }
}

#[inline(never)]
fn empty(items: &mut Vec<Item>, part: &Mutex<Part>, hash: &RandomState) {
    let mut part = lock(part);
    items.iter().for_each(|item| part.add(item, hash));
    items.clear();
}
