//! incident: which findings are one attack?
//!
//! Findings of one interface that share a destination, or lie close in time, become one incident: one line with the union
//! of the cited cells (each byte counted once), the loudest finding's rule in front and all reasons kept. What the trail
//! shows of a caller is grouped likewise, and joins what the flow logs show of the instance whose session it is.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

mod cite;
mod allow;
mod corroborate;
mod entries;
mod estate;
mod side;
mod steps;
mod suppress;
mod view;

pub use allow::AllowList;
pub use cite::{choose_again, cite, sha256, uncited};
pub use estate::{BucketUse, EndpointUse, Estate, Reads, TrailSelector, Usual};
pub use side::{Heard, hear, lines, subject};
pub use steps::{Checklists, Step};
pub use suppress::Suppressions;
pub use view::{Hidden, Shown, View};

use crate::aggregate::EgressTable;
use crate::detect::trail::{Deed, describe};
use crate::detect::{Confidence, Finding, Part, PrincipalClaim, Severity, Sums, TrailCase};
use crate::net::Addr;

/// One incident has the shape of a finding; `rules` names all that fired.
pub type Incident = Finding;

/// Findings farther apart than this, in seconds, are one incident only if they share a destination.
pub const ADJACENT: u64 = 2 * 3_600;

/// Findings that share a destination, and are both serious or equally so, are one incident if they are no farther apart than
/// this, in seconds: two days.
pub const SAME_DESTINATION: u64 = 48 * 3_600;

/// Groups findings into incidents, most severe and highest score first.
///
/// `trail` is what findings of the trail's side cite; without it there are none.
pub fn group(findings: Vec<Finding>, table: &EgressTable, trail: Option<&TrailCase<'_>>) -> Vec<Incident> {
    let mut by_actor: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        by_actor.entry(actor(&finding)).or_default().push(finding);
    }
    let clusters = by_actor.into_values().flat_map(cluster).collect();
    let mut out: Vec<Incident> = of_one_story(clusters)
        .into_iter()
        .filter_map(|members| fold(members, table, trail))
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
    let host = finding.instance.clone().or_else(|| finding.eni.clone());
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

/// Clusters that cite the same request are one story, whoever acts in it: a bucket opened by one, and read by another.
fn of_one_story(clusters: Vec<Vec<Finding>>) -> Vec<Vec<Finding>> {
    let requests = |c: &[Finding]| -> BTreeSet<u32> { c.iter().flat_map(|f| f.requests.iter().copied()).collect() };
    let mut out: Vec<(BTreeSet<u32>, Vec<Finding>)> = Vec::new();
    let (told, quiet): (Vec<_>, Vec<_>) = clusters.into_iter().partition(|c| !requests(c).is_empty());
    for cluster in told {
        let mut cited = requests(&cluster);
        let mut members = cluster;
        out.retain_mut(|(theirs, others)| {
            let apart = theirs.is_disjoint(&cited);
            if !apart {
                cited.append(theirs);
                members.append(others);
            }
            apart
        });
        out.push((cited, members));
    }
    out.into_iter().map(|(_, members)| members).chain(quiet).collect()
}

fn connected(a: &Finding, b: &Finding) -> bool {
    let (first, second) = if a.first_seen <= b.first_seen { (a, b) } else { (b, a) };
    let gap = second.first_seen.saturating_sub(first.last_seen);
    let alike = a.severity == b.severity || a.severity.min(b.severity) >= Severity::Medium;
    // What one caller, or one machine, did at one time is one story in the trail.
    let of_trail = !a.requests.is_empty() || !b.requests.is_empty();
    let near = gap <= ADJACENT && (a.severity == b.severity || of_trail || share(a, b));
    near || gap <= SAME_DESTINATION && alike && share(a, b)
}

fn share(a: &Finding, b: &Finding) -> bool {
    let theirs: BTreeSet<Addr> = b.destinations.iter().map(|d| d.ip).collect();
    a.destinations.iter().any(|d| theirs.contains(&d.ip))
}

