//! What an answer rests on: the files and lines that were searched, what was lost of them, and the time that they span.

use serde::Serialize;

use crate::aggregate::{Outcome, ScanStats};
use crate::lookup::card::When;

/// What an answer rests on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Coverage {
    /// Flow logs; none if there were none to search.
    pub flows: Option<FlowCoverage>,
    /// CloudTrail; none if there was none to read.
    pub trail: Option<TrailCoverage>,
}

/// What was searched of the flow logs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FlowCoverage {
    /// Files read whole, copies included.
    pub files: u64,
    /// Files damaged or unreadable.
    pub files_incomplete: u64,
    /// Lines read and searched.
    pub lines: u64,
    /// Lines that were no records, of those read.
    pub rejected: u64,
    /// SKIPDATA records of those read: records that AWS lost.
    pub skipdata: u64,
    /// Earliest start, of the lines read: first and last of each file and what was found.
    pub first: Option<When>,
    /// Latest end.
    pub last: Option<When>,
    /// True if every line was checked.
    pub validated: bool,
}

/// What was read of CloudTrail.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TrailCoverage {
    /// Files read whole.
    pub files: u64,
    /// Files damaged or unreadable.
    pub files_incomplete: u64,
    /// Records.
    pub records: u64,
    /// Records that were none.
    pub rejected: u64,
    /// First event.
    pub first: Option<When>,
    /// Last event.
    pub last: Option<When>,
}

impl FlowCoverage {
    /// Of a search.
    pub(super) fn of(s: &ScanStats, outcome: &Outcome) -> Self {
        FlowCoverage {
            files: s.files.ok + s.files.duplicate,
            files_incomplete: s.files.partial + s.files.failed,
            lines: s.lines.lines + s.lines.searched,
            rejected: s.lines.rejected,
            skipdata: s.lines.skipdata,
            first: outcome.span.map(|s| When(s.0)),
            last: outcome.span.map(|s| When(s.1)),
            validated: s.validated,
        }
    }
}
