//! What became of each file: the reports of its tasks, seen together.

use super::told::Told;
use super::{Outcome, Place, TaskReport};
use crate::aggregate::stats::{FileCounts, FileError, FileStatus};
use crate::aggregate::watch::FileFacts;
use crate::flow::LineCounts;
use crate::input::{Archive, Fingerprint};
use crate::net::TimeWindow;
use std::collections::BTreeMap;

/// What became of one file.
#[derive(Debug, Clone)]
pub struct FileOutcome {
    /// Its number in the archive.
    pub file: u32,
    /// How it ended; nothing if it was not read at all.
    pub status: Option<FileStatus>,
    /// What it held; copies hold the same.
    pub facts: FileFacts,
    /// Identity of its content, where it was taken and contents are to be told ([`Ingest::learned`](crate::aggregate::Ingest)).
    pub content: Option<Fingerprint>,
}

impl Outcome {
    /// Every file of the archive and what became of it, in their order.
    pub fn by_file(&self) -> impl Iterator<Item = FileOutcome> + '_ {
        let mut read = self.by_tasks().peekable();
        (0..self.files).map(move |file| {
            let tasks = read.next_if(|tasks| tasks[0].file == file);
            self.file(file, &tasks.unwrap_or_default())
        })
    }

    /// The reports of each file that was read; never none.
    pub(super) fn by_tasks(&self) -> impl Iterator<Item = Vec<TaskReport>> + '_ {
        let mut tasks = self.told.tasks().peekable();
        std::iter::from_fn(move || {
            let first = tasks.next()?;
            let file = first.file;
            let mut all = vec![first];
            while let Some(next) = tasks.next_if(|r| r.file == file) {
                all.push(next);
            }
            Some(all)
        })
    }

    fn file(&self, file: u32, tasks: &[TaskReport]) -> FileOutcome {
        let shared = tasks.first().filter(|r| r.place == Place::Copy);
        let shared = shared.and_then(|_| self.copied.get(&self.told.leader(file)).copied());
        FileOutcome {
            file,
            status: (!tasks.is_empty()).then(|| match self.originals.get(&file) {
                Some(original) => FileStatus::Duplicate(*original),
                None => status(tasks),
            }),
            facts: shared.unwrap_or_else(|| facts_of(tasks)),
            content: tasks.iter().find_map(|r| r.fingerprint),
        }
    }

    /// The contents of which records in `window` were read; of what lies across its ends, only the part.
    pub fn taught(&self, window: TimeWindow) -> impl Iterator<Item = Fingerprint> + '_ {
        self.by_file().filter_map(move |f| {
            let ((first, last), content) = (f.facts.span?, f.content?);
            let inside = window.from <= first && last <= window.to;
            let outside = last < window.from || window.to <= first;
            (!outside).then(|| if inside { content } else { content.cut(window) })
        })
    }

    /// Files by how they ended, and the list of those that were not read whole.
    pub fn files(&self, archive: &Archive) -> (FileCounts, Vec<FileError>) {
        let mut counts = FileCounts {
            skipped: archive.skipped.len() as u64,
            failed: archive.failed.len() as u64,
            ..FileCounts::default()
        };
        let problems = archive.failed.iter().chain(&archive.skipped);
        let mut errors: Vec<FileError> = problems.map(FileError::of).collect();
        let name = |file: u32| archive.sources.get(file as usize).map(|s| s.name).unwrap_or_default();
        for file in self.by_file() {
            let reason = match file.status {
                Some(FileStatus::Ok) | None => {
                    counts.ok += u64::from(file.status.is_some());
                    continue;
                }
                Some(FileStatus::Duplicate(original)) => {
                    counts.duplicate += 1;
                    errors.push(FileError::copy_of(&name(file.file), &name(original)));
                    continue;
                }
                Some(FileStatus::Partial(reason)) => {
                    counts.partial += 1;
                    reason
                }
                Some(FileStatus::Failed(reason)) => {
                    counts.failed += 1;
                    reason
                }
            };
            let file = name(file.file);
            errors.push(FileError { file, reason });
        }
        errors.sort();
        (counts, errors)
    }
}

impl Place {
    fn status(&self) -> FileStatus {
        match self {
            Place::Read | Place::Copy => FileStatus::Ok,
            Place::Damaged(reason) => FileStatus::Partial(reason.clone()),
            Place::Unreadable(reason) => FileStatus::Failed(reason.clone()),
        }
    }
}

/// Of all files with one content, the first by name is the original, whichever was counted: those that are not, with theirs.
pub(super) fn originals(told: &Told) -> BTreeMap<u32, u32> {
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    let mut originals = BTreeMap::new();
    let leaders = told.leaders();
    if leaders.is_empty() {
        return originals;
    }
    let mut before = None;
    for report in told.tasks() {
        let is_next = before.replace(report.file) != Some(report.file);
        let leader = told.leader(report.file);
        if !is_next || !leaders.contains(&leader) {
            continue;
        }
        let original = *first.entry(leader).or_insert(report.file);
        if original != report.file {
            originals.insert(report.file, original);
        }
    }
    originals
}

pub(super) fn facts_of(tasks: &[TaskReport]) -> FileFacts {
    let mut facts = FileFacts::default();
    tasks.iter().for_each(|r| facts.add(&r.facts()));
    facts
}

fn status(tasks: &[TaskReport]) -> FileStatus {
    let mut counts = LineCounts::default();
    tasks.iter().for_each(|r| counts += r.counts);
    match tasks.iter().find(|r| r.place != Place::Read) {
        Some(r) => r.place.status(),
        None => status_by_lines(&counts),
    }
}

fn status_by_lines(c: &LineCounts) -> FileStatus {
    if c.rejected > 0 && c.good + c.nodata + c.skipdata == 0 {
        return FileStatus::Failed("no line of it is a flow log record (use --flow-format if it has no header)".into());
    }
    FileStatus::Ok
}
