//! Every rejected line to a file (`--rejects`), streamed: workers append what they meet to a spill file, and at the end it is
//! copied out in the order of files and lines.
//!
//! A line's number in its file is known only when all pieces before it have been read, so the spill holds numbers within
//! the task. It is removed from its folder as soon as it is open: nothing stays behind, however the run ends.

use crate::aggregate::outcome::Outcome;
use crate::error::{Error, Result};
use crate::flow::{Reason, Reject};
use crate::input::Archive;
use crate::net::printable;
use crate::store::Begun;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Collects rejected lines of a run.
#[derive(Debug)]
pub struct RejectLog {
    path: PathBuf,
    spill: Mutex<Spill>,
}

#[derive(Debug)]
struct Spill {
    file: File,
    end: u64,
    chunks: Vec<Chunk>,
    failed: Option<std::io::Error>,
}

/// A stretch of the spill that one task wrote.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    task: u32,
    at: u64,
    length: usize,
}

/// Bytes of a line that are kept.
pub const KEPT: usize = 4 << 10;

/// A task hands over what it has collected when it is so long.
const HANDFUL: usize = 256 << 10;

impl RejectLog {
    /// A log whose spill file is made at `path` and removed at once.
    ///
    /// # Errors
    /// `Output` if it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let made = Begun::create(path, File::options().read(true).write(true));
        let (_, file) = made.map_err(|e| Error::output(path, e))?;
        Ok(RejectLog {
            path: path.to_path_buf(),
            spill: Mutex::new(Spill {
                file,
                end: 0,
                chunks: Vec::new(),
                failed: None,
            }),
        })
    }

    /// Forgets everything: the run begins again.
    pub(super) fn clear(&self) {
        let mut spill = self.lock();
        spill.chunks.clear();
        spill.end = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Spill> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, task: u32, bytes: &[u8]) {
        let mut spill = self.lock();
        let at = spill.end;
        let written = spill
            .file
            .seek(SeekFrom::Start(at))
            .and_then(|_| spill.file.write_all(bytes));
        match written {
            Ok(()) => {
                spill.end += bytes.len() as u64;
                let length = bytes.len();
                spill.chunks.push(Chunk { task, at, length });
            }
            Err(e) => drop(spill.failed.get_or_insert(e)),
        }
    }

    /// Writes all rejected lines as NDJSON, in the order of files and lines: `file`, `line`, `byte` (offset in the
    /// unpacked content), `field`, `reason`, `text` (escaped, the first 4 KiB) and `truncated`.
    ///
    /// # Errors
    /// `Output` if the spill could not be written or read, or `out` fails.
    pub fn write(&self, archive: &Archive, outcome: &Outcome, out: &mut dyn Write) -> Result<()> {
        let mut spill = self.lock();
        if let Some(e) = spill.failed.take() {
            return Err(Error::output(&self.path, e));
        }
        let failed = |e| Error::output(&self.path, e);
        let mut chunks = spill.chunks.clone();
        chunks.sort_by_cached_key(|c| (outcome.place((c.task, 0)).file, c.task, c.at));
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.resize(chunk.length, 0);
            spill.file.seek(SeekFrom::Start(chunk.at)).map_err(failed)?;
            spill.file.read_exact(&mut bytes).map_err(failed)?;
            copy(archive, outcome, chunk.task, &bytes, out).map_err(failed)?;
        }
        Ok(())
    }
}

/// Entries of a chunk: line number in the task, one space, the rest of the JSON object, a line feed.
fn copy(archive: &Archive, outcome: &Outcome, task: u32, bytes: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    let start = outcome.place((task, 0));
    let name = archive
        .sources
        .get(start.file as usize)
        .map(|s| s.name)
        .unwrap_or_default();
    let name = serde_json::to_string(&name)?;
    for entry in bytes.split(|b| *b == b'\n').filter(|e| !e.is_empty()) {
        let text = String::from_utf8_lossy(entry);
        let Some((line, rest)) = text.split_once(' ') else {
            continue;
        };
        let line = start.line + line.parse::<u64>().unwrap_or(0);
        writeln!(out, "{{\"file\":{name},\"line\":{line},{rest}")?;
    }
    Ok(())
}

/// What one task has collected and not yet handed over.
#[derive(Debug)]
pub(super) struct Handful<'l> {
    log: &'l RejectLog,
    task: u32,
    bytes: Vec<u8>,
}

impl<'l> Handful<'l> {
    pub(super) fn new(log: &'l RejectLog, task: u32) -> Self {
        Handful {
            log,
            task,
            bytes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, line: u64, reject: &Reject<'_>) {
        let kept = reject.text.get(..KEPT).unwrap_or(reject.text);
        let object = json!({
            "byte": reject.byte,
            "field": reject.field(),
            "reason": reject.fault.reason.as_str(),
            "text": printable(kept),
            "truncated": kept.len() < reject.text.len() || reject.fault.reason == Reason::TooLong,
        })
        .to_string();
        let rest = object.strip_prefix('{').unwrap_or(&object);
        self.bytes.extend_from_slice(format!("{line} {rest}\n").as_bytes());
        if self.bytes.len() > HANDFUL {
            self.hand_over();
        }
    }

    /// Hands over what is left: at the end of the task.
    pub(super) fn hand_over(&mut self) {
        if !self.bytes.is_empty() {
            self.log.append(self.task, &self.bytes);
            self.bytes.clear();
        }
    }
}
