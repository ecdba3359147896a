//! `flowtrail baseline`: what is normal, learned explicitly, kept in a file, shown and compared.

use crate::args::{ListArgs, OutputArgs, ReadArgs};
use crate::{output, read, run};
use clap::{Args, Subcommand};
use flowtrail::baseline::{Baseline, Bounds, Channel, Learning, Merged, Profiles};
use flowtrail::detect::Settings;
use flowtrail::input::Fingerprint;
use flowtrail::intel::Intel;
use flowtrail::net::{TimeWindow, rfc3339};
use flowtrail::report::grid::grouped;
use flowtrail::report::{Cell, Grid};
use flowtrail::scan::{self, Inputs, Scanned};
use flowtrail::store::Lock;
use flowtrail::{Error, ErrorKind};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Learn from flow logs; a file that exists learns what is new
    Build(Box<BuildArgs>),
    /// Combine baselines of different logs; any order gives the same file
    Merge(MergeArgs),
    /// What is known of each interface
    Show(ShowArgs),
    /// What differs between two baselines
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
struct BuildArgs {
    /// Flow logs: files, directories, globs, `@list`
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// The baseline
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Start anew if the file exists
    #[arg(long)]
    replace: bool,
    /// CloudTrail: tells middleboxes and interfaces apart; repeatable
    #[arg(long, value_name = "PATH")]
    trail: Vec<OsString>,
    /// What the AWS CLI's describe-network-interfaces, … print; repeatable
    #[arg(long, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    lists: ListArgs,
    /// No progress, no summary, no warnings
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// Baselines
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The result
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// No summary
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// A baseline
    file: PathBuf,
    /// One interface in detail: quantiles of its hours and days; repeatable
    #[arg(long, value_name = "ID")]
    eni: Vec<String>,
    #[command(flatten)]
    out: OutputArgs,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// The older one
    a: PathBuf,
    /// The newer one
    b: PathBuf,
    #[command(flatten)]
    out: OutputArgs,
}

/// Runs the command.
pub(crate) fn run(args: &BaselineArgs, settings: &Settings) -> anyhow::Result<u8> {
    match &args.command {
        Command::Build(args) => build(args, settings),
        Command::Merge(args) => merge(args),
        Command::Show(args) => show(args),
        Command::Diff(args) => diff(args),
    }
}

/// The baseline at `path`, or an empty one if there is no file.
pub(crate) fn existing(path: &Path) -> flowtrail::Result<Baseline> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Baseline::default()),
        _ => Baseline::load(path),
    }
}

/// The contents that a baseline learned.
pub(crate) fn contents(baseline: &Baseline) -> BTreeSet<Fingerprint> {
    let print = |(size, hash): &(u64, u128)| Fingerprint {
        size: *size,
        hash: *hash,
    };
    baseline.learned.iter().map(print).collect()
}

/// How many of an archive's files a baseline knew.
pub(crate) struct News {
    pub(crate) known: usize,
    pub(crate) new: usize,
}

impl News {
    pub(crate) fn of(before: &Baseline, scanned: &Scanned, window: TimeWindow) -> News {
        let known = |c: &Fingerprint| {
            let holds = |c: Fingerprint| before.learned.contains(&(c.size, c.hash));
            holds(*c) || holds(c.cut(window))
        };
        let outcome = &scanned.counted.outcome;
        let inside = |span: Option<(u64, u64)>| span.is_none_or(|(a, b)| b >= window.from && a < window.to);
        let files = outcome.by_file().filter(|f| inside(f.facts.span));
        let met: BTreeSet<Fingerprint> = files.filter_map(|f| f.content).collect();
        let after = scanned.learned.as_ref().map_or(0, |l| l.learned.len());
        News {
            known: met.into_iter().filter(known).count(),
            new: after.saturating_sub(before.learned.len()),
        }
    }

    pub(crate) fn says(&self) -> String {
        let all = grouped((self.known + self.new) as u128);
        format!("{} of {all} files were already learned", grouped(self.known as u128))
    }
}

/// Writes what was learned, if anything was new, and says so.
pub(crate) fn tell_and_save(news: &News, learned: Option<Baseline>, lock: &Lock, quiet: bool) -> anyhow::Result<()> {
    let name = lock.target().display();
    if !quiet && news.known > 0 {
        let unchanged = if news.new == 0 { ": it stays as it is" } else { "" };
        run::warn(&format!("{name}: {}{unchanged}", news.says()));
    }
    let Some(mut learned) = learned.filter(|_| news.new > 0) else {
        return Ok(());
    };
    learned.bound(Bounds::default());
    learned.save(lock)?;
    if !quiet {
        run::warn(&format!("{name}: learned {}", summary(&learned, news.new)));
    }
    Ok(())
}

