//! Lines of the usual shape, column by column: the fast path of everything that reads whole archives.
//!
//! A stretch of lines with exactly the format's fields becomes one array a column; each column is read for all lines at
//! once, several values in an instruction. A line with any value that is not plain here (`-` where an OK record needs a
//! value, NODATA, SKIPDATA, a bad number) is marked, and the caller reads it by [`FlowRecord`](crate::flow::FlowRecord),
//! the slow and obvious twin: the rule for good and bad lines stands there alone.

use crate::flow::column::{addresses, numbers};
use crate::flow::field::{Field, Kind};
use crate::flow::format::{Column, LogFormat};
use crate::flow::lines::WINDOW;
use crate::flow::record::{Action, FlowDirection};
use crate::flow::simd::{Plain, Stretch, Values};
use crate::flow::value::DASH;
use crate::net::Addr;

/// Stands for `-`, or for a column that the format lacks: no field reaches it.
pub const MISSING: u64 = u64::MAX;

/// Words as numbers, as they stand in memory.
const OK: u64 = u64::from_le_bytes(*b"OK\0\0\0\0\0\0");
const ACCEPT: u64 = u64::from_le_bytes(*b"ACCEPT\0\0");

/// Consecutive records with log-status OK, by column; those that are not are marked in [`Rows::is_good`].
#[derive(Clone, Copy)]
pub struct Rows<'b> {
    texts: Texts<'b>,
    first_line: u64,
    /// The format of all of them.
    pub format: &'b LogFormat,
    /// The values.
    pub columns: &'b Columns,
    selected: Option<&'b [u32]>,
}

/// One array a field; of rows that are not good the values mean nothing.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    good: Vec<bool>,
    /// `srcaddr`
    pub srcaddr: Vec<Addr>,
    /// `dstaddr`
    pub dstaddr: Vec<Addr>,
    /// `pkt-srcaddr`; `srcaddr` where it is missing. Empty if the format lacks it.
    pkt_srcaddr: Vec<Addr>,
    /// `pkt-dstaddr`; `dstaddr` where it is missing. Empty if the format lacks it.
    pkt_dstaddr: Vec<Addr>,
    /// `srcport`
    pub srcport: Vec<u64>,
    /// `dstport`
    pub dstport: Vec<u64>,
    /// `protocol`
    pub protocol: Vec<u64>,
    /// `tcp-flags`
    pub tcp_flags: Vec<u64>,
    /// `packets`
    pub packets: Vec<u64>,
    /// `bytes`
    pub bytes: Vec<u64>,
    /// `start`
    pub start: Vec<u64>,
    /// `end`
    pub end: Vec<u64>,
    /// `action`
    pub action: Vec<Action>,
    /// `flow-direction`
    pub direction: Vec<Option<FlowDirection>>,
    /// Of columns that are validated and not kept.
    scratch: Vec<u64>,
    scratch_addr: Vec<Addr>,
}

/// Where the texts of rows stand.
#[derive(Clone, Copy)]
enum Texts<'b> {
    Lines(Stretch<'b, 'b>),
    Table(&'b dyn TextTable),
}

/// The texts of rows that are not lines.
pub trait TextTable {
    /// The text at a row and column of the format; `-` where there is none.
    fn text(&self, row: usize, column: usize) -> &[u8];

    /// For each row the number under which the text stands in the dictionary of its column, another for no text; `None`
    /// if some stands in none. It means the same in all rows of one [`TextTable::dictionaries`].
    fn codes(&self, column: usize) -> Option<&[u32]>;

    /// Which dictionaries of the file hold: rises.
    fn dictionaries(&self) -> usize;
}

impl<'b> Rows<'b> {
    pub(super) fn of_lines(
        stretch: &Stretch<'b, 'b>,
        first_line: u64,
        format: &'b LogFormat,
        columns: &'b Columns,
    ) -> Self {
        let texts = Texts::Lines(*stretch);
        Rows {
            texts,
            first_line,
            format,
            columns,
            selected: None,
        }
    }

    /// Rows of a form that is not lines, with the texts of their columns of `format`.
    pub fn of_table(table: &'b dyn TextTable, first_line: u64, format: &'b LogFormat, columns: &'b Columns) -> Self {
        let texts = Texts::Table(table);
        Rows {
            texts,
            first_line,
            format,
            columns,
            selected: None,
        }
    }

    /// The same rows, of which only those named (in order) have all columns; of the others there are those of the
    /// accounting: `bytes`, `start`, `end` and `action`.
    #[must_use]
    pub fn selecting(self, selected: Option<&'b [u32]>) -> Self {
        Rows { selected, ..self }
    }

