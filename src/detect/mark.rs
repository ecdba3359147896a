//! What a finding takes out of the lesson, and what somebody who suppressed it gives back.

use std::collections::BTreeSet;

use super::finding::{Finding, Severity};
use crate::aggregate::{EgressTable, Row};
use crate::baseline::{Baseline, Channel, Day, Places, channel, day_of, place};

/// What a finding takes out of the lesson.
pub(super) struct Mark {
    interface: String,
    channels: BTreeSet<Channel>,
    places: BTreeSet<String>,
}

impl Mark {
    pub(super) fn of(table: &EgressTable, places: &Places, finding: &Finding) -> Option<Mark> {
        if finding.severity < Severity::Medium {
            return None;
        }
        let rows: Vec<&Row> = finding
            .cells
            .iter()
            .filter_map(|c| table.rows.get(*c as usize))
            .collect();
        Some(Mark {
            interface: finding.eni.clone()?,
            channels: rows.iter().filter_map(|r| channel(table.peer(r), r.role)).collect(),
            places: rows
                .iter()
                .filter_map(|r| places.of_peer.get(r.peer as usize).cloned())
                .collect(),
        })
    }

    pub(super) fn apply(self, baseline: &mut Baseline, day: Day) {
        let known = baseline.interfaces.get(&self.interface);
        let flagged = baseline.flagged.entry(self.interface.clone()).or_default();
        for place in self.places {
            // A destination known before stays known: it is its volume that was strange.
            if flagged.contains_key(&place) || !known.is_some_and(|h| h.places.contains_key(&place)) {
                flagged.entry(place).or_default().insert(day);
            }
        }
        baseline
            .excluded
            .entry(self.interface)
            .or_default()
            .extend(self.channels.into_iter().map(|c| (day, c)));
    }
}

/// Lets what an incident cites teach after all: somebody has looked at it, and suppressed it.
pub fn accept(baseline: &mut Baseline, table: &EgressTable, incident: &Finding) {
    for row in incident.cells.iter().filter_map(|c| table.rows.get(*c as usize)) {
        let peer = table.peer(row);
        let (Some(interface), Some(channel)) = (table.interfaces.get(row.interface as usize), channel(peer, row.role))
        else {
            continue;
        };
        let accepted = baseline.accepted.entry(interface.id.clone()).or_default();
        accepted.days.insert((day_of(row.hour), channel));
        accepted.places.insert(place(peer));
    }
}
