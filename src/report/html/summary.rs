//! What a manager reads: the cover, what happened, and a list of the incidents.

use maud::{Markup, html};

use super::facts;
use crate::report::document::Step;
use crate::report::story::words::{clock, date};
use crate::report::story::{Case, Story};

/// Incidents told in a sentence at the top.
const LEADS: usize = 3;

/// Rows of the list of incidents shown at once.
const ROWS: usize = 25;

/// Title, account, source of detection, date.
pub(super) fn cover(story: &Story<'_>) -> Markup {
    let title = match story.cases.first() {
        Some(case) => case.incident.title.as_str(),
        None => "No incident is reported",
    };
    html! {
        header.cover {
            p.eyebrow { "Investigation report: data leaving AWS" }
            h1 { (title) }
            (facts(&story.head()))
        }
    }
}

/// What happened, how much, what is done, what else there is.
pub(super) fn summary(story: &Story<'_>) -> Markup {
    html! {
        section.summary aria-labelledby="summary" {
            h2 #summary { "Summary" }
            @match story.cases.first() {
                None => p.lead { "Nothing was reported above the severity asked for." },
                Some(worst) => {
                    p.lead { (worst.lead()) }
                    (figures(worst))
                    (done(worst))
                    @for case in story.cases.iter().skip(1).take(LEADS - 1) {
                        p { (chip(&case.incident.severity)) " " (case.lead()) }
                    }
                }
            }
        }
        @if story.cases.len() > 1 { (list(story)) }
    }
}

fn figures(case: &Case<'_>) -> Markup {
    html! {
        dl.figures {
            @for f in case.figures() {
                div {
                    dt { (f.label) }
                    dd.value { (f.value) }
                    @if !f.note.is_empty() { dd.note { (f.note) } }
                }
            }
        }
    }
}

/// What is done and what is not, in two columns.
fn done(case: &Case<'_>) -> Markup {
    let steps = case.steps.as_deref().unwrap_or_default();
    let of = |done: bool| steps.iter().filter(move |s| s.done == done).collect::<Vec<&Step>>();
    let column = |title: &str, class: &str, steps: Vec<&Step>| {
        html! {
            div class=(class) {
                h3 { (title) }
                @if steps.is_empty() { p { "Nothing." } }
                ul { @for s in steps { li { (s.text) } } }
            }
        }
    };
    html! {
        @if steps.is_empty() {
            p.state { (case.state()) }
        } @else {
            div.status {
                (column("Done", "yes", of(true)))
                (column("Not seen as done", "no", of(false)))
            }
        }
    }
}

/// All incidents, a row each; beyond the first ones folded.
fn list(story: &Story<'_>) -> Markup {
    let (first, rest) = story.cases.split_at(story.cases.len().min(ROWS));
    html! {
        section aria-labelledby="all" {
            h2 #all { "All incidents" }
            ol.incidents { @for case in first { (row(case)) } }
            @if !rest.is_empty() {
                details {
                    summary { (rest.len()) " more" }
                    ol.incidents start=(ROWS + 1) { @for case in rest { (row(case)) } }
                }
            }
        }
    }
}

fn row(case: &Case<'_>) -> Markup {
    let i = case.incident;
    let who = case.who().or_else(|| i.instance.clone()).or_else(|| i.eni.clone());
    html! {
        li {
            (chip(&i.severity))
            a href={ "#incident-" (case.number) } { (i.title) }
            span.who { (who.unwrap_or_else(|| "not known".to_owned())) }
            span.amount { (case.amount()) }
            span.when { (date(i.first_seen)) ", " (clock(i.first_seen)) }
        }
    }
}

/// A severity as a word in its colour.
pub(super) fn chip(severity: &str) -> Markup {
    let class = match severity {
        "critical" => "chip critical",
        "high" => "chip high",
        "medium" => "chip medium",
        "low" => "chip low",
        _ => "chip info",
    };
    html! { span class=(class) { (severity) } }
}
