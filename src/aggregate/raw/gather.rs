//! Records to raw cells: the worker's side of a partial state.
//!
//! The shared table of a scan serves here too, with source and destination in the places of the local and the far end;
//! records whose packet addresses differ go to a table of the worker's own. Under a bound of memory all of it goes to disk when
//! it does not fit, and comes back sorted.

use crate::aggregate::cells::{Kinds, Outbox};
use crate::aggregate::counter::Shared;
use crate::aggregate::ingest::{Ingest, Progress, read_into};
use crate::aggregate::interner::{Described, Interner};
use crate::aggregate::key::{Bearing, Cell, FlowKey, Sides, hour_bucket, role_of_source};
use crate::aggregate::outcome::{Outcome, Place};
use crate::aggregate::parted::Parted;
use crate::aggregate::raw::kept::Kept;
use crate::aggregate::raw::sorted::{RawCells, Sorter};
use crate::aggregate::raw::state::FlowState;
use crate::aggregate::raw::{RawEntry, RawKey};
use crate::aggregate::spill::{Memory, Spool, Sums};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::{Direction, Role};
use crate::aggregate::tally::{Reading, Tally};
use crate::aggregate::way::{Numbers, Way};
use crate::error::Result;
use crate::flow::{Action, Field, FlowDirection, FlowRecord, LogStatus, MISSING, Rows};
use crate::input::Archive;
use crate::net::TimeWindow;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::ThreadPool;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keys that a worker keeps to itself before it hands them over, under a bound.
const STEP: usize = 1_024;

/// One worker's raw cells.
pub struct Gather {
    window: TimeWindow,
    interfaces: Interner,
    shared: Arc<Shared>,
    spill: Option<Spill>,
    outbox: Outbox,
    /// Of records with packet addresses of their own.
    apart: HashMap<RawKey, Cell, RandomState>,
    records: RecordCounts,
    task: u32,
    log: u16,
}

/// An archive as raw cells, sorted, and everything else that was read of it.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Files, interfaces, flow logs, counts.
    pub state: FlowState,
    /// The cells, sorted by key, each key once.
    pub cells: RawCells,
    /// What became of the files.
    pub outcome: Outcome,
}

/// What goes to disk when it does not fit.
#[derive(Clone)]
struct Spill {
    apart: Arc<Sums<RawKey>>,
    spool: Arc<Spool>,
    /// For sorting, in bytes.
    sorting: u64,
}

impl Spill {
    fn new(memory: &Memory, threads: usize) -> Result<(Spill, Shared)> {
        let spool = Arc::new(Spool::create(&memory.folder)?);
        let bytes = memory.for_tables(threads);
        let spill = Spill {
            apart: Arc::new(Sums::new(bytes / 4, spool.clone())),
            spool: spool.clone(),
            sorting: bytes / 2,
        };
        Ok((spill, Shared::spilling(bytes / 4 * 3, &spool)))
    }
}

