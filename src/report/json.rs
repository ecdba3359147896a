//! Incidents for machines: `flowtrail.finding/1` lines, and the whole result `flowtrail.result/1`.
//!
//! Nothing in it depends on the clock, on threads or on the place of the inputs: two runs over the same logs give the
//! same bytes. Times that phases took are in `--stats`, not here.

use crate::detect::trail::S3Channels;
use crate::incident::lines;
use crate::report::grid::json_integer;
use crate::report::run::Run;
use crate::report::{detail, places, requests};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// One incident a line, most severe first.
///
/// # Errors
/// Those of `out`.
pub fn ndjson(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    for incident in run.incidents {
        serde_json::to_writer(&mut *out, incident)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes the whole result, as `report`, `explain`, `verify` and `contain` take it.
///
/// # Errors
/// Those of `out`.
pub fn result(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(run)?)?;
    out.write_all(b"\n")
}

/// The whole result.
///
/// # Errors
/// None that is expected: every key is text.
pub fn document(run: &Run<'_>) -> io::Result<Value> {
    let mut stats = serde_json::to_value(run.stats)?;
    if let Some(stats) = stats.as_object_mut() {
        stats.remove("phases");
        stats.remove("peak_memory");
        stats.remove("rate");
    }
    Ok(json!({
        "schema": "flowtrail.result/1",
        "run": {
            "tool": "flowtrail",
            "version": env!("CARGO_PKG_VERSION"),
            "from": run.span.map(|s| crate::net::rfc3339(s.0)),
            "to": run.span.map(|s| crate::net::rfc3339(s.1)),
            "completeness": run.completeness(),
            "accounts": accounts(run),
            "interfaces": run.table.interfaces.len(),
            "inputs": run.inputs,
            "trail_inputs": run.trail_inputs,
            "inventory": run.inventory,
            "custody": run.custody,
            "lists": run.lists,
        },
        "view": {
            "shown": run.incidents.len(),
            "below_min_severity": run.below,
            "allowed": run.allowed,
            "suppressed": run.suppressed,
        },
        "incidents": run.incidents,
        "details": detail::details(run),
        "series": detail::series(run),
        "side_findings": run.heard.map(|h| lines(h, run.incidents)),
        "estate": run.estate,
        "ledger": ledger(run),
        "places": places::places(run),
        "access": requests::of_archive(run.trail),
        "stats": stats,
    }))
}

/// The accounts of the interfaces and of the trail.
fn accounts<'r>(run: &Run<'r>) -> BTreeSet<&'r str> {
    let of_interfaces = run.table.interfaces.iter().filter_map(|i| i.account.as_deref());
    let of_trail = run
        .trail
        .into_iter()
        .flat_map(|t| t.accounts.iter().map(String::as_str));
    of_interfaces.chain(of_trail).collect()
}

/// What stands where no log can show a channel: never 0.
const NOT_OBSERVABLE: &str = "not observable";

/// A channel that only CloudTrail's data events show.
fn channel(run: &Run<'_>, of: impl FnOnce(&S3Channels) -> Value) -> Value {
    run.channels.as_ref().map_or_else(|| Value::from(NOT_OBSERVABLE), of)
}

fn ledger(run: &Run<'_>) -> Value {
    let l = run.ledger();
    json!({
        "internet": json_integer(l.internet),
        "served": json_integer(l.served),
        "s3": json_integer(l.s3),
        "own_s3": channel(run, |c| json_integer(l.s3.saturating_sub(c.foreign).saturating_sub(c.unaccounted))),
        "foreign_s3": channel(run, |c| json_integer(c.foreign)),
        "s3_unaccounted": channel(run, |c| json_integer(c.unaccounted)),
        "out_of_vpc_api_reads": channel(run, |c| json_integer(c.api_reads)),
        "server_side_copy": channel(run, |c| json!({"objects": c.copied_objects, "bytes": NOT_OBSERVABLE})),
        "passed_on": json_integer(l.passed_on),
        "role_unknown": json_integer(l.role_unknown),
        "direction_unknown": json_integer(run.left_out.ambiguous),
        "forwarded": json_integer(run.left_out.forwarded),
        "logged_twice": json_integer(run.left_out.logged_twice),
        "residual": json_integer(run.vantage.residual),
        "resolved_share": (run.resolved_share(&l) * 10_000.0).round() / 10_000.0,
        "middleboxes": run.vantage.middleboxes,
        "nat_shared": run.vantage.shared,
    })
}
