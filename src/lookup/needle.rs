//! Which bytes must stand in a line for it to be about a key: what the raw search looks for.
//!
//! An IPv4 address is written in one way. An IPv6 address has many (zeros left out or not, letters large or small), so
//! the longest piece that all of them share is searched. Hits are parsed and compared as addresses; a piece only has to
//! be in every line that matters. What has no such piece makes the search read every line.

use ipnetwork::IpNetwork;
use std::net::{IpAddr, Ipv6Addr};

use crate::flow::{Literal, Sieve};
use crate::net::Addr;

/// One text to search, and what may stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needle {
    text: String,
    before: Edge,
    after: Edge,
}

/// What may stand beside a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    /// Anything.
    Any,
    /// No more of an IPv4 address: neither digit nor dot.
    Address,
    /// A blank, or the end of the line.
    Blank,
}

/// More needles than this are not worth a search each: every line is read.
const MOST: usize = 24;
/// Pieces shorter than this stand in nearly every line.
const SHORTEST: usize = 3;

impl Needle {
    /// An address. IPv4 inside IPv6 is found in its dotted form (`::ffff:192.0.2.1`), which is how it is written.
    pub fn address(addr: Addr) -> Option<Needle> {
        match addr.ip() {
            IpAddr::V4(a) => Some(Needle::new(a.to_string(), Edge::Address, Edge::Address)),
            IpAddr::V6(a) => piece(a, 8),
        }
    }

    /// The leading part of all addresses of a network, by whole octets or groups.
    pub fn network(net: &IpNetwork) -> Option<Needle> {
        match net {
            IpNetwork::V4(n) => {
                let whole = usize::from(n.prefix() / 8);
                let text: String = n
                    .network()
                    .octets()
                    .iter()
                    .take(whole)
                    .map(|o| format!("{o}."))
                    .collect();
                (whole > 0).then(|| Needle::new(text, Edge::Address, Edge::Any))
            }
            IpNetwork::V6(n) => piece(n.network(), usize::from(n.prefix() / 16)),
        }
    }

    /// An id that fills its column.
    pub fn token(text: &str) -> Needle {
        Needle::new(text.into(), Edge::Blank, Edge::Blank)
    }

    fn new(text: String, before: Edge, after: Edge) -> Needle {
        Needle { text, before, after }
    }
}

impl Edge {
    fn allows(self, byte: Option<&u8>) -> bool {
        match (self, byte) {
            (Edge::Any, _) | (_, None) => true,
            (Edge::Address, Some(b)) => !b.is_ascii_digit() && *b != b'.',
            (Edge::Blank, Some(b)) => matches!(b, b' ' | b'\r' | b'\n'),
        }
    }
}

/// The longest text without letters that stands in every way of writing the first `groups` groups of `a`. The last two
/// groups are left out where others will do, since they may be written as dotted IPv4.
fn piece(a: Ipv6Addr, groups: usize) -> Option<Needle> {
    let segments = a.segments();
    let longest = |n: usize| {
        let runs = certain(segments.get(..n).unwrap_or_default());
        let pieces = runs.iter().flat_map(|r| r.split(|c: char| c.is_ascii_alphabetic()));
        pieces
            .map(str::to_owned)
            .max_by_key(|p| (p.len(), std::cmp::Reverse(p.clone())))
    };
    let text = longest(groups.min(6))?;
    (text.len() >= SHORTEST).then(|| Needle::new(text, Edge::Any, Edge::Any))
}

/// Texts that stand in every way of writing these groups: digits without leading zeros, joined by a colon where the group
/// after it cannot have one more zero. A group of zero may be left out, so it ends a run.
fn certain(groups: &[u16]) -> Vec<String> {
    let mut runs = vec![String::new()];
    for (i, group) in groups.iter().enumerate() {
        if *group == 0 {
            runs.push(String::new());
            continue;
        }
        let full = *group >= 0x1000;
        let joined = full && i > 0 && groups.get(i - 1).is_some_and(|g| *g != 0);
        if !joined {
            runs.push(String::new());
        }
        if let Some(run) = runs.last_mut() {
            if joined {
                run.push(':');
            }
            run.push_str(&format!("{group:x}"));
        }
    }
    runs
}

