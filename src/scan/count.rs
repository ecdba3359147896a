//! Flow logs to the table: read whole, or taken from a store as far as one holds them.

use super::stored::{self, Stored};
use super::{Counted, Follow, Inputs, Known, Phases, own_addresses};
use crate::aggregate::{Counting, Filter, Grain, Ingest, Places, Rules, ScanStats, WithEndpoints, finish, ingest};
use crate::error::Result;
use crate::input::{Archive, Family};
use crate::intel::Intel;
use crate::net::{Addr, TimeWindow};
use rayon::ThreadPool;
use std::collections::BTreeSet;
use std::ffi::OsString;

/// Counts the flow logs as finely as detectors need, with what is known of the estate; what a store holds is taken from it.
pub(super) fn count_all(
    inputs: &Inputs,
    known: &Known,
    intel: &Intel,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Counted, Option<Stored>)> {
    let counting = counting(inputs);
    let places = WithEndpoints::new(intel, &known.inventory);
    let own = own_addresses(&known.inventory);
    let ingest = ingest_of(inputs, known);
    let mut archive = Archive::discover_with(&inputs.flows, Family::FlowLogs, counting.window, &ingest.remote)?;
    if let Some(shelf) = stored::shelf(inputs, &archive, &ingest)? {
        let ingest = stored::with(&ingest, &shelf);
        let (counted, rules) = count_archive(archive, &places, &counting, &ingest, &own, pool, follow)?;
        shelf.check()?;
        if !counted.outcome.shares_contents() {
            return Ok((counted, Some(Stored { shelf, rules })));
        }
        archive = counted.archive;
    }
    let (counted, _) = count_archive(archive, &places, &counting, &ingest, &own, pool, follow)?;
    Ok((counted, None))
}

/// What a scan counts.
pub(super) fn counting(inputs: &Inputs) -> Counting {
    Counting {
        grain: Grain::SCAN,
        filter: Filter::default(),
        window: inputs.window.unwrap_or(TimeWindow::ALL),
        largest: 0,
    }
}

/// How flow logs are read, with the formats that the inventory knows.
pub(super) fn ingest_of(inputs: &Inputs, known: &Known) -> Ingest {
    Ingest {
        formats: inputs.ingest.formats.clone().with(&known.inventory),
        ..inputs.ingest.clone()
    }
}

/// Finds flow log files and counts them; `own` holds interface addresses known from elsewhere.
///
/// # Errors
/// `Usage` if nothing that was named can be found. What cannot be read is in the outcome.
pub fn count<P: Places>(
    paths: &[OsString],
    places: &P,
    counting: &Counting,
    options: &Ingest,
    own: &BTreeSet<(String, Addr)>,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<Counted> {
    let archive = Archive::discover_with(paths, Family::FlowLogs, counting.window, &options.remote)?;
    Ok(count_archive(archive, places, counting, options, own, pool, follow)?.0)
}

/// Counts flow log files that were found; tells the rules by which cells were counted as well.
///
/// # Errors
/// As [`ingest`](crate::aggregate::ingest()).
pub fn count_archive<P: Places>(
    archive: Archive,
    places: &P,
    counting: &Counting,
    options: &Ingest,
    own: &BTreeSet<(String, Addr)>,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Counted, Rules)> {
    let mut phases = Phases::default();
    let progress = follow(&archive);
    let (counter, outcome) = ingest(&archive, places, counting, options, pool, &progress)?;
    phases.next("read", archive.bytes());
    let mut stats = outcome.stats(&archive, &counter.records);
    let (table, left_out, rules) = pool.install(|| finish(counter, places, &counting.grain, own, &outcome));
    phases.next("sort", 0);
    if let Some(read) = phases.done.first() {
        stats.rate = read.rate(stats.lines.lines + stats.lines.searched);
    }
    stats.phases = phases.done;
    stats.peak_memory = ScanStats::peak_memory_now();
    let counted = Counted {
        table,
        left_out,
        archive,
        outcome,
        stats,
    };
    Ok((counted, rules))
}
