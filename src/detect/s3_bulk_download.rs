//! `s3-bulk-download`: a caller reads far more in an hour than it ever did.
//!
//! The playbook's alarm, 1,000 objects an hour, is the floor; what is normal for the caller, or for its role, decides
//! above it. Reads of AWS services on their own behalf (Macie, Athena) stay inside AWS and are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::finding::Expectation;
use super::trail::{API_READS, Actor, Aspect, Deed, Extent, Measure, OWN_S3, Past, TrailDay, TrailDetector};
use super::trail::{TrailSignal, by_hour, group_of, measure};
use super::{Meta, Settings, Severity};
use crate::net::{HOUR, Seconds, human_bytes, rfc3339};

/// The detector.
pub struct S3BulkDownload;

/// Parameters of `s3-bulk-download`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many objects in an hour are many: the playbook's alarm.
    pub objects_an_hour: u64,
    /// So many bytes in an hour are many: a hundred megabytes are a database of customers.
    pub bytes_an_hour: u64,
    /// So many times the most of any past hour.
    pub factor: f64,
    /// The same for callers inside of the network: nothing has left by that, other rules see what leaves then.
    pub factor_inside: f64,
    /// Bytes that are many for callers inside.
    pub bytes_an_hour_inside: u64,
    /// So many sessions of one role at once are a deployment.
    pub fleet: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            objects_an_hour: 1_000,
            bytes_an_hour: 100_000_000,
            factor: 3.0,
            factor_inside: 10.0,
            bytes_an_hour_inside: 1_000_000_000,
            fleet: 3,
        }
    }
}

impl TrailDetector for S3BulkDownload {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-bulk-download",
            title: "Many objects read from S3 in a short time",
            techniques: &["T1530"],
            guardduty: Some("Exfiltration:S3/AnomalousBehavior"),
        }
    }

    fn retired(&self) -> &'static [&'static str] {
        &["Exfiltration:S3/ObjectRead.Unusual"]
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let own = &settings.s3_bulk_download;
        let of = |inside: bool| {
            let judged = day.actors.iter().enumerate();
            judged.filter_map(move |(index, actor)| signal(day, index, actor, inside, own))
        };
        let within = of(true).collect();
        of(false).chain(without_fleets(day, within, own.fleet)).collect()
    }
}

/// What many sessions of a role do on one day is a deployment, and no theft.
fn without_fleets(day: &TrailDay<'_>, signals: Vec<TrailSignal>, fleet: usize) -> Vec<TrailSignal> {
    let group = |s: &TrailSignal| day.actors.get(s.actor).and_then(|a| group_of(a.who));
    let mut sizes: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for signal in &signals {
        *sizes.entry(group(signal)).or_default() += 1;
    }
    let alone = |s: &TrailSignal| group(s).is_none() || sizes.get(&group(s)).is_none_or(|n| *n < fleet);
    signals.into_iter().filter(alone).collect()
}

fn signal(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, inside: bool, own: &Parameters) -> Option<TrailSignal> {
    let reads: Vec<u32> = day
        .calls(actor, &[Deed::Read])
        .filter(|(_, _, caller)| caller.inside == inside)
        .map(|(n, _, _)| n)
        .collect();
    let past = day.history.of(actor);
    let hours = by_hour(day, &reads);
    let measures: Vec<(Seconds, Measure)> = hours.iter().map(|(h, rows)| (*h, measure(day, rows))).collect();
    let hot: Vec<&(Seconds, Measure)> = measures
        .iter()
        .filter(|(_, m)| is_hot(m, past.as_ref(), inside, own))
        .collect();
    let (_, peak) = hot.iter().copied().max_by_key(|(_, m)| (m.bytes, m.objects))?;
    let rows = around(day, &hours, &hot);
    let extent = Extent::of(day.case, &rows);
    let surprise = past.map_or(1.0, |p| decades(peak, &p.habits.hour));
    let severity = if inside { Severity::Low } else { Severity::Medium };
    let (channel, where_to) = if inside {
        (
            OWN_S3,
            "Inside of the network, it has not left by this alone.".to_owned(),
        )
    } else {
        (API_READS, callers(day, &rows))
    };
    let reason = format!(
        "{} requests read {} distinct objects, {}, of {} bucket(s) ({}) from {} to {}.",
        extent.requests,
        extent.objects,
        extent.volume(),
        extent.buckets.len(),
        extent.bucket_names(),
        rfc3339(extent.first),
        rfc3339(extent.last)
    );
    let mut signal = TrailSignal::new("s3-bulk-download", index, Aspect::Moved, severity, rows)
        .channel(channel)
        .surprise(surprise)
        .because(reason)
        .because(compared(day, peak, past.as_ref()))
        .because(where_to);
    signal.expected = past.map(|p| Expectation {
        quantile: 1.0,
        expected: u64::try_from(p.habits.hour.bytes).unwrap_or(u64::MAX),
        observed: u64::try_from(peak.bytes).unwrap_or(u64::MAX),
        history_hours: 24 * p.habits.days.len() as u64,
    });
    Some(signal)
}

