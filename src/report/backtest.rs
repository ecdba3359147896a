//! `backtest`: how good were the detectors, on an archive whose truth is known?
//!
//! An incident is found if a reported one overlaps it in time (an hour of slack) and names its interface, instance or
//! principal, or, where only the trail shows it, its caller. What matches nothing is a false positive. Detection is put at
//! the end of the first hour that the reported incident cites, as an hourly scan would see it; bytes that left until then
//! are lost. Truth files of `flowtrail gen` are read, and others of the same shape.

use crate::aggregate::EgressTable;
use crate::detect::Severity;
use crate::error::{Error, Result};
use crate::incident::Incident;
use crate::net::{HOUR, Seconds, TimeWindow, parse_rfc3339};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is to be found.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Before this everything is learning.
    pub detect_from: Seconds,
    /// The incidents.
    pub incidents: Vec<True>,
}

/// One true incident.
#[derive(Debug, Clone)]
pub struct True {
    /// Its name.
    pub id: String,
    /// Interfaces, instances, ARNs, keys.
    names: BTreeSet<String>,
    /// Addresses of its far ends and callers.
    addresses: BTreeSet<String>,
    window: TimeWindow,
    /// Bytes that left, by flows or trail.
    pub bytes: u128,
}

/// How one true incident fared.
#[derive(Debug, Clone)]
pub struct Fate {
    /// Its name.
    pub id: String,
    /// The worst severity that it was reported with.
    pub severity: Option<Severity>,
    /// The best-ranked incident that reports it.
    pub by: Option<String>,
    /// Its rules.
    pub rules: Vec<&'static str>,
    /// Seconds from its start to its detection, at medium or above.
    pub delay: Option<Seconds>,
    /// Bytes that had left by then; all of them, if it was missed.
    pub lost: u128,
    /// Its bytes.
    pub bytes: u128,
}

/// The detectors' score.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Of each true incident.
    pub fates: Vec<Fate>,
    /// Reported at medium or above in the days of detection.
    pub reported: usize,
    /// Of these, ids of those that match nothing.
    pub false_positives: Vec<(String, Severity)>,
    /// Days of detection.
    pub days: f64,
}

impl Truth {
    /// Reads a truth file.
    ///
    /// # Errors
    /// `List` if it names no incidents.
    pub fn read(text: &str) -> Result<Truth> {
        let value: Value = serde_json::from_str(text).map_err(|e| Error::list(format!("no JSON: {e}")))?;
        let time = |v: &Value| v.as_str().and_then(parse_rfc3339);
        let from = time(&value["detect_from"]).or_else(|| time(&value["window"]["detect_start"]));
        let incidents = value["incidents"].as_array();
        let incidents = incidents.ok_or_else(|| Error::list("no truth: it has no `incidents`"))?;
        let read = |v: &Value| match (time(&v["start"]), time(&v["end"])) {
            (Some(from), Some(to)) => Ok(True::of(v, TimeWindow { from, to })),
            _ => Err(Error::list("no truth: an incident has no `start` and `end`")),
        };
        Ok(Truth {
            detect_from: from.unwrap_or(0),
            incidents: incidents.iter().map(read).collect::<Result<_>>()?,
        })
    }
}

impl True {
    fn of(v: &Value, window: TimeWindow) -> True {
        let mut names = BTreeSet::new();
        for key in [
            "eni",
            "enis",
            "instance",
            "instances",
            "access_keys",
            "principal",
            "principals_also",
        ] {
            collect(&v[key], &mut names);
        }
        names.retain(|n| n.starts_with("eni-") || n.starts_with("i-") || n.starts_with("arn:") || n.starts_with('A'));
        let mut addresses = BTreeSet::new();
        for key in ["source_ips", "peer_ips", "peers"] {
            collect(&v[key], &mut addresses);
        }
        let number = |k: &str| v[k].as_u64().unwrap_or(0);
        let trail = number("trail_bytes_out")
            .max(number("trail_bytes_in"))
            .max(number("bytes"));
        let flow = number("flow_bytes");
        True {
            id: v["id"].as_str().unwrap_or("-").to_owned(),
            names,
            addresses,
            window,
            bytes: u128::from(if flow > 0 { flow } else { trail }),
        }
    }

    fn is(&self, i: &Incident) -> bool {
        let window = self.window.widen(HOUR);
        let reported = TimeWindow {
            from: i.first_seen,
            to: i.last_seen.saturating_add(1),
        };
        let names = [&i.eni, &i.instance];
        let by_host = names.into_iter().flatten().any(|n| self.names.contains(n));
        let by_principal = i
            .principals
            .iter()
            .take(3)
            .any(|p| self.names.contains(&p.arn) || p.access_key.as_ref().is_some_and(|k| self.names.contains(k)));
        let by_caller = i.eni.is_none() && i.source_ips.iter().any(|a| self.addresses.contains(&a.to_string()));
        window.overlaps(&reported) && (by_host || by_principal || by_caller)
    }
}

