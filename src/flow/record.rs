//! One flow log record: values of the fields in use, and every other column as the bytes that stand in the file.
//!
//! A record borrows from its line and from its parser; nothing is copied. `None` means `-`, or a column that the format
//! does not have; [`FlowRecord::raw`] tells the two apart.

use crate::flow::field::{Field, Kind};
use crate::flow::format::{Column, LogFormat};
use crate::flow::value::{DASH, address, number};
use crate::net::Addr;

/// A record that satisfies counting rule 2 of the design: good, NODATA or SKIPDATA.
#[derive(Debug, Clone, Copy)]
pub struct FlowRecord<'a> {
    /// `log-status`; a format without the column means OK.
    pub status: LogStatus,
    /// `action`.
    pub action: Action,
    /// `srcaddr`: the interface-level source.
    pub srcaddr: Option<Addr>,
    /// `dstaddr`: the interface-level destination.
    pub dstaddr: Option<Addr>,
    /// `pkt-srcaddr`: the packet's own source.
    pub pkt_srcaddr: Option<Addr>,
    /// `pkt-dstaddr`: the packet's own destination.
    pub pkt_dstaddr: Option<Addr>,
    /// `srcport`
    pub srcport: Option<u16>,
    /// `dstport`
    pub dstport: Option<u16>,
    /// `protocol`: IANA number.
    pub protocol: Option<u8>,
    /// `tcp-flags`: OR of the flags seen in the window (FIN 1, SYN 2, RST 4, SYN-ACK 18).
    pub tcp_flags: Option<u32>,
    /// `packets`
    pub packets: Option<u64>,
    /// `bytes`; `None` if the format lacks the column: unknown, not 0.
    pub bytes: Option<u64>,
    /// `start`, seconds since the epoch.
    pub start: Option<u64>,
    /// `end`, seconds since the epoch.
    pub end: Option<u64>,
    /// `flow-direction`
    pub direction: Option<FlowDirection>,
    /// `traffic-path`
    pub traffic_path: Option<u32>,
    format: &'a LogFormat,
    columns: &'a [&'a [u8]],
}

/// `log-status`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStatus {
    /// Logged normally.
    Ok,
    /// No traffic in the window.
    NoData,
    /// Records were lost by AWS in the window.
    SkipData,
}

/// `action`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The traffic was let through.
    Accept,
    /// It was not: its bytes did not leave.
    Reject,
    /// The format has no such column: the record counts, and the run says so.
    Unknown,
    /// `-` or another word.
    Other,
}

/// `flow-direction`, seen from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowDirection {
    /// Out of the interface.
    Egress,
    /// Into the interface.
    Ingress,
}

impl Action {
    /// What the column says.
    #[inline]
    pub fn of(word: &[u8]) -> Self {
        match word {
            b"ACCEPT" => Action::Accept,
            b"REJECT" => Action::Reject,
            _ => Action::Other,
        }
    }
}

impl FlowDirection {
    /// What the column says, if it says anything.
    #[inline]
    pub fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"egress" => Some(FlowDirection::Egress),
            b"ingress" => Some(FlowDirection::Ingress),
            _ => None,
        }
    }
}

/// Why a line was rejected: the column and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Index of the column; [`Fault::COUNT`] for the number of fields itself.
    pub column: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not as many fields as the format has.
    FieldCount,
    /// A space or tab at the start or end of the line.
    BlankAtEdge,
    /// Longer than the line cap.
    TooLong,
    /// Not plain digits, or above the type's limit.
    NotANumber,
    /// Neither IPv4 nor IPv6.
    NotAnAddress,
    /// `-` where an OK record needs a value.
    Missing,
    /// `log-status` is none of OK, NODATA, SKIPDATA.
    UnknownStatus,
}

impl Fault {
    /// The "column" of faults that concern the line as a whole.
    pub const COUNT: usize = usize::MAX;

    pub(crate) const fn line(reason: Reason) -> Self {
        Fault {
            column: Self::COUNT,
            reason,
        }
    }
}

impl Reason {
    /// The words that reports use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::FieldCount => "wrong number of fields",
            Reason::BlankAtEdge => "blank at the start or end of the line",
            Reason::TooLong => "line longer than 1 MiB",
            Reason::NotANumber => "not a number of this field's range",
            Reason::NotAnAddress => "not an IPv4 or IPv6 address",
            Reason::Missing => "`-` in a record with log-status OK",
            Reason::UnknownStatus => "log-status is not OK, NODATA or SKIPDATA",
        }
    }
}

