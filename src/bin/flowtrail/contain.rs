//! `flowtrail contain`: controls to review. Printed, or written as files; never applied.

use crate::args::{ListArgs, ReadArgs};
use crate::{explain, output, read, run};
use clap::{Args, ValueEnum};
use flowtrail::contain::whatif::{self, Archive, Proposal, Scope};
use flowtrail::contain::{self, Options, Plan};
use flowtrail::scan::{self, Inputs};
use flowtrail::{Error, net};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ContainArgs {
    /// What `scan --format json` wrote; with --what-if it may be left out
    #[arg(required_unless_present = "what_if")]
    result: Option<PathBuf>,
    /// One incident only, as the result names it; the start of its id is enough
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Sessions that began before are refused: RFC 3339; now, if not given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// ARN of an IAM user or role that a closed bucket stays open for; repeatable
    #[arg(long, value_name = "ARN")]
    break_glass: Vec<String>,
    /// Replay an archive: what would this policy (JSON), security group (permissions as JSON) or list of CIDRs have stopped?
    #[arg(long, value_name = "FILE", help_heading = "What if")]
    what_if: Option<PathBuf>,
    /// Where the policy would stand, if it does not show: one that only allows is an endpoint's, one that only denies a
    /// bucket's
    #[arg(long, value_enum, requires = "what_if", help_heading = "What if")]
    attach: Option<Attach>,
    /// Flow logs to replay; repeatable
    #[arg(long, value_name = "PATH", requires = "what_if", num_args = 1.., help_heading = "What if")]
    flows: Vec<OsString>,
    /// CloudTrail to replay; repeatable
    #[arg(long, value_name = "PATH", requires = "what_if", num_args = 1.., help_heading = "What if")]
    trail: Vec<OsString>,
    /// What the AWS CLI's describe-vpc-endpoints, -network-interfaces, … print; repeatable
    #[arg(long, value_name = "FILE", requires = "what_if", help_heading = "What if")]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    lists: ListArgs,
    /// No progress, no warnings
    #[arg(long, help_heading = "Output")]
    quiet: bool,
    /// How controls are written
    #[arg(long, value_enum, default_value_t = ContainFormat::Table, help_heading = "Output")]
    format: ContainFormat,
    /// Write a folder an incident into DIR: documents as JSON files, AWS CLI lines, a page; with --what-if a file
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ContainFormat {
    Table,
    Json,
    Md,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Attach {
    Endpoint,
    Bucket,
}

/// Runs the command.
pub(crate) fn run(args: &ContainArgs) -> anyhow::Result<u8> {
    let result = args.result.as_deref().map(explain::load).transpose()?;
    match (&args.what_if, result) {
        (Some(proposal), result) => what_if(args, proposal, result.as_ref()),
        (None, Some(result)) => controls(args, &result),
        (None, None) => Err(Error::usage("name a result, or a proposal with --what-if").into()),
    }
}

/// Replays an archive against a proposal.
fn what_if(args: &ContainArgs, proposal: &Path, result: Option<&Value>) -> anyhow::Result<u8> {
    let scope = args.attach.map(|a| match a {
        Attach::Endpoint => Scope::Endpoint,
        Attach::Bucket => Scope::Bucket,
    });
    let proposal = Proposal::load(proposal, scope)?;
    if args.flows.is_empty() {
        return Err(
            Error::usage("--what-if replays an archive: name it with --flows, and --trail for policies").into(),
        );
    }
    if matches!(proposal, Proposal::Policy(_)) && args.trail.is_empty() {
        return Err(Error::usage("flow logs show no bucket: a policy is replayed against CloudTrail (--trail)").into());
    }
    let inputs = Inputs {
        flows: args.flows.clone(),
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        ingest: args.read.ingest()?,
        window: Some(args.read.window()?),
        ..Inputs::default()
    };
    let intel = args.lists.load(args.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.quiet);
    let (counted, known, passing) = scan::replayable(&inputs, &intel, &pool, &|a| bar.follow(a))?;
    bar.done();
    let code = read::account(&args.read, args.quiet, &counted.stats)?;
    let suspects = result
        .map(|r| whatif::suspects(r, args.incident.as_deref()))
        .unwrap_or_default();
    let chosen = suspects.iter().filter(|_| args.incident.is_some());
    let archive = Archive {
        table: &counted.table,
        index: &known.index,
        inventory: &known.inventory,
        passing: &passing,
        only: &chosen.filter_map(|s| s.interface.clone()).collect(),
    };
    let answer = whatif::replay(&proposal, &archive, &suspects);
    let text = match args.format {
        ContainFormat::Json => serde_json::to_string_pretty(&whatif::json(&answer))? + "\n",
        ContainFormat::Table => whatif::text(&answer),
        ContainFormat::Md => format!("```text\n{}```\n", whatif::text(&answer)),
    };
    output::to(args.output.as_deref(), |out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(code)
}

/// Prints or writes controls.
fn controls(args: &ContainArgs, result: &Value) -> anyhow::Result<u8> {
    let options = Options {
        at: match &args.at {
            Some(text) => {
                net::parse_rfc3339(text).ok_or_else(|| Error::usage(format!("--at {text}: no RFC 3339 time")))?
            }
            None => read::now(),
        },
        break_glass: args.break_glass.clone(),
    };
    let plans = contain::plans(result, args.incident.as_deref(), &options)?;
    match &args.output {
        Some(dir) => write(dir, &plans)?,
        None => output::to(None, |out| Ok(out.write_all(shown(args.format, &plans)?.as_bytes())?))?,
    }
    Ok(run::DONE)
}

fn shown(format: ContainFormat, plans: &[Plan]) -> anyhow::Result<String> {
    Ok(match format {
        ContainFormat::Table => contain::text(plans),
        ContainFormat::Md => contain::markdown(plans),
        ContainFormat::Json => serde_json::to_string_pretty(&contain::json(plans))? + "\n",
    })
}

/// Each file beside its target, then renamed.
fn write(dir: &Path, plans: &[Plan]) -> anyhow::Result<()> {
    for (name, content) in contain::files(plans) {
        let path = dir.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
        }
        output::to_file(&path, |out| Ok(out.write_all(content.as_bytes())?))?;
    }
    Ok(())
}
