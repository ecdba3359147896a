//! `unusual-port`: bulk data to a service that neither this interface nor hardly anybody in the fleet ever used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::aggregate::{Direction, Role, Row};
use crate::baseline::{ActorDay, Channel, DayView, Novelty, channel};
use crate::net::human_bytes;

/// The detector.
pub struct UnusualPort;

/// Parameters of `unusual-port`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// A port that at most so many other interfaces have sent to is unusual.
    pub users: usize,
    /// Decades of surprise from which a port is cited.
    pub surprise: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            users: 1,
            surprise: 1.5,
        }
    }
}

impl Detector for UnusualPort {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "unusual-port",
            title: "Bulk data sent to a port never used before",
            techniques: &["T1571"],
            guardduty: Some("Behavior:EC2/NetworkPortUnusual"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate().filter(|(_, a)| !a.young) {
            for (service, (bytes, cells)) in services(view, actor) {
                out.extend(judge(view, index, actor, (service, bytes, cells), settings));
            }
        }
        out
    }
}

/// Bytes and cells to strangers by service (protocol × 65,536 + port), of connections that the interface opened.
fn services(view: &DayView<'_>, actor: &ActorDay<'_>) -> BTreeMap<u32, (u64, Vec<u32>)> {
    let mut out: BTreeMap<u32, (u64, Vec<u32>)> = BTreeMap::new();
    let opened = |row: &Row| row.direction == Direction::Egress && row.role == Role::Client;
    for (row, cell) in actor.rows.iter().zip(actor.first_row..).filter(|(r, _)| opened(r)) {
        if channel(view.table.peer(row), row.role) == Some(Channel::External) {
            let service = u32::from(row.protocol) << 16 | u32::from(row.port);
            let entry = out.entry(service).or_default();
            let bytes = u64::try_from(row.volume.bytes).unwrap_or(u64::MAX);
            entry.0 = entry.0.saturating_add(bytes);
            entry.1.push(cell);
        }
    }
    out
}

fn judge(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    (service, bytes, cells): (u32, u64, Vec<u32>),
    settings: &Settings,
) -> Option<Signal> {
    let own = &settings.unusual_port;
    let known = view.usual_service(actor, service) > 0.0;
    if bytes < settings.floor_bytes || known || view.service_users(service) > own.users {
        return None;
    }
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Place, bytes);
    if deviation.surprise < own.surprise {
        return None;
    }
    let name = match service >> 16 {
        6 => "TCP",
        17 => "UDP",
        _ => "protocol",
    };
    let mut reasons = vec![format!(
        "{} went to {name} port {}, which this interface had never sent to, nor hardly any other.",
        human_bytes(bytes.into()),
        service & 0xffff
    )];
    reasons.push(compared(&deviation, "day to one new destination"));
    reasons.extend(history(&deviation));
    Some(Signal::novel("unusual-port", index, cells, deviation, reasons))
}
