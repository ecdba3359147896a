//! Sums over the blocks of a store's files, so that what is read is what was written.
//!
//! The Parquet library writes no checksums of its own. So each file is summed while it is written, a block at a time, and the
//! manifest, which has a checksum, keeps the sums. A reader fetches whole blocks and compares each: footer, indexes and pages
//! alike are checked, and nothing that is not read. The sums tell damage, not malice: who writes into the folder can write sums.

use crate::error::Error;
use crate::net::printable;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Bytes of a block: not much more than a page of a look-up has, so that checking reads little beside it.
const BLOCK: usize = 1 << 13;

/// What a file was when it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal {
    /// Its bytes.
    pub size: u64,
    /// The lower half of each block's XXH3.
    pub sums: Vec<u32>,
}

impl Seal {
    /// That of a whole content.
    pub fn of(content: &[u8]) -> Seal {
        Seal {
            size: content.len() as u64,
            sums: content.chunks(BLOCK).map(sum).collect(),
        }
    }
}

fn sum(block: &[u8]) -> u32 {
    xxh3_64(block) as u32
}

/// A file that is summed while it is written, front to back.
pub(super) struct Sealing {
    file: File,
    block: Xxh3,
    left: usize,
    seal: Seal,
}

impl Sealing {
    pub(super) fn new(file: File) -> Self {
        Sealing {
            file,
            block: Xxh3::new(),
            left: BLOCK,
            seal: Seal::default(),
        }
    }

    /// Syncs the file, and tells what it is.
    pub(super) fn finish(mut self) -> io::Result<Seal> {
        self.file.sync_all()?;
        if self.left < BLOCK {
            self.seal.sums.push(self.block.digest() as u32);
        }
        Ok(self.seal)
    }

    fn take(&mut self, mut bytes: &[u8]) {
        self.seal.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.left));
            self.block.update(now);
            self.left -= now.len();
            if self.left == 0 {
                self.seal.sums.push(self.block.digest() as u32);
                self.block.reset();
                self.left = BLOCK;
            }
            bytes = later;
        }
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.take(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file of the store, of which nothing is believed before it is compared.
pub(super) struct Sealed {
    file: Arc<File>,
    seal: Arc<Seal>,
    /// The blocks fetched last, by the number of the first: the next page is mostly in them.
    last: Mutex<(usize, Bytes)>,
}

impl Sealed {
    /// # Errors
    /// The file is longer or shorter than it was written.
    pub(super) fn new(file: File, seal: Seal) -> Result<Self, ParquetError> {
        let size = file.metadata().map_err(outside)?.len();
        let blocks = seal.size.div_ceil(BLOCK as u64);
        if size != seal.size || blocks != seal.sums.len() as u64 {
            return Err(changed());
        }
        Ok(Sealed {
            file: Arc::new(file),
            seal: Arc::new(seal),
            last: Mutex::default(),
        })
    }

    /// The same file for one more reader, who remembers the blocks of its own.
    pub(super) fn own(&self) -> Self {
        Sealed {
            file: Arc::clone(&self.file),
            seal: Arc::clone(&self.seal),
            last: Mutex::default(),
        }
    }

    /// The blocks in which some bytes stand, and where the first of them starts.
    pub(super) fn around(&self, bytes: &Range<u64>) -> Result<(u64, Bytes), ParquetError> {
        if bytes.start > bytes.end || bytes.end > self.seal.size {
            return Err(ParquetError::EOF("it ends before".into()));
        }
        let block = BLOCK as u64;
        let first = bytes.start / block;
        let content = self.fetch(first as usize, bytes.end.div_ceil(block) as usize)?;
        Ok((first * block, content))
    }

    /// The bytes of the blocks from `first` to before `end`, compared, or as they were the last time.
    fn blocks(&self, first: usize, end: usize) -> Result<Bytes, ParquetError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let held = last.1.len().div_ceil(BLOCK);
        if (last.0..last.0 + held).contains(&first) && end <= last.0 + held {
            let skipped = (first - last.0) * BLOCK;
            let size = ((end - first) * BLOCK).min(last.1.len() - skipped);
            return Ok(last.1.slice(skipped..skipped + size));
        }
        let content = self.fetch(first, end)?;
        *last = (first, content.clone());
        Ok(content)
    }

    /// The same, always from the file.
    fn fetch(&self, first: usize, end: usize) -> Result<Bytes, ParquetError> {
        let from = first as u64 * BLOCK as u64;
        let to = (end as u64 * BLOCK as u64).min(self.seal.size);
        let size = to.checked_sub(from).and_then(|n| usize::try_from(n).ok());
        let mut content = vec![0; size.ok_or_else(changed)?];
        self.file.read_exact_at(&mut content, from).map_err(outside)?;
        let sums = self.seal.sums.get(first..end).ok_or_else(changed)?;
        let same = content.chunks(BLOCK).map(sum).eq(sums.iter().copied());
        if !same {
            return Err(changed());
        }
        Ok(content.into())
    }
}

