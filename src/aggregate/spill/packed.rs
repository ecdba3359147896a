//! Keys and sums as bytes of a fixed length, little-endian: they are written and read again by one run alone.

use crate::aggregate::key::{Cell, FlowKey, Sides};
use crate::aggregate::raw::RawKey;
use crate::net::Addr;
use std::hash::Hash;

/// A key that can be written out.
pub(in crate::aggregate) trait Packed: Copy + Eq + Hash {
    /// Bytes of every key.
    const BYTES: usize;

    /// Writes it.
    fn pack(&self, out: &mut Vec<u8>);

    /// Reads what [`Packed::pack`] wrote; `bytes` has the length.
    fn unpack(bytes: &mut &[u8]) -> Self;
}

/// The first bytes, taken off; zeros if there are not so many.
pub(in crate::aggregate) fn bytes_of<const N: usize>(from: &mut &[u8]) -> [u8; N] {
    match from.split_first_chunk::<N>() {
        Some((first, rest)) => {
            *from = rest;
            *first
        }
        None => [0; N],
    }
}

fn address(from: &mut &[u8]) -> Addr {
    Addr(u128::from_le_bytes(bytes_of(from)))
}

impl Packed for FlowKey {
    const BYTES: usize = 48;

    fn pack(&self, out: &mut Vec<u8>) {
        out.extend(self.local.0.to_le_bytes());
        out.extend(self.peer.0.to_le_bytes());
        out.extend(self.interface.to_le_bytes());
        out.extend(self.log.to_le_bytes());
        out.extend(self.other_port.to_le_bytes());
        out.extend(self.hour.to_le_bytes());
        out.extend(self.port.to_le_bytes());
        out.extend([self.protocol, self.sides.bits()]);
    }

    fn unpack(from: &mut &[u8]) -> Self {
        FlowKey {
            local: address(from),
            peer: address(from),
            interface: u32::from_le_bytes(bytes_of(from)),
            log: u16::from_le_bytes(bytes_of(from)),
            other_port: u16::from_le_bytes(bytes_of(from)),
            hour: u32::from_le_bytes(bytes_of(from)),
            port: u16::from_le_bytes(bytes_of(from)),
            protocol: u8::from_le_bytes(bytes_of(from)),
            sides: Sides::from_bits(u8::from_le_bytes(bytes_of(from))),
        }
    }
}

impl Packed for RawKey {
    const BYTES: usize = FlowKey::BYTES + 33;

    fn pack(&self, out: &mut Vec<u8>) {
        self.flow().pack(out);
        let (source, destination) = self.packet.unwrap_or_default();
        out.push(self.packet.is_some().into());
        out.extend(source.0.to_le_bytes());
        out.extend(destination.0.to_le_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Self {
        let key = FlowKey::unpack(from);
        let [has_packet] = bytes_of(from);
        let packet = (address(from), address(from));
        RawKey::of_flow(&key, Some(packet).filter(|_| has_packet != 0))
    }
}

/// Bytes of every cell.
pub(in crate::aggregate) const CELL: usize = 68;

/// Writes the sums.
pub(in crate::aggregate) fn pack_cell(cell: &Cell, out: &mut Vec<u8>) {
    out.extend(cell.bytes.to_le_bytes());
    out.extend(cell.packets.to_le_bytes());
    out.extend(cell.flows.to_le_bytes());
    out.extend(cell.first.to_le_bytes());
    out.extend(cell.last.to_le_bytes());
    out.extend(cell.sample.0.to_le_bytes());
    out.extend(cell.sample.1.to_le_bytes());
}

/// Reads what [`pack_cell`] wrote.
pub(in crate::aggregate) fn unpack_cell(from: &mut &[u8]) -> Cell {
    Cell {
        bytes: u128::from_le_bytes(bytes_of(from)),
        packets: u128::from_le_bytes(bytes_of(from)),
        flows: u64::from_le_bytes(bytes_of(from)),
        first: u64::from_le_bytes(bytes_of(from)),
        last: u64::from_le_bytes(bytes_of(from)),
        sample: (u32::from_le_bytes(bytes_of(from)), u64::from_le_bytes(bytes_of(from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            ends: (u128, u128),
            numbers: (u32, u16, u16, u32, u16, u8),
            sides in 0u8..64,
            packet in prop::option::of((any::<u128>(), any::<u128>())),
            sums: (u128, u128, u64, u64, u64, u32, u64),
        ) {
            let (interface, log, other_port, hour, port, protocol) = numbers;
            let (local, peer) = (Addr(ends.0), Addr(ends.1));
            let sides = Sides::from_bits(sides);
            let flow = FlowKey { local, peer, interface, log, other_port, hour, port, protocol, sides };
            let key = RawKey::of_flow(&flow, packet.map(|(a, b)| (Addr(a), Addr(b))));
            let (bytes, packets, flows, first, last, task, line) = sums;
            let cell = Cell { bytes, packets, flows, first, last, sample: (task, line) };
            let mut out = Vec::new();
            key.pack(&mut out);
            prop_assert_eq!(out.len(), RawKey::BYTES);
            pack_cell(&cell, &mut out);
            prop_assert_eq!(out.len(), RawKey::BYTES + CELL);
            let mut from = out.as_slice();
            prop_assert_eq!(RawKey::unpack(&mut from), key);
            prop_assert_eq!(unpack_cell(&mut from), cell);
            prop_assert!(from.is_empty());
        }
    }
}
