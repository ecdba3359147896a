//! Macie's findings: which buckets hold which sensitive data, and which are open?
//!
//! Classification findings name categories and types of data, policy findings a change for the worse of a bucket. Macie
//! knows Low, Medium and High. Shape: "Finding" in the Amazon Macie API reference, camelCase (PascalCase is read too).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::finding::{Level, SideFinding, Tool};
use super::types::TypeName;
use super::wrap::{at, items, number, text, time};

/// What is known of one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Categories of data: `PERSONAL_INFORMATION`, `FINANCIAL_INFORMATION`, `CREDENTIALS`, `CUSTOM_IDENTIFIER`.
    pub categories: BTreeSet<String>,
    /// The same in short with the type: `PII: USA_SOCIAL_SECURITY_NUMBER`.
    pub kinds: BTreeSet<String>,
    /// The worst that Macie said of it.
    pub level: Level,
    /// Objects named.
    pub objects: BTreeSet<String>,
}

/// Buckets and the sensitive data found in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sensitive {
    /// By name of the bucket.
    pub buckets: BTreeMap<String, Held>,
    /// Findings met, those about policies included.
    pub findings: u64,
}

/// Reads a value as a finding, if it is one; `sensitive` learns what it says of its bucket.
pub(super) fn read(value: &Value, sensitive: &mut Sensitive) -> Option<SideFinding> {
    let bucket = text(value, "resourcesAffected.s3Bucket.name")?;
    let kind = text(value, "type").unwrap_or_else(|| "SensitiveData:S3Object".to_owned());
    let word = text(value, "severity.description").unwrap_or_default();
    let score = number(value, "severity.score").unwrap_or(match word.as_str() {
        "High" => 3.0,
        "Medium" => 2.0,
        _ => 1.0,
    });
    let is = |path: &str| at(value, path).and_then(Value::as_bool).unwrap_or(false);
    let held = held(value, score);
    let found = SideFinding {
        level: Level::of_macie(score),
        score,
        buckets: vec![bucket.clone()],
        object: text(value, "resourcesAffected.s3Object.key"),
        action: text(value, "policyDetails.action.apiCallDetails.api"),
        people: text(value, "policyDetails.actor.userIdentity.iamUser.userName")
            .into_iter()
            .collect(),
        remote: text(value, "policyDetails.actor.ipAddressDetails.ipAddressV4")
            .and_then(|a| a.parse().ok())
            .into_iter()
            .collect(),
        first_seen: time(value, "policyDetails.action.apiCallDetails.firstSeen"),
        last_seen: time(value, "policyDetails.action.apiCallDetails.lastSeen"),
        count: number(value, "count").map_or(1, |n| n.max(0.0) as u64),
        sensitivity: held.words(),
        sample: is("sample"),
        archived: is("archived"),
        ..SideFinding::begun(Tool::Macie, TypeName::new(&kind), value)
    };
    sensitive.learn(bucket, held);
    Some(found.settle())
}

impl Sensitive {
    /// What a bucket holds.
    pub fn of(&self, bucket: &str) -> Option<&Held> {
        self.buckets.get(bucket)
    }

    fn learn(&mut self, bucket: String, held: Held) {
        self.findings += 1;
        if held.categories.is_empty() {
            return;
        }
        let known = self.buckets.entry(bucket).or_default();
        known.categories.extend(held.categories);
        known.kinds.extend(held.kinds);
        known.level = known.level.max(held.level);
        known.objects.extend(held.objects);
    }
}

/// What one finding says of its bucket; nothing, if it is about a policy.
fn held(value: &Value, score: f64) -> Held {
    let mut held = Held {
        level: Level::of_macie(score),
        objects: text(value, "resourcesAffected.s3Object.key").into_iter().collect(),
        ..Held::default()
    };
    let Some(result) = at(value, "classificationDetails.result") else {
        return held;
    };
    for found in items(result, "sensitiveData") {
        let Some(category) = text(found, "category") else {
            continue;
        };
        let short = short(&category);
        for one in items(found, "detections") {
            held.kinds.extend(text(one, "type").map(|t| format!("{short}: {t}")));
        }
        held.categories.insert(category);
    }
    let custom = number(result, "customDataIdentifiers.totalCount").unwrap_or(0.0);
    if custom > 0.0 {
        held.categories.insert("CUSTOM_IDENTIFIER".to_owned());
        for one in items(result, "customDataIdentifiers.detections") {
            held.kinds.extend(text(one, "name").map(|n| format!("custom: {n}")));
        }
    }
    held
}

impl Held {
    /// The kinds, or the categories where no finding went into detail.
    pub fn words(&self) -> Vec<String> {
        let told = |c: &&String| !self.kinds.iter().any(|k| k.starts_with(&format!("{}:", short(c))));
        let rest = self.categories.iter().filter(told).map(|c| short(c).to_owned());
        let mut out: Vec<String> = self.kinds.iter().cloned().chain(rest).collect();
        out.sort();
        out
    }
}

/// A category as people call it.
fn short(category: &str) -> &str {
    match category {
        "PERSONAL_INFORMATION" => "PII",
        "FINANCIAL_INFORMATION" => "financial",
        "CREDENTIALS" => "credentials",
        "CUSTOM_IDENTIFIER" => "custom",
        other => other,
    }
}
