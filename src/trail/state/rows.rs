//! The rows of a trail's state: a column for each part, in pieces.

use super::whole::{Order, below};
use super::{PIECE, ROWS, damaged};
use crate::error::Result;
use crate::store::{Reader, Writer};
use crate::trail::Distinct;
use crate::trail::archive::TrailArchive;
use crate::trail::index::{Access, EXAMPLES};
use crate::trail::row::{Cell, RowKey};

/// Hour and access, principal and names, sums and times, objects, examples and agent.
const COLUMNS: usize = 17;

pub(super) fn encode(a: &TrailArchive, order: &Order, piece: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut rows = order.rows.iter().filter_map(|n| a.rows.get(*n as usize)).peekable();
    while rows.peek().is_some() {
        let mut columns: [Writer; COLUMNS] = Default::default();
        let mut count = 0;
        while columns.iter().map(Writer::len).sum::<usize>() < PIECE {
            let Some((key, cell)) = rows.next() else { break };
            encode_row(&order.renamed(key), cell, order.name(cell.agent), &mut columns);
            count += 1;
        }
        let mut w = Writer::default();
        w.number(ROWS);
        w.number(count);
        columns.into_iter().for_each(|c| w.bytes(&c.into_bytes()));
        piece(&w.into_bytes())?;
    }
    Ok(())
}

fn encode_row(key: &RowKey, cell: &Cell, agent: u32, columns: &mut [Writer; COLUMNS]) {
    let [hour, access, names @ .., sums, times, more] = columns;
    hour.number(key.hour);
    access.number(key.access as u64);
    for (column, n) in names.iter_mut().zip(key.numbers()) {
        column.number(n.into());
    }
    sums.number(cell.requests);
    sums.large(cell.bytes_in);
    sums.large(cell.bytes_out);
    times.number(cell.first.wrapping_sub(key.hour));
    times.number(cell.last.wrapping_sub(key.hour));
    cell.objects.encode(more);
    more.number(cell.examples.len() as u64);
    cell.examples.iter().for_each(|e| more.text(e));
    more.number(agent.into());
}

pub(super) fn decode(a: &mut TrailArchive, r: &mut Reader<'_>) -> Result<()> {
    let count = r.number()?;
    let mut columns = [Reader::new(&[]); COLUMNS];
    for column in &mut columns {
        *column = Reader::new(r.bytes()?);
    }
    for _ in 0..count {
        let (key, cell) = decode_row(a, &mut columns)?;
        let places = a.rows.len();
        a.add_row(key, cell);
        if a.rows.len() == places {
            return Err(damaged());
        }
    }
    Ok(())
}

fn decode_row(a: &TrailArchive, columns: &mut [Reader<'_>; COLUMNS]) -> Result<(RowKey, Cell)> {
    let (texts, callers) = (a.names.texts().len() as u64, a.principals.len() as u64);
    let [hour, access, names @ .., sums, times, more] = columns;
    let hour = hour.number()?;
    let kind = Access::of_number(access.number()?).ok_or_else(damaged)?;
    let mut numbers = [0; 12];
    for (n, (slot, column)) in numbers.iter_mut().zip(names).enumerate() {
        *slot = below(column, if n == 0 { callers } else { texts })?;
    }
    let key = RowKey::of_numbers(hour, numbers, kind);
    let cell = Cell {
        requests: sums.count()?,
        bytes_in: bounded(sums.large()?)?,
        bytes_out: bounded(sums.large()?)?,
        first: hour.wrapping_add(times.number()?),
        last: hour.wrapping_add(times.number()?),
        objects: Distinct::decode(more)?,
        examples: decode_examples(more)?,
        agent: below(more, texts)?,
    };
    Ok((key, cell))
}

fn bounded(n: u128) -> Result<u128> {
    if n < 1 << 100 { Ok(n) } else { Err(damaged()) }
}

fn decode_examples(r: &mut Reader<'_>) -> Result<Vec<Box<str>>> {
    let count = r.small::<usize>()?;
    if count > EXAMPLES {
        return Err(damaged());
    }
    (0..count).map(|_| Ok(r.text()?.into())).collect()
}
