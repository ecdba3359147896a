//! `coverage-gap`: one log falls silent while the other one shows that there was something to log.
//!
//! Logs have holes for many reasons, and `flowtrail coverage` lists them all. Worth an alarm is the hole that the other log
//! contradicts: an interface without a record for hours in which CloudTrail logged calls from its address, or a trail without
//! any event for hours in which machines kept talking to S3 and other AWS services. An instance that is gone makes no calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::finding::{ATTACK_VERSION, Attack, Confidence, Finding, SCHEMA, Severity};
use super::joint::{JointCase, JointDetector};
use super::trail::CONTROL;
use super::{Meta, Settings};
use crate::aggregate::{Direction, EgressTable, Role};
use crate::net::{Addr, Class, HOUR, Seconds, printable, rfc3339};

/// The detector.
pub struct CoverageGap;

/// Parameters of `coverage-gap`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Shorter silences, in hours, are late or lost files.
    pub hours: u64,
    /// In so many of these hours the other log must show activity.
    pub contradicted: usize,
    /// Hours before the silence that are looked at, and the share of them in which the log must have spoken: what is often
    /// silent says nothing by being so.
    pub before: u64,
    /// See `before`.
    pub steady: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            hours: 2,
            contradicted: 2,
            before: 24,
            steady: 0.9,
        }
    }
}

/// Its name and references.
const META: Meta = Meta {
    id: "coverage-gap",
    title: "A log fell silent while there was something to log",
    techniques: &["T1562.008"],
    guardduty: Some("Stealth:IAMUser/CloudTrailLoggingDisabled"),
};

impl JointDetector for CoverageGap {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn detect(&self, case: &JointCase<'_>, settings: &Settings) -> Vec<Finding> {
        let Some(span) = case.table.hours() else {
            return Vec::new();
        };
        let own = &settings.coverage_gap;
        let mut out = silent_interfaces(case, span, own);
        out.extend(silent_trail(case, span, own));
        out
    }
}

/// Hours without a word, first and last.
type Gap = (Seconds, Seconds);

/// The silences in `heard` between its first hour and `end` that `other` contradicts.
fn gaps(heard: &BTreeSet<Seconds>, other: &BTreeMap<Seconds, u64>, end: Seconds, own: &Parameters) -> Vec<Gap> {
    let edges: Vec<Seconds> = heard.iter().copied().chain([end.saturating_add(HOUR)]).collect();
    let holes = edges.windows(2).filter_map(|w| match w {
        [last, next] if *next >= last.saturating_add((own.hours + 1) * HOUR) => Some((last + HOUR, next - HOUR)),
        _ => None,
    });
    holes
        .filter(|(from, to)| other.range(from..=to).count() >= own.contradicted)
        .filter(|(from, _)| {
            let since = from.saturating_sub(own.before * HOUR);
            let spoken = heard.range(since..*from).count() as f64;
            spoken >= own.steady * own.before as f64
        })
        .collect()
}

/// Interfaces that CloudTrail heard and the flow log did not; those silent at the same time are one finding.
fn silent_interfaces(case: &JointCase<'_>, span: (Seconds, Seconds), own: &Parameters) -> Vec<Finding> {
    let calls = calls(case);
    let mut found: BTreeMap<Gap, Vec<(u32, u64)>> = BTreeMap::new();
    for (interface, hours) in &calls {
        let heard: BTreeSet<Seconds> = case.table.of_interface(*interface).iter().map(|r| r.hour).collect();
        for (from, to) in gaps(&heard, hours, span.1, own) {
            let requests = hours.range(from..=to).map(|(_, n)| n).sum();
            found.entry((from, to)).or_default().push((*interface, requests));
        }
    }
    let finding = |(gap, silent): (Gap, Vec<(u32, u64)>)| of_interfaces(case.table, gap, &silent);
    found.into_iter().filter_map(finding).collect()
}

/// Calls by hour from addresses that one judged interface alone has.
fn calls(case: &JointCase<'_>) -> BTreeMap<u32, BTreeMap<Seconds, u64>> {
    let mut holders: BTreeMap<Addr, Vec<u32>> = BTreeMap::new();
    for (n, interface) in (0u32..).zip(&case.table.interfaces) {
        for addr in &interface.addresses {
            holders.entry(*addr).or_default().push(n);
        }
    }
    let judged = |n: &u32| {
        let interface = case.table.interfaces.get(*n as usize);
        interface.is_some_and(|i| !case.excluded.contains(&i.id))
    };
    let mut out: BTreeMap<u32, BTreeMap<Seconds, u64>> = BTreeMap::new();
    for row in &case.index.rows {
        let holder = case.index.addr(row.source).and_then(|a| holders.get(&a));
        if let Some([one]) = holder.map(Vec::as_slice).filter(|h| h.iter().all(judged)) {
            *out.entry(*one).or_default().entry(row.hour).or_default() += row.requests;
        }
    }
    out
}

