//! Whose address is it: the organisation's, S3's, another AWS service's, special, or anybody's.
//!
//! Counting rule 4 of the design: `--home` first, then the special and private ranges, then prefix lists, then
//! ip-ranges.json. Within each the specific service wins over EC2 and EC2 over AMAZON, which name all that AWS has, and
//! then the longest prefix. The embedded AWS list comes decided (`ranges.rs`) and lies under the rest. The hot path asks
//! for the [`Class`] alone, from a table of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::prefix::Prefix;
use super::ranges::OwnedRanges;
use super::table::{Entry, RangeTable, Spans};
use crate::net::{Addr, Class};

/// Who owns a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) class: Class,
    pub(super) service: Option<Cow<'static, str>>,
    pub(super) region: Option<Cow<'static, str>>,
}

/// Which source of ownership wins over which, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// ip-ranges.json.
    Aws = 1,
    /// Prefix lists that the user gave.
    PrefixList,
    /// Private and special ranges.
    Fixed,
    /// `--home`.
    Home,
}

/// Collects claims on prefixes until all lists are read.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Owners in the order in which they first claimed something.
    numbers: BTreeMap<Owner, u32>,
    /// Prefixes with the layer in place of the rank, and owners.
    claims: Vec<Entry<u32>>,
    /// What holds where nobody claims anything.
    below: Option<OwnedRanges>,
}

/// The flattened claims.
#[derive(Debug)]
pub(super) struct Owners {
    classes: RangeTable<Class>,
    /// Of most addresses the upper half tells the class: asked first, since every record asks.
    by_upper_half: Box<[Option<Class>]>,
    /// Of each address its owner's place in the book.
    numbers: Spans<u32>,
    /// The first being nobody in particular.
    book: Vec<Owner>,
}

impl Owner {
    /// An owner that is a class only.
    pub(super) fn class(class: Class) -> Self {
        Owner {
            class,
            service: None,
            region: None,
        }
    }

    /// AWS's `service` in `region`.
    pub(super) fn aws(service: &str, region: Option<&str>) -> Self {
        let region = region.map(|r| Cow::Owned(r.to_owned()));
        Owner::service(Cow::Owned(service.to_owned()), region)
    }

    /// The same by names inside the program.
    pub(super) fn embedded(service: &'static str, region: &'static str) -> Self {
        Owner::service(Cow::Borrowed(service), Some(Cow::Borrowed(region)))
    }

    /// S3 and S3 Express are the class `s3`.
    fn service(service: Cow<'static, str>, region: Option<Cow<'static, str>>) -> Self {
        Owner {
            class: if is_s3(&service) { Class::S3 } else { Class::Aws },
            service: Some(service),
            region,
        }
    }
}

impl Claims {
    /// The claims that hold without any list: private and special ranges, and `home`.
    pub(super) fn new(home: &[ipnetwork::IpNetwork]) -> Self {
        let mut claims = Claims::default();
        for (class, texts) in FIXED {
            let prefixes = texts.iter().filter_map(|t| Prefix::parse(t));
            prefixes.for_each(|p| claims.add(p, Layer::Fixed, Owner::class(class)));
        }
        for network in home {
            claims.add((*network).into(), Layer::Home, Owner::class(Class::Home));
        }
        claims
    }

    /// How many ranges are claimed so far.
    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    /// `owner` owns `prefix`, says `layer`.
    pub(super) fn add(&mut self, prefix: Prefix, layer: Layer, owner: Owner) {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(owner).or_insert(next);
        self.claims.push((prefix, layer as u64, number));
    }

    /// Takes `ranges` for whatever is claimed by nobody: the embedded part of [`Layer::Aws`].
    pub(super) fn lay_under(&mut self, ranges: OwnedRanges) {
        self.below = Some(ranges);
    }

    /// Decides every address; the order in which claims were made does not matter.
    pub(super) fn decide(mut self) -> Owners {
        let mut sorted = vec![0u32; self.numbers.len()];
        let mut book = vec![Owner::default()];
        for (owner, number) in self.numbers {
            if let Some(slot) = sorted.get_mut(number as usize) {
                *slot = book.len() as u32;
            }
            book.push(owner);
        }
        let marks: Vec<u64> = book.iter().map(mark).collect();
        for (prefix, rank, number) in &mut self.claims {
            *number = sorted.get(*number as usize).copied().unwrap_or(0);
            let mark = marks.get(*number as usize).copied().unwrap_or(0);
            *rank = self::rank(prefix, *rank, mark, *number);
        }
        let mut numbers = Spans::flatten(self.claims);
        if let Some(ranges) = self.below {
            numbers = numbers.over(&ranges.numbers(book.len() as u32));
            book.extend(ranges.owners());
        }
        Owners::new(numbers, book)
    }
}

impl Owners {
    fn new(numbers: Spans<u32>, book: Vec<Owner>) -> Self {
        let class = |n: u32| book.get(n as usize).map_or(Class::External, |o| o.class);
        let classes = RangeTable::new(numbers.map(class));
        Owners {
            by_upper_half: classes.by_upper_half(),
            classes,
            numbers,
            book,
        }
    }

    /// The class of `addr`, if it is IPv4 and its upper half tells.
    #[inline(always)]
    pub(super) fn class_of_upper_half(&self, addr: Addr) -> Option<Class> {
        let upper = addr.as_v4()? >> 16;
        self.by_upper_half.get(upper as usize).copied().flatten()
    }

