//! Flow logs: which there are, what they let through, which of their files are missing.

use crate::aggregate::outcome::FileOutcome;
use crate::aggregate::stats::FileStatus;
use crate::aggregate::watch::{FieldSet, UNNAMED};
use crate::aggregate::{FileFacts, Outcome};
use crate::coverage::slots::{Slots, Stamped};
use crate::input::{Archive, LogName};
use crate::inventory::Inventory;
use crate::net::Seconds;

/// One flow log.
#[derive(Debug, Clone, Default)]
pub struct LogCoverage {
    /// `fl-…`, or `-` for files whose name tells none.
    pub id: String,
    /// Account, from the file names.
    pub account: String,
    /// Region, from the file names.
    pub region: String,
    /// VPC, subnet or interface that it watches, by describe-flow-logs.
    pub resource: Option<String>,
    /// Files; copies of the log's own files apart.
    pub files: u64,
    /// Files with the content of another file of this log.
    pub copies: u64,
    /// Files that could not be read whole.
    pub damaged: u64,
    /// What its files held.
    pub facts: FileFacts,
    /// What it lets through.
    pub traffic: Traffic,
    /// The slots, from the stamps.
    pub slots: Slots,
    /// How long before the last file of the archive its own last one is stamped, if it is more than an hour.
    pub ended_before: Option<Seconds>,
}

/// What a flow log lets through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// Nothing tells.
    #[default]
    Unknown,
    /// Everything: by describe-flow-logs, or both actions stand in it.
    All,
    /// ACCEPT, by describe-flow-logs.
    Accept,
    /// REJECT, by describe-flow-logs: nothing that left is in it.
    Reject,
    /// Only REJECT records stand in it, and nothing else is known.
    RejectByRecords,
    /// Only ACCEPT records stand in it, and nothing else is known.
    AcceptByRecords,
}

/// A log that ends so long before the others has ended: one hour.
pub(super) const ENDED: Seconds = 3_600;

/// The flow logs of an archive and of the inventory, sorted by id.
pub fn logs(archive: &Archive, outcome: &Outcome, inventory: &Inventory) -> Vec<LogCoverage> {
    let mut all: Vec<Building> = outcome.logs.ids.iter().map(|id| Building::new(id)).collect();
    for (source, file) in archive.sources.iter().zip(outcome.by_file()) {
        if let Some(log) = all.get_mut(outcome.logs.of_file(file.file) as usize) {
            log.file(&source.name, archive, &file);
        }
    }
    for known in &inventory.flow_logs {
        if !all.iter().any(|b| b.log.id == known.id) {
            all.push(Building::new(&known.id));
        }
    }
    let newest = all.iter().flat_map(|b| b.stamps.iter().map(|s| s.stamp)).max();
    let mut logs: Vec<LogCoverage> = all
        .into_iter()
        .filter(|b| b.log.id != UNNAMED || b.log.files > 0)
        .map(|b| b.finish(newest, inventory))
        .collect();
    logs.sort_by(|a, b| a.id.cmp(&b.id));
    logs
}

/// A flow log while its files are counted.
struct Building {
    log: LogCoverage,
    stamps: Vec<Stamped>,
}

impl Building {
    fn new(id: &str) -> Self {
        let log = LogCoverage {
            id: id.to_string(),
            ..LogCoverage::default()
        };
        Building {
            log,
            stamps: Vec::new(),
        }
    }

    fn file(&mut self, name: &str, archive: &Archive, file: &FileOutcome) {
        let (status, facts) = (&file.status, file.facts);
        let original = |n: u32| archive.sources.get(n as usize).map(|s| s.name).unwrap_or_default();
        let copy = matches!(status, Some(FileStatus::Duplicate(n)) if log_of(&original(*n)) == log_of(name));
        self.log.copies += u64::from(copy);
        if !copy {
            self.log.files += 1;
            self.log.facts.add(&facts);
        }
        if matches!(status, Some(FileStatus::Partial(_) | FileStatus::Failed(_))) {
            self.log.damaged += 1;
        }
        if let Some(parsed) = LogName::parse(name).filter(|_| self.log.id != UNNAMED) {
            self.log.account = parsed.account.to_string();
            self.log.region = parsed.region.to_string();
            let (stamp, end) = (parsed.stamp, facts.span.map(|s| s.1));
            self.stamps.push(Stamped { stamp, end, copy });
        }
    }

    fn finish(mut self, newest: Option<Seconds>, inventory: &Inventory) -> LogCoverage {
        let known = inventory.flow_logs.iter().find(|f| f.id == self.log.id);
        self.log.resource = known.and_then(|k| k.resource.clone());
        self.log.traffic = Traffic::of(known.and_then(|k| k.traffic.as_deref()), &self.log.facts);
        self.log.slots = Slots::of(&self.stamps);
        let before = newest.map(|n| n.saturating_sub(self.log.slots.last));
        self.log.ended_before = before.filter(|b| *b > ENDED && !self.stamps.is_empty());
        self.log
    }
}

fn log_of(name: &str) -> Option<&str> {
    LogName::parse(name).map(|n| n.log)
}

impl Traffic {
    fn of(said: Option<&str>, facts: &FileFacts) -> Traffic {
        match (said, facts.accept, facts.reject) {
            (Some("ALL"), ..) => Traffic::All,
            (Some("ACCEPT"), ..) => Traffic::Accept,
            (Some("REJECT"), ..) => Traffic::Reject,
            (_, 0, 0) => Traffic::Unknown,
            (_, 0, _) => Traffic::RejectByRecords,
            (_, _, 0) => Traffic::AcceptByRecords,
            _ => Traffic::All,
        }
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Traffic::Unknown => "not known",
            Traffic::All => "ALL",
            Traffic::Accept => "ACCEPT",
            Traffic::Reject => "REJECT",
            Traffic::RejectByRecords => "REJECT only, by its records",
            Traffic::AcceptByRecords => "no REJECT in its records",
        }
    }

    /// True if what left cannot stand in the log.
    pub const fn is_blind(self) -> bool {
        matches!(self, Traffic::Reject | Traffic::RejectByRecords)
    }
}

impl LogCoverage {
    /// True if its records have this field.
    pub fn has(&self, field: crate::flow::Field) -> bool {
        self.facts.fields.is_some_and(|f: FieldSet| f.has(field))
    }
}
