//! One worker's tables: records in, sums out, no lock and no allocation per record.
//!
//! Counting rules 1, 3 and 4 of the design stand here: ACCEPT and OK only, direction by the record or by home addresses,
//! the peer is `pkt-dstaddr` where there is one. Merging two counters is a commutative sum.

use crate::aggregate::cells::{Cells, Kinds, Outbox, Rest, SumBox};
use crate::aggregate::filter::{Filter, RecordFacts};
use crate::aggregate::interner::{Described, Dictionaries, Interner};
use crate::aggregate::key::{Bearing, Cell, FlowKey, Grain, Sides, class_as_peer, hour_bucket, role_of_source};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::{Direction, Peer, Role};
use crate::aggregate::way::{Numbers, Way};
use crate::flow::{Action, Field, FlowRecord, LogFormat, LogStatus, MISSING, Rows};
use crate::net::{Addr, Class, TimeWindow};
use std::sync::Arc;

mod adopt;
mod ends;
mod picked;
mod shared;
mod sums;

use ends::{Ends, ports};
use picked::Picked;
pub use shared::Shared;

/// True if a record of this format says no more of its way than two addresses.
fn is_bare(format: &LogFormat) -> bool {
    let others = [Field::PktSrcAddr, Field::PktDstAddr, Field::FlowDirection];
    !others.iter().any(|f| format.has(*f))
}

/// What the lists say of an address; the intel room knows, tests make it up.
pub trait Places: Sync {
    /// The kind of destination: asked once a record.
    fn class(&self, addr: Addr) -> Class;
    /// Everything: asked once a peer.
    fn peer(&self, addr: Addr) -> Peer;
}

/// What is counted.
#[derive(Debug, Clone)]
pub struct Counting {
    /// How fine.
    pub grain: Grain,
    /// Records that do not pass are read and validated, but not counted.
    pub filter: Filter,
    /// Records that start outside are not counted.
    pub window: TimeWindow,
    /// Where every cell is a group of the answer, keep only so many of the largest; 0 keeps all (see [`Rest`]).
    pub largest: usize,
}

/// One worker's tables.
pub struct Counter<'p, P> {
    places: &'p P,
    counting: &'p Counting,
    /// Interfaces met.
    pub interfaces: Interner,
    shared: Arc<Shared>,
    outbox: Outbox,
    sums: SumBox,
    picked: Picked,
    /// Counts over all good records.
    pub records: RecordCounts,
    /// Task that is being counted, for samples.
    pub task: u32,
    /// Flow log subscription of its file.
    pub log: u16,
    by_interface: bool,
    /// Somebody asks for ports, and so for roles.
    by_port: bool,
    /// Some cells mean something only together with others: open or carried flows, several flow logs.
    entangled: Kinds,
}

impl<'p, P: Places> Counter<'p, P> {
    /// Empty tables of a worker of the run that shares `shared`.
    pub fn new(places: &'p P, counting: &'p Counting, shared: Arc<Shared>) -> Self {
        Counter {
            places,
            counting,
            interfaces: Interner::sharing(shared.ids.clone()),
            shared,
            outbox: Outbox::default(),
            sums: SumBox::default(),
            picked: Picked::default(),
            records: RecordCounts::default(),
            task: 0,
            log: 0,
            by_interface: counting.grain.interface,
            by_port: counting.grain.port || counting.filter.names_port(),
            entangled: Kinds::default(),
        }
    }

    /// Counts interfaces apart also where the grain does not ask for it: several flow logs may watch the same one.
    #[must_use]
    pub fn by_interface(mut self, needed: bool) -> Self {
        self.by_interface |= needed;
        if needed {
            self.entangled = Kinds::BOTH;
        }
        self
    }

    /// Counts a record that stands at `line` of the current task.
    #[inline]
    pub fn observe(&mut self, line: u64, r: &FlowRecord<'_>) {
        if r.status != LogStatus::Ok {
            return;
        }
        self.records.observe(r);
        let counted = matches!(r.action, Action::Accept | Action::Unknown) && !r.format().is_transit_gateway();
        let way = Way::of_record(r).filter(|_| counted && self.counting.window.contains(r.start.unwrap_or(0)));
        if let Some(ends) = way.and_then(|way| self.ends(&way)) {
            self.count(&Numbers::of_record(line, r), (r, (&Dictionaries::default(), 0)), ends);
        }
    }

    /// True if flows towards home are not wanted, and the format has nothing that could say more of them.
    pub(super) fn selects(&self, format: &LogFormat) -> bool {
        let grain = &self.counting.grain;
        !grain.home && !grain.ingress && is_bare(format) && format.has(Field::DstAddr)
    }

