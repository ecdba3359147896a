//! What an interface sent, as the one who called, to addresses on a list; apart from it, what it has sent there for long.
//!
//! Addresses on lists also serve other things: a mail or web hook sender meets some of them every day. A destination that an
//! interface has used for more than a week, and no more than usual, is a habit: worth a line, not an alarm.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::aggregate::{Direction, Role, Row};
use crate::baseline::{ActorDay, DayView, PlaceDay};

/// Cells towards listed addresses.
#[derive(Debug, Default)]
pub(super) struct ListedCells {
    /// The cells.
    pub(super) cells: Vec<u32>,
    /// Their bytes.
    pub(super) bytes: u128,
    /// How many addresses.
    pub(super) peers: usize,
    /// True if the interface has sent there for long, and as much.
    pub(super) habit: bool,
}

/// A habit may be so many times as large as on the mean day before.
const TIMES: f64 = 10.0;

/// Egress to addresses with a wanted label, habits apart, where it carries enough.
pub(super) fn listed_cells(
    view: &DayView<'_>,
    actor: &ActorDay<'_>,
    wanted: &dyn Fn(&str) -> bool,
    least_bytes: u64,
) -> Vec<ListedCells> {
    // Only few interfaces send to such addresses at all.
    let habits = OnceCell::new();
    let mut out = [false, true].map(|habit| ListedCells {
        habit,
        ..ListedCells::default()
    });
    let mut peers = [BTreeSet::new(), BTreeSet::new()];
    let outbound = |row: &Row| row.direction == Direction::Egress && row.role != Role::Server;
    let listed = |row: &Row| view.places.is_listed(row) && outbound(row);
    for (row, cell) in actor.rows.iter().zip(actor.first_row..).filter(|(r, _)| listed(r)) {
        let peer = view.table.peer(row);
        if peer.labels.iter().any(|l| wanted(l)) {
            let habits: &BTreeSet<&str> = habits.get_or_init(|| habits_of(view, actor));
            let part = usize::from(habits.contains(crate::baseline::place(peer).as_str()));
            out[part].cells.push(cell);
            out[part].bytes += row.volume.bytes;
            peers[part].insert(row.peer);
        }
    }
    for (part, peers) in out.iter_mut().zip(peers) {
        part.peers = peers.len();
    }
    out.into_iter()
        .filter(|l| l.peers > 0 && l.bytes >= least_bytes.into())
        .collect()
}

/// Places that the interface has used for long.
fn habits_of<'a>(view: &DayView<'_>, actor: &ActorDay<'a>) -> BTreeSet<&'a str> {
    let habits = actor.places.iter().filter(|p| is_habit(view, p));
    habits.map(|p| p.name).collect()
}

fn is_habit(view: &DayView<'_>, place: &PlaceDay<'_>) -> bool {
    let age = view.day.saturating_sub(place.since);
    let mean = place.before as f64 / f64::from(age.max(1));
    !place.new[0] && age >= view.profiles.learning.full_history && place.bytes as f64 <= TIMES * mean
}
