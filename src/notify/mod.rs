//! notify: who must hear of it now, and has heard already?
//!
//! Incidents go to targets that the configuration file names: a pager, a chat, a web service, a log collector. Each kind is
//! one file and one line of [`KINDS`]; it makes the message, and `http.rs` or `tcp.rs` carries it. Secrets come from the
//! environment alone, and no message of ours repeats one.
//!
//! **Once.** A [`Journal`] on disk knows what was sent to whom. Every incident is written into it, as waiting, before the
//! first is sent; each is marked as begun before its first byte leaves, and as sent once the receiver has said so. A run
//! that is killed, or whose reply is lost, therefore leaves an incident that *may* have arrived, and only for such a one
//! there is a choice, the target's `if-unsure`: `repeat` (it is sent again, under the same key, so that PagerDuty and every
//! receiver that keeps ids makes one of the two; a person reads that it is a repetition) or `hold` (it is never sent twice,
//! and may be lost). What waits is sent by the next run, whatever that run reads.

mod deliver;
mod http;
mod journal;
mod notice;
mod pagerduty;
mod secret;
mod slack;
mod syslog;
mod target;
mod tcp;
mod webhook;

pub use deliver::{Answer, Carrier, Sender, Told, deliver};
pub use journal::{Entry, Journal};
pub use notice::Notice;
pub use target::{Target, Unsure};

use crate::error::Result;

/// The kinds of targets, in the order of the guide. A new one is a file with a [`Kind`], its `mod` line and one line here.
pub const KINDS: &[Kind] = &[pagerduty::KIND, webhook::KIND, slack::KIND, syslog::KIND];

/// What the environment says of a variable.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// A kind of targets.
#[derive(Debug)]
pub struct Kind {
    /// Its name, as `kind` has it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The keys of its table beside those that all kinds have.
    pub keys: &'static [&'static str],
    /// Makes what sends to a target, with secrets from the environment; nothing is sent yet.
    pub open: fn(&Target, &Environment<'_>) -> Result<Box<dyn Carrier>>,
}
