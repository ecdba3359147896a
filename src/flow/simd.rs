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

/// Asks for memory that will be needed soon, so that it need not be waited for then; where nothing is, nothing happens.
#[inline(always)]
pub(crate) fn ask_for<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "an instruction")]
    // SAFETY: every processor of this architecture has it, and it reads nothing that the program could see.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// A plain loop that is worth compiling for wide registers.
pub(crate) trait Wide {
    /// What it finds.
    type Found;
    /// The loop; `#[inline(always)]`, else it is compiled as everywhere else.
    fn run(self) -> Self::Found;
}

/// Runs a loop as it is compiled for wide registers, where the processor has them.
#[inline]
pub(crate) fn wide<W: Wide>(work: W) -> W::Found {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        #[target_feature(enable = "avx2")]
        fn avx2<W: Wide>(work: W) -> W::Found {
            work.run()
        }
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the processor was asked for them.
        return unsafe { avx2(work) };
    }
    work.run()
}

/// Lines of the usual shape, before their values are read: whole tokens, none empty, and enough text behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'b, 'e> {
    text: &'b [u8],
    ends: &'e [u32],
    stride: usize,
    len: usize,
}

/// So many bytes behind a token's start are loaded at once.
pub(super) const LOAD: usize = 16;

impl<'b, 'e> Stretch<'b, 'e> {
    /// `len` lines with `stride` delimiters each. `ends[0]` stands before the first token, then come all delimiters, in the
    /// order in which [`Tokens`](crate::flow::tokens::Tokens) finds them, or [`Listed`](crate::flow::listed::Listed) puts them:
    /// nobody else makes them.
    /// `None` if they do not fit together, or if so little text follows that no whole load is possible.
    pub(super) fn new(text: &'b [u8], ends: &'e [u32], stride: usize, len: usize) -> Option<Self> {
        let (_, rest) = ends.split_first()?;
        debug_assert!(rest.is_sorted());
        let last = *rest.last()? as usize;
        let fits = rest.len() == stride.checked_mul(len)? && last.checked_add(LOAD)? < text.len();
        let starts = ends[0].wrapping_add(1) as usize <= last;
        (fits && starts && len > 0).then_some(Stretch {
            text,
            ends,
            stride,
            len,
        })
    }

    /// How many lines.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Delimiters of a line.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Where tokens stand.
    pub(super) fn ends(&self) -> &'e [u32] {
        self.ends
    }

    /// The text that all positions refer to.
    pub(super) fn text(&self) -> &'b [u8] {
        self.text
    }

    /// Where token `i` of the stretch starts and ends.
    #[inline(always)]
    pub(super) fn place(&self, i: usize) -> (usize, usize) {
        (self.ends[i].wrapping_add(1) as usize, self.ends[i + 1] as usize)
    }

    /// Token `i` of the stretch.
    #[inline(always)]
    pub(super) fn token(&self, i: usize) -> &'b [u8] {
        let (start, end) = self.place(i);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Reads the values of one column in several lines at once, or says that the plain way must be taken.
pub(super) trait Values: Copy {
    /// The numbers of token `i` and of the same column in the next three lines: at most 16 digits, at most `max`.
    fn four_numbers(self, s: &Stretch<'_, '_>, i: usize, max: u64, out: &mut [u64; 4]) -> bool;
    /// Which of token `i` and the same column in the next three lines are `word`, of `length` bytes below 8: a bit each.
    fn four_words(self, s: &Stretch<'_, '_>, i: usize, word: u64, length: usize) -> Option<u32>;
    /// The IPv4 addresses of token `i` and of the same column in the next line.
    fn two_addresses(self, s: &Stretch<'_, '_>, i: usize) -> Option<[u32; 2]>;
}

/// Every processor's way: none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Values for Plain {
    #[inline(always)]
    fn four_numbers(self, _: &Stretch<'_, '_>, _: usize, _: u64, _: &mut [u64; 4]) -> bool {
        false
    }

    #[inline(always)]
    fn four_words(self, _: &Stretch<'_, '_>, _: usize, _: u64, _: usize) -> Option<u32> {
        None
    }

    #[inline(always)]
    fn two_addresses(self, _: &Stretch<'_, '_>, _: usize) -> Option<[u32; 2]> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that not every processor has")]
mod x86 {
    use super::{Stretch, Values};
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
            unsafe { two_addresses(s, i) }
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

