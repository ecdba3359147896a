//! Macie findings, read leniently: which buckets hold which sensitive data?
//!
//! Taken from any JSON (get-findings answers, single findings, NDJSON, EventBridge events): every object that has
//! `resourcesAffected.s3Bucket.name` is a finding. Source: "Macie findings" in the Amazon Macie API reference.

use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Buckets and the categories of sensitive data found in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sensitive {
    /// Bucket to categories (`PERSONAL_INFORMATION`, `FINANCIAL_INFORMATION`, `CREDENTIALS`, `CUSTOM_IDENTIFIER`).
    pub buckets: BTreeMap<String, BTreeSet<String>>,
    /// Findings met, those about policies included.
    pub findings: u64,
}

impl Sensitive {
    /// Adds the findings of one file.
    ///
    /// # Errors
    /// `List` if it is no JSON, or no finding is in it and it is not an empty answer.
    pub fn read(&mut self, content: &[u8]) -> Result<()> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let before = self.findings;
        let mut empty_answer = false;
        for value in serde_json::Deserializer::from_slice(content).into_iter::<Value>() {
            let value = value.map_err(|e| Error::list(format!("not the JSON of Macie findings: {e}")))?;
            empty_answer |= value
                .get("findings")
                .and_then(Value::as_array)
                .is_some_and(Vec::is_empty);
            self.visit(&value);
        }
        if self.findings == before && !empty_answer {
            return Err(Error::list("no Macie finding in it: expected the JSON of get-findings"));
        }
        Ok(())
    }

    fn visit(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|v| self.visit(v)),
            Value::Object(members) => match bucket(value) {
                Some(name) => self.finding(name, value),
                None => members.values().for_each(|v| self.visit(v)),
            },
            _ => {}
        }
    }

    fn finding(&mut self, bucket: &str, finding: &Value) {
        self.findings += 1;
        let result = finding.pointer("/classificationDetails/result");
        let found = result.and_then(|r| r.get("sensitiveData")).and_then(Value::as_array);
        let mut types: BTreeSet<String> = found
            .into_iter()
            .flatten()
            .filter_map(|s| s.get("category")?.as_str().map(String::from))
            .collect();
        let custom = result.and_then(|r| r.pointer("/customDataIdentifiers/totalCount")?.as_u64());
        if custom.is_some_and(|n| n > 0) {
            types.insert("CUSTOM_IDENTIFIER".into());
        }
        if !types.is_empty() {
            self.buckets.entry(bucket.to_string()).or_default().extend(types);
        }
    }
}

fn bucket(finding: &Value) -> Option<&str> {
    finding.pointer("/resourcesAffected/s3Bucket/name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINDING: &str = r#"{"resourcesAffected":{"s3Bucket":{"name":"a"}},
        "classificationDetails":{"result":{"sensitiveData":[{"category":"CREDENTIALS"}]}}}"#;

    fn read(text: &str) -> Result<Sensitive> {
        let mut s = Sensitive::default();
        s.read(text.as_bytes()).map(|()| s)
    }

    #[test]
    fn findings_are_met_in_every_wrapping() {
        let wrapped = [
            FINDING.to_string(),
            format!("[{FINDING}]"),
            format!("{{\"findings\":[{FINDING}]}}"),
            format!("{{\"detail-type\":\"Macie Finding\",\"detail\":{FINDING}}}"),
            format!("{FINDING}\n{FINDING}"),
        ];
        for text in wrapped {
            let s = read(&text).unwrap();
            assert_eq!(s.buckets["a"].iter().collect::<Vec<_>>(), ["CREDENTIALS"]);
        }
    }

    #[test]
    fn what_is_no_finding_is_refused_and_a_policy_finding_is_not_sensitive() {
        assert!(read("{}").is_err() && read("bucket").is_err());
        assert_eq!(read("{\"findings\":[]}").unwrap(), Sensitive::default());
        let policy = read(r#"{"category":"POLICY","resourcesAffected":{"s3Bucket":{"name":"a"}}}"#).unwrap();
        assert_eq!((policy.findings, policy.buckets.len()), (1, 0));
    }
}
