//! Where fields end: every blank and newline of a window, 64 bytes at a time.
//!
//! Bytes up to the space end a field; which of them are newlines, and whether the window holds anything but single
//! spaces and newlines, is noted in the same pass. The positions come from bit masks: by AVX-512 or AVX2 where the
//! processor has them, else byte by byte, which is also the twin that the tests hold the others against.

/// The delimiters of one window.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    /// Room for [`Tokens::ends`]; the first is a sentinel, so that field `i` starts one after `ends[i]`.
    ends: Vec<u32>,
    count: usize,
    /// Room for [`Tokens::lines`].
    lines: Vec<u32>,
    line_count: usize,
    /// True if the window holds single spaces and newlines only: no other control character, no empty field.
    pub(super) clean: bool,
}

/// The bytes below or equal are taken for delimiters.
const BLANK: u8 = b' ';
const STEP: usize = 64;
/// So many positions are written at once, wanted or not.
const SLACK: usize = 16;

/// One bit for each of 64 bytes.
#[derive(Clone, Copy)]
struct Masks {
    blank: u64,
    newline: u64,
    control: u64,
}

impl Tokens {
    /// Positions of all delimiters, after the sentinel.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends[..self.count]
    }

    /// For each newline its index in [`Tokens::ends`].
    pub(super) fn lines(&self) -> &[u32] {
        &self.lines[..self.line_count]
    }

    /// Finds the delimiters of `window`, which must be shorter than 4 GiB.
    pub(super) fn find(&mut self, window: &[u8]) {
        let whole = window.len() - window.len() % STEP;
        let (steps, rest) = window.split_at(whole);
        let mut last = [b'x'; STEP];
        last[..rest.len()].copy_from_slice(rest);
        let mut finder = self.begin(window.len());
        whole_steps(steps, &mut finder);
        finder.step(whole as u32, masks_by_byte(&last), by_bit);
        let (count, line_count, clean) = (finder.count, finder.line_count, finder.odd == 0);
        (self.count, self.line_count, self.clean) = (count, line_count, clean);
    }

    fn begin(&mut self, length: usize) -> Finder<'_> {
        // One place for every byte and for those that are written at once: no check while writing.
        let room = length + STEP + SLACK;
        for places in [&mut self.ends, &mut self.lines] {
            if places.len() < room {
                places.resize(room, 0);
            }
        }
        self.ends[0] = u32::MAX;
        Finder {
            ends: &mut self.ends,
            count: 1,
            lines: &mut self.lines,
            line_count: 0,
            odd: 0,
            carry: 1,
        }
    }
}

/// What was found so far of a window.
struct Finder<'t> {
    ends: &'t mut [u32],
    count: usize,
    lines: &'t mut [u32],
    line_count: usize,
    /// Not 0 if anything but single spaces and newlines was met.
    odd: u64,
    /// 1 if the byte before was a delimiter, as the start of a window is.
    carry: u64,
}

impl Finder<'_> {
    /// Takes in the masks of 64 bytes that start at `base`; `write` puts the positions of a mask's bits into its room.
    #[inline(always)]
    fn step(&mut self, base: u32, m: Masks, write: impl FnOnce(u32, u64, &mut [u32])) {
        self.odd |= (m.control & !m.newline) | (m.blank & (m.blank << 1 | self.carry));
        self.carry = m.blank >> 63;
        // The first is written also where there is none: lines are longer than a step, so more than one is rare, and
        // whether there is one cannot be foreseen.
        self.line(m.blank, m.newline);
        self.line_count += usize::from(m.newline != 0);
        let mut more = m.newline & m.newline.wrapping_sub(1);
        while more != 0 {
            self.line(m.blank, more);
            self.line_count += 1;
            more &= more - 1;
        }
        write(base, m.blank, &mut self.ends[self.count..]);
        self.count += m.blank.count_ones() as usize;
    }

    /// Writes which delimiter the lowest newline is.
    #[inline(always)]
    fn line(&mut self, blank: u64, newlines: u64) {
        let before = (newlines & newlines.wrapping_neg()).wrapping_sub(1);
        self.lines[self.line_count] = self.count as u32 + (blank & before).count_ones();
    }
}

