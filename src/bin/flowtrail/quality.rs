//! `flowtrail floor` and `flowtrail backtest`: what would not be seen, and how good is what is said.

use crate::args::{ListArgs, OutputArgs, ReadArgs};
use crate::{output, read, run};
use clap::Args;
use flowtrail::Error;
use flowtrail::baseline::Baseline;
use flowtrail::detect::{Settings, Severity};
use flowtrail::incident::{AllowList, Suppressions, View};
use flowtrail::intel::Intel;
use flowtrail::net::human_bytes;
use flowtrail::report::backtest::{Score, Truth, score};
use flowtrail::report::{Cell, Grid};
use flowtrail::scan::{self, Inputs};
use std::ffi::OsString;
use std::path::PathBuf;

/// What both read.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Flow logs: files, directories, globs, `-` (standard input), `@list`
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// CloudTrail; repeatable
    #[arg(long, value_name = "PATH")]
    trail: Vec<OsString>,
    /// What the AWS CLI's describe-network-interfaces, … print; repeatable
    #[arg(long, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    /// What was learned before
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// At most so many uncorroborated findings a day
    #[arg(long, default_value = "5/day", value_parser = crate::args::budget, value_name = "N/day")]
    alert_budget: f64,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    lists: ListArgs,
    #[command(flatten)]
    out: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FloorArgs {
    #[command(flatten)]
    archive: ArchiveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// What really happened, as `flowtrail gen` writes it
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Announced transfers; repeatable
    #[arg(long, value_name = "FILE")]
    allow: Vec<PathBuf>,
    #[command(flatten)]
    archive: ArchiveArgs,
}

impl ArchiveArgs {
    fn inputs(&self) -> flowtrail::Result<Inputs> {
        Ok(Inputs {
            flows: self.paths.clone(),
            trail: self.trail.clone(),
            inventory: self.inventory.clone(),
            ingest: self.read.ingest()?,
            window: Some(self.read.window()?),
            baseline: self.baseline.as_deref().map(Baseline::load).transpose()?,
            ..Inputs::default()
        })
    }

    fn settings(&self, parameters: &Settings) -> Settings {
        Settings {
            alert_budget: self.alert_budget,
            ..parameters.clone()
        }
    }
}

/// Runs `floor`.
pub(crate) fn floor(args: &FloorArgs, parameters: &Settings) -> anyhow::Result<u8> {
    let args = &args.archive;
    let (inputs, settings) = (args.inputs()?, args.settings(parameters));
    output::check(args.out.output.as_deref())?;
    let intel = Intel::load(&args.lists.options())?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.out.quiet);
    let (counted, floors) = scan::floors(&inputs, &intel, &settings, &pool, &|a| bar.follow(a))?;
    bar.done();
    let code = read::account(&args.read, args.out.quiet, &counted.stats)?;
    let bytes = |n: Option<u64>| n.map_or(Cell::None, |n| Cell::Bytes(n.into()));
    let mut grid = Grid::new(&["eni", "group", "days", "at_once", "spread"]);
    for f in &floors {
        grid.rows.push(vec![
            Cell::Text(f.eni.clone()),
            Cell::Text(f.group.clone()),
            Cell::Count(f.days.into()),
            bytes(f.at_once),
            bytes(f.spread),
        ]);
    }
    output::grid(&args.out, &grid)?;
    if !args.out.quiet {
        let mut most: Vec<u64> = floors.iter().filter_map(|f| f.at_once.max(f.spread)).collect();
        most.sort_unstable();
        if let (Some(half), Some(worst)) = (most.get(most.len() / 2), most.last()) {
            let (half, worst) = (human_bytes((*half).into()), human_bytes((*worst).into()));
            run::warn(&format!(
                "to a new external host on the last day, unnoticed: half of the interfaces less than {half}, all of them \
                 at most {worst}"
            ));
        }
    }
    Ok(code)
}