fn summary(b: &Baseline, files: usize) -> String {
    let n = grouped(files as u128);
    let marks: usize = b.excluded.keys().map(|id| b.set_aside(id)).sum();
    let marks = if marks > 0 {
        format!("; {marks} anomalous days of a channel do not teach")
    } else {
        String::new()
    };
    format!(
        "{n} files, {} interfaces known{marks}",
        grouped(b.interfaces.len() as u128)
    )
}

fn build(args: &BuildArgs, settings: &Settings) -> anyhow::Result<u8> {
    if args.paths.iter().any(|p| p == "-") {
        let text = "standard input cannot be learned from: nothing would tell when the same bytes come again";
        return Err(Error::usage(text).into());
    }
    let mut inputs = Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        ingest: args.read.ingest()?,
        window: Some(args.read.window()?),
        ..Inputs::default()
    };
    let intel = Intel::load(&args.lists.options())?;
    let lock = Lock::take(&args.output)?;
    let before = if args.replace {
        Baseline::default()
    } else {
        existing(&args.output)?
    };
    inputs.ingest.learned = Some(contents(&before));
    inputs.baseline = Some(before.clone());
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.quiet);
    let scanned = scan::scan(&inputs, &intel, settings, &pool, &|a| bar.follow(a))?;
    bar.done();
    let code = read::account(&args.read, args.quiet, &scanned.counted.stats)?;
    let news = News::of(&before, &scanned, args.read.window()?);
    tell_and_save(&news, scanned.learned, &lock, args.quiet)?;
    Ok(code)
}

fn merge(args: &MergeArgs) -> anyhow::Result<u8> {
    let states = args
        .files
        .iter()
        .map(|f| Baseline::load(f))
        .collect::<flowtrail::Result<_>>()?;
    let names: Vec<String> = args.files.iter().map(|f| f.display().to_string()).collect();
    let (mut merged, done) = Baseline::merge_all(states, &names)?;
    let lock = Lock::take(&args.output)?;
    merged.bound(Bounds::default());
    merged.save(&lock)?;
    if !args.quiet {
        for (name, _) in names.iter().zip(done).filter(|(_, d)| *d == Merged::Known) {
            run::warn(&format!("{name}: everything that it learned was known"));
        }
        let out = args.output.display();
        run::warn(&format!("{out}: {}", summary(&merged, merged.learned.len())));
    }
    Ok(run::DONE)
}

fn show(args: &ShowArgs) -> anyhow::Result<u8> {
    let baseline = Baseline::load(&args.file)?;
    output::check(args.out.output.as_deref())?;
    if let Some(unknown) = args.eni.iter().find(|id| !baseline.interfaces.contains_key(*id)) {
        return Err(Error::new(ErrorKind::Usage(format!("{unknown} is not in this baseline"))).into());
    }
    let mut profiles = Profiles::replay(&baseline, Learning::default());
    profiles.regroup(&baseline, &Baseline::default());
    if !args.out.quiet {
        run::warn(&about(&args.file, &baseline)?);
    }
    let grid = if args.eni.is_empty() {
        overview(&baseline, &profiles)
    } else {
        quantiles(&args.eni, &profiles)
    };
    output::grid(&args.out, &grid)?;
    Ok(run::DONE)
}

/// One line on the file as a whole.
fn about(path: &Path, b: &Baseline) -> anyhow::Result<String> {
    let size = std::fs::metadata(path)
        .map_err(|e| Error::new(ErrorKind::Io(e)).at(path))?
        .len();
    let hours = || b.interfaces.values().flat_map(|h| h.hours.keys().copied());
    let span = match (hours().min(), hours().max()) {
        (Some(first), Some(last)) => format!("{} to {}", rfc3339(first), rfc3339(last + 3_600)),
        _ => "nothing".to_owned(),
    };
    let interfaces = b.interfaces.len();
    Ok(format!(
        "{}: {span}, {} files, {} interfaces, {} bytes ({} per interface)",
        path.display(),
        grouped(b.learned.len() as u128),
        grouped(interfaces as u128),
        grouped(size.into()),
        grouped(u128::from(size / interfaces.max(1) as u64)),
    ))
}

