//! A column of sorted texts, read as runs of equal ones: what repeats is neither copied nor compared.
//!
//! Far ends and keys are sorted and repeat, and are stored as DELTA_BYTE_ARRAY: how much of the text before is kept, and what
//! follows it. The library makes a text of its own for each row; here a row that keeps all and adds nothing costs a look at
//! two numbers. Encodings: apache/parquet-format:Encodings.md, DELTA_BINARY_PACKED and DELTA_BYTE_ARRAY.

use crate::index::blocks::Reading;
use crate::index::pages::Pages;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use std::ops::Range;

/// A column of texts without nulls, read forwards.
pub(super) struct Runs {
    number: usize,
    open: Option<Open>,
}

/// A row group's column, and the page of it that was unpacked last.
struct Open {
    group: usize,
    pages: Pages,
    /// The row after that page.
    next: usize,
    first: usize,
    /// For each run the row after it, counted from the first of the page, and where its text stands.
    runs: Vec<(usize, Range<usize>)>,
    texts: Vec<u8>,
}

impl Runs {
    pub(super) const fn new(number: usize) -> Self {
        Runs { number, open: None }
    }

    /// Hands out the runs of some rows of a group, in order: how many rows, and their text.
    pub(super) fn read(
        &mut self,
        file: &Reading,
        group: usize,
        rows: Range<usize>,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let mut at = rows.start;
        while at < rows.end {
            let open = self.at(file, group, at)?;
            let end = rows.end.min(open.next);
            let before = open.runs.partition_point(|(end, _)| open.first + end <= at);
            for (run_end, text) in open.runs.iter().skip(before) {
                let to = (open.first + run_end).min(end);
                if to <= at {
                    break;
                }
                each(to - at, open.texts.get(text.clone()).unwrap_or_default());
                at = to;
            }
            if at < end {
                return Err(damaged());
            }
        }
        Ok(())
    }

    /// The page that holds a row.
    fn at(&mut self, file: &Reading, group: usize, row: usize) -> Result<&Open> {
        let mut open = match self.open.take() {
            Some(open) if open.group == group && open.first <= row => open,
            _ => Open {
                group,
                pages: file.pages(group, self.number)?,
                next: 0,
                first: 0,
                runs: Vec::new(),
                texts: Vec::new(),
            },
        };
        while open.next <= row {
            let page = open.pages.peek_next_page()?.ok_or_else(damaged)?;
            let rows = page.num_rows.or(page.num_levels).unwrap_or(0);
            open.first = open.next;
            open.next += rows;
            if open.next <= row {
                open.pages.skip_next_page()?;
            } else {
                let page = open.pages.get_next_page()?.ok_or_else(damaged)?;
                open.unpack(&page, rows).ok_or_else(damaged)?;
            }
        }
        Ok(self.open.insert(open))
    }
}

impl Open {
    fn unpack(&mut self, page: &Page, rows: usize) -> Option<()> {
        let Page::DataPage { buf, encoding, .. } = page else {
            return None;
        };
        let mut data = buf.as_ref();
        if *encoding != Encoding::DELTA_BYTE_ARRAY {
            return None;
        }
        let kept = deltas(&mut data, rows)?;
        let added = deltas(&mut data, rows)?;
        self.runs.clear();
        self.texts.clear();
        let mut last: Range<usize> = 0..0;
        for (row, (kept, added)) in kept.into_iter().zip(added).enumerate() {
            let (kept, added) = (kept as usize, added as usize);
            if added > 0 || kept != last.len() || row == 0 {
                let kept = last.start..last.start.checked_add(kept).filter(|end| *end <= last.end)?;
                let start = self.texts.len();
                self.texts.extend_from_within(kept);
                self.texts.extend_from_slice(data.split_off(..added)?);
                last = start..self.texts.len();
                self.runs.push((row, last.clone()));
            }
            self.runs.last_mut()?.0 = row + 1;
        }
        (self.runs.last().map_or(0, |r| r.0) == rows).then_some(())
    }
}

