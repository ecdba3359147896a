//! Names of the ATT&CK techniques that the detectors cite, with their tactics: version 18 of the enterprise matrix.
//!
//! Products show names beside ids. An id that is not here is passed on without a name. Source: MITRE ATT&CK v18
//! (attack.mitre.org), as in the detectors' own pages.

use serde_json::{Value, json};

/// A technique, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Technique {
    /// As `T1048.003`.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Tactic's id and name.
    pub tactic: (&'static str, &'static str),
}

const COMMAND: (&str, &str) = ("TA0011", "Command and Control");
const COLLECTION: (&str, &str) = ("TA0009", "Collection");
const CREDENTIALS: (&str, &str) = ("TA0006", "Credential Access");
const DISCOVERY: (&str, &str) = ("TA0007", "Discovery");
const EVASION: (&str, &str) = ("TA0005", "Defense Evasion");
const EXFILTRATION: (&str, &str) = ("TA0010", "Exfiltration");
const IMPACT: (&str, &str) = ("TA0040", "Impact");
const INITIAL: (&str, &str) = ("TA0001", "Initial Access");

/// All, by id.
pub const TECHNIQUES: &[Technique] = &[
    named("T1030", "Data Transfer Size Limits", EXFILTRATION),
    named("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    named("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    named(
        "T1048.003",
        "Exfiltration Over Unencrypted Non-C2 Protocol",
        EXFILTRATION,
    ),
    named("T1071", "Application Layer Protocol", COMMAND),
    named("T1074", "Data Staged", COLLECTION),
    named("T1078", "Valid Accounts", INITIAL),
    named("T1078.004", "Cloud Accounts", INITIAL),
    named("T1090", "Proxy", COMMAND),
    named("T1090.003", "Multi-hop Proxy", COMMAND),
    named("T1485", "Data Destruction", IMPACT),
    named("T1530", "Data from Cloud Storage", COLLECTION),
    named("T1537", "Transfer Data to Cloud Account", EXFILTRATION),
    named("T1552", "Unsecured Credentials", CREDENTIALS),
    named("T1552.005", "Cloud Instance Metadata API", CREDENTIALS),
    named("T1562", "Impair Defenses", EVASION),
    named("T1562.008", "Disable or Modify Cloud Logs", EVASION),
    named("T1567", "Exfiltration Over Web Service", EXFILTRATION),
    named("T1571", "Non-Standard Port", COMMAND),
    named("T1572", "Protocol Tunneling", COMMAND),
    named("T1619", "Cloud Storage Object Discovery", DISCOVERY),
];

const fn named(id: &'static str, name: &'static str, tactic: (&'static str, &'static str)) -> Technique {
    Technique { id, name, tactic }
}

/// The technique of this id.
pub fn technique(id: &str) -> Option<&'static Technique> {
    TECHNIQUES.iter().find(|t| t.id == id)
}

/// Id and name, the name null where it is not known.
pub fn id_and_name(id: &str) -> (String, Value) {
    (id.to_owned(), technique(id).map_or(Value::Null, |t| json!(t.name)))
}

/// The technique that a part belongs to; itself if it is whole.
pub fn whole(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{DETECTORS, TRAIL_DETECTORS};

    #[test]
    fn every_technique_that_a_detector_cites_has_a_name() {
        let cited = DETECTORS
            .iter()
            .map(|d| d.meta())
            .chain(TRAIL_DETECTORS.iter().map(|d| d.meta()));
        for id in cited.flat_map(|m| m.techniques) {
            assert!(technique(id).is_some() && technique(whole(id)).is_some(), "{id}");
        }
    }

    #[test]
    fn they_stand_by_id() {
        assert!(TECHNIQUES.windows(2).all(|w| w[0].id < w[1].id));
    }
}
