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
    /// Reasons, best class first, then as text.
    pub(super) why: BTreeSet<(Class, String)>,
}

impl Case {
    pub(super) fn support(&mut self, class: Class, why: String) {
        self.class = Some(self.class.map_or(class, |c| c.min(class)));
        self.why.insert((class, why));
    }

    fn bytes(&self, toward: Toward) -> u128 {
        match toward {
            Toward::S3 => self.sent,
            Toward::Anywhere => self.sent.saturating_add(self.received),
        }
    }

    fn words(&self) -> String {
        let best = self.why.iter().take(3).map(|(_, w)| w.as_str());
        best.collect::<Vec<_>>().join("; ")
    }
}

/// Candidates by (ARN, access key).
pub(super) type Cases = BTreeMap<(String, String), Case>;

/// Puts the candidates in order and weighs those of one class against each other.
pub(super) fn rank(cases: Cases, toward: Toward) -> Vec<Principal> {
    let mut totals: BTreeMap<Class, (u128, u128)> = BTreeMap::new();
    for case in cases.values() {
        let total = totals.entry(case.class.unwrap_or(Class::Ambiguous)).or_default();
        *total = (
            total.0.saturating_add(case.bytes(toward)),
            total.1 + u128::from(case.requests),
        );
    }
    let judge = |((arn, access_key), case): ((String, String), Case)| {
        let class = case.class.unwrap_or(Class::Ambiguous);
        let (bytes, requests) = totals.get(&class).copied().unwrap_or_default();
        let share = if bytes > 0 {
            ratio(case.bytes(toward), bytes)
        } else {
            ratio(case.requests.into(), requests)
        };
        let confidence = f64::from(class.base()) / 100.0 * (0.6 + 0.4 * share);
        let confidence = (confidence * 100.0).round() / 100.0;
        let (bytes, why) = (case.bytes(toward), case.words());
        Principal {
            arn,
            access_key,
            class,
            confidence,
            bytes,
            requests: case.requests,
            why,
        }
    };
    let mut out: Vec<Principal> = cases.into_iter().map(judge).collect();
    out.sort_by(|a, b| {
        let busier = (b.bytes, b.requests).cmp(&(a.bytes, a.requests));
        a.class
            .cmp(&b.class)
            .then(busier)
            .then_with(|| (&a.arn, &a.access_key).cmp(&(&b.arn, &b.access_key)))
    });
    out
}

/// Part of a whole; of nothing, everything.
fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
