//! One worker's tables: records in, sums out, no lock and no allocation per record.
//!
//! Counting rules 1, 3 and 4 of the design stand here: ACCEPT and OK only, direction by the record or by home addresses,
//! the peer is `pkt-dstaddr` where there is one. Merging two counters is a commutative sum.

use crate::aggregate::filter::{Filter, RecordFacts};
use crate::aggregate::interner::Interner;
use crate::aggregate::key::{Bearing, Cell, FlowKey, Grain, Sides, class_as_peer, hour_bucket, role_of_source};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::{Direction, Peer, Role};
use crate::flow::{Action, FlowDirection, FlowRecord, LogStatus};
use crate::net::{Addr, Class, TimeWindow};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

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
}

/// One worker's tables.
pub struct Counter<'p, P> {
    places: &'p P,
    counting: &'p Counting,
    /// Interfaces met.
    pub interfaces: Interner,
    /// The sums. The hash is keyed at random: whoever chooses addresses cannot choose collisions.
    pub cells: HashMap<FlowKey, Cell, RandomState>,
    /// Counts over all good records.
    pub records: RecordCounts,
    /// Task that is being counted, for samples.
    pub task: u32,
    /// Flow log subscription of its file.
    pub log: u16,
    by_interface: bool,
}

struct Ends {
    local: Addr,
    peer: Addr,
    bearing: Bearing,
    class: Class,
    /// The local address stands behind the interface.
    carried: bool,
    /// Some packet address is not the interface's.
    transit: bool,
    /// It came in for an address that is not ours.
    passed: bool,
}

impl<'p, P: Places> Counter<'p, P> {
    /// Empty tables.
    pub fn new(places: &'p P, counting: &'p Counting) -> Self {
        Counter {
            places,
            counting,
            interfaces: Interner::default(),
            cells: HashMap::default(),
            records: RecordCounts::default(),
            task: 0,
            log: 0,
            by_interface: counting.grain.interface,
        }
    }

    /// Counts interfaces apart also where the grain does not ask for it: several flow logs may watch the same one.
    #[must_use]
    pub fn by_interface(mut self, needed: bool) -> Self {
        self.by_interface |= needed;
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
        let start = r.start.unwrap_or(0);
        if !counted || !self.counting.window.contains(start) {
            return;
        }
        let (Some(src), Some(dst)) = (r.srcaddr, r.dstaddr) else {
            return;
        };
        if let Some(ends) = self.ends(r, src, dst) {
            self.count(line, r, &ends);
        }
    }

    /// Which end is the interface's, and whether the grain wants such a flow at all.
    #[inline]
    fn ends(&self, r: &FlowRecord<'_>, src: Addr, dst: Addr) -> Option<Ends> {
        let (source, destination) = (r.pkt_srcaddr.unwrap_or(src), r.pkt_dstaddr.unwrap_or(dst));
        let bearing = match r.direction {
            Some(FlowDirection::Egress) => Bearing::Known(Direction::Egress),
            Some(FlowDirection::Ingress) => Bearing::Known(Direction::Ingress),
            None => self.bearing_by_home(src, dst, destination),
        };
        let (own, behind, peer) = match bearing {
            Bearing::Known(Direction::Egress) => (src, source, destination),
            Bearing::Known(Direction::Ingress) => (dst, destination, source),
            Bearing::Open => (src, src, dst),
        };
        let transit = source != src || destination != dst;
        let passed = transit && self.is_sent_on(dst, destination);
        // Behind an interface stand pods and secondary addresses; a far address there is only passing through.
        let behind_it = behind != own && self.places.class(behind) == Class::Home;
        let local = if behind_it { behind } else { own };
        let carried = behind_it || passed && bearing == Bearing::Known(Direction::Egress);
        let class = self.places.class(peer);
        let grain = &self.counting.grain;
        let wanted = match bearing {
            Bearing::Known(Direction::Egress) => class.is_egress() || grain.home && class == Class::Home,
            Bearing::Known(Direction::Ingress) => grain.ingress && (class.is_egress() || grain.home),
            Bearing::Open => grain.home || self.may_be_egress(src) || self.may_be_egress(dst),
        };
        wanted.then_some(Ends {
            local,
            peer,
            bearing,
            class,
            carried,
            transit,
            passed,
        })
    }

    /// True if a packet that arrived at an address of ours goes on to one that is not.
    fn is_sent_on(&self, dst: Addr, destination: Addr) -> bool {
        destination != dst && self.places.class(destination) != Class::Home && self.places.class(dst) == Class::Home
    }

    fn may_be_egress(&self, a: Addr) -> bool {
        self.places.class(a).is_egress()
    }

