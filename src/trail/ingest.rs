//! CloudTrail files to one archive of events: files are read by all workers, each into a state of its own.
//!
//! A file that cannot be read, is damaged or holds no record is named; every other file is read all the same.

use super::state::TrailState;
use super::{PrincipalIndex, Problem, TrailArchive, TrailCounts, TrailGrain, read};
use crate::aggregate::stats::{FileCounts, FileError};
use crate::aggregate::workers;
use crate::input::{Archive, Change, ReadOptions, Reader};
use crate::inventory::Graph;
use crate::net::{HOUR, Seconds, TimeWindow};
use rayon::ThreadPool;
use std::path::PathBuf;

/// What the trail says, and what became of its files.
#[derive(Debug, Default)]
pub struct TrailRun {
    /// Who did what from where.
    pub index: PrincipalIndex,
    /// What the trail teaches about interfaces, instances and addresses.
    pub graph: Graph,
    /// Records of each sort.
    pub counts: TrailCounts,
    /// Good records that were copies of others.
    pub duplicates: u64,
    /// Files by how they ended.
    pub files: FileCounts,
    /// Every file that was not read whole, and the first bad record of each that has some.
    pub errors: Vec<FileError>,
}

/// The files by the time in their names, whatever region or account they stand in: copies are then near each other.
fn in_order_of_delivery(archive: &Archive) -> Vec<u32> {
    // Files come in the order of their names.
    let stamps = (0u32..)
        .zip(&archive.sources)
        .map(|(n, s)| (time_of(delivery_stamp(&s.name)), n));
    let mut order: Vec<(u64, u32)> = stamps.collect();
    order.sort_unstable();
    order.into_iter().map(|(_, n)| n).collect()
}

/// The digits of a stamp as a number above 0; 0 if there is none.
fn time_of(stamp: &str) -> u64 {
    let digits = stamp.bytes().filter(u8::is_ascii_digit);
    let number = |n: u64, b: u8| n * 10 + u64::from(b - b'0');
    if stamp.is_empty() {
        0
    } else {
        digits.fold(0, number) + 1
    }
}

/// `20230710T1220Z` in `…_CloudTrail_us-east-1_20230710T1220Z_WMiHxZgr5Hdd6UDc.json.gz`; empty if there is none.
fn delivery_stamp(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let is_stamp = |part: &&str| {
        let shape = |(n, b): (usize, u8)| match n {
            8 => b == b'T',
            13 => b == b'Z',
            _ => b.is_ascii_digit(),
        };
        part.len() == 14 && part.bytes().enumerate().all(shape)
    };
    file.split('_').find(is_stamp).unwrap_or_default()
}

/// Files, and bytes of text, between two forgettings: fixed, so that what is forgotten does not depend on the number of
/// threads.
const BATCH: (usize, u64) = (4_096, 256 << 20);
/// CloudTrail's JSON unpacks to about so many times its size.
const UNPACKED: u64 = 12;
/// How far apart in time copies of an event are told. Trails deliver within hours; three days leave room for replays.
pub(super) const WINDOW: Seconds = 3 * 24 * HOUR;

/// The files in turns of about as many bytes of text, by their sizes and names alone.
fn batches<'o>(archive: &Archive, order: &'o [u32]) -> Vec<&'o [u32]> {
    let weight = |s: &crate::input::Source| {
        s.size
            .saturating_mul(if s.name.ends_with(".gz") { UNPACKED } else { 1 })
    };
    let (mut out, mut from, mut sum) = (Vec::new(), 0, 0u64);
    for (n, file) in order.iter().enumerate() {
        let source = archive.sources.get(*file as usize);
        let weight = source.map_or(0, |s| weight(&s));
        if n - from >= BATCH.0 || n > from && sum.saturating_add(weight) > BATCH.1 {
            out.extend(order.get(from..n));
            (from, sum) = (n, 0);
        }
        sum = sum.saturating_add(weight);
    }
    out.extend(order.get(from..));
    out
}