/// One incident of connected findings.
fn fold(mut members: Vec<Finding>, table: &EgressTable, trail: Option<&TrailCase<'_>>) -> Option<Incident> {
    rank(&mut members);
    let loudest = members.iter().map(|f| f.severity).max()?;
    // What is only informative does not add bytes to what is reported.
    members.retain(|f| loudest == Severity::Info || f.severity > Severity::Info);
    let severity = corroborate::severity(&members);
    let cells = cells(&members, table);
    let mut incident = members.first()?.clone();
    let extra = members
        .iter()
        .map(|f| f.rule)
        .collect::<BTreeSet<_>>()
        .len()
        .saturating_sub(1) as f64;
    incident.severity = severity;
    let (least, most) = severity.scores();
    incident.score = (incident.score + 2.0 * extra).max(least).min(most);
    incident.parts = members.iter().map(Part::of).collect();
    incident.confidence =
        Confidence::new(members.iter().map(|f| f.confidence.get()).fold(0.0, f64::max) + 0.05 * extra);
    incident.rules = distinct(members.iter().flat_map(|f| f.rules.iter().copied()));
    incident.attack.techniques = distinct(members.iter().flat_map(|f| f.attack.techniques.iter().copied()));
    incident.guardduty = distinct(members.iter().flat_map(|f| f.guardduty.iter().cloned()));
    incident.explanation = distinct(members.iter().flat_map(|f| f.explanation.iter().cloned()));
    incident.baseline = incident.baseline.or_else(|| members.iter().find_map(|f| f.baseline));
    incident.corroborated = members.iter().any(|f| f.corroborated);
    let requests: BTreeSet<u32> = members.iter().flat_map(|f| f.requests.iter().copied()).collect();
    let flow = members.iter().find(|f| !f.cells.is_empty()).cloned();
    let portions = portions(&members);
    match (trail.filter(|_| !requests.is_empty()), flow) {
        (Some(case), None) => of_requests(&mut incident, case, requests),
        (Some(case), Some(flow)) => {
            of_requests(&mut incident, case, requests);
            add_flows(&mut incident, &flow, (table, cells, &portions), case);
        }
        (None, Some(_)) => sum(&mut incident, table, cells, &portions),
        (None, None) => {}
    }
    incident.id = id(&members);
    incident.incident = incident.id.clone();
    Some(incident)
}

/// What follows from the union of the cited requests. Where objects moved, requests are those that moved them: what was
/// only asked about is in the reasons, and in the time that it took.
fn of_requests(incident: &mut Incident, case: &TrailCase<'_>, requests: BTreeSet<u32>) {
    describe(incident, case, requests.clone());
    let span = (incident.first_seen, incident.last_seen);
    let moves = |n: &u32| !matches!(case.deed(*n), Deed::Discover | Deed::Other);
    let objects: BTreeSet<u32> = requests.iter().copied().filter(moves).collect();
    if incident.bytes > 0 {
        describe(incident, case, objects);
    }
    (incident.first_seen, incident.last_seen) = span;
    incident.requests = requests;
}

/// Adds what the flow logs show of the same machine. Requests from inside of the network are in the flows already.
fn add_flows(incident: &mut Incident, flow: &Finding, cited: Cited<'_>, case: &TrailCase<'_>) {
    let seen = incident.clone();
    let (table, cells, portions) = cited;
    sum(incident, table, cells, portions);
    let abroad = |n: &&u32| {
        let row = case.index.rows.get(**n as usize);
        row.and_then(|r| case.caller(r)).is_some_and(|c| !c.inside)
    };
    let outside: BTreeSet<u32> = seen.requests.iter().filter(abroad).copied().collect();
    let mut apart = Incident::default();
    describe(&mut apart, case, outside);
    incident.bytes = incident.bytes.saturating_add(apart.bytes);
    incident.first_seen = incident.first_seen.min(seen.first_seen);
    incident.last_seen = incident.last_seen.max(seen.last_seen);
    (incident.eni, incident.interface) = (flow.eni.clone(), flow.interface);
    incident.source_ips.extend(seen.source_ips);
    incident.source_ips.sort();
    incident.source_ips.dedup();
    incident.destinations.extend(apart.destinations);
    incident.principals = merge_claims(seen.principals, &flow.principals);
}

