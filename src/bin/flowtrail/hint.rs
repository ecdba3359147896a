//! What the user probably meant, when what was named holds another kind of log.
//!
//! Flow logs and CloudTrail lie side by side in one bucket, so a walk for one passes over the other in silence; if it
//! finds nothing else, silence would be taken for "nothing happened".

use crate::run;
use flowtrail::Error;
use flowtrail::aggregate::ScanStats;
use flowtrail::input::{Archive, Family};
use std::ffi::OsString;

/// What AWS CLI answers begin with.
const ANSWERS: [&str; 8] = [
    "NetworkInterfaces",
    "Reservations",
    "VpcEndpoints",
    "Addresses",
    "NatGateways",
    "Subnets",
    "FlowLogs",
    "EventSelectors",
];

/// An error if nothing of a family was found below `paths`, but logs of the other family are there.
///
/// # Errors
/// `Usage`: nothing was read.
pub(crate) fn check(paths: &[OsString], family: Family, archive: &Archive) -> flowtrail::Result<()> {
    let local = |p: &OsString| p != "-" && !p.to_string_lossy().contains("://");
    let over = archive.passed_over;
    let met = archive.sources.len() + archive.skipped.len() + archive.failed.len();
    if met > 0 || over.folders + over.files > 0 || !paths.iter().all(local) {
        return Ok(());
    }
    let (other, text) = match family {
        Family::FlowLogs => (
            Family::Trail,
            "this looks like CloudTrail, and no flow log is there: give it with --trail",
        ),
        Family::Trail => (
            Family::FlowLogs,
            "these look like flow logs, and no CloudTrail is there: `flowtrail scan` reads them",
        ),
    };
    let found = Archive::discover(paths, other)?.sources;
    match found.first() {
        Some(first) => Err(Error::usage(format!("{} ({} files): {text}", first.name, found.len()))),
        None => {
            run::warn("nothing was read: no file is there");
            Ok(())
        }
    }
}

/// Says on stderr what rejected lines look like.
pub(crate) fn of_rejects(stats: &ScanStats) {
    let looks = |words: &[&str]| {
        stats
            .rejects
            .iter()
            .any(|r| words.iter().any(|w| r.excerpt.contains(&format!("\"{w}\""))))
    };
    if looks(&["eventVersion", "eventSource"]) {
        run::warn("this looks like CloudTrail: give it with --trail, or to `flowtrail trail`");
    } else if looks(&ANSWERS) {
        run::warn("this looks like an answer of the AWS CLI: give it with --inventory");
    }
}
