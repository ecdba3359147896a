//! Parquet: rows instead of lines, read a column at a time.
//!
//! In: the bytes of a file. Out: the same records and rejects as lines give, row by row. Only the columns of fields are
//! read: those of numbers and addresses, which counting rule 2 checks, and the texts that somebody asks for. Each distinct
//! value of a dictionary is parsed once ([`Entries`]); rows are drawn in [`Batch`]es of bounded size, whatever the size of
//! the row group. Row groups that lie outside of the time window by their statistics are passed over and counted as such.

mod chunk;
mod entries;
mod fill;
pub(crate) mod guard;
pub(crate) mod header;
mod held;
pub(crate) mod hybrid;
mod page;
mod pages;
mod rows;
mod schema;
mod select;
mod sift;

pub use chunk::NULL;
pub use entries::{Entries, State};
pub use rows::{Batch, Rows, Verdict};

use crate::error::{Error, Result};
use crate::flow::{Columns, Field, FlowRecord, LineCounts, LogFormat, LogStatus, Reject, Sink};
use crate::forms::columns::chunk::damaged;
use crate::forms::columns::guard::guarded;
use crate::forms::columns::held::Held;
use crate::forms::columns::schema::Schema;
use crate::forms::columns::select::Selection;
use crate::input::Pieces;
use crate::net::{Seconds, TimeWindow};
use bytes::Bytes;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use std::ops::Range;
use std::sync::Arc;

/// A Parquet file of flow logs whose footer was read.
pub struct Table {
    file: Arc<Held>,
    meta: ParquetMetaData,
    schema: Schema,
}

/// What reading rows came to.
#[derive(Debug, Default)]
pub struct Finished {
    /// Rows met; those of row groups that were passed over are `searched`.
    pub counts: LineCounts,
    /// First start and last end of the row groups that were searched, as far as they say.
    pub span: Option<(u64, u64)>,
    /// What ended it before the last row.
    pub damage: Option<Error>,
}

impl Table {
    /// Reads the footer. `wants` says which text fields are needed; numbers and addresses always are.
    ///
    /// # Errors
    /// `Format` if the file is damaged or holds no flow logs.
    pub fn open(file: Bytes, wants: &dyn Fn(Field) -> bool) -> Result<Self> {
        Table::of(Held::Whole(file), wants)
    }

    /// The same of an object, of which only what is needed is fetched.
    ///
    /// # Errors
    /// As [`Table::open`], and what S3 says.
    pub fn open_pieces(file: Pieces, wants: &dyn Fn(Field) -> bool) -> Result<Self> {
        Table::of(Held::drawn(file)?, wants)
    }

    fn of(file: Held, wants: &dyn Fn(Field) -> bool) -> Result<Self> {
        guarded(|| {
            let meta = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(damaged)?;
            let schema = Schema::of(meta.file_metadata().schema_descr(), wants)?;
            Ok(Table {
                file: Arc::new(file),
                meta,
                schema,
            })
        })
    }

    /// The fields that are read, as a header would name them.
    pub fn format(&self) -> &LogFormat {
        &self.schema.format
    }

    /// Number of row groups.
    pub fn groups(&self) -> usize {
        self.meta.num_row_groups()
    }

    /// Number of rows in a row group.
    pub fn rows_in(&self, group: usize) -> u64 {
        let group = self.meta.row_groups().get(group);
        group.map_or(0, |g| u64::try_from(g.num_rows()).unwrap_or(0))
    }

    /// The first byte of a row group: that of its first column.
    fn start_of(&self, group: usize) -> u64 {
        let columns = self.meta.row_groups().get(group).map(RowGroupMetaData::columns);
        let offset = |c: &ColumnChunkMetaData| c.dictionary_page_offset().unwrap_or(c.data_page_offset());
        let first = columns.and_then(<[_]>::first).map(offset);
        first.and_then(|o| u64::try_from(o).ok()).unwrap_or(0)
    }

