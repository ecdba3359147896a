//! Suppressions (`--suppress`): incidents that somebody has looked at and does not want to see again, until a day.
//!
//! All criteria of an entry must hold. A rule hides an incident only if no other rule fired, and a network only if
//! everything went there: whatever else an incident shows brings it back. They are applied when results are shown and
//! never change what is detected or learned. An expired entry hides nothing and is named.

use std::path::Path;

use glob::Pattern;
use ipnetwork::IpNetwork;

use super::entries::{Entry, inside, read};
use super::{Hidden, Incident};
use crate::error::Result;
use crate::net::{Seconds, printable, rfc3339};

/// Suppressions.
#[derive(Debug, Clone, Default)]
pub struct Suppressions {
    entries: Vec<Suppression>,
    /// What its writers should know.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
struct Suppression {
    /// How the entry is named in a result: its file and number.
    name: String,
    rules: Vec<String>,
    id: Option<String>,
    eni: Option<String>,
    cidr: Vec<IpNetwork>,
    arn: Option<Pattern>,
    reason: Option<String>,
    expires: Option<Seconds>,
}

/// Names of the fields.
const FIELDS: &[&str] = &["rule", "id", "eni", "cidr", "arn", "reason", "owner", "expires"];

impl Suppressions {
    /// Reads TOML `[[suppress]]` or JSON `{"version","suppress":[…]}`; `now` decides what has expired.
    ///
    /// # Errors
    /// `List`, naming file, entry and field.
    pub fn load<P: AsRef<Path>>(paths: &[P], now: Seconds) -> Result<Suppressions> {
        let mut list = Suppressions::default();
        for path in paths {
            for entry in read(path.as_ref(), &["suppress", "suppressions"])? {
                list.add(entry, now)?;
            }
        }
        Ok(list)
    }

    fn add(&mut self, mut e: Entry, now: Seconds) -> Result<()> {
        let arn = e.text("arn")?;
        let pattern = arn.as_deref().map(Pattern::new).transpose();
        let entry = Suppression {
            name: e.says("").trim_end_matches([':', ' ']).to_owned(),
            rules: e.texts("rule")?,
            id: e.text("id")?,
            eni: e.text("eni")?,
            cidr: e.networks("cidr")?,
            arn: pattern.map_err(|_| e.wrong("arn", "is no pattern: use `*` for any text"))?,
            reason: e.text("reason")?,
            expires: e.time("expires", true)?,
        };
        let owner = e.text("owner")?;
        if entry.is_blank() {
            return Err(e.wrong("rule", "nothing is named: give one of rule, id, eni, cidr, arn"));
        }
        let expired = entry.expires.filter(|t| *t < now);
        if let Some(t) = expired {
            let owner = owner
                .map(|o| format!(" ({})", printable(o.as_bytes())))
                .unwrap_or_default();
            self.warnings
                .push(e.says(&format!("expired {}: not applied{owner}", rfc3339(t))));
        } else if entry.reason.is_none() {
            self.warnings.push(e.says("has no reason"));
        }
        e.done(FIELDS)?;
        if expired.is_none() {
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Takes out the incidents that are suppressed.
    pub(super) fn apply(&self, incidents: Vec<Incident>) -> (Vec<Incident>, Vec<Hidden>) {
        let (mut shown, mut hidden) = (Vec::new(), Vec::new());
        for incident in incidents {
            match self.entries.iter().find(|s| s.matches(&incident)) {
                Some(s) => hidden.push(Hidden::of(&incident, &s.name, s.reason.as_deref())),
                None => shown.push(incident),
            }
        }
        (shown, hidden)
    }
}

impl Suppression {
    fn is_blank(&self) -> bool {
        self.rules.is_empty() && self.id.is_none() && self.eni.is_none() && self.cidr.is_empty() && self.arn.is_none()
    }

    fn matches(&self, i: &Incident) -> bool {
        let ends: Vec<_> = match i.destinations.is_empty() {
            true => i.source_ips.clone(),
            false => i.destinations.iter().map(|d| d.ip).collect(),
        };
        let by_cidr = self.cidr.is_empty() || !ends.is_empty() && ends.iter().all(|a| inside(&self.cidr, *a));
        let by_arn = |p: &Pattern| i.principals.first().is_some_and(|who| p.matches(&who.arn));
        (self.rules.is_empty() || i.rules.iter().all(|r| self.rules.iter().any(|mine| mine == r)))
            && self.id.as_deref().is_none_or(|id| id == i.id)
            && self.eni.as_deref().is_none_or(|eni| i.eni.as_deref() == Some(eni))
            && by_cidr
            && self.arn.as_ref().is_none_or(by_arn)
    }
}