    /// True of a destination towards which no flow is wanted, where rows are selected.
    pub(super) fn is_passed(&self, destination: Addr) -> bool {
        self.of_far_end(self.counting.filter.family(), destination) == Class::Home
    }

    /// What a destination is, where it is the far end of all flows that are wanted; home also if the filter lets its family
    /// not through, so that nobody looks further.
    #[inline(always)]
    fn of_far_end(&self, family: Option<bool>, destination: Addr) -> Class {
        match family {
            Some(v4) if destination.is_v4() != v4 => Class::Home,
            _ => self.places.class(destination),
        }
    }

    /// Counts many records at once.
    pub fn rows(&mut self, rows: &Rows<'_>) {
        self.records.observe_rows(rows);
        self.interfaces.announce(self.task, rows.dictionaries());
        let dictionaries = Dictionaries::of(rows);
        let both = [Field::SrcAddr, Field::DstAddr].iter().all(|f| rows.format.has(*f));
        if !both || rows.format.is_transit_gateway() {
            return;
        }
        match is_bare(rows.format) {
            true => self.each_row::<true>(rows, &dictionaries),
            false => self.each_row::<false>(rows, &dictionaries),
        }
    }

    fn each_row<const BARE: bool>(&mut self, rows: &Rows<'_>, dictionaries: &Dictionaries<'_>) {
        let grain = &self.counting.grain;
        match rows.selected() {
            Some(selected) => {
                for row in selected {
                    self.row::<BARE>((rows, *row as usize), None, dictionaries);
                }
            }
            None if BARE && !grain.home && !grain.ingress => {
                let mut picked = std::mem::take(&mut self.picked);
                let family = self.counting.filter.family();
                for (row, class) in picked.leaving(rows, |addr| self.of_far_end(family, addr)) {
                    self.row::<BARE>((rows, *row as usize), Some(*class), dictionaries);
                }
                self.picked = picked;
            }
            None => {
                for row in 0..rows.len() {
                    self.row::<BARE>((rows, row), None, dictionaries);
                }
            }
        }
    }