/// The trail's own claims first, then what attribution adds.
fn merge_claims(own: Vec<PrincipalClaim>, more: &[PrincipalClaim]) -> Vec<PrincipalClaim> {
    let mut out = own;
    for claim in more {
        if !out
            .iter()
            .any(|p| p.arn == claim.arn && p.access_key == claim.access_key)
        {
            out.push(claim.clone());
        }
    }
    out
}

/// The union of the cited cells.
///
/// A rule about destinations says where the data went. A volume rule cites whatever was large at the time: where most of
/// that is what the others name, it supports them and adds no destination of its own.
fn cells(members: &[Finding], table: &EgressTable) -> BTreeSet<u32> {
    let row = |cell: &u32| table.rows.get(*cell as usize);
    let specific: BTreeSet<u32> = members
        .iter()
        .filter(|f| f.rule != VOLUME)
        .flat_map(|f| f.cells.iter().filter_map(row).map(|r| r.peer))
        .collect();
    let mut out = BTreeSet::new();
    for finding in members {
        let named = |cell: &u32| row(cell).is_some_and(|r| specific.contains(&r.peer));
        let shared: u128 = finding
            .cells
            .iter()
            .filter(|c| named(c))
            .filter_map(row)
            .map(|r| r.volume.bytes)
            .sum();
        let supports = finding.rule == VOLUME && shared * 2 >= finding.bytes.max(1);
        out.extend(finding.cells.iter().copied().filter(|c| !supports || named(c)));
    }
    out
}

/// The rule that cites by volume alone.
const VOLUME: &str = "volume-spike";

/// A table, the cells of it that are cited, and of which only a part is meant.
type Cited<'a> = (&'a EgressTable, BTreeSet<u32>, &'a BTreeMap<u32, u128>);

/// Of which cells only a part is meant: a rule that cites them whole wins, unless it goes by volume alone.
fn portions(members: &[Finding]) -> BTreeMap<u32, u128> {
    let mut out: BTreeMap<u32, u128> = BTreeMap::new();
    let (by_volume, others): (Vec<_>, Vec<_>) = members.iter().partition(|f| f.rule == VOLUME);
    for (cell, bytes) in others.into_iter().flat_map(|f| &f.portions) {
        *out.entry(*cell).or_default() += bytes;
    }
    for (cell, bytes) in by_volume.into_iter().flat_map(|f| &f.portions) {
        out.entry(*cell).or_insert(*bytes);
    }
    let whole = members.iter().filter(|f| f.rule != VOLUME);
    for finding in whole {
        let meant_whole = |c: &u32| finding.cells.contains(c) && !finding.portions.contains_key(c);
        out.retain(|cell, _| !meant_whole(cell));
    }
    out
}

