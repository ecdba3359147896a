//! flow: what does this line of a flow log say?
//!
//! In: bytes, from a map, an inflated buffer or a test. Out: borrowed [`FlowRecord`]s, or the [`Fault`] of a line.

mod column;
pub mod counts;
pub mod field;
pub mod format;
pub mod lines;
mod listed;
pub mod literal;
pub mod record;
pub mod rows;
pub mod sift;
mod simd;
mod split;
mod tokens;
pub mod value;

pub use counts::LineCounts;
pub use field::{FIELDS, Field, FieldInfo, Kind};
pub use format::{Column, LogFormat};
pub use lines::{LineReader, Reject, Sink};
pub(crate) use listed::Listed;
pub use literal::Literal;
pub use record::{Action, Fault, FlowDirection, FlowRecord, LogStatus, Reason};
pub use rows::{Columns, MISSING, Rows, TextTable};
pub use sift::Sieve;
pub(crate) use simd::{Wide, ask_for, wide};
