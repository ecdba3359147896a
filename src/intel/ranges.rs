//! The embedded AWS prefixes as they are needed: of each range of addresses the one owner who wins there.
//!
//! Who wins within AWS's list does not depend on what a user gives, for all that a user gives lies above it. So it is
//! decided once, when the snapshot is made, and a start reads ten thousand ranges in place of the text of as many
//! prefixes. A test decides the text anew and compares.
//!
//! Layout of `geoip/aws-ranges.bin` (little-endian, written by `geoip/refresh.py` from `aws-prefixes.tsv`): magic
//! `FTAWS1\n\0`; `u32` bytes of the owners, numbers of IPv4 and IPv6 ranges; the owners, a line `service TAB region`
//! each; IPv4 range starts as `u32`, then of each the number of its owner's line as `u16`, counted from 1, 0 for nobody;
//! the same of IPv6, with starts of `u128`.

use super::country::{columns, counts};
use super::owner::Owner;
use super::table::Spans;

/// A view of the ranges where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnedRanges {
    owners: &'static str,
    four: Columns<4>,
    six: Columns<16>,
}

/// The ranges of one family: starts of `N` bytes, and the numbers of owners.
#[derive(Debug, Clone, Copy)]
struct Columns<const N: usize> {
    starts: &'static [[u8; N]],
    owners: &'static [[u8; 2]],
}

impl OwnedRanges {
    /// Takes the columns apart; none if they do not fill `bytes` exactly.
    pub(super) fn new(bytes: &'static [u8]) -> Option<Self> {
        let ([owners, four, six], rest) = counts(bytes, *b"FTAWS1\n\0")?;
        let (owners, rest) = rest.split_at_checked(owners)?;
        let (four, rest) = Columns::new(rest, four)?;
        let (six, rest) = Columns::new(rest, six)?;
        let owners = std::str::from_utf8(owners).ok()?;
        rest.is_empty().then_some(OwnedRanges { owners, four, six })
    }

    /// The owners, in the order of their numbers.
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> {
        let lines = self.owners.lines().filter_map(|l| l.split_once('\t'));
        lines.map(|(service, region)| Owner::embedded(service, region))
    }

    /// The number of the owner of each address, the first owner's being `first`, and 0 where there is none.
    pub(super) fn numbers(&self, first: u32) -> Spans<u32> {
        Spans::new(
            self.four.numbered(u32::from_le_bytes, first),
            self.six.numbered(u128::from_le_bytes, first),
        )
    }
}

impl<const N: usize> Columns<N> {
    fn new(bytes: &'static [u8], count: usize) -> Option<(Self, &'static [u8])> {
        let (starts, rest) = columns::<N>(bytes, count)?;
        let (owners, rest) = columns::<2>(rest, count)?;
        Some((Columns { starts, owners }, rest))
    }

    fn numbered<K>(&self, start: impl Fn([u8; N]) -> K, first: u32) -> (Vec<K>, Vec<u32>) {
        let number = |owner: [u8; 2]| match u16::from_le_bytes(owner) {
            0 => 0,
            owner => first + u32::from(owner) - 1,
        };
        let starts = self.starts.iter().map(|s| start(*s)).collect();
        (starts, self.owners.iter().map(|o| number(*o)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> &'static [u8] {
        let owners = b"EC2\teu-west-1\nS3\tGLOBAL\n";
        let mut b = b"FTAWS1\n\0".to_vec();
        for n in [owners.len() as u32, 3, 1] {
            b.extend(n.to_le_bytes());
        }
        b.extend(owners);
        for n in [0u32, 0x0100_0000, 0x0200_0000] {
            b.extend(n.to_le_bytes());
        }
        b.extend([0, 0, 2, 0, 0, 0]);
        b.extend(0u128.to_le_bytes());
        b.extend([1, 0]);
        b.leak()
    }

    #[test]
    fn ranges_have_their_owners_numbers() {
        let ranges = OwnedRanges::new(sample()).unwrap();
        let owners: Vec<Owner> = ranges.owners().collect();
        assert_eq!(
            owners,
            [Owner::aws("EC2", Some("eu-west-1")), Owner::aws("S3", Some("GLOBAL"))]
        );
        let numbers = ranges.numbers(40);
        let at = |s: &str| numbers.get(s.parse().unwrap());
        assert_eq!(
            [at("0.255.255.255"), at("1.0.0.0"), at("1.255.255.255"), at("2.0.0.0")],
            [0, 41, 41, 0]
        );
        assert_eq!(at("2001:db8::1"), 40);
    }

    #[test]
    fn a_cut_or_longer_file_is_refused() {
        let bytes = sample();
        for n in 0..bytes.len() {
            assert!(OwnedRanges::new(&bytes[..n]).is_none());
        }
        assert!(OwnedRanges::new([bytes, &[0]].concat().leak()).is_none());
    }
}
