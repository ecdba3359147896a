//! What all workers of a run share: the sums, and numbers of interfaces; and what becomes of it under a bound of memory.

use crate::aggregate::cells::Cells;
use crate::aggregate::interner::Ids;
use crate::aggregate::key::FlowKey;
use crate::aggregate::spill::{Spool, Sums};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys that a worker keeps to itself before it looks what becomes of them.
pub(in crate::aggregate) const STEP: usize = 1_024;

/// What all workers of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The sums.
    pub cells: Cells,
    /// Numbers of interfaces.
    pub ids: Arc<Ids>,
    pub(super) wide: Wide,
}

/// What becomes of keys that the shared table cannot hold.
#[derive(Debug, Default)]
pub(super) enum Wide {
    /// Workers keep them.
    #[default]
    Kept,
    /// They are handed over, and go to disk with the others.
    Handed(Box<Sums<FlowKey>>),
    /// Workers keep so many in all.
    Counted { met: AtomicU64, most: u64 },
}

impl Shared {
    /// Tables of at most so many bytes; what does not fit goes to `spool`.
    pub(in crate::aggregate) fn spilling(bytes: u64, spool: &Arc<Spool>) -> Shared {
        Shared {
            cells: Cells::spilling(bytes / 4 * 3, spool.clone()),
            ids: Arc::default(),
            wide: Wide::Handed(Box::new(Sums::new(bytes / 4, spool.clone()))),
        }
    }

    /// Tables of about so many cells: see [`Shared::is_full`].
    pub(in crate::aggregate) fn at_most(cells: u64) -> Shared {
        Shared {
            cells: Cells::at_most(cells),
            ids: Arc::default(),
            wide: Wide::Counted {
                met: AtomicU64::new(0),
                most: cells,
            },
        }
    }

    /// Forgets all sums: the run begins again.
    pub(in crate::aggregate) fn restart(&self) {
        self.cells.clear();
        match &self.wide {
            Wide::Kept => {}
            Wide::Handed(sums) => sums.clear(),
            Wide::Counted { met, .. } => met.store(0, Ordering::Relaxed),
        }
    }

    /// True if there is more than the bound lets in: the run cannot go on.
    pub(in crate::aggregate) fn is_full(&self) -> bool {
        let kept = match &self.wide {
            Wide::Counted { met, most } => met.load(Ordering::Relaxed) > *most,
            _ => false,
        };
        kept || self.cells.is_full()
    }

    /// Writes out what is in memory, and gives the memory back.
    pub(in crate::aggregate) fn write_out(&self) {
        self.cells.write_out();
        if let Wide::Handed(sums) = &self.wide {
            sums.write_out();
        }
    }
}
