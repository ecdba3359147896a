//! Files of findings from disk: told apart by content, packed or not, the same finding once.
//!
//! GuardDuty updates a finding under its id, and exports overlap: of several states of one finding the latest counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::finding::{SideFinding, Tool};
use super::guardduty;
use super::macie::{self, Sensitive};
use super::wrap::{Met, unwrap};
use crate::error::{Error, Result};
use crate::input::{ReadOptions, Reader, Source};

/// All findings of other tools, and what they say of buckets.
#[derive(Debug, Clone, Default)]
pub struct SideFindings {
    /// The findings, by tool and time.
    pub list: Vec<SideFinding>,
    /// What buckets hold.
    pub sensitive: Sensitive,
    /// Findings read, copies and earlier states included.
    pub read: u64,
    /// Events about something else.
    pub other: u64,
}

impl SideFindings {
    /// Reads files of one tool; what they hold of the other is taken too.
    ///
    /// # Errors
    /// `List`, naming the file that cannot be read or holds no finding of the tool (an empty answer is one).
    pub fn read_files(&mut self, paths: &[PathBuf], tool: Tool, read: ReadOptions) -> Result<()> {
        let mut reader = Reader::new(read);
        let mut text = Vec::new();
        for path in paths {
            let unusable = |e: Error| Error::list(e.reason()).at(path);
            let source = Source {
                name: path.display().to_string(),
                path: path.clone(),
                size: 0,
                object: None,
            };
            if let Some(damage) = reader.whole(&source, &mut text).map_err(unusable)? {
                return Err(unusable(damage));
            }
            self.add(&text, tool, path)?;
        }
        Ok(())
    }

    /// Adds the findings in `content`; `path` is for the message.
    ///
    /// # Errors
    /// As [`SideFindings::read_files`].
    pub fn add(&mut self, content: &[u8], tool: Tool, path: &Path) -> Result<()> {
        let mut fresh: Vec<SideFinding> = Vec::new();
        let sensitive = &mut self.sensitive;
        let seen = unwrap(content, &mut |value| {
            let found = macie::read(value, sensitive).or_else(|| guardduty::read(value));
            match found {
                Some(finding) => {
                    fresh.push(finding);
                    Met::Taken
                }
                None => Met::Unknown,
            }
        });
        let seen = seen.map_err(|e| e.at(path))?;
        let of_tool = fresh.iter().any(|f| f.tool == tool);
        if !of_tool && !seen.empty && seen.other == 0 {
            let name = match tool {
                Tool::GuardDuty => "GuardDuty",
                Tool::Macie => "Macie",
            };
            let text = format!("no {name} finding in it: expected get-findings JSON, findings, or events with them");
            return Err(Error::list(text).at(path));
        }
        self.read += fresh.len() as u64;
        self.other += seen.other;
        self.list.append(&mut fresh);
        self.settle();
        Ok(())
    }

    /// Of one tool.
    pub fn of(&self, tool: Tool) -> impl Iterator<Item = &SideFinding> {
        self.list.iter().filter(move |f| f.tool == tool)
    }

