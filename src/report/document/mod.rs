//! A result read back: what the formats that are drawn from a result are made of.
//!
//! A scan and `flowtrail report` go through the same door: the document `flowtrail.result/1` comes in, every text in it is
//! made safe to show and access keys are masked before anything else sees it, and typed values go out. What a document
//! lacks is empty, never an error: it may be of an older version, or of another tool.

mod egress;
mod incident;
mod value;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::net::printable;

pub use egress::{Copies, Hour, Ledger, Listed, Named, Places, Series};
pub use incident::{
    Access, Attack, Bucket, Caller, Cited, Coverage, Detail, Evidence, Expectation, Moment, Place, Principal, Reported,
    Requests, SideFinding, Step,
};
pub use value::{Amount, When, Word, mask_keys};

/// The schema that is read.
pub const SCHEMA: &str = "flowtrail.result/1";

/// Who will read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// People: access keys masked unless wanted whole, nothing that a screen could mistake.
    People {
        /// Access key ids whole.
        show_keys: bool,
    },
    /// Programs: every text as the logs have it.
    Machines,
}

/// A result.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// What was read, and by whom.
    pub run: Head,
    /// What is not shown, and why.
    pub view: Left,
    /// Incidents, most severe first.
    pub incidents: Vec<Reported>,
    /// What stands beside each incident.
    pub details: Vec<Detail>,
    /// Egress by hour beside what was expected.
    pub series: Vec<Series>,
    /// Egress by channel.
    pub ledger: Option<Ledger>,
    /// Where the egress went.
    pub places: Option<Places>,
    /// Who moved objects of which bucket.
    pub access: Option<Vec<Access>>,
    /// Lines and files.
    pub stats: Stats,
    /// What GuardDuty and Macie found; none if nothing was imported.
    pub side_findings: Option<Vec<SideFinding>>,
}

/// The run's header.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Head {
    /// Version of the tool.
    pub version: String,
    /// Earliest start.
    pub from: When,
    /// Latest end.
    pub to: When,
    /// How much of the input was read, in a sentence.
    pub completeness: String,
    /// Accounts seen.
    pub accounts: Vec<String>,
    /// Interfaces seen.
    pub interfaces: u64,
    /// Flow log files.
    pub inputs: Vec<String>,
    /// CloudTrail files.
    pub trail_inputs: Vec<String>,
    /// Inventory files.
    pub inventory: Vec<String>,
    /// Every file with its hash, if that was asked for.
    pub custody: Vec<Custody>,
    /// Lists in use and missing.
    pub lists: Vec<List>,
}

/// A file that was read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Custody {
    /// Name.
    pub file: String,
    /// `flow`, `trail` or `inventory`.
    pub kind: String,
    /// Size on disk.
    pub bytes: Amount,
    /// Its hash.
    pub sha256: Option<String>,
}

/// A list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct List {
    /// Short name.
    pub name: String,
    /// What it tells.
    pub kind: String,
    /// File or package.
    pub source: String,
    /// When it was made.
    pub date: Option<String>,
    /// How many entries.
    pub entries: Option<u64>,
    /// Its hash.
    pub sha256: Option<String>,
    /// `embedded`, `file` or `not loaded`.
    pub status: String,
}

/// What is not shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Left {
    /// Less severe than asked for.
    pub below_min_severity: u64,
    /// Announced transfers.
    pub allowed: Vec<Hidden>,
    /// Suppressed incidents.
    pub suppressed: Vec<Hidden>,
}

/// An incident set aside.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Hidden {
    /// Its id.
    pub id: String,
    /// Its bytes.
    pub bytes: Amount,
    /// The entry that set it aside.
    pub by: String,
    /// The entry's reason.
    pub reason: Option<String>,
}

/// Lines and files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Lines.
    pub lines: u64,
    /// Good.
    pub good: u64,
    /// Slots without traffic.
    pub nodata: u64,
    /// Windows in which AWS lost records.
    pub skipdata: u64,
    /// Lines that are no records.
    pub rejected: u64,
    /// Bytes accepted.
    pub accept_bytes: Amount,
    /// Files by outcome.
    pub files: BTreeMap<String, u64>,
    /// Files that were not read whole.
    pub file_errors: Vec<FileError>,
    /// The trail's part.
    pub trail: TrailStats,
}

/// A file that was not read whole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FileError {
    /// The file.
    pub file: String,
    /// What was wrong.
    pub reason: String,
}

