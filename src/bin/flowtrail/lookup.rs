//! `flowtrail lookup`: a case card for whatever a responder holds in hand.

use crate::args::{Format, ListArgs, ReadArgs};
use crate::{output, read, run};
use clap::{Args, ValueEnum};
use flowtrail::Error;
use flowtrail::aggregate::{Filter, ScanStats};
use flowtrail::index::Manifest;
use flowtrail::input::{Archive, Family};
use flowtrail::lookup::basis::TrailCoverage;
use flowtrail::lookup::card::{SCHEMA, When};
use flowtrail::lookup::sections::{Section, sections};
use flowtrail::lookup::{Answer, Card, Estate, Key, Records, Request, Sources, Stored, look_up, of_objects, subjects};
use flowtrail::net::{TimeWindow, human_bytes, printable};
use flowtrail::report::Grid;
use flowtrail::report::grid::{grouped, json_integer, markdown_text};
use flowtrail::report::html::{Leaf, sheet};
use flowtrail::scan::{self, Inputs, Known};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// Address, CIDR, eni-…, i-…, ARN, access key id, role session or user name, s3://bucket, s3://bucket/key; `@list`
    /// and `-` (standard input) hold one a line
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Every subject of these findings: our NDJSON or result JSON; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) finding: Vec<PathBuf>,
    /// Flow logs: files, directories, globs, `@list`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) flows: Vec<OsString>,
    /// A store made by `flowtrail index build`: what it holds of the flow logs is not read again; without --flows, all that
    /// it holds
    #[arg(long, value_name = "STORE", conflicts_with = "validate")]
    pub(crate) index: Option<PathBuf>,
    /// CloudTrail, in the same forms
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) trail: Vec<OsString>,
    /// What the AWS CLI's describe-… commands print, as for `scan`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) inventory: Vec<PathBuf>,
    /// Only flow records that pass, as in 'port=443 class=external bytes>1e6'
    #[arg(long = "where", value_name = "FILTER", default_value = "")]
    pub(crate) filter: String,
    /// Print the matching flow records whole instead of cards
    #[arg(long)]
    pub(crate) records: bool,
    /// With --records, add a last line with their number and bytes
    #[arg(long, requires = "records")]
    pub(crate) totals: bool,
    /// Do not search the flow logs once more for the other destinations of the interfaces found
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Read and check every line instead of searching the bytes first
    #[arg(long)]
    pub(crate) validate: bool,
    /// Show access key ids whole in formats for people
    #[arg(long, help_heading = "Output")]
    pub(crate) show_keys: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) lists: ListArgs,
    #[command(flatten)]
    pub(crate) out: CardArgs,
}

/// Where cards go, and how they look.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct CardArgs {
    /// How results are written
    #[arg(long, value_enum, default_value_t = CardFormat::Table)]
    pub(crate) format: CardFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// No progress, no summary, no warnings
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CardFormat {
    Table,
    Json,
    Ndjson,
    Csv,
    Md,
    Html,
}

impl CardFormat {
    /// The format of a table of this look; a page is no table.
    fn of_grid(self) -> Option<Format> {
        Some(match self {
            CardFormat::Table => Format::Table,
            CardFormat::Json => Format::Json,
            CardFormat::Ndjson => Format::Ndjson,
            CardFormat::Csv => Format::Csv,
            CardFormat::Md => Format::Md,
            CardFormat::Html => return None,
        })
    }
}

