//! What a detector of the trail's side says: this caller, these rows, for these reasons.
//!
//! One signal alone is at most MEDIUM: it takes a second kind of evidence, and bytes that moved, to make it worse.

use crate::detect::Severity;
use crate::detect::finding::Expectation;

/// One detector's word on one caller's day.
#[derive(Debug, Clone)]
pub struct TrailSignal {
    /// Its rule.
    pub rule: &'static str,
    /// Index into the day's actors.
    pub actor: usize,
    /// What kind of evidence it is.
    pub aspect: Aspect,
    /// How bad it is by itself.
    pub severity: Severity,
    /// Decades beyond what is usual, for ranking.
    pub surprise: f64,
    /// Cited rows of the index.
    pub rows: Vec<u32>,
    /// Beside what was expected.
    pub expected: Option<Expectation>,
    /// The ledger's channel.
    pub channel: &'static str,
    /// Plain sentences.
    pub reasons: Vec<String>,
}

/// What kind of evidence a signal is; different kinds speak for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Somebody else's list names the caller's address.
    Listed,
    /// The credentials are not where they belong.
    Stolen,
    /// The caller comes from where it never came from.
    Place,
    /// Data moved as it never did.
    Moved,
    /// Data was destroyed.
    Destroyed,
    /// Somebody looked around.
    Recon,
    /// Data was opened to others.
    Exposed,
    /// Logging was made worse.
    Tampered,
}

/// Reads, from outside of the network.
pub const API_READS: &str = "out-of-VPC API reads";
/// Reads and writes of own buckets from inside.
pub const OWN_S3: &str = "own S3";
/// Writes into buckets of others.
pub const FOREIGN_S3: &str = "foreign S3";
/// Copies inside S3.
pub const SERVER_COPY: &str = "server-side copy";
/// No data by itself.
pub const CONTROL: &str = "control plane";

impl TrailSignal {
    /// A signal without sentences.
    pub fn new(rule: &'static str, actor: usize, aspect: Aspect, severity: Severity, rows: Vec<u32>) -> Self {
        TrailSignal {
            rule,
            actor,
            aspect,
            severity,
            surprise: 0.0,
            rows,
            expected: None,
            channel: OWN_S3,
            reasons: Vec::new(),
        }
    }

    /// In this channel of the ledger.
    #[must_use]
    pub fn channel(mut self, channel: &'static str) -> Self {
        self.channel = channel;
        self
    }

    /// With one more sentence.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }

    /// So many decades beyond the usual.
    #[must_use]
    pub fn surprise(mut self, decades: f64) -> Self {
        self.surprise = decades.clamp(0.0, 6.0);
        self
    }
}
