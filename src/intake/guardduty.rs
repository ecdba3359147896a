//! GuardDuty's findings, in the spelling of `get-findings` (PascalCase) or of events (camelCase).
//!
//! Shape: "Finding" in the GuardDuty API reference. Only what joins or tells is taken; everything may be absent.

use serde_json::Value;

use super::finding::{Level, SideFinding, Tool};
use super::types::TypeName;
use super::wrap::{at, items, number, text, time};
use crate::net::Addr;

/// Reads a value as a finding, if it is one.
pub(super) fn read(value: &Value) -> Option<SideFinding> {
    let kind = text(value, "type")?;
    let score = number(value, "severity")?;
    if !kind.contains(':') {
        return None;
    }
    let mut found = SideFinding {
        level: Level::of_guardduty(score),
        score,
        ..SideFinding::begun(Tool::GuardDuty, TypeName::new(&kind), value)
    };
    service(value, &mut found);
    resource(value, &mut found);
    found.sample |= found.title.starts_with("[SAMPLE]");
    Some(found.settle())
}

fn service(value: &Value, found: &mut SideFinding) {
    let Some(service) = at(value, "service") else { return };
    found.first_seen = time(service, "eventFirstSeen");
    found.last_seen = time(service, "eventLastSeen");
    found.count = number(service, "count").map_or(1, |n| n.max(0.0) as u64);
    let is = |path: &str| at(service, path).and_then(Value::as_bool).unwrap_or(false);
    found.archived = is("archived");
    found.sample = is("additionalInfo.sample");
    found.action = text(service, "action.awsApiCallAction.api").or_else(|| text(service, "action.actionType"));
    for kind in ACTIONS {
        for item in items(service, &format!("action.{kind}")) {
            remote(item, found);
        }
    }
    for probe in items(service, "action.portProbeAction.portProbeDetails") {
        remote(probe, found);
    }
    affected(service, found);
    signals(service, found);
}

/// Members of `action` that name a far end.
const ACTIONS: [&str; 5] = [
    "awsApiCallAction",
    "networkConnectionAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
    "dnsRequestAction",
];

fn remote(action: &Value, found: &mut SideFinding) {
    found.remote.extend(addr(action, "remoteIpDetails.ipAddressV4"));
    found.remote.extend(addr(action, "remoteIpDetails.ipAddressV6"));
    found.local.extend(addr(action, "localIpDetails.ipAddressV4"));
    found.local.extend(addr(action, "localIpDetails.ipAddressV6"));
}

fn addr(value: &Value, path: &str) -> Option<Addr> {
    text(value, path)?.parse().ok()
}

/// What the call touched: `{"AWS::S3::Bucket": "name", …}`.
fn affected(service: &Value, found: &mut SideFinding) {
    let touched = at(service, "action.awsApiCallAction.affectedResources").and_then(Value::as_object);
    for (kind, name) in touched.into_iter().flatten() {
        match (kind.as_str(), name.as_str()) {
            ("AWS::S3::Bucket", Some(name)) => found.buckets.push(bucket_name(name)),
            ("AWS::EC2::Instance", Some(name)) => found.hosts.push(name.to_owned()),
            _ => {}
        }
    }
}

/// Attack sequences list actors, addresses and resources apart.
fn signals(service: &Value, found: &mut SideFinding) {
    let Some(sequence) = at(service, "detection.sequence") else {
        return;
    };
    for actor in items(sequence, "actors") {
        found.people.extend(text(actor, "user.name"));
        found.keys.extend(text(actor, "user.credentialUid"));
    }
    for end in items(sequence, "endpoints") {
        found.remote.extend(addr(end, "ip"));
    }
    for resource in items(sequence, "resources") {
        let name = text(resource, "name").or_else(|| text(resource, "uid"));
        match text(resource, "resourceType").as_deref() {
            Some("S3_BUCKET") => found.buckets.extend(name.map(|n| bucket_name(&n))),
            Some("EC2_INSTANCE" | "EC2_NETWORK_INTERFACE") => found.hosts.extend(name),
            Some("ACCESS_KEY") => found.keys.extend(name),
            _ => {}
        }
    }
}

fn resource(value: &Value, found: &mut SideFinding) {
    let Some(resource) = at(value, "resource") else { return };
    for bucket in items(resource, "s3BucketDetails") {
        found.buckets.extend(text(bucket, "name"));
    }
    for key in items(resource, "accessKeyDetails") {
        found.keys.extend(text(key, "accessKeyId"));
        found.people.extend(text(key, "userName"));
        // `AROA…:session`: the session's name, which for an instance is its id.
        let principal = text(key, "principalId").unwrap_or_default();
        if let Some((_, session)) = principal.split_once(':') {
            match session.starts_with("i-") {
                true => found.hosts.push(session.to_owned()),
                false => found.people.push(session.to_owned()),
            }
        }
    }
    for instance in items(resource, "instanceDetails") {
        found.hosts.extend(text(instance, "instanceId"));
        for interface in items(instance, "networkInterfaces") {
            found.hosts.extend(text(interface, "networkInterfaceId"));
            found.local.extend(addr(interface, "privateIpAddress"));
            for more in items(interface, "privateIpAddresses") {
                found.local.extend(addr(more, "privateIpAddress"));
            }
        }
    }
}

/// A bucket by its name or its ARN.
fn bucket_name(text: &str) -> String {
    text.rsplit(":::").next().unwrap_or(text).to_owned()
}
