//! The pipeline itself, readable aloud from top to bottom. The only room that imports them all.

use crate::aggregate::{
    Ambiguous, Counting, EgressTable, Grain, Ingest, Outcome, Progress, ScanStats, finish, ingest, workers,
};
use crate::error::Result;
use crate::input::{Archive, Family};
use crate::intel::Intel;
use rayon::ThreadPool;
use std::ffi::OsString;
use std::time::Instant;

/// Flow logs counted: the table and what became of the files.
#[derive(Debug)]
pub struct Counted {
    /// Who sent how much where.
    pub table: EgressTable,
    /// Flows whose direction nothing decides.
    pub ambiguous: Ambiguous,
    /// The files, sorted.
    pub archive: Archive,
    /// What became of them.
    pub outcome: Outcome,
    /// The part of `--stats` that concerns flow logs.
    pub stats: ScanStats,
}

/// Starts the threads; 0 means one per core.
///
/// # Errors
/// `Usage` if the system cannot.
pub fn threads(count: usize) -> Result<ThreadPool> {
    workers::pool(count)
}

/// Finds flow log files and counts them.
///
/// # Errors
/// `Usage` if nothing that was named can be found. What cannot be read is in the outcome.
pub fn count(
    paths: &[OsString],
    intel: &Intel,
    counting: &Counting,
    options: &Ingest,
    pool: &ThreadPool,
    progress: &dyn Fn(&Archive) -> std::sync::Arc<Progress>,
) -> Result<Counted> {
    let began = Instant::now();
    let archive = Archive::discover(paths, Family::FlowLogs)?;
    let progress = progress(&archive);
    let (counter, outcome) = ingest(&archive, intel, counting, options, pool, &progress)?;
    let mut stats = outcome.stats(&archive, &counter.records);
    stats.phases.push(phase("read", began, archive.bytes()));
    let began = Instant::now();
    let grain: &Grain = &counting.grain;
    let (table, ambiguous) = finish(counter, intel, grain, &Default::default(), |s| outcome.place(s));
    stats.phases.push(phase("sort", began, 0));
    stats.peak_memory = ScanStats::peak_memory_now();
    Ok(Counted {
        table,
        ambiguous,
        archive,
        outcome,
        stats,
    })
}

fn phase(name: &'static str, began: Instant, bytes: u64) -> crate::aggregate::stats::Phase {
    crate::aggregate::stats::Phase {
        name,
        seconds: began.elapsed().as_secs_f64(),
        bytes,
    }
}
