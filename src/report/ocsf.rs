//! OCSF 1.8.0: a Detection Finding (class 2004, profile `cloud`) a line, for Security Lake and everything that reads OCSF.
//!
//! `anomaly_analyses` holds what was usual beside what was seen, `evidences` the connections, callers, buckets and records,
//! `finding_info.attacks` the techniques. What the schema has no place for stands in `unmapped.flowtrail`. Lists are cut to
//! the largest; `metadata.is_truncated` says so. Source: github.com/ocsf/ocsf-schema, 1.8.0.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::document::{Cited, Evidence, Head, Place, Principal, Reported};
use super::grid::json_integer;
use super::shape::{cut, line, millis, percent, pruned};
use super::story::Case;
use super::subject::{Arn, Subject, Who, account_of, address, protocol};
use super::technique::{id_and_name, technique, whole};
use super::{Reporter, Telling};

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "ocsf",
    about: "OCSF 1.8 Detection Finding, a line each",
    for_people: false,
    write,
};

/// The schema's version.
pub const VERSION: &str = "1.8.0";

/// Evidence of one kind that is listed.
const EVIDENCE: usize = 25;

/// Longest text.
const TEXT: usize = 8_192;

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    for case in &telling.story.cases {
        writeln!(out, "{}", line(&event(case, &telling.document.run))?)?;
    }
    Ok(())
}

/// One incident.
fn event(case: &Case<'_>, head: &Head) -> Value {
    let i = case.incident;
    let subject = Subject::of(i, head);
    let time = i.last_seen.0.or(head.to.0).unwrap_or_default();
    let (severity_id, severity) = severity(&i.severity);
    let (confidence_id, confidence) = confidence(i.confidence);
    pruned(json!({
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": millis(time),
        "start_time": i.first_seen.0.map(millis),
        "end_time": i.last_seen.0.map(millis),
        "severity_id": severity_id,
        "severity": severity,
        "confidence_id": confidence_id,
        "confidence": confidence,
        "confidence_score": percent(i.confidence),
        "risk_score": i.score.clamp(0.0, 100.0).round() as u64,
        "status_id": 1,
        "status": "New",
        "is_alert": severity_id >= 3,
        "message": cut(&i.title, TEXT),
        "metadata": metadata(case, head),
        "cloud": {
            "provider": "AWS",
            "account": {"uid": subject.account, "type_id": subject.account.as_ref().map(|_| 10), "type": subject.account.as_ref().map(|_| "AWS Account")},
            "region": subject.region,
            "cloud_partition": subject.partition(),
        },
        "finding_info": finding_info(i),
        "anomaly_analyses": anomalies(i),
        "evidences": evidences(case),
        "resources": resources(i, &subject),
        "observables": observables(i),
        "unmapped": {"flowtrail": unmapped(i)},
    }))
}

fn severity(word: &str) -> (u8, &'static str) {
    match word {
        "critical" => (5, "Critical"),
        "high" => (4, "High"),
        "medium" => (3, "Medium"),
        "low" => (2, "Low"),
        "info" => (1, "Informational"),
        _ => (0, "Unknown"),
    }
}

fn confidence(share: f64) -> (u8, &'static str) {
    match share {
        s if s >= 0.8 => (3, "High"),
        s if s >= 0.5 => (2, "Medium"),
        _ => (1, "Low"),
    }
}

fn metadata(case: &Case<'_>, head: &Head) -> Value {
    let i = case.incident;
    let cells = case.detail.map_or(0, |d| d.cells.len());
    let longest = [
        cells,
        i.destinations.len(),
        i.evidence.len(),
        i.buckets.len(),
        i.principals.len(),
    ];
    json!({
        "version": VERSION,
        "uid": id(i),
        "event_code": i.rule,
        "profiles": ["cloud"],
        "is_truncated": longest.iter().any(|n| *n > EVIDENCE),
        "product": {"name": "flowtrail", "vendor_name": "flowtrail", "version": cut(&head.version, 64)},
    })
}

/// The incident's id; a word where the result has none.
fn id(i: &Reported) -> &str {
    if i.id.trim().is_empty() { "not told" } else { &i.id }
}

fn finding_info(i: &Reported) -> Value {
    let is_statistical = i.baseline.is_some();
    let related = i.rules.iter().filter(|r| **r != i.rule);
    let related: Value = related.map(|r| analytic(r, false)).collect();
    json!({
        "uid": id(i),
        "title": cut(&i.title, TEXT),
        "desc": cut(&i.explanation.join(" "), TEXT),
        "types": i.rules,
        "analytic": analytic(&i.rule, is_statistical),
        "related_analytics": related,
        "attacks": attacks(i),
        "first_seen_time": i.first_seen.0.map(millis),
        "last_seen_time": i.last_seen.0.map(millis),
        "data_sources": ["VPC Flow Logs", "CloudTrail"],
    })
}

