//! What reading a file came to: good, rejected and skipped, and what is wrong with the file as a whole.
//!
//! Nothing is dropped in silence: every record is in one of the counts, and the first few bad ones are named.

use std::borrow::Cow;

/// What one file, or many, held. Always: documents seen = records + rejected + insights (+ digests).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailCounts {
    /// Good records, copies included.
    pub records: u64,
    /// Records that are none; the first few stand in `rejects`.
    pub rejected: u64,
    /// Good records without `userIdentity`.
    pub missing_user_identity: u64,
    /// CloudTrail digest files.
    pub digest_files: u64,
    /// CloudTrail Insights events: known, not read as events.
    pub insights: u64,
    /// The first rejected records of each file, in the order of the file.
    pub rejects: Vec<TrailReject>,
    /// What is wrong with the file as a whole (only in the counts of one file).
    pub problem: Option<Problem>,
}

/// One rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailReject {
    /// Index of the record in its file, from 0, counting good and bad.
    pub record: u64,
    /// Physical line on which it begins, from 1.
    pub line: u64,
    /// The field that is wrong; empty if it is the record as a whole.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It ends in the middle of something; whole records before that are counted.
    Truncated {
        /// Where the thing that does not end begins.
        byte: u64,
    },
    /// Something that is no JSON stands after the document.
    Trailing {
        /// Where it begins.
        byte: u64,
    },
    /// There is no CloudTrail record in it; the text says what was found.
    NotCloudTrail(&'static str),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Truncated { byte } => write!(f, "cut off: what begins at byte {byte} does not end"),
            Problem::Trailing { byte } => write!(f, "no JSON after the end of the document, at byte {byte}"),
            Problem::NotCloudTrail(found) => write!(f, "no CloudTrail records in it: {found}"),
        }
    }
}

impl TrailCounts {
    /// Adds another file's counts; rejects and problems are per file and stay with it.
    pub fn add(&mut self, other: &TrailCounts) {
        self.records += other.records;
        self.rejected += other.rejected;
        self.missing_user_identity += other.missing_user_identity;
        self.digest_files += other.digest_files;
        self.insights += other.insights;
    }
}
