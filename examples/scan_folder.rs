//! Scans a folder of flow logs, with CloudTrail if a second folder is given, and prints one line an incident.
//!
//! ```text
//! cargo run --example scan_folder -- samples/account/flow samples/account/trail
//! ```
//!
//! The library never prints: what a scan found, and what it could not read, are values.

#![allow(clippy::print_stdout, reason = "an example is a program")]

use flowtrail::detect::Settings;
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::{human_bytes, printable};
use flowtrail::scan::{self, Inputs};

fn main() -> flowtrail::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let inputs = Inputs {
        flows: args.next().into_iter().collect(),
        trail: args.collect(),
        ..Inputs::default()
    };
    let intel = Intel::load(&IntelOptions::default())?;
    let pool = scan::threads(0)?;
    let scanned = scan::scan(&inputs, &intel, &Settings::default(), &pool, &|_| Default::default())?;
    for incident in &scanned.incidents {
        let who = incident.principals.first().map_or("nobody known", |p| p.arn.as_str());
        println!(
            "{:8} {:>8}  {}  by {}",
            incident.severity.as_str(),
            human_bytes(incident.bytes),
            incident.title,
            printable(who.as_bytes()),
        );
    }
    let lines = scanned.counted.stats.lines;
    println!("{} lines, {} rejected", lines.lines, lines.rejected);
    Ok(())
}
