//! What of a transfer's first and last hour is the transfer's, where its destinations get something on any other day too.
//!
//! A cell is an hour, and a transfer begins and ends inside of one: the rest of that hour is usual traffic. The size of the
//! records tells them apart. Full hours say what a record of the transfer carries, the day's other hours what a usual one
//! does; so many of each as make up both the bytes and the records of the hour were in it. It is an estimate, and off by less
//! than the usual traffic of an hour.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::{ActorDay, Channel, DayView, HOURS};

/// A size of record so many times the usual one tells a transfer from what is usual.
const LARGER: f64 = 2.0;

/// Bytes and records.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Load {
    bytes: u128,
    records: u64,
}

impl Load {
    fn sum<'l>(all: impl Iterator<Item = &'l Load>) -> Load {
        all.fold(Load::default(), |sum, l| Load {
            bytes: sum.bytes + l.bytes,
            records: sum.records + l.records,
        })
    }

    /// Bytes a record.
    fn size(self) -> Option<f64> {
        (self.records > 0).then(|| self.bytes as f64 / self.records as f64)
    }

    /// How many of these bytes came in records of one size, where the others have another.
    fn of_size(self, size: f64, other: f64) -> u128 {
        let records = (self.bytes as f64 - self.records as f64 * other) / (size - other);
        ((records.max(0.0) * size) as u128).min(self.bytes)
    }
}

/// Of which cells only a part belongs to the transfer that they are cited for, and how many bytes; zero: none.
pub(super) fn portions(
    view: &DayView<'_>,
    actor: &ActorDay<'_>,
    channel: Channel,
    cells: &[u32],
) -> BTreeMap<u32, u128> {
    let row = |cell: &u32| view.table.rows.get(*cell as usize);
    let peers: BTreeSet<u32> = cells.iter().filter_map(row).map(|r| r.peer).collect();
    let mut day = [Load::default(); HOURS];
    for (_, row) in actor.cells(view.table, channel, 0..=HOURS - 1) {
        if peers.contains(&row.peer) {
            let load = &mut day[hour_of(row.hour)];
            load.bytes += row.volume.bytes;
            load.records += row.volume.flows;
        }
    }
    let cited: BTreeSet<usize> = cells.iter().filter_map(row).map(|r| hour_of(r.hour)).collect();
    let mut out = BTreeMap::new();
    for (hour, meant) in partial(&day, &cited) {
        let (mut left, mut sent) = (meant, day[hour].bytes);
        for cell in cells {
            let Some(row) = row(cell).filter(|r| hour_of(r.hour) == hour) else {
                continue;
            };
            let part = left.saturating_mul(row.volume.bytes).checked_div(sent).unwrap_or(0);
            out.insert(*cell, part);
            (left, sent) = (left - part, sent.saturating_sub(row.volume.bytes));
        }
    }
    out
}

fn hour_of(time: u64) -> usize {
    (time / 3_600 % HOURS as u64) as usize
}

/// The first and the last cited hour, as far as they are partial, each with the bytes that are meant.
fn partial(day: &[Load; HOURS], cited: &BTreeSet<usize>) -> Vec<(usize, u128)> {
    let (Some(&first), Some(&last)) = (cited.first(), cited.last()) else {
        return Vec::new();
    };
    let most = cited.iter().map(|h| day[*h].bytes).max().unwrap_or(0);
    let is_partial = |h: &usize| day[*h].bytes * 2 < most;
    let full = Load::sum(cited.iter().filter(|h| !is_partial(h)).map(|h| &day[*h]));
    let outside = Load::sum((0..HOURS).filter(|h| *h < first || *h > last).map(|h| &day[h]));
    let (Some(size), Some(usual)) = (full.size(), outside.size()) else {
        return Vec::new();
    };
    if size < LARGER * usual {
        return Vec::new();
    }
    let ends = BTreeSet::from([first, last]);
    let meant = |h: usize| (h, day[h].of_size(size, usual));
    ends.into_iter().filter(is_partial).map(meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads of some hours: hour, bytes, records.
    fn day(loads: &[(usize, u128, u64)]) -> [Load; HOURS] {
        let mut out = [Load::default(); HOURS];
        for &(hour, bytes, records) in loads {
            out[hour] = Load { bytes, records };
        }
        out
    }

    #[test]
    fn what_is_usual_is_taken_out_of_the_hour_in_which_a_transfer_began() {
        // Records of 5 MB on any other hour, of 50 MB in the transfer; one of its twelve an hour came before the full hour.
        let loads = day(&[
            (0, 15, 3),
            (1, 65, 4),
            (2, 600, 12),
            (3, 600, 12),
            (4, 350, 7),
            (9, 10, 2),
        ]);
        let cited = BTreeSet::from([1, 2, 3, 4]);
        assert_eq!(
            partial(&loads, &cited),
            [(1, 50)],
            "the last hour is more than half full"
        );
    }

    #[test]
    fn what_goes_to_a_place_for_the_first_time_is_all_meant() {
        let loads = day(&[(1, 65, 4), (2, 600, 12), (3, 600, 12)]);
        assert_eq!(partial(&loads, &BTreeSet::from([1, 2, 3])), []);
    }

    #[test]
    fn records_of_like_size_tell_nothing_apart() {
        let loads = day(&[(0, 120, 3), (1, 160, 4), (2, 600, 12)]);
        assert_eq!(partial(&loads, &BTreeSet::from([1, 2])), []);
    }

    #[test]
    fn an_hour_of_nothing_but_usual_records_is_not_meant_at_all() {
        let loads = day(&[(0, 15, 3), (1, 20, 4), (2, 600, 12)]);
        assert_eq!(partial(&loads, &BTreeSet::from([1, 2])), [(1, 0)]);
    }
}
