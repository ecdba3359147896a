//! One file's bytes to events, whatever shape they came in.
//!
//! Told by content: `{"Records":[…]}`, arrays, one record per line or over many lines, EventBridge (`detail`),
//! LookupEvents (`CloudTrailEvent` as a string), CloudWatch subscriptions and exports (`message` as a string), CloudTrail
//! Lake (`eventData`), and tables as CSV. Records are decoded in place, one after another; only where that fails is the record's end looked
//! for by counting brackets, so that its neighbours are read whatever it holds.

use memchr::memchr;

use super::counts::{Problem, TrailCounts, TrailReject};
use super::event::{Kind, Record, TrailEvent};
use super::rewrite::{Fault, rewrite};
use super::swift;
use super::table::{self, Header, Line};
use crate::input::brackets::{Step, next_member, skip_space, string_end, value_end};

/// Reads one file's (decompressed) content and hands each event to `sink`.
///
/// ```
/// let log = br#"{"Records":[{"eventTime":"2023-07-10T11:42:18Z","eventSource":"s3.amazonaws.com","eventName":"GetObject"}]}"#;
/// let mut names = Vec::new();
/// let counts = flowtrail::trail::read(log, &mut |e| names.push(e.name.into_owned()));
/// assert_eq!((counts.records, names), (1, vec!["GetObject".to_string()]));
/// ```
pub fn read(content: &[u8], sink: &mut impl FnMut(TrailEvent<'_>)) -> TrailCounts {
    let mut reader = Reader::new(content, sink);
    reader.run();
    reader.finish()
}

/// How many rejects of a file are kept.
const SHOWN: usize = 20;
/// Envelopes inside envelopes: more than this is nobody's format.
const DEEPEST: u8 = 6;
const BOM: &[u8] = b"\xef\xbb\xbf";

struct Reader<'a, 's, S> {
    bytes: &'a [u8],
    /// The same, if all of it is UTF-8.
    text: Option<&'a str>,
    sink: &'s mut S,
    counts: TrailCounts,
    /// Index of the next record.
    index: u64,
    depth: u8,
    /// A document with an array of records was met: noise after it is no record.
    enveloped: bool,
    /// Objects that are neither record nor envelope.
    strangers: u64,
    /// Lines that are no JSON object.
    noise: u64,
}

impl<'a, 's, S: FnMut(TrailEvent<'_>)> Reader<'a, 's, S> {
    fn new(content: &'a [u8], sink: &'s mut S) -> Self {
        let bytes = content.strip_prefix(BOM).unwrap_or(content);
        let text = std::str::from_utf8(bytes).ok();
        let counts = TrailCounts::default();
        Reader {
            bytes,
            text,
            sink,
            counts,
            index: 0,
            depth: 0,
            enveloped: false,
            strangers: 0,
            noise: 0,
        }
    }

    fn run(&mut self) {
        if let Some(header) = Header::of(self.bytes) {
            return self.table(&header);
        }
        let mut at = skip_space(self.bytes, 0);
        while let Some(first) = self.bytes.get(at) {
            let end = match first {
                b'{' => self.object(at, true),
                b'[' => {
                    self.enveloped = true;
                    self.array(at)
                }
                _ => self.noise(at),
            };
            at = skip_space(self.bytes, end.max(at + 1));
        }
    }

    /// A table of records.
    fn table(&mut self, header: &Header) {
        let whole = header.whole().is_some();
        table::each(self.bytes, header, &mut |line, at| match line {
            Line::Record(json) if whole => self.of_cell(&json, at),
            Line::Record(json) => self.rewritten(&json, at),
            Line::Bad(fault) => self.reject(at, fault),
        });
    }

    /// A whole record in a cell.
    fn of_cell(&mut self, json: &str, at: usize) {
        let before = self.index;
        self.inner(json, at);
        if self.index == before {
            let fault = Fault {
                field: "".into(),
                reason: "no record in the column of records",
            };
            self.reject(at, fault);
        }
    }

    /// The counts, with a verdict on the file.
    fn finish(mut self) -> TrailCounts {
        let read = self.counts.records + self.counts.insights + self.counts.digest_files;
        let strange = self.strangers + self.noise;
        if read == 0 && self.counts.rejected == strange && strange > 0 {
            self.counts
                .problem
                .get_or_insert(Problem::NotCloudTrail(looks_like(self.bytes)));
            self.counts.rejected = 0;
            self.counts.rejects.clear();
        }
        self.counts
    }

    /// An object: a record, an envelope or a stranger. Returns the position after it.
    fn object(&mut self, at: usize, top: bool) -> usize {
        if self.depth == 0 && begins_envelope(self.bytes, at) {
            return self.envelope(at).unwrap_or(self.bytes.len());
        }
        if let Some(text) = self.text
            && let Some((record, end)) = swift::record(text, at)
            && let Some(raw) = text.get(at..end)
        {
            self.take(record, raw, at);
            return end;
        }
        if let Some(text) = self.text
            && let Some((record, raw)) = text.get(at..).and_then(decode_prefix)
        {
            self.take(record, raw, at);
            return at + raw.len();
        }
        self.patiently(at, top)
    }

    /// The slow way: find the record's end, then look what is wrong with it.
    fn patiently(&mut self, at: usize, top: bool) -> usize {
        let end = if top {
            line_if_next_is_record(self.bytes, at)
        } else {
            None
        };
        let Some(end) = end.or_else(|| value_end(self.bytes, at)) else {
            return self.truncated(at);
        };
        match self.bytes.get(at..end).map(std::str::from_utf8) {
            Some(Ok(text)) => self.rewritten(text, at),
            _ => self.reject(
                at,
                Fault {
                    field: "".into(),
                    reason: "not UTF-8",
                },
            ),
        }
        end
    }

    fn rewritten(&mut self, text: &str, at: usize) {
        match rewrite(text) {
            Ok(clean) => match serde_json::from_str::<Record<'_>>(&clean) {
                Ok(record) => self.event_or_other(record, &clean, at),
                Err(_) => self.reject(
                    at,
                    Fault {
                        field: "".into(),
                        reason: "cannot be decoded",
                    },
                ),
            },
            Err(fault) => self.reject(at, fault),
        }
    }

    fn event_or_other(&mut self, record: Record<'_>, raw: &str, at: usize) {
        match record.kind() {
            Kind::Other => self.other(at),
            Kind::Insight => self.insight(),
            Kind::Packed | Kind::Event => self.emit(record, raw, at),
        }
    }

    /// A decoded object that begins at `at` of the content.
    fn take(&mut self, record: Record<'_>, raw: &str, at: usize) {
        match record.kind() {
            Kind::Packed => self.rewritten(raw, at),
            _ => self.event_or_other(record, raw, at),
        }
    }

    fn emit(&mut self, record: Record<'_>, raw: &str, at: usize) {
        let lacks_identity = record.lacks_identity();
        match record.into_event(raw) {
            Ok(event) => {
                self.index += 1;
                self.counts.records += 1;
                self.counts.missing_user_identity += u64::from(lacks_identity);
                (self.sink)(event);
            }
            Err(field) => {
                let reason = if field == "eventTime" {
                    "no time that exists"
                } else {
                    "missing or empty"
                };
                self.reject(
                    at,
                    Fault {
                        field: field.into(),
                        reason,
                    },
                );
            }
        }
    }

    fn insight(&mut self) {
        self.index += 1;
        self.counts.insights += 1;
    }

    /// Not a record: look for one inside.
    fn other(&mut self, at: usize) {
        let before = (self.index, self.counts.digest_files, self.enveloped);
        if self.depth < DEEPEST {
            self.envelope(at);
        }
        if before == (self.index, self.counts.digest_files, self.enveloped) {
            self.strangers += 1;
            self.reject(
                at,
                Fault {
                    field: "eventTime".into(),
                    reason: "missing: no CloudTrail record",
                },
            );
        }
    }

    /// Walks the members of an object that may hold records. `None` if it is cut or broken (said already).
    fn envelope(&mut self, at: usize) -> Option<usize> {
        self.depth += 1;
        let end = self.members(at);
        self.depth -= 1;
        if end.is_none() {
            self.truncated(at);
        }
        end
    }

    fn members(&mut self, at: usize) -> Option<usize> {
        let mut next = at + 1;
        let mut digest = false;
        loop {
            match next_member(self.bytes, next) {
                Step::Close(end) => {
                    self.counts.digest_files += u64::from(digest);
                    return Some(end);
                }
                Step::Broken => return None,
                Step::Member(member) => {
                    digest |= member.key == b"digestStartTime" || member.key == b"digestS3Object";
                    next = self.member(member.key, member.value)?;
                }
            }
        }
    }

    /// One member of an envelope; returns the position after it.
    fn member(&mut self, key: &[u8], at: usize) -> Option<usize> {
        match (key, self.bytes.get(at)?) {
            (b"Records" | b"records" | b"Events" | b"events" | b"logEvents", b'[') => {
                self.enveloped = true;
                Some(self.array(at))
            }
            (b"detail" | b"eventData" | b"event", b'{') => Some(self.object(at, false)),
            (b"CloudTrailEvent" | b"message" | b"eventJson" | b"event_json", b'"') => self.string(at),
            _ => value_end(self.bytes, at),
        }
    }

    /// A record written as JSON inside a JSON string.
    fn string(&mut self, at: usize) -> Option<usize> {
        let end = string_end(self.bytes, at)?;
        let quoted = self.bytes.get(at..end)?;
        if let Ok(inner) = serde_json::from_slice::<String>(quoted) {
            self.inner(&inner, at);
        }
        Some(end)
    }

    fn inner(&mut self, text: &str, at: usize) {
        let text = text.trim();
        if !text.starts_with('{') {
            return;
        }
        match serde_json::from_str::<Record<'_>>(text) {
            Ok(record) if !matches!(record.kind(), Kind::Other) => self.take(record, text, at),
            Ok(_) => {}
            Err(_) => self.rewritten(text, at),
        }
    }

    /// The items of an array whose bracket stands at `at`; returns the position after it.
    fn array(&mut self, at: usize) -> usize {
        let mut next = at + 1;
        loop {
            next = skip_space(self.bytes, next);
            match self.bytes.get(next) {
                None => return self.truncated(next),
                Some(b']') => return next + 1,
                Some(b',') => next += 1,
                Some(b'{') => next = self.object(next, false).max(next + 1),
                Some(_) => match value_end(self.bytes, next) {
                    Some(end) => {
                        self.reject(
                            next,
                            Fault {
                                field: "".into(),
                                reason: "no object",
                            },
                        );
                        next = end;
                    }
                    None => return self.truncated(next),
                },
            }
        }
    }

    /// A line that is no object: a broken record among lines, or garbage after the document.
    fn noise(&mut self, at: usize) -> usize {
        let end = memchr(b'\n', self.bytes.get(at..).unwrap_or_default()).map_or(self.bytes.len(), |n| at + n);
        if self.enveloped || self.counts.digest_files > 0 {
            self.counts.problem.get_or_insert(Problem::Trailing { byte: at as u64 });
        } else {
            self.noise += 1;
            self.reject(
                at,
                Fault {
                    field: "".into(),
                    reason: "no JSON object",
                },
            );
        }
        end
    }

    /// The content ends inside what begins at `at`. Returns the end of the content.
    fn truncated(&mut self, at: usize) -> usize {
        self.counts
            .problem
            .get_or_insert(Problem::Truncated { byte: at as u64 });
        self.bytes.len()
    }

    fn reject(&mut self, at: usize, fault: Fault) {
        if self.counts.rejects.len() < SHOWN {
            let before = self.bytes.get(..at).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', before).count() as u64 + 1;
            let Fault { field, reason } = fault;
            self.counts.rejects.push(TrailReject {
                record: self.index,
                line,
                field,
                reason,
            });
        }
        self.index += 1;
        self.counts.rejected += 1;
    }
}

