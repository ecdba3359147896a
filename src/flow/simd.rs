//! Numbers and IPv4 addresses, several at once (AVX2).
//!
//! What these read is what [`value`](crate::flow::value) reads of tokens of the usual length; for everything else they
//! return `None` and the caller takes the plain way, which is also the twin that the tests hold them against. The digits
//! are joined by multiply-add steps (two, four, eight digits); an address is spread to four groups of three digits by a
//! shuffle that its dots choose.

/// True if AVX2 and its bit instructions are there; asked of the processor once.
#[inline]
pub(super) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("popcnt")
        && std::arch::is_x86_feature_detected!("lzcnt");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// True if AVX-512 with byte compression is there as well.
#[inline]
pub(super) fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return has_avx2()
        && std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512vbmi")
        && std::arch::is_x86_feature_detected!("avx512vbmi2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Reads several values at once, or says that the plain way must be taken.
pub(super) trait Values: Copy {
    /// Four numbers of at most 16 digits, whose tokens stand at `at` (start, end).
    fn four_numbers(self, text: &[u8], at: [(usize, usize); 4]) -> Option<[u64; 4]>;
    /// Two IPv4 addresses.
    fn two_addresses(self, text: &[u8], at: [(usize, usize); 2]) -> Option<[u32; 2]>;
}

/// Every processor's way: none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Values for Plain {
    #[inline(always)]
    fn four_numbers(self, _: &[u8], _: [(usize, usize); 4]) -> Option<[u64; 4]> {
        None
    }

    #[inline(always)]
    fn two_addresses(self, _: &[u8], _: [(usize, usize); 2]) -> Option<[u32; 2]> {
        None
    }
}

/// Eight bytes from `at` on.
#[inline(always)]
pub(super) fn eight(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..at + 8)?.first_chunk()?))
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that not every processor has")]
mod x86 {
    use super::{Values, eight};
    use std::arch::x86_64::*;
    use std::sync::LazyLock;

    /// Proof that the processor has AVX2.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::flow) struct Avx2(());

    impl Avx2 {
        /// The proof, if it holds.
        pub(in crate::flow) fn proof() -> Option<Self> {
            super::has_avx2().then_some(Avx2(()))
        }
    }

    impl Values for Avx2 {
        #[inline(always)]
        fn four_numbers(self, text: &[u8], at: [(usize, usize); 4]) -> Option<[u64; 4]> {
            // SAFETY: whoever has an `Avx2` has asked the processor.
            unsafe { four_numbers(text, at) }
        }

