//! An incident read back from a result, and what stands beside it.

use serde::Deserialize;

use super::value::{Amount, When, Word};

/// An incident, as `flowtrail.finding/1` has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reported {
    /// Stable id.
    pub id: String,
    /// Leading rule.
    pub rule: String,
    /// All rules.
    pub rules: Vec<String>,
    /// One line.
    pub title: String,
    /// `info` to `critical`.
    pub severity: String,
    /// 0 to 100.
    pub score: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Begin.
    pub first_seen: When,
    /// End.
    pub last_seen: When,
    /// Account.
    pub account: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Interface.
    pub eni: Option<String>,
    /// Instance.
    pub instance: Option<String>,
    /// Where bytes came from.
    pub source_ips: Vec<String>,
    /// Where they went.
    pub destinations: Vec<Place>,
    /// How many.
    pub bytes: Amount,
    /// In how many packets; 0 where the trail alone shows it.
    pub packets: Amount,
    /// Records, or requests where the trail alone shows it.
    pub flows: u64,
    /// The ledger's channel.
    pub channel: String,
    /// The judged window beside the past.
    pub baseline: Option<Expectation>,
    /// Who.
    pub principals: Vec<Principal>,
    /// Buckets.
    pub buckets: Vec<Bucket>,
    /// ATT&CK.
    pub attack: Attack,
    /// GuardDuty types and ids.
    pub guardduty: Vec<String>,
    /// What the logs could show of its time.
    pub coverage: Coverage,
    /// Records to look at.
    pub evidence: Vec<Evidence>,
    /// Reasons.
    pub explanation: Vec<String>,
}

/// The judged window beside the past.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// Share of past windows that were smaller.
    pub quantile: f64,
    /// Bytes usual.
    pub expected: Amount,
    /// Bytes seen.
    pub observed: Amount,
    /// Hours of history.
    pub history_hours: u64,
}

/// A destination, or a caller's address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Address.
    pub ip: String,
    /// Bytes to it.
    pub bytes: Amount,
    /// Class.
    pub class: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<String>,
    /// Lists that name it.
    pub labels: Vec<String>,
}

/// Somebody who may have done it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Principal {
    /// ARN.
    pub arn: String,
    /// Access key id.
    pub access_key: Option<String>,
    /// How the two are tied.
    pub class: String,
    /// How surely.
    pub confidence: f64,
    /// Bytes that the trail gives to it.
    pub bytes: Amount,
    /// Why it is named.
    pub why: String,
}

/// A bucket concerned.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Bucket {
    /// Name.
    pub name: String,
    /// Distinct objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: Amount,
    /// What it is known to hold.
    pub sensitivity: Vec<String>,
}

/// ATT&CK.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Attack {
    /// Version of the ids.
    pub version: String,
    /// The ids.
    pub techniques: Vec<String>,
}

/// What the logs could show.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Share of the time.
    pub observed: f64,
    /// Seconds in which AWS lost records.
    pub skipdata: u64,
}

/// A record.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// File.
    pub file: String,
    /// Line.
    pub line: u64,
    /// The file's hash.
    pub sha256: Option<String>,
}

/// What stands beside an incident.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The incident.
    pub id: String,
    /// Its largest rows of the aggregate.
    pub cells: Vec<Cited>,
    /// What its requests add up to.
    pub requests: Option<Requests>,
    /// Its moments in the order of time.
    pub timeline: Vec<Moment>,
    /// What was done about it, and what not; none if nobody looked.
    pub containment: Option<Vec<Step>>,
}

/// A row of the aggregate: one interface, one peer and port, one hour.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cited {
    /// The interface.
    pub eni: Option<String>,
    /// Its address.
    pub local: Option<String>,
    /// The other side.
    pub peer: Option<String>,
    /// The port that serves, on whichever side it is.
    pub port: Option<u16>,
    /// IANA's number.
    pub protocol: Option<u8>,
    /// `client`, `server` or `unknown`: what the interface is.
    pub role: String,
    /// Bytes.
    pub bytes: Amount,
    /// Records.
    pub flows: u64,
}

/// What requests add up to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// That succeeded.
    pub requests: u64,
    /// That failed.
    pub failed: u64,
    /// Distinct objects.
    pub objects: u64,
    /// Bytes read.
    pub read: Amount,
    /// Bytes written.
    pub written: Amount,
    /// By address.
    pub callers: Vec<Caller>,
    /// By principal and bucket.
    pub access: Vec<Access>,
}

/// A caller's address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Caller {
    /// Address, or the service's name.
    pub source: String,
    /// Country.
    pub country: Option<String>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<String>,
    /// Lists that name it.
    pub labels: Vec<String>,
    /// Requests that succeeded.
    pub requests: u64,
}

/// One principal's use of one bucket.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Access {
    /// ARN.
    pub principal: String,
    /// Bucket.
    pub bucket: String,
    /// Requests that succeeded.
    pub requests: u64,
    /// Distinct objects.
    pub objects: u64,
    /// Bytes read.
    pub read: Amount,
    /// Bytes written.
    pub written: Amount,
}

/// A line of a timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// When it was, or began.
    pub time: When,
    /// When it ended, if it lasted.
    pub until: Option<When>,
    /// `flow`, `cloudtrail`, `guardduty`, `macie`, `outside`.
    pub source: String,
    /// What.
    pub text: String,
}

/// A step of containment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Short name.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// True if the trail shows that it was.
    pub done: bool,
    /// When.
    pub at: Option<When>,
    /// By whom.
    pub by: Option<String>,
    /// The control of `contain` that does it.
    pub control: Option<String>,
    /// The line from outside the logs that says that it was done, if only that does.
    #[serde(skip)]
    pub told: Option<String>,
}

/// What somebody else's detector found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SideFinding {
    /// `guardduty` or `macie`.
    pub source: String,
    /// Its id there.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its severity there, as a word or a number.
    pub severity: Word,
    /// Its title.
    pub title: Option<String>,
    /// Bucket.
    pub bucket: Option<String>,
    /// All buckets, if it is about several.
    pub buckets: Vec<String>,
    /// Action.
    pub action: Option<String>,
    /// When it was made.
    pub created_at: Option<When>,
    /// First seen.
    pub first_seen: Option<When>,
    /// Last seen.
    pub last_seen: Option<When>,
    /// What kinds of sensitive data Macie counted.
    pub sensitivity: Vec<String>,
    /// The incident that it belongs to.
    pub matched: Option<String>,
}

impl SideFinding {
    /// Who made it.
    pub fn product(&self) -> &str {
        match self.source.as_str() {
            "guardduty" => "GuardDuty",
            "macie" => "Macie",
            other => other,
        }
    }
}
