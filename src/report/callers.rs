//! What the principals of incidents moved by hour, beside what was usual for them: the picture where no flow log looks.
//!
//! Each day's band comes from the days before it, and from hours in which the principal worked: the median, and the most.
//! What an incident cites does not teach. It is for the eye: what was judged is in the finding.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::trail::{Deed, deed};
use crate::incident::Incident;
use crate::net::{HOUR, Seconds, rfc3339};
use crate::report::detail::SERIES;
use crate::report::grid::json_integer;
use crate::report::run::Run;
use crate::trail::{PrincipalIndex, TrailRow};
use serde_json::{Value, json};

/// Reads or writes of one principal.
type Key = (String, Deed);

/// The hours of one key: bytes of all, and of what is not cited.
type Hours = BTreeMap<Seconds, (u128, u128)>;

/// The series of the principals of incidents that the trail shows.
pub fn series(run: &Run<'_>) -> Vec<Value> {
    let Some(index) = run.trail else { return Vec::new() };
    let of_trail = run.incidents.iter().filter(|i| !i.requests.is_empty());
    let mut wanted: BTreeSet<Key> = BTreeSet::new();
    for key in of_trail.filter_map(|i| key(i, index)) {
        if wanted.len() < SERIES {
            wanted.insert(key);
        }
    }
    let hours = by_hour(run, index, &wanted);
    hours.into_iter().map(|(key, hours)| told(&key, &hours)).collect()
}

/// The leading principal, and which way its bytes went.
fn key(incident: &Incident, index: &PrincipalIndex) -> Option<Key> {
    let mut moved: BTreeMap<Key, u128> = BTreeMap::new();
    for row in incident.requests.iter().filter_map(|n| index.rows.get(*n as usize)) {
        if let Some((key, bytes)) = share(row, index) {
            *moved.entry(key).or_default() += bytes;
        }
    }
    moved
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .max_by_key(|(_, bytes)| *bytes)
        .map(|(k, _)| k)
}

fn share(row: &TrailRow, index: &PrincipalIndex) -> Option<(Key, u128)> {
    let deed = deed(index.text(row.service), index.text(row.event));
    let bytes = match deed {
        Deed::Read => row.bytes_out,
        Deed::Write => row.bytes_in,
        _ => return None,
    };
    let who = index.principal(row).filter(|_| row.error == 0)?;
    Some(((who.arn.clone(), deed), bytes))
}

fn by_hour(run: &Run<'_>, index: &PrincipalIndex, wanted: &BTreeSet<Key>) -> BTreeMap<Key, Hours> {
    let cited: BTreeSet<u32> = run.incidents.iter().flat_map(|i| i.requests.iter().copied()).collect();
    let mut out: BTreeMap<Key, Hours> = BTreeMap::new();
    for (n, row) in (0u32..).zip(&index.rows) {
        let Some((key, bytes)) = share(row, index).filter(|(k, _)| wanted.contains(k)) else {
            continue;
        };
        let hour = out.entry(key).or_default().entry(row.hour).or_default();
        hour.0 += bytes;
        hour.1 += if cited.contains(&n) { 0 } else { bytes };
    }
    out
}

fn told((arn, deed): &Key, hours: &Hours) -> Value {
    let mut past: Vec<u128> = Vec::new();
    let mut today: Vec<u128> = Vec::new();
    let mut day = 0;
    let mut rows: Vec<Value> = Vec::new();
    for (start, (bytes, usual)) in hours {
        if start / (24 * HOUR) != day {
            past.append(&mut today);
            past.sort_unstable();
            day = start / (24 * HOUR);
        }
        let (expected, high) = (past.get(past.len() / 2), past.last());
        rows.push(json!([
            rfc3339(*start),
            json_integer(*bytes),
            expected.map(|b| json_integer(*b)),
            high.map(|b| json_integer(*b)),
        ]));
        today.extend(Some(*usual).filter(|b| *b > 0));
    }
    let channel = if *deed == Deed::Read {
        "reads from S3"
    } else {
        "writes to S3"
    };
    json!({"eni": null, "principal": arn, "channel": channel, "hours": rows})
}
