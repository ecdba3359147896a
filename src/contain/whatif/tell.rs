//! The answer in words and in JSON.

use serde_json::{Value, json};

use super::Verdict;
use super::inferred::Inferred;
use super::replay::{Answer, Effect, Line, Sums};
use crate::attribute::Bounds;
use crate::net::{human_bytes, printable, rfc3339};
use crate::report::grid::{grouped, json_integer};

/// Lines shown of each kind.
const SHOWN: usize = 20;

const NAMES: [&str; 3] = ["allowed", "stopped", "unknown"];

/// For a terminal.
pub fn text(answer: &Answer) -> String {
    let mut out = format!("What if this had been in force ({})?\n", answer.kind);
    for (name, sums) in NAMES.iter().zip(answer.sums) {
        out += &format!("  {name:<8} {}\n", amount(sums, answer.unit));
    }
    out += &format!(
        "  of what is stopped, {} belong to no incident: it would break them\n",
        amount(answer.broken, answer.unit)
    );
    out += &unexplained(answer);
    for what in &answer.unsupported {
        out += &format!(
            "  not understood, so what depends on it is unknown: {}\n",
            printable(what.as_bytes())
        );
    }
    if !answer.incidents.is_empty() {
        out += "\nINCIDENTS\n";
    }
    for effect in &answer.incidents {
        out += &format!("  {}  {}: {}\n", effect.id, effect.rule, word(effect));
        for (name, sums) in NAMES.iter().zip(effect.sums) {
            if sums != Sums::default() {
                out += &format!("      {name:<8} {}\n", amount(sums, answer.unit));
            }
        }
        if effect.inferred.low > 0 {
            out += &format!("      stopped  {}, inferred\n", between(effect.inferred));
        }
    }
    for (title, verdict) in [("STOPPED", Verdict::Stopped), ("UNKNOWN", Verdict::Unknown)] {
        let lines: Vec<&Line> = answer.lines.iter().filter(|l| l.verdict == verdict).collect();
        if lines.is_empty() {
            continue;
        }
        out += &format!("\n{title}\n");
        for line in lines.iter().take(SHOWN) {
            out += &format!("  {}\n", shown(line, answer.unit));
        }
        if lines.len() > SHOWN {
            out += &format!("  … and {} more\n", lines.len() - SHOWN);
        }
    }
    out
}

/// What became of the bytes that no event explains.
fn unexplained(answer: &Answer) -> String {
    let (Some(bytes), Some(inferred)) = (answer.unexplained, &answer.inferred) else {
        return String::new();
    };
    let out = format!(
        "  {} went to S3 without an event that names a bucket",
        human_bytes(bytes)
    );
    if inferred.bytes.low == 0 {
        return out + &format!(": whether it passes is unknown; {}\n", basis(inferred));
    }
    let bytes = between(inferred.bytes);
    let broken = human_bytes(inferred.broken);
    let why = basis(inferred);
    out + &format!(": {bytes} would have been stopped, {broken} of it in no incident\n    inferred: {why}\n")
}

/// What the inference stands on, or what it lacks.
fn basis(inferred: &Inferred) -> String {
    const SHOWN: usize = 5;
    let blind = inferred.blind.iter().take(SHOWN).map(|b| printable(b.as_bytes()));
    match (inferred.selectors, inferred.blind.len()) {
        (false, _) => "no event selectors are known (--inventory)".to_owned(),
        (true, 0) => "the writes of every own bucket that is known are recorded".to_owned(),
        (true, n) => format!(
            "only what stands out from all that an interface sent before, since own buckets without data events may take the rest: {}{}",
            blind.collect::<Vec<_>>().join(", "),
            if n > SHOWN { ", …" } else { "" }
        ),
    }
}

fn between(bytes: Bounds) -> String {
    format!("{} to {}", human_bytes(bytes.low), human_bytes(bytes.high))
}

fn amount(sums: Sums, unit: &str) -> String {
    format!("{} {unit}, {}", grouped(sums.count.into()), human_bytes(sums.bytes))
}

fn shown(l: &Line, unit: &str) -> String {
    let incident = l.incident.as_deref().map_or("no incident", |i| i);
    let low = l.sums.bytes;
    let sums = match l.inferred {
        Some(high) => between(Bounds { low, high }),
        None => amount(l.sums, unit),
    };
    let text = format!(
        "{} -> {} ({}): {sums}, {} to {}, {incident}",
        l.who,
        l.what,
        l.about,
        rfc3339(l.span.0),
        rfc3339(l.span.1)
    );
    printable(text.as_bytes())
}

/// What became of an incident.
fn word(e: &Effect) -> &'static str {
    let [allowed, stopped, unknown] = e.sums.map(|s| s != Sums::default());
    let inferred = e.inferred.low > 0;
    match (stopped, allowed, unknown) {
        (false, false, _) if inferred => "stopped, as both logs together say",
        (_, true, _) if stopped || inferred => "stopped in part",
        (true, _, false) => "stopped",
        (true, _, true) => "stopped, as far as events show it",
        (false, false, true) if e.rule == "unaccounted-s3" => {
            "stopped, unless the bucket is one that the policy allows: no event names it"
        }
        (false, false, true) => "unknown",
        (false, true, _) => "not stopped",
        (false, false, false) => "not concerned",
    }
}

/// `flowtrail.what-if/1`.
pub fn json(answer: &Answer) -> Value {
    let sums = |s: Sums| json!({ "count": s.count, "bytes": json_integer(s.bytes) });
    let all = |s: [Sums; 3]| {
        let [allowed, stopped, unknown] = s.map(sums);
        json!({ "allowed": allowed, "stopped": stopped, "unknown": unknown })
    };
    let line = |l: &Line| {
        let evidence = if l.inferred.is_some() { "inferred" } else { "seen" };
        json!({ "verdict": NAMES.get(l.verdict as usize), "evidence": evidence, "bytes_at_most": l.inferred.map(json_integer), "who": l.who, "what": l.what, "about": l.about, "sums": sums(l.sums),
            "first_hour": rfc3339(l.span.0), "last_hour": rfc3339(l.span.1), "incident": l.incident })
    };
    let range = |b: Bounds| json!({ "low": json_integer(b.low), "high": json_integer(b.high) });
    let effect = |e: &Effect| json!({ "id": e.id, "rule": e.rule, "verdict": word(e), "sums": all(e.sums), "inferred_bytes": range(e.inferred) });
    let inferred = |i: &Inferred| {
        json!({ "stopped_bytes": range(i.bytes), "broken_bytes": json_integer(i.broken), "basis": basis(i),
            "selectors_known": i.selectors, "buckets_without_data_events": i.blind })
    };
    json!({ "schema": "flowtrail.what-if/1", "kind": answer.kind, "unit": answer.unit, "unsupported": answer.unsupported,
        "sums": all(answer.sums), "broken": sums(answer.broken), "unexplained_bytes": answer.unexplained.map(json_integer),
        "inferred": answer.inferred.as_ref().map(inferred),
        "incidents": answer.incidents.iter().map(effect).collect::<Value>(),
        "lines": answer.lines.iter().map(line).collect::<Value>() })
}
