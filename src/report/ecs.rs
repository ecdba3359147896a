//! Elastic Common Schema as the body of a `_bulk` request, for Elasticsearch and OpenSearch.
//!
//! Two lines an incident: the action, then the document; every line ends with a line feed, the last one too. The action is
//! `index` with the incident's id: a later run replaces the document. It names no index; that is the request's
//! (`POST /INDEX/_bulk`). Addresses that are none are left out, since one would have the whole document refused.
//! Source: elastic.co/guide, ECS 8.17 field reference, Bulk API.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::document::{Cited, Head, Place, Reported};
use super::shape::{cut, line, long, percent, pruned};
use super::story::Case;
use super::subject::{Arn, Subject, address, protocol};
use super::technique::{technique, whole};
use super::{Reporter, Telling};

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "ecs",
    about: "Elastic Common Schema, the body of a _bulk request",
    for_people: false,
    write,
};

/// The schema's version.
pub const VERSION: &str = "8.17.0";

/// Values of one field.
const VALUES: usize = 100;

/// Bytes of a keyword; longer ones are not searchable.
const KEYWORD: usize = 1_024;

/// Bytes of a text.
const TEXT: usize = 8_192;

/// Bytes of a document's id.
const ID: usize = 512;

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    for case in &telling.story.cases {
        let id = cut(&case.incident.id, ID);
        let action = if id.is_empty() {
            json!({"index": {}})
        } else {
            json!({"index": {"_id": id}})
        };
        for value in [action, document(case, &telling.document.run)] {
            writeln!(out, "{}", line(&value)?)?;
        }
    }
    Ok(())
}

/// One incident.
fn document(case: &Case<'_>, head: &Head) -> Value {
    let i = case.incident;
    let subject = Subject::of(i, head);
    let cell = case.detail.and_then(|d| d.cells.first());
    pruned(json!({
        "@timestamp": crate::net::rfc3339(time(i, head)),
        "ecs": {"version": VERSION},
        "message": cut(&i.title, TEXT),
        "event": event(i),
        "rule": {"id": word(&i.rule), "name": word(&i.rule), "ruleset": "flowtrail", "category": words(&i.rules)},
        "threat": threat(i),
        "observer": {"type": "detector", "vendor": "flowtrail", "product": "flowtrail", "version": word(&head.version)},
        "cloud": {
            "provider": "aws",
            "account": {"id": subject.account},
            "region": subject.region,
            "instance": {"id": i.instance.as_deref().map(word)},
        },
        "source": source(i, cell),
        "destination": destination(i, cell),
        "network": {
            "direction": "outbound",
            "bytes": i.bytes.0.map(long),
            "packets": i.packets.0.filter(|n| *n > 0).map(long),
            "iana_number": cell.and_then(|c| c.protocol).map(|p| p.to_string()),
            "transport": cell.and_then(|c| c.protocol).map(protocol),
        },
        "user": user(i),
        "related": related(i),
        "flowtrail": own(i),
    }))
}

/// The incident's end, else the archive's, as far as a calendar goes.
fn time(i: &Reported, head: &Head) -> u64 {
    const CALENDAR: u64 = 253_402_300_800;
    let known = [i.last_seen, head.to].into_iter().filter_map(|w| w.0);
    known.into_iter().find(|t| *t < CALENDAR).unwrap_or_default()
}

fn word(text: &str) -> String {
    cut(text, KEYWORD)
}

fn words(list: &[String]) -> Vec<String> {
    list.iter().take(VALUES).map(|t| word(t)).collect()
}

fn event(i: &Reported) -> Value {
    let span = i.first_seen.0.zip(i.last_seen.0).map(|(a, b)| b.saturating_sub(a));
    let nanoseconds = span.map(|s| long(u128::from(s) * 1_000_000_000));
    let severity = match i.severity.as_str() {
        "critical" => 4,
        "high" => 3,
        "medium" => 2,
        "low" => 1,
        _ => 0,
    };
    let network = i.eni.is_some().then_some("network");
    json!({
        "kind": "alert",
        "category": network.into_iter().chain(["intrusion_detection"]).collect::<Vec<_>>(),
        "type": ["info"],
        "id": cut(&i.id, ID),
        "module": "flowtrail",
        "dataset": "flowtrail.incident",
        "provider": "flowtrail",
        "severity": severity,
        "risk_score": i.score.clamp(0.0, 100.0),
        "start": i.first_seen.0.map(crate::net::rfc3339),
        "end": i.last_seen.0.map(crate::net::rfc3339),
        "duration": nanoseconds,
        "reason": cut(&i.explanation.join(" "), TEXT),
    })
}

