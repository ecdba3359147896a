//! The frame that makes the numbers mean something: what the logs can show, how it was found, and from which files.

use super::words::{bytes, count};
use super::{Case, Story};
use crate::net::human_bytes;
use crate::report::document::{Ledger, List};
use crate::report::grid::grouped;

/// Files named one by one.
pub const FILES: usize = 2_000;

/// Damaged files named one by one.
const DAMAGED: usize = 10;

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub file: String,
    /// `flow`, `trail`, `inventory`, `evidence`.
    pub kind: String,
    /// Its hash, if it was taken.
    pub sha256: Option<String>,
}

impl Story<'_> {
    /// What the logs can and cannot show, a sentence each.
    pub fn coverage(&self) -> Vec<String> {
        let (run, stats) = (&self.document.run, &self.document.stats);
        let mut out = vec![format!("{}.", run.completeness)];
        if stats.skipdata > 0 {
            let windows = grouped(stats.skipdata.into());
            out.push(format!(
                "In {windows} window(s) AWS lost records (SKIPDATA): what left then may be missing from every sum."
            ));
        }
        out.extend(self.damaged());
        out.push(match run.trail_inputs.len() {
            0 => "There was no CloudTrail: principals, buckets and objects are not observable.".to_owned(),
            n => format!(
                "CloudTrail: {} in {} ({} copies left out, {} could not be read). Objects are seen where data events are on.",
                count(stats.trail.records, "event"),
                count(n as u64, "file"),
                grouped(stats.trail.duplicates.into()),
                grouped(stats.trail.rejected.into())
            ),
        });
        if run.inventory.is_empty() {
            out.push("No inventory was given: gateways and instances are known from the logs alone.".to_owned());
        }
        out.extend(self.document.ledger.as_ref().map(decided));
        out.push(match &self.document.side_findings {
            None => "No findings of GuardDuty or Macie were given.".to_owned(),
            Some(all) => format!(
                "{} of GuardDuty and Macie were given.",
                count(all.len() as u64, "finding")
            ),
        });
        let missing: Vec<&str> = run
            .lists
            .iter()
            .filter(|l| !in_use(l))
            .map(|l| l.kind.as_str())
            .collect();
        if !missing.is_empty() {
            let names = missing.join(", ");
            out.push(format!("Lists not loaded, of which nothing can be said: {names}."));
        }
        out
    }

    /// Files that were not read whole; copies of others are only counted, in the sentence on completeness.
    fn damaged(&self) -> Vec<String> {
        let errors = self.document.stats.file_errors.iter();
        let all: Vec<_> = errors.filter(|e| !e.reason.starts_with("same content as")).collect();
        let told = |e: &&crate::report::document::FileError| format!("{} was not read whole: {}.", e.file, e.reason);
        let mut out: Vec<String> = all.iter().take(DAMAGED).map(told).collect();
        if all.len() > DAMAGED {
            out.push(format!(
                "{} more were not read whole; --stats names them.",
                count((all.len() - DAMAGED) as u64, "file")
            ));
        }
        out
    }

    /// How it was found.
    pub fn method(&self) -> Vec<String> {
        let version = &self.document.run.version;
        vec![
            format!("flowtrail {version} read the logs named below, offline, and changed nothing."),
            "Every egress byte of accepted flows is counted once, at the interface where it began; what gateways and load \
             balancers pass on is kept apart."
                .to_owned(),
            "Each day is judged by the days before it alone: the interface's or caller's own past first, then that of its peers."
                .to_owned(),
            "High and critical need bytes that moved and a second, independent source: a list, an unexplained reconciliation, \
             GuardDuty or Macie, or a principal that is itself unusual."
                .to_owned(),
            "Flows are tied to principals by private addresses behind VPC endpoints, by session names and by what CloudTrail \
             and the inventory say of instances; each tie has its class and its confidence."
                .to_owned(),
            "Times are UTC; 1 kB is 1,000 bytes.".to_owned(),
        ]
    }

    /// The files: all of them where custody was asked for, else those cited as evidence; and how many more there are.
    pub fn inputs(&self) -> (Vec<Input>, usize) {
        let run = &self.document.run;
        let mut all: Vec<Input> = run
            .custody
            .iter()
            .map(|c| Input {
                file: c.file.clone(),
                kind: c.kind.clone(),
                sha256: c.sha256.clone(),
            })
            .collect();
        if all.is_empty() {
            let cited = self.cases.iter().flat_map(|c| &c.incident.evidence);
            all.extend(cited.map(|e| Input {
                file: e.file.clone(),
                kind: "evidence".to_owned(),
                sha256: e.sha256.clone(),
            }));
            all.sort_by(|a, b| a.file.cmp(&b.file));
            all.dedup();
        }
        let more = all.len().saturating_sub(FILES);
        all.truncate(FILES);
        (all, more)
    }

    /// How many files there were, and which of them have a hash here.
    pub fn inputs_said(&self) -> String {
        let run = &self.document.run;
        let hashed = if run.custody.is_empty() {
            "The SHA-256 stands beside the files cited as evidence; a scan with --custody takes it of all."
        } else {
            "The SHA-256 of every one was taken as it lies on disk."
        };
        format!(
            "{} of flow logs, {} of CloudTrail, {} of inventory. {hashed}",
            count(run.inputs.len() as u64, "file"),
            count(run.trail_inputs.len() as u64, "file"),
            count(run.inventory.len() as u64, "file"),
        )
    }

    /// The ledger's channels: name, amount, what it means. What no log shows has no amount.
    pub fn channels(&self) -> Vec<(&'static str, Option<u128>, String)> {
        let Some(l) = &self.document.ledger else {
            return Vec::new();
        };
        let s3_known = l.own_s3.0.is_some();
        let mut out = vec![
            ("Internet", l.internet.0, "opened by our side".to_owned()),
            (
                "Served to visitors",
                l.served.0,
                "answers to those who called".to_owned(),
            ),
        ];
        if s3_known {
            out.push(("Own S3", l.own_s3.0, "buckets of ours".to_owned()));
        } else {
            out.push(("S3", l.s3.0, "whose buckets is not observable".to_owned()));
        }
        let copies = l.server_side_copy.objects;
        let copied = copies.map_or_else(String::new, |n| count(n, "object"));
        out.extend([
            ("Foreign S3", l.foreign_s3.0, "buckets of other accounts".to_owned()),
            ("S3 unaccounted", l.s3_unaccounted.0, "no event explains it".to_owned()),
            (
                "Read from outside",
                l.out_of_vpc_api_reads.0,
                "S3 reads that cross no interface".to_owned(),
            ),
            ("Server-side copy", None, copied),
        ]);
        out
    }
}

impl Case<'_> {
    /// What the flow logs could show of the incident's time, if an interface is concerned.
    pub fn coverage(&self) -> Option<String> {
        self.incident.eni.as_ref()?;
        let c = &self.incident.coverage;
        let lost = match c.skipdata {
            0 => String::new(),
            n => format!(" In {} of it AWS lost records.", count(n, "second")),
        };
        let share = 100.0 * c.observed;
        Some(format!(
            "{share:.1} % of the incident's time is in the flow logs.{lost}"
        ))
    }
}

/// The share of the bytes whose origin is known.
fn decided(l: &Ledger) -> String {
    format!(
        "The origin of {:.1} % of the egress is decided; {} left through gateways and nobody knows from whom.",
        100.0 * l.resolved_share,
        l.residual.0.map_or_else(|| bytes(l.residual), human_bytes)
    )
}

/// True for a list that can say something.
pub fn in_use(list: &List) -> bool {
    list.status != "not loaded"
}