    /// One state of each finding, in order of time.
    fn settle(&mut self) {
        let mut latest: BTreeMap<(Tool, String, String, Option<String>), SideFinding> = BTreeMap::new();
        for finding in std::mem::take(&mut self.list) {
            let kind = finding.kind.plain().to_owned();
            let key = (finding.tool, finding.id.clone(), kind, finding.object.clone());
            match latest.get_mut(&key) {
                Some(known) if rank(known) >= rank(&finding) => {}
                Some(known) => *known = finding,
                None => {
                    latest.insert(key, finding);
                }
            }
        }
        self.list = latest.into_values().collect();
        self.list.sort_by(|a, b| {
            let key = |f: &SideFinding| {
                (
                    f.tool,
                    f.span().map(|s| (s.from, s.to)),
                    f.id.clone(),
                    f.kind.clone(),
                    f.object.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
    }
}

/// Later states of a finding win; between equals the order of files must not matter.
fn rank(f: &SideFinding) -> (Option<u64>, Option<u64>, u64, u64, bool, &str) {
    (
        f.updated,
        f.last_seen,
        f.count,
        f.score.to_bits(),
        f.sample,
        f.title.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACIE: &str = r#"{"id":"m","type":"SensitiveData:S3Object/Personal","severity":{"description":"High","score":3},
        "resourcesAffected":{"s3Bucket":{"name":"a"}},
        "classificationDetails":{"result":{"sensitiveData":[{"category":"CREDENTIALS"}]}}}"#;
    const DUTY: &str = r#"{"Id":"g","Type":"UnauthorizedAccess:S3/TorIPCaller","Severity":8,"Resource":{"S3BucketDetails":[{"Name":"a"}]},
        "Service":{"EventFirstSeen":"2026-03-10 02:47:00.123"}}"#;

    fn read(text: &str, tool: Tool) -> Result<SideFindings> {
        let mut side = SideFindings::default();
        side.add(text.as_bytes(), tool, Path::new("f"))?;
        Ok(side)
    }

    fn wrappings(finding: &str, list: &str) -> Vec<String> {
        let event = format!("{{\"detail-type\":\"A Finding\",\"detail\":{finding}}}");
        let message = serde_json::to_string(&event).unwrap();
        vec![
            finding.to_string(),
            format!("[{finding}]"),
            format!("{{\"{list}\":[{finding}]}}"),
            event,
            format!("{}\n{}", finding.replace('\n', " "), finding.replace('\n', " ")),
            format!("{{\"Records\":[{{\"Sns\":{{\"Message\":{message}}}}}]}}"),
            format!("{{\"Type\":\"Notification\",\"Message\":{message}}}"),
            format!("{{\"Messages\":[{{\"Body\":{message}}}]}}"),
        ]
    }

    #[test]
    fn findings_are_met_in_every_wrapping() {
        for text in wrappings(MACIE, "findings") {
            let side = read(&text, Tool::Macie).unwrap();
            assert_eq!(side.list.len(), 1, "{text}");
            assert_eq!(side.sensitive.buckets["a"].words(), ["credentials"]);
        }
        for text in wrappings(DUTY, "Findings") {
            let side = read(&text, Tool::GuardDuty).unwrap();
            assert_eq!(side.list.len(), 1, "{text}");
            assert_eq!(side.list[0].buckets, ["a"]);
            assert_eq!(
                side.list[0].first_seen,
                crate::net::parse_rfc3339("2026-03-10T02:47:00Z")
            );
        }
    }

    #[test]
    fn what_is_no_finding_is_refused_and_an_empty_answer_is_not() {
        assert!(read("{}", Tool::Macie).is_err() && read("bucket", Tool::GuardDuty).is_err());
        assert!(read(MACIE, Tool::GuardDuty).is_err());
        assert!(read("{\"findings\":[]}", Tool::Macie).unwrap().list.is_empty());
        let scan =
            r#"{"detail-type":"GuardDuty Malware Protection Object Scan Result","detail":{"scanStatus":"COMPLETED"}}"#;
        assert_eq!(read(scan, Tool::GuardDuty).unwrap().other, 1);
    }

    #[test]
    fn a_policy_finding_says_nothing_of_what_a_bucket_holds() {
        let policy = r#"{"category":"POLICY","type":"Policy:IAMUser/S3BucketPublic","severity":{"score":3},
            "resourcesAffected":{"s3Bucket":{"name":"a"}}}"#;
        let side = read(policy, Tool::Macie).unwrap();
        assert_eq!(
            (side.list.len(), side.sensitive.buckets.len(), side.sensitive.findings),
            (1, 0, 1)
        );
    }

    #[test]
    fn of_several_states_of_a_finding_the_latest_counts_whatever_the_order() {
        let state = |at: &str, n: u32| {
            format!(
                r#"{{"id":"g","type":"Discovery:S3/TorIPCaller","severity":5,"updatedAt":"{at}","service":{{"count":{n}}}}}"#
            )
        };
        let (a, b) = (state("2026-03-10T02:00:00Z", 1), state("2026-03-10T05:00:00Z", 7));
        for text in [format!("{a}\n{b}"), format!("{b}\n{a}")] {
            let side = read(&text, Tool::GuardDuty).unwrap();
            assert_eq!((side.read, side.list.len(), side.list[0].count), (2, 1, 7));
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(read(&deep, Tool::GuardDuty).is_err());
    }
}
