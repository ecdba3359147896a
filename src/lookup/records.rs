//! Flow records kept whole: every column as the file has it, under the name that the file gives it.
//!
//! The text lies in one buffer, the records point into it; they come out in the order of files and lines. Several formats
//! in one answer become one table with the columns of all, in the order in which they are met.

use std::io::{self, Write};

use crate::flow::{Column, Field, FlowRecord, Kind};
use crate::report::grid::json_integer;
use crate::report::{Cell, Grid};

/// Records in order.
#[derive(Debug, Default)]
pub struct Records {
    formats: Vec<Vec<Box<str>>>,
    /// Tokens joined by one blank.
    text: Vec<u8>,
    kept: Vec<Kept>,
    bytes: u128,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    place: (u32, u64),
    format: usize,
    start: usize,
    end: usize,
}

impl Records {
    /// Keeps a record that stands at this task and line.
    pub(super) fn keep(&mut self, place: (u32, u64), r: &FlowRecord<'_>) {
        let start = self.text.len();
        for (i, token) in r.columns().iter().enumerate() {
            if i > 0 {
                self.text.push(b' ');
            }
            self.text.extend_from_slice(token);
        }
        let format = self.format_of(r);
        self.bytes += u128::from(r.bytes.unwrap_or(0));
        self.kept.push(Kept {
            place,
            format,
            start,
            end: self.text.len(),
        });
    }

    fn format_of(&mut self, r: &FlowRecord<'_>) -> usize {
        let columns = r.format().columns();
        let same = |names: &Vec<Box<str>>| {
            names.len() == columns.len() && names.iter().zip(columns).all(|(n, c)| **n == *name_of(c))
        };
        self.formats.iter().position(same).unwrap_or_else(|| {
            self.formats.push(columns.iter().map(|c| name_of(c).into()).collect());
            self.formats.len() - 1
        })
    }

    pub(super) fn merge(&mut self, other: Records) {
        let shift = self.text.len();
        self.text.extend_from_slice(&other.text);
        self.bytes += other.bytes;
        let formats: Vec<usize> = other.formats.into_iter().map(|f| self.adopt(f)).collect();
        self.kept.extend(other.kept.into_iter().map(|k| Kept {
            format: formats.get(k.format).copied().unwrap_or(0),
            start: k.start + shift,
            end: k.end + shift,
            ..k
        }));
    }

    fn adopt(&mut self, format: Vec<Box<str>>) -> usize {
        self.formats.iter().position(|f| *f == format).unwrap_or_else(|| {
            self.formats.push(format);
            self.formats.len() - 1
        })
    }

    pub(super) fn sort(&mut self) {
        self.kept.sort_by_key(|k| k.place);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The sum of their `bytes`.
    pub fn bytes(&self) -> u128 {
        self.bytes
    }

    fn rows(&self) -> impl Iterator<Item = (&[Box<str>], impl Iterator<Item = &[u8]>)> {
        self.kept.iter().map(|k| {
            let text = self.text.get(k.start..k.end).unwrap_or_default();
            let names = self.formats.get(k.format).map(Vec::as_slice).unwrap_or_default();
            (names, text.split(|b| *b == b' '))
        })
    }

    /// One JSON object a record, keys as in the file; numbers are numbers, `-` is null.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn ndjson(&self, out: &mut dyn Write) -> io::Result<()> {
        for (names, values) in self.rows() {
            object(names, values, out)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The same objects as one array.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut between: &[u8] = b"[\n";
        for (names, values) in self.rows() {
            out.write_all(between)?;
            object(names, values, out)?;
            between = b",\n";
        }
        out.write_all(if self.is_empty() { b"[]\n" } else { b"\n]\n" })
    }

    /// All records as one table.
    pub fn grid(&self) -> Grid {
        let mut columns: Vec<&str> = Vec::new();
        let mut used: Vec<usize> = self.kept.iter().map(|k| k.format).collect();
        used.dedup();
        for name in used.iter().filter_map(|f| self.formats.get(*f)).flatten() {
            if !columns.contains(&&**name) {
                columns.push(name);
            }
        }
        let mut grid = Grid::new(&columns);
        for (names, values) in self.rows() {
            let mut row = vec![Cell::None; columns.len()];
            for (name, value) in names.iter().zip(values) {
                let at = columns.iter().position(|c| *c == &**name);
                if let Some(cell) = at.and_then(|i| row.get_mut(i)) {
                    *cell = text(value);
                }
            }
            grid.rows.push(row);
        }
        grid
    }
}

fn object<'v>(names: &[Box<str>], values: impl Iterator<Item = &'v [u8]>, out: &mut dyn Write) -> io::Result<()> {
    let mut between: &[u8] = b"{";
    for (name, value) in names.iter().zip(values) {
        out.write_all(between)?;
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, &json(name, value))?;
        between = b",";
    }
    out.write_all(b"}")
}

fn name_of(column: &Column) -> &str {
    match column {
        Column::Known(field) => field.name(),
        Column::Other(name) => name,
    }
}

fn text(value: &[u8]) -> Cell {
    match value {
        b"-" => Cell::None,
        v => Cell::Text(String::from_utf8_lossy(v).into_owned()),
    }
}

fn json(name: &str, value: &[u8]) -> serde_json::Value {
    if value == b"-" {
        return serde_json::Value::Null;
    }
    let text = String::from_utf8_lossy(value);
    let numeric = Field::from_name(name.as_bytes()).is_some_and(|f| matches!(f.info().kind, Kind::Number(_)));
    match text.parse::<u64>() {
        Ok(n) if numeric => json_integer(n.into()),
        _ => text.into(),
    }
}
