//! Contents whose records do not stand in plain lines: the forms room undoes the wrapping, and what it finds is counted
//! as a log's own lines are.

use super::{Claim, Counted, Ingest, Run, Tally, Task, Watched};
use crate::aggregate::outcome::Place;
use crate::aggregate::pieces::PIECE;
use crate::flow::lines::format_of;
use crate::flow::{Field, LineReader, LogFormat, Sink};
use crate::forms::columns::Table;
use crate::forms::{Form, Mapped, Unwrap, told_by};
use crate::input::{Fingerprint, Source, Stream};

/// Texts that counting reads: whose record it is, what became of it, and what tells middleboxes and places apart.
const TEXTS: &[Field] = &[
    Field::AccountId,
    Field::InterfaceId,
    Field::Action,
    Field::LogStatus,
    Field::VpcId,
    Field::SubnetId,
    Field::InstanceId,
    Field::Region,
    Field::PktSrcAwsService,
    Field::PktDstAwsService,
    Field::FlowDirection,
    Field::ResourceId,
    Field::InterfaceType,
    Field::NextHopInterfaceId,
    Field::NextHopInterfaceType,
    Field::ResourceType,
];

/// So much is unwrapped at a time.
const STEP: usize = 1 << 20;

impl<T: Tally> Run<'_, T> {
    /// The wrapping of a content that starts so.
    pub(super) fn form(&self, task: &Task, start: &[u8]) -> Option<Form> {
        told_by(start).filter(|_| task.range.is_none())
    }

    /// Reads a wrapped content that is at hand.
    pub(super) fn unwrap_whole(&self, task: &Task, form: Form, bytes: &[u8], claim: Claim, sink: &mut Counted<'_, T>) {
        let mut unwrap = Unwrap::new(form, self.lines_format(task));
        match claim {
            Claim::Count => {
                self.unwrap_all(&mut unwrap, bytes, sink);
                sink.report.finish(unwrap.reader());
            }
            Claim::Watch => self.unwrap_all(&mut unwrap, bytes, &mut Watched(sink.watch)),
            Claim::Pass => {}
        }
    }

    /// Reads a wrapped content that is drawn piece by piece; the caller looks for its damage.
    pub(super) fn unwrap_stream(&self, task: &Task, form: Form, stream: &mut Stream<'_>, sink: &mut Counted<'_, T>) {
        let mut unwrap = Unwrap::new(form, self.lines_format(task));
        while let Some(bytes) = stream.next_bytes() {
            unwrap.feed(bytes);
            self.unwrapped(&mut unwrap, sink);
        }
        unwrap.finish(!stream.is_damaged());
        self.unwrapped(&mut unwrap, sink);
        sink.report.finish(unwrap.reader());
    }

    /// Reads a Parquet file.
    pub(super) fn rows(&self, task: &Task, bytes: bytes::Bytes, sink: &mut Counted<'_, T>) {
        let print = self.known.get(&task.file).copied();
        // An object is identified while it is at hand: later it would be fetched once more.
        let now = self.options.learned.is_some() || self.archive.sources.has_objects();
        let print = print.or_else(|| (now && task.range.is_none()).then(|| Fingerprint::of(&bytes)));
        if print.is_some_and(|p| self.is_learned(p)) {
            sink.report.fingerprint = print;
            return;
        }
        match Table::open(bytes.clone(), &|f| self.wants(f)) {
            Ok(table) => {
                let claim = match print {
                    Some(_) => self.claim(task.file, print, sink),
                    None => self.claim_whole(task, &bytes, sink),
                };
                self.table(task, &table, claim, sink);
            }
            Err(e) => sink.report.place = Place::Unreadable(e.reason()),
        }
    }

    /// A look-up shows records whole; counting needs few texts.
    pub(super) fn wants(&self, field: Field) -> bool {
        self.reading.sieve.is_some() || TEXTS.contains(&field)
    }

    /// Reads the rows of a Parquet file.
    pub(super) fn table(&self, task: &Task, table: &Table, claim: Claim, sink: &mut Counted<'_, T>) {
        let (window, part) = (self.reading.window, task.range.clone().unwrap_or(0..u64::MAX));
        let finished = match claim {
            Claim::Count => match self.reading.sieve {
                Some(sieve) => table.sift(window, part, sieve, sink),
                None => table.read(window, part, sink),
            },
            Claim::Watch if task.range.is_none() => {
                table.read(window, part, &mut Watched(sink.watch));
                return;
            }
            Claim::Watch | Claim::Pass => return,
        };
        let mut lines = LineReader::new(table.format().clone());
        lines.counts = finished.counts;
        sink.report.finish(&lines);
        sink.report.spans(finished.span);
        if let Some(e) = finished.damage {
            let read = finished.counts.lines + finished.counts.searched;
            sink.report.place = match read {
                0 => Place::Unreadable(e.reason()),
                n => Place::Damaged(format!("{}; lost after row {n}", e.reason())),
            };
        }
    }

    fn unwrap_all(&self, unwrap: &mut Unwrap, bytes: &[u8], sink: &mut impl Sink) {
        for piece in bytes.chunks(STEP) {
            unwrap.feed(piece);
            self.unwrapped(unwrap, sink);
        }
        unwrap.finish(true);
        self.unwrapped(unwrap, sink);
    }

    fn unwrapped(&self, unwrap: &mut Unwrap, sink: &mut impl Sink) {
        while let Some((reader, lines, places)) = unwrap.next_lines() {
            let mut mapped = Mapped::new(&mut *sink, places, reader);
            self.lines(reader, lines, &mut mapped);
        }
    }

    /// The format of lines that come without a header.
    pub(super) fn lines_format(&self, task: &Task) -> LogFormat {
        let name = self.archive.sources.get(task.file as usize).map(|s| s.name);
        self.options.formats.of(&name.unwrap_or_default())
    }
}

