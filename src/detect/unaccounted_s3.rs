//! `unaccounted-s3`: bytes go to S3, and no event of CloudTrail says who wrote what where.
//!
//! That is how an upload with credentials that are not ours looks, and one into a bucket that our trail does not cover.
//! Log shipping looks so too, so every interface is compared with what it never accounted for in the past.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cells::Sums;
use super::finding::{ATTACK_VERSION, Attack, Confidence, Expectation, Finding, SCHEMA, Severity};
use super::joint::{JointCase, JointDetector};
use super::{Meta, Settings};
use crate::aggregate::EgressTable;
use crate::attribute::{Balance, Reconciliation};
use crate::net::{HOUR, Seconds, human_bytes};

/// The detector.
pub struct UnaccountedS3;

impl JointDetector for UnaccountedS3 {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn detect(&self, case: &JointCase<'_>, settings: &Settings) -> Vec<Finding> {
        let judge = |books| judge(case.table, books, case.whole, settings);
        case.books.map(judge).unwrap_or_default()
    }
}

/// Its name and references.
const META: Meta = Meta {
    id: "unaccounted-s3",
    title: "Data sent to S3 that no event accounts for",
    techniques: &["T1537"],
    guardduty: None,
};

/// Parameters of `unaccounted-s3`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Fewer unaccounted bytes in an hour are noise of the two logs.
    pub least_bytes: u64,
    /// So many times the most that the interface left unaccounted in any past hour.
    pub factor: f64,
    /// Days of its own past, before which the fleet's is looked at as well.
    pub learned_days: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            least_bytes: 200_000_000,
            factor: 3.0,
            learned_days: 3,
        }
    }
}

/// Findings of all interfaces. `whole` says that the trail covers every bucket; else the sums are upper bounds.
fn judge(table: &EgressTable, books: &Reconciliation, whole: bool, settings: &Settings) -> Vec<Finding> {
    let open = open(books);
    let mut out = Vec::new();
    for (interface, hours) in &open {
        for run in runs(*interface, hours, &open, books, &settings.unaccounted_s3) {
            out.extend(finding(table, books, *interface, hours, &run, whole));
        }
    }
    out
}

/// The hours of each interface that stand out, with the most that it left unaccounted in any hour before them.
pub fn standing_out(books: &Reconciliation, own: &Parameters) -> BTreeMap<u32, BTreeMap<Seconds, u128>> {
    let open = open(books);
    let of = |(interface, hours): (&u32, &BTreeMap<Seconds, u128>)| {
        let runs = runs(*interface, hours, &open, books, own);
        let each = runs
            .into_iter()
            .flat_map(|r| r.hours.into_iter().map(move |h| (h, r.most)));
        (*interface, each.collect())
    };
    open.iter().map(of).collect()
}

/// What each interface left unaccounted, by hour.
fn open(books: &Reconciliation) -> BTreeMap<u32, BTreeMap<Seconds, u128>> {
    books.balances.keys().map(|i| (*i, books.unaccounted(*i))).collect()
}

/// Hours that stand out, those next to each other together, with the most of the past.
struct Run {
    hours: Vec<Seconds>,
    most: u128,
    days: usize,
}

fn runs(
    interface: u32,
    hours: &BTreeMap<Seconds, u128>,
    all: &BTreeMap<u32, BTreeMap<Seconds, u128>>,
    books: &Reconciliation,
    own: &Parameters,
) -> Vec<Run> {
    const DAY: Seconds = 24 * HOUR;
    let mut out: Vec<Run> = Vec::new();
    let mut quiet = 0u128;
    let mut today = (0, 0u128);
    let active: BTreeSet<Seconds> = books
        .balances
        .get(&interface)
        .map(|b| b.keys().map(|h| h / DAY).collect())
        .unwrap_or_default();
    for (hour, bytes) in hours {
        let day = hour / DAY;
        if day != today.0 {
            quiet = quiet.max(today.1);
            today = (day, 0);
        }
        let days = active.range(..day).count();
        let borrowed = if days < own.learned_days { fleet(all, *hour) } else { 0 };
        let most = quiet.max(borrowed);
        let loud = *bytes >= own.least_bytes.into() && *bytes as f64 > own.factor * most as f64;
        if !loud {
            today.1 = today.1.max(*bytes);
            continue;
        }
        match out
            .last_mut()
            .filter(|r| r.hours.last().is_some_and(|h| hour - h <= HOUR))
        {
            Some(run) => run.hours.push(*hour),
            None => out.push(Run {
                hours: vec![*hour],
                most,
                days,
            }),
        }
    }
    // The first days of an archive have nothing to be compared with.
    let first = books
        .balances
        .values()
        .filter_map(|b| b.keys().next())
        .min()
        .copied()
        .unwrap_or(0)
        / DAY;
    out.retain(|r| {
        r.hours
            .first()
            .is_some_and(|h| h / DAY >= first + own.learned_days as u64)
    });
    out
}

