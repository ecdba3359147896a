//! A finding, as design.md's schema `flowtrail.finding/1` has it: the one thing that every later room speaks.
//!
//! Detectors cite cells (rows of the aggregate) and never add up bytes themselves: sums, destinations and times follow from
//! the cited cells, so that an incident of several findings counts each byte once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::net::{Addr, Class, Country, Seconds, rfc3339};

/// The schema's name and version.
pub const SCHEMA: &str = "flowtrail.finding/1";

/// The ATT&CK version whose ids are used.
pub const ATTACK_VERSION: &str = "18";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a line in a log.
    #[default]
    Info,
    /// Unusual.
    Low,
    /// Look at it today.
    Medium,
    /// Bytes moved and a second, independent source says that it is bad.
    High,
    /// Several do.
    Critical,
}

impl Severity {
    /// The name in options and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The scores of this severity: lowest, highest.
    pub const fn scores(self) -> (f64, f64) {
        match self {
            Severity::Info => (0.0, 19.0),
            Severity::Low => (20.0, 39.0),
            Severity::Medium => (40.0, 69.0),
            Severity::High => (70.0, 89.0),
            Severity::Critical => (90.0, 100.0),
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [
            Severity::Info,
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ]
        .into_iter()
        .find(|x| x.as_str() == s)
        .ok_or_else(|| format!("unknown severity `{s}`: use info, low, medium, high or critical"))
    }
}

/// How sure the tool is, 0 to 1, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Confidence(f64);

impl Confidence {
    /// A confidence, held between 0 and 1 and rounded to hundredths.
    pub fn new(value: f64) -> Self {
        Confidence((value.clamp(0.0, 1.0) * 100.0).round() / 100.0)
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.0)
    }
}

/// A technique of MITRE ATT&CK, version [`ATTACK_VERSION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Technique(pub &'static str);

/// One finding, or one incident made of several.
#[derive(Debug, Clone, Serialize, Default)]
pub struct Finding {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Stable across runs, paths, formats, splits and threads.
    pub id: String,
    /// Id of the incident that it belongs to.
    pub incident: String,
    /// The leading rule.
    pub rule: &'static str,
    /// All rules that fired.
    pub rules: Vec<&'static str>,
    /// One line for people.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// 0 to 100, within its severity's band.
    pub score: f64,
    /// How sure.
    pub confidence: Confidence,
    /// Start of the first cited record.
    #[serde(serialize_with = "time")]
    pub first_seen: Seconds,
    /// End of the last cited record.
    #[serde(serialize_with = "time")]
    pub last_seen: Seconds,
    /// Account of the interface.
    pub account: Option<String>,
    /// Region of the interface.
    pub region: Option<String>,
    /// The interface.
    pub eni: Option<String>,
    /// Its instance.
    pub instance: Option<String>,
    /// Addresses that the bytes came from.
    pub source_ips: Vec<Addr>,
    /// Where they went, most bytes first.
    pub destinations: Vec<Destination>,
    /// Bytes of the cited cells.
    #[serde(serialize_with = "big")]
    pub bytes: u128,
    /// Packets of the cited cells.
    #[serde(serialize_with = "big")]
    pub packets: u128,
    /// Flow log records of the cited cells.
    pub flows: u64,
    /// The ledger's channel.
    pub channel: &'static str,
    /// What was expected.
    pub baseline: Option<Expectation>,
    /// Who did it, most likely first; filled in by attribution.
    pub principals: Vec<PrincipalClaim>,
    /// Buckets concerned; filled in by attribution.
    pub buckets: Vec<BucketClaim>,
    /// ATT&CK.
    pub attack: Attack,
    /// Related or imported GuardDuty types and ids.
    pub guardduty: Vec<String>,
    /// What the logs could show; filled in by coverage.
    pub coverage: CoverageClaim,
    /// Records to look at.
    pub evidence: Vec<Evidence>,
    /// Plain sentences, one a reason.
    pub explanation: Vec<String>,
    /// Cited rows of the aggregate.
    #[serde(skip)]
    pub cells: BTreeSet<u32>,
    /// Bytes of a cited row that are meant, where not all of them are.
    #[serde(skip)]
    pub portions: BTreeMap<u32, u128>,
    /// Cited rows of the trail's index.
    #[serde(skip)]
    pub requests: BTreeSet<u32>,
    /// Index of the interface in the aggregate.
    #[serde(skip)]
    pub interface: Option<u32>,
    /// Decades of surprise of this finding's own signal.
    #[serde(skip)]
    pub weight: f64,
    /// The findings that an incident was made of, each with its weight.
    #[serde(skip)]
    pub parts: Vec<Part>,
    /// Decades of surprise, for ranking inside a severity.
    #[serde(skip)]
    pub surprise: f64,
    /// True if a list, a principal or a second source speaks for it beside its volume.
    #[serde(skip)]
    pub corroborated: bool,
}

