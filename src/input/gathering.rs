//! Sources in whatever order they are found, to one sorted list.
//!
//! All of them side by side would be the peak of a run, so they are sorted a thousand at a time, packed, and the packed lists
//! are merged level by level. The order is that of one sort, however they came.

use crate::input::archive::Source;
use crate::input::sources::{Iter, Packed, Sources};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

/// Sources as they are found, to be sorted.
#[derive(Debug, Default)]
pub(in crate::input) struct Gathering {
    fresh: Vec<Source>,
    /// Sorted, each of them: on each level those that were merged of [`MERGED`] of the level below.
    levels: Vec<Vec<Sources>>,
}

/// Sources that are sorted at a time.
const RUN: usize = 1_024;

/// Runs that are merged at a time: of each a block is unpacked then.
const MERGED: usize = 16;

impl Gathering {
    /// Adds one.
    pub(in crate::input) fn push(&mut self, source: Source) {
        self.fresh.push(source);
        if self.fresh.len() >= RUN {
            self.settle();
        }
    }

    /// Adds what was found elsewhere.
    #[cfg(feature = "s3")]
    pub(in crate::input) fn append(&mut self, mut other: Gathering) {
        other.settle();
        other.levels.into_iter().flatten().for_each(|run| self.add(run, 0));
    }

    fn settle(&mut self) {
        self.fresh.sort_unstable();
        let run = self.fresh.drain(..).collect();
        self.add(run, 0);
    }

    fn add(&mut self, run: Sources, level: usize) {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let Some(runs) = self.levels.get_mut(level).filter(|_| !run.is_empty()) else {
            return;
        };
        runs.push(run);
        if runs.len() == MERGED {
            let merged = merge(&std::mem::take(runs), false);
            self.add(merged, level + 1);
        }
    }

    /// All of them sorted, each path once.
    pub(in crate::input) fn finish(mut self) -> Sources {
        self.settle();
        self.fresh = Vec::new();
        let runs: Vec<Sources> = self.levels.into_iter().flatten().collect();
        merge(&runs, true)
    }
}

/// Sorted lists as one; at the end each path `once`: who stands beside whom is known of the whole only.
fn merge(runs: &[Sources], once: bool) -> Sources {
    let mut runs: Vec<Iter<'_>> = runs.iter().map(Sources::iter).collect();
    let firsts = runs
        .iter_mut()
        .enumerate()
        .filter_map(|(n, r)| Some(Reverse((r.next()?, n))));
    let mut heads: BinaryHeap<Reverse<(Source, usize)>> = firsts.collect();
    let mut all = Packed::default();
    let mut before: Option<PathBuf> = None;
    while let Some(Reverse((source, n))) = heads.pop() {
        let next = runs.get_mut(n).and_then(Iterator::next);
        heads.extend(next.map(|s| Reverse((s, n))));
        let again = |b: &PathBuf| once && b.as_os_str() == source.path.as_os_str();
        if !before.as_ref().is_some_and(again) {
            all.push(&source);
            before = Some(source.path);
        }
    }
    all.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::sources::tests::{names, source};
    use proptest::prelude::*;

    #[cfg(unix)]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn runs_are_merged_as_one_sort_would(mut plain in names(), cut in 1usize..99) {
            let mut gathering = Gathering::default();
            for (n, s) in plain.iter().enumerate() {
                gathering.push(s.clone());
                if n % cut == 0 {
                    gathering.settle();
                }
            }
            plain.sort();
            plain.dedup_by(|a, b| a.path.as_os_str() == b.path.as_os_str());
            prop_assert_eq!(gathering.finish().iter().collect::<Vec<_>>(), plain);
        }
    }

    #[test]
    fn a_folder_larger_than_a_run_is_sorted_as_a_whole() {
        let files = ((MERGED + 2) * RUN) as u64 + 77;
        let name = |n: u64| format!("{:05}.log", n * 7_919 % files);
        let mut gathering = Gathering::default();
        (0..files).for_each(|n| gathering.push(source(&name(n), "x/", n)));
        assert_eq!(gathering.levels.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        let all = gathering.finish();
        let sorted = (0..files).map(|n| format!("{n:05}.log"));
        assert!(all.iter().map(|s| s.name).eq(sorted));
        assert_eq!(all.sizes().sum::<u64>(), files * (files - 1) / 2);
    }
}