fn overview(baseline: &Baseline, profiles: &Profiles) -> Grid {
    let mut grid = Grid::new(&[
        "eni",
        "group",
        "days",
        "hours",
        "places",
        "excluded",
        "external_hour_p50",
        "external_hour_p99",
        "external_hour_max",
        "s3_hour_p50",
        "s3_hour_max",
    ]);
    for (id, history) in &baseline.interfaces {
        let own = profiles.own(id);
        let excluded = baseline.set_aside(id);
        let hour = |c: Channel, q: f64| Cell::Bytes(own.map_or(0, |p| p.hours[c as usize].quantile(q)).into());
        let peak = |c: Channel| Cell::Bytes(own.map_or(0, |p| p.peaks[c as usize]).into());
        grid.rows.push(vec![
            Cell::Text(id.clone()),
            Cell::Text(profiles.group_name(id).to_owned()),
            Cell::Count(own.map_or(0, |p| p.active_days).into()),
            Cell::Count(history.hours.len() as u128),
            Cell::Count(history.places.len() as u128),
            Cell::Count(excluded as u128),
            hour(Channel::External, 0.5),
            hour(Channel::External, 0.99),
            peak(Channel::External),
            hour(Channel::S3, 0.5),
            peak(Channel::S3),
        ]);
    }
    grid
}

/// One row for each interface, channel and window.
fn quantiles(ids: &[String], profiles: &Profiles) -> Grid {
    let mut grid = Grid::new(&["eni", "channel", "window", "windows", "p10", "p50", "p90", "p99", "max"]);
    for id in ids {
        let Some(own) = profiles.own(id) else { continue };
        for channel in Channel::ALL {
            for (window, samples) in [("hour", &own.hours), ("day", &own.days)] {
                let sample = &samples[channel as usize];
                let at = |q| Cell::Bytes(sample.quantile(q).into());
                grid.rows.push(vec![
                    Cell::Text(id.clone()),
                    Cell::Text(channel.as_str().to_owned()),
                    Cell::Text(window.to_owned()),
                    Cell::Count(sample.count().into()),
                    at(0.1),
                    at(0.5),
                    at(0.9),
                    at(0.99),
                    Cell::Bytes(sample.largest().into()),
                ]);
            }
        }
    }
    grid
}

fn diff(args: &DiffArgs) -> anyhow::Result<u8> {
    let (a, b) = (Baseline::load(&args.a)?, Baseline::load(&args.b)?);
    output::check(args.out.output.as_deref())?;
    let mut grid = Grid::new(&[
        "eni",
        "change",
        "hours_a",
        "hours_b",
        "bytes_a",
        "bytes_b",
        "places_added",
        "places_gone",
        "excluded_a",
        "excluded_b",
    ]);
    let ids: BTreeSet<&String> = a.interfaces.keys().chain(b.interfaces.keys()).collect();
    for id in ids {
        let change = match (a.interfaces.get(id), b.interfaces.get(id)) {
            (None, _) => "added",
            (_, None) => "gone",
            (x, y) if x == y && a.set_aside(id) == b.set_aside(id) => continue,
            _ => "changed",
        };
        grid.rows.push(changed(id, change, &a, &b));
    }
    if !args.out.quiet {
        let common = a.learned.intersection(&b.learned).count();
        run::warn(&format!(
            "{common} files learned by both, {} only by the first, {} only by the second",
            a.learned.len() - common,
            b.learned.len() - common
        ));
    }
    output::grid(&args.out, &grid)?;
    Ok(run::DONE)
}

fn changed(id: &str, change: &str, a: &Baseline, b: &Baseline) -> Vec<Cell> {
    let nothing = flowtrail::baseline::InterfaceHistory::default();
    let (x, y) = (
        a.interfaces.get(id).unwrap_or(&nothing),
        b.interfaces.get(id).unwrap_or(&nothing),
    );
    let bytes = |h: &flowtrail::baseline::InterfaceHistory| {
        let hours = h.hours.values().flatten();
        Cell::Bytes(hours.map(|n| u128::from(*n)).sum())
    };
    let only = |x: &flowtrail::baseline::InterfaceHistory, y: &flowtrail::baseline::InterfaceHistory| {
        Cell::Count(x.places.keys().filter(|p| !y.places.contains_key(*p)).count() as u128)
    };
    let excluded = |b: &Baseline| Cell::Count(b.set_aside(id) as u128);
    vec![
        Cell::Text(id.to_owned()),
        Cell::Text(change.to_owned()),
        Cell::Count(x.hours.len() as u128),
        Cell::Count(y.hours.len() as u128),
        bytes(x),
        bytes(y),
        only(y, x),
        only(x, y),
        excluded(a),
        excluded(b),
    ]
}