/// Reads an archive into raw cells. Every content is identified, so that it is known again elsewhere.
///
/// # Errors
/// `Output` if the memory is bounded and what does not fit cannot be written.
pub fn gather(
    archive: &Archive,
    window: TimeWindow,
    options: &Ingest,
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<Gathered> {
    let bound = options.memory.as_ref();
    let bounded = bound.map(|m| Spill::new(m, pool.current_num_threads())).transpose()?;
    let (spill, shared) = bounded.map_or_else(Default::default, |(spill, shared)| (Some(spill), shared));
    let shared = Arc::new(shared);
    let reading = Reading {
        new: &|_| Gather::new(window, shared.clone(), spill.clone()),
        restart: &|| {
            shared.cells.clear();
            spill.iter().for_each(|s| s.apart.clear());
        },
        sieve: None,
        shelf: None,
        window,
    };
    let options = Ingest {
        learned: Some(BTreeSet::new()),
        ..options.clone()
    };
    let (tally, outcome) = read_into(archive, &reading, &options, pool, progress);
    pool.install(|| tally.finish(archive, outcome))
}

impl Gather {
    fn new(window: TimeWindow, shared: Arc<Shared>, spill: Option<Spill>) -> Self {
        Gather {
            window,
            interfaces: Interner::sharing(shared.ids.clone()),
            shared,
            spill,
            outbox: Outbox::default(),
            apart: HashMap::default(),
            records: RecordCounts::default(),
            task: 0,
            log: 0,
        }
    }

    fn count(&mut self, way: &Way, n: &Numbers, texts: &impl Described) {
        let role = role_of_source(n.tcp_flags, n.protocol, n.src_port, n.dst_port);
        let (port, other_port) = match role {
            Role::Client => (n.dst_port, 0),
            Role::Server => (n.src_port, 0),
            Role::Unknown => (n.src_port, n.dst_port),
        };
        let bearing = match way.direction {
            Some(FlowDirection::Egress) => Bearing::Known(Direction::Egress),
            Some(FlowDirection::Ingress) => Bearing::Known(Direction::Ingress),
            None => Bearing::Open,
        };
        let key = FlowKey {
            local: way.src,
            peer: way.dst,
            interface: self.interfaces.intern(texts.interface(), texts),
            log: self.log,
            other_port,
            hour: hour_bucket(n.start),
            port,
            protocol: n.protocol,
            sides: Sides::new(bearing, role),
        };
        let cell = Cell {
            bytes: n.bytes.into(),
            packets: n.packets.into(),
            flows: 1,
            first: n.start,
            last: n.end,
            sample: (self.task, n.line),
        };
        let ends = (way.source, way.destination);
        let packet = Some(ends).filter(|_| ends != (way.src, way.dst));
        match packet {
            None => self.outbox.add(&self.shared.cells, &key, &cell),
            Some(_) => self.add_apart(RawKey::of_flow(&key, packet), &cell),
        }
    }

    fn add_apart(&mut self, key: RawKey, cell: &Cell) {
        add(&mut self.apart, key, cell);
        if self.apart.len() >= STEP {
            self.hand_over();
        }
    }

    /// Under a bound, what a worker keeps to itself is handed over.
    fn hand_over(&mut self) {
        if let Some(spill) = &self.spill {
            self.apart.drain().for_each(|(key, cell)| spill.apart.add(key, &cell));
        }
    }

    /// Hands everything over that waits.
    fn flush(&mut self) {
        self.outbox.flush(&self.shared.cells);
        self.hand_over();
    }

    fn finish(mut self, archive: &Archive, outcome: Outcome) -> Result<Gathered> {
        self.flush();
        let (interfaces, order) = self.interfaces.about();
        let mut sorter = self.sorter(interfaces.len(), &order);
        let starts = outcome.places();
        let mut push = |(mut key, mut cell): RawEntry| {
            key.interface = order.get(key.interface as usize).copied().unwrap_or(u32::MAX);
            let (task, line) = cell.sample;
            let start = starts.get(task as usize).copied().unwrap_or_default();
            cell.sample = (start.file, start.line + line);
            sorter.push((key, cell));
        };
        self.shared
            .cells
            .drain(Kinds::BOTH, |key, cell| push((RawKey::of_flow(&key, None), cell)));
        self.apart.into_iter().for_each(&mut push);
        if let Some(spill) = &self.spill {
            spill.apart.drain(|key, cell| push((key, cell)));
        }
        Ok(Gathered {
            cells: sorter.finish()?,
            state: FlowState::of(archive, &outcome, self.records, interfaces),
            outcome,
        })
    }

    /// What sorts, and the memory for it; `order` has the place of each interface.
    fn sorter(&self, interfaces: usize, order: &[u32]) -> Sorter {
        let Some(spill) = &self.spill else {
            self.shared.cells.seal();
            let cells: &dyn Parted = &self.shared.cells;
            return Sorter::of(Kept::with_room(interfaces, |count| {
                cells.each(&mut |key, _| count(order.get(key.interface as usize).copied().unwrap_or(u32::MAX)));
            }));
        };
        if spill.spool.is_used() {
            self.shared.cells.write_out();
            spill.apart.write_out();
        }
        Sorter::spilling(interfaces, spill.sorting, spill.spool.clone())
    }
}

impl Gathered {
    /// Leaves out files that could not be opened, so that another run tries them again. They have no cell.
    pub fn forget_unread(&mut self) {
        let files = std::mem::take(&mut self.state.files);
        let mut places = Vec::with_capacity(files.len());
        for mut file in files {
            let place = self.state.files.len() as u32;
            places.push(place);
            if !matches!(file.report.place, Place::Unreadable(_)) {
                file.report.renumber(place, place);
                self.state.files.push(file);
            }
        }
        self.cells.renumber(places);
    }
}

fn add(cells: &mut HashMap<RawKey, Cell, RandomState>, key: RawKey, cell: &Cell) {
    cells.entry(key).and_modify(|c| c.add(cell)).or_insert(*cell);
}

impl Tally for Gather {
    fn begin(&mut self, task: u32, log: u16) {
        (self.task, self.log) = (task, log);
    }

    fn observe(&mut self, line: u64, r: &FlowRecord<'_>) {
        if r.status != LogStatus::Ok {
            return;
        }
        self.records.observe(r);
        let counted = matches!(r.action, Action::Accept | Action::Unknown) && !r.format().is_transit_gateway();
        let inside = || self.window.contains(r.start.unwrap_or(0));
        if let Some(way) = Way::of_record(r).filter(|_| counted && inside()) {
            self.count(&way, &Numbers::of_record(line, r), r);
        }
    }

    const BY_COLUMNS: bool = true;

    fn rows(&mut self, rows: &Rows<'_>) {
        self.records.observe_rows(rows);
        let both = [Field::SrcAddr, Field::DstAddr].iter().all(|f| rows.format.has(*f));
        if !both || rows.format.is_transit_gateway() {
            return;
        }
        let c = rows.columns;
        for i in 0..rows.len() {
            let counted = rows.is_good(i) && matches!(c.action[i], Action::Accept | Action::Unknown);
            let start = if c.start[i] == MISSING { 0 } else { c.start[i] };
            if counted && self.window.contains(start) {
                self.count(&Way::of_row::<false>(c, i), &Numbers::of_row(rows, i, true), &(rows, i));
            }
        }
    }

    fn actions(&self) -> (u64, u64) {
        (self.records.good_accept, self.records.reject_records)
    }

    fn is_full(&self) -> bool {
        self.shared.cells.is_full()
    }

    fn merge(&mut self, mut other: Self) {
        other.flush();
        self.interfaces.merge(&other.interfaces);
        self.records.add(&other.records);
        for (key, cell) in other.apart {
            add(&mut self.apart, key, &cell);
        }
    }
}
