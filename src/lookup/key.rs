//! What is asked for: a key as it was typed, pasted or found in a finding, told by its form.
//!
//! An ARN that names something with a shorter name of its own (a bucket, an object, an interface, an instance) is that
//! thing. What has no other form is a role session or user name.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::net::Addr;

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An address.
    Ip(Addr),
    /// A network of more than one address.
    Net(IpNetwork),
    /// `eni-…`, or `nat-…` of a regional NAT gateway.
    Interface(String),
    /// `i-…`.
    Instance(String),
    /// ARN of a user, role or session.
    Arn(String),
    /// Access key id.
    AccessKey(String),
    /// Role session or user name.
    Session(String),
    /// Bucket.
    Bucket(String),
    /// Bucket and object key.
    Object(String, String),
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// `Usage` if it is empty, has control characters, or looks like an address or a bucket and is none.
    pub fn parse(text: &str) -> Result<Key> {
        let text = text.trim();
        let bad = |why: &str| Error::usage(format!("key `{}`: {why}", crate::net::printable(text.as_bytes())));
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(bad("empty, or with control characters"));
        }
        if let Ok(addr) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Key::Ip(addr));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest).ok_or_else(|| bad("s3:// without a bucket"));
        }
        if text.starts_with("arn:") {
            return Ok(arn(text));
        }
        if let Some(net) = network(text) {
            return Ok(net);
        }
        let digits = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '/' | ':'));
        if digits(text) && text.contains(['.', ':']) {
            return Err(bad("neither an address nor a CIDR"));
        }
        Ok(by_prefix(text))
    }

    /// The form, in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Key::Ip(_) => "ip",
            Key::Net(_) => "cidr",
            Key::Interface(_) => "interface",
            Key::Instance(_) => "instance",
            Key::Arn(_) => "arn",
            Key::AccessKey(_) => "access-key",
            Key::Session(_) => "session",
            Key::Bucket(_) => "bucket",
            Key::Object(..) => "object",
        }
    }

    /// True if `addr` is the key, or lies in it.
    pub fn holds(&self, addr: Addr) -> bool {
        match self {
            Key::Ip(a) => *a == addr,
            Key::Net(net) => net.contains(addr.ip()),
            _ => false,
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Ip(a) => a.fmt(f),
            Key::Net(net) => net.fmt(f),
            Key::Interface(t) | Key::Instance(t) | Key::Arn(t) | Key::AccessKey(t) | Key::Session(t) => f.write_str(t),
            Key::Bucket(b) => write!(f, "s3://{b}"),
            Key::Object(b, k) => write!(f, "s3://{b}/{k}"),
        }
    }
}

fn s3(rest: &str) -> Option<Key> {
    match rest.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Some(Key::Object(bucket.into(), key.into())),
        Some((bucket, _)) => Some(bucket).filter(|b| !b.is_empty()).map(|b| Key::Bucket(b.into())),
        None => Some(rest).filter(|b| !b.is_empty()).map(|b| Key::Bucket(b.into())),
    }
}

/// `arn:partition:service:region:account:resource`
fn arn(text: &str) -> Key {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let other = || Key::Arn(text.into());
    match parts.as_slice() {
        [_, _, "s3", _, _, resource] => s3(resource).unwrap_or_else(other),
        [_, _, "ec2", _, _, resource] => match resource.split_once('/') {
            Some(("network-interface" | "natgateway", id)) => Key::Interface(id.into()),
            Some(("instance", id)) => Key::Instance(id.into()),
            _ => other(),
        },
        _ => other(),
    }
}

/// A CIDR; one that holds a single address is that address. Host bits are dropped.
fn network(text: &str) -> Option<Key> {
    let net: IpNetwork = text.parse().ok().filter(|_| text.contains('/'))?;
    let single = net.prefix() == if net.is_ipv4() { 32 } else { 128 };
    if single {
        return Some(Key::Ip(net.ip().into()));
    }
    IpNetwork::new(net.network(), net.prefix()).ok().map(Key::Net)
}

fn by_prefix(text: &str) -> Key {
    let hex = |id: &str| id.len() >= 8 && id.chars().all(|c| c.is_ascii_hexdigit());
    let is = |prefix: &str| text.strip_prefix(prefix).is_some_and(hex);
    let long = |t: &str| t.len() >= 16 && t.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    match text {
        t if is("eni-") || is("nat-") => Key::Interface(t.into()),
        t if is("i-") => Key::Instance(t.into()),
        t if (t.starts_with("AKIA") || t.starts_with("ASIA")) && long(t) => Key::AccessKey(t.into()),
        t => Key::Session(t.into()),
    }
}