/// What is wanted of a trail.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How finely it is counted.
    pub grain: TrailGrain,
    /// Only events inside.
    pub window: TimeWindow,
}

impl Wanted {
    /// Everything.
    pub const ALL: Wanted = Wanted {
        grain: TrailGrain::ALL,
        window: TimeWindow::ALL,
    };
}

/// One worker's state.
struct Worker {
    reader: Reader,
    text: Vec<u8>,
    found: Found,
}

/// What a worker found.
struct Found {
    window: TimeWindow,
    archive: TrailArchive,
    counts: TrailCounts,
    files: FileCounts,
    errors: Vec<FileError>,
    unread: Vec<(PathBuf, FileError)>,
}

/// Reads every file of `archive`.
pub fn read_archive(archive: &Archive, options: ReadOptions, wanted: &Wanted, pool: &ThreadPool) -> TrailRun {
    read_state(archive, options, wanted, pool, WINDOW).finish()
}

/// The same before it is finished, for merging with what was read elsewhere. Copies are told within `window` seconds
/// behind the newest event; `Seconds::MAX` tells all, and keeps a mark of every event.
pub fn read_state(
    archive: &Archive,
    options: ReadOptions,
    wanted: &Wanted,
    pool: &ThreadPool,
    window: Seconds,
) -> TrailState {
    let mut state = TrailState {
        archive: TrailArchive::of_grain(wanted.grain),
        ..TrailState::default()
    };
    let order = in_order_of_delivery(archive);
    for batch in batches(archive, &order) {
        let new = || Worker::new(options, wanted, &state.archive);
        let source = |i: usize| archive.sources.get(*batch.get(i)? as usize);
        let step = |w: &mut Worker, i: usize| source(i).iter().for_each(|s| w.file(s));
        let workers = workers::run(pool, batch.len(), new, step);
        workers.into_iter().for_each(|worker| state.add(worker.found));
        state.archive.forget(window);
    }
    for problem in archive.failed.iter().chain(&archive.skipped) {
        state.errors.push(FileError {
            file: problem.name.clone(),
            reason: problem.reason.clone(),
        });
    }
    state.files.failed += archive.failed.len() as u64;
    state.files.skipped += archive.skipped.len() as u64;
    state
}

impl TrailState {
    fn add(&mut self, found: Found) {
        self.archive.merge(found.archive);
        self.counts.add(&found.counts);
        self.files.ok += found.files.ok;
        self.files.partial += found.files.partial;
        self.files.failed += found.files.failed;
        self.errors.extend(found.errors);
        self.unread.extend(found.unread);
    }
}

impl TrailRun {
    /// The part of `--stats` that concerns the trail.
    pub fn stats(&self) -> serde_json::Value {
        let FileCounts {
            ok,
            partial,
            failed,
            skipped,
            duplicate,
        } = self.files;
        serde_json::json!({
            "records": self.counts.records,
            "rejected": self.counts.rejected,
            "duplicates": self.duplicates,
            "beyond_window": self.index.beyond_window,
            "missing_user_identity": self.counts.missing_user_identity,
            "digest_files": self.counts.digest_files,
            "insights": self.counts.insights,
            "files": {"ok": ok, "partial": partial, "failed": failed, "skipped": skipped, "duplicate": duplicate},
            "file_errors": self.errors,
        })
    }
}

impl Worker {
    fn new(options: ReadOptions, wanted: &Wanted, before: &TrailArchive) -> Self {
        Worker {
            reader: Reader::new(options),
            text: Vec::new(),
            found: Found {
                window: wanted.window,
                archive: before.next(),
                counts: TrailCounts::default(),
                files: FileCounts::default(),
                errors: Vec::new(),
                unread: Vec::new(),
            },
        }
    }

