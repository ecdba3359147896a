//! `s3-exposure-change`: data is opened to everybody, or to another account.
//!
//! Policies, ACLs, access points, the public access block, replication, and the sharing of snapshots and images. Only what
//! opens counts: statements that allow, to everybody or to a stranger, without a condition that closes them again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trail::{Aspect, CONTROL, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings, Severity};
use crate::net::rfc3339;
use crate::trail::Notable;

/// The detector.
pub struct S3ExposureChange;

/// Parameters of `s3-exposure-change`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Condition keys that keep a statement for "everybody" among friends, in lower case.
    pub closing: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        let closing = [
            "aws:sourcevpce",
            "aws:sourcevpc",
            "aws:vpcsourceip",
            "aws:sourceip",
            "aws:principalorgid",
            "aws:principalorgpaths",
            "aws:principalaccount",
            "aws:principalarn",
            "aws:sourceaccount",
            "aws:sourcearn",
            "aws:sourceorgid",
            "s3:dataaccesspointaccount",
        ];
        Parameters {
            closing: closing.map(str::to_owned).to_vec(),
        }
    }
}

impl TrailDetector for S3ExposureChange {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-exposure-change",
            title: "Data opened to everybody or to another account",
            techniques: &["T1537"],
            guardduty: Some("Policy:S3/BucketAnonymousAccessGranted"),
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let judge = |n: &Notable| opening(day, n, &settings.s3_exposure_change);
        notable_signals(day, self.meta().id, Aspect::Exposed, &judge)
    }
}

/// A signal for each caller whose notable events of the day mean something, citing the rows that count them.
pub(super) fn notable_signals(
    day: &TrailDay<'_>,
    rule: &'static str,
    aspect: Aspect,
    judge: &dyn Fn(&Notable) -> Option<(Severity, String)>,
) -> Vec<TrailSignal> {
    let mut out = Vec::new();
    for (index, actor) in day.actors.iter().enumerate() {
        let mut signal = TrailSignal::new(rule, index, aspect, Severity::Info, Vec::new()).channel(CONTROL);
        for event in of_actor(day, actor.name) {
            let Some((severity, what)) = judge(event) else { continue };
            let severity = if event.error.is_some() { Severity::Low } else { severity };
            let ending = if event.error.is_some() { " (refused)" } else { "" };
            signal.severity = signal.severity.max(severity);
            signal
                .rows
                .extend(actor.rows.iter().copied().filter(|n| counts(day, *n, event)));
            let reason = format!("{}: {} {what}{ending}.", rfc3339(event.time), event.event);
            signal = signal.because(reason);
        }
        signal.rows.sort_unstable();
        signal.rows.dedup();
        out.extend(Some(signal).filter(|s| !s.reasons.is_empty()).map(|s| s.surprise(1.0)));
    }
    out
}

/// The notable events of a caller on this day.
fn of_actor<'a>(day: &TrailDay<'a>, name: &str) -> impl Iterator<Item = &'a Notable> {
    const DAY: u64 = 24 * crate::net::HOUR;
    let events = &day.case.index.notable;
    let from = events.partition_point(|n| n.time < day.day * DAY);
    let to = events.partition_point(|n| n.time < (day.day + 1) * DAY);
    let named = move |n: &&Notable| {
        let who = day.case.index.principals.get(n.principal as usize);
        who.is_some_and(|p| p.arn == name)
    };
    let wanted: Vec<&'a Notable> = events.get(from..to).unwrap_or_default().iter().filter(named).collect();
    wanted.into_iter()
}

/// True if the row counts the event.
fn counts(day: &TrailDay<'_>, n: u32, event: &Notable) -> bool {
    let index = day.case.index;
    day.row(n).is_some_and(|r| {
        let same = r.principal == event.principal && index.text(r.event) == event.event;
        let here = index.text(r.source) == event.source && index.text(r.service) == event.service;
        same && here
            && index.text(r.bucket) == event.bucket.as_deref().unwrap_or_default()
            && (r.error != 0) == event.error.is_some()
            && r.first <= event.time
            && event.time <= r.last
    })
}

fn opening(day: &TrailDay<'_>, event: &Notable, own: &Parameters) -> Option<(Severity, String)> {
    let request: Value = serde_json::from_str(&event.request).unwrap_or_default();
    let bucket = event.bucket.as_deref().unwrap_or("the account");
    let foreign = |a: &str| day.case.is_foreign(a);
    let to = match event.event.as_str() {
        "PutBucketPolicy" | "PutAccessPointPolicy" | "PutMultiRegionAccessPointPolicy" | "CreateAccessPoint" => {
            policy(&request, &foreign, own)
        }
        "PutBucketAcl" | "PutObjectAcl" => acl(&event.request),
        "PutBucketReplication" => replication(&request, &foreign),
        "ModifySnapshotAttribute"
        | "ModifyImageAttribute"
        | "ModifyDBSnapshotAttribute"
        | "ModifyDBClusterSnapshotAttribute" => shared(&request, &foreign),
        "DeletePublicAccessBlock" | "DeleteBucketPublicAccessBlock" | "DeleteAccountPublicAccessBlock" => {
            return Some((Severity::Low, format!("took the public access block off {bucket}")));
        }
        "PutPublicAccessBlock" | "PutBucketPublicAccessBlock" | "PutAccountPublicAccessBlock" => {
            let opens = contains(&request, &|v| {
                matches!(v, Value::Bool(false)) || v.as_str() == Some("false")
            });
            return opens.then(|| (Severity::Low, format!("opened the public access block of {bucket}")));
        }
        _ => None,
    }?;
    let what = match event.bucket.as_deref() {
        Some(bucket) => format!("opened {bucket} to {to}"),
        None => format!("shared {} with {to}", resource(&request)),
    };
    Some((Severity::Medium, what))
}

