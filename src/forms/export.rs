//! Lines behind a time stamp: `2023-11-14T22:20:00.000Z 2 123456789012 eni-…`.
//!
//! CloudWatch Logs writes so when it exports a log group to S3; `aws logs tail` writes the name of the stream as well.

use crate::forms::lines::Place;
use crate::forms::{Decoder, Out};
use crate::net::parse_rfc3339;

/// Takes the stamps off.
#[derive(Default)]
pub(super) struct Export {
    open: Vec<u8>,
    at: Place,
}

/// True if the first line starts with a time and goes on.
pub(super) fn tells(start: &[u8]) -> bool {
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    stamped(line).is_some()
}

impl Decoder for Export {
    fn feed(&mut self, bytes: &[u8], out: &mut Out) {
        let Some(end) = memchr::memrchr(b'\n', bytes) else {
            self.hold(bytes);
            return;
        };
        let (whole, rest) = bytes.split_at(end + 1);
        let mut open = std::mem::take(&mut self.open);
        open.extend_from_slice(whole);
        for line in open.split_inclusive(|b| *b == b'\n') {
            self.line(line, out);
        }
        self.hold(rest);
    }

    fn finish(&mut self, whole: bool, out: &mut Out) {
        let open = std::mem::take(&mut self.open);
        if whole && !open.is_empty() {
            self.line(&open, out);
        }
    }
}

impl Export {
    /// Keeps an open line; of one that is longer than any record only so much that it is seen to be.
    fn hold(&mut self, bytes: &[u8]) {
        let room = (crate::flow::lines::LINE_CAP + 2).saturating_sub(self.open.len());
        self.open.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn line(&mut self, line: &[u8], out: &mut Out) {
        let place = Place {
            line: self.at.line + 1,
            byte: self.at.byte,
        };
        self.at = Place {
            line: place.line,
            byte: place.byte + line.len() as u64,
        };
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.line(stamped(text).unwrap_or(text), place);
    }
}

/// What stands behind the time stamp of a line, and behind the name of its stream.
fn stamped(line: &[u8]) -> Option<&[u8]> {
    const SHORTEST: usize = "2023-11-14T22:20:00Z".len();
    const LONGEST: usize = "2023-11-14T22:20:00.000000000+00:00".len();
    if !line.first()?.is_ascii_digit() || line.get(4) != Some(&b'-') {
        return None;
    }
    let end = memchr::memchr(b' ', line.get(..=LONGEST).unwrap_or(line))?;
    let stamp = line.get(..end).filter(|s| s.len() >= SHORTEST)?;
    parse_rfc3339(std::str::from_utf8(stamp).ok()?)?;
    let rest = line.get(end + 1..)?;
    let stream = rest.split(|b| *b == b' ').next().unwrap_or_default();
    let named = [&b"-all"[..], b"-accept", b"-reject"]
        .iter()
        .any(|s| stream.ends_with(s));
    if named && stream.starts_with(b"eni-") {
        return rest.get(stream.len() + 1..);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_streams_are_taken_off_and_places_kept() {
        let text = b"2023-11-14T22:20:00.000Z 2 a b\n2023-11-14T22:20:00+00:00 eni-1-all 2 c\nno stamp\n\n2023-11-14T22:20:00Z last";
        assert!(tells(text));
        for step in [1, 5, 200] {
            let (mut export, mut out) = (Export::default(), Out::default());
            text.chunks(step).for_each(|c| export.feed(c, &mut out));
            export.finish(true, &mut out);
            assert_eq!(out.text(), "2 a b\n2 c\nno stamp\n\nlast\n");
            assert_eq!(out.places(), [(1, 0), (2, 31), (3, 71), (4, 80), (5, 81)]);
        }
    }

    #[test]
    fn plain_lines_are_no_export() {
        assert!(!tells(b"2 123456789012 eni-1 10.0.0.1"));
        assert!(!tells(b"2023-11-14T22:20:00Z\n"), "nothing behind it");
        assert!(!tells(b"2023-13-14T22:20:00Z x\n"), "no such month");
    }
}
