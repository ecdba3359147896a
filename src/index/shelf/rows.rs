//! Rows of the store as sums again: columns of one stretch, and what a row of them says.
//!
//! First the columns that tell which rows are wanted, then the others for those rows alone, and of those only what is asked
//! for: who exchanged how much with whom ([`Wanted::ends`]) needs neither ports nor times, and neighbours add up.

use crate::aggregate::table::Role;
use crate::aggregate::{Facts, Summed, Volume};
use crate::error::{Error, Result};
use crate::flow::value::address;
use crate::flow::{Action, FlowDirection};
use crate::index::blocks::{Reading, Values};
use crate::index::shelf::Wanted;
use crate::index::shelf::stretch::{
    Columns, DAY, INSTANCE, Sought, Stretch, count, draw, draw_locals, draw_peers, draw_wanted_peers, draw_words,
};
use crate::net::Addr;
use parquet::data_type::ByteArray;
use std::collections::BTreeSet;
use std::ops::Range;

/// A reader of stretches of rows.
pub(super) struct Rows<'r> {
    file: &'r Reading,
    log: &'r dyn Fn(&str) -> u16,
    wanted: Option<Sought<'r>>,
    columns: Columns,
    stretch: Stretch,
    facts: Facts,
    /// The texts that `facts` was made of, and the flow log's.
    seen: Option<([Option<ByteArray>; 7], ByteArray)>,
    log_number: u16,
    addresses: [Last; 3],
}

/// The text met last and what it stands for.
#[derive(Default)]
struct Last(Option<(ByteArray, Addr)>);

/// What both ways of a row have in common.
struct Ends {
    local: Addr,
    peer: Addr,
    packet: (Addr, Addr),
    directed: bool,
    action: Action,
    hour: u64,
}

