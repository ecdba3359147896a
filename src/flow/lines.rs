//! Lines of flow log text to records: the plain path, every field checked, one line at a time.
//!
//! In: a piece of a file that begins at a line's start. Out: for each line a record, or the fault that it has; headers
//! and blank lines are counted. The rule (design.md, counting rule 2): fields are separated by runs of spaces, a line has
//! exactly as many as the active format, CRLF is accepted. A header switches the format from there on.

use crate::flow::format::LogFormat;
use crate::flow::record::{Fault, FlowRecord, LogStatus, Reason};
use crate::flow::tokens::delimiters;
use crate::net::printable;
use memchr::{memchr, memchr_iter, memrchr};
use nom::bytes::complete::{take_till1, take_while1};
use nom::{IResult, Parser};
use std::ops::AddAssign;

/// Lines longer than this are rejected without being looked at.
pub const LINE_CAP: usize = 1 << 20;

/// How many lines of each sort were met. Always `lines = good + nodata + skipdata + rejected + headers + blank`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LineCounts {
    /// Physical lines.
    pub lines: u64,
    /// Records with log-status OK.
    pub good: u64,
    /// Records that say that nothing passed.
    pub nodata: u64,
    /// Records that say that AWS lost some.
    pub skipdata: u64,
    /// Lines that are none of the others.
    pub rejected: u64,
    /// Header lines.
    pub headers: u64,
    /// Empty lines.
    pub blank: u64,
    /// Lines that were searched as bytes and not looked at; none of the above counts them.
    #[serde(skip_serializing_if = "is_zero")]
    pub searched: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl AddAssign for LineCounts {
    fn add_assign(&mut self, o: Self) {
        self.lines += o.lines;
        self.good += o.good;
        self.nodata += o.nodata;
        self.skipdata += o.skipdata;
        self.rejected += o.rejected;
        self.headers += o.headers;
        self.blank += o.blank;
        self.searched += o.searched;
    }
}

/// Receives what a reader finds. `line` counts from 1 within the piece of input that the reader was made for.
pub trait Sink {
    /// A record: good, NODATA or SKIPDATA.
    fn record(&mut self, line: u64, record: &FlowRecord<'_>);
    /// A line that is not one.
    fn reject(&mut self, line: u64, reject: &Reject<'_>);
}

/// A rejected line.
#[derive(Debug, Clone, Copy)]
pub struct Reject<'a> {
    /// What is wrong.
    pub fault: Fault,
    /// The line as it stands in the file, without its end.
    pub text: &'a [u8],
    /// The format that it was read by.
    pub format: &'a LogFormat,
    /// Where it starts, in bytes from the start of the content (see [`LineReader::at`]).
    pub byte: u64,
}

impl Reject<'_> {
    /// The field at fault, as the header spells it, or `field count`.
    pub fn field(&self) -> &str {
        self.format.column_name(self.fault.column)
    }

    /// The first 80 bytes of the line, safe to print.
    pub fn excerpt(&self) -> String {
        printable(&self.text[..self.text.len().min(80)])
    }
}

/// Reads one file, or one piece of it, fed in blocks of whole lines.
#[derive(Debug, Clone)]
pub struct LineReader {
    format: LogFormat,
    /// What was met so far.
    pub counts: LineCounts,
    /// True once a header other than the format at the start was met.
    pub format_changed: bool,
    /// Offset of the block in its content.
    offset: u64,
    /// Address of the block in memory: where a rejected line stands in it is worked out only then.
    block: usize,
}

impl LineReader {
    /// A reader that takes `format` until a header says otherwise.
    pub fn new(format: LogFormat) -> Self {
        LineReader {
            format,
            counts: LineCounts::default(),
            format_changed: false,
            offset: 0,
            block: 0,
        }
    }