/// Bytes, times, sources and destinations from the union of the cells.
fn sum(incident: &mut Incident, table: &EgressTable, cells: BTreeSet<u32>, portions: &BTreeMap<u32, u128>) {
    let sums = Sums::of_portions(table, &cells, portions);
    if let Some(volume) = sums.volume {
        (incident.bytes, incident.packets, incident.flows) = (volume.bytes, volume.packets, volume.flows);
        (incident.first_seen, incident.last_seen) = (volume.first, volume.last);
    }
    incident.source_ips = sums.sources;
    incident.destinations = sums.destinations;
    if portions.is_empty() {
        incident.channel = sums.channel;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Direction, Interface, Peer, Role, Row, Sample, Volume};
    use crate::net::{Class, HOUR};

    /// One interface; cell `n` sends `10^n` bytes to peer `n % 3` in hour `n`.
    fn table() -> EgressTable {
        let peer = |n: u32| Peer {
            addr: Addr::v4(0xcb00_7100 + n),
            class: Class::External,
            service: None,
            region: None,
            country: None,
            asn: None,
            labels: Vec::new(),
        };
        let row = |n: u32| Row {
            interface: 0,
            peer: n % 3,
            hour: u64::from(n) * HOUR,
            local: Addr::v4(0x0a00_0001),
            port: 443,
            protocol: 6,
            direction: Direction::Egress,
            role: Role::Client,
            volume: Volume {
                bytes: 10u128.pow(n),
                packets: 1,
                flows: 1,
                first: u64::from(n) * HOUR,
                last: u64::from(n) * HOUR + 60,
            },
            sample: Sample::default(),
        };
        EgressTable {
            interfaces: vec![Interface::default()],
            peers: (0..3).map(peer).collect(),
            rows: (0..9).map(row).collect(),
        }
    }

    fn finding(table: &EgressTable, rule: &'static str, severity: Severity, cells: &[u32]) -> Finding {
        let cells: BTreeSet<u32> = cells.iter().copied().collect();
        let sums = Sums::of(table, &cells);
        let volume = sums.volume.unwrap();
        Finding {
            id: format!("{rule}-{cells:?}"),
            rule,
            rules: vec![rule],
            severity,
            eni: Some("eni-1".to_owned()),
            first_seen: volume.first,
            last_seen: volume.last,
            bytes: volume.bytes,
            destinations: sums.destinations,
            cells,
            ..Finding::default()
        }
    }

    #[test]
    fn a_byte_that_two_rules_cite_is_counted_once() {
        let table = table();
        let two = vec![
            finding(&table, "new-destination", Severity::Medium, &[3, 6]),
            finding(&table, "slow-drip", Severity::Medium, &[6]),
        ];
        let incidents = group(two, &table, None);
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].bytes, 1_001_000);
        assert_eq!(incidents[0].rules.len(), 2);
    }

    #[test]
    fn a_volume_rule_adds_no_destination_to_what_explains_it() {
        let table = table();
        let both = vec![
            finding(&table, "new-destination", Severity::Medium, &[6]),
            finding(&table, VOLUME, Severity::Medium, &[4, 6]),
        ];
        assert_eq!(group(both, &table, None)[0].bytes, 1_000_000);
        let mostly_other = vec![
            finding(&table, "new-destination", Severity::Medium, &[3]),
            finding(&table, VOLUME, Severity::Medium, &[3, 4]),
        ];
        assert_eq!(group(mostly_other, &table, None)[0].bytes, 11_000);
    }

    #[test]
    fn grouping_does_not_depend_on_the_order_of_findings() {
        let table = table();
        let mut findings = vec![
            finding(&table, "tor-egress", Severity::High, &[8]),
            finding(&table, "new-destination", Severity::Medium, &[2, 5]),
            finding(&table, "volume-spike", Severity::Medium, &[0, 1]),
            finding(&table, "slow-drip", Severity::Info, &[7]),
        ];
        let lines = |f: Vec<Finding>| serde_json::to_string(&group(f, &table, None)).unwrap();
        let one = lines(findings.clone());
        findings.reverse();
        assert_eq!(one, lines(findings.clone()));
        findings.rotate_left(1);
        assert_eq!(one, lines(findings));
    }

    #[test]
    fn two_interfaces_are_two_incidents() {
        let table = table();
        let mut other = finding(&table, "new-destination", Severity::Medium, &[4]);
        other.eni = Some("eni-2".to_owned());
        let two = vec![finding(&table, "new-destination", Severity::Medium, &[4]), other];
        assert_eq!(group(two, &table, None).len(), 2);
    }
}
