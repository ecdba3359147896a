//! A good record as the counters see it, whether it came alone or as a row of many.
//!
//! Plain numbers, taken in two steps: where the packets went decides for most records that nothing else is needed.

use crate::flow::{Columns, FlowDirection, FlowRecord, MISSING, Rows};
use crate::net::Addr;

/// Where a good record's packets went, however it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    /// The packet's own addresses, or those above.
    pub(super) source: Addr,
    pub(super) destination: Addr,
    pub(super) direction: Option<FlowDirection>,
}

/// The numbers of a good record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) protocol: u8,
    pub(super) tcp_flags: Option<u32>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) line: u64,
}

impl Way {
    /// Of a record that has both addresses.
    pub(super) fn of_record(r: &FlowRecord<'_>) -> Option<Self> {
        let (src, dst) = (r.srcaddr?, r.dstaddr?);
        Some(Way {
            src,
            dst,
            source: r.pkt_srcaddr.unwrap_or(src),
            destination: r.pkt_dstaddr.unwrap_or(dst),
            direction: r.direction,
        })
    }

    /// Of a row; one that is bare has two addresses and nothing else.
    #[inline(always)]
    pub(super) fn of_row<const BARE: bool>(c: &Columns, i: usize) -> Self {
        let (src, dst) = (c.srcaddr[i], c.dstaddr[i]);
        if BARE {
            return Way {
                src,
                dst,
                source: src,
                destination: dst,
                direction: None,
            };
        }
        Way {
            src,
            dst,
            source: c.source(i),
            destination: c.destination(i),
            direction: c.direction[i],
        }
    }
}

impl Numbers {
    pub(super) fn of_record(line: u64, r: &FlowRecord<'_>) -> Self {
        let start = r.start.unwrap_or(0);
        Numbers {
            src_port: r.srcport.unwrap_or(0),
            dst_port: r.dstport.unwrap_or(0),
            protocol: r.protocol.unwrap_or(0),
            tcp_flags: r.tcp_flags,
            packets: r.packets.unwrap_or(0),
            bytes: r.bytes.unwrap_or(0),
            start,
            end: r.end.unwrap_or(start),
            line,
        }
    }

    /// Of a row; without ports and flags unless they matter.
    #[inline(always)]
    pub(super) fn of_row(rows: &Rows<'_>, i: usize, ports: bool) -> Self {
        let c = rows.columns;
        let known = |n: u64| if n == MISSING { 0 } else { n };
        let start = known(c.start[i]);
        let [src_port, dst_port] = match ports {
            true => [known(c.srcport[i]), known(c.dstport[i])].map(|n| n as u16),
            false => [0; 2],
        };
        let flags = if ports { c.tcp_flags[i] } else { MISSING };
        Numbers {
            src_port,
            dst_port,
            protocol: known(c.protocol[i]) as u8,
            tcp_flags: Some(flags as u32).filter(|_| flags != MISSING),
            packets: known(c.packets[i]),
            bytes: known(c.bytes[i]),
            start,
            end: if c.end[i] == MISSING { start } else { c.end[i] },
            line: rows.line(i),
        }
    }
}
