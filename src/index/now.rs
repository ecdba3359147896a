//! Is a raw file what it was when it was read? Files on disk are looked at; of objects on S3 a listing tells.
//!
//! An object is what it was while its size and its tag are: S3 makes the tag of the content. Where a listing has no tags, the
//! time at which the object was written stands for it.

use crate::error::{Error, Result};
use crate::index::manifest::Manifest;
use crate::input::{Again, Archive, Object, Problem, RemoteOptions, Source};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// By what a raw file is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes as stored.
    pub size: u64,
    /// When a file on disk was changed last, in nanoseconds since 1970.
    pub changed: u64,
    /// What tells an object's content; empty for a file on disk.
    pub mark: String,
}

impl Stamp {
    /// That of a file on disk; none if it is not there.
    pub fn of_file(path: &Path) -> Option<Stamp> {
        let meta = std::fs::metadata(path).ok()?;
        let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Stamp {
            size: meta.len(),
            changed: u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX),
            mark: String::new(),
        })
    }

    /// That of an object as it was listed.
    pub fn of_object(object: &Object) -> Stamp {
        Stamp {
            size: object.size(),
            changed: 0,
            mark: object.mark().to_owned(),
        }
    }

    /// That of a source: on disk as it is now, on S3 as it was listed.
    pub(super) fn of(source: &Source) -> Option<Stamp> {
        match &source.object {
            Some(object) => Some(Stamp::of_object(object)),
            None => Stamp::of_file(&source.path),
        }
    }

    /// One of that size that no file has: what bears it is read again next time.
    pub(super) fn of_nothing(size: u64) -> Stamp {
        Stamp {
            size,
            ..Stamp::default()
        }
    }
}

/// Where a source is, whatever the folder in which the program was started.
pub(super) fn place(source: &Source) -> PathBuf {
    match source.object {
        Some(_) => source.path.clone(),
        None => std::path::absolute(&source.path).unwrap_or_else(|_| source.path.clone()),
    }
}

/// What a store's raw files are now.
#[derive(Default)]
pub struct Now {
    /// Objects that somebody listed before.
    listed: HashMap<PathBuf, Stamp>,
    /// The others.
    again: Again,
}

impl Now {
    /// Lists the store's objects that are not in `archive`, which was listed just now; files on disk need no preparation.
    ///
    /// # Errors
    /// `List` if objects cannot be listed: whether they are still what they were is not known then.
    pub fn of(manifest: &Manifest, archive: &Archive, remote: &RemoteOptions) -> Result<Now> {
        let listed: HashMap<PathBuf, Stamp> = match archive.sources.has_objects() {
            true => archive.sources.iter().filter_map(listed).collect(),
            false => HashMap::new(),
        };
        let objects = manifest.files().map(|f| f.path.as_path());
        let objects = objects.filter(|p| Again::is_object(p) && !listed.contains_key(*p));
        let again = Again::list(objects, remote).map_err(unknown)?;
        Ok(Now { listed, again })
    }

    /// What stands at a path; none if nothing does.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        match Again::is_object(path) {
            false => Stamp::of_file(path),
            true => self.listed.get(path).cloned().or_else(|| self.again(path)),
        }
    }

    fn again(&self, path: &Path) -> Option<Stamp> {
        self.again.get(path)?.object.as_ref().map(Stamp::of_object)
    }

    /// The object at a path: as it is now, or as it was if it is gone.
    pub(super) fn object(&self, path: &Path, was: &Stamp) -> Option<Object> {
        self.again.object(path, was.size, &was.mark)
    }
}

fn listed(source: Source) -> Option<(PathBuf, Stamp)> {
    let stamp = Stamp::of_object(source.object.as_ref()?);
    Some((source.path, stamp))
}

fn unknown(Problem { name, reason }: Problem) -> Error {
    Error::list(format!(
        "{name}: {reason}; so it is not known whether the store's objects there are still what was read: give credentials that \
         may list them (--profile, --endpoint-url), or delete the store's folder"
    ))
}