impl<'r> Rows<'r> {
    pub(super) fn new(file: &'r Reading, log: &'r dyn Fn(&str) -> u16, wanted: Option<&'r Wanted>) -> Self {
        let sought = |wanted: &'r Wanted| {
            let texts = wanted.names.iter().map(String::as_bytes);
            let texts: Vec<&[u8]> = texts.filter(|t| address(t).is_some()).collect();
            let addresses: BTreeSet<Addr> = texts.iter().filter_map(|t| address(t)).collect();
            Sought {
                wanted,
                texts,
                ids: addresses.len() < wanted.names.len(),
                addresses,
            }
        };
        Rows {
            file,
            log,
            wanted: wanted.map(sought),
            columns: Columns::new(),
            stretch: Stretch::default(),
            facts: Facts::default(),
            seen: None,
            log_number: 0,
            addresses: Default::default(),
        }
    }

    fn only_ends(&self) -> bool {
        self.wanted.as_ref().is_some_and(|w| w.wanted.ends)
    }

    /// Reads a stretch of rows: all of them, or those from the first to the last that may be wanted.
    pub(super) fn read(&mut self, group: usize, rows: Range<usize>) -> parquet::errors::Result<()> {
        let c = &mut self.columns;
        let mut s = Stretch::default();
        let (by_address, by_id) = self.wanted.as_ref().map_or((false, false), |w| (w.asks_ends(), w.ids));
        let whole = (self.file, group, &rows);
        if by_id {
            draw_words(&mut c.interface, &mut s.interface, whole)?;
            draw_words(&mut c.facts[INSTANCE], &mut s.facts[INSTANCE], whole)?;
        }
        if by_address {
            if let Some(wanted) = &self.wanted {
                draw_wanted_peers(c, &mut s, whole, wanted)?;
            }
            draw_locals(c, &mut s, whole)?;
        }
        let kept = self.wanted.as_ref().map_or(0..rows.len(), |w| s.span(w, rows.len()));
        s.narrow(&kept);
        let rows = rows.start + kept.start..rows.start + kept.end;
        s.rows = rows.len();
        if !rows.is_empty() {
            self.rest(&mut s, group, &rows, (by_id, by_address))?;
        }
        self.stretch = s;
        Ok(())
    }

    /// The columns that did not tell which rows are wanted.
    fn rest(
        &mut self,
        s: &mut Stretch,
        group: usize,
        rows: &Range<usize>,
        (by_id, by_address): (bool, bool),
    ) -> parquet::errors::Result<()> {
        let only_ends = self.only_ends();
        let c = &mut self.columns;
        let here = (self.file, group, rows);
        if !by_id {
            draw_words(&mut c.interface, &mut s.interface, here)?;
        }
        draw_peers(c, s, here)?;
        let facts = if by_id { INSTANCE } else { INSTANCE + 1 };
        for (from, to) in c.facts.iter_mut().zip(&mut s.facts).take(facts) {
            draw_words(from, to, here)?;
        }
        if !by_address {
            draw_locals(c, s, here)?;
        }
        draw_words(&mut c.log, &mut s.log, here)?;
        match self.file.bounds(group, 0)?.filter(|_| only_ends) {
            Some((first, last)) if first.div_euclid(DAY) == last.div_euclid(DAY) => s.hour = Values::Same(Some(first)),
            _ => draw(&mut c.hour, &mut s.hour, here)?,
        }
        draw(&mut c.directed, &mut s.directed, here)?;
        draw_words(&mut c.action, &mut s.action, here)?;
        let sums = c.sums.iter_mut().flatten().zip(s.sums.iter_mut().flatten());
        for (n, (from, to)) in sums.enumerate() {
            // packets
            if !only_ends || n % 3 != 1 {
                draw(from, to, here)?;
            }
        }
        if only_ends {
            return Ok(());
        }
        for (from, to) in c.ports.iter_mut().zip(&mut s.ports) {
            draw(from, to, here)?;
        }
        for (from, to) in c.apart.iter_mut().zip(&mut s.apart) {
            draw(&mut from.0, &mut to.0, here)?;
            draw(&mut from.1, &mut to.1, here)?;
        }
        draw(&mut c.protocol, &mut s.protocol, here)?;
        draw(&mut c.start, &mut s.start, here)?;
        draw(&mut c.seconds, &mut s.seconds, here)
    }

    /// Hands out the rows of the stretch.
    pub(super) fn hand_out(&mut self, each: &mut dyn FnMut(&Summed<'_>)) -> Result<()> {
        let stretch = std::mem::take(&mut self.stretch);
        let (mut at, mut facts) = (0, 0);
        while at < stretch.rows {
            let mut done = Some(());
            if at >= facts {
                if self.same_facts(&stretch, at) != Some(true) {
                    done = self.facts_of(&stretch, at);
                }
                facts = stretch.facts_until(at);
            }
            let until = match self.only_ends() {
                true => facts.min(stretch.end_until(at)).min(stretch.rows).max(at + 1),
                false => at + 1,
            };
            done = done.and_then(|()| match self.only_ends() {
                true => self.ends(&stretch, at..until, each),
                false => self.row(&stretch, at, each),
            });
            done.ok_or_else(|| Error::list("a row is not what rows are"))?;
            at = until;
        }
        Ok(())
    }

    /// Both ways of a row.
    fn row(&mut self, s: &Stretch, i: usize, each: &mut dyn FnMut(&Summed<'_>)) -> Option<()> {
        let ends = self.ends_of(s, i)?;
        let [local_port, peer_port] = [s.ports[0].get(i), s.ports[1].get(i)];
        for (n, outward) in [(0, true), (1, false)] {
            let [bytes, packets, flows] = &s.sums[n];
            let flows = count(flows, i)?;
            if flows == 0 {
                continue;
            }
            let (start, seconds) = &s.apart[n];
            let start = start.get(i).or(s.start.get(i))?;
            let seconds = seconds.get(i).or(s.seconds.get(i))?;
            let first = ends.hour.checked_add(u64::try_from(*start).ok()?)?;
            let volume = Volume {
                bytes: count(bytes, i)?.into(),
                packets: count(packets, i)?.into(),
                flows,
                first,
                last: first.wrapping_add(*seconds as u64),
            };
            let ports = if outward {
                [local_port, peer_port]
            } else {
                [peer_port, local_port]
            };
            let protocol = u8::try_from(*s.protocol.get(i)?).ok()?;
            each(&self.summed(&ends, outward, (ports, protocol), volume)?);
        }
        Some(())
    }

    /// Both ways of rows that have everything in common that is asked for.
    fn ends(&mut self, s: &Stretch, rows: Range<usize>, each: &mut dyn FnMut(&Summed<'_>)) -> Option<()> {
        let ends = self.ends_of(s, rows.start)?;
        for ((bytes, flows), outward) in s.ends_sums(&rows)?.into_iter().zip([true, false]) {
            let volume = Volume {
                bytes: bytes.into(),
                packets: 0,
                flows,
                first: ends.hour,
                last: ends.hour,
            };
            if flows > 0 {
                each(&self.summed(&ends, outward, ([None, None], 0), volume)?);
            }
        }
        Some(())
    }

    fn ends_of(&mut self, s: &Stretch, i: usize) -> Option<Ends> {
        let [local, own, beyond] = &mut self.addresses;
        let (local, peer) = (local.addr(s.local.get(i)?)?, *s.peer.get(i)?);
        let packet = (
            s.packet[0].get(i).map_or(Some(local), |t| own.addr(t))?,
            s.packet[1].get(i).map_or(Some(peer), |t| beyond.addr(t))?,
        );
        Some(Ends {
            local,
            peer,
            packet,
            directed: *s.directed.get(i)?,
            action: match s.action.get(i)?.data() {
                b"ACCEPT" => Action::Accept,
                b"REJECT" => Action::Reject,
                b"-" => Action::Unknown,
                _ => Action::Other,
            },
            hour: count(&s.hour, i)?,
        })
    }

    fn summed(
        &self,
        ends: &Ends,
        outward: bool,
        ([src_port, dst_port], protocol): ([Option<&i32>; 2], u8),
        volume: Volume,
    ) -> Option<Summed<'_>> {
        let turned = |(a, b): (Addr, Addr)| if outward { (a, b) } else { (b, a) };
        let (src, dst) = turned((ends.local, ends.peer));
        let (source, destination) = turned(ends.packet);
        let logged = match outward {
            true => FlowDirection::Egress,
            false => FlowDirection::Ingress,
        };
        let port = |p: Option<&i32>| p.map_or(Some(0), |p| u16::try_from(*p).ok());
        Some(Summed {
            src,
            dst,
            source,
            destination,
            direction: ends.directed.then_some(logged),
            role: match (src_port, dst_port) {
                (None, _) => Role::Client,
                (_, None) => Role::Server,
                _ => Role::Unknown,
            },
            src_port: port(src_port)?,
            dst_port: port(dst_port)?,
            protocol,
            action: ends.action,
            log: self.log_number,
            volume,
            facts: &self.facts,
        })
    }

    /// Rows of one interface follow each other: what is said of it is made once.
    fn same_facts(&self, s: &Stretch, i: usize) -> Option<bool> {
        let (interface, log) = (s.interface.get(i)?, s.log.get(i)?);
        Some(self.seen.as_ref().is_some_and(|([seen, facts @ ..], of_log)| {
            let now = s.facts.iter().map(|column| column.get(i));
            seen.as_ref() == Some(interface) && of_log == log && facts.iter().map(Option::as_ref).eq(now)
        }))
    }

    fn facts_of(&mut self, s: &Stretch, i: usize) -> Option<()> {
        let fact = |n: usize| s.facts.get(n).and_then(|c| c.get(i));
        let (interface, log) = (s.interface.get(i)?, s.log.get(i)?);
        let text = |n: usize| fact(n).map(|t| Box::from(t.data()));
        let instance = fact(INSTANCE).map(ByteArray::data);
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

impl Last {
    fn addr(&mut self, text: &ByteArray) -> Option<Addr> {
        if let Some((_, known)) = self.0.as_ref().filter(|(t, _)| t == text) {
            return Some(*known);
        }
        let found = address(text.data())?;
        self.0 = Some((text.clone(), found));
        Some(found)
    }
}
