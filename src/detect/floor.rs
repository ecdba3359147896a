//! How much could an interface send to a new host in a day without an alert? Asked of the detectors themselves.
//!
//! A made-up upload is added to the interface's last day, to an address that nobody ever sent to and no list knows, and
//! the day is judged again, with more and more bytes, until something is reported. It is the answer to "what would we not
//! have seen", and for an attacker who knows the tool: bursts hide in the busiest hour, drips in all of them.

use super::{Case, Court, DETECTORS, Settings, days};
use crate::aggregate::{Direction, EgressTable, Peer, Role, Row, Sample, Volume};
use crate::baseline::{Channel, Day, DayView, HOURS, Places, place};
use crate::net::{Addr, Class, HOUR, Seconds};

/// What one interface could send unnoticed, in bytes on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The interface.
    pub eni: String,
    /// Its peer group.
    pub group: String,
    /// Days of history.
    pub days: u32,
    /// All in its busiest hour; nothing if no amount was reported.
    pub at_once: Option<u64>,
    /// In equal parts over all hours.
    pub spread: Option<u64>,
}

/// Amounts asked about: from 1 kB to 10 TB, to within 5 %.
const RANGE: (f64, f64) = (1e3, 1e13);
const EXACT: f64 = 1.05;

/// The floors of all interfaces with records on the last day of a case, by id.
pub fn floors(case: &Case<'_>, settings: &Settings) -> Vec<Floor> {
    let places = Places::of(case.table);
    let mut court = Court::open(case.baseline, settings);
    let mut days = days(case);
    let Some((last, slices)) = days.pop_last() else {
        return Vec::new();
    };
    for (day, slices) in days {
        court.hear(case, &places, day, slices, settings);
    }
    court.assemble(case.table, &slices);
    let fleet = slices.len();
    let mut out: Vec<Floor> = slices
        .into_iter()
        .filter_map(|(_, rows)| floor(case.table, &court, last, rows, fleet, settings))
        .collect();
    out.sort_by(|a, b| a.eni.cmp(&b.eni));
    out
}

fn floor(
    table: &EgressTable,
    court: &Court,
    day: Day,
    rows: &[Row],
    fleet: usize,
    settings: &Settings,
) -> Option<Floor> {
    let (mut alone, stranger) = day_alone(table, court, rows)?;
    let busiest = busiest(court, &alone, rows);
    let mut silent = |hours: &[usize]| unnoticed(&mut alone, stranger, court, day, hours, fleet, settings);
    let at_once = silent(&[busiest]);
    let spread = silent(&(0..HOURS).collect::<Vec<_>>());
    let eni = alone.interfaces.first()?.id.clone();
    Some(Floor {
        group: court.profiles.group_name(&eni).to_owned(),
        days: court.profiles.own(&eni).map_or(0, |p| p.active_days),
        eni,
        at_once,
        spread,
    })
}

/// A table of this interface's day alone, with a peer at its end that nobody knows.
fn day_alone(table: &EgressTable, court: &Court, rows: &[Row]) -> Option<(EgressTable, u32)> {
    let interface = table.interfaces.get(rows.first()?.interface as usize)?.clone();
    let mut used: Vec<u32> = rows.iter().map(|r| r.peer).collect();
    used.sort_unstable();
    used.dedup();
    let number = |peer: u32| used.binary_search(&peer).ok().and_then(|n| u32::try_from(n).ok());
    let rows = rows.iter().map(|r| {
        let peer = number(r.peer)?;
        Some(Row {
            interface: 0,
            peer,
            ..r.clone()
        })
    });
    let mut peers: Vec<Peer> = used
        .iter()
        .filter_map(|p| table.peers.get(*p as usize).cloned())
        .collect();
    let stranger = u32::try_from(peers.len()).ok()?;
    peers.push(stranger_of(court));
    let rows = rows.collect::<Option<Vec<Row>>>()?;
    let alone = EgressTable {
        interfaces: vec![interface],
        peers,
        rows,
    };
    Some((alone, stranger))
}

/// An address of the documentation's networks that was never sent to.
fn stranger_of(court: &Court) -> Peer {
    const NETWORKS: [u32; 3] = [0xc000_0200, 0xc633_6400, 0xcb00_7100];
    let peers = NETWORKS.map(|n| Peer::of_class(Addr::v4(n + 7), Class::External));
    let known = |p: &Peer| court.profiles.users(&place(p)) > 0;
    let [first, ..] = &peers;
    peers.iter().find(|p| !known(p)).unwrap_or(first).clone()
}

/// The hour of the day in which this interface usually sends most.
fn busiest(court: &Court, alone: &EgressTable, rows: &[Row]) -> usize {
    let day = rows.first().map_or(0, |r| crate::baseline::day_of(r.hour));
    let id = alone.interfaces.first().map_or("", |i| i.id.as_str());
    let usual = |hour: usize| {
        let (usual, spread) = court.profiles.usual_hour(id, Channel::External, (day, hour), 1.0);
        usual + spread
    };
    (0..HOURS).max_by(|a, b| usual(*a).total_cmp(&usual(*b))).unwrap_or(12)
}

/// The largest amount that is not reported, by halving.
fn unnoticed(
    alone: &mut EgressTable,
    stranger: u32,
    court: &Court,
    day: Day,
    hours: &[usize],
    fleet: usize,
    settings: &Settings,
) -> Option<u64> {
    let everyday = alone.rows.len();
    let places = Places::of(alone);
    let mut reported = |bytes: f64| {
        let each = (bytes / hours.len() as f64) as u128;
        alone.rows.extend(hours.iter().map(|h| upload(stranger, day, *h, each)));
        let seen = alarm(alone, &places, stranger, court, day, fleet, settings);
        alone.rows.truncate(everyday);
        seen
    };
    let (mut silent, mut loud) = RANGE;
    if !reported(loud) {
        return None;
    }
    while loud / silent > EXACT {
        let middle = (silent * loud).sqrt();
        if reported(middle) {
            loud = middle
        } else {
            silent = middle
        }
    }
    Some(silent as u64)
}

/// The rule that goes by time alone.
const TIMED: &str = "beacon";

fn upload(stranger: u32, day: Day, hour: usize, bytes: u128) -> Row {
    let start = Seconds::from(day) * 86_400 + hour as u64 * HOUR;
    Row {
        interface: 0,
        peer: stranger,
        hour: start,
        local: Addr::default(),
        port: 443,
        protocol: 6,
        direction: Direction::Egress,
        role: Role::Client,
        volume: Volume {
            bytes,
            packets: bytes / 1_400 + 1,
            flows: 6,
            first: start,
            last: start + HOUR - 1,
        },
        sample: Sample::default(),
    }
}

/// True if a detector's signal that cites the stranger would be reported.
fn alarm(
    alone: &EgressTable,
    places: &Places,
    stranger: u32,
    court: &Court,
    day: Day,
    fleet: usize,
    settings: &Settings,
) -> bool {
    let slices = vec![(0, alone.rows.as_slice())];
    let view = DayView::new(alone, places, day, slices, &court.baseline, &court.profiles);
    let mut signals: Vec<_> = DETECTORS.iter().flat_map(|d| d.detect(&view, settings)).collect();
    let cites = |cell: &u32| alone.rows.get(*cell as usize).is_some_and(|r| r.peer == stranger);
    // The question is how much: a drip that keeps a beat is found by its beat, whatever it sends, and who hides keeps none.
    signals.retain(|s| s.rule != TIMED && s.cells.iter().any(cites));
    court.budget.reports(fleet, &view, signals, settings)
}
