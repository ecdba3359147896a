//! Opening what the walk found, whatever stands at its place by now.
//!
//! Between the walk and the reading a file may be replaced: by a pipe, which would block, or a device, which never ends. So
//! it is opened without waiting and looked at through what was opened, never through its name. What it was is kept, and
//! compared with what stands there when it has been read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Opens a regular file for reading.
///
/// # Errors
/// Whatever the system says, and for anything but a regular file.
pub(crate) fn regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = without_waiting(OpenOptions::new().read(true)).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
}

#[cfg(not(unix))]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// What became of a file while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It lost bytes: what was read is not all of it.
    Cut {
        /// Its length before, in bytes.
        was: u64,
        /// Its length now.
        is: u64,
    },
    /// It was written to, or another file stands at its place: what was there when it was opened was read.
    Written,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Cut { was, is } => write!(f, "file changed while it was read ({was} -> {is} bytes)"),
            Change::Written => f.write_str("file changed while it was read: what was there at first was counted"),
        }
    }
}

/// A file as it was when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    found: u64,
    metadata: Metadata,
    pub(super) cut: Option<Arc<AtomicBool>>,
}

impl Opened {
    /// `found` is its length when the walk met it.
    pub(super) fn new(found: u64, metadata: Metadata) -> Self {
        Opened {
            found,
            metadata,
            cut: None,
        }
    }

    /// Looks at the place again.
    pub(super) fn change(&self, path: &Path) -> Option<Change> {
        let was = self.found.max(self.metadata.len());
        let now = std::fs::metadata(path).ok();
        let same = now.as_ref().filter(|m| is_same(m, &self.metadata));
        let is = same.map_or(self.metadata.len(), Metadata::len);
        let is_cut = self.cut.as_ref().is_some_and(|cut| cut.load(Ordering::Relaxed));
        if is_cut || is < was {
            return Some(Change::Cut { was, is });
        }
        let untouched = same.is_some_and(|m| m.len() == self.found && modified(m) == modified(&self.metadata));
        (!untouched).then_some(Change::Written)
    }
}

fn modified(metadata: &Metadata) -> Option<std::time::SystemTime> {
    metadata.modified().ok()
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            assert!(regular(path).unwrap_err().to_string().contains("not a regular file"));
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "0123456789").unwrap();
        let opened = || Opened::new(10, regular(&path).unwrap().1);
        let first = opened();
        assert_eq!(first.change(&path), None);
        std::fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"more")
            .unwrap();
        assert_eq!(first.change(&path), Some(Change::Written), "grown");
        std::fs::write(&path, "012345").unwrap();
        assert_eq!(first.change(&path), Some(Change::Cut { was: 10, is: 6 }));
        assert_eq!(
            opened().change(&path),
            Some(Change::Cut { was: 10, is: 6 }),
            "cut before it was opened"
        );
        std::fs::write(folder.path().join("b"), "0123456789").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert_eq!(first.change(&path), Some(Change::Written), "replaced");
    }
}
