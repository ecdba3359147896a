//! `verify`: do the incidents of a result still follow from the logs?
//!
//! The cited cells are counted again from the logs and compared one by one, those of CloudTrail if a trail is at hand; the
//! files of the evidence are compared by their SHA-256. What was not looked at is said to be unchecked, never to hold.

use crate::aggregate::{Direction, EgressTable};
use crate::report::calls;
use crate::report::explain::integer;
use crate::trail::PrincipalIndex;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// What became of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its id.
    pub id: String,
    /// Cells of the flow logs counted again, with the same sums.
    pub same: usize,
    /// Cells of the trail counted again, with the same sums.
    pub calls: usize,
    /// Cells that differ, in words.
    pub changed: Vec<String>,
    /// Files of the evidence whose content differs or that are missing.
    pub files: Vec<String>,
    /// True if nothing of it was checked: it rests on a log that was not given.
    pub unchecked: bool,
}

impl Verdict {
    /// True if all that was checked is as it was.
    pub fn holds(&self) -> bool {
        self.changed.is_empty() && self.files.is_empty()
    }
}

/// Interface, local address, peer, port, protocol, hour.
type Key = (String, String, String, u64, u64, String);
/// Bytes and records, by role.
type Cells = HashMap<Key, BTreeMap<&'static str, (u128, u64)>>;

/// Compares the incidents of a result with the logs at hand; `sum` gives the SHA-256 of a file by its name, if it is there.
pub fn verify(
    result: &Value,
    table: Option<&EgressTable>,
    trail: Option<&PrincipalIndex>,
    sum: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<Verdict> {
    let counted = table.map(cells);
    let list = |v: &'_ Value| v.as_array().cloned().unwrap_or_default();
    let mut out = Vec::new();
    for incident in list(&result["incidents"]) {
        let id = incident["id"].as_str().unwrap_or_default().to_owned();
        let details = list(&result["details"]);
        let detail = details.iter().find(|d| d["id"] == incident["id"]);
        let mut verdict = Verdict {
            id,
            same: 0,
            calls: 0,
            changed: Vec::new(),
            files: Vec::new(),
            unchecked: false,
        };
        let cited = |name: &str| detail.map(|d| list(&d[name])).unwrap_or_default();
        if let Some(counted) = &counted {
            let cells = cited("cells");
            verdict.changed = cells.iter().filter_map(|c| compare(counted, c)).collect();
            verdict.same = cells.len() - verdict.changed.len();
            if !cells.is_empty() {
                verdict.files = files(&list(&incident["evidence"]), sum);
            }
        }
        if let Some(index) = trail {
            let (same, changed) = calls::recount(&cited("calls"), index);
            verdict.calls = same;
            verdict.changed.extend(changed);
        }
        verdict.unchecked = verdict.same + verdict.calls + verdict.changed.len() == 0;
        out.push(verdict);
    }
    out
}

fn cells(table: &EgressTable) -> Cells {
    let mut out = Cells::new();
    for row in table.rows.iter().filter(|r| r.direction == Direction::Egress) {
        let Some(interface) = table.interfaces.get(row.interface as usize) else {
            continue;
        };
        let key = (
            interface.id.clone(),
            row.local.to_string(),
            table.peer(row).addr.to_string(),
            row.port.into(),
            row.protocol.into(),
            crate::net::rfc3339(row.hour),
        );
        let sum = out.entry(key).or_default().entry(row.role.as_str()).or_default();
        sum.0 += row.volume.bytes;
        sum.1 += row.volume.flows;
    }
    out
}

/// What differs about a cell.
fn compare(counted: &Cells, cell: &Value) -> Option<String> {
    let text = |k: &str| cell[k].as_str().unwrap_or_default().to_owned();
    let number = |k: &str| cell[k].as_u64().unwrap_or(u64::MAX);
    let stated = (integer(&cell["bytes"]), number("flows"));
    let (eni, peer, port, hour) = (text("eni"), text("peer"), number("port"), text("hour"));
    let place = format!("{eni} to {peer} port {port} in the hour of {hour}");
    let key = (eni, text("local"), peer, port, number("protocol"), hour);
    let Some(found) = counted.get(&key) else {
        return Some(format!("{place}: no record, {} bytes cited", stated.0));
    };
    // A part of the archive may leave roles open that the whole could tell: then the sum must agree.
    let all = found.values().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    if found.get(text("role").as_str()) == Some(&stated) || all == stated {
        return None;
    }
    Some(format!(
        "{place}: {} bytes in {} records, {} in {} cited",
        all.0, all.1, stated.0, stated.1
    ))
}

fn files(evidence: &[Value], sum: &mut dyn FnMut(&str) -> Option<String>) -> Vec<String> {
    let mut out = Vec::new();
    for cited in evidence {
        let (Some(file), Some(stated)) = (cited["file"].as_str(), cited["sha256"].as_str()) else {
            continue;
        };
        let text = match sum(file) {
            None => format!("{file}: not among these logs"),
            Some(found) if found != stated => format!("{file}: its content has changed"),
            Some(_) => continue,
        };
        if !out.contains(&text) {
            out.push(text);
        }
    }
    out
}
