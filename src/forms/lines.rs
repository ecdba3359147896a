//! Where decoders put the lines that they find, and how those reach the line reader and keep their true places.
//!
//! A line that was unwrapped is read like any other; what the reader says of it (`line 3 of the text`) is turned into
//! where it stood in the container by [`Mapped`], so that a rejected record can be found in the file that AWS delivered.

use crate::flow::lines::BOM;
use crate::flow::{FlowRecord, LineReader, LogFormat, Reject, Sink};
use crate::forms::{Decoder, Form, decoder};

/// Where a record stands in its container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Physical line, from 1, of the unpacked content.
    pub line: u64,
    /// Byte of the unpacked content.
    pub byte: u64,
}

/// Lines that were unwrapped, and the format that they are in.
#[derive(Debug, Default)]
pub(super) struct Out {
    text: Vec<u8>,
    places: Vec<Place>,
    /// Where in `places` another format begins: `None` for the lines of a log, which bring their own or the run's.
    changes: Vec<(usize, Option<LogFormat>)>,
}

impl Out {
    /// One record's text. A newline inside it is no end of a record: it becomes a blank, and so a fault.
    pub(super) fn line(&mut self, text: &[u8], place: Place) {
        let text = text.trim_ascii_end();
        let start = self.text.len();
        self.text.extend_from_slice(text);
        for b in self.text.get_mut(start..).unwrap_or_default() {
            if *b == b'\n' {
                *b = b' ';
            }
        }
        self.text.push(b'\n');
        self.places.push(place);
    }

    /// The lines that follow have the columns of `format`, or of the log itself.
    pub(super) fn format(&mut self, format: Option<LogFormat>) {
        self.changes.push((self.places.len(), format));
    }
}

/// Undoes a wrapping and reads what is inside.
pub struct Unwrap {
    decoder: Box<dyn Decoder>,
    out: Out,
    /// Start of what [`Unwrap::next_lines`] hands out next: in the text and in the places.
    done: (usize, usize),
    reader: LineReader,
    /// The format of lines that bring no names.
    otherwise: LogFormat,
    /// True while the lines are rows of named columns.
    named: bool,
    started: bool,
}

impl Unwrap {
    /// For a content of this form; lines without a header have the format `otherwise`.
    pub fn new(form: Form, otherwise: LogFormat) -> Self {
        Unwrap {
            decoder: decoder(form),
            out: Out::default(),
            done: (0, 0),
            reader: LineReader::new(otherwise.clone()),
            otherwise,
            named: false,
            started: false,
        }
    }

    /// Takes the next bytes of the content; [`Unwrap::next_lines`] is to be drained after it.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.clear();
        let first = !std::mem::replace(&mut self.started, true);
        let bytes = bytes.strip_prefix(BOM).filter(|_| first).unwrap_or(bytes);
        self.decoder.feed(bytes, &mut self.out);
    }

    /// No more bytes come; `whole` is false if the content is damaged. [`Unwrap::next_lines`] is to be drained after it.
    pub fn finish(&mut self, whole: bool) {
        self.clear();
        self.decoder.finish(whole, &mut self.out);
    }

    /// The next lines that were found, all of one format, with the reader for them.
    pub fn next_lines(&mut self) -> Option<(&mut LineReader, &[u8], &[Place])> {
        let (at, first) = self.done;
        if first == self.out.places.len() {
            return None;
        }
        while let Some((_, format)) = self.out.changes.pop_if_first(|(from, _)| *from <= first) {
            self.change(format);
        }
        let last = self
            .out
            .changes
            .first()
            .map_or(self.out.places.len(), |(from, _)| *from);
        let end = end_of_lines(&self.out.text, at, last - first);
        self.done = (end, last);
        let text = self.out.text.get(at..end)?;
        let places = self.out.places.get(first..last)?;
        Some((&mut self.reader, text, places))
    }

    /// The reader, for its counts.
    pub fn reader(&self) -> &LineReader {
        &self.reader
    }

    fn clear(&mut self) {
        self.out.text.clear();
        self.out.places.clear();
        // A change behind the last line belongs to the lines to come.
        let changes = std::mem::take(&mut self.out.changes);
        self.out.changes = changes.into_iter().map(|(_, format)| (0, format)).collect();
        self.done = (0, 0);
    }

    fn change(&mut self, format: Option<LogFormat>) {
        let named = format.is_some();
        // A log's own header stays in force until named rows begin.
        if named || self.named {
            let mut reader = LineReader::new(format.unwrap_or_else(|| self.otherwise.clone()));
            reader.counts = self.reader.counts;
            self.reader = reader;
        }
        self.named = named;
    }
}

trait PopIfFirst<T> {
    /// Takes the first element if it is wanted.
    fn pop_if_first(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T>;
}

impl<T> PopIfFirst<T> for Vec<T> {
    fn pop_if_first(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        self.first().is_some_and(wanted).then(|| self.remove(0))
    }
}

/// Where `count` lines end that begin at `at`.
fn end_of_lines(text: &[u8], at: usize, count: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if count == 0 {
        return at;
    }
    let end = memchr::memchr_iter(b'\n', rest).nth(count - 1);
    end.map_or(text.len(), |i| at + i + 1)
}

/// A sink that sees lines where they stood in their container.
pub struct Mapped<'m, S> {
    sink: &'m mut S,
    places: &'m [Place],
    /// The reader's number of the line before the first of `places`.
    before: u64,
}

impl<'m, S: Sink> Mapped<'m, S> {
    /// For lines that `reader` is about to read.
    pub fn new(sink: &'m mut S, places: &'m [Place], reader: &LineReader) -> Self {
        let before = reader.counts.lines + reader.counts.searched;
        Mapped { sink, places, before }
    }

    fn place(&self, line: u64) -> Place {
        let i = usize::try_from(line.saturating_sub(self.before + 1)).unwrap_or(usize::MAX);
        self.places.get(i).copied().unwrap_or_default()
    }
}

impl<S: Sink> Sink for Mapped<'_, S> {
    #[inline]
    fn record(&mut self, line: u64, record: &FlowRecord<'_>) {
        self.sink.record(self.place(line).line, record);
    }

    fn reject(&mut self, line: u64, reject: &Reject<'_>) {
        let place = self.place(line);
        let byte = place.byte;
        self.sink.reject(place.line, &Reject { byte, ..*reject });
    }
}

#[cfg(test)]
impl Out {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    pub(super) fn places(&self) -> Vec<(u64, u64)> {
        self.places.iter().map(|p| (p.line, p.byte)).collect()
    }

    pub(super) fn formats(&self) -> Vec<String> {
        let name = |f: &LogFormat| {
            (0..f.columns().len())
                .map(|i| f.column_name(i).to_string())
                .collect::<Vec<_>>()
        };
        let names = |f: &Option<LogFormat>| f.as_ref().map_or("own".into(), |f| name(f).join(" "));
        self.changes.iter().map(|(_, f)| names(f)).collect()
    }
}
