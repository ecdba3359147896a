//! Lines of flow log text to records: the plain path, every field checked, one line at a time.
//!
//! In: a piece of a file that begins at a line's start. Out: for each line a record, or the fault that it has; headers
//! and blank lines are counted. The rule (design.md, counting rule 2): fields are separated by runs of spaces, a line has
//! exactly as many as the active format, CRLF is accepted. A header switches the format from there on.

use crate::flow::counts::LineCounts;
use crate::flow::format::LogFormat;
use crate::flow::record::{Fault, FlowRecord, LogStatus, Reason};
use crate::flow::rows::{Columns, Plan, Rows};
use crate::flow::simd::Stretch;
use crate::flow::split::split;
use crate::flow::tokens::Tokens;
use crate::net::{Addr, printable};
use memchr::{memchr, memchr_iter};

/// Lines longer than this are rejected without being looked at.
pub const LINE_CAP: usize = 1 << 20;

/// Receives what a reader finds. `line` counts from 1 within the piece of input that the reader was made for.
pub trait Sink {
    /// A record: good, NODATA or SKIPDATA.
    fn record(&mut self, line: u64, record: &FlowRecord<'_>);
    /// A line that is not one.
    fn reject(&mut self, line: u64, reject: &Reject<'_>);

    /// True if good records of the usual shape shall come by [`Sink::rows`], not by [`Sink::record`].
    fn by_columns(&self) -> bool {
        false
    }

    /// Many records at once; asked only if [`Sink::by_columns`]. Of rows that are not good the lines are handed out as
    /// records or rejects afterwards.
    fn rows(&mut self, _: &Rows<'_>) {}

    /// True if, of rows of this format, those with some destinations ([`Sink::is_passed`]) need no other columns than the
    /// accounting of all good records does: then [`Rows::selected`] names the others.
    fn selects(&self, _: &LogFormat) -> bool {
        false
    }

    /// True of a destination of which records matter to the accounting alone; asked only if [`Sink::selects`].
    fn is_passed(&self, _: Addr) -> bool {
        false
    }
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
    plan: Plan,
    /// The header that the format was read from; empty if it came from elsewhere.
    header: Box<[u8]>,
    room: Room,
}

/// Buffers of the fast path, kept from block to block.
#[derive(Debug, Clone, Default)]
struct Room {
    tokens: Tokens,
    columns: Columns,
}

impl LineReader {
    /// A reader that takes `format` until a header says otherwise.
    pub fn new(format: LogFormat) -> Self {
        LineReader {
            plan: Plan::of(&format),
            room: Room::default(),
            header: Box::default(),
            format,
            counts: LineCounts::default(),
            format_changed: false,
            offset: 0,
            block: 0,
        }
    }

    /// Begins a new file or piece, as [`LineReader::new`] does, and keeps the buffers.
    pub fn restart(&mut self, format: LogFormat) {
        if format != self.format {
            self.plan = Plan::of(&format);
            self.room.columns.forget();
            self.format = format;
            self.header = Box::default();
        }
        self.rewind();
    }

    fn rewind(&mut self) {
        (self.counts, self.format_changed, self.offset) = (LineCounts::default(), false, 0);
    }

    /// Begins a new file that starts so, with the format of its header; without one, `otherwise`. Most files of an archive
    /// have the header of the one before.
    pub fn begin(&mut self, start: &[u8], otherwise: impl FnOnce() -> LogFormat) {
        let line = first_line(start);
        if self.is_header_again(line) {
            return self.rewind();
        }
        let header = LogFormat::from_header(line);
        let line = header.as_ref().map(|_| line).unwrap_or_default();
        self.restart(header.unwrap_or_else(otherwise));
        self.header = line.into();
    }

    /// True of the header that the format in force was read from.
    fn is_header_again(&self, line: &[u8]) -> bool {
        !line.is_empty() && *line == *self.header
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
    /// Delimiters are found for a window of whole lines at once. Lines of the usual shape are handed on by column or as
    /// records, as the sink likes it, without another look at their bytes; every other line takes the slow path.
    pub fn read(&mut self, block: &[u8], sink: &mut impl Sink) {
        let mut room = std::mem::take(&mut self.room);
        let mut fields = Vec::with_capacity(self.format.columns().len());
        self.block = block.as_ptr().addr();
        let mut from = 0;
        while from < block.len() {
            let text = &block[from..];
            let length = find_window(text, &mut room.tokens);
            self.window(text, length, (&mut room, &mut fields), sink);
            from += length;
        }
        self.room = room;
    }

    /// Reads the lines of `text[..length]`, whose delimiters were found; the bytes behind them may be loaded, not used.
    fn window<'b>(
        &mut self,
        text: &'b [u8],
        length: usize,
        (room, fields): (&mut Room, &mut Vec<&'b [u8]>),
        sink: &mut impl Sink,
    ) {
        let mut line = 0;
        let mut before = 0;
        while let Some(end) = room.tokens.lines().get(line) {
            let (len, stride) = regular(text, &room.tokens, (line, before), self.format.columns().len());
            if len > 0 {
                let ends = &room.tokens.ends()[before..=before + len * stride];
                self.regular_lines((text, ends), (stride, len), (&mut room.columns, fields), sink);
                (line, before) = (line + len, before + len * stride);
            } else {
                let ends = room.tokens.ends();
                let (start, stop) = (ends[before].wrapping_add(1) as usize, ends[*end as usize] as usize);
                (line, before) = (line + 1, *end as usize);
                if self.line(&text[start..stop], fields, sink) {
                    room.columns.forget();
                }
            }
        }
        let rest = room.tokens.ends()[before].wrapping_add(1) as usize;
        if rest < length && self.line(&text[rest..length], fields, sink) {
            room.columns.forget();
        }
    }

    /// Reads lines of the usual shape; of the last ones of a block too little text follows for the columns.
    fn regular_lines<'b>(
        &mut self,
        (text, ends): (&'b [u8], &[u32]),
        (stride, len): (usize, usize),
        (columns, fields): (&mut Columns, &mut Vec<&'b [u8]>),
        sink: &mut impl Sink,
    ) {
        let mut by_columns = if sink.by_columns() { len } else { 0 };
        while by_columns > 0 {
            if let Some(stretch) = Stretch::new(text, &ends[..=by_columns * stride], stride, by_columns) {
                self.columns(&stretch, (columns, fields), sink);
                break;
            }
            by_columns -= 1;
        }
        for row in by_columns..len {
            let line = fields_of(text, &ends[row * stride..], self.format.columns().len(), fields);
            self.counts.lines += 1;
            self.record(fields, line, sink);
        }
    }

    /// Reads a stretch column by column; what is not plain there is read again, line by line.
    fn columns<'b>(
        &mut self,
        stretch: &Stretch<'b, '_>,
        (columns, fields): (&mut Columns, &mut Vec<&'b [u8]>),
        sink: &mut impl Sink,
    ) {
        columns.read(&self.plan, stretch);
        let before = self.counts.lines;
        let rows = Rows::of_lines(stretch, before + self.counts.searched + 1, &self.format, columns);
        sink.rows(&rows);
        let mut good = 0;
        for row in 0..stretch.len() {
            if columns.is_good(row) {
                good += 1;
                continue;
            }
            self.counts.lines = before + row as u64 + 1;
            let ends = &stretch.ends()[row * stretch.stride()..];
            let line = fields_of(stretch.text(), ends, self.format.columns().len(), fields);
            self.record(fields, line, sink);
        }
        self.counts.good += good;
        self.counts.lines = before + stretch.len() as u64;
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

    /// Reads a line of any shape; true if it changed the format.
    fn line<'b>(&mut self, line: &'b [u8], tokens: &mut Vec<&'b [u8]>, sink: &mut impl Sink) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.counts.lines += 1;
        if line.is_empty() {
            self.counts.blank += 1;
        } else if line.len() > LINE_CAP {
            self.reject(Fault::line(Reason::TooLong), line, sink);
        } else if self.is_header_again(line) {
            self.counts.headers += 1;
        } else if let Some(format) = header(line) {
            self.counts.headers += 1;
            self.header = line.into();
            return self.change(format);
        } else {
            self.data(line, tokens, sink);
        }
        false
    }

    fn change(&mut self, format: LogFormat) -> bool {
        if format == self.format {
            return false;
        }
        self.format_changed |= self.counts.lines + self.counts.searched > 1;
        self.plan = Plan::of(&format);
        self.format = format;
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

/// So much text is looked at before the next is.
pub(super) const WINDOW: usize = 16 << 10;

/// Finds the delimiters of the next window, so that what was found stays close at hand. Returns the length of
/// its whole lines: what stands behind them belongs to the window after it.
fn find_window(rest: &[u8], tokens: &mut Tokens) -> usize {
    let window = &rest[..WINDOW.min(rest.len())];
    tokens.find(window);
    if window.len() == rest.len() {
        return rest.len();
    }
    if let Some(last) = tokens.lines().last() {
        return tokens.ends()[*last as usize] as usize + 1;
    }
    let length = memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
    tokens.find(&rest[..length]);
    length
}

/// How many lines from `line` on have the usual shape, and how many delimiters each of them has: exactly `fields` fields,
/// none empty, one space between two, a newline or CRLF at the end, and no header.
fn regular(text: &[u8], tokens: &Tokens, (line, before): (usize, usize), fields: usize) -> (usize, usize) {
    let ends = tokens.ends();
    let first = tokens.lines().get(line).map_or(0, |end| *end as usize - before);
    // A CR is one delimiter more; a clean window has none.
    let stride = if !tokens.clean && first == fields + 1 {
        first
    } else {
        fields
    };
    let mut from = before;
    for (n, end) in tokens.lines().iter().skip(line).enumerate() {
        if *end as usize - from != stride || !tokens.clean && !is_plain(text, &ends[from..=*end as usize], fields) {
            return (n, stride);
        }
        let lowercase = |i: usize| text[ends[i].wrapping_add(1) as usize].is_ascii_lowercase();
        if lowercase(from) && lowercase(from + fields - 1) {
            return (n, stride);
        }
        from = *end as usize;
    }
    (tokens.lines().len() - line, stride)
}

/// The same of one line in a window that holds other control characters too, or fields without a byte.
#[cold]
fn is_plain(text: &[u8], ends: &[u32], fields: usize) -> bool {
    let gap = |w: &[u32]| w[0].wrapping_add(1) < w[1];
    let spaces = ends[1..fields].iter().all(|e| text[*e as usize] == b' ');
    let cr = ends.len() == fields + 1 || text[ends[fields] as usize] == b'\r' && !gap(&ends[fields..]);
    spaces && cr && ends[..=fields].windows(2).all(gap)
}

/// The fields of the regular line whose first token starts after `ends[0]`; returns the line.
fn fields_of<'b>(text: &'b [u8], ends: &[u32], count: usize, fields: &mut Vec<&'b [u8]>) -> &'b [u8] {
    let start = |e: u32| e.wrapping_add(1) as usize;
    fields.clear();
    fields.extend(ends[..=count].windows(2).map(|w| &text[start(w[0])..w[1] as usize]));
    &text[start(ends[0])..ends[count] as usize]
}

fn header(line: &[u8]) -> Option<LogFormat> {
    line.first().filter(|b| b.is_ascii_lowercase())?;
    LogFormat::from_header(line)
}

/// The UTF-8 byte order mark, dropped at the very start of a file.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// The format at the start of a file: its first line if that is a header, else `otherwise`.
pub fn format_of(start: &[u8], otherwise: impl FnOnce() -> LogFormat) -> LogFormat {
    LogFormat::from_header(first_line(start)).unwrap_or_else(otherwise)
}

fn first_line(start: &[u8]) -> &[u8] {
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let line = &start[..memchr(b'\n', start).unwrap_or(start.len())];
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::MISSING;

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

    /// One with as many fields as the default, one with packet addresses before the others.
    const HEADERS: [&str; 2] = [
        "version account-id interface-id dstaddr srcaddr srcport dstport protocol bytes packets start end action log-status",
        "flow-direction srcaddr dstaddr pkt-srcaddr pkt-dstaddr bytes start end tcp-flags traffic-path",
    ];

    /// Lines good and bad, in the shapes that the fast path must tell apart.
    fn any_line() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        prop_oneof![
            4 => Just(GOOD.to_string()),
            2 => (0..14usize, "[0-9]{1,19}|([0-9]{1,3}\\.){3}[0-9]{1,3}|-|[0-9a-f:]{2,12}|OK|ACCEPT|REJECT|egress").prop_map(|(k, new)| {
                let mut fields: Vec<&str> = GOOD.split(' ').collect();
                fields[k] = &new;
                fields.join(" ")
            }),
            1 => Just("ingress 10.0.0.1 192.0.2.1 - 10.9.0.1 100 2 3 18 -".to_string()),
            1 => Just(String::new()),
            1 => (0..14usize, "[ \t\ra0-9.:-]{0,9}").prop_map(|(k, new)| {
                let mut fields: Vec<&str> = GOOD.split(' ').collect();
                fields[k] = &new;
                fields.join(" ")
            }),
            1 => (0..20usize).prop_map(|n| vec!["7"; n].join(" ")),
            1 => Just("bytes srcaddr dstaddr".to_string()),
            1 => Just(HEADERS[0].to_string()),
            1 => Just(HEADERS[1].to_string()),
            1 => "[ -~\t]{0,60}",
        ]
    }

    /// Every value of every record with its line, and every reject; by columns or by records.
    #[derive(Default)]
    struct Everything {
        by_columns: bool,
        records: Vec<(u64, String)>,
        rejects: Vec<(u64, u64, String, Reason)>,
    }

    impl Everything {
        fn note(&mut self, line: u64, values: impl std::fmt::Debug) {
            self.records.push((line, format!("{values:?}")));
        }
    }

    impl Sink for Everything {
        fn record(&mut self, line: u64, r: &FlowRecord<'_>) {
            let (src, dst) = (r.srcaddr.unwrap_or_default(), r.dstaddr.unwrap_or_default());
            let of = |n: Option<u64>| n.unwrap_or(MISSING);
            let ports = [r.srcport, r.dstport].map(|p| of(p.map(u64::from)));
            let small = [r.protocol.map(u64::from), r.tcp_flags.map(u64::from)].map(of);
            let packet = [r.pkt_srcaddr.unwrap_or(src), r.pkt_dstaddr.unwrap_or(dst)];
            let sums = [r.packets, r.bytes, r.start, r.end].map(of);
            let id = r.text(crate::flow::Field::InterfaceId);
            self.note(line, (src, dst, packet, ports, small, sums, r.action, r.direction, id));
        }

        fn reject(&mut self, line: u64, r: &Reject<'_>) {
            self.rejects.push((line, r.byte, r.field().to_string(), r.fault.reason));
        }

        fn by_columns(&self) -> bool {
            self.by_columns
        }

        fn rows(&mut self, rows: &Rows<'_>) {
            let c = rows.columns;
            for i in (0..rows.len()).filter(|i| rows.is_good(*i)) {
                let ports = [c.srcport[i], c.dstport[i]];
                let packet = [c.source(i), c.destination(i)];
                let sums = [c.packets[i], c.bytes[i], c.start[i], c.end[i]];
                let id = rows.text(i, crate::flow::Field::InterfaceId);
                let ends = (
                    c.srcaddr[i],
                    c.dstaddr[i],
                    packet,
                    ports,
                    [c.protocol[i], c.tcp_flags[i]],
                );
                let (src, dst, packet, ports, small) = ends;
                self.note(
                    rows.line(i),
                    (src, dst, packet, ports, small, sums, c.action[i], c.direction[i], id),
                );
            }
        }
    }

    fn everything(text: &str, by_columns: bool, slowly: bool) -> (LineCounts, Everything) {
        let mut seen = Everything {
            by_columns,
            ..Everything::default()
        };
        let mut reader = LineReader::new(LogFormat::default_v2());
        if slowly {
            reader.read_slowly(text.as_bytes(), &mut seen);
        } else {
            reader.read(text.as_bytes(), &mut seen);
        }
        seen.records.sort();
        seen.rejects.sort();
        (reader.counts, seen)
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_fast_paths_read_as_the_slow_one(
            lines in proptest::collection::vec((any_line(), proptest::bool::ANY), 0..40),
            crlf in proptest::bool::ANY,
            open in proptest::bool::ANY,
        ) {
            let end = |odd: bool| if odd && crlf { "\r\n" } else { "\n" };
            let mut text: String = lines.iter().map(|(l, odd)| format!("{l}{}", end(*odd))).collect();
            if open {
                text.push_str(GOOD);
            }
            let (counts, slow) = everything(&text, false, true);
            for by_columns in [false, true] {
                let (fast_counts, fast) = everything(&text, by_columns, false);
                proptest::prop_assert_eq!(&fast.records, &slow.records);
                proptest::prop_assert_eq!(&fast.rejects, &slow.rejects);
                proptest::prop_assert_eq!(fast_counts, counts);
            }
        }
    }

    #[test]
    fn nodata_and_skipdata_are_records_of_their_own() {
        let (c, _) =
            read("2 1 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n2 1 eni-1 - - - - - - - 1 2 - SKIPDATA");
        assert_eq!((c.good, c.nodata, c.skipdata), (0, 1, 1));
    }
}
