//! aggregate: how much did each interface send to whom, and when?
//!
//! Records become sums in per-worker hash tables, tables are merged, and one sorted [`EgressTable`] comes out. Any split
//! of the input over files, threads or runs gives the same table.

mod bins;
pub mod cells;
mod copies;
pub mod counter;
pub mod filter;
pub mod finish;
mod examples;
mod formats;
pub mod ingest;
pub mod interner;
pub mod key;
mod logs;
pub mod outcome;
mod parted;
mod pieces;
pub mod places;
pub mod raw;
pub mod rejects;
mod roles;
mod rules;
pub mod samples;
pub mod shelf;
pub mod spill;
mod sides;
mod sinks;
pub mod stats;
mod stream;
pub mod table;
pub mod tally;
pub mod top;
pub mod vantage;
pub mod watch;
mod way;
pub mod workers;

pub use counter::{Counter, Counting, Places};
pub use filter::Filter;
pub use finish::finish;
pub use formats::Formats;
pub use ingest::{Ingest, Progress, ingest, read_into};
pub use key::Grain;
pub use outcome::Outcome;
pub use places::WithEndpoints;
pub use rejects::RejectLog;
pub use rules::{LeftOut, Rules};
pub use shelf::{Facts, Shelf, Summed};
pub use spill::Memory;
pub use stats::ScanStats;
pub use table::{Direction, EgressTable, Interface, Peer, Role, Row, Sample, Volume};
pub use tally::{Reading, Tally};
pub use top::Top;
pub use vantage::{Sign, Vantage};
pub use watch::{FileFacts, FlowLogs, Presence, Seen, Watching};
