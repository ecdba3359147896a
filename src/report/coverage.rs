//! Coverage as tables: one grid a question, the same rows for people and machines.

use crate::coverage::{BucketCoverage, Coverage, Gap, InterfaceCoverage, LogCoverage, State};
use crate::net::{Seconds, rfc3339};
use crate::report::grid::{Cell, Grid, grouped};

/// A table with its name and a line for people.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name: the key in JSON, the value of `--table`.
    pub name: &'static str,
    /// What it says in sum.
    pub headline: String,
    /// The rows.
    pub grid: Grid,
}

/// Names of all tables, in their order.
pub const SECTIONS: [&str; 7] = [
    "prerequisites",
    "flow-logs",
    "gaps",
    "skipdata",
    "interfaces",
    "buckets",
    "digests",
];

/// All tables. `brief` leaves out interfaces that are as they should be.
pub fn sections(c: &Coverage, brief: bool) -> Vec<Section> {
    vec![
        prerequisites(c),
        logs(c),
        gaps(c),
        skipdata(c),
        interfaces(c, brief),
        buckets(c),
        digests(c),
    ]
}

fn text(t: impl Into<String>) -> Cell {
    Cell::Text(t.into())
}

fn count(n: u64) -> Cell {
    Cell::Count(n.into())
}

fn some(t: &str) -> Cell {
    if t.is_empty() { Cell::None } else { text(t) }
}

fn time(t: Seconds) -> Cell {
    text(rfc3339(t))
}

fn times(span: Option<(Seconds, Seconds)>) -> [Cell; 2] {
    span.map_or([Cell::None, Cell::None], |(a, b)| [time(a), time(b)])
}

fn prerequisites(c: &Coverage) -> Section {
    let mut grid = Grid::new(&["prerequisite", "state", "found", "cost"]);
    for p in &c.prerequisites {
        let cost = if p.grade == crate::coverage::Grade::Met {
            Cell::None
        } else {
            text(p.cost)
        };
        grid.rows
            .push(vec![text(&p.what), text(p.grade.as_str()), text(p.found.clone()), cost]);
    }
    let lacking = c
        .prerequisites
        .iter()
        .filter(|p| p.grade != crate::coverage::Grade::Met);
    let headline = format!("{} of {} prerequisites not met", lacking.count(), c.prerequisites.len());
    Section {
        name: "prerequisites",
        headline,
        grid,
    }
}

fn logs(c: &Coverage) -> Section {
    let mut grid = Grid::new(&[
        "flow_log",
        "account",
        "region",
        "resource",
        "traffic",
        "files",
        "copies",
        "damaged",
        "cadence",
        "expected",
        "present",
        "missing",
        "first_file",
        "last_file",
        "note",
    ]);
    for log in &c.logs {
        grid.rows.push(log_row(log));
    }
    Section {
        name: "flow-logs",
        headline: format!("{} flow logs", c.logs.len()),
        grid,
    }
}

fn log_row(log: &LogCoverage) -> Vec<Cell> {
    let slots = &log.slots;
    let told = |n: u64| if slots.steady { count(n) } else { Cell::None };
    let stamps = times((slots.last > 0).then_some((slots.first, slots.last)));
    let mut row = vec![
        text(&log.id),
        some(&log.account),
        some(&log.region),
        some(log.resource.as_deref().unwrap_or_default()),
        text(log.traffic.as_str()),
        count(log.files),
        count(log.copies),
        count(log.damaged),
        slots.cadence.map_or(Cell::None, count),
        told(slots.expected),
        told(slots.present),
        told(slots.gaps.iter().map(|g| g.files).sum()),
    ];
    row.extend(stamps);
    row.push(some(&note(log)));
    row
}

fn note(log: &LogCoverage) -> String {
    let mut notes = Vec::new();
    if log.files == 0 {
        notes.push("no file of it".to_string());
    } else if log.slots.cadence.is_none() {
        notes.push("too few dated files to tell what is missing".into());
    } else if !log.slots.steady {
        notes.push("irregular: a quiet slot is not told from a missing file".into());
    }
    if log.traffic.is_blind() {
        notes.push("nothing that left is in it".into());
    }
    if let Some(before) = log.ended_before {
        notes.push(format!(
            "ends {} minutes before the archive",
            grouped(u128::from(before / 60))
        ));
    }
    notes.join("; ")
}

