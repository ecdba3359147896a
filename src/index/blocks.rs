//! Some rows of some columns of a Parquet file: pages outside of them are neither read nor unpacked.
//!
//! The offset index says where the page of a row lies, the column index what a page may hold. A store can be damaged, and
//! what cannot be read is an error of the library, never a panic here.

use crate::index::pages::Pages;
use crate::index::seal::{Seal, Sealed};
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use std::cell::Cell;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// An open Parquet file.
pub(super) struct Reading {
    file: Arc<Sealed>,
    meta: ParquetMetaData,
}

impl Reading {
    /// Opens a file that is what `seal` says, and reads its footer, where its pages are, and what they may hold if it is to
    /// be searched.
    pub(super) fn open(path: &Path, seal: &Seal, searched: bool) -> Result<Reading> {
        let bounds = match searched {
            true => PageIndexPolicy::Optional,
            false => PageIndexPolicy::Skip,
        };
        let file = File::open(path).map_err(|e| ParquetError::External(Box::new(e)))?;
        let file = Sealed::new(file, seal.clone())?;
        let meta = ParquetMetaDataReader::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(bounds)
            .parse_and_finish(&file)?;
        Ok(Reading {
            file: Arc::new(file),
            meta,
        })
    }

    /// Row groups.
    pub(super) fn groups(&self) -> usize {
        self.meta.num_row_groups()
    }

    /// Rows of a group.
    pub(super) fn rows(&self, group: usize) -> Result<usize> {
        self.meta.row_group_num_rows(group)
    }

    fn group(&self, group: usize) -> Result<&RowGroupMetaData> {
        let found = self.meta.row_groups().get(group);
        found.ok_or_else(|| ParquetError::General("no such row group".into()))
    }

    /// The rows of those pages of a column of texts that may hold something between two texts.
    pub(super) fn between(
        &self,
        group: usize,
        column: usize,
        (least, most): (&[u8], &[u8]),
    ) -> Result<Vec<Range<usize>>> {
        let rows = self.rows(group)?;
        let index = self.meta.page_index_for_row_group(group);
        let (Some(offsets), Some(ColumnIndexMetaData::BYTE_ARRAY(values))) =
            (index.offset_index(column), index.column_index(column))
        else {
            return Ok(std::iter::once(0..rows).collect());
        };
        let starts = offsets.page_locations();
        let mut found: Vec<Range<usize>> = Vec::new();
        for (page, at) in starts.iter().enumerate() {
            let from = usize::try_from(at.first_row_index).unwrap_or(rows);
            let next = starts
                .get(page + 1)
                .and_then(|p| usize::try_from(p.first_row_index).ok());
            let to = next.unwrap_or(rows).min(rows);
            let below = values.max_value(page).is_some_and(|max| max < least);
            let above = values.min_value(page).is_some_and(|min| min > most);
            if below || above || from >= to {
                continue;
            }
            match found.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => found.push(from..to),
            }
        }
        Ok(found)
    }

    fn column<T: DataType>(&self, group: usize, column: usize) -> Result<ColumnReaderImpl<T>> {
        let meta = self.chunk(group, column)?;
        if meta.column_type() != T::get_physical_type() {
            return Err(ParquetError::General("a column has another type".into()));
        }
        let reader = get_column_reader(meta.column_descr_ptr(), Box::new(self.pages(group, column)?));
        Ok(get_typed_column_reader(reader))
    }

    /// The pages of a column, each found by the offset index.
    pub(super) fn pages(&self, group: usize, column: usize) -> Result<Pages> {
        let index = self.meta.page_index_for_row_group(group);
        Pages::new(
            &self.file,
            self.chunk(group, column)?,
            (index, column),
            self.rows(group)?,
        )
    }

    /// The one value of a column in a row group, or that it has none, if the statistics say so.
    pub(super) fn constant<T: Stored>(&self, group: usize, column: usize) -> Result<Option<Option<T::T>>> {
        let chunk = self.chunk(group, column)?;
        let Some(said) = chunk.statistics() else {
            return Ok(None);
        };
        let rows = u64::try_from(chunk.num_values()).ok();
        Ok(match said.null_count_opt() {
            Some(nulls) if Some(nulls) == rows => Some(None),
            Some(0) if said.min_is_exact() && said.max_is_exact() => T::same(said).map(Some),
            _ => None,
        })
    }

    /// Least and greatest value of a column of whole numbers in a row group, if the statistics say so.
    pub(super) fn bounds(&self, group: usize, column: usize) -> Result<Option<(i64, i64)>> {
        Ok(match self.chunk(group, column)?.statistics() {
            Some(Statistics::Int64(s)) => s.min_opt().copied().zip(s.max_opt().copied()),
            _ => None,
        })
    }

    /// True if rows may lack a value of the column.
    pub(super) fn is_optional(&self, group: usize, column: usize) -> Result<bool> {
        Ok(self.chunk(group, column)?.column_descr().max_def_level() > 0)
    }

    fn chunk(&self, group: usize, column: usize) -> Result<&ColumnChunkMetaData> {
        let found = self.group(group)?.columns().get(column);
        found.ok_or_else(|| ParquetError::General("no such column".into()))
    }
}

/// A column that is read forwards, some rows at a time, so that a dictionary is unpacked once a row group.
pub(super) struct Column<T: DataType> {
    number: usize,
    open: Option<Opened<T>>,
}

struct Opened<T: DataType> {
    group: usize,
    at: usize,
    reader: ColumnReaderImpl<T>,
}

/// Values of some rows, in order.
#[derive(Debug, Clone)]
pub(super) enum Values<V> {
    /// All rows have this one, or are null.
    Same(Option<V>),
    /// One a row.
    Each(Vec<V>),
    /// One a row, or null.
    Some(Vec<Option<V>>),
    /// One for so many rows each.
    Runs(Stretches<V>),
}

