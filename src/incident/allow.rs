//! Announced transfers (`--allow`): what somebody said beforehand that he would send, where to, when and how much.
//!
//! An incident is set aside only if nearly all that it cites was announced: what else left in its cells must stay below the
//! byte floor, or an attacker would ride along. More than `max_bytes` in one transfer, and it is reported like any other,
//! with a sentence that says so.

use std::path::Path;

use ipnetwork::IpNetwork;

use super::entries::{Entry, inside, read};
use super::{ADJACENT, Hidden, Incident};
use crate::aggregate::{Direction, EgressTable, Row};
use crate::detect::DETECTORS;
use crate::error::Result;
use crate::net::{Seconds, TimeWindow, human_bytes, rfc3339};

/// Announced transfers.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    entries: Vec<Announced>,
}

/// One announced transfer.
#[derive(Debug, Clone)]
struct Announced {
    id: String,
    reason: Option<String>,
    eni: Option<String>,
    source: Vec<IpNetwork>,
    destination: Vec<IpNetwork>,
    ports: Vec<u16>,
    window: TimeWindow,
    max_bytes: Option<u64>,
}

/// Names of the fields.
const FIELDS: &[&str] = &[
    "id",
    "reason",
    "eni",
    "source",
    "destination",
    "ports",
    "from",
    "until",
    "max_bytes",
];

/// Records are written for up to ten minutes, and may start before a transfer or end after it.
const SLACK: Seconds = 600;

impl AllowList {
    /// Reads TOML `[[entry]]` or JSON `{"version","entries":[…]}`; several files add up.
    ///
    /// # Errors
    /// `List`, naming file, entry and field.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<AllowList> {
        let mut list = AllowList::default();
        for path in paths {
            for entry in read(path.as_ref(), &["entry", "entries"])? {
                list.entries.push(Announced::of(entry)?);
            }
        }
        Ok(list)
    }

    /// Entries that ended before the first record, or begin after the last: they can have no effect here.
    pub fn warnings(&self, span: Option<(Seconds, Seconds)>) -> Vec<String> {
        let Some((first, last)) = span else { return Vec::new() };
        let idle = |e: &&Announced| e.window.to.saturating_add(SLACK) < first || e.window.from > last;
        self.entries
            .iter()
            .filter(idle)
            .map(|e| {
                let (from, to) = (rfc3339(e.window.from), rfc3339(e.window.to));
                format!("--allow {}: its time ({from} to {to}) lies outside the archive", e.id)
            })
            .collect()
    }

    /// Takes out the incidents that were announced; what exceeds its announcement stays, and says so.
    pub(super) fn apply(
        &self,
        incidents: Vec<Incident>,
        table: &EgressTable,
        floor: u64,
    ) -> (Vec<Incident>, Vec<Hidden>) {
        let (mut shown, mut hidden) = (Vec::new(), Vec::new());
        for mut incident in incidents {
            match self.verdict(&incident, table, floor) {
                Some((entry, None)) => hidden.push(Hidden::of(&incident, &entry.id, entry.reason.as_deref())),
                Some((_, Some(sentence))) => {
                    incident.explanation.push(sentence);
                    shown.push(incident);
                }
                None => shown.push(incident),
            }
        }
        (shown, hidden)
    }

    /// The entry that an incident falls under, with a sentence if it is reported all the same.
    fn verdict(&self, incident: &Incident, table: &EgressTable, floor: u64) -> Option<(&Announced, Option<String>)> {
        let flow_side = |rule: &&'static str| DETECTORS.iter().any(|d| d.meta().id == *rule);
        if !incident.rules.iter().all(flow_side) {
            return None;
        }
        let mut best: Option<(&Announced, u128)> = None;
        for entry in &self.entries {
            let covered = entry.covered(incident, table);
            if covered > 0 && best.is_none_or(|(_, most)| covered > most) {
                best = Some((entry, covered));
            }
        }
        let (entry, covered) = best?;
        let rest = incident.bytes.saturating_sub(covered);
        let name = entry.id.as_str();
        if rest >= u128::from(floor) {
            let text = format!(
                "{} of it was announced as {name}; {} was not.",
                human_bytes(covered),
                human_bytes(rest)
            );
            return Some((entry, Some(text)));
        }
        let total = entry.transfer(incident, table);
        let above = entry.max_bytes.filter(|max| total > u128::from(*max));
        let text = above.map(|max| {
            format!(
                "It was announced as {name}, for at most {}; {} were sent in one go.",
                human_bytes(max.into()),
                human_bytes(total)
            )
        });
        Some((entry, text))
    }
}

impl Announced {
    fn of(mut e: Entry) -> Result<Announced> {
        let mut announced = Announced {
            id: e.text("id")?.unwrap_or_default(),
            reason: e.text("reason")?,
            eni: e.text("eni")?,
            source: e.networks("source")?,
            destination: e.networks("destination")?,
            ports: e.ports("ports")?,
            window: TimeWindow {
                from: e.time("from", false)?.unwrap_or(TimeWindow::ALL.from),
                to: e.time("until", true)?.unwrap_or(TimeWindow::ALL.to),
            },
            max_bytes: e.integer("max_bytes")?,
        };
        if announced.id.is_empty() {
            return Err(e.wrong("id", "is missing: it is how a report names the announcement"));
        }
        if announced.destination.is_empty() {
            return Err(e.wrong("destination", "is missing: an announcement says where the data goes"));
        }
        if announced.window.from >= announced.window.to {
            return Err(e.wrong("until", "is not after `from`"));
        }
        announced.id = crate::net::printable(announced.id.as_bytes());
        e.done(FIELDS)?;
        Ok(announced)
    }

    fn matches(&self, table: &EgressTable, row: &Row) -> bool {
        let window = self.window.widen(SLACK);
        let eni = || table.interfaces.get(row.interface as usize).map(|i| i.id.as_str());
        row.direction == Direction::Egress
            && (self.ports.is_empty() || self.ports.contains(&row.port))
            && window.from <= row.volume.first
            && row.volume.last <= window.to
            && self.eni.as_deref().is_none_or(|id| eni() == Some(id))
            && inside(&self.source, row.local)
            && inside(&self.destination, table.peer(row).addr)
    }

    /// Bytes of the incident's cells that fall under this entry.
    fn covered(&self, incident: &Incident, table: &EgressTable) -> u128 {
        let rows = incident.cells.iter().filter_map(|c| table.rows.get(*c as usize));
        rows.filter(|r| self.matches(table, r)).map(|r| r.volume.bytes).sum()
    }

    /// Bytes of the transfer that the incident is part of: everything under this entry around it, without a pause of
    /// more than [`ADJACENT`]. An entry may announce a weekly export; its limit is meant for each.
    fn transfer(&self, incident: &Incident, table: &EgressTable) -> u128 {
        let mut rows: Vec<&Row> = table.rows.iter().filter(|r| self.matches(table, r)).collect();
        rows.sort_by_key(|r| (r.volume.first, r.volume.last));
        let mut largest = 0;
        let (mut bytes, mut last, mut touches) = (0u128, 0u64, false);
        for row in rows {
            if row.volume.first > last.saturating_add(ADJACENT) {
                (bytes, touches) = (0, false);
            }
            bytes += row.volume.bytes;
            last = last.max(row.volume.last);
            touches |= row.volume.first <= incident.last_seen && incident.first_seen <= row.volume.last;
            if touches {
                largest = bytes.max(largest);
            }
        }
        largest
    }
}
