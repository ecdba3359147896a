//! Raw cells in the order of their keys: in memory, or, under a bound, as sorted runs on disk that are merged as they are
//! asked for.

use crate::aggregate::key::Cell;
use crate::aggregate::raw::kept::Kept;
use crate::aggregate::raw::{BLOCK, BlockReader, BlockWriter, RawEntry, RawKey, TakeBlock};
use crate::aggregate::spill::{Extent, Spool};
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

/// Takes cells in any order.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    kept: Kept,
    bound: Option<(u64, Arc<Spool>)>,
    runs: Vec<Vec<Extent>>,
    len: u64,
}

/// Cells sorted by key, each key once.
#[derive(Debug, Default)]
pub struct RawCells {
    kept: Kept,
    runs: Vec<Vec<Extent>>,
    spool: Option<Arc<Spool>>,
    len: u64,
    /// The new numbers of files, where they have changed.
    files: Option<Vec<u32>>,
}

/// Cells of a block of a run.
const RUN_BLOCK: usize = 2_048;
/// A run has some cells, however small the bound.
const LEAST: u64 = 4 << 10;

impl Sorter {
    /// A sorter of cells whose places are known ([`Kept::with_room`]).
    pub(super) fn of(kept: Kept) -> Self {
        Sorter {
            kept,
            ..Sorter::default()
        }
    }

    /// A sorter that keeps at most so many bytes in memory, of cells of so many interfaces.
    pub(super) fn spilling(interfaces: usize, bytes: u64, spool: Arc<Spool>) -> Self {
        Sorter {
            kept: Kept::new(interfaces),
            bound: Some((bytes.max(LEAST), spool)),
            ..Sorter::default()
        }
    }

    /// Takes a cell whose key was not taken before.
    #[inline]
    pub(super) fn push(&mut self, entry: RawEntry) {
        if self.bound.as_ref().is_some_and(|(most, _)| self.kept.takes() >= *most) {
            self.write_run();
        }
        self.kept.push(entry);
        self.len += 1;
    }

    fn write_run(&mut self) {
        let Some((_, spool)) = &self.bound else { return };
        self.kept.sort();
        let (mut blocks, mut run) = (BlockWriter::new(RUN_BLOCK), Vec::new());
        let mut take = |block: &[u8]| {
            run.push(spool.write(block));
            Ok(())
        };
        // What cannot be written is told by the spool.
        let _ = self.kept.each(&mut |key, cell| blocks.push(key, cell, &mut take));
        let _ = blocks.end(&mut take);
        self.runs.push(run);
        self.kept.clear();
    }

    /// All that was taken.
    ///
    /// # Errors
    /// `Output` if a run could not be written.
    pub(super) fn finish(mut self) -> Result<RawCells> {
        if !self.runs.is_empty() && !self.kept.is_empty() {
            self.write_run();
            self.kept = Kept::default();
        }
        let spool = self.bound.map(|(_, spool)| spool);
        spool.as_ref().map_or(Ok(()), |s| s.check())?;
        self.kept.sort();
        Ok(RawCells {
            kept: self.kept,
            runs: self.runs,
            spool,
            len: self.len,
            files: None,
        })
    }
}

impl RawCells {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives files new numbers: `files` has that of each old one.
    pub(super) fn renumber(&mut self, files: Vec<u32>) {
        self.files = Some(files);
    }

    /// All cells in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Result<RawEntry>> + '_> {
        match &self.spool {
            Some(spool) if !self.runs.is_empty() => {
                let merged = Merged::new(spool, &self.runs);
                Box::new(merged.map(|entry| entry.map(|e| self.renumbered(e))))
            }
            _ => Box::new(self.kept.iter().map(|e| Ok(self.renumbered(e)))),
        }
    }

    /// All cells in order, as blocks of a state.
    ///
    /// # Errors
    /// Those of `take`, and `Output` if the disk failed.
    pub fn blocks(&self, take: TakeBlock<'_>) -> Result<()> {
        let mut blocks = BlockWriter::new(BLOCK);
        if self.runs.is_empty() && self.files.is_none() {
            self.kept.each(&mut |key, cell| blocks.push(key, cell, take))?;
        } else {
            for entry in self.iter() {
                let (key, cell) = entry?;
                blocks.push(&key, &cell, take)?;
            }
        }
        blocks.end(take)
    }

    #[inline]
    fn renumbered(&self, mut entry: RawEntry) -> RawEntry {
        if let Some(files) = &self.files {
            entry.1.sample.0 = files.get(entry.1.sample.0 as usize).copied().unwrap_or(0);
        }
        entry
    }
}

