//! Who met this address? A case card as JSON.
//!
//! ```text
//! cargo run --example lookup_address -- 93.175.146.77 samples/account/flow samples/account/trail
//! ```
//!
//! Raw bytes are searched first; only lines that hold the address are parsed.

#![allow(clippy::print_stdout, reason = "an example is a program")]

use flowtrail::Error;
use flowtrail::aggregate::{Filter, Ingest, Progress};
use flowtrail::input::{Archive, Family};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::lookup::{Estate, Key, Request, Sources, look_up};
use flowtrail::net::TimeWindow;
use flowtrail::scan::{self, Inputs};

fn main() -> flowtrail::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let key = args
        .next()
        .ok_or_else(|| Error::usage("give an address and a folder of flow logs"))?;
    let flows: Vec<_> = args.next().into_iter().collect();
    let inputs = Inputs {
        trail: args.collect(),
        ..Inputs::default()
    };
    let pool = scan::threads(0)?;
    let (known, _) = scan::known(&inputs, &pool)?;
    let request = Request {
        keys: vec![Key::parse(&key.to_string_lossy())?],
        filter: Filter::default(),
        records: false,
        pivot: false,
        slow: false,
    };
    let sources = Sources {
        flows: Some(&Archive::discover(&flows, Family::FlowLogs)?),
        index: None,
        ingest: &Ingest::default(),
        estate: Estate {
            index: &known.index,
            inventory: &known.inventory,
            has_trail: known.has_trail,
            window: TimeWindow::ALL,
        },
        objects: &Default::default(),
        trail: None,
        intel: &Intel::load(&IntelOptions::default())?,
    };
    for card in look_up(&request, &sources, &pool, &Progress::default())?.cards {
        println!("{}", serde_json::to_string_pretty(&card).unwrap_or_default());
    }
    Ok(())
}