impl<'a> FlowRecord<'a> {
    /// Reads the columns of a line by `format`, which has as many.
    pub(crate) fn read(format: &'a LogFormat, columns: &'a [&'a [u8]]) -> Result<Self, Fault> {
        let mut record = Self::empty(format, columns);
        for (column, (spec, text)) in format.columns().iter().zip(columns).enumerate() {
            if let Column::Known(field) = spec {
                record.set(*field, text).map_err(|reason| Fault { column, reason })?;
            }
        }
        record.check_required()?;
        Ok(record)
    }

    fn empty(format: &'a LogFormat, columns: &'a [&'a [u8]]) -> Self {
        FlowRecord {
            status: LogStatus::Ok,
            action: Action::Unknown,
            srcaddr: None,
            dstaddr: None,
            pkt_srcaddr: None,
            pkt_dstaddr: None,
            srcport: None,
            dstport: None,
            protocol: None,
            tcp_flags: None,
            packets: None,
            bytes: None,
            start: None,
            end: None,
            direction: None,
            traffic_path: None,
            format,
            columns,
        }
    }

    fn set(&mut self, field: Field, text: &[u8]) -> Result<(), Reason> {
        match field.info().kind {
            Kind::Text => self.set_text(field, text)?,
            _ if text == DASH => {}
            Kind::Number(max) => self.set_number(field, number(text, max).ok_or(Reason::NotANumber)?),
            Kind::Address => self.set_address(field, address(text).ok_or(Reason::NotAnAddress)?),
        }
        Ok(())
    }

    fn set_text(&mut self, field: Field, text: &[u8]) -> Result<(), Reason> {
        match (field, text) {
            (Field::LogStatus, b"OK") => self.status = LogStatus::Ok,
            (Field::LogStatus, b"NODATA") => self.status = LogStatus::NoData,
            (Field::LogStatus, b"SKIPDATA") => self.status = LogStatus::SkipData,
            (Field::LogStatus, _) => return Err(Reason::UnknownStatus),
            (Field::Action, word) => self.action = Action::of(word),
            (Field::FlowDirection, word) => self.direction = FlowDirection::of(word),
            _ => {}
        }
        Ok(())
    }

    fn set_number(&mut self, field: Field, n: u64) {
        match field {
            Field::SrcPort => self.srcport = u16::try_from(n).ok(),
            Field::DstPort => self.dstport = u16::try_from(n).ok(),
            Field::Protocol => self.protocol = u8::try_from(n).ok(),
            Field::TcpFlags => self.tcp_flags = u32::try_from(n).ok(),
            Field::TrafficPath => self.traffic_path = u32::try_from(n).ok(),
            Field::Packets => self.packets = Some(n),
            Field::Bytes => self.bytes = Some(n),
            Field::Start => self.start = Some(n),
            Field::End => self.end = Some(n),
            _ => {}
        }
    }

    fn set_address(&mut self, field: Field, a: Addr) {
        match field {
            Field::SrcAddr => self.srcaddr = Some(a),
            Field::DstAddr => self.dstaddr = Some(a),
            Field::PktSrcAddr => self.pkt_srcaddr = Some(a),
            Field::PktDstAddr => self.pkt_dstaddr = Some(a),
            _ => {}
        }
    }

    /// An OK record needs addresses, bytes and times, as far as its format has them.
    fn check_required(&self) -> Result<(), Fault> {
        if self.status != LogStatus::Ok {
            return Ok(());
        }
        let needed = [
            (Field::SrcAddr, self.srcaddr.is_some()),
            (Field::DstAddr, self.dstaddr.is_some()),
            (Field::Bytes, self.bytes.is_some()),
            (Field::Start, self.start.is_some()),
            (Field::End, self.end.is_some()),
        ];
        for (field, present) in needed {
            if let (false, Some(column)) = (present, self.format.position(field)) {
                return Err(Fault {
                    column,
                    reason: Reason::Missing,
                });
            }
        }
        Ok(())
    }

    /// The text of a column: `None` if the format lacks it, `Some(b"-")` if AWS had nothing to say.
    #[inline]
    pub fn raw(&self, field: Field) -> Option<&'a [u8]> {
        self.format.position(field).and_then(|i| self.columns.get(i).copied())
    }

    /// The text of a column, if there is one and it is not `-`.
    #[inline]
    pub fn text(&self, field: Field) -> Option<&'a [u8]> {
        self.raw(field).filter(|t| *t != DASH)
    }

    /// The format that this record was read by.
    pub fn format(&self) -> &'a LogFormat {
        self.format
    }

    /// All columns as they stand in the file, in its order.
    pub fn columns(&self) -> &'a [&'a [u8]] {
        self.columns
    }
}
