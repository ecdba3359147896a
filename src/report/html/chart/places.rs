//! Bytes by destination, country and operator: of an incident, and of the whole archive.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{BAR, Bar, Picture, bars, table};
use crate::net::human_bytes;
use crate::report::document::Place;
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

/// Of an incident.
pub(in crate::report::html) fn of_case(case: &Case<'_>) -> Markup {
    let all = &case.incident.destinations;
    let by = |name: &dyn Fn(&Place) -> String| {
        let mut sums: BTreeMap<String, u128> = BTreeMap::new();
        for d in all {
            *sums.entry(name(d)).or_default() += d.bytes.get();
        }
        sums.into_iter()
            .map(|(label, bytes)| plain(label, bytes))
            .collect::<Vec<Row>>()
    };
    let id = |what: &str| format!("{what}-{}", case.number);
    html! {
        @if !all.is_empty() {
            h3 { "Where it went" }
            div.pictures {
                (picture(id("to"), "Bytes by destination", all.iter().map(place).collect()))
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
    let named = |all: &[crate::report::document::Named], unknown: &str| {
        let label = |n: &str| if n == "-" { unknown.to_owned() } else { n.to_owned() };
        all.iter()
            .map(|n| plain(label(&n.name), n.bytes.get()))
            .collect::<Vec<Row>>()
    };
    html! {
        h3 { "Where all egress went" }
        div.pictures {
            (picture("all-to".to_owned(), "Egress by destination", places.destinations.listed.iter().map(place).collect()))
            (picture("all-country".to_owned(), "Egress by country", named(&places.countries.listed, "country not known")))
            (picture("all-operator".to_owned(), "Egress by network operator (AS)", named(&places.operators.listed, NO_OPERATOR)))
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

fn picture(id: String, caption: &str, mut rows: Vec<Row>) -> Markup {
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
    if !rest.is_empty() {
        drawn.push(Bar {
            label: format!("{} others", rest.len()),
            note: String::new(),
            amount: Some(rest.iter().map(|r| r.bytes).sum()),
            marked: false,
        });
    }
    let told = |r: &Row| vec![r.label.clone(), human_bytes(r.bytes), r.note.clone()];
    let numbers: Vec<Vec<String>> = rows.iter().take(ROWS).map(told).collect();
    let first = rows
        .first()
        .map(|r| format!("{} with {}", r.label, human_bytes(r.bytes)));
    Picture {
        id,
        caption: caption.to_owned(),
        description: format!(
            "{} in all; the largest is {}.",
            rows.len(),
            first.unwrap_or_else(|| "none".to_owned())
        ),
        height: BAR * drawn.len(),
        drawing: bars(&drawn),
        table: table(&["Name", "Bytes", "Known of it"], &numbers),
    }
    .draw()
}
