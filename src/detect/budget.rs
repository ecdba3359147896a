//! Which signals become findings: the alert budget, and what else fired.
//!
//! Signals of one interface that share a destination speak of one event. Its surprise is that of the loudest,
//! and a little more for each other kind of evidence. An uncorroborated event must be rarer than the threshold:
//! so rare by chance, in a fleet of this size, that well under the budget is used, raised if the past days would have used more.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::cells::Sums;
use super::finding::{ATTACK_VERSION, Attack, Confidence, Expectation, Finding, SCHEMA, Severity};
use super::signal::{Kind, Signal};
use super::{DETECTORS, Meta, Settings};
use crate::baseline::{Day, DayView, place};

/// Surprises of past events, by day.
#[derive(Debug, Default)]
pub struct Budget {
    past: BTreeMap<Day, Events>,
}

/// How many events had a surprise, in hundredths of a decade.
type Events = BTreeMap<u32, u32>;

/// Decades that a second, different kind of evidence adds.
const SECOND: f64 = 0.5;

/// Questions asked of an interface and day: bytes in four channels, new places, operators and steady destinations.
const TESTS: f64 = 7.0;

/// From this surprise on, a second kind of evidence counts.
const SUPPORT: f64 = 1.5;

/// Share of the budget that is aimed at, since it is an upper bound: where 1.5 a day are expected by chance, more than five
/// come on one day in 200 (Poisson).
const MARGIN: f64 = 0.3;

/// One day in so many, the loudest, is left out of the past: a day of incidents must not raise the threshold for the next.
const LOUDEST: usize = 4;

/// Days that the threshold looks back.
const WINDOW: usize = 28;

/// A statistical event below this is not worth keeping.
const LEAST: f64 = 2.5;

/// Decades asked in addition on the first day, when there is no history at all.
const UNLEARNED: f64 = 2.0;

impl Budget {
    /// With what is known of earlier days.
    pub(super) fn of(past: &BTreeMap<Day, Events>) -> Self {
        Budget { past: past.clone() }
    }

    /// The last day weighed, with its events.
    pub(super) fn last(&self) -> Option<(Day, Events)> {
        self.past.last_key_value().map(|(day, events)| (*day, events.clone()))
    }

    /// Turns a day's signals into findings, and remembers the day.
    pub fn weigh(&mut self, view: &DayView<'_>, signals: Vec<Signal>, settings: &Settings) -> Vec<Finding> {
        let threshold = self.threshold(view.actors.len(), view, settings);
        let mut surprises = Vec::new();
        let mut out = Vec::new();
        for event in events(view, signals) {
            let surprise = surprise(&event);
            let listed = event.iter().any(|s| s.kind == Kind::Listed);
            if !listed && surprise > 0.0 {
                surprises.push(surprise);
            }
            for signal in &event {
                let severity = severity(view, signal, settings, surprise, threshold);
                out.extend(finding(view, signal, severity, listed, surprise));
            }
        }
        if view.profiles.days() >= view.profiles.learning.full_history {
            let events = self.past.entry(view.day).or_default();
            for surprise in surprises {
                *events.entry((surprise * 100.0).round() as u32).or_default() += 1;
            }
        }
        out.sort_by(|a, b| (a.interface, &a.rule, a.cells.first()).cmp(&(b.interface, &b.rule, b.cells.first())));
        out
    }

    /// True if the signals of an interface, one of a fleet of so many, would be reported; nothing is remembered.
    pub(super) fn reports(&self, fleet: usize, view: &DayView<'_>, signals: Vec<Signal>, settings: &Settings) -> bool {
        let threshold = self.threshold(fleet, view, settings);
        let loud = |event: &Vec<Signal>| {
            let surprise = surprise(event);
            let severities = event
                .iter()
                .filter_map(|s| severity(view, s, settings, surprise, threshold));
            severities.max() >= Some(Severity::Medium)
        };
        events(view, signals).iter().any(loud)
    }

    /// The surprise from which an uncorroborated event is reported, by the days before this one.
    fn threshold(&self, actors: usize, view: &DayView<'_>, settings: &Settings) -> f64 {
        let learned = f64::from(view.profiles.days()) / f64::from(view.profiles.learning.full_history);
        let tests = actors.max(10) as f64 * TESTS;
        let aim = (settings.alert_budget * MARGIN).max(0.01);
        let base = (tests / aim).log10().max(LEAST) + UNLEARNED * (1.0 - learned).max(0.0);
        let above = |events: &Events| -> Vec<f64> {
            let each = events.iter().map(|(s, n)| (f64::from(*s) / 100.0, *n as usize));
            each.filter(|(s, _)| *s > base)
                .flat_map(|(s, n)| std::iter::repeat_n(s, n))
                .collect()
        };
        let mut by_day: Vec<Vec<f64>> = self.past.values().rev().take(WINDOW).map(above).collect();
        by_day.sort_by(|a, b| {
            a.len()
                .cmp(&b.len())
                .then(a.iter().sum::<f64>().total_cmp(&b.iter().sum()))
        });
        by_day.truncate(by_day.len() - by_day.len() / LOUDEST);
        let mut all: Vec<f64> = by_day.iter().flatten().copied().collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let allowed = (aim * by_day.len() as f64) as usize;
        all.get(allowed).map_or(base, |worst| base.max(worst + 0.01))
    }
}

