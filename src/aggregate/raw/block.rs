//! Sorted cells as bytes: a column for each part of a cell, written as the difference from the cell before.
//!
//! Columns of like numbers pack several times better than cells one after the other. A block stands for itself; decoding
//! trusts nothing: every number is asked for one by one and must be there.

use crate::aggregate::key::{Cell, Sides};
use crate::aggregate::raw::state::{damaged, sum};
use crate::aggregate::raw::{RawEntry, RawKey};
use crate::error::Result;
use crate::net::{Addr, HOUR};
use crate::store::{Reader, Writer};
use std::ops::Range;

/// Cells of a block: some hundred KiB, so that many states can be read at once.
pub const BLOCK: usize = 16_384;

const COLUMNS: usize = 14;
/// Bits of the first column: what is not as in the cell before.
const INTERFACE: u64 = 1;
const SRC: u64 = 2;
const DST: u64 = 4;
const SERVICE: u64 = 8;
/// The packet's addresses are as in the cell before.
const SAME_PACKET: u64 = 16;
/// The packet's addresses are others than the record's.
const PACKET: u64 = 32;

/// Writes sorted cells.
pub fn encode_block(cells: &[RawEntry], w: &mut Writer) {
    let mut columns: [Writer; COLUMNS] = Default::default();
    let mut before = NOTHING;
    for (key, cell) in cells {
        encode_key(key, &before, &mut columns);
        encode_cell(key, cell, &mut columns);
        before = *key;
    }
    w.number(cells.len() as u64);
    for column in columns {
        w.bytes(&column.into_bytes());
    }
}

/// What the first cell of a block is written as different from.
const NOTHING: RawKey = RawKey {
    interface: 0,
    src: Addr(0),
    dst: Addr(0),
    packet: None,
    sides: Sides::from_bits(0),
    protocol: 0,
    port: 0,
    other_port: 0,
    log: 0,
    hour: 0,
};

fn service(key: &RawKey) -> [u64; 5] {
    [
        key.sides.bits().into(),
        key.protocol.into(),
        key.port.into(),
        key.other_port.into(),
        key.log.into(),
    ]
}

fn encode_key(key: &RawKey, before: &RawKey, columns: &mut [Writer; COLUMNS]) {
    let [head, interface, src, dst, packet, rest, hour, ..] = columns;
    let changed = |changed: bool, bit: u64| if changed { bit } else { 0 };
    let new_service = service(key) != service(before);
    let bits = changed(key.interface != before.interface, INTERFACE)
        | changed(key.src != before.src, SRC)
        | changed(key.dst != before.dst, DST)
        | changed(new_service, SERVICE)
        | changed(key.packet.is_some() && key.packet == before.packet, SAME_PACKET)
        | changed(key.packet.is_some(), PACKET);
    head.number(bits);
    if bits & INTERFACE != 0 {
        interface.number(key.interface.into());
    }
    if bits & SRC != 0 {
        address(src, key.src);
    }
    if bits & DST != 0 {
        address(dst, key.dst);
    }
    if let Some((source, destination)) = key.packet.filter(|_| bits & SAME_PACKET == 0) {
        address(packet, source);
        address(packet, destination);
    }
    if new_service {
        service(key).into_iter().for_each(|n| rest.number(n));
    }
    hour.signed(i64::from(key.hour) - i64::from(before.hour));
}

fn encode_cell(key: &RawKey, cell: &Cell, columns: &mut [Writer; COLUMNS]) {
    let [.., bytes, packets, flows, first, last, file, line] = columns;
    bytes.large(cell.bytes);
    packets.large(cell.packets);
    flows.number(cell.flows);
    // The hour is that of the first start, or the last hour that there is.
    first.number(cell.first.wrapping_sub(u64::from(key.hour) * HOUR));
    last.signed(cell.last.wrapping_sub(cell.first) as i64);
    file.number(cell.sample.0.into());
    line.number(cell.sample.1);
}

/// IPv4 as an even number, anything else behind a 1.
fn address(w: &mut Writer, a: Addr) {
    match a.as_v4() {
        Some(n) => w.number(u64::from(n) << 1),
        None => {
            w.number(1);
            w.wide(a.0);
        }
    }
}

