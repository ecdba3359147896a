//! Records to parts of a segment: a worker sums until its table is full, and then writes a part of its own.
//!
//! So memory is bounded whatever the size of the archive, and workers never wait for each other. A sum that stands in two
//! parts is two rows, and adds up when it is read.

use crate::aggregate::Tally;
use crate::aggregate::interner::Described;
use crate::aggregate::key::role_of_source;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::Role;
use crate::aggregate::watch::{Quiet, UNNAMED};
use crate::error::Error;
use crate::flow::{Action, Field, FlowRecord, LogStatus, MISSING, Rows};
use crate::index::part;
use crate::index::seal::Seal;
use crate::index::sums::{Item, Signs, Sums};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Sums in a worker's table, at most: what a table of 2^21 places holds.
const MOST: usize = (1 << 21) / 8 * 7;

/// Where parts go, and how many there are.
#[derive(Debug)]
pub(super) struct Target<'s> {
    /// The store's folder.
    pub(super) folder: &'s Path,
    /// The segment's name.
    pub(super) segment: &'s str,
    /// Parts begun.
    pub(super) parts: AtomicU32,
}

/// One worker's half of a build.
pub(super) struct Gather<'s> {
    target: &'s Target<'s>,
    logs: Arc<Vec<String>>,
    sums: Sums,
    file: u32,
    log: u16,
    records: RecordCounts,
    /// Counts by file.
    pub(super) counts: BTreeMap<u32, RecordCounts>,
    /// What NODATA and SKIPDATA records say.
    pub(super) quiet: Quiet,
    /// The parts that it wrote, each with its number.
    pub(super) written: Vec<(u32, [Seal; 2])>,
    /// What went wrong first.
    pub(super) failed: Option<Error>,
    others: Vec<Gather<'s>>,
}

impl<'s> Gather<'s> {
    pub(super) fn new(target: &'s Target<'s>, logs: Arc<Vec<String>>) -> Self {
        Gather {
            target,
            logs,
            sums: Sums::default(),
            file: 0,
            log: 0,
            records: RecordCounts::default(),
            counts: BTreeMap::new(),
            quiet: Quiet::default(),
            written: Vec::new(),
            failed: None,
            others: Vec::new(),
        }
    }

    /// This worker's and all that it has taken over.
    pub(super) fn split(mut self) -> Vec<Gather<'s>> {
        let mut all = std::mem::take(&mut self.others);
        all.push(self);
        all
    }

    /// Counts of the file that was read belong to it.
    fn hand_over(&mut self) {
        let counts = std::mem::take(&mut self.records);
        self.counts.entry(self.file).or_default().add(&counts);
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self) {
        self.hand_over();
        self.write();
    }

    fn write(&mut self) {
        let emptied = self.sums.empty();
        if self.failed.is_some() || emptied.sums.is_empty() && emptied.files.is_empty() {
            return;
        }
        let number = self.target.parts.fetch_add(1, Ordering::Relaxed);
        match part::write(self.target.folder, self.target.segment, number, emptied, &self.logs) {
            Ok(seals) => self.written.push((number, seals)),
            Err(e) => self.failed = Some(e),
        }
    }

    #[inline]
    fn count(&mut self, item: &Item, texts: &impl Described) {
        let facts = self.sums.facts_of(texts);
        self.sums.add(item, facts, (self.file, self.log));
        if self.sums.len() >= MOST {
            self.write();
        }
    }

    /// A transit gateway's record has no sum, but may be asked for whole.
    fn pass(&mut self, r: &FlowRecord<'_>, (src, dst): (crate::net::Addr, crate::net::Addr)) {
        self.sums.met((src, dst), self.file);
        let ends = (r.pkt_srcaddr.unwrap_or(src), r.pkt_dstaddr.unwrap_or(dst));
        self.sums.met(ends, self.file);
        let facts = self.sums.facts_of(r);
        self.sums.note(facts, self.file);
    }
}

