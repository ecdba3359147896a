//! `explain`: one incident of a result, taken apart: what was usual, what was seen, each reason with its weight, the records.
//!
//! It reads the result alone, no logs and no state, so that it says what the scan saw and nothing that came later.

use crate::error::{Error, Result};
use crate::net::{human_bytes, printable};
use serde_json::Value;
use std::fmt::Write as _;

/// The explanation of an incident, by its id or the start of it.
///
/// # Errors
/// `Usage` if the result has no such incident, or several.
pub fn explain(result: &Value, id: &str) -> Result<String> {
    let incident = find(result, id)?;
    let full = text(incident, "id");
    let mut out = String::new();
    head(&mut out, incident);
    expected(&mut out, result, incident);
    reasons(&mut out, result, &full, incident);
    records(&mut out, incident);
    Ok(out)
}

fn find<'r>(result: &'r Value, id: &str) -> Result<&'r Value> {
    let list = |v: Option<&'r Value>| v.and_then(Value::as_array).into_iter().flatten();
    let named = |v: &&Value| text(v, "id").starts_with(id);
    let mut found = list(result.get("incidents")).filter(named);
    match (found.next(), found.next()) {
        (Some(one), None) => return Ok(one),
        (Some(_), Some(_)) => return Err(Error::usage(format!("several incidents begin with {id}"))),
        _ => {}
    }
    let view = result.get("view");
    for (kind, what) in [("suppressed", "suppressed by"), ("allowed", "announced by")] {
        if let Some(hidden) = list(view.and_then(|v| v.get(kind))).find(named) {
            return Err(Error::usage(format!("{id} was {what} {}", text(hidden, "by"))));
        }
    }
    let ids: Vec<String> = list(result.get("incidents")).take(5).map(|i| text(i, "id")).collect();
    Err(Error::usage(format!(
        "no incident {} in this result; it has {}",
        printable(id.as_bytes()),
        if ids.is_empty() {
            "none".to_owned()
        } else {
            ids.join(", ")
        }
    )))
}

fn head(out: &mut String, i: &Value) {
    let severity = text(i, "severity").to_uppercase();
    let _ = writeln!(
        out,
        "{}  {severity} {}  confidence {}",
        text(i, "id"),
        number(i, "score"),
        i["confidence"]
    );
    let _ = writeln!(out, "{}", text(i, "title"));
    let _ = writeln!(out, "  when   {} to {}", text(i, "first_seen"), text(i, "last_seen"));
    let from: Vec<String> = ["eni", "instance"]
        .iter()
        .map(|k| text(i, k))
        .filter(|t| t != "-")
        .collect();
    let bytes = human_bytes(integer(&i["bytes"]));
    let _ = writeln!(out, "  from   {}  {bytes} in {} records", from.join("  "), i["flows"]);
    for d in items(&i["destinations"]).take(5) {
        let labels: Vec<String> = items(&d["labels"]).map(plain).collect();
        let facts: Vec<String> = [plain(&d["class"]), plain(&d["country"]), labels.join(" ")]
            .into_iter()
            .filter(|t| !t.is_empty() && t != "-")
            .collect();
        let bytes = human_bytes(integer(&d["bytes"]));
        let _ = writeln!(out, "  to     {}  {bytes}  ({})", text(d, "ip"), facts.join(", "));
    }
    for p in items(&i["principals"]).take(3) {
        let _ = writeln!(
            out,
            "  who    {}  ({}, {}): {}",
            text(p, "arn"),
            text(p, "class"),
            p["confidence"],
            text(p, "why")
        );
    }
}

/// The baseline of the judged window, and what the series shows of the past.
fn expected(out: &mut String, result: &Value, i: &Value) {
    let _ = writeln!(out, "\nWHAT WAS EXPECTED");
    let b = &i["baseline"];
    if b.is_null() {
        let _ = writeln!(out, "  nothing: the leading rule does not compare with the past");
    } else {
        let share = b["quantile"].as_f64().unwrap_or(0.0) * 100.0;
        let _ = writeln!(
            out,
            "  judged window: {} seen, {} usual; {share:.2} % of past windows were smaller; {} hours of history",
            human_bytes(integer(&b["observed"])),
            human_bytes(integer(&b["expected"])),
            b["history_hours"]
        );
    }
    let who = i["principals"].get(0).map(|p| text(p, "arn"));
    let is_of = |s: &&Value| {
        let same = |s: &Value, key: &str, name: &str| !s[key].is_null() && text(s, key) == name;
        same(s, "eni", &text(i, "eni")) || who.as_deref().is_some_and(|w| same(s, "principal", w))
    };
    let of = items(&result["series"]).filter(is_of);
    of.for_each(|s| history(out, s, &text(i, "first_seen"), &text(i, "last_seen")));
}

