//! `s3-mass-delete`: a caller deletes far more in an hour than it ever did.
//!
//! Ransom and revenge: the copy that was taken becomes the only one. `DeleteObjects` deletes up to 1,000 keys at once, so
//! its requests count whatever they hold. Lifecycle rules are no caller.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::trail::{Actor, Aspect, CONTROL, Deed, Extent, TrailDay, TrailDetector, TrailSignal, by_hour, measure};
use super::{Meta, Settings, Severity};
use crate::net::{HOUR, Seconds, rfc3339};
use crate::trail::Notable;

/// The detector.
pub struct S3MassDelete;

/// Parameters of `s3-mass-delete`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many deletions in an hour are many.
    pub an_hour: u64,
    /// So many times the most of any past hour.
    pub factor: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            an_hour: 500,
            factor: 3.0,
        }
    }
}

impl TrailDetector for S3MassDelete {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-mass-delete",
            title: "Many objects deleted in a short time",
            techniques: &["T1485"],
            guardduty: Some("Impact:S3/AnomalousBehavior.Delete"),
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signal(day, index, actor, &settings.s3_mass_delete);
        day.actors.iter().enumerate().filter_map(of).collect()
    }
}

fn signal(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, own: &Parameters) -> Option<TrailSignal> {
    let rows: Vec<u32> = day.calls(actor, &[Deed::Delete]).map(|(n, _, _)| n).collect();
    let past = day.history.of(actor);
    let most = past.map_or(0, |p| p.habits.hour.deleted);
    let hot: Vec<u32> = by_hour(day, &rows)
        .into_values()
        .filter(|rows| {
            let now = measure(day, rows).deleted;
            now >= own.an_hour && now as f64 > own.factor * most as f64
        })
        .flatten()
        .collect();
    if hot.is_empty() {
        return None;
    }
    let extent = Extent::of(day.case, &hot);
    let deleted = measure(day, &hot).deleted;
    let reason = format!(
        "{deleted} deletions in {} from {} to {}; in any hour before there were at most {most}.",
        extent.bucket_names(),
        rfc3339(extent.first),
        rfc3339(extent.last)
    );
    let severity = if past.is_some() {
        Severity::Medium
    } else {
        Severity::Low
    };
    let signal = TrailSignal::new("s3-mass-delete", index, Aspect::Destroyed, severity, hot);
    let decades = (deleted as f64 / most.max(1) as f64).log10();
    let signal = signal.channel(CONTROL).surprise(decades).because(reason);
    let buckets: BTreeSet<&str> = extent.buckets.keys().map(String::as_str).collect();
    Some(unversioned(day, &buckets, extent.last).fold(signal, TrailSignal::because))
}

/// Who made the deletion final: versioning of these buckets that was suspended in the days before.
fn unversioned<'a>(
    day: &'a TrailDay<'_>,
    buckets: &'a BTreeSet<&str>,
    until: Seconds,
) -> impl Iterator<Item = String> + 'a {
    const BEFORE: Seconds = 7 * 24 * HOUR;
    let near = move |n: &&Notable| n.time <= until && until - n.time <= BEFORE;
    let suspends =
        |n: &&Notable| n.event == "PutBucketVersioning" && n.error.is_none() && n.request.contains("Suspended");
    let events = day.case.index.notable.iter().filter(near).filter(suspends);
    events.filter_map(move |n| {
        let bucket = n.bucket.as_deref().filter(|b| buckets.contains(b))?;
        let who = day.case.index.principals.get(n.principal as usize)?;
        let time = rfc3339(n.time);
        Some(format!(
            "{} suspended the versioning of {bucket} at {time}: what was deleted after that has no copy.",
            who.arn
        ))
    })
}
