//! What became of every file: counts by file, damage, copies, rejected lines with their true line numbers.

use crate::aggregate::examples::{Kept, Kind, Rejected};
use crate::aggregate::stats::{REJECTS_SHOWN, Rate, RejectCount, RejectedLine, ScanStats};
use crate::aggregate::table::Sample;
use crate::aggregate::watch::{FieldSet, FileFacts, FlowLogs, Seen};
use crate::flow::{Field, FlowRecord, LineCounts, LineReader, Reject, Rows, Wide, wide};
use crate::input::{Archive, Change, Fingerprint};
use std::collections::{BTreeMap, BTreeSet};

mod files;
pub(super) mod report;
pub(super) mod told;

pub use files::FileOutcome;
use files::{facts_of, originals};

pub use told::Told;

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

/// First start and last end of the good ones of some rows.
struct Span<'r>(&'r Rows<'r>);

impl Wide for Span<'_> {
    type Found = Option<(u64, u64)>;

    #[inline(always)]
    fn run(self) -> Self::Found {
        let c = self.0.columns;
        let (mut first, mut last, mut met) = (u64::MAX, 0u64, 0u64);
        for ((start, end), good) in c.start.iter().zip(&c.end).zip(c.good()) {
            let good = u64::from(*good).wrapping_neg();
            (first, last, met) = (first.min(start | !good), last.max(end & good), met | good);
        }
        (met != 0).then_some((first, last))
    }
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
        self.spans(wide(Span(rows)));
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
    /// Files that were written to while they were read: what was there at first was counted.
    pub changed: BTreeSet<String>,
    /// Rejected lines, sorted by file and line: the first few.
    pub rejects: Vec<RejectedLine>,
    /// How many lines were rejected, by reason and field.
    pub rejects_by_reason: Vec<RejectCount>,
    /// Earliest start and latest end met.
    pub span: Option<(u64, u64)>,
    /// The flow logs of the archive.
    pub logs: FlowLogs,
    /// Interfaces by flow log.
    pub seen: Seen,
    /// The archive's files.
    files: u32,
    /// What became of each task.
    told: Told,
    /// The first file with the same content, of those that are not it.
    originals: BTreeMap<u32, u32>,
    /// What copied contents hold, by their leader ([`Told::leader`]): it is told of the file that was counted.
    copied: BTreeMap<u32, FileFacts>,
    /// How many lines of its file stand before a task's, where there are some.
    starts: BTreeMap<u32, u64>,
    /// Their rejected lines.
    kept: Kept,
}

impl Outcome {
    /// What the reports of an archive come to.
    pub(super) fn of(archive: &Archive, told: Told, rejected: Kept) -> Outcome {
        let mut outcome = Outcome {
            files: archive.sources.len() as u32,
            originals: originals(&told),
            told,
            ..Outcome::default()
        };
        let mut copied = BTreeSet::new();
        let (mut file, mut lines) = (None, 0);
        let told = std::mem::take(&mut outcome.told);
        for report in told.tasks() {
            if file.replace(report.file) != Some(report.file) {
                lines = 0;
            }
            if lines > 0 {
                outcome.starts.insert(report.task, lines);
            }
            lines += report.counts.lines + report.counts.searched;
            copied.extend((report.place == Place::Copy).then(|| told.leader(report.file)));
            outcome.add(archive, &report);
        }
        outcome.told = told;
        outcome.share_facts(&copied);
        outcome.kept = rejected.clone();
        outcome.tell_rejects(archive, rejected);
        outcome
    }

    /// By task: its file, as [`Outcome::place`] tells it, and how many lines stand before its own.
    pub(super) fn places(&self) -> Vec<Sample> {
        (0..self.told.beyond()).map(|task| self.start(task)).collect()
    }

    /// The file and physical line of a task's line; of copies, the first file by name, whichever was read. Line 0 is no line
    /// of the task: it stands for a flow log's sums of which no line is known, and stays one of its own file.
    pub fn place(&self, (task, line): (u32, u64)) -> Sample {
        if line == 0 {
            let file = self.told.file(task).unwrap_or_default();
            return Sample { file, line };
        }
        let start = self.start(task);
        Sample {
            line: start.line + line,
            ..start
        }
    }

    /// What stands before a task's first line.
    fn start(&self, task: u32) -> Sample {
        let Some(file) = self.told.file(task) else {
            return Sample::default();
        };
        Sample {
            file: self.original(file),
            line: self.starts.get(&task).copied().unwrap_or(0),
        }
    }

    /// The first file by name that has the content of this one.
    pub fn original(&self, file: u32) -> u32 {
        self.originals.get(&file).copied().unwrap_or(file)
    }

    /// True if one content stands under several flow logs.
    pub fn shares_contents(&self) -> bool {
        let apart = |(copy, original): (&u32, &u32)| self.logs.of_file(*copy) != self.logs.of_file(*original);
        self.originals.iter().any(apart)
    }

    /// The same for so many lines: where they are more than the tasks, from a table of all tasks.
    pub(super) fn placing(&self, lines: usize) -> impl Fn((u32, u64)) -> Sample + Sync + '_ {
        let table = (lines > self.told.beyond() as usize).then(|| self.places());
        move |(task, line)| match &table {
            Some(places) if line > 0 => {
                let start = places.get(task as usize).copied().unwrap_or_default();
                Sample {
                    line: start.line + line,
                    ..start
                }
            }
            _ => self.place((task, line)),
        }
    }

    fn add(&mut self, archive: &Archive, report: &TaskReport) {
        self.counts += report.counts;
        if let Some((first, last)) = report.span {
            let (a, b) = self.span.unwrap_or((first, last));
            self.span = Some((a.min(first), b.max(last)));
        }
        if report.changed {
            let file = self.originals.get(&report.file).unwrap_or(&report.file);
            self.changed.extend(archive.sources.get(*file as usize).map(|s| s.name));
        }
    }

    /// Copies hold what the file held that was counted, whichever of them that was.
    fn share_facts(&mut self, copied: &BTreeSet<u32>) {
        if copied.is_empty() {
            return;
        }
        let mut facts: BTreeMap<u32, FileFacts> = BTreeMap::new();
        for tasks in self.by_tasks() {
            let leader = self.told.leader(tasks[0].file);
            if copied.contains(&leader) && tasks[0].place != Place::Copy {
                facts.insert(leader, facts_of(&tasks));
            }
        }
        self.copied = facts;
    }

    /// What became of every task, in their order; those of a file follow each other.
    pub fn tasks(&self) -> impl Iterator<Item = TaskReport> + '_ {
        self.told.tasks()
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
                        file: file.map_or_else(String::new, |s| s.name),
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
