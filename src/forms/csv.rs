//! CSV: what the console and Logs Insights write (`@timestamp,@message`, `timestamp,message`), and tables whose header
//! names the fields.
//!
//! Cells are RFC 4180's: quoted where they hold a comma, a quote or a line's end. Without a header that tells a column of
//! messages or the fields a file is not taken for CSV: commas alone make no record.

use crate::flow::Field;
use crate::flow::lines::LINE_CAP;
use crate::forms::lines::Place;
use crate::forms::names::{Reading, are_records, field_of};
use crate::forms::record::Columns;
use crate::forms::{Decoder, Out};

/// Splits rows.
#[derive(Default)]
pub(super) struct Csv {
    open: Vec<u8>,
    quoted: bool,
    at: Place,
    header: Option<Header>,
    columns: Columns,
}

#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// The messages stand in this column.
    Message(usize),
    /// The columns are these fields.
    Fields(Vec<Option<Field>>),
}

/// True if the first line is a header that says where the records are.
pub(super) fn tells(start: &[u8]) -> bool {
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    Header::of(line).is_some()
}

impl Header {
    fn of(line: &[u8]) -> Option<Self> {
        // The line of a plain file has neither, and each of many files is asked.
        memchr::memchr2(b',', b'@', line)?;
        let cells = cells(line.trim_ascii());
        let message = cells.iter().position(|c| c == b"@message" || c == b"message");
        if let Some(column) = message.filter(|_| cells.len() > 1 || cells.first().is_some_and(|c| c == b"@message")) {
            return Some(Header::Message(column));
        }
        let dashed = |c: &Vec<u8>| field_of(c).or_else(|| Field::from_name(c));
        let fields: Vec<Option<Field>> = cells.iter().map(dashed).collect();
        are_records(fields.iter().flatten().copied()).then_some(Header::Fields(fields))
    }
}

impl Decoder for Csv {
    fn feed(&mut self, bytes: &[u8], out: &mut Out) {
        let mut from = 0;
        for (i, b) in bytes.iter().enumerate() {
            match b {
                b'"' => self.quoted = !self.quoted,
                b'\n' if !self.quoted => {
                    self.hold(bytes.get(from..=i).unwrap_or_default());
                    self.row(out);
                    from = i + 1;
                }
                _ => {}
            }
        }
        self.hold(bytes.get(from..).unwrap_or_default());
        if self.open.len() > LINE_CAP {
            // A quote that nobody closes would swallow the rest of the file.
            self.quoted = false;
        }
    }

    fn finish(&mut self, whole: bool, out: &mut Out) {
        if whole && !self.open.is_empty() {
            self.row(out);
        }
    }
}

impl Csv {
    fn hold(&mut self, bytes: &[u8]) {
        let room = (LINE_CAP + 2).saturating_sub(self.open.len());
        self.open.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.at.byte += bytes.len() as u64;
    }

    fn row(&mut self, out: &mut Out) {
        let row = std::mem::take(&mut self.open);
        let place = Place {
            line: self.at.line + 1,
            byte: self.at.byte.saturating_sub(row.len() as u64),
        };
        self.at.line += (memchr::memchr_iter(b'\n', &row).count() as u64).max(1);
        let text = row.trim_ascii_end();
        match &self.header {
            None => self.header = Header::of(text),
            Some(Header::Message(column)) => {
                let cells = cells(text);
                self.columns.plain_lines(out);
                out.line(cells.get(*column).map_or(text, Vec::as_slice), place);
            }
            Some(Header::Fields(fields)) => {
                let cells = cells(text);
                if cells.len() != fields.len() {
                    out.line(text, place);
                    return;
                }
                for (field, cell) in fields.iter().zip(&cells) {
                    if let Some(field) = field {
                        self.columns.set(*field, reading_of(*field), cell);
                    }
                }
                self.columns.finish(place, out);
            }
        }
    }
}

/// Times may come as dates.
fn reading_of(field: Field) -> Reading {
    match field {
        Field::Start | Field::End => Reading::Time,
        _ => Reading::Plain,
    }
}

/// The cells of one row.
fn cells(row: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut cell, mut quoted, mut i) = (Vec::new(), Vec::new(), false, 0);
    while let Some(b) = row.get(i) {
        match (*b, quoted) {
            (b'"', true) if row.get(i + 1) == Some(&b'"') => {
                cell.push(b'"');
                i += 1;
            }
            (b'"', _) => quoted = !quoted,
            (b',', false) => all.push(std::mem::take(&mut cell)),
            (b, _) => cell.push(b),
        }
        i += 1;
    }
    all.push(cell);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> Out {
        let (mut csv, mut out) = (Csv::default(), Out::default());
        text.as_bytes().chunks(step).for_each(|c| csv.feed(c, &mut out));
        csv.finish(true, &mut out);
        out
    }

    #[test]
    fn messages_stand_in_their_column() {
        let text = "@timestamp,@message\n2023-11-14 22:20:00.000,2 1 eni-1\n1,\"2 \"\"x\"\"\n\"\n1,last";
        assert!(tells(text.as_bytes()));
        for step in [1, 4, 999] {
            let out = read(text, step);
            assert_eq!(out.text(), "2 1 eni-1\n2 \"x\"\nlast\n");
            assert_eq!(out.places().iter().map(|p| p.0).collect::<Vec<_>>(), [2, 3, 5]);
        }
    }

    #[test]
    fn a_header_of_fields_makes_columns() {
        let text = "srcAddr,dstAddr,bytes,other,startTime\n10.0.0.1,192.0.2.1,7,x,1700000000\n1,2\n";
        assert!(tells(text.as_bytes()));
        let out = read(text, 999);
        assert_eq!(out.formats(), ["srcaddr dstaddr bytes start"]);
        assert_eq!(out.text(), "10.0.0.1 192.0.2.1 7 1700000000\n1,2\n");
        assert!(!tells(b"2,123456789012,eni-1,10.0.0.1,192.0.2.1\n"), "no header");
        assert!(!tells(b"name,message_id,bytes\n"));
    }
}
