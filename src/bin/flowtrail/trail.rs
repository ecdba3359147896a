//! `flowtrail trail`: CloudTrail alone, grouped; the playbook's questions as views.

use crate::args::{Dialect, Format, TrailArgs, View};
use crate::{hint, output, read, run};
use flowtrail::Error;
use flowtrail::aggregate::ScanStats;
use flowtrail::aggregate::stats::Phase;
use flowtrail::detect::trail::{Deed, deed};
use flowtrail::input::{Archive, Family};
use flowtrail::intel::Intel;
use flowtrail::net::{human_bytes, rfc3339};
use flowtrail::report::grid::{grouped, json_integer};
use flowtrail::report::{Cell, Grid};
use flowtrail::trail::{
    self, PrincipalIndex, Summary, TrailFilter, TrailGrain, TrailKey, TrailRow, TrailRun, Wanted, summarise,
};
use std::io::Write;
use std::time::Instant;

/// Runs the command.
pub(crate) fn run(args: &TrailArgs) -> anyhow::Result<u8> {
    let keys = keys(args)?;
    let filter = TrailFilter::parse(&wanted(args))?;
    if let Some(dialect) = args.print_sql {
        let text = trail::query(dialect.into(), &keys, &filter, args.limit);
        output::to(args.out.output.as_deref(), |out| Ok(out.write_all(text.as_bytes())?))?;
        return Ok(run::DONE);
    }
    if args.paths.is_empty() {
        return Err(Error::usage("name CloudTrail files, or directories with them").into());
    }
    output::check(args.out.output.as_deref())?;
    let options = args.read.ingest()?.read;
    let intel = Intel::load(&args.lists.options())?;
    let pool = flowtrail::scan::threads(args.read.files.threads)?;
    let all = flowtrail::net::TimeWindow::ALL;
    let archive = Archive::discover_with(&args.paths, Family::Trail, all, &args.read.remote())?;
    hint::check(&args.paths, Family::Trail, &archive)?;
    let wanted = Wanted {
        grain: grain(args, &keys, &filter),
        window: args.read.window()?,
    };
    let began = Instant::now();
    let read = trail::read_archive(&archive, options, &wanted, &pool);
    let phase = Phase {
        name: "trail",
        seconds: began.elapsed().as_secs_f64(),
        bytes: archive.bytes(),
    };
    let passes = |row: &TrailRow| filter.passes(&read.index, row) && seen(args.view, &read.index, row);
    let mut all = summarise(&read.index, &keys, passes);
    all.retain(|s| filter.passes_sums(s));
    if args.view == Some(View::Copies) {
        all.sort_by_key(|s| std::cmp::Reverse(s.objects.number));
    }
    let grid = table(&keys, &all, args, &intel);
    output::to(args.out.output.as_deref(), |out| {
        output::write_grid(args.out.format, &grid, out)?;
        if args.totals {
            totals(&all, args.out.format, out)?;
        }
        Ok(())
    })?;
    account(args, &read, phase)
}

/// The keys of the view, unless others were asked for.
fn keys(args: &TrailArgs) -> anyhow::Result<Vec<TrailKey>> {
    let usual = match args.view {
        Some(View::Callers) => "ip,principal",
        Some(View::Copies) => "principal,ip,from,bucket,owner",
        Some(View::Downloaders) | None => "principal,ip",
    };
    let by = args.by.as_deref().unwrap_or(usual);
    let parse = |name: &str| {
        let known = "use principal, ip, bucket, event, hour, day, key, owner, endpoint or from";
        TrailKey::parse(name.trim()).ok_or_else(|| Error::usage(format!("--by: unknown key `{name}`: {known}")).into())
    };
    by.split(',').filter(|n| !n.trim().is_empty()).map(parse).collect()
}

/// How finely to count. Copies are told by their service and their target's owner, whatever they are grouped by.
fn grain(args: &TrailArgs, keys: &[TrailKey], filter: &TrailFilter) -> TrailGrain {
    match args.view {
        Some(View::Copies) => {
            TrailGrain::of(&[keys, &[TrailKey::Owner, TrailKey::Event]].concat(), filter).by_service()
        }
        _ => TrailGrain::of(keys, filter),
    }
}

/// The view's own condition and the user's.
fn wanted(args: &TrailArgs) -> String {
    let own = match args.view {
        Some(View::Downloaders | View::Callers) => "event=GetObject,SelectObjectContent,GetObjectTorrent error=no",
        Some(View::Copies) => "event=CopyObject,UploadPartCopy,ReplicateObject error=no",
        None => "",
    };
    format!("{own} {}", args.filter)
}

