//! intake: what did other tools say of the same account?
//!
//! Amazon GuardDuty's and Amazon Macie's findings, in every wrapping that they travel in, become [`SideFinding`]s: type,
//! severity, resources, principal, addresses and times, nothing more. [`Subject::claims`] tells whether such a finding is
//! about one of our incidents, by key, host, address, person, bucket and time. What buckets hold is [`Sensitive`].

mod file;
mod finding;
mod guardduty;
mod join;
mod macie;
mod types;
mod wrap;

pub use file::SideFindings;
pub use finding::{Level, SideFinding, Tool};
pub use join::{Link, Subject, best};
pub use macie::{Held, Sensitive};
pub use types::{Ground, KNOWN, TypeName};
