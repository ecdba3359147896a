//! The account as a whole: which channels its egress took, where it went, who uses which bucket.

use maud::{Markup, html};

use super::chart;
use crate::report::story::Story;

/// Pictures of the whole archive.
pub(super) fn account(story: &Story<'_>) -> Markup {
    html! {
        section {
            h2 { "The account in the time of these logs" }
            (chart::ledger::picture(story))
            (chart::places::of_account(story))
            (chart::matrix::of_account(story))
        }
    }
}
