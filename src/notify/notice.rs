//! What a receiver is told of an incident: the finding as machines take it, and the same made safe for people to read.
//!
//! Access keys are masked for people, as in every format for them. Lists are cut to what a screen of a telephone shows,
//! and say how much more there is.

use serde_json::{Value, json};

use crate::detect::Severity;
use crate::error::{Error, Result};
use crate::net::human_bytes;
use crate::report::document::{Audience, Document, Place, Reported, SCHEMA};

/// An incident to be told.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The incident's id: the same in every run, so it is the key by which receivers know a repetition.
    pub id: String,
    /// How bad.
    pub severity: Severity,
    /// The incident, `flowtrail.finding/1`.
    pub finding: Value,
    /// The same for people.
    pub(super) people: Reported,
}

/// Items of a list for people.
const ITEMS: usize = 5;

impl Notice {
    /// Reads an incident (`flowtrail.finding/1`).
    ///
    /// # Errors
    /// `Usage` if it is none.
    pub fn of(finding: Value) -> Result<Notice> {
        let none = || Error::usage("no incident that could be sent");
        let id = finding["id"].as_str().unwrap_or_default().to_owned();
        let is_key = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if id.is_empty() || id.len() > 128 || !id.bytes().all(is_key) {
            return Err(none());
        }
        let severity = finding["severity"].as_str().unwrap_or_default();
        let whole = json!({"schema": SCHEMA, "incidents": [&finding]});
        let document = Document::read(whole, Audience::People { show_keys: false })?;
        Ok(Notice {
            id,
            severity: severity.parse().map_err(|_| none())?,
            people: document.incidents.into_iter().next().ok_or_else(none)?,
            finding,
        })
    }

    /// Time, name and amount of it, each with its label; only what is known.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let i = &self.people;
        let all = [
            ("Severity", i.severity.clone()),
            ("Confidence", format!("{:.0} %", i.confidence * 100.0)),
            ("From", i.first_seen.to_string()),
            ("To", i.last_seen.to_string()),
            ("Bytes", i.bytes.0.map(human_bytes).unwrap_or_default()),
            ("Account", i.account.clone().unwrap_or_default()),
            ("Region", i.region.clone().unwrap_or_default()),
            ("Interface", self.interface()),
            ("Rules", i.rules.join(", ")),
        ];
        all.into_iter().filter(|(_, v)| !v.is_empty() && v != "-").collect()
    }

    /// Interface and instance.
    pub(super) fn interface(&self) -> String {
        let ids = [&self.people.eni, &self.people.instance];
        let known: Vec<&str> = ids.into_iter().flatten().map(String::as_str).collect();
        known.join(", ")
    }

    /// The longer lists, each with its label; only those that hold something.
    pub(super) fn lists(&self) -> Vec<(&'static str, Vec<String>)> {
        let i = &self.people;
        let principal = |p: &crate::report::document::Principal| {
            let key = p
                .access_key
                .as_deref()
                .map(|k| format!(", key {k}"))
                .unwrap_or_default();
            format!("{} ({}{key})", p.arn, p.class)
        };
        let bucket = |b: &crate::report::document::Bucket| {
            let held = if b.sensitivity.is_empty() {
                String::new()
            } else {
                format!(", holds {}", b.sensitivity.join(", "))
            };
            format!(
                "{} ({} objects, {}{held})",
                b.name,
                b.objects,
                human_bytes(b.bytes.get())
            )
        };
        let all = [
            ("Who", few(&i.principals, principal)),
            ("To", few(&i.destinations, place)),
            ("Buckets", few(&i.buckets, bucket)),
            ("Why", few(&i.explanation, String::clone)),
        ];
        all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
    }
}

fn place(p: &Place) -> String {
    let country = p.country.clone();
    let operator = p.asn.map(|n| format!("AS{n}"));
    let what: Vec<String> = country
        .into_iter()
        .chain(operator)
        .chain(p.labels.iter().cloned())
        .collect();
    let what = if what.is_empty() {
        String::new()
    } else {
        format!(" ({})", what.join(", "))
    };
    format!("{}{what} {}", p.ip, human_bytes(p.bytes.get()))
}

/// The first of a list, and how many more there are.
fn few<T>(all: &[T], tell: impl Fn(&T) -> String) -> Vec<String> {
    let rest = all.len().saturating_sub(ITEMS);
    let more = (rest > 0).then(|| format!("and {rest} more"));
    all.iter().take(ITEMS).map(tell).chain(more).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An incident with something in every field, some of it written by an attacker.
    pub(in crate::notify) fn sample() -> Notice {
        let places: Vec<Value> = (1..=7)
            .map(|n| json!({"ip": format!("198.51.100.{n}"), "bytes": 1_000_000, "class": "external", "country": "NL", "asn": 64_500, "labels": ["tor-exit"]}))
            .collect();
        let finding = json!({
            "schema": "flowtrail.finding/1", "id": "inc-0123456789abcdef", "incident": "inc-0123456789abcdef",
            "rule": "tor-egress", "rules": ["tor-egress", "volume-spike"], "title": "7 MB to <!channel> \"x\" ]\n& \u{202e}more",
            "severity": "high", "score": 71, "confidence": 0.83, "first_seen": "2026-03-10T02:47:00Z",
            "last_seen": "2026-03-10T04:12:00Z", "account": "111122223333", "region": "us-east-1", "eni": "eni-0a", "instance": "i-0b",
            "source_ips": ["10.0.0.1"], "destinations": places, "bytes": 7_000_000, "packets": 9, "flows": 4, "channel": "internet",
            "baseline": {"quantile": 0.999, "expected": 5, "observed": 7_000_000, "history_hours": 200},
            "principals": [{"arn": "arn:aws:iam::111122223333:user/j.rivera", "access_key": "AKIAIOSFODNN7EXAMPLE", "class": "exact", "confidence": 0.97, "bytes": 7, "why": "w"}],
            "buckets": [{"name": "b", "objects": 3, "bytes": 5_000, "sensitivity": ["PII"]}],
            "attack": {"version": "18", "techniques": ["T1048"]}, "guardduty": ["t/1"], "coverage": {"observed": 1.0, "skipdata": 0},
            "evidence": [{"file": "a.gz", "line": 1, "sha256": "00"}], "explanation": ["It used AKIAIOSFODNN7EXAMPLE.", "Never seen before."],
        });
        Notice::of(finding).unwrap()
    }

    #[test]
    fn people_read_short_lists_without_whole_keys() {
        let notice = sample();
        let lists = format!("{:?}", notice.lists());
        assert!(
            lists.contains("key AKIA…MPLE") && !lists.contains("AKIAIOSFODNN7EXAMPLE"),
            "{lists}"
        );
        assert!(
            lists.contains("and 2 more") && lists.contains("198.51.100.1 (NL, AS64500, tor-exit) 1.00 MB"),
            "{lists}"
        );
        assert!(notice.facts().contains(&("Interface", "eni-0a, i-0b".into())));
    }

    #[test]
    fn what_has_no_id_or_severity_is_no_notice() {
        assert!(Notice::of(json!({"id": "a b", "severity": "low"})).is_err());
        assert!(Notice::of(json!({"id": "inc-1", "severity": "loud"})).is_err());
        assert!(Notice::of(json!(7)).is_err());
    }
}
