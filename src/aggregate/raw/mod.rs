//! What was counted before any list was asked: the state that machines hand to each other.
//!
//! A cell of a scan knows which end of a flow is ours, and that is decided by home networks, lists, the inventory and the
//! trail. A raw cell knows only what its records said: both addresses, the packet's own where they differ, the direction if
//! the record had one, the service port, the hour. So a shard needs no list, its state means the same everywhere, and
//! [`Counter::adopt`](super::Counter::adopt) makes of a sum what counting would have made of each of its records.

mod block;
mod fold;
mod gather;
mod kept;
mod sorted;
mod state;

pub use block::{BLOCK, BlockReader, BlockWriter, TakeBlock};
pub use fold::{Numbers, fold_states};
pub use gather::{Gather, Gathered, gather};
pub use sorted::RawCells;
pub(super) use state::sum;
pub use state::{FileState, FlowState, modified};

use crate::aggregate::key::{Bearing, Cell, FlowKey, Sides};
use crate::aggregate::way::Way;
use crate::flow::FlowDirection;
use crate::net::Addr;

use super::table::Direction;

/// What the records of a cell have in common. Sorted, flows between the same two ends follow each other by hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawKey {
    /// Number of the interface in [`FlowState::interfaces`].
    pub interface: u32,
    /// `srcaddr`.
    pub src: Addr,
    /// `dstaddr`.
    pub dst: Addr,
    /// `pkt-srcaddr` and `pkt-dstaddr`, where they are not the two above.
    pub packet: Option<(Addr, Addr)>,
    /// `flow-direction` (open if there is none), and the role of the source by flags and ports.
    pub sides: Sides,
    /// IANA protocol number.
    pub protocol: u8,
    /// The service port; the source's where neither side is known to listen.
    pub port: u16,
    /// The destination's, where neither side is known to listen, else 0.
    pub other_port: u16,
    /// Number of the flow log in [`FlowState::logs`].
    pub log: u16,
    /// Hours since 1970.
    pub hour: u32,
}

/// A key and its sums; [`Cell::sample`] is the file's number and the line.
pub type RawEntry = (RawKey, Cell);

impl RawKey {
    /// The same with both ends in the places of the local and the far one: what the shared table holds.
    #[inline]
    pub(super) fn of_flow(key: &FlowKey, packet: Option<(Addr, Addr)>) -> Self {
        RawKey {
            interface: key.interface,
            src: key.local,
            dst: key.peer,
            packet,
            sides: key.sides,
            protocol: key.protocol,
            port: key.port,
            other_port: key.other_port,
            log: key.log,
            hour: key.hour,
        }
    }

    /// The same without the packet's ends.
    #[inline]
    pub(super) fn flow(&self) -> FlowKey {
        FlowKey {
            local: self.src,
            peer: self.dst,
            interface: self.interface,
            log: self.log,
            other_port: self.other_port,
            hour: self.hour,
            port: self.port,
            protocol: self.protocol,
            sides: self.sides,
        }
    }

    /// Where the packets went, as the records told it.
    pub(super) fn way(&self) -> Way {
        let (source, destination) = self.packet.unwrap_or((self.src, self.dst));
        let direction = match self.sides.bearing() {
            Bearing::Known(Direction::Egress) => Some(FlowDirection::Egress),
            Bearing::Known(Direction::Ingress) => Some(FlowDirection::Ingress),
            Bearing::Open => None,
        };
        Way {
            src: self.src,
            dst: self.dst,
            source,
            destination,
            direction,
        }
    }
}