    fn file(&mut self, source: &crate::input::Source) {
        let Worker { reader, text, found } = self;
        let _file = tracing::debug_span!("file", file = %source.name, bytes = source.size).entered();
        let seen = found.guarded(source, |found| {
            reader.with_whole(source, text, |content, damage| {
                found.content(source, content, damage.map(|e| e.reason()))
            })
        });
        let Some(seen) = seen else { return };
        match (seen, reader.change(source)) {
            (Err(e), _) => {
                found.files.failed += 1;
                found.name(source, e.reason());
                found
                    .unread
                    .extend(found.errors.pop().map(|e| (source.path.clone(), e)));
            }
            (Ok(true), Some(cut @ Change::Cut { .. })) => {
                found.files.ok -= 1;
                found.files.partial += 1;
                found.name(source, cut.to_string());
            }
            (Ok(_), _) => {}
        }
    }
}

impl Found {
    fn name(&mut self, source: &crate::input::Source, reason: String) {
        tracing::warn!(file = %source.name, reason, "not whole");
        self.errors.push(FileError {
            file: source.name.clone(),
            reason,
        });
    }

    /// Reads a file; a fault of ours at it costs that file alone, which is named.
    fn guarded<T>(&mut self, source: &crate::input::Source, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let seen = workers::guarded(|| read(self));
        if seen.is_none() {
            self.files.partial += 1;
            self.name(source, workers::FAULT.into());
        }
        seen
    }

    /// Takes in a file; true if it was whole.
    fn content(&mut self, source: &crate::input::Source, text: &[u8], damage: Option<String>) -> bool {
        let (archive, window) = (&mut self.archive, self.window);
        let counts = read(text, &mut |event| {
            if window.contains(event.time) {
                archive.observe(&event);
            }
        });
        tracing::debug!(records = counts.records, rejected = counts.rejected, "read");
        self.counts.add(&counts);
        let reason = damage.or_else(|| counts.problem.as_ref().map(ToString::to_string));
        match &reason {
            None => self.files.ok += 1,
            Some(_) if counts.records > 0 && !matches!(counts.problem, Some(Problem::NotCloudTrail(_))) => {
                self.files.partial += 1;
            }
            Some(_) => self.files.failed += 1,
        }
        let first = counts.rejects.first().map(|r| {
            format!(
                "{} records rejected; first: record {}, line {}: {} {}",
                counts.rejected, r.record, r.line, r.field, r.reason
            )
        });
        let whole = reason.is_none();
        for reason in reason.into_iter().chain(first) {
            self.name(source, reason);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Source;

    #[test]
    fn a_fault_of_the_program_costs_one_file_and_is_named() {
        let mut worker = Worker::new(ReadOptions::default(), &Wanted::ALL, &TrailArchive::default());
        let source = |name: &str| Source {
            name: name.into(),
            path: name.into(),
            size: 0,
            object: None,
        };
        let record = |n: u8| {
            let id = format!("0000000{n}-0000-4000-8000-000000000000");
            format!(
                r#"{{"Records":[{{"eventVersion":"1.08","eventTime":"2026-03-01T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"{id}","awsRegion":"us-east-1"}}]}}"#
            )
        };
        let found = &mut worker.found;
        let mut take = |name: &str, text: String, fails: bool| {
            found.guarded(&source(name), |found| {
                assert!(!fails, "a fault that this test has planted");
                found.content(&source(name), text.as_bytes(), None)
            })
        };
        assert_eq!(take("a", record(1), false), Some(true));
        assert_eq!(take("b", String::new(), true), None);
        assert_eq!(take("c", record(2), false), Some(true));
        assert_eq!(found.counts.records, 2);
        let last = found.errors.last().map(|e| (e.file.as_str(), e.reason.as_str()));
        assert_eq!(last, Some(("b", workers::FAULT)));
    }

    #[test]
    fn the_time_of_delivery_stands_in_the_name() {
        let name = "a_b/us-east-1/2023/1_CloudTrail_us-east-1_20230710T1220Z_WMiHxZgr5Hdd6UDc.json.gz";
        assert_eq!(delivery_stamp(name), "20230710T1220Z");
        assert_eq!(delivery_stamp("export.ndjson"), "");
    }
}
