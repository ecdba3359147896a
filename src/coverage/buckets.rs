//! Buckets: are their data events recorded, and did any come?

use crate::coverage::selectors::{Scope, Selectors};
use crate::intake::Sensitive;
use crate::net::Seconds;
use crate::trail::{Access, PrincipalIndex};
use std::collections::BTreeMap;

/// One bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketCoverage {
    /// Its name.
    pub name: String,
    /// What the event selectors record of it; `None` if none are known.
    pub selected: Option<Scope>,
    /// Data events met.
    pub events: u64,
    /// First and last of them.
    pub span: Option<(Seconds, Seconds)>,
    /// Sensitive data that Macie found, sorted.
    pub sensitive: Vec<String>,
}

/// The buckets that the trail, selectors or Macie name, sorted.
pub fn buckets(index: &PrincipalIndex, selectors: &Selectors, sensitive: &Sensitive) -> Vec<BucketCoverage> {
    let mut all: BTreeMap<String, BucketCoverage> = BTreeMap::new();
    for row in index.rows.iter().filter(|r| r.bucket != 0) {
        let bucket = all.entry(index.text(row.bucket).to_string()).or_default();
        if matches!(row.access, Access::Data | Access::Presigned) {
            bucket.events += row.requests;
            let (first, last) = bucket.span.unwrap_or((row.first, row.last));
            bucket.span = Some((first.min(row.first), last.max(row.last)));
        }
    }
    for name in selectors.buckets() {
        all.entry(name).or_default();
    }
    for (name, held) in &sensitive.buckets {
        all.entry(name.clone()).or_default().sensitive = held.categories.iter().cloned().collect();
    }
    let finish = |(name, bucket): (String, BucketCoverage)| BucketCoverage {
        selected: (!selectors.is_empty()).then(|| selectors.scope(&name)),
        name,
        ..bucket
    };
    all.into_iter().map(finish).collect()
}

impl BucketCoverage {
    /// True if downloads from it leave no trace: no event came, and no selector that is known records its reads.
    pub fn is_blind(&self) -> bool {
        self.events == 0 && !self.selected.is_some_and(|scope| scope.read || scope.part)
    }
}