fn of_interfaces(table: &EgressTable, gap: Gap, silent: &[(u32, u64)]) -> Option<Finding> {
    let known = |(n, _): &(u32, u64)| table.interfaces.get(*n as usize);
    let first = silent.first().and_then(known)?;
    let names: Vec<String> = silent
        .iter()
        .filter_map(known)
        .map(|i| printable(i.id.as_bytes()))
        .collect();
    let requests: u64 = silent.iter().map(|s| s.1).sum();
    let shown = names.get(..SHOWN.min(names.len()))?.join(", ");
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let mut finding = finding(gap, Severity::Medium, &names);
    finding.account = first.account.clone();
    finding.region = first.region.clone();
    if let [_] = silent {
        finding.eni = Some(first.id.clone());
        finding.instance = first.instance.clone();
        finding.source_ips = first.addresses.clone();
    }
    finding.explanation = vec![
        format!(
            "There is no flow log record of {shown}{rest} from {} to {}, though CloudTrail logged {requests} calls from there in this time.",
            rfc3339(gap.0),
            rfc3339(gap.1.saturating_add(HOUR))
        ),
        "Before, there were records in nearly every hour. What left meanwhile is not observable.".to_owned(),
    ];
    Some(finding)
}

/// Interfaces that a sentence names.
const SHOWN: usize = 5;

/// Hours without any event, in which interfaces talked to S3 and other AWS services as ever.
fn silent_trail(case: &JointCase<'_>, span: (Seconds, Seconds), own: &Parameters) -> Vec<Finding> {
    let heard: BTreeSet<Seconds> = case.index.rows.iter().map(|r| r.hour).collect();
    let mut talk: BTreeMap<Seconds, u64> = BTreeMap::new();
    for row in &case.table.rows {
        let to_aws = matches!(case.table.peer(row).class, Class::S3 | Class::Aws);
        if to_aws && row.direction == Direction::Egress && row.role != Role::Server {
            *talk.entry(row.hour).or_default() += row.volume.flows;
        }
    }
    let finding = |gap: Gap| {
        let records: u64 = talk.range(gap.0..=gap.1).map(|(_, n)| n).sum();
        // A trail that ends early may just have been exported early.
        let ended = gap.1 >= span.1;
        let severity = if ended { Severity::Low } else { Severity::Medium };
        let mut finding = finding(gap, severity, &["trail".to_owned()]);
        finding.account = case.index.accounts.first().cloned();
        finding.explanation = vec![format!(
            "CloudTrail has no event from {} to {}{}, while {records} flow log records show interfaces talking to S3 and other AWS services.",
            rfc3339(gap.0),
            rfc3339(gap.1.saturating_add(HOUR)),
            if ended { " (the end of the flow logs)" } else { "" },
        )];
        finding.explanation.push(
            "Before, there were events in nearly every hour. Who did what meanwhile is not observable.".to_owned(),
        );
        finding
    };
    gaps(&heard, &talk, span.1, own).into_iter().map(finding).collect()
}

fn finding(gap: Gap, severity: Severity, about: &[String]) -> Finding {
    let (least, _) = severity.scores();
    Finding {
        schema: SCHEMA,
        id: id(gap, about),
        rule: META.id,
        rules: vec![META.id],
        title: META.title.to_owned(),
        severity,
        score: least + 5.0,
        confidence: Confidence::new(0.7),
        first_seen: gap.0,
        last_seen: gap.1.saturating_add(HOUR - 1),
        channel: CONTROL,
        attack: Attack {
            version: ATTACK_VERSION,
            techniques: META.techniques.to_vec(),
        },
        guardduty: META.guardduty.map(str::to_owned).into_iter().collect(),
        ..Finding::default()
    }
}

fn id(gap: Gap, about: &[String]) -> String {
    let mut hash = Sha256::new();
    let from = gap.0.to_string();
    for part in [META.id, from.as_str()]
        .into_iter()
        .chain(about.iter().map(String::as_str))
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let text: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("ft-{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_silence_that_is_contradicted_after_steady_talk_counts() {
        let own = Parameters::default();
        let hours = |range: std::ops::Range<u64>| range.map(|h| h * HOUR);
        let heard: BTreeSet<Seconds> = hours(0..30).chain(hours(33..40)).collect();
        let other: BTreeMap<Seconds, u64> = hours(0..40).map(|h| (h, 1)).collect();
        assert_eq!(gaps(&heard, &other, 39 * HOUR, &own), [(30 * HOUR, 32 * HOUR)]);
        let quiet: BTreeMap<Seconds, u64> = hours(0..31).map(|h| (h, 1)).collect();
        assert!(gaps(&heard, &quiet, 39 * HOUR, &own).is_empty());
        let young: BTreeSet<Seconds> = hours(20..30).chain(hours(33..40)).collect();
        assert!(gaps(&young, &other, 39 * HOUR, &own).is_empty());
        let short: BTreeSet<Seconds> = hours(0..30).chain(hours(31..40)).collect();
        assert!(gaps(&short, &other, 39 * HOUR, &own).is_empty());
        let ended: BTreeSet<Seconds> = hours(0..30).collect();
        assert_eq!(gaps(&ended, &other, 39 * HOUR, &own), [(30 * HOUR, 39 * HOUR)]);
    }
}