    /// Lengths of four tokens. Where one ends stands beside where it starts: both come by one load.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn lengths(s: &Stretch<'_, '_>, at: [usize; 4]) -> __m256i {
        let pair = |i: usize| {
            debug_assert!(i + 1 < s.ends.len());
            // SAFETY: the callers below have compared their largest `i + 1` with the length; the load needs no alignment.
            unsafe { s.ends.as_ptr().add(i).cast::<i64>().read_unaligned() }
        };
        let pairs = _mm256_set_epi64x(pair(at[3]), pair(at[2]), pair(at[1]), pair(at[0]));
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
        let first = words(s, at.map(|i| place(s, i).0));
        let long = _mm256_cmpgt_epi64(length, _mm256_set1_epi64x(8));
        let numbers = match _mm256_movemask_epi8(long) {
            0 => eight_digits(first, length),
            -1 => sixteen_digits(first, length, s, at.map(|i| place(s, i).1)),
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
        let text = _mm256_and_si256(words(s, at.map(|i| place(s, i).0)), kept);
        let same = _mm256_cmpeq_epi64(text, _mm256_set1_epi64x(word as i64));
        let whole = _mm256_cmpeq_epi64(lengths, _mm256_set1_epi64x(length as i64));
        Some(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_and_si256(same, whole))) as u32)
    }

    /// Numbers of 9 to 16 digits; `None` if one is longer or no number.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn sixteen_digits(first: __m256i, length: __m256i, s: &Stretch<'_, '_>, end: [u32; 4]) -> Option<__m256i> {
        let longer = _mm256_cmpgt_epi64(length, _mm256_set1_epi64x(16));
        if _mm256_testz_si256(longer, longer) == 0 {
            return None;
        }
        let eights = _mm256_set1_epi64x(8);
        let high = eight_digits(first, _mm256_sub_epi64(length, eights))?;
        // At least nine bytes lie before each end.
        let low = eight_digits(words(s, [end[0] - 8, end[1] - 8, end[2] - 8, end[3] - 8]), eights)?;
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
    fn two_addresses(s: &Stretch<'_, '_>, i: usize) -> Option<[u32; 2]> {
        if i + s.stride + 1 >= s.ends.len() {
            return None;
        }
        let (a, b) = (place(s, i), place(s, i + s.stride));
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
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;
    use crate::flow::value::{address, number};
    use proptest::prelude::*;

    /// One token a line, and enough text behind them.
    fn placed(tokens: &[&str]) -> (Vec<u8>, Vec<u32>) {
        let (mut text, mut ends) = (Vec::new(), vec![u32::MAX]);
        for token in tokens {
            text.extend_from_slice(token.as_bytes());
            ends.push(text.len() as u32);
            text.push(b'\n');
        }
        text.extend_from_slice(&[b'7'; LOAD + 1]);
        (text, ends)
    }

    proptest! {
        #[test]
        fn words_are_told(t in proptest::array::uniform4("OK|OK.|ACCEPT|ACCEPTS?|REJECT|O|.{1,9}")) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            let tokens: Vec<&str> = t.iter().map(String::as_str).collect();
            let (text, ends) = placed(&tokens);
            let stretch = Stretch::new(&text, &ends, 1, 4).unwrap();
            for word in ["OK", "ACCEPT"] {
                let bytes = word.bytes().rev().fold(0, |n, b| n << 8 | u64::from(b));
                let plain = t.iter().enumerate().map(|(i, t)| u32::from(t == word) << i).sum();
                prop_assert_eq!(simd.four_words(&stretch, 0, bytes, word.len()), Some(plain));
            }
        }

        #[test]
        fn numbers_are_those_of_the_plain_way(
            t in proptest::array::uniform4("[0-9]{1,8}|[0-9]{9,16}|[0-9]{1,18}|-|[0-9/:]{1,9}"),
            max in any::<u64>(),
        ) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            let tokens: Vec<&str> = t.iter().map(String::as_str).collect();
            let (text, ends) = placed(&tokens);
            let stretch = Stretch::new(&text, &ends, 1, 4).unwrap();
            let mut read = [0; 4];
            let plain: Vec<_> = t.iter().map(|t| number(t.as_bytes(), max)).collect();
            if simd.four_numbers(&stretch, 0, max, &mut read) {
                prop_assert_eq!(read.map(Some).to_vec(), plain);
            } else {
                let alike = t.iter().all(|t| t.len() <= 8) || t.iter().all(|t| (9..=16).contains(&t.len()));
                prop_assert!(!alike || plain.contains(&None));
            }
        }

        #[test]
        fn addresses_are_those_of_the_plain_way(
            a in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9.]{0,16}|(25[0-9]|1?[0-9]{1,2})(\\.(25[0-9]|1?[0-9]{1,2})){3}",
            b in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9./:a]{0,16}|(2[0-5][0-9]|1?[0-9]{1,2})(\\.[1-9]?[0-9]){3}",
        ) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            let (text, ends) = placed(&[&a, &b]);
            let stretch = Stretch::new(&text, &ends, 1, 2).unwrap();
            let plain = [&a, &b].map(|t| address(t.as_bytes()).and_then(|a| a.as_v4()));
            match simd.two_addresses(&stretch, 0) {
                Some(read) => prop_assert_eq!(read.map(Some), plain),
                None => prop_assert!(plain.contains(&None)),
            }
        }
    }
}