/// The trail's part.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TrailStats {
    /// Events.
    pub records: u64,
    /// Events that could not be read.
    pub rejected: u64,
    /// Copies.
    pub duplicates: u64,
}

impl Document {
    /// Reads a result for somebody.
    ///
    /// # Errors
    /// `Usage` if it is no result, or a field of it has not the type that it should have.
    pub fn read(mut value: Value, audience: Audience) -> Result<Document> {
        if value["schema"] != SCHEMA {
            return Err(Error::usage("no result: write one with `flowtrail scan --format json`"));
        }
        without_nulls(&mut value);
        if let Audience::People { show_keys } = audience {
            value::clean(&mut value, show_keys);
        }
        let mut document: Document =
            serde_json::from_value(value).map_err(|e| Error::usage(format!("not a whole result: {e}")))?;
        document.name_operators();
        Ok(document)
    }

    /// Puts the names of operators beside their numbers.
    fn name_operators(&mut self) {
        let Some(places) = &mut self.places else { return };
        let names = &places.as_names;
        let of_incidents = self.incidents.iter_mut().flat_map(|i| &mut i.destinations);
        for place in of_incidents.chain(&mut places.destinations.listed) {
            let number = place.asn.map(|n| n.to_string());
            place.as_name = number.and_then(|n| names.get(&n).cloned());
        }
        for operator in &mut places.operators.listed {
            let name = operator.name.strip_prefix("AS").and_then(|n| names.get(n));
            operator.name.extend(name.map(|n| format!(" {n}")));
        }
    }

    /// Keeps the incidents whose ids begin like one of these; all, if there is none.
    ///
    /// # Errors
    /// `Usage`, naming the one that the result does not have.
    pub fn keep(&mut self, ids: &[String]) -> Result<()> {
        for id in ids {
            if !self.incidents.iter().any(|i| i.id.starts_with(id.as_str())) {
                let name = printable(id.as_bytes());
                return Err(Error::usage(format!("no incident {name} in this result")));
            }
        }
        self.incidents
            .retain(|i| ids.is_empty() || ids.iter().any(|id| i.id.starts_with(id.as_str())));
        Ok(())
    }

    /// What stands beside an incident.
    pub fn detail(&self, id: &str) -> Option<&Detail> {
        self.details.iter().find(|d| d.id == id)
    }
}

/// What is null is as good as absent.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PEOPLE: Audience = Audience::People { show_keys: false };

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        let text = "UpdateAccessKey of AKIAIOSFODNN7EXAMPLE, by ASIAIOSFODNN7EXAMPLE; AKIA alone stays";
        assert_eq!(
            mask_keys(text),
            "UpdateAccessKey of AKIA…MPLE, by ASIA…MPLE; AKIA alone stays"
        );
    }

    #[test]
    fn a_document_is_read_and_every_text_made_safe() {
        let value = json!({
            "schema": SCHEMA,
            "incidents": [{"id": "inc-1", "title": "a\u{202e}b\n# c", "bytes": "9007199254740993", "first_seen": "2026-03-10T02:47:11Z",
                "principals": [{"arn": "arn:x", "access_key": "odd-shaped-key-of-32-characters!"}]}],
            "ledger": {"own_s3": "not observable", "internet": 5, "server_side_copy": "not observable"},
        });
        let d = Document::read(value.clone(), PEOPLE).unwrap();
        let i = &d.incidents[0];
        assert_eq!(i.title, "a\\u{202e}b\\x0a# c");
        assert_eq!(i.bytes.get(), 9_007_199_254_740_993);
        assert_eq!(i.first_seen.to_string(), "2026-03-10T02:47:11Z");
        assert_eq!(i.principals[0].access_key.as_deref(), Some("odd-…ers!"));
        let ledger = d.ledger.unwrap();
        assert_eq!((ledger.own_s3, ledger.internet), (Amount(None), Amount(Some(5))));
        let whole = Document::read(value, Audience::Machines).unwrap();
        assert_eq!(whole.incidents[0].title, "a\u{202e}b\n# c");
    }

    #[test]
    fn what_is_no_result_is_said_to_be_none() {
        assert!(Document::read(json!({"schema": "flowtrail.finding/1"}), PEOPLE).is_err());
        assert!(Document::read(json!([1]), PEOPLE).is_err());
    }
}
