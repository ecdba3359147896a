//! A detector of one's own, run over a scan: uploads to the outside between midnight and five.
//!
//! ```text
//! cargo run --example custom_detector -- samples/account/flow
//! ```
//!
//! A detector sees one day of counted traffic beside what was known before it, and no files, options, clocks or threads.
//! CONTRIBUTING.md says how one becomes part of flowtrail.

#![allow(clippy::print_stdout, reason = "an example is a program")]

use flowtrail::aggregate::{Direction, EgressTable, Role, Row};
use flowtrail::baseline::{Baseline, Day, DayView, Learning, Places, Profiles, day_of};
use flowtrail::detect::{Detector, Kind, Meta, Settings, Signal};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::{Class, HOUR, human_bytes};
use flowtrail::scan::{self, Inputs};
use std::collections::BTreeMap;

/// The detector.
struct NightUpload {
    least_bytes: u128,
}

impl Detector for NightUpload {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "night-upload",
            title: "Data sent out at night",
            techniques: &["T1029"],
            guardduty: None,
        }
    }

    fn detect(&self, view: &DayView<'_>, _: &Settings) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            let rows = (actor.first_row..).zip(actor.rows);
            let night: Vec<(u32, &Row)> = rows.filter(|(_, r)| is_upload_at_night(view.table, r)).collect();
            let bytes: u128 = night.iter().map(|(_, r)| r.volume.bytes).sum();
            if bytes >= self.least_bytes {
                signals.push(Signal {
                    rule: self.meta().id,
                    actor: index,
                    kind: Kind::Pattern,
                    surprise: 0.0,
                    cells: night.iter().map(|(cell, _)| *cell).collect(),
                    portions: BTreeMap::new(),
                    deviation: None,
                    reasons: vec![format!("{} left between midnight and five.", human_bytes(bytes))],
                });
            }
        }
        signals
    }
}

fn is_upload_at_night(table: &EgressTable, row: &Row) -> bool {
    let outside = table.peer(row).class == Class::External;
    let hour_of_day = row.hour / HOUR % 24;
    outside && row.direction == Direction::Egress && row.role == Role::Client && hour_of_day < 5
}

fn main() -> flowtrail::Result<()> {
    let inputs = Inputs {
        flows: std::env::args_os().skip(1).collect(),
        ..Inputs::default()
    };
    let intel = Intel::load(&IntelOptions::default())?;
    let pool = scan::threads(0)?;
    let scanned = scan::scan(&inputs, &intel, &Settings::default(), &pool, &|_| Default::default())?;

    let table = &scanned.counted.table;
    let places = Places::of(table);
    let known = Baseline::default();
    let profiles = Profiles::replay(&known, Learning::default());
    let detector = NightUpload { least_bytes: 1_000_000 };
    for (day, slices) in days(table) {
        let view = DayView::new(table, &places, day, slices, &known, &profiles);
        for signal in detector.detect(&view, &Settings::default()) {
            let who = view.actors.get(signal.actor).map_or("-", |a| a.id);
            println!("day {day}  {who}  {}", signal.reasons.join(" "));
        }
    }
    Ok(())
}

/// The rows of each interface on each day, with the index of the first: rows are sorted by interface and hour.
fn days(table: &EgressTable) -> BTreeMap<Day, Vec<(u32, &[Row])>> {
    let mut days: BTreeMap<Day, Vec<(u32, &[Row])>> = BTreeMap::new();
    let mut first = 0;
    let alike = |a: &Row, b: &Row| a.interface == b.interface && day_of(a.hour) == day_of(b.hour);
    for rows in table.rows.chunk_by(alike) {
        days.entry(day_of(rows[0].hour)).or_default().push((first, rows));
        first += rows.len() as u32;
    }
    days
}
