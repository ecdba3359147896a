//! The columns of a store's rows, and the values of some rows of them.

use crate::flow::value::address;
use crate::index::blocks::{Column, Reading, Stored, Stretches, Values};
use crate::index::runs::Runs;
use crate::index::shelf::Wanted;
use crate::index::words::Words;
use crate::net::{Addr, HOUR};
use parquet::data_type::{BoolType, ByteArray, Int32Type, Int64Type};
use std::collections::BTreeSet;
use std::ops::Range;

pub(super) type Text = Values<ByteArray>;
pub(super) type Ints = Column<Int32Type>;
pub(super) type Longs = Column<Int64Type>;

/// What is wanted, and which columns tell.
pub(super) struct Sought<'r> {
    pub(super) wanted: &'r Wanted,
    pub(super) addresses: BTreeSet<Addr>,
    /// The addresses as the store writes them, in order.
    pub(super) texts: Vec<&'r [u8]>,
    pub(super) ids: bool,
}

/// The columns, numbered as in the schema.
pub(super) struct Columns {
    pub(super) hour: Longs,
    pub(super) interface: Words,
    pub(super) facts: [Words; 6],
    pub(super) log: Words,
    pub(super) local: Words,
    pub(super) peer: Runs,
    pub(super) packet: [Words; 2],
    pub(super) directed: Column<BoolType>,
    pub(super) ports: [Ints; 2],
    pub(super) protocol: Ints,
    pub(super) action: Words,
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
    pub(super) peer: Values<Addr>,
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
            interface: Words::new(1),
            facts: [2, 3, 4, 5, 6, 7].map(Words::new),
            log: Words::new(8),
            local: Words::new(9),
            peer: Runs::new(10),
            packet: [12, 13].map(Words::new),
            directed: Column::new(11),
            ports: [14, 15].map(Ints::new),
            protocol: Ints::new(16),
            action: Words::new(17),
            sums: [[18, 19, 20], [21, 22, 23]].map(|way| way.map(Longs::new)),
            start: Ints::new(24),
            seconds: Longs::new(25),
            apart: [26, 28].map(ints),
        }
    }
}

/// Rows of a group of a file.
type Where<'w> = (&'w Reading, usize, &'w Range<usize>);

/// Reads one column of a stretch.
pub(super) fn draw<T: Stored>(
    from: &mut Column<T>,
    to: &mut Values<T::T>,
    (file, group, rows): Where<'_>,
) -> parquet::errors::Result<()> {
    *to = from.read(file, group, rows.clone())?;
    Ok(())
}

/// The same of a column of words.
pub(super) fn draw_words(
    from: &mut Words,
    to: &mut Text,
    (file, group, rows): Where<'_>,
) -> parquet::errors::Result<()> {
    *to = from.read(file, group, rows.clone())?;
    Ok(())
}

/// The far ends of a stretch.
pub(super) fn draw_peers(from: &mut Columns, to: &mut Stretch, here: Where<'_>) -> parquet::errors::Result<()> {
    let (mut peers, mut bad) = (Stretches::default(), false);
    from.peer.read(here.0, here.1, here.2.clone(), |count, text| {
        let peer = address(text);
        bad |= peer.is_none();
        peers.add(count, peer);
    })?;
    if bad {
        return Err(parquet::errors::ParquetError::General("a far end is no address".into()));
    }
    to.peer = Values::Runs(peers);
    Ok(())
}

/// The same, of those alone that are wanted: texts are compared, since to parse each takes longer.
pub(super) fn draw_wanted_peers(
    from: &mut Columns,
    to: &mut Stretch,
    here: Where<'_>,
    wanted: &Sought<'_>,
) -> parquet::errors::Result<()> {
    let mut peers = Stretches::default();
    from.peer.read(here.0, here.1, here.2.clone(), |count, text| {
        let may = !wanted.wanted.networks.is_empty() || wanted.texts.binary_search(&text).is_ok();
        peers.add(count, if may { address(text) } else { None });
    })?;
    to.peer = Values::Runs(peers);
    Ok(())
}

