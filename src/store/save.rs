//! A state file is replaced as a whole, by one process at a time.
//!
//! The lock is a file of its own beside the target, with the holder's process id in it; the system frees it when the holder
//! dies. The new content is written beside the target, synced, renamed over it, and the folder synced, so that a power cut
//! leaves the old file or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Begun;
use crate::error::{Error, ErrorKind, Result};

/// The right to read, change and replace a state file; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    target: PathBuf,
    // Removed while it is held: whoever opened it before will see that it is no longer the one at this place.
    _begun: Begun,
    _file: File,
}

/// How long to wait for another process.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

impl Lock {
    /// Takes the lock of `target`; waits some seconds for another process to give it back.
    ///
    /// # Errors
    /// `Output`, naming the process that holds it, or why there can be no lock.
    pub fn take(target: &Path) -> Result<Lock> {
        if fs::metadata(target).is_ok_and(|m| !m.is_file()) {
            return Err(Error::output(
                target,
                io::Error::other("it exists and is no plain file"),
            ));
        }
        let path = beside(target, "lock");
        let began = Instant::now();
        loop {
            match Begun::enter(&path, || attempt(&path)) {
                Ok(Some((_begun, _file))) => {
                    let target = target.to_path_buf();
                    return Ok(Lock { target, _begun, _file });
                }
                Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Ok(None) => return Err(Error::output(target, taken(&path))),
                Err(e) => return Err(Error::output(target, e)),
            }
        }
    }

    /// The file whose lock it is.
    pub fn target(&self) -> &Path {
        &self.target
    }
}

/// One try: the locked file, or nothing if another process has it or has just given it back.
fn attempt(path: &Path) -> io::Result<Option<File>> {
    if fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
        return Err(io::Error::other(format!("{} is no plain file", path.display())));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    let mut file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(e),
    }
    if !same_file(&file, path) {
        return Ok(None);
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

fn taken(path: &Path) -> io::Error {
    let mut pid = String::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(20).read_to_string(&mut pid);
    }
    let pid: String = pid.chars().filter(char::is_ascii_digit).collect();
    io::Error::other(format!("process {pid} is changing it; try again when it has ended"))
}

/// Replaces the file that the lock guards. Leftovers of killed runs are removed.
///
/// # Errors
/// `Output`; the old file is whole.
pub fn replace(lock: &Lock, content: &[u8]) -> Result<()> {
    replace_by(lock, |out| Ok(out.write_all(content)?))
}

/// The same with what `write` writes.
///
/// # Errors
/// Those of `write`, or `Output`; the old file is whole.
pub fn replace_by(lock: &Lock, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let target = lock.target();
    let failed = |e| Error::output(target, e);
    sweep(target);
    let temporary = beside(target, &format!("{}.part", std::process::id()));
    write_synced(&temporary, target, write)?
        .rename(target)
        .map_err(failed)?;
    sync_folder(target).map_err(failed)
}

fn write_synced(path: &Path, target: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Begun> {
    let mut options = OpenOptions::new();
    options.write(true);
    private(&mut options);
    let failed = |e| Error::output(target, e);
    let (begun, file) = Begun::create(path, &mut options).map_err(failed)?;
    let mut out = BufWriter::new(file);
    write(&mut out).map_err(|e| match e.kind() {
        // Nothing is read from disk by what writes: such an error is the output's.
        ErrorKind::Io(io) => failed(io::Error::new(io.kind(), io.to_string())),
        _ => e,
    })?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(begun)
}

/// Windows opens no folder as a file, and has no such step.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(target: &Path) -> io::Result<()> {
    let folder = target
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Removes what killed runs left behind: whoever holds the lock is alone with these names.
fn sweep(target: &Path) {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let middle = name.strip_prefix(&prefix).and_then(|n| n.strip_suffix(".part"));
        if middle.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// `.NAME.SUFFIX` in the target's folder.
fn beside(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{suffix}"))
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// True if the open file still is the one at `path`.
#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("b.ftb");
        fs::write(folder.path().join(".b.ftb.4711.part"), "left by a killed run").unwrap();
        for content in [b"first".as_slice(), b"second"] {
            let lock = Lock::take(&target).unwrap();
            replace(&lock, content).unwrap();
            assert_eq!(fs::read(&target).unwrap(), content);
        }
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(names, ["b.ftb"]);
    }

    #[test]
    fn changes_under_the_lock_are_never_lost() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("count");
        fs::write(&target, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let lock = Lock::take(&target).unwrap();
                        let n: u32 = fs::read_to_string(&target).unwrap().parse().unwrap();
                        replace(&lock, (n + 1).to_string().as_bytes()).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&target).unwrap(), "100");
    }

    #[test]
    fn a_device_or_folder_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no plain file"), "{error}");
    }

    #[test]
    fn a_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("b.ftb");
        let _held = Lock::take(&target).unwrap();
        let error = Lock::take(&target).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }
}
