//! Large plain files in pieces, cut at line starts, so that all threads read one file at once.

use memchr::memchr;
use std::ops::Range;

/// A file, or a piece of a large plain one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) file: u32,
    /// Byte range on disk; `None` for the whole file.
    pub(super) range: Option<Range<u64>>,
}

/// Size of the pieces in bytes.
pub(super) const PIECE: u64 = 32 << 20;

/// The byte ranges of a file's pieces.
pub(super) fn pieces(size: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(PIECE)).map(move |i| i * PIECE..(i * PIECE + PIECE).min(size))
}

/// The lines that start inside `range` of a file.
pub(super) fn lines_starting_in<'b>(bytes: &'b [u8], range: &Range<u64>) -> &'b [u8] {
    let start_of_line_from = |at: u64| {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        if at == 0 || at == bytes.len() {
            return at;
        }
        memchr(b'\n', &bytes[at - 1..]).map_or(bytes.len(), |i| at + i)
    };
    &bytes[start_of_line_from(range.start)..start_of_line_from(range.end)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cut_at_line_starts_hold_every_line_once() {
        let text = b"one\ntwo\n\nthree\nfour";
        for step in 1..text.len() as u64 + 2 {
            let starts = (0..text.len() as u64).step_by(step as usize);
            let all: Vec<u8> = starts
                .flat_map(|s| lines_starting_in(text, &(s..s + step)).to_vec())
                .collect();
            assert_eq!(all, text, "pieces of {step}");
        }
    }
}
