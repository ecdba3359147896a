//! One key in three words, and its sums in one cache line.

use crate::aggregate::key::{Cell, FlowKey, Sides};
use crate::aggregate::spill::bytes_of;
use crate::net::Addr;
use std::hash::{Hash, Hasher};

/// A [`FlowKey`] of IPv4 addresses in three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeanKey([u64; 3]);

/// Word by word: as a slice of bytes it would take five times as long.
impl Hash for LeanKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_u64(*word));
    }
}

/// Marks in the byte of the sides, beside those of [`Sides`].
const NO_LOCAL: u64 = 1 << 6;
const PEER_IS_CLASS: u64 = Sides::CLASSED as u64;

impl LeanKey {
    /// The key, if it fits.
    #[inline]
    pub fn of(key: &FlowKey) -> Option<Self> {
        let (local, no_local) = match key.local.as_v4() {
            Some(n) => (n, 0),
            None if key.local == Addr::default() => (0, NO_LOCAL),
            None => return None,
        };
        let peer = match key.peer.as_v4() {
            Some(n) => n,
            None if key.sides.is_classed() => key.peer.0 as u32,
            None => return None,
        };
        let sides = u64::from(key.sides.bits()) | no_local;
        let rest = u64::from(key.log) << 48 | u64::from(key.other_port) << 32 | u64::from(key.port) << 16;
        Some(LeanKey([
            u64::from(local) << 32 | u64::from(peer),
            u64::from(key.interface) << 32 | u64::from(key.hour),
            rest | u64::from(key.protocol) << 8 | sides,
        ]))
    }

    /// The key that it stands for.
    #[inline]
    pub fn key(self) -> FlowKey {
        let [ends, place, rest] = self.0;
        let (local, peer) = ((ends >> 32) as u32, ends as u32);
        FlowKey {
            local: if rest & NO_LOCAL == 0 {
                Addr::v4(local)
            } else {
                Addr::default()
            },
            peer: if rest & PEER_IS_CLASS == 0 {
                Addr::v4(peer)
            } else {
                Addr(peer.into())
            },
            interface: (place >> 32) as u32,
            log: (rest >> 48) as u16,
            other_port: (rest >> 32) as u16,
            hour: place as u32,
            port: (rest >> 16) as u16,
            protocol: (rest >> 8) as u8,
            sides: Sides::from_bits(rest as u8 & !(NO_LOCAL as u8)),
        }
    }
}

/// One record that is to be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(in crate::aggregate) key: LeanKey,
    pub(super) hash: u64,
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) task: u32,
    pub(super) line: u32,
}

/// The sums of one key, in one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(in crate::aggregate) struct Lean {
    pub(in crate::aggregate) key: LeanKey,
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) flows: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) task: u32,
    pub(super) line: u32,
}

impl Lean {
    /// What stands where no cell is yet.
    pub(super) const NONE: Lean = Lean {
        key: LeanKey([0; 3]),
        bytes: 0,
        packets: 0,
        flows: 0,
        first: 0,
        last: 0,
        task: 0,
        line: 0,
    };

    /// The sums of a key, if they fit.
    pub(in crate::aggregate) fn of(key: LeanKey, cell: &Cell) -> Option<Lean> {
        let small = |n: u64| u32::try_from(n).ok();
        Some(Lean {
            key,
            bytes: u64::try_from(cell.bytes).ok()?,
            packets: u64::try_from(cell.packets).ok()?,
            flows: small(cell.flows)?,
            first: small(cell.first)?,
            last: small(cell.last)?,
            task: cell.sample.0,
            line: small(cell.sample.1)?,
        })
    }

    pub(in crate::aggregate) fn cell(&self) -> Cell {
        Cell {
            bytes: self.bytes.into(),
            packets: self.packets.into(),
            flows: self.flows.into(),
            first: self.first.into(),
            last: self.last.into(),
            sample: (self.task, self.line.into()),
        }
    }

    /// Adds a record; false, and nothing is changed, if a sum would not fit.
    #[inline]
    pub(super) fn add(&mut self, item: &Item) -> bool {
        let (bytes, packets) = (
            self.bytes.checked_add(item.bytes),
            self.packets.checked_add(item.packets),
        );
        let (Some(bytes), Some(packets), Some(flows)) = (bytes, packets, self.flows.checked_add(1)) else {
            return false;
        };
        (self.bytes, self.packets, self.flows) = (bytes, packets, flows);
        self.first = self.first.min(item.start);
        self.last = self.last.max(item.end);
        if (item.task, item.line) < (self.task, self.line) {
            (self.task, self.line) = (item.task, item.line);
        }
        true
    }
}

impl Item {
    pub(super) fn lean(&self) -> Lean {
        Lean {
            key: self.key,
            bytes: self.bytes,
            packets: self.packets,
            flows: 1,
            first: self.start,
            last: self.end,
            task: self.task,
            line: self.line,
        }
    }
}

impl Lean {
    /// Bytes of every packed cell.
    pub(in crate::aggregate) const BYTES: usize = 60;

    /// Adds other sums; false, and nothing is changed, if one would not fit.
    pub(in crate::aggregate) fn merge(&mut self, other: &Lean) -> bool {
        let (bytes, packets) = (
            self.bytes.checked_add(other.bytes),
            self.packets.checked_add(other.packets),
        );
        let (Some(bytes), Some(packets), Some(flows)) = (bytes, packets, self.flows.checked_add(other.flows)) else {
            return false;
        };
        (self.bytes, self.packets, self.flows) = (bytes, packets, flows);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        (self.task, self.line) = (self.task, self.line).min((other.task, other.line));
        true
    }

    /// Writes it.
    pub(in crate::aggregate) fn pack(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; Lean::BYTES];
        let large = self.key.0.into_iter().chain([self.bytes, self.packets]);
        for (slot, n) in bytes.chunks_exact_mut(8).zip(large) {
            slot.copy_from_slice(&n.to_le_bytes());
        }
        let small = [self.flows, self.first, self.last, self.task, self.line];
        for (slot, n) in bytes[40..].chunks_exact_mut(4).zip(small) {
            slot.copy_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&bytes);
    }

    /// Reads what [`Lean::pack`] wrote.
    pub(in crate::aggregate) fn unpack(mut from: &[u8]) -> Lean {
        let from = &mut from;
        Lean {
            key: LeanKey([(); 3].map(|()| u64::from_le_bytes(bytes_of(from)))),
            bytes: u64::from_le_bytes(bytes_of(from)),
            packets: u64::from_le_bytes(bytes_of(from)),
            flows: u32::from_le_bytes(bytes_of(from)),
            first: u32::from_le_bytes(bytes_of(from)),
            last: u32::from_le_bytes(bytes_of(from)),
            task: u32::from_le_bytes(bytes_of(from)),
            line: u32::from_le_bytes(bytes_of(from)),
        }
    }
}
