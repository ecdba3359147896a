//! The columns of a store's rows, and the values of some rows of them.

use crate::index::blocks::{Column, Reading, Stored, Values};
use crate::index::runs::Runs;
use crate::index::shelf::{Wanted, addr};
use crate::net::Addr;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use std::collections::BTreeSet;
use std::ops::Range;

pub(super) type Text = Values<ByteArray>;
pub(super) type Texts = Column<ByteArrayType>;
pub(super) type Ints = Column<Int32Type>;
pub(super) type Longs = Column<Int64Type>;

/// What is wanted, and which columns tell.
pub(super) struct Sought<'r> {
    pub(super) wanted: &'r Wanted,
    pub(super) addresses: BTreeSet<Addr>,
    pub(super) ids: bool,
}

/// The columns, numbered as in the schema.
pub(super) struct Columns {
    pub(super) hour: Longs,
    pub(super) interface: Texts,
    pub(super) facts: [Texts; 6],
    pub(super) log: Texts,
    pub(super) local: Texts,
    pub(super) peer: Runs,
    pub(super) packet: [Texts; 2],
    pub(super) directed: Column<BoolType>,
    pub(super) ports: [Ints; 2],
    pub(super) protocol: Ints,
    pub(super) action: Texts,
    /// Bytes, packets and flows that left; the same that came.
    pub(super) sums: [[Longs; 3]; 2],
    pub(super) start: Ints,
    pub(super) seconds: Longs,
    /// Start and seconds of what left, and of what came, where they are not the row's.
    pub(super) apart: [(Ints, Longs); 2],
}

/// Columns of the instance, among the facts.
pub(super) const INSTANCE: usize = 5;

/// Values of the columns, for some rows.
#[derive(Default)]
pub(super) struct Stretch {
    pub(super) rows: usize,
    pub(super) hour: Values<i64>,
    pub(super) interface: Text,
    pub(super) facts: [Text; 6],
    pub(super) log: Text,
    pub(super) local: Text,
    pub(super) peer: Vec<Addr>,
    pub(super) packet: [Text; 2],
    pub(super) directed: Values<bool>,
    pub(super) ports: [Values<i32>; 2],
    pub(super) protocol: Values<i32>,
    pub(super) action: Text,
    pub(super) sums: [[Values<i64>; 3]; 2],
    pub(super) start: Values<i32>,
    pub(super) seconds: Values<i64>,
    pub(super) apart: [(Values<i32>, Values<i64>); 2],
}

impl Columns {
    pub(super) fn new() -> Self {
        let ints = |n| (Ints::new(n), Longs::new(n + 1));
        Columns {
            hour: Longs::new(0),
            interface: Texts::new(1),
            facts: [2, 3, 4, 5, 6, 7].map(Texts::new),
            log: Texts::new(8),
            local: Texts::new(9),
            peer: Runs::new(10),
            packet: [12, 13].map(Texts::new),
            directed: Column::new(11),
            ports: [14, 15].map(Ints::new),
            protocol: Ints::new(16),
            action: Texts::new(17),
            sums: [[18, 19, 20], [21, 22, 23]].map(|way| way.map(Longs::new)),
            start: Ints::new(24),
            seconds: Longs::new(25),
            apart: [26, 28].map(ints),
        }
    }
}

/// Reads one column of a stretch.
pub(super) fn draw<T: Stored>(
    from: &mut Column<T>,
    to: &mut Values<T::T>,
    (file, group, rows): (&Reading, usize, &Range<usize>),
) -> parquet::errors::Result<()> {
    *to = from.read(file, group, rows.clone())?;
    Ok(())
}

