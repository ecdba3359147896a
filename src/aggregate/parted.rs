//! All cells, as often as they are asked for, in parts that several threads may look at at once.
//!
//! What is learned of all cells is learned of each part, and joined: sums, sets and maxima, so nothing depends on which thread
//! saw which part.

use crate::aggregate::key::{Cell, FlowKey};
use rayon::prelude::*;

/// Cells in parts.
pub(super) trait Parted: Sync {
    /// How many parts there are.
    fn parts(&self) -> usize;

    /// Shows all cells of one part.
    fn show(&self, part: usize, each: &mut dyn FnMut(&FlowKey, &Cell));
}

impl dyn Parted + '_ {
    /// Shows all cells, one after the other.
    pub(super) fn each(&self, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        (0..self.parts()).for_each(|part| self.show(part, each));
    }

    /// What `add` makes of all cells, begun with what `new` makes as often as there is need, and joined.
    pub(super) fn fold<T: Send>(
        &self,
        new: impl Fn() -> T + Sync,
        add: impl Fn(&mut T, &FlowKey, &Cell) + Sync,
        join: impl Fn(T, T) -> T + Sync,
    ) -> T {
        let of_part = |mut all: T, part| {
            self.show(part, &mut |key, cell| add(&mut all, key, cell));
            all
        };
        let parts = (0..self.parts()).into_par_iter().with_min_len(16);
        parts.fold(&new, of_part).reduce(&new, &join)
    }
}

/// The same cells by other keys; those without one are left out.
pub(super) struct Through<'a> {
    pub(super) cells: &'a dyn Parted,
    pub(super) key: &'a (dyn Fn(&FlowKey, &Cell) -> Option<FlowKey> + Sync),
}

impl Parted for Through<'_> {
    fn parts(&self) -> usize {
        self.cells.parts()
    }

    fn show(&self, part: usize, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        self.cells.show(part, &mut |key, cell| {
            if let Some(key) = (self.key)(key, cell) {
                each(&key, cell);
            }
        });
    }
}

#[cfg(test)]
impl Parted for Vec<(FlowKey, Cell)> {
    fn parts(&self) -> usize {
        self.len().div_ceil(7)
    }

    fn show(&self, part: usize, each: &mut dyn FnMut(&FlowKey, &Cell)) {
        self[7 * part..].iter().take(7).for_each(|(key, cell)| each(key, cell));
    }
}