/// The subjects of findings: one of ours, a line of NDJSON each, a result or an array of them. Read leniently: what is
/// there is taken (`eni`, `instance`, `source_ips`, `destinations`, `principals`, `buckets`), whatever else there is.
///
/// # Errors
/// `Usage` if it is no JSON or names no subject.
pub fn subjects(text: &[u8]) -> Result<Vec<Key>> {
    let mut found = BTreeSet::new();
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    for value in &mut values {
        let value = value.map_err(|e| Error::usage(format!("no finding: {e}")))?;
        collect(&value, &mut found);
    }
    let keys: Vec<Key> = found.iter().filter_map(|t| Key::parse(t).ok()).collect();
    if keys.is_empty() {
        return Err(Error::usage(
            "no subject in it: neither addresses, interfaces, principals nor buckets",
        ));
    }
    Ok(keys)
}

fn collect(value: &Value, into: &mut BTreeSet<String>) {
    for finding in value.as_array().into_iter().flatten() {
        collect(finding, into);
    }
    for finding in value["incidents"].as_array().into_iter().flatten() {
        collect(finding, into);
    }
    let mut take = |v: &Value| into.extend(v.as_str().filter(|s| !s.is_empty()).map(str::to_owned));
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    [&value["eni"], &value["instance"]].into_iter().for_each(&mut take);
    list(&value["source_ips"]).iter().for_each(&mut take);
    for d in list(&value["destinations"]) {
        take(&d["ip"]);
    }
    for p in list(&value["principals"]) {
        take(&p["arn"]);
        take(&p["access_key"]);
    }
    for b in list(&value["buckets"]) {
        into.extend(b["name"].as_str().map(|n| format!("s3://{n}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_by_its_form() {
        let kinds = [
            ("185.220.101.34", "ip"),
            ("[2001:db8::1]", "ip"),
            ("192.0.2.1/32", "ip"),
            ("192.0.2.77/24", "cidr"),
            ("2001:db8::/32", "cidr"),
            ("eni-05995c602886f5b99", "interface"),
            (
                "arn:aws:ec2:us-east-1:111122223333:network-interface/eni-05995c602886f5b99",
                "interface",
            ),
            ("i-0eba6461da1b80d54", "instance"),
            ("AKIAIOSFODNN7EXAMPLE", "access-key"),
            ("arn:aws:iam::111122223333:user/j.rivera", "arn"),
            ("arn:aws:s3:::customer-records", "bucket"),
            ("arn:aws:s3:::customer-records/a/b c", "object"),
            ("s3://customer-records/", "bucket"),
            ("s3://customer-records/2026/x.csv", "object"),
            ("j.rivera", "session"),
            ("i-am-a-person", "session"),
        ];
        for (text, kind) in kinds {
            assert_eq!(Key::parse(text).unwrap().kind(), kind, "{text}");
        }
        assert_eq!(Key::parse("192.0.2.77/24").unwrap().to_string(), "192.0.2.0/24");
    }

    #[test]
    fn what_is_nearly_an_address_is_refused_not_searched_as_a_name() {
        for text in ["", "10.0.0", "10.0.0.256", "10.0.0.0/33", "s3://", "a\nb"] {
            assert!(Key::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn all_subjects_of_a_finding_are_taken() {
        let finding = r#"{"eni":"eni-0123456789abcdef0","instance":null,"source_ips":["10.0.0.1"],
            "destinations":[{"ip":"192.0.2.1"}],"principals":[{"arn":"arn:aws:iam::1:user/u","access_key":"AKIAIOSFODNN7EXAMPLE"}],
            "buckets":[{"name":"b"}],"new_field":7}"#;
        let one = subjects(finding.as_bytes()).unwrap();
        assert_eq!(one.len(), 6);
        let result = format!(r#"{{"schema":"flowtrail.result/1","incidents":[{finding}]}}"#);
        assert_eq!(subjects(result.as_bytes()).unwrap(), one);
        assert_eq!(subjects(format!("{finding}\n{finding}\n").as_bytes()).unwrap(), one);
        assert!(subjects(b"{}").is_err() && subjects(b"nonsense").is_err());
    }
}
