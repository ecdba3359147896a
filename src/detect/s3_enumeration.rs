//! `s3-enumeration`: a caller asks about more buckets than it ever did, and is refused.

use serde::{Deserialize, Serialize};

use super::trail::{Actor, Aspect, CONTROL, Deed, Extent, TrailDay, TrailDetector, TrailSignal, by_hour, measure};
use super::{Meta, Settings, Severity};
use crate::net::rfc3339;

/// The detector.
pub struct S3Enumeration;

/// Parameters of `s3-enumeration`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Distinct buckets asked about in an hour: a person with a console asks about a few.
    pub buckets: u64,
    /// Refused requests (access denied, no such bucket) in an hour.
    pub refused: u64,
    /// So many times the most of any past hour.
    pub factor: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            buckets: 10,
            refused: 20,
            factor: 2.0,
        }
    }
}

impl TrailDetector for S3Enumeration {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-enumeration",
            title: "Buckets listed and probed",
            techniques: &["T1619"],
            guardduty: Some("Discovery:S3/AnomalousBehavior"),
        }
    }

    fn retired(&self) -> &'static [&'static str] {
        &["Discovery:S3/BucketEnumeration.Unusual"]
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signal(day, index, actor, &settings.s3_enumeration);
        day.actors.iter().enumerate().filter_map(of).collect()
    }
}

fn signal(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, own: &Parameters) -> Option<TrailSignal> {
    // An application that may not read what it wants is a fault; who lists and probes looks around.
    let asking =
        |n: &u32| day.case.deed(*n) == Deed::Discover && day.row(*n).is_some_and(|r| day.case.caller(r).is_some());
    let asked: Vec<u32> = actor.rows.iter().copied().filter(asking).collect();
    let past = day.history.of(actor).map(|p| p.habits.hour).unwrap_or_default();
    let beyond = |now: u64, least: u64, most: u64| now >= least && now as f64 > own.factor * most as f64;
    let mut refused = false;
    let hot: Vec<u32> = by_hour(day, &asked)
        .into_values()
        .filter(|rows| {
            let m = measure(day, rows);
            let denied = beyond(m.refused, own.refused, past.refused);
            refused |= denied;
            denied || beyond(m.breadth, own.buckets, past.breadth)
        })
        .flatten()
        .collect();
    if hot.is_empty() {
        return None;
    }
    let all = measure(day, &hot);
    let extent = Extent::of(day.case, &hot);
    let severity = if refused { Severity::Medium } else { Severity::Low };
    let reason = format!(
        "{} requests from {} to {} asked about {} bucket(s); {} were refused or named a bucket that does not exist.",
        extent.requests,
        rfc3339(extent.first),
        rfc3339(extent.last),
        all.breadth,
        all.refused
    );
    let compared = format!(
        "In any hour before it asked about at most {} bucket(s) and was refused at most {} time(s).",
        past.breadth, past.refused
    );
    let decades = (all.breadth.max(all.refused) as f64 / past.breadth.max(past.refused).max(1) as f64).log10();
    let signal = TrailSignal::new("s3-enumeration", index, Aspect::Recon, severity, hot);
    Some(
        signal
            .channel(CONTROL)
            .surprise(decades)
            .because(reason)
            .because(compared),
    )
}
