//! Cells one after the other, in chunks that stay where they are: a table that grows copies nothing.
//!
//! A chunk has room for 32 KiB of lean cells. What of it was never written takes no memory, and room is asked for seldom.

use super::lean::{CellKey, Lean};
use super::slab::{self, Pages, Slab};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Cells of a chunk, a power of two.
const CHUNK: usize = 512;

/// Where chunks of cells come from.
#[derive(Debug, Clone)]
pub(in crate::aggregate) struct Memory<K>(Arc<Slab<Lean<K>, CHUNK>>);

/// In large pages.
impl<K> Default for Memory<K> {
    fn default() -> Self {
        Memory(Arc::new(Slab::new(Pages::Large)))
    }
}

impl<K> Memory<K> {
    /// In small pages: for lists of few cells.
    pub(in crate::aggregate) fn small() -> Self {
        Memory(Arc::new(Slab::new(Pages::Small)))
    }
}

/// A list of cells.
#[derive(Debug)]
pub(in crate::aggregate) struct Dense<K> {
    /// All but the last of those in use are full; behind it stand empty ones.
    chunks: Vec<slab::Chunk<Lean<K>, CHUNK>>,
    len: usize,
    memory: Memory<K>,
}

impl<K: CellKey> Dense<K> {
    /// An empty list.
    pub(in crate::aggregate) fn new(memory: Memory<K>) -> Self {
        Dense {
            chunks: Vec::new(),
            len: 0,
            memory,
        }
    }

    /// All of it; an empty list stays.
    pub(in crate::aggregate) fn take(&mut self) -> Self {
        let empty = Dense::new(self.memory.clone());
        std::mem::replace(self, empty)
    }

    pub(in crate::aggregate) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::aggregate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(in crate::aggregate) fn push(&mut self, lean: Lean<K>) {
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(self.memory.0.chunk());
        }
        self.chunks[self.len / CHUNK].push(lean);
        self.len += 1;
    }

    /// Chunk by chunk.
    pub(in crate::aggregate) fn iter(&self) -> impl Iterator<Item = &Lean<K>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Leaves out what `keeps` does not want, and gives its memory back.
    pub(in crate::aggregate) fn retain(&mut self, mut keeps: impl FnMut(&Lean<K>) -> bool) {
        let mut kept = 0;
        for n in 0..self.len {
            let lean = self[n];
            if keeps(&lean) {
                self[kept] = lean;
                kept += 1;
            }
        }
        self.len = kept;
        self.chunks.truncate(kept.div_ceil(CHUNK));
        if let Some(last) = self.chunks.last_mut() {
            last.truncate(kept - (kept - 1) / CHUNK * CHUNK);
        }
    }

    /// Forgets all, and keeps the memory.
    pub(in crate::aggregate) fn clear(&mut self) {
        self.chunks.iter_mut().for_each(|chunk| chunk.truncate(0));
        self.len = 0;
    }
}

impl<K> Index<usize> for Dense<K> {
    type Output = Lean<K>;

    #[inline]
    fn index(&self, n: usize) -> &Lean<K> {
        &self.chunks[n / CHUNK][n % CHUNK]
    }
}

impl<K> IndexMut<usize> for Dense<K> {
    #[inline]
    fn index_mut(&mut self, n: usize) -> &mut Lean<K> {
        &mut self.chunks[n / CHUNK][n % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::cells::LeanKey;
    use crate::aggregate::key::Cell;
    use crate::aggregate::spill::Packed;
    use proptest::prelude::*;

    fn cell(n: u64) -> Lean<LeanKey> {
        let cell = Cell {
            bytes: n.into(),
            packets: 1,
            flows: 1,
            first: 1,
            last: 2,
            sample: (0, 0),
        };
        let key = LeanKey::unpack(&mut [0; LeanKey::BYTES].as_slice());
        Lean::of(key, &cell).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_a_list(counts in proptest::collection::vec(0..700u64, 1..4), divisor in 1..5u64) {
            let (mut dense, mut list) = (Dense::new(Memory::default()), Vec::new());
            for count in counts {
                for n in 0..count {
                    dense.push(cell(n));
                    list.push(n);
                }
                prop_assert_eq!(dense.iter().map(|c| c.bytes).collect::<Vec<_>>(), list.clone());
                dense.retain(|c| c.bytes % divisor == 0);
                list.retain(|n| n % divisor == 0);
                prop_assert_eq!(dense.len(), list.len());
                prop_assert!(list.iter().enumerate().all(|(i, n)| dense[i].bytes == *n));
                prop_assert!(dense.chunks.iter().skip(list.len().div_ceil(CHUNK)).all(|chunk| chunk.is_empty()));
            }
            dense.clear();
            prop_assert!(dense.is_empty() && dense.iter().next().is_none());
        }
    }
}
