//! The one file that says what counts in a store: segments, their files, and what became of each.
//!
//! It goes through the frame of the store room (magic, version, checksum), so damage is told and nothing is trusted. What
//! lies in the folder and is not named here is a leftover.

use crate::aggregate::outcome::{Place, TaskReport};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::watch::Quiet;
use crate::error::{Error, Result};
use crate::index::seal::Seal;
use crate::input::{Archive, Source, os_text};
use crate::store::{self, Kind, Reader, Writer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// The manifest's name in the folder.
pub const NAME: &str = "manifest";

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
    /// What its parts are, in the order of their numbers: one for each worker, and one more each time that a worker's
    /// memory was full. Each is two files, sums and keys.
    pub parts: Arc<Vec<[Seal; 2]>>,
    /// What NODATA and SKIPDATA records of its raw files say: they have no sums.
    pub quiet: Arc<Quiet>,
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
        let content = store::read(Kind::Index, &path).map_err(|e| match e.reason().contains("an older") {
            true => Error::list(format!("{}; delete the folder and build it again", e.reason())).at(&path),
            false => e,
        })?;
        Manifest::decode(&content).map_err(|e| Error::list(e.reason()).at(&path))
    }

    /// As bytes, without the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.number(self.next);
        to.number(self.segments.len() as u64);
        for segment in &self.segments {
            to.text(&segment.name);
            to.number(segment.parts.len() as u64);
            segment.parts.iter().flatten().for_each(|s| write_seal(s, &mut to));
            segment.quiet.encode(&mut to);
            to.number(segment.bytes);
            to.number(segment.files.len() as u64);
            segment.files.iter().for_each(|f| f.write(&mut to));
        }
        to.into_bytes()
    }

    /// Reads what [`Manifest::encode`] wrote.
    ///
    /// # Errors
    /// `Format`: it is damaged.
    pub fn decode(content: &[u8]) -> Result<Manifest> {
        let mut from = Reader::new(content);
        let next = from.number()?;
        let mut segments = Vec::new();
        for _ in 0..from.number()? {
            let name = from.text()?.to_owned();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Error::format("damaged: a segment has no name"));
            }
            let mut parts = Vec::new();
            for _ in 0..from.number()? {
                parts.push([read_seal(&mut from)?, read_seal(&mut from)?]);
            }
            let quiet = Arc::new(Quiet::decode(&mut from)?);
            let bytes = from.number()?;
            let mut files = Vec::new();
            for _ in 0..from.number()? {
                files.push(StoredFile::read(&mut from)?);
            }
            segments.push(Segment {
                name,
                parts: Arc::new(parts),
                quiet,
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
        let mut sources: Vec<Source> = self.files().map(StoredFile::source).collect();
        sources.sort();
        archive.sources = sources.into_iter().collect();
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

fn write_seal(seal: &Seal, to: &mut Writer) {
    to.number(seal.size);
    let sums: Vec<u8> = seal.sums.iter().flat_map(|s| s.to_le_bytes()).collect();
    to.bytes(&sums);
}

fn read_seal(from: &mut Reader<'_>) -> Result<Seal> {
    let size = from.number()?;
    let (sums, rest) = from.bytes()?.as_chunks();
    if !rest.is_empty() {
        return Err(Error::format("damaged: half a sum"));
    }
    Ok(Seal {
        size,
        sums: sums.iter().map(|s| u32::from_le_bytes(*s)).collect(),
    })
}

/// Size and time of the last change of a file; none if it is not there.
pub(super) fn stamp(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some((meta.len(), u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX)))
}
