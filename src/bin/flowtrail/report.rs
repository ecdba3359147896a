//! `flowtrail report`: a result drawn as the investigation report, or for other products.

use crate::{args, explain, output, run};
use clap::Args;
use flowtrail::Error;
use flowtrail::report::story::Outside;
use flowtrail::report::{Reporter, Wanted};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// What `scan --format json` wrote
    result: PathBuf,
    /// The format
    #[arg(long, value_parser = args::drawn(), default_value = "md")]
    format: &'static Reporter,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What happened outside of the logs, a line each: RFC 3339 time, words
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Only this incident, by its id or the start of it; repeatable
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    /// Show access key ids whole
    #[arg(long)]
    show_keys: bool,
}

/// Runs the command.
pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<u8> {
    let wanted = Wanted {
        show_keys: args.show_keys,
        outside: outside(args.timeline.as_ref(), args.format.for_people)?,
        only: args.incident.clone(),
    };
    output::check(args.output.as_deref())?;
    let result = explain::load(&args.result)?;
    output::to(args.output.as_deref(), |out| {
        Ok(args.format.draw(result, &wanted, out)?)
    })?;
    Ok(run::DONE)
}

/// The lines of a `--timeline`, which only formats for people can tell.
pub(crate) fn outside(file: Option<&PathBuf>, tells: bool) -> flowtrail::Result<Vec<Outside>> {
    match file {
        Some(_) if !tells => Err(Error::usage("--timeline is for a report: add --format md or html")),
        Some(file) => Outside::load(file),
        None => Ok(Vec::new()),
    }
}
