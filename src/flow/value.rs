//! The grammar of single values: numbers, addresses, `-`.
//!
//! Stricter than the standard library where AWS is: digits only (Rust's integer parser takes `+443`), no leading zeros
//! in IPv4. A value of the wrong form is `None`; the caller knows line and column. Numbers and IPv4 of the usual length
//! are read by plain loops; their grammar in nom reads the rest and is held against them by the tests.

use crate::net::Addr;
use nom::Parser;
use nom::character::complete::u64 as digits;
use nom::combinator::all_consuming;
use std::net::Ipv6Addr;

/// AWS's "not applicable or not computed".
pub const DASH: &[u8] = b"-";

/// A decimal number of at most `max`.
#[inline]
pub fn number(i: &[u8], max: u64) -> Option<u64> {
    const SAFE: usize = 19; // digits that cannot pass 2^64
    if i.is_empty() || i.len() > SAFE {
        return number_by_grammar(i, max);
    }
    let mut n = 0u64;
    for b in i {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + u64::from(digit);
    }
    (n <= max).then_some(n)
}

/// IPv4 (four parts, no leading zero) or IPv6 (RFC 4291, no zone).
#[inline]
pub fn address(i: &[u8]) -> Option<Addr> {
    ipv4(i).or_else(|| ipv6(i))
}

