//! What became of every file: counts by file, damage, copies, rejected lines with their true line numbers.

use crate::aggregate::examples::{Kept, Kind, Rejected};
use crate::aggregate::stats::{
    FileCounts, FileError, FileStatus, REJECTS_SHOWN, Rate, RejectCount, RejectedLine, ScanStats,
};
use crate::aggregate::table::Sample;
use crate::aggregate::watch::{FieldSet, FileFacts, FlowLogs, Seen};
use crate::flow::{Field, FlowRecord, LineCounts, LineReader, Reject, Rows};
use crate::input::{Archive, Change, Fingerprint};
use crate::net::TimeWindow;
use std::collections::{BTreeMap, BTreeSet};

pub(super) mod report;

/// One task's result.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    /// Number of the task.
    pub task: u32,
    /// Index of its file.
    pub file: u32,
    /// Lines met.
    pub counts: LineCounts,
    /// How it went.
    pub place: Place,
    /// Identity of the file's content, where it was taken.
    pub fingerprint: Option<Fingerprint>,
    /// The file was written to while it was read.
    pub changed: bool,
    /// A header changed the format inside the task.
    pub format_changed: bool,
    /// Earliest start and latest end of its records.
    pub span: Option<(u64, u64)>,
    /// Good ACCEPT and REJECT records.
    pub actions: (u64, u64),
    /// Fields of the format in force at its end.
    pub fields: Option<FieldSet>,
    /// Lines that were rejected, until they are handed over.
    pub(super) rejects: Rejected,
}

/// How a task went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To its end.
    Read,
    /// Up to a damage.
    Damaged(String),
    /// Could not be opened.
    Unreadable(String),
    /// The content was counted from another file.
    Copy,
}

impl TaskReport {
    pub(super) fn new(task: u32, file: u32) -> Self {
        TaskReport {
            task,
            file,
            counts: LineCounts::default(),
            place: Place::Read,
            fingerprint: None,
            changed: false,
            format_changed: false,
            span: None,
            actions: (0, 0),
            fields: None,
            rejects: Rejected::new(),
        }
    }

    #[inline]
    pub(super) fn observe(&mut self, r: &FlowRecord<'_>) {
        if let (Some(start), Some(end)) = (r.start, r.end) {
            let (first, last) = self.span.unwrap_or((start, end));
            self.span = Some((first.min(start), last.max(end)));
        }
    }

    /// Notes first start and last end of records that were not looked at.
    pub(super) fn spans(&mut self, span: Option<(u64, u64)>) {
        self.span = match (self.span, span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn observe_rows(&mut self, rows: &Rows<'_>) {
        if ![Field::Start, Field::End].iter().all(|f| rows.format.has(*f)) {
            return;
        }
        let (mut first, mut last) = self.span.unwrap_or((u64::MAX, 0));
        let mut met = self.span.is_some();
        let c = rows.columns;
        for ((start, end), good) in c.start.iter().zip(&c.end).zip(c.good()) {
            if *good {
                (first, last, met) = (first.min(*start), last.max(*end), true);
            }
        }
        self.span = met.then_some((first, last));
    }

    pub(super) fn reject(&mut self, line: u64, reject: &Reject<'_>) {
        let (count, shown) = self
            .rejects
            .entry((reject.fault.reason, reject.field().to_string()))
            .or_default();
        *count += 1;
        if shown.len() < REJECTS_SHOWN {
            shown.push((line, reject.excerpt()));
        }
    }

    pub(super) fn finish(&mut self, lines: &LineReader) {
        self.counts = lines.counts;
        self.format_changed = lines.format_changed;
        self.fields = Some(FieldSet::of(lines.format()));
    }

    /// Notes what became of the file meanwhile.
    pub(super) fn look_again(&mut self, change: Option<Change>) {
        match change {
            Some(cut @ Change::Cut { .. }) if self.place == Place::Read => self.place = Place::Damaged(cut.to_string()),
            Some(Change::Written) => self.changed = true,
            _ => {}
        }
    }

    /// Tells the log how it went.
    pub(super) fn log(&self, file: &str) {
        let LineCounts {
            lines, good, rejected, ..
        } = self.counts;
        match &self.place {
            Place::Read => tracing::debug!(lines, good, rejected, "read"),
            Place::Copy => tracing::debug!("a copy of another file"),
            Place::Damaged(reason) => tracing::warn!(file, reason, lines, good, "damaged"),
            Place::Unreadable(reason) => tracing::warn!(file, reason, "not read"),
        }
        if self.changed {
            tracing::warn!(file, "changed while it was read");
        }
    }

    fn facts(&self) -> FileFacts {
        let c = &self.counts;
        FileFacts {
            span: self.span,
            records: c.good + c.nodata + c.skipdata,
            accept: self.actions.0,
            reject: self.actions.1,
            fields: self.fields,
        }
    }
}

/// What became of the archive.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Lines over all files.
    pub counts: LineCounts,
    /// Status of each file, by index.
    pub status: Vec<Option<FileStatus>>,
    /// Files that were written to while they were read: what was there at first was counted.
    pub changed: BTreeSet<String>,
    /// Rejected lines, sorted by file and line: the first few.
    pub rejects: Vec<RejectedLine>,
    /// How many lines were rejected, by reason and field.
    pub rejects_by_reason: Vec<RejectCount>,
    /// Earliest start and latest end met.
    pub span: Option<(u64, u64)>,
    /// What each file held, by index; copies hold the same.
    pub facts: Vec<FileFacts>,
    /// Identity of each file's content, by index, where it was taken.
    pub contents: Vec<Option<Fingerprint>>,
    /// The flow logs of the archive.
    pub logs: FlowLogs,
    /// Interfaces by flow log.
    pub seen: Seen,
    /// Copies that happened to be counted in the place of their original.
    counted_for: BTreeMap<u32, u32>,
    /// Tasks, sorted, with their file and how many lines of it stand before the task's.
    starts: Vec<(u32, u32, u64)>,
    /// The tasks' reports, where a state is made of them.
    reports: Vec<TaskReport>,
    /// Their rejected lines.
    kept: Kept,
}

impl Outcome {
    /// `reports` are sorted by task; tasks of a file follow each other.
    pub(super) fn of(archive: &Archive, reports: &[TaskReport], rejected: Kept) -> Outcome {
        let mut outcome = Outcome {
            status: vec![None; archive.sources.len()],
            facts: vec![FileFacts::default(); archive.sources.len()],
            contents: vec![None; archive.sources.len()],
            ..Outcome::default()
        };
        outcome.number_lines(reports);
        let originals = originals(reports);
        for tasks in reports.chunk_by(|a, b| a.file == b.file) {
            outcome.file(archive, tasks, &originals);
        }
        outcome.share_facts(reports);
        outcome.kept = rejected.clone();
        outcome.tell_rejects(archive, rejected);
        outcome
    }