fn threat(i: &Reported) -> Value {
    let all = || i.attack.techniques.iter().filter(|t| !t.trim().is_empty()).take(VALUES);
    let name = |id: &str| technique(id).map(|t| t.name);
    let wholes: BTreeSet<&str> = all().map(|t| whole(t)).collect();
    let parts: BTreeSet<&str> = all().map(String::as_str).filter(|t| t.contains('.')).collect();
    let tactics: BTreeSet<_> = all().filter_map(|t| technique(t)).map(|t| t.tactic).collect();
    let group = |ids: &BTreeSet<&str>| {
        json!({
            "id": ids.iter().map(|t| word(t)).collect::<Vec<_>>(),
            "name": ids.iter().filter_map(|t| name(t)).collect::<Vec<_>>(),
        })
    };
    let mut technique = group(&wholes);
    if !parts.is_empty() {
        technique["subtechnique"] = group(&parts);
    }
    if wholes.is_empty() {
        return Value::Null;
    }
    json!({
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": tactics.iter().map(|t| t.0).collect::<Vec<_>>(),
            "name": tactics.iter().map(|t| t.1).collect::<Vec<_>>(),
        },
        "technique": technique,
    })
}

/// Where the bytes came from: the interface's address, or for requests from outside the service.
fn source(i: &Reported, cell: Option<&Cited>) -> Value {
    let own = i.source_ips.iter().find_map(|s| address(s)).filter(|_| i.eni.is_some());
    json!({
        "ip": own,
        "port": cell.filter(|c| c.role == "server").and_then(|c| c.port),
        "bytes": i.bytes.0.map(long),
        "packets": i.packets.0.filter(|n| *n > 0).map(long),
    })
}

/// Where the most of them went.
fn destination(i: &Reported, cell: Option<&Cited>) -> Value {
    let Some((ip, place)) = i.destinations.iter().find_map(|d| Some((address(&d.ip)?, d))) else {
        return Value::Null;
    };
    let same = |c: &&Cited| c.role == "client" && c.peer.as_deref().and_then(address) == Some(ip);
    json!({
        "ip": ip,
        "address": ip,
        "port": cell.filter(same).and_then(|c| c.port),
        "bytes": place.bytes.0.map(long),
        "geo": {"country_iso_code": country(place)},
        "as": {"number": place.asn, "organization": {"name": place.as_name.as_deref().map(word)}},
    })
}

fn country(place: &Place) -> Option<&str> {
    place
        .country
        .as_deref()
        .filter(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()))
}

/// The leading principal.
fn user(i: &Reported) -> Value {
    let Some(p) = i.principals.first() else {
        return Value::Null;
    };
    let arn = Arn::parse(&p.arn);
    json!({
        "id": word(&p.arn),
        "name": arn.map(|a| word(a.session.unwrap_or(a.name))),
        "roles": arn.and_then(|a| a.session.map(|_| vec![word(a.name)])),
    })
}

/// Everything to pivot on.
fn related(i: &Reported) -> Value {
    let places = i.destinations.iter().map(|d| &d.ip);
    let ips: BTreeSet<IpAddr> = i
        .source_ips
        .iter()
        .chain(places)
        .filter_map(|s| address(s))
        .take(VALUES)
        .collect();
    let users: BTreeSet<String> = i
        .principals
        .iter()
        .take(VALUES)
        .flat_map(|p| [Some(word(&p.arn)), p.access_key.as_deref().map(word)])
        .flatten()
        .collect();
    let hosts: BTreeSet<String> = i.eni.iter().chain(&i.instance).map(|h| word(h)).collect();
    let hashes: BTreeSet<&str> = i
        .evidence
        .iter()
        .filter_map(|e| e.sha256.as_deref())
        .take(VALUES)
        .collect();
    json!({"ip": ips, "user": users, "hosts": hosts, "hash": hashes})
}

/// What the common schema has no field for.
fn own(i: &Reported) -> Value {
    let buckets = i.buckets.iter().take(VALUES).map(|b| {
        json!({"name": word(&b.name), "objects": b.objects, "bytes": b.bytes.0.map(long), "sensitivity": words(&b.sensitivity)})
    });
    let destinations = i.destinations.iter().take(VALUES).filter_map(|d| {
        let ip = address(&d.ip)?;
        Some(json!({"ip": ip, "bytes": d.bytes.0.map(long), "country": country(d), "asn": d.asn, "labels": words(&d.labels)}))
    });
    let principals = i.principals.iter().take(VALUES).map(|p| {
        json!({"arn": word(&p.arn), "access_key": p.access_key.as_deref().map(word), "class": word(&p.class), "confidence": p.confidence})
    });
    json!({
        "severity": word(&i.severity),
        "confidence": percent(i.confidence),
        "rules": words(&i.rules),
        "interface": i.eni.as_deref().map(word),
        "channel": word(&i.channel),
        "flows": long(i.flows.into()),
        "attack_version": word(&i.attack.version),
        "guardduty": words(&i.guardduty),
        "coverage": {"observed": i.coverage.observed.clamp(0.0, 1.0), "skipdata": long(i.coverage.skipdata.into())},
        "baseline": i.baseline.as_ref().map(|b| json!({
            "expected": b.expected.0.map(long), "observed": b.observed.0.map(long), "quantile": b.quantile, "history_hours": long(b.history_hours.into()),
        })),
        "buckets": buckets.collect::<Vec<_>>(),
        "destinations": destinations.collect::<Vec<_>>(),
        "principals": principals.collect::<Vec<_>>(),
        "explanation": i.explanation.iter().take(VALUES).map(|t| cut(t, TEXT)).collect::<Vec<_>>(),
    })
}
