//! `flowtrail guardduty`: the imported findings, and how ours agree with them.

use crate::args::{Format, OutputArgs};
use crate::{explain, output, run};
use clap::Args;
use flowtrail::input::ReadOptions;
use flowtrail::intake::{SideFindings, Tool};
use flowtrail::report::agreement::{agreement, summary};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct GuarddutyArgs {
    /// GuardDuty findings: get-findings JSON, arrays, NDJSON, EventBridge or SNS events
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What `scan --format json` wrote: tells which findings both have, only we, only they
    #[arg(long, value_name = "RESULT")]
    result: Option<PathBuf>,
    #[command(flatten)]
    out: OutputArgs,
}

/// Runs the command.
pub(crate) fn run(args: &GuarddutyArgs) -> anyhow::Result<u8> {
    output::check(args.out.output.as_deref())?;
    let mut side = SideFindings::default();
    side.read_files(&args.files, Tool::GuardDuty, ReadOptions::default())?;
    let result = args.result.as_deref().map(explain::load).transpose()?;
    let grid = agreement(&side, result.as_ref());
    output::to(args.out.output.as_deref(), |out| {
        let people = matches!(args.out.format, Format::Table | Format::Md);
        match people {
            true => output::write_grid(args.out.format, &output::without_empty_columns(&grid), out)?,
            false => output::write_grid(args.out.format, &grid, out)?,
        }
        Ok(())
    })?;
    if !args.out.quiet {
        let distinct = side.of(Tool::GuardDuty).count();
        let other = side.other;
        run::warn(&format!(
            "{distinct} findings ({} read, {other} events about something else)",
            side.read
        ));
        if result.is_some() {
            run::warn(&summary(&grid));
        }
    }
    Ok(run::DONE)
}
