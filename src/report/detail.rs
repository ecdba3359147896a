//! What `explain` and `verify` need beside the findings: reasons with their weights, cited cells of both logs, series with
//! their bands.
//!
//! All of it is bounded: the largest cells are listed, the rest is one sum.

use crate::aggregate::{EgressTable, Row};
use crate::baseline::{Channel, Learning, bands, channel};
use crate::incident::Incident;
use crate::net::rfc3339;
use crate::report::calls::Calls;
use crate::report::grid::json_integer;
use crate::report::run::Run;
use crate::report::{callers, moments, requests};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Cells listed of one incident.
pub const CELLS: usize = 1_000;

/// Series in one result, of the most severe incidents.
pub const SERIES: usize = 60;

/// Days of a series before the archive's last one.
const DAYS: u64 = 60;

/// Reasons and cells of each incident.
pub fn details(run: &Run<'_>) -> Value {
    let calls = Calls::cited(run.incidents, run.trail);
    run.incidents.iter().map(|i| detail(i, run, &calls)).collect()
}

fn detail(incident: &Incident, run: &Run<'_>, calls: &Calls) -> Value {
    let table = run.table;
    let steps = run.steps.and_then(|s| s.get(&incident.id));
    let mut rows: Vec<&Row> = incident
        .cells
        .iter()
        .filter_map(|c| table.rows.get(*c as usize))
        .collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.volume.bytes));
    let rest = rows.split_off(rows.len().min(CELLS));
    let rest_bytes: u128 = rest.iter().map(|r| r.volume.bytes).sum();
    let (calls, more_calls) = calls.of_incident(incident, run.trail);
    json!({
        "id": incident.id,
        "reasons": incident.parts,
        "containment": steps,
        "cells": rows.into_iter().map(|r| cell(r, table)).collect::<Value>(),
        "more_cells": {"cells": rest.len(), "bytes": json_integer(rest_bytes)},
        "calls": calls,
        "more_calls": more_calls,
        "requests": requests::of_incident(incident, run.trail, run.intel),
        "timeline": moments::moments(incident, table, run.trail),
    })
}

/// Where and when, and the sums.
fn cell(row: &Row, table: &EgressTable) -> Value {
    let eni = table.interfaces.get(row.interface as usize).map(|i| i.id.as_str());
    json!({
        "eni": eni,
        "local": row.local,
        "peer": table.peer(row).addr,
        "port": row.port,
        "protocol": row.protocol,
        "role": row.role.as_str(),
        "hour": rfc3339(row.hour),
        "bytes": json_integer(row.volume.bytes),
        "flows": row.volume.flows,
    })
}

/// Egress by hour of the incidents' interfaces, in the channels concerned, beside what was expected.
pub fn series(run: &Run<'_>) -> Value {
    let (incidents, table) = (run.incidents, run.table);
    let mut wanted: BTreeSet<(String, Channel)> = BTreeSet::new();
    for (id, channel) in incidents.iter().flat_map(|i| channels(i, table)) {
        if wanted.len() < SERIES {
            wanted.insert((id, channel));
        }
    }
    let last = table.hours().map_or(0, |(_, last)| last);
    let all = bands(
        run.learned,
        Learning::default(),
        &wanted,
        last.saturating_sub(DAYS * 86_400),
    );
    let hour = |(start, bytes, band): (u64, u64, Option<(u64, u64)>)| {
        let (expected, high) = band.unzip();
        json!([rfc3339(start), bytes, expected, high])
    };
    all.into_iter()
        .map(|((eni, channel), hours)| {
            let hours: Value = hours.into_iter().map(hour).collect();
            json!({"eni": eni, "channel": channel, "hours": hours})
        })
        .chain(callers::series(run))
        .collect()
}

/// Interfaces and channels of an incident, the one with most bytes first.
fn channels(incident: &Incident, table: &EgressTable) -> Vec<(String, Channel)> {
    let mut bytes: BTreeMap<(String, Channel), u128> = BTreeMap::new();
    for row in incident.cells.iter().filter_map(|c| table.rows.get(*c as usize)) {
        let eni = table.interfaces.get(row.interface as usize).map(|i| i.id.clone());
        if let (Some(eni), Some(channel)) = (eni, channel(table.peer(row), row.role)) {
            *bytes.entry((eni, channel)).or_default() += row.volume.bytes;
        }
    }
    let mut out: Vec<_> = bytes.into_iter().collect();
    out.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    out.into_iter().map(|(key, _)| key).collect()
}
