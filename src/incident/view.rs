//! What is shown of what was found: announced transfers and suppressions are set aside, and counted in the open.
//!
//! Nothing here changes what was detected or learned. Whoever hides something is named in the result, with the incident.

use serde::Serialize;

use super::Incident;
use super::allow::AllowList;
use super::suppress::Suppressions;
use crate::aggregate::EgressTable;
use crate::detect::Severity;

/// What to leave out.
#[derive(Debug, Clone)]
pub struct View {
    /// Show incidents from this severity on.
    pub least: Severity,
    /// Announced transfers.
    pub allow: AllowList,
    /// Incidents that nobody wants to see again.
    pub suppress: Suppressions,
    /// Bytes that may leave unannounced beside an announced transfer.
    pub floor_bytes: u64,
}

/// Incidents to show, and those set aside.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// To show, most severe first.
    pub incidents: Vec<Incident>,
    /// How many are less severe than asked for.
    pub below: usize,
    /// Announced transfers.
    pub allowed: Vec<Hidden>,
    /// Suppressed.
    pub suppressed: Vec<Hidden>,
}

/// An incident that was set aside.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct Hidden {
    /// Its id.
    pub id: String,
    /// Its rules.
    pub rules: Vec<&'static str>,
    /// How bad it would be.
    pub severity: Severity,
    /// The interface.
    pub eni: Option<String>,
    /// Its bytes.
    #[serde(serialize_with = "crate::detect::finding::big")]
    pub bytes: u128,
    /// The entry that set it aside.
    pub by: String,
    /// The entry's reason.
    pub reason: Option<String>,
}

impl Hidden {
    pub(super) fn of(incident: &Incident, by: &str, reason: Option<&str>) -> Self {
        Hidden {
            id: incident.id.clone(),
            rules: incident.rules.clone(),
            severity: incident.severity,
            eni: incident.eni.clone(),
            bytes: incident.bytes,
            by: by.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }
}

impl View {
    /// Sorts incidents into those to show and those set aside. What is below the severity asked for is only counted,
    /// whoever would have hidden it.
    pub fn of(&self, incidents: &[Incident], table: &EgressTable) -> Shown {
        let (loud, quiet): (Vec<Incident>, Vec<Incident>) =
            incidents.iter().cloned().partition(|i| i.severity >= self.least);
        let (rest, suppressed) = self.suppress.apply(loud);
        let (incidents, allowed) = self.allow.apply(rest, table, self.floor_bytes);
        Shown {
            incidents,
            below: quiet.len(),
            allowed,
            suppressed,
        }
    }
}
