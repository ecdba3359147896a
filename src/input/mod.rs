//! input: which bytes are there to read, and are they whole?
//!
//! Paths become [`Source`]s, sources become bytes: mapped, read or inflated. Nobody downstream knows which.

pub mod archive;
mod blocks;
pub mod brackets;
mod gathering;
pub mod gzip;
pub mod layout;
pub mod mmap;
mod open;
pub mod reader;
pub mod remote;
pub mod sources;
mod stream;
mod whole;
mod zstd;

pub(crate) use archive::os_text;
pub use archive::{Archive, Family, PassedOver, Problem, Source};
pub(crate) use blocks::Blocks;
pub use layout::{LogKind, LogName};
pub use open::Change;
pub(crate) use open::regular;
pub use reader::{Bytes, Content, Fingerprint, ReadOptions, Reader};
pub use remote::{Again, Object, Pieces, RemoteOptions};
pub use sources::Sources;
pub use stream::{Block, Stream};
