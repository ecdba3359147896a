//! The pipeline in two halves: what is read of some files becomes a state, and states become what one run over all would
//! have become.

use super::{Asked, Counted, Follow, Inputs, Known, Phases, Scanned, conclude, know, own_addresses, side_findings};
use crate::aggregate::counter::Shared;
use crate::aggregate::interner::About;
use crate::aggregate::raw::{FileState, Gathered, RawEntry, TakeBlock, gather};
use crate::aggregate::{
    Counter, Counting, Filter, Formats, Grain, Ingest, Memory, Places, Progress, ScanStats, WithEndpoints, finish,
    workers,
};
use crate::detect::Settings;
use crate::error::Result;
use crate::incident;
use crate::input::{Archive, Family, ReadOptions, RemoteOptions, Source};
use crate::intel::Intel;
use crate::inventory::Graph;
use crate::net::{Addr, Seconds, TimeWindow};
use crate::partial::{self, Folded, Head, Held, One, Part, Rules, Shard};
use crate::trail::{TrailState, Wanted, read_state};
use rayon::ThreadPool;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What was read of some files.
#[derive(Debug)]
pub struct Taken {
    /// Rules and parts.
    pub head: Head,
    /// The flow log files, sorted.
    pub archive: Archive,
    /// What was read of them.
    pub gathered: Gathered,
    /// What was read of CloudTrail.
    pub trail: Option<TrailState>,
    /// `--stats` of these files.
    pub stats: ScanStats,
}

/// Which of the files that were named are read.
#[derive(Debug, Clone, Copy)]
pub enum Choice<'k> {
    /// All.
    All,
    /// One share of several.
    Shard(Shard),
    /// Those that a state does not hold yet.
    New(&'k Held),
}

/// Reads files without deciding anything that only the whole can tell.
///
/// # Errors
/// `Usage` if nothing that was named can be found, `List` for an inventory that cannot be used.
pub fn take(inputs: &Inputs, choice: Choice<'_>, pool: &ThreadPool, follow: Follow<'_>) -> Result<Taken> {
    let remote = &inputs.ingest.remote;
    let list = |paths: &[OsString], family, window| match paths {
        [] => Ok(Archive::default()),
        paths => Archive::discover_with(paths, family, window, remote),
    };
    let window = inputs.window.unwrap_or(TimeWindow::ALL);
    let mut flows = list(&inputs.flows, Family::FlowLogs, window)?;
    let mut trail = list(&inputs.trail, Family::Trail, TimeWindow::ALL)?;
    let mut part = None;
    match choice {
        Choice::All => {}
        Choice::Shard(shard) => {
            let listing = shard.keep(&mut flows) ^ shard.keep(&mut trail).rotate_left(1);
            part = Some(shard.part(listing));
        }
        Choice::New(held) => {
            held.keep_new(&mut flows, inputs.ingest.read)?;
            held.keep_new_trail(&mut trail);
        }
    }
    take_some(inputs, flows, trail, part, pool, follow)
}

