//! The embedded country ranges, searched where they lie: nothing is decoded at start-up.
//!
//! Layout of `geoip/country.bin` (little-endian, written by `geoip/refresh.py`): magic `FTGEO1\n\0`; `u32` numbers of
//! codes, IPv4 and IPv6 ranges; the codes, two letters each, the first `--` (unknown); IPv4 range starts as `u32`, then a
//! code number `u8` each; IPv6 range starts as the upper `u64` of the address, then a code number `u8` each.

use crate::net::{Addr, Country};

/// A borrowed view of the ranges.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountryRanges<'a> {
    codes: &'a [[u8; 2]],
    starts4: &'a [[u8; 4]],
    values4: &'a [u8],
    starts6: &'a [[u8; 8]],
    values6: &'a [u8],
}

impl<'a> CountryRanges<'a> {
    /// Takes the columns apart; none if they do not fill `bytes` exactly.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([codes, four, six], rest) = counts(bytes, *b"FTGEO1\n\0")?;
        let (codes, rest) = columns::<2>(rest, codes)?;
        let (starts4, rest) = columns::<4>(rest, four)?;
        let (values4, rest) = rest.split_at_checked(four)?;
        let (starts6, rest) = columns::<8>(rest, six)?;
        let (values6, rest) = rest.split_at_checked(six)?;
        rest.is_empty().then_some(CountryRanges {
            codes,
            starts4,
            values4,
            starts6,
            values6,
        })
    }

    /// The country of `addr`.
    pub(super) fn get(&self, addr: Addr) -> Option<Country> {
        let (values, after) = match addr.as_v4() {
            Some(n) => (
                self.values4,
                self.starts4.partition_point(|s| u32::from_le_bytes(*s) <= n),
            ),
            None => {
                let upper = (addr.0 >> 64) as u64;
                (
                    self.values6,
                    self.starts6.partition_point(|s| u64::from_le_bytes(*s) <= upper),
                )
            }
        };
        let number = *values.get(after.checked_sub(1)?)?;
        Country::parse(std::str::from_utf8(self.codes.get(usize::from(number))?).ok()?)
    }

    /// Ranges whose country is known.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.values4.iter().chain(self.values6).filter(|v| **v != 0).count()
    }

    /// True if both families ascend from 0 and every value is a code.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let four: Vec<u32> = self.starts4.iter().map(|s| u32::from_le_bytes(*s)).collect();
        let six: Vec<u64> = self.starts6.iter().map(|s| u64::from_le_bytes(*s)).collect();
        let values = self
            .values4
            .iter()
            .chain(self.values6)
            .all(|v| usize::from(*v) < self.codes.len());
        let codes = self.codes.iter().skip(1).all(|c| c.iter().all(u8::is_ascii_uppercase));
        four.first() == Some(&0)
            && six.first() == Some(&0)
            && four.is_sorted_by(|a, b| a < b)
            && six.is_sorted_by(|a, b| a < b)
            && values
            && codes
    }
}

/// The three counts with which an embedded table begins, behind its mark, and what follows them.
pub(super) fn counts(bytes: &[u8], mark: [u8; 8]) -> Option<([usize; 3], &[u8])> {
    let (head, rest) = bytes.strip_prefix(&mark)?.split_at_checked(12)?;
    let counts: [[u8; 4]; 3] = head.as_chunks().0.try_into().ok()?;
    Some((counts.map(|n| u32::from_le_bytes(n) as usize), rest))
}

/// The first `count` values of `N` bytes, and what follows them.
pub(super) fn columns<const N: usize>(bytes: &[u8], count: usize) -> Option<(&[[u8; N]], &[u8])> {
    let (column, rest) = bytes.split_at_checked(count.checked_mul(N)?)?;
    Some((column.as_chunks::<N>().0, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut b = b"FTGEO1\n\0".to_vec();
        for n in [2u32, 3, 1] {
            b.extend(n.to_le_bytes());
        }
        b.extend(b"--SE");
        for n in [0u32, 0x0100_0000, 0x0200_0000] {
            b.extend(n.to_le_bytes());
        }
        b.extend([0, 1, 0]);
        b.extend(0u64.to_le_bytes());
        b.push(1);
        b
    }

    #[test]
    fn ranges_are_found_at_their_borders() {
        let bytes = sample();
        let ranges = CountryRanges::new(&bytes).unwrap();
        let at = |s: &str| ranges.get(s.parse().unwrap()).map(|c| c.to_string());
        assert_eq!(
            [at("0.255.255.255"), at("1.0.0.0"), at("1.255.255.255"), at("2.0.0.0")],
            [None, Some("SE".into()), Some("SE".into()), None]
        );
        assert_eq!(at("2001:db8::1").as_deref(), Some("SE"));
    }

    #[test]
    fn a_cut_or_longer_file_is_refused() {
        let bytes = sample();
        for n in 0..bytes.len() {
            assert!(CountryRanges::new(&bytes[..n]).is_none());
        }
        assert!(CountryRanges::new(&[bytes.clone(), vec![0]].concat()).is_none());
    }
}