#[inline]
fn ipv4(i: &[u8]) -> Option<Addr> {
    const LONGEST: usize = "255.255.255.255".len();
    if i.len() > LONGEST {
        return None;
    }
    let (mut all, mut part, mut digits, mut dots) = (0u32, 0u32, 0u32, 0u32);
    for b in i {
        let digit = b.wrapping_sub(b'0');
        if digit <= 9 {
            // A second digit after a leading zero is refused, and a fourth.
            if digits > 0 && part == 0 || digits == 3 {
                return None;
            }
            part = part * 10 + u32::from(digit);
            digits += 1;
        } else if *b == b'.' && digits > 0 && part <= 255 {
            (all, part, digits, dots) = (all << 8 | part, 0, 0, dots + 1);
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0 && part <= 255).then(|| Addr::v4(all << 8 | part))
}

/// The grammar of numbers in nom: what is longer than the fast path takes, and its twin in the tests.
fn number_by_grammar(i: &[u8], max: u64) -> Option<u64> {
    let (_, n) = all_consuming(digits::<_, nom::error::Error<&[u8]>>).parse(i).ok()?;
    (n <= max).then_some(n)
}

/// The grammar of IPv4 in nom: the twin of the loop above.
#[cfg(test)]
fn ipv4_by_grammar(i: &[u8]) -> Option<Addr> {
    use nom::character::complete::{char, u8 as octet_digits};
    use nom::combinator::verify;
    fn octet(i: &[u8]) -> nom::IResult<&[u8], u8> {
        let leading_zero = i.len() > 1 && i[0] == b'0' && i[1].is_ascii_digit();
        verify(octet_digits, move |_: &u8| !leading_zero).parse(i)
    }
    let parts = (octet, char('.'), octet, char('.'), octet, char('.'), octet);
    let (_, (a, _, b, _, c, _, d)) = all_consuming(parts).parse(i).ok()?;
    Some(Addr::v4(u32::from_be_bytes([a, b, c, d])))
}

fn ipv6(i: &[u8]) -> Option<Addr> {
    const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    if i.len() > LONGEST {
        return None;
    }
    let ip = match usual_ipv6(i) {
        Some(bits) => Ipv6Addr::from_bits(bits),
        None if i.contains(&b':') => std::str::from_utf8(i).ok()?.parse().ok()?,
        None => return None,
    };
    Some(Addr::from(std::net::IpAddr::V6(ip)))
}

/// The value of a hexadecimal digit; of other bytes 16.
const HEX: [u8; 256] = {
    let mut values = [16; 256];
    let mut n = 0;
    while n < 16 {
        let digit = b"0123456789abcdef"[n];
        values[digit as usize] = n as u8;
        values[digit.to_ascii_uppercase() as usize] = n as u8;
        n += 1;
    }
    values
};

/// Groups of hexadecimal digits, zeros left out at most once: what AWS writes. The standard library reads everything else
/// (and says what is none), and is the twin in the tests.
fn usual_ipv6(text: &[u8]) -> Option<u128> {
    const GROUPS: u32 = 8;
    let (mut all, mut groups, mut gap) = (0u128, 0u32, None);
    let (mut value, mut digits, mut at) = (0u16, 0, 0);
    if text.starts_with(b"::") {
        (gap, at) = (Some(0), 2);
    }
    while let Some(b) = text.get(at) {
        at += 1;
        let digit = HEX[usize::from(*b)];
        if digit < 16 && digits < 4 {
            (value, digits) = (value << 4 | u16::from(digit), digits + 1);
            continue;
        }
        if *b != b':' || digits == 0 || groups == GROUPS - 1 {
            return None;
        }
        (all, groups, value, digits) = (all << 16 | u128::from(value), groups + 1, 0, 0);
        if text.get(at) == Some(&b':') {
            if gap.is_some() {
                return None;
            }
            (gap, at) = (Some(groups), at + 1);
        }
    }
    if digits > 0 {
        (all, groups) = (all << 16 | u128::from(value), groups + 1);
    } else if gap != Some(groups) {
        return None;
    }
    match gap {
        None => (groups == GROUPS).then_some(all),
        Some(0) => (groups < GROUPS).then_some(all),
        Some(before) if groups < GROUPS => {
            let behind = 16 * (groups - before);
            Some((all >> behind) << (16 * (GROUPS - before)) | all & ((1 << behind) - 1))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_plain_digits_within_their_type() {
        assert_eq!(number(b"443", 65_535), Some(443));
        assert_eq!(number(b"9223372036854775807", i64::MAX as u64), Some(i64::MAX as u64));
        for bad in [
            "",
            "+443",
            "-1",
            "1e3",
            "0x5",
            "1_0",
            "1.0",
            "65536",
            "18446744073709551716",
            "４４３",
            "4 ",
            "\0",
        ] {
            assert_eq!(number(bad.as_bytes(), 65_535), None, "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_those_that_aws_writes() {
        for good in [
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "::ffff:1.2.3.4",
            "FE80::1",
        ] {
            assert_eq!(address(good.as_bytes()), Some(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "",
            "-",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.256",
            "1.2.3.4/8",
            "fe80::1%eth0",
            "[::1]",
            "1.2.3.4\0",
        ] {
            assert_eq!(address(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        /// The twin is the standard library, which is as strict for addresses.
        #[test]
        fn addresses_agree_with_the_standard_library(s in "[0-9a-f:.]{1,24}|[0-9]{1,3}(\\.[0-9]{1,3}){3}") {
            prop_assert_eq!(address(s.as_bytes()), s.parse::<Addr>().ok());
        }

        /// Whole ones with zeros left out or not, and such with one letter too many or too few.
        #[test]
        fn ipv6_agrees_with_the_standard_library(
            bits in any::<u128>(), keep in any::<u128>(), style in 0..3, at in 0usize..40, edit in "[0-9a-fA-F:]?", drop in any::<bool>()
        ) {
            let a = Ipv6Addr::from_bits(bits & keep & keep.rotate_left(37));
            let mut text = match style {
                0 => a.to_string(),
                1 => a.segments().map(|g| format!("{g:x}")).join(":"),
                _ => a.segments().map(|g| format!("{g:04X}")).join(":"),
            };
            prop_assert_eq!(address(text.as_bytes()), text.parse::<Addr>().ok());
            let at = at.min(text.len());
            let end = (at + usize::from(drop)).min(text.len());
            text.replace_range(at..end, &edit);
            prop_assert_eq!(address(text.as_bytes()), text.parse::<Addr>().ok(), "{}", text);
        }

        #[test]
        fn both_grammars_of_ipv4_agree(s in "[0-9.]{0,16}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|.{0,20}") {
            prop_assert_eq!(ipv4(s.as_bytes()), ipv4_by_grammar(s.as_bytes()));
        }

        #[test]
        fn both_grammars_of_numbers_agree(s in "[0-9]{0,22}|.{0,6}", max in any::<u64>()) {
            prop_assert_eq!(number(s.as_bytes(), max), number_by_grammar(s.as_bytes(), max));
        }

        #[test]
        fn numbers_agree_with_digit_by_digit_arithmetic(s in "[0-9]{1,22}", max in any::<u64>()) {
            let slow = s.bytes().try_fold(0u128, |n, b| Some(n * 10 + u128::from(b - b'0')))
                .filter(|n| *n <= u128::from(max)).map(|n| n as u64);
            prop_assert_eq!(number(s.as_bytes(), max), slow);
        }
    }
}
