//! The pipeline itself, readable aloud from top to bottom. The only room that imports them all.

mod books;
mod count;
mod enrich;
mod own;
mod phases;
mod plan;
mod states;
mod stored;
mod top;

pub use books::{Reconciled, floors, reconcile, replayable, scan_trail};
use count::count_all;
pub use count::{count, count_archive};
pub use enrich::Beside;
use enrich::{attribute, beside, callers, cover};
pub use own::own_addresses;
use phases::Phases;
pub use plan::{Plan, Share, plan};
use states::take_some;
pub use states::{Choice, Taken, count_states, read_again, scan_states, take};
pub use top::{top_archive, top_states};

use crate::aggregate::{EgressTable, Ingest, LeftOut, Outcome, Places, Progress, ScanStats, Vantage, vantage, workers};
use crate::attribute::{Reconciliation, is_observable};
use crate::baseline::{Baseline, day_of};
use crate::coverage::Selectors;
use crate::detect::trail::{S3Channels, s3_channels};
use crate::detect::{self, Case, JOINT_DETECTORS, JointCase, Settings, TrailCase};
use crate::error::Result;
use crate::incident::{self, Incident};
use crate::input::{Archive, Family, ReadOptions, Sources};
use crate::intake::{SideFindings, Tool};
use crate::intel::Intel;
use crate::inventory::{Graph, Inventory};
use crate::net::{Addr, TimeWindow};
use crate::trail::{PrincipalIndex, TrailRun, Wanted, read_archive};
use rayon::ThreadPool;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What a scan reads.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Flow logs.
    pub flows: Vec<OsString>,
    /// CloudTrail.
    pub trail: Vec<OsString>,
    /// `--inventory` files.
    pub inventory: Vec<PathBuf>,
    /// `--guardduty` files.
    pub guardduty: Vec<PathBuf>,
    /// `--macie` files.
    pub macie: Vec<PathBuf>,
    /// `--own-account`: accounts that are ours beside those in whose trails the events stand.
    pub own_accounts: Vec<String>,
    /// How.
    pub ingest: Ingest,
    /// A store of the flow logs, made by [`index::build`](crate::index::build()): what it holds is not read again, but for
    /// the lines that are cited.
    pub index: Option<PathBuf>,
    /// Only records that start inside.
    pub window: Option<TimeWindow>,
    /// What was learned before. What it knows of the archive's own days and later is not used.
    pub baseline: Option<Baseline>,
}

/// Follows the reading of an archive, for a progress bar.
pub type Follow<'f> = &'f dyn Fn(&Archive) -> Arc<Progress>;

/// Flow logs counted: the table and what became of the files.
#[derive(Debug)]
pub struct Counted {
    /// Who sent how much where.
    pub table: EgressTable,
    /// What was not counted, and why.
    pub left_out: LeftOut,
    /// The files, sorted.
    pub archive: Archive,
    /// What became of them.
    pub outcome: Outcome,
    /// The part of `--stats` that concerns flow logs.
    pub stats: ScanStats,
}

impl Counted {
    /// Interfaces of which the logs only say that nothing passed, or that records were lost.
    pub fn idle(&self) -> usize {
        let counted = |id: &str| {
            self.table
                .interfaces
                .binary_search_by(|i| i.id.as_str().cmp(id))
                .is_ok()
        };
        let seen: BTreeSet<&str> = self.outcome.seen.keys().map(|(_, id)| id.as_str()).collect();
        seen.into_iter().filter(|id| !counted(id)).count()
    }
}

/// CloudTrail and inventory: who is who.
#[derive(Debug, Default)]
pub struct Known {
    /// Who did what from where.
    pub index: PrincipalIndex,
    /// Interfaces, instances, endpoints.
    pub inventory: Inventory,
    /// True if there was a trail: without one, channels that only it shows are not observable.
    pub has_trail: bool,
    /// The trail's files, sorted.
    pub files: Sources,
}

/// The result of a scan.
#[derive(Debug)]
pub struct Scanned {
    /// Incidents, most severe first.
    pub incidents: Vec<Incident>,
    /// What was counted.
    pub counted: Counted,
    /// What is known of the estate.
    pub known: Known,
    /// Interfaces whose bytes began elsewhere.
    pub vantage: Vantage,
    /// The baseline that judged the last day, with that day learned.
    pub state: Baseline,
    /// What was learned before, and from this archive; nothing without [`Inputs::baseline`].
    pub learned: Option<Baseline>,
    /// The ledger's channels that only CloudTrail's data events show.
    pub channels: Option<S3Channels>,
    /// What other tools said, what was done about it, and what is in use.
    pub beside: Beside,
}