/// Reads files that have been chosen.
pub(super) fn take_some(
    inputs: &Inputs,
    archive: Archive,
    trail_archive: Archive,
    part: Option<Part>,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<Taken> {
    let mut phases = Phases::default();
    let window = inputs.window.unwrap_or(TimeWindow::ALL);
    let ingest = with_formats(inputs)?;
    let trail =
        (!inputs.trail.is_empty()).then(|| read_state(&trail_archive, ingest.read, &Wanted::ALL, pool, Seconds::MAX));
    phases.next("trail", trail_archive.bytes());
    let progress = follow(&archive);
    let gathered = gather(&archive, window, &ingest, pool, &progress)?;
    phases.next("read", archive.bytes());
    let mut stats = gathered.outcome.stats(&archive, &gathered.state.records);
    stats.phases = phases.done;
    Ok(Taken {
        head: Head {
            rules: rules(window, &ingest),
            parts: part.into_iter().collect(),
            flows: !inputs.flows.is_empty(),
            trail: trail.is_some(),
            trail_files: trail_archive.sources.iter().collect(),
        },
        archive,
        gathered,
        trail,
        stats,
    })
}

fn rules(window: TimeWindow, ingest: &Ingest) -> Rules {
    Rules::new(window, &ingest.formats, ingest.read.max_unpacked)
}

/// How files are read, with the formats that the inventory gives to flow logs.
fn with_formats(inputs: &Inputs) -> Result<Ingest> {
    let mut graph = Graph::default();
    super::read_inventory(&inputs.inventory, inputs.ingest.read, &mut graph)?;
    let formats: Formats = inputs.ingest.formats.clone().with(&graph.resolve());
    Ok(Ingest {
        formats,
        ..inputs.ingest.clone()
    })
}

impl Taken {
    /// Leaves out files that could not be opened, so that another run tries them again.
    pub fn forget_unread(&mut self) {
        self.gathered.forget_unread();
        let unread = self.trail.as_mut().map(TrailState::forget_unread).unwrap_or_default();
        self.head.trail_files.retain(|s| !unread.contains(&s.path));
    }

    /// Writes the state.
    ///
    /// # Errors
    /// `Io` if `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let flows = Some(&self.gathered.state).filter(|_| self.head.flows);
        let blocks = &mut |take: TakeBlock<'_>| self.gathered.cells.blocks(take);
        partial::write(&self.head, flows, blocks, self.trail.as_ref(), out)
    }
}

/// Counts what states hold, as one run over their files would.
///
/// # Errors
/// `List`, naming a state that is damaged; `Usage` if there are more keys than `memory` lets in.
pub fn count_states<P: Places>(
    folded: &mut Folded,
    places: &P,
    counting: &Counting,
    own: &BTreeSet<(String, Addr)>,
    (memory, pool): (Option<&Memory>, &ThreadPool),
) -> Result<Counted> {
    let mut phases = Phases::default();
    let archive = folded.flows.archive();
    let outcome = folded.flows.outcome(&archive);
    let apart = outcome.logs.are_several();
    let threads = pool.current_num_threads();
    let shared = memory.map_or_else(Shared::default, |m| m.for_a_table(threads));
    let shared = Arc::new(shared);
    let new = || Counter::new(places, counting, shared.clone()).by_interface(apart);
    let mut counter = match folded.apart() {
        Some(states) => adopt_states(states, &folded.flows.interfaces, &new, pool)?,
        None => {
            let mut counter = new();
            adopt(&mut counter, &folded.flows.interfaces.clone(), &mut || {
                folded.next_cell()
            })?;
            counter
        }
    };
    counter.adopt_records(&folded.flows.records);
    if let Some(memory) = memory.filter(|_| counter.is_full()) {
        return Err(memory.too_small());
    }
    phases.next("merge", 0);
    let mut stats = outcome.stats(&archive, &counter.records);
    // The lines of a state are those of the files: what stands before a line is counted already.
    let (table, left_out, _) = finish(counter, places, &counting.grain, own, &outcome);
    phases.next("sort", 0);
    stats.phases = phases.done;
    Ok(Counted {
        table,
        left_out,
        archive,
        outcome,
        stats,
    })
}

/// Adds the cells of several states, each on a thread of its own: sums are commutative, so no order is needed.
fn adopt_states<'p, P: Places>(
    states: Vec<One>,
    interfaces: &[About],
    new: &(dyn Fn() -> Counter<'p, P> + Sync),
    pool: &ThreadPool,
) -> Result<Counter<'p, P>> {
    let states: Vec<Mutex<One>> = states.into_iter().map(Mutex::new).collect();
    let workers = workers::run(
        pool,
        states.len(),
        || (new(), Vec::new()),
        |(counter, failed), n| {
            let mut one = states[n].lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(e) = adopt(counter, interfaces, &mut || one.next_cell()) {
                failed.push((n, e));
            }
        },
    );
    let mut whole = new();
    let mut failed = Vec::new();
    for (counter, errors) in workers {
        whole.merge(counter);
        failed.extend(errors);
    }
    // Whatever the threads, the same one is told.
    match failed.into_iter().min_by_key(|(n, _)| *n) {
        Some((_, e)) => Err(e),
        None => Ok(whole),
    }
}

