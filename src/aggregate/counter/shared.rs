//! What all workers of a run share: the sums, and numbers of interfaces; and what becomes of it under a bound of memory.

use crate::aggregate::cells::Cells;
use crate::aggregate::interner::Ids;
use crate::aggregate::spill::Spool;
use std::sync::Arc;

/// What all workers of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The sums.
    pub cells: Cells,
    /// Numbers of interfaces.
    pub ids: Arc<Ids>,
}

impl Shared {
    /// Tables of at most so many bytes; what does not fit goes to `spool`.
    pub(in crate::aggregate) fn spilling(bytes: u64, spool: &Arc<Spool>) -> Shared {
        Shared {
            cells: Cells::spilling(bytes, spool),
            ids: Arc::default(),
        }
    }

    /// Tables of about so many cells: see [`Cells::is_full`].
    pub(in crate::aggregate) fn at_most(cells: u64) -> Shared {
        Shared {
            cells: Cells::at_most(cells),
            ids: Arc::default(),
        }
    }
}
