//! Large plain files in pieces, cut at line starts, so that all threads read one file at once.

use memchr::memchr;
use std::cmp::Reverse;
use std::ops::Range;

/// A file, or a piece of a large plain one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) file: u32,
    /// Byte range on disk; `None` for the whole file.
    pub(super) range: Option<Range<u64>>,
}

/// The tasks of an archive by number, in the order of files: only files in pieces take any room.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// Files so far; the last may be in pieces.
    files: u32,
    cut: Vec<Cut>,
}

/// A file in pieces.
#[derive(Debug)]
struct Cut {
    file: u32,
    /// The number of its first piece.
    first: u32,
    size: u64,
}

impl Cut {
    /// The number of the task behind its pieces.
    fn end(&self) -> u32 {
        self.first + u32::try_from(self.size.div_ceil(PIECE)).unwrap_or(u32::MAX)
    }
}

impl Tasks {
    /// Adds the next file, whole, or a file of this size in pieces.
    pub(super) fn push(&mut self, in_pieces: Option<u64>) {
        if let Some(size) = in_pieces {
            let (file, first) = (self.files, self.len());
            self.cut.push(Cut { file, first, size });
        }
        self.files += 1;
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.cut
            .last()
            .map_or(self.files, |c| c.end() + (self.files - c.file - 1))
    }

    /// The task with this number.
    pub(super) fn get(&self, number: u32) -> Task {
        let before = self.cut.partition_point(|c| c.first <= number);
        let Some(cut) = before.checked_sub(1).and_then(|n| self.cut.get(n)) else {
            return Task {
                file: number,
                range: None,
            };
        };
        let range = pieces(cut.size).nth((number - cut.first) as usize);
        let file = match &range {
            Some(_) => cut.file,
            None => cut.file + 1 + (number - cut.end()),
        };
        Task { file, range }
    }

    /// The numbers of all tasks, large ones first, the longest of them before the others: what is left for the end is
    /// short, and only large ones take room. `sizes` are those of the files.
    pub(super) fn in_order(&self, sizes: impl Iterator<Item = u64>) -> Order {
        let mut large: Vec<(Reverse<u64>, u32)> = Vec::new();
        let mut number = 0;
        for (file, size) in (0u32..).zip(sizes) {
            let cut = self.cut.binary_search_by_key(&file, |c| c.file);
            let in_pieces = cut.ok().and_then(|n| self.cut.get(n));
            let parts = in_pieces.map(|c| pieces(c.size).map(|r| r.end - r.start).collect());
            for size in parts.unwrap_or_else(|| vec![size]) {
                large.extend((size >= LARGE).then_some((Reverse(size), number)));
                number += 1;
            }
        }
        large.sort_unstable();
        let first: Vec<u32> = large.into_iter().map(|(_, number)| number).collect();
        let mut large = first.clone();
        large.sort_unstable();
        Order {
            first,
            large,
            tasks: number,
        }
    }
}

/// In which order tasks are done.
#[derive(Debug)]
pub(super) struct Order {
    /// The large ones, as they are done.
    first: Vec<u32>,
    /// The same, sorted.
    large: Vec<u32>,
    tasks: u32,
}

impl Order {
    /// Steps that there are; some do nothing.
    pub(super) fn steps(&self) -> usize {
        self.first.len() + self.tasks as usize
    }

    /// The task of a step; none if it was done before.
    pub(super) fn task(&self, step: usize) -> Option<u32> {
        if let Some(large) = self.first.get(step) {
            return Some(*large);
        }
        let number = u32::try_from(step - self.first.len()).ok()?;
        (number < self.tasks && self.large.binary_search(&number).is_err()).then_some(number)
    }

    /// All tasks as they are done.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.steps()).filter_map(|step| self.task(step))
    }
}

/// Tasks from this size on are done first.
const LARGE: u64 = 1 << 20;

/// Size of the pieces in bytes.
pub(super) const PIECE: u64 = 16 << 20;

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
    fn tasks_are_numbered_by_files_and_pieces_and_each_is_done_once() {
        let sizes = [10, 3 * PIECE - 1, LARGE, 2 * PIECE, 0];
        let mut tasks = Tasks::default();
        let mut plain = Vec::new();
        for (file, size) in (0u32..).zip(sizes) {
            let in_pieces = (size >= 2 * PIECE).then_some(size);
            tasks.push(in_pieces);
            match in_pieces {
                Some(size) => plain.extend(pieces(size).map(|r| Task { file, range: Some(r) })),
                None => plain.push(Task { file, range: None }),
            }
        }
        let numbers = 0..tasks.len();
        assert_eq!(numbers.clone().map(|n| tasks.get(n)).collect::<Vec<_>>(), plain);
        let order = tasks.in_order(sizes.into_iter());
        let done: Vec<u32> = order.iter().collect();
        assert_eq!(done, [1, 2, 5, 6, 3, 4, 0, 7]);
        assert_eq!(Tasks::default().in_order(std::iter::empty()).steps(), 0);
    }

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
