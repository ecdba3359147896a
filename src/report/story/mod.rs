//! The story of a result, in the order in which the playbook's report tells it, before any format has touched it.
//!
//! Markdown and HTML write the same [`Story`]: every line of the template has its place here once, so that no format can
//! forget one. Every text in it is safe to show; escaping for the format is the format's.

pub mod frame;
pub mod impact;
pub mod lead;
pub mod outside;
pub mod words;

use std::collections::BTreeMap;

use crate::report::document::{Detail, Document, Moment, Reported, Series, SideFinding, Step};

pub use outside::Outside;

/// A label with what stands behind it, one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// What is known of it.
    pub lines: Vec<String>,
    /// True for names that are copied: ARNs, addresses, hashes.
    pub literal: bool,
}

impl Fact {
    /// Words.
    pub fn said(label: &'static str, text: impl Into<String>) -> Self {
        Fact {
            label,
            lines: vec![text.into()],
            literal: false,
        }
    }

    /// Names, one a line.
    pub fn named(label: &'static str, lines: Vec<String>) -> Self {
        Fact {
            label,
            lines,
            literal: true,
        }
    }
}

/// Everything that is told of a result.
#[derive(Debug)]
pub struct Story<'d> {
    /// The result itself.
    pub document: &'d Document,
    /// Its incidents, most severe first.
    pub cases: Vec<Case<'d>>,
    /// Lines from outside that belong to none.
    pub loose: Vec<Moment>,
    /// Findings of GuardDuty and Macie that match none.
    pub unmatched: Vec<&'d SideFinding>,
}

/// One incident.
#[derive(Debug)]
pub struct Case<'d> {
    /// Its place, from 1.
    pub number: usize,
    /// The incident.
    pub incident: &'d Reported,
    /// What stands beside it.
    pub detail: Option<&'d Detail>,
    /// Its hours.
    pub series: Vec<&'d Series>,
    /// What GuardDuty and Macie say of it.
    pub side: Vec<&'d SideFinding>,
    /// Its timeline.
    pub moments: Vec<Moment>,
    /// The steps of containment; none if nobody looked.
    pub steps: Option<Vec<Step>>,
}

impl<'d> Story<'d> {
    /// Sorts everything to the incident that it belongs to.
    pub fn of(document: &'d Document, outside: &[Outside], show_keys: bool) -> Story<'d> {
        let mut extra: BTreeMap<usize, Vec<Moment>> = BTreeMap::new();
        let mut loose = Vec::new();
        for line in outside {
            let moment = line.moment(show_keys);
            match line.place(&document.incidents) {
                Some(n) => extra.entry(n).or_default().push(moment),
                None => loose.push(moment),
            }
        }
        loose.sort();
        let details: BTreeMap<&str, &Detail> = document.details.iter().map(|d| (d.id.as_str(), d)).collect();
        let imported = || document.side_findings.iter().flatten();
        let case = |(n, incident): (usize, &'d Reported)| {
            let detail = details.get(incident.id.as_str()).copied();
            let side: Vec<&SideFinding> = imported().filter(|f| belongs(f, incident)).collect();
            let extra = extra.remove(&n).unwrap_or_default();
            let steps = detail.and_then(|d| d.containment.as_ref()).map(|s| steps(s, &extra));
            let moments = moments(detail, &side, extra);
            Case {
                number: n + 1,
                incident,
                detail,
                series: document.series.iter().filter(|s| shows(s, incident)).collect(),
                side,
                moments,
                steps,
            }
        };
        let cases: Vec<Case<'d>> = document.incidents.iter().enumerate().map(case).collect();
        let told = |f: &&SideFinding| document.incidents.iter().any(|i| belongs(f, i));
        Story {
            document,
            cases,
            loose,
            unmatched: imported().filter(|f| !told(f)).collect(),
        }
    }
}

impl Case<'_> {
    /// How many steps the trail shows as done, how many only lines from outside do, and how many there are.
    pub fn contained(&self) -> Option<(usize, usize, usize)> {
        let steps = self.steps.as_deref()?;
        let count = |told: bool| steps.iter().filter(|s| s.done && s.told.is_some() == told).count();
        Some((count(false), count(true), steps.len()))
    }
}

/// The steps of an incident. What the trail cannot show may be told from outside: a line that names a step (`secret-scan`,
/// or the same as words) says that it was done.
fn steps(steps: &[Step], outside: &[Moment]) -> Vec<Step> {
    let told = |step: &Step| {
        let (id, words) = (step.id.to_lowercase(), step.id.to_lowercase().replace('-', " "));
        let names = |m: &&Moment| {
            let text = m.text.to_lowercase();
            words.len() > 3 && (text.contains(&id) || text.contains(&words))
        };
        outside.iter().find(names)
    };
    let tick = |step: &Step| match told(step).filter(|_| !step.done) {
        Some(line) => Step {
            done: true,
            at: Some(line.time),
            by: None,
            told: Some(line.text.clone()),
            ..step.clone()
        },
        None => step.clone(),
    };
    steps.iter().map(tick).collect()
}

/// A finding of GuardDuty's belongs where it was matched; one of Macie's also to every incident with its bucket.
fn belongs(finding: &SideFinding, incident: &Reported) -> bool {
    let of_bucket = || {
        let named = |b: &String| Some(b) == finding.bucket.as_ref() || finding.buckets.contains(b);
        finding.source == "macie" && incident.buckets.iter().any(|b| named(&b.name))
    };
    finding.matched.as_deref() == Some(incident.id.as_str()) || of_bucket()
}

/// A series is of the incident's interface, or of its leading principal.
fn shows(series: &Series, incident: &Reported) -> bool {
    let who = incident.principals.first().map(|p| p.arn.as_str());
    let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
    same(series.eni.as_deref(), incident.eni.as_deref()) || same(series.principal.as_deref(), who)
}

/// What the logs show, what GuardDuty and Macie said when, what was done, and what the logs do not know.
fn moments(detail: Option<&Detail>, side: &[&SideFinding], extra: Vec<Moment>) -> Vec<Moment> {
    let steps = || detail.and_then(|d| d.containment.as_deref()).into_iter().flatten();
    let done = |s: &&Step| s.done && s.at.is_some_and(|t| t.0.is_some());
    let deeds: Vec<Moment> = steps().filter(done).map(of_step).collect();
    let same_time = |m: &&Moment| m.until.is_none() && deeds.iter().any(|d| d.time == m.time);
    let logs = detail.map(|d| d.timeline.as_slice()).unwrap_or_default();
    let mut out: Vec<Moment> = logs.iter().filter(|m| !same_time(m)).cloned().collect();
    out.extend(
        side.iter()
            .filter(|f| f.source != "macie")
            .filter_map(|f| of_finding(f)),
    );
    out.extend(deeds.iter().cloned());
    out.extend(extra);
    out.sort();
    out.dedup();
    out
}

fn of_step(step: &Step) -> Moment {
    let by = step
        .by
        .as_deref()
        .map(|b| format!(" (by {})", words::short(b)))
        .unwrap_or_default();
    Moment {
        time: step.at.unwrap_or_default(),
        until: None,
        source: "containment".to_owned(),
        text: format!("{}{by}", step.text),
    }
}

fn of_finding(finding: &SideFinding) -> Option<Moment> {
    let time = [finding.created_at, finding.first_seen]
        .into_iter()
        .flatten()
        .find(|t| t.0.is_some())?;
    Some(Moment {
        time,
        until: None,
        source: finding.source.clone(),
        text: format!(
            "{} finding {}, severity {}",
            finding.product(),
            finding.kind,
            finding.severity.0
        ),
    })
}
