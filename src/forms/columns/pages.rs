//! Pages of a column chunk, one after the other, unpacked into a buffer that is used again.
//!
//! gzip, as AWS delivers it, by libdeflate; snappy; pages that are not packed are read where they stand in the file. A chunk
//! of any other codec takes the parquet crate's reader, which is the twin of this one in the tests. What a header states is
//! no reason to make room: nothing can be unpacked to more than its codec's greatest ratio.

use crate::error::Result;
use crate::forms::columns::chunk::damaged;
use crate::forms::columns::header::{self, Header, Kind};
use crate::forms::columns::held::Held;
use bytes::{Bytes, BytesMut};
use libdeflater::Decompressor;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page as Foreign, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use std::cell::RefCell;
use std::io::Read;
use std::sync::Arc;

/// A page whose bytes are unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// So many plain values.
    Dictionary(usize, Bytes),
    /// Levels and values.
    Data(Data),
}

/// A page of rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data {
    /// Rows.
    pub(super) count: u32,
    pub(super) encoding: Encoding,
    pub(super) levels: Levels,
    pub(super) bytes: Bytes,
}

/// How the levels stand before the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Levels {
    /// With their length before them, in this encoding.
    Counted(Encoding),
    /// Bytes of repetition levels and of definition levels.
    Bare(usize, usize),
}

/// What a page is, before it is unpacked: rows, or a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Rows(usize),
    Dictionary,
}

/// Reads the pages of one column chunk.
pub(super) enum Pages {
    /// Unpacked here.
    Own(Own),
    /// By the parquet crate.
    Library(Box<dyn PageReader>),
}

impl Pages {
    pub(super) fn open(file: &Arc<Held>, meta: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        match Own::open(file, meta) {
            Some(own) => Ok(Pages::Own(own)),
            None => Ok(Pages::Library(library(file, meta, rows)?)),
        }
    }

    /// What comes next, if anything does.
    pub(super) fn peek(&mut self) -> Result<Option<Next>> {
        match self {
            Pages::Own(own) => own.peek(),
            Pages::Library(reader) => Ok(reader.peek_next_page().map_err(damaged)?.map(|p| match p.is_dict {
                true => Next::Dictionary,
                false => Next::Rows(p.num_levels.or(p.num_rows).unwrap_or(usize::MAX)),
            })),
        }
    }

    /// Passes over a page.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self {
            Pages::Own(own) => own.skip(),
            Pages::Library(reader) => reader.skip_next_page().map_err(damaged),
        }
    }

    /// The next page. Its buffer is used again for the one after it, if nobody holds it any more.
    pub(super) fn next(&mut self) -> Result<Option<Page>> {
        match self {
            Pages::Own(own) => own.next(),
            Pages::Library(reader) => Ok(reader.get_next_page().map_err(damaged)?.map(Page::from)),
        }
    }
}

/// The crate's reader.
pub(super) fn library(file: &Arc<Held>, meta: &ColumnChunkMetaData, rows: usize) -> Result<Box<dyn PageReader>> {
    let reader = SerializedPageReader::new(Arc::clone(file), meta, rows, None).map_err(damaged)?;
    Ok(Box::new(reader))
}

impl From<Foreign> for Page {
    fn from(page: Foreign) -> Self {
        match page {
            Foreign::DictionaryPage { buf, num_values, .. } => Page::Dictionary(num_values as usize, buf),
            Foreign::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                ..
            } => Page::Data(Data {
                count: num_values,
                encoding,
                levels: Levels::Counted(def_level_encoding),
                bytes: buf,
            }),
            Foreign::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => Page::Data(Data {
                count: num_values,
                encoding,
                levels: Levels::Bare(rep_levels_byte_len as usize, def_levels_byte_len as usize),
                bytes: buf,
            }),
        }
    }
}

/// The codecs that are unpacked here.
#[derive(Debug, Clone, Copy)]
enum Codec {
    Stored,
    Gzip,
    Snappy,
}

impl Codec {
    /// So many bytes at most come of `packed` ones.
    fn most(self, packed: usize) -> usize {
        match self {
            Codec::Stored => packed,
            Codec::Gzip => packed.saturating_mul(1_032),
            // 64 bytes by a copy of three, and the length that stands before all.
            Codec::Snappy => packed.saturating_mul(22),
        }
    }
}

/// The reader of the usual codecs.
pub(super) struct Own {
    file: Arc<Held>,
    /// Where the next page, or its header, stands.
    at: u64,
    /// Bytes of the chunk from there on.
    left: u64,
    codec: Codec,
    /// The header that was read last, if its page was not.
    header: Option<Header>,
    /// The buffer of the page before.
    spare: Bytes,
}

/// A larger buffer is given back.
const KEPT: usize = 4 << 20;

