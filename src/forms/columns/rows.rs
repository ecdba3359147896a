//! Rows of one row group, in batches of codes.

use crate::error::Result;
use crate::flow::{Field, TextTable};
use crate::forms::columns::STEP;
use crate::forms::columns::chunk::{Chunk, NULL};
use crate::forms::columns::entries::{Entries, State};
use crate::forms::columns::guard::guarded;
use crate::forms::columns::held::Held;
use crate::forms::columns::schema::Schema;
use crate::forms::columns::sift::Searched;
use crate::net::Addr;
use parquet::file::metadata::RowGroupMetaData;
use std::ops::Range;
use std::sync::Arc;

/// Draws the rows of a row group, a batch at a time.
pub struct Rows<'t> {
    pub(super) schema: &'t Schema,
    pub(super) chunks: Vec<Chunk>,
    pub(super) codes: Vec<Vec<u32>>,
    /// By column, if rows are searched.
    pub(super) searched: Vec<Searched>,
    /// By column of the format: its alternatives among the chunks.
    places: Vec<Range<usize>>,
    /// Number of the row group.
    group: usize,
    pub(super) all: usize,
    pub(super) left: usize,
}

/// Some rows: for every column a code a row.
pub struct Batch<'r> {
    pub(super) rows: &'r Rows<'r>,
    pub(super) length: usize,
}

/// What counting rule 2 says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A good record with log-status OK.
    Good,
    /// NODATA.
    NoData,
    /// SKIPDATA.
    SkipData,
    /// Rejected.
    Rejected,
}

/// Rows a batch: large enough that the cost of a batch is nothing, small enough for the cache.
pub(super) const BATCH: usize = 2 << 10;

impl<'t> Rows<'t> {
    pub(super) fn open(
        file: &Arc<Held>,
        (number, group): (usize, &RowGroupMetaData),
        schema: &'t Schema,
    ) -> Result<Self> {
        let chunks: Result<Vec<Chunk>> = schema.leaves.iter().map(|l| Chunk::open(file, group, l)).collect();
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut last: Option<Field> = None;
        for (i, leaf) in schema.leaves.iter().enumerate() {
            match places.last_mut().filter(|_| last == Some(leaf.field)) {
                Some(place) => place.end = i + 1,
                None => places.push(i..i + 1),
            }
            last = Some(leaf.field);
        }
        let all = usize::try_from(group.num_rows()).unwrap_or(0);
        Ok(Rows {
            schema,
            codes: vec![Vec::new(); schema.leaves.len()],
            chunks: chunks?,
            places,
            group: number,
            searched: Vec::new(),
            all,
            left: all,
        })
    }

    /// The next rows, or `None` after the last.
    ///
    /// # Errors
    /// `Format` if a column is damaged here.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        let count = self.left.min(BATCH);
        if count == 0 {
            return Ok(None);
        }
        let (chunks, codes) = (&mut self.chunks, &mut self.codes);
        guarded(|| {
            for (chunk, codes) in chunks.iter_mut().zip(codes) {
                chunk.read(count, codes)?;
            }
            Ok(())
        })?;
        self.left -= count;
        Ok(Some(Batch {
            rows: self,
            length: count,
        }))
    }
}

