//! The instructions themselves: AVX2, four numbers or two addresses at once.
//!
//! The digits are joined by multiply-add steps (two, four, eight digits); an address is spread to four groups of three digits
//! by a shuffle that its dots choose; IPv6 has its groups padded to four digits, which become 16 bytes at once. Whoever calls holds an [`Avx2`], which is there only on a processor that has them.

use super::{Stretch, Values};
use crate::net::Addr;
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
    fn four_numbers(self, s: &Stretch<'_, '_>, i: usize, max: u64, out: &mut [u64; 4]) -> bool {
        // SAFETY: whoever has an `Avx2` has asked the processor.
        unsafe { four_numbers(s, i, max, out) }
    }

    #[inline(always)]
    fn four_words(self, s: &Stretch<'_, '_>, i: usize, word: u64, length: usize) -> Option<u32> {
        // SAFETY: whoever has an `Avx2` has asked the processor.
        unsafe { four_words(s, i, word, length) }
    }

    #[inline(always)]
    fn two_addresses(self, s: &Stretch<'_, '_>, i: usize) -> Option<[u32; 2]> {
        // SAFETY: whoever has an `Avx2` has asked the processor.
        unsafe { two_addresses(s, (i, i + s.stride)) }
    }

    #[inline(always)]
    fn one_address(self, s: &Stretch<'_, '_>, i: usize) -> Option<Addr> {
        // SAFETY: whoever has an `Avx2` has asked the processor.
        unsafe { one_address(s, i) }
    }
}

/// Start and end of token `i`, both inside the text and with [`LOAD`](super::LOAD) bytes behind them.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn place(s: &Stretch<'_, '_>, i: usize) -> (u32, u32) {
    debug_assert!(i + 1 < s.ends.len());
    // SAFETY: the callers below have compared their largest `i + 1` with the length.
    unsafe { (s.ends.get_unchecked(i).wrapping_add(1), *s.ends.get_unchecked(i + 1)) }
}

/// Where four tokens start. Written out: a closure would be compiled without the wide instructions.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn starts(s: &Stretch<'_, '_>, at: [usize; 4]) -> [u32; 4] {
    [
        place(s, at[0]).0,
        place(s, at[1]).0,
        place(s, at[2]).0,
        place(s, at[3]).0,
    ]
}

/// Where each of four tokens has its last eight bytes; they are at least as long.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn tails(s: &Stretch<'_, '_>, at: [usize; 4]) -> [u32; 4] {
    [
        place(s, at[0]).1 - 8,
        place(s, at[1]).1 - 8,
        place(s, at[2]).1 - 8,
        place(s, at[3]).1 - 8,
    ]
}

/// Two neighbouring positions, as one number.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn pair(s: &Stretch<'_, '_>, i: usize) -> i64 {
    debug_assert!(i + 1 < s.ends.len());
    // SAFETY: the callers below have compared their largest `i + 1` with the length; the load needs no alignment.
    unsafe { s.ends.as_ptr().add(i).cast::<i64>().read_unaligned() }
}

/// Lengths of four tokens. Where one ends stands beside where it starts: both come by one load.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn lengths(s: &Stretch<'_, '_>, at: [usize; 4]) -> __m256i {
    let pairs = _mm256_set_epi64x(pair(s, at[3]), pair(s, at[2]), pair(s, at[1]), pair(s, at[0]));
    // A token starts one behind the end before it; the sentinel wraps around.
    let starts = _mm256_add_epi32(pairs, _mm256_set1_epi64x(1));
    let starts = _mm256_and_si256(starts, _mm256_set1_epi64x(u32::MAX.into()));
    _mm256_sub_epi64(_mm256_srli_epi64::<32>(pairs), starts)
}

/// Eight bytes of the text from `at` on, which is a position that [`place`] gave, or up to eight bytes before an end.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn eight(s: &Stretch<'_, '_>, at: u32) -> i64 {
    debug_assert!(at as usize + 8 <= s.text.len());
    // SAFETY: positions ascend (`Tokens` and `Listed` write them so), and `Stretch::new` has seen that the last has more than `LOAD` bytes of text behind it; the load
    // needs no alignment.
    unsafe { s.text.as_ptr().add(at as usize).cast::<i64>().read_unaligned() }
}

