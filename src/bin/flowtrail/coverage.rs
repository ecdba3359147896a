//! `flowtrail coverage`: what the archive and the account's logging can and cannot show.

use crate::args::{Format, ListArgs, OutputArgs, ReadArgs};
use crate::{output, read};
use clap::Args;
use flowtrail::Error;
use flowtrail::coverage::{Inputs, survey};
use flowtrail::report::coverage::{SECTIONS, Section, sections};
use flowtrail::scan;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    /// Flow logs: files, directories, globs, `-` (standard input), `@list`
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// CloudTrail, digests included; repeatable
    #[arg(long, value_name = "PATH")]
    trail: Vec<OsString>,
    /// What the AWS CLI's describe-network-interfaces, -flow-logs, … and get-event-selectors print; repeatable
    #[arg(long, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    /// Macie findings (get-findings JSON, arrays, NDJSON, EventBridge events); repeatable
    #[arg(long, value_name = "FILE")]
    macie: Vec<PathBuf>,
    /// One table only
    #[arg(long, value_parser = SECTIONS, value_name = "TABLE")]
    table: Option<String>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    lists: ListArgs,
    #[command(flatten)]
    out: OutputArgs,
}

/// Runs the command.
pub(crate) fn run(args: &CoverageArgs) -> anyhow::Result<u8> {
    if args.out.format == Format::Csv && args.table.is_none() {
        let text = format!("csv holds one table: name it with --table ({})", SECTIONS.join(", "));
        return Err(Error::usage(text).into());
    }
    let inputs = Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        macie: args.macie.clone(),
        ingest: args.read.ingest()?,
        window: args.read.window()?,
    };
    output::check(args.out.output.as_deref())?;
    let intel = args.lists.load(args.out.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.out.quiet);
    let coverage = survey(&inputs, &intel, &pool, &|a| bar.follow(a))?;
    bar.done();
    read::write_rejects(&args.read, &inputs.ingest, &coverage.archive, &coverage.outcome)?;
    let code = read::account(&args.read, args.out.quiet, &coverage.stats)?;
    let brief = matches!(args.out.format, Format::Table | Format::Md) && args.table.is_none();
    let mut shown = sections(&coverage, brief);
    shown.retain(|s| args.table.as_deref().is_none_or(|t| t == s.name));
    output::to(args.out.output.as_deref(), |out| write(args, &shown, out))?;
    Ok(code)
}

fn write(args: &CoverageArgs, shown: &[Section], out: &mut dyn Write) -> anyhow::Result<()> {
    match args.out.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &document(shown))?;
            writeln!(out)?;
        }
        Format::Ndjson => ndjson(shown, out)?,
        Format::Csv => shown.iter().try_for_each(|s| s.grid.csv(out))?,
        Format::Table | Format::Md => {
            for (n, section) in shown.iter().enumerate() {
                people(args.out.format, section, n == 0, out)?;
            }
        }
    }
    Ok(())
}

fn people(format: Format, section: &Section, first: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let Section { name, headline, grid } = section;
    if !first {
        writeln!(out)?;
    }
    match format {
        Format::Md => writeln!(out, "## {name}\n\n{headline}\n")?,
        _ => writeln!(out, "{}: {headline}", name.to_uppercase())?,
    }
    if !grid.rows.is_empty() {
        output::write_grid(format, &output::without_empty_columns(grid), out)?;
    }
    Ok(())
}

/// `flowtrail.coverage/1`: every table as an array under its name, with its headline.
fn document(shown: &[Section]) -> Value {
    let mut document = Map::new();
    document.insert("schema".into(), "flowtrail.coverage/1".into());
    let headlines: Map<String, Value> = shown
        .iter()
        .map(|s| (s.name.to_string(), s.headline.clone().into()))
        .collect();
    document.insert("summary".into(), headlines.into());
    for s in shown {
        document.insert(s.name.replace('-', "_"), s.grid.objects());
    }
    Value::Object(document)
}

/// One row a line, each with the name of its table.
fn ndjson(shown: &[Section], out: &mut dyn Write) -> anyhow::Result<()> {
    for section in shown {
        for row in section.grid.objects().as_array().into_iter().flatten() {
            let mut line = Map::new();
            line.insert("table".into(), section.name.into());
            line.extend(row.as_object().cloned().unwrap_or_default());
            writeln!(out, "{}", Value::Object(line))?;
        }
    }
    Ok(())
}
