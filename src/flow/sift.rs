//! Reading only the lines that may matter: raw bytes are searched first, as a grep would, and hits alone are parsed.
//!
//! A [`Sieve`] names places in a text; the lines around them are read like all others, the rest is only counted
//! ([`LineCounts::searched`](crate::flow::LineCounts)). Headers are always read, since they change what a column
//! means, and so are the first and last line of every block, which show whether it is a flow log and when it was written.

use crate::flow::lines::{LineReader, Sink};
use crate::flow::literal::Glance;
use memchr::{memchr, memchr_iter, memrchr};

/// Finds the places in a text that may matter.
pub trait Sieve: Sync {
    /// Adds an offset into `text`, which is whole lines, for every line that must be read; in any order, copies allowed.
    /// Naming too many costs time; leaving one out loses it.
    fn places(&self, text: &[u8], into: &mut Vec<usize>);
}

/// So much is searched at a time: what the search has brought into the cache is still there when lines are counted.
const WINDOW: usize = 128 << 10;

impl LineReader {
    /// Reads the lines of `block` that `sieve` names; as [`LineReader::read`] otherwise.
    pub fn sift(&mut self, block: &[u8], sieve: &dyn Sieve, sink: &mut impl Sink) {
        let base = self.offset();
        let mut places = Vec::new();
        let mut from = 0;
        while from < block.len() {
            let to = window_end(block, from);
            let window = &block[from..to];
            places.clear();
            sieve.places(window, &mut places);
            if from == 0 {
                places.push(0);
            }
            if to == block.len() {
                places.push(last_line(window));
            }
            places.sort_unstable();
            let glance = Glance::at(window);
            if glance.may_have_header {
                self.one_by_one(window, base + from as u64, &places, sink);
            } else {
                self.named((window, glance.ends), base + from as u64, &places, sink);
            }
            from = to;
        }
    }

    /// Reads the lines at `places`, which are sorted, of a window with so many line ends.
    fn named(&mut self, (window, ends): (&[u8], u64), offset: u64, places: &[usize], sink: &mut impl Sink) {
        let (mut done, mut passed) = (0, 0);
        for place in places.iter().copied().filter(|p| *p < window.len()) {
            if place < done {
                continue;
            }
            let start = memrchr(b'\n', &window[done..place]).map_or(done, |i| done + i + 1);
            let end = memchr(b'\n', &window[place..]).map_or(window.len(), |i| place + i + 1);
            let before = memchr_iter(b'\n', &window[done..start]).count() as u64;
            self.counts.searched += before;
            passed += before + u64::from(window[..end].ends_with(b"\n"));
            self.at(offset + start as u64);
            self.read_slowly(&window[start..end], sink);
            done = end;
        }
        self.counts.searched += ends - passed;
    }

    /// The same where some line may be a header.
    fn one_by_one(&mut self, window: &[u8], offset: u64, places: &[usize], sink: &mut impl Sink) {
        let mut places = places.iter().copied().peekable();
        let mut start = 0;
        while start < window.len() {
            let end = memchr(b'\n', &window[start..]).map_or(window.len(), |i| start + i + 1);
            let line = &window[start..end];
            let mut wanted = false;
            while places.next_if(|p| *p < end).is_some() {
                wanted = true;
            }
            if wanted || may_be_header(line) {
                self.at(offset + start as u64);
                self.read_slowly(line, sink);
            } else {
                self.counts.searched += 1;
            }
            start = end;
        }
    }
}

/// The end of the window that starts at `from`: after a line's end.
fn window_end(block: &[u8], from: usize) -> usize {
    let limit = (from + WINDOW).min(block.len());
    if limit == block.len() {
        return limit;
    }
    match memrchr(b'\n', &block[from..limit]) {
        Some(i) => from + i + 1,
        None => memchr(b'\n', &block[limit..]).map_or(block.len(), |i| limit + i + 1),
    }
}

fn last_line(window: &[u8]) -> usize {
    let body = window.strip_suffix(b"\n").unwrap_or(window);
    memrchr(b'\n', body).map_or(0, |i| i + 1)
}

/// Two tokens of a header's letters: an interface id at the start of a record is followed by something else.
fn may_be_header(line: &[u8]) -> bool {
    let word = |t: &[u8]| t.first().is_some_and(u8::is_ascii_lowercase) && !t.contains(&b'.');
    let mut tokens = line.split(|b| *b == b' ').filter(|t| !t.is_empty());
    tokens.next().is_some_and(word) && tokens.next().is_some_and(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowRecord, LogFormat, Reject};
    use proptest::prelude::*;

    struct Text(&'static [u8]);

    impl Sieve for Text {
        fn places(&self, text: &[u8], into: &mut Vec<usize>) {
            into.extend(memchr::memmem::find_iter(text, self.0));
        }
    }

    const LINES: [&str; 7] = [
        "2 1 eni-1 10.0.0.1 192.0.2.1 1 2 6 1 7 10 20 ACCEPT OK",
        "2 1 eni-2 10.0.0.2 198.51.100.1 1 2 6 1 8 10 20 ACCEPT OK",
        "2 1 eni-2 10.0.0.2 192.0.2.1 1 2 6 1 x 10 20 ACCEPT OK",
        "srcaddr dstaddr bytes start end",
        "10.0.0.1 192.0.2.1 9 30 40",
        "10.0.0.1 198.51.100.2 9 30 40",
        "",
    ];

    /// Lines and bytes of the records that hold the text.
    #[derive(Default)]
    struct Met(Vec<(u64, Option<u64>)>);

    impl Sink for Met {
        fn record(&mut self, line: u64, r: &FlowRecord<'_>) {
            if r.columns().contains(&&b"192.0.2.1"[..]) {
                self.0.push((line, r.bytes));
            }
        }

        fn reject(&mut self, _: u64, _: &Reject<'_>) {}
    }

    /// By reading everything; with the number of lines.
    fn slow(text: &[u8]) -> (Vec<(u64, Option<u64>)>, u64) {
        let (mut met, mut reader) = (Met::default(), LineReader::new(LogFormat::default_v2()));
        reader.read(text, &mut met);
        (met.0, reader.counts.lines)
    }

    fn fast(text: &[u8]) -> (Vec<(u64, Option<u64>)>, u64) {
        let (mut met, mut reader) = (Met::default(), LineReader::new(LogFormat::default_v2()));
        reader.sift(text, &Text(b"192.0.2.1"), &mut met);
        (met.0, reader.counts.lines + reader.counts.searched)
    }

    proptest! {
        #[test]
        fn sifting_finds_what_reading_finds(picks in prop::collection::vec(0..LINES.len(), 0..60), open in any::<bool>()) {
            let mut text = picks.iter().map(|i| LINES[*i]).collect::<Vec<_>>().join("\n");
            if !open {
                text.push('\n');
            }
            prop_assert_eq!(fast(text.as_bytes()), slow(text.as_bytes()));
        }
    }

    #[test]
    fn many_windows_are_one_text() {
        let text = format!("{}\n", LINES[..2].join("\n")).repeat(5_000);
        let (found, lines) = fast(text.as_bytes());
        assert_eq!(found.len(), 5_000);
        assert_eq!((found, lines), slow(text.as_bytes()));
    }
}