    /// Says where in the content the next block starts; without it, at 0.
    pub fn at(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Where the next block starts.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The format in force.
    pub fn format(&self) -> &LogFormat {
        &self.format
    }

    /// Reads `block`, which starts at a line's start and ends at a line's end or the end of the file.
    ///
    /// Delimiters are found for a window of whole lines at once; a line of the usual shape becomes its fields without
    /// another look, every other line takes the slow path.
    pub fn read(&mut self, block: &[u8], sink: &mut impl Sink) {
        let mut tokens = Vec::with_capacity(self.format.columns().len());
        let mut room = Vec::new();
        self.block = block.as_ptr().addr();
        let mut rest = block;
        while !rest.is_empty() {
            let (window, after) = rest.split_at(window_of(rest));
            let found = delimiters(window, &mut room);
            self.window(window, found, &mut tokens, sink);
            rest = after;
        }
    }

    fn window<'b>(&mut self, window: &'b [u8], found: &[u32], tokens: &mut Vec<&'b [u8]>, sink: &mut impl Sink) {
        let mut from = 0;
        let mut i = 0;
        while from < window.len() {
            let fields = self.format.columns().len();
            let ends = found.get(i..i + fields).unwrap_or_default();
            if fields_of_line(window, from, ends, tokens) {
                self.counts.lines += 1;
                self.record(tokens, &window[from..ends[fields - 1] as usize], sink);
                i += fields;
                from = ends[fields - 1] as usize + 1;
            } else {
                let newline = found[i..]
                    .iter()
                    .position(|p| window[*p as usize] == b'\n')
                    .map(|k| i + k);
                let end = newline.map_or(window.len(), |k| found[k] as usize);
                self.line(&window[from..end], tokens, sink);
                i = newline.map_or(found.len(), |k| k + 1);
                from = end + 1;
            }
        }
    }

    /// Reads `block` line by line: the obvious twin of [`LineReader::read`].
    pub fn read_slowly(&mut self, block: &[u8], sink: &mut impl Sink) {
        let mut tokens = Vec::new();
        self.block = block.as_ptr().addr();
        let mut from = 0;
        for end in memchr_iter(b'\n', block) {
            self.line(&block[from..end], &mut tokens, sink);
            from = end + 1;
        }
        if from < block.len() {
            self.line(&block[from..], &mut tokens, sink);
        }
    }

    /// Counts a line whose text was too long to be kept.
    pub fn too_long(&mut self, start: &[u8], sink: &mut impl Sink) {
        self.counts.lines += 1;
        self.block = start.as_ptr().addr();
        self.reject(Fault::line(Reason::TooLong), start, sink);
    }

    fn line<'b>(&mut self, line: &'b [u8], tokens: &mut Vec<&'b [u8]>, sink: &mut impl Sink) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.counts.lines += 1;
        if line.is_empty() {
            self.counts.blank += 1;
        } else if line.len() > LINE_CAP {
            self.reject(Fault::line(Reason::TooLong), line, sink);
        } else if line[0].is_ascii_lowercase() && self.header(line) {
            self.counts.headers += 1;
        } else {
            self.data(line, tokens, sink);
        }
    }

    fn header(&mut self, line: &[u8]) -> bool {
        let Some(format) = LogFormat::from_header(line) else {
            return false;
        };
        if format != self.format {
            self.format_changed |= self.counts.lines + self.counts.searched > 1;
            self.format = format;
        }
        true
    }

    fn data<'b>(&mut self, line: &'b [u8], tokens: &mut Vec<&'b [u8]>, sink: &mut impl Sink) {
        tokens.clear();
        match split(line, tokens, self.format.columns().len()) {
            Ok(()) => self.record(tokens, line, sink),
            Err(fault) => self.reject(fault, line, sink),
        }
    }

    fn record(&mut self, tokens: &[&[u8]], line: &[u8], sink: &mut impl Sink) {
        match FlowRecord::read(&self.format, tokens) {
            Ok(record) => {
                match record.status {
                    LogStatus::Ok => self.counts.good += 1,
                    LogStatus::NoData => self.counts.nodata += 1,
                    LogStatus::SkipData => self.counts.skipdata += 1,
                }
                sink.record(self.counts.lines + self.counts.searched, &record);
            }
            Err(fault) => self.reject(fault, line, sink),
        }
    }

    fn reject(&mut self, fault: Fault, text: &[u8], sink: &mut impl Sink) {
        self.counts.rejected += 1;
        sink.reject(
            self.counts.lines + self.counts.searched,
            &Reject {
                fault,
                text,
                format: &self.format,
                byte: self.offset + text.as_ptr().addr().saturating_sub(self.block) as u64,
            },
        );
    }
}