/// All texts in a value, however deep.
fn collect(v: &Value, into: &mut BTreeSet<String>) {
    match v {
        Value::String(s) => drop(into.insert(s.clone())),
        Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
        Value::Object(map) => map.values().for_each(|v| collect(v, into)),
        _ => {}
    }
}

/// Holds incidents, most severe first, against the truth; `end` is the archive's.
pub fn score(truth: &Truth, incidents: &[Incident], table: &EgressTable, end: Seconds) -> Score {
    let mut matched: BTreeSet<&str> = BTreeSet::new();
    let mut out = Score {
        days: end.saturating_sub(truth.detect_from) as f64 / 86_400.0,
        ..Score::default()
    };
    for t in &truth.incidents {
        let found: Vec<&Incident> = incidents.iter().filter(|i| t.is(i)).collect();
        matched.extend(found.iter().map(|i| i.id.as_str()));
        out.fates.push(fate(t, &found, table));
    }
    let detected = incidents
        .iter()
        .filter(|i| i.severity >= Severity::Medium && i.last_seen >= truth.detect_from);
    for i in detected {
        out.reported += 1;
        if !matched.contains(i.id.as_str()) {
            out.false_positives.push((i.id.clone(), i.severity));
        }
    }
    out
}

fn fate(t: &True, found: &[&Incident], table: &EgressTable) -> Fate {
    let best = found.first();
    let loud = found.iter().filter(|i| i.severity >= Severity::Medium);
    let detected = loud.map(|i| (i.first_seen / HOUR + 1) * HOUR).min();
    let lost = detected.map_or(t.bytes, |at| {
        let cells: BTreeSet<u32> = found.iter().flat_map(|i| i.cells.iter().copied()).collect();
        let rows = cells.iter().filter_map(|c| table.rows.get(*c as usize));
        rows.filter(|r| r.hour < at)
            .map(|r| r.volume.bytes)
            .sum::<u128>()
            .min(t.bytes)
    });
    Fate {
        id: t.id.clone(),
        severity: best.map(|i| i.severity),
        by: best.map(|i| i.id.clone()),
        rules: best.map(|i| i.rules.clone()).unwrap_or_default(),
        delay: detected.map(|at| at.saturating_sub(t.window.from)),
        lost,
        bytes: t.bytes,
    }
}

impl Score {
    /// Share of the true incidents reported at a severity or above.
    pub fn recall(&self, least: Severity) -> f64 {
        let found = self.fates.iter().filter(|f| f.severity >= Some(least)).count();
        found as f64 / self.fates.len().max(1) as f64
    }

    /// Share of what was reported at medium or above that is true.
    pub fn precision(&self) -> f64 {
        1.0 - self.false_positives.len() as f64 / self.reported.max(1) as f64
    }

    /// False positives a day at a severity or above.
    pub fn false_a_day(&self, least: Severity) -> f64 {
        let n = self.false_positives.iter().filter(|(_, s)| *s >= least).count();
        n as f64 / self.days.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_missed_and_made_up_is_counted() {
        let truth = Truth::read(
            r#"{"detect_from":"1970-01-08T00:00:00Z","incidents":[
            {"id":"a","eni":"eni-1","start":"1970-01-08T10:00:00Z","end":"1970-01-08T11:00:00Z","flow_bytes":500},
            {"id":"b","eni":"eni-2","start":"1970-01-09T10:00:00Z","end":"1970-01-09T11:00:00Z","flow_bytes":700}]}"#,
        )
        .unwrap();
        let incident = |id: &str, eni: &str, first: Seconds| Incident {
            id: id.to_owned(),
            eni: Some(eni.to_owned()),
            severity: Severity::Medium,
            first_seen: first,
            last_seen: first + 60,
            ..Incident::default()
        };
        let day = 86_400;
        let incidents = [
            incident("hit", "eni-1", 7 * day + 10 * HOUR + 900),
            incident("late", "eni-2", 8 * day + 20 * HOUR),
            incident("learning", "eni-2", 2 * day),
        ];
        let score = score(&truth, &incidents, &EgressTable::default(), 10 * day);
        assert_eq!(score.recall(Severity::Medium), 0.5);
        assert_eq!((score.reported, score.false_positives.len()), (2, 1));
        assert_eq!(score.fates[0].delay, Some(HOUR));
        assert_eq!((score.fates[1].delay, score.fates[1].lost), (None, 700));
        assert!(Truth::read("{}").is_err());
    }
}