/// What a request without a bucket is about.
fn resource(request: &Value) -> String {
    const NAMES: [&str; 5] = [
        "snapshotId",
        "imageId",
        "dBSnapshotIdentifier",
        "dBClusterSnapshotIdentifier",
        "name",
    ];
    let name = NAMES.iter().find_map(|n| request.get(n)?.as_str());
    name.unwrap_or("a resource").to_owned()
}

/// To whom a policy opens, if it does.
fn policy(request: &Value, foreign: &dyn Fn(&str) -> bool, own: &Parameters) -> Option<String> {
    let inner = ["bucketPolicy", "policy", "Policy"]
        .iter()
        .find_map(|k| match request.get(k)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            value => Some(value.clone()),
        });
    let nested = || {
        request
            .as_object()?
            .values()
            .find_map(|v| v.get("Policy").or(v.get("policy")))
            .cloned()
    };
    let policy: Value = match inner.or_else(nested)? {
        Value::String(text) => serde_json::from_str(&text).ok()?,
        value => value,
    };
    let statements = match policy.get("Statement")? {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    statements.iter().find_map(|s| statement(s, foreign, own))
}

fn statement(s: &Value, foreign: &dyn Fn(&str) -> bool, own: &Parameters) -> Option<String> {
    if s.get("Effect")?.as_str()? != "Allow" {
        return None;
    }
    let closed = s.get("Condition").is_some_and(|c| closes(c, own));
    let mut names = Vec::new();
    texts(s.get("Principal")?, &mut names);
    let stranger = names.iter().find_map(|n| account_in(n).filter(|a| foreign(a)));
    match stranger {
        Some(account) => Some(format!("account {account}")),
        None if !closed && names.iter().any(|n| n == "*") => Some("everybody".to_owned()),
        None => None,
    }
}

/// True if a condition keeps strangers out.
fn closes(condition: &Value, own: &Parameters) -> bool {
    let operators = condition.as_object().into_iter().flat_map(|m| m.values());
    let mut keys = operators.filter_map(Value::as_object).flat_map(|m| m.keys());
    keys.any(|k| own.closing.contains(&k.to_ascii_lowercase()))
}

/// The account in an ARN, or an account number by itself.
fn account_in(name: &str) -> Option<&str> {
    let account = if name.starts_with("arn:") {
        name.split(':').nth(4)?
    } else {
        name
    };
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

/// All texts in a value.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(s) => out.push(s.clone()),
        Value::Array(list) => list.iter().for_each(|v| texts(v, out)),
        Value::Object(map) => map.values().for_each(|v| texts(v, out)),
        Value::Number(n) => out.push(n.to_string()),
        _ => {}
    }
}

/// ACLs name groups of everybody, in whatever shape the request has.
fn acl(request: &str) -> Option<String> {
    const OPEN: [&str; 4] = [
        "groups/global/AllUsers",
        "groups/global/AuthenticatedUsers",
        "public-read",
        "authenticated-read",
    ];
    OPEN.iter().any(|o| request.contains(o)).then(|| "everybody".to_owned())
}

/// The account that replicas go to.
fn replication(request: &Value, foreign: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut names = Vec::new();
    texts(request, &mut names);
    let account = names.iter().find_map(|n| account_in(n).filter(|a| foreign(a)));
    account.map(|a| format!("account {a} by replication"))
}

/// With whom a snapshot or an image is shared.
fn shared(request: &Value, foreign: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut added = Vec::new();
    collect_added(request, false, &mut added);
    let all = added.iter().any(|t| t == "all");
    let stranger = added.iter().find_map(|t| account_in(t).filter(|a| foreign(a)));
    match (all, stranger) {
        (true, _) => Some("everybody".to_owned()),
        (false, account) => account.map(|a| format!("account {a}")),
    }
}

/// Texts below `add`, `valuesToAdd` (and `userId`/`group` beside `operationType: add`), wherever they stand.
fn collect_added(value: &Value, inside: bool, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let adds = map.get("operationType").and_then(Value::as_str) == Some("add");
            for (key, v) in map {
                let key = key.to_ascii_lowercase();
                let removes = key == "remove" || key == "valuestoremove";
                collect_added(
                    v,
                    !removes && (inside || adds || key == "add" || key == "valuestoadd"),
                    out,
                );
            }
        }
        Value::Array(list) => list.iter().for_each(|v| collect_added(v, inside, out)),
        Value::String(s) if inside => out.push(s.clone()),
        _ => {}
    }
}

/// True if some value inside passes.
fn contains(value: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
    test(value)
        || match value {
            Value::Object(map) => map.values().any(|v| contains(v, test)),
            Value::Array(list) => list.iter().any(|v| contains(v, test)),
            _ => false,
        }
}
