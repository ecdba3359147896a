//! One incident: timeline, principal, impact, containment, reasons, pictures, evidence.

use maud::{Markup, html};

use super::summary::chip;
use super::{chart, facts};
use crate::report::document::{Moment, SideFinding, Step};
use crate::report::grid::grouped;
use crate::report::story::words::{clock, date, stamp};
use crate::report::story::{Case, Fact, Story};

/// Moments, findings and records listed of one incident.
const LISTED: usize = 60;

/// Principals shown before the others are folded.
const PRINCIPALS: usize = 1;

/// An incident; less severe ones are folded.
pub(super) fn article(case: &Case<'_>, pictured: bool) -> Markup {
    let open = matches!(case.incident.severity.as_str(), "critical" | "high") && pictured;
    let title = html! {
        h2 { (chip(&case.incident.severity)) " Incident " (case.number) ": " (case.incident.title) }
    };
    html! {
        article.quiet[!pictured] id={ "incident-" (case.number) } {
            @if open {
                (title)
                (body(case, pictured))
            } @else {
                details {
                    summary { (title) p { (case.lead()) } }
                    (body(case, pictured))
                }
            }
        }
    }
}

fn body(case: &Case<'_>, pictured: bool) -> Markup {
    html! {
        @if case.number > 1 { p.lead { (case.lead()) } }
        (about(case))
        @if pictured { (chart::egress::pictures(case)) }
        (timeline(case, pictured))
        div.columns {
            (principals(case))
            (impact(case))
        }
        (containment(case))
        @if pictured {
            (chart::places::of_case(case))
            (chart::matrix::of_case(case))
        }
        (reasons(case))
        (side(case))
        (evidence(case))
    }
}

fn about(case: &Case<'_>) -> Markup {
    let i = case.incident;
    let mut all = vec![
        Fact::named("Incident", vec![i.id.clone()]),
        Fact::said(
            "Severity",
            format!("{}, score {:.0}, confidence {:.2}", i.severity, i.score, i.confidence),
        ),
        Fact {
            lines: case.sources(),
            ..Fact::said("Source of detection", "")
        },
        Fact::said("Date", date(i.first_seen)),
    ];
    let attack = (!i.attack.techniques.is_empty()).then(|| i.attack.techniques.join(", "));
    all.extend(attack.map(|t| Fact::said("ATT&CK techniques", format!("{t} (version {})", i.attack.version))));
    facts(&all)
}

fn timeline(case: &Case<'_>, pictured: bool) -> Markup {
    let shown = case.moments.get(..case.moments.len().min(LISTED)).unwrap_or_default();
    html! {
        h3 { "Event timeline (UTC)" }
        @if shown.is_empty() { p { "No moment is recorded in this result." } }
        @if pictured { (chart::lanes::of_case(case, shown)) }
        ol.timeline {
            @for m in shown { (moment(m)) }
        }
        @if case.moments.len() > shown.len() {
            p { "And " (case.moments.len() - shown.len()) " more." }
        }
    }
}

fn moment(m: &Moment) -> Markup {
    html! {
        li {
            span.time { (stamp(m.time)) @if let Some(t) = m.until { " – " (clock(t)) } }
            span.what { (m.text) }
            span class={ "origin " (chart::lanes::lane(&m.source).class) } { (chart::lanes::lane(&m.source).name) }
        }
    }
}

fn principals(case: &Case<'_>) -> Markup {
    let all = case.principals();
    let (first, rest) = all.split_at(all.len().min(PRINCIPALS));
    html! {
        section.card {
            h3 { "Compromised principal" }
            @if all.is_empty() {
                p { "Not known: no event of CloudTrail ties a principal to these flows." }
                (facts(&[Fact::named("Source address", case.incident.source_ips.iter().take(LISTED).cloned().collect())]))
            }
            @for one in first { (facts(one)) }
            @if !rest.is_empty() {
                details {
                    summary { (rest.len()) " more candidate" @if rest.len() > 1 { "s" } }
                    @for one in rest { (facts(one)) }
                }
            }
        }
    }
}

fn impact(case: &Case<'_>) -> Markup {
    html! {
        section.card {
            h3 { "Impact" }
            (facts(&case.impact()))
        }
    }
}

fn containment(case: &Case<'_>) -> Markup {
    html! {
        h3 { "Containment" }
        p { (case.state()) }
        @if let Some(steps) = &case.steps {
            ul.steps { @for step in steps { (one_step(step)) } }
        }
    }
}

fn one_step(step: &Step) -> Markup {
    html! {
        li class=(if step.done { "yes" } else { "no" }) {
            span.mark { (if step.done { "Done" } else { "Open" }) }
            span.what { (step.text) }
            span.by {
                @if step.done {
                    @if let Some(at) = step.at { (stamp(at)) " UTC" }
                    @if let Some(by) = &step.by { ", by " code { (by) } }
                    @if let Some(line) = &step.told { ", as told from outside the logs: " (line) }
                } @else if let Some(control) = step.control.as_ref().filter(|c| !c.is_empty()) {
                    "control " code { (control) } " of flowtrail contain"
                }
            }
        }
    }
}

fn reasons(case: &Case<'_>) -> Markup {
    html! {
        h3 { "Why it was reported" }
        ul.reasons {
            @for why in &case.incident.explanation { li { (why) } }
            @if let Some(coverage) = case.coverage() { li { (coverage) } }
        }
    }
}

/// What GuardDuty and Macie say of it.
fn side(case: &Case<'_>) -> Markup {
    html! {
        @if !case.side.is_empty() {
            h3 { "GuardDuty and Macie" }
            (findings(&case.side))
        }
    }
}

fn findings(all: &[&SideFinding]) -> Markup {
    let or = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".to_owned());
    html! {
        div.scroll {
            table {
                thead { tr { th { "Type" } th { "Severity" } th { "Bucket" } th { "Action" } th { "Seen (UTC)" } } }
                tbody {
                    @for f in all.iter().take(LISTED) {
                        tr {
                            td { (f.product()) " " (f.kind) }
                            td { (f.severity.0) }
                            td { (or(&f.bucket)) }
                            td { (or(&f.action)) }
                            td { (f.first_seen.map(stamp).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        @if all.len() > LISTED { p { "And " (all.len() - LISTED) " more." } }
    }
}

fn evidence(case: &Case<'_>) -> Markup {
    let all = &case.incident.evidence;
    html! {
        h3 { "Evidence" }
        @if all.is_empty() {
            p { "CloudTrail’s events, as summed above; no flow record is cited." }
        }
        ul.files {
            @for e in all.iter().take(LISTED) {
                li {
                    code { (e.file) } " line " (grouped(e.line.into()))
                    @if let Some(sum) = &e.sha256 { span.sum { "SHA-256 " (sum) } }
                }
            }
        }
    }
}

/// What belongs to no incident: findings of others, and lines from outside.
pub(super) fn strangers(story: &Story<'_>) -> Markup {
    html! {
        @if !story.unmatched.is_empty() {
            section {
                h2 { "Findings of GuardDuty and Macie that match no incident" }
                (findings(&story.unmatched))
            }
        }
        @if !story.loose.is_empty() {
            section {
                h2 { "Lines from outside the logs that belong to no incident" }
                ol.timeline { @for m in &story.loose { (moment(m)) } }
            }
        }
    }
}