        #[inline(always)]
        fn two_addresses(self, text: &[u8], at: [(usize, usize); 2]) -> Option<[u32; 2]> {
            // SAFETY: whoever has an `Avx2` has asked the processor.
            unsafe { two_addresses(text, at) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn four_numbers(text: &[u8], at: [(usize, usize); 4]) -> Option<[u64; 4]> {
        let length = at.map(|(s, e)| e.wrapping_sub(s));
        let longest = length[0].max(length[1]).max(length[2].max(length[3]));
        let shortest = length[0].min(length[1]).min(length[2].min(length[3]));
        let first = [eight(text, at[0].0)?, eight(text, at[1].0)?, eight(text, at[2].0)?, eight(text, at[3].0)?];
        if longest <= 8 && shortest > 0 {
            return Some(numbers(eight_digits(first, length)?));
        }
        if longest > 16 || shortest <= 8 {
            return None;
        }
        let last = |k: usize| eight(text, at[k].1 - 8);
        let last = [last(0)?, last(1)?, last(2)?, last(3)?];
        let high = eight_digits(first, length.map(|n| n - 8))?;
        let low = eight_digits(last, [8; 4])?;
        let shifted = _mm256_mul_epu32(high, _mm256_set1_epi64x(100_000_000));
        // Below 10^8 each, so that one 32-bit product is enough.
        Some(numbers(_mm256_add_epi64(shifted, low)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn numbers(v: __m256i) -> [u64; 4] {
        let mut out = [0u64; 4];
        // SAFETY: the array has 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) };
        out
    }

    /// The numbers of the first `length` (1 to 8) bytes of each word; `None` if one of those is no digit.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn eight_digits(words: [u64; 4], length: [usize; 4]) -> Option<__m256i> {
        let [a, b, c, d] = words.map(|w| w as i64);
        let shift = length.map(|n| 64 - 8 * n as i64);
        let text = _mm256_set_epi64x(d, c, b, a);
        let shift = _mm256_set_epi64x(shift[3], shift[2], shift[1], shift[0]);
        let digits = _mm256_sub_epi8(text, _mm256_set1_epi8(b'0' as i8));
        // The last digit comes to the top; what follows the token falls out, and zeros lead.
        let digits = _mm256_sllv_epi64(digits, shift);
        let good = _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
        if _mm256_movemask_epi8(good) != -1 {
            return None;
        }
        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(1 << 8 | 10));
        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(1 << 16 | 100));
        let high = _mm256_mul_epu32(fours, _mm256_set1_epi64x(10_000));
        Some(_mm256_add_epi64(high, _mm256_srli_epi64::<32>(fours)))
    }

    /// How the digits of an address are spread, by where its dots and its end stand.
    #[derive(Clone, Copy)]
    #[repr(align(32))]
    struct Pattern {
        shuffle: [u8; 16],
        /// Least value of each part: what has two digits is at least 10.
        least: [i32; 4],
        ends: u32,
    }

    /// Multiplying the 81 possible sets of ends by this and taking the upper eight bits gives 81 different slots.
    const HASH: u32 = 3_766_213_535;

    static PATTERNS: LazyLock<Box<[Pattern; 256]>> = LazyLock::new(|| {
        let none = Pattern { shuffle: [0x80; 16], least: [0; 4], ends: 0 };
        let mut table = Box::new([none; 256]);
        for n in 0..81usize {
            let lengths = [1 + n % 3, 1 + n / 3 % 3, 1 + n / 9 % 3, 1 + n / 27];
            let mut pattern = none;
            let mut at = 0;
            for (part, length) in lengths.into_iter().enumerate() {
                for digit in 0..length {
                    pattern.shuffle[4 * part + 3 - length + digit] = (at + digit) as u8;
                }
                pattern.least[part] = [0, 10, 100][length - 1];
                at += length;
                pattern.ends |= 1 << at;
                at += 1;
            }
            table[slot(pattern.ends)] = pattern;
        }
        table
    });

    #[inline(always)]
    fn slot(ends: u32) -> usize {
        (ends.wrapping_mul(HASH) >> 24) as usize
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn two_addresses(text: &[u8], at: [(usize, usize); 2]) -> Option<[u32; 2]> {
        let length = at.map(|(s, e)| e.wrapping_sub(s));
        if length[0].max(length[1]) > 15 {
            return None;
        }
        let a: &[u8; 16] = text.get(at[0].0..at[0].0 + 16)?.first_chunk()?;
        let b: &[u8; 16] = text.get(at[1].0..at[1].0 + 16)?.first_chunk()?;
        // SAFETY: each has 16 bytes, and the load needs no alignment.
        let both = unsafe { _mm256_loadu2_m128i(b.as_ptr().cast(), a.as_ptr().cast()) };
        let dots = _mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_set1_epi8(b'.' as i8))) as u32;
        let ends = |dots: u32, length: usize| dots & ((1 << length) - 1) | 1 << length;
        let ends = [ends(dots & 0xffff, length[0]), ends(dots >> 16, length[1])];
        let patterns = &**PATTERNS;
        let (p, q) = (&patterns[slot(ends[0]) & 255], &patterns[slot(ends[1]) & 255]);
        if (p.ends, q.ends) != (ends[0], ends[1]) {
            return None;
        }
        // SAFETY: each has 16 bytes, and the loads need no alignment.
        let shuffle = unsafe { _mm256_loadu2_m128i(q.shuffle.as_ptr().cast(), p.shuffle.as_ptr().cast()) };
        // SAFETY: as above.
        let least = unsafe { _mm256_loadu2_m128i(q.least.as_ptr().cast(), p.least.as_ptr().cast()) };
        parts(both, shuffle, least)
    }

    /// Digits to four parts each, to one number each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn parts(text: __m256i, shuffle: __m256i, least: __m256i) -> Option<[u32; 2]> {
        let digits = _mm256_sub_epi8(text, _mm256_set1_epi8(b'0' as i8));
        let digits = _mm256_shuffle_epi8(digits, shuffle);
        let strange = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
        // Hundreds and tens, ones and nothing.
        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi32(1 << 16 | 10 << 8 | 100));
        let parts = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        let large = _mm256_cmpgt_epi32(parts, _mm256_set1_epi32(255));
        let small = _mm256_cmpgt_epi32(least, parts);
        let bad = _mm256_or_si256(strange, _mm256_or_si256(large, small));
        if _mm256_testz_si256(bad, bad) == 0 {
            return None;
        }
        let order = _mm256_set1_epi32(0x0004_080c);
        let packed = _mm256_shuffle_epi8(parts, order);
        Some([_mm256_extract_epi32::<0>(packed) as u32, _mm256_extract_epi32::<4>(packed) as u32])
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;
    use crate::flow::value::{address, number};
    use proptest::prelude::*;

    /// Tokens one after the other, and enough behind them to be loaded.
    fn placed<const N: usize>(tokens: [&str; N]) -> (Vec<u8>, [(usize, usize); N]) {
        let mut text = Vec::new();
        let at = tokens.map(|t| {
            let start = text.len();
            text.extend_from_slice(t.as_bytes());
            text.push(b' ');
            (start, start + t.len())
        });
        text.extend_from_slice(&[b'7'; 16]);
        (text, at)
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_plain_way(t in proptest::array::uniform4("[0-9]{1,8}|[0-9]{9,16}|[0-9]{0,18}|-|[0-9/:]{1,9}")) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            let (text, at) = placed(std::array::from_fn::<&str, 4, _>(|i| &t[i]));
            if let Some(read) = simd.four_numbers(&text, at) {
                let plain: Vec<_> = t.iter().map(|t| number(t.as_bytes(), u64::MAX)).collect();
                prop_assert_eq!(read.map(Some).to_vec(), plain);
            } else {
                let alike = t.iter().all(|t| t.len() <= 8) || t.iter().all(|t| (9..=16).contains(&t.len()));
                prop_assert!(!alike || t.iter().any(|t| number(t.as_bytes(), u64::MAX).is_none()));
            }
        }

        #[test]
        fn addresses_are_those_of_the_plain_way(
            a in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9.]{0,16}|(25[0-9]|1?[0-9]{1,2})(\\.(25[0-9]|1?[0-9]{1,2})){3}",
            b in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9./:a]{0,16}|(2[0-5][0-9]|1?[0-9]{1,2})(\\.[1-9]?[0-9]){3}",
        ) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            let (text, at) = placed([a.as_str(), b.as_str()]);
            let plain = [&a, &b].map(|t| address(t.as_bytes()).and_then(|a| a.as_v4()));
            match simd.two_addresses(&text, at) {
                Some(read) => prop_assert_eq!(read.map(Some), plain),
                None => prop_assert!(plain.contains(&None)),
            }
        }
    }
}