/// A detector.
fn analytic(rule: &str, is_statistical: bool) -> Value {
    if rule.trim().is_empty() {
        return Value::Null;
    }
    let (type_id, kind) = if is_statistical {
        (3, "Statistical")
    } else {
        (1, "Rule")
    };
    json!({"uid": rule, "name": rule, "type_id": type_id, "type": kind})
}

fn attacks(i: &Reported) -> Value {
    let one = |full: &String| {
        if full.trim().is_empty() {
            return Value::Null;
        }
        let named = |id: &str| {
            let (uid, name) = id_and_name(id);
            json!({"uid": uid, "name": name})
        };
        let tactic = technique(full).map(|t| json!({"uid": t.tactic.0, "name": t.tactic.1}));
        json!({
            "version": i.attack.version,
            "tactic": tactic,
            "technique": named(whole(full)),
            "sub_technique": full.contains('.').then(|| named(full)),
        })
    };
    i.attack.techniques.iter().map(one).collect()
}

/// What was seen beside what was usual.
fn anomalies(i: &Reported) -> Value {
    let Some(b) = &i.baseline else { return Value::Null };
    let known = |n: Option<u128>| n.map(|n| n.to_string());
    let who = i.principals.first().map(|p| ("principal", p.arn.as_str()));
    let target = i.eni.as_deref().map(|e| ("network interface", e)).or(who);
    let (kind, name) = target.unwrap_or(("account", i.account.as_deref().unwrap_or("not told")));
    let (Some(seen), Some(usual)) = (known(b.observed.0), known(b.expected.0)) else {
        return Value::Null;
    };
    let parameter = "bytes in the window judged";
    json!([{
        "analysis_targets": [{"name": filled(name), "type": kind}],
        "anomalies": [{
            "observation_parameter": parameter,
            "observation_type": "volume",
            "observations": [{"value": seen}],
            "observed_pattern": format!("at quantile {:.4} of the past", b.quantile.clamp(0.0, 1.0)),
        }],
        "baselines": [{
            "observation_parameter": parameter,
            "observation_type": "volume",
            "observations": [{
                "value": usual,
                "timespan": {"type_id": 4, "type": "Hours", "duration_hours": i32::try_from(b.history_hours).ok()},
            }],
            "observed_pattern": "usual in the past",
        }],
    }])
}

fn filled(name: &str) -> &str {
    if name.trim().is_empty() { "not told" } else { name }
}

/// Connections, or destinations where none is cited; callers; buckets; records.
fn evidences(case: &Case<'_>) -> Vec<Value> {
    let i = case.incident;
    let cells = case.detail.map(|d| d.cells.as_slice()).unwrap_or_default();
    let connections = cells.iter().take(EVIDENCE).map(|c| connection(c, i));
    let is_bare = cells.is_empty() && i.eni.is_some();
    let places = i
        .destinations
        .iter()
        .filter(|_| is_bare)
        .take(EVIDENCE)
        .map(destination);
    let callers = i.principals.iter().take(EVIDENCE).map(|p| caller(p, i));
    let buckets = i.buckets.iter().take(EVIDENCE).map(|b| {
        json!({
            "databucket": {"type_id": 1, "type": "S3", "name": b.name},
            "data": {"objects": b.objects, "bytes": b.bytes.0.map(json_integer), "sensitivity": b.sensitivity},
        })
    });
    let records = i.evidence.iter().take(EVIDENCE).map(record);
    connections
        .chain(places)
        .chain(callers)
        .chain(buckets)
        .chain(records)
        .map(pruned)
        .filter(is_whole)
        .collect()
}

/// True if pruning has left what the schema asks for.
fn is_whole(evidence: &Value) -> bool {
    let bucket = |b: &Value| b.get("name").is_some();
    let file = |f: &Value| f.get("name").is_some();
    let known = [
        "actor",
        "src_endpoint",
        "dst_endpoint",
        "connection_info",
        "databucket",
        "file",
    ];
    known.iter().any(|k| evidence.get(k).is_some())
        && evidence.get("databucket").is_none_or(bucket)
        && evidence.get("file").is_none_or(file)
}

fn connection(cell: &Cited, i: &Reported) -> Value {
    let peer = cell.peer.as_deref().and_then(address);
    let place = i.destinations.iter().find(|d| address(&d.ip) == peer && peer.is_some());
    let served = cell.port.filter(|_| cell.role == "client");
    json!({
        "src_endpoint": {
            "ip": cell.local.as_deref().and_then(address),
            "port": cell.port.filter(|_| cell.role == "server"),
            "interface_uid": cell.eni,
            "instance_uid": i.instance,
        },
        "dst_endpoint": endpoint(peer.map(|p| p.to_string()), served, place),
        "connection_info": {
            "direction_id": 2,
            "direction": "Outbound",
            "protocol_num": cell.protocol,
            "protocol_name": cell.protocol.map(protocol),
        },
        "data": {"bytes": cell.bytes.0.map(json_integer), "flows": cell.flows},
    })
}