/// Quantiles of the hours before the incident, the last days, and the hours of the incident beside their band.
fn history(out: &mut String, series: &Value, first: &str, last: &str) {
    let hours: Vec<&Value> = items(&series["hours"]).collect();
    let at = |h: &Value| h.get(0).and_then(Value::as_str).unwrap_or("").to_owned();
    let hour_of = |t: &str| t.get(..13).unwrap_or(t).to_owned();
    let before: Vec<&&Value> = hours.iter().filter(|h| hour_of(&at(h)) < hour_of(first)).collect();
    let mut past: Vec<u128> = before.iter().map(|h| integer(&h[1])).collect();
    past.sort_unstable();
    let quantile = |q: f64| {
        let at = (q * past.len().saturating_sub(1) as f64).round() as usize;
        human_bytes(past.get(at).copied().unwrap_or(0))
    };
    let _ = writeln!(
        out,
        "  {}, {} hours before: median {}, 90 % below {}, 99 % below {}, most {}",
        subject(series),
        past.len(),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(1.0)
    );
    let during = hours
        .iter()
        .filter(|h| (hour_of(first)..=hour_of(last)).contains(&hour_of(&at(h))));
    for h in during.take(HOURS_SHOWN) {
        let band = match (&h[2], &h[3]) {
            (Value::Null, _) => "no history".to_owned(),
            (expected, high) => {
                format!(
                    "usual {}, high {}",
                    human_bytes(integer(expected)),
                    human_bytes(integer(high))
                )
            }
        };
        let _ = writeln!(out, "    {}  {:>8}  ({band})", at(h), human_bytes(integer(&h[1])));
    }
}

/// What a series is of: an interface's way out, or a principal's reads or writes.
fn subject(series: &Value) -> String {
    let channel = text(series, "channel");
    if series["eni"].is_null() {
        format!("{} of {}", channel, text(series, "principal"))
    } else {
        format!("{} to {channel}", text(series, "eni"))
    }
}

/// Hours of an incident shown one by one.
const HOURS_SHOWN: usize = 12;

fn reasons(out: &mut String, result: &Value, id: &str, incident: &Value) {
    let _ = writeln!(out, "\nREASONS, each with its weight");
    let detail = items(&result["details"]).find(|d| text(d, "id") == id);
    let parts: Vec<&Value> = detail.map(|d| items(&d["reasons"]).collect()).unwrap_or_default();
    if parts.is_empty() {
        items(&incident["explanation"]).for_each(|t| {
            let _ = writeln!(out, "  {}", plain(t));
        });
    }
    for part in parts {
        let _ = writeln!(
            out,
            "  {} [{}]: {}",
            text(part, "rule"),
            text(part, "severity"),
            weight(part["decades"].as_f64().unwrap_or(0.0))
        );
        for reason in items(&part["reasons"]) {
            let _ = writeln!(out, "    {}", plain(reason));
        }
    }
}

/// Decades of surprise in words.
fn weight(decades: f64) -> String {
    if decades <= 0.0 {
        return "reported by rule, whatever is usual".to_owned();
    }
    let windows = 10f64.powf(decades.min(9.0));
    format!("weight {decades:.1}, by chance about once in {windows:.0} windows")
}

fn records(out: &mut String, i: &Value) {
    let _ = writeln!(out, "\nRECORDS TO LOOK AT");
    for e in items(&i["evidence"]) {
        let sum = text(e, "sha256");
        let sum = sum.get(..12).map(|s| format!("  sha256 {s}…")).unwrap_or_default();
        let _ = writeln!(out, "  {}:{}{sum}", text(e, "file"), e["line"]);
    }
}

fn items(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

/// A field as printable text, `-` if it is not there.
fn text(v: &Value, key: &str) -> String {
    v.get(key).map_or_else(|| "-".to_owned(), plain)
}

fn plain(v: &Value) -> String {
    match v {
        Value::Null => "-".to_owned(),
        Value::String(s) => printable(s.as_bytes()),
        other => printable(other.to_string().as_bytes()),
    }
}

fn number(v: &Value, key: &str) -> String {
    format!("{:.0}", v.get(key).and_then(Value::as_f64).unwrap_or(0.0))
}

/// An integer that may be written as text, being large.
pub(crate) fn integer(v: &Value) -> u128 {
    match v {
        Value::String(s) => s.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0).into(),
    }
}