/// True for a file that has no pieces: neither plain lines nor Parquet's row groups.
fn is_whole_only(start: &[u8]) -> bool {
    told_by(start).is_some() || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// The format at the start of a plain file that is large enough to be cut into pieces.
pub(super) fn format_if_cut(source: &Source, options: &Ingest) -> Option<LogFormat> {
    use std::io::Read;
    // A file that is to be identified is read in one piece.
    if source.is_stdin()
        || source.object.is_some()
        || source.size < 2 * PIECE
        || !options.read.mmap
        || options.learned.is_some()
    {
        return None;
    }
    let mut start = vec![0; 1 << 16];
    let (mut file, _) = crate::input::regular(&source.path).ok()?;
    let n = file.read(&mut start).ok()?;
    let plain = !start.starts_with(crate::input::gzip::MAGIC) && !is_whole_only(&start[..n]);
    plain.then(|| format_of(&start[..n], || options.formats.of(&source.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lines_are_cut_into_pieces() {
        assert!(is_whole_only(b"{\"message\":\"2 1 eni\"}"));
        assert!(!is_whole_only(b"2 123456789012 eni-1 10.0.0.1\n"));
    }

    #[test]
    fn counts_are_carried_over_a_change_of_columns() {
        let mut unwrap = Unwrap::new(Form::Json, LogFormat::default_v2());
        unwrap.feed(br#"{"message":"x"}{"srcaddr":"10.0.0.1","dstaddr":"::1","bytes":1}{"message":"y"}"#);
        let mut read = Vec::new();
        while let Some((reader, lines, places)) = unwrap.next_lines() {
            reader.counts.lines += lines.split(|b| *b == b'\n').count() as u64 - 1;
            read.push((reader.format().columns().len(), lines.to_vec(), places.len()));
        }
        let expect = [
            (14, b"x\n".to_vec(), 1),
            (3, b"10.0.0.1 ::1 1\n".to_vec(), 1),
            (14, b"y\n".to_vec(), 1),
        ];
        assert_eq!(read, expect);
        assert_eq!(unwrap.reader().counts.lines, 3);
    }
}
