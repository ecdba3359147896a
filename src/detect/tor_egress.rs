//! `tor-egress`: an interface opens connections into the Tor network.
//!
//! Whoever uses Tor talks to a guard, a directory authority or another relay. A list of *exits* names those who come out of
//! Tor towards us; that a host answers them is a visitor, and not this rule's business.

use serde::Deserialize;

use super::signal::Signal;
use super::{Detector, Meta, Settings};
use crate::aggregate::{Direction, Role, Row};
use crate::baseline::{ActorDay, DayView};
use crate::net::human_bytes;

/// The detector.
pub struct TorEgress;

/// Parameters of `tor-egress`.
#[derive(Debug, Clone, Deserialize)]
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
        view.actors
            .iter()
            .enumerate()
            .filter_map(|(index, actor)| {
                let (cells, bytes, peers) = listed_cells(view, actor, &listed, own.least_bytes)?;
                let reason = format!(
                    "{} were sent to {peers} Tor relay(s), by connections that this side opened.",
                    human_bytes(bytes)
                );
                Some(Signal::listed("tor-egress", index, cells, vec![reason]))
            })
            .collect()
    }
}

/// The egress cells of an interface, as a client, to peers with a wanted label, if they carry enough; bytes; peers.
pub(super) fn listed_cells(
    view: &DayView<'_>,
    actor: &ActorDay<'_>,
    wanted: &dyn Fn(&str) -> bool,
    least_bytes: u64,
) -> Option<(Vec<u32>, u128, usize)> {
    let outbound = |row: &Row| row.direction == Direction::Egress && row.role != Role::Server;
    let mut cells = Vec::new();
    let mut bytes = 0u128;
    let mut peers = std::collections::BTreeSet::new();
    for (row, cell) in actor.rows.iter().zip(actor.first_row..) {
        if outbound(row) && view.table.peer(row).labels.iter().any(|l| wanted(l)) {
            cells.push(cell);
            bytes += row.volume.bytes;
            peers.insert(row.peer);
        }
    }
    (bytes >= least_bytes.into()).then_some((cells, bytes, peers.len()))
}