/// Values of several rows each, looked up mostly in order.
#[derive(Debug, Clone)]
pub(super) struct Stretches<V> {
    /// The row after each, and its value.
    runs: Vec<(usize, Option<V>)>,
    /// The one that was looked up last.
    last: Cell<usize>,
}

impl<V> Default for Stretches<V> {
    fn default() -> Self {
        Stretches {
            runs: Vec::new(),
            last: Cell::new(0),
        }
    }
}

impl<V> Stretches<V> {
    /// Adds so many rows.
    pub(super) fn add(&mut self, rows: usize, value: Option<V>) {
        let before = self.rows();
        if rows > 0 {
            self.runs.push((before + rows, value));
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.runs.last().map_or(0, |r| r.0)
    }

    /// The number of the run that holds a row.
    #[inline]
    fn find(&self, row: usize) -> usize {
        let last = self.last.get();
        let ends = |n: usize| self.runs.get(n).is_some_and(|r| r.0 > row);
        let starts = |n: usize| {
            n.checked_sub(1)
                .is_none_or(|b| self.runs.get(b).is_some_and(|r| r.0 <= row))
        };
        let at = match () {
            () if starts(last) && ends(last) => last,
            () if starts(last + 1) && ends(last + 1) => last + 1,
            () => self.runs.partition_point(|r| r.0 <= row),
        };
        self.last.set(at);
        at
    }

    fn cut(&mut self, rows: &Range<usize>) {
        self.runs.truncate(self.runs.partition_point(|r| r.0 < rows.end) + 1);
        self.runs.drain(..self.runs.partition_point(|r| r.0 <= rows.start));
        for (end, _) in &mut self.runs {
            *end = (*end).min(rows.end).saturating_sub(rows.start);
        }
        self.last.set(0);
    }
}

impl<V> Default for Values<V> {
    fn default() -> Self {
        Values::Same(None)
    }
}

impl<V> Values<V> {
    /// That of a row; none if it is null.
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&V> {
        match self {
            Values::Same(value) => value.as_ref(),
            Values::Each(values) => values.get(row),
            Values::Some(values) => values.get(row)?.as_ref(),
            Values::Runs(values) => values.runs.get(values.find(row))?.1.as_ref(),
        }
    }

    /// The row after a row and those after it that are known to have the same.
    #[inline]
    pub(super) fn until(&self, row: usize) -> usize {
        match self {
            Values::Same(_) => usize::MAX,
            Values::Each(_) | Values::Some(_) => row + 1,
            Values::Runs(values) => values.runs.get(values.find(row)).map_or(usize::MAX, |r| r.0),
        }
    }

    /// Keeps some of the rows.
    pub(super) fn cut(&mut self, rows: &Range<usize>) {
        match self {
            Values::Same(_) => {}
            Values::Each(values) => cut(values, rows),
            Values::Some(values) => cut(values, rows),
            Values::Runs(values) => values.cut(rows),
        }
    }
}

fn cut<V>(values: &mut Vec<V>, rows: &Range<usize>) {
    values.truncate(rows.end);
    values.drain(..rows.start.min(values.len()));
}

impl<T: Stored> Column<T> {
    pub(super) const fn new(number: usize) -> Self {
        Column { number, open: None }
    }

    /// The values of some rows of a group. What the statistics say to be one and the same is not read.
    pub(super) fn read(&mut self, file: &Reading, group: usize, rows: Range<usize>) -> Result<Values<T::T>> {
        if let Some(same) = file.constant::<T>(group, self.number)? {
            return Ok(Values::Same(same));
        }
        let mut column = match self.open.take() {
            Some(open) if open.group == group && open.at <= rows.start => open,
            _ => Opened {
                group,
                at: 0,
                reader: file.column::<T>(group, self.number)?,
            },
        };
        let ahead = rows.start - column.at;
        if column.reader.skip_records(ahead)? != ahead {
            return Err(ParquetError::General("a row group is shorter than it says".into()));
        }
        let optional = file.is_optional(group, self.number)?;
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let into = optional.then_some(&mut levels);
        column.reader.read_records(rows.len(), into, None, &mut values)?;
        column.at = rows.end;
        self.open = Some(column);
        let values = if optional {
            Values::Some(spread(values, &levels))
        } else {
            Values::Each(values)
        };
        let length = match &values {
            Values::Some(values) => values.len(),
            Values::Each(values) => values.len(),
            Values::Same(_) | Values::Runs(_) => rows.len(),
        };
        if length != rows.len() {
            return Err(ParquetError::General("a column is shorter than its rows".into()));
        }
        Ok(values)
    }
}

fn spread<V>(values: Vec<V>, levels: &[i16]) -> Vec<Option<V>> {
    let mut values = values.into_iter();
    let one = |level: &i16| if *level > 0 { values.next() } else { None };
    levels.iter().map(one).collect()
}

/// A type of the store's columns.
pub(super) trait Stored: DataType {
    /// Least and greatest value, if they are one.
    fn same(said: &Statistics) -> Option<Self::T>;
}

macro_rules! stored {
    ($($kind:ident $variant:ident;)*) => {$(
        impl Stored for $kind {
            fn same(said: &Statistics) -> Option<Self::T> {
                let Statistics::$variant(s) = said else { return None };
                let least = s.min_opt()?;
                (Some(least) == s.max_opt()).then(|| least.clone())
            }
        }
    )*};
}

stored! {
    BoolType Boolean;
    ByteArrayType ByteArray;
    Int32Type Int32;
    Int64Type Int64;
}