/// True if an hour is large, and far beyond all that was.
fn is_hot(m: &Measure, past: Option<&Past<'_>>, inside: bool, own: &Parameters) -> bool {
    let factor = if inside { own.factor_inside } else { own.factor };
    let Some(past) = past else {
        // Nothing to compare with: the playbook's alarm, for callers from outside.
        return !inside && m.objects >= own.objects_an_hour;
    };
    let most = &past.habits.hour;
    let least = if inside {
        own.bytes_an_hour_inside
    } else {
        own.bytes_an_hour
    };
    let objects = m.objects >= own.objects_an_hour && m.objects as f64 > factor * most.objects as f64;
    let bytes = m.bytes >= least.into() && m.bytes as f64 > factor * most.bytes as f64;
    objects || bytes
}

fn decades(m: &Measure, most: &Measure) -> f64 {
    let ratio = |a: f64, b: f64| (a / b.max(1.0)).max(1.0).log10();
    ratio(m.objects as f64, most.objects as f64).max(ratio(m.bytes as f64, most.bytes.max(1_000_000) as f64))
}

/// The reads of the hot hours, and of the hours beside them from the same addresses.
fn around(day: &TrailDay<'_>, hours: &BTreeMap<Seconds, Vec<u32>>, hot: &[&(Seconds, Measure)]) -> Vec<u32> {
    let source = |n: &u32| day.row(*n).map(|r| r.source);
    let starts: BTreeSet<Seconds> = hot.iter().map(|(h, _)| *h).collect();
    let sources: BTreeSet<u32> = starts
        .iter()
        .filter_map(|h| hours.get(h))
        .flatten()
        .filter_map(source)
        .collect();
    let near = |h: &Seconds| starts.iter().any(|s| s.abs_diff(*h) <= HOUR);
    let rows = hours.iter().filter(|(h, _)| near(h)).flat_map(|(_, rows)| rows);
    rows.filter(|n| source(n).is_some_and(|s| sources.contains(&s)))
        .copied()
        .collect()
}

fn callers(day: &TrailDay<'_>, rows: &[u32]) -> String {
    let callers: BTreeSet<String> = rows
        .iter()
        .filter_map(|n| Some(day.case.caller(day.row(*n)?)?.words()))
        .collect();
    let shown: Vec<&str> = callers.iter().take(3).map(String::as_str).collect();
    match callers.len().saturating_sub(shown.len()) {
        0 => format!("The caller's address: {}.", shown.join(", ")),
        more => format!("The callers' addresses: {} and {more} more.", shown.join(", ")),
    }
}

fn compared(day: &TrailDay<'_>, peak: &Measure, past: Option<&Past<'_>>) -> String {
    let Some(past) = past else {
        let known = day.history.days();
        return format!("There is no past to compare the caller with ({known} day(s) of trail before this one).");
    };
    let most = &past.habits.hour;
    format!(
        "The busiest hour had {} objects and {}; in {} day(s) before, {} had at most {} objects and {} in any hour.",
        peak.objects,
        human_bytes(peak.bytes),
        past.habits.days.len(),
        if past.borrowed { "its group" } else { "it" },
        most.objects,
        human_bytes(most.bytes)
    )
}