/// All needles of a search.
#[derive(Debug)]
pub struct Needles {
    literals: Vec<(Literal, Needle)>,
}

impl Needles {
    /// A search for any of `needles`; none if one of them is missing, or if there are too many: then all is read.
    pub fn new(needles: Vec<Option<Needle>>) -> Option<Needles> {
        let mut all: Vec<Needle> = needles.into_iter().collect::<Option<_>>()?;
        all.sort();
        all.dedup();
        (all.len() <= MOST).then(|| Needles {
            literals: all.into_iter().map(|n| (Literal::new(n.text.as_bytes()), n)).collect(),
        })
    }
}

impl Sieve for Needles {
    fn places(&self, text: &[u8], into: &mut Vec<usize>) {
        for (literal, needle) in &self.literals {
            literal.places(text, |at| {
                let before = at.checked_sub(1).and_then(|i| text.get(i));
                let after = text.get(at + needle.text.len());
                if needle.before.allows(before) && needle.after.allows(after) {
                    into.push(at);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hits(needle: Option<Needle>, text: &str) -> usize {
        let needles = Needles::new(vec![needle]).unwrap();
        let mut into = Vec::new();
        needles.places(text.as_bytes(), &mut into);
        into.len()
    }

    #[test]
    fn an_address_is_not_part_of_another() {
        let ten = || Needle::address("10.0.0.1".parse().unwrap());
        for other in ["110.0.0.1", "10.0.0.12", "210.0.0.1", "10.0.0.1.2", "1.10.0.0.1"] {
            assert_eq!(hits(ten(), &format!("x {other} y\n")), 0, "{other}");
        }
        for same in ["10.0.0.1", "x 10.0.0.1 y", "x ::ffff:10.0.0.1\n", "x 10.0.0.1\r\n"] {
            assert_eq!(hits(ten(), same), 1, "{same}");
        }
    }

    #[test]
    fn a_network_is_searched_by_its_whole_octets() {
        let net = |t: &str| Needle::network(&t.parse().unwrap());
        assert_eq!(hits(net("93.175.144.0/20"), "a 93.175.146.77 b"), 1);
        assert_eq!(hits(net("93.175.144.0/20"), "a 193.175.146.77 b"), 0);
        assert_eq!(net("0.0.0.0/0"), None);
        assert_eq!(net("2000::/3"), None);
        assert_eq!(hits(net("2001:db8:4321::/48"), "a 2001:DB8:4321::1 b"), 1);
    }

    #[test]
    fn the_longest_certain_piece_is_taken() {
        let piece = |t: &str| Needle::address(t.parse().unwrap()).map(|n| n.text);
        assert_eq!(
            piece("2001:db8:1234:a100:8d6e:3477:df66:f105").as_deref(),
            Some("8:1234:")
        );
        assert_eq!(piece("2001:db8::1").as_deref(), Some("2001"));
        assert_eq!(piece("fe80::1"), None);
    }

    /// Every way of writing an IPv6 address that the parser of flow logs takes.
    fn written(a: Ipv6Addr, style: u8, upper: bool) -> String {
        let s = a.segments();
        let text = match style {
            0 => a.to_string(),
            1 => s.map(|g| format!("{g:04x}")).join(":"),
            2 => s.map(|g| format!("{g:x}")).join(":"),
            _ => {
                let head: Vec<String> = s.iter().take(6).map(|g| format!("{g:x}")).collect();
                let [.., a, b, c, d] = a.octets();
                format!("{}:{a}.{b}.{c}.{d}", head.join(":"))
            }
        };
        if upper { text.to_uppercase() } else { text }
    }

    proptest! {
        #[test]
        fn every_way_of_writing_is_found(bits in any::<u128>(), keep in any::<u128>(), style in 0u8..4, upper in any::<bool>()) {
            let a = Ipv6Addr::from(bits & keep);
            let text = format!("2 1 eni-1 {} 10.0.0.1 x\n", written(a, style, upper));
            let needle = Needle::address(Addr::from(IpAddr::V6(a)));
            if needle.is_some() && !Addr::from(IpAddr::V6(a)).is_v4() {
                prop_assert!(hits(needle, &text) > 0, "{text}");
            }
        }
    }
}
