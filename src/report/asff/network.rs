//! ASFF's view of the traffic: the largest connection, the path of the bytes, the caller, and addresses on lists.
//!
//! Addresses that are none are left out; ports stand on the side that serves, and nowhere where the records do not tell.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::report::document::{Cited, Place, Reported};
use crate::report::shape::cut;
use crate::report::story::Case;
use crate::report::subject::{address, protocol};

/// Destinations in a path.
const PATH: usize = 20;

/// Indicators that a finding takes.
const INDICATORS: usize = 5;

fn cells<'c>(case: &'c Case<'_>) -> &'c [Cited] {
    case.detail.map(|d| d.cells.as_slice()).unwrap_or_default()
}

/// The largest connection.
pub(super) fn network(case: &Case<'_>) -> Value {
    let Some(cell) = cells(case).first() else {
        return Value::Null;
    };
    let (from, to) = (side(&cell.local), side(&cell.peer));
    json!({
        "Direction": "OUT",
        "Protocol": cell.protocol.map(protocol),
        "SourceIpV4": from.0,
        "SourceIpV6": from.1,
        "SourcePort": cell.port.filter(|_| cell.role == "server"),
        "DestinationIpV4": to.0,
        "DestinationIpV6": to.1,
        "DestinationPort": cell.port.filter(|_| cell.role == "client"),
    })
}

/// An address in the field of its family.
fn side(text: &Option<String>) -> (Option<IpAddr>, Option<IpAddr>) {
    let ip = text.as_deref().and_then(address);
    (ip.filter(IpAddr::is_ipv4), ip.filter(IpAddr::is_ipv6))
}

/// From the interface to where the bytes went.
pub(super) fn path(case: &Case<'_>) -> Value {
    let i = case.incident;
    let Some(eni) = i.eni.as_deref().filter(|e| e.len() <= 32) else {
        return Value::Null;
    };
    let places: Vec<IpAddr> = i
        .destinations
        .iter()
        .filter_map(|d| address(&d.ip))
        .take(PATH)
        .collect();
    let own: Vec<IpAddr> = i.source_ips.iter().filter_map(|s| address(s)).take(PATH).collect();
    let first = cells(case).first();
    let mut ports: Vec<u16> = cells(case)
        .iter()
        .filter(|c| c.role == "client")
        .filter_map(|c| c.port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let ranges: Value = ports.iter().take(PATH).map(|p| json!({"Begin": p, "End": p})).collect();
    let header = json!({
        "Protocol": first.and_then(|c| c.protocol).map(protocol),
        "Source": {"Address": own},
        "Destination": {"Address": places, "PortRanges": ranges},
    });
    json!([
        {"ComponentId": eni, "ComponentType": "AWS::EC2::NetworkInterface", "Egress": header},
        {"ComponentId": cut(&i.channel, 32), "ComponentType": "Channel", "Ingress": header},
    ])
}

/// The caller, where CloudTrail alone shows what happened.
pub(super) fn action(case: &Case<'_>) -> Value {
    let i = case.incident;
    let caller = i.source_ips.iter().find_map(|s| address(s));
    let Some(caller) = caller.filter(|_| i.eni.is_none() && !i.buckets.is_empty()) else {
        return Value::Null;
    };
    let is_it = |p: &&Place| address(&p.ip) == Some(caller);
    let place = i.destinations.iter().find(is_it);
    json!({
        "ActionType": "AWS_API_CALL",
        "AwsApiCallAction": {
            "ServiceName": "s3.amazonaws.com",
            "CallerType": "remoteIp",
            "RemoteIpDetails": {
                "IpAddressV4": Some(caller).filter(IpAddr::is_ipv4),
                "Country": {"CountryCode": place.and_then(|p| p.country.as_deref()).map(|c| cut(c, 16))},
                "Organization": {
                    "Asn": place.and_then(|p| p.asn).and_then(|n| i32::try_from(n).ok()),
                    "AsnOrg": place.and_then(|p| p.as_name.as_deref()).map(|n| cut(n, 256)),
                },
            },
            "FirstSeen": i.first_seen.0.map(crate::net::rfc3339),
            "LastSeen": i.last_seen.0.map(crate::net::rfc3339),
        },
    })
}

/// Addresses that stand on a list.
pub(super) fn indicators(i: &Reported) -> Value {
    let named = |d: &Place| {
        let ip = address(&d.ip)?;
        let list = d.labels.first()?;
        Some(json!({
            "Type": if ip.is_ipv4() { "IPV4_ADDRESS" } else { "IPV6_ADDRESS" },
            "Value": ip,
            "Source": cut(list, 64),
            "LastObservedAt": i.last_seen.0.map(crate::net::rfc3339),
        }))
    };
    i.destinations.iter().filter_map(named).take(INDICATORS).collect()
}