/// Four words of the text.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn words(s: &Stretch<'_, '_>, at: [u32; 4]) -> __m256i {
    _mm256_set_epi64x(eight(s, at[3]), eight(s, at[2]), eight(s, at[1]), eight(s, at[0]))
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn four_numbers(s: &Stretch<'_, '_>, i: usize, max: u64, out: &mut [u64; 4]) -> bool {
    if i + 3 * s.stride + 1 >= s.ends.len() {
        return false;
    }
    let at = [i, i + s.stride, i + 2 * s.stride, i + 3 * s.stride];
    let length = lengths(s, at);
    let first = words(s, starts(s, at));
    let long = _mm256_cmpgt_epi64(length, _mm256_set1_epi64x(8));
    let numbers = match _mm256_movemask_epi8(long) {
        0 => eight_digits(first, length),
        -1 => sixteen_digits(first, length, s, at),
        _ => None,
    };
    let Some(numbers) = numbers else { return false };
    // Both sides are below 2^63.
    let large = _mm256_cmpgt_epi64(numbers, _mm256_set1_epi64x(max.min(i64::MAX as u64) as i64));
    // SAFETY: the array has 32 bytes, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), numbers) };
    _mm256_testz_si256(large, large) == 1
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn four_words(s: &Stretch<'_, '_>, i: usize, word: u64, length: usize) -> Option<u32> {
    if i + 3 * s.stride + 1 >= s.ends.len() || length > 7 {
        return None;
    }
    let at = [i, i + s.stride, i + 2 * s.stride, i + 3 * s.stride];
    let lengths = lengths(s, at);
    let kept = _mm256_set1_epi64x((1 << (8 * length)) - 1);
    let text = _mm256_and_si256(words(s, starts(s, at)), kept);
    let same = _mm256_cmpeq_epi64(text, _mm256_set1_epi64x(word as i64));
    let whole = _mm256_cmpeq_epi64(lengths, _mm256_set1_epi64x(length as i64));
    Some(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_and_si256(same, whole))) as u32)
}

/// Numbers of 9 to 16 digits; `None` if one is longer or no number.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn sixteen_digits(first: __m256i, length: __m256i, s: &Stretch<'_, '_>, at: [usize; 4]) -> Option<__m256i> {
    let longer = _mm256_cmpgt_epi64(length, _mm256_set1_epi64x(16));
    if _mm256_testz_si256(longer, longer) == 0 {
        return None;
    }
    let eights = _mm256_set1_epi64x(8);
    let high = eight_digits(first, _mm256_sub_epi64(length, eights))?;
    // At least nine bytes lie before each end.
    let low = eight_digits(words(s, tails(s, at)), eights)?;
    // Below 10^8 each, so that one 32-bit product is enough.
    Some(_mm256_add_epi64(
        _mm256_mul_epu32(high, _mm256_set1_epi64x(100_000_000)),
        low,
    ))
}

/// The numbers of the first `length` (1 to 8) bytes of each word; `None` if one of those is no digit.
#[inline]
#[target_feature(enable = "avx2")]
fn eight_digits(text: __m256i, length: __m256i) -> Option<__m256i> {
    let shift = _mm256_sub_epi64(_mm256_set1_epi64x(64), _mm256_slli_epi64::<3>(length));
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
    let none = Pattern {
        shuffle: [0x80; 16],
        least: [0; 4],
        ends: 0,
    };
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
fn two_addresses(s: &Stretch<'_, '_>, (i, j): (usize, usize)) -> Option<[u32; 2]> {
    if i.max(j) + 1 >= s.ends.len() {
        return None;
    }
    let (a, b) = (place(s, i), place(s, j));
    let length = [a.1.wrapping_sub(a.0), b.1.wrapping_sub(b.0)];
    if length[0].max(length[1]) > 15 {
        return None;
    }
    debug_assert!(a.0.max(b.0) as usize + super::LOAD <= s.text.len());
    // SAFETY: positions ascend (`Tokens` and `Listed` write them so), and `Stretch::new` has seen that the last has more than `LOAD` bytes of text behind it; the load
    // needs no alignment.
    let both = unsafe {
        let text = s.text.as_ptr();
        _mm256_loadu2_m128i(text.add(b.0 as usize).cast(), text.add(a.0 as usize).cast())
    };
    let dots = _mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_set1_epi8(b'.' as i8))) as u32;
    let ends = |dots: u32, length: u32| dots & ((1 << length) - 1) | 1 << length;
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

/// Either family: whichever it is, next to it stand mostly others of its kind.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn one_address(s: &Stretch<'_, '_>, i: usize) -> Option<Addr> {
    if i + 1 >= s.ends.len() {
        return None;
    }
    let (start, end) = place(s, i);
    if end.wrapping_sub(start) <= 15
        && let Some([address, _]) = two_addresses(s, (i, i))
    {
        return Some(Addr::v4(address));
    }
    ipv6(s, (start as usize, end as usize)).map(Addr)
}