    /// The first line of each task in its file.
    fn number_lines(&mut self, reports: &[TaskReport]) {
        let (mut file, mut next) = (None, 0);
        self.starts.reserve_exact(reports.len());
        for report in reports {
            if file.replace(report.file) != Some(report.file) {
                next = 0;
            }
            self.starts.push((report.task, report.file, next));
            next += report.counts.lines + report.counts.searched;
        }
    }

    /// The file and physical line of a task's line; of copies, the first file by name, whichever was read.
    pub fn place(&self, (task, line): (u32, u64)) -> Sample {
        let found = self.starts.binary_search_by_key(&task, |(task, ..)| *task);
        let start = found.ok().and_then(|i| self.starts.get(i));
        start.map_or_else(Sample::default, |(_, file, start)| Sample {
            file: self.counted_for.get(file).copied().unwrap_or(*file),
            line: start + line,
        })
    }

    fn file(&mut self, archive: &Archive, tasks: &[TaskReport], originals: &BTreeMap<Fingerprint, u32>) {
        let file = tasks[0].file;
        let copy = tasks[0]
            .fingerprint
            .and_then(|f| originals.get(&f))
            .filter(|o| **o != file);
        self.counted_for.extend(copy.map(|original| (file, *original)));
        let name = &archive.sources[*copy.unwrap_or(&file) as usize].name;
        let mut counts = LineCounts::default();
        for task in tasks {
            counts += task.counts;
            self.contents[file as usize] = self.contents[file as usize].or(task.fingerprint);
            self.facts[file as usize].add(&task.facts());
            self.changed.extend(task.changed.then(|| name.clone()));
            if let Some((first, last)) = task.span {
                let (a, b) = self.span.unwrap_or((first, last));
                self.span = Some((a.min(first), b.max(last)));
            }
        }
        self.counts += counts;
        self.status[file as usize] = Some(match (copy, tasks.iter().find(|t| t.place != Place::Read)) {
            (Some(original), _) => FileStatus::Duplicate(archive.sources[*original as usize].name.clone()),
            (None, Some(t)) => t.place.status(),
            (None, None) => status_by_lines(&counts),
        });
    }

    /// Copies hold what the file held that was counted, whichever of them that was.
    fn share_facts(&mut self, reports: &[TaskReport]) {
        let copies = reports.iter().filter(|r| r.place == Place::Copy);
        let copied: BTreeSet<Fingerprint> = copies.filter_map(|r| r.fingerprint).collect();
        let mut contents: BTreeMap<Fingerprint, FileFacts> = BTreeMap::new();
        for report in reports.iter().filter(|r| r.place != Place::Copy) {
            let print = report.fingerprint.filter(|f| copied.contains(f));
            if let (Some(print), Some(facts)) = (print, self.facts.get(report.file as usize)) {
                contents.insert(print, *facts);
            }
        }
        for report in reports.iter().filter(|r| r.place == Place::Copy) {
            let facts = report.fingerprint.and_then(|f| contents.get(&f));
            if let (Some(slot), Some(facts)) = (self.facts.get_mut(report.file as usize), facts) {
                *slot = *facts;
            }
        }
    }