    /// An interface logs its private address: home to elsewhere is egress (design.md, counting rule 3). Towards a NAT
    /// gateway only the packet's own destination shows where the bytes go.
    #[inline]
    fn bearing_by_home(&self, src: Addr, dst: Addr, destination: Addr) -> Bearing {
        let home = |a| self.places.class(a) == Class::Home;
        match (home(src), home(dst)) {
            (true, false) => Bearing::Known(Direction::Egress),
            (false, true) => Bearing::Known(Direction::Ingress),
            (true, true) if destination != dst && !home(destination) => Bearing::Known(Direction::Egress),
            _ => Bearing::Open,
        }
    }

    #[inline]
    fn count(&mut self, line: u64, r: &FlowRecord<'_>, ends: &Ends) {
        let (src_port, dst_port) = (r.srcport.unwrap_or(0), r.dstport.unwrap_or(0));
        let protocol = r.protocol.unwrap_or(0);
        let of_source = role_of_source(r.tcp_flags, protocol, src_port, dst_port);
        let (port, other_port) = ports(of_source, ends.bearing, src_port, dst_port);
        let facts = RecordFacts {
            local: ends.local,
            peer: ends.peer,
            class: ends.class,
            port,
            protocol,
        };
        let interface = interface_name(r);
        if !self.counting.filter.keeps_record(&facts, interface) {
            return;
        }
        let ingress = ends.bearing == Bearing::Known(Direction::Ingress);
        let role = if ingress { of_source.flip() } else { of_source };
        // Which end of an open flow is ours, and whose a carried one is, can only be told by interface.
        let apart = self.by_interface || ends.bearing == Bearing::Open || ends.carried;
        let interface = if apart {
            self.interfaces.intern(interface, r)
        } else {
            u32::MAX
        };
        if ends.transit {
            let passed = if ends.passed { r.bytes.unwrap_or(0) } else { 0 };
            self.interfaces.note_transit(interface, passed);
        }
        let sides = Sides::new(ends.bearing, role)
            .carried(ends.carried)
            .passed(ends.carried && ends.passed);
        let key = self.key(interface, r, ends, &facts, (sides, other_port));
        let start = r.start.unwrap_or(0);
        let cell = Cell {
            bytes: u128::from(r.bytes.unwrap_or(0)),
            packets: u128::from(r.packets.unwrap_or(0)),
            flows: 1,
            first: start,
            last: r.end.unwrap_or(start),
            sample: (self.task, line),
        };
        self.cells.entry(key).and_modify(|c| c.add(&cell)).or_insert(cell);
    }

    #[inline]
    fn key(
        &self,
        interface: u32,
        r: &FlowRecord<'_>,
        ends: &Ends,
        facts: &RecordFacts,
        (sides, other): (Sides, u16),
    ) -> FlowKey {
        let grain = &self.counting.grain;
        // While the sides are open both ends are needed, whatever the grain.
        let open = ends.bearing == Bearing::Open;
        let peer = if grain.peer || open {
            ends.peer
        } else {
            class_as_peer(ends.class)
        };
        FlowKey {
            local: if grain.local || open || ends.carried {
                ends.local
            } else {
                Addr::default()
            },
            peer,
            interface,
            log: self.log,
            other_port: if grain.port { other } else { 0 },
            hour: if grain.hour {
                hour_bucket(r.start.unwrap_or(0))
            } else {
                0
            },
            port: if grain.port { facts.port } else { 0 },
            protocol: if grain.port { facts.protocol } else { 0 },
            sides: if grain.port {
                sides
            } else {
                Sides::new(sides.bearing(), Role::Unknown)
                    .carried(sides.is_carried())
                    .passed(sides.is_passed())
            },
        }
    }

    /// Adds another worker's tables; in whatever order, the result is the same.
    pub fn merge(&mut self, other: Counter<'p, P>) {
        let map = self.interfaces.merge(&other.interfaces);
        self.records.add(&other.records);
        self.cells.reserve(
            other
                .cells
                .len()
                .saturating_sub(self.cells.capacity() - self.cells.len())
                / 2,
        );
        for (key, cell) in other.cells {
            let key = FlowKey {
                interface: map.get(key.interface as usize).copied().unwrap_or(u32::MAX),
                ..key
            };
            self.cells.entry(key).and_modify(|c| c.add(&cell)).or_insert(cell);
        }
    }
}

/// The service port, and the other one where nobody is known to listen: then the local side's comes first (the source's,
/// while the sides are open).
#[inline]
fn ports(of_source: Role, bearing: Bearing, src: u16, dst: u16) -> (u16, u16) {
    match (of_source, bearing) {
        (Role::Client, _) => (dst, 0),
        (Role::Server, _) => (src, 0),
        (Role::Unknown, Bearing::Known(Direction::Ingress)) => (dst, src),
        (Role::Unknown, _) => (src, dst),
    }
}

/// The interface's id; a regional NAT gateway logs without one, by `resource-id`.
fn interface_name<'a>(r: &FlowRecord<'a>) -> &'a [u8] {
    use crate::flow::Field;
    r.text(Field::InterfaceId)
        .or_else(|| r.text(Field::ResourceId))
        .unwrap_or(b"-")
}
