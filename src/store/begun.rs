//! Files that a run has begun and not finished: whoever ends it by a signal takes them away first.
//!
//! A file is made, named and removed under one mutex, so that no moment exists in which it stands on the disk unknown. After
//! [`end`] nothing more is begun and nothing gets its name: threads that try wait for the end of the process.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn begun() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is removed when this is dropped, or when a signal ends the run before.
#[derive(Debug)]
pub struct Begun(PathBuf);

impl Begun {
    /// Makes a new file at `path`, where none may be.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create(path: &Path, options: &mut OpenOptions) -> io::Result<(Begun, File)> {
        let made = Begun::enter(path, || options.create_new(true).open(path).map(Some))?;
        made.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What `make` made at `path`, if it made something.
    pub(super) fn enter(
        path: &Path,
        make: impl FnOnce() -> io::Result<Option<File>>,
    ) -> io::Result<Option<(Begun, File)>> {
        let mut all = begun();
        let made = make()?;
        Ok(made.map(|file| {
            all.insert(path.to_path_buf());
            (Begun(path.to_path_buf()), file)
        }))
    }

    /// Gives the finished file its name; it stays.
    ///
    /// # Errors
    /// Those of the system; the file is removed.
    pub fn rename(self, target: &Path) -> io::Result<()> {
        let mut all = begun();
        let renamed = fs::rename(&self.0, target);
        if renamed.is_ok() {
            all.remove(&self.0);
        }
        drop(all);
        renamed
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut all = begun();
        if all.remove(&self.0) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Removes what was begun; nothing else is begun or finished while the guard is held.
pub fn end() -> impl Sized {
    let mut all = begun();
    while let Some(path) = all.pop_first() {
        let _ = fs::remove_file(path);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_goes_and_what_is_named_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (part, target) = (folder.path().join("a.part"), folder.path().join("a"));
        let (begun, file) = Begun::create(&part, File::options().write(true)).unwrap();
        drop((begun, file));
        assert!(!part.exists());
        let (begun, _file) = Begun::create(&part, File::options().write(true)).unwrap();
        begun.rename(&target).unwrap();
        assert!(target.exists() && !part.exists());
    }

    #[test]
    fn what_another_has_made_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        fs::write(&path, "another's").unwrap();
        assert!(Begun::create(&path, File::options().write(true)).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"another's");
    }

    #[test]
    fn a_rename_that_fails_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("a.part");
        let (begun, _file) = Begun::create(&part, File::options().write(true)).unwrap();
        assert!(begun.rename(&folder.path().join("absent/a")).is_err());
        assert!(!part.exists());
    }
}
