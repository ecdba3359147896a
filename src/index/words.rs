//! A column of words that stand for many rows each, read as runs: an interface, a subnet, an action.
//!
//! The library hands out a text for each row. Such columns are coded by a dictionary, and codes that repeat are written once
//! with their number (apache/parquet-format:Encodings.md, RLE_DICTIONARY), so here a run costs as much as a row does there.
//! A dictionary that would be too large is given up by the writer, and texts stand there as they are.

use crate::forms::columns::hybrid::Hybrid;
use crate::index::blocks::{Reading, Stretches, Values};
use crate::index::pages::Pages;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::{ParquetError, Result};
use std::ops::Range;

/// A column of texts, read forwards.
pub(super) struct Words {
    number: usize,
    open: Option<Open>,
}

/// A row group's column, and the page of it that is read.
struct Open {
    group: usize,
    pages: Pages,
    optional: bool,
    words: Vec<ByteArray>,
    /// The next row of the page, and the one after its last.
    at: usize,
    next: usize,
    levels: Option<Hybrid>,
    values: Coded,
    runs: Vec<(u32, usize)>,
}

/// Values of a page that are left.
#[derive(Default)]
enum Coded {
    /// It has none, or none is read.
    #[default]
    None,
    /// Codes of the dictionary.
    Codes(Hybrid),
    /// Texts, each with its length.
    Plain(Bytes),
}

impl Words {
    pub(super) const fn new(number: usize) -> Self {
        Words { number, open: None }
    }

    /// The words of some rows of a group. What the statistics say to be one and the same is not read.
    pub(super) fn read(&mut self, file: &Reading, group: usize, rows: Range<usize>) -> Result<Values<ByteArray>> {
        if let Some(same) = file.constant::<ByteArrayType>(group, self.number)? {
            return Ok(Values::Same(same));
        }
        let mut open = match self.open.take() {
            Some(open) if open.group == group && open.at <= rows.start => open,
            _ => Open {
                group,
                pages: file.pages(group, self.number)?,
                optional: file.is_optional(group, self.number)?,
                words: Vec::new(),
                at: 0,
                next: 0,
                levels: None,
                values: Coded::None,
                runs: Vec::new(),
            },
        };
        let mut found = Stretches::default();
        while open.at < rows.end {
            if open.at == open.next {
                open.turn(rows.start)?;
            } else if open.at < rows.start {
                let count = open.next.min(rows.start) - open.at;
                open.pass(count).ok_or_else(damaged)?;
            } else {
                let count = open.next.min(rows.end) - open.at;
                open.take(count, &mut found).ok_or_else(damaged)?;
            }
        }
        self.open = Some(open);
        Ok(Values::Runs(found))
    }
}

impl Open {
    /// Reads the dictionary, or the next page, or passes over it if it ends before the row.
    fn turn(&mut self, row: usize) -> Result<()> {
        let next = self.pages.peek_next_page()?.ok_or_else(damaged)?;
        if let Some(rows) = next.num_rows {
            self.next += rows;
            if self.next <= row {
                self.at = self.next;
                return self.pages.skip_next_page();
            }
        }
        match self.pages.get_next_page()?.ok_or_else(damaged)? {
            Page::DictionaryPage { buf, num_values, .. } => {
                let mut data = buf;
                let all = (0..num_values).map(|_| text(&mut data));
                self.words = all.collect::<Option<_>>().ok_or_else(damaged)?;
            }
            Page::DataPage { buf, encoding, .. } => {
                self.begin(buf, encoding).ok_or_else(damaged)?;
            }
            Page::DataPageV2 { .. } => return Err(damaged()),
        }
        Ok(())
    }

