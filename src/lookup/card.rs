//! The case card: everything known of one key, as `flowtrail.lookup/1` has it.
//!
//! `to` and `from` are seen from the key: bytes that it received and that it sent. Sums are exact; lists are sorted and
//! cut off only where a total beside them says so.

use serde::{Serialize, Serializer};

use crate::aggregate::Volume;
use crate::attribute::Class as Tie;
use crate::lookup::basis::Coverage;
use crate::net::{Addr, Class, Country, Seconds, rfc3339};
use crate::report::grid::json_integer;

/// The schema's name and version.
pub const SCHEMA: &str = "flowtrail.lookup/1";

/// An integer that JSON keeps exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(pub u128);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        json_integer(self.0).serialize(s)
    }
}

/// A time; RFC 3339 in output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub Seconds);

impl Serialize for When {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&rfc3339(self.0))
    }
}

/// Everything known of one key.
#[derive(Debug, Serialize)]
pub struct Card {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The key.
    pub key: String,
    /// Its form: `ip`, `cidr`, `interface`, `instance`, `arn`, `access-key`, `session`, `bucket`, `object`.
    pub kind: &'static str,
    /// False if it occurs in none of the logs.
    pub found: bool,
    /// What the lists say of an address.
    pub about: Option<About>,
    /// Its traffic.
    pub flows: Flows,
    /// Interfaces that met it: those where bytes began first, then by bytes.
    pub interfaces: Vec<Met>,
    /// Other ends of an interface's, instance's or principal's traffic, by bytes: the first of `far_ends`.
    pub peers: Vec<FarEnd>,
    /// How many other ends there are.
    pub far_ends: u64,
    /// Who called AWS: from the address, on the interface, as the principal, to the bucket.
    pub callers: Vec<Caller>,
    /// Who is behind the interfaces that met an address, by attribution.
    pub behind: Vec<Behind>,
    /// Addresses that the calls came from.
    pub sources: Vec<Source>,
    /// Buckets touched.
    pub buckets: Vec<BucketUse>,
    /// Calls by event and outcome.
    pub events: Vec<EventUse>,
    /// Credentials handed out to it, or to the principals, by time.
    pub issued: Vec<Issue>,
    /// Events that change who can see or reach data, or that show containment, by time.
    pub notable: Vec<Event>,
    /// How rare it is.
    pub prevalence: Prevalence,
    /// One step further.
    pub pivot: Pivot,
    /// What the answer rests on.
    pub coverage: Coverage,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What the lists say.
#[derive(Debug, Serialize)]
pub struct About {
    /// Kind of destination.
    pub class: Class,
    /// AWS service.
    pub service: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// Country.
    pub country: Option<Country>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<String>,
    /// Memberships.
    pub lists: Vec<Membership>,
    /// Kinds of lists that were not loaded, so that nothing can be said.
    pub not_loaded: Vec<&'static str>,
}

/// On a list.
#[derive(Debug, Serialize)]
pub struct Membership {
    /// `tor-exit`, `threat:…`.
    pub label: String,
    /// The list's file or package.
    pub source: String,
    /// When the list was made.
    pub date: Option<String>,
}

/// Sums over flows.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Traffic {
    /// Bytes.
    pub bytes: Exact,
    /// Packets.
    pub packets: Exact,
    /// Records.
    pub flows: u64,
    /// Earliest start.
    pub first: Option<When>,
    /// Latest end.
    pub last: Option<When>,
}

impl Traffic {
    /// Adds a sum.
    pub fn add(&mut self, v: &Volume) {
        self.bytes.0 += v.bytes;
        self.packets.0 += v.packets;
        self.flows += v.flows;
        self.first = Some(When(self.first.map_or(v.first, |w| w.0.min(v.first))));
        self.last = Some(When(self.last.map_or(v.last, |w| w.0.max(v.last))));
    }
}

/// Traffic of a key.
#[derive(Debug, Default, Serialize)]
pub struct Flows {
    /// The key received.
    pub to: Traffic,
    /// The key sent.
    pub from: Traffic,
    /// Turned away: attempts, in either direction.
    pub rejected: Traffic,
    /// Seen once more at NAT gateways, load balancers and the like; not in the sums.
    pub passed_on: Traffic,
    /// Seen once more at the other interface of the same VPC, or by another flow log; not in the sums.
    pub seen_elsewhere: Traffic,
    /// By service port.
    pub ports: Vec<PortUse>,
    /// By day.
    pub days: Vec<Day>,
}

/// Traffic of one port.
#[derive(Debug, Serialize)]
pub struct PortUse {
    /// Service port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Bytes to the key.
    pub to: Exact,
    /// Bytes from the key.
    pub from: Exact,
    /// Records.
    pub flows: u64,
}

/// Traffic of one day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Its first second.
    pub day: When,
    /// Bytes to the key.
    pub to: Exact,
    /// Bytes from the key.
    pub from: Exact,
    /// Records.
    pub flows: u64,
}

