//! The pages of one column of a row group, each fetched, compared and unpacked when it is wanted.
//!
//! The parquet crate's own reader makes a packer and an unpacker for each column that it opens, and on a virtual machine
//! asking the processor what it can do, which both do, takes as long as unpacking a page. A look-up opens a thousand columns
//! for a page each. So pages are read here, by one unpacker a thread; the crate decodes their values, and its reader is the
//! twin in the tests.

use crate::forms::columns::header::{self, Header, Kind};
use crate::index::seal::Sealed;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::metadata::page_index::RowGroupPageIndex;
use parquet::file::page_index::offset_index::PageLocation;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use zstd::bulk::Decompressor;

thread_local! {
    static UNPACK: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// No page of the store is larger than this, unpacked.
const LARGEST: usize = 1 << 26;
/// So much is fetched at once where page follows page.
const AHEAD: u64 = 1 << 16;

/// Reads the pages of a column chunk, or passes over them.
pub(super) struct Pages {
    file: Arc<Sealed>,
    index: RowGroupPageIndex,
    column: usize,
    rows: usize,
    /// Where the dictionary stands, until it is read or passed over, and from then on.
    dictionary: Option<Range<u64>>,
    passed: Option<Range<u64>>,
    end: u64,
    next: usize,
    /// The page after the one that was read last.
    follows: usize,
    /// Blocks at hand, and where they start.
    held: (u64, Bytes),
}

impl Pages {
    /// Of a column of a group of so many rows.
    pub(super) fn new(
        file: &Arc<Sealed>,
        chunk: &ColumnChunkMetaData,
        (index, column): (RowGroupPageIndex, usize),
        rows: usize,
    ) -> Result<Pages> {
        if !matches!(chunk.compression(), Compression::ZSTD(_)) {
            return Err(damaged());
        }
        let mut pages = Pages {
            file: Arc::clone(file),
            index,
            column,
            rows,
            dictionary: None,
            passed: None,
            end: 0,
            next: 0,
            follows: usize::MAX,
            held: (0, Bytes::new()),
        };
        let places = pages.places()?;
        let first = places.first().map(place).transpose()?;
        let last = places.last().map(place).transpose()?;
        pages.end = last.map_or(0, |p| p.end);
        if let (Some(at), Some(first)) = (chunk.dictionary_page_offset(), first) {
            let at = u64::try_from(at).map_err(|_| damaged())?;
            pages.dictionary = Some(at..first.start);
        }
        Ok(pages)
    }

    fn places(&self) -> Result<&[PageLocation]> {
        let index = self.index.offset_index(self.column);
        Ok(index.ok_or_else(damaged)?.page_locations())
    }

    /// Where a page stands, and how many rows it has.
    fn place(&self, page: usize) -> Result<Option<(Range<u64>, usize)>> {
        let places = self.places()?;
        let Some(here) = places.get(page) else { return Ok(None) };
        let after = places.get(page + 1).map(|p| p.first_row_index);
        let row = |n: i64| usize::try_from(n).map_err(|_| damaged());
        let end = after.map_or(Ok(self.rows), row)?;
        let rows = end.checked_sub(row(here.first_row_index)?).ok_or_else(damaged)?;
        Ok(Some((place(here)?, rows)))
    }

    /// The header and the unpacked content of what stands at some place.
    fn read(&mut self, at: &Range<u64>, ahead: u64) -> Result<(Header, Bytes)> {
        let held = self.held.0..self.held.0 + self.held.1.len() as u64;
        if at.start < held.start || at.end > held.end {
            let until = at.end.max(self.end.min(at.start.saturating_add(ahead)));
            self.held = self.file.around(&(at.start..until))?;
        }
        let from = usize::try_from(at.start - self.held.0).map_err(|_| damaged())?;
        let until = usize::try_from(at.end - self.held.0).map_err(|_| damaged())?;
        let bytes = self.held.1.get(from..until).ok_or_else(damaged)?;
        let (header, length) = header::read(bytes).ok_or_else(damaged)?;
        let packed = bytes.get(length..).and_then(|b| b.get(..header.packed));
        Ok((header, unpacked(packed.ok_or_else(damaged)?, header.unpacked)?))
    }

    fn dictionary(&mut self, at: &Range<u64>) -> Result<Page> {
        let (header, buf) = self.read(at, at.end.saturating_sub(at.start))?;
        if header.kind != Kind::Dictionary {
            return Err(damaged());
        }
        Ok(Page::DictionaryPage {
            buf,
            num_values: header.values,
            encoding: encoding(header.encoding)?,
            is_sorted: false,
        })
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        if let Some(at) = self.dictionary.take() {
            return self.dictionary(&at).map(Some);
        }
        let Some((at, rows)) = self.place(self.next)? else {
            return Ok(None);
        };
        let ahead = if self.follows == self.next { AHEAD } else { 0 };
        let (header, buf) = self.read(&at, ahead)?;
        self.next += 1;
        self.follows = self.next;
        let Kind::Data { levels } = header.kind else {
            return Err(damaged());
        };
        if header.values as usize != rows {
            return Err(damaged());
        }
        Ok(Some(Page::DataPage {
            buf,
            num_values: header.values,
            encoding: encoding(header.encoding)?,
            def_level_encoding: encoding(levels)?,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let rows = match &self.dictionary {
            Some(_) => None,
            None => match self.place(self.next)? {
                Some((_, rows)) => Some(rows),
                None => return Ok(None),
            },
        };
        Ok(Some(PageMetadata {
            num_rows: rows,
            num_levels: None,
            is_dict: rows.is_none(),
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        match self.dictionary.take() {
            Some(at) => self.passed = Some(at),
            None => self.next += 1,
        }
        Ok(())
    }

    fn supports_deferred_dictionary(&self) -> bool {
        true
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let at = self.passed.take();
        at.map(|at| self.dictionary(&at)).transpose()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn place(page: &PageLocation) -> Result<Range<u64>> {
    let at = u64::try_from(page.offset).map_err(|_| damaged())?;
    let size = u64::try_from(page.compressed_page_size).map_err(|_| damaged())?;
    Ok(at..at.checked_add(size).ok_or_else(damaged)?)
}

fn unpacked(packed: &[u8], size: usize) -> Result<Bytes> {
    if size == 0 {
        return Ok(Bytes::new());
    }
    if size > LARGEST {
        return Err(damaged());
    }
    let mut page = Vec::with_capacity(size);
    let made = UNPACK.with_borrow_mut(|unpack| match unpack {
        Some(unpack) => unpack.decompress_to_buffer(packed, &mut page).ok(),
        None => None,
    });
    match made {
        Some(made) if made == size => Ok(page.into()),
        _ => Err(damaged()),
    }
}

/// An encoding of the store's pages by its number in the format.
fn encoding(number: i32) -> Result<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        _ => return Err(damaged()),
    })
}

fn damaged() -> ParquetError {
    ParquetError::General("a page is not what it says".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::part::{close, create, properties};
    use parquet::data_type::{Int32Type, Int64Type};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
    use parquet::file::serialized_reader::SerializedPageReader;
    use proptest::prelude::*;
    use std::fs::File;

    fn written(path: &std::path::Path, numbers: &[(i64, bool)]) -> crate::index::Seal {
        let schema = "message m { REQUIRED INT64 a; REQUIRED INT64 b; OPTIONAL INT32 c; }";
        let delta = [("b", Encoding::DELTA_BINARY_PACKED)];
        let mut writer = create(path, schema, properties(&["a", "b"], &delta, 64)).unwrap();
        for numbers in numbers.chunks(1000) {
            let values: Vec<i64> = numbers.iter().map(|n| n.0).collect();
            let some: Vec<i32> = numbers.iter().filter(|n| n.1).map(|n| n.0 as i32).collect();
            let levels: Vec<i16> = numbers.iter().map(|n| n.1.into()).collect();
            let mut group = writer.next_row_group().unwrap();
            for _ in 0..2 {
                let mut column = group.next_column().unwrap().unwrap();
                column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
                column.close().unwrap();
            }
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int32Type>()
                .write_batch(&some, Some(&levels), None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        close(writer).unwrap()
    }

    fn both(file: &Arc<Sealed>, meta: &ParquetMetaData, (group, column): (usize, usize)) -> [Box<dyn PageReader>; 2] {
        let chunk = meta.row_group(group).column(column);
        let rows = meta.row_group(group).num_rows() as usize;
        let index = || meta.page_index_for_row_group(group);
        let places = index().offset_index(column).unwrap().page_locations().clone();
        let twin = SerializedPageReader::new(Arc::new(file.own()), chunk, rows, Some(places)).unwrap();
        [
            Box::new(Pages::new(file, chunk, (index(), column), rows).unwrap()),
            Box::new(twin),
        ]
    }

    /// Everything of a page but its statistics, which nobody reads here.
    fn told(page: Option<Page>) -> Option<(Encoding, u32, Bytes)> {
        page.map(|p| (p.encoding(), p.num_values(), p.buffer().clone()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The twin: the library's own reader, whichever pages are passed over.
        #[test]
        fn pages_are_what_the_library_reads(
            numbers in prop::collection::vec((-40i64..4000, any::<bool>()), 1..2500),
            passes in prop::collection::vec(any::<bool>(), 1..50),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.parquet");
            let seal = written(&path, &numbers);
            let file = Arc::new(Sealed::new(File::open(&path).unwrap(), seal).unwrap());
            let meta = ParquetMetaDataReader::new()
                .with_offset_index_policy(PageIndexPolicy::Required)
                .parse_and_finish(&*file)
                .unwrap();
            for at in (0..meta.num_row_groups()).flat_map(|g| (0..3).map(move |c| (g, c))) {
                let [mut own, mut twin] = both(&file, &meta, at);
                let mut passes = passes.iter().cycle();
                loop {
                    let [a, b] = [own.peek_next_page().unwrap(), twin.peek_next_page().unwrap()];
                    prop_assert_eq!(a.as_ref().map(|p| p.is_dict), b.as_ref().map(|p| p.is_dict));
                    let Some((a, b)) = a.zip(b) else { break };
                    prop_assert_eq!(a.num_rows.or(a.num_levels), b.num_rows.or(b.num_levels));
                    if passes.next() == Some(&true) {
                        own.skip_next_page().unwrap();
                        twin.skip_next_page().unwrap();
                    } else {
                        prop_assert_eq!(told(own.get_next_page().unwrap()), told(twin.get_next_page().unwrap()));
                    }
                    let late = [own.take_deferred_dictionary().unwrap(), twin.take_deferred_dictionary().unwrap()];
                    prop_assert_eq!(told(late[0].clone()), told(late[1].clone()));
                }
            }
        }
    }
}
