//! Sums of several records on their way to the shared table, box by box as single records go ([`Outbox`](super::Outbox)).

use super::lean::{CellKey, Lean, LeanKey};
use super::{BOX, Cells, PARTS, Parts, part_of};
use crate::aggregate::key::{Cell, FlowKey};

/// One worker's boxes.
#[derive(Debug, Default)]
pub struct SumBox {
    lean: Boxes<LeanKey>,
    full: Boxes<FlowKey>,
}

#[derive(Debug)]
struct Boxes<K>(Vec<Waiting<K>>);

/// Sums that wait for one part, and the hashes of their keys.
#[derive(Debug)]
struct Waiting<K> {
    sums: Vec<Lean<K>>,
    hashes: Vec<u64>,
}

impl SumBox {
    /// Adds sums to those of `key`.
    #[inline]
    pub fn add(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) {
        match LeanKey::of(key) {
            Some(key) => self.lean.add(&to.lean, key, cell),
            None => self.full.add(&to.full, *key, cell),
        }
    }

    /// Adds what still waits.
    pub fn flush(&mut self, to: &Cells) {
        self.lean.flush(&to.lean);
        self.full.flush(&to.full);
    }
}

impl<K> Default for Boxes<K> {
    fn default() -> Self {
        Boxes(Vec::new())
    }
}

impl<K: CellKey> Boxes<K> {
    #[inline]
    fn add(&mut self, to: &Parts<K>, key: K, cell: &Cell) {
        let Some(lean) = Lean::of(key, cell) else {
            return to.add_sum(key, cell);
        };
        if self.0.is_empty() {
            self.0 = (0..PARTS).map(|_| Waiting::new()).collect();
        }
        let hash = to.hash(key);
        let number = part_of(hash);
        let waiting = &mut self.0[number];
        waiting.sums.push(lean);
        waiting.hashes.push(hash);
        if waiting.sums.len() == BOX {
            waiting.empty(to, number);
        }
    }

    fn flush(&mut self, to: &Parts<K>) {
        for (number, waiting) in self.0.iter_mut().enumerate() {
            waiting.empty(to, number);
        }
    }
}

impl<K> Waiting<K> {
    fn new() -> Self {
        Waiting {
            sums: Vec::with_capacity(BOX),
            hashes: Vec::with_capacity(BOX),
        }
    }
}

impl<K: CellKey> Waiting<K> {
    #[inline(never)]
    fn empty(&mut self, to: &Parts<K>, number: usize) {
        to.with(number, self.sums.len(), |part, state| {
            part.warm(self.hashes.iter().copied());
            for (lean, hash) in self.sums.drain(..).zip(self.hashes.drain(..)) {
                part.merge(lean, hash, state);
            }
        });
    }
}
