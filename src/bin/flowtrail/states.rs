//! `scan --partial` and `flowtrail merge`: states of some files, written by many and judged as one.

use crate::args::{FileArgs, JudgeArgs, ReadArgs, ScanArgs};
use crate::memory::MemoryArgs;
use crate::notify::Duty;
use crate::read::S3Args;
use crate::{hint, output, read, run, scan as command};
use clap::Args;
use flowtrail::Error;
use flowtrail::detect::Settings;
use flowtrail::input::{Family, RemoteOptions};
use flowtrail::net::{TimeWindow, human_bytes, printable};
use flowtrail::notify::Target;
use flowtrail::partial::{Fold, Folded, Held, Partial, Shard, parse_shard};
use flowtrail::report::grid::grouped;
use flowtrail::report::{Cell, Grid};
use flowtrail::scan::{self, Choice, Inputs};
use flowtrail::store::{self, Lock};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What judges, and where it is told: a state needs none of it.
const JUDGED: [&str; 25] = [
    "notify",
    "notify_journal",
    "guardduty",
    "macie",
    "own_account",
    "min_severity",
    "fail_on",
    "alert_budget",
    "allow",
    "suppress",
    "baseline",
    "ip_ranges",
    "prefix_list",
    "geoip",
    "asn",
    "tor_exits",
    "tor_guards",
    "threat_list",
    "home",
    "format",
    "timeline",
    "output",
    "show_keys",
    "custody",
    "color",
];

/// States of some files.
#[derive(Debug, Args)]
#[command(next_help_heading = "States")]
pub(crate) struct StateArgs {
    /// Judge nothing: write what was counted to FILE, for `flowtrail merge`, which takes lists, baselines and formats
    #[arg(long, value_name = "FILE", conflicts_with_all = JUDGED)]
    pub(crate) partial: Option<PathBuf>,
    /// Read only the I-th of N shares of the files, of about the same size each; all N make the same shares
    #[arg(long, value_name = "I/N", requires = "partial", value_parser = parse_shard)]
    pub(crate) shard: Option<Shard>,
    /// Keep what was counted in this folder: the next run reads only files that are new, and judges all
    #[arg(long, value_name = "DIR", conflicts_with_all = ["partial", "learn", "from", "to", "strict"])]
    pub(crate) state: Option<PathBuf>,
    /// Judge nothing: read a sample, and print what all files would take: time, memory and size of states
    #[arg(long, conflicts_with_all = JUDGED, conflicts_with_all = ["partial", "state", "rejects", "stats", "strict"])]
    pub(crate) plan: bool,
    /// How many workers to plan for
    #[arg(long, value_name = "N", requires = "plan", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) workers: u64,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// States: any number, in any order
    #[arg(required = true, value_name = "STATE")]
    states: Vec<PathBuf>,
    /// Judge nothing: write one state that holds all of these
    #[arg(long, value_name = "FILE", conflicts_with_all = JUDGED, conflicts_with = "inventory")]
    partial: Option<PathBuf>,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Exit with 3 if more than this share of all lines is rejected
    #[arg(long, default_value = "1%", value_parser = crate::args::share, value_name = "SHARE", help_heading = "Input")]
    max_rejected: f64,
    /// Write what was read and what was not, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    stats: Option<PathBuf>,
}

/// `scan --partial`.
pub(crate) fn write(args: &ScanArgs, path: &Path) -> anyhow::Result<u8> {
    if args.paths.is_empty() && args.trail.is_empty() {
        return Err(Error::usage("name flow logs, or CloudTrail with --trail").into());
    }
    let quiet = args.judge.quiet;
    let inputs = inputs(args)?;
    output::check(Some(path))?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(quiet);
    let choice = args.states.shard.map_or(Choice::All, Choice::Shard);
    let taken = scan::take(&inputs, choice, &pool, &|a| bar.follow(a))?;
    bar.done();
    if args.states.shard.is_none() && !args.paths.is_empty() {
        hint::check(&args.paths, Family::FlowLogs, &taken.archive)?;
    }
    read::write_rejects(&args.read, &inputs.ingest, &taken.archive, &taken.gathered.outcome)?;
    let code = read::account(&args.read, quiet, &taken.stats)?;
    output::to_file(path, |out| Ok(taken.write(out)?))?;
    Ok(code)
}

