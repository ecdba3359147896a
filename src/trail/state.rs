//! What reading a trail came to, before it is finished: merged with what was read elsewhere, and kept in files.
//!
//! Events are sums already, except for what copies are told by: of every event stay 128 bits of identity, its time, its
//! bytes and its row, so that an event that two shards met is taken out again once. Texts, principals, rows and marks are
//! written in their order, so the same events give the same bytes.

use super::archive::TrailArchive;
use super::counts::TrailCounts;
use super::ingest::{TrailRun, WINDOW};
use crate::aggregate::stats::{FileCounts, FileError};
use crate::error::{Error, Result};
use crate::net::Seconds;
use crate::store::{Reader, Writer};
use std::path::PathBuf;

mod marks;
mod rows;
mod whole;

/// What reading a trail came to.
#[derive(Debug, Default)]
pub struct TrailState {
    pub(super) archive: TrailArchive,
    pub(super) counts: TrailCounts,
    pub(super) files: FileCounts,
    pub(super) errors: Vec<FileError>,
    /// Files that could not be opened; they are in the counts.
    pub(super) unread: Vec<(PathBuf, FileError)>,
}

/// A piece of a state is closed when it has so many bytes.
const PIECE: usize = 4 << 20;

impl TrailState {
    /// Adds what was read of other files. Copies of one event count once; any order gives the same.
    pub fn merge(&mut self, other: TrailState) {
        self.archive.merge(other.archive);
        self.counts.add(&other.counts);
        self.files.ok += other.files.ok;
        self.files.partial += other.files.partial;
        self.files.failed += other.files.failed;
        self.files.skipped += other.files.skipped;
        self.errors.extend(other.errors);
        self.unread.extend(other.unread);
    }

    /// Forgets what copies are told by of all events that are days older than the newest: for a state that is added to
    /// as time goes on.
    pub fn forget(&mut self) {
        self.archive.forget(WINDOW);
    }

    /// Leaves out files that could not be opened, so that another run tries them again; returns where they are.
    pub fn forget_unread(&mut self) -> Vec<PathBuf> {
        let unread = std::mem::take(&mut self.unread);
        self.files.failed = self.files.failed.saturating_sub(unread.len() as u64);
        unread.into_iter().map(|(path, _)| path).collect()
    }

    /// The finished index.
    pub fn finish(mut self) -> TrailRun {
        self.errors.extend(self.unread.into_iter().map(|(_, e)| e));
        self.errors.sort();
        TrailRun {
            duplicates: self.archive.duplicates(),
            graph: self.archive.graph().clone(),
            index: self.archive.finish(),
            counts: self.counts,
            files: self.files,
            errors: self.errors,
        }
    }

    /// Writes it in pieces, the first one first.
    ///
    /// # Errors
    /// Those of `piece`.
    pub fn encode(&self, piece: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let order = whole::Order::of(&self.archive);
        let mut w = Writer::default();
        self.encode_files(&mut w);
        whole::encode(&self.archive, &order, &mut w);
        piece(&w.into_bytes())?;
        rows::encode(&self.archive, &order, piece)?;
        marks::encode(&self.archive, &order, piece)
    }

    /// Takes in the next of the pieces that [`TrailState::encode`] wrote.
    ///
    /// # Errors
    /// `Format` if it is none.
    pub fn decode(&mut self, piece: &[u8]) -> Result<()> {
        let mut r = Reader::new(piece);
        match r.number()? {
            FILES => {
                self.decode_files(&mut r)?;
                whole::decode(&mut self.archive, &mut r)?;
            }
            ROWS => rows::decode(&mut self.archive, &mut r)?,
            MARKS => marks::decode(&mut self.archive, &mut r)?,
            _ => return Err(damaged()),
        }
        r.done()
    }

    fn encode_files(&self, w: &mut Writer) {
        w.number(FILES);
        let (c, f) = (&self.counts, &self.files);
        let counts = [
            c.records,
            c.rejected,
            c.missing_user_identity,
            c.digest_files,
            c.insights,
        ];
        let files = [f.ok, f.partial, f.failed, f.skipped, f.duplicate];
        counts.into_iter().chain(files).for_each(|n| w.number(n));
        let mut errors: Vec<&FileError> = self.errors.iter().chain(self.unread.iter().map(|(_, e)| e)).collect();
        errors.sort();
        w.number(errors.len() as u64);
        for error in errors {
            w.text(&error.file);
            w.text(&error.reason);
        }
    }

    fn decode_files(&mut self, r: &mut Reader<'_>) -> Result<()> {
        self.counts = TrailCounts {
            records: r.count()?,
            rejected: r.count()?,
            missing_user_identity: r.count()?,
            digest_files: r.count()?,
            insights: r.count()?,
            ..TrailCounts::default()
        };
        self.files = FileCounts {
            ok: r.count()?,
            partial: r.count()?,
            failed: r.count()?,
            skipped: r.count()?,
            duplicate: r.count()?,
        };
        for _ in 0..r.number()? {
            let (file, reason) = (r.text()?.to_owned(), r.text()?.to_owned());
            self.errors.push(FileError { file, reason });
        }
        Ok(())
    }
}

/// The sorts of pieces.
const FILES: u64 = 0;
const ROWS: u64 = 1;
const MARKS: u64 = 2;

fn damaged() -> Error {
    Error::format("damaged: its content is not what its kind asks for")
}

/// Reads a time that stands behind another one.
fn time(r: &mut Reader<'_>, from: Seconds) -> Result<Seconds> {
    from.checked_add(r.number()?).ok_or_else(damaged)
}
