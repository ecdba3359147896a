//! Cells one after the other, in chunks that stay where they are: a table that grows copies nothing.
//!
//! A chunk is 8 KiB of lean cells; the last of a part is half empty on average, which is what all of them together waste.

use super::lean::{CellKey, Lean};
use std::ops::{Index, IndexMut};

/// Cells of a chunk, a power of two.
const CHUNK: usize = 512;

/// A list of cells.
#[derive(Debug)]
pub(super) struct Dense<K> {
    chunks: Vec<Box<[Lean<K>; CHUNK]>>,
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

    #[inline]
    pub(super) fn get(&self, n: usize) -> Option<&Lean<K>> {
        self.chunks.get(n / CHUNK).map(|chunk| &chunk[n % CHUNK])
    }

    #[inline]
    pub(super) fn push(&mut self, lean: Lean<K>) {
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new([Lean::NONE; CHUNK]));
        }
        self.len += 1;
        let last = self.len - 1;
        self[last] = lean;
    }

    /// Chunk by chunk, the last as far as it is used.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lean<K>> {
        let used = |n: usize| self.len.saturating_sub(n * CHUNK).min(CHUNK);
        let chunks = self.chunks.iter().enumerate();
        chunks.flat_map(move |(n, chunk)| &chunk[..used(n)])
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
    }

    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
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
    use proptest::prelude::*;

    fn cell(n: u64) -> Lean<LeanKey> {
        Lean { bytes: n, ..Lean::NONE }
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
                prop_assert!(dense.get(list.len().div_ceil(CHUNK) * CHUNK).is_none());
            }
            dense.clear();
            prop_assert!(dense.is_empty() && dense.iter().next().is_none());
        }
    }
}
