//! The trail's side of detection: callers judged day by day, each day only by the days before it.
//!
//! [`TrailCase`] is what there is to see; [`TrailDay`] one day of it beside what was learned; a [`TrailDetector`] answers
//! with [`TrailSignal`]s that cite rows of the trail's index; `weigh` lets signals of one caller speak for each other.
//! What became a finding does not teach, until it has lasted as long as `adopt_after` says.

mod aws_buckets;
mod case;
mod channels;
mod deed;
mod extent;
mod habits;
mod signal;
mod weigh;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Severity};
use super::{Meta, Settings, TRAIL_DETECTORS};
use crate::net::HOUR;
use crate::trail::{Principal, TrailRow};

pub use aws_buckets::aws_owner;
pub use case::{Caller, TrailCase};
pub use channels::{S3Channels, s3_channels};
pub use deed::{Deed, deed};
pub use extent::{BucketSum, Extent};
pub use habits::{Habits, History, LEARNED, Measure, Past, by_hour, group_of, measure};
pub use signal::{API_READS, Aspect, CONTROL, FOREIGN_S3, OWN_S3, SERVER_COPY, TrailSignal};
pub use weigh::describe;
pub use whereabouts::weigh_whereabouts;

/// Days since 1970.
pub(super) type Day = u64;

/// One way to see in CloudTrail that data leaves, or is about to.
pub trait TrailDetector: Sync {
    /// Its name and references.
    fn meta(&self) -> &'static Meta;
    /// GuardDuty's retired types for the same, still found in older findings.
    fn retired(&self) -> &'static [&'static str] {
        &[]
    }
    /// Judges one day.
    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal>;
}

/// One caller's day.
#[derive(Debug)]
pub struct Actor<'a> {
    /// The caller's ARN, or what else names it.
    pub name: &'a str,
    /// Any one of its identities of the day: they differ in their access key.
    pub who: &'a Principal,
    /// Rows of the index, in time order.
    pub rows: Vec<u32>,
}

/// One day of a case.
#[derive(Debug)]
pub struct TrailDay<'a> {
    /// All there is.
    pub case: &'a TrailCase<'a>,
    /// Days since 1970.
    pub day: Day,
    /// Who called, sorted by name.
    pub actors: Vec<Actor<'a>>,
    /// What the days before taught.
    pub history: &'a History,
}

impl<'a> TrailDay<'a> {
    /// A row of the index.
    pub fn row(&self, n: u32) -> Option<&'a TrailRow> {
        self.case.index.rows.get(n as usize)
    }

    /// The actor's rows of these kinds that succeeded, with the caller's address known.
    pub fn calls<'s>(
        &'s self,
        actor: &'s Actor<'_>,
        deeds: &'s [Deed],
    ) -> impl Iterator<Item = (u32, &'a TrailRow, &'a Caller)> + 's {
        let known = |n: &u32| {
            let row = self.row(*n).filter(|r| r.error == 0)?;
            Some((*n, row, self.case.caller(row)?))
        };
        actor
            .rows
            .iter()
            .filter(|n| deeds.contains(&self.case.deed(**n)))
            .filter_map(known)
    }
}

/// Judges every day of the trail, each by the days before it.
pub fn judge(case: &TrailCase<'_>, settings: &Settings) -> Vec<Finding> {
    let mut history = History::default();
    let mut flagged: BTreeMap<(String, u32), Day> = BTreeMap::new();
    let mut out = Vec::new();
    for (day, actors) in days(case) {
        let view = TrailDay {
            case,
            day,
            actors,
            history: &history,
        };
        let signals = TRAIL_DETECTORS.iter().flat_map(|d| d.detect(&view, settings)).collect();
        let found = weigh::weigh(&view, signals, settings);
        let strange = remember(&view, &found, &mut flagged, settings.adopt_after);
        let lessons = habits::lessons(&view, &strange);
        out.extend(found);
        history.learn(day, lessons);
    }
    out
}

/// The rows that shall not teach: cited by a finding, unless the same was flagged so long ago that it is the new normal.
fn remember(
    view: &TrailDay<'_>,
    found: &[Finding],
    flagged: &mut BTreeMap<(String, u32), Day>,
    adopt_after: u32,
) -> BTreeSet<u32> {
    let mut strange = BTreeSet::new();
    for finding in found.iter().filter(|f| f.severity >= Severity::Medium) {
        for n in &finding.requests {
            let Some(row) = view.row(*n) else { continue };
            let who = view.case.index.principal(row).map_or("", |p| &p.arn);
            let since = *flagged.entry((who.to_owned(), row.source)).or_insert(view.day);
            if view.day < since + u64::from(adopt_after) {
                strange.insert(*n);
            }
        }
    }
    strange
}

/// The callers of each day.
fn days<'a>(case: &TrailCase<'a>) -> BTreeMap<Day, Vec<Actor<'a>>> {
    let mut out: BTreeMap<Day, BTreeMap<&'a str, Actor<'a>>> = BTreeMap::new();
    for (n, row) in case.index.rows.iter().enumerate() {
        let Some(who) = case.index.principal(row) else { continue };
        let name = who.arn.as_str();
        let fresh = || Actor {
            name,
            who,
            rows: Vec::new(),
        };
        let actors = out.entry(row.hour / (24 * HOUR)).or_default();
        let actor = actors.entry(name).or_insert_with(fresh);
        actor.rows.push(u32::try_from(n).unwrap_or(u32::MAX));
    }
    let sorted = |(day, actors): (Day, BTreeMap<_, _>)| (day, actors.into_values().collect());
    out.into_iter().map(sorted).collect()
}
