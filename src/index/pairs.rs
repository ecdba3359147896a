//! Sums of one way each as rows of both: which end is the interface's, and which two sums are one conversation.
//!
//! What an interface sends within an hour is mostly answered within it, between the same ends and ports: one row for both
//! takes little more room than one for each, and a look-up reads half as many. Rows are sorted by interface and far end, so
//! that an interface is a run of rows and each of its far ends a run in it.

use crate::aggregate::table::Role;
use crate::flow::FlowDirection;
use crate::index::sums::{Emptied, Key, Sum};
use crate::net::Addr;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::cmp::{Ordering, Reverse};

/// A sum, seen from the interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Half {
    /// Place of the facts in their order.
    pub(super) facts: u32,
    pub(super) peer: Addr,
    pub(super) local: Addr,
    /// Number of the packet's own ends, from 1 on; 0 if they are the two above.
    pub(super) packet: u32,
    pub(super) outward: bool,
    /// None for the port of a client.
    pub(super) local_port: Option<u16>,
    pub(super) peer_port: Option<u16>,
    pub(super) key: Key<Addr>,
    pub(super) sum: Sum,
}

/// What went out and what came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'h> {
    /// What both have in common.
    pub(super) at: &'h Half,
    pub(super) out: Option<&'h Sum>,
    pub(super) back: Option<&'h Sum>,
}

/// All sums of a table, seen from their interfaces and sorted; and the packets' own ends, the interface's first.
pub(super) fn halves(emptied: &mut Emptied, rank: &[u32]) -> (Vec<Half>, Vec<(Addr, Addr)>) {
    let sums = std::mem::take(&mut emptied.sums);
    let mut met: HashMap<(u32, Addr), u32, RandomState> = HashMap::default();
    for (key, _) in sums.iter().filter(|(k, _)| decided(k).is_none()) {
        *met.entry((key.facts, key.src)).or_default() += 1;
        *met.entry((key.facts, key.dst)).or_default() += 1;
    }
    let often = |key: &Key<Addr>, a: Addr| (met.get(&(key.facts, a)).copied(), Reverse(a));
    let mut packets = Packets::default();
    let half = |(key, sum): (Key<Addr>, Sum)| {
        let outward = decided(&key).unwrap_or_else(|| often(&key, key.src) >= often(&key, key.dst));
        let (src_port, dst_port) = ports(&key);
        let turned = |a, b| if outward { (a, b) } else { (b, a) };
        let (local, peer) = turned(key.src, key.dst);
        let packet = (key.packet as usize)
            .checked_sub(1)
            .and_then(|n| emptied.packets.get(n));
        let (local_port, peer_port) = if outward {
            (src_port, dst_port)
        } else {
            (dst_port, src_port)
        };
        Half {
            facts: rank.get(key.facts as usize).copied().unwrap_or(0),
            peer,
            local,
            packet: packet.map_or(0, |p| packets.number(turned(p.0, p.1))),
            outward,
            local_port,
            peer_port,
            key,
            sum,
        }
    };
    let mut halves: Vec<Half> = sums.into_iter().map(half).collect();
    halves.sort_unstable_by(Half::compare);
    (halves, packets.all)
}

/// Rows of sorted halves: two neighbours that are both ways of one thing are one row.
pub(super) fn paired(halves: &[Half]) -> Vec<Row<'_>> {
    let mut rows = Vec::with_capacity(halves.len() / 2);
    let mut left = halves.iter().peekable();
    while let Some(at) = left.next() {
        let answer = left.next_if(|next| at.outward && !next.outward && at.alike(next).is_eq());
        let (out, back) = match at.outward {
            true => (Some(&at.sum), answer.map(|a| &a.sum)),
            false => (None, Some(&at.sum)),
        };
        rows.push(Row { at, out, back });
    }
    rows
}

/// The packets' own ends, each numbered once.
#[derive(Default)]
struct Packets {
    all: Vec<(Addr, Addr)>,
    numbers: HashMap<(Addr, Addr), u32, RandomState>,
}

impl Packets {
    fn number(&mut self, ends: (Addr, Addr)) -> u32 {
        let all = &mut self.all;
        *self.numbers.entry(ends).or_insert_with(|| {
            all.push(ends);
            all.len() as u32
        })
    }
}

impl Half {
    /// The order of rows: interface, far end, port, hour, and whatever else tells two apart.
    fn compare(&self, other: &Half) -> Ordering {
        let rest = |h: &Half| (!h.outward, h.sum.first, h.sum.last, h.sum.bytes, h.sum.packets);
        self.alike(other).then_with(|| rest(self).cmp(&rest(other)))
    }

    /// The same for everything that both ways have in common.
    fn alike(&self, other: &Half) -> Ordering {
        let place = |h: &Half| (h.facts, h.peer, h.port(), h.key.hour);
        let common = |h: &Half| {
            let ends = (h.local, h.packet, h.local_port, h.peer_port);
            (ends, h.key.protocol, h.key.signs.common(), h.key.log)
        };
        place(self)
            .cmp(&place(other))
            .then_with(|| common(self).cmp(&common(other)))
    }

    /// The port that listens, or the lower one.
    fn port(&self) -> u16 {
        match (self.local_port, self.peer_port) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0),
        }
    }
}

impl Row<'_> {
    /// Earliest start and latest end of both ways.
    pub(super) fn span(&self) -> (u64, u64) {
        let sums = || self.out.into_iter().chain(self.back);
        let first = sums().map(|s| s.first).min();
        let last = sums().map(|s| s.last).max();
        (first.unwrap_or(0), last.unwrap_or(0))
    }
}

/// Source's and destination's port, as far as they are kept.
fn ports(key: &Key<Addr>) -> (Option<u16>, Option<u16>) {
    let role = key.signs.role();
    (
        Some(key.src_port).filter(|_| role != Role::Client),
        Some(key.dst_port).filter(|_| role != Role::Server),
    )
}

/// Which end is the interface's: as logged, else the private one; none if neither tells.
fn decided(key: &Key<Addr>) -> Option<bool> {
    match (key.signs.direction(), is_private(key.src), is_private(key.dst)) {
        (Some(direction), ..) => Some(direction == FlowDirection::Egress),
        (None, true, false) => Some(true),
        (None, false, true) => Some(false),
        _ => None,
    }
}

fn is_private(addr: Addr) -> bool {
    match addr.ip() {
        std::net::IpAddr::V4(a) => a.is_private(),
        std::net::IpAddr::V6(a) => a.is_unique_local(),
    }
}