/// Signals of one interface that share a destination.
fn events(view: &DayView<'_>, signals: Vec<Signal>) -> Vec<Vec<Signal>> {
    let mut by_actor: BTreeMap<usize, Vec<Signal>> = BTreeMap::new();
    for signal in signals.into_iter().filter(|s| !s.cells.is_empty()) {
        by_actor.entry(signal.actor).or_default().push(signal);
    }
    let mut out = Vec::new();
    for signals in by_actor.into_values() {
        let mut groups: Vec<(BTreeSet<u32>, Vec<Signal>)> = Vec::new();
        for signal in signals {
            let mut marks = marks(view, &signal);
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

/// The destinations of a signal.
fn marks(view: &DayView<'_>, signal: &Signal) -> BTreeSet<u32> {
    signal
        .cells
        .iter()
        .filter_map(|c| view.table.rows.get(*c as usize))
        .map(|r| r.peer)
        .collect()
}

/// The loudest signal's surprise, and a little more for each other rule.
fn surprise(event: &[Signal]) -> f64 {
    let mut by_rule: BTreeMap<&str, f64> = BTreeMap::new();
    for signal in event {
        let most = by_rule.entry(signal.rule).or_default();
        *most = most.max(signal.surprise);
    }
    let loudest = by_rule.values().copied().fold(0.0, f64::max);
    loudest + SECOND * by_rule.values().filter(|s| **s >= SUPPORT).count().saturating_sub(1) as f64
}

fn severity(
    view: &DayView<'_>,
    signal: &Signal,
    settings: &Settings,
    surprise: f64,
    threshold: f64,
) -> Option<Severity> {
    let bytes: u128 = signal
        .cells
        .iter()
        .filter_map(|c| view.table.rows.get(*c as usize))
        .map(|r| r.volume.bytes)
        .sum();
    match signal.kind {
        // HIGH is for bytes that moved; a tenth of the floor is a conversation, less is a connection.
        Kind::Listed if bytes >= settings.floor_bytes.into() => Some(Severity::High),
        Kind::Listed if bytes * 10 >= settings.floor_bytes.into() => Some(Severity::Medium),
        Kind::Listed | Kind::Habit => Some(Severity::Low),
        Kind::Pattern => Some(Severity::Medium),
        Kind::Explained => Some(Severity::Info),
        Kind::Statistical if surprise >= threshold => Some(Severity::Medium),
        Kind::Statistical => (surprise >= LEAST.max(threshold - 0.5)).then_some(Severity::Info),
    }
}

fn finding(
    view: &DayView<'_>,
    signal: &Signal,
    severity: Option<Severity>,
    listed: bool,
    surprise: f64,
) -> Option<Finding> {
    let (severity, actor) = (severity?, view.actors.get(signal.actor)?);
    let interface = view.table.interfaces.get(actor.interface as usize)?;
    let meta = meta(signal.rule)?;
    let cells: BTreeSet<u32> = signal.cells.iter().copied().collect();
    let sums = Sums::of_portions(view.table, &cells, &signal.portions);
    let volume = sums.volume?;
    let (least, most) = severity.scores();
    Some(Finding {
        schema: SCHEMA,
        id: id(view, signal, interface.account.as_deref().unwrap_or("-"), actor.id),
        rule: signal.rule,
        rules: vec![signal.rule],
        title: meta.title.to_owned(),
        severity,
        score: (least + (surprise * 4.0).min(most - least)).round(),
        confidence: confidence(signal, listed, surprise),
        first_seen: volume.first,
        last_seen: volume.last,
        account: interface.account.clone(),
        region: interface.region.clone(),
        eni: Some(interface.id.clone()),
        instance: interface.instance.clone(),
        source_ips: sums.sources,
        destinations: sums.destinations,
        bytes: volume.bytes,
        packets: volume.packets,
        flows: volume.flows,
        channel: sums.channel,
        baseline: signal.deviation.map(|d| Expectation {
            quantile: (d.quantile * 1e4).round() / 1e4,
            expected: d.expected,
            observed: d.observed,
            history_hours: d.history_hours,
        }),
        attack: Attack {
            version: ATTACK_VERSION,
            techniques: meta.techniques.to_vec(),
        },
        guardduty: meta.guardduty.map(str::to_owned).into_iter().collect(),
        evidence: sums.evidence,
        explanation: signal.reasons.clone(),
        cells,
        portions: signal.portions.clone(),
        interface: Some(actor.interface),
        surprise,
        weight: signal.surprise,
        corroborated: listed,
        ..Finding::default()
    })
}

/// A list is nearly certain; surprise counts, and less after a short history.
fn confidence(signal: &Signal, listed: bool, surprise: f64) -> Confidence {
    let young = signal.deviation.is_some_and(|d| d.history_hours < 168);
    let less = if young { 0.2 } else { 0.0 };
    Confidence::new(if listed { 0.9 } else { 0.35 + surprise * 0.08 - less })
}

fn meta(rule: &str) -> Option<&'static Meta> {
    DETECTORS.iter().map(|d| d.meta()).find(|m| m.id == rule)
}

/// What a finding is about, hashed: rule, account, interface, destinations' places, first hour.
fn id(view: &DayView<'_>, signal: &Signal, account: &str, interface: &str) -> String {
    let rows: Vec<_> = signal
        .cells
        .iter()
        .filter_map(|c| view.table.rows.get(*c as usize))
        .collect();
    let places: BTreeSet<String> = rows.iter().map(|r| place(view.table.peer(r))).collect();
    let first = rows.iter().map(|r| r.hour).min().unwrap_or(0);
    let mut hash = Sha256::new();
    for part in [signal.rule, account, interface, &first.to_string()]
        .into_iter()
        .chain(places.iter().map(String::as_str))
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    format!(
        "ft-{}",
        hash.finalize()
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    )
}