/// Runs the command.
pub(crate) fn run(args: &LookupArgs) -> anyhow::Result<u8> {
    let request = request(args)?;
    let mut inputs = Inputs {
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        ingest: args.read.ingest()?,
        ..Inputs::default()
    };
    let window = args.read.window()?;
    output::check(args.out.output.as_deref())?;
    let intel = args.lists.load(args.out.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let (flows, mut stored) = flows(args, window)?;
    let trail = discover(&args.trail, Family::Trail, TimeWindow::ALL, &args.read)?;
    let (known, trail_stats) = scan::known(&inputs, &pool)?;
    inputs.ingest.formats = inputs.ingest.formats.with(&known.inventory);
    if let Some(stored) = &mut stored {
        stored.read_by(&inputs.ingest.formats);
    }
    let objects = trail
        .as_ref()
        .map(|t| of_objects(&request.keys, t, inputs.ingest.read, &pool));
    let sources = Sources {
        flows: flows.as_ref(),
        index: stored.as_ref(),
        ingest: &inputs.ingest,
        estate: Estate {
            index: &known.index,
            inventory: &known.inventory,
            has_trail: known.has_trail,
            window,
        },
        objects: &objects.unwrap_or_default(),
        trail: trail_coverage(&known, &trail_stats),
        intel: &intel,
    };
    let bar = read::Bar::new(args.out.quiet);
    let progress = bar.follow(flows.as_ref().unwrap_or(&Archive::default()));
    let answer = look_up(&request, &sources, &pool, &progress)?;
    bar.done();
    let code = account(args, &answer, trail_stats)?;
    output::to(args.out.output.as_deref(), |out| match args.records {
        true => records(args, &answer.records, out),
        false => cards(args, &answer.cards, out),
    })?;
    Ok(code)
}

fn request(args: &LookupArgs) -> anyhow::Result<Request> {
    let keys = keys(args)?;
    if keys.is_empty() {
        return Err(Error::usage("no key: give one, or --finding FILE").into());
    }
    if args.flows.is_empty() && args.index.is_none() && (args.trail.is_empty() || args.records) {
        return Err(Error::usage("nothing to look in: give --flows PATH, --index STORE, --trail PATH").into());
    }
    let piped = |paths: &[OsString]| paths.iter().filter(|p| *p == "-").count();
    let listed = args.keys.iter().filter(|k| *k == "-").count();
    let objects = keys.iter().any(|k| matches!(k, Key::Object(..)));
    if listed + piped(&args.flows) + piped(&args.trail) > 1 || objects && piped(&args.trail) > 0 {
        return Err(Error::usage("standard input can be read once: give a file for the rest").into());
    }
    if args.index.is_some() && args.read.rejects.is_some() {
        return Err(Error::usage("an index keeps no rejected lines: leave out --index or --rejects").into());
    }
    if args.out.format == CardFormat::Csv && !args.records {
        return Err(Error::usage("a card is no table: --format csv goes with --records").into());
    }
    if args.out.format == CardFormat::Html && args.records {
        return Err(Error::usage("records are a table: --format html goes with cards").into());
    }
    Ok(Request {
        keys,
        filter: Filter::parse(&args.filter)?,
        records: args.records,
        pivot: !args.no_pivot,
        slow: args.validate,
    })
}

fn keys(args: &LookupArgs) -> anyhow::Result<Vec<Key>> {
    let mut found = Vec::new();
    for text in &args.keys {
        match text.strip_prefix('@') {
            Some(path) => found.extend(listed(&slurp(path)?)?),
            None if text == "-" => {
                let mut lines = String::new();
                let read = std::io::stdin().read_to_string(&mut lines);
                read.map_err(|e| Error::usage(format!("keys on standard input: {e}")))?;
                found.extend(listed(&lines)?);
            }
            None => found.push(Key::parse(text)?),
        }
    }
    for path in &args.finding {
        let text = std::fs::read(path).map_err(|e| Error::usage(e.to_string()).at(path))?;
        found.extend(subjects(&text).map_err(|e| e.at(path))?);
    }
    let mut unique: Vec<Key> = Vec::new();
    for key in found {
        if !unique.contains(&key) {
            unique.push(key);
        }
    }
    Ok(unique)
}

fn slurp(path: &str) -> flowtrail::Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::usage(e.to_string()).at(path.as_ref()))
}

/// One key a line; blank lines and `#` comments are ignored.
fn listed(text: &str) -> flowtrail::Result<Vec<Key>> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(Key::parse)
        .collect()
}

/// The flow logs, and the store that may hold them.
fn flows(args: &LookupArgs, window: TimeWindow) -> flowtrail::Result<(Option<Archive>, Option<Stored>)> {
    let found = |window| discover(&args.flows, Family::FlowLogs, window, &args.read);
    let Some(folder) = &args.index else {
        return Ok((found(window)?, None));
    };
    let manifest = Manifest::open_for(folder, &args.read.files.formats()?)?;
    let remote = args.read.remote();
    let archive = match found(window)? {
        Some(archive) => archive,
        None => manifest.archive(&remote)?,
    };
    let all = archive.of_all_times(&args.flows, Family::FlowLogs, &remote)?;
    let stored = Stored {
        folder: folder.clone(),
        manifest,
        all,
    };
    Ok((Some(archive), Some(stored)))
}

fn discover(
    paths: &[OsString],
    family: Family,
    window: TimeWindow,
    read: &ReadArgs,
) -> flowtrail::Result<Option<Archive>> {
    (!paths.is_empty())
        .then(|| Archive::discover_with(paths, family, window, &read.remote()))
        .transpose()
}

