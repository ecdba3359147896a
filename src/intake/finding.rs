//! One finding of another tool, reduced to what it can be joined by and what a reader wants to know of it.
//!
//! Texts are as the tool wrote them: parts of them (user names, bucket names) come from whoever called an API, so every
//! output escapes them.

use serde::Serialize;
use serde_json::Value;

use super::types::TypeName;
use super::wrap::{text, time};
use crate::net::{Addr, Seconds, TimeWindow};

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// Amazon GuardDuty.
    GuardDuty,
    /// Amazon Macie.
    Macie,
}

/// How bad the tool calls it. Macie's highest is High.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// GuardDuty 1.0 to 3.9, Macie 1.
    #[default]
    Low,
    /// GuardDuty 4.0 to 6.9, Macie 2.
    Medium,
    /// GuardDuty 7.0 to 8.9, Macie 3.
    High,
    /// GuardDuty 9.0 and more.
    Critical,
}

/// A finding of GuardDuty or Macie.
#[derive(Debug, Clone, PartialEq)]
pub struct SideFinding {
    /// Who said it.
    pub tool: Tool,
    /// The tool's id of it.
    pub id: String,
    /// Its type, as written.
    pub kind: TypeName,
    /// How bad.
    pub level: Level,
    /// The severity as a number, as written: GuardDuty 1 to 10, Macie 1 to 3.
    pub score: f64,
    /// One line.
    pub title: String,
    /// Account that it is about.
    pub account: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Buckets, sorted.
    pub buckets: Vec<String>,
    /// The object that Macie looked into.
    pub object: Option<String>,
    /// API that was called, or `NETWORK_CONNECTION`, `DNS_REQUEST`, …
    pub action: Option<String>,
    /// Access keys, sorted.
    pub keys: Vec<String>,
    /// Names of the user, role session or role, sorted; ARNs where they are given.
    pub people: Vec<String>,
    /// Instances and interfaces, sorted.
    pub hosts: Vec<String>,
    /// Addresses at the far end.
    pub remote: Vec<Addr>,
    /// Addresses of the account's own interfaces.
    pub local: Vec<Addr>,
    /// When it began.
    pub first_seen: Option<Seconds>,
    /// When it was last seen.
    pub last_seen: Option<Seconds>,
    /// When the tool wrote it.
    pub created: Option<Seconds>,
    /// When the tool last changed it.
    pub updated: Option<Seconds>,
    /// How often it was seen.
    pub count: u64,
    /// What Macie found in the object: `PII: EMAIL_ADDRESS`, …, sorted.
    pub sensitivity: Vec<String>,
    /// A finding made up for trying out.
    pub sample: bool,
    /// Somebody, or a rule, put it aside in the tool.
    pub archived: bool,
}

impl Tool {
    /// The word in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tool::GuardDuty => "guardduty",
            Tool::Macie => "macie",
        }
    }
}

impl Level {
    /// The word in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// GuardDuty's bands (user guide, "Severity levels").
    pub fn of_guardduty(score: f64) -> Self {
        match score {
            s if s >= 9.0 => Level::Critical,
            s if s >= 7.0 => Level::High,
            s if s >= 4.0 => Level::Medium,
            _ => Level::Low,
        }
    }

    /// Macie's scores: 1, 2, 3.
    pub fn of_macie(score: f64) -> Self {
        match score {
            s if s >= 3.0 => Level::High,
            s if s >= 2.0 => Level::Medium,
            _ => Level::Low,
        }
    }
}

impl SideFinding {
    /// A finding of a tool and type, with what both tools write alike.
    pub(super) fn begun(tool: Tool, kind: TypeName, value: &Value) -> Self {
        SideFinding {
            id: text(value, "id").unwrap_or_default(),
            title: text(value, "title")
                .or_else(|| text(value, "description"))
                .unwrap_or_default(),
            account: text(value, "accountId"),
            region: text(value, "region"),
            created: time(value, "createdAt"),
            updated: time(value, "updatedAt"),
            ..SideFinding::new(tool, kind)
        }
    }

    /// An empty finding of a tool and type.
    pub(super) fn new(tool: Tool, kind: TypeName) -> Self {
        SideFinding {
            tool,
            id: String::new(),
            kind,
            level: Level::Low,
            score: 0.0,
            title: String::new(),
            account: None,
            region: None,
            buckets: Vec::new(),
            object: None,
            action: None,
            keys: Vec::new(),
            people: Vec::new(),
            hosts: Vec::new(),
            remote: Vec::new(),
            local: Vec::new(),
            first_seen: None,
            last_seen: None,
            created: None,
            updated: None,
            count: 1,
            sensitivity: Vec::new(),
            sample: false,
            archived: false,
        }
    }

    /// The time that it is about, where it says so.
    pub fn span(&self) -> Option<TimeWindow> {
        let from = self.first_seen.or(self.created).or(self.updated)?;
        let to = self.last_seen.or(self.updated).or(self.created).unwrap_or(from);
        Some(TimeWindow {
            from: from.min(to),
            to: to.max(from).saturating_add(1),
        })
    }

    /// True if it may speak for an incident: not made up, not put aside.
    pub fn counts(&self) -> bool {
        !self.sample && !self.archived
    }

    /// Puts its lists in order, each value once.
    pub(super) fn settle(mut self) -> Self {
        for list in [&mut self.buckets, &mut self.keys, &mut self.people, &mut self.hosts] {
            list.retain(|t| !t.is_empty());
            list.sort();
            list.dedup();
        }
        for list in [&mut self.remote, &mut self.local] {
            list.sort();
            list.dedup();
        }
        self
    }
}
