//! `flowtrail top`: the aggregate itself.

use crate::args::{Direction, Format, ListArgs, OutputArgs, ReadArgs};
use crate::{hint, output, read, run, states};
use clap::Args;
use flowtrail::Error;
use flowtrail::aggregate::top::{Answer, Query, Ways, cells_are_groups, grain_for, parse_keys};
use flowtrail::aggregate::{Counting, Filter, Shelf, Volume, Watching};
use flowtrail::index::{IndexShelf, Manifest};
use flowtrail::input::{Archive, Family};
use flowtrail::intel::Intel;
use flowtrail::net::human_bytes;
use flowtrail::report::grid::{grouped, json_integer};
use flowtrail::report::{Cell, Grid};
use flowtrail::scan;
use rayon::ThreadPool;
use rayon::prelude::*;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Flow logs: files, directories, globs, `-` (standard input), `@list`; or states (`scan --partial`)
    #[arg(required = true)]
    pub(crate) paths: Vec<OsString>,
    /// A store made by `flowtrail index build`: what it holds of the archive is not read again
    #[arg(long, value_name = "STORE")]
    pub(crate) index: Option<PathBuf>,
    /// Keys, any subset of eni,src,dst,asn,country,service,port,hour,class
    #[arg(long, default_value = "eni,dst")]
    pub(crate) by: String,
    /// Rows to show, largest first; 0 for all
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Which way the bytes went
    #[arg(long, value_enum, default_value_t = Direction::Egress)]
    pub(crate) direction: Direction,
    /// Only what passes, as in 'family=ipv4 class=external,s3 port=443 dst=10.0.0.0/8 country!=US bytes>1e9'
    #[arg(long = "where", value_name = "FILTER", default_value = "")]
    pub(crate) filter: String,
    /// Add a last line with the number of groups and their total bytes
    #[arg(long)]
    pub(crate) totals: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) memory: crate::memory::MemoryArgs,
    #[command(flatten)]
    pub(crate) temp: crate::memory::TempArgs,
    #[command(flatten)]
    pub(crate) lists: ListArgs,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
}

