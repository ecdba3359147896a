//! Incidents for a terminal: one card each, the worst once more at the end, where the eye is.
//!
//! Everything that comes from a log passes `printable`; the only escape sequences are the colours written here.

use crate::detect::Severity;
use crate::incident::{Heard, Incident};
use crate::intake::Tool;
use crate::net::{human_bytes, printable, rfc3339};
use crate::report::grid::grouped;
use crate::report::run::{Ledger, Run, masked};
use std::io::{self, Write};

/// Writes the run. `colour` allows escape sequences.
///
/// # Errors
/// Those of `out`.
pub fn write(run: &Run<'_>, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    head(run, out)?;
    for (n, incident) in run.incidents.iter().enumerate() {
        writeln!(out)?;
        card(run, n + 1, incident, colour, out)?;
    }
    writeln!(out)?;
    alone(run, out)?;
    foot(run, colour, out)
}

/// Findings of GuardDuty that match nothing shown.
fn alone(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    let shown = |id: &str| run.incidents.iter().any(|i| i.id == id);
    let all = run
        .heard
        .unwrap_or_default()
        .iter()
        .filter(|h| h.finding.tool == Tool::GuardDuty);
    let rest: Vec<&Heard> = all
        .filter(|h| h.matched.as_ref().is_none_or(|m| !shown(&m.0)))
        .collect();
    for h in rest.iter().take(HIDDEN_SHOWN) {
        let (f, time) = (
            &h.finding,
            h.finding.span().map_or_else(String::new, |s| minutes(s.from)),
        );
        let aside = h.matched.as_ref().map_or("no incident", |m| m.0.as_str());
        let text = format!("GuardDuty: {} ({}, {time}) matches {aside}", f.kind, f.level.as_str());
        writeln!(out, "{}", printable(text.as_bytes()))?;
    }
    if rest.len() > HIDDEN_SHOWN {
        writeln!(out, "… and {} more findings of GuardDuty", rest.len() - HIDDEN_SHOWN)?;
    }
    Ok(())
}

fn head(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", run.completeness())?;
    hidden(run, out)?;
    if let Some((first, last)) = run.span {
        let interfaces = grouped((run.table.interfaces.len() + run.idle) as u128);
        let idle = match run.idle {
            0 => String::new(),
            n => format!(", {} without any traffic", grouped(n as u128)),
        };
        writeln!(
            out,
            "{} to {}, {interfaces} interfaces{idle}",
            minutes(first),
            minutes(last)
        )?;
    }
    let l = run.ledger();
    let mut parts = vec![
        format!("internet {}", human_bytes(l.internet)),
        format!("served to visitors {}", human_bytes(l.served)),
        format!("S3 {}", human_bytes(l.s3)),
    ];
    if run.left_out.ambiguous > 0 {
        parts.push(format!("direction unknown {}", human_bytes(run.left_out.ambiguous)));
    }
    writeln!(out, "egress: {}", parts.join(", "))?;
    writeln!(out, "{}", of_s3(run, &l))?;
    let boxes = run.vantage.middleboxes.len();
    if boxes > 0 {
        let (on, residual) = (human_bytes(run.vantage.passed_on), human_bytes(run.vantage.residual));
        let passes = if boxes == 1 {
            "interface only passes"
        } else {
            "interfaces only pass"
        };
        writeln!(
            out,
            "{boxes} {passes} traffic on ({on}, counted where it began; {residual} unexplained)"
        )?;
    }
    for id in run.vantage.shared.keys() {
        writeln!(
            out,
            "{}: a gateway whose senders are not in the archive, counted here",
            printable(id.as_bytes())
        )?;
    }
    let share = 100.0 * run.resolved_share(&l);
    let all = (l.internet + l.served + l.s3).max(1);
    let unknown = 100.0 * l.role_unknown as f64 / all as f64;
    writeln!(
        out,
        "origin decided for {share:.1} % of these bytes; who opened the connection is unknown for {unknown:.1} %"
    )
}

/// What a reader does not see below, and who decided so.
fn hidden(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (list, why) in [(run.allowed, "announced"), (run.suppressed, "suppressed")] {
        for h in list.iter().take(HIDDEN_SHOWN) {
            let reason = h.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            let text = format!("{why} by {}{reason} ({}, {})", h.by, h.id, human_bytes(h.bytes));
            writeln!(out, "{}", printable(text.as_bytes()))?;
        }
        if list.len() > HIDDEN_SHOWN {
            writeln!(out, "… and {} more {why}", list.len() - HIDDEN_SHOWN)?;
        }
    }
    Ok(())
}

/// Incidents set aside that are named one by one.
const HIDDEN_SHOWN: usize = 5;

/// The channels of S3, as far as the logs show them.
fn of_s3(run: &Run<'_>, ledger: &Ledger) -> String {
    let Some(c) = &run.channels else {
        return "S3 by channel, reads from outside and copies inside S3: not observable without CloudTrail data events"
            .into();
    };
    let own = ledger.s3.saturating_sub(c.foreign).saturating_sub(c.unaccounted);
    format!(
        "S3: own buckets {}, buckets of others {}, unaccounted {}; read from outside {}; copied to others {} objects (bytes not observable)",
        human_bytes(own),
        human_bytes(c.foreign),
        human_bytes(c.unaccounted),
        human_bytes(c.api_reads),
        grouped(c.copied_objects.into())
    )
}