/// Writes positions eight at a time.
#[inline(always)]
fn by_bit(base: u32, mut mask: u64, into: &mut [u32]) {
    let mut left = mask.count_ones();
    let mut at = 0;
    loop {
        let Some(slots) = into.get_mut(at..at + 8) else { return };
        for slot in slots {
            *slot = base.wrapping_add(mask.trailing_zeros());
            mask &= mask.wrapping_sub(1);
        }
        if left <= 8 {
            return;
        }
        left -= 8;
        at += 8;
    }
}

fn masks_by_byte(bytes: &[u8; STEP]) -> Masks {
    let mask = |of: fn(u8) -> bool| {
        let bit = |(i, b): (usize, &u8)| u64::from(of(*b)) << i;
        bytes.iter().enumerate().map(bit).fold(0, |a, b| a | b)
    };
    Masks {
        blank: mask(|b| b <= BLANK),
        newline: mask(|b| b == b'\n'),
        control: mask(|b| b < BLANK),
    }
}

/// Takes in a window of whole steps.
fn whole_steps(window: &[u8], finder: &mut Finder<'_>) {
    #[cfg(target_arch = "x86_64")]
    if x86::whole_steps(window, finder) {
        return;
    }
    by_byte(window, finder);
}

/// The portable twin.
fn by_byte(window: &[u8], finder: &mut Finder<'_>) {
    for (i, bytes) in window.as_chunks::<STEP>().0.iter().enumerate() {
        finder.step((i * STEP) as u32, masks_by_byte(bytes), by_bit);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that not every processor has")]
mod x86 {
    use super::{BLANK, Finder, Masks, STEP, by_bit};
    use crate::flow::simd::ask_for;
    use std::arch::x86_64::*;

    /// The best that this processor can; false if that is nothing special.
    pub(super) fn whole_steps(window: &[u8], finder: &mut Finder<'_>) -> bool {
        if crate::flow::simd::has_avx512() {
            // SAFETY: the processor was asked for these instructions.
            unsafe { avx512(window, finder) };
            return true;
        }
        let can = crate::flow::simd::has_avx2();
        if can {
            // SAFETY: the processor was asked for these instructions.
            unsafe { avx2(window, finder) };
        }
        can
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn avx2(window: &[u8], finder: &mut Finder<'_>) {
        for (i, bytes) in window.as_chunks::<STEP>().0.iter().enumerate() {
            look_ahead(bytes);
            let (low, high) = (half(bytes, 0), half(bytes, 32));
            let join = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
            let masks = Masks {
                blank: join(low[0], high[0]),
                newline: join(low[1], high[1]),
                control: join(low[2], high[2]),
            };
            finder.step((i * STEP) as u32, masks, by_bit);
        }
    }

    /// Asks for bytes that come later: the processor itself looks ahead only as long as nothing else is read.
    #[inline(always)]
    fn look_ahead(bytes: &[u8; STEP]) {
        const AHEAD: usize = 4096;
        ask_for(bytes.as_ptr().wrapping_add(AHEAD));
    }

    /// Blanks, newlines and control characters of 32 bytes.
    #[target_feature(enable = "avx2")]
    fn half(bytes: &[u8; STEP], from: usize) -> [u32; 3] {
        // SAFETY: `from` is 0 or 32 of 64 bytes, and the load needs no alignment.
        let v = unsafe { _mm256_loadu_si256(bytes.as_ptr().add(from).cast()) };
        let blank = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(BLANK as i8)), v);
        let newline = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'\n' as i8));
        let control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(BLANK as i8 - 1)), v);
        [
            _mm256_movemask_epi8(blank) as u32,
            _mm256_movemask_epi8(newline) as u32,
            _mm256_movemask_epi8(control) as u32,
        ]
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn avx512(window: &[u8], finder: &mut Finder<'_>) {
        let places = std::array::from_fn::<i8, STEP, _>(|i| i as i8);
        // SAFETY: the array has 64 bytes, and the load needs no alignment.
        let places = unsafe { _mm512_loadu_si512(places.as_ptr().cast()) };
        for (i, bytes) in window.as_chunks::<STEP>().0.iter().enumerate() {
            look_ahead(bytes);
            // SAFETY: a step is 64 bytes, and the load needs no alignment.
            let v = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
            let masks = Masks {
                blank: _mm512_cmple_epu8_mask(v, _mm512_set1_epi8(BLANK as i8)),
                newline: _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(b'\n' as i8)),
                control: _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(BLANK as i8)),
            };
            finder.step((i * STEP) as u32, masks, |base, mask, into| {
                compress(places, base, mask, into)
            });
        }
    }

    /// Writes the positions of the bits of `mask`, sixteen at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
    #[inline]
    fn compress(places: __m512i, base: u32, mask: u64, into: &mut [u32]) {
        let packed = _mm512_maskz_compress_epi8(mask, places);
        let base = _mm512_set1_epi32(base as i32);
        let count = mask.count_ones() as usize;
        let Some(first) = into.first_chunk_mut::<16>() else {
            return;
        };
        let wide = _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed)), base);
        // SAFETY: the array has room for sixteen numbers, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(first.as_mut_ptr().cast(), wide) };
        if count > 16 {
            by_bit_from(places, packed, base, count, into);
        }
    }

    #[cold]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2")]
    fn by_bit_from(_: __m512i, packed: __m512i, base: __m512i, count: usize, into: &mut [u32]) {
        let parts = [
            _mm512_extracti32x4_epi32::<1>(packed),
            _mm512_extracti32x4_epi32::<2>(packed),
            _mm512_extracti32x4_epi32::<3>(packed),
        ];
        for (k, part) in parts.into_iter().enumerate() {
            let at = 16 * (k + 1);
            let Some(room) = into.get_mut(at..).and_then(|r| r.first_chunk_mut::<16>()) else {
                return;
            };
            if at < count {
                let wide = _mm512_add_epi32(_mm512_cvtepu8_epi32(part), base);
                // SAFETY: the array has room for sixteen numbers, and the store needs no alignment.
                unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), wide) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(window: &[u8], steps: impl Fn(&[u8], &mut Finder<'_>)) -> (Vec<u32>, Vec<u32>, bool, u64) {
        let mut t = Tokens::default();
        let mut finder = t.begin(window.len());
        steps(&window[..window.len() - window.len() % STEP], &mut finder);
        let (ends, lines) = (&finder.ends[..finder.count], &finder.lines[..finder.line_count]);
        (ends.to_vec(), lines.to_vec(), finder.odd == 0, finder.carry)
    }

    proptest! {
        #[test]
        fn all_paths_find_the_same(window in proptest::collection::vec(
            prop_oneof![4 => Just(b' '), 2 => Just(b'\n'), 1 => any::<u8>(), 9 => b'0'..=b'z'], 0..700)) {
            prop_assert_eq!(of(&window, whole_steps), of(&window, by_byte));
            let mut tokens = Tokens::default();
            tokens.find(&window);
            let ends: Vec<u32> = (0..window.len() as u32).filter(|i| window[*i as usize] <= b' ').collect();
            prop_assert_eq!(&tokens.ends()[1..], &ends[..]);
            let newlines: Vec<u32> = tokens.lines().iter().map(|l| tokens.ends()[*l as usize]).collect();
            let naive: Vec<u32> = ends.into_iter().filter(|i| window[*i as usize] == b'\n').collect();
            prop_assert_eq!(newlines, naive);
            let empty = window.first().is_some_and(|b| *b <= b' ') || window.windows(2).any(|w| w[0] <= b' ' && w[1] <= b' ');
            let control = window.iter().any(|b| *b < b' ' && *b != b'\n');
            prop_assert_eq!(tokens.clean, !empty && !control);
        }
    }
}
