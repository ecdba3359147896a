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

/// Takes blocks, one after the other.
pub type TakeBlock<'t> = &'t mut dyn FnMut(&[u8]) -> Result<()>;

/// Writes sorted cells as blocks.
#[derive(Debug)]
pub struct BlockWriter {
    columns: [Writer; COLUMNS],
    before: RawKey,
    cells: usize,
    most: usize,
}

impl BlockWriter {
    /// A writer of blocks of so many cells each, but the last.
    pub fn new(most: usize) -> Self {
        BlockWriter {
            columns: Default::default(),
            before: NOTHING,
            cells: 0,
            most,
        }
    }

    /// Adds the next cell; `take` gets the block that it fills.
    ///
    /// # Errors
    /// Those of `take`.
    #[inline]
    pub fn push(&mut self, key: &RawKey, cell: &Cell, take: TakeBlock<'_>) -> Result<()> {
        encode_key(key, &self.before, &mut self.columns);
        encode_cell(key, cell, &mut self.columns);
        self.before = *key;
        self.cells += 1;
        if self.cells < self.most {
            return Ok(());
        }
        self.end(take)
    }

    /// Ends the last block, if it has a cell.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn end(&mut self, take: TakeBlock<'_>) -> Result<()> {
        if self.cells == 0 {
            return Ok(());
        }
        let mut w = Writer::default();
        w.number(self.cells as u64);
        for column in std::mem::take(&mut self.columns) {
            w.bytes(&column.into_bytes());
        }
        (self.before, self.cells) = (NOTHING, 0);
        take(&w.into_bytes())
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

/// Sides, protocol, ports and log as one number: the same of cells that have them in common.
fn service(key: &RawKey) -> u64 {
    let ports = u64::from(key.port) << 48 | u64::from(key.other_port) << 32;
    ports | u64::from(key.log) << 16 | u64::from(key.protocol) << 8 | u64::from(key.sides.bits())
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
        rest.number(key.sides.bits().into());
        rest.number(key.protocol.into());
        [key.port, key.other_port, key.log]
            .into_iter()
            .for_each(|n| rest.number(n.into()));
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

/// Reads a block, some cells at a time.
#[derive(Debug, Clone, Default)]
pub struct BlockReader {
    bytes: Vec<u8>,
    left: u64,
    /// What is left of each column.
    columns: [Range<usize>; COLUMNS],
    before: RawKey,
    /// Cells that were read and not yet handed out, from the last to the next.
    ready: Vec<RawEntry>,
}

/// Cells that are read at once: enough to look up the columns seldom, few enough to stay in the cache.
const AT_ONCE: usize = 64;

impl BlockReader {
    /// Of bytes in which, from `at` on, stands what [`BlockWriter`] wrote.
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
            ready: Vec::new(),
        })
    }

    /// The next cell; none at the end.
    ///
    /// # Errors
    /// `Format` if it is not what [`BlockWriter`] writes.
    #[inline]
    pub fn read_next(&mut self) -> Result<Option<RawEntry>> {
        if self.ready.is_empty() && self.left > 0 {
            let read = self.read_some();
            if let Err(e) = read {
                self.left = 0;
                self.ready.clear();
                return Err(e);
            }
        }
        Ok(self.ready.pop())
    }

    fn read_some(&mut self) -> Result<()> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let mut columns = self.columns.each_ref().map(|range| Reader::new(bytes(range)));
        for _ in 0..self.left.min(AT_ONCE as u64) {
            let key = decode_key(&self.before, &mut columns)?;
            let cell = decode_cell(&key, &mut columns)?;
            self.before = key;
            self.ready.push((key, cell));
        }
        for (range, r) in self.columns.iter_mut().zip(columns) {
            range.start = range.end - r.left();
        }
        self.left -= self.ready.len() as u64;
        self.ready.reverse();
        Ok(())
    }
}

fn decode_key(before: &RawKey, columns: &mut [Reader<'_>; COLUMNS]) -> Result<RawKey> {
    let [head, interface, src, dst, packet, rest, hour, ..] = columns;
    let mut key = *before;
    let bits = head.number()?;
    if bits & INTERFACE != 0 {
        key.interface = interface.small()?;
    }
    if bits & SRC != 0 {
        key.src = decode_address(src)?;
    }
    if bits & DST != 0 {
        key.dst = decode_address(dst)?;
    }
    if bits & PACKET == 0 {
        key.packet = None;
    } else if bits & SAME_PACKET == 0 {
        key.packet = Some((decode_address(packet)?, decode_address(packet)?));
    }
    if bits & SERVICE != 0 {
        decode_service(&mut key, rest)?;
    }
    let hours = i64::from(key.hour).checked_add(hour.signed()?);
    key.hour = hours.and_then(|h| u32::try_from(h).ok()).ok_or_else(damaged)?;
    Ok(key)
}

fn decode_cell(key: &RawKey, columns: &mut [Reader<'_>; COLUMNS]) -> Result<Cell> {
    let [.., bytes, packets, flows, first, last, file, line] = columns;
    let first = first.number()?.wrapping_add(u64::from(key.hour) * HOUR);
    Ok(Cell {
        bytes: sum(bytes.large()?)?,
        packets: sum(packets.large()?)?,
        flows: flows.count()?,
        first,
        last: first.wrapping_add(last.signed()? as u64),
        sample: (file.small()?, line.number()?),
    })
}

fn decode_service(key: &mut RawKey, r: &mut Reader<'_>) -> Result<()> {
    key.sides = Sides::from_bits(r.small()?);
    (key.protocol, key.port, key.other_port, key.log) = (r.small()?, r.small()?, r.small()?, r.small()?);
    Ok(())
}
