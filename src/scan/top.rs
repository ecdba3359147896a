//! `top`: what was counted, folded by some keys, in memory or beside it.

use super::{Counted, Follow, Phases, count_archive, count_states};
use crate::aggregate::top::{Answer, Query, Streamed, Top, stream_archive, stream_cells};
use crate::aggregate::{Counting, EgressTable, Ingest, Memory, Outcome, Places, ScanStats};
use crate::error::Result;
use crate::input::Archive;
use crate::partial::Folded;
use rayon::ThreadPool;

/// Answers of flow log files that were found. With [`Ingest::memory`] what does not fit goes to disk, and the table is empty.
///
/// # Errors
/// `Output` if the disk fails, `Usage` if the memory is too small for the rows alone.
pub fn top_archive<P: Places>(
    archive: Archive,
    places: &P,
    (query, counting): (&Query, &Counting),
    options: &Ingest,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<(Answer, Counted)> {
    let Some(memory) = &options.memory else {
        let (counted, _) = count_archive(archive, places, counting, options, &Default::default(), pool, follow)?;
        return Ok((pool.install(|| answer(&counted, query, counting)), counted));
    };
    let mut phases = Phases::default();
    let progress = follow(&archive);
    let asked = (query, counting);
    let (told, outcome) = stream_archive((&archive, options, memory), places, asked, pool, &progress)?;
    phases.next("read", archive.bytes());
    let mut stats = outcome.stats(&archive, &told.records);
    if let Some(read) = phases.done.first() {
        stats.rate = read.rate(stats.lines.lines + stats.lines.searched);
    }
    stats.phases = phases.done;
    stats.peak_memory = ScanStats::peak_memory_now();
    Ok(streamed(told, archive, outcome, stats))
}

/// Answers of what states hold.
///
/// # Errors
/// As [`top_archive`], and `List`, naming a state that is damaged.
pub fn top_states<P: Places>(
    folded: &mut Folded,
    places: &P,
    (query, counting): (&Query, &Counting),
    (memory, pool): (Option<&Memory>, &ThreadPool),
) -> Result<(Answer, Counted)> {
    let Some(memory) = memory else {
        let counted = count_states(folded, places, counting, &Default::default(), (None, pool))?;
        return Ok((pool.install(|| answer(&counted, query, counting)), counted));
    };
    let mut phases = Phases::default();
    let flows = folded.flows.clone();
    let archive = flows.archive();
    let outcome = flows.outcome(&archive);
    let apart = outcome.logs.are_several();
    let mut next = || folded.next_cell();
    let told = stream_cells(memory, (&flows, apart), &mut next, places, (query, counting))?;
    phases.next("merge", 0);
    let mut stats = outcome.stats(&archive, &told.records);
    stats.phases = phases.done;
    Ok(streamed(told, archive, outcome, stats))
}

/// What was told without a table.
fn streamed(told: Streamed, archive: Archive, outcome: Outcome, stats: ScanStats) -> (Answer, Counted) {
    let counted = Counted {
        table: EgressTable::default(),
        left_out: told.left_out,
        archive,
        outcome,
        stats,
    };
    (told.answer, counted)
}

fn answer(counted: &Counted, query: &Query, counting: &Counting) -> Answer {
    let top = Top::of(&counted.table, &query.keys, &counting.filter, query.ways);
    top.and(counted.left_out.smaller).answer(query.limit)
}
