//! The ledger's channels that only CloudTrail's data events show: reads from outside, foreign buckets, copies inside S3.
//!
//! Without a trail they are not observable, which is never the same as 0 (design.md, counting rule 6).

use super::{Deed, TrailCase};
use crate::attribute::Reconciliation;
use crate::trail::Distinct;

/// What CloudTrail's data events add to the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct S3Channels {
    /// Payload that our credentials wrote into buckets of other accounts.
    pub foreign: u128,
    /// Flow bytes to S3 that no event explains.
    pub unaccounted: u128,
    /// Objects' bytes that callers outside of the network read.
    pub api_reads: u128,
    /// Objects copied inside S3 into other accounts: nobody counts their bytes.
    pub copied_objects: u64,
}

/// The channels that only data events show. Requests that failed moved nothing.
pub fn s3_channels(case: &TrailCase<'_>, books: &Reconciliation) -> S3Channels {
    let mut out = S3Channels {
        unaccounted: books.totals().1,
        ..S3Channels::default()
    };
    let mut copied = Distinct::default();
    for (n, row) in (0u32..).zip(&case.index.rows).filter(|(_, r)| r.error == 0) {
        let Some(caller) = case.caller(row) else { continue };
        let who = case
            .index
            .principal(row)
            .and_then(|p| p.account.as_deref())
            .unwrap_or_default();
        let abroad = case.is_foreign(case.index.text(row.owner));
        match case.deed(n) {
            Deed::Read if !caller.inside => out.api_reads = out.api_reads.saturating_add(row.bytes_out),
            Deed::Write if abroad && !case.is_foreign(who) => out.foreign = out.foreign.saturating_add(row.bytes_in),
            Deed::Copy if abroad || case.is_foreign(who) => copied.merge(&row.objects),
            _ => {}
        }
    }
    out.copied_objects = copied.count().number;
    out
}
