//! The answer in words and in JSON.

use serde_json::{Value, json};

use super::Verdict;
use super::replay::{Answer, Effect, Line, Sums};
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
    if let Some(bytes) = answer.unexplained {
        out += &format!(
            "  {} went to S3 without an event that names a bucket: whether it passes is unknown\n",
            human_bytes(bytes)
        );
    }
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

fn amount(sums: Sums, unit: &str) -> String {
    format!("{} {unit}, {}", grouped(sums.count.into()), human_bytes(sums.bytes))
}

fn shown(l: &Line, unit: &str) -> String {
    let incident = l.incident.as_deref().map_or("no incident", |i| i);
    let text = format!(
        "{} -> {} ({}): {}, {} to {}, {incident}",
        l.who,
        l.what,
        l.about,
        amount(l.sums, unit),
        rfc3339(l.span.0),
        rfc3339(l.span.1)
    );
    printable(text.as_bytes())
}

/// What became of an incident.
fn word(e: &Effect) -> &'static str {
    let [allowed, stopped, unknown] = e.sums.map(|s| s != Sums::default());
    match (stopped, allowed, unknown) {
        (true, false, false) => "stopped",
        (true, false, true) => "stopped, as far as events show it",
        (true, true, _) => "stopped in part",
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
        json!({ "verdict": NAMES.get(l.verdict as usize), "who": l.who, "what": l.what, "about": l.about, "sums": sums(l.sums),
            "first_hour": rfc3339(l.span.0), "last_hour": rfc3339(l.span.1), "incident": l.incident })
    };
    let effect = |e: &Effect| json!({ "id": e.id, "rule": e.rule, "verdict": word(e), "sums": all(e.sums) });
    json!({ "schema": "flowtrail.what-if/1", "kind": answer.kind, "unit": answer.unit, "unsupported": answer.unsupported,
        "sums": all(answer.sums), "broken": sums(answer.broken), "unexplained_bytes": answer.unexplained.map(json_integer),
        "incidents": answer.incidents.iter().map(effect).collect::<Value>(),
        "lines": answer.lines.iter().map(line).collect::<Value>() })
}
