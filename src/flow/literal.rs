//! One text in many bytes, and their lines: what a raw search does to every byte of an archive.
//!
//! The characters of flow logs are few, so one or two rare bytes, as a search in prose looks for, stand everywhere. Four
//! bytes of the text are compared at their distances instead, many places at once; where all four fit, the text is looked
//! for by [`memchr::memmem`], which is also the twin of the tests. Plain loops over blocks of fixed size, compiled for
//! wide registers.

use crate::flow::simd::{Wide, wide};
use memchr::memmem::Finder;

/// A text to be searched.
#[derive(Debug, Clone)]
pub struct Literal {
    finder: Finder<'static>,
    /// Four places in the text.
    at: [usize; 4],
}

/// So many places are compared before it is asked whether one of them fits.
const BLOCK: usize = 256;

impl Literal {
    /// Of a text that is not empty.
    pub fn new(text: &[u8]) -> Self {
        let mut places: Vec<usize> = (0..text.len()).collect();
        places.sort_by_key(|i| (frequency(text.get(*i).copied().unwrap_or(0)), std::cmp::Reverse(*i)));
        let at = std::array::from_fn(|i| places.get(i).or(places.first()).copied().unwrap_or(0));
        Literal {
            finder: Finder::new(text).into_owned(),
            at,
        }
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Calls `each` with every place of the text in `bytes`, in order; places may overlap.
    pub fn places(&self, bytes: &[u8], mut each: impl FnMut(usize)) {
        let mut from = 0;
        while from < bytes.len() {
            let block = from + wide(FirstBlock(self, &bytes[from..]));
            let whole = bytes.len().saturating_sub(block) >= BLOCK + self.text().len();
            let to = if whole { block + BLOCK } else { bytes.len() };
            // A place in the block may end behind it.
            let end = bytes.len().min(to + self.text().len() - 1);
            let mut start = block;
            while let Some(i) = bytes.get(start..end).and_then(|rest| self.finder.find(rest)) {
                each(start + i);
                start += i + 1;
            }
            from = to;
        }
    }
}

/// The start of the first block with a place where all four bytes fit, or of the rest that is no whole block.
struct FirstBlock<'b>(&'b Literal, &'b [u8]);

impl Wide for FirstBlock<'_> {
    type Found = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let FirstBlock(literal, bytes) = self;
        let text = literal.text();
        let wanted = literal.at.map(|i| text.get(i).copied().unwrap_or(0));
        let blocks = bytes.len().saturating_sub(text.len()) / BLOCK;
        let column = |i: usize| bytes.get(i..i + blocks * BLOCK).unwrap_or_default().as_chunks().0;
        let [a, b, c, d] = literal.at.map(column);
        for (i, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
            if fits([a, b, c, d], wanted) {
                return i * BLOCK;
            }
        }
        blocks * BLOCK
    }
}

/// True if at some place of the block all four bytes are the wanted ones.
#[inline(always)]
fn fits(block: [&[u8; BLOCK]; 4], wanted: [u8; 4]) -> bool {
    let [a, b, c, d] = block.map(|bytes| bytes.iter());
    let same = |byte: &u8, n: usize| u8::from(*byte == wanted[n]);
    let places = a.zip(b).zip(c).zip(d);
    let any = places.fold(0, |any, (((a, b), c), d)| {
        any | same(a, 0) & same(b, 1) & same(c, 2) & same(d, 3)
    });
    any != 0
}

/// How often a byte stands in flow logs, roughly: addresses, ports and times are digits, and start with the low ones.
fn frequency(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' => 3,
        b'0'..=b'2' => 2,
        b'3'..=b'9' | b'-' => 1,
        _ => 0,
    }
}

/// Lines of a text, as far as a glance shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Line ends.
    pub ends: u64,
    /// Some line may start with a lower-case letter, as a header does.
    pub may_have_header: bool,
}

impl Glance {
    /// At a whole text.
    pub fn at(text: &[u8]) -> Self {
        wide(Look(text))
    }
}

/// A look at a text.
struct Look<'b>(&'b [u8]);

/// So many bytes are counted at a time: no more line ends than fit a byte.
const GLANCE: usize = 128;

impl Wide for Look<'_> {
    type Found = Glance;

    #[inline(always)]
    fn run(self) -> Glance {
        let text = self.0;
        let next = text.get(1..).unwrap_or_default();
        let (blocks, _) = next.as_chunks::<GLANCE>();
        let (mut ends, mut low) = (0, u8::from(text.first().is_some_and(|b| is_low(*b))));
        for (block, next) in text.as_chunks::<GLANCE>().0.iter().zip(blocks) {
            let (mut n, mut any) = (0, 0);
            for (byte, next) in block.iter().zip(next) {
                let end = u8::from(*byte == b'\n');
                n += end;
                any |= end & u8::from(is_low(*next));
            }
            ends += u64::from(n);
            low |= any;
        }
        let done = blocks.len() * GLANCE;
        for (i, _) in text.iter().enumerate().skip(done).filter(|(_, b)| **b == b'\n') {
            ends += 1;
            low |= u8::from(text.get(i + 1).is_some_and(|b| is_low(*b)));
        }
        Glance {
            ends,
            may_have_header: low != 0,
        }
    }
}

/// Lower-case letters, and four signs that no line starts with.
#[inline(always)]
fn is_low(byte: u8) -> bool {
    (byte as i8) > 0x60
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_memmem(text: &[u8], bytes: &[u8]) -> Vec<usize> {
        (0..bytes.len()).filter(|i| bytes[*i..].starts_with(text)).collect()
    }

    proptest! {
        /// Few letters make many places; lengths around those of blocks.
        #[test]
        fn places_are_those_of_a_plain_search(
            text in "[01.]{1,9}", pieces in prop::collection::vec("[01.a\n]{0,40}", 0..40), cut in 0usize..600
        ) {
            let bytes = pieces.concat().into_bytes();
            let bytes = &bytes[..bytes.len().saturating_sub(cut)];
            let mut found = Vec::new();
            Literal::new(text.as_bytes()).places(bytes, |at| found.push(at));
            prop_assert_eq!(found, by_memmem(text.as_bytes(), bytes));
        }

        #[test]
        fn a_glance_counts_ends_and_misses_no_header(pieces in prop::collection::vec("[0a {\n]{0,30}", 0..2_000)) {
            let text = pieces.concat().into_bytes();
            let glance = Glance::at(&text);
            prop_assert_eq!(glance.ends, text.iter().filter(|b| **b == b'\n').count() as u64);
            let low = text.split(|b| *b == b'\n').any(|l| l.first().is_some_and(|b| is_low(*b)));
            prop_assert_eq!(glance.may_have_header, low);
        }
    }
}