fn adopt<P: Places>(
    counter: &mut Counter<'_, P>,
    interfaces: &[About],
    next: &mut impl FnMut() -> Result<Option<RawEntry>>,
) -> Result<()> {
    while let Some((key, cell)) = next()? {
        if let Some(about) = interfaces.get(key.interface as usize) {
            counter.adopt(&key, about, &cell);
        }
        if counter.is_full() {
            break;
        }
    }
    counter.flush();
    Ok(())
}

/// States to incidents: the same as a scan of all their files. `inputs` names what is given beside the logs.
///
/// # Errors
/// `List` for a state that is damaged or an inventory that cannot be used.
pub fn scan_states(
    mut folded: Folded,
    inputs: &Inputs,
    intel: &Intel,
    settings: &Settings,
    pool: &ThreadPool,
) -> Result<Scanned> {
    let mut phases = Phases::default();
    let side = side_findings(inputs)?;
    let run = folded.trail()?.finish();
    let head = folded.head.clone();
    let (known, trail) = know(inputs, run, head.trail, head.trail_files.into_iter().collect())?;
    phases.next("trail", 0);
    let memory = inputs.ingest.memory.as_ref();
    let counted = count_known(&mut folded, &known, intel, head.rules.window, (memory, pool))?;
    let inputs = Inputs {
        window: Some(head.rules.window),
        ..inputs.clone()
    };
    let asked = Asked {
        inputs: &inputs,
        intel,
        settings,
        pool,
    };
    let mut scanned = pool.install(|| conclude(&asked, &side, (known, trail), counted, phases));
    incident::cite(&mut scanned.incidents, &scanned.counted.archive);
    Ok(scanned)
}

fn count_known(
    folded: &mut Folded,
    known: &Known,
    intel: &Intel,
    window: TimeWindow,
    room: (Option<&Memory>, &ThreadPool),
) -> Result<Counted> {
    let counting = Counting {
        grain: Grain::SCAN,
        filter: Filter::default(),
        window,
        largest: 0,
    };
    let places = WithEndpoints::new(intel, &known.inventory);
    count_states(folded, &places, &counting, &own_addresses(&known.inventory), room)
}

/// Reads a file of a state once more, by the same rules: what [`partial::Fold::fold`] asks for.
pub fn read_again(file: &FileState, rules: &Rules, remote: &RemoteOptions, pool: &ThreadPool) -> Option<Gathered> {
    let archive = named(file, remote)?;
    let ingest = Ingest {
        read: ReadOptions {
            max_unpacked: rules.max_unpacked,
            ..ReadOptions::default()
        },
        formats: Formats::described(&rules.formats).ok()?,
        remote: remote.clone(),
        ..Ingest::default()
    };
    gather(&archive, rules.window, &ingest, pool, &Progress::default()).ok()
}

/// The file that a state names, if it is what it was. A state may come from anywhere, so a local one is taken by its name as
/// it is written and must be a plain file of that size: no list, pattern, folder, pipe or standard input.
fn named(file: &FileState, remote: &RemoteOptions) -> Option<Archive> {
    let mut archive = Archive::default();
    if file.path.starts_with("s3://") {
        archive = Archive::discover_with(&[&file.path], Family::FlowLogs, TimeWindow::ALL, remote).ok()?;
        let mut object = archive.sources.first()?;
        // The flow log is told by the name below the root.
        object.name.clone_from(&file.name);
        archive.sources = std::iter::once(object).collect();
    } else if std::fs::metadata(&file.path).is_ok_and(|m| m.is_file() && m.len() == file.size) {
        archive.sources.push(&Source {
            name: file.name.clone(),
            path: PathBuf::from(&file.path),
            size: file.size,
            object: None,
        });
    }
    archive.sources.first().map(|_| archive)
}
