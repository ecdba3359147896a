//! From signals to findings: what one caller did from one place speaks for itself together.
//!
//! One signal is at most MEDIUM. HIGH needs data that moved, and a second kind of evidence: a list that names the caller,
//! credentials that are not where they belong, a place it never called from, beside a volume that it never had. CRITICAL
//! needs three. Destruction from a strange place is HIGH: it needs no byte to leave.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::extent::Extent;
use super::signal::{Aspect, TrailSignal};
use super::{Actor, TrailDay};
use crate::detect::finding::{ATTACK_VERSION, Attack, BucketClaim, Confidence, Destination, Finding, PrincipalClaim};
use crate::detect::finding::{SCHEMA, Severity};
use crate::detect::{Meta, Settings, TRAIL_DETECTORS, TrailDetector};
use crate::net::Addr;
use crate::trail::TrailRow;

/// Turns a day's signals into findings.
pub(super) fn weigh(view: &TrailDay<'_>, signals: Vec<TrailSignal>, settings: &Settings) -> Vec<Finding> {
    let mut out = Vec::new();
    for event in events(view, signals) {
        let level = level(view, &event, settings);
        for signal in &event {
            // What is only informative by itself stays so, unless it is part of something.
            let severity = level.map_or(signal.severity, |l| l.max(signal.severity));
            out.extend(finding(view, signal, severity, level.is_some()));
        }
    }
    out.sort_by(|a, b| (&a.rule, &a.id).cmp(&(&b.rule, &b.id)));
    out
}

/// Signals of one caller that share an address.
fn events(view: &TrailDay<'_>, signals: Vec<TrailSignal>) -> Vec<Vec<TrailSignal>> {
    let mut by_actor: BTreeMap<usize, Vec<TrailSignal>> = BTreeMap::new();
    for signal in signals.into_iter().filter(|s| !s.rows.is_empty()) {
        by_actor.entry(signal.actor).or_default().push(signal);
    }
    let sources = |s: &TrailSignal| -> BTreeSet<u32> {
        let rows = s.rows.iter().filter_map(|n| view.row(*n));
        rows.map(|r| r.source).collect()
    };
    let mut out = Vec::new();
    for signals in by_actor.into_values() {
        let mut groups: Vec<(BTreeSet<u32>, Vec<TrailSignal>)> = Vec::new();
        for signal in signals {
            let mut marks = sources(&signal);
            let mut members = vec![signal];
            groups.retain_mut(|(theirs, others)| {
                let apart = theirs.is_disjoint(&marks);
                if !apart {
                    marks.append(theirs);
                    members.append(others);
                }
                apart
            });
            groups.push((marks, members));
        }
        out.extend(groups.into_iter().map(|(_, members)| members));
    }
    out
}

/// The severity that signals have together, if that is more than each has alone.
fn level(view: &TrailDay<'_>, event: &[TrailSignal], settings: &Settings) -> Option<Severity> {
    let rows: BTreeSet<u32> = event.iter().flat_map(|s| s.rows.iter().copied()).collect();
    let extent = Extent::of(view.case, &rows);
    let moved =
        extent.bytes >= settings.floor_bytes.into() || extent.copied >= settings.s3_cross_account_copy.least_objects;
    let has = |aspect: Aspect| {
        event
            .iter()
            .any(|s| s.aspect == aspect && (s.severity > Severity::Info || aspect == Aspect::Place))
    };
    let names = [Aspect::Listed, Aspect::Stolen].into_iter().filter(|a| has(*a)).count();
    let strange = names + usize::from(has(Aspect::Place));
    let deeds = [Aspect::Moved, Aspect::Exposed, Aspect::Tampered]
        .into_iter()
        .filter(|a| has(*a))
        .count();
    match () {
        () if moved && strange >= 2 && has(Aspect::Moved) => Some(Severity::Critical),
        () if moved && (names > 0 || strange > 0 && has(Aspect::Moved) || deeds > 1) => Some(Severity::High),
        () if has(Aspect::Destroyed) && strange > 0 => Some(Severity::High),
        () if strange > 0 && (deeds > 0 || has(Aspect::Recon)) => Some(Severity::Medium),
        () => None,
    }
}

fn finding(view: &TrailDay<'_>, signal: &TrailSignal, severity: Severity, together: bool) -> Option<Finding> {
    let actor = view.actors.get(signal.actor)?;
    let detector = TRAIL_DETECTORS.iter().find(|d| d.meta().id == signal.rule)?;
    let meta = detector.meta();
    let rows: BTreeSet<u32> = signal.rows.iter().copied().collect();
    let first = view.row(*rows.first()?)?;
    let (least, most) = severity.scores();
    let decades = signal.surprise + if together { 2.0 } else { 0.0 };
    let own = view.history.own(actor.name).map_or(0, |h| h.days.len());
    let mut out = Finding {
        schema: SCHEMA,
        id: id(view, signal.rule, actor, first),
        rule: signal.rule,
        rules: vec![signal.rule],
        title: meta.title.to_owned(),
        severity,
        score: (least + (decades * 4.0).min(most - least)).round(),
        confidence: Confidence::new(confidence(signal, together, own)),
        account: account(view, first),
        region: Some(view.case.index.text(first.region).to_owned()).filter(|r| !r.is_empty()),
        instance: actor.who.instance.clone(),
        channel: signal.channel,
        baseline: signal.expected,
        attack: Attack {
            version: ATTACK_VERSION,
            techniques: meta.techniques.to_vec(),
        },
        guardduty: types(*detector, meta),
        explanation: signal.reasons.clone(),
        surprise: signal.surprise,
        corroborated: together,
        ..Finding::default()
    };
    describe(&mut out, view.case, rows);
    Some(out)
}

