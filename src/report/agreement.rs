//! How GuardDuty's findings and our incidents agree: both, only ours, only theirs.
//!
//! One row a finding, in order of time, with the incident that it is about; then one row for every incident that GuardDuty
//! did not tell of. Without a result there is nothing to agree with, and the column says so.

use serde_json::Value;

use crate::intake::{SideFinding, SideFindings, Subject, Tool, best};
use crate::net::{parse_rfc3339, rfc3339};
use crate::report::grid::{Cell, Grid};

/// What a row says of agreement.
pub const BOTH: &str = "both";
/// No finding of GuardDuty's.
pub const ONLY_OURS: &str = "only ours";
/// No incident of ours.
pub const ONLY_THEIRS: &str = "only theirs";

/// Columns of the table.
const COLUMNS: [&str; 11] = [
    "type",
    "current_type",
    "severity",
    "bucket",
    "action",
    "first_seen",
    "last_seen",
    "agreement",
    "incident",
    "by",
    "id",
];

/// The table; `result` is what `scan --format json` wrote.
pub fn agreement(side: &SideFindings, result: Option<&Value>) -> Grid {
    let subjects: Vec<Subject> = result.map(subjects).unwrap_or_default();
    let mut grid = Grid::new(&COLUMNS);
    let mut told = vec![false; subjects.len()];
    for finding in side.of(Tool::GuardDuty) {
        let found = best(&subjects, finding);
        let about = found.and_then(|(n, link)| Some((subjects.get(n)?, link)));
        if let Some(slot) = found.and_then(|(n, _)| told.get_mut(n)) {
            *slot = true;
        }
        let word = match (result.is_some(), &about) {
            (false, _) => None,
            (true, Some(_)) => Some(BOTH),
            (true, None) => Some(ONLY_THEIRS),
        };
        let mut row = cells(finding);
        row.push(text(word));
        row.push(text(about.map(|(s, _)| s.id.as_str())));
        row.push(text(about.map(|(_, link)| link.as_str())));
        row.push(text(Some(&finding.id)));
        grid.rows.push(row);
    }
    let ours = subjects.iter().zip(told).filter(|(_, told)| !told);
    grid.rows.extend(ours.map(|(s, _)| only_ours(s, result)));
    grid
}

/// The numbers of both, only ours, only theirs, in one sentence.
pub fn summary(grid: &Grid) -> String {
    let at = grid.columns.iter().position(|c| c == "agreement").unwrap_or(0);
    let count = |word: &str| {
        let is = |r: &&Vec<Cell>| matches!(r.get(at), Some(Cell::Text(t)) if t == word);
        grid.rows.iter().filter(is).count()
    };
    let (both, ours, theirs) = (count(BOTH), count(ONLY_OURS), count(ONLY_THEIRS));
    format!("both {both}, only ours {ours}, only theirs {theirs}")
}

fn text(t: Option<&str>) -> Cell {
    t.filter(|t| !t.is_empty())
        .map_or(Cell::None, |t| Cell::Text(t.to_owned()))
}

fn cells(f: &SideFinding) -> Vec<Cell> {
    let current = (f.kind.current() != f.kind.plain()).then(|| f.kind.current());
    let mut severity = format!("{} {}", f.level.as_str(), f.score);
    if f.sample {
        severity += " (sample)";
    } else if f.archived {
        severity += " (archived)";
    }
    let span = f.span();
    vec![
        text(Some(f.kind.plain())),
        text(current),
        text(Some(&severity)),
        text(Some(&f.buckets.join(" "))),
        text(f.action.as_deref()),
        text(span.map(|s| rfc3339(s.from)).as_deref()),
        text(span.map(|s| rfc3339(s.to.saturating_sub(1))).as_deref()),
    ]
}

fn only_ours(s: &Subject, result: Option<&Value>) -> Vec<Cell> {
    let incidents = result.and_then(|r| r["incidents"].as_array());
    let incident = incidents.into_iter().flatten().find(|i| i["id"] == s.id.as_str());
    let of = |key: &str| incident.and_then(|i| i[key].as_str());
    let buckets: Vec<&str> = s.buckets.iter().map(String::as_str).collect();
    vec![
        text(of("rule")),
        Cell::None,
        text(of("severity")),
        text(Some(&buckets.join(" "))),
        Cell::None,
        text(of("first_seen")),
        text(of("last_seen")),
        text(Some(ONLY_OURS)),
        text(Some(&s.id)),
        Cell::None,
        Cell::None,
    ]
}

/// The incidents of a result, as far as findings can be joined to them.
fn subjects(result: &Value) -> Vec<Subject> {
    let all = result["incidents"].as_array().into_iter().flatten();
    all.map(subject).collect()
}

fn subject(i: &Value) -> Subject {
    let own = |v: &Value| v.as_str().map(str::to_owned);
    let time = |key: &str| i[key].as_str().and_then(parse_rfc3339).unwrap_or(0);
    let list = |key: &str| i[key].as_array().into_iter().flatten();
    let addrs = list("source_ips").chain(list("destinations").map(|d| &d["ip"]));
    let mut out = Subject {
        id: own(&i["id"]).unwrap_or_default(),
        first_seen: time("first_seen"),
        last_seen: time("last_seen"),
        account: own(&i["account"]),
        hosts: [&i["eni"], &i["instance"]].into_iter().filter_map(own).collect(),
        addrs: addrs.filter_map(|a| a.as_str()?.parse().ok()).collect(),
        buckets: list("buckets").filter_map(|b| own(&b["name"])).collect(),
        ..Subject::default()
    };
    for p in list("principals").filter(|p| p["class"] != "ambiguous" && p["class"] != "weak") {
        out.add_person(p["arn"].as_str().unwrap_or_default(), p["access_key"].as_str());
    }
    out
}
