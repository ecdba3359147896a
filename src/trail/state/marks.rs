//! The marks of a trail's state: what copies of events are told by, sorted by identity.

use super::whole::{Order, below};
use super::{MARKS, PIECE, damaged};
use crate::error::Result;
use crate::net::Seconds;
use crate::store::{Reader, Writer};
use crate::trail::archive::TrailArchive;
use crate::trail::row::Mark;

pub(super) fn encode(a: &TrailArchive, order: &Order, piece: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut marks: Vec<(&u128, &Mark)> = a.seen.iter().collect();
    marks.sort_unstable_by_key(|(id, _)| **id);
    for chunk in marks.chunks(PIECE / BYTES) {
        let [mut ids, mut rows, mut times, mut sums]: [Writer; 4] = Default::default();
        let mut before = 0;
        for (id, mark) in chunk {
            ids.wide(**id - before);
            before = **id;
            let row = order.places.get(mark.row as usize).copied().unwrap_or(0);
            rows.number(row.into());
            times.signed(mark.time.wrapping_sub(hour(a, mark.row)) as i64);
            sums.number(mark.bytes_in);
            sums.number(mark.bytes_out);
        }
        let mut w = Writer::default();
        w.number(MARKS);
        w.number(chunk.len() as u64);
        for column in [ids, rows, times, sums] {
            w.bytes(&column.into_bytes());
        }
        piece(&w.into_bytes())?;
    }
    Ok(())
}

/// A mark has about so many bytes, unpacked.
const BYTES: usize = 24;

fn hour(a: &TrailArchive, row: u32) -> Seconds {
    a.rows.get(row as usize).map_or(0, |(key, _)| key.hour)
}

pub(super) fn decode(a: &mut TrailArchive, r: &mut Reader<'_>) -> Result<()> {
    let count = r.number()?;
    let mut column = || r.bytes().map(Reader::new);
    let (mut ids, mut rows, mut times, mut sums) = (column()?, column()?, column()?, column()?);
    let mut id = 0u128;
    for _ in 0..count {
        id = id.checked_add(ids.wide()?).ok_or_else(damaged)?;
        let row = below(&mut rows, a.rows.len() as u64)?;
        let mark = Mark {
            time: hour(a, row).wrapping_add(times.signed()? as u64),
            row,
            bytes_in: sums.number()?,
            bytes_out: sums.number()?,
        };
        a.seen.insert(id, mark);
    }
    Ok(())
}