    /// The rows that have all columns; `None` if all have (see [`Sink::selects`](crate::flow::Sink::selects)).
    pub fn selected(&self) -> Option<&'b [u32]> {
        self.selected
    }

    /// Rows, good or not.
    pub fn len(&self) -> usize {
        self.columns.good.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the row is a good record; the others are handed out as records or rejects.
    #[inline]
    pub fn is_good(&self, row: usize) -> bool {
        self.columns.good[row]
    }

    /// The line of a row, counted as [`Sink`](crate::flow::Sink) counts them.
    #[inline]
    pub fn line(&self, row: usize) -> u64 {
        self.first_line + row as u64
    }

    /// The text of a column, if the format has it and it is not `-`.
    #[inline]
    pub fn text(&self, row: usize, field: Field) -> Option<&'b [u8]> {
        let column = self.format.position(field)?;
        Some(self.token(row, column)).filter(|t| *t != DASH)
    }

    #[inline]
    pub(super) fn token(&self, row: usize, column: usize) -> &'b [u8] {
        match self.texts {
            Texts::Lines(stretch) => stretch.token(row * stretch.stride() + column),
            Texts::Table(table) => table.text(row, column),
        }
    }

    /// The codes of a column's texts in its dictionary, by row; `None` if there are none.
    pub fn codes(&self, field: Field) -> Option<&'b [u32]> {
        let Texts::Table(table) = self.texts else { return None };
        table.codes(self.format.position(field)?)
    }

    /// Which dictionaries of their file [`Rows::codes`] speaks of, if of any.
    pub fn dictionaries(&self) -> Option<usize> {
        match self.texts {
            Texts::Lines(_) => None,
            Texts::Table(table) => Some(table.dictionaries()),
        }
    }
}

/// What is to be read of a format, in an order in which what falls back on another column comes after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    steps: Vec<(usize, Field)>,
}

impl Plan {
    pub(super) fn of(format: &LogFormat) -> Self {
        let needs_a_look = |f: Field| {
            f.info().kind != Kind::Text || matches!(f, Field::Action | Field::LogStatus | Field::FlowDirection)
        };
        let known = format.columns().iter().enumerate().filter_map(|(i, c)| match c {
            Column::Known(f) if needs_a_look(*f) => Some((i, *f)),
            _ => None,
        });
        let mut steps: Vec<_> = known.collect();
        steps.sort_by_key(|(i, f)| (!matches!(f, Field::SrcAddr | Field::DstAddr), *i));
        Plan { steps }
    }
}

impl Columns {
    /// Reads all columns of a stretch.
    pub(super) fn read(&mut self, plan: &Plan, stretch: &Stretch<'_, '_>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = crate::flow::simd::Avx2::proof() {
            #[expect(unsafe_code, reason = "instructions that not every processor has")]
            // SAFETY: the processor was asked for them.
            return unsafe { read_avx2(self, simd, plan, stretch) };
        }
        self.read_by(Plain, plan, stretch);
    }

    #[inline(always)]
    fn read_by<V: Values>(&mut self, values: V, plan: &Plan, stretch: &Stretch<'_, '_>) {
        self.begin(stretch.len());
        for (n, (column, field)) in plan.steps.iter().enumerate() {
            stretch.look_ahead(WINDOW, n, plan.steps.len());
            let required = Field::REQUIRED.contains(field);
            match (field, field.info().kind) {
                (Field::LogStatus, _) => self.statuses(values, stretch, *column),
                (Field::Action, _) => self.actions(values, stretch, *column),
                (Field::FlowDirection, _) => self.directions(stretch, *column),
                (_, Kind::Number(max)) => {
                    let (out, good) = self.numbers_of(*field);
                    numbers(values, stretch, (*column, max, required), out, good);
                }
                (_, Kind::Address) => {
                    if matches!(field, Field::PktSrcAddr | Field::PktDstAddr) {
                        self.packet_mut(*field);
                    }
                    let (out, good) = self.addresses_of(*field);
                    addresses(values, stretch, (*column, required), out, good);
                }
                (_, Kind::Text) => {}
            }
        }
    }

    /// The packet's own source in a row, or the record's.
    #[inline(always)]
    pub fn source(&self, row: usize) -> Addr {
        self.pkt_srcaddr.get(row).copied().unwrap_or(self.srcaddr[row])
    }

    /// The packet's own destination in a row, or the record's.
    #[inline(always)]
    pub fn destination(&self, row: usize) -> Addr {
        self.pkt_dstaddr.get(row).copied().unwrap_or(self.dstaddr[row])
    }

    /// Where the packet's own addresses go (`pkt-srcaddr`, else `pkt-dstaddr`), once the record's are there: they stand
    /// where the packet's are missing.
    pub fn packet_mut(&mut self, field: Field) -> &mut [Addr] {
        let (packet, own) = match field {
            Field::PktSrcAddr => (&mut self.pkt_srcaddr, &self.srcaddr),
            _ => (&mut self.pkt_dstaddr, &self.dstaddr),
        };
        packet.clone_from(own);
        packet
    }

    /// True if the row is a good record.
    pub(super) fn is_good(&self, row: usize) -> bool {
        self.good[row]
    }

