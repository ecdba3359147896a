//! Questions beside a scan's: what `flowtrail reconcile`, `floor` and `contain --what-if` start from, and the trail alone.

use super::{
    Counted, Follow, Inputs, Known, Phases, count_all, covers_all, learn, learned_before, trail_case, vantage,
};
use crate::aggregate::EgressTable;
use crate::attribute::Reconciliation;
use crate::detect::{self, Case, Floor, Settings};
use crate::error::Result;
use crate::incident::{self, Incident};
use crate::intel::Intel;
use rayon::ThreadPool;
use std::collections::BTreeSet;

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
    let (mut counted, _) = count_all(inputs, &known, intel, pool, follow)?;
    counted.stats.trail = trail;
    let vantage = vantage(&counted, &known, pool);
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

/// Flows counted and the trail learned, and which interfaces only pass traffic on: what a proposal is replayed against.
///
/// # Errors
/// As [`super::scan`].
pub fn replayable(
    inputs: &Inputs,
    intel: &Intel,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Counted, Known, BTreeSet<String>)> {
    let (known, trail) = learn(inputs, pool, &mut Phases::default())?;
    let (mut counted, _) = count_all(inputs, &known, intel, pool, follow)?;
    counted.stats.trail = trail;
    let vantage = vantage(&counted, &known, pool);
    let passing = vantage.middleboxes.into_keys().collect();
    Ok((counted, known, passing))
}

/// What each interface could send to a new host on the archive's last day without an alert.
///
/// # Errors
/// As [`super::scan`].
pub fn floors(
    inputs: &Inputs,
    intel: &Intel,
    settings: &Settings,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Counted, Vec<Floor>)> {
    let (known, _) = learn(inputs, pool, &mut Phases::default())?;
    let (counted, _) = count_all(inputs, &known, intel, pool, follow)?;
    let vantage = vantage(&counted, &known, pool);
    let before = learned_before(inputs, &counted.table);
    let case = Case {
        table: &counted.table,
        baseline: before.as_ref(),
        excluded: &vantage.middleboxes.keys().cloned().collect(),
        books: None,
    };
    let floors = pool.install(|| detect::floors(&case, settings));
    Ok((counted, floors))
}

/// What the trail alone shows: incidents without flow logs.
///
/// # Errors
/// As [`super::scan`].
pub fn scan_trail(inputs: &Inputs, intel: &Intel, settings: &Settings, pool: &ThreadPool) -> Result<Vec<Incident>> {
    let (known, _) = learn(inputs, pool, &mut Phases::default())?;
    let case = trail_case(&known, inputs, intel);
    let findings = detect::trail::judge(&case, settings);
    Ok(incident::group(findings, &EgressTable::default(), Some(&case)))
}