    /// The class of `addr`.
    #[inline(never)]
    pub(super) fn class(&self, addr: Addr) -> Class {
        self.classes.get(addr)
    }

    /// The owner of `addr`; none when nobody claims it.
    pub(super) fn owner(&self, addr: Addr) -> Option<&Owner> {
        self.book.get(self.numbers.get(addr) as usize)
    }
}

/// Layer, then how specific the service is, then length, then S3 and the name: a total order.
fn rank(prefix: &Prefix, layer: u64, mark: u64, number: u32) -> u64 {
    layer << 56 | mark | u64::from(prefix.bits) << 40 | u64::from(u32::MAX - number)
}

/// An owner's part of the rank.
fn mark(owner: &Owner) -> u64 {
    let specific = owner.service.as_deref().map_or(0, specificity);
    specific << 48 | u64::from(owner.class == Class::S3) << 32
}

/// AMAZON is everything that AWS has and EC2 what no other service uses, whatever the length of their prefixes
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html>).
fn specificity(service: &str) -> u64 {
    match service {
        "AMAZON" => 0,
        "EC2" => 1,
        _ => 2,
    }
}

fn is_s3(service: &str) -> bool {
    matches!(service, "S3" | "S3EXPRESS")
}

/// Private ranges (RFC 1918, RFC 6598, RFC 4193) and the special ones: this network, loopback, link-local with the
/// metadata service, multicast, reserved, broadcast. Documentation ranges are external: examples use them so.
const FIXED: [(Class, &[&str]); 2] = [
    (
        Class::Home,
        &[
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "fc00::/7",
        ],
    ),
    (
        Class::Special,
        &[
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/128",
            "::1/128",
            "fe80::/10",
            "ff00::/8",
            "fd00:ec2::254/128",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(owners: &Owners, addr: &str) -> (Class, String) {
        let addr = addr.parse().unwrap();
        let owner = owners.owner(addr).unwrap();
        assert_eq!(owner.class, owners.class(addr));
        (owner.class, owner.service.as_deref().unwrap_or("-").to_owned())
    }

    #[test]
    fn fixed_ranges_are_home_or_special_and_documentation_is_external() {
        let owners = Claims::new(&[]).decide();
        for (addr, class) in [
            ("10.1.2.3", Class::Home),
            ("100.127.255.255", Class::Home),
            ("100.128.0.0", Class::External),
            ("172.31.9.9", Class::Home),
            ("172.32.0.0", Class::External),
            ("fd00:ec2::253", Class::Home),
            ("fd00:ec2::254", Class::Special),
            ("169.254.169.254", Class::Special),
            ("255.255.255.255", Class::Special),
            ("239.1.1.1", Class::Special),
            ("0.0.0.0", Class::Special),
            ("::", Class::Special),
            ("::1", Class::Special),
            ("::2", Class::External),
            ("fe80::1", Class::Special),
            ("203.0.113.1", Class::External),
            ("192.0.2.1", Class::External),
            ("2001:db8::1", Class::External),
        ] {
            assert_eq!(owners.class(addr.parse().unwrap()), class, "{addr}");
        }
    }

    #[test]
    fn the_specific_service_first_then_the_longest_prefix() {
        let claim = |claims: &mut Claims, layer, prefix: &str, service: &str| {
            claims.add(Prefix::parse(prefix).unwrap(), layer, Owner::aws(service, Some("r")));
        };
        let mut claims = Claims::new(&["52.10.0.0/16".parse().unwrap()]);
        for (prefix, service) in [
            ("52.0.0.0/8", "AMAZON"),
            ("52.1.0.0/16", "EC2"),
            ("52.1.0.0/16", "S3"),
            ("52.1.0.0/16", "AMAZON"),
            ("52.1.2.0/24", "EC2"),
            ("52.1.3.0/24", "CLOUDFRONT"),
            ("52.4.0.0/16", "EC2"),
            ("52.4.4.0/24", "AMAZON"),
            ("52.10.0.0/16", "S3"),
            ("10.0.0.0/8", "S3"),
            ("52.3.0.0/16", "CLOUDFRONT"),
        ] {
            claim(&mut claims, Layer::Aws, prefix, service);
        }
        claim(&mut claims, Layer::PrefixList, "52.3.0.0/17", "S3");
        let owners = claims.decide();
        assert_eq!(at(&owners, "52.200.0.1"), (Class::Aws, "AMAZON".into()));
        assert_eq!(at(&owners, "52.1.9.9"), (Class::S3, "S3".into()));
        assert_eq!(at(&owners, "52.1.2.9"), (Class::S3, "S3".into()));
        assert_eq!(at(&owners, "52.1.3.9"), (Class::Aws, "CLOUDFRONT".into()));
        assert_eq!(at(&owners, "52.4.4.9"), (Class::Aws, "EC2".into()));
        assert_eq!(at(&owners, "52.3.0.9"), (Class::S3, "S3".into()));
        assert_eq!(at(&owners, "52.3.128.9"), (Class::Aws, "CLOUDFRONT".into()));
        assert_eq!(at(&owners, "52.10.0.1"), (Class::Home, "-".into()));
        assert_eq!(at(&owners, "10.0.0.1"), (Class::Home, "-".into()));
        assert_eq!(at(&owners, "8.8.8.8"), (Class::External, "-".into()));
    }
}
