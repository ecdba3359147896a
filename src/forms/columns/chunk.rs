//! One column of one row group: pages to codes, and the entries that they stand for.
//!
//! Pages of the usual encodings (plain, dictionary) are decoded here, because the parquet crate hands out values where
//! codes are wanted; a chunk that was written otherwise (delta, byte stream split) takes the crate's own column reader.

use crate::error::{Error, Result};
use crate::forms::columns::entries::Entries;
use crate::forms::columns::held::Held;
use crate::forms::columns::hybrid::{Hybrid, width_of};
use crate::forms::columns::page::{Open, plain, take};
use crate::forms::columns::pages::{Data, Levels, Next, Page, Pages, library};
use crate::forms::columns::schema::Leaf;
use parquet::basic::{Encoding, Type};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use std::sync::Arc;

/// The code of a row without a value.
pub const NULL: u32 = u32::MAX;

/// Reads one column chunk from its start to its end.
pub(super) struct Chunk {
    values_of: Source,
    leaf: Leaf,
    /// Every data page holds codes of the dictionary, says the footer.
    coded: bool,
    /// Rows that were passed over and stand before the next ones to be read.
    behind: usize,
    pub(super) entries: Entries,
    /// How many entries are the dictionary's.
    pub(super) dictionary: usize,
    /// Rises with each dictionary.
    pub(super) turn: u64,
    /// Some row of the batch in hand has no value.
    pub(super) nulls: bool,
    levels: Vec<(u32, usize)>,
    values: Vec<u32>,
}

/// Who decodes the values.
enum Source {
    /// This room.
    Own { pages: Pages, page: Box<Open> },
    /// The parquet crate.
    Library(Box<ColumnReader>),
}

