//! Some rows of some columns of a Parquet file: pages outside of them are neither read nor unpacked.
//!
//! The offset index says where the page of a row lies, the column index what a page may hold. A store can be damaged, and
//! what cannot be read is an error of the library, never a panic here.

use crate::index::seal::{Seal, Sealed};
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
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
    /// Opens a file that is what `seal` says, and reads its footer and its page indexes.
    pub(super) fn open(path: &Path, seal: &Seal) -> Result<Reading> {
        let file = File::open(path).map_err(|e| ParquetError::External(Box::new(e)))?;
        let file = Sealed::new(file, seal.clone())?;
        let meta = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
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

    /// True if no row of a group has a value in this column.
    pub(super) fn is_null(&self, group: usize, column: usize) -> bool {
        let meta = self.group(group).ok();
        let nulls = meta.and_then(|g| g.columns().get(column)?.statistics()?.null_count_opt());
        nulls.is_some() && nulls == meta.and_then(|g| u64::try_from(g.num_rows()).ok())
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

    /// Texts of rows, none of them null.
    pub(super) fn texts(&self, group: usize, column: usize, rows: Range<usize>) -> Result<Vec<ByteArray>> {
        self.whole::<ByteArrayType>(group, column, rows)
    }

    /// Texts of rows; none for all of them if the column is empty.
    pub(super) fn some_texts(
        &self,
        group: usize,
        column: usize,
        rows: Range<usize>,
    ) -> Result<Option<Vec<Option<ByteArray>>>> {
        self.some::<ByteArrayType>(group, column, rows)
    }

    /// Numbers of rows.
    pub(super) fn ints(&self, group: usize, column: usize, rows: Range<usize>) -> Result<Vec<i32>> {
        self.whole::<Int32Type>(group, column, rows)
    }

    /// Numbers of rows, as far as there are.
    pub(super) fn some_ints(
        &self,
        group: usize,
        column: usize,
        rows: Range<usize>,
    ) -> Result<Option<Vec<Option<i32>>>> {
        self.some::<Int32Type>(group, column, rows)
    }

    /// Large numbers of rows.
    pub(super) fn longs(&self, group: usize, column: usize, rows: Range<usize>) -> Result<Vec<i64>> {
        self.whole::<Int64Type>(group, column, rows)
    }

    fn whole<T: DataType>(&self, group: usize, column: usize, rows: Range<usize>) -> Result<Vec<T::T>> {
        let (values, _) = self.read::<T>(group, column, rows.clone())?;
        if values.len() != rows.len() {
            return Err(ParquetError::General("a column is shorter than its rows".into()));
        }
        Ok(values)
    }

    fn some<T: DataType>(&self, group: usize, column: usize, rows: Range<usize>) -> Result<Option<Vec<Option<T::T>>>> {
        if self.is_null(group, column) {
            return Ok(None);
        }
        let (values, levels) = self.read::<T>(group, column, rows.clone())?;
        let mut values = values.into_iter();
        let spread: Vec<Option<T::T>> = levels
            .iter()
            .map(|l| if *l > 0 { values.next() } else { None })
            .collect();
        if spread.len() != rows.len() {
            return Err(ParquetError::General("a column is shorter than its rows".into()));
        }
        Ok(Some(spread))
    }

    fn read<T: DataType>(&self, group: usize, column: usize, rows: Range<usize>) -> Result<(Vec<T::T>, Vec<i16>)> {
        let mut reader = self.column::<T>(group, column)?;
        if reader.skip_records(rows.start)? != rows.start {
            return Err(ParquetError::General("a row group is shorter than it says".into()));
        }
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        reader.read_records(rows.len(), Some(&mut levels), None, &mut values)?;
        Ok((values, levels))
    }

    fn column<T: DataType>(&self, group: usize, column: usize) -> Result<ColumnReaderImpl<T>> {
        let meta = self.group(group)?.columns().get(column);
        let meta = meta.ok_or_else(|| ParquetError::General("no such column".into()))?;
        if meta.column_type() != T::get_physical_type() {
            return Err(ParquetError::General("a column has another type".into()));
        }
        let index = self.meta.page_index_for_row_group(group);
        let pages = index.offset_index(column).map(|o| o.page_locations().clone());
        let reader = SerializedPageReader::new(Arc::clone(&self.file), meta, self.rows(group)?, pages)?;
        let reader = get_column_reader(meta.column_descr_ptr(), Box::new(reader));
        Ok(get_typed_column_reader(reader))
    }
}
