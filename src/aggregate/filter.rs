//! `--where 'family=ipv4 class=external,s3 port=443 dst=10.0.0.0/8 country!=US bytes>1e9'`: the filter of `top`, `trail`
//! and `lookup`.
//!
//! Terms are joined by "and", values of a term by "or". A term is tested as early as it can be: on the record (family,
//! class, ports, addresses, interface), on the peer (country, ASN, service), or on the finished group (sums).

use crate::aggregate::table::Peer;
use crate::error::{Error, Result};
use crate::net::{Addr, Class, Country};
use ipnetwork::IpNetwork;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{multispace0, multispace1};
use nom::combinator::all_consuming;
use nom::multi::separated_list0;
use nom::sequence::delimited;
use nom::{IResult, Parser};

/// A parsed filter; the empty one keeps everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    records: Vec<RecordTerm>,
    peers: Vec<(bool, PeerTerm)>,
    sums: Vec<SumTerm>,
}

#[derive(Debug, Clone, PartialEq)]
enum RecordTerm {
    Family { v4: bool, keep: bool },
    Class(Vec<Class>, bool),
    Port(Vec<u16>, bool),
    Protocol(Vec<u8>, bool),
    Peer(Vec<IpNetwork>, bool),
    Local(Vec<IpNetwork>, bool),
    Interface(Vec<String>, bool),
}

#[derive(Debug, Clone, PartialEq)]
enum PeerTerm {
    Country(Vec<Country>),
    Asn(Vec<u32>),
    Service(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
struct SumTerm {
    column: SumColumn,
    op: Op,
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SumColumn {
    Bytes,
    Packets,
    Flows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What a filter may test on a record.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts {
    /// The interface's side.
    pub local: Addr,
    /// The far side.
    pub peer: Addr,
    /// The peer's class.
    pub class: Class,
    /// Service port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `Usage`, naming the term that is not understood.
    pub fn parse(text: &str) -> Result<Filter> {
        let mut filter = Filter::default();
        let (_, terms) = all_consuming(delimited(multispace0, separated_list0(multispace1, term), multispace0))
            .parse(text)
            .map_err(|_| bad(text, "expected terms like `class=external port=443 bytes>1e9`"))?;
        for (key, op, values) in terms {
            filter.add(key, op, values)?;
        }
        Ok(filter)
    }

    fn add(&mut self, key: &str, op: Op, values: &str) -> Result<()> {
        let sum = match key {
            "bytes" => Some(SumColumn::Bytes),
            "packets" => Some(SumColumn::Packets),
            "flows" => Some(SumColumn::Flows),
            _ => None,
        };
        if let Some(column) = sum {
            let value = values.parse().map_err(|_| bad(values, "not a number"))?;
            self.sums.push(SumTerm { column, op, value });
            return Ok(());
        }
        let keep = match op {
            Op::Eq => true,
            Op::Ne => false,
            _ => return Err(bad(key, "only bytes, packets and flows can be compared by size")),
        };
        match peer_term(key, values)? {
            Some(term) => self.peers.push((keep, term)),
            None => self.records.push(record_term(key, values, keep)?),
        }
        Ok(())
    }

    /// True if some term needs the peer's facts, so that peers must be counted apart.
    pub fn needs_peer(&self) -> bool {
        !self.peers.is_empty()
    }

    /// True if everything passes.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.peers.is_empty() && self.sums.is_empty()
    }

    /// True if some term is about sums: of a group, or of a record where records are asked one by one.
    pub fn needs_sums(&self) -> bool {
        !self.sums.is_empty()
    }

    /// True if a term asks for `class` by name.
    pub fn names_class(&self, class: Class) -> bool {
        self.records
            .iter()
            .any(|t| matches!(t, RecordTerm::Class(list, true) if list.contains(&class)))
    }

    /// The one family of far ends that passes, if a term names it: true for IPv4.
    pub fn family(&self) -> Option<bool> {
        self.records.iter().find_map(|t| match t {
            RecordTerm::Family { v4, keep } => Some(v4 == keep),
            _ => None,
        })
    }

    /// Tests a record; `interface` is asked only by the terms that need it.
    #[inline]
    pub fn keeps_record<'i>(&self, facts: &RecordFacts, interface: impl Fn() -> &'i [u8]) -> bool {
        self.records.iter().all(|t| t.keeps(facts, &interface))
    }

    /// True if it asks for the service port.
    pub fn names_port(&self) -> bool {
        self.records.iter().any(|t| matches!(t, RecordTerm::Port(..)))
    }

    /// Tests a peer.
    pub fn keeps_peer(&self, peer: &Peer) -> bool {
        self.peers.iter().all(|(keep, term)| term.matches(peer) == *keep)
    }

    /// Tests a finished group.
    pub fn keeps_sum(&self, bytes: u128, packets: u128, flows: u64) -> bool {
        self.sums.iter().all(|t| {
            let n = match t.column {
                SumColumn::Bytes => bytes as f64,
                SumColumn::Packets => packets as f64,
                SumColumn::Flows => flows as f64,
            };
            t.op.holds(n, t.value)
        })
    }
}

impl RecordTerm {
    #[inline]
    fn keeps<'i>(&self, f: &RecordFacts, interface: &impl Fn() -> &'i [u8]) -> bool {
        match self {
            RecordTerm::Family { v4, keep } => (f.peer.is_v4() == *v4) == *keep,
            RecordTerm::Class(list, keep) => list.contains(&f.class) == *keep,
            RecordTerm::Port(list, keep) => list.contains(&f.port) == *keep,
            RecordTerm::Protocol(list, keep) => list.contains(&f.protocol) == *keep,
            RecordTerm::Peer(list, keep) => within(list, f.peer) == *keep,
            RecordTerm::Local(list, keep) => within(list, f.local) == *keep,
            RecordTerm::Interface(list, keep) => list.iter().any(|i| i.as_bytes() == interface()) == *keep,
        }
    }
}

impl PeerTerm {
    fn matches(&self, peer: &Peer) -> bool {
        match self {
            PeerTerm::Country(list) => peer.country.is_some_and(|c| list.contains(&c)),
            PeerTerm::Asn(list) => peer.asn.is_some_and(|a| list.contains(&a)),
            PeerTerm::Service(list) => peer
                .service
                .as_deref()
                .is_some_and(|s| list.iter().any(|l| l.eq_ignore_ascii_case(s))),
        }
    }
}

impl Op {
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Op::Eq => a == b,
            Op::Ne => a != b,
            Op::Lt => a < b,
            Op::Le => a <= b,
            Op::Gt => a > b,
            Op::Ge => a >= b,
        }
    }
}