/// Runs read side by side.
struct Merged<'r> {
    spool: &'r Spool,
    runs: Vec<Run<'r>>,
    heads: BinaryHeap<Head>,
    failed: Option<crate::Error>,
}

struct Run<'r> {
    extents: std::slice::Iter<'r, Extent>,
    block: BlockReader,
}

/// The first cell of a run; the least is the greatest, as the heap wants it.
struct Head {
    key: RawKey,
    cell: Cell,
    run: usize,
}

impl<'r> Merged<'r> {
    fn new(spool: &'r Spool, runs: &'r [Vec<Extent>]) -> Self {
        let run = |extents: &'r Vec<Extent>| Run {
            extents: extents.iter(),
            block: BlockReader::default(),
        };
        let mut merged = Merged {
            spool,
            runs: runs.iter().map(run).collect(),
            heads: BinaryHeap::new(),
            failed: None,
        };
        for n in 0..merged.runs.len() {
            match merged.advance(n) {
                Ok(head) => merged.heads.extend(head),
                Err(e) => merged.failed = Some(e),
            }
        }
        merged
    }

    fn advance(&mut self, n: usize) -> Result<Option<Head>> {
        let Some(run) = self.runs.get_mut(n) else {
            return Ok(None);
        };
        loop {
            if let Some((key, cell)) = run.block.read_next()? {
                return Ok(Some(Head { key, cell, run: n }));
            }
            let Some(extent) = run.extents.next() else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            self.spool.read(*extent, &mut bytes);
            self.spool.check()?;
            run.block = BlockReader::new(bytes, 0)?;
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<RawEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(e) = self.failed.take() {
            self.heads.clear();
            return Some(Err(e));
        }
        let run = self.heads.peek()?.run;
        match self.advance(run) {
            Err(e) => self.failed = Some(e),
            Ok(next) => {
                let mut first = self.heads.peek_mut()?;
                let entry = (first.key, first.cell);
                match next {
                    Some(next) => *first = next,
                    None => drop(PeekMut::pop(first)),
                }
                return Some(Ok(entry));
            }
        }
        self.next()
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        (&other.key, other.run).cmp(&(&self.key, self.run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::Sides;
    use crate::aggregate::raw::kept::rank;
    use crate::net::Addr;
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = Addr> {
        prop_oneof![
            any::<u32>().prop_map(Addr::v4),
            (0u32..3).prop_map(Addr::v4),
            any::<u128>().prop_map(Addr),
            (0u128..3).prop_map(Addr),
        ]
    }

    prop_compose! {
        fn key()(
            ends in (address(), address()),
            packet in prop::option::of((address(), address())),
            numbers in (0u32..3, 0u8..3, 0u16..9, 0u16..3, 0u16..2, 0u32..3),
            sides in 0u8..64,
        ) -> RawKey {
            let (interface, protocol, port, other_port, log, hour) = numbers;
            let sides = Sides::from_bits(sides);
            RawKey { interface, src: ends.0, dst: ends.1, packet, sides, protocol, port, other_port, log, hour }
        }
    }

    proptest! {
        #[test]
        fn a_rank_rises_with_its_key(a in key(), b in key()) {
            prop_assert!(a.cmp(&b) == Ordering::Equal || (rank(&a) <= rank(&b)) == (a < b) || rank(&a) == rank(&b));
        }

        #[test]
        fn runs_on_disk_say_what_memory_says(keys in prop::collection::btree_set(key(), 0..200), turn in 0usize..200) {
            let folder = tempfile::tempdir().unwrap();
            let spool = Arc::new(Spool::create(folder.path()).unwrap());
            let mut sorters = [Sorter::default(), Sorter::of(Kept::new(3)), Sorter::spilling(3, 0, spool)];
            let mut mixed: Vec<RawKey> = keys.iter().copied().collect();
            let turn = turn % mixed.len().max(1);
            mixed.rotate_left(turn);
            for (key, n) in mixed.iter().zip(1u64..) {
                let first = u64::from(key.hour) * 3_600;
                let cell = Cell { bytes: n.into(), packets: 1, flows: n, first, last: first + n, sample: (1, n) };
                sorters.iter_mut().for_each(|s| s.push((*key, cell)));
            }
            let [held, binned, spilled] = sorters.map(|s| s.finish().unwrap());
            prop_assert_eq!(held.len(), keys.len() as u64);
            let all = |cells: &RawCells| cells.iter().collect::<Result<Vec<_>>>().unwrap();
            prop_assert_eq!(all(&held), all(&spilled));
            prop_assert_eq!(all(&held), all(&binned));
            prop_assert!(all(&held).iter().map(|(k, _)| k).eq(keys.iter()));
        }
    }
}
