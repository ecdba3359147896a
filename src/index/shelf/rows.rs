//! Rows of the store as sums again: columns of one stretch, and what a row of them says.

use crate::aggregate::table::Role;
use crate::aggregate::{Facts, Summed, Volume};
use crate::error::{Error, Result};
use crate::flow::{Action, FlowDirection};
use crate::index::blocks::Reading;
use crate::index::shelf::{Wanted, addr};
use crate::net::Addr;
use parquet::data_type::ByteArray;
use std::ops::Range;

/// Columns of the sums, in the order of the schema.
mod column {
    pub(super) const HOUR: usize = 0;
    pub(super) const INTERFACE: usize = 1;
    pub(super) const FACTS: [usize; 6] = [2, 3, 4, 5, 6, 7];
    pub(super) const LOG: usize = 8;
    pub(super) const LOCAL: usize = 9;
    pub(super) const PEER: usize = 10;
    pub(super) const DIRECTION: usize = 11;
    pub(super) const LOGGED: usize = 12;
    pub(super) const PACKET: [usize; 2] = [13, 14];
    pub(super) const PORTS: [usize; 2] = [15, 16];
    pub(super) const PROTOCOL: usize = 17;
    pub(super) const ACTION: usize = 18;
    pub(super) const BYTES: usize = 19;
    pub(super) const PACKETS: usize = 20;
    pub(super) const FLOWS: usize = 21;
    pub(super) const START: usize = 22;
    pub(super) const SECONDS: usize = 23;
}

type Some<T> = Option<Vec<Option<T>>>;

/// A reader of stretches of rows.
pub(super) struct Rows<'r> {
    file: &'r Reading,
    log: &'r dyn Fn(&str) -> u16,
    wanted: Option<&'r Wanted>,
    stretch: Stretch,
    facts: Facts,
    /// The texts that `facts` was made of, and the flow log's.
    seen: Option<([Option<ByteArray>; 7], ByteArray)>,
    log_number: u16,
    addresses: [Last; 4],
}

/// The text met last and what it stands for.
#[derive(Default)]
struct Last(Option<(ByteArray, Addr)>);

#[derive(Default)]
struct Stretch {
    hour: Vec<i64>,
    interface: Vec<ByteArray>,
    facts: [Some<ByteArray>; 6],
    log: Vec<ByteArray>,
    local: Vec<ByteArray>,
    peer: Vec<ByteArray>,
    direction: Vec<ByteArray>,
    logged: Some<ByteArray>,
    packet: [Some<ByteArray>; 2],
    ports: [Some<i32>; 2],
    protocol: Vec<i32>,
    action: Vec<ByteArray>,
    bytes: Vec<i64>,
    packets: Vec<i64>,
    flows: Vec<i64>,
    start: Vec<i32>,
    seconds: Vec<i64>,
}

impl<'r> Rows<'r> {
    pub(super) fn new(file: &'r Reading, log: &'r dyn Fn(&str) -> u16, wanted: Option<&'r Wanted>) -> Self {
        Rows {
            file,
            log,
            wanted,
            stretch: Stretch::default(),
            facts: Facts::default(),
            seen: None,
            log_number: 0,
            addresses: Default::default(),
        }
    }

    /// Reads a stretch of rows: all of them, or those from the first to the last that may be wanted.
    pub(super) fn read(&mut self, group: usize, rows: Range<usize>) -> parquet::errors::Result<()> {
        let f = self.file;
        let mut s = Stretch {
            interface: f.texts(group, column::INTERFACE, rows.clone())?,
            local: f.texts(group, column::LOCAL, rows.clone())?,
            peer: f.texts(group, column::PEER, rows.clone())?,
            ..Stretch::default()
        };
        for (to, from) in s.packet.iter_mut().zip(column::PACKET) {
            *to = f.some_texts(group, from, rows.clone())?;
        }
        let instance = column::FACTS.len() - 1;
        s.facts[instance] = f.some_texts(group, column::FACTS[instance], rows.clone())?;
        let kept = self.wanted.map_or(0..rows.len(), |w| s.span(w, rows.len()));
        s.narrow(&kept);
        let rows = rows.start + kept.start..rows.start + kept.end;
        if rows.is_empty() {
            self.stretch = Stretch::default();
            return Ok(());
        }
        for (to, from) in s.facts.iter_mut().zip(column::FACTS).take(instance) {
            *to = f.some_texts(group, from, rows.clone())?;
        }
        for (to, from) in s.ports.iter_mut().zip(column::PORTS) {
            *to = f.some_ints(group, from, rows.clone())?;
        }
        s.hour = f.longs(group, column::HOUR, rows.clone())?;
        s.log = f.texts(group, column::LOG, rows.clone())?;
        s.direction = f.texts(group, column::DIRECTION, rows.clone())?;
        s.logged = f.some_texts(group, column::LOGGED, rows.clone())?;
        s.protocol = f.ints(group, column::PROTOCOL, rows.clone())?;
        s.action = f.texts(group, column::ACTION, rows.clone())?;
        s.bytes = f.longs(group, column::BYTES, rows.clone())?;
        s.packets = f.longs(group, column::PACKETS, rows.clone())?;
        s.flows = f.longs(group, column::FLOWS, rows.clone())?;
        s.start = f.ints(group, column::START, rows.clone())?;
        s.seconds = f.longs(group, column::SECONDS, rows)?;
        self.stretch = s;
        Ok(())
    }