/// Starts the threads; 0 means one per core.
///
/// # Errors
/// `Usage` if the system cannot.
pub fn threads(count: usize) -> Result<ThreadPool> {
    workers::pool(count)
}

/// The main job: flow logs and CloudTrail to incidents.
///
/// # Errors
/// `Usage` if nothing that was named can be found, `List` for an inventory that cannot be used. What cannot be read of
/// the logs is in the statistics.
pub fn scan(
    inputs: &Inputs,
    intel: &Intel,
    settings: &Settings,
    pool: &ThreadPool,
    follow: Follow<'_>,
) -> Result<Scanned> {
    let mut phases = Phases::default();
    let side = side_findings(inputs)?;
    let (known, trail) = learn(inputs, pool, &mut phases)?;
    let (counted, stored) = count_all(inputs, &known, intel, pool, follow)?;
    phases.restart();
    let asked = Asked {
        inputs,
        intel,
        settings,
        pool,
    };
    let mut scanned = pool.install(|| conclude(&asked, &side, (known, trail), counted, phases));
    if let Some(stored) = stored {
        let mut phases = Phases::default();
        let bytes = stored.find_lines(&mut scanned, inputs, intel, pool)?;
        phases.next("lines", bytes);
        scanned.counted.stats.phases.extend(phases.done);
    }
    incident::cite(&mut scanned.incidents, &scanned.counted.archive);
    Ok(scanned)
}

/// What logs are judged by.
struct Asked<'a> {
    inputs: &'a Inputs,
    intel: &'a Intel,
    settings: &'a Settings,
    pool: &'a ThreadPool,
}

/// What both logs come to, once they have been read, here or elsewhere.
fn conclude(
    asked: &Asked<'_>,
    side: &SideFindings,
    (known, trail): (Known, serde_json::Value),
    mut counted: Counted,
    mut phases: Phases,
) -> Scanned {
    let Asked {
        inputs,
        intel,
        settings,
        pool,
    } = *asked;
    let vantage = vantage(&counted, &known, pool);
    phases.next("vantage", 0);
    let middleboxes: BTreeSet<String> = vantage.middleboxes.keys().cloned().collect();
    let before = learned_before(inputs, &counted.table);
    let books = || Reconciliation::new(&counted.table, &known.index, &known.inventory, &middleboxes);
    let books = is_observable(&known.index).then(books);
    let case = Case {
        table: &counted.table,
        baseline: before.as_ref(),
        excluded: &middleboxes,
        books: books.as_ref(),
    };
    let judged = detect::judge(&case, settings);
    let mut findings = judged.findings;
    findings.extend(both_logs(&counted, &known, books.as_ref(), &middleboxes, settings));
    phases.next("detect", 0);
    let window = inputs.window.unwrap_or(TimeWindow::ALL);
    let learned = inputs.baseline.clone().map(|mut b| {
        b.merge(lesson(&counted, &judged.baseline, &middleboxes, window));
        b
    });
    attribute(&mut findings, &counted.table, &known, &middleboxes);
    let trail_case = trail_case(&known, inputs, intel);
    findings.extend(callers(&trail_case, &counted, settings));
    let channels = books.as_ref().map(|books| s3_channels(&trail_case, books));
    let mut incidents = incident::group(findings, &counted.table, Some(&trail_case));
    cover(&mut incidents, &counted, &known.inventory);
    let beside = beside(&mut incidents, inputs, side, &trail_case, &counted);
    phases.next("attribute", 0);
    counted.stats.trail = trail;
    counted.stats.phases.extend(phases.done);
    counted.stats.peak_memory = ScanStats::peak_memory_now();
    Scanned {
        incidents,
        counted,
        known,
        vantage,
        state: judged.baseline,
        learned,
        channels,
        beside,
    }
}

/// Which interfaces only pass traffic on.
fn vantage(counted: &Counted, known: &Known, pool: &ThreadPool) -> Vantage {
    pool.install(|| vantage::decide(&counted.table, &|id| known.inventory.is_middlebox(id)))
}