/// Runs `backtest`.
pub(crate) fn backtest(args: &BacktestArgs, parameters: &Settings) -> anyhow::Result<u8> {
    let text = std::fs::read_to_string(&args.truth)
        .map_err(|e| Error::list(format!("cannot be read: {e}")).at(&args.truth))?;
    let truth = Truth::read(&text).map_err(|e| Error::list(e.reason()).at(&args.truth))?;
    let archive = &args.archive;
    let (inputs, settings) = (archive.inputs()?, archive.settings(parameters));
    let view = View {
        least: Severity::Info,
        allow: AllowList::load(&args.allow)?,
        suppress: Suppressions::default(),
        floor_bytes: settings.floor_bytes,
    };
    output::check(archive.out.output.as_deref())?;
    let intel = Intel::load(&archive.lists.options())?;
    let pool = scan::threads(archive.read.files.threads)?;
    let bar = read::Bar::new(archive.out.quiet);
    let scanned = scan::scan(&inputs, &intel, &settings, &pool, &|a| bar.follow(a))?;
    bar.done();
    let code = read::account(&archive.read, archive.out.quiet, &scanned.counted.stats)?;
    let table = &scanned.counted.table;
    let end = scanned.counted.outcome.span.map_or(0, |s| s.1);
    let score = score(&truth, &view.of(&scanned.incidents, table).incidents, table, end);
    output::to(archive.out.output.as_deref(), |out| {
        output::write_grid(archive.out.format, &fates(&score), out)?;
        Ok(writeln!(out, "{}", summary(&score, archive.out.format))?)
    })?;
    Ok(code)
}

fn fates(score: &Score) -> Grid {
    let mut grid = Grid::new(&["incident", "severity", "rules", "minutes_to_detect", "bytes", "lost"]);
    for f in &score.fates {
        grid.rows.push(vec![
            Cell::Text(f.id.clone()),
            Cell::Text(f.severity.map_or("missed", Severity::as_str).to_owned()),
            Cell::Text(f.rules.join(" ")),
            f.delay.map_or(Cell::None, |d| Cell::Count(u128::from(d / 60))),
            Cell::Bytes(f.bytes),
            Cell::Bytes(f.lost),
        ]);
    }
    grid
}

fn summary(s: &Score, format: crate::args::Format) -> String {
    use crate::args::Format;
    let mut delays: Vec<u64> = s.fates.iter().filter_map(|f| f.delay).collect();
    delays.sort_unstable();
    let delay = delays.get(delays.len() / 2).map(|d| d / 60);
    let lost: u128 = s.fates.iter().map(|f| f.lost).sum();
    let all: u128 = s.fates.iter().map(|f| f.bytes).sum();
    let round = |x: f64| (x * 1_000.0).round() / 1_000.0;
    if matches!(format, Format::Json | Format::Ndjson | Format::Csv) {
        return serde_json::json!({
            "incidents": s.fates.len(),
            "recall_low": round(s.recall(Severity::Low)),
            "recall_medium": round(s.recall(Severity::Medium)),
            "recall_high": round(s.recall(Severity::High)),
            "precision": round(s.precision()),
            "fp_medium_per_day": round(s.false_a_day(Severity::Medium)),
            "fp_high_per_day": round(s.false_a_day(Severity::High)),
            "median_minutes_to_detect": delay,
            "lost_share": round(lost as f64 / all.max(1) as f64),
        })
        .to_string();
    }
    format!(
        "\nrecall {:.2} (low or more), {:.2} (medium), {:.2} (high) of {} incidents; precision {:.2}\n\
         false positives a day: {:.2} (medium or more), {:.2} (high), over {:.1} days\n\
         median time to detect {} minutes; {} of {} left before",
        s.recall(Severity::Low),
        s.recall(Severity::Medium),
        s.recall(Severity::High),
        s.fates.len(),
        s.precision(),
        s.false_a_day(Severity::Medium),
        s.false_a_day(Severity::High),
        s.days,
        delay.map_or("-".to_owned(), |d| d.to_string()),
        human_bytes(lost),
        human_bytes(all),
    )
}
