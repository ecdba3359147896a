//! `flowtrail contain`: controls to review. Printed, or written as files; never applied.

use crate::{explain, output, read, run};
use clap::{Args, ValueEnum};
use flowtrail::contain::{self, Options, Plan};
use flowtrail::{Error, net};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ContainArgs {
    /// What `scan --format json` wrote
    result: PathBuf,
    /// One incident only, as the result names it; the start of its id is enough
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Sessions that began before are refused: RFC 3339; now, if not given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// ARN of an IAM user or role that a closed bucket stays open for; repeatable
    #[arg(long, value_name = "ARN")]
    break_glass: Vec<String>,
    /// How controls are written
    #[arg(long, value_enum, default_value_t = ContainFormat::Table, help_heading = "Output")]
    format: ContainFormat,
    /// Write a folder an incident into DIR: documents as JSON files, AWS CLI lines, a page
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ContainFormat {
    Table,
    Json,
    Md,
}

/// Runs the command.
pub(crate) fn run(args: &ContainArgs) -> anyhow::Result<u8> {
    let result = explain::load(&args.result)?;
    let options = Options {
        at: match &args.at {
            Some(text) => {
                net::parse_rfc3339(text).ok_or_else(|| Error::usage(format!("--at {text}: no RFC 3339 time")))?
            }
            None => read::now(),
        },
        break_glass: args.break_glass.clone(),
    };
    let plans = contain::plans(&result, args.incident.as_deref(), &options)?;
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
