//! `top` in bounded memory: sums go to disk when they do not fit, come back part by part, and only the rows that are shown
//! are kept. The answer is that of [`Top`](super::Top), byte for byte.

use crate::aggregate::counter::{Counter, Counting, Places, Shared};
use crate::aggregate::ingest::{Ingest, Progress, ingest_into};
use crate::aggregate::key::Cell;
use crate::aggregate::outcome::Outcome;
use crate::aggregate::raw::{FlowState, RawEntry};
use crate::aggregate::rules::LeftOut;
use crate::aggregate::spill::{Memory, Room, Spool, Sums};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::stream::stream;
use crate::aggregate::table::{Interface, Volume};
use crate::aggregate::top::groups::{Group, Groups};
use crate::aggregate::top::largest::Largest;
use crate::aggregate::top::{Answer, Query, cells_are_groups};
use crate::error::Result;
use crate::input::Archive;
use rayon::ThreadPool;
use std::sync::Arc;

/// What `top` in bounded memory came to.
#[derive(Debug)]
pub struct Streamed {
    /// The answer.
    pub answer: Answer,
    /// What was not counted, and why.
    pub left_out: LeftOut,
    /// Counts over all good records.
    pub records: RecordCounts,
}

/// Sums and the disk behind them.
struct Bounded<'m> {
    memory: &'m Memory,
    spool: Arc<Spool>,
    bytes: u64,
}

/// Reads an archive and answers; `memory` bounds what grows with the number of keys.
///
/// # Errors
/// `Output` if what does not fit cannot be written; `Usage` if the memory does not even hold what must be learned, or shown.
pub fn stream_archive<P: Places>(
    (archive, options, memory): (&Archive, &Ingest, &Memory),
    places: &P,
    (query, counting): (&Query, &Counting),
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<(Streamed, Outcome)> {
    let bounded = Bounded::new(memory, pool.current_num_threads())?;
    let shared = Shared::spilling(bounded.bytes, &bounded.spool);
    let (counter, outcome) = ingest_into(shared, archive, (places, counting), options, pool, progress);
    bounded.spool.check()?;
    Ok((bounded.answer(counter, (query, counting), places)?, outcome))
}

/// The same of cells of states, whose interfaces are those of `flows`.
///
/// # Errors
/// As [`stream_archive`], and those of the cells.
pub fn stream_cells<P: Places>(
    memory: &Memory,
    (flows, several_logs): (&FlowState, bool),
    next: &mut dyn FnMut() -> Result<Option<RawEntry>>,
    places: &P,
    (query, counting): (&Query, &Counting),
) -> Result<Streamed> {
    let bounded = Bounded::new(memory, 1)?;
    let shared = Arc::new(Shared::spilling(bounded.bytes, &bounded.spool));
    let mut counter = Counter::new(places, counting, shared).by_interface(several_logs);
    counter.adopt_records(&flows.records);
    while let Some((key, cell)) = next()? {
        if let Some(about) = flows.interfaces.get(key.interface as usize) {
            counter.adopt(&key, about, &cell);
        }
        if bounded.spool.has_failed() {
            break;
        }
    }
    bounded.spool.check()?;
    bounded.answer(counter, (query, counting), places)
}

impl<'m> Bounded<'m> {
    fn new(memory: &'m Memory, threads: usize) -> Result<Self> {
        Ok(Bounded {
            memory,
            spool: Arc::new(Spool::create(&memory.folder)?),
            bytes: memory.for_tables(threads),
        })
    }

    fn answer<P: Places>(
        &self,
        counter: Counter<'_, P>,
        (query, counting): (&Query, &Counting),
        places: &P,
    ) -> Result<Streamed> {
        let (grain, filter) = (&counting.grain, &counting.filter);
        // The rest is for groups and for the part that is read back; a little there is always.
        let room = Room::of((self.bytes / 4).max(8 << 20));
        let records = counter.records.clone();
        let mut groups = Groups::new(query, filter, grain, places);
        let mut largest = Largest::new(query.limit, &room);
        let disk = (&self.spool, &room);
        let mut show = |groups: &Groups<'_, P>, interfaces: &[Interface], group: &Group, cell: &Cell| {
            if filter.keeps_sum(cell.bytes, cell.packets, cell.flows) {
                largest.add(volume(cell), || groups.texts(group, interfaces));
            }
        };
        let sums: Sums<Group> = Sums::new(self.bytes / 2, self.spool.clone());
        let mut take = |interfaces: &[Interface], key: &_, cell: &Cell, whole| match groups.of(key) {
            Some(group) if whole => show(&groups, interfaces, &group, cell),
            Some(group) => sums.add(group, cell),
            None => {}
        };
        let are_groups = cells_are_groups(&query.keys, filter, query.ways);
        let (interfaces, left_out) = stream(counter, (places, grain), are_groups, disk, &mut take)?;
        sums.drain(|group, cell| show(&groups, &interfaces, &group, &cell));
        self.spool.check()?;
        let answer = largest.answer();
        if room.was_short() {
            return Err(self.memory.too_small_to_learn());
        }
        Ok(Streamed {
            answer,
            left_out,
            records,
        })
    }
}

fn volume(cell: &Cell) -> Volume {
    Volume {
        bytes: cell.bytes,
        packets: cell.packets,
        flows: cell.flows,
        first: cell.first,
        last: cell.last,
    }
}