fn destination(place: &Place) -> Value {
    let ip = address(&place.ip).map(|a| a.to_string());
    json!({"dst_endpoint": endpoint(ip, None, Some(place)), "data": {"bytes": place.bytes.0.map(json_integer)}})
}

/// An endpoint with what the lists say; nothing without an address.
fn endpoint(ip: Option<String>, port: Option<u16>, place: Option<&Place>) -> Value {
    let Some(ip) = ip else { return Value::Null };
    json!({
        "ip": ip,
        "port": port,
        "location": {"country": place.and_then(|p| p.country.as_deref())},
        "autonomous_system": {"number": place.and_then(|p| p.asn), "name": place.and_then(|p| p.as_name.as_deref())},
    })
}

fn caller(p: &Principal, i: &Reported) -> Value {
    let arn = Arn::parse(&p.arn);
    let account = account_of(p);
    let from = i.source_ips.iter().find_map(|s| address(s)).filter(|_| i.eni.is_none());
    let (type_id, kind) = match arn.map(|a| a.kind) {
        Some(Who::User | Who::Root) => (1, "User"),
        Some(Who::Role) => (4, "Service"),
        _ => (0, "Unknown"),
    };
    let key = p.access_key.as_deref().filter(|k| !k.trim().is_empty());
    json!({
        "actor": {"user": {
            "uid": filled(&p.arn),
            "name": arn.map(|a| a.session.unwrap_or(a.name)),
            "type_id": type_id,
            "type": kind,
            "account": {"uid": account, "type_id": account.map(|_| 10), "type": account.map(|_| "AWS Account")},
            "programmatic_credentials": key.map(|k| json!([{"uid": k, "type": "AWS access key"}])),
        }},
        "src_endpoint": {"ip": from},
        "data": {"class": p.class, "confidence": p.confidence, "bytes": p.bytes.0.map(json_integer), "why": cut(&p.why, TEXT)},
    })
}

fn record(e: &Evidence) -> Value {
    let name = e.file.rsplit('/').next().unwrap_or_default();
    let hash = e.sha256.as_deref().filter(|h| !h.trim().is_empty());
    json!({
        "file": {
            "name": name,
            "path": e.file,
            "type_id": 1,
            "type": "Regular File",
            "hashes": hash.map(|h| json!([{"algorithm_id": 3, "algorithm": "SHA-256", "value": h}])),
        },
        "data": {"line": e.line},
    })
}

fn resources(i: &Reported, subject: &Subject) -> Value {
    let own = i.source_ips.iter().find_map(|s| address(s)).filter(|_| i.eni.is_some());
    let eni = i.eni.iter().map(|id| {
        (
            subject.ec2("network-interface", id),
            id,
            "AWS::EC2::NetworkInterface",
            own,
        )
    });
    let instance = i
        .instance
        .iter()
        .map(|id| (subject.ec2("instance", id), id, "AWS::EC2::Instance", own));
    let names = i.buckets.iter().map(|b| &b.name).filter(|b| !b.trim().is_empty());
    let buckets = names.map(|b| (subject.bucket(b), b, "AWS::S3::Bucket", None));
    let one = |(uid, name, kind, ip): (String, &String, &str, Option<std::net::IpAddr>)| {
        json!({
            "uid": filled(&uid),
            "name": name,
            "type": kind,
            "ip": ip,
            "region": subject.region,
            "cloud_partition": subject.partition(),
            "role_id": 1,
            "role": "Target",
        })
    };
    eni.chain(instance).chain(buckets).take(EVIDENCE).map(one).collect()
}

/// Addresses to search for.
fn observables(i: &Reported) -> Value {
    let of = |name: &'static str| move |ip: std::net::IpAddr| json!({"name": name, "type_id": 2, "type": "IP Address", "value": ip});
    let from = i.source_ips.iter().filter_map(|s| address(s)).take(EVIDENCE);
    let to = i.destinations.iter().filter_map(|d| address(&d.ip)).take(EVIDENCE);
    from.map(of("evidences[].src_endpoint.ip"))
        .chain(to.map(of("evidences[].dst_endpoint.ip")))
        .collect()
}

/// What the schema has no place for.
fn unmapped(i: &Reported) -> Value {
    json!({
        "rule": i.rule,
        "channel": i.channel,
        "bytes": i.bytes.0.map(json_integer),
        "packets": i.packets.0.filter(|n| *n > 0).map(json_integer),
        "flows": i.flows,
        "guardduty": i.guardduty,
        "coverage": {"observed": i.coverage.observed, "skipdata": i.coverage.skipdata},
        "explanation": i.explanation,
    })
}