fn gaps(c: &Coverage) -> Section {
    let mut grid = Grid::new(&[
        "flow_log",
        "first_file",
        "last_file",
        "every",
        "files",
        "records_from",
        "records_to",
    ]);
    let all = c.logs.iter().flat_map(|l| l.slots.gaps.iter().map(move |g| (l, g)));
    for (log, gap) in all.clone() {
        let every = log.slots.cadence.map_or(Cell::None, count);
        let Gap {
            first,
            last,
            files,
            records,
        } = *gap;
        grid.rows.push(vec![
            text(&log.id),
            time(first),
            time(last),
            every,
            count(files),
            time(records.from),
            time(records.to),
        ]);
    }
    let files: u64 = all.map(|(_, g)| g.files).sum();
    Section {
        name: "gaps",
        headline: format!("{} files missing in {} gaps", grouped(files.into()), grid.rows.len()),
        grid,
    }
}

fn skipdata(c: &Coverage) -> Section {
    let mut grid = Grid::new(&["eni", "flow_logs", "from", "to", "seconds"]);
    for i in &c.interfaces {
        for w in &i.seen.lost {
            grid.rows.push(vec![
                text(&i.id),
                text(i.logs.join(" ")),
                time(w.from),
                time(w.to),
                count(w.to.saturating_sub(w.from)),
            ]);
        }
    }
    let seconds: u64 = c.interfaces.iter().map(|i| i.lost_seconds).sum();
    let headline = format!(
        "{} SKIPDATA windows, {} seconds in which AWS lost records",
        grid.rows.len(),
        grouped(seconds.into())
    );
    Section {
        name: "skipdata",
        headline,
        grid,
    }
}

fn interfaces(c: &Coverage, brief: bool) -> Section {
    let mut grid = Grid::new(&[
        "eni",
        "state",
        "flow_logs",
        "first_record",
        "last_record",
        "accept",
        "reject",
        "nodata",
        "skipdata",
        "skipdata_seconds",
    ]);
    let shown = |i: &&InterfaceCoverage| !brief || i.state != State::Live;
    for i in c.interfaces.iter().filter(shown) {
        let span = (i.seen.last > 0).then_some((i.seen.first, i.seen.last));
        let mut row = vec![text(&i.id), text(i.state.as_str()), some(&i.logs.join(" "))];
        row.extend(times(span));
        row.extend(
            [
                i.seen.accept,
                i.seen.reject,
                i.seen.nodata,
                i.seen.lost.len() as u64,
                i.lost_seconds,
            ]
            .map(count),
        );
        grid.rows.push(row);
    }
    let all = [State::Live, State::Silent, State::Gone, State::NotLogged];
    let of = |s: State| c.interfaces.iter().filter(|i| i.state == s).count();
    let words: Vec<String> = all.into_iter().map(|s| format!("{} {}", of(s), s.as_str())).collect();
    Section {
        name: "interfaces",
        headline: format!("{} interfaces: {}", c.interfaces.len(), words.join(", ")),
        grid,
    }
}

fn buckets(c: &Coverage) -> Section {
    let mut grid = Grid::new(&[
        "bucket",
        "selected",
        "data_events",
        "first_event",
        "last_event",
        "sensitive",
        "blind",
    ]);
    for b in &c.buckets {
        grid.rows.push(bucket_row(b));
    }
    let blind = c.buckets.iter().filter(|b| b.is_blind()).count();
    Section {
        name: "buckets",
        headline: format!("{} buckets, {blind} whose downloads leave no trace", c.buckets.len()),
        grid,
    }
}

fn bucket_row(b: &BucketCoverage) -> Vec<Cell> {
    let mut row = vec![
        text(&b.name),
        b.selected.map_or(text("not known"), |s| text(s.as_str())),
        count(b.events),
    ];
    row.extend(times(b.span));
    row.push(some(&b.sensitive.join(" ")));
    row.push(text(if b.is_blind() { "yes" } else { "no" }));
    row
}

fn digests(c: &Coverage) -> Section {
    let mut grid = Grid::new(&["fault", "file", "why"]);
    let headline = match &c.digests {
        None => "no CloudTrail digest".to_string(),
        Some(d) => {
            for f in &d.faults {
                grid.rows.push(vec![text(f.kind.as_str()), text(&f.file), text(&f.why)]);
            }
            format!(
                "{} digests: {} of {} log files intact, {} faults; unsigned (hashes and links are checked, signatures are not)",
                d.digests,
                grouped(d.intact.into()),
                grouped(d.named.into()),
                d.faults.len()
            )
        }
    };
    Section {
        name: "digests",
        headline,
        grid,
    }
}