/// The longest IPv6 address without dots.
const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".len();
const GROUPS: usize = 8;

/// Groups of hexadecimal digits between colons, zeros left out at most once (RFC 4291 §2.2); not those with dots.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn ipv6(s: &Stretch<'_, '_>, (start, end): (usize, usize)) -> Option<u128> {
    let token = s.text.get(start..start + 48)?;
    let length = end.checked_sub(start).filter(|n| (2..=LONGEST).contains(n))?;
    let colons = colons(token) & ((1 << length) - 1);
    // Where two colons stand side by side; 64 if nowhere.
    let twice = colons & colons >> 1;
    let gap = twice.trailing_zeros() as usize;
    if twice.count_ones() > 1 {
        return None;
    }
    let (at_start, at_end) = (gap == 0, gap + 2 == length);
    let empty = usize::from(gap < 64) + usize::from(at_start) + usize::from(at_end);
    let left_out = GROUPS.checked_sub((colons.count_ones() as usize + 1).checked_sub(empty)?)?;
    if (left_out > 0) != (gap < 64) {
        return None;
    }
    let mut groups = [u32::from_ne_bytes([b'0'; 4]); GROUPS];
    let (mut ends, mut at, mut group) = (colons | 1 << length, 0, 0);
    while ends != 0 {
        let end = ends.trailing_zeros() as usize;
        if end > at {
            *groups.get_mut(group)? = padded(token, (at, end))?;
            group += 1;
        } else if at == gap + 1 {
            group += left_out;
        } else if !(at_start && end == 0 || at_end && at == length) {
            return None;
        }
        (at, ends) = (end + 1, ends & (ends - 1));
    }
    hexadecimal(&groups)
}

/// One to four characters, and zeros in front of them.
#[inline(always)]
fn padded(token: &[u8], (at, end): (usize, usize)) -> Option<u32> {
    let text = u32::from_le_bytes(*token.get(at..)?.first_chunk()?);
    let free = 4usize.checked_sub(end - at)?;
    let zeros = u64::from(u32::from_ne_bytes([b'0'; 4])) >> (8 * (end - at));
    Some(text << (8 * free) | zeros as u32)
}

/// One bit for each of 48 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn colons(token: &[u8]) -> u64 {
    debug_assert!(token.len() >= 48);
    // SAFETY: the one caller has taken 48 bytes, and the loads need no alignment.
    let (low, high) = unsafe {
        let text = token.as_ptr();
        (_mm256_loadu_si256(text.cast()), _mm_loadu_si128(text.add(32).cast()))
    };
    let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, _mm256_set1_epi8(b':' as i8))) as u32;
    let high = _mm_movemask_epi8(_mm_cmpeq_epi8(high, _mm_set1_epi8(b':' as i8))) as u32;
    u64::from(low) | u64::from(high) << 32
}

/// Eight groups of four hexadecimal digits.
#[inline]
#[target_feature(enable = "avx2")]
fn hexadecimal(groups: &[u32; GROUPS]) -> Option<u128> {
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    let text = unsafe { _mm256_loadu_si256(groups.as_ptr().cast()) };
    let digits = _mm256_sub_epi8(text, _mm256_set1_epi8(b'0' as i8));
    let small = _mm256_or_si256(text, _mm256_set1_epi8(0x20));
    let letters = _mm256_sub_epi8(small, _mm256_set1_epi8(b'a' as i8));
    let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
    let is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letters, _mm256_set1_epi8(5)), letters);
    if _mm256_movemask_epi8(_mm256_or_si256(is_digit, is_letter)) != -1 {
        return None;
    }
    let values = _mm256_blendv_epi8(_mm256_add_epi8(letters, _mm256_set1_epi8(10)), digits, is_digit);
    let bytes = _mm256_maddubs_epi16(values, _mm256_set1_epi16(1 << 8 | 16));
    let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(bytes, bytes));
    let mut address = [0; 16];
    // SAFETY: the array has 16 bytes, and the store needs no alignment.
    unsafe { _mm_storeu_si128(address.as_mut_ptr().cast(), _mm256_castsi256_si128(packed)) };
    Some(u128::from_be_bytes(address))
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
    Some([
        _mm256_extract_epi32::<0>(packed) as u32,
        _mm256_extract_epi32::<4>(packed) as u32,
    ])
}
