//! A content that is drawn block by block: whole lines, in memory bounded by the line cap.
//!
//! In: any reader, packed or not. Out: blocks of whole lines with their offsets, or bytes as they stand for forms that have
//! no lines. What lies before a damage is handed out; an open last line before it is not.

use crate::error::Error;
use crate::input::gzip;
use crate::input::reader::{ReadOptions, WINDOW};
use memchr::{memchr, memrchr};
use std::io::{self, Read};

/// What a stream is fed from.
pub(super) enum Fill<'r> {
    Plain(Box<dyn Read + 'r>),
    Gzip(Box<gzip::GzipRead<Box<dyn Read + 'r>>>),
}

/// A piece of a stream.
pub enum Block<'a> {
    /// Whole lines.
    Lines(&'a [u8]),
    /// The start of a line that is longer than the cap; the rest of it was dropped.
    TooLong(&'a [u8]),
}

/// A source that is drawn in blocks of whole lines, in memory bounded by the line cap.
pub struct Stream<'r> {
    fill: Fill<'r>,
    options: ReadOptions,
    window: Vec<u8>,
    /// `window[from..to]` is unread.
    from: usize,
    to: usize,
    dropping: bool,
    ended: bool,
    unpacked: u64,
    damage: Option<io::Error>,
}

impl<'r> Stream<'r> {
    pub(super) fn new(fill: Fill<'r>, options: ReadOptions) -> Self {
        let (window, damage) = (Vec::new(), None);
        Stream {
            fill,
            options,
            window,
            from: 0,
            to: 0,
            dropping: false,
            ended: false,
            unpacked: 0,
            damage,
        }
    }

    /// Bytes unpacked so far.
    pub fn unpacked(&self) -> u64 {
        self.unpacked
    }

    /// What stands at the start of what is unread; nothing is consumed.
    pub fn peek(&mut self) -> &[u8] {
        if self.from == self.to && !self.ended {
            self.load();
        }
        &self.window[self.from..self.to]
    }

    /// The next bytes as they stand, wherever lines end, or `None` at the end or at the damage.
    pub fn next_bytes(&mut self) -> Option<&[u8]> {
        if self.peek().is_empty() {
            return None;
        }
        let from = std::mem::replace(&mut self.from, self.to);
        Some(&self.window[from..self.to])
    }

    /// Where in the unpacked content the byte `from` of the window stands.
    fn offset(&self, from: usize) -> u64 {
        self.unpacked.saturating_sub((self.to - from) as u64)
    }

    /// True once something ended the stream before its end.
    pub fn is_damaged(&self) -> bool {
        self.damage.is_some()
    }

    /// What ended the stream before its end, once [`Stream::next_block`] has returned `None`.
    pub fn damage(&mut self) -> Option<Error> {
        self.damage.take().map(Error::from)
    }

    /// Fills `out` from its start; fewer bytes than asked for is the end.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> usize {
        let room = self.options.max_unpacked - self.unpacked;
        let room = usize::try_from(room).map_or(out.len(), |r| r.min(out.len()));
        let (made, error) = match &mut self.fill {
            Fill::Gzip(read) => read.fill(&mut out[..room]),
            Fill::Plain(read) => fill_plain(read, &mut out[..room]),
        };
        self.unpacked += made as u64;
        if error.is_none() && made == room && room < out.len() {
            let text = format!(
                "more than {} bytes unpacked (--max-unpacked)",
                self.options.max_unpacked
            );
            self.damage = Some(io::Error::other(text));
        }
        if error.is_some() {
            self.damage = error;
        }
        made
    }

    /// The next block with its offset in the unpacked content, or `None` at the end or at the damage. An open last line
    /// before damage is never handed out.
    pub fn next_block(&mut self) -> Option<(u64, Block<'_>)> {
        loop {
            if let Some(end) = memrchr(b'\n', &self.window[self.from..self.to]).map(|i| self.from + i + 1) {
                let from = self.skip_dropped();
                self.from = end;
                if from < end {
                    return Some((self.offset(from), Block::Lines(&self.window[from..end])));
                }
            } else if self.ended {
                return self.last_line();
            } else if let Some(range) = self.overlong() {
                return Some((self.offset(range.start), Block::TooLong(&self.window[range])));
            } else {
                self.load();
            }
        }
    }

    /// Where the next block starts, after the rest of an overlong line.
    fn skip_dropped(&mut self) -> usize {
        let from = self.from;
        if !std::mem::take(&mut self.dropping) {
            return from;
        }
        memchr(b'\n', &self.window[from..self.to]).map_or(self.to, |i| from + i + 1)
    }

    fn last_line(&mut self) -> Option<(u64, Block<'_>)> {
        let (from, to) = (self.from, self.to);
        self.from = to;
        let open = from < to && !self.dropping && self.damage.is_none();
        open.then(|| (self.offset(from), Block::Lines(&self.window[from..to])))
    }

    /// The start of a line that passed the cap before its end was seen; the rest of the line is dropped.
    fn overlong(&mut self) -> Option<std::ops::Range<usize>> {
        let (from, to) = (self.from, self.to);
        if self.dropping {
            self.from = to;
        } else if to - from > self.options.line_cap {
            self.from = to;
            self.dropping = true;
            return Some(from..from + 256.min(to - from));
        }
        None
    }

    fn load(&mut self) {
        self.window.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        let size = self.to + WINDOW;
        if self.window.len() < size {
            self.window.resize(size, 0);
        }
        let mut window = std::mem::take(&mut self.window);
        let made = self.fill(&mut window[self.to..size]);
        self.window = window;
        self.to += made;
        self.ended = made < WINDOW;
    }
}

/// Reads until `out` is full, the end or an error.
pub(super) fn fill_plain(read: &mut dyn Read, out: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut made = 0;
    while made < out.len() {
        match read.read(&mut out[made..]) {
            Ok(0) => break,
            Ok(n) => made += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (made, Some(e)),
        }
    }
    (made, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &[u8], line_cap: usize, max_unpacked: u64) -> (Vec<u8>, usize, bool) {
        let options = ReadOptions {
            line_cap,
            max_unpacked,
            ..ReadOptions::default()
        };
        let mut stream = Stream::new(Fill::Plain(Box::new(text)), options);
        let (mut lines, mut long) = (Vec::new(), 0);
        while let Some((_, block)) = stream.next_block() {
            match block {
                Block::Lines(b) => lines.extend_from_slice(b),
                Block::TooLong(_) => long += 1,
            }
        }
        (lines, long, stream.damage().is_some())
    }

    #[test]
    fn long_lines_are_dropped_and_their_neighbours_kept() {
        let long = vec![b'x'; 3 << 20];
        let text = [b"a\n", &long[..], b"\nb\n", &long[..], b"\nc"].concat();
        assert_eq!(blocks(&text, 1 << 20, u64::MAX), (b"a\nb\nc".to_vec(), 2, false));
    }

    #[test]
    fn a_cut_stream_loses_its_open_line_only() {
        assert_eq!(blocks(b"one\ntwo\nthree", 100, 10), (b"one\ntwo\n".to_vec(), 0, true));
        assert_eq!(blocks(b"", 100, 10), (vec![], 0, false));
    }

    #[test]
    fn many_windows_give_the_same_text() {
        let text: Vec<u8> = (0..400_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        assert_eq!(blocks(&text, 1 << 20, u64::MAX).0, text);
    }
}
