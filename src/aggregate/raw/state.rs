//! Everything that was read of flow logs beside the cells: files and what became of them, interfaces, flow logs, counts.
//!
//! Files stand in the order in which a run over all of them would list them, and cells name them by their place in it.

use crate::aggregate::examples::{Kept, Kind, TASKS};
use crate::aggregate::interner::About;
use crate::aggregate::outcome::report::decode_kind;
use crate::aggregate::outcome::{Outcome, TaskReport, Told};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::watch::{FlowLogs, Presence, Seen};
use crate::error::{Error, Result};
use crate::input::{Archive, PassedOver, Problem, Source};
use crate::store::{Reader, Writer};
use std::collections::BTreeMap;

/// What was read of flow logs, without the cells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlowState {
    /// The files, sorted by name.
    pub files: Vec<FileState>,
    /// What was met and not read.
    pub skipped: Vec<Problem>,
    /// What could not be listed.
    pub failed: Vec<Problem>,
    /// What the window left out by its name.
    pub passed_over: PassedOver,
    /// Counts over all good records.
    pub records: RecordCounts,
    /// Ids of flow logs, sorted; the first is `-`.
    pub logs: Vec<String>,
    /// Interfaces by flow log, as far as records without traffic tell.
    pub seen: Seen,
    /// The interfaces, sorted by id.
    pub interfaces: Vec<About>,
    /// How many lines were rejected for what.
    pub(in crate::aggregate) rejected: BTreeMap<Kind, u64>,
}

/// One file and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileState {
    /// Its name below the root that was given.
    pub name: String,
    /// Where it was read from.
    pub path: String,
    /// Its size as stored, in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970; 0 for objects.
    pub modified: u64,
    /// What was read of it.
    pub report: TaskReport,
}

impl FlowState {
    /// What reading `archive` came to.
    pub(super) fn of(archive: &Archive, outcome: &Outcome, records: RecordCounts, interfaces: Vec<About>) -> Self {
        let reports = outcome.file_reports().into_iter();
        let file = |report: TaskReport| {
            let source = archive.sources.get(report.file as usize)?;
            Some(FileState {
                name: source.name.clone(),
                path: source.path.to_string_lossy().into_owned(),
                size: source.size,
                modified: modified(&source),
                report,
            })
        };
        FlowState {
            files: reports.filter_map(file).collect(),
            skipped: archive.skipped.clone(),
            failed: archive.failed.clone(),
            passed_over: archive.passed_over,
            records,
            logs: outcome.logs.ids.clone(),
            seen: outcome.seen.clone(),
            interfaces,
            rejected: outcome.rejected(),
        }
    }

    /// The archive that all of it was read from.
    pub fn archive(&self) -> Archive {
        let source = |f: &FileState| Source {
            name: f.name.clone(),
            path: f.path.clone().into(),
            size: f.size,
            object: None,
        };
        let mut archive = Archive::default();
        archive.sources = self.files.iter().map(source).collect();
        archive.skipped.clone_from(&self.skipped);
        archive.failed.clone_from(&self.failed);
        archive.passed_over = self.passed_over;
        archive
    }

    /// What became of it, as one run would tell; cells' samples are tasks and lines of it.
    pub fn outcome(&self, archive: &Archive) -> Outcome {
        let mut reports: Vec<TaskReport> = self.files.iter().map(|f| f.report.clone()).collect();
        let rejects = reports.iter_mut().map(|r| (r.task, std::mem::take(&mut r.rejects)));
        let kept = Kept {
            count: self.rejected.clone(),
            shown: rejects.filter(|(_, r)| !r.is_empty()).take(TASKS).collect(),
        };
        let mut outcome = Outcome::of(archive, Told::of(reports.iter()), kept);
        outcome.logs = FlowLogs::of(archive);
        outcome.seen.clone_from(&self.seen);
        outcome
    }

