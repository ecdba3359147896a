//! A card for people: titled tables with a few sentences before them, the same on a terminal and in Markdown.
//!
//! Empty sections are left out; what was not looked at is said in words. Keys are masked unless asked for.

use crate::lookup::card::{Behind, Card, Exact, FarEnd, Met, Source, When};
use crate::lookup::sentences;
use crate::net::rfc3339;
use crate::report::grid::grouped;
use crate::report::run::masked;
use crate::report::{Cell, Grid};

/// A titled part of a card.
#[derive(Debug)]
pub struct Section {
    /// Title.
    pub title: String,
    /// Sentences before the table; log text in them is untrusted.
    pub lines: Vec<String>,
    /// The table, if there is one.
    pub grid: Option<Grid>,
}

/// Rows shown of lists that a card holds whole.
const SHOWN: usize = 12;

/// The parts of a card, in the order in which they are read.
pub fn sections(card: &Card, show_keys: bool) -> Vec<Section> {
    let mut all = vec![sentences::head(card, show_keys)];
    let grids = [
        ("interfaces that met it", interfaces(&card.interfaces)),
        ("principals behind them", behind(&card.behind, show_keys)),
        ("principals that called AWS", callers(card, show_keys)),
        ("addresses that they called from", sources(&card.sources)),
        ("buckets", buckets(card)),
        ("calls", events(card)),
        ("credentials handed out", issued(card, show_keys)),
        ("events worth knowing", notable(card)),
        ("ports", ports(card)),
        ("by day", days(card)),
        (
            "other ends, by bytes",
            far_ends(card.peers.get(..10).unwrap_or(&card.peers), card.far_ends),
        ),
        (
            "one step further: other addresses of these principals",
            more_sources(card),
        ),
        (
            "one step further: other destinations of these interfaces",
            far_ends(&card.pivot.destinations, card.pivot.destinations_all),
        ),
    ];
    for (title, (grid, line)) in grids {
        if !grid.rows.is_empty() {
            all.push(Section {
                title: title.into(),
                lines: line.into_iter().collect(),
                grid: Some(grid),
            });
        }
    }
    all.push(sentences::coverage(card));
    all
}

type Part = (Grid, Option<String>);

fn text(t: impl Into<String>) -> Cell {
    Cell::Text(t.into())
}

fn option(t: Option<&str>) -> Cell {
    t.filter(|t| !t.is_empty()).map_or(Cell::None, text)
}

fn bytes(b: Exact) -> Cell {
    Cell::Bytes(b.0)
}

fn count(n: u64) -> Cell {
    Cell::Count(n.into())
}

fn when(w: When) -> Cell {
    text(rfc3339(w.0))
}

/// A grid of the first rows, and a sentence if there are more.
fn part<T>(columns: &[&str], all: &[T], total: u64, row: impl Fn(&T) -> Vec<Cell>) -> Part {
    let mut grid = Grid::new(columns);
    grid.rows.extend(all.iter().take(SHOWN).map(row));
    let more = total.max(all.len() as u64).saturating_sub(grid.rows.len() as u64);
    (
        grid,
        (more > 0).then(|| format!("the first of {}", grouped((more + all.len().min(SHOWN) as u64).into()))),
    )
}

fn interfaces(all: &[Met]) -> Part {
    let columns = [
        "interface",
        "instance",
        "address",
        "to it",
        "from it",
        "flows",
        "rejected",
        "first",
        "last",
        "class",
    ];
    let (grid, line) = part(&columns, all, 0, |m| {
        let mut class = m.class.as_str().to_owned();
        if m.passes_on {
            class.push_str(", passes on");
        }
        let addresses: Vec<String> = m.addresses.iter().take(3).map(ToString::to_string).collect();
        vec![
            text(&m.eni),
            option(m.instance.as_deref()),
            text(addresses.join(" ")),
            bytes(m.to),
            bytes(m.from),
            count(m.flows),
            count(m.rejected),
            when(m.first),
            when(m.last),
            text(class),
        ]
    });
    let why = all
        .iter()
        .find(|m| !m.why.is_empty())
        .map(|m| format!("{}: {}", m.eni, m.why));
    (grid, line.or(why))
}

fn behind(all: &[Behind], show_keys: bool) -> Part {
    let columns = ["principal", "key", "class", "confidence", "interface"];
    let (grid, line) = part(&columns, all, 0, |b| {
        vec![
            text(&b.arn),
            option(b.access_key.as_deref().map(|k| masked(k, show_keys)).as_deref()),
            text(b.class.as_str()),
            text(format!("{:.2}", b.confidence)),
            text(&b.eni),
        ]
    });
    let why = all.first().map(|b| format!("the first: {}", b.why));
    (grid, why.or(line))
}

