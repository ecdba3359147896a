//! `s3-foreign-write`: our credentials write objects into a bucket of another account.
//!
//! The event names the bucket's owner in `resources[].accountId`. Buckets of AWS's own are left out by name; a partner that
//! this caller (or its role) wrote to before is usual. An attacker's own keys leave no such event: see reconciliation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trail::{Actor, Aspect, Deed, Extent, FOREIGN_S3, TrailDay, TrailDetector, TrailSignal, aws_owner};
use super::{Meta, Settings, Severity};
use crate::net::rfc3339;

/// The detector.
pub struct S3ForeignWrite;

/// Parameters of `s3-foreign-write`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many bytes in a day make it worth a look today; less is a log file or a try.
    pub least_bytes: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { least_bytes: 1_000_000 }
    }
}

impl TrailDetector for S3ForeignWrite {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-foreign-write",
            title: "Objects written into a bucket of another account",
            techniques: &["T1537"],
            guardduty: None,
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signals(day, index, actor, &settings.s3_foreign_write);
        day.actors.iter().enumerate().flat_map(of).collect()
    }
}

/// A signal for each account that is written to for the first time.
fn signals(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, own: &Parameters) -> Vec<TrailSignal> {
    let text = |id| day.case.index.text(id);
    if actor.who.account.as_deref().is_some_and(|a| day.case.is_foreign(a)) {
        return Vec::new();
    }
    let mut by_account: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (n, row, _) in day.calls(actor, &[Deed::Write]) {
        let owner = text(row.owner);
        if day.case.is_foreign(owner) && aws_owner(text(row.bucket)).is_none() {
            by_account.entry(owner).or_default().push(n);
        }
    }
    let past = day.history.of(actor).map(|p| p.habits);
    let before = day.history.own(actor.name);
    let known = |account: &&str| {
        let of = |h: &super::trail::Habits| h.accounts.contains(*account);
        past.is_some_and(of) || before.is_some_and(of)
    };
    let new = by_account.into_iter().filter(|(account, _)| !known(account));
    new.map(|(account, rows)| signal(day, index, account, rows, own))
        .collect()
}

fn signal(day: &TrailDay<'_>, index: usize, account: &str, rows: Vec<u32>, own: &Parameters) -> TrailSignal {
    let extent = Extent::of(day.case, &rows);
    let severity = if extent.bytes >= own.least_bytes.into() {
        Severity::Medium
    } else {
        Severity::Low
    };
    let reason = format!(
        "{} in {} requests went into {}, of account {account}, which is not ours, from {} to {}.",
        extent.volume(),
        extent.requests,
        extent.bucket_names(),
        rfc3339(extent.first),
        rfc3339(extent.last)
    );
    TrailSignal::new("s3-foreign-write", index, Aspect::Moved, severity, rows)
        .channel(FOREIGN_S3)
        .surprise((extent.bytes as f64 / own.least_bytes.max(1) as f64).max(1.0).log10())
        .because(reason)
        .because("The caller never wrote to that account before.")
}
