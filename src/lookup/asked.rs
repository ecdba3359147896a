//! A record as the search sees it, or records of one hour that agree in everything but size and time.
//!
//! One view for both, so that an index gives the answer that the records would have given.

use crate::aggregate::interner::Described;
use crate::aggregate::key::role_of_source;
use crate::aggregate::{Role, Summed, Volume};
use crate::flow::{Action, Field, FlowDirection, FlowRecord};
use crate::lookup::search::interface_of;
use crate::net::Addr;

/// What is asked of a record, or of records that agree in everything but size and time within an hour.
pub(super) struct Asked<'a> {
    /// `srcaddr`, `pkt-srcaddr`, `dstaddr`, `pkt-dstaddr`.
    pub(super) addresses: [Option<Addr>; 4],
    /// The packets' own ends.
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) direction: Option<FlowDirection>,
    pub(super) interface: Option<&'a [u8]>,
    pub(super) instance: Option<&'a [u8]>,
    pub(super) port: u16,
    pub(super) protocol: u8,
    pub(super) accepted: bool,
    pub(super) volume: Volume,
}

impl<'a> Asked<'a> {
    /// Of a record that has both ends.
    pub(super) fn of_record(r: &FlowRecord<'a>) -> Option<Self> {
        let start = r.start.unwrap_or(0);
        Some(Asked {
            addresses: [r.srcaddr, r.pkt_srcaddr, r.dstaddr, r.pkt_dstaddr],
            src: r.pkt_srcaddr.or(r.srcaddr)?,
            dst: r.pkt_dstaddr.or(r.dstaddr)?,
            direction: r.direction,
            interface: interface_of(r),
            instance: r.text(Field::InstanceId),
            port: port_of(r),
            protocol: r.protocol.unwrap_or(0),
            accepted: matches!(r.action, Action::Accept | Action::Unknown),
            volume: Volume {
                bytes: r.bytes.unwrap_or(0).into(),
                packets: r.packets.unwrap_or(0).into(),
                flows: 1,
                first: start,
                last: r.end.unwrap_or(start),
            },
        })
    }

    pub(super) fn of_sums(s: &Summed<'a>) -> Self {
        Asked {
            addresses: [Some(s.src), Some(s.source), Some(s.dst), Some(s.destination)],
            src: s.source,
            dst: s.destination,
            direction: s.direction,
            interface: s.facts.text(Field::InterfaceId),
            instance: s.facts.text(Field::InstanceId),
            port: match s.role {
                Role::Server => s.src_port,
                Role::Client => s.dst_port,
                Role::Unknown => s.src_port.min(s.dst_port),
            },
            protocol: s.protocol,
            accepted: matches!(s.action, Action::Accept | Action::Unknown),
            volume: s.volume,
        }
    }
}

/// The service port: the listening side's where the record tells, else the lower of the two.
fn port_of(r: &FlowRecord<'_>) -> u16 {
    let (src, dst) = (r.srcport.unwrap_or(0), r.dstport.unwrap_or(0));
    match role_of_source(r.tcp_flags, r.protocol.unwrap_or(0), src, dst) {
        Role::Server => src,
        Role::Client => dst,
        Role::Unknown => src.min(dst),
    }
}
