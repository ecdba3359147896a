//! The answer: principals with class, confidence and reasons, in one fixed order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::question::Toward;

/// How sure the link between an interface and a principal is; better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The same private address in both logs, through an endpoint of this network.
    Exact,
    /// The session is named after the instance, or the address belongs to one known interface.
    Strong,
    /// One of few: an address shared by nobody else that is known, or a role without the session.
    Weak,
    /// One of many: an address that others use too.
    Ambiguous,
}

impl Class {
    /// Name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Exact => "exact",
            Class::Strong => "strong",
            Class::Weak => "weak",
            Class::Ambiguous => "ambiguous",
        }
    }

    /// Confidence of a single candidate of this class, in hundredths.
    const fn base(self) -> u32 {
        match self {
            Class::Exact => 97,
            Class::Strong => 88,
            Class::Weak => 55,
            Class::Ambiguous => 30,
        }
    }
}

/// A candidate: somebody whose calls fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Principal {
    /// ARN of the session or user (or what else names the caller).
    pub arn: String,
    /// Access key id; empty if unknown.
    pub access_key: String,
    /// How sure the link is.
    pub class: Class,
    /// 0 to 1.
    pub confidence: f64,
    /// Bytes that S3 counted for it: sent (towards S3), or sent and received (anywhere).
    pub bytes: u128,
    /// Requests in the window.
    pub requests: u64,
    /// Why it is a candidate, in words; log text in it is untrusted.
    pub why: String,
}

/// What speaks for one candidate, while it is being collected.
#[derive(Debug, Clone, Default)]
pub(super) struct Case {
    pub(super) class: Option<Class>,
    pub(super) sent: u128,
    pub(super) received: u128,
    pub(super) requests: u64,
    /// Something ties it to an address in question, not only to the instance.
    pub(super) direct: bool,
    /// It is somebody else behind the same interface: a pod.
    pub(super) beside: bool,
    /// Reasons, best class first, then as text.
    pub(super) why: BTreeSet<(Class, String)>,
}

impl Case {
    pub(super) fn support(&mut self, class: Class, why: String) {
        self.class = Some(self.class.map_or(class, |c| c.min(class)));
        self.why.insert((class, why));
    }

    /// Says that the log cannot tell it from others behind the same interface.
    pub(super) fn doubt(&mut self, why: &str) {
        if self.class.is_some_and(|c| c < Class::Weak) {
            self.why.insert((Class::Exact, why.to_owned()));
            self.class = Some(Class::Weak);
        }
    }

    fn bytes(&self, toward: Toward) -> u128 {
        match toward {
            Toward::S3 => self.sent,
            Toward::Anywhere => self.sent.saturating_add(self.received),
        }
    }

    /// Candidates are weighed against others of their group.
    fn group(&self) -> (Class, bool) {
        (self.class.unwrap_or(Class::Ambiguous), self.direct)
    }

    fn words(&self) -> String {
        let best = self.why.iter().take(3).map(|(_, w)| w.as_str());
        best.collect::<Vec<_>>().join("; ")
    }
}

/// Candidates by (ARN, access key).
pub(super) type Cases = BTreeMap<(String, String), Case>;

/// Bytes and requests of all candidates of a group.
type Totals = BTreeMap<(Class, bool), (u128, u128)>;

/// Puts the candidates in order and weighs those of one class against each other.
pub(super) fn rank(cases: Cases, toward: Toward) -> Vec<Principal> {
    let mut totals = Totals::new();
    for case in cases.values() {
        let total = totals.entry(case.group()).or_default();
        *total = (
            total.0.saturating_add(case.bytes(toward)),
            total.1 + u128::from(case.requests),
        );
    }
    let mut cases: Vec<((String, String), Case)> = cases.into_iter().collect();
    cases.sort_by_cached_key(|(name, case)| {
        // A node is there for its pods.
        let weight = (case.direct, case.bytes(toward), case.requests, case.beside);
        (case.class, std::cmp::Reverse(weight), name.clone())
    });
    let mut out: Vec<Principal> = cases
        .into_iter()
        .map(|(name, case)| judge(name, &case, toward, &totals))
        .collect();
    let mut highest = 1.0f64;
    for principal in &mut out {
        // nobody is surer than the one before
        highest = highest.min(principal.confidence);
        principal.confidence = highest;
    }
    out
}

fn judge(name: (String, String), case: &Case, toward: Toward, totals: &Totals) -> Principal {
    let class = case.class.unwrap_or(Class::Ambiguous);
    let (bytes, requests) = totals.get(&case.group()).copied().unwrap_or_default();
    let share = if bytes > 0 {
        ratio(case.bytes(toward), bytes)
    } else {
        ratio(case.requests.into(), requests)
    };
    let confidence = f64::from(class.base()) / 100.0 * (0.6 + 0.4 * share);
    Principal {
        arn: name.0,
        access_key: name.1,
        class,
        confidence: (confidence * 100.0).round() / 100.0,
        bytes: case.bytes(toward),
        requests: case.requests,
        why: case.words(),
    }
}

/// Part of a whole; of nothing, everything.
fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(class: Class, direct: bool, sent: u128, received: u128) -> Case {
        let mut case = Case {
            sent,
            received,
            direct,
            requests: 1,
            ..Case::default()
        };
        case.support(class, "because".into());
        case
    }

    #[test]
    fn class_comes_before_bytes_and_confidence_never_rises() {
        let cases: Cases = [
            (("a".into(), String::new()), case(Class::Weak, true, 9_000, 0)),
            (("b".into(), String::new()), case(Class::Exact, true, 10, 5_000)),
            (("c".into(), String::new()), case(Class::Exact, true, 90, 0)),
            (("d".into(), String::new()), case(Class::Strong, false, 900, 0)),
            (("e".into(), String::new()), case(Class::Strong, true, 0, 0)),
        ]
        .into();
        let order = |toward| {
            rank(cases.clone(), toward)
                .into_iter()
                .map(|p| p.arn)
                .collect::<String>()
        };
        assert_eq!(
            (order(Toward::S3).as_str(), order(Toward::Anywhere).as_str()),
            ("cbeda", "bceda")
        );
        assert!(rank(cases, Toward::S3).is_sorted_by(|a, b| a.confidence >= b.confidence));
    }
}