/// True for rows of the view: copies count if the target's owner, or the caller, is another account.
fn seen(view: Option<View>, index: &PrincipalIndex, row: &TrailRow) -> bool {
    if view != Some(View::Copies) {
        return true;
    }
    let stranger = |account: &str| !account.is_empty() && !index.accounts.iter().any(|a| a == account);
    let caller = index
        .principal(row)
        .and_then(|p| p.account.as_deref())
        .unwrap_or_default();
    let copies = deed(index.text(row.service), index.text(row.event)) == Deed::Copy;
    copies && (stranger(index.text(row.owner)) || stranger(caller))
}

fn table(keys: &[TrailKey], all: &[Summary], args: &TrailArgs, intel: &Intel) -> Grid {
    let mut columns: Vec<&str> = keys.iter().map(|k| k.name()).collect();
    let places = args.view == Some(View::Callers);
    if places {
        columns.extend(["country", "asn", "lists"]);
    }
    columns.extend([
        "bytes",
        "bytes_in",
        "requests",
        "errors",
        "objects",
        "first_seen",
        "last_seen",
    ]);
    let mut grid = Grid::new(&columns);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    for s in all.iter().take(limit) {
        let text = |t: &String| {
            if t.is_empty() {
                Cell::None
            } else {
                Cell::Text(t.clone())
            }
        };
        let mut row: Vec<Cell> = s.keys.iter().map(text).collect();
        if places {
            row.extend(place(keys, s, intel));
        }
        row.extend([Cell::Bytes(s.bytes_out), Cell::Bytes(s.bytes_in)]);
        row.extend([s.requests, s.errors, s.objects.number].map(|n| Cell::Count(n.into())));
        row.extend([Cell::Text(rfc3339(s.first_seen)), Cell::Text(rfc3339(s.last_seen))]);
        grid.rows.push(row);
    }
    grid
}

/// Country, operator and lists of the caller's address.
fn place(keys: &[TrailKey], s: &Summary, intel: &Intel) -> [Cell; 3] {
    let at = keys.iter().position(|k| *k == TrailKey::Ip).and_then(|n| s.keys.get(n));
    let Some(addr) = at.and_then(|ip| ip.parse().ok()) else {
        return [Cell::None, Cell::None, Cell::None];
    };
    let text = |t: Option<String>| t.filter(|t| !t.is_empty()).map_or(Cell::None, Cell::Text);
    [
        text(intel.country(addr).map(|c| c.to_string())),
        text(intel.asn(addr).map(|(n, _)| n.to_string())),
        text(Some(intel.labels(addr).join(" "))),
    ]
}

/// The last line of `--totals`.
fn totals(all: &[Summary], format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    let bytes: u128 = all.iter().map(|s| s.bytes_out).sum();
    let requests: u64 = all.iter().map(|s| s.requests).sum();
    match format {
        Format::Csv => writeln!(out, "groups,{},total_bytes,{bytes},requests,{requests}", all.len())?,
        Format::Json | Format::Ndjson => {
            let line =
                serde_json::json!({"groups": all.len(), "total_bytes": json_integer(bytes), "requests": requests});
            writeln!(out, "{line}")?;
        }
        Format::Table | Format::Md => {
            let (groups, requests) = (grouped(all.len() as u128), grouped(requests.into()));
            writeln!(out, "\n{groups} groups, {} in {requests} requests", human_bytes(bytes))?;
        }
    }
    Ok(())
}

/// Writes `--stats` and says what was not read.
fn account(args: &TrailArgs, read: &TrailRun, phase: Phase) -> anyhow::Result<u8> {
    let records = read.counts.records + read.counts.rejected;
    let stats = ScanStats {
        schema: "flowtrail.stats/1",
        trail: read.stats(),
        rate: phase.rate(records),
        phases: vec![phase],
        peak_memory: ScanStats::peak_memory_now(),
        validated: true,
        ..ScanStats::default()
    };
    let code = read::account(&args.read, args.out.quiet, &stats)?;
    let bad =
        read.counts.rejected as f64 > args.read.max_rejected * (read.counts.records + read.counts.rejected) as f64;
    let broken = read.files.partial + read.files.failed > 0;
    if !args.out.quiet {
        read.errors
            .iter()
            .take(10)
            .for_each(|e| run::warn(&format!("{}: {}", e.file, e.reason)));
    }
    Ok(if bad || broken { run::PARTIAL } else { code })
}

impl From<Dialect> for trail::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Athena => trail::Dialect::Athena,
            Dialect::Insights => trail::Dialect::Insights,
            Dialect::Duckdb => trail::Dialect::DuckDb,
        }
    }
}