    fn tell_rejects(&mut self, archive: &Archive, rejected: Kept) {
        let count = |((reason, field), lines): (Kind, u64)| RejectCount {
            reason: reason.as_str(),
            field,
            lines,
        };
        self.rejects_by_reason = rejected.count.into_iter().map(count).collect();
        self.rejects_by_reason.sort();
        for (task, kinds) in rejected.shown {
            for ((reason, field), (_, lines)) in kinds {
                for (line, excerpt) in lines {
                    let place = self.place((task, line));
                    let file = archive.sources.get(place.file as usize);
                    self.rejects.push(RejectedLine {
                        file: file.map_or_else(String::new, |s| s.name.clone()),
                        line: place.line,
                        field: field.clone(),
                        reason: reason.as_str().to_string(),
                        excerpt,
                    });
                }
            }
        }
        self.rejects.sort();
    }

    /// The contents of which records in `window` were read; of what lies across its ends, only the part.
    pub fn taught(&self, window: TimeWindow) -> impl Iterator<Item = Fingerprint> + '_ {
        let files = self.contents.iter().zip(&self.facts);
        files.filter_map(move |(content, facts)| {
            let ((first, last), content) = (facts.span?, (*content)?);
            let inside = window.from <= first && last <= window.to;
            let outside = last < window.from || window.to <= first;
            (!outside).then(|| if inside { content } else { content.cut(window) })
        })
    }

    /// Files by how they ended, and the list of those that were not read whole.
    pub fn files(&self, archive: &Archive) -> (FileCounts, Vec<FileError>) {
        let mut counts = FileCounts {
            skipped: archive.skipped.len() as u64,
            ..FileCounts::default()
        };
        let mut errors: Vec<FileError> = archive
            .failed
            .iter()
            .chain(&archive.skipped)
            .map(|p| FileError {
                file: p.name.clone(),
                reason: p.reason.clone(),
            })
            .collect();
        counts.failed += archive.failed.len() as u64;
        for (source, status) in archive.sources.iter().zip(&self.status) {
            let reason = match status {
                Some(FileStatus::Ok) | None => {
                    counts.ok += u64::from(status.is_some());
                    continue;
                }
                Some(FileStatus::Duplicate(original)) => {
                    counts.duplicate += 1;
                    errors.push(FileError::copy_of(&source.name, original));
                    continue;
                }
                Some(FileStatus::Partial(reason)) => {
                    counts.partial += 1;
                    reason.clone()
                }
                Some(FileStatus::Failed(reason)) => {
                    counts.failed += 1;
                    reason.clone()
                }
            };
            errors.push(FileError {
                file: source.name.clone(),
                reason,
            });
        }
        errors.sort();
        (counts, errors)
    }

    /// The part of `--stats` that concerns flow logs.
    pub fn stats(&self, archive: &Archive, records: &crate::aggregate::stats::RecordCounts) -> ScanStats {
        let (files, file_errors) = self.files(archive);
        ScanStats {
            schema: "flowtrail.stats/1",
            lines: self.counts,
            good_accept: records.good_accept,
            accept_bytes: records.known_accept_bytes(),
            reject_records: records.reject_records,
            unknown_bytes: records.unknown_bytes,
            transit_gateway: records.transit_gateway,
            anomalies: records.anomalies.by_name(),
            files,
            passed_over: archive.passed_over,
            file_errors,
            changed: self.changed.iter().cloned().collect(),
            rejects: self.rejects.clone(),
            rejects_by_reason: self.rejects_by_reason.clone(),
            trail: serde_json::json!({}),
            phases: Vec::new(),
            rate: Rate::default(),
            peak_memory: ScanStats::peak_memory_now(),
            validated: self.counts.searched == 0,
        }
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

/// Of all files with one content, the first by name is the original, whichever was counted. Most contents come once: those
/// whose hash does not come again need no place in the table.
fn originals(reports: &[TaskReport]) -> BTreeMap<Fingerprint, u32> {
    let short = |print: Fingerprint| print.hash as u64;
    let mut hashes: Vec<u64> = reports.iter().filter_map(|r| r.fingerprint.map(short)).collect();
    hashes.sort_unstable();
    let comes_again = |hash: u64| hashes.get(hashes.partition_point(|h| *h < hash) + 1) == Some(&hash);
    let mut originals = BTreeMap::new();
    for report in reports {
        if let Some(print) = report.fingerprint.filter(|f| comes_again(short(*f))) {
            let first = originals.entry(print).or_insert(report.file);
            *first = report.file.min(*first);
        }
    }
    originals
}

fn status_by_lines(c: &LineCounts) -> FileStatus {
    if c.rejected > 0 && c.good + c.nodata + c.skipdata == 0 {
        return FileStatus::Failed("no line of it is a flow log record (use --flow-format if it has no header)".into());
    }
    FileStatus::Ok
}
