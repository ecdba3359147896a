//! The survey itself: reads flow logs, trail, inventory and Macie findings, and makes every table of this room.

use crate::aggregate::{Counting, Filter, Grain, Ingest, Outcome, Progress, ScanStats, Watching, ingest};
use crate::coverage::digest::{self, DigestReport};
use crate::coverage::{
    BucketCoverage, Facts, InterfaceCoverage, LogCoverage, Prerequisite, Selectors, buckets, interfaces, logs,
    prerequisites,
};
use crate::error::Result;
use crate::input::{Archive, Family, ReadOptions};
use crate::intake::{Sensitive, SideFindings, Tool};
use crate::intel::Intel;
use crate::inventory::{Inventory, read_files};
use crate::net::TimeWindow;
use crate::trail::{PrincipalIndex, TrailRun, Wanted, read_archive};
use rayon::ThreadPool;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What a survey reads.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Flow logs.
    pub flows: Vec<OsString>,
    /// CloudTrail, digests included.
    pub trail: Vec<OsString>,
    /// `--inventory` files.
    pub inventory: Vec<PathBuf>,
    /// Macie findings.
    pub macie: Vec<PathBuf>,
    /// How.
    pub ingest: Ingest,
    /// Only records that start inside.
    pub window: TimeWindow,
}

/// What can be seen, and what cannot.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Flow logs, sorted by id.
    pub logs: Vec<LogCoverage>,
    /// Interfaces, sorted by id.
    pub interfaces: Vec<InterfaceCoverage>,
    /// Buckets, sorted by name.
    pub buckets: Vec<BucketCoverage>,
    /// Digests, if there are any.
    pub digests: Option<DigestReport>,
    /// What is lacking and what it costs.
    pub prerequisites: Vec<Prerequisite>,
    /// The flow log files, sorted.
    pub archive: Archive,
    /// What became of them.
    pub outcome: Outcome,
    /// What was read and what was not.
    pub stats: ScanStats,
}

/// Follows the reading of the flow logs, for a progress bar.
pub type Follow<'f> = &'f dyn Fn(&Archive) -> Arc<Progress>;

/// Reads everything and makes the tables.
///
/// # Errors
/// `Usage` if nothing that was named can be found, `List` for an inventory or findings that cannot be used. What cannot
/// be read of the logs is in the statistics.
pub fn survey(inputs: &Inputs, intel: &Intel, pool: &ThreadPool, follow: Follow<'_>) -> Result<Coverage> {
    let (trail, digests, inventory) = known(inputs, pool)?;
    let sensitive = findings(&inputs.macie, inputs.ingest.read)?;
    let (archive, outcome, mut stats) = flows(inputs, &inventory, intel, pool, follow)?;
    if let Some(trail) = &trail {
        stats.trail = trail.stats();
    }
    let selectors = Selectors::of(&inventory);
    let mut logs = logs(&archive, &outcome, &inventory);
    for log in &mut logs {
        log.slots.gaps.retain(|g| g.records.overlaps(&inputs.window));
    }
    let interfaces = interfaces(&outcome, &logs, &inventory, inputs.window);
    let nothing = PrincipalIndex::default();
    let index = trail.as_ref().map(|t| &t.index);
    let buckets = buckets(index.unwrap_or(&nothing), &selectors, &sensitive);
    let prerequisites = prerequisites(&Facts {
        logs: &logs,
        interfaces: &interfaces,
        buckets: &buckets,
        trail: index,
        selectors: &selectors,
        digests: digests.as_ref(),
        inventory: &inventory,
        lists: intel.lists(),
    });
    Ok(Coverage {
        logs,
        interfaces,
        buckets,
        digests,
        prerequisites,
        archive,
        outcome,
        stats,
    })
}

/// The trail, its digests, and what trail and inventory say of the estate.
fn known(inputs: &Inputs, pool: &ThreadPool) -> Result<(Option<TrailRun>, Option<DigestReport>, Inventory)> {
    let read = inputs.ingest.read;
    let (mut trail, mut digests) = (None, None);
    if !inputs.trail.is_empty() {
        let archive = Archive::discover_with(&inputs.trail, Family::Trail, TimeWindow::ALL, &inputs.ingest.remote)?;
        trail = Some(read_archive(&archive, read, &Wanted::ALL, pool));
        digests = digest::check(&archive, read, pool);
    }
    let mut graph = trail.as_mut().map(|t| std::mem::take(&mut t.graph)).unwrap_or_default();
    read_files(&inputs.inventory, read, &mut graph)?;
    Ok((trail, digests, graph.resolve()))
}

fn flows(
    inputs: &Inputs,
    inventory: &Inventory,
    intel: &Intel,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Archive, Outcome, ScanStats)> {
    let archive = Archive::discover_with(&inputs.flows, Family::FlowLogs, inputs.window, &inputs.ingest.remote)?;
    let counting = Counting {
        grain: Grain::TOTAL,
        filter: Filter::default(),
        window: inputs.window,
        largest: 0,
    };
    let options = Ingest {
        watching: Watching::All,
        formats: inputs.ingest.formats.clone().with(inventory),
        ..inputs.ingest.clone()
    };
    let (counter, outcome) = ingest(&archive, intel, &counting, &options, pool, &follow(&archive))?;
    let stats = outcome.stats(&archive, &counter.records);
    Ok((archive, outcome, stats))
}

fn findings(paths: &[PathBuf], read: ReadOptions) -> Result<Sensitive> {
    let mut side = SideFindings::default();
    side.read_files(paths, Tool::Macie, read)?;
    Ok(side.sensitive)
}
