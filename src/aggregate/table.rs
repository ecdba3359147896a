//! The result of aggregation: who sent how much where, by hour, in one sorted table that all later rooms read.
//!
//! Workers count into hash tables of their own; when all have been merged, this is built once: addresses and interfaces
//! become indexes into dictionaries, every peer is looked up in the lists once, rows are sorted. Nothing here depends on
//! threads, on the order of files or on how they were split.

use crate::net::{Addr, Class, Country, HOUR, Seconds};

/// Everything counted, sorted: rows by interface, hour, peer, and then the rest of the key.
#[derive(Debug, Default, Clone)]
pub struct EgressTable {
    /// Interfaces, sorted by id; [`Row::interface`] is an index into it.
    pub interfaces: Vec<Interface>,
    /// Peers, sorted by address; [`Row::peer`] is an index into it.
    pub peers: Vec<Peer>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A network interface (or a regional NAT gateway, which logs without one) and what its records say of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `eni-…`, or `nat-…` for a regional NAT gateway, or `-` when the format has no such column.
    pub id: String,
    /// Account that owns it.
    pub account: Option<String>,
    /// Instance it is attached to.
    pub instance: Option<String>,
    /// VPC.
    pub vpc: Option<String>,
    /// Subnet.
    pub subnet: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Addresses that it sent from, sorted.
    pub addresses: Vec<Addr>,
    /// Signs that it passes other interfaces' traffic on.
    pub signs: Signs,
}

/// What the records show of an interface's place on the path (all of it needs fields of version 3 or later).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Signs {
    /// `interface-type` of version 11: `nat_gateway`, `transit_gateway`, `vpc_endpoint`, ….
    pub kind: Option<String>,
    /// The format has `instance-id` and it is `-`: no instance of ours.
    pub detached: bool,
    /// Records whose packet address differs from the interface's.
    pub transit: u64,
    /// Bytes that came in for an address that is not ours: sent on from here.
    pub passed: u128,
}

/// The far end of flows and what the lists say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub addr: Addr,
    /// Kind of destination.
    pub class: Class,
    /// AWS service that owns the prefix (`S3`, `EC2`, …), as ip-ranges.json spells it.
    pub service: Option<String>,
    /// AWS region of the prefix.
    pub region: Option<String>,
    /// Country by the geo database.
    pub country: Option<Country>,
    /// Autonomous system by the ASN database.
    pub asn: Option<u32>,
    /// List memberships, sorted: `tor-exit`, `tor-guard`, `tor-authority`, `threat:<list>`.
    pub labels: Vec<String>,
}

/// Which way a flow's packets went, seen from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Out of the interface.
    Egress,
    /// Into the interface.
    Ingress,
}

/// Who opened the connection, seen from the interface (design.md, counting rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// The interface did.
    Client,
    /// The peer did: what leaves is an answer.
    Server,
    /// The records do not tell.
    #[default]
    Unknown,
}

impl Role {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
            Role::Unknown => "unknown",
        }
    }
}

/// Sums over flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Bytes, exact.
    pub bytes: u128,
    /// Packets, exact.
    pub packets: u128,
    /// Flow log records.
    pub flows: u64,
    /// Earliest `start`.
    pub first: Seconds,
    /// Latest `end`.
    pub last: Seconds,
}

/// One cell: an interface and local address, a peer, a service port, one hour, one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Index into [`EgressTable::interfaces`].
    pub interface: u32,
    /// Index into [`EgressTable::peers`].
    pub peer: u32,
    /// Start of the hour in which the records started.
    pub hour: Seconds,
    /// The interface's side: its own address, or a pod's or secondary address behind it.
    pub local: Addr,
    /// The service port: the listening side's where known, else the lower of the two.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Out or in.
    pub direction: Direction,
    /// Client, server or unknown.
    pub role: Role,
    /// The sums.
    pub volume: Volume,
    /// The first record that was counted here (lowest file, then line).
    pub sample: Sample,
}

/// A record's place: index of the file in the run's sorted list of inputs, and its physical line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sample {
    /// Index of the input file.
    pub file: u32,
    /// Line, counted from 1.
    pub line: u64,
}

impl Volume {
    /// Nothing yet: the unit of [`Volume::add`].
    pub const EMPTY: Volume = Volume {
        bytes: 0,
        packets: 0,
        flows: 0,
        first: Seconds::MAX,
        last: 0,
    };

    /// Adds another sum: commutative and associative, so that any split of the input gives the same.
    pub fn add(&mut self, other: &Volume) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.flows += other.flows;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Peer {
    /// A peer of which nothing but its class is known.
    pub fn of_class(addr: Addr, class: Class) -> Self {
        Peer {
            addr,
            class,
            service: None,
            region: None,
            country: None,
            asn: None,
            labels: Vec::new(),
        }
    }
}

/// The order of rows, as far as a number holds it: interface, hour, peer, direction.
pub(super) fn order(interface: u32, hour: u32, peer: u32, direction: Direction) -> u128 {
    u128::from(interface) << 96 | u128::from(hour) << 64 | u128::from(peer) << 32 | direction as u128
}

impl Row {
    /// What decides the order of two rows for which [`order`] is the same.
    pub(super) fn rest(&self) -> impl Ord + use<> {
        (self.hour, self.local, self.protocol, self.port, self.role, self.sample)
    }
}

impl EgressTable {
    /// Brings rows into the documented order.
    pub fn sort(&mut self) {
        let hour = |r: &Row| u32::try_from(r.hour / HOUR).unwrap_or(u32::MAX);
        self.rows.sort_by(|a, b| {
            let key = |r: &Row| order(r.interface, hour(r), r.peer, r.direction);
            key(a).cmp(&key(b)).then_with(|| a.rest().cmp(&b.rest()))
        });
    }

    /// The rows of one interface, in order of time.
    pub fn of_interface(&self, interface: u32) -> &[Row] {
        let from = self.rows.partition_point(|r| r.interface < interface);
        let to = self.rows.partition_point(|r| r.interface <= interface);
        &self.rows[from..to]
    }

    /// The peer of a row.
    pub fn peer(&self, row: &Row) -> &Peer {
        &self.peers[row.peer as usize]
    }

    /// First and last hour of all rows, if there is one.
    pub fn hours(&self) -> Option<(Seconds, Seconds)> {
        let first = self.rows.iter().map(|r| r.hour).min()?;
        let last = self.rows.iter().map(|r| r.hour).max()?;
        Some((first, last + HOUR))
    }
}