    /// Hands out the rows of the stretch.
    pub(super) fn hand_out(&mut self, each: &mut dyn FnMut(&Summed<'_>)) -> Result<()> {
        let stretch = std::mem::take(&mut self.stretch);
        for i in 0..stretch.hour.len() {
            self.row(&stretch, i, each)
                .ok_or_else(|| Error::list("a row is not what rows are"))?;
        }
        Ok(())
    }

    fn row(&mut self, s: &Stretch, i: usize, each: &mut dyn FnMut(&Summed<'_>)) -> Option<()> {
        self.facts_of(s, i)?;
        let [local, peer, source, destination] = &mut self.addresses;
        let (local, peer) = (local.addr(s.local.get(i)?)?, peer.addr(s.peer.get(i)?)?);
        let outward = s.direction.get(i)?.data() == b"egress";
        let (src, dst) = if outward { (local, peer) } else { (peer, local) };
        let source = value(&s.packet[0], i).map_or(Some(src), |t| source.addr(t))?;
        let destination = value(&s.packet[1], i).map_or(Some(dst), |t| destination.addr(t))?;
        let (src_port, dst_port) = (value(&s.ports[0], i), value(&s.ports[1], i));
        let port = |p: Option<&i32>| p.map_or(Some(0), |p| u16::try_from(*p).ok());
        let count = |n: i64| u64::try_from(n).ok();
        let first = count(*s.hour.get(i)?)?.checked_add(u64::try_from(*s.start.get(i)?).ok()?)?;
        let volume = Volume {
            bytes: count(*s.bytes.get(i)?)?.into(),
            packets: count(*s.packets.get(i)?)?.into(),
            flows: count(*s.flows.get(i)?)?,
            first,
            last: first.wrapping_add(*s.seconds.get(i)? as u64),
        };
        each(&Summed {
            src,
            dst,
            source,
            destination,
            direction: value(&s.logged, i).map(|t| match t.data() {
                b"egress" => FlowDirection::Egress,
                _ => FlowDirection::Ingress,
            }),
            role: match (src_port, dst_port) {
                (None, _) => Role::Client,
                (_, None) => Role::Server,
                _ => Role::Unknown,
            },
            src_port: port(src_port)?,
            dst_port: port(dst_port)?,
            protocol: u8::try_from(*s.protocol.get(i)?).ok()?,
            action: match s.action.get(i)?.data() {
                b"ACCEPT" => Action::Accept,
                b"REJECT" => Action::Reject,
                b"-" => Action::Unknown,
                _ => Action::Other,
            },
            log: self.log_number,
            volume,
            facts: &self.facts,
        });
        Some(())
    }

    /// Rows of one interface follow each other: what is said of it is made once.
    fn facts_of(&mut self, s: &Stretch, i: usize) -> Option<()> {
        let fact = |n: usize| s.facts.get(n).and_then(|c| value(c, i));
        let interface = s.interface.get(i)?;
        let log = s.log.get(i)?;
        if let Some((texts, of_log)) = &self.seen {
            let same = |kept: &Option<ByteArray>, now: Option<&ByteArray>| kept.as_ref() == now;
            let facts = texts.iter().skip(1).zip((0..6).map(fact));
            if texts[0].as_ref() == Some(interface) && of_log == log && facts.into_iter().all(|(k, n)| same(k, n)) {
                return Some(());
            }
        }
        let text = |n: usize| fact(n).map(|t| Box::from(t.data()));
        let instance = fact(5).map(ByteArray::data);
        self.facts = Facts {
            interface: interface.data().into(),
            account: text(0),
            vpc: text(1),
            subnet: text(2),
            region: text(3),
            kind: text(4),
            instance: instance.filter(|t| *t != b"-").map(Box::from),
            instance_column: instance.is_some(),
        };
        let own = |n: usize| fact(n).cloned();
        let texts = [Some(interface.clone()), own(0), own(1), own(2), own(3), own(4), own(5)];
        self.seen = Some((texts, log.clone()));
        self.log_number = (self.log)(log.as_utf8().ok()?);
        Some(())
    }
}

fn value<T>(column: &Some<T>, i: usize) -> Option<&T> {
    column.as_ref()?.get(i)?.as_ref()
}

impl Last {
    fn addr(&mut self, text: &ByteArray) -> Option<Addr> {
        if let Some((_, known)) = self.0.as_ref().filter(|(t, _)| t == text) {
            return Some(*known);
        }
        let found = addr(text.data())?;
        self.0 = Some((text.clone(), found));
        Some(found)
    }
}

impl Stretch {
    /// From the first to the last row that may be wanted.
    fn span(&self, wanted: &Wanted, rows: usize) -> Range<usize> {
        let named = |t: &ByteArray| t.as_utf8().is_ok_and(|t| wanted.names.contains(t));
        let within = |t: &ByteArray| {
            named(t)
                || !wanted.networks.is_empty()
                    && addr(t.data()).is_some_and(|a| wanted.networks.iter().any(|n| n.contains(a.ip())))
        };
        let matches = |i: usize| {
            let ends = [
                self.local.get(i),
                self.peer.get(i),
                value(&self.packet[0], i),
                value(&self.packet[1], i),
            ];
            let ids = [self.interface.get(i), value(&self.facts[5], i)];
            ends.into_iter().flatten().any(within) || ids.into_iter().flatten().any(named)
        };
        let first = (0..rows).find(|i| matches(*i));
        let last = (0..rows).rev().find(|i| matches(*i));
        first.zip(last).map_or(0..0, |(a, b)| a..b + 1)
    }

    fn narrow(&mut self, rows: &Range<usize>) {
        let whole = [&mut self.interface, &mut self.local, &mut self.peer];
        whole.into_iter().for_each(|c| cut(c, rows));
        let optional = self.packet.iter_mut().chain(&mut self.facts);
        optional.flatten().for_each(|c| cut(c, rows));
    }
}

/// Keeps some of the values.
fn cut<T>(column: &mut Vec<T>, rows: &Range<usize>) {
    column.truncate(rows.end);
    column.drain(..rows.start.min(column.len()));
}
