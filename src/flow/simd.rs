//! Numbers and addresses, several at once, or several of their parts (AVX2).
//!
//! What these read is what [`value`](crate::flow::value) reads of tokens of the usual length; for everything else they
//! return `None` and the caller takes the plain way, which is also the twin that the tests hold them against.

use crate::net::Addr;

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
    fetch::<true, T>(place);
}

/// The same of what is not needed soon: it comes no closer than the second cache, so that nothing nearer has to go.
#[inline(always)]
fn ask_for_later<T>(place: *const T) {
    fetch::<false, T>(place);
}

#[inline(always)]
fn fetch<const NEAR: bool, T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "an instruction")]
    // SAFETY: every processor of this architecture has it, and it reads nothing that the program could see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        match NEAR {
            true => _mm_prefetch::<_MM_HINT_T0>(place.cast()),
            false => _mm_prefetch::<_MM_HINT_T1>(place.cast()),
        }
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

    /// Asks for the text that comes `distance` bytes behind the lines: part `n` of so many. All at once would have to be
    /// waited for, since a processor can ask for no more than some lines of a cache at a time.
    #[inline(always)]
    pub(super) fn look_ahead(&self, distance: usize, n: usize, parts: usize) {
        const LINE: usize = 64;
        let first = self.ends[0].wrapping_add(1) as usize;
        let length = self.ends.last().map_or(0, |last| *last as usize).saturating_sub(first);
        let start = self.text.as_ptr().wrapping_add(first + distance);
        for at in (length * n / parts..length * (n + 1) / parts).step_by(LINE) {
            ask_for_later(start.wrapping_add(at));
        }
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
    /// The address of token `i`, of either family.
    fn one_address(self, s: &Stretch<'_, '_>, i: usize) -> Option<Addr>;
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

    #[inline(always)]
    fn one_address(self, _: &Stretch<'_, '_>, _: usize) -> Option<Addr> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that not every processor has")]
mod x86;

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

        #[test]
        fn a_single_address_is_that_of_the_plain_way(
            a in "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}|[0-9a-f]{0,4}(::?[0-9A-F]{1,4}){0,8}(::)?|[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-g:.]{1,45}",
            bits in any::<u128>(), zeros in any::<u8>(), before in "[0-9:]{0,5}",
        ) {
            let Some(simd) = Avx2::proof() else { return Ok(()) };
            // Whole groups of zeros, so that some are left out.
            let kept = (0..8).filter(|g| zeros >> g & 1 == 0).fold(0u128, |kept, g| kept | 0xffff << (16 * g));
            let b = std::net::Ipv6Addr::from_bits(bits & kept).to_string();
            for token in [&a, &b] {
                let (mut text, ends) = placed(&[&before, token]);
                text.extend([b'9'; 48]);
                let stretch = Stretch::new(&text, &ends, 1, 2).unwrap();
                let plain = address(token.as_bytes());
                if let Some(read) = simd.one_address(&stretch, 1) {
                    prop_assert_eq!(Some(read), plain, "{}", token);
                } else {
                    // The grammar of the standard library stands behind.
                    prop_assert!(plain.is_none() || token.contains('.') && token.contains(':'), "{}", token);
                }
            }
        }
    }
}
