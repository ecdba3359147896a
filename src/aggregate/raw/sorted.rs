//! Raw cells in the order of their keys: in memory, or, under a bound, as sorted runs on disk that are merged as they are
//! asked for.
//!
//! Cells are large, so numbers are sorted that decide nearly every comparison (see [`rank`]), and cells stay where they are.

use crate::aggregate::key::Cell;
use crate::aggregate::raw::{BlockReader, RawEntry, RawKey, encode_block};
use crate::aggregate::spill::{Extent, Spool};
use crate::error::Result;
use crate::net::Addr;
use crate::store::Writer;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

/// Takes cells in any order.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    kept: Vec<RawEntry>,
    bound: Option<(usize, Arc<Spool>)>,
    runs: Vec<Vec<Extent>>,
    len: u64,
}

/// Cells sorted by key, each key once.
#[derive(Debug, Default)]
pub struct RawCells {
    kept: Vec<RawEntry>,
    /// The places of `kept` in order.
    order: Vec<u32>,
    runs: Vec<Vec<Extent>>,
    spool: Option<Arc<Spool>>,
    len: u64,
    /// The new numbers of files, where they have changed.
    files: Option<Vec<u32>>,
}

/// Cells of a block of a run.
const RUN_BLOCK: usize = 2_048;
/// Bytes that a cell takes while it waits to be sorted.
const TAKES: u64 = (size_of::<RawEntry>() + 2 * size_of::<(u128, u32)>()) as u64;

impl Sorter {
    /// A sorter that keeps at most so many bytes in memory.
    pub(super) fn spilling(bytes: u64, spool: Arc<Spool>) -> Self {
        let most = (bytes / TAKES).clamp(16, u32::MAX.into()) as usize;
        Sorter {
            bound: Some((most, spool)),
            ..Sorter::default()
        }
    }

    /// Takes a cell whose key was not taken before.
    pub(super) fn push(&mut self, entry: RawEntry) {
        if self.bound.as_ref().is_some_and(|(most, _)| self.kept.len() >= *most) {
            self.write_run();
        }
        self.kept.push(entry);
        self.len += 1;
    }

    fn write_run(&mut self) {
        let Some((_, spool)) = &self.bound else { return };
        let order = order(&self.kept);
        let blocks = order.chunks(RUN_BLOCK).map(|block| {
            let cells: Vec<RawEntry> = block
                .iter()
                .filter_map(|n| self.kept.get(*n as usize).copied())
                .collect();
            let mut w = Writer::default();
            encode_block(&cells, &mut w);
            spool.write(&w.into_bytes())
        });
        self.runs.push(blocks.collect());
        self.kept.clear();
    }

    /// All that was taken.
    ///
    /// # Errors
    /// `Output` if a run could not be written.
    pub(super) fn finish(mut self) -> Result<RawCells> {
        if !self.runs.is_empty() && !self.kept.is_empty() {
            self.write_run();
            self.kept = Vec::new();
        }
        let spool = self.bound.map(|(_, spool)| spool);
        spool.as_ref().map_or(Ok(()), |s| s.check())?;
        Ok(RawCells {
            order: order(&self.kept),
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
        let renumbered = |mut entry: RawEntry| {
            if let Some(files) = &self.files {
                entry.1.sample.0 = files.get(entry.1.sample.0 as usize).copied().unwrap_or(0);
            }
            entry
        };
        match &self.spool {
            Some(spool) if !self.runs.is_empty() => {
                let merged = Merged::new(spool, &self.runs);
                Box::new(merged.map(move |entry| entry.map(renumbered)))
            }
            _ => {
                let cells = self.order.iter().filter_map(|n| self.kept.get(*n as usize));
                Box::new(cells.map(move |entry| Ok(renumbered(*entry))))
            }
        }
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

/// The places of cells in the order of their keys.
fn order(cells: &[RawEntry]) -> Vec<u32> {
    let key = |n: u32| cells.get(n as usize).map(|(key, _)| key);
    let mut order: Vec<(u128, u32)> = cells.iter().zip(0u32..).map(|((key, _), n)| (rank(key), n)).collect();
    order.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))));
    order.into_iter().map(|(_, n)| n).collect()
}

/// A number that rises with the key; of IPv4 keys without packet addresses it leaves hardly anything open.
fn rank(key: &RawKey) -> u128 {
    let mut rank = u128::from(key.interface) << 96;
    let (src, exact) = squeezed(key.src);
    rank |= src << 63;
    if !exact {
        return rank;
    }
    let (dst, exact) = squeezed(key.dst);
    rank |= dst << 30;
    if !exact || key.packet.is_some() {
        return rank | u128::from(exact) << 29;
    }
    rank | u128::from(key.sides.bits()) << 21 | u128::from(key.protocol) << 13 | u128::from(key.port >> 3)
}

/// An address in 33 bits, in their order; false if others have the same.
fn squeezed(a: Addr) -> (u128, bool) {
    match a.as_v4() {
        Some(v4) => (u128::from(v4) + 1, true),
        None if a < Addr::v4(0) => (0, false),
        None => ((1 << 32) + 1, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::Sides;
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
            let mut sorters = [Sorter::default(), Sorter::spilling(0, spool)];
            let mut mixed: Vec<RawKey> = keys.iter().copied().collect();
            let turn = turn % mixed.len().max(1);
            mixed.rotate_left(turn);
            for (key, n) in mixed.iter().zip(1u64..) {
                let first = u64::from(key.hour) * 3_600;
                let cell = Cell { bytes: n.into(), packets: 1, flows: n, first, last: first + n, sample: (1, n) };
                sorters.iter_mut().for_each(|s| s.push((*key, cell)));
            }
            let [held, spilled] = sorters.map(|s| s.finish().unwrap());
            prop_assert_eq!(held.len(), keys.len() as u64);
            let all = |cells: &RawCells| cells.iter().collect::<Result<Vec<_>>>().unwrap();
            prop_assert_eq!(all(&held), all(&spilled));
            prop_assert!(all(&held).iter().map(|(k, _)| k).eq(keys.iter()));
        }
    }
}