    /// Draws the rows of a row group.
    ///
    /// # Errors
    /// `Format` if the group is damaged.
    pub fn rows(&self, group: usize) -> Result<Rows<'_>> {
        let meta = self
            .meta
            .row_groups()
            .get(group)
            .ok_or_else(|| damaged("no such row group"))?;
        if self.file.is_drawn() {
            self.file.begin(self.columns_of(meta, &|_| true)?);
        }
        guarded(|| Rows::open(&self.file, (group, meta), &self.schema))
    }

    /// Where the columns of a row group stand that are read and of which `wants` says so.
    fn columns_of(&self, group: &RowGroupMetaData, wants: &dyn Fn(Field) -> bool) -> Result<Vec<Range<u64>>> {
        let leaves = self.schema.leaves.iter().filter(|l| wants(l.field));
        let columns = leaves.filter_map(|l| group.columns().get(l.column));
        let range = |(at, length): (u64, u64)| at..at.saturating_add(length);
        guarded(|| Ok(columns.map(|c| range(c.byte_range())).collect()))
    }

    /// Fetches the columns of a row group of which `wants` says so, unless they are at hand.
    fn fetch(&self, group: usize, wants: &dyn Fn(Field) -> bool) -> Result<()> {
        let meta = self.meta.row_groups().get(group).filter(|_| self.file.is_drawn());
        let columns = meta.map(|m| self.columns_of(m, wants)).transpose()?;
        self.file.need(&columns.unwrap_or_default())
    }

    /// What went wrong at last: that something could not be fetched, where that is so.
    fn cause(&self, e: Error) -> Error {
        self.file.failure().unwrap_or(e)
    }

    /// True if no record of the row group starts in `window`, by the statistics of its `start` column.
    pub fn is_outside(&self, group: usize, window: TimeWindow) -> bool {
        let leaf = self.schema.leaves.iter().find(|l| l.field == Field::Start);
        let (Some(leaf), Some(group)) = (leaf, self.meta.row_groups().get(group)) else {
            return false;
        };
        let scale = |n: i64| Seconds::try_from(n / leaf.scale).ok();
        let span = span_of(group, leaf.column).and_then(|(a, b)| Some((scale(a)?, scale(b)?)));
        window != TimeWindow::ALL && span.is_some_and(|(first, last)| last < window.from || first >= window.to)
    }

    /// Reads the rows of the row groups that start in these bytes of the file, in order, into `sink`, whose lines are
    /// numbers of rows from 1.
    pub fn read(&self, window: TimeWindow, part: Range<u64>, sink: &mut impl Sink) -> Finished {
        let mut finished = Finished::default();
        for group in (0..self.groups()).filter(|g| part.contains(&self.start_of(*g))) {
            if self.is_outside(group, window) {
                finished.counts.searched += self.rows_in(group);
            } else if let Err(e) = self.read_group(group, &mut finished.counts, sink) {
                finished.damage = Some(self.cause(e));
                break;
            }
        }
        finished
    }

    fn read_group(&self, group: usize, counts: &mut LineCounts, sink: &mut impl Sink) -> Result<()> {
        let mut rows = self.rows(group)?;
        self.fetch(group, &|_| true)?;
        let mut room = Room {
            verdicts: Vec::new(),
            columns: Columns::default(),
            selection: Selection::of(&self.schema.format, sink),
        };
        while let Some(batch) = rows.next_batch()? {
            if sink.by_columns() {
                self.batch(&batch, &mut room, counts, sink);
            } else {
                (0..batch.len()).for_each(|row| self.one(&batch, row, counts, sink));
            }
        }
        Ok(())
    }

    /// All good rows of a batch at once, the others one by one.
    fn batch(&self, batch: &Batch<'_>, room: &mut Room, counts: &mut LineCounts, sink: &mut impl Sink) {
        let (format, before) = (&self.schema.format, counts.lines);
        let Room {
            verdicts,
            columns,
            selection,
        } = room;
        batch.verdicts(verdicts);
        batch.fill(format, verdicts, columns);
        let selected = selection.select(batch, columns, sink);
        batch.fill_rest(format, columns, selected);
        let first = before + counts.searched + 1;
        sink.rows(&crate::flow::Rows::of_table(batch, first, format, columns).selecting(selected));
        let mut good = batch.len() as u64;
        for (start, some) in (0..).step_by(STEP).zip(verdicts.chunks(STEP)) {
            // Most steps have none.
            if some.iter().fold(true, |all, v| all & (*v == Verdict::Good)) {
                continue;
            }
            for (row, _) in (start..).zip(some).filter(|(_, v)| **v != Verdict::Good) {
                good -= 1;
                counts.lines = before + row as u64;
                self.one(batch, row, counts, sink);
            }
        }
        counts.good += good;
        counts.lines = before + batch.len() as u64;
    }

    fn one(&self, batch: &Batch<'_>, row: usize, counts: &mut LineCounts, sink: &mut impl Sink) {
        let mut scratch = Vec::new();
        batch.write_numbers(row, &mut scratch);
        let mut tokens = batch.tokens(row, &scratch);
        if batch.is_empty_window(row) {
            batch.clear_bad(row, &mut tokens);
        }
        self.row(&tokens, counts, sink);
    }

    /// One row, by the rule for lines.
    fn row(&self, tokens: &[&[u8]], counts: &mut LineCounts, sink: &mut impl Sink) {
        counts.lines += 1;
        let line = counts.lines + counts.searched;
        match FlowRecord::read(&self.schema.format, tokens) {
            Ok(record) => {
                match record.status {
                    LogStatus::Ok => counts.good += 1,
                    LogStatus::NoData => counts.nodata += 1,
                    LogStatus::SkipData => counts.skipdata += 1,
                }
                sink.record(line, &record);
            }
            Err(fault) => {
                counts.rejected += 1;
                let text = tokens.join(&b' ');
                sink.reject(
                    line,
                    &Reject {
                        fault,
                        text: &text,
                        format: &self.schema.format,
                        byte: 0,
                    },
                );
            }
        }
    }
}

/// What is kept from one batch of a row group to the next.
struct Room {
    verdicts: Vec<Verdict>,
    columns: Columns,
    selection: Selection,
}

/// So many verdicts are looked at together.
const STEP: usize = 32;

/// Least and greatest value of a column of whole numbers, if the writer noted them.
fn span_of(group: &RowGroupMetaData, column: usize) -> Option<(i64, i64)> {
    match group.columns().get(column)?.statistics()? {
        Statistics::Int32(s) => Some(((*s.min_opt()?).into(), (*s.max_opt()?).into())),
        Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
        _ => None,
    }
}
