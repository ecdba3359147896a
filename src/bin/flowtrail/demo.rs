//! `flowtrail demo`: from nothing to an incident in one command.
//!
//! The sample account is generated into a folder, and scanned by the very words that a user would type; they are printed,
//! so that the next step is to type them.

use crate::args::{Cli, Command, ScanArgs};
use crate::{output, run, scan};
use anyhow::Context;
use clap::{Args, Parser};
use flowtrail::detect::Settings;
use flowtrail::r#gen::{Options, Scale, generate};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A folder for the account and its report, new or empty; without it, one in the system's temporary folder
    folder: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs, settings: &Settings) -> anyhow::Result<u8> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => temporary()?,
    };
    let account = folder.join("account");
    let options = Options {
        scale: Scale::Small,
        days: 10,
        ..Options::default()
    };
    let manifest = generate(&options, &account)?;
    let records = manifest.counts.ok + manifest.counts.nodata + manifest.counts.skipdata;
    say(&format!(
        "A synthetic account: {} interfaces, {} days, {records} flow records, {} CloudTrail records.\n\
         What happened in it: {}\n\nWhat is run now:\n\n  {}\n",
        manifest.interfaces,
        manifest.days,
        manifest.counts.trail_records,
        account.join("README.md").display(),
        words(&account).join(" \\\n    "),
    ))?;
    let code = scan::run(
        &*typed(&account, &["--min-severity=critical", "--quiet"])?,
        settings,
        &[],
    )?;
    let report = report(&folder, &account, settings)?;
    say(&format!(
        "\nAll incidents, with pictures: {}\nNext: `flowtrail help concepts`, then scan your own logs.",
        report.display()
    ))?;
    Ok(code)
}

/// Writes the report of everything beside the account.
fn report(folder: &Path, account: &Path, settings: &Settings) -> anyhow::Result<PathBuf> {
    let path = folder.join("report.html");
    let timeline = format!("--timeline={}", account.join("alerts/timeline.txt").display());
    let output = format!("--output={}", path.display());
    scan::run(
        &*typed(account, &["--quiet", "--format=html", &timeline, &output])?,
        settings,
        &[],
    )?;
    Ok(path)
}

/// The scan of the account as it would be typed.
fn words(account: &Path) -> Vec<String> {
    let inside = |path: &str| account.join(path).display().to_string();
    vec![
        "flowtrail scan".into(),
        inside("flow"),
        format!("--trail {}", inside("trail")),
        format!("--inventory {}", inside("inventory/describe-network-interfaces.json")),
        format!("--guardduty {}", inside("alerts/guardduty-findings.json")),
        format!("--macie {}", inside("alerts/macie-findings.json")),
        format!("--tor-exits {}", inside("intel/torbulkexitlist")),
        format!("--threat-list {}", inside("intel/threat-list.txt")),
        format!("--allow {}", inside("intel/allow.toml")),
    ]
}

fn typed(account: &Path, more: &[&str]) -> anyhow::Result<Box<ScanArgs>> {
    let mut all = vec!["flowtrail".to_string(), "scan".into()];
    for word in words(account).into_iter().skip(1) {
        match word.split_once(' ').filter(|(option, _)| option.starts_with("--")) {
            Some((option, value)) => all.push(format!("{option}={value}")),
            None => all.push(word),
        }
    }
    all.extend(more.iter().map(ToString::to_string));
    match Cli::try_parse_from(all)?.command {
        Command::Scan(args) => Ok(args),
        _ => anyhow::bail!("not a scan"),
    }
}

/// A folder of our own that stays.
fn temporary() -> anyhow::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("flowtrail-demo-").tempdir();
    Ok(folder.context("the temporary folder")?.keep())
}

fn say(text: &str) -> anyhow::Result<u8> {
    output::to(None, |out| Ok(writeln!(out, "{text}")?))?;
    Ok(run::DONE)
}
