//! What is counted apart: the key of a cell, and how fine it is.
//!
//! A [`Grain`] says which parts of a record the run needs; the others are zeroed, so that one table serves the whole scan
//! and every `top`. Direction may be unknown while reading (two global addresses): such cells keep both ends and are
//! resolved when everything has been merged.

use crate::aggregate::table::{Direction, Role};
use crate::net::{Addr, Class, HOUR, Seconds};

/// The key of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// The interface's own address; the source while the sides are unknown.
    pub local: Addr,
    /// The peer's address (or its class, where the grain has no peer); the destination while the sides are unknown.
    pub peer: Addr,
    /// Interned interface.
    pub interface: u32,
    /// Interned flow log subscription, 0 if the file's name does not tell: several may watch one interface.
    pub log: u16,
    /// The other port, only where neither side is known to listen: what is learned decides later.
    pub other_port: u16,
    /// Hours since the epoch; times beyond the range share the last.
    pub hour: u32,
    /// Service port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Direction and role.
    pub sides: Sides,
}

/// Direction, role, and whose packets they are, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sides(u8);

/// What is known of a record's direction while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearing {
    /// It left the interface, or entered it.
    Known(Direction),
    /// Which end is the interface's is decided when everything is known.
    Open,
}

impl Sides {
    /// Packs the two.
    pub const fn new(bearing: Bearing, role: Role) -> Self {
        let b = match bearing {
            Bearing::Known(Direction::Egress) => 0,
            Bearing::Known(Direction::Ingress) => 1,
            Bearing::Open => 2,
        };
        Sides(b << 2 | role as u8)
    }

    /// The byte; its two upper bits are 0.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What [`Sides::bits`] gave.
    pub const fn from_bits(bits: u8) -> Self {
        Sides(bits)
    }

    const CARRIED: u8 = 1 << 4;

    /// The same, marked: the interface carried these packets for an address behind it (`pkt-srcaddr` or `pkt-dstaddr`
    /// differs from the interface's own).
    #[must_use]
    pub const fn carried(self, carried: bool) -> Self {
        if carried {
            Sides(self.0 | Self::CARRIED)
        } else {
            Sides(self.0 & !Self::CARRIED)
        }
    }

    const PASSED: u8 = 1 << 5;

    /// The same, marked: the packets came in for a far address and leave by another record of the same interface.
    #[must_use]
    pub const fn passed(self, passed: bool) -> Self {
        if passed {
            Sides(self.0 | Self::PASSED)
        } else {
            Sides(self.0 & !Self::PASSED)
        }
    }

    /// True if the packets only came in here to be sent on.
    pub const fn is_passed(self) -> bool {
        self.0 & Self::PASSED != 0
    }

    /// True if the local address stands behind the interface.
    pub const fn is_carried(self) -> bool {
        self.0 & Self::CARRIED != 0
    }

    /// A bit that the shared table leaves free.
    pub(super) const CLASSED: u8 = 1 << 7;

    /// The same, marked: in the place of the peer stands its class ([`class_as_peer`]).
    #[must_use]
    pub const fn classed(self, classed: bool) -> Self {
        if classed {
            Sides(self.0 | Self::CLASSED)
        } else {
            Sides(self.0 & !Self::CLASSED)
        }
    }

    /// True if the peer is told by its class alone.
    pub const fn is_classed(self) -> bool {
        self.0 & Self::CLASSED != 0
    }

    /// The direction, as far as known.
    pub const fn bearing(self) -> Bearing {
        match self.0 >> 2 & 3 {
            0 => Bearing::Known(Direction::Egress),
            1 => Bearing::Known(Direction::Ingress),
            _ => Bearing::Open,
        }
    }

    /// The direction; nothing while it is open.
    pub const fn direction(self) -> Option<Direction> {
        match self.bearing() {
            Bearing::Known(direction) => Some(direction),
            Bearing::Open => None,
        }
    }

    /// The role of the local end (of the source, while the direction is open).
    pub const fn role(self) -> Role {
        match self.0 & 3 {
            0 => Role::Client,
            1 => Role::Server,
            _ => Role::Unknown,
        }
    }
}

impl Role {
    /// The same connection seen from its other end.
    #[must_use]
    pub const fn flip(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
            Role::Unknown => Role::Unknown,
        }
    }
}

/// Which parts of a record make cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grain {
    /// Interfaces apart.
    pub interface: bool,
    /// Local addresses apart.
    pub local: bool,
    /// Peers apart; without it, classes of peers.
    pub peer: bool,
    /// Hours apart.
    pub hour: bool,
    /// Ports, protocols and roles apart.
    pub port: bool,
    /// Ingress too, not only egress.
    pub ingress: bool,
    /// Traffic between home addresses too.
    pub home: bool,
}