/// Length of the next window: whole lines, some 32 KiB of them, so that what was found stays close at hand.
fn window_of(rest: &[u8]) -> usize {
    const WINDOW: usize = 32 << 10;
    if rest.len() <= WINDOW {
        return rest.len();
    }
    let end = memrchr(b'\n', &rest[..WINDOW]).or_else(|| memchr(b'\n', rest));
    end.map_or(rest.len(), |i| i + 1)
}

/// True if the line at `from` has the usual shape: its delimiters are `ends`, each field but the last followed by one
/// space and the last by the newline, none empty, no header and no CR. Then `tokens` holds its fields.
#[inline]
fn fields_of_line<'b>(window: &'b [u8], from: usize, ends: &[u32], tokens: &mut Vec<&'b [u8]>) -> bool {
    tokens.clear();
    let Some((last, spaces)) = ends.split_last() else {
        return false;
    };
    let mut start = from;
    for end in spaces {
        let end = *end as usize;
        if end <= start || window[end] != b' ' {
            return false;
        }
        tokens.push(&window[start..end]);
        start = end + 1;
    }
    let end = *last as usize;
    if end <= start || window[end] != b'\n' || window[end - 1] == b'\r' || window[from].is_ascii_lowercase() {
        return false;
    }
    tokens.push(&window[start..end]);
    !matches!((window[from], window[end - 1]), (b'\t', _) | (_, b'\t'))
}

/// Splits a line at runs of spaces into exactly `count` tokens.
fn split<'b>(line: &'b [u8], tokens: &mut Vec<&'b [u8]>, count: usize) -> Result<(), Fault> {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    if blank(line.first()) || blank(line.last()) {
        return Err(Fault::line(Reason::BlankAtEdge));
    }
    let mut rest = line;
    while tokens.len() < count {
        let Ok((after, token)) = token(rest) else {
            return Err(Fault::line(Reason::FieldCount));
        };
        tokens.push(token);
        let Ok((next, _)) = separator(after) else {
            rest = after;
            break;
        };
        rest = next;
    }
    if tokens.len() == count && rest.is_empty() {
        Ok(())
    } else {
        Err(Fault::line(Reason::FieldCount))
    }
}

#[inline]
fn token(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till1(|b| b == b' ').parse(i)
}

#[inline]
fn separator(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b| b == b' ').parse(i)
}

