//! The investigation report as Markdown: for a ticket, a wiki, a mail.
//!
//! Words pass `markdown_text`, names that are copied stand in code spans; nothing else of a log reaches the page. Every text
//! begins behind a label of ours, so that none can open a block of its own. Pictures are tables with bars of characters.

use std::io::{self, Write};

use super::story::words::{bytes, clock, date, label, stamp};
use super::story::{Case, Fact, Story};
use super::{Reporter, Telling};
use crate::net::human_bytes;
use crate::report::document::{Amount, Hour, Moment, Series, SideFinding, Step};
use crate::report::grid::{grouped, markdown_text};

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "md",
    about: "investigation report in Markdown",
    for_people: true,
    write,
};

/// Incidents told in full; of the others one line each.
pub const FULL: usize = 50;

/// Rows of a table.
const ROWS: usize = 25;

/// Width of a bar in characters.
const BAR: u128 = 24;

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    let story = &telling.story;
    writeln!(out, "# Investigation report: data leaving AWS\n")?;
    facts(&story.head(), out)?;
    summary(story, out)?;
    for case in story.cases.iter().take(FULL) {
        incident(case, out)?;
    }
    others(story, out)?;
    side_findings(story, out)?;
    account(story, out)?;
    frame(story, out)
}

fn summary(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n## Summary\n")?;
    if story.cases.is_empty() {
        return writeln!(out, "No incident is reported.");
    }
    for case in story.cases.iter().take(FULL) {
        let severity = text(&case.incident.severity);
        let state = case
            .contained()
            .map(|_| format!(" {}", text(&case.state())))
            .unwrap_or_default();
        writeln!(out, "{}. **{severity}:** {}{state}", case.number, text(&case.lead()))?;
    }
    Ok(())
}

fn incident(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    let i = case.incident;
    writeln!(out, "\n## Incident {}: {}\n", case.number, text(&i.title))?;
    writeln!(
        out,
        "- **Incident:** {}, severity {}, score {:.0}, confidence {:.2}",
        code(&i.id),
        text(&i.severity),
        i.score,
        i.confidence
    )?;
    let sources: Vec<String> = case.sources().iter().map(|s| text(s)).collect();
    writeln!(out, "- **Source of detection:** {}", sources.join("; "))?;
    writeln!(out, "- **Date:** {}", date(i.first_seen))?;
    let attack = i.attack.techniques.join(", ");
    writeln!(out, "- **ATT&CK (v{}):** {}", text(&i.attack.version), text(&attack))?;
    timeline(&case.moments, out)?;
    principals(case, out)?;
    writeln!(out, "\n### Impact\n")?;
    facts(&case.impact(), out)?;
    containment(case.steps.as_deref(), out)?;
    reasons(case, out)?;
    case.series.iter().take(3).try_for_each(|s| hours(case, s, out))?;
    destinations(case, out)?;
    evidence(case, out)
}

fn timeline(moments: &[Moment], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Event timeline (UTC)\n")?;
    for m in moments {
        let until = m.until.map(|t| format!(" to {}", clock(t))).unwrap_or_default();
        writeln!(
            out,
            "- **{}{until}** {} *({})*",
            stamp(m.time),
            text(&m.text),
            text(&m.source)
        )?;
    }
    if moments.is_empty() {
        writeln!(out, "No moment is recorded in this result.")?;
    }
    Ok(())
}

fn principals(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Compromised principal\n")?;
    let all = case.principals();
    if all.is_empty() {
        writeln!(
            out,
            "Not known: no event of CloudTrail ties a principal to these flows."
        )?;
        let own = Fact::named(
            "Source address",
            case.incident.source_ips.iter().take(ROWS).cloned().collect(),
        );
        facts(&[own], out)?;
    }
    for (n, one) in all.iter().enumerate() {
        if n > 0 {
            writeln!(out, "\nAlso possible:\n")?;
        }
        facts(one, out)?;
    }
    Ok(())
}

fn facts(facts: &[Fact], out: &mut dyn Write) -> io::Result<()> {
    for fact in facts {
        let told: Vec<String> = fact
            .lines
            .iter()
            .map(|l| if fact.literal { code(l) } else { text(l) })
            .collect();
        match told.as_slice() {
            [one] => writeln!(out, "- **{}:** {one}", fact.label)?,
            all => {
                writeln!(out, "- **{}:**", fact.label)?;
                all.iter().try_for_each(|l| writeln!(out, "  - {l}"))?;
            }
        }
    }
    Ok(())
}

fn containment(steps: Option<&[Step]>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Containment\n")?;
    let Some(steps) = steps else {
        return writeln!(out, "The logs were not searched for containment.");
    };
    steps.iter().try_for_each(|step| one_step(step, out))
}