impl Batch<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: a batch has a row.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Judges all rows, column by column: the fast twin of reading each row's texts. A column whose entries are all good
    /// costs nothing; of any other it is counted how many rows have a flawed entry, and looked closer if that is more
    /// than those have that are no records anyway.
    pub fn verdicts(&self, into: &mut Vec<Verdict>) {
        into.clear();
        into.resize(self.length, Verdict::Good);
        self.statuses(into);
        let mut empty = Vec::new();
        for (start, some) in (0..).step_by(STEP).zip(into.chunks(STEP)) {
            if !some.iter().fold(true, |all, v| all & (*v == Verdict::Good)) {
                let those = (start..).zip(some).filter(|(_, v)| **v != Verdict::Good);
                empty.extend(those.map(|(row, _)| row));
            }
        }
        for place in &self.rows.places {
            let leaf = self.rows.schema.leaves.get(place.start);
            let needed = leaf.is_some_and(|l| Field::REQUIRED.contains(&l.field));
            if !self.may_fail(place, needed, &empty) {
                continue;
            }
            for (row, verdict) in into.iter_mut().enumerate().filter(|(_, v)| **v == Verdict::Good) {
                let (entries, code) = self.entry(place, row);
                match entries.state(code) {
                    State::Good => {}
                    State::Absent if !needed => {}
                    _ => *verdict = Verdict::Rejected,
                }
            }
        }
    }

    /// By `log-status`, if the file has it.
    fn statuses(&self, into: &mut [Verdict]) {
        let of = |text: &[u8]| match text {
            b"OK" => Verdict::Good,
            b"NODATA" => Verdict::NoData,
            b"SKIPDATA" => Verdict::SkipData,
            _ => Verdict::Rejected,
        };
        let mut columns = self.columns(Field::LogStatus).peekable();
        if columns.peek().is_some() {
            self.each(Field::LogStatus, Verdict::Rejected, |e, code| of(e.text(code)), into);
        }
    }

    /// True if a row that is not `empty` may have a value at `place` that is bad, or none where it needs one.
    fn may_fail(&self, place: &Range<usize>, needed: bool, empty: &[usize]) -> bool {
        /// Beyond so many flawed entries each row is looked at.
        const FEW: usize = 8;
        let chunks = self.rows.chunks.get(place.clone()).unwrap_or_default();
        let codes = self.rows.codes.get(place.clone()).unwrap_or_default();
        chunks.iter().zip(codes).any(|(chunk, codes)| {
            let entries = &chunk.entries;
            let nulls = chunk.nulls && needed;
            if !entries.has_bad() && !nulls && (!needed || entries.all_good()) {
                return false;
            }
            let flawed = entries.flawed().iter().copied().chain(nulls.then_some(NULL));
            let of_empty = || empty.iter().filter_map(|row| codes.get(*row));
            entries.flawed().len() > FEW
                || flawed
                    .into_iter()
                    .any(|flaw| times(codes.iter(), flaw) > times(of_empty(), flaw))
        })
    }

    /// The columns that hold `field`, each with its entries and a code for every row ([`NULL`] where there is no value);
    /// of several the first that is not absent counts.
    pub fn columns(&self, field: Field) -> impl Iterator<Item = (&Entries, &[u32])> {
        let leaves = self.rows.schema.leaves.iter();
        let all = leaves.zip(&self.rows.chunks).zip(&self.rows.codes);
        all.filter(move |((leaf, _), _)| leaf.field == field)
            .map(|((_, chunk), codes)| (&chunk.entries, codes.as_slice()))
    }

    /// What `field` says in a row: absent if the file has no such column.
    pub fn state(&self, field: Field, row: usize) -> State {
        self.first(field, row).map_or(State::Absent, |(e, code)| e.state(code))
    }

    /// The number of `field` in a row.
    pub fn number(&self, field: Field, row: usize) -> Option<u64> {
        self.first(field, row).and_then(|(e, code)| e.number(code))
    }

    /// The address of `field` in a row.
    pub fn address(&self, field: Field, row: usize) -> Option<Addr> {
        self.first(field, row).and_then(|(e, code)| e.address(code))
    }

    fn first(&self, field: Field, row: usize) -> Option<(&Entries, u32)> {
        let codes = self
            .columns(field)
            .map(|(e, codes)| (e, codes.get(row).copied().unwrap_or(NULL)));
        codes.into_iter().find(|(e, code)| e.state(*code) != State::Absent)
    }

    /// The alternative that counts of a column of the format.
    fn entry(&self, place: &Range<usize>, row: usize) -> (&Entries, u32) {
        let mut all = place.clone().filter_map(|i| {
            let code = self.rows.codes.get(i)?.get(row).copied().unwrap_or(NULL);
            Some((&self.rows.chunks.get(i)?.entries, code))
        });
        let (mut entries, mut code) = match all.next() {
            Some(first) => first,
            None => return (&NOTHING, NULL),
        };
        for (other, its) in all {
            if entries.state(code) == State::Absent {
                (entries, code) = (other, its);
            }
        }
        (entries, code)
    }

    /// True for NODATA and SKIPDATA.
    pub(super) fn is_empty_window(&self, row: usize) -> bool {
        let status = self.first(Field::LogStatus, row).map(|(e, code)| e.text(code));
        matches!(status, Some(b"NODATA" | b"SKIPDATA"))
    }

    /// A row that says that there was no record has none: other writers leave rubbish in its columns.
    pub(super) fn clear_bad(&self, row: usize, tokens: &mut [&[u8]]) {
        for (place, token) in self.rows.places.iter().zip(tokens) {
            let (entries, code) = self.entry(place, row);
            if entries.state(code) == State::Bad {
                *token = b"-";
            }
        }
    }

    /// Writes the good numbers of a row one after the other, each ended by a blank, for [`Batch::tokens`].
    pub(super) fn write_numbers(&self, row: usize, into: &mut Vec<u8>) {
        for place in &self.rows.places {
            let (entries, code) = self.entry(place, row);
            if entries.number(code).is_some() {
                entries.write(code, into);
                into.push(b' ');
            }
        }
    }

    /// The columns of a row as AWS's text has them, in the order of the format.
    pub(super) fn tokens<'s>(&'s self, row: usize, numbers: &'s [u8]) -> Vec<&'s [u8]> {
        let mut numbers = numbers.split(|b| *b == b' ');
        let token = |place| {
            let (entries, code) = self.entry(place, row);
            match entries.state(code) {
                State::Absent => &b"-"[..],
                _ if entries.number(code).is_some() => numbers.next().unwrap_or_default(),
                _ => entries.text(code),
            }
        };
        self.rows.places.iter().map(token).collect()
    }
}

/// How many of the codes are this one.
fn times<'c>(codes: impl Iterator<Item = &'c u32>, code: u32) -> u32 {
    codes.fold(0, |n, c| n + u32::from(*c == code))
}

impl TextTable for Batch<'_> {
    /// Of numbers nothing.
    fn text(&self, row: usize, column: usize) -> &[u8] {
        let Some(place) = self.rows.places.get(column) else {
            return b"-";
        };
        let (entries, code) = self.entry(place, row);
        match entries.state(code) {
            State::Absent => b"-",
            _ => entries.text(code),
        }
    }

    fn codes(&self, column: usize) -> Option<&[u32]> {
        let only = self.rows.places.get(column).filter(|place| place.len() == 1)?.start;
        let chunk = self.rows.chunks.get(only)?;
        let codes = self.rows.codes.get(only)?;
        (chunk.entries.len() == chunk.dictionary).then_some(codes)
    }

    fn dictionaries(&self) -> usize {
        self.rows.group
    }
}

/// The entries of a column that a file lacks.
static NOTHING: Entries = Entries::NOTHING;
