//! What the numbers rest on: coverage, method, inputs, lists.

use maud::{Markup, html};

use crate::report::grid::grouped;
use crate::report::story::Story;
use crate::report::story::frame::in_use;

/// The last sections of the page.
pub(super) fn frame(story: &Story<'_>) -> Markup {
    html! {
        section {
            h2 { "What these logs can and cannot show" }
            ul.reasons { @for text in story.coverage() { li { (text) } } }
        }
        section {
            h2 { "Method" }
            ul.reasons { @for text in story.method() { li { (text) } } }
        }
        (hidden(story))
        (inputs(story))
        (lists(story))
    }
}

/// What was set aside, and by whom.
fn hidden(story: &Story<'_>) -> Markup {
    let view = &story.document.view;
    let kinds = [("announced by", &view.allowed), ("suppressed by", &view.suppressed)];
    html! {
        @if !view.allowed.is_empty() || !view.suppressed.is_empty() {
            section {
                h2 { "Set aside" }
                ul.reasons {
                    @for (how, all) in kinds {
                        @for h in all {
                            li {
                                (h.id) ", " (crate::net::human_bytes(h.bytes.get())) ": " (how) " " (h.by)
                                @if let Some(why) = &h.reason { ", " (why) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn inputs(story: &Story<'_>) -> Markup {
    let (all, more) = story.inputs();
    html! {
        section {
            h2 { "Inputs" }
            p { (story.inputs_said()) }
            @if !all.is_empty() {
                details {
                    summary { (grouped(all.len() as u128)) " files with their SHA-256" }
                    ul.files {
                        @for i in &all {
                            li {
                                code { (i.file) } " (" (i.kind) ")"
                                @if let Some(sum) = &i.sha256 { span.sum { (sum) } }
                            }
                        }
                    }
                    @if more > 0 { p { "And " (grouped(more as u128)) " more, in the result." } }
                }
            }
        }
    }
}

fn lists(story: &Story<'_>) -> Markup {
    html! {
        section {
            h2 { "Lists" }
            ul.files {
                @for l in &story.document.run.lists {
                    li {
                        b { (l.kind) } " "
                        @if in_use(l) {
                            (l.status) ", " code { (l.source) } ", of " (l.date.as_deref().unwrap_or("unknown date"))
                            @if let Some(n) = l.entries { ", " (grouped(n.into())) " entries" }
                        } @else {
                            "not loaded"
                        }
                        @if let Some(sum) = &l.sha256 { span.sum { "SHA-256 " (sum) } }
                    }
                }
            }
        }
    }
}