/// An interface that met the key.
#[derive(Debug, Serialize)]
pub struct Met {
    /// `eni-…`.
    pub eni: String,
    /// Account that owns it.
    pub account: Option<String>,
    /// VPC.
    pub vpc: Option<String>,
    /// Instance behind it.
    pub instance: Option<String>,
    /// How sure the instance is.
    pub instance_class: Option<Tie>,
    /// How sure it is that this traffic is the key's.
    pub class: Tie,
    /// Why; empty if the records name the key itself.
    pub why: String,
    /// It only passes traffic on: not in the sums.
    pub passes_on: bool,
    /// Its own addresses in these records.
    pub addresses: Vec<Addr>,
    /// Bytes to the key.
    pub to: Exact,
    /// Bytes from the key.
    pub from: Exact,
    /// Records let through.
    pub flows: u64,
    /// Records turned away.
    pub rejected: u64,
    /// Earliest start.
    pub first: When,
    /// Latest end.
    pub last: When,
}

/// The other end of traffic.
#[derive(Debug, Serialize)]
pub struct FarEnd {
    /// Its address.
    pub ip: Addr,
    /// Kind of destination.
    pub class: Class,
    /// Country.
    pub country: Option<Country>,
    /// List memberships.
    pub labels: Vec<String>,
    /// Bytes to it.
    pub sent: Exact,
    /// Bytes from it.
    pub received: Exact,
    /// Records.
    pub flows: u64,
    /// Interfaces that met it.
    pub interfaces: Vec<String>,
}

/// Who called.
#[derive(Debug, Serialize)]
pub struct Caller {
    /// ARN of the session or user.
    pub arn: String,
    /// Access key id.
    pub access_key: Option<String>,
    /// `IAMUser`, `AssumedRole`, ….
    pub kind: &'static str,
    /// Instance that the session is named after.
    pub instance: Option<String>,
    /// How sure the tie is.
    pub class: Tie,
    /// Why.
    pub why: String,
    /// Requests that succeeded.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Bytes sent to AWS.
    pub sent: Exact,
    /// Bytes received from AWS.
    pub received: Exact,
    /// First request.
    pub first: When,
    /// Last request.
    pub last: When,
}

/// Who is behind an interface.
#[derive(Debug, Serialize)]
pub struct Behind {
    /// ARN of the session or user.
    pub arn: String,
    /// Access key id.
    pub access_key: Option<String>,
    /// Interface.
    pub eni: String,
    /// How sure the tie is.
    pub class: Tie,
    /// The same as a number.
    pub confidence: f64,
    /// Its requests at the time.
    pub requests: u64,
    /// Its bytes at the time.
    pub bytes: Exact,
    /// Why.
    pub why: String,
}

/// Where calls came from.
#[derive(Debug, Serialize)]
pub struct Source {
    /// `sourceIPAddress` as written.
    pub source: String,
    /// Country.
    pub country: Option<Country>,
    /// List memberships.
    pub labels: Vec<String>,
    /// VPC endpoint.
    pub endpoint: Option<String>,
    /// Principals.
    pub principals: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes received by the callers.
    pub received: Exact,
    /// First request.
    pub first: When,
    /// Last request.
    pub last: When,
}

/// A bucket touched.
#[derive(Debug, Serialize)]
pub struct BucketUse {
    /// Name.
    pub name: String,
    /// Account that owns it.
    pub owner: Option<String>,
    /// Object requests that succeeded.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Distinct objects.
    pub objects: u64,
    /// False if that is an estimate.
    pub objects_exact: bool,
    /// Some of them.
    pub examples: Vec<String>,
    /// Bytes written.
    pub sent: Exact,
    /// Bytes read.
    pub received: Exact,
}

/// Calls of one kind and outcome.
#[derive(Debug, Serialize)]
pub struct EventUse {
    /// Service.
    pub service: String,
    /// Event.
    pub event: String,
    /// Error; none if it succeeded.
    pub error: Option<String>,
    /// Requests.
    pub requests: u64,
}

/// Credentials handed out.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issue {
    /// When.
    pub time: When,
    /// The call.
    pub call: String,
    /// Who asked, or the service that did.
    pub by: String,
    /// Where it was asked from.
    pub source: String,
    /// ARN of the new session.
    pub arn: String,
    /// Its access key id.
    pub access_key: Option<String>,
}

/// One event.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When.
    pub time: When,
    /// `eventName`.
    pub event: String,
    /// Who.
    pub by: String,
    /// Where from.
    pub source: String,
    /// Bucket, if it names one.
    pub bucket: Option<String>,
    /// Error, if it failed.
    pub error: Option<String>,
}

/// How rare the key is.
#[derive(Debug, Default, Serialize)]
pub struct Prevalence {
    /// Interfaces that met it.
    pub interfaces: u64,
    /// Interfaces that the inventory and the trail know; none if they know none.
    pub interfaces_known: Option<u64>,
    /// Principals that called from it (or to it).
    pub principals: u64,
    /// Principals in the trail; none without one.
    pub principals_known: Option<u64>,
}

/// One step further.
#[derive(Debug, Default, Serialize)]
pub struct Pivot {
    /// Other addresses of those keys and sessions, by requests: the first of `addresses_all`.
    pub addresses: Vec<Source>,
    /// How many there are.
    pub addresses_all: u64,
    /// Other destinations of those interfaces, by bytes: the first of `destinations_all`.
    pub destinations: Vec<FarEnd>,
    /// How many there are.
    pub destinations_all: u64,
}
