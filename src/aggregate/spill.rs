//! What does not fit the memory that a run may take: written to a file without a name, and read again at the end.
//!
//! Sums by key are the one thing that grows with the input. Under a bound their tables are cut into parts by a hash of the
//! key; a part that is full is written out and begins anew, and in the end parts are put together one after the other. So
//! the result is exact, and memory follows the bound. The file is made where it was asked for, readable by its owner alone,
//! and has no name (or loses it at once): whatever ends the run, nothing stays behind.

mod packed;
mod room;
mod sums;

pub(in crate::aggregate) use packed::{Packed, bytes_of, pack_cell, unpack_cell};
pub(in crate::aggregate) use room::Room;
pub(in crate::aggregate) use sums::Sums;

use crate::aggregate::counter::Shared;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much memory may be taken by what grows with the number of keys, and where the rest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Bytes.
    pub bytes: u64,
    /// The folder of the file; it is there for the run alone.
    pub folder: PathBuf,
}

/// Bytes that a key takes from the first sum to the end of a scan.
const TABLE_CELL: u64 = 400;

impl Memory {
    /// The sums of a run that ends with a table of all keys in memory.
    pub fn for_a_table(&self, threads: usize) -> Shared {
        Shared::at_most(self.for_tables(threads) / TABLE_CELL)
    }

    /// Says that a table of all keys does not fit.
    pub fn too_small(&self) -> Error {
        Error::usage(format!(
            "--max-memory {}: what judges holds every interface, address pair, port and hour in memory, {TABLE_CELL} bytes each, \
             and there are too many: give it more, or judge less at once, by account or by day with a baseline \
             (`top` and states go on to disk)",
            self.bytes
        ))
    }

    /// Says that it does not even hold what is learned of all keys, or the rows that were asked for.
    pub(in crate::aggregate) fn too_small_to_learn(&self) -> Error {
        Error::usage(format!(
            "--max-memory {}: too little for what has to be known at once (rows that are shown, addresses of interfaces, \
             unknown listeners with --by port): give it more, or a --limit",
            self.bytes
        ))
    }

    /// What tables of keys may take beside the buffers of so many threads, which hold a file each while it is read.
    pub(in crate::aggregate) fn for_tables(&self, threads: usize) -> u64 {
        const BUFFERS: u64 = 48 << 20;
        let buffers = BUFFERS * threads as u64;
        self.bytes - buffers.min(self.bytes / 2)
    }
}

/// The file.
#[derive(Debug)]
pub(in crate::aggregate) struct Spool {
    folder: PathBuf,
    file: Mutex<Written>,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Written {
    file: File,
    end: u64,
    error: Option<io::Error>,
}

/// A piece of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) struct Extent {
    at: u64,
    bytes: usize,
}

impl Spool {
    /// Makes the file.
    ///
    /// # Errors
    /// `Output`, naming the folder.
    pub(in crate::aggregate) fn create(folder: &Path) -> Result<Spool> {
        let file = tempfile::tempfile_in(folder).map_err(|e| Error::output(folder, e))?;
        Ok(Spool {
            folder: folder.to_path_buf(),
            file: Mutex::new(Written {
                file,
                end: 0,
                error: None,
            }),
            failed: AtomicBool::new(false),
        })
    }

    /// Writes a piece. After the first failure nothing more is written: see [`Spool::check`].
    pub(in crate::aggregate) fn write(&self, bytes: &[u8]) -> Extent {
        let mut written = self.lock();
        let extent = Extent {
            at: written.end,
            bytes: bytes.len(),
        };
        if written.error.is_none() {
            match written.append(bytes) {
                Ok(()) => written.end += bytes.len() as u64,
                Err(e) => self.fail(&mut written, e),
            }
        }
        extent
    }

    /// Reads a piece into `into`, which is left empty if that fails: see [`Spool::check`].
    pub(in crate::aggregate) fn read(&self, extent: Extent, into: &mut Vec<u8>) {
        into.clear();
        let mut written = self.lock();
        if written.error.is_some() {
            return;
        }
        into.resize(extent.bytes, 0);
        if let Err(e) = written.read(extent.at, into) {
            into.clear();
            self.fail(&mut written, e);
        }
    }

    /// True once the file could not be written or read: what was counted is not whole, and nothing more need be.
    pub(in crate::aggregate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Says whether all that was written and read is whole.
    ///
    /// # Errors
    /// `Output`, naming the folder and the first cause.
    pub(in crate::aggregate) fn check(&self) -> Result<()> {
        match &self.lock().error {
            None => Ok(()),
            Some(e) => Err(Error::output(&self.folder, again(e))),
        }
    }

    /// True if anything was written.
    pub(in crate::aggregate) fn is_used(&self) -> bool {
        self.lock().end > 0
    }

    fn fail(&self, written: &mut Written, error: io::Error) {
        written.error = Some(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(into)
    }
}

/// The same error once more; it cannot be cloned.
fn again(e: &io::Error) -> io::Error {
    let text = format!("what does not fit --max-memory: {e}");
    io::Error::new(e.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_and_the_folder_stays_empty() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::create(folder.path()).unwrap();
        let extents: Vec<Extent> = [b"one".as_slice(), b"", b"three"].map(|b| spool.write(b)).to_vec();
        let mut read = Vec::new();
        for (extent, text) in extents.iter().zip(["one", "", "three"]).rev() {
            spool.read(*extent, &mut read);
            assert_eq!(read, text.as_bytes());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(spool.check().is_ok() && spool.is_used());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::create(folder.path()).unwrap();
        let mut read = vec![1];
        spool.read(Extent { at: 10, bytes: 5 }, &mut read);
        assert!(read.is_empty() && spool.has_failed());
        let error = spool.check().unwrap_err();
        assert!(matches!(error.kind(), crate::ErrorKind::Output(_)), "{error}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_before_anything_is_read() {
        let error = Spool::create(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at/all: cannot be written"), "{error}");
    }
}
