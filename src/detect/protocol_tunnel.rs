//! `protocol-tunnel`: bulk data over a protocol that is made for questions: DNS, NTP or ICMP.
//!
//! A resolver or a forwarder sends much over port 53 every day and is judged by that. A host that never did, and now sends
//! as much as a transfer, hides one. Questions to the VPC's own resolver are not in flow logs and cannot be seen here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signal::Signal;
use super::{Detector, Meta, Settings};
use crate::aggregate::{Direction, Role, Row};
use crate::baseline::{ActorDay, DayView};
use crate::net::human_bytes;

/// The detector.
pub struct ProtocolTunnel;

/// Parameters of `protocol-tunnel`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Fewer bytes than this in a day are questions. 10 MB are 100,000 questions of 100 bytes, to one place.
    pub least_bytes: u64,
    /// So many times what the interface usually sends in a day over this protocol.
    pub times: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            least_bytes: 10_000_000,
            times: 10.0,
        }
    }
}

impl Detector for ProtocolTunnel {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "protocol-tunnel",
            title: "Bulk data sent over a protocol made for questions",
            techniques: &["T1048.003", "T1572"],
            guardduty: Some("Trojan:EC2/DNSDataExfiltration"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            for (service, (bytes, cells)) in carriers(view, actor) {
                out.extend(judge(view, index, actor, service, (bytes, cells), settings));
            }
        }
        out
    }
}

type Carried = (u128, Vec<u32>);

/// Bytes and cells to strangers over each question protocol, by protocol × 65,536 + port.
fn carriers(view: &DayView<'_>, actor: &ActorDay<'_>) -> BTreeMap<u32, Carried> {
    let mut out: BTreeMap<u32, Carried> = BTreeMap::new();
    let outbound = |row: &Row| row.direction == Direction::Egress && row.role != Role::Server;
    for (row, cell) in actor.rows.iter().zip(actor.first_row..).filter(|(r, _)| outbound(r)) {
        if name(row.protocol, row.port).is_some() && view.table.peer(row).class.is_egress() {
            let entry = out
                .entry(u32::from(row.protocol) << 16 | u32::from(row.port))
                .or_default();
            entry.0 += row.volume.bytes;
            entry.1.push(cell);
        }
    }
    out
}

/// The name of a question protocol.
fn name(protocol: u8, port: u16) -> Option<&'static str> {
    match (protocol, port) {
        (6 | 17, 53) => Some("DNS (port 53)"),
        (17, 123) => Some("NTP (port 123)"),
        (1 | 58, _) => Some("ICMP"),
        _ => None,
    }
}

fn judge(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    service: u32,
    (bytes, cells): Carried,
    settings: &Settings,
) -> Option<Signal> {
    let own = &settings.protocol_tunnel;
    let name = name((service >> 16) as u8, (service & 0xffff) as u16)?;
    // In a fleet's first week a young interface may as well be the forwarder.
    if actor.young && view.profiles.days() < view.profiles.learning.full_history {
        return None;
    }
    let usual = view.usual_service(actor, service);
    if bytes < own.least_bytes.into() || (bytes as f64) < own.times * usual {
        return None;
    }
    let heavy = heavy(view, &cells, bytes);
    let usual = if usual < 1_000.0 {
        "nothing".to_owned()
    } else {
        human_bytes(usual as u128)
    };
    let reason = format!(
        "{} were sent over {name} in a day, which is made for short questions; this interface usually sends {usual}.",
        human_bytes(bytes)
    );
    Some(Signal::pattern("protocol-tunnel", index, heavy, vec![reason]))
}

/// The cells of the peers that got at least a hundredth of the bytes: everyday questions are not cited.
fn heavy(view: &DayView<'_>, cells: &[u32], bytes: u128) -> Vec<u32> {
    let mut peers: BTreeMap<u32, u128> = BTreeMap::new();
    let row = |cell: &u32| view.table.rows.get(*cell as usize);
    for row in cells.iter().filter_map(row) {
        *peers.entry(row.peer).or_default() += row.volume.bytes;
    }
    let wanted = |cell: &u32| row(cell).is_some_and(|r| peers.get(&r.peer).is_some_and(|b| b * 100 >= bytes));
    cells.iter().copied().filter(wanted).collect()
}
