//! From options to inputs: times, lists, progress; and what every command that reads logs says at its end.

use crate::args::{FileArgs, ListArgs, ReadArgs};
use crate::{hint, output, run};
use clap::Args;
use flowtrail::Error;
use flowtrail::aggregate::{Formats, Ingest, Outcome, Progress, RejectLog, ScanStats, Watching};
use flowtrail::flow::LogFormat;
use flowtrail::input::{Archive, Change, ReadOptions, RemoteOptions};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::{HOUR, Seconds, TimeWindow, parse_rfc3339};
use flowtrail::report::grid::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl FileArgs {
    /// How bytes are drawn.
    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions {
            mmap: !self.no_mmap,
            max_unpacked: self.max_unpacked,
            ..ReadOptions::default()
        }
    }

    /// The formats of text without a header.
    pub(crate) fn formats(&self) -> flowtrail::Result<Formats> {
        let format = self.flow_format.as_deref().map(LogFormat::from_spec).transpose()?;
        Ok(Formats::new(format))
    }
}

/// How `s3://` inputs are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct S3Args {
    /// For s3:// inputs: a profile of the AWS CLI, which is asked for its credentials
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// For s3:// inputs: another endpoint than AWS's
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// For s3:// inputs: the bucket's region, where neither the environment nor S3 says it
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
}

impl S3Args {
    /// The same as the library wants it.
    pub(crate) fn options(&self) -> RemoteOptions {
        RemoteOptions {
            profile: self.profile.clone(),
            endpoint: self.endpoint_url.clone(),
            region: self.region.clone(),
        }
    }
}

impl ReadArgs {
    /// How archives are read; fails before anything is if what is to be written cannot be.
    pub(crate) fn ingest(&self) -> flowtrail::Result<Ingest> {
        output::check_files([&self.stats, &self.rejects])?;
        Ok(Ingest {
            read: self.files.options(),
            remote: self.remote(),
            formats: self.files.formats()?,
            strict: self.strict,
            watching: Watching::Rare,
            rejects: self.reject_log()?,
            learned: None,
            shelf: None,
            memory: None,
        })
    }

    /// How `s3://` inputs are reached.
    pub(crate) fn remote(&self) -> RemoteOptions {
        self.s3.options()
    }

    /// Where rejected lines are kept while the logs are read: beside the file that will hold them.
    fn reject_log(&self) -> flowtrail::Result<Option<Arc<RejectLog>>> {
        let spill = |path: &PathBuf| RejectLog::create(&output::beside(path)).map(Arc::new);
        self.rejects.as_ref().map(spill).transpose()
    }

    /// `--from` and `--to`.
    pub(crate) fn window(&self) -> flowtrail::Result<TimeWindow> {
        let from = self
            .from
            .as_deref()
            .map(time)
            .transpose()?
            .unwrap_or(TimeWindow::ALL.from);
        let to = self.to.as_deref().map(time).transpose()?.unwrap_or(TimeWindow::ALL.to);
        if from >= to {
            return Err(Error::usage("--from is not before --to"));
        }
        Ok(TimeWindow { from, to })
    }
}

impl ListArgs {
    /// Loads the lists and says what is wrong with some of their entries.
    pub(crate) fn load(&self, quiet: bool) -> flowtrail::Result<Intel> {
        let intel = Intel::load(&self.options())?;
        if !quiet {
            intel.warnings().for_each(run::warn);
        }
        Ok(intel)
    }

    /// Which lists to load.
    pub(crate) fn options(&self) -> IntelOptions {
        let l = self.clone();
        IntelOptions {
            ip_ranges: l.ip_ranges,
            prefix_lists: l.prefix_list,
            geoip: l.geoip,
            asn: l.asn,
            tor_exits: l.tor_exits,
            tor_guards: l.tor_guards,
            threat_lists: l.threat_list,
            home: l.home,
            ..IntelOptions::default()
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> Seconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// RFC 3339, a date, `-24h`/`-7d`/`-30m` before now, or seconds since 1970.
fn time(text: &str) -> flowtrail::Result<Seconds> {
    let bad = || {
        Error::usage(format!(
            "`{text}` is no time: give RFC 3339, a date, -24h, or seconds since 1970"
        ))
    };
    if let Some(ago) = text.strip_prefix('-') {
        return span(ago).map(|s| now().saturating_sub(s)).ok_or_else(bad);
    }
    let date = || parse_rfc3339(&format!("{text}T00:00:00Z"));
    text.parse()
        .ok()
        .or_else(|| parse_rfc3339(text))
        .or_else(date)
        .ok_or_else(bad)
}

fn span(text: &str) -> Option<Seconds> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => HOUR,
        'd' => 24 * HOUR,
        'w' => 7 * 24 * HOUR,
        _ => return None,
    };
    text[..text.len() - 1].parse::<Seconds>().ok()?.checked_mul(unit)
}

/// A bar on stderr while the archive is read, if stderr is a terminal and nobody asked for quiet.
pub(crate) struct Bar {
    shown: Option<ProgressBar>,
}

impl Bar {
    /// A bar that is not shown yet.
    pub(crate) fn new(quiet: bool) -> Self {
        let shown = (stderr().is_terminal() && !quiet).then(ProgressBar::hidden);
        Bar { shown }
    }

