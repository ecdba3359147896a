//! What the user named to the sorted list of files to read.
//!
//! Files, directories, globs, `@list` and `-` become [`Source`]s, sorted by their name below the root that was given, so
//! that the order of arguments changes nothing; `s3://bucket/prefix` is walked like a directory. Links are not followed and devices not opened inside a directory; they
//! are listed as skipped, for silence would overstate what was read.

use crate::error::{Error, Result};
use crate::input::gathering::Gathering;
use crate::input::layout::{self, LogName};
use crate::input::remote::{self, Object, RemoteOptions};
use crate::input::sources::Sources;
use crate::net::{TimeWindow, printable};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The inputs of a run.
#[derive(Debug, Default)]
pub struct Archive {
    /// Files to read, sorted by name.
    pub sources: Sources,
    /// What was met and not taken, with the reason.
    pub skipped: Vec<Problem>,
    /// What should have been there and could not be listed.
    pub failed: Vec<Problem>,
    /// What lies outside the time window by its name.
    pub passed_over: PassedOver,
    found: Gathering,
    window: Option<TimeWindow>,
    #[cfg(feature = "s3")]
    remote: RemoteOptions,
    /// S3 was asked: that nothing was found is told by what failed.
    asked_remote: bool,
    /// An argument that makes the whole run pointless.
    refused: Option<Error>,
}

