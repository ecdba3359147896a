//! What every report is made of: incidents, and the frame that makes them mean something (inputs, lists, losses, sums).

use crate::aggregate::stats::ScanStats;
use crate::aggregate::{Direction, EgressTable, Interface, LeftOut, Role, Vantage};
use crate::baseline::Baseline;
use crate::detect::trail::S3Channels;
use crate::incident::{Estate, Heard, Hidden, Incident, Step};
use crate::intel::{Intel, ListInfo};
use crate::net::{Class, Seconds};
use crate::trail::PrincipalIndex;
use serde::Serialize;
use std::collections::BTreeMap;

/// A finished run, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Incidents to show, most severe first.
    pub incidents: &'a [Incident],
    /// How many were left out because of `--min-severity`.
    pub below: usize,
    /// Incidents set aside as announced transfers.
    pub allowed: &'a [Hidden],
    /// Incidents set aside by a suppression.
    pub suppressed: &'a [Hidden],
    /// What was counted.
    pub table: &'a EgressTable,
    /// What was learned before and from it: for the bands of the series.
    pub learned: &'a Baseline,
    /// Interfaces whose bytes began elsewhere.
    pub vantage: &'a Vantage,
    /// Names of the flow log files, sorted.
    pub inputs: &'a [String],
    /// Names of the CloudTrail files, sorted.
    pub trail_inputs: &'a [String],
    /// Inventory files, as they were named.
    pub inventory: &'a [String],
    /// Every file that was read, with its hash; nothing unless asked for.
    pub custody: &'a [Custody],
    /// CloudTrail, if it was read.
    pub trail: Option<&'a PrincipalIndex>,
    /// The lists themselves, for what they say of callers.
    pub intel: &'a Intel,
    /// Lists in use and missing.
    pub lists: &'a [ListInfo],
    /// What was read and what was not.
    pub stats: &'a ScanStats,
    /// Earliest start and latest end of the records.
    pub span: Option<(Seconds, Seconds)>,
    /// Interfaces of which the logs only say that nothing passed, or that records were lost.
    pub idle: usize,
    /// What was not counted, and why.
    pub left_out: LeftOut,
    /// Access keys whole, not masked, in formats for people.
    pub show_keys: bool,
    /// Channels that only CloudTrail's data events show; none without them.
    pub channels: Option<S3Channels>,
    /// Findings of GuardDuty and Macie, with the incident that each is about; none if none were given.
    pub heard: Option<&'a [Heard]>,
    /// The containment checklist of each incident, by id; none without a trail.
    pub steps: Option<&'a BTreeMap<String, Vec<Step>>>,
    /// What containment must not break.
    pub estate: &'a Estate,
}

/// One file that was read, for the chain of custody.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Custody {
    /// Its name, relative to the input root.
    pub file: String,
    /// `flow`, `trail` or `inventory`.
    pub kind: &'static str,
    /// Its size on disk.
    pub bytes: u64,
    /// Of the file as it lies on disk; nothing if it could not be read.
    pub sha256: Option<String>,
}

/// Egress by channel of the ledger, in bytes; middleboxes are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Opened by our side, or by nobody knows whom, to external addresses and AWS services other than S3.
    pub internet: u128,
    /// Answers of our servers to visitors.
    pub served: u128,
    /// To S3.
    pub s3: u128,
    /// On interfaces that only pass traffic on: seen once more there.
    pub passed_on: u128,
    /// The part of internet and S3 of which nobody knows who opened the connection.
    pub role_unknown: u128,
}

impl Run<'_> {
    /// Of each interface whether it only passes traffic on.
    pub fn passing(&self) -> Vec<bool> {
        let passes_on = |i: &Interface| self.vantage.middleboxes.contains_key(&i.id);
        self.table.interfaces.iter().map(passes_on).collect()
    }

    /// The egress by channel.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        let passing = self.passing();
        for row in self.table.rows.iter().filter(|r| r.direction == Direction::Egress) {
            let passes_on = passing.get(row.interface as usize) == Some(&true);
            let slot = match (self.table.peer(row).class, row.role) {
                (Class::Home | Class::Special, _) => continue,
                _ if passes_on => &mut ledger.passed_on,
                (Class::S3, _) => &mut ledger.s3,
                (_, Role::Server) => &mut ledger.served,
                _ => &mut ledger.internet,
            };
            *slot += row.volume.bytes;
            if row.role == Role::Unknown && !passes_on {
                ledger.role_unknown += row.volume.bytes;
            }
        }
        ledger
    }

    /// Share of the egress, which is `l`, whose origin is decided: the rest has no known direction, or left through a gateway
    /// without an originator in the archive.
    pub fn resolved_share(&self, l: &Ledger) -> f64 {
        let decided = l.internet + l.served + l.s3;
        let undecided = self.left_out.ambiguous + self.vantage.residual;
        if decided + undecided == 0 {
            1.0
        } else {
            decided as f64 / (decided + undecided) as f64
        }
    }

    /// One sentence on how much of the input was read: it stands at the top of every report.
    pub fn completeness(&self) -> String {
        use crate::report::grid::grouped;
        let (l, f) = (&self.stats.lines, &self.stats.files);
        let whole = f.ok + f.duplicate;
        let all = whole + f.partial + f.failed;
        let mut text = format!("{} lines in {} files", grouped(l.lines.into()), grouped(all.into()));
        if l.rejected > 0 {
            let share = 100.0 * (l.lines - l.rejected) as f64 / l.lines as f64;
            text += &format!(", {share:.1} % good ({} rejected)", grouped(l.rejected.into()));
        }
        if whole < all {
            text += &format!(
                ", {} of {} files incomplete",
                grouped((all - whole).into()),
                grouped(all.into())
            );
        }
        if f.duplicate > 0 {
            text += &format!(", {} copies counted once", grouped(f.duplicate.into()));
        }
        if l.skipdata > 0 {
            text += &format!(
                ", {} SKIPDATA windows (records lost by AWS)",
                grouped(l.skipdata.into())
            );
        }
        text
    }
}

/// `AKIA…WXYZ`: enough to find the key, not enough to lean over a shoulder for.
pub fn masked(key: &str, whole: bool) -> String {
    let n = key.chars().count();
    if whole || n < 12 {
        return key.to_string();
    }
    let head: String = key.chars().take(4).collect();
    let tail: String = key.chars().skip(n - 4).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_for_people() {
        assert_eq!(masked("AKIAIOSFODNN7EXAMPLE", false), "AKIA…MPLE");
        assert_eq!(masked("AKIAIOSFODNN7EXAMPLE", true), "AKIAIOSFODNN7EXAMPLE");
    }
}