    fn begin(&mut self, mut data: Bytes, encoding: Encoding) -> Option<()> {
        self.levels = None;
        if self.optional {
            let length = u32::from_le_bytes(take(&mut data, 4)?.as_ref().try_into().ok()?);
            self.levels = Some(Hybrid::new(take(&mut data, length as usize)?, 1)?);
        }
        self.values = match encoding {
            _ if data.is_empty() => Coded::None,
            Encoding::PLAIN => Coded::Plain(data),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let width = take(&mut data, 1)?.first().copied()?;
                Coded::Codes(Hybrid::new(data, width.into())?)
            }
            _ => return None,
        };
        Some(())
    }

    /// Runs of the next rows that have a value, and of those that have none.
    fn present(&mut self, count: usize) -> Option<Vec<(u32, usize)>> {
        let mut runs = Vec::new();
        match &mut self.levels {
            Some(levels) => levels.runs(count, &mut runs)?,
            None => runs.push((1, count)),
        }
        Some(runs)
    }

    fn pass(&mut self, count: usize) -> Option<()> {
        let present = self.present(count)?.iter().filter(|r| r.0 > 0).map(|r| r.1).sum();
        self.at += count;
        match &mut self.values {
            Coded::None => (present == 0).then_some(()),
            Coded::Codes(codes) => codes.skip(present),
            Coded::Plain(data) => (0..present).try_for_each(|_| text(data).map(drop)),
        }
    }

    fn take(&mut self, count: usize, found: &mut Stretches<ByteArray>) -> Option<()> {
        for (level, count) in self.present(count)? {
            match &mut self.values {
                _ if level == 0 => found.add(count, None),
                Coded::None => return None,
                Coded::Codes(codes) => {
                    self.runs.clear();
                    codes.runs(count, &mut self.runs)?;
                    for (code, count) in &self.runs {
                        found.add(*count, Some(self.words.get(*code as usize)?.clone()));
                    }
                }
                Coded::Plain(data) => {
                    for _ in 0..count {
                        found.add(1, Some(text(data)?));
                    }
                }
            }
        }
        self.at += count;
        Some(())
    }
}

/// A text and its length before it.
fn text(data: &mut Bytes) -> Option<ByteArray> {
    let length = u32::from_le_bytes(take(data, 4)?.as_ref().try_into().ok()?);
    take(data, length as usize).map(ByteArray::from)
}

fn take(data: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= data.len()).then(|| data.split_to(count))
}

fn damaged() -> ParquetError {
    ParquetError::General("a page of words is not what it says".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::blocks::Column;
    use crate::index::part::{close, create, properties};
    use proptest::prelude::*;

    fn written(path: &std::path::Path, texts: &[Option<String>]) -> crate::index::Seal {
        let schema = "message m { OPTIONAL BYTE_ARRAY t (UTF8); REQUIRED BYTE_ARRAY u (UTF8); }";
        let mut writer = create(path, schema, properties(&["t"], &[("u", Encoding::PLAIN)], 64)).unwrap();
        for texts in texts.chunks(1000) {
            let values: Vec<ByteArray> = texts.iter().flatten().map(|t| t.as_str().into()).collect();
            let levels: Vec<i16> = texts.iter().map(|t| t.is_some().into()).collect();
            let all: Vec<ByteArray> = texts.iter().map(|t| t.as_deref().unwrap_or_default().into()).collect();
            let mut group = writer.next_row_group().unwrap();
            for (values, levels) in [(&values, Some(&*levels)), (&all, None)] {
                let mut column = group.next_column().unwrap().unwrap();
                column
                    .typed::<ByteArrayType>()
                    .write_batch(values, levels, None)
                    .unwrap();
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        close(writer).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The twin: the library's own reader of values.
        #[test]
        fn words_are_what_the_library_reads(
            texts in prop::collection::vec((prop::option::of("[a-c]{0,2}|[0-9]{3}"), 1usize..40), 1..120),
            stretches in prop::collection::vec((0usize..1000, 1usize..300), 1..8),
        ) {
            let texts: Vec<_> = texts.into_iter().flat_map(|(t, n)| vec![t; n]).collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.parquet");
            let seal = written(&path, &texts);
            let file = Reading::open(&path, &seal, false).unwrap();
            for column in 0..2 {
                let (mut words, mut twin) = (Words::new(column), Column::<ByteArrayType>::new(column));
                for group in 0..file.groups() {
                    let size = file.rows(group).unwrap();
                    for (from, count) in &stretches {
                        let rows = from % size..(from % size + count).min(size);
                        let mut found = words.read(&file, group, rows.clone()).unwrap();
                        let mut wanted = twin.read(&file, group, rows.clone()).unwrap();
                        let all = |v: &Values<ByteArray>, n| (0..n).map(|i| v.get(i).cloned()).collect::<Vec<_>>();
                        prop_assert_eq!(all(&found, rows.len()), all(&wanted, rows.len()));
                        for i in 1..rows.len() {
                            prop_assert!(found.until(i - 1) > i - 1);
                            prop_assert!(found.until(i - 1) <= i || found.get(i) == found.get(i - 1));
                        }
                        let kept = rows.len() / 3..rows.len() / 2;
                        found.cut(&kept);
                        wanted.cut(&kept);
                        prop_assert_eq!(all(&found, kept.len()), all(&wanted, kept.len()));
                    }
                }
            }
        }
    }
}