/// The most that a busy interface of the fleet left unaccounted in an hour before: the ninth of ten.
fn fleet(all: &BTreeMap<u32, BTreeMap<Seconds, u128>>, before: Seconds) -> u128 {
    let most = |hours: &BTreeMap<Seconds, u128>| hours.range(..before).map(|(_, b)| *b).max();
    let mut each: Vec<u128> = all.values().filter_map(most).collect();
    each.sort_unstable();
    each.get(each.len() * 9 / 10).or(each.last()).copied().unwrap_or(0)
}

fn finding(
    table: &EgressTable,
    books: &Reconciliation,
    interface: u32,
    hours: &BTreeMap<Seconds, u128>,
    run: &Run,
    whole: bool,
) -> Option<Finding> {
    let about = table.interfaces.get(interface as usize)?;
    let balances = books.balances.get(&interface)?;
    let of_run = run.hours.iter().filter_map(|h| balances.get(h));
    let cells: BTreeSet<u32> = of_run.clone().flat_map(|b| b.cells.iter().copied()).collect();
    let open: u128 = run.hours.iter().filter_map(|h| hours.get(h)).sum();
    let sent: u128 = of_run.map(|b| b.sent).sum();
    let portions = portions(table, balances, hours, run);
    let sums = Sums::of_portions(table, &cells, &portions);
    let volume = sums.volume?;
    let surprise = (open as f64 / run.most.max(10_000_000) as f64).max(1.0).log10();
    let first = *run.hours.first()?;
    Some(Finding {
        schema: SCHEMA,
        id: id(about.account.as_deref().unwrap_or("-"), &about.id, first),
        rule: META.id,
        rules: vec![META.id],
        title: META.title.to_owned(),
        severity: Severity::Medium,
        score: (45.0 + (surprise * 6.0).min(24.0)).round(),
        confidence: Confidence::new(if whole { 0.8 } else { 0.6 }),
        first_seen: volume.first,
        last_seen: volume.last,
        account: about.account.clone(),
        region: about.region.clone(),
        eni: Some(about.id.clone()),
        instance: about.instance.clone(),
        source_ips: sums.sources,
        destinations: sums.destinations,
        bytes: volume.bytes,
        packets: volume.packets,
        flows: volume.flows,
        channel: "S3 unaccounted",
        baseline: Some(Expectation {
            quantile: 1.0,
            expected: u64::try_from(run.most).unwrap_or(u64::MAX),
            observed: u64::try_from(open).unwrap_or(u64::MAX),
            history_hours: 24 * run.days as u64,
        }),
        attack: Attack {
            version: ATTACK_VERSION,
            techniques: META.techniques.to_vec(),
        },
        evidence: sums.evidence,
        explanation: words(sent, open, run, whole),
        cells,
        portions,
        interface: Some(interface),
        surprise,
        ..Finding::default()
    })
}

/// The open bytes of each hour, spread over its cells: which of them they are no log tells.
fn portions(
    table: &EgressTable,
    balances: &BTreeMap<Seconds, Balance>,
    hours: &BTreeMap<Seconds, u128>,
    run: &Run,
) -> BTreeMap<u32, u128> {
    let mut out = BTreeMap::new();
    for hour in &run.hours {
        let (Some(balance), Some(open)) = (balances.get(hour), hours.get(hour)) else {
            continue;
        };
        let (mut left, mut sent) = (*open, balance.sent);
        for cell in &balance.cells {
            let bytes = table.rows.get(*cell as usize).map_or(0, |r| r.volume.bytes);
            // what is left of the hour is spread over what is left of its cells: the sum comes out exact
            let part = left.saturating_mul(bytes).checked_div(sent).unwrap_or(0);
            out.insert(*cell, part);
            (left, sent) = (left - part, sent.saturating_sub(bytes));
        }
    }
    out
}

fn words(sent: u128, open: u128, run: &Run, whole: bool) -> Vec<String> {
    let mut out = vec![
        format!(
            "{} went to S3 in {} hour(s); CloudTrail's events of this machine explain at most {} of it: {} are unaccounted for.",
            human_bytes(sent),
            run.hours.len(),
            human_bytes(sent.saturating_sub(open)),
            human_bytes(open)
        ),
        format!(
            "In any hour of the {} day(s) before, at most {} were.",
            run.days,
            human_bytes(run.most)
        ),
    ];
    if !whole {
        out.push(
            "The trail does not cover every bucket: this is an upper bound of what went to buckets of others."
                .to_owned(),
        );
    }
    out
}

fn id(account: &str, interface: &str, first: Seconds) -> String {
    let mut hash = Sha256::new();
    for part in [META.id, account, interface, &first.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let text: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("ft-{text}")
}