    /// Writes it.
    pub fn encode(&self, w: &mut Writer) {
        w.number(self.files.len() as u64);
        for file in &self.files {
            w.text(&file.name);
            w.text(&file.path);
            w.number(file.size);
            w.number(file.modified);
            file.report.encode(w);
        }
        for problems in [&self.skipped, &self.failed] {
            w.number(problems.len() as u64);
            for problem in problems {
                w.text(&problem.name);
                w.text(&problem.reason);
            }
        }
        w.number(self.passed_over.folders);
        w.number(self.passed_over.files);
        self.records.encode(w);
        w.number(self.logs.len() as u64);
        self.logs.iter().for_each(|id| w.text(id));
        w.number(self.seen.len() as u64);
        for ((log, id), presence) in &self.seen {
            w.number((*log).into());
            w.text(id);
            presence.encode(w);
        }
        w.number(self.interfaces.len() as u64);
        self.interfaces.iter().for_each(|i| encode_about(i, w));
        w.number(self.rejected.len() as u64);
        for ((reason, field), lines) in &self.rejected {
            w.number(*reason as u64);
            w.text(field);
            w.number(*lines);
        }
    }

    /// Reads what [`FlowState::encode`] wrote.
    ///
    /// # Errors
    /// `Format` if it is anything else.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let mut out = FlowState::default();
        for n in 0..r.number()? {
            let number = u32::try_from(n).map_err(|_| damaged())?;
            out.files.push(FileState {
                name: r.text()?.to_owned(),
                path: r.text()?.to_owned(),
                size: r.count()?,
                modified: r.number()?,
                report: TaskReport::decode(number, r)?,
            });
        }
        for problems in [&mut out.skipped, &mut out.failed] {
            for _ in 0..r.number()? {
                let (name, reason) = (r.text()?.to_owned(), r.text()?.to_owned());
                problems.push(Problem { name, reason });
            }
        }
        out.passed_over = PassedOver {
            folders: r.count()?,
            files: r.count()?,
        };
        out.records = RecordCounts::decode(r)?;
        for _ in 0..r.number()? {
            out.logs.push(r.text()?.to_owned());
        }
        for _ in 0..r.number()? {
            let key = (r.small()?, r.text()?.to_owned());
            out.seen.insert(key, Presence::decode(r)?);
        }
        for _ in 0..r.number()? {
            out.interfaces.push(decode_about(r)?);
        }
        for _ in 0..r.number()? {
            out.rejected.insert(decode_kind(r)?, r.count()?);
        }
        out.check()
    }

    /// What merging relies on: sorted without copies, and every number names something.
    fn check(self) -> Result<Self> {
        let sorted = self.interfaces.is_sorted_by(|a, b| a.id < b.id)
            && self.logs.is_sorted_by(|a, b| a < b)
            && self.files.is_sorted_by_key(|f| (&f.name, &f.path, f.size));
        let named = self.seen.keys().all(|(log, _)| (*log as usize) < self.logs.len());
        if sorted && named { Ok(self) } else { Err(damaged()) }
    }
}

impl FlowState {
    /// Takes out the rejected lines of a file whose content counts elsewhere.
    pub fn take_out_rejected(&mut self, file: &FlowState) {
        for (kind, lines) in &file.rejected {
            if let Some(own) = self.rejected.get_mut(kind) {
                *own = own.saturating_sub(*lines);
            }
        }
        self.rejected.retain(|_, lines| *lines > 0);
    }
}

/// When a file was last changed, in nanoseconds since 1970; 0 for objects, and where nobody knows.
pub fn modified(source: &Source) -> u64 {
    if source.object.is_some() {
        return 0;
    }
    let time = std::fs::metadata(&source.path).and_then(|m| m.modified()).ok();
    let since = time.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

pub(super) fn damaged() -> Error {
    Error::format("damaged: its content is not what its kind asks for")
}

/// A sum that can be added to others.
pub(in crate::aggregate) fn sum(n: u128) -> Result<u128> {
    if n < 1 << 100 { Ok(n) } else { Err(damaged()) }
}

fn encode_about(about: &About, w: &mut Writer) {
    w.bytes(&about.id);
    let known = about.facts.iter().enumerate().filter(|(_, f)| f.is_some());
    let known = known.fold(0, |bits, (n, _)| bits | 1 << n);
    w.number(known << 1 | u64::from(about.instance_column));
    about.facts.iter().flatten().for_each(|f| w.bytes(f));
}

fn decode_about(r: &mut Reader<'_>) -> Result<About> {
    let id = r.bytes()?.into();
    let bits = r.number()?;
    let mut about = About {
        id,
        instance_column: bits & 1 == 1,
        ..About::default()
    };
    for (n, slot) in about.facts.iter_mut().enumerate() {
        if bits >> (n + 1) & 1 == 1 {
            *slot = Some(r.bytes()?.into());
        }
    }
    Ok(about)
}
