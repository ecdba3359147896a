//! Detectors that need both logs at once: what one of them shows and the other one lacks.
//!
//! They judge a whole case, not a day, and hand back findings: their evidence is an absence, which no cell and no event can cite.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::{Meta, Settings};
use crate::aggregate::EgressTable;
use crate::attribute::Reconciliation;
use crate::trail::PrincipalIndex;

/// Flow logs and CloudTrail side by side.
#[derive(Debug, Clone, Copy)]
pub struct JointCase<'a> {
    /// What was counted.
    pub table: &'a EgressTable,
    /// Who did what from where.
    pub index: &'a PrincipalIndex,
    /// The bytes to S3 in both, if the trail has data events.
    pub books: Option<&'a Reconciliation>,
    /// Interfaces whose bytes began elsewhere.
    pub excluded: &'a BTreeSet<String>,
    /// True if the trail's selectors cover every bucket.
    pub whole: bool,
}

/// One way to see that the two logs do not fit together.
pub trait JointDetector: Sync {
    /// Its name and references.
    fn meta(&self) -> &'static Meta;
    /// Judges the whole case; each hour only by those before it.
    fn detect(&self, case: &JointCase<'_>, settings: &Settings) -> Vec<Finding>;
}