impl Grain {
    /// All of it: what a scan needs.
    pub const SCAN: Grain = Grain {
        interface: true,
        local: true,
        peer: true,
        hour: true,
        port: true,
        ingress: true,
        home: true,
    };

    /// None of it: sums by class of peer, for runs that want no table.
    pub const TOTAL: Grain = Grain {
        interface: false,
        local: false,
        peer: false,
        hour: false,
        port: false,
        ingress: false,
        home: false,
    };

    /// True if sums of this direction, with a far end of this class, are asked for.
    pub const fn wants(&self, direction: Direction, class: Class) -> bool {
        match direction {
            Direction::Egress => class.is_egress() || self.home,
            Direction::Ingress => self.ingress,
        }
    }
}

/// The hour bucket of a start time.
#[inline]
pub const fn hour_bucket(start: Seconds) -> u32 {
    let hour = start / HOUR;
    if hour > u32::MAX as u64 { u32::MAX } else { hour as u32 }
}

/// A class in the place of a peer.
pub const fn class_as_peer(class: Class) -> Addr {
    Addr(class as u128)
}

/// The class that [`class_as_peer`] stored.
pub fn peer_as_class(addr: Addr) -> Class {
    Class::ALL
        .into_iter()
        .find(|c| class_as_peer(*c) == addr)
        .unwrap_or(Class::External)
}

/// Sum over the records of a key: the working form of `Volume`, plus the first record met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// Bytes.
    pub bytes: u128,
    /// Packets.
    pub packets: u128,
    /// Records.
    pub flows: u64,
    /// Earliest start.
    pub first: Seconds,
    /// Latest end.
    pub last: Seconds,
    /// Task and line of the first record, in the order of the input.
    pub sample: (u32, u64),
}

impl Cell {
    /// Adds another sum.
    #[inline]
    pub fn add(&mut self, o: &Cell) {
        self.bytes += o.bytes;
        self.packets += o.packets;
        self.flows += o.flows;
        self.first = self.first.min(o.first);
        self.last = self.last.max(o.last);
        self.sample = self.sample.min(o.sample);
    }
}

/// Role of the source by the records' own signs: TCP flags first, then the lower well-known port.
///
/// SYN without ACK is sent by the side that opens (AWS logs SYN as 2, SYN-ACK as 18, OR-ed over the window). Without
/// flags, a port below 1024 against one above, or below the ephemeral range (RFC 6335, Linux: from 32768) against one
/// inside it, is the service.
#[inline]
pub fn role_of_source(flags: Option<u32>, protocol: u8, src: u16, dst: u16) -> Role {
    const SYN: u32 = 2;
    const ACK: u32 = 16;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    match (protocol, flags) {
        (TCP, Some(f)) if f & SYN != 0 && f & ACK != 0 => return Role::Server,
        (TCP, Some(f)) if f & SYN != 0 => return Role::Client,
        (TCP | UDP, _) => {}
        _ => return Role::Unknown,
    }
    let rank = |port: u16| match port {
        0..1024 => 0,
        1024..32_768 => 1,
        _ => 2,
    };
    match rank(src).cmp(&rank(dst)) {
        std::cmp::Ordering::Less => Role::Server,
        std::cmp::Ordering::Greater => Role::Client,
        std::cmp::Ordering::Equal => Role::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_keep_both_parts() {
        for bearing in [
            Bearing::Known(Direction::Egress),
            Bearing::Known(Direction::Ingress),
            Bearing::Open,
        ] {
            for role in [Role::Client, Role::Server, Role::Unknown] {
                let s = Sides::new(bearing, role);
                assert_eq!((s.bearing(), s.role(), s.is_carried()), (bearing, role, false));
                let c = s.carried(true);
                assert_eq!((c.bearing(), c.role(), c.is_carried()), (bearing, role, true));
            }
        }
    }

    #[test]
    fn flags_tell_more_than_ports() {
        assert_eq!(role_of_source(Some(2), 6, 443, 50_000), Role::Client);
        assert_eq!(role_of_source(Some(19), 6, 50_000, 443), Role::Server);
        assert_eq!(role_of_source(Some(0), 6, 50_000, 443), Role::Client);
        assert_eq!(role_of_source(None, 17, 53, 40_000), Role::Server);
        assert_eq!(role_of_source(None, 6, 8_080, 40_000), Role::Server);
        assert_eq!(role_of_source(None, 6, 40_001, 40_000), Role::Unknown);
        assert_eq!(role_of_source(None, 1, 0, 0), Role::Unknown);
    }
}
