//! The ledger: egress by channel; a channel without a log is shown as one, never as 0.

use maud::{Markup, html};

use super::{BAR, Bar, Picture, bars, table};
use crate::net::human_bytes;
use crate::report::story::Story;

/// The picture of the ledger.
pub(in crate::report::html) fn picture(story: &Story<'_>) -> Markup {
    let channels = story.channels();
    if channels.is_empty() {
        return html! {};
    }
    let bar = |(name, amount, what): &(&'static str, Option<u128>, String)| Bar {
        label: (*name).to_owned(),
        note: what.clone(),
        amount: *amount,
        marked: matches!(*name, "Foreign S3" | "S3 unaccounted") && amount.is_some_and(|a| a > 0),
    };
    let drawn: Vec<Bar> = channels.iter().map(bar).collect();
    let told = |(name, amount, what): &(&'static str, Option<u128>, String)| {
        let amount = amount.map_or_else(|| "not observable".to_owned(), human_bytes);
        vec![(*name).to_owned(), amount, what.clone()]
    };
    let rows: Vec<Vec<String>> = channels.iter().map(told).collect();
    let unknown = channels.iter().filter(|c| c.1.is_none()).count();
    Picture {
        id: "ledger".to_owned(),
        caption: "Egress by channel, each byte once".to_owned(),
        description: format!(
            "{} channels, of which {unknown} cannot be seen in these logs.",
            channels.len()
        ),
        height: BAR * drawn.len(),
        drawing: bars(&drawn),
        table: table(&["Channel", "Bytes", "What it is"], &rows),
    }
    .draw()
}