/// One finding's share in an incident.
#[derive(Debug, Clone, Serialize, PartialEq, Default)]
pub struct Part {
    /// Its rule.
    pub rule: &'static str,
    /// How bad by itself.
    pub severity: Severity,
    /// Decades of surprise; 0 for rules that need no baseline.
    pub decades: f64,
    /// Its bytes.
    #[serde(serialize_with = "big")]
    pub bytes: u128,
    /// Plain sentences.
    pub reasons: Vec<String>,
}

impl Part {
    /// Of a finding.
    pub fn of(finding: &Finding) -> Self {
        let decades = if finding.requests.is_empty() {
            finding.weight
        } else {
            finding.surprise
        };
        Part {
            rule: finding.rule,
            severity: finding.severity,
            decades: (decades.max(0.0) * 100.0).round() / 100.0,
            bytes: finding.bytes,
            reasons: finding.explanation.clone(),
        }
    }
}

/// One destination of a finding.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Destination {
    /// Address.
    pub ip: Addr,
    /// Bytes sent to it.
    #[serde(serialize_with = "big")]
    pub bytes: u128,
    /// Class.
    pub class: Class,
    /// Country.
    pub country: Option<Country>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Lists that name it.
    pub labels: Vec<String>,
}

/// The observation beside the baseline.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Default)]
pub struct Expectation {
    /// Share of past windows that were smaller.
    pub quantile: f64,
    /// Median of the past windows, bytes.
    pub expected: u64,
    /// The window judged, bytes.
    pub observed: u64,
    /// Hours of history of this interface.
    pub history_hours: u64,
}

/// Somebody who may have done it.
#[derive(Debug, Clone, Serialize, PartialEq, Default)]
pub struct PrincipalClaim {
    /// The session's ARN, or principal or account id where there is none.
    pub arn: String,
    /// Access key id.
    pub access_key: Option<String>,
    /// `exact`, `strong`, `weak` or `ambiguous`.
    pub class: String,
    /// How sure.
    pub confidence: Confidence,
    /// Bytes that the trail gives to it.
    #[serde(serialize_with = "big")]
    pub bytes: u128,
    /// Why it is named.
    pub why: String,
}

/// A bucket concerned.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, Default)]
pub struct BucketClaim {
    /// Its name.
    pub name: String,
    /// Distinct objects.
    pub objects: u64,
    /// Bytes.
    #[serde(serialize_with = "big")]
    pub bytes: u128,
    /// What it is known to hold.
    pub sensitivity: Vec<String>,
}

/// ATT&CK version and ids.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, Default)]
pub struct Attack {
    /// [`ATTACK_VERSION`].
    pub version: &'static str,
    /// Technique ids.
    pub techniques: Vec<&'static str>,
}

/// What the logs could show of the time of the finding.
#[derive(Debug, Clone, Copy, Serialize, PartialEq)]
pub struct CoverageClaim {
    /// Share of the time, 0 to 1, whose flow log files are there.
    pub observed: f64,
    /// Seconds of it in which AWS lost records of the interface (SKIPDATA).
    pub skipdata: u64,
}

impl Default for CoverageClaim {
    fn default() -> Self {
        CoverageClaim {
            observed: 1.0,
            skipdata: 0,
        }
    }
}

/// A record that shows it.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The file, relative to the input root.
    pub file: String,
    /// Physical line.
    pub line: u64,
    /// SHA-256 of the file.
    pub sha256: Option<String>,
    /// Index of the file among the run's inputs.
    #[serde(skip)]
    pub file_index: u32,
}

fn time<S: Serializer>(t: &Seconds, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&rfc3339(*t))
}

/// Numbers beyond 2^53 lose digits in most JSON readers, so they are written as text.
pub(crate) fn big<S: Serializer>(n: &u128, s: S) -> Result<S::Ok, S::Error> {
    match u64::try_from(*n) {
        Ok(small) if small <= 1 << 53 => s.serialize_u64(small),
        _ => s.collect_str(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_what_readers_can_hold_are_text() {
        let finding = Finding {
            bytes: 1 << 53,
            packets: (1 << 53) + 1,
            ..Finding::default()
        };
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["bytes"], 9_007_199_254_740_992_u64);
        assert_eq!(json["packets"], "9007199254740993");
        assert_eq!(json["first_seen"], "1970-01-01T00:00:00Z");
        assert!(json["eni"].is_null());
    }
}