fn callers(card: &Card, show_keys: bool) -> Part {
    let columns = [
        "principal",
        "key",
        "class",
        "requests",
        "errors",
        "sent",
        "received",
        "first",
        "last",
    ];
    part(&columns, &card.callers, 0, |c| {
        vec![
            text(&c.arn),
            option(c.access_key.as_deref().map(|k| masked(k, show_keys)).as_deref()),
            text(c.class.as_str()),
            count(c.requests),
            count(c.errors),
            bytes(c.sent),
            bytes(c.received),
            when(c.first),
            when(c.last),
        ]
    })
}

fn sources(all: &[Source]) -> Part {
    source_part(all, 0)
}

fn more_sources(card: &Card) -> Part {
    source_part(&card.pivot.addresses, card.pivot.addresses_all)
}

fn source_part(all: &[Source], total: u64) -> Part {
    let columns = [
        "address",
        "country",
        "lists",
        "endpoint",
        "principals",
        "requests",
        "received",
        "first",
        "last",
    ];
    part(&columns, all, total, |s| {
        vec![
            text(&s.source),
            option(s.country.map(|c| c.to_string()).as_deref()),
            option(Some(&s.labels.join(" "))),
            option(s.endpoint.as_deref()),
            count(s.principals),
            count(s.requests),
            bytes(s.received),
            when(s.first),
            when(s.last),
        ]
    })
}

fn buckets(card: &Card) -> Part {
    let columns = [
        "bucket",
        "owner",
        "requests",
        "errors",
        "objects",
        "read",
        "written",
        "for example",
    ];
    part(&columns, &card.buckets, 0, |b| {
        let about = if b.objects_exact { "" } else { "about " };
        vec![
            text(&b.name),
            option(b.owner.as_deref()),
            count(b.requests),
            count(b.errors),
            text(format!("{about}{}", grouped(b.objects.into()))),
            bytes(b.received),
            bytes(b.sent),
            option(b.examples.first().map(String::as_str)),
        ]
    })
}

fn events(card: &Card) -> Part {
    part(&["service", "event", "error", "requests"], &card.events, 0, |e| {
        vec![
            text(&e.service),
            text(&e.event),
            option(e.error.as_deref()),
            count(e.requests),
        ]
    })
}

fn issued(card: &Card, show_keys: bool) -> Part {
    part(
        &["when", "call", "by", "from", "session", "key"],
        &card.issued,
        0,
        |i| {
            vec![
                when(i.time),
                text(&i.call),
                text(&i.by),
                option(Some(&i.source)),
                option(Some(&i.arn)),
                option(i.access_key.as_deref().map(|k| masked(k, show_keys)).as_deref()),
            ]
        },
    )
}

fn notable(card: &Card) -> Part {
    part(
        &["when", "event", "by", "from", "bucket", "error"],
        &card.notable,
        0,
        |e| {
            vec![
                when(e.time),
                text(&e.event),
                text(&e.by),
                option(Some(&e.source)),
                option(e.bucket.as_deref()),
                option(e.error.as_deref()),
            ]
        },
    )
}

fn ports(card: &Card) -> Part {
    part(
        &["port", "protocol", "to it", "from it", "flows"],
        &card.flows.ports,
        0,
        |p| {
            let protocol = match p.protocol {
                1 => "ICMP".to_owned(),
                6 => "TCP".to_owned(),
                17 => "UDP".to_owned(),
                58 => "ICMPv6".to_owned(),
                n => n.to_string(),
            };
            vec![
                text(p.port.to_string()),
                text(protocol),
                bytes(p.to),
                bytes(p.from),
                count(p.flows),
            ]
        },
    )
}

fn days(card: &Card) -> Part {
    part(&["day", "to it", "from it", "flows"], &card.flows.days, 0, |d| {
        let day: String = rfc3339(d.day.0).chars().take(10).collect();
        vec![text(day), bytes(d.to), bytes(d.from), count(d.flows)]
    })
}

fn far_ends(all: &[FarEnd], total: u64) -> Part {
    let columns = [
        "address",
        "class",
        "country",
        "lists",
        "sent to",
        "received",
        "flows",
        "interfaces",
    ];
    part(&columns, all, total, |e| {
        vec![
            text(e.ip.to_string()),
            text(e.class.as_str()),
            option(e.country.map(|c| c.to_string()).as_deref()),
            option(Some(&e.labels.join(" "))),
            bytes(e.sent),
            bytes(e.received),
            count(e.flows),
            count(e.interfaces.len() as u64),
        ]
    })
}
