//! The largest of many groups, as they come: no more of them are kept than are shown.

use crate::aggregate::spill::Room;
use crate::aggregate::table::Volume;
use crate::aggregate::top::Answer;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Groups that are shown, the last of them at hand, and counts of all.
pub(super) struct Largest<'r> {
    /// How many; 0 for all.
    limit: usize,
    room: &'r Room,
    shown: BinaryHeap<Shown>,
    groups: u64,
    bytes: u128,
}

/// The greater is shown the later.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    texts: Vec<String>,
    volume: Volume,
}

impl<'r> Largest<'r> {
    pub(super) fn new(limit: usize, room: &'r Room) -> Self {
        Largest {
            limit,
            room,
            shown: BinaryHeap::new(),
            groups: 0,
            bytes: 0,
        }
    }

    /// Takes a group; its keys are made text only if they matter.
    pub(super) fn add(&mut self, volume: Volume, texts: impl FnOnce() -> Vec<String>) {
        self.groups += 1;
        self.bytes += volume.bytes;
        if self.limit == 0 || self.shown.len() < self.limit {
            let shown = Shown { texts: texts(), volume };
            // A row is text twice over once it is written.
            let text: usize = shown.texts.iter().map(|t| t.len() + 2 * size_of::<String>()).sum();
            if self.room.take((size_of::<Shown>() + 400 + 2 * text) as u64) {
                self.shown.push(shown);
            }
            return;
        }
        let Some(mut last) = self.shown.peek_mut() else { return };
        if volume.bytes < last.volume.bytes {
            return;
        }
        let shown = Shown { texts: texts(), volume };
        if shown < *last {
            *last = shown;
        }
    }

    pub(super) fn answer(self) -> Answer {
        let rows = self.shown.into_sorted_vec().into_iter();
        Answer {
            rows: rows.map(|s| (s.texts, s.volume)).collect(),
            groups: self.groups,
            total_bytes: self.bytes,
        }
    }
}

impl Ord for Shown {
    fn cmp(&self, other: &Self) -> Ordering {
        let bytes = other.volume.bytes.cmp(&self.volume.bytes);
        bytes.then_with(|| self.texts.cmp(&other.texts))
    }
}

impl PartialOrd for Shown {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
