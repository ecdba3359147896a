//! A second look at credentials used elsewhere, with the flow logs of the machine that they belong to.
//!
//! CloudTrail says that a session of an instance called from an address that is not the instance's. Whether that is so
//! rests on what is known of the instance. Where its flow logs are whole, they speak: a machine that received less than
//! was downloaded did not do it. Where they have holes, nothing speaks, and what rested on knowledge of our own network
//! alone is withdrawn.

use std::collections::BTreeSet;

use super::case::TrailCase;
use crate::aggregate::{Direction, EgressTable};
use crate::coverage::{Claim, Claims};
use crate::detect::finding::{Confidence, Finding, Severity};
use crate::net::{Class, HOUR, TimeWindow, human_bytes};

const RULE: &str = "stolen-instance-credentials";
/// What moves less than this is no evidence either way.
const LEAST: u128 = 1_000_000;

/// Weighs each such finding against the flow logs of its instance.
pub fn weigh_whereabouts(findings: &mut [Finding], case: &TrailCase<'_>, table: &EgressTable, claims: &Claims<'_>) {
    for finding in findings.iter_mut().filter(|f| f.rule == RULE) {
        let window = TimeWindow {
            from: finding.first_seen,
            to: finding.last_seen.saturating_add(1),
        };
        let own = interfaces(finding, case, table, window);
        let seen: Vec<Claim> = own
            .iter()
            .filter_map(|i| id(table, *i))
            .map(|e| claims.of(e, window))
            .collect();
        let whole = !seen.is_empty() && seen.iter().all(|c| c.observed >= 1.0 && c.skipdata == 0);
        match whole {
            true => compare(finding, received(table, &own, window)),
            false => doubt(finding, seen.is_empty(), rests_on_knowledge(finding, case)),
        }
    }
}

/// The instance's interfaces in the flow logs.
fn interfaces(finding: &Finding, case: &TrailCase<'_>, table: &EgressTable, window: TimeWindow) -> BTreeSet<u32> {
    let Some(instance) = finding.instance.as_deref() else {
        return BTreeSet::new();
    };
    let serves = |i: &crate::aggregate::Interface| {
        let known = || case.inventory.instance_of(&i.id, window).map(|e| e.to.as_str());
        i.instance.as_deref().or_else(known) == Some(instance)
    };
    let all = (0u32..).zip(&table.interfaces);
    all.filter(|(_, i)| serves(i)).map(|(n, _)| n).collect()
}

fn id(table: &EgressTable, interface: u32) -> Option<&str> {
    table.interfaces.get(interface as usize).map(|i| i.id.as_str())
}

/// What came in from outside of the network, in the hours of the window and those beside it. Traffic between our machines
/// is counted where it began.
fn received(table: &EgressTable, interfaces: &BTreeSet<u32>, window: TimeWindow) -> u128 {
    let wide = window.widen(HOUR);
    let rows = interfaces.iter().flat_map(|i| table.of_interface(*i));
    rows.filter(|r| r.direction == Direction::Ingress && table.peer(r).class != Class::Home && wide.contains(r.hour))
        .map(|r| r.volume.bytes)
        .sum()
}

/// True if no caller's address lies outside of AWS and of our networks.
fn rests_on_knowledge(finding: &Finding, case: &TrailCase<'_>) -> bool {
    let rows = finding.requests.iter().filter_map(|n| case.index.rows.get(*n as usize));
    rows.filter_map(|r| case.caller(r))
        .all(|c| c.peer.class != Class::External)
}

fn compare(finding: &mut Finding, received: u128) {
    if finding.bytes < LEAST || received >= finding.bytes {
        return;
    }
    finding.confidence = Confidence::new(finding.confidence.get() + 0.1);
    finding.explanation.push(format!(
        "The flow logs of the instance are whole for that time: from outside of its network it received {} in these hours and those beside them; unless another machine of ours passed them on, the {} did not go there.",
        human_bytes(received),
        human_bytes(finding.bytes)
    ));
}

fn doubt(finding: &mut Finding, unseen: bool, withdraw: bool) {
    let why = match unseen {
        true => "No flow log shows an interface of the instance",
        false => "The flow logs of the instance have gaps at that time",
    };
    finding.confidence = Confidence::new(finding.confidence.get() - 0.2);
    let ending = if withdraw {
        finding.severity = Severity::Info;
        finding.score = finding.score.min(Severity::Info.scores().1);
        "that the calls came from there all the same cannot be ruled out, so this is told for information only."
    } else {
        "they neither confirm nor refute this."
    };
    finding.explanation.push(format!("{why}: {ending}"));
}
