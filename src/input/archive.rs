//! What the user named to the sorted list of files to read.
//!
//! Files, directories, globs, `@list` and `-` become [`Source`]s, sorted by their name below the root that was given, so
//! that the order of arguments changes nothing. Links are not followed and devices not opened inside a directory; they
//! are listed as skipped, for silence would overstate what was read.

use crate::error::{Error, Result};
use crate::net::printable;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The inputs of a run.
#[derive(Debug, Default)]
pub struct Archive {
    /// Files to read, sorted by name.
    pub sources: Vec<Source>,
    /// What was met and not taken, with the reason.
    pub skipped: Vec<Problem>,
    /// What should have been there and could not be listed.
    pub failed: Vec<Problem>,
}

/// A path and what is wrong with it, both safe to print.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The path, relative to the root that was given.
    pub name: String,
    /// Why it was not read.
    pub reason: String,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its name relative to the root that was given, safe to print.
    pub name: String,
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// Its size on disk in bytes.
    pub size: u64,
}

/// Which of AWS's log families a directory is walked for: their folders lie side by side in one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// VPC flow logs: CloudTrail's folders are passed over.
    FlowLogs,
    /// CloudTrail: `vpcflowlogs` folders are passed over.
    Trail,
}

/// Standard input.
pub const STDIN: &str = "-";

impl Archive {
    /// Finds everything that `arguments` name.
    ///
    /// # Errors
    /// `Usage` if an argument is no path and no glob that matches, or an `@list` cannot be read, and nothing else was found.
    pub fn discover<S: AsRef<OsStr>>(arguments: &[S], family: Family) -> Result<Archive> {
        let mut archive = Archive::default();
        for argument in arguments {
            archive.argument(argument.as_ref(), family, true);
        }
        archive.sources.sort();
        archive.sources.dedup_by(|a, b| a.path == b.path);
        archive.skipped.sort();
        archive.failed.sort();
        match archive.failed.first() {
            Some(p) if archive.sources.is_empty() => Err(Error::usage(format!("{}: {}", p.name, p.reason))),
            _ => Ok(archive),
        }
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.sources.iter().map(|s| s.size).sum()
    }

    fn argument(&mut self, argument: &OsStr, family: Family, lists: bool) {
        let path = Path::new(argument);
        match argument.as_bytes() {
            b"-" => self.sources.push(Source {
                name: STDIN.into(),
                path: STDIN.into(),
                size: 0,
            }),
            [b'@', list @ ..] if lists && !path.exists() => self.list(Path::new(OsStr::from_bytes(list)), family),
            _ => match std::fs::metadata(path) {
                Ok(m) if m.is_dir() => self.walk(path, family),
                Ok(m) => self.file(path, &file_name(path), &m),
                Err(e) => self.glob(argument, family, &e),
            },
        }
    }

    /// One path a line; blank lines are ignored.
    fn list(&mut self, path: &Path, family: Family) {
        match std::fs::read(path) {
            Ok(text) => {
                for line in text.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)) {
                    if !line.is_empty() {
                        self.argument(OsStr::from_bytes(line), family, false);
                    }
                }
            }
            Err(e) => self.failed.push(problem(path, &e)),
        }
    }

    fn glob(&mut self, pattern: &OsStr, family: Family, cause: &std::io::Error) {
        let text = pattern.to_str().filter(|p| p.contains(['*', '?', '[']));
        let found: Vec<PathBuf> = text
            .and_then(|p| glob::glob(p).ok())
            .map(|g| g.flatten().collect())
            .unwrap_or_default();
        if found.is_empty() {
            let reason = if text.is_some() {
                "no file matches".to_string()
            } else {
                cause.to_string()
            };
            self.failed.push(Problem {
                name: printable(pattern.as_bytes()),
                reason,
            });
        }
        for path in found {
            match std::fs::metadata(&path) {
                Ok(m) if m.is_dir() => self.walk(&path, family),
                Ok(m) => self.file(&path, &file_name(&path), &m),
                Err(e) => self.failed.push(problem(&path, &e)),
            }
        }
    }

    /// Walks a directory without recursion on the stack; names are relative to it.
    fn walk(&mut self, root: &Path, family: Family) {
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) => {
                    self.failed.push(problem(&folder, &e));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = entry.path();
                match entry.metadata() {
                    Ok(m) if m.is_dir() && family.passes_over(&entry.file_name()) => {}
                    Ok(m) if m.is_dir() => folders.push(path),
                    Ok(m) => self.file(&path, &relative(&path, root), &m),
                    Err(e) => self.failed.push(problem(&path, &e)),
                }
            }
        }
    }

    fn file(&mut self, path: &Path, name: &str, metadata: &std::fs::Metadata) {
        let name = name.to_string();
        if metadata.is_file() {
            self.sources.push(Source {
                name,
                path: path.to_path_buf(),
                size: metadata.len(),
            });
        } else {
            let kind = if metadata.is_symlink() {
                "symbolic link, not followed"
            } else {
                "not a regular file"
            };
            self.skipped.push(Problem {
                name,
                reason: kind.into(),
            });
        }
    }
}

impl Source {
    /// True for standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new(STDIN)
    }
}

impl Family {
    /// True for a folder that holds another log family by AWS's path layout.
    fn passes_over(self, folder: &OsStr) -> bool {
        let name = folder.as_bytes();
        let name = name.strip_prefix(b"aws-service=").unwrap_or(name);
        match self {
            Family::FlowLogs => name.starts_with(b"CloudTrail"),
            Family::Trail => name == b"vpcflowlogs",
        }
    }
}

fn file_name(path: &Path) -> String {
    printable(path.file_name().unwrap_or(path.as_os_str()).as_bytes())
}

fn relative(path: &Path, root: &Path) -> String {
    printable(path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes())
}

fn problem(path: &Path, e: &std::io::Error) -> Problem {
    Problem {
        name: printable(path.as_os_str().as_bytes()),
        reason: e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "b.log",
            "AWSLogs/1/vpcflowlogs/x/a.log",
            "AWSLogs/1/CloudTrail/x/t.json",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        std::os::unix::fs::symlink("b.log", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn a_bucket_copy_is_walked_for_one_family() {
        let dir = tree();
        let flows = Archive::discover(&[dir.path()], Family::FlowLogs).unwrap();
        let names: Vec<_> = flows.sources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["AWSLogs/1/vpcflowlogs/x/a.log", "b.log"]);
        assert_eq!(flows.skipped.len(), 1, "the link is named");
        let trail = Archive::discover(&[dir.path()], Family::Trail).unwrap();
        assert_eq!(trail.sources.len(), 2);
    }

    #[test]
    fn a_file_named_twice_is_one_source_and_a_missing_one_is_named() {
        let dir = tree();
        let b = dir.path().join("b.log");
        let glob = dir.path().join("*.log");
        let list = dir.path().join("list");
        std::fs::write(&list, format!("{}\r\n\n", b.display())).unwrap();
        let at = PathBuf::from(format!("@{}", list.display()));
        let found = Archive::discover(&[b, glob, at, "no/such".into()], Family::FlowLogs).unwrap();
        assert_eq!((found.sources.len(), found.failed.len()), (1, 1));
        assert!(Archive::discover(&["no/such"], Family::FlowLogs).is_err());
    }
}