/// Which ports are kept: of a connection whose ends are known, only that of the side that listens.
fn ports(role: Role, src: u16, dst: u16) -> (u16, u16) {
    match role {
        Role::Client => (0, dst),
        Role::Server => (src, 0),
        Role::Unknown => (src, dst),
    }
}

impl Tally for Gather<'_> {
    fn begin(&mut self, _: u32, log: u16) {
        self.log = log;
    }

    fn file(&mut self, file: u32) {
        self.hand_over();
        self.file = file;
    }

    fn observe(&mut self, _: u64, r: &FlowRecord<'_>) {
        if r.status != LogStatus::Ok {
            let log = self.logs.get(usize::from(self.log)).map_or(UNNAMED, String::as_str);
            return self.quiet.observe(log, r);
        }
        self.records.observe(r);
        let (Some(src), Some(dst)) = (r.srcaddr, r.dstaddr) else {
            return;
        };
        if r.format().is_transit_gateway() {
            return self.pass(r, (src, dst));
        }
        let protocol = r.protocol.unwrap_or(0);
        let (src_port, dst_port) = (r.srcport.unwrap_or(0), r.dstport.unwrap_or(0));
        let role = role_of_source(r.tcp_flags, protocol, src_port, dst_port);
        let (src_port, dst_port) = ports(role, src_port, dst_port);
        let start = r.start.unwrap_or(0);
        let item = Item {
            src,
            dst,
            source: r.pkt_srcaddr.unwrap_or(src),
            destination: r.pkt_dstaddr.unwrap_or(dst),
            src_port,
            dst_port,
            protocol,
            signs: Signs::new(role, r.direction, r.action),
            bytes: r.bytes.unwrap_or(0),
            packets: r.packets.unwrap_or(0),
            start,
            end: r.end.unwrap_or(start),
        };
        self.count(&item, r);
    }

    const KEEPS_REPORTS: bool = true;

    const BY_COLUMNS: bool = true;

    fn rows(&mut self, rows: &Rows<'_>) {
        let both = [Field::SrcAddr, Field::DstAddr].iter().all(|f| rows.format.has(*f));
        self.records.observe_rows(rows);
        if !both {
            return;
        }
        for i in (0..rows.len()).filter(|i| rows.is_good(*i)) {
            let item = item_of(rows, i);
            if rows.format.is_transit_gateway() {
                let facts = self.sums.facts_of(&(rows, i));
                self.sums.note(facts, self.file);
                self.sums.met((item.src, item.dst), self.file);
                self.sums.met((item.source, item.destination), self.file);
            } else {
                self.count(&item, &(rows, i));
            }
        }
    }

    fn actions(&self) -> (u64, u64) {
        (self.records.good_accept, self.records.reject_records)
    }

    /// Each writes what it has left by itself; see [`Gather::split`].
    fn merge(&mut self, other: Self) {
        self.others.push(other);
    }
}

#[inline(always)]
fn item_of(rows: &Rows<'_>, i: usize) -> Item {
    let c = rows.columns;
    let known = |n: u64| if n == MISSING { 0 } else { n };
    let protocol = known(c.protocol[i]) as u8;
    let (src_port, dst_port) = (known(c.srcport[i]) as u16, known(c.dstport[i]) as u16);
    let flags = Some(c.tcp_flags[i] as u32).filter(|_| c.tcp_flags[i] != MISSING);
    let role = role_of_source(flags, protocol, src_port, dst_port);
    let (src_port, dst_port) = ports(role, src_port, dst_port);
    let start = known(c.start[i]);
    let action: Action = c.action[i];
    Item {
        src: c.srcaddr[i],
        dst: c.dstaddr[i],
        source: c.source(i),
        destination: c.destination(i),
        src_port,
        dst_port,
        protocol,
        signs: Signs::new(role, c.direction[i], action),
        bytes: known(c.bytes[i]),
        packets: known(c.packets[i]),
        start,
        end: if c.end[i] == MISSING { start } else { c.end[i] },
    }
}
