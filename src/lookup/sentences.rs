//! What a card says in words: what the lists know, sums both ways, how rare the key is, and what the answer rests on.

use crate::lookup::card::{Card, Traffic, When};
use crate::lookup::sections::Section;
use crate::net::{human_bytes, rfc3339};
use crate::report::grid::grouped;
use crate::report::run::masked;

/// The key, and everything that is one number.
pub(super) fn head(card: &Card, show_keys: bool) -> Section {
    let mut lines = Vec::new();
    if let Some(a) = &card.about {
        let mut facts = vec![a.class.to_string()];
        facts.extend(a.service.clone());
        facts.extend(a.region.clone());
        facts.extend(a.country.map(|c| c.to_string()));
        facts.extend(a.asn.map(|n| {
            format!("AS{n} {}", a.as_name.as_deref().unwrap_or_default())
                .trim_end()
                .to_owned()
        }));
        lines.push(facts.join(", "));
        for m in &a.lists {
            let date = m.date.as_deref().unwrap_or("undated");
            lines.push(format!("on a list: {} ({}, {date})", m.label, m.source));
        }
        let missing = a.not_loaded.join(", ");
        let none = if a.lists.is_empty() { "on no list" } else { "" };
        let loaded = if missing.is_empty() {
            String::new()
        } else {
            format!("not loaded: {missing}")
        };
        let both: Vec<&str> = [none, &loaded].into_iter().filter(|t| !t.is_empty()).collect();
        lines.extend((!both.is_empty()).then(|| both.join("; ")));
    }
    if !card.found {
        lines.push("occurs nowhere in what was read".into());
    }
    let f = &card.flows;
    let shown = [
        ("received", &f.to),
        ("sent", &f.from),
        ("turned away", &f.rejected),
        ("passed on, not added", &f.passed_on),
        ("logged once more elsewhere, not added", &f.seen_elsewhere),
    ];
    lines.extend(
        shown
            .iter()
            .filter(|(_, t)| t.flows > 0)
            .map(|(name, t)| traffic(name, t)),
    );
    lines.extend(prevalence(card));
    lines.extend(card.notes.iter().cloned());
    Section {
        title: match card.kind {
            "access-key" => format!("{} ({})", masked(&card.key, show_keys), card.kind),
            kind => format!("{} ({kind})", card.key),
        },
        lines,
        grid: None,
    }
}

fn traffic(name: &str, t: &Traffic) -> String {
    let time = |w: Option<When>| w.map_or("-".into(), |w| rfc3339(w.0));
    format!(
        "{name} {} in {} packets, {} flows, {} to {}",
        human_bytes(t.bytes.0),
        grouped(t.packets.0),
        grouped(t.flows.into()),
        time(t.first),
        time(t.last)
    )
}

fn prevalence(card: &Card) -> Option<String> {
    let p = &card.prevalence;
    let of = |n: u64, all: Option<u64>, what: &str| match all {
        Some(all) => format!("{} of {} {what}", grouped(n.into()), grouped(all.into())),
        None => format!("{} {what}", grouped(n.into())),
    };
    let interfaces = of(p.interfaces, p.interfaces_known, "known interfaces");
    let principals = of(p.principals, p.principals_known, "principals");
    let met = [
        card.coverage.flows.is_some().then_some(interfaces),
        card.coverage.trail.is_some().then_some(principals),
    ];
    let met: Vec<String> = met.into_iter().flatten().collect();
    (card.found && !met.is_empty()).then(|| format!("met by {}", met.join(", ")))
}

/// What the answer rests on.
pub(super) fn coverage(card: &Card) -> Section {
    let time = |w: Option<When>| w.map_or("-".into(), |w| rfc3339(w.0));
    let n = |n: u64| grouped(n.into());
    let mut lines = Vec::new();
    lines.push(card.coverage.flows.as_ref().map_or_else(
        || "flow logs: none were searched".to_owned(),
        |f| {
            let losses = losses(f.files_incomplete, f.rejected, f.skipdata);
            let how = if f.validated {
                "every line checked"
            } else {
                "only hits checked"
            };
            format!(
                "flow logs: {} files, {} lines, {} to {}{losses}; {how}",
                n(f.files),
                n(f.lines),
                time(f.first),
                time(f.last)
            )
        },
    ));
    lines.push(card.coverage.trail.as_ref().map_or_else(
        || "CloudTrail: none was read, so nothing can be said of principals and buckets".to_owned(),
        |t| {
            let losses = losses(t.files_incomplete, t.rejected, 0);
            format!(
                "CloudTrail: {} files, {} records, {} to {}{losses}",
                n(t.files),
                n(t.records),
                time(t.first),
                time(t.last)
            )
        },
    ));
    Section {
        title: "what this rests on".into(),
        lines,
        grid: None,
    }
}

fn losses(files: u64, rejected: u64, skipdata: u64) -> String {
    let parts = [
        (files, "files not read whole"),
        (rejected, "bad lines among those read"),
        (skipdata, "SKIPDATA windows among those read"),
    ];
    let met = parts.iter().filter(|(n, _)| *n > 0);
    met.map(|(n, what)| format!("; {} {what}", grouped((*n).into())))
        .collect()
}