thread_local! {
    static INFLATE: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

impl Own {
    fn open(file: &Arc<Held>, meta: &ColumnChunkMetaData) -> Option<Self> {
        let codec = match meta.compression() {
            Compression::UNCOMPRESSED => Codec::Stored,
            Compression::GZIP(_) => Codec::Gzip,
            Compression::SNAPPY => Codec::Snappy,
            _ => return None,
        };
        let (at, left) = meta.byte_range();
        Some(Own {
            file: Arc::clone(file),
            at,
            left,
            codec,
            header: None,
            spare: Bytes::new(),
        })
    }

    /// The header of the next page that holds something.
    fn header(&mut self) -> Result<Option<Header>> {
        while self.header.is_none() && self.left > 0 {
            let mut bytes = self.file.from(self.at).map_err(damaged)?;
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            let (header, length) = header::read(&bytes).ok_or_else(|| damaged("a page without a header"))?;
            self.pass(length)?;
            if header.packed as u64 > self.left {
                return Err(damaged("a page beyond its column"));
            }
            match header.kind {
                Kind::Other => self.pass(header.packed)?,
                _ => self.header = Some(header),
            }
        }
        Ok(self.header)
    }

    fn pass(&mut self, length: usize) -> Result<()> {
        let length = length as u64;
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| damaged("a page beyond its column"))?;
        self.at = self.at.saturating_add(length);
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Next>> {
        Ok(self.header()?.map(|h| match h.kind {
            Kind::Dictionary => Next::Dictionary,
            _ => Next::Rows(h.values as usize),
        }))
    }

    fn skip(&mut self) -> Result<()> {
        match self.header()? {
            Some(header) => {
                self.header = None;
                self.pass(header.packed)
            }
            None => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Option<Page>> {
        let Some(header) = self.header()? else { return Ok(None) };
        let packed = self.file.get_bytes(self.at, header.packed).map_err(damaged)?;
        self.skip()?;
        if header.crc.is_some_and(|crc| crc != libdeflater::crc32(&packed)) {
            return Err(damaged("a page's checksum is another"));
        }
        let (levels, bytes) = match header.kind {
            Kind::Data2 {
                repetition,
                definition,
                is_packed,
            } => {
                let before = repetition.saturating_add(definition);
                let bytes = match is_packed {
                    true => self.unpacked(&packed, before, header.unpacked)?,
                    false => packed,
                };
                (Levels::Bare(repetition, definition), bytes)
            }
            Kind::Data { levels } => (
                Levels::Counted(encoding(levels)?),
                self.unpacked(&packed, 0, header.unpacked)?,
            ),
            _ => {
                let bytes = self.unpacked(&packed, 0, header.unpacked)?;
                return Ok(Some(Page::Dictionary(header.values as usize, bytes)));
            }
        };
        Ok(Some(Page::Data(Data {
            count: header.values,
            encoding: encoding(header.encoding)?,
            levels,
            bytes,
        })))
    }

    /// Unpacks a page to `size` bytes, of which the first `before` are not packed.
    fn unpacked(&mut self, packed: &Bytes, before: usize, size: usize) -> Result<Bytes> {
        let implausible = || damaged("a page whose stated size it cannot have");
        if matches!(self.codec, Codec::Stored) {
            return Ok(packed.clone());
        }
        let (Some((levels, values)), Some(rest)) = (packed.split_at_checked(before), size.checked_sub(before)) else {
            return Err(implausible());
        };
        if rest > self.codec.most(values.len()) {
            return Err(implausible());
        }
        let mut buffer = self.buffer(size);
        let (first, into) = buffer.split_at_mut(before);
        first.copy_from_slice(levels);
        if rest > 0 {
            match self.codec {
                Codec::Snappy => snappy(values, into)?,
                _ => gzip(values, into)?,
            }
        }
        let page = buffer.freeze();
        self.spare = page.clone();
        Ok(page)
    }

    /// Room for `size` bytes: that of the page before, unless somebody still holds it.
    fn buffer(&mut self, size: usize) -> BytesMut {
        let spare = std::mem::take(&mut self.spare);
        let spare = if spare.len() > KEPT { Bytes::new() } else { spare };
        let mut buffer = spare.try_into_mut().unwrap_or_default();
        buffer.resize(size, 0);
        buffer
    }
}

fn snappy(packed: &[u8], into: &mut [u8]) -> Result<()> {
    let made = snap::raw::Decoder::new().decompress(packed, into).map_err(damaged)?;
    (made == into.len()).then_some(()).ok_or_else(other_size)
}

/// One member of the stated size; whatever else it may be takes the slow and obvious way.
fn gzip(packed: &[u8], into: &mut [u8]) -> Result<()> {
    let made = INFLATE.with_borrow_mut(|d| d.gzip_decompress(packed, into));
    if made == Ok(into.len()) {
        return Ok(());
    }
    let mut members = flate2::read::MultiGzDecoder::new(packed);
    members.read_exact(into).map_err(damaged)?;
    let more = members.read(&mut [0]).map_err(damaged)?;
    (more == 0).then_some(()).ok_or_else(other_size)
}

fn other_size() -> crate::error::Error {
    damaged("a page is not as long as it says")
}

/// An encoding by its number in the format.
fn encoding(number: i32) -> Result<Encoding> {
    #[expect(deprecated, reason = "old writers name it")]
    let known = match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(damaged("a page in an encoding that nobody knows")),
    };
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use proptest::prelude::*;

    /// Two columns of a few pages each.
    fn written(rows: i64, codec: Compression, version: WriterVersion) -> Vec<u8> {
        let schema = parse_message_type("message m { optional binary a (utf8); required int64 b; }").unwrap();
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_writer_version(version)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
            .build();
        let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
        let mut group = file.next_row_group().unwrap();
        let texts: Vec<ByteArray> = (0..rows)
            .map(|n| ByteArray::from(&*format!("text {}", n % 50)))
            .collect();
        let levels: Vec<i16> = (0..rows * 2).map(|n| i16::from(n % 2 == 0)).take(texts.len()).collect();
        let present = levels.iter().filter(|l| **l == 1).count();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&texts[..present], Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let numbers: Vec<i64> = (0..rows).map(|n| n * n).collect();
        column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.into_inner().unwrap()
    }

    /// All pages of a column, by one reader, up to what ends them.
    fn all(mut pages: Pages) -> (Vec<Page>, bool) {
        let mut read = Vec::new();
        loop {
            match pages.next() {
                Ok(Some(page)) => read.push(page),
                Ok(None) => return (read, true),
                Err(_) => return (read, false),
            }
        }
    }

    fn both(file: Vec<u8>, meta: &ParquetMetaData) -> Vec<[(Vec<Page>, bool); 2]> {
        let held = Arc::new(Held::Whole(file.into()));
        let columns = meta.row_groups().iter().flat_map(|g| g.columns());
        let each = columns.map(|c| {
            let own = Own::open(&held, c).map(Pages::Own).unwrap();
            let twin = crate::forms::columns::guard::guarded(|| Ok(all(Pages::Library(library(&held, c, 400)?))));
            [all(own), twin.unwrap_or_default()]
        });
        each.collect()
    }

    fn codecs() -> impl Strategy<Value = Compression> {
        let gzip = Compression::GZIP(parquet::basic::GzipLevel::default());
        prop_oneof![Just(gzip), Just(Compression::SNAPPY), Just(Compression::UNCOMPRESSED)]
    }

    proptest! {
        #[test]
        fn both_readers_read_the_same(rows in 1..400i64, codec in codecs(), second in any::<bool>()) {
            let version = if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
            let file = written(rows, codec, version);
            let meta = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.clone())).unwrap();
            for [own, twin] in both(file, &meta) {
                prop_assert!(own.1 && own == twin);
            }
        }

        /// What one of them refuses the other may read on (a stated size that nobody needs), but never otherwise.
        #[test]
        fn damage_is_never_read_as_something_else(
            codec in codecs(), second in any::<bool>(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let version = if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
            let mut file = written(250, codec, version);
            let meta = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.clone())).unwrap();
            let columns = meta.row_groups().iter().flat_map(|g| g.columns()).map(|c| c.byte_range());
            let end = columns.map(|(at, length)| at + length).max().unwrap();
            file[at.index(end as usize)] = byte;
            for [own, twin] in both(file, &meta) {
                let same = own.0.iter().zip(&twin.0).all(|(a, b)| a == b);
                prop_assert!(same);
                prop_assert!(own.1 == twin.1 || own.0.len() != twin.0.len() || !own.1);
            }
        }

        #[test]
        fn a_page_is_as_long_as_it_says_or_refused(text in prop::collection::vec(0..4u8, 1..3_000), off in -2i64..3) {
            use std::io::Write;
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            let half = text.len() / 2;
            gz.write_all(&text[..half]).unwrap();
            let mut packed = gz.finish().unwrap();
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gz.write_all(&text[half..]).unwrap();
            packed.extend(gz.finish().unwrap());
            let mut into = vec![0; usize::try_from(text.len() as i64 + off).unwrap_or(0)];
            let fits = into.len() == text.len();
            prop_assert_eq!(gzip(&packed, &mut into).is_ok(), fits || into.len() == half);
            if fits {
                prop_assert_eq!(&into, &text);
            }
            let packed = snap::raw::Encoder::new().compress_vec(&text).unwrap();
            prop_assert_eq!(snappy(&packed, &mut into).is_ok(), fits);
        }
    }
}
