//! Sums by any key in parts that go to disk when they are full: what the shared table cannot hold, and groups.

use crate::aggregate::key::Cell;
use crate::aggregate::spill::packed::CELL;
use crate::aggregate::spill::{Extent, Packed, Spool, pack_cell, unpack_cell};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const PARTS: usize = 256;

/// The sums. Several workers may add; the hash is keyed at random, so nobody chooses which part is full.
#[derive(Debug)]
pub(in crate::aggregate) struct Sums<K> {
    parts: Box<[Mutex<Part<K>>]>,
    hash: RandomState,
    /// Keys of a part.
    most: usize,
    spool: Arc<Spool>,
}

#[derive(Debug)]
struct Part<K> {
    sums: HashMap<K, Cell, RandomState>,
    written: Vec<Extent>,
}

impl<K> Default for Part<K> {
    fn default() -> Self {
        Part {
            sums: HashMap::default(),
            written: Vec::new(),
        }
    }
}

impl<K: Packed> Sums<K> {
    /// Tables of at most so many bytes, or of a key each.
    pub(in crate::aggregate) fn new(bytes: u64, spool: Arc<Spool>) -> Self {
        let slot = size_of::<(K, Cell)>() as u64 + 1;
        let slots = (bytes / PARTS as u64 / slot).max(1);
        // A table has a power of two of slots, and seven eighths of them are used.
        let slots = 1 << slots.ilog2();
        Sums {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hash: RandomState::default(),
            most: (slots / 8 * 7).max(1),
            spool,
        }
    }

    /// Adds to the sums of a key.
    pub(in crate::aggregate) fn add(&self, key: K, cell: &Cell) {
        let number = (self.hash.hash_one(key) >> 56) as usize;
        let Some(part) = self.parts.get(number) else { return };
        let mut part = lock(part);
        add(&mut part.sums, key, cell);
        if part.sums.len() >= self.most {
            part.write(&self.spool);
        }
    }

    /// Forgets everything: the run begins again.
    pub(in crate::aggregate) fn clear(&self) {
        self.parts.iter().for_each(|part| *lock(part) = Part::default());
    }

    /// Writes out what is in memory, and gives it back.
    pub(in crate::aggregate) fn write_out(&self) {
        for part in &self.parts {
            let mut part = lock(part);
            part.write(&self.spool);
            part.sums = HashMap::default();
        }
    }

    /// Hands out every key once with its sums, part by part. What cannot be read is told by the spool.
    pub(in crate::aggregate) fn drain(&self, mut each: impl FnMut(K, Cell)) {
        let mut bytes = Vec::new();
        for part in &self.parts {
            let Part { mut sums, written } = std::mem::take(&mut *lock(part));
            for extent in written {
                self.spool.read(extent, &mut bytes);
                for mut record in bytes.chunks_exact(K::BYTES + CELL) {
                    let key = K::unpack(&mut record);
                    add(&mut sums, key, &unpack_cell(&mut record));
                }
            }
            sums.into_iter().for_each(|(key, cell)| each(key, cell));
        }
    }
}

impl<K: Packed> Part<K> {
    fn write(&mut self, spool: &Spool) {
        if self.sums.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.sums.len() * (K::BYTES + CELL));
        for (key, cell) in self.sums.drain() {
            key.pack(&mut bytes);
            pack_cell(&cell, &mut bytes);
        }
        self.written.push(spool.write(&bytes));
    }
}

fn add<K: Packed>(sums: &mut HashMap<K, Cell, RandomState>, key: K, cell: &Cell) {
    sums.entry(key).and_modify(|sum| sum.add(cell)).or_insert(*cell);
}

fn lock<K>(part: &Mutex<Part<K>>) -> MutexGuard<'_, Part<K>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::{FlowKey, Sides};
    use crate::net::Addr;
    use std::collections::BTreeMap;

    #[test]
    fn whatever_the_bound_every_key_comes_once_with_all_of_its_sums() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, 1 << 20, 1 << 30] {
            let spool = Arc::new(Spool::create(folder.path()).unwrap());
            let sums: Sums<FlowKey> = Sums::new(bytes, spool.clone());
            let mut slowly: BTreeMap<FlowKey, Cell> = BTreeMap::new();
            for i in 0..20_000u64 {
                let key = FlowKey {
                    local: Addr(u128::from(i % 3_001) << 70),
                    peer: Addr::v4(7),
                    interface: 1,
                    log: 0,
                    other_port: 0,
                    hour: 0,
                    port: 443,
                    protocol: 6,
                    sides: Sides::default(),
                };
                let cell = Cell {
                    bytes: (i * i).into(),
                    packets: 1,
                    flows: 1,
                    first: i,
                    last: i,
                    sample: (0, i),
                };
                sums.add(key, &cell);
                slowly.entry(key).and_modify(|c| c.add(&cell)).or_insert(cell);
            }
            let mut drained = BTreeMap::new();
            sums.drain(|key, cell| assert!(drained.insert(key, cell).is_none()));
            spool.check().unwrap();
            assert_eq!(drained, slowly);
            assert_eq!(spool.is_used(), bytes < 1 << 30);
        }
    }
}