fn card(run: &Run<'_>, n: usize, i: &Incident, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let severity = paint(
        &format!("{} {:.0}", i.severity.as_str().to_uppercase(), i.score),
        i.severity,
        colour,
    );
    writeln!(out, "{n:>3}  {severity}  {}  {}", i.rules.join(" + "), i.id)?;
    writeln!(out, "     {}", printable(i.title.as_bytes()))?;
    row(
        out,
        "when",
        &format!("{} to {} UTC", minutes(i.first_seen), minutes(i.last_seen)),
    )?;
    row(out, "from", &source(i))?;
    for (k, d) in destinations(i).iter().enumerate() {
        row(out, if k == 0 { "to" } else { "" }, d)?;
    }
    for (k, p) in i.principals.iter().take(3).enumerate() {
        let key = p
            .access_key
            .as_deref()
            .map(|k| format!("  key {}", masked(k, run.show_keys)))
            .unwrap_or_default();
        let text = format!("{}{key}  ({}, {:.2})", p.arn, p.class, p.confidence.get());
        row(out, if k == 0 { "who" } else { "" }, &text)?;
    }
    for (k, b) in i.buckets.iter().take(5).enumerate() {
        let held = match b.sensitivity.is_empty() {
            true => String::new(),
            false => format!("  ({})", b.sensitivity.join(", ")),
        };
        let objects = grouped(b.objects.into());
        let text = format!("{}  {objects} objects, {}{held}", b.name, human_bytes(b.bytes));
        row(out, if k == 0 { "bucket" } else { "" }, &text)?;
    }
    for (k, why) in i.explanation.iter().enumerate() {
        row(out, if k == 0 { "why" } else { "" }, why)?;
    }
    if let Some(e) = i.evidence.first() {
        row(out, "see", &format!("{}:{}", e.file, e.line))?;
    }
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "     {name:<7} {}", printable(text.as_bytes()))
}

fn source(i: &Incident) -> String {
    let mut parts: Vec<String> = [&i.eni, &i.instance].into_iter().flatten().cloned().collect();
    parts.extend(i.source_ips.iter().take(3).map(ToString::to_string));
    format!(
        "{}  ({} out, {} flows)",
        parts.join("  "),
        human_bytes(i.bytes),
        grouped(i.flows.into())
    )
}

fn destinations(i: &Incident) -> Vec<String> {
    const SHOWN: usize = 3;
    let text = |d: &crate::detect::Destination| {
        let mut facts: Vec<String> = vec![d.class.to_string()];
        facts.extend(d.country.map(|c| c.to_string()));
        facts.extend(d.asn.map(|a| format!("AS{a}")));
        facts.extend(d.labels.iter().cloned());
        format!("{}  {}  ({})", d.ip, human_bytes(d.bytes), facts.join(", "))
    };
    let mut lines: Vec<String> = i.destinations.iter().take(SHOWN).map(text).collect();
    if i.destinations.len() > SHOWN {
        lines.push(format!("… and {} more", i.destinations.len() - SHOWN));
    }
    lines
}

fn foot(run: &Run<'_>, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let below = left_out(run);
    let Some(worst) = run.incidents.first() else {
        return writeln!(out, "no incident{below}");
    };
    let count = |s: Severity| run.incidents.iter().filter(|i| i.severity == s).count();
    let all = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Info,
    ];
    let counts: Vec<String> = all
        .into_iter()
        .filter(|s| count(*s) > 0)
        .map(|s| format!("{} {}", count(s), s.as_str()))
        .collect();
    let noun = if run.incidents.len() == 1 {
        "incident"
    } else {
        "incidents"
    };
    writeln!(out, "{} {noun}: {}{below}", run.incidents.len(), counts.join(", "))?;
    writeln!(
        out,
        "{} {}",
        paint("worst:", worst.severity, colour),
        printable(in_one_line(worst).as_bytes())
    )
}

/// How many incidents are not shown, and why.
fn left_out(run: &Run<'_>) -> String {
    let counts = [
        (run.allowed.len(), "announced by --allow"),
        (run.suppressed.len(), "suppressed"),
        (run.below, "below --min-severity"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{n} {why}"))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}

/// Who, from where, to where, how much.
fn in_one_line(i: &Incident) -> String {
    let who = i.principals.first().map_or("principal not known", |p| p.arn.as_str());
    let from = i
        .eni
        .clone()
        .or_else(|| i.source_ips.first().map(ToString::to_string))
        .unwrap_or_default();
    let to = i.destinations.first().map(|d| {
        let country = d.country.map(|c| format!(" ({c})")).unwrap_or_default();
        format!(" to {}{country}", d.ip)
    });
    format!("{who}, {from}{}, {}", to.unwrap_or_default(), human_bytes(i.bytes))
}

fn minutes(t: crate::net::Seconds) -> String {
    let text = rfc3339(t);
    match text.get(..16) {
        Some(cut) if text.len() == 20 => cut.replace('T', " "),
        _ => text,
    }
}

/// A severity in its colour; the word says the same without one.
fn paint(text: &str, severity: Severity, colour: bool) -> String {
    let code = match severity {
        Severity::Critical => "1;35",
        Severity::High => "1;31",
        Severity::Medium => "1;33",
        Severity::Low => "36",
        Severity::Info => "2",
    };
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}