/// What is read for a state.
fn inputs(args: &ScanArgs) -> anyhow::Result<Inputs> {
    if args.paths.iter().chain(&args.trail).any(|p| p == "-") {
        let text = "standard input cannot become a state: nothing would tell when the same bytes come again";
        return Err(Error::usage(text).into());
    }
    let mut ingest = args.read.ingest()?;
    ingest.memory = args.memory.bound(Some(&args.temp));
    Ok(Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        inventory: args.judge.inventory.clone(),
        ingest,
        window: Some(args.read.window()?),
        ..Inputs::default()
    })
}

/// `scan --state`: what is new is read and added under the lock of the state; all of it is judged.
pub(crate) fn go_on(args: &ScanArgs, folder: &Path, parameters: &Settings, targets: &[Target]) -> anyhow::Result<u8> {
    let judge = &args.judge;
    let duty = Duty::open(judge, targets)?;
    let reads = inputs(args)?;
    let desk = command::Desk::of(judge, parameters)?;
    let intel = judge.lists.load(judge.quiet)?;
    let baseline = command::State::open(judge, false)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
    let target = folder.join("aggregate.ftp");
    let lock = Lock::take(&target)?;
    let before = target.exists().then(|| Partial::open(&target)).transpose()?;
    let held = before.as_ref().map(Held::of).unwrap_or_default();
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(judge.quiet);
    let mut taken = scan::take(&reads, Choice::New(&held), &pool, &|a| bar.follow(a))?;
    bar.done();
    read::write_rejects(&args.read, &reads.ingest, &taken.archive, &taken.gathered.outcome)?;
    let code = read::account(&args.read, judge.quiet, &taken.stats)?;
    taken.forget_unread();
    let is_new = !taken.gathered.state.files.is_empty() || !taken.head.trail_files.is_empty();
    if before.is_none() {
        store::replace_by(&lock, |out| taken.write(out))?;
    } else if is_new {
        // Whoever holds the lock is alone with this name.
        let added = folder.join("added.ftp");
        let _ = std::fs::remove_file(&added);
        output::to_file(&added, |out| Ok(taken.write(out)?))?;
        let folded = fold_all(Fold::open(&[target.clone(), added.clone()])?, &args.read.remote())?;
        store::replace_by(&lock, |out| folded.write(true, out))?;
        let _ = std::fs::remove_file(&added);
    }
    let mut inputs = desk.inputs(judge, baseline.before.clone());
    inputs.ingest.memory = args.memory.bound(None);
    let folded = fold_all(Fold::open(&[target])?, &args.read.remote())?;
    let scanned = scan::scan_states(folded, &inputs, &intel, &desk.settings, &pool)?;
    desk.show(judge, &scanned, &intel)?;
    let told = duty.tell(&desk.shown(&scanned).incidents, judge.quiet)?;
    if told != run::DONE {
        return Ok(told);
    }
    Ok(desk.code(code, judge, &scanned))
}

/// `scan --plan`.
pub(crate) fn plan(args: &ScanArgs) -> anyhow::Result<u8> {
    let pool = scan::threads(args.read.files.threads)?;
    let plan = scan::plan(&inputs(args)?, &pool)?;
    let mut grid = Grid::new(&["workers", "files", "bytes", "seconds", "memory", "state"]);
    for workers in [1, args.states.workers] {
        let share = plan.of(workers);
        grid.rows.push(vec![
            Cell::Count(workers.into()),
            Cell::Count(share.files.into()),
            Cell::Bytes(share.bytes.into()),
            Cell::Count(share.seconds.ceil() as u128),
            Cell::Bytes(share.memory.into()),
            Cell::Bytes(share.state.into()),
        ]);
    }
    if !args.judge.quiet {
        let (files, bytes) = (grouped(plan.sample_files.into()), human_bytes(plan.sample_bytes.into()));
        run::warn(&format!(
            "of {} files ({}), {files} were read ({bytes}) in {:.1} s by {} threads; each line is one worker's share; \
             time and state grow with the bytes at most",
            grouped(plan.files.into()),
            human_bytes(plan.bytes.into()),
            plan.seconds,
            pool.current_num_threads(),
        ));
    }
    output::to(None, |out| Ok(output::table(&grid, out)?))?;
    Ok(run::DONE)
}

