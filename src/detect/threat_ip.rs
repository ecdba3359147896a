//! `threat-ip`: an interface opens connections to an address on a threat list.
//!
//! Scanners stand on such lists too and knock at every door: answers to them, and connections that carry next to nothing,
//! are not reported.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::listed::listed_cells;
use super::signal::Signal;
use super::{Detector, Meta, Settings};
use crate::baseline::DayView;
use crate::net::{human_bytes, printable};

/// The detector.
pub struct ThreatIp;

/// Parameters of `threat-ip`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Beginning of the labels that threat lists give.
    pub prefix: String,
    /// Fewer bytes than this in a day are a handshake, not a conversation.
    pub least_bytes: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            prefix: "threat:".to_owned(),
            least_bytes: 10_000,
        }
    }
}

impl Detector for ThreatIp {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "threat-ip",
            title: "Data sent to an address on a threat list",
            techniques: &["T1071"],
            guardduty: Some("UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let own = &settings.threat_ip;
        let listed = |label: &str| label.starts_with(&own.prefix);
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            for found in listed_cells(view, actor, &listed, own.least_bytes) {
                let reason = format!(
                    "{} were sent to {} address(es) on the threat list {}, by connections that this side opened.",
                    human_bytes(found.bytes),
                    found.peers,
                    names(view, &found.cells, &own.prefix)
                );
                out.push(Signal::listed("threat-ip", index, found, reason));
            }
        }
        out
    }
}

/// The names of the lists that name the cells' peers.
fn names(view: &DayView<'_>, cells: &[u32], prefix: &str) -> String {
    let rows = cells.iter().filter_map(|c| view.table.rows.get(*c as usize));
    let lists: BTreeSet<&str> = rows
        .flat_map(|r| &view.table.peer(r).labels)
        .filter_map(|l| l.strip_prefix(prefix))
        .collect();
    let lists: Vec<String> = lists.into_iter().map(|l| printable(l.as_bytes())).collect();
    lists.join(", ")
}