    /// Counts a row; one that is bare has two addresses, which tell all there is of its way. What its destination is may be
    /// known.
    #[inline(always)]
    fn row<const BARE: bool>(
        &mut self,
        (rows, i): (&Rows<'_>, usize),
        of_dst: Option<Class>,
        dictionaries: &Dictionaries<'_>,
    ) {
        let c = rows.columns;
        if !rows.is_good(i) || !matches!(c.action[i], Action::Accept | Action::Unknown) {
            return;
        }
        let of_dst = of_dst.unwrap_or_else(|| self.places.class(c.dstaddr[i]));
        if BARE && self.stays(c.srcaddr[i], of_dst) {
            return;
        }
        let start = if c.start[i] == MISSING { 0 } else { c.start[i] };
        if self.counting.window != TimeWindow::ALL && !self.counting.window.contains(start) {
            return;
        }
        if let Some(ends) = self.ends_to(&Way::of_row::<BARE>(c, i), of_dst) {
            let texts = (&(rows, i), (dictionaries, i));
            self.count(&Numbers::of_row(rows, i, self.by_port), texts, ends);
        }
    }

    /// Inlined, so that what is known of a row's way is not worked out again.
    #[inline(always)]
    fn count(&mut self, f: &Numbers, (texts, codes): (&impl Described, (&Dictionaries<'_>, usize)), mut ends: Ends) {
        let (mut of_source, mut port, mut other_port) = (Role::Unknown, 0, 0);
        if self.by_port {
            of_source = role_of_source(f.tcp_flags, f.protocol, f.src_port, f.dst_port);
            (port, other_port) = ports(of_source, ends.bearing, f.src_port, f.dst_port);
        }
        let facts = RecordFacts {
            local: ends.local,
            peer: ends.peer,
            class: ends.class,
            port,
            protocol: f.protocol,
        };
        if !self.counting.filter.keeps_record(&facts, || texts.interface()) {
            return;
        }
        let ingress = ends.is_ingress();
        let role = if ingress { of_source.flip() } else { of_source };
        // Which end of an open flow is ours, and whose a carried one is, can only be told by interface.
        let linked = ends.is_open() || ends.carried;
        let mut interface = u32::MAX;
        if linked || self.by_interface {
            interface = self.interfaces.intern_coded(codes, texts);
            if ends.transit {
                self.interfaces.note_transit(if ends.passed { f.bytes } else { 0 });
            }
            self.settle(&mut ends);
        }
        let sides = Sides::new(ends.bearing, role)
            .carried(ends.carried)
            .passed(ends.carried && ends.passed);
        let key = self.key(interface, f.start, &ends, &facts, (sides, other_port));
        let cell = Cell {
            bytes: f.bytes.into(),
            packets: f.packets.into(),
            flows: 1,
            first: f.start,
            last: f.end,
            sample: (self.task, f.line),
        };
        if linked {
            self.entangled |= Kinds::of(&key);
        }
        self.outbox.add(&self.shared.cells, &key, &cell);
    }

    /// Bytes that the interface sends from an address known to be its own, to another address of home, need not wait for the
    /// whole to tell their direction: it will tell the same ([`Owners`](super::sides::Owners)).
    #[inline]
    fn settle(&mut self, ends: &mut Ends) {
        if !self.counting.grain.local {
            return;
        }
        if !ends.is_open() {
            let own = !ends.carried && ends.local != Addr::default();
            self.interfaces.note_own(ends.local, own);
        } else if ends.inside && self.interfaces.owns(ends.local) {
            ends.bearing = Bearing::Known(Direction::Egress);
        }
    }

    /// Adds the sums of several records; `linked` if they mean something only together with others.
    fn add_sum(&mut self, key: FlowKey, cell: &Cell, linked: bool) {
        if linked {
            self.entangled |= Kinds::of(&key);
        }
        self.sums.add(&self.shared.cells, &key, cell);
    }

    /// Inlined: what is known of the way and of the grain leaves little of it.
    #[inline(always)]
    fn key(
        &self,
        interface: u32,
        start: u64,
        ends: &Ends,
        facts: &RecordFacts,
        (sides, other): (Sides, u16),
    ) -> FlowKey {
        let grain = &self.counting.grain;
        // While the sides are open both ends are needed, whatever the grain.
        let open = ends.bearing == Bearing::Open;
        let classed = !grain.peer && !open;
        let sides = match grain.port {
            true => sides,
            false => Sides::new(sides.bearing(), Role::Unknown)
                .carried(sides.is_carried())
                .passed(sides.is_passed()),
        };
        FlowKey {
            local: if grain.local || open || ends.carried {
                ends.local
            } else {
                Addr::default()
            },
            peer: if classed { class_as_peer(ends.class) } else { ends.peer },
            interface,
            log: self.log,
            other_port: if grain.port { other } else { 0 },
            hour: if grain.hour { hour_bucket(start) } else { 0 },
            port: if grain.port { facts.port } else { 0 },
            protocol: if grain.port { facts.protocol } else { 0 },
            sides: sides.classed(classed),
        }
    }

    /// Hands everything to the shared table that waits for it. Called once the worker has read all that it will.
    pub fn flush(&mut self) {
        self.outbox.flush(&self.shared.cells);
        self.sums.flush(&self.shared.cells);
    }

    /// True if there is more than the run's bound of memory lets in.
    pub fn is_full(&self) -> bool {
        self.shared.cells.is_full()
    }

    /// Adds another worker's tables; in whatever order, the result is the same.
    pub fn merge(&mut self, mut other: Counter<'p, P>) {
        other.flush();
        self.interfaces.merge(&other.interfaces);
        self.records.add(&other.records);
        self.entangled |= other.entangled;
    }

    /// True if every cell stands for itself.
    pub(super) fn is_plain(&self) -> bool {
        self.entangled.is_none()
    }

    /// Under a bound: writes out everything, and gives the memory back.
    pub(super) fn write_out(&mut self) {
        self.flush();
        self.shared.cells.write_out();
    }

    /// The kinds of cells that stand for themselves. Where peers are told apart, what is linked among IPv6 says nothing of IPv4.
    pub(super) fn alone(&self) -> Kinds {
        if !self.is_plain() && !self.counting.grain.peer {
            return Kinds::default();
        }
        self.entangled.others()
    }

    /// Leaves out what the answer will not show, of cells that stand for themselves. After `seal`.
    pub(super) fn keep_largest(&self) -> Rest {
        let limit = self.counting.largest;
        if limit == 0 {
            return Rest::default();
        }
        let filter = &self.counting.filter;
        let keeps = |bytes, packets, flows| filter.keeps_sum(bytes, packets, flows);
        self.shared.cells.keep_largest(limit, self.alone(), keeps)
    }

    /// The sums.
    pub(super) fn cells(&self) -> &Cells {
        &self.shared.cells
    }

    /// Ends counting: each key has one place from here on.
    pub(super) fn seal(&mut self) {
        self.flush();
        self.shared.cells.seal();
    }
}
