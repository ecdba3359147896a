//! coverage: what can the archive and the account's logging show, and what can they not?
//!
//! From file names, the collectors of `aggregate`, the trail's index and the inventory follow tables that a person can act
//! on: flow logs with the files that are missing ([`LogCoverage`]), interfaces that fell silent or lost records
//! ([`InterfaceCoverage`]), buckets without data events ([`BucketCoverage`]), digests ([`digest::DigestReport`]), and what
//! the account lacks altogether ([`Prerequisite`]). Every incident carries a [`Claim`] made from the same numbers.

mod buckets;
mod claim;
pub mod digest;
mod interfaces;
mod logs;
mod prerequisites;
mod selectors;
mod slots;
mod survey;

pub use buckets::{BucketCoverage, buckets};
pub use claim::{Claim, Claims};
pub use interfaces::{InterfaceCoverage, State, interfaces};
pub use logs::{LogCoverage, Traffic, logs};
pub use prerequisites::{Facts, Grade, Prerequisite, prerequisites};
pub use selectors::{Scope, Selectors};
pub use slots::{Gap, Slots};
pub use survey::{Coverage, Follow, Inputs, survey};