/// How much a walk left out because its names bear dates outside the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PassedOver {
    /// Folders, with everything in them.
    pub folders: u64,
    /// Single files.
    pub files: u64,
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
    /// The object, if it lies on S3.
    pub object: Option<Object>,
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
        Archive::discover_within(arguments, family, TimeWindow::ALL)
    }

    /// As [`Archive::discover_within`], with what it takes to reach `s3://` arguments.
    ///
    /// # Errors
    /// As [`Archive::discover`]; `Usage` if an S3 argument makes no sense or there are no credentials.
    pub fn discover_with<S: AsRef<OsStr>>(
        arguments: &[S],
        family: Family,
        window: TimeWindow,
        remote: &RemoteOptions,
    ) -> Result<Archive> {
        let mut archive = Archive {
            window: Some(window).filter(|w| *w != TimeWindow::ALL),
            #[cfg(feature = "s3")]
            remote: remote.clone(),
            ..Archive::default()
        };
        // Without S3 its arguments are refused, and nothing is to be reached.
        #[cfg(not(feature = "s3"))]
        let _ = remote;
        for argument in arguments {
            archive.argument(argument.as_ref(), family, true);
        }
        if let Some(e) = archive.refused.take() {
            return Err(e);
        }
        archive.sources = std::mem::take(&mut archive.found).finish();
        archive.skipped.sort();
        archive.failed.sort();
        archive.log(family);
        match archive.failed.first() {
            Some(p) if archive.sources.is_empty() && !archive.asked_remote => {
                Err(Error::usage(format!("{}: {}", p.name, p.reason)))
            }
            _ => Ok(archive),
        }
    }

    /// As [`Archive::discover`], but walks pass over folders and files that cannot hold records of `window` by their names
    /// (see [`layout`]). What is named itself is always taken.
    ///
    /// # Errors
    /// As [`Archive::discover`]. That everything was passed over is no error.
    pub fn discover_within<S: AsRef<OsStr>>(arguments: &[S], family: Family, window: TimeWindow) -> Result<Archive> {
        Archive::discover_with(arguments, family, window, &RemoteOptions::default())
    }

    /// The files of the same arguments whatever the window, with those that lie outside of it by their names.
    ///
    /// # Errors
    /// As [`Archive::discover_with`].
    pub fn of_all_times<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        family: Family,
        remote: &RemoteOptions,
    ) -> Result<Archive> {
        match self.window {
            Some(_) => Archive::discover_with(arguments, family, TimeWindow::ALL, remote),
            None => Ok(Archive::of(self.sources.clone())),
        }
    }

    /// An archive of these files.
    pub fn of(sources: Sources) -> Archive {
        Archive {
            sources,
            ..Archive::default()
        }
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.sources.sizes().sum()
    }

    fn log(&self, family: Family) {
        let (files, bytes, over) = (self.sources.len(), self.bytes(), self.passed_over);
        tracing::info!(
            ?family,
            files,
            bytes,
            passed_over = over.files,
            folders_passed_over = over.folders,
            "inputs found"
        );
        for Problem { name, reason } in &self.skipped {
            tracing::warn!(file = %name, %reason, "skipped");
        }
        for Problem { name, reason } in &self.failed {
            tracing::warn!(file = %name, %reason, "not listed");
        }
    }

    fn argument(&mut self, argument: &OsStr, family: Family, lists: bool) {
        let path = Path::new(argument);
        match argument.as_encoded_bytes() {
            b"-" => self.found.push(Source {
                name: STDIN.into(),
                path: STDIN.into(),
                size: 0,
                object: None,
            }),
            url if url.starts_with(remote::SCHEME) => self.remote(url, family),
            [b'@', list @ ..] if lists && !path.exists() => self.list(Path::new(&os_text(list)), family),
            _ => match std::fs::metadata(path) {
                Ok(m) if m.is_dir() => self.walk(path, family),
                Ok(m) => self.file(path.to_path_buf(), file_name(path), &m),
                Err(e) => self.glob(argument, family, &e),
            },
        }
    }

    #[cfg(feature = "s3")]
    fn remote(&mut self, url: &[u8], family: Family) {
        self.asked_remote = true;
        let wanted = remote::Wanted {
            passes_over: &|folder| family.passes_over(OsStr::new(folder)),
            window: self.window,
        };
        match remote::discover(&String::from_utf8_lossy(url), &self.remote, &wanted) {
            Ok(found) => {
                self.found.append(found.sources);
                self.failed.extend(found.failed);
                self.passed_over.folders += found.passed_over.folders;
                self.passed_over.files += found.passed_over.files;
            }
            Err(e) => self.refused = Some(e),
        }
    }

    #[cfg(not(feature = "s3"))]
    fn remote(&mut self, url: &[u8], _: Family) {
        let url = printable(url);
        let text = format!(
            "{url}: this build does not read S3 (it was built without the feature `s3`); copy the files here first"
        );
        self.refused = Some(Error::usage(text));
    }

    /// One path a line; blank lines are ignored.
    fn list(&mut self, path: &Path, family: Family) {
        match std::fs::read(path) {
            Ok(text) => {
                for line in text.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)) {
                    if !line.is_empty() {
                        self.argument(&os_text(line), family, false);
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
                name: printable(pattern.as_encoded_bytes()),
                reason,
            });
        }
        for path in found {
            match std::fs::metadata(&path) {
                Ok(m) if m.is_dir() => self.walk(&path, family),
                Ok(m) => {
                    let name = file_name(&path);
                    self.file(path, name, &m);
                }
                Err(e) => self.failed.push(problem(&path, &e)),
            }
        }
    }

    /// Walks a directory without recursion on the stack; names are relative to it.
    fn walk(&mut self, root: &Path, family: Family) {
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let below = relative(&folder, root);
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
                    Ok(m) if m.is_dir() && self.is_outside(|| layout::folder_span(&path)) => {
                        self.passed_over.folders += 1
                    }
                    Ok(m) if m.is_dir() => folders.push(path),
                    Ok(m) if m.is_file() && self.is_outside(|| file_span(&path)) => self.passed_over.files += 1,
                    Ok(m) => self.file(path, relative_name(&below, &entry.file_name()), &m),
                    Err(e) => self.failed.push(problem(&path, &e)),
                }
            }
        }
    }

    fn is_outside(&self, span: impl FnOnce() -> Option<TimeWindow>) -> bool {
        let of = |window| span().is_some_and(|span| layout::is_outside(&span, &window));
        self.window.is_some_and(of)
    }

    fn file(&mut self, path: PathBuf, name: String, metadata: &std::fs::Metadata) {
        if metadata.is_file() {
            self.found.push(Source {
                name,
                path,
                size: metadata.len(),
                object: None,
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

impl Archive {
    /// Says that these files will be read, in this order: objects are fetched ahead. Of files with a mark only the end is.
    pub fn fetch_ahead(&self, files: impl Iterator<Item = (u32, bool)>) {
        if self.sources.has_objects() {
            let (files, sources) = (files.collect::<Vec<_>>(), self.sources.clone());
            let object = move |(file, end): (u32, bool)| Some((sources.get(file as usize)?.object?, end));
            Object::expect(files.into_iter().filter_map(object));
        }
    }
}

impl Source {
    /// Its bytes as they are stored, packed or not.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn stored(&self) -> Result<Box<dyn std::io::Read>> {
        #[cfg(feature = "s3")]
        if let Some(object) = &self.object {
            return Ok(Box::new(object.stream()));
        }
        let (file, _) = crate::input::regular(&self.path).map_err(|e| Error::from(e).at(&self.path))?;
        Ok(Box::new(file))
    }

    /// True for standard input.
    pub fn is_stdin(&self) -> bool {
        self.path.as_os_str() == STDIN
    }
}

/// A path as its bytes give it.
#[cfg(unix)]
pub(crate) fn os_text(bytes: &[u8]) -> Cow<'_, OsStr> {
    use std::os::unix::ffi::OsStrExt;
    Cow::Borrowed(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(crate) fn os_text(bytes: &[u8]) -> Cow<'_, OsStr> {
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into())
}

impl Family {
    /// True for a folder that holds another log family by AWS's path layout.
    fn passes_over(self, folder: &OsStr) -> bool {
        let name = folder.as_encoded_bytes();
        let name = name.strip_prefix(b"aws-service=").unwrap_or(name);
        match self {
            Family::FlowLogs => name.starts_with(b"CloudTrail"),
            Family::Trail => name == b"vpcflowlogs",
        }
    }
}

fn file_span(path: &Path) -> Option<TimeWindow> {
    LogName::parse(path.file_name()?.to_str()?).map(|n| n.span())
}

fn file_name(path: &Path) -> String {
    printable(path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes())
}

fn relative(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).as_os_str();
    if std::path::MAIN_SEPARATOR == '/' {
        return printable(below.as_encoded_bytes());
    }
    // One spelling everywhere: names are read as AWS writes them.
    printable(
        below
            .to_string_lossy()
            .replace(std::path::MAIN_SEPARATOR, "/")
            .as_bytes(),
    )
}

/// The name of an entry of a folder that is itself called `below`, relative to the root.
fn relative_name(below: &str, entry: &OsStr) -> String {
    let name = printable(entry.as_encoded_bytes());
    match below {
        "" => name,
        below => format!("{below}/{name}"),
    }
}

fn problem(path: &Path, e: &std::io::Error) -> Problem {
    Problem {
        name: printable(path.as_os_str().as_encoded_bytes()),
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
        #[cfg(unix)]
        std::os::unix::fs::symlink("b.log", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn a_bucket_copy_is_walked_for_one_family() {
        let dir = tree();
        let flows = Archive::discover(&[dir.path()], Family::FlowLogs).unwrap();
        let names: Vec<_> = flows.sources.iter().map(|s| s.name).collect();
        assert_eq!(names, ["AWSLogs/1/vpcflowlogs/x/a.log", "b.log"]);
        assert_eq!(flows.skipped.len(), usize::from(cfg!(unix)), "the link is named");
        let trail = Archive::discover(&[dir.path()], Family::Trail).unwrap();
        assert_eq!(trail.sources.len(), 2);
    }

    #[test]
    fn a_window_passes_over_folders_and_files_by_their_names_only() {
        let dir = tempfile::tempdir().unwrap();
        let day = |d: &str| format!("AWSLogs/1/vpcflowlogs/us-east-1/2026/03/{d}");
        let file = |stamp: &str| format!("123456789012_vpcflowlogs_us-east-1_fl-1_{stamp}_x.log");
        for file in [
            format!("{}/{}", day("01"), file("20260301T0000Z")),
            format!("{}/{}", day("04"), file("20260304T0000Z")),
            format!("{}/{}", day("04"), file("20260304T2300Z")),
            format!("{}/notes.log", day("04")),
            "undated/a.log".into(),
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let at = |t| crate::net::parse_rfc3339(t).unwrap();
        let window = TimeWindow {
            from: at("2026-03-03T00:00:00Z"),
            to: at("2026-03-03T01:00:00Z"),
        };
        let found = Archive::discover_within(&[dir.path()], Family::FlowLogs, window).unwrap();
        let names: Vec<_> = found
            .sources
            .iter()
            .map(|s| s.name.rsplit('/').next().unwrap().to_string())
            .collect();
        assert_eq!(names, [&file("20260304T0000Z"), "notes.log", "a.log"]);
        assert_eq!(found.passed_over, PassedOver { folders: 1, files: 1 });
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
