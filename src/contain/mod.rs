//! contain: what can be done about it, for a person to review?
//!
//! From a result follow [`Plan`]s: controls with an explanation, what each needs, JSON documents and AWS CLI lines. Nothing is
//! ever applied. Every text in a document or a line passed a grammar of AWS's own ([`name`]); what did not is named as refused.
//! [`whatif`] replays an archive against a policy or a list of networks: what would it have stopped, and what would it break?

mod access;
mod alarm;
mod bucket_policy;
mod control;
mod egress;
mod endpoint_policy;
mod events;
mod facts;
mod macie_job;
pub mod name;
pub mod pattern;
mod plan;
mod shell;
pub mod whatif;
mod write;

pub use control::{Control, Document};
pub use facts::{Account, Bucket, Case, Endpoint, Person, Usual};
pub use plan::{ACCOUNT_CONTROLS, INCIDENT_CONTROLS, Options, Plan, plans};
pub use shell::{Command, quoted};
pub use write::{files, json, markdown, text};