/// Everything of a finding that follows from its rows. An incident does the same with the rows of all its findings.
pub fn describe(finding: &mut Finding, case: &super::TrailCase<'_>, rows: BTreeSet<u32>) {
    let extent = Extent::of(case, &rows);
    (finding.bytes, finding.flows) = (extent.bytes, extent.requests);
    (finding.first_seen, finding.last_seen) = (extent.first, extent.last);
    let addrs: BTreeSet<Addr> = extent.sources.iter().filter_map(|s| case.index.addr(*s)).collect();
    finding.source_ips = addrs.into_iter().collect();
    finding.destinations = destinations(case, &rows);
    finding.principals = claims(&extent);
    finding.buckets = bucket_claims(&extent);
    finding.requests = rows;
}

/// Where the data went: the callers that read it from outside.
fn destinations(case: &super::TrailCase<'_>, rows: &BTreeSet<u32>) -> Vec<Destination> {
    let mut out: BTreeMap<Addr, Destination> = BTreeMap::new();
    for n in rows.iter().filter(|n| case.deed(**n) == super::Deed::Read) {
        let row = case.index.rows.get(*n as usize);
        let Some((row, caller)) = row.and_then(|r| Some((r, case.caller(r)?))) else {
            continue;
        };
        if caller.inside || row.error != 0 {
            continue;
        }
        let fresh = || Destination {
            ip: caller.addr,
            bytes: 0,
            class: caller.peer.class,
            country: caller.peer.country,
            asn: caller.peer.asn,
            labels: caller.peer.labels.iter().map(ToString::to_string).collect(),
        };
        out.entry(caller.addr).or_insert_with(fresh).bytes += row.bytes_out;
    }
    let mut out: Vec<Destination> = out.into_values().collect();
    out.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.ip.cmp(&b.ip)));
    out
}

/// The callers, those who moved most first, then those who called most.
fn claims(extent: &Extent) -> Vec<PrincipalClaim> {
    let mut sums: Vec<_> = extent.principals.iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(**sum));
    let claim = |((arn, key), (bytes, _)): (&(String, String), &(u128, u64))| PrincipalClaim {
        arn: arn.clone(),
        access_key: Some(key.clone()).filter(|k| !k.is_empty()),
        class: "exact".to_owned(),
        confidence: Confidence::new(0.97),
        bytes: *bytes,
        why: "CloudTrail names it as the caller".to_owned(),
    };
    sums.into_iter().map(claim).collect()
}

fn bucket_claims(extent: &Extent) -> Vec<BucketClaim> {
    let claim = |(name, sum): (&String, &super::BucketSum)| BucketClaim {
        name: name.clone(),
        objects: sum.objects,
        bytes: sum.bytes,
        sensitivity: Vec::new(),
    };
    let mut out: Vec<BucketClaim> = extent.buckets.iter().map(claim).collect();
    out.sort_by(|a, b| (b.bytes, b.objects, &a.name).cmp(&(a.bytes, a.objects, &b.name)));
    out
}

fn types(detector: &dyn TrailDetector, meta: &Meta) -> Vec<String> {
    let all = meta.guardduty.iter().chain(detector.retired());
    all.map(ToString::to_string).collect()
}

fn confidence(signal: &TrailSignal, together: bool, own_days: usize) -> f64 {
    let base = match signal.aspect {
        Aspect::Listed | Aspect::Stolen | Aspect::Tampered | Aspect::Exposed => 0.85,
        Aspect::Moved | Aspect::Destroyed => 0.6,
        Aspect::Place | Aspect::Recon => 0.45,
    };
    let young = matches!(
        signal.aspect,
        Aspect::Moved | Aspect::Destroyed | Aspect::Place | Aspect::Recon
    );
    base + if together { 0.1 } else { 0.0 } - if young && own_days < 7 { 0.15 } else { 0.0 }
}

/// The account in whose trail it stands; for calls of strangers that is ours.
fn account(view: &TrailDay<'_>, row: &TrailRow) -> Option<String> {
    let recipient = view.case.index.text(row.recipient);
    let caller = || view.case.index.principal(row).and_then(|p| p.account.clone());
    Some(recipient.to_owned()).filter(|a| !a.is_empty()).or_else(caller)
}

/// What a finding is about, hashed: rule, caller, first hour.
fn id(view: &TrailDay<'_>, rule: &str, actor: &Actor<'_>, first: &TrailRow) -> String {
    let mut hash = Sha256::new();
    let account = account(view, first).unwrap_or_default();
    for part in [
        rule,
        &account,
        actor.name,
        &first.hour.to_string(),
        view.case.index.text(first.source),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let text: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("ft-{text}")
}