/// The nearer end of a stretch, and the packets' own.
pub(super) fn draw_locals(from: &mut Columns, to: &mut Stretch, here: Where<'_>) -> parquet::errors::Result<()> {
    draw_words(&mut from.local, &mut to.local, here)?;
    for (from, to) in from.packet.iter_mut().zip(&mut to.packet) {
        draw_words(from, to, here)?;
    }
    Ok(())
}

/// What rows of a column of whole numbers add up to.
pub(super) fn total(column: &Values<i64>, rows: Range<usize>) -> Option<u64> {
    let (mut sum, mut signs) = (0u64, 0);
    let all: &[i64] = match column {
        Values::Each(all) => all.get(rows)?,
        Values::Same(Some(one)) => return u64::try_from(*one).ok()?.checked_mul(rows.len() as u64),
        _ => return None,
    };
    for n in all {
        signs |= n;
        sum = sum.checked_add(n.cast_unsigned())?;
    }
    (signs >= 0).then_some(sum)
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
        let of_text = |t: &ByteArray| address(t.data()).is_some_and(|a| sought.has_addr(a));
        let beside = |i: usize| {
            let texts = [&self.local, &self.packet[0], &self.packet[1]];
            sought.asks_ends() && texts.into_iter().filter_map(|c| c.get(i)).any(of_text)
        };
        let ids = |i: usize| {
            let texts = [self.interface.get(i), self.facts[INSTANCE].get(i)];
            sought.ids && texts.into_iter().flatten().any(|t| sought.has_id(t))
        };
        let (mut found, mut at, mut words, mut of_words) = (None, 0, 0, false);
        while at < rows {
            if at >= words {
                of_words = beside(at) || ids(at);
                words = self.words_until(at);
            }
            let until = if of_words {
                words
            } else {
                words.min(self.peer.until(at))
            }
            .min(rows);
            if of_words || sought.asks_ends() && self.peer.get(at).is_some_and(|p| sought.has_addr(*p)) {
                found = Some((found.map_or(at, |(first, _)| first), until));
            }
            at = until.max(at + 1);
        }
        found.map_or(0..0, |(first, until)| first..until)
    }

    /// The row after those that have the same of everything that may be wanted, but for the far end.
    fn words_until(&self, i: usize) -> usize {
        let texts = [
            &self.interface,
            &self.facts[INSTANCE],
            &self.local,
            &self.packet[0],
            &self.packet[1],
        ];
        texts.into_iter().map(|c| c.until(i)).min().unwrap_or(i + 1)
    }

    pub(super) fn narrow(&mut self, rows: &Range<usize>) {
        let texts = self.packet.iter_mut().chain(&mut self.facts);
        texts
            .chain([&mut self.interface, &mut self.local])
            .for_each(|c| c.cut(rows));
    }

    /// The row after those of which the same is said, of the interface and of the nearer end.
    pub(super) fn facts_until(&self, i: usize) -> usize {
        let facts = self.facts.iter().chain(&self.packet);
        let texts = facts.chain([&self.interface, &self.log, &self.local]);
        let until = texts.map(|c| c.until(i)).min().unwrap_or(i + 1);
        until.min(self.directed.until(i))
    }

    /// The row after those that have the same far end, action and day.
    pub(super) fn end_until(&self, i: usize) -> usize {
        let until = self.peer.until(i).min(self.action.until(i));
        match &self.hour {
            Values::Each(hours) => {
                let day = |h: &i64| h.div_euclid(DAY);
                let here = hours.get(i).map(day);
                let after = hours.iter().skip(i).take(until.saturating_sub(i));
                i + after.take_while(|h| Some(day(h)) == here).count().max(1)
            }
            _ => until,
        }
    }

    /// Bytes and flows of both ways, of some rows.
    pub(super) fn ends_sums(&self, rows: &Range<usize>) -> Option<[(u64, u64); 2]> {
        let way =
            |[bytes, _, flows]: &[Values<i64>; 3]| Some((total(bytes, rows.clone())?, total(flows, rows.clone())?));
        Some([way(&self.sums[0])?, way(&self.sums[1])?])
    }
}

/// Seconds of a day.
pub(super) const DAY: i64 = 24 * HOUR as i64;