fn one_step(step: &Step, out: &mut dyn Write) -> io::Result<()> {
    let at = step.at.filter(|_| step.done);
    let at = at.map(|t| format!(", {} UTC", stamp(t))).unwrap_or_default();
    let by = step.by.as_deref().map(|b| format!(", by {}", code(b)));
    let told = step
        .told
        .as_deref()
        .map(|t| format!(", as told from outside the logs: {}", text(t)));
    let control = step.control.as_deref().filter(|c| !step.done && !c.is_empty());
    let control = control.map(|c| format!(": `flowtrail contain` writes {}", code(c)));
    let mark = if step.done { 'x' } else { ' ' };
    let rest: String = [by, told, control].into_iter().flatten().collect();
    writeln!(out, "- [{mark}] {}{at}{rest}", text(&step.text))
}

fn reasons(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Why it was reported\n")?;
    case.incident
        .explanation
        .iter()
        .try_for_each(|w| writeln!(out, "- {}", text(w)))?;
    case.coverage().iter().try_for_each(|c| writeln!(out, "- {}", text(c)))
}

/// The hours of the incident beside what was usual.
fn hours(case: &Case<'_>, series: &Series, out: &mut dyn Write) -> io::Result<()> {
    let first = case.incident.first_seen.0.unwrap_or_default();
    let last = case.incident.last_seen.0.unwrap_or_default();
    let near = |(start, ..): &&Hour| {
        start
            .0
            .is_some_and(|t| t.saturating_add(4 * 3_600) >= first && t <= last)
    };
    let rows: Vec<&Hour> = series.hours.iter().filter(near).collect();
    let most = rows.iter().map(|(_, moved, ..)| moved.get()).max();
    let Some(most) = most.filter(|m| *m > 0) else {
        return Ok(());
    };
    let whose = series.eni.as_deref().or(series.principal.as_deref()).unwrap_or("-");
    writeln!(
        out,
        "\n### Egress by hour: {}, {}\n",
        code(whose),
        text(&series.channel)
    )?;
    writeln!(
        out,
        "| hour (UTC) | moved | usual | high | |\n| --- | ---: | ---: | ---: | --- |"
    )?;
    for (start, moved, usual, high) in rows.iter().take(ROWS) {
        let known = |a: &Amount| a.0.map_or_else(|| "-".to_owned(), human_bytes);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            stamp(*start),
            bytes(*moved),
            known(usual),
            known(high),
            bar(moved.get(), most)
        )?;
    }
    Ok(())
}

fn destinations(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    let all = &case.incident.destinations;
    let Some(most) = all.iter().map(|d| d.bytes.get()).max() else {
        return Ok(());
    };
    writeln!(out, "\n### Bytes by destination\n")?;
    writeln!(
        out,
        "| address | country | AS | lists | bytes | |\n| --- | --- | --- | --- | ---: | --- |"
    )?;
    for d in all.iter().take(ROWS) {
        let asn = d.asn.map_or_else(|| "-".to_owned(), |n| format!("AS{n}"));
        writeln!(
            out,
            "| {} | {} | {asn} | {} | {} | {} |",
            code(&d.ip),
            text(d.country.as_deref().unwrap_or("-")),
            text(&d.labels.iter().map(|l| label(l)).collect::<Vec<_>>().join(", ")),
            bytes(d.bytes),
            bar(d.bytes.get(), most)
        )?;
    }
    let more = all.len().saturating_sub(ROWS);
    if more > 0 {
        writeln!(out, "\nAnd {more} more.")?;
    }
    Ok(())
}

fn evidence(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Evidence\n")?;
    if case.incident.evidence.is_empty() {
        writeln!(out, "CloudTrail's events, as summed above; no flow record is cited.")?;
    }
    for e in case.incident.evidence.iter().take(ROWS) {
        let sum = e
            .sha256
            .as_deref()
            .map(|s| format!(", SHA-256 {}", code(s)))
            .unwrap_or_default();
        writeln!(out, "- {} line {}{sum}", code(&e.file), e.line)?;
    }
    Ok(())
}

/// Incidents beyond those told in full.
fn others(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    if story.cases.len() <= FULL {
        return Ok(());
    }
    writeln!(out, "\n## The other incidents\n")?;
    writeln!(out, "| severity | incident | what |\n| --- | --- | --- |")?;
    for case in story.cases.iter().skip(FULL) {
        let (severity, id) = (text(&case.incident.severity), code(&case.incident.id));
        writeln!(out, "| {severity} | {id} | {} |", text(&case.lead()))?;
    }
    Ok(())
}

fn side_findings(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    if !story.unmatched.is_empty() {
        writeln!(out, "\n## Findings of GuardDuty and Macie that match no incident\n")?;
        writeln!(
            out,
            "| time (UTC) | type | severity | bucket | action |\n| --- | --- | --- | --- | --- |"
        )?;
        story
            .unmatched
            .iter()
            .take(FULL)
            .try_for_each(|f| side_finding(f, out))?;
    }
    if !story.loose.is_empty() {
        writeln!(out, "\n## Lines from outside the logs that belong to no incident\n")?;
        for m in &story.loose {
            writeln!(out, "- **{}** {}", stamp(m.time), text(&m.text))?;
        }
    }
    Ok(())
}

