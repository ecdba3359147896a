//! Cells one after the other, in chunks that stay where they are: a table that grows copies nothing.
//!
//! A chunk has room for 32 KiB of lean cells. What of it was never written takes no memory, and room is asked for seldom.

use super::lean::{CellKey, Lean};
use std::ops::{Index, IndexMut};

/// Cells of a chunk, a power of two.
const CHUNK: usize = 512;

/// A list of cells.
#[derive(Debug)]
pub(super) struct Dense<K> {
    /// All but the last of those in use are full; behind it stand empty ones.
    chunks: Vec<Vec<Lean<K>>>,
    len: usize,
}

impl<K> Default for Dense<K> {
    fn default() -> Self {
        Dense {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: CellKey> Dense<K> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(super) fn push(&mut self, lean: Lean<K>) {
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[self.len / CHUNK].push(lean);
        self.len += 1;
    }

    /// Chunk by chunk.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lean<K>> {
        self.chunks.iter().flatten()
    }

    /// Leaves out what `keeps` does not want, and gives its memory back.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Lean<K>) -> bool) {
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
    pub(super) fn clear(&mut self) {
        self.chunks.iter_mut().for_each(Vec::clear);
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
            let (mut dense, mut list) = (Dense::default(), Vec::new());
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
                prop_assert!(dense.chunks.iter().skip(list.len().div_ceil(CHUNK)).all(Vec::is_empty));
            }
            dense.clear();
            prop_assert!(dense.is_empty() && dense.iter().next().is_none());
        }
    }
}
