//! Reconciliation as a table: one row an interface and hour or day, what lies open first.

use crate::aggregate::EgressTable;
use crate::attribute::{Line, Reconciliation, Way};
use crate::inventory::Inventory;
use crate::net::{HOUR, Seconds, TimeWindow, rfc3339};
use crate::report::grid::{Cell, Grid};

/// How much of the bytes to and from S3 the events explain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explained {
    /// Flow bytes to S3.
    pub sent: u128,
    /// Of these, without an event.
    pub sent_open: u128,
    /// Flow bytes from S3.
    pub received: u128,
    /// Of these, without an event.
    pub received_open: u128,
}

impl Explained {
    /// The sums of lines.
    pub fn of(lines: &[Line]) -> Self {
        let sum = |of: fn(&Line) -> u128| lines.iter().map(of).sum();
        Explained {
            sent: sum(|l| l.balance.sent),
            sent_open: sum(|l| l.sent_open),
            received: sum(|l| l.balance.received),
            received_open: sum(|l| l.received_open),
        }
    }

    /// Share of all bytes that events explain; 1 if there are none.
    pub fn share(&self) -> f64 {
        let all = self.sent.saturating_add(self.received);
        let open = self.sent_open.saturating_add(self.received_open);
        if all == 0 { 1.0 } else { 1.0 - open as f64 / all as f64 }
    }
}

/// What the table is about, beside its lines.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The lines' interfaces.
    pub table: &'a EgressTable,
    /// Their instances.
    pub inventory: &'a Inventory,
    /// True if the trail records the data events of every bucket.
    pub whole: bool,
    /// True if it records any.
    pub observable: bool,
    /// Seconds of a line.
    pub span: Seconds,
}

/// The lines in the order of the output: most open bytes first, then most bytes, then by interface and time.
pub fn ordered(books: &Reconciliation, span: Seconds) -> Vec<Line> {
    let mut lines = books.lines(span);
    lines.sort_by_cached_key(|l| {
        let open = l.sent_open.saturating_add(l.received_open);
        let all = l.balance.sent.saturating_add(l.balance.received);
        (std::cmp::Reverse((open, all)), l.interface, l.start)
    });
    lines
}

/// The table.
pub fn grid(about: &About<'_>, lines: &[Line]) -> Grid {
    let mut grid = Grid::new(&[
        "eni",
        "instance",
        if about.span == HOUR { "hour" } else { "day" },
        "sent",
        "sent_low",
        "sent_high",
        "sent_unaccounted",
        "received",
        "received_low",
        "received_high",
        "received_unaccounted",
        "uploaded",
        "downloaded",
        "requests",
        "shared",
        "verdict",
    ]);
    grid.rows.extend(lines.iter().map(|l| row(about, l)));
    grid
}

fn row(about: &About<'_>, line: &Line) -> Vec<Cell> {
    let interface = about.table.interfaces.get(line.interface as usize);
    let id = interface.map_or("-", |i| i.id.as_str());
    let then = TimeWindow {
        from: line.start,
        to: line.start.saturating_add(about.span),
    };
    let served = || about.inventory.instance_of(id, then).map(|e| e.to.clone());
    let instance = interface.and_then(|i| i.instance.clone()).or_else(served);
    let mut row = vec![
        Cell::Text(id.to_owned()),
        instance.map_or(Cell::None, Cell::Text),
        Cell::Text(rfc3339(line.start)),
    ];
    for (way, open) in [(Way::Sent, line.sent_open), (Way::Received, line.received_open)] {
        let bounds = line.balance.bounds(way);
        row.push(Cell::Bytes(line.balance.flow(way)));
        row.extend([bounds.low, bounds.high, open].map(|b| about.seen(Cell::Bytes(b))));
    }
    let events = line.balance.events;
    let shared = line.shared.uploaded.saturating_add(line.shared.downloaded);
    row.extend([
        about.seen(Cell::Bytes(events.uploaded)),
        about.seen(Cell::Bytes(events.downloaded)),
        about.seen(Cell::Count(events.requests.into())),
        about.seen(Cell::Bytes(shared)),
        Cell::Text(about.verdict(line).to_owned()),
    ]);
    row
}

impl About<'_> {
    /// What only data events show: nothing, not 0, without them.
    fn seen(&self, cell: Cell) -> Cell {
        if self.observable { cell } else { Cell::None }
    }

    fn verdict(&self, line: &Line) -> &'static str {
        match (self.observable, line.sent_open + line.received_open > 0, self.whole) {
            (false, ..) => "not observable",
            (true, false, _) => "explained",
            (true, true, true) => "unaccounted",
            (true, true, false) => "upper bound",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Interface;
    use crate::attribute::{Balance, Payload};

    fn lines() -> Vec<Line> {
        let line = |start, sent, uploaded, sent_open| Line {
            start,
            balance: Balance {
                sent,
                events: Payload {
                    uploaded,
                    ..Payload::default()
                },
                ..Balance::default()
            },
            sent_open,
            ..Line::default()
        };
        vec![line(0, 1_050, 1_000, 0), line(HOUR, 950, 0, 950)]
    }

    fn texts(whole: bool, observable: bool) -> String {
        let table = EgressTable {
            interfaces: vec![Interface {
                id: "eni-1".into(),
                ..Interface::default()
            }],
            ..EgressTable::default()
        };
        let about = About {
            table: &table,
            inventory: &Inventory::default(),
            whole,
            observable,
            span: HOUR,
        };
        let mut out = Vec::new();
        grid(&about, &lines()).csv(&mut out).unwrap();
        String::from_utf8(out)
            .unwrap()
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_row_shows_both_logs_and_what_lies_open() {
        let rows = "eni-1,-,1970-01-01T00:00:00Z,1050,1020,1100,0,0,2,21,0,1000,0,0,0,explained\n\
                    eni-1,-,1970-01-01T01:00:00Z,950,0,0,950,0,0,19,0,0,0,0,0,";
        assert_eq!(texts(true, true), format!("{rows}unaccounted"));
        assert_eq!(texts(false, true), format!("{rows}upper bound"));
        assert_eq!(
            texts(true, false).lines().next(),
            Some("eni-1,-,1970-01-01T00:00:00Z,1050,-,-,-,0,-,-,-,-,-,-,-,not observable")
        );
    }

    #[test]
    fn the_share_is_of_both_ways() {
        let sums = Explained::of(&lines());
        assert_eq!((sums.sent, sums.sent_open), (2_000, 950));
        assert!((sums.share() - 0.525).abs() < 1e-9);
        assert_eq!(Explained::default().share(), 1.0);
    }
}