/// What is told of a file of the store that is not what was written.
pub(super) fn damaged(path: &Path, e: &Error) -> Error {
    let text = printable(e.reason().as_bytes());
    Error::list(format!(
        "{text}; the store is damaged: delete its folder and build it again"
    ))
    .at(path)
}

fn changed() -> ParquetError {
    ParquetError::General("it is not what was written".into())
}

fn outside(e: io::Error) -> ParquetError {
    ParquetError::External(Box::new(e))
}

impl Length for Sealed {
    fn len(&self) -> u64 {
        self.seal.size
    }
}

impl ChunkReader for Sealed {
    type T = Blocks;

    fn get_read(&self, start: u64) -> Result<Blocks, ParquetError> {
        Ok(Blocks {
            of: self.own(),
            at: start,
            left: Bytes::new(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64).filter(|e| *e <= self.seal.size);
        let end = end.ok_or_else(|| ParquetError::EOF("it ends before".into()))?;
        let block = BLOCK as u64;
        let first = (start / block) as usize;
        let content = self.blocks(first, end.div_ceil(block) as usize)?;
        let skipped = (start % block) as usize;
        Ok(content.slice(skipped.min(content.len())..(skipped + length).min(content.len())))
    }
}

/// The bytes from some place on, a block at a time.
pub(super) struct Blocks {
    of: Sealed,
    at: u64,
    left: Bytes,
}

impl Read for Blocks {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() && self.at < self.of.seal.size {
            let block = self.at / BLOCK as u64;
            let end = ((block + 1) * BLOCK as u64).min(self.of.seal.size);
            let size = (end - self.at) as usize;
            self.left = self.of.get_bytes(self.at, size).map_err(io::Error::other)?;
            self.at = end;
        }
        let size = to.len().min(self.left.len());
        self.left
            .split_to(size)
            .copy_to_slice(to.get_mut(..size).unwrap_or_default());
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn content() -> Vec<u8> {
        (0..3 * BLOCK + 77).map(|i| (i / 7 % 251) as u8).collect()
    }

    fn written(folder: &tempfile::TempDir, content: &[u8]) -> (std::path::PathBuf, Seal) {
        let path = folder.path().join("f");
        let mut to = Sealing::new(File::create(&path).unwrap());
        for piece in content.chunks(10_007) {
            to.write_all(piece).unwrap();
        }
        (path, to.finish().unwrap())
    }

    #[test]
    fn writing_in_pieces_seals_as_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, BLOCK, 2 * BLOCK, 3 * BLOCK + 77] {
            let content = &content()[..size];
            assert_eq!(written(&folder, content).1, Seal::of(content), "{size}");
        }
    }

    #[test]
    fn every_piece_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let content = content();
        let (path, seal) = written(&folder, &content);
        let file = Sealed::new(File::open(&path).unwrap(), seal).unwrap();
        for (start, length) in [
            (0, 0),
            (5, 9),
            (BLOCK - 1, 2),
            (BLOCK, BLOCK),
            (3, 3 * BLOCK),
            (content.len(), 0),
        ] {
            let got = file.get_bytes(start as u64, length).unwrap();
            assert_eq!(got, content[start..start + length], "{start}");
            let mut rest = Vec::new();
            file.get_read(start as u64).unwrap().read_to_end(&mut rest).unwrap();
            assert_eq!(rest, content[start..], "{start}");
        }
        assert!(file.get_bytes(content.len() as u64, 1).is_err());
        assert!(file.get_bytes(u64::MAX, 1).is_err());
    }

    #[test]
    fn a_flipped_bit_is_told_where_it_is_read_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut bad = content();
        let (path, seal) = written(&folder, &bad);
        bad[BLOCK + 5] ^= 1;
        fs::write(&path, &bad).unwrap();
        let file = Sealed::new(File::open(&path).unwrap(), seal.clone()).unwrap();
        assert!(file.get_bytes(0, BLOCK).is_ok());
        assert!(file.get_bytes(2 * BLOCK as u64, BLOCK).is_ok());
        assert!(file.get_bytes(BLOCK as u64 - 1, 2).is_err());
        assert!(file.get_read(0).unwrap().read_to_end(&mut Vec::new()).is_err());
        fs::write(&path, &bad[1..]).unwrap();
        assert!(Sealed::new(File::open(&path).unwrap(), seal).is_err());
    }
}
