//! Bytes by destination, country and operator: of an incident, and of the whole archive.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{BAR, Bar, Picture, bars, table};
use crate::net::human_bytes;
use crate::report::document::{Listed, Named, Place};
use crate::report::grid::grouped;
use crate::report::story::lead::facts;
use crate::report::story::{Case, Story};

/// Bars of one picture.
const SHOWN: usize = 8;

/// Rows of the table behind it.
const ROWS: usize = 40;

/// What stands for an operator that no list names.
const NO_OPERATOR: &str = "operator not known";

/// A label with bytes.
struct Row {
    label: String,
    note: String,
    bytes: u128,
    marked: bool,
}

/// The rows of a picture, and what is not among them.
struct Rows {
    rows: Vec<Row>,
    more: u64,
    more_bytes: u128,
}

impl Rows {
    /// There are no others.
    fn all(rows: Vec<Row>) -> Self {
        Rows {
            rows,
            more: 0,
            more_bytes: 0,
        }
    }

    /// The largest of a list.
    fn of<T>(listed: &Listed<T>, row: impl Fn(&T) -> Row) -> Self {
        Rows {
            rows: listed.listed.iter().map(row).collect(),
            more: listed.all.saturating_sub(listed.listed.len() as u64),
            more_bytes: listed.more_bytes.get(),
        }
    }
}

/// Of an incident.
pub(in crate::report::html) fn of_case(case: &Case<'_>) -> Markup {
    let all = &case.incident.destinations;
    let by = |name: &dyn Fn(&Place) -> String| {
        let mut sums: BTreeMap<String, u128> = BTreeMap::new();
        for d in all {
            let sum = sums.entry(name(d)).or_default();
            *sum = sum.saturating_add(d.bytes.get());
        }
        Rows::all(sums.into_iter().map(|(label, bytes)| plain(label, bytes)).collect())
    };
    let id = |what: &str| format!("{what}-{}", case.number);
    html! {
        @if !all.is_empty() {
            h3 { "Where it went" }
            div.pictures {
                (picture(id("to"), "Bytes by destination", Rows::all(all.iter().map(place).collect())))
                (picture(id("country"), "Bytes by country", by(&|d| country(d.country.as_deref()))))
                (picture(id("operator"), "Bytes by network operator (AS)", by(&operator)))
            }
        }
    }
}

/// Of the archive.
pub(in crate::report::html) fn of_account(story: &Story<'_>) -> Markup {
    let Some(places) = &story.document.places else {
        return html! {};
    };
    let named = |n: &Named, unknown: &str| {
        let label = if n.name == "-" { unknown } else { &n.name };
        plain(label.to_owned(), n.bytes.get())
    };
    let destinations = Rows::of(&places.destinations, place);
    let countries = Rows::of(&places.countries, |n| named(n, "country not known"));
    let operators = Rows::of(&places.operators, |n| named(n, NO_OPERATOR));
    html! {
        h3 { "Where all egress went" }
        div.pictures {
            (picture("all-to".to_owned(), "Egress by destination", destinations))
            (picture("all-country".to_owned(), "Egress by country", countries))
            (picture("all-operator".to_owned(), "Egress by network operator (AS)", operators))
        }
    }
}

fn place(d: &Place) -> Row {
    Row {
        label: d.ip.clone(),
        note: facts(d),
        bytes: d.bytes.get(),
        marked: !d.labels.is_empty(),
    }
}

fn plain(label: String, bytes: u128) -> Row {
    Row {
        label,
        note: String::new(),
        bytes,
        marked: false,
    }
}

fn country(code: Option<&str>) -> String {
    code.unwrap_or("country not known").to_owned()
}

fn operator(d: &Place) -> String {
    match (d.asn, &d.as_name) {
        (Some(n), Some(name)) => format!("AS{n} {name}"),
        (Some(n), None) => format!("AS{n}"),
        _ => NO_OPERATOR.to_owned(),
    }
}

fn picture(id: String, caption: &str, told: Rows) -> Markup {
    let (mut rows, more) = (told.rows, told.more);
    if rows.iter().all(|r| r.label == NO_OPERATOR) {
        return html! { p.state { "No list of network operators (AS) was loaded." } };
    }
    rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.label.cmp(&b.label)));
    let bar = |r: &Row| Bar {
        label: r.label.clone(),
        note: r.note.clone(),
        amount: Some(r.bytes),
        marked: r.marked,
    };
    let mut drawn: Vec<Bar> = rows.iter().take(SHOWN).map(bar).collect();
    let rest = rows.get(SHOWN..).unwrap_or_default();
    let others = rest.len() as u64 + more;
    if others > 0 {
        drawn.push(Bar {
            label: format!("{} others", grouped(others.into())),
            note: String::new(),
            amount: Some(rest.iter().map(|r| r.bytes).fold(told.more_bytes, u128::saturating_add)),
            marked: false,
        });
    }
    let line = |r: &Row| vec![r.label.clone(), human_bytes(r.bytes), r.note.clone()];
    let numbers: Vec<Vec<String>> = rows.iter().take(ROWS).map(line).collect();
    let first = rows
        .first()
        .map(|r| format!("{} with {}", r.label, human_bytes(r.bytes)));
    Picture {
        id,
        caption: caption.to_owned(),
        description: format!(
            "{} in all; the largest is {}.",
            rows.len() as u64 + more,
            first.unwrap_or_else(|| "none".to_owned())
        ),
        height: BAR * drawn.len(),
        drawing: bars(&drawn),
        table: table(&["Name", "Bytes", "Known of it"], &numbers),
    }
    .draw()
}