/// `flowtrail merge`.
pub(crate) fn merge(args: &MergeArgs, parameters: &Settings, targets: &[Target]) -> anyhow::Result<u8> {
    let quiet = args.judge.quiet;
    let duty = Duty::open(&args.judge, targets)?;
    let fold = open(&args.states, quiet)?;
    has_room_for(args.states.len(), &args.memory)?;
    if let Some(path) = &args.partial {
        output::check(Some(path))?;
        let folded = fold_all(fold, &args.reading().remote())?;
        output::to_file(path, |out| Ok(folded.write(false, out)?))?;
        return Ok(run::DONE);
    }
    fold.whole()?;
    let desk = command::Desk::of(&args.judge, parameters)?;
    let intel = args.judge.lists.load(quiet)?;
    let state = command::State::open(&args.judge, false)?;
    let mut inputs = desk.inputs(&args.judge, state.before.clone());
    inputs.ingest.memory = args.memory.bound(None);
    let folded = fold_all(fold, &args.reading().remote())?;
    let pool = scan::threads(0)?;
    let scanned = scan::scan_states(folded, &inputs, &intel, &desk.settings, &pool)?;
    let code = desk.report(&args.judge, &args.reading(), &scanned, &intel)?;
    if let Some(before) = &state.before {
        command::warn_of_known(before, &scanned, &inputs, quiet);
    }
    let told = duty.tell(&desk.shown(&scanned).incidents, quiet)?;
    if told != run::DONE {
        return Ok(told);
    }
    Ok(desk.code(code, &args.judge, &scanned))
}

/// States are read side by side.
fn has_room_for(states: usize, memory: &MemoryArgs) -> flowtrail::Result<()> {
    /// What one takes that is being read: a block packed, unpacked, and its cells.
    const EACH: u64 = 3 << 20;
    match memory.max_memory {
        Some(bytes) if states as u64 * EACH > bytes + (64 << 20) => Err(Error::usage(format!(
            "--max-memory {bytes}: {states} states are read side by side, 3 MiB each: fold some of them first (`merge --partial`)"
        ))),
        _ => Ok(()),
    }
}

fn fold_all(fold: Fold, remote: &RemoteOptions) -> anyhow::Result<Folded> {
    let pool = scan::threads(0)?;
    let rules = fold.rules();
    Ok(fold.fold(&|file| scan::read_again(file, rules.as_ref()?, remote, &pool))?)
}

/// The states that are named in the place of flow logs, folded; nothing if they are logs.
///
/// # Errors
/// `Usage` if states and logs are mixed, or times are named, which a state has of its own.
pub(crate) fn in_place_of_logs(paths: &[OsString], reading: &ReadArgs, quiet: bool) -> anyhow::Result<Option<Folded>> {
    let states: Vec<PathBuf> = paths.iter().map(PathBuf::from).filter(|p| Partial::is_one(p)).collect();
    if states.is_empty() {
        return Ok(None);
    }
    if states.len() < paths.len() {
        return Err(
            Error::usage("states and logs are not read together: make a state of the logs (`scan --partial`)").into(),
        );
    }
    if reading.window()? != TimeWindow::ALL || reading.files.flow_format.is_some() || reading.rejects.is_some() {
        let text = "--from, --to, --flow-format and --rejects belong to the reading of logs: a state has been read";
        return Err(Error::usage(text).into());
    }
    let fold = open(&states, quiet)?;
    fold.whole()?;
    fold_all(fold, &reading.remote()).map(Some)
}

fn open(states: &[PathBuf], quiet: bool) -> anyhow::Result<Fold> {
    let fold = Fold::open(states)?;
    for path in fold.left_out.iter().filter(|_| !quiet) {
        let name = printable(path.as_os_str().as_encoded_bytes());
        run::warn(&format!("{name}: all of its files are in another state: counted once"));
    }
    Ok(fold)
}

impl MergeArgs {
    /// What the end of every command that reads logs asks for.
    fn reading(&self) -> ReadArgs {
        ReadArgs {
            files: FileArgs {
                flow_format: None,
                threads: 0,
                no_mmap: false,
                max_unpacked: u64::MAX,
            },
            from: None,
            to: None,
            s3: self.s3.clone(),
            max_rejected: self.max_rejected,
            strict: false,
            rejects: None,
            stats: self.stats.clone(),
        }
    }
}
