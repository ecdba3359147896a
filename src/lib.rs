//! flowtrail finds data leaving an AWS account.
//!
//! ```text
//! input ─► flow ─► aggregate ─► baseline ─┐
//!            ▲         ▲                  ├─► attribute ─► detect ─► incident ─► report
//!          intel    inventory ◄── trail ──┘
//! ```
//!
//! Data runs one way. Each module below is a room with one question to answer; a room imports only rooms that stand
//! before it in this list (`tests/architecture.rs` keeps it so). `docs/architecture.md` walks through the house.

pub mod error;
pub mod net;

pub mod input;
pub mod flow;
pub mod forms;
pub mod intel;
pub mod inventory;
pub mod store;
pub mod aggregate;
pub mod baseline;
pub mod trail;
pub mod partial;
pub mod intake;
pub mod coverage;
pub mod attribute;
pub mod detect;
pub mod incident;
pub mod report;
pub mod notify;
pub mod contain;
pub mod index;
pub mod lookup;
pub mod r#gen;

pub mod scan;

pub use error::{Error, ErrorKind, Position, Result};
