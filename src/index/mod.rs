//! index: where in the archive does this address stand, and how much was it each hour, without reading the archive?
//!
//! A folder beside the archive. Every step of building adds a segment: what became of its files, sums of their records by
//! the hour as plain Parquet that other engines can query, and for each address and interface the files and rows that hold
//! it. One manifest says which segments count, keeps sums over the blocks of their files, and is replaced last, so a build that is killed leaves the old store or the
//! new one. No list is asked while building: the sums say what the records said, and are judged when they are read.

mod blocks;
pub mod build;
mod gather;
mod keys;
pub mod manifest;
mod now;
mod pages;
mod pairs;
mod part;
mod quiet;
mod runs;
mod seal;
pub mod shelf;
mod sums;
mod words;

pub use build::{Built, Options, build};
pub use manifest::{Manifest, Segment, StoredFile};
pub use now::{Now, Stamp};
pub use seal::Seal;
pub use shelf::{IndexShelf, Names, Wanted};
