//! report: how is it told? One file per format.
//!
//! Whatever is written here comes from logs that attackers may have written: every format has one escaping function of its
//! own, and nothing else reaches the output.

pub mod agreement;
pub mod backtest;
pub mod coverage;
pub mod detail;
pub mod explain;
pub mod grid;
pub mod json;
pub mod run;
pub mod terminal;
pub mod verify;

pub use grid::{Cell, Grid};
pub use run::{Ledger, Run};
