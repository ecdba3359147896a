//! `--log`: what the program does, as lines for people or objects for machines, on standard error.
//!
//! Off unless asked for. Only events of flowtrail itself are shown, never those of libraries below it, which know
//! credentials; texts from logs and file names are escaped where the events are made. With `--log json` the warnings of a run
//! are events too, so that every line of standard error is an object.

use clap::{Args, ValueEnum};
use flowtrail::net::printable;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Say on standard error what is done: files, phases, retries
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) log: Option<LogFormat>,
    /// How much of it
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        requires = "log"
    )]
    pub(crate) log_level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What was lost
    Warn,
    /// Phases, and what each is to read
    Info,
    /// Each file, each retry
    Debug,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        }
    }
}

/// Warnings go to the log.
static TAKES_WARNINGS: AtomicBool = AtomicBool::new(false);

/// Starts to log, if that was asked for.
pub(crate) fn start(args: &LogArgs) {
    let Some(format) = args.log else { return };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_span_events(FmtSpan::CLOSE);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let own = Targets::new().with_target("flowtrail", args.log_level.filter());
    let started = tracing_subscriber::registry().with(lines.with_filter(own)).try_init();
    TAKES_WARNINGS.store(started.is_ok() && format == LogFormat::Json, Ordering::Relaxed);
}

/// Takes a warning if the log takes them.
pub(crate) fn takes(text: &str) -> bool {
    let taken = TAKES_WARNINGS.load(Ordering::Relaxed);
    if taken {
        tracing::warn!(text = %printable(text.as_bytes()), "warning");
    }
    taken
}
