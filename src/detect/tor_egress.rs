//! `tor-egress`: an interface opens connections into the Tor network.
//!
//! Whoever uses Tor talks to a guard, a directory authority or another relay. A list of *exits* names those who come out of
//! Tor towards us; that a host answers them is a visitor, and not this rule's business.

use serde::{Deserialize, Serialize};

use super::listed::listed_cells;
use super::signal::Signal;
use super::{Detector, Meta, Settings};
use crate::baseline::DayView;
use crate::net::human_bytes;

/// The detector.
pub struct TorEgress;

/// Parameters of `tor-egress`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Labels that mean: somebody who sends here is inside the Tor network.
    pub labels: Vec<String>,
    /// Fewer bytes than this in a day are a failed or a scanning connection. A Tor handshake alone takes about 10 kB.
    pub least_bytes: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        let labels = ["tor-guard", "tor-authority", "tor-relay"].map(str::to_owned).to_vec();
        Parameters {
            labels,
            least_bytes: 10_000,
        }
    }
}

impl Detector for TorEgress {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "tor-egress",
            title: "Data sent into the Tor network",
            techniques: &["T1090.003"],
            guardduty: Some("UnauthorizedAccess:EC2/TorClient"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let own = &settings.tor_egress;
        let listed = |label: &str| own.labels.iter().any(|l| l == label);
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            for found in listed_cells(view, actor, &listed, own.least_bytes) {
                let reason = format!(
                    "{} were sent to {} Tor relay(s), by connections that this side opened.",
                    human_bytes(found.bytes),
                    found.peers
                );
                out.push(Signal::listed("tor-egress", index, found, reason));
            }
        }
        out
    }
}
