//! What if this had been in force? An archive replayed against a policy or a list of networks.
//!
//! Requests of the trail are judged one cell at a time by what the policy says of caller, call, bucket, endpoint and address;
//! flows by their far end. Three answers: stopped, allowed, unknown. A condition key that is not known here is named and makes
//! the answer unknown. Bytes to S3 that no event explains have no bucket; where no own bucket can have taken them, what the policy
//! says of everybody else's decides, and the answer says that this is inferred. Else they are unknown. Nothing is guessed.

mod calls;
mod elsewhere;
mod inferred;
mod judge;
mod networks;
mod policy;
mod replay;
mod tell;
mod wildcard;

use std::path::Path;

use crate::error::{Error, Result};

pub use inferred::Inferred;
pub use judge::{Request, judge};
pub use networks::{Networks, Rule};
pub use policy::{Policy, Scope, Statement};
pub use replay::{Answer, Archive, Line, Sums, Suspect, replay, suspects};
pub use tell::{json, text};

/// An answer that may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It would have passed.
    Allowed,
    /// It would have been refused.
    Stopped,
    /// What is known does not decide it.
    Unknown,
}

/// What is proposed.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// A policy on the S3 endpoints or on buckets.
    Policy(Policy),
    /// Networks that interfaces may send to.
    Networks(Networks),
}

impl Proposal {
    /// Reads a file: an IAM policy in JSON, permissions of a security group in JSON, or one network a line.
    ///
    /// # Errors
    /// `Usage`, naming what was expected.
    pub fn load(path: &Path, scope: Option<Scope>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot be read: {e}")).at(path))?;
        Self::parse(&text, scope).map_err(|e| e.at(path))
    }

    /// As [`Proposal::load`], of text.
    ///
    /// # Errors
    /// As [`Proposal::load`].
    pub fn parse(text: &str, scope: Option<Scope>) -> Result<Self> {
        let start = text.trim_start_matches('\u{feff}').trim_start();
        if start.starts_with('{') {
            return Policy::parse(start, scope).map(Proposal::Policy);
        }
        Networks::parse(start).map(Proposal::Networks)
    }
}
