//! `flowtrail reconcile`: flow bytes to and from S3 against what S3 counted, per interface and hour or day.

use crate::args::{Format, ListArgs, OutputArgs, ReadArgs};
use crate::{output, read, run};
use clap::{Args, ValueEnum};
use flowtrail::net::{HOUR, Seconds, human_bytes};
use flowtrail::report::grid::{grouped, json_integer};
use flowtrail::report::reconcile::{About, Explained, grid, ordered};
use flowtrail::scan::{self, Inputs, Reconciled};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Flow logs: files, directories, globs, `-` (standard input), `@list`
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// CloudTrail with S3 data events, in the same forms; repeatable
    #[arg(long, value_name = "PATH", required = true)]
    trail: Vec<OsString>,
    /// What the AWS CLI's describe-network-interfaces, -vpc-endpoints, -nat-gateways, … and get-event-selectors print;
    /// repeatable
    #[arg(long, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    /// Hours or days apart
    #[arg(long, value_enum, default_value_t = Span::Hour)]
    by: Span,
    /// Rows to show, most unaccounted bytes first; 0 for all
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Add a last line with the sums and the share that events explain
    #[arg(long)]
    totals: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    lists: ListArgs,
    #[command(flatten)]
    out: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Span {
    Hour,
    Day,
}

impl Span {
    const fn seconds(self) -> Seconds {
        match self {
            Span::Hour => HOUR,
            Span::Day => 24 * HOUR,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &ReconcileArgs) -> anyhow::Result<u8> {
    let inputs = Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        ingest: args.read.ingest()?,
        window: Some(args.read.window()?),
        ..Inputs::default()
    };
    output::check(args.out.output.as_deref())?;
    let intel = args.lists.load(args.out.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.out.quiet);
    let reconciled = scan::reconcile(&inputs, &intel, &pool, &|a| bar.follow(a))?;
    bar.done();
    let counted = &reconciled.counted;
    read::write_rejects(&args.read, &inputs.ingest, &counted.archive, &counted.outcome)?;
    read::warn_of_lists(&intel, counted.outcome.span, args.out.quiet);
    let code = read::account(&args.read, args.out.quiet, &counted.stats)?;
    if !args.out.quiet {
        limits(&reconciled).for_each(run::warn);
    }
    tell(args, &reconciled)?;
    Ok(code)
}

/// What keeps the answer from being the whole one.
fn limits(r: &Reconciled) -> impl Iterator<Item = &'static str> {
    let blind = "the trail has no S3 data event: what S3 counted is not observable";
    let part = "the event selectors do not cover every bucket, or are not known (--inventory): what is unaccounted for is an upper bound";
    let blind = (!r.books.observable).then_some(blind);
    let part = (r.books.observable && !r.whole).then_some(part);
    blind.into_iter().chain(part)
}

fn tell(args: &ReconcileArgs, r: &Reconciled) -> anyhow::Result<()> {
    let lines = ordered(&r.books, args.by.seconds());
    let about = About {
        table: &r.counted.table,
        inventory: &r.known.inventory,
        whole: r.whole,
        observable: r.books.observable,
        span: args.by.seconds(),
    };
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let grid = grid(&about, lines.get(..limit.min(lines.len())).unwrap_or_default());
    output::to(args.out.output.as_deref(), |out| {
        output::write_grid(args.out.format, &grid, out)?;
        if args.totals {
            totals(&about, lines.len(), &Explained::of(&lines), args.out.format, out)?;
        }
        Ok(())
    })
}

/// The last line of `--totals`, whatever `--limit` shows.
fn totals(about: &About<'_>, n: usize, sums: &Explained, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    let share = (sums.share() * 10_000.0).round() / 10_000.0;
    let seen = |n: u128| about.observable.then(|| json_integer(n));
    let text = |v: Option<serde_json::Value>| v.map_or("-".to_owned(), |v| v.to_string().replace('"', ""));
    let share = about.observable.then_some(serde_json::json!(share));
    match format {
        Format::Csv => writeln!(
            out,
            "groups,{n},sent,{},sent_unaccounted,{},received,{},received_unaccounted,{},explained,{}",
            sums.sent,
            text(seen(sums.sent_open)),
            sums.received,
            text(seen(sums.received_open)),
            text(share)
        )?,
        Format::Json | Format::Ndjson => {
            let line = serde_json::json!({
                "groups": n, "sent": json_integer(sums.sent), "sent_unaccounted": seen(sums.sent_open),
                "received": json_integer(sums.received), "received_unaccounted": seen(sums.received_open),
                "explained": share, "upper_bound": !about.whole,
            });
            writeln!(out, "{line}")?;
        }
        Format::Table | Format::Md => {
            let (sent, received) = (human_bytes(sums.sent), human_bytes(sums.received));
            let open = human_bytes(sums.sent_open.saturating_add(sums.received_open));
            let said = if about.observable {
                format!("{open} unaccounted for, {:.2} % explained", sums.share() * 100.0)
            } else {
                "what events explain is not observable".to_owned()
            };
            writeln!(
                out,
                "\n{} groups: {sent} to S3, {received} from it; {said}",
                grouped(n as u128)
            )?;
        }
    }
    Ok(())
}
