//! One key in three words, and its sums in one cache line; the same for keys that take more words.

use crate::aggregate::key::{Cell, FlowKey, Sides};
use crate::aggregate::spill::{Packed, bytes_of};
use crate::net::Addr;
use std::hash::{Hash, Hasher};

/// A key as the shared table holds it.
pub(in crate::aggregate) trait CellKey: Packed + Send {
    /// The key that it stands for.
    fn flow(self) -> FlowKey;
}

impl CellKey for LeanKey {
    #[inline]
    fn flow(self) -> FlowKey {
        self.key()
    }
}

impl CellKey for FlowKey {
    #[inline]
    fn flow(self) -> FlowKey {
        self
    }
}

impl Packed for LeanKey {
    const BYTES: usize = 24;

    #[inline]
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.map(u64::to_le_bytes).as_flattened());
    }

    #[inline]
    fn unpack(bytes: &mut &[u8]) -> Self {
        LeanKey([(); 3].map(|()| u64::from_le_bytes(bytes_of(bytes))))
    }
}

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
pub(super) struct Item<K> {
    pub(super) key: K,
    pub(super) hash: u64,
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) task: u32,
    pub(super) line: u32,
}

/// The sums of one key, in one cache line if it is lean.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(in crate::aggregate) struct Lean<K = LeanKey> {
    pub(in crate::aggregate) key: K,
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) flows: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) task: u32,
    pub(super) line: u32,
}

impl<K: CellKey> Lean<K> {
    /// The sums of a key, if they fit.
    pub(in crate::aggregate) fn of(key: K, cell: &Cell) -> Option<Self> {
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
    pub(super) fn add(&mut self, item: &Item<K>) -> bool {
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

impl<K: Copy> Item<K> {
    /// A record that is to be added to the sums of `key`, if its numbers fit; `hash` is that of the key.
    #[inline(always)]
    pub(super) fn of(key: K, cell: &Cell, hash: impl FnOnce(K) -> u64) -> Option<Self> {
        let small = |n: u64| u32::try_from(n).ok();
        let (start, end, line) = (small(cell.first)?, small(cell.last)?, small(cell.sample.1)?);
        Some(Item {
            key,
            hash: hash(key),
            // A record's own numbers are below 2^63.
            bytes: cell.bytes as u64,
            packets: cell.packets as u64,
            start,
            end,
            task: cell.sample.0,
            line,
        })
    }

    pub(super) fn lean(&self) -> Lean<K> {
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

impl<K: CellKey> Lean<K> {
    /// Bytes of every packed cell.
    pub(in crate::aggregate) const BYTES: usize = K::BYTES + SUMS;

    /// Adds other sums; false, and nothing is changed, if one would not fit.
    pub(in crate::aggregate) fn merge(&mut self, other: &Self) -> bool {
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
        let mut bytes = [0; SUMS];
        let (large, small) = bytes.split_at_mut(16);
        for (slot, n) in large.chunks_exact_mut(8).zip([self.bytes, self.packets]) {
            slot.copy_from_slice(&n.to_le_bytes());
        }
        let counts = [self.flows, self.first, self.last, self.task, self.line];
        for (slot, n) in small.chunks_exact_mut(4).zip(counts) {
            slot.copy_from_slice(&n.to_le_bytes());
        }
        self.key.pack(out);
        out.extend_from_slice(&bytes);
    }

    /// Reads what [`Lean::pack`] wrote.
    pub(in crate::aggregate) fn unpack(mut from: &[u8]) -> Self {
        let from = &mut from;
        Lean {
            key: K::unpack(from),
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

/// Bytes of packed sums.
const SUMS: usize = 36;