pub(super) fn draw_ends(
    from: &mut Columns,
    to: &mut Stretch,
    (file, group, rows): (&Reading, usize, &Range<usize>),
) -> parquet::errors::Result<()> {
    let mut bad = false;
    from.peer.read(file, group, rows.clone(), |count, text| {
        let peer = addr(text);
        bad |= peer.is_none();
        to.peer.extend(std::iter::repeat_n(peer.unwrap_or_default(), count));
    })?;
    if bad {
        return Err(parquet::errors::ParquetError::General("a far end is no address".into()));
    }
    draw(&mut from.local, &mut to.local, (file, group, rows))?;
    for (from, to) in from.packet.iter_mut().zip(&mut to.packet) {
        draw(from, to, (file, group, rows))?;
    }
    Ok(())
}

pub(super) fn count(column: &Values<i64>, i: usize) -> Option<u64> {
    u64::try_from(*column.get(i)?).ok()
}

impl Sought<'_> {
    pub(super) fn asks_ends(&self) -> bool {
        !self.addresses.is_empty() || !self.wanted.networks.is_empty()
    }

    pub(super) fn has_addr(&self, a: Addr) -> bool {
        self.addresses.contains(&a) || self.wanted.networks.iter().any(|n| n.contains(a.ip()))
    }

    pub(super) fn has_id(&self, text: &ByteArray) -> bool {
        text.as_utf8().is_ok_and(|t| self.wanted.names.contains(t))
    }
}

impl Stretch {
    /// From the first to the last row that may be wanted.
    pub(super) fn span(&self, sought: &Sought<'_>, rows: usize) -> Range<usize> {
        let of_text = |t: &ByteArray| addr(t.data()).is_some_and(|a| sought.has_addr(a));
        let ends = |i: usize| {
            let texts = [&self.local, &self.packet[0], &self.packet[1]];
            self.peer.get(i).is_some_and(|p| sought.has_addr(*p))
                || texts.into_iter().filter_map(|c| c.get(i)).any(of_text)
        };
        let ids = |i: usize| {
            let texts = [self.interface.get(i), self.facts[INSTANCE].get(i)];
            texts.into_iter().flatten().any(|t| sought.has_id(t))
        };
        let matches = |i: usize| sought.asks_ends() && ends(i) || sought.ids && ids(i);
        let (mut found, mut is_wanted) = (None, false);
        for i in 0..rows {
            if self.names_others(i) {
                is_wanted = matches(i);
            }
            if is_wanted {
                found = Some((found.map_or(i, |(first, _)| first), i));
            }
        }
        found.map_or(0..0, |(first, last)| first..last + 1)
    }

    /// True if something that may be wanted is another than in the row before it, or this is the first.
    pub(super) fn names_others(&self, i: usize) -> bool {
        let texts = [
            &self.interface,
            &self.facts[INSTANCE],
            &self.local,
            &self.packet[0],
            &self.packet[1],
        ];
        i == 0 || self.peer.get(i) != self.peer.get(i - 1) || texts.into_iter().any(|c| c.changes(i))
    }

    pub(super) fn narrow(&mut self, rows: &Range<usize>) {
        let texts = self.packet.iter_mut().chain(&mut self.facts);
        texts
            .chain([&mut self.interface, &mut self.local])
            .for_each(|c| c.cut(rows));
        self.peer.truncate(rows.end);
        self.peer.drain(..rows.start.min(self.peer.len()));
    }

    /// True if a row has other ends than the row before it, or is the first.
    pub(super) fn other_ends(&self, i: usize) -> bool {
        i == 0
            || self.peer.get(i) != self.peer.get(i - 1)
            || self.local.changes(i)
            || self.packet.iter().any(|p| p.changes(i))
            || self.directed.changes(i)
            || self.action.changes(i)
    }

    /// Bytes and flows of both ways.
    #[inline]
    pub(super) fn ends_sums(&self, i: usize) -> Option<[(u64, u64); 2]> {
        let way = |[bytes, _, flows]: &[Values<i64>; 3]| Some((count(bytes, i)?, count(flows, i)?));
        Some([way(&self.sums[0])?, way(&self.sums[1])?])
    }
}
