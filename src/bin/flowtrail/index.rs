//! `flowtrail index`: a side store of sums by the hour, so that look-ups touch little.

use crate::args::{FileArgs, Format, OutputArgs};
use crate::read::{self, S3Args};
use crate::{output, run};
use clap::{Args, Subcommand};
use flowtrail::aggregate::Ingest;
use flowtrail::index::{Built, Manifest, Now, Options, StoredFile, build};
use flowtrail::input::{Archive, Family};
use flowtrail::net::{TimeWindow, human_bytes, rfc3339};
use flowtrail::report::grid::grouped;
use flowtrail::report::{Cell, Grid};
use flowtrail::scan;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    #[command(subcommand)]
    pub(crate) command: IndexCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Bring a store up to what an archive of flow logs is now: only new and changed files are read
    Build(BuildArgs),
    /// What a store holds
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Flow logs: files, directories, globs, `@list`, s3://bucket/prefix
    #[arg(required = true)]
    pub(crate) paths: Vec<OsString>,
    /// The store's folder; made if it is not there, and safe to delete
    #[arg(short, long, value_name = "STORE", required = true)]
    pub(crate) output: PathBuf,
    /// No progress, no summary, no warnings
    #[arg(long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) s3: S3Args,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The store's folder
    pub(crate) store: PathBuf,
    #[command(flatten)]
    pub(crate) s3: S3Args,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
}

/// Runs the command.
pub(crate) fn run(args: &IndexArgs) -> anyhow::Result<u8> {
    match &args.command {
        IndexCommand::Build(args) => build_store(args),
        IndexCommand::Info(args) => info(args),
    }
}

fn build_store(args: &BuildArgs) -> anyhow::Result<u8> {
    let ingest = Ingest {
        read: args.files.options(),
        remote: args.s3.options(),
        formats: args.files.formats()?,
        ..Ingest::default()
    };
    let pool = scan::threads(args.files.threads)?;
    let archive = Archive::discover_with(&args.paths, Family::FlowLogs, TimeWindow::ALL, &ingest.remote)?;
    let bar = read::Bar::new(args.quiet);
    let progress = bar.follow(&archive);
    let options = Options {
        ingest: &ingest,
        step: Options::STEP,
    };
    let built = build(&archive, &args.output, &options, &pool, &progress)?;
    bar.done();
    let damaged = built.manifest.files().filter(|f| !f.is_whole()).count();
    let unread = damaged + archive.failed.len() + built.unreadable.len();
    if !args.quiet {
        run::warn(&summary(&built));
        let lost = archive.failed.iter().chain(&built.unreadable);
        read::warn_of_files(lost.map(|p| (p.name.as_str(), p.reason.as_str())));
        if unread > 0 {
            run::warn(&format!("{} files were not read whole", grouped(unread as u128)));
        }
    }
    Ok(if unread > 0 { run::PARTIAL } else { run::DONE })
}

fn summary(built: &Built) -> String {
    let bytes: u64 = built.manifest.segments.iter().map(|s| s.bytes).sum();
    format!(
        "{} files read, {} held already, {} segments dropped; the store holds {} files in {} segments, {}",
        grouped(built.read.into()),
        grouped(built.kept.into()),
        grouped(built.dropped.into()),
        grouped(built.manifest.files().count() as u128),
        grouped(built.manifest.segments.len() as u128),
        human_bytes(bytes.into())
    )
}

fn info(args: &InfoArgs) -> anyhow::Result<u8> {
    let manifest = Manifest::open(&args.store)?;
    let now = Now::of(&manifest, &Archive::default(), &args.s3.options());
    let changed = |files: &[StoredFile]| match &now {
        Ok(now) => Cell::Count(files.iter().filter(|f| f.is_changed(now)).count() as u128),
        Err(_) => Cell::None,
    };
    let columns = [
        "segment",
        "files",
        "changed",
        "copies",
        "raw_bytes",
        "records",
        "first",
        "last",
        "parts",
        "bytes",
    ];
    let mut grid = Grid::new(&columns);
    for segment in &manifest.segments {
        let spans = || segment.files.iter().filter_map(|f| f.report.span);
        let time = |t: Option<u64>| t.map_or(Cell::None, |t| Cell::Text(rfc3339(t)));
        let count = |n: usize| Cell::Count(n as u128);
        grid.rows.push(vec![
            Cell::Text(segment.name.clone()),
            count(segment.files.len()),
            changed(&segment.files),
            count(segment.files.iter().filter(|f| f.is_copy()).count()),
            Cell::Bytes(segment.files.iter().map(|f| u128::from(f.stamp.size)).sum()),
            Cell::Count(segment.files.iter().map(|f| u128::from(f.report.counts.good)).sum()),
            time(spans().map(|s| s.0).min()),
            time(spans().map(|s| s.1).max()),
            Cell::Count(segment.parts.len() as u128),
            Cell::Bytes(segment.bytes.into()),
        ]);
    }
    output::to(args.out.output.as_deref(), |out| {
        output::write_grid(args.out.format, &grid, out)?;
        if args.out.format == Format::Table {
            let bytes: u64 = manifest.segments.iter().map(|s| s.bytes).sum();
            let files = manifest.files().count() as u128;
            writeln!(out, "\n{} files, {}", grouped(files), human_bytes(bytes.into()))?;
        }
        Ok(())
    })?;
    if let Err(e) = now {
        run::warn(&e.reason());
        return Ok(run::PARTIAL);
    }
    Ok(run::DONE)
}
