//! Which file and which rows hold a key: addresses, interfaces, instances, each as the text that AWS writes.
//!
//! | column | what |
//! | --- | --- |
//! | `key` | `198.51.100.7`, `eni-…`, `i-…` |
//! | `kind` | `file`: a raw file holds it; `rows`: a block of rows of the part's sums does |
//! | `number` | of the file in the segment, or of the block |

use crate::aggregate::Facts;
use crate::index::blocks::{Column, Reading};
use crate::index::part::{Texts, To, close, create, properties, unwrapped};
use crate::index::runs::Runs;
use crate::index::seal::Seal;
use crate::net::Addr;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type};
use parquet::errors::ParquetError;
use std::io;
use std::ops::Range;
use std::path::Path;

const SCHEMA: &str = "message keys {
    REQUIRED BYTE_ARRAY key (UTF8);
    REQUIRED BYTE_ARRAY kind (UTF8);
    REQUIRED INT32 number;
}";
/// Rows of a page.
const PAGE: usize = 2048;
/// Rows written at once.
const STEP: usize = 1 << 16;

/// Where keys stand, while a part is written.
#[derive(Default)]
pub(super) struct Index {
    /// Address; 1 above the number for a block, 0 for a file.
    addresses: Vec<(Addr, u64)>,
    /// The same by facts.
    facts: Vec<(u32, u64)>,
}

/// What is found of keys.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Numbers of raw files.
    pub(super) files: Vec<u32>,
    /// Blocks of rows.
    pub(super) blocks: Vec<u32>,
}

const BLOCKS: u64 = 1 << 32;

impl Index {
    pub(super) fn files(&mut self, files: Vec<(Addr, u32)>, facts: Vec<(u32, u32)>, rank: &[u32]) {
        self.addresses = files.into_iter().map(|(a, f)| (a, f.into())).collect();
        let place = |n: u32| rank.get(n as usize).copied().unwrap_or(0);
        self.facts = facts.into_iter().map(|(n, f)| (place(n), f.into())).collect();
    }

    pub(super) fn row(&mut self, block: u32, facts: u32, ends: [Option<(Addr, Addr)>; 2]) {
        let code = BLOCKS | u64::from(block);
        for (a, b) in ends.into_iter().flatten() {
            for pair in [(a, code), (b, code)] {
                let met = self.addresses.len().saturating_sub(4);
                if !self.addresses.get(met..).unwrap_or_default().contains(&pair) {
                    self.addresses.push(pair);
                }
            }
        }
        if self.facts.last() != Some(&(facts, code)) {
            self.facts.push((facts, code));
        }
    }

    /// Writes all, sorted by key, and tells what the file is.
    pub(super) fn write(mut self, path: &Path, facts: &[&Facts]) -> io::Result<Seal> {
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self.facts.sort_unstable();
        self.facts.dedup();
        let mut keys: Vec<(ByteArray, Vec<u64>)> = Vec::new();
        let mut texts = Texts::default();
        for run in self.addresses.chunk_by(|a, b| a.0 == b.0) {
            if let Some((addr, _)) = run.first() {
                keys.push((texts.addr(*addr), run.iter().map(|(_, code)| *code).collect()));
            }
        }
        drop(self.addresses);
        for run in self.facts.chunk_by(|a, b| a.0 == b.0) {
            let known = run.first().and_then(|(n, _)| facts.get(*n as usize));
            let codes: Vec<u64> = run.iter().map(|(_, code)| *code).collect();
            let names = known
                .into_iter()
                .flat_map(|f| [Some(&f.interface), f.instance.as_ref()]);
            for name in names.flatten() {
                keys.push((texts.bytes(name), codes.clone()));
            }
        }
        keys.sort_by(|a, b| a.0.data().cmp(b.0.data()));
        write(path, &keys)
    }
}

fn write(path: &Path, keys: &[(ByteArray, Vec<u64>)]) -> io::Result<Seal> {
    let delta = [
        ("key", Encoding::DELTA_BYTE_ARRAY),
        ("number", Encoding::DELTA_BINARY_PACKED),
    ];
    let mut writer = create(path, SCHEMA, properties(&["key", "kind", "number"], &delta, PAGE))?;
    let mut group = writer.next_row_group().map_err(unwrapped)?;
    let mut texts = Texts::default();
    let kinds = [texts.bytes(b"file"), texts.bytes(b"rows")];
    let all = || {
        keys.iter()
            .flat_map(|(key, codes)| codes.iter().map(move |c| (key, *c)))
    };
    column::<ByteArrayType>(&mut group, all().map(|(key, _)| key.clone()))?;
    column::<ByteArrayType>(&mut group, all().map(|(_, c)| kinds[usize::from(c >= BLOCKS)].clone()))?;
    column::<Int32Type>(&mut group, all().map(|(_, c)| c as u32 as i32))?;
    group.close().map_err(unwrapped)?;
    close(writer)
}

type Group<'g> = parquet::file::writer::SerializedRowGroupWriter<'g, To>;

fn column<T: DataType>(group: &mut Group<'_>, mut values: impl Iterator<Item = T::T>) -> io::Result<()> {
    let column = group.next_column().map_err(unwrapped)?;
    let mut column = column.ok_or_else(|| io::Error::other("the schema has no such column"))?;
    loop {
        let step: Vec<T::T> = values.by_ref().take(STEP).collect();
        if step.is_empty() {
            break;
        }
        column.typed::<T>().write_batch(&step, None, None).map_err(unwrapped)?;
    }
    column.close().map_err(unwrapped)
}

/// Finds keys in a part.
pub(super) struct Finder<'f> {
    file: &'f Reading,
    keys: Runs,
    kinds: Column<ByteArrayType>,
    numbers: Column<Int32Type>,
}

impl<'f> Finder<'f> {
    pub(super) const fn new(file: &'f Reading) -> Self {
        Finder {
            file,
            keys: Runs::new(0),
            kinds: Column::new(1),
            numbers: Column::new(2),
        }
    }

    /// Where keys stand. `range` gives the least and the greatest text that may matter, `matches` decides. Quickest if it
    /// is asked in the order of the texts.
    pub(super) fn find(
        &mut self,
        range: (&[u8], &[u8]),
        matches: impl Fn(&[u8]) -> bool,
        into: &mut Places,
    ) -> Result<(), ParquetError> {
        for rows in self.file.between(0, 0, range)? {
            let (mut at, mut found) = (rows.start, Vec::new());
            self.keys.read(self.file, 0, rows, |count, key| {
                if matches(key) {
                    found.push(at..at + count);
                }
                at += count;
            })?;
            for rows in found {
                self.add(rows, into)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, rows: Range<usize>, into: &mut Places) -> Result<(), ParquetError> {
        let kinds = self.kinds.read(self.file, 0, rows.clone())?;
        let numbers = self.numbers.read(self.file, 0, rows.clone())?;
        for i in 0..rows.len() {
            let list = match kinds.get(i).map(ByteArray::data) {
                Some(b"file") => &mut into.files,
                _ => &mut into.blocks,
            };
            list.extend(numbers.get(i).map(|n| *n as u32));
        }
        Ok(())
    }
}