fn damaged() -> ParquetError {
    ParquetError::General("a page of texts is not what it says".into())
}

/// Exactly so many numbers, DELTA_BINARY_PACKED.
fn deltas(data: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let block = usize::try_from(varint(data)?).ok()?;
    let minis = usize::try_from(varint(data)?).ok()?;
    let size = block.checked_div(minis).filter(|n| n % 8 == 0 && *n <= 1 << 16)?;
    if varint(data)? != count as u64 {
        return None;
    }
    let mut value = zigzag(varint(data)?);
    let mut all = Vec::new();
    if count > 0 {
        all.push(u32::try_from(value).ok()?);
    }
    while all.len() < count {
        let least = zigzag(varint(data)?);
        for width in data.split_off(..minis)? {
            let left = count - all.len();
            if left == 0 {
                break;
            }
            let packed = data.split_off(..size / 8 * usize::from(*width))?;
            unpack(packed, *width, left.min(size), |bits| {
                value = value.wrapping_add(least).wrapping_add(bits as i64);
                all.push(u32::try_from(value).ok()?);
                Some(())
            })?;
        }
    }
    Some(all)
}

/// Hands out numbers of `width` bits, the lowest bit first.
fn unpack(packed: &[u8], width: u8, count: usize, mut each: impl FnMut(u64) -> Option<()>) -> Option<()> {
    if width > 32 {
        return None;
    }
    let (mut held, mut bits, mut bytes) = (0u64, 0, packed.iter());
    for _ in 0..count {
        while bits < width {
            held |= u64::from(*bytes.next()?) << bits;
            bits += 8;
        }
        each(held & ((1 << width) - 1))?;
        held >>= width;
        bits -= width;
    }
    Some(())
}

fn varint(data: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *data.split_off_first()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

const fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::blocks::Column;
    use crate::index::part::{close, create, properties};
    use parquet::data_type::{ByteArray, ByteArrayType};
    use proptest::prelude::*;

    fn written(path: &std::path::Path, texts: &[String]) -> crate::index::Seal {
        let delta = [("t", Encoding::DELTA_BYTE_ARRAY)];
        let schema = "message m { REQUIRED BYTE_ARRAY t (UTF8); }";
        let mut writer = create(path, schema, properties(&["t"], &delta, 64)).unwrap();
        for texts in texts.chunks(1000) {
            let values: Vec<ByteArray> = texts.iter().map(|t| t.as_str().into()).collect();
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, None, None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        close(writer).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The twin: the library's own reader.
        #[test]
        fn runs_are_what_the_library_reads(
            mut texts in prop::collection::vec("[a-c.]{0,4}|[0-9]{20}", 1..1500),
            sorted in any::<bool>(),
            stretches in prop::collection::vec((0usize..1000, 1usize..300), 1..8),
        ) {
            if sorted {
                texts.sort();
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.parquet");
            let seal = written(&path, &texts);
            let file = Reading::open(&path, &seal, false).unwrap();
            let (mut runs, mut twin) = (Runs::new(0), Column::<ByteArrayType>::new(0));
            for group in 0..file.groups() {
                let size = file.rows(group).unwrap();
                for (from, count) in &stretches {
                    let rows = from % size..(from % size + count).min(size);
                    let mut found: Vec<Vec<u8>> = Vec::new();
                    runs.read(&file, group, rows.clone(), |n, text| {
                        found.extend(std::iter::repeat_n(text.to_vec(), n));
                    }).unwrap();
                    let values = twin.read(&file, group, rows.clone()).unwrap();
                    let wanted: Vec<Vec<u8>> = (0..rows.len()).map(|i| values.get(i).unwrap().data().to_vec()).collect();
                    prop_assert_eq!(&found, &wanted);
                    prop_assert_eq!(&texts[group * 1000 + rows.start].as_bytes(), &wanted[0]);
                }
            }
        }
    }
}