fn within(networks: &[IpNetwork], a: Addr) -> bool {
    let ip = a.ip();
    networks.iter().any(|n| n.contains(ip))
}

fn record_term(key: &str, values: &str, keep: bool) -> Result<RecordTerm> {
    Ok(match key {
        "family" => match values {
            "ipv4" => RecordTerm::Family { v4: true, keep },
            "ipv6" => RecordTerm::Family { v4: false, keep },
            _ => return Err(bad(values, "family is ipv4 or ipv6")),
        },
        "class" => RecordTerm::Class(list(values, "a class (home, s3, aws, external, special)")?, keep),
        "port" => RecordTerm::Port(list(values, "a port")?, keep),
        "protocol" => RecordTerm::Protocol(list(values, "an IANA protocol number")?, keep),
        "dst" => RecordTerm::Peer(list(values, "an address or CIDR")?, keep),
        "src" => RecordTerm::Local(list(values, "an address or CIDR")?, keep),
        "eni" => RecordTerm::Interface(list(values, "an interface id")?, keep),
        _ => {
            let known = "family, class, port, protocol, dst, src, eni, country, asn, service, bytes, packets, flows";
            return Err(bad(key, &format!("not a key; keys are {known}")));
        }
    })
}

fn peer_term(key: &str, values: &str) -> Result<Option<PeerTerm>> {
    Ok(Some(match key {
        "country" => {
            let codes = values
                .split(',')
                .map(|v| Country::parse(v).ok_or_else(|| bad(v, "not a country code")));
            PeerTerm::Country(codes.collect::<Result<_>>()?)
        }
        "asn" => PeerTerm::Asn(list(&values.replace("AS", ""), "an AS number")?),
        "service" => PeerTerm::Service(list(values, "a service")?),
        _ => return Ok(None),
    }))
}

fn list<T: std::str::FromStr>(values: &str, what: &str) -> Result<Vec<T>> {
    values
        .split(',')
        .map(|v| v.parse().map_err(|_| bad(v, &format!("not {what}"))))
        .collect()
}

fn bad(what: &str, why: &str) -> Error {
    Error::usage(format!("--where: `{}`: {why}", crate::net::printable(what.as_bytes())))
}

fn term(i: &str) -> IResult<&str, (&str, Op, &str)> {
    let key = take_while1(|c: char| c.is_ascii_lowercase());
    let value = take_while1(|c: char| !c.is_whitespace());
    (key, op, value).parse(i)
}

fn op(i: &str) -> IResult<&str, Op> {
    alt((
        tag("!=").map(|_| Op::Ne),
        tag(">=").map(|_| Op::Ge),
        tag("<=").map(|_| Op::Le),
        tag("=").map(|_| Op::Eq),
        tag(">").map(|_| Op::Gt),
        tag("<").map(|_| Op::Lt),
    ))
    .parse(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(peer: &str, class: Class, port: u16) -> RecordFacts {
        RecordFacts {
            local: "10.0.0.1".parse().unwrap(),
            peer: peer.parse().unwrap(),
            class,
            port,
            protocol: 6,
        }
    }

    #[test]
    fn terms_are_joined_by_and_values_by_or() {
        let f = Filter::parse("family=ipv4 class=external,s3 port=443,8443 dst=192.0.2.0/24 eni!=eni-2").unwrap();
        assert!(f.keeps_record(&facts("192.0.2.9", Class::S3, 8443), || b"eni-1"));
        assert!(!f.keeps_record(&facts("192.0.2.9", Class::S3, 8443), || b"eni-2"));
        assert!(!f.keeps_record(&facts("192.0.2.9", Class::Aws, 443), || b"eni-1"));
        assert!(!f.keeps_record(&facts("192.0.3.9", Class::S3, 443), || b"eni-1"));
        assert!(!f.keeps_record(&facts("2001:db8::1", Class::S3, 443), || b"eni-1"));
    }

    #[test]
    fn sums_are_compared_and_exponents_read() {
        let f = Filter::parse(" bytes>1e9 flows<=3 ").unwrap();
        assert!(f.keeps_sum(1_000_000_001, 0, 3));
        assert!(!f.keeps_sum(1_000_000_000, 0, 3));
        assert!(!f.keeps_sum(2_000_000_000, 0, 4));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, part) in [
            ("colour=red", "colour"),
            ("port=99999", "99999"),
            ("class>1", "class"),
            ("dst", "dst"),
            ("country=XYZ", "XYZ"),
        ] {
            assert!(Filter::parse(text).unwrap_err().to_string().contains(part), "{text}");
        }
    }
}
