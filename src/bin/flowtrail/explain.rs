//! `flowtrail explain` and `flowtrail verify`: a result, taken apart and held against the logs.

use crate::args::ReadArgs;
use crate::{output, read, run};
use clap::Args;
use flowtrail::Error;
use flowtrail::aggregate::{Counting, Filter, Grain, Ingest, WithEndpoints};
use flowtrail::intel::Intel;
use flowtrail::inventory::Inventory;
use flowtrail::net::printable;
use flowtrail::report;
use flowtrail::report::verify::Verdict;
use flowtrail::scan::{self, Counted, Inputs};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The incident, as the result names it; the start of its id is enough
    id: String,
    /// What `scan --format json` wrote
    result: PathBuf,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// What `scan --format json` wrote
    result: PathBuf,
    /// Flow logs, as `scan` was given them; repeatable
    #[arg(long, value_name = "PATH", required_unless_present = "trail", num_args = 1..)]
    flows: Vec<OsString>,
    /// CloudTrail, as `scan` was given it: the requests that incidents cite are counted again; repeatable
    #[arg(long, value_name = "PATH", num_args = 1..)]
    trail: Vec<OsString>,
    /// What the scan was given of it; repeatable
    #[arg(long, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    /// Say nothing, answer by the exit code
    #[arg(long)]
    quiet: bool,
}

/// Runs `explain`.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let text = report::explain::explain(&load(&args.result)?, &args.id)?;
    output::to(args.output.as_deref(), |out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(run::DONE)
}

/// Runs `verify`.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<u8> {
    let result = load(&args.result)?;
    let pool = scan::threads(args.read.files.threads)?;
    let inputs = Inputs {
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        ingest: args.read.ingest()?,
        ..Inputs::default()
    };
    let (known, trail) = scan::known(&inputs, &pool)?;
    let counted = count(args, inputs.ingest, &known.inventory, &pool)?;
    let mut stats = counted.as_ref().map(|c| c.stats.clone()).unwrap_or_default();
    stats.trail = trail;
    let code = read::account(&args.read, args.quiet, &stats)?;
    let sources = counted.iter().flat_map(|c| &c.archive.sources);
    let files: BTreeMap<String, _> = sources.map(|s| (s.name.clone(), s)).collect();
    let mut sums: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut sum = |name: &str| {
        let fresh = || files.get(name).and_then(flowtrail::incident::sha256);
        sums.entry(name.to_owned()).or_insert_with(fresh).clone()
    };
    let table = counted.as_ref().map(|c| &c.table);
    let index = known.has_trail.then_some(&known.index);
    let verdicts = report::verify::verify(&result, table, index, &mut sum);
    if !args.quiet {
        output::to(None, |out| Ok(tell(&verdicts, out)?))?;
    }
    let broken = verdicts.iter().any(|v| !v.holds());
    Ok(if code == run::DONE && broken { run::FOUND } else { code })
}

/// The flow logs, if some were given, counted as `scan` counts them.
fn count(
    args: &VerifyArgs,
    mut ingest: Ingest,
    inventory: &Inventory,
    pool: &rayon::ThreadPool,
) -> anyhow::Result<Option<Counted>> {
    if args.flows.is_empty() {
        return Ok(None);
    }
    let counting = Counting {
        grain: Grain::SCAN,
        filter: Filter::default(),
        window: args.read.window()?,
        largest: 0,
    };
    ingest.formats = ingest.formats.with(inventory);
    let own = scan::own_addresses(inventory);
    let intel = Intel::load(&Default::default())?;
    let places = WithEndpoints::new(&intel, inventory);
    let bar = read::Bar::new(args.quiet);
    let counted = scan::count(&args.flows, &places, &counting, &ingest, &own, pool, &|a| bar.follow(a))?;
    bar.done();
    Ok(Some(counted))
}

/// "2 cited cells and 5 cited kinds of requests", as far as there are any.
fn again(v: &Verdict) -> String {
    let counted = [(v.same, "cited cells"), (v.calls, "cited kinds of requests")];
    let some = counted.iter().filter(|(n, _)| *n > 0);
    some.map(|(n, what)| format!("{n} {what}"))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn tell(verdicts: &[Verdict], out: &mut dyn Write) -> std::io::Result<()> {
    for v in verdicts {
        let state = match (v.holds(), v.unchecked) {
            (true, true) => "not checked: it rests on logs that were not given".to_owned(),
            (true, false) => format!("holds: {} counted again", again(v)),
            (false, _) => format!(
                "NO LONGER HOLDS: {} of {} cells differ",
                v.changed.len(),
                v.same + v.calls + v.changed.len()
            ),
        };
        writeln!(out, "{}  {state}", printable(v.id.as_bytes()))?;
        for text in v.changed.iter().take(SHOWN).chain(v.files.iter().take(SHOWN)) {
            writeln!(out, "    {}", printable(text.as_bytes()))?;
        }
    }
    let broken = verdicts.iter().filter(|v| !v.holds()).count();
    let unchecked = verdicts.iter().filter(|v| v.holds() && v.unchecked).count();
    let held = verdicts.len() - broken - unchecked;
    writeln!(out, "{held} hold, {broken} no longer hold, {unchecked} not checked")
}

/// Differences shown of one incident.
const SHOWN: usize = 5;

/// A result of this program.
pub(crate) fn load(path: &Path) -> flowtrail::Result<Value> {
    let wrong = |text: String| Error::usage(text).at(path);
    let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let result: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(format!("no JSON: {e}")))?;
    if result["schema"] != "flowtrail.result/1" {
        return Err(wrong("no result: write one with `flowtrail scan --format json`".into()));
    }
    Ok(result)
}