fn trail_coverage(known: &Known, stats: &serde_json::Value) -> Option<TrailCoverage> {
    let n = |v: &serde_json::Value| v.as_u64().unwrap_or(0);
    let span = known.index.span();
    known.has_trail.then(|| TrailCoverage {
        files: n(&stats["files"]["ok"]),
        files_incomplete: n(&stats["files"]["partial"]) + n(&stats["files"]["failed"]),
        records: n(&stats["records"]),
        rejected: n(&stats["rejected"]),
        first: span.map(|s| When(s.from)),
        last: span.map(|s| When(s.to.saturating_sub(1))),
    })
}

/// Warnings, `--stats` and the exit code.
fn account(args: &LookupArgs, answer: &Answer, trail: serde_json::Value) -> anyhow::Result<u8> {
    let mut stats = answer.stats.clone().unwrap_or_else(|| ScanStats {
        schema: "flowtrail.stats/1",
        ..ScanStats::default()
    });
    let n = |name: &str| trail["files"][name].as_u64().unwrap_or(0);
    let incomplete = n("partial") + n("failed");
    stats.trail = trail;
    let code = read::account(&args.read, args.out.quiet, &stats)?;
    if incomplete > 0 && !args.out.quiet {
        run::warn(&format!(
            "{} CloudTrail files were not read whole (--stats FILE lists them)",
            grouped(incomplete.into())
        ));
    }
    Ok(if incomplete > 0 { run::PARTIAL } else { code })
}

fn records(args: &LookupArgs, records: &Records, out: &mut dyn Write) -> anyhow::Result<()> {
    let format = args.out.format.of_grid().unwrap_or(Format::Table);
    match format {
        Format::Ndjson => records.ndjson(out)?,
        Format::Json => records.json(out)?,
        // Without a record there are no columns either.
        _ if records.is_empty() => {}
        format => output::write_grid(format, &records.grid(), out)?,
    }
    if !args.totals {
        return Ok(());
    }
    let (rows, bytes) = (records.len() as u128, records.bytes());
    match format {
        Format::Csv => writeln!(out, "rows,{rows},bytes,{bytes}")?,
        Format::Json | Format::Ndjson => {
            writeln!(
                out,
                "{{\"rows\":{},\"bytes\":{}}}",
                json_integer(rows),
                json_integer(bytes)
            )?;
        }
        Format::Table | Format::Md => writeln!(out, "\n{} records, {}", grouped(rows), human_bytes(bytes))?,
    }
    Ok(())
}

fn cards(args: &LookupArgs, cards: &[Card], out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(format) = args.out.format.of_grid() else {
        return page(args, cards, out);
    };
    match format {
        Format::Json => {
            let document = serde_json::json!({"schema": SCHEMA, "cards": cards});
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)?;
        }
        Format::Ndjson => {
            for card in cards {
                serde_json::to_writer(&mut *out, card)?;
                writeln!(out)?;
            }
        }
        format => {
            for (n, card) in cards.iter().enumerate() {
                for (part, section) in sections(card, args.show_keys).iter().enumerate() {
                    if n + part > 0 {
                        writeln!(out)?;
                    }
                    write_section(format, section, part == 0, out)?;
                }
            }
        }
    }
    Ok(())
}

/// Cards as one HTML page.
fn page(args: &LookupArgs, cards: &[Card], out: &mut dyn Write) -> anyhow::Result<()> {
    let all: Vec<Vec<Section>> = cards.iter().map(|c| sections(c, args.show_keys)).collect();
    let leaves: Vec<Vec<Leaf<'_>>> = all.iter().map(|s| s.iter().map(leaf).collect()).collect();
    Ok(sheet("Case card", &leaves, out)?)
}

fn leaf(s: &Section) -> Leaf<'_> {
    Leaf {
        title: &s.title,
        lines: &s.lines,
        grid: s.grid.as_ref(),
    }
}

fn write_section(format: Format, section: &Section, first: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if format == Format::Md {
        writeln!(
            out,
            "{} {}\n",
            if first { "#" } else { "##" },
            markdown_text(&section.title)
        )?;
        for line in &section.lines {
            writeln!(out, "- {}", markdown_text(line))?;
        }
        if let Some(grid) = &section.grid {
            if !section.lines.is_empty() {
                writeln!(out)?;
            }
            grid.markdown(out)?;
        }
        return Ok(());
    }
    writeln!(out, "{}", printable(section.title.as_bytes()))?;
    for line in &section.lines {
        writeln!(out, "  {}", printable(line.as_bytes()))?;
    }
    section.grid.as_ref().map_or(Ok(()), |grid| indented(grid, out))
}

fn indented(grid: &Grid, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut text = Vec::new();
    output::table(grid, &mut text)?;
    for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        out.write_all(b"  ")?;
        out.write_all(line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
