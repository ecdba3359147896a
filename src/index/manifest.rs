//! The one file that says what counts in a store: segments, their files, and what became of each.
//!
//! It goes through the frame of the store room (magic, version, checksum), so damage is told and nothing is trusted. What
//! lies in the folder and is not named here is a leftover.

use crate::aggregate::Formats;
use crate::aggregate::outcome::{Place, TaskReport};
use crate::aggregate::stats::RecordCounts;
use crate::error::{Error, Result};
use crate::flow::LogFormat;
use crate::index::now::{Now, Stamp};
use crate::index::seal::Seal;
use crate::input::{Archive, RemoteOptions, Source, os_text};
use crate::store::{self, Kind, Reader, Writer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The manifest's name in the folder.
pub const NAME: &str = "manifest";

/// What a store holds.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The format by which text without a header was read.
    pub format: LogFormat,
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
    /// What the file is that tells of NODATA and SKIPDATA records of its raw files: they have no sums.
    pub quiet: Seal,
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
    /// Where it was: absolute, or `s3://bucket/key`.
    pub path: PathBuf,
    /// By what it is known again.
    pub stamp: Stamp,
    /// What became of it.
    pub report: TaskReport,
    /// Counts over its records.
    pub counts: RecordCounts,
}

impl Manifest {
    /// That of a store in which nothing is yet.
    pub fn empty() -> Manifest {
        Manifest {
            format: LogFormat::default_v2(),
            segments: Vec::new(),
            next: 0,
        }
    }

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

    /// The manifest of a store by which files are to be read in these formats.
    ///
    /// # Errors
    /// As [`Manifest::open`]; `Usage` if the store was built with another `--flow-format`.
    pub fn open_for(folder: &Path, formats: &Formats) -> Result<Manifest> {
        let manifest = Manifest::open(folder)?;
        let given = formats.otherwise();
        if manifest.format == given || manifest.segments.is_empty() {
            return Ok(manifest);
        }
        let was = match manifest.format == LogFormat::default_v2() {
            true => "without --flow-format".to_owned(),
            false => format!("with --flow-format '{}'", manifest.format.spec()),
        };
        Err(Error::usage(format!(
            "the store was built {was}, and text without a header would be read otherwise now: run this command {was} too, or \
             build another store"
        ))
        .at(folder))
    }

    /// Leaves out the segments of which these formats would read a file otherwise than it was read: an inventory may know
    /// the format of its flow log. Their files are to be read once more.
    pub fn read_by(&mut self, formats: &Formats) {
        let alike = |f: &StoredFile| !f.is_bare() || formats.of(&f.name) == self.format;
        self.segments.retain(|s| s.files.iter().all(alike));
    }

    /// As bytes, without the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.text(&self.format.spec());
        to.number(self.next);
        to.number(self.segments.len() as u64);
        for segment in &self.segments {
            to.text(&segment.name);
            to.number(segment.parts.len() as u64);
            segment.parts.iter().flatten().for_each(|s| write_seal(s, &mut to));
            write_seal(&segment.quiet, &mut to);
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
        let format = LogFormat::from_spec(from.text()?).map_err(|_| Error::format("damaged: no flow format"))?;
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
            let quiet = read_seal(&mut from)?;
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
        Ok(Manifest { format, segments, next })
    }

    /// The archive that was indexed, with what its files are now.
    ///
    /// # Errors
    /// As [`Now::of`].
    pub fn archive(&self, remote: &RemoteOptions) -> Result<Archive> {
        let now = Now::of(self, &Archive::default(), remote)?;
        let mut sources: Vec<Source> = self.files().map(|f| f.source(&now)).collect();
        sources.sort();
        Ok(Archive::of(sources.into_iter().collect()))
    }

    /// All raw files.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.segments.iter().flat_map(|s| &s.files)
    }
}

impl StoredFile {
    fn source(&self, now: &Now) -> Source {
        Source {
            name: self.name.clone(),
            path: self.path.clone(),
            // What has changed since is read as it is now.
            size: now.stamp(&self.path).map_or(self.stamp.size, |now| now.size),
            object: now.object(&self.path, &self.stamp),
        }
    }

    /// True if it is no longer what was read, or no longer there.
    pub fn is_changed(&self, now: &Now) -> bool {
        now.stamp(&self.path).as_ref() != Some(&self.stamp)
    }

    /// True if it is text without a header, whose columns a format must tell.
    fn is_bare(&self) -> bool {
        self.report.counts.headers == 0 && self.report.fields.is_some() && !self.name.ends_with(".parquet")
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
        to.number(self.stamp.size);
        to.number(self.stamp.changed);
        to.text(&self.stamp.mark);
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
            stamp: Stamp {
                size: from.number()?,
                changed: from.number()?,
                mark: from.text()?.to_owned(),
            },
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
