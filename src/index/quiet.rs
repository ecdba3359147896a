//! What NODATA and SKIPDATA records of a segment's raw files say: they have no sums, and a scan wants to know of them.
//!
//! It stands in a file of its own, in the frame of the store room, and the manifest keeps sums over it as over the others:
//! a look-up, which prints nothing of it, neither reads nor unpacks it.

use crate::aggregate::watch::{Presence, Quiet};
use crate::error::{Error, Result};
use crate::index::seal::{Seal, Sealed, damaged};
use crate::store::{self, Kind, Reader, Writer};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Before the segment in the file's name.
const PREFIX: &str = "quiet-";

/// The name of a segment's file, while it is written and afterwards.
pub(super) fn path(folder: &Path, segment: &str, written: bool) -> PathBuf {
    folder.join(match written {
        true => format!("{PREFIX}{segment}"),
        false => format!(".{PREFIX}{segment}.part"),
    })
}

/// True if this is the name of such a file.
pub(super) fn is_named(name: &str) -> bool {
    let segment = name.strip_prefix(PREFIX);
    segment.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()))
}

/// Writes the file under a temporary name, syncs it, and tells what it is.
///
/// # Errors
/// `Output`, naming the file.
pub(super) fn write(folder: &Path, segment: &str, quiet: &Quiet) -> Result<Seal> {
    let mut content = Writer::default();
    quiet.encode(&mut content);
    let framed = store::pack(Kind::Index, &content.into_bytes())?;
    let path = path(folder, segment, false);
    let mut file = File::create(&path).map_err(|e| Error::output(&path, e))?;
    let written = file.write_all(&framed).and_then(|()| file.sync_all());
    written.map_err(|e| Error::output(&path, e))?;
    Ok(Seal::of(&framed))
}

/// Tells what the file says: flow log, interface, and what its records of one hour show.
///
/// # Errors
/// `List`, naming the file: it is missing or damaged.
pub(super) fn read(
    folder: &Path,
    segment: &str,
    seal: &Seal,
    tell: &mut dyn FnMut(&str, &[u8], Presence),
) -> Result<()> {
    let path = path(folder, segment, true);
    let mut told = || -> Result<()> {
        let outside = |e: &dyn std::fmt::Display| Error::list(e.to_string());
        let file = File::open(&path).map_err(|e| outside(&e))?;
        let file = Sealed::new(file, seal.clone()).map_err(|e| outside(&e))?;
        let (_, framed) = file.around(&(0..seal.size)).map_err(|e| outside(&e))?;
        let content = store::unpack(Kind::Index, &framed)?;
        let mut from = Reader::new(&content);
        Quiet::each(&mut from, tell)?;
        from.done()
    };
    told().map_err(|e| damaged(&path, &e))
}