/// The findings of other tools.
///
/// # Errors
/// `List`, naming the file that cannot be used.
pub fn side_findings(inputs: &Inputs) -> Result<SideFindings> {
    let mut side = SideFindings::default();
    side.read_files(&inputs.guardduty, Tool::GuardDuty, inputs.ingest.read)?;
    side.read_files(&inputs.macie, Tool::Macie, inputs.ingest.read)?;
    Ok(side)
}

/// True if the selectors are known and ask for the data events of every bucket, ours or not.
fn covers_all(inventory: &Inventory) -> bool {
    let scope = Selectors::of(inventory).scope("any-bucket-of-somebody-else");
    scope.write && !scope.part
}

fn trail_case<'k>(known: &'k Known, inputs: &Inputs, intel: &Intel) -> TrailCase<'k> {
    let facts = |addr: Addr| Places::peer(intel, addr);
    let own = inputs.own_accounts.iter().cloned();
    TrailCase::new(&known.index, &known.inventory, own, &facts)
}

/// What only both logs together show.
fn both_logs(
    counted: &Counted,
    known: &Known,
    books: Option<&Reconciliation>,
    excluded: &BTreeSet<String>,
    settings: &Settings,
) -> Vec<detect::Finding> {
    if !known.has_trail {
        return Vec::new();
    }
    let case = JointCase {
        table: &counted.table,
        index: &known.index,
        books,
        excluded,
        whole: covers_all(&known.inventory),
    };
    JOINT_DETECTORS.iter().flat_map(|d| d.detect(&case, settings)).collect()
}

/// What one archive teaches: its counts, its contents, and the marks that judging it left.
fn lesson(counted: &Counted, judged: &Baseline, middleboxes: &BTreeSet<String>, window: TimeWindow) -> Baseline {
    let mut lesson = Baseline {
        excluded: judged.excluded.clone(),
        flagged: judged.flagged.clone(),
        events: judged.events.clone(),
        ..Baseline::default()
    };
    lesson.learn(&counted.table);
    lesson.interfaces.retain(|id, _| !middleboxes.contains(id));
    lesson.learned = counted.outcome.taught(window).map(|c| (c.size, c.hash)).collect();
    lesson
}

/// What was learned of the days before this archive.
fn learned_before(inputs: &Inputs, table: &EgressTable) -> Option<Baseline> {
    let first = || table.hours().map_or(0, |(first, _)| day_of(first));
    inputs.baseline.clone().map(|b| b.before(first()))
}

/// The trail and the inventory alone, and the trail's part of `--stats`: for look-ups.
///
/// # Errors
/// As [`scan`].
pub fn known(inputs: &Inputs, pool: &ThreadPool) -> Result<(Known, serde_json::Value)> {
    learn(inputs, pool, &mut Phases::default())
}

/// Reads the trail and the inventory; returns what is known and the trail's part of `--stats`.
fn learn(inputs: &Inputs, pool: &ThreadPool, phases: &mut Phases) -> Result<(Known, serde_json::Value)> {
    let read = inputs.ingest.read;
    let mut run = TrailRun::default();
    let has_trail = !inputs.trail.is_empty();
    let mut files = Sources::default();
    if has_trail {
        let archive = Archive::discover_with(&inputs.trail, Family::Trail, TimeWindow::ALL, &inputs.ingest.remote)?;
        run = read_archive(&archive, read, &Wanted::ALL, pool);
        phases.next("trail", archive.bytes());
        files = archive.sources;
    }
    let known = know(inputs, run, has_trail, files)?;
    phases.next("inventory", 0);
    Ok(known)
}

/// What a trail and the inventory say together, and the trail's part of `--stats`.
fn know(inputs: &Inputs, mut run: TrailRun, has_trail: bool, files: Sources) -> Result<(Known, serde_json::Value)> {
    let mut graph = std::mem::take(&mut run.graph);
    read_inventory(&inputs.inventory, inputs.ingest.read, &mut graph)?;
    let stats = run.stats();
    let known = Known {
        index: run.index,
        inventory: graph.resolve(),
        has_trail,
        files,
    };
    Ok((known, stats))
}

/// Adds `--inventory` files to what the trail taught.
///
/// # Errors
/// `List`, naming the file that cannot be used.
pub fn read_inventory(paths: &[PathBuf], read: ReadOptions, graph: &mut Graph) -> Result<()> {
    crate::inventory::read_files(paths, read, graph)
}
