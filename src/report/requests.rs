//! What the requests that an incident cites add up to: by caller, by principal and bucket, and in all.
//!
//! Requests that failed moved nothing and touched no object; they are counted apart. Lists are cut off at the largest.

use std::collections::BTreeMap;

use crate::detect::trail::{Deed, deed};
use crate::incident::Incident;
use crate::intel::Intel;
use crate::net::{Seconds, rfc3339};
use crate::report::grid::json_integer;
use crate::trail::{Distinct, PrincipalIndex, TrailRow};
use serde_json::{Value, json};

/// Pairs of principal and bucket, and callers, listed of one incident.
const LISTED: usize = 60;

/// Pairs of principal and bucket listed of the whole archive.
const OF_ALL: usize = 300;

/// Sums over rows of the trail's index.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Requests that succeeded.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Bytes that callers received of objects.
    pub read: u128,
    /// Bytes that callers wrote into objects.
    pub written: u128,
    /// Distinct objects that were read, written, copied or deleted.
    pub objects: Distinct,
    /// First request.
    pub first: Option<Seconds>,
    /// Last request.
    pub last: Option<Seconds>,
}

impl Sum {
    /// Adds a row, whose deed is known.
    pub fn add(&mut self, row: &TrailRow, deed: Deed) {
        self.first = Some(self.first.map_or(row.first, |t| t.min(row.first)));
        self.last = Some(self.last.map_or(row.last, |t| t.max(row.last)));
        if row.error != 0 {
            self.failed += row.requests;
            return;
        }
        self.requests += row.requests;
        match deed {
            Deed::Read => self.read = self.read.saturating_add(row.bytes_out),
            Deed::Write => self.written = self.written.saturating_add(row.bytes_in),
            _ => {}
        }
        if !matches!(deed, Deed::Discover | Deed::Other) {
            self.objects.merge(&row.objects);
        }
    }

    fn moved(&self) -> u128 {
        self.read.saturating_add(self.written)
    }

    fn json(&self) -> Value {
        let objects = self.objects.count();
        json!({
            "requests": self.requests,
            "failed": self.failed,
            "objects": objects.number,
            "objects_exact": objects.exact,
            "read": json_integer(self.read),
            "written": json_integer(self.written),
            "first_seen": self.first.map(rfc3339),
            "last_seen": self.last.map(rfc3339),
        })
    }

    /// The sums with what they are about in front.
    fn of(&self, about: Value) -> Value {
        let mut out = about;
        if let (Value::Object(out), Value::Object(own)) = (&mut out, self.json()) {
            out.extend(own);
        }
        out
    }
}

/// What the cited requests of an incident add up to; null without any.
pub fn of_incident(incident: &Incident, index: Option<&PrincipalIndex>, intel: &Intel) -> Value {
    let Some(index) = index.filter(|_| !incident.requests.is_empty()) else {
        return Value::Null;
    };
    let rows = || {
        incident
            .requests
            .iter()
            .filter_map(|n| index.rows.get(*n as usize))
            .map(|r| (r, deed(index.text(r.service), index.text(r.event))))
    };
    let mut all = Sum::default();
    let mut callers: BTreeMap<&str, Sum> = BTreeMap::new();
    for (row, deed) in rows() {
        all.add(row, deed);
        callers.entry(index.text(row.source)).or_default().add(row, deed);
    }
    let mut out = all.json();
    out["callers"] = largest(callers, LISTED)
        .into_iter()
        .map(|(source, sum)| sum.of(caller(source, index, intel)))
        .collect();
    out["access"] = pairs(rows(), index, LISTED, true);
    out
}

/// Who moved objects of which bucket, in the whole archive: the largest pairs.
pub fn of_archive(index: Option<&PrincipalIndex>) -> Value {
    let Some(index) = index else { return Value::Null };
    let rows = index.rows.iter().filter(|r| r.error == 0).filter_map(|r| {
        let deed = deed(index.text(r.service), index.text(r.event));
        (!matches!(deed, Deed::Discover | Deed::Other)).then_some((r, deed))
    });
    pairs(rows, index, OF_ALL, false)
}

/// Sums by principal (with its key, if `keyed`) and bucket.
fn pairs<'r>(
    rows: impl Iterator<Item = (&'r TrailRow, Deed)>,
    index: &PrincipalIndex,
    most: usize,
    keyed: bool,
) -> Value {
    let mut sums: BTreeMap<(&str, &str, &str), Sum> = BTreeMap::new();
    for (row, deed) in rows.filter(|(r, _)| r.bucket != 0) {
        let who = index.principal(row);
        let key = who.map_or("", |p| &p.access_key);
        let name = (
            who.map_or("", |p| &p.arn),
            if keyed { key } else { "" },
            index.text(row.bucket),
        );
        sums.entry(name).or_default().add(row, deed);
    }
    largest(sums, most)
        .into_iter()
        .map(|((arn, key, bucket), sum)| {
            let key = Some(key).filter(|k| !k.is_empty());
            sum.of(json!({"principal": arn, "access_key": key, "bucket": bucket}))
        })
        .collect()
}

/// The largest by bytes moved, then by requests, then by name.
fn largest<K: Ord>(sums: BTreeMap<K, Sum>, most: usize) -> Vec<(K, Sum)> {
    let mut all: Vec<(K, Sum)> = sums.into_iter().collect();
    all.sort_by_key(|(_, s)| std::cmp::Reverse((s.moved(), s.requests, s.failed)));
    all.truncate(most);
    all
}

/// A caller's address with what the lists say of it.
fn caller(source: &str, index: &PrincipalIndex, intel: &Intel) -> Value {
    let addr = index.id(source).and_then(|id| index.addr(id));
    let Some(facts) = addr.map(|a| intel.peer(a)) else {
        return json!({"source": source, "class": null, "country": null, "asn": null, "as_name": null, "labels": []});
    };
    json!({
        "source": source,
        "class": facts.class,
        "country": facts.country,
        "asn": facts.asn,
        "as_name": facts.as_name,
        "labels": facts.labels,
    })
}
