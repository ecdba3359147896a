//! `s3-presigned`: presigned links, made with somebody's credentials, are used from places that are new for them.
//!
//! A presigned URL carries its rights in itself: whoever has it reads without credentials, and the trail names its maker.
//! Makers whose links are used from everywhere do that for their customers; what is strange is the maker who never did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trail::{API_READS, Actor, Aspect, Caller, Deed, Extent, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings, Severity};
use crate::trail::Access;

/// The detector.
pub struct S3Presigned;

/// Parameters of `s3-presigned`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Links of a maker that were used from so many places before are made for customers.
    pub customers: usize,
    /// So many distinct objects from one new place are more than a link passed on.
    pub objects: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            customers: 5,
            objects: 50,
        }
    }
}

impl TrailDetector for S3Presigned {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-presigned",
            title: "Presigned links used from a new place",
            techniques: &["T1530"],
            guardduty: None,
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signals(day, index, actor, settings);
        day.actors.iter().enumerate().flat_map(of).collect()
    }
}

fn signals(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, settings: &Settings) -> Vec<TrailSignal> {
    let own = &settings.s3_presigned;
    let past = day.history.of(actor).map(|p| p.habits);
    if past.is_some_and(|h| h.presigned.len() >= own.customers) {
        return Vec::new();
    }
    let mut places: BTreeMap<&str, (&Caller, Vec<u32>)> = BTreeMap::new();
    for (n, row, caller) in day.calls(actor, &[Deed::Read, Deed::Write]) {
        let known = past.is_some_and(|h| h.presigned.contains(&caller.place) || h.places.contains_key(&caller.place));
        if row.access == Access::Presigned && !caller.inside && !known {
            places.entry(&caller.place).or_insert((caller, Vec::new())).1.push(n);
        }
    }
    let much = |rows: &[u32]| {
        let extent = Extent::of(day.case, rows);
        extent.bytes >= settings.floor_bytes.into() || extent.objects >= own.objects
    };
    let judged = places.into_values().filter(|(_, rows)| much(rows));
    judged
        .map(|(caller, rows)| signal(day, index, actor, caller, rows, past.is_some()))
        .collect()
}

fn signal(
    day: &TrailDay<'_>,
    index: usize,
    actor: &Actor<'_>,
    caller: &Caller,
    rows: Vec<u32>,
    learned: bool,
) -> TrailSignal {
    let extent = Extent::of(day.case, &rows);
    let severity = if learned { Severity::Medium } else { Severity::Low };
    let reason = format!(
        "{} requests signed in advance by {} came from {}: {} of {} objects in {}.",
        extent.requests,
        actor.name,
        caller.words(),
        extent.volume(),
        extent.objects,
        extent.bucket_names()
    );
    TrailSignal::new("s3-presigned", index, Aspect::Place, severity, rows)
        .channel(API_READS)
        .surprise(1.0)
        .because(reason)
        .because("No link of this maker was used from there before.")
}
