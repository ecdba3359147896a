//! Incidents as CSV, one row each, for spreadsheets and for joins.
//!
//! RFC 4180. Whatever a log wrote is inert: control characters are shown as escapes, a cell that a spreadsheet would take
//! for a formula gets a `'` in front, also behind a `;` or `|`, where a spreadsheet of another locale begins a new cell.

use std::io::{self, Write};

use super::document::Reported;
use super::grid::{Cell, Grid};
use super::shape::cut;
use super::{Reporter, Telling};
use crate::net::printable;

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "csv",
    about: "incidents, a row each, for spreadsheets",
    for_people: false,
    write,
};

/// The columns.
pub const COLUMNS: &[&str] = &[
    "id",
    "severity",
    "score",
    "rules",
    "first_seen",
    "last_seen",
    "account",
    "eni",
    "instance",
    "destination",
    "country",
    "bytes",
    "principal",
    "principal_class",
    "title",
    "region",
    "source",
    "channel",
    "confidence",
    "buckets",
    "techniques",
];

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut grid = Grid::new(COLUMNS);
    grid.rows = telling.document.incidents.iter().map(row).collect();
    grid.csv(out)
}

fn row(i: &Reported) -> Vec<Cell> {
    let to = i.destinations.first();
    let who = i.principals.first();
    let buckets: Vec<&str> = i.buckets.iter().map(|b| b.name.as_str()).collect();
    vec![
        text(&i.id),
        text(&i.severity),
        Cell::Text(format!("{:.0}", i.score)),
        text(&i.rules.join(" ")),
        text(&i.first_seen.to_string()),
        text(&i.last_seen.to_string()),
        text(i.account.as_deref().unwrap_or_default()),
        text(i.eni.as_deref().unwrap_or_default()),
        text(i.instance.as_deref().unwrap_or_default()),
        text(to.map_or("", |d| &d.ip)),
        text(to.and_then(|d| d.country.as_deref()).unwrap_or_default()),
        i.bytes.0.map_or(Cell::None, Cell::Bytes),
        text(who.map_or("", |p| &p.arn)),
        text(who.map_or("", |p| &p.class)),
        text(&i.title),
        text(i.region.as_deref().unwrap_or_default()),
        text(i.source_ips.first().map_or("", String::as_str)),
        text(&i.channel),
        Cell::Text(format!("{:.2}", i.confidence)),
        text(&buckets.join(" ")),
        text(&i.attack.techniques.join(" ")),
    ]
}

/// A text that no spreadsheet runs, in whatever locale it splits the line.
fn text(raw: &str) -> Cell {
    if raw.is_empty() {
        return Cell::None;
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = printable(raw.as_bytes())
        .chars()
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        let begins_cell = matches!(c, ';' | '|' | ',') || c == '"';
        if begins_cell && rest.peek().is_some_and(|n| FORMULA.contains(n)) {
            out.push('\'');
        }
    }
    Cell::Text(cut(&out, CELL))
}

/// Bytes of a cell; a spreadsheet takes 32,767 characters.
const CELL: usize = 32_000;

/// How formulas begin.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_inert_also_where_another_locale_begins_a_cell() {
        let is = |raw: &str, shown: &str| assert_eq!(text(raw), Cell::Text(shown.into()));
        is("a;=1+1", "a;'=1+1");
        is("a,\"=1", "a,\"'=1");
        is("a|@SUM(1)", "a|'@SUM(1)");
        is("a\t=1\r\n=2", "a\\x09=1\\x0d\\x0a=2");
        is("plain-text", "plain-text");
        assert_eq!(text(""), Cell::None);
    }
}
