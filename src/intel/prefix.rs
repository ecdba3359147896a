//! An address prefix as an inclusive range, and its text form.
//!
//! Lists come as single addresses or CIDR blocks of either family. Both become a [`Prefix`]: first and last [`Addr`] and
//! the length counted in the 128-bit space, so that a longer prefix is a larger number whatever the family. The grammar
//! is the one of badinputs' rule for lists: an address, optionally `/` and digits, nothing else; host bits may be set.

use std::str::FromStr;

use ipnetwork::IpNetwork;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::digit1;
use nom::combinator::{map_res, opt, recognize};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::flow::value::{address, number};
use crate::net::Addr;

/// A block of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// First address inside.
    pub first: Addr,
    /// Last address inside.
    pub last: Addr,
    /// Leading bits that are fixed, in the 128-bit space: an IPv4 `/24` has 120.
    pub bits: u8,
}

impl Prefix {
    /// Reads an address or CIDR text, with nothing around it.
    pub fn parse(text: &str) -> Option<Self> {
        let usual = Prefix::parse_v4(text.as_bytes()).or_else(|| Prefix::parse_v6(text.as_bytes()));
        if usual.is_some() {
            return usual;
        }
        match network(text.as_bytes()) {
            Ok(([], network)) => Some(network.into()),
            _ => None,
        }
    }

    /// The usual form of nearly all lines; the grammar below reads everything, this as well.
    fn parse_v4(text: &[u8]) -> Option<Self> {
        let (addr, length) = match text.iter().position(|b| *b == b'/') {
            Some(i) => (text.get(..i)?, text.get(i + 1..)?),
            None => (text, &b"32"[..]),
        };
        let n = address(addr)?.as_v4().filter(|_| !addr.contains(&b':'))?;
        let length = number(length, 32).filter(|_| length.len() <= 2)? as u32;
        let rest = u32::MAX.checked_shr(length).unwrap_or(0);
        Some(Prefix {
            first: Addr::v4(n & !rest),
            last: Addr::v4(n | rest),
            bits: 96 + length as u8,
        })
    }

    /// The usual form of IPv6: a unicast address, or a block of them with its length without a leading zero.
    fn parse_v6(text: &[u8]) -> Option<Self> {
        let (addr, length) = match text.iter().position(|b| *b == b'/') {
            Some(i) => (address(text.get(..i)?)?, text.get(i + 1..)?),
            None => (address(text)?, &b"128"[..]),
        };
        let usual = addr.0 >> 125 == 1 && length.first().is_some_and(|b| *b != b'0');
        let length = number(length, 128).filter(|n| usual && *n >= 3)? as u32;
        let rest = u128::MAX.checked_shr(length).unwrap_or(0);
        Some(Prefix {
            first: Addr(addr.0 & !rest),
            last: Addr(addr.0 | rest),
            bits: length as u8,
        })
    }

    /// True if `addr` lies inside; an IPv6 block never holds an IPv4 address.
    pub fn contains(&self, addr: Addr) -> bool {
        self.is_v4() == addr.is_v4() && self.first <= addr && addr <= self.last
    }

    /// True if the whole block is IPv4.
    pub fn is_v4(&self) -> bool {
        self.first.is_v4() && self.last.is_v4()
    }

    /// True for blocks so large that a list with one names a good part of the internet (IPv4 `/7`, IPv6 `/15` or wider).
    pub fn is_huge(&self) -> bool {
        if self.is_v4() {
            self.bits < 96 + 8
        } else {
            self.bits < 16
        }
    }
}

impl From<Addr> for Prefix {
    fn from(addr: Addr) -> Self {
        Prefix {
            first: addr,
            last: addr,
            bits: 128,
        }
    }
}

impl From<IpNetwork> for Prefix {
    fn from(network: IpNetwork) -> Self {
        let bits = if network.is_ipv4() {
            network.prefix() + 96
        } else {
            network.prefix()
        };
        Prefix {
            first: network.network().into(),
            last: network.broadcast().into(),
            bits,
        }
    }
}

/// `address [ "/" digits ]`, read by `ipnetwork`.
pub(super) fn network(i: &[u8]) -> IResult<&[u8], IpNetwork> {
    let address = take_while1(|b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    let text = recognize((address, opt(preceded(tag("/"), digit1))));
    map_res(map_res(text, std::str::from_utf8), IpNetwork::from_str).parse(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_and_host_bits() {
        let p = Prefix::parse("192.0.2.77/24").unwrap();
        assert_eq!(
            (p.first.to_string(), p.last.to_string(), p.bits),
            ("192.0.2.0".into(), "192.0.2.255".into(), 120)
        );
        assert_eq!(Prefix::parse("2001:db8::1").unwrap().bits, 128);
        assert!(Prefix::parse("0.0.0.0/0").unwrap().is_huge());
    }

    proptest::proptest! {
        /// The fast path and the grammar say the same.
        #[test]
        fn usual_lines_are_what_the_grammar_says(
            text in "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}(/[0-9]{0,3})?|::ffff:[0-9]\\.0\\.0\\.1(/[0-9]{2,3})?|[0-9a-f]{4}:(db8|[0-9a-f]{1,5}):[0-9a-f:]{0,12}(/[0-9]{0,4})?"
        ) {
            let slow = match network(text.as_bytes()) {
                Ok(([], network)) => Some(network.into()),
                _ => None,
            };
            proptest::prop_assert_eq!(Prefix::parse(&text), slow);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let bad = [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "2001:db8::/129",
            "01.2.3.4",
            "1.2.3.4/",
            "1.2.3.4 ",
            "1.2.3.4/255.0.0.0",
            "fe80::1%eth0",
            "[::1]",
            "1.2.3.4-5",
        ];
        for text in bad {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_mapped_block_is_ipv4_and_an_ipv6_block_never_holds_ipv4() {
        assert!(
            Prefix::parse("::ffff:192.0.2.0/120")
                .unwrap()
                .contains("192.0.2.9".parse().unwrap())
        );
        assert!(!Prefix::parse("::/0").unwrap().contains("192.0.2.9".parse().unwrap()));
    }
}
