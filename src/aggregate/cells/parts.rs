//! The parts of one table, each under its own lock; which one a key belongs to is told by the top of its hash.

use super::dense::Memory;
use super::lean::{CellKey, Item};
use super::part::{Keeps, Part};
use super::{Largest, Rest};
use crate::aggregate::key::{Cell, FlowKey};
use crate::aggregate::spill::Spool;
use foldhash::fast::RandomState;
use rayon::prelude::*;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A power of two: enough that threads seldom meet, and so few that the boxes of all stay in a processor's second cache.
pub(super) const PARTS: usize = 128;

/// The part of the keys with this hash.
#[inline]
pub(super) fn part_of(hash: u64) -> usize {
    (hash >> (u64::BITS - PARTS.ilog2())) as usize
}

/// The parts.
#[derive(Debug)]
pub(super) struct Parts<K> {
    parts: Box<[Mutex<Part<K>>]>,
    hash: RandomState,
    bound: Option<Bound>,
}

/// What the sums of a part come to.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    rest: Rest,
    greatest: u128,
}

impl Sizes {
    #[inline]
    fn add(&mut self, bytes: u128) {
        self.rest.groups += 1;
        self.rest.bytes += bytes;
        self.greatest = self.greatest.max(bytes);
    }
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

impl<K: CellKey> Default for Parts<K> {
    fn default() -> Self {
        let memory = Memory::default();
        let part = |_| Mutex::new(Part::new(memory.clone()));
        Parts {
            parts: (0..PARTS).map(part).collect(),
            hash: RandomState::default(),
            bound: None,
        }
    }
}

impl<K: CellKey> Parts<K> {
    /// At most so many bytes; what does not fit is written to `spool`.
    pub(super) fn spilling(bytes: u64, spool: Arc<Spool>) -> Self {
        Parts::bounded(bytes / Part::<K>::TAKES, Some(spool))
    }

    /// About so many cells; they [are full](Parts::is_full) once there are more.
    pub(super) fn at_most(cells: u64) -> Self {
        Parts::bounded(cells, None)
    }

    fn bounded(cells: u64, spool: Option<Arc<Spool>>) -> Self {
        Parts {
            bound: Some(Bound {
                most: usize::try_from(cells / PARTS as u64).unwrap_or(usize::MAX).max(1),
                spool,
                full: AtomicBool::new(false),
            }),
            ..Parts::default()
        }
    }

    /// True if something was forgotten, or could not be written.
    pub(super) fn is_full(&self) -> bool {
        let full = |b: &Bound| b.full.load(Ordering::Relaxed) || b.spool.as_ref().is_some_and(|s| s.has_failed());
        self.bound.as_ref().is_some_and(full)
    }

    fn spool(&self) -> Option<&Arc<Spool>> {
        self.bound.as_ref()?.spool.as_ref()
    }

    pub(super) fn write_out(&self) {
        let Some(spool) = self.spool() else { return };
        for part in &self.parts {
            let mut part = lock(part);
            part.write(spool);
            part.shrink();
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: K) -> u64 {
        self.hash.hash_one(key)
    }

    /// Adds the sums of several records.
    pub(super) fn add_sum(&self, key: K, cell: &Cell) {
        let hash = self.hash(key);
        self.with(part_of(hash), 1, |part, state| part.add_sum(key, cell, (hash, state)));
    }

    /// Adds the records of a box, all of one part.
    #[inline(never)]
    pub(super) fn empty(&self, items: &mut Vec<Item<K>>, number: usize) {
        self.with(number, items.len(), |part, hash| {
            part.warm(items.iter().map(|item| item.hash));
            items.iter().for_each(|item| part.add(item, hash));
        });
        items.clear();
    }

    /// Runs `add` on one part, where so many more cells fit.
    #[inline]
    pub(super) fn with(&self, number: usize, more: usize, add: impl FnOnce(&mut Part<K>, &RandomState)) {
        let mut part = lock(&self.parts[number]);
        self.make_room(&mut part, more);
        add(&mut part, &self.hash);
    }

    /// Sees that so many more cells fit.
    #[inline]
    fn make_room(&self, part: &mut Part<K>, more: usize) {
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

    pub(super) fn clear(&self) {
        for part in &self.parts {
            lock(part).take();
        }
    }

    /// Hands out the keys of one part, and gives its memory back.
    pub(super) fn drain(&self, number: usize, each: &mut impl FnMut(FlowKey, Cell)) {
        let mut part = lock(&self.parts[number]).take();
        if let Some(spool) = self.spool().filter(|_| part.is_written()) {
            part.load(spool, &self.hash);
        }
        part.hand_out(each);
    }

    pub(super) fn seal(&self) {
        self.parts.par_iter().for_each(|part| lock(part).seal());
    }

    /// Shows the keys of one part.
    pub(super) fn show(&self, number: usize, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        lock(&self.parts[number]).each(each);
    }

    pub(super) fn keep_largest(&self, limit: usize, keeps: impl Keeps + Sync) -> Rest {
        let of_part = |(mut largest, mut sizes): (Largest, Vec<Sizes>), part: &Mutex<Part<K>>| {
            let mut all = Sizes::default();
            for bytes in lock(part).sizes(keeps) {
                largest.add(bytes, limit);
                all.add(bytes);
            }
            sizes.push(all);
            (largest, sizes)
        };
        let all = self.parts.par_iter().fold(Default::default, of_part);
        let both = |a: (Largest, Vec<Sizes>), b: (Largest, Vec<Sizes>)| (a.0.and(b.0, limit), [a.1, b.1].concat());
        let (largest, sizes) = all.reduce(Default::default, both);
        let least = largest.least();
        let keep = |(part, all): (&Mutex<Part<K>>, Sizes)| match all.greatest < least {
            true => {
                lock(part).shrink();
                all.rest
            }
            false => lock(part).keep_from(least, keeps),
        };
        let rest = self.parts.par_iter().zip(sizes).map(keep);
        rest.reduce(Rest::default, Rest::and)
    }

    pub(super) fn len(&self) -> usize {
        let len = |part: &Mutex<Part<K>>| {
            let part = lock(part);
            part.cells.len() + part.wide.len()
        };
        self.parts.iter().map(len).sum()
    }
}

fn lock<K>(part: &Mutex<Part<K>>) -> MutexGuard<'_, Part<K>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