impl Chunk {
    pub(super) fn open(file: &Arc<Held>, group: &RowGroupMetaData, leaf: &Leaf) -> Result<Self> {
        let meta = group
            .columns()
            .get(leaf.column)
            .ok_or_else(|| damaged("a column is missing"))?;
        let rows = usize::try_from(group.num_rows()).map_err(damaged)?;
        let own = meta.encodings().all(is_own) && !matches!(leaf.physical, Type::FLOAT | Type::DOUBLE | Type::BOOLEAN);
        let values_of = if own {
            let (pages, page) = (Pages::open(file, meta, rows)?, Box::default());
            Source::Own { pages, page }
        } else {
            let pages = library(file, meta, rows)?;
            Source::Library(Box::new(get_column_reader(meta.column_descr_ptr(), pages)))
        };
        Ok(Chunk {
            values_of,
            leaf: leaf.clone(),
            coded: own && is_coded(meta),
            behind: 0,
            entries: Entries::new(leaf.field, leaf.reading),
            dictionary: 0,
            turn: 0,
            nulls: false,
            levels: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Reads the codes of the next `count` rows; entries of earlier batches that are not the dictionary's go.
    pub(super) fn read(&mut self, count: usize, codes: &mut Vec<u32>) -> Result<()> {
        self.nulls = false;
        self.entries.truncate(self.dictionary);
        self.catch_up()?;
        if let Source::Library(_) = self.values_of {
            codes.clear();
            while codes.len() < count {
                self.library(count - codes.len(), codes)?;
            }
            return Ok(());
        }
        codes.resize(count, 0);
        let mut rest = codes.as_mut_slice();
        while let (Source::Own { page, .. }, false) = (&mut self.values_of, rest.is_empty()) {
            if page.left == 0 {
                self.next_page()?;
                continue;
            }
            let n = rest.len().min(page.left);
            page.left -= n;
            let (now, later) = rest.split_at_mut(n);
            self.own(now)?;
            rest = later;
        }
        Ok(())
    }

    /// Reads the dictionary, if one comes first; true if no row can have another value.
    pub(super) fn load_dictionary(&mut self) -> Result<bool> {
        if let Source::Own { pages, .. } = &mut self.values_of
            && pages.peek()? == Some(Next::Dictionary)
        {
            self.next_page()?;
        }
        Ok(self.coded && self.dictionary > 0)
    }

    /// Passes over the next `count` rows.
    pub(super) fn skip(&mut self, count: usize) {
        self.behind += count;
    }

    fn catch_up(&mut self) -> Result<()> {
        while self.behind > 0 {
            let Source::Own { pages, page } = &mut self.values_of else {
                let mut codes = Vec::new();
                self.library(self.behind.min(STEP), &mut codes)?;
                self.entries.truncate(self.dictionary);
                self.behind -= codes.len().min(self.behind);
                continue;
            };
            if page.left > 0 {
                let n = page.left.min(self.behind);
                page.skip(n, &self.leaf)?;
                self.behind -= n;
                continue;
            }
            match pages.peek()?.ok_or_else(short)? {
                Next::Rows(n) if n <= self.behind => {
                    pages.skip()?;
                    self.behind -= n;
                }
                _ => self.next_page()?,
            }
        }
        Ok(())
    }

    fn own(&mut self, codes: &mut [u32]) -> Result<()> {
        let Source::Own { page, .. } = &mut self.values_of else {
            return Ok(());
        };
        let Some(levels) = &mut page.levels else {
            return page.values.read(&self.leaf, &mut self.entries, codes);
        };
        self.levels.clear();
        levels.runs(codes.len(), &mut self.levels).ok_or_else(short)?;
        let there = |(level, _): &&(u32, usize)| *level == self.leaf.max_level;
        let present = self.levels.iter().filter(there).map(|(_, n)| n).sum();
        if present == codes.len() {
            return page.values.read(&self.leaf, &mut self.entries, codes);
        }
        self.nulls = true;
        self.values.resize(present, 0);
        page.values.read(&self.leaf, &mut self.entries, &mut self.values)?;
        scatter(&self.levels, self.leaf.max_level, &self.values, codes);
        Ok(())
    }

    fn next_page(&mut self) -> Result<()> {
        let Source::Own { pages, page } = &mut self.values_of else {
            return Ok(());
        };
        // What the page before stands in is used again.
        **page = Open::default();
        match pages.next()?.ok_or_else(short)? {
            Page::Data(data) => **page = opened(data, self.leaf.max_level)?,
            Page::Dictionary(count, mut data) => {
                self.entries.truncate(0);
                plain(&mut data, count, self.leaf.physical, self.leaf.scale, &mut self.entries)?;
                self.dictionary = self.entries.len();
                self.turn += 1;
            }
        }
        Ok(())
    }

    fn library(&mut self, wanted: usize, codes: &mut Vec<u32>) -> Result<()> {
        let Source::Library(reader) = &mut self.values_of else {
            return Ok(());
        };
        let mut levels = Vec::new();
        let first = self.entries.len();
        let (entries, scale) = (&mut self.entries, self.leaf.scale);
        let max_level = self.leaf.max_level;
        macro_rules! read {
            ($reader:expr, $type:ty, $push:expr) => {{
                let mut values: Vec<$type> = Vec::new();
                let levels = (max_level > 0).then_some(&mut levels);
                let (rows, _, _) = $reader
                    .read_records(wanted, levels, None, &mut values)
                    .map_err(damaged)?;
                values.iter().for_each($push);
                rows
            }};
        }
        let rows = match reader.as_mut() {
            ColumnReader::Int32ColumnReader(r) => read!(r, i32, |n| entries.push_number(i64::from(*n) / scale)),
            ColumnReader::Int64ColumnReader(r) => read!(r, i64, |n| entries.push_number(*n / scale)),
            ColumnReader::FloatColumnReader(r) => read!(r, f32, |n| push_float(f64::from(*n), entries)),
            ColumnReader::DoubleColumnReader(r) => read!(r, f64, |n| push_float(*n, entries)),
            ColumnReader::ByteArrayColumnReader(r) => read!(r, ByteArray, |b| entries.push_text(b.data())),
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                read!(r, FixedLenByteArray, |b| entries.push_text(b.data()))
            }
            _ => return Err(damaged("a type that no field has")),
        };
        if rows == 0 {
            return Err(short());
        }
        let values: Vec<u32> = (first..self.entries.len()).map(|i| i as u32).collect();
        if max_level == 0 {
            codes.extend(values);
        } else {
            let levels: Vec<_> = levels
                .iter()
                .map(|l: &i16| (u32::try_from(*l).unwrap_or(0), 1))
                .collect();
            self.nulls |= values.len() < levels.len();
            let before = codes.len();
            codes.resize(before + levels.len(), NULL);
            scatter(&levels, max_level, &values, &mut codes[before..]);
        }
        Ok(())
    }
}

/// Parts levels and values.
fn opened(page: Data, max_level: u32) -> Result<Open> {
    let (mut data, width) = (page.bytes, width_of(max_level.into()));
    let levels = match page.levels {
        Levels::Counted(_) if max_level == 0 => None,
        Levels::Counted(encoding) if encoding != Encoding::RLE => return Err(damaged("levels in an old encoding")),
        Levels::Counted(_) => {
            let length = u32::from_le_bytes(take(&mut data, 4)?.as_ref().try_into().map_err(damaged)?);
            Hybrid::new(take(&mut data, length as usize)?, width)
        }
        Levels::Bare(repetition, definition) => {
            take(&mut data, repetition)?;
            let levels = take(&mut data, definition)?;
            (max_level > 0).then(|| Hybrid::new(levels, width)).flatten()
        }
    };
    Open::new(page.count, levels, page.encoding, data)
}

/// True if the footer says that all data pages are coded by the dictionary.
fn is_coded(meta: &ColumnChunkMetaData) -> bool {
    let coded = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];
    let mask = meta.page_encoding_stats_mask();
    mask.is_some_and(|mask| coded.iter().any(|c| mask.is_only(*c)))
}

/// So many rows that nobody wants are decoded at a time.
const STEP: usize = 4 << 10;

/// True for the encodings that are decoded here.
fn is_own(encoding: Encoding) -> bool {
    #[expect(deprecated, reason = "old writers name them")]
    let own = [
        Encoding::PLAIN,
        Encoding::PLAIN_DICTIONARY,
        Encoding::RLE_DICTIONARY,
        Encoding::RLE,
        Encoding::BIT_PACKED,
    ];
    own.contains(&encoding)
}

/// Codes of rows by runs of levels: rows with a value take the next ones.
fn scatter(levels: &[(u32, usize)], max_level: u32, mut values: &[u32], mut codes: &mut [u32]) {
    for (level, count) in levels {
        let there = if *level == max_level { *count } else { 0 };
        let (now, later) = codes.split_at_mut((*count).min(codes.len()));
        let (taken, left) = values.split_at(there.min(now.len()).min(values.len()));
        let (with, without) = now.split_at_mut(taken.len());
        with.copy_from_slice(taken);
        without.fill(NULL);
        (values, codes) = (left, later);
    }
}

/// A number that was stored as a float, as tables do that know no absent integers.
fn push_float(n: f64, entries: &mut Entries) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.is_nan() {
        entries.push_text(b"-");
    } else if n.fract() == 0.0 && n.abs() <= EXACT {
        entries.push_number(n as i64);
    } else {
        entries.push_bad(n.to_string().as_bytes());
    }
}

pub(super) fn short() -> Error {
    damaged("a column ends before its rows do")
}

/// A file that is not what its footer says.
pub(super) fn damaged(cause: impl std::fmt::Display) -> Error {
    Error::format(format!("damaged Parquet: {cause}"))
}
