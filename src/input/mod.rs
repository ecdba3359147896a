//! input: which bytes are there to read, and are they whole?
//!
//! Paths become [`Source`]s, sources become bytes: mapped, read or inflated. Nobody downstream knows which.

pub mod archive;
pub mod gzip;
pub mod layout;
pub mod mmap;
pub mod reader;
mod whole;

pub use archive::{Archive, Family, PassedOver, Problem, Source};
pub use layout::{LogKind, LogName};
pub use reader::{Block, Bytes, Content, Fingerprint, ReadOptions, Reader, Stream};