/// Runs the command.
pub(crate) fn run(args: &TopArgs) -> anyhow::Result<u8> {
    let keys = parse_keys(&args.by)?;
    let filter = Filter::parse(&args.filter)?;
    let ways = match args.direction {
        Direction::Egress => Ways::Egress,
        Direction::Ingress => Ways::Ingress,
        Direction::Both => Ways::Both,
    };
    let counting = Counting {
        grain: grain_for(&keys, &filter, ways),
        filter: filter.clone(),
        window: args.read.window()?,
        largest: if cells_are_groups(&keys, &filter, ways) {
            args.limit
        } else {
            0
        },
    };
    let query = Query {
        keys: keys.clone(),
        ways,
        limit: args.limit,
    };
    let asked = (&query, &counting);
    let mut ingest = args.read.ingest()?;
    ingest.memory = args.memory.bound(Some(&args.temp));
    ingest.watching = Watching::Nothing;
    output::check(args.out.output.as_deref())?;
    let intel = args.lists.load(args.out.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(args.out.quiet);
    if let Some(mut folded) = states::in_place_of_logs(&args.paths, &args.read, args.out.quiet)? {
        let (answer, counted) = scan::top_states(&mut folded, &intel, asked, (ingest.memory.as_ref(), &pool))?;
        return tell(args, answer, (&counted, &intel), &pool);
    }
    let archive = Archive::discover_with(&args.paths, Family::FlowLogs, counting.window, &ingest.remote)?;
    let shelf = shelf(args, &archive, &counting)?.map(Arc::new);
    ingest.shelf = shelf.clone().map(|s| s as Arc<dyn Shelf>);
    let (answer, counted) = scan::top_archive(archive, &intel, asked, &ingest, &pool, &|a| bar.follow(a))?;
    bar.done();
    shelf.map_or(Ok(()), |s| s.check())?;
    hint::check(&args.paths, Family::FlowLogs, &counted.archive)?;
    read::write_rejects(&args.read, &ingest, &counted.archive, &counted.outcome)?;
    tell(args, answer, (&counted, &intel), &pool)
}

/// Says what was not read, and writes the table.
fn tell(
    args: &TopArgs,
    answer: Answer,
    (counted, intel): (&scan::Counted, &Intel),
    pool: &ThreadPool,
) -> anyhow::Result<u8> {
    read::warn_of_lists(intel, counted.outcome.span, args.out.quiet);
    let code = read::account(&args.read, args.out.quiet, &counted.stats)?;
    if counted.left_out.ambiguous > 0 && !args.out.quiet {
        let n = human_bytes(counted.left_out.ambiguous);
        run::warn(&format!(
            "{n} in flows whose direction the records do not tell: not counted"
        ));
    }
    output::to(args.out.output.as_deref(), |out| {
        let all = (answer.groups, answer.total_bytes);
        write(answer.rows, args, pool, out)?;
        if args.totals {
            totals(all, args.out.format, out)?;
        }
        Ok(())
    })?;
    Ok(code)
}

/// What a store holds of the archive.
fn shelf(args: &TopArgs, archive: &Archive, counting: &Counting) -> flowtrail::Result<Option<IndexShelf>> {
    let Some(store) = &args.index else { return Ok(None) };
    read::by_the_hour(counting.window)?;
    if args.read.rejects.is_some() {
        return Err(Error::usage(
            "an index keeps no rejected lines: leave out --index or --rejects",
        ));
    }
    let manifest = Manifest::open_for(store, &args.read.files.formats()?)?;
    let all = archive.of_all_times(&args.paths, Family::FlowLogs, &args.read.remote())?;
    Ok(Some(IndexShelf::new(store, &manifest, archive, &all, None)))
}

/// The last line of `--totals`: the number of groups and their bytes, whatever `--limit` shows of them.
fn totals((groups, bytes): (u64, u128), format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        Format::Csv => writeln!(out, "groups,{groups},total_bytes,{bytes}")?,
        Format::Json | Format::Ndjson => {
            let line = serde_json::json!({"groups": groups, "total_bytes": json_integer(bytes)});
            writeln!(out, "{line}")?;
        }
        Format::Table | Format::Md => {
            writeln!(
                out,
                "\n{} groups, {} in all",
                grouped(groups.into()),
                human_bytes(bytes)
            )?;
        }
    }
    Ok(())
}

/// Writes the rows. What machines read a line at a time is made some thousand lines at a time, by all threads; the other
/// formats want to see all rows at once.
fn write(rows: Vec<Line>, args: &TopArgs, pool: &ThreadPool, out: &mut dyn Write) -> anyhow::Result<()> {
    const LINES: usize = 1 << 10;
    let format = args.out.format;
    match format {
        Format::Csv => grid(Vec::new(), args).csv_header(out)?,
        Format::Ndjson => {}
        Format::Table | Format::Json | Format::Md => return output::write_grid(format, &grid(rows, args), out),
    }
    let lines = |rows: Vec<Line>| {
        let mut text = Vec::with_capacity(rows.len() * 128);
        let grid = grid(rows, args);
        let written = match format {
            Format::Csv => grid.csv_rows(&mut text),
            _ => grid.ndjson(&mut text),
        };
        written.map(|()| text)
    };
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let next: Vec<Line> = rows.by_ref().take(LINES * 16).collect();
        let texts = || next.into_par_iter().chunks(LINES).map(lines).collect();
        let texts: Vec<io::Result<Vec<u8>>> = pool.install(texts);
        texts.into_iter().try_for_each(|text| out.write_all(&text?))?;
    }
    Ok(())
}

/// A row's keys as text, and its sums.
type Line = (Vec<String>, Volume);

fn grid(lines: Vec<Line>, args: &TopArgs) -> Grid {
    let keys: Vec<&str> = args.by.split(',').map(str::trim).collect();
    let mut grid = Grid::new(&[&keys[..], &["bytes", "packets", "flows", "first_seen", "last_seen"]].concat());
    grid.rows = lines.into_iter().map(cells).collect();
    grid
}

fn cells((texts, v): Line) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(texts.len() + 5);
    cells.extend(texts.into_iter().map(Cell::Text));
    cells.extend([
        Cell::Bytes(v.bytes),
        Cell::Count(v.packets),
        Cell::Count(v.flows.into()),
    ]);
    cells.extend([v.first, v.last].map(Cell::Time));
    cells
}