/// Decodes the object at the beginning of `text`; the record and its text.
pub(super) fn decode_prefix(text: &str) -> Option<(Record<'_>, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Record<'_>>();
    let record = stream.next()?.ok()?;
    text.get(..stream.byte_offset()).map(|raw| (record, raw))
}

/// True if the object's first key is that of an array of records: then it is walked at once, never decoded whole.
fn begins_envelope(bytes: &[u8], at: usize) -> bool {
    match next_member(bytes, at + 1) {
        Step::Member(m) => {
            let array = bytes.get(m.value) == Some(&b'[');
            array && matches!(m.key, b"Records" | b"records" | b"Events" | b"events" | b"logEvents")
        }
        _ => false,
    }
}

/// The end of the line, if the next line begins a record of its own: then a broken one ends with its line.
fn line_if_next_is_record(bytes: &[u8], at: usize) -> Option<usize> {
    let end = at + memchr(b'\n', bytes.get(at..)?)?;
    bytes.get(end + 1..)?.starts_with(b"{\"").then_some(end)
}

/// What a file that is no CloudTrail looks like, for the message.
fn looks_like(bytes: &[u8]) -> &'static str {
    let at = skip_space(bytes, 0);
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first() {
        Some(b'<') if rest.len() > 1 => "looks like XML or HTML, not JSON",
        Some(b'{') => "JSON of another kind",
        Some(b'[') => "an array without records",
        _ if table::names_columns(rest) => {
            "a table without the columns eventtime, eventsource and eventname, or eventjson"
        }
        Some(b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => "not a JSON object",
        _ => "not JSON",
    }
}