/// The UTF-8 byte order mark, dropped at the very start of a file.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// The format at the start of a file: its first line if that is a header, else `otherwise`.
pub fn format_of(start: &[u8], otherwise: &LogFormat) -> LogFormat {
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let line = &start[..memchr(b'\n', start).unwrap_or(start.len())];
    LogFormat::from_header(line.strip_suffix(b"\r").unwrap_or(line)).unwrap_or_else(|| otherwise.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        bytes: Vec<Option<u64>>,
        rejects: Vec<(u64, String, Reason)>,
    }

    impl Sink for Seen {
        fn record(&mut self, _: u64, r: &FlowRecord<'_>) {
            self.bytes.push(r.bytes);
        }
        fn reject(&mut self, line: u64, r: &Reject<'_>) {
            self.rejects.push((line, r.field().to_string(), r.fault.reason));
        }
    }

    fn read(text: &str) -> (LineCounts, Seen) {
        let mut seen = Seen::default();
        let mut reader = LineReader::new(LogFormat::default_v2());
        reader.read(text.as_bytes(), &mut seen);
        let c = reader.counts;
        assert_eq!(
            c.lines,
            c.good + c.nodata + c.skipdata + c.rejected + c.headers + c.blank
        );
        (c, seen)
    }

    const GOOD: &str =
        "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

    #[test]
    fn runs_of_spaces_crlf_and_a_missing_last_newline_are_accepted() {
        let text = format!("{GOOD}\r\n\r\n{}\n{GOOD}", GOOD.replacen(' ', "  ", 2));
        let (c, seen) = read(&text);
        assert_eq!((c.good, c.blank, c.rejected), (3, 1, 0));
        assert_eq!(seen.bytes, vec![Some(4249); 3]);
    }

    #[test]
    fn every_fault_names_its_field() {
        let faults = [
            (GOOD.replace("4249", "+4249"), "bytes", Reason::NotANumber),
            (GOOD.replace("4249", "-"), "bytes", Reason::Missing),
            (GOOD.replace("172.31.16.21", "host"), "dstaddr", Reason::NotAnAddress),
            (GOOD.replace("OK", "ok"), "log-status", Reason::UnknownStatus),
            (format!("{GOOD} x"), "field count", Reason::FieldCount),
            (GOOD.replace(" OK", ""), "field count", Reason::FieldCount),
            (format!(" {GOOD}"), "field count", Reason::BlankAtEdge),
            (GOOD.replace(' ', "\t"), "field count", Reason::FieldCount),
        ];
        for (line, field, reason) in faults {
            let (c, seen) = read(&line);
            assert_eq!(
                (c.rejected, &seen.rejects[0]),
                (1, &(1, field.to_string(), reason)),
                "{line}"
            );
        }
    }

    #[test]
    fn a_header_changes_the_format_from_there_on() {
        let (c, seen) = read(&format!(
            "{GOOD}\nbytes srcaddr dstaddr\n7 10.0.0.1 192.0.2.1\n{GOOD}\n"
        ));
        assert_eq!((c.good, c.headers, c.rejected), (2, 1, 1));
        assert_eq!(seen.bytes, [Some(4249), Some(7)]);
    }

    /// Lines good and bad, in the shapes that the fast path must tell apart.
    fn any_line() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        prop_oneof![
            4 => Just(GOOD.to_string()),
            1 => Just(String::new()),
            1 => (0..14usize, "[ \t\ra0-9.:-]{0,9}").prop_map(|(k, new)| {
                let mut fields: Vec<&str> = GOOD.split(' ').collect();
                fields[k] = &new;
                fields.join(" ")
            }),
            1 => (0..20usize).prop_map(|n| vec!["7"; n].join(" ")),
            1 => Just("bytes srcaddr dstaddr".to_string()),
            1 => "[ -~\t]{0,60}",
        ]
    }

    proptest::proptest! {
        #[test]
        fn the_fast_path_reads_as_the_slow_one(lines in proptest::collection::vec((any_line(), proptest::bool::ANY), 0..40), open in proptest::bool::ANY) {
            let mut text: String = lines.iter().map(|(l, crlf)| format!("{l}{}", if *crlf { "\r\n" } else { "\n" })).collect();
            if open {
                text.push_str(GOOD);
            }
            let (mut fast, mut slow) = (LineReader::new(LogFormat::default_v2()), LineReader::new(LogFormat::default_v2()));
            let (mut seen, mut twin) = (Seen::default(), Seen::default());
            fast.read(text.as_bytes(), &mut seen);
            slow.read_slowly(text.as_bytes(), &mut twin);
            proptest::prop_assert_eq!(fast.counts, slow.counts);
            proptest::prop_assert_eq!(seen.bytes, twin.bytes);
            proptest::prop_assert_eq!(seen.rejects, twin.rejects);
        }
    }

    #[test]
    fn nodata_and_skipdata_are_records_of_their_own() {
        let (c, _) =
            read("2 1 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n2 1 eni-1 - - - - - - - 1 2 - SKIPDATA");
        assert_eq!((c.good, c.nodata, c.skipdata), (0, 1, 1));
    }
}
