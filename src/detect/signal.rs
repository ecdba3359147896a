//! What a detector says: this interface, these cells, so surprising, for these reasons.
//!
//! A signal is not yet a finding: whether it is worth a person's time depends on the alert budget and on what else fired,
//! which no single detector knows.

use std::collections::BTreeMap;

use super::listed::ListedCells;
use crate::baseline::Deviation;
use crate::net::human_bytes;

/// One detector's word on one interface's day.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its rule.
    pub rule: &'static str,
    /// Index into the day's actors.
    pub actor: usize,
    /// What kind of evidence it is.
    pub kind: Kind,
    /// Decades of surprise; 0 for rules that need no baseline.
    pub surprise: f64,
    /// Cited rows of the table.
    pub cells: Vec<u32>,
    /// Bytes of a cited row that are meant, where not all of them are.
    pub portions: BTreeMap<u32, u128>,
    /// Beside what was expected.
    pub deviation: Option<Deviation>,
    /// Plain sentences.
    pub reasons: Vec<String>,
}

impl Signal {
    /// A signal of a list.
    pub(super) fn listed(rule: &'static str, actor: usize, found: ListedCells, reason: String) -> Self {
        let mut reasons = vec![reason];
        if found.habit {
            reasons.push("This interface has sent there for more than a week, and no more than usual.".to_owned());
        }
        Signal {
            rule,
            actor,
            kind: if found.habit { Kind::Habit } else { Kind::Listed },
            surprise: 0.0,
            cells: found.cells,
            portions: BTreeMap::new(),
            deviation: None,
            reasons,
        }
    }

    /// A signal of a pattern that is suspicious whatever the interface did before.
    pub(super) fn pattern(rule: &'static str, actor: usize, cells: Vec<u32>, reasons: Vec<String>) -> Self {
        Signal {
            rule,
            actor,
            kind: Kind::Pattern,
            surprise: 0.0,
            cells,
            portions: BTreeMap::new(),
            deviation: None,
            reasons,
        }
    }

    /// A signal of something unusual for this interface.
    pub(super) fn novel(rule: &'static str, actor: usize, cells: Vec<u32>, d: Deviation, reasons: Vec<String>) -> Self {
        Signal {
            rule,
            actor,
            kind: Kind::Statistical,
            surprise: d.surprise,
            cells,
            portions: BTreeMap::new(),
            deviation: Some(d),
            reasons,
        }
    }
}

/// What kind of evidence a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unusual for this interface: counts against the alert budget.
    Statistical,
    /// A pattern that is suspicious in itself: exempt from the budget, but no second source.
    Pattern,
    /// Somebody else's list names the destination: exempt, and a second source.
    Listed,
    /// The same, but the interface has sent there for long: a line, not an alarm.
    Habit,
    /// Unusual, but another log accounts for it: kept for the record.
    Explained,
}

/// "so many times the most that it ever sent" in words, for a deviation.
pub(super) fn compared(d: &Deviation, window: &str) -> String {
    let who = if d.borrowed {
        "machines like it"
    } else {
        "this interface"
    };
    if d.largest < 1_000 {
        return format!("In the past, {who} sent nothing of the kind.");
    }
    let times = d.observed as f64 / d.largest as f64;
    if times >= 1.1 {
        format!(
            "That is {} the most that {who} sent in any {window} before ({}).",
            times_text(times),
            human_bytes(d.largest.into())
        )
    } else {
        let usual = human_bytes(d.expected.into());
        format!(
            "In {:.1} % of past {window}s {who} sent less; half of them stayed below {usual}.",
            d.quantile * 100.0
        )
    }
}

/// A factor for people.
pub(super) fn times_text(times: f64) -> String {
    if times < 10.0 {
        format!("{times:.1} times")
    } else {
        format!("{times:.0} times")
    }
}

/// A sentence on how much history there was, if it was little.
pub(super) fn history(d: &Deviation) -> Option<String> {
    let days = d.history_hours / 24;
    (days < 7).then(|| match days {
        0 => "The interface is new: it was judged by machines like it, which lowers confidence.".to_owned(),
        n => format!(
            "Only {n} day(s) of history of this interface: machines like it were consulted, and confidence is lower."
        ),
    })
}
