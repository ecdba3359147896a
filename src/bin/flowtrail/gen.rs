//! `flowtrail gen`: a synthetic account with known incidents.

use crate::{output, run};
use clap::{Args, ValueEnum};
use flowtrail::r#gen::{Format, Manifest, Options, Scale, generate};
use flowtrail::net::parse_rfc3339;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct GenArgs {
    /// A folder that is new or empty
    out: PathBuf,
    /// Every seed is another account
    #[arg(long, default_value_t = Options::default().seed, value_name = "N")]
    seed: u64,
    /// Days of the archive; the last three have the incidents
    #[arg(long, default_value_t = Options::default().days, value_name = "D")]
    days: u32,
    /// First day, UTC
    #[arg(long, default_value = "2026-03-02", value_name = "DATE", value_parser = midnight)]
    start: u64,
    /// Fields of the flow log: AWS's default, or all of versions 2 to 5
    #[arg(long, value_enum, default_value = "v2")]
    format: Fields,
    /// 17 interfaces with few records, or 30
    #[arg(long, value_enum, default_value = "full")]
    scale: Size,
    /// Plain text instead of gzip
    #[arg(long)]
    plain: bool,
    /// Leave an incident out; repeatable
    #[arg(long, value_name = "ID")]
    without: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fields {
    V2,
    V5,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Full,
}

/// Runs the command.
pub(crate) fn run(args: &GenArgs) -> anyhow::Result<u8> {
    let manifest = generate(&args.options(), &args.out)?;
    output::to(None, |out| Ok(writeln!(out, "{}", summary(args, &manifest))?))?;
    Ok(run::DONE)
}

impl GenArgs {
    fn options(&self) -> Options {
        Options {
            seed: self.seed,
            days: self.days,
            start: self.start,
            format: match self.format {
                Fields::V2 => Format::V2,
                Fields::V5 => Format::V5,
            },
            scale: match self.scale {
                Size::Small => Scale::Small,
                Size::Full => Scale::Full,
            },
            plain: self.plain,
            without: self.without.clone(),
        }
    }
}

fn summary(args: &GenArgs, manifest: &Manifest) -> String {
    let (out, c) = (args.out.display(), &manifest.counts);
    let lines = c.ok + c.nodata + c.skipdata;
    format!(
        "{out}: {} interfaces, {} days, {lines} flow records in {} files, {} CloudTrail records in {} files\n\
         incidents: {}\nwhat a scan should find: {out}/README.md",
        manifest.interfaces,
        manifest.days,
        c.flow_files,
        c.trail_records,
        c.trail_files,
        manifest.incidents.join(", "),
    )
}

/// A date as its midnight.
fn midnight(s: &str) -> Result<u64, String> {
    parse_rfc3339(&format!("{s}T00:00:00Z")).ok_or_else(|| format!("`{s}` is not a date like 2026-03-02"))
}
