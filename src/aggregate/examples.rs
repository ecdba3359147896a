//! Which rejected lines are shown: the first few of each reason, of the first files that have some, in bounded memory.
//!
//! All are counted, by reason and field. Which are shown depends neither on threads nor on the order of reading: those of
//! the lowest tasks are kept, whenever they come.

use crate::flow::Reason;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A reason, and the field that it was found in.
pub(super) type Kind = (Reason, String);
/// Rejected lines of a task by kind: how many, and the first of them with an excerpt.
pub(super) type Rejected = BTreeMap<Kind, (u64, Vec<(u64, String)>)>;

/// Tasks whose rejected lines are shown.
pub(super) const TASKS: usize = 1_000;

/// Rejected lines of all tasks.
#[derive(Debug, Default)]
pub(super) struct Examples(Mutex<Kept>);

/// What is kept of them.
#[derive(Debug, Default, Clone)]
pub(super) struct Kept {
    /// Lines by kind.
    pub(super) count: BTreeMap<Kind, u64>,
    /// By task.
    pub(super) shown: BTreeMap<u32, Rejected>,
}

impl Examples {
    /// Takes the rejected lines of a task that has some.
    pub(super) fn add(&self, task: u32, rejected: Rejected) {
        if rejected.is_empty() {
            return;
        }
        let mut kept = self.lock();
        for (kind, (lines, _)) in &rejected {
            *kept.count.entry(kind.clone()).or_default() += lines;
        }
        kept.shown.insert(task, rejected);
        if kept.shown.len() > TASKS {
            kept.shown.pop_last();
        }
    }

    /// All that was kept; nothing is left.
    pub(super) fn take(&self) -> Kept {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_tasks_are_shown_and_all_are_counted_whatever_the_order() {
        let kind = || (Reason::TooLong, "bytes".to_string());
        let run = |order: &mut dyn Iterator<Item = u32>| {
            let examples = Examples::default();
            order.for_each(|t| examples.add(t, Rejected::from([(kind(), (3, vec![(1, String::new())]))])));
            examples.take()
        };
        let (up, down) = (run(&mut (0..2_500)), run(&mut (0..2_500).rev()));
        assert_eq!((up.count[&kind()], down.count[&kind()]), (7_500, 7_500));
        assert_eq!(up.shown, down.shown);
        assert_eq!((up.shown.len(), up.shown.keys().last()), (TASKS, Some(&999)));
    }
}
