//! incident: which findings are one attack?
//!
//! Findings of one interface that share a destination, or lie close in time, become one incident: one line with the union
//! of the cited cells (each byte counted once), the loudest finding's rule in front and all reasons kept.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::aggregate::EgressTable;
use crate::detect::{Confidence, Finding, Severity, Sums};
use crate::net::Addr;

/// One incident has the shape of a finding; `rules` names all that fired.
pub type Incident = Finding;

/// Findings farther apart than this, in seconds, are one incident only if they share a destination.
pub const ADJACENT: u64 = 2 * 3_600;

/// Findings that share a destination are one incident if they are no farther apart than this, in seconds: two days.
pub const SAME_DESTINATION: u64 = 48 * 3_600;

/// Groups findings into incidents, most severe and highest score first.
pub fn group(findings: Vec<Finding>, table: &EgressTable) -> Vec<Incident> {
    let mut by_actor: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        by_actor.entry(actor(&finding)).or_default().push(finding);
    }
    let mut out: Vec<Incident> = by_actor
        .into_values()
        .flat_map(cluster)
        .filter_map(|members| fold(members, table))
        .collect();
    rank(&mut out);
    out
}

/// Most severe first, then by score, surprise, bytes and id.
pub fn rank(incidents: &mut [Incident]) {
    incidents.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then(b.score.total_cmp(&a.score))
            .then(b.surprise.total_cmp(&a.surprise))
            .then(b.bytes.cmp(&a.bytes))
            .then(a.id.cmp(&b.id))
    });
}

/// Whom a finding is about: the instance where known, else the interface, else the leading principal, else the caller.
fn actor(finding: &Finding) -> String {
    let principal = || finding.principals.first().map(|p| p.arn.clone());
    let caller = || finding.source_ips.first().map(Addr::to_string);
    let host = finding.eni.clone().or_else(|| finding.instance.clone());
    format!(
        "{} {}",
        finding.account.as_deref().unwrap_or("-"),
        host.or_else(principal).or_else(caller).unwrap_or_default()
    )
}

/// Connected findings of one actor. The reportable ones form the clusters; what is only informative joins one or stays alone.
fn cluster(mut findings: Vec<Finding>) -> Vec<Vec<Finding>> {
    findings.sort_by(|a, b| (a.first_seen, a.last_seen, &a.id).cmp(&(b.first_seen, b.last_seen, &b.id)));
    let mut out: Vec<Vec<Finding>> = Vec::new();
    for finding in findings {
        let mut members = vec![finding];
        out.retain_mut(|others| {
            let joined = others.iter().any(|o| members.iter().any(|m| connected(o, m)));
            if joined {
                members.append(others);
            }
            !joined
        });
        out.push(members);
    }
    out
}

fn connected(a: &Finding, b: &Finding) -> bool {
    let (first, second) = if a.first_seen <= b.first_seen { (a, b) } else { (b, a) };
    let gap = second.first_seen.saturating_sub(first.last_seen);
    gap <= ADJACENT && (a.severity == b.severity || share(a, b)) || gap <= SAME_DESTINATION && share(a, b)
}

fn share(a: &Finding, b: &Finding) -> bool {
    let theirs: BTreeSet<Addr> = b.destinations.iter().map(|d| d.ip).collect();
    a.destinations.iter().any(|d| theirs.contains(&d.ip))
}

/// One incident of connected findings.
fn fold(mut members: Vec<Finding>, table: &EgressTable) -> Option<Incident> {
    rank(&mut members);
    let severity = members.iter().map(|f| f.severity).max()?;
    // What is only informative does not add bytes to what is reported.
    members.retain(|f| severity == Severity::Info || f.severity > Severity::Info);
    let cells: BTreeSet<u32> = members.iter().flat_map(|f| f.cells.iter().copied()).collect();
    let mut incident = members.first()?.clone();
    let extra = members
        .iter()
        .map(|f| f.rule)
        .collect::<BTreeSet<_>>()
        .len()
        .saturating_sub(1) as f64;
    incident.severity = severity;
    incident.score = (incident.score + 2.0 * extra).min(severity.scores().1);
    incident.confidence =
        Confidence::new(members.iter().map(|f| f.confidence.get()).fold(0.0, f64::max) + 0.05 * extra);
    incident.rules = distinct(members.iter().flat_map(|f| f.rules.iter().copied()));
    incident.attack.techniques = distinct(members.iter().flat_map(|f| f.attack.techniques.iter().copied()));
    incident.guardduty = distinct(members.iter().flat_map(|f| f.guardduty.iter().cloned()));
    incident.explanation = distinct(members.iter().flat_map(|f| f.explanation.iter().cloned()));
    incident.corroborated = members.iter().any(|f| f.corroborated);
    if !cells.is_empty() {
        sum(&mut incident, table, cells);
    }
    incident.id = id(&members);
    incident.incident = incident.id.clone();
    Some(incident)
}

/// Bytes, times, sources and destinations from the union of the cells.
fn sum(incident: &mut Incident, table: &EgressTable, cells: BTreeSet<u32>) {
    let sums = Sums::of(table, &cells);
    if let Some(volume) = sums.volume {
        (incident.bytes, incident.packets, incident.flows) = (volume.bytes, volume.packets, volume.flows);
        (incident.first_seen, incident.last_seen) = (volume.first, volume.last);
    }
    incident.source_ips = sums.sources;
    incident.destinations = sums.destinations;
    incident.channel = sums.channel;
    incident.evidence = sums.evidence;
    incident.cells = cells;
}

/// The values once each, in the order of their first appearance.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for value in values {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out
}

/// The id of an incident: that of its first finding in time, hashed once more.
fn id(members: &[Finding]) -> String {
    let first = members
        .iter()
        .min_by(|a, b| (a.first_seen, &a.id).cmp(&(b.first_seen, &b.id)));
    let digest = Sha256::digest(first.map_or("", |f| f.id.as_str()).as_bytes());
    format!(
        "inc-{}",
        digest.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>()
    )
}
