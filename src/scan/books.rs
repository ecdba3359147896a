//! Flow logs and CloudTrail set against each other, without judging anything: what `flowtrail reconcile` shows.

use super::{Counted, Follow, Inputs, Known, Phases, count_all, covers_all, learn};
use crate::aggregate::vantage;
use crate::attribute::Reconciliation;
use crate::error::Result;
use crate::intel::Intel;
use rayon::ThreadPool;

/// Both logs' bytes to and from S3.
#[derive(Debug)]
pub struct Reconciled {
    /// What was counted.
    pub counted: Counted,
    /// What is known of the estate.
    pub known: Known,
    /// The balance of every interface.
    pub books: Reconciliation,
    /// True if the trail is known to record the data events of every bucket; else what is open is an upper bound.
    pub whole: bool,
}

/// Reads flow logs and CloudTrail, and reconciles their bytes to and from S3.
///
/// # Errors
/// As [`super::scan`].
pub fn reconcile(inputs: &Inputs, intel: &Intel, pool: &ThreadPool, follow: Follow<'_>) -> Result<Reconciled> {
    let (known, trail) = learn(inputs, pool, &mut Phases::default())?;
    let mut counted = count_all(inputs, &known, intel, pool, follow)?;
    counted.stats.trail = trail;
    let vantage = vantage::decide(&counted.table, &|id| known.inventory.is_middlebox(id));
    let passing = vantage.middleboxes.into_keys().collect();
    let books = Reconciliation::new(&counted.table, &known.index, &known.inventory, &passing);
    let whole = covers_all(&known.inventory);
    Ok(Reconciled {
        counted,
        known,
        books,
        whole,
    })
}