    /// Where the numbers of a field go, if they are kept: for those who fill the columns themselves.
    pub fn numbers_mut(&mut self, field: Field) -> Option<&mut [u64]> {
        let kept = [
            Field::SrcPort,
            Field::DstPort,
            Field::Protocol,
            Field::TcpFlags,
            Field::Packets,
            Field::Bytes,
            Field::Start,
            Field::End,
        ];
        kept.contains(&field).then(|| self.numbers_of(field).0)
    }

    /// Which rows are good records.
    pub fn good(&self) -> &[bool] {
        &self.good
    }

    /// The marks of good rows, for those who fill the columns themselves.
    pub fn good_mut(&mut self) -> &mut [bool] {
        &mut self.good
    }

    /// Makes room for `len` rows, all good; columns that were never written say that they are missing.
    pub fn begin(&mut self, len: usize) {
        self.good.clear();
        self.good.resize(len, true);
        for c in [&mut self.srcaddr, &mut self.dstaddr, &mut self.scratch_addr] {
            c.resize(len, Addr::default());
        }
        self.pkt_srcaddr.clear();
        self.pkt_dstaddr.clear();
        let numbers = [
            &mut self.srcport,
            &mut self.dstport,
            &mut self.protocol,
            &mut self.tcp_flags,
            &mut self.packets,
            &mut self.bytes,
            &mut self.start,
            &mut self.end,
            &mut self.scratch,
        ];
        for c in numbers {
            c.resize(len, MISSING);
        }
        self.action.resize(len, Action::Unknown);
        self.direction.resize(len, None);
    }

    /// The arrays are kept from one stretch to the next; another format may lack what this one had.
    pub fn forget(&mut self) {
        *self = Columns::default();
    }

    fn numbers_of(&mut self, field: Field) -> (&mut [u64], &mut [bool]) {
        let column = match field {
            Field::SrcPort => &mut self.srcport,
            Field::DstPort => &mut self.dstport,
            Field::Protocol => &mut self.protocol,
            Field::TcpFlags => &mut self.tcp_flags,
            Field::Packets => &mut self.packets,
            Field::Bytes => &mut self.bytes,
            Field::Start => &mut self.start,
            Field::End => &mut self.end,
            _ => &mut self.scratch,
        };
        (column, &mut self.good)
    }

    fn addresses_of(&mut self, field: Field) -> (&mut [Addr], &mut [bool]) {
        let column = match field {
            Field::SrcAddr => &mut self.srcaddr,
            Field::DstAddr => &mut self.dstaddr,
            Field::PktSrcAddr => &mut self.pkt_srcaddr,
            Field::PktDstAddr => &mut self.pkt_dstaddr,
            _ => &mut self.scratch_addr,
        };
        (column, &mut self.good)
    }

    #[inline(always)]
    fn statuses<V: Values>(&mut self, values: V, s: &Stretch<'_, '_>, column: usize) {
        let mut row = 0;
        while row < self.good.len() {
            if values.four_words(s, row * s.stride() + column, OK, 2) == Some(0b1111) {
                row += 4;
                continue;
            }
            let to = self.good.len().min(row + 4);
            for (k, good) in self.good[row..to].iter_mut().enumerate() {
                *good &= s.token((row + k) * s.stride() + column) == b"OK";
            }
            row = to;
        }
    }

    #[inline(always)]
    fn actions<V: Values>(&mut self, values: V, s: &Stretch<'_, '_>, column: usize) {
        let mut row = 0;
        while row < self.action.len() {
            let to = self.action.len().min(row + 4);
            let slots = &mut self.action[row..to];
            if values.four_words(s, row * s.stride() + column, ACCEPT, 6) == Some(0b1111) {
                slots.fill(Action::Accept);
            } else {
                for (k, action) in slots.iter_mut().enumerate() {
                    *action = Action::of(s.token((row + k) * s.stride() + column));
                }
            }
            row = to;
        }
    }

    #[inline(always)]
    fn directions(&mut self, s: &Stretch<'_, '_>, column: usize) {
        for (row, direction) in self.direction.iter_mut().enumerate() {
            *direction = FlowDirection::of(s.token(row * s.stride() + column));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn read_avx2(columns: &mut Columns, simd: crate::flow::simd::Avx2, plan: &Plan, stretch: &Stretch<'_, '_>) {
    columns.read_by(simd, plan, stretch);
}

/// Reads a stretch that has one column, of addresses; what is none is marked as not good.
pub(super) fn read_addresses(stretch: &Stretch<'_, '_>, into: &mut [Addr], good: &mut [bool]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = crate::flow::simd::Avx2::proof() {
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the processor was asked for them.
        return unsafe { addresses_avx2(simd, stretch, into, good) };
    }
    addresses(Plain, stretch, (0, true), into, good);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn addresses_avx2(simd: crate::flow::simd::Avx2, s: &Stretch<'_, '_>, into: &mut [Addr], good: &mut [bool]) {
    addresses(simd, s, (0, true), into, good);
}