    /// The counters that the readers of `archive` advance; the bar follows them from a thread of its own.
    pub(crate) fn follow(&self, archive: &Archive) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        if let Some(bar) = self.shown.clone() {
            bar.set_length(archive.bytes());
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            let style = "{elapsed_precise} {bytes} / {total_bytes} [{bar:30}] {percent}% {bytes_per_sec}";
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            let counters = Arc::clone(&progress);
            std::thread::spawn(move || {
                while !bar.is_finished() {
                    bar.set_position(counters.bytes.load(Ordering::Relaxed));
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        progress
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Refuses times within an hour, which an index does not know.
pub(crate) fn by_the_hour(window: TimeWindow) -> flowtrail::Result<()> {
    match window.is_by_the_hour() {
        true => Ok(()),
        false => Err(Error::usage(
            "an index counts by the hour: with --index give full hours to --from and --to",
        )),
    }
}

/// Writes `--rejects`.
pub(crate) fn write_rejects(
    args: &ReadArgs,
    ingest: &Ingest,
    archive: &Archive,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    match (&args.rejects, &ingest.rejects) {
        (Some(path), Some(log)) => output::to_file(path, |out| Ok(log.write(archive, outcome, out)?)),
        _ => Ok(()),
    }
}

/// Says which lists are older than the flows, and how many look-ups met a damaged record.
pub(crate) fn warn_of_lists(intel: &Intel, span: Option<(Seconds, Seconds)>, quiet: bool) {
    let Some((_, last)) = span.filter(|_| !quiet) else {
        return;
    };
    intel.warn_if_older_than(last).iter().for_each(|w| run::warn(w));
    if intel.lookup_errors() > 0 {
        let n = grouped(intel.lookup_errors().into());
        run::warn(&format!(
            "{n} look-ups met a damaged record of a database: their addresses are unknown"
        ));
    }
}

/// Writes `--stats`, warns of what was not read, and gives the exit code that the input asks for.
pub(crate) fn account(args: &ReadArgs, quiet: bool, stats: &ScanStats) -> anyhow::Result<u8> {
    if let Some(path) = &args.stats {
        output::to_file(path, |w| {
            serde_json::to_writer_pretty(&mut *w, stats)?;
            Ok(writeln!(w)?)
        })?;
    }
    if args.strict && stats.lines.rejected > 0 {
        let first = stats.rejects.first();
        let text = first.map_or_else(String::new, |r| {
            format!("{}:{}: {}: {}", r.file, r.line, r.field, r.reason)
        });
        return Err(Error::format(format!("{text} (--strict)")).into());
    }
    if !quiet {
        warn_of_losses(stats);
    }
    Ok(if stats.is_partial(args.max_rejected) {
        run::PARTIAL
    } else {
        run::DONE
    })
}

/// Losses that are shown; `--stats` has all.
const SHOWN: usize = 10;

/// Warns of files that were not read, and says why.
pub(crate) fn warn_of_files<'f>(lost: impl Iterator<Item = (&'f str, &'f str)> + Clone) {
    for (file, reason) in lost.clone().take(SHOWN) {
        run::warn(&format!("{file}: {reason}"));
    }
    if lost.clone().count() > SHOWN {
        run::warn(&format!("… and {} more files", lost.count() - SHOWN));
    }
}

fn warn_of_losses(stats: &ScanStats) {
    let over = stats.passed_over;
    if over.folders + over.files > 0 {
        run::warn(&format!(
            "{} folders and {} files passed over: dated outside --from/--to",
            grouped(over.folders.into()),
            grouped(over.files.into())
        ));
    }
    // A copy is no loss: every report counts the copies, and --stats names them.
    let lost = || stats.file_errors.iter().filter(|e| !e.is_copy());
    for e in lost().take(SHOWN) {
        run::warn(&format!("{}: {}", e.file, e.reason));
    }
    if lost().count() > SHOWN {
        run::warn(&format!(
            "… and {} more files (--stats FILE lists all)",
            lost().count() - SHOWN
        ));
    }
    for file in stats.changed.iter().take(SHOWN) {
        run::warn(&format!("{file}: {}", Change::Written));
    }
    let late = stats.trail["beyond_window"].as_u64().unwrap_or(0);
    if late > 0 {
        run::warn(&format!(
            "{} events of CloudTrail are days older than those read before them: copies of them may count twice",
            grouped(late.into())
        ));
    }
    if stats.unknown_bytes > 0 {
        run::warn(&format!(
            "{} records have no byte count: sums are lower bounds",
            grouped(stats.unknown_bytes.into())
        ));
    }
    let (rejected, lines) = (stats.lines.rejected, stats.lines.lines);
    if rejected > 0 {
        run::warn(&format!(
            "{} of {} lines rejected:",
            grouped(rejected.into()),
            grouped(lines.into())
        ));
        for r in stats.rejects.iter().take(3) {
            run::warn(&format!(
                "  {}:{}: {}: {}: {}",
                r.file, r.line, r.field, r.reason, r.excerpt
            ));
        }
        hint::of_rejects(stats);
    }
}
