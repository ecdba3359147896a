//! Sums of several records on their way to the shared table, box by box as single records go ([`Outbox`](super::Outbox)).

use super::lean::{Lean, LeanKey};
use super::{BOX, Cells, PARTS, lock};
use crate::aggregate::key::{Cell, FlowKey};
use std::hash::BuildHasher;

/// One worker's boxes.
#[derive(Debug, Default)]
pub struct SumBox {
    boxes: Vec<Waiting>,
}

/// Sums that wait for one part, and the hashes of their keys.
#[derive(Debug)]
struct Waiting {
    sums: Vec<Lean>,
    hashes: Vec<u64>,
}

impl SumBox {
    /// Adds sums to those of `key`; false if the key is not lean.
    #[inline]
    pub fn add(&mut self, to: &Cells, key: &FlowKey, cell: &Cell) -> bool {
        let Some(lean_key) = LeanKey::of(key) else { return false };
        let Some(lean) = Lean::of(lean_key, cell) else {
            return to.add_sum(key, cell);
        };
        if self.boxes.is_empty() {
            self.boxes = (0..PARTS).map(|_| Waiting::new()).collect();
        }
        let hash = to.hash.hash_one(lean_key);
        let number = (hash >> 56) as usize;
        let waiting = &mut self.boxes[number];
        waiting.sums.push(lean);
        waiting.hashes.push(hash);
        if waiting.sums.len() == BOX {
            to.take_sums(waiting, number);
        }
        true
    }

    /// Adds what still waits.
    pub fn flush(&mut self, to: &Cells) {
        for (number, waiting) in self.boxes.iter_mut().enumerate() {
            to.take_sums(waiting, number);
        }
    }
}

impl Waiting {
    fn new() -> Self {
        Waiting {
            sums: Vec::with_capacity(BOX),
            hashes: Vec::with_capacity(BOX),
        }
    }
}

impl Cells {
    #[inline(never)]
    fn take_sums(&self, waiting: &mut Waiting, number: usize) {
        let mut part = lock(&self.parts[number]);
        self.make_room(&mut part, waiting.sums.len());
        part.warm(waiting.hashes.iter().copied());
        for (lean, hash) in waiting.sums.drain(..).zip(waiting.hashes.drain(..)) {
            part.merge(lean, hash, &self.hash);
        }
    }
}