fn decode_address(r: &mut Reader<'_>) -> Result<Addr> {
    let n = r.number()?;
    match (n, u32::try_from(n >> 1)) {
        (1, _) => Ok(Addr(r.wide()?)),
        (_, Ok(v4)) if n & 1 == 0 => Ok(Addr::v4(v4)),
        _ => Err(damaged()),
    }
}

/// Reads a block cell by cell.
#[derive(Debug, Clone, Default)]
pub struct BlockReader {
    bytes: Vec<u8>,
    left: u64,
    /// What is left of each column.
    columns: [Range<usize>; COLUMNS],
    before: RawKey,
}

impl BlockReader {
    /// Of bytes in which, from `at` on, stands what [`encode_block`] wrote.
    ///
    /// # Errors
    /// `Format` if it does not.
    pub fn new(bytes: Vec<u8>, at: usize) -> Result<Self> {
        let mut r = Reader::new(bytes.get(at..).unwrap_or_default());
        let left = r.number()?;
        let mut columns: [Range<usize>; COLUMNS] = Default::default();
        for column in &mut columns {
            let length = r.bytes()?.len();
            let end = bytes.len() - r.left();
            *column = end - length..end;
        }
        r.done()?;
        Ok(BlockReader {
            bytes,
            left,
            columns,
            before: NOTHING,
        })
    }

    /// The next cell; none at the end.
    ///
    /// # Errors
    /// `Format` if it is not what [`encode_block`] writes.
    pub fn read_next(&mut self) -> Result<Option<RawEntry>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = self.key()?;
        let cell = self.cell(&key)?;
        self.before = key;
        Ok(Some((key, cell)))
    }

    /// Reads from a column.
    fn column<T>(&mut self, n: usize, read: impl FnOnce(&mut Reader<'_>) -> Result<T>) -> Result<T> {
        let range = self.columns.get_mut(n).ok_or_else(damaged)?;
        let mut r = Reader::new(self.bytes.get(range.clone()).unwrap_or_default());
        let value = read(&mut r)?;
        range.start = range.end - r.left();
        Ok(value)
    }

    fn key(&mut self) -> Result<RawKey> {
        let mut key = self.before;
        let bits = self.column(0, |r| r.number())?;
        if bits & INTERFACE != 0 {
            key.interface = self.column(1, |r| r.small())?;
        }
        if bits & SRC != 0 {
            key.src = self.column(2, decode_address)?;
        }
        if bits & DST != 0 {
            key.dst = self.column(3, decode_address)?;
        }
        if bits & PACKET == 0 {
            key.packet = None;
        } else if bits & SAME_PACKET == 0 {
            key.packet = Some(self.column(4, |r| Ok((decode_address(r)?, decode_address(r)?)))?);
        }
        if bits & SERVICE != 0 {
            self.column(5, |r| decode_service(&mut key, r))?;
        }
        let hours = i64::from(key.hour).checked_add(self.column(6, |r| r.signed())?);
        key.hour = hours.and_then(|h| u32::try_from(h).ok()).ok_or_else(damaged)?;
        Ok(key)
    }

    fn cell(&mut self, key: &RawKey) -> Result<Cell> {
        let bytes = self.column(7, |r| sum(r.large()?))?;
        let packets = self.column(8, |r| sum(r.large()?))?;
        let flows = self.column(9, |r| r.count())?;
        let first = self.column(10, |r| r.number())?;
        let first = first.wrapping_add(u64::from(key.hour) * HOUR);
        let last = first.wrapping_add(self.column(11, |r| r.signed())? as u64);
        Ok(Cell {
            bytes,
            packets,
            flows,
            first,
            last,
            sample: (self.column(12, |r| r.small())?, self.column(13, |r| r.number())?),
        })
    }
}

fn decode_service(key: &mut RawKey, r: &mut Reader<'_>) -> Result<()> {
    key.sides = Sides::from_bits(r.small()?);
    (key.protocol, key.port, key.other_port, key.log) = (r.small()?, r.small()?, r.small()?, r.small()?);
    Ok(())
}