fn side_finding(f: &SideFinding, out: &mut dyn Write) -> io::Result<()> {
    let or = |t: &Option<String>| t.as_deref().map_or_else(|| "-".to_owned(), text);
    let time = f.first_seen.map_or_else(|| "-".to_owned(), stamp);
    let (kind, severity) = (text(&f.kind), text(&f.severity.0));
    writeln!(
        out,
        "| {time} | {kind} | {severity} | {} | {} |",
        or(&f.bucket),
        or(&f.action)
    )
}

/// The account as a whole: the ledger and the countries.
fn account(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    let channels = story.channels();
    let most = channels.iter().filter_map(|(_, n, _)| *n).max().unwrap_or(0);
    if !channels.is_empty() {
        writeln!(out, "\n## The account: egress by channel\n")?;
        writeln!(out, "| channel | bytes | what | |\n| --- | ---: | --- | --- |")?;
    }
    for (name, amount, what) in channels {
        let told = amount.map_or_else(|| "not observable".to_owned(), human_bytes);
        writeln!(
            out,
            "| {name} | {told} | {} | {} |",
            text(&what),
            bar(amount.unwrap_or(0), most)
        )?;
    }
    let Some(places) = &story.document.places else {
        return Ok(());
    };
    let countries = &places.countries;
    let Some(most) = countries.listed.iter().map(|c| c.bytes.get()).max() else {
        return Ok(());
    };
    writeln!(out, "\n## The account: egress by country\n")?;
    writeln!(out, "| country | bytes | |\n| --- | ---: | --- |")?;
    for c in countries.listed.iter().take(ROWS) {
        writeln!(
            out,
            "| {} | {} | {} |",
            text(&c.name),
            bytes(c.bytes),
            bar(c.bytes.get(), most)
        )?;
    }
    Ok(())
}

fn frame(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n## What these logs can and cannot show\n")?;
    story
        .coverage()
        .iter()
        .try_for_each(|t| writeln!(out, "- {}", text(t)))?;
    writeln!(out, "\n## Method\n")?;
    story.method().iter().try_for_each(|t| writeln!(out, "- {}", text(t)))?;
    writeln!(out, "\n## Inputs\n\n{}\n", text(&story.inputs_said()))?;
    let (inputs, more) = story.inputs();
    if !inputs.is_empty() {
        writeln!(out, "| file | kind | SHA-256 |\n| --- | --- | --- |")?;
    }
    for i in &inputs {
        let sum = i.sha256.as_deref().map_or_else(|| "-".to_owned(), code);
        writeln!(out, "| {} | {} | {sum} |", code(&i.file), text(&i.kind))?;
    }
    if more > 0 {
        writeln!(out, "\nAnd {} more, in the result.", grouped(more as u128))?;
    }
    writeln!(out, "\n## Lists\n")?;
    writeln!(
        out,
        "| list | state | date | entries | source | SHA-256 |\n| --- | --- | --- | ---: | --- | --- |"
    )?;
    for l in &story.document.run.lists {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            text(&l.kind),
            text(&l.status),
            text(l.date.as_deref().unwrap_or("-")),
            l.entries.map_or_else(|| "-".to_owned(), |n| grouped(n.into())),
            code(&l.source),
            l.sha256.as_deref().map_or_else(|| "-".to_owned(), code)
        )?;
    }
    Ok(())
}

fn bar(n: u128, most: u128) -> String {
    let length = (n.saturating_mul(BAR)).div_ceil(most.max(1)).min(BAR);
    "█".repeat(length as usize)
}

fn text(s: &str) -> String {
    markdown_text(s)
}

/// A name as a code span, in which nothing is markup; also in a table.
fn code(s: &str) -> String {
    if s.trim().is_empty() {
        return "-".to_owned();
    }
    let longest = s.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    // A pipe ends a table's cell even inside of a code span; behind a backslash it does not, but shows it.
    format!("{fence}{space}{}{space}{fence}", s.replace('|', "¦"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(code("a_b*c"), "`a_b*c`");
        assert_eq!(code("`x`<b>"), "`` `x`<b> ``");
        assert_eq!(code("a|b"), "`a¦b`");
        assert_eq!(code(" "), "-");
    }

    #[test]
    fn the_smallest_amount_still_has_a_bar() {
        assert_eq!(
            [bar(0, 9), bar(1, 1_000), bar(9, 9)].map(|b| b.chars().count()),
            [0, 1, 24]
        );
        assert_eq!(bar(0, 0), "");
    }
}
