//! The one file that says what counts in a store: segments, their files, and what became of each.
//!
//! It goes through the frame of the store room (magic, version, checksum), so damage is told and nothing is trusted. What
//! lies in the folder and is not named here is a leftover.

use crate::aggregate::outcome::{Place, TaskReport};
use crate::aggregate::stats::RecordCounts;
use crate::error::{Error, Result};
use crate::input::{Archive, Source, os_text};
use crate::store::{self, Kind, Reader, Writer};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The manifest's name in the folder.
pub const NAME: &str = "manifest";
/// A segment has a part for each worker, and one more each time that a worker's memory was full.
const MOST_PARTS: u32 = 1 << 20;

/// What a store holds.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Steps of building, in order.
    pub segments: Vec<Segment>,
    /// The number of the next segment.
    pub next: u64,
}

/// What one step of building added.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Part of the names of its files.
    pub name: String,
    /// Parts, each two files.
    pub parts: u32,
    /// Bytes of all its files.
    pub bytes: u64,
    /// The raw files that it stands for.
    pub files: Vec<StoredFile>,
}

/// A raw file as it was when it was read.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Its number in the segment: what `keys` calls it.
    pub number: u32,
    /// Its name below the archive's root.
    pub name: String,
    /// Where it was, absolute.
    pub path: PathBuf,
    /// Bytes on disk.
    pub size: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub changed: u64,
    /// What became of it.
    pub report: TaskReport,
    /// Counts over its records.
    pub counts: RecordCounts,
}

impl Manifest {
    /// Reads the manifest of a store.
    ///
    /// # Errors
    /// `List`, naming the file: there is none, it is damaged, or of another version.
    pub fn open(folder: &Path) -> Result<Manifest> {
        let path = folder.join(NAME);
        let content = store::read(Kind::Index, &path)?;
        Manifest::decode(&content).map_err(|e| Error::list(e.reason()).at(&path))
    }

    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.number(self.next);
        to.number(self.segments.len() as u64);
        for segment in &self.segments {
            to.text(&segment.name);
            to.number(segment.parts.into());
            to.number(segment.bytes);
            to.number(segment.files.len() as u64);
            segment.files.iter().for_each(|f| f.write(&mut to));
        }
        to.into_bytes()
    }

    fn decode(content: &[u8]) -> Result<Manifest> {
        let mut from = Reader::new(content);
        let next = from.number()?;
        let mut segments = Vec::new();
        for _ in 0..from.number()? {
            let name = from.text()?.to_owned();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Error::format("damaged: a segment has no name"));
            }
            let (parts, bytes) = (from.small()?, from.number()?);
            if parts > MOST_PARTS {
                return Err(Error::format("damaged: a segment of more parts than any has"));
            }
            let mut files = Vec::new();
            for _ in 0..from.number()? {
                files.push(StoredFile::read(&mut from)?);
            }
            segments.push(Segment {
                name,
                parts,
                bytes,
                files,
            });
        }
        from.done()?;
        Ok(Manifest { segments, next })
    }

    /// The archive that was indexed, with the sizes that its files have now.
    pub fn archive(&self) -> Archive {
        let mut archive = Archive::default();
        archive.sources = self.files().map(StoredFile::source).collect();
        archive.sources.sort();
        archive
    }

    /// All raw files.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.segments.iter().flat_map(|s| &s.files)
    }
}

impl StoredFile {
    fn source(&self) -> Source {
        Source {
            name: self.name.clone(),
            path: self.path.clone(),
            // What has changed since is read as it is now.
            size: stamp(&self.path).map_or(self.size, |now| now.0),
            object: None,
        }
    }

    /// True if it is no longer what was read, or no longer there.
    pub fn is_changed(&self) -> bool {
        stamp(&self.path) != Some((self.size, self.changed))
    }

    /// True if it was read to its end.
    pub fn is_whole(&self) -> bool {
        matches!(self.report.place, Place::Read | Place::Copy)
    }

    /// True if its content was counted from another file.
    pub fn is_copy(&self) -> bool {
        self.report.place == Place::Copy
    }

    fn write(&self, to: &mut Writer) {
        to.number(self.number.into());
        to.text(&self.name);
        let path = self.path.as_os_str().as_encoded_bytes();
        to.number(path.len() as u64);
        path.iter().for_each(|b| to.number((*b).into()));
        to.number(self.size);
        to.number(self.changed);
        self.report.encode(to);
        self.counts.encode(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<StoredFile> {
        let number = from.small()?;
        let name = from.text()?.to_owned();
        let mut path = Vec::new();
        for _ in 0..from.number()? {
            path.push(from.small::<u8>()?);
        }
        Ok(StoredFile {
            number,
            name,
            path: os_text(&path).into_owned().into(),
            size: from.number()?,
            changed: from.number()?,
            report: TaskReport::decode(number, from)?,
            counts: RecordCounts::decode(from)?,
        })
    }
}

/// Size and time of the last change of a file; none if it is not there.
pub(super) fn stamp(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some((meta.len(), u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX)))
}
