//! An archive to sums: files become tasks, workers take tasks, counters are merged.
//!
//! Small files are one task each; a large plain file is cut into pieces at line starts, all read at once. A piece assumes
//! the format at the file's start; should a later header change it, the run is made again with that file in one piece.
//! A content that comes twice, however packed, is counted once: whichever copy comes first claims it.

use crate::aggregate::copies::{Claim, Claims, fingerprints_of_look_alikes};
use crate::aggregate::counter::{Counter, Counting, Places, Shared};
use crate::aggregate::examples::Examples;
use crate::aggregate::formats::Formats;
use crate::aggregate::outcome::told::Reports;
use crate::aggregate::outcome::{Outcome, Place, TaskReport};
use crate::aggregate::pieces::{Task, Tasks, lines_starting_in};
use crate::aggregate::rejects::{Handful, RejectLog};
use crate::aggregate::shelf::Shelf;
use crate::aggregate::sinks::{Counted, Watched};
use crate::aggregate::spill::Memory;
use crate::aggregate::tally::{Reading, Tally};
use crate::aggregate::watch::{FlowLogs, Watch, Watching};
use crate::aggregate::workers;
use crate::error::Result;
use crate::flow::lines::BOM;
use crate::flow::{LineReader, LogFormat, Sink};
use crate::input::{Archive, Block, Content, Fingerprint, ReadOptions, Reader, RemoteOptions, Source};
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

mod claiming;
mod drawn;
mod shelved;
mod wrapped;

use drawn::Drawn;
use shelved::{claims, first_tasks, holds_all, shelved};

/// How an archive is read.
#[derive(Debug, Clone, Default)]
pub struct Ingest {
    /// Reading options.
    pub read: ReadOptions,
    /// How `s3://` inputs are reached.
    pub remote: RemoteOptions,
    /// The formats of text without a header.
    pub formats: Formats,
    /// Start no further file after the first bad record.
    pub strict: bool,
    /// Of which records it is noted what they say of coverage.
    pub watching: Watching,
    /// Where every rejected line is kept.
    pub rejects: Option<Arc<RejectLog>>,
    /// Identify every content, tell what it is, and pass over these: they were learned before.
    pub learned: Option<BTreeSet<Fingerprint>>,
    /// What is known of some files without reading them.
    pub shelf: Option<Arc<dyn Shelf>>,
    /// How much memory may be taken by what grows with the number of keys.
    pub memory: Option<Memory>,
}

/// Bytes of input done so far, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes on disk of the tasks done.
    pub bytes: AtomicU64,
    /// Files (or pieces) done.
    pub tasks: AtomicU64,
}

/// Counts everything in `archive`; what could not be read is in the outcome, not an error.
///
/// # Errors
/// `Usage` if there are more keys than the memory that may be taken lets in.
pub fn ingest<'p, P: Places>(
    archive: &Archive,
    places: &'p P,
    counting: &'p Counting,
    options: &Ingest,
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<(Counter<'p, P>, Outcome)> {
    let memory = options.memory.as_ref();
    let shared = memory.map_or_else(Shared::default, |m| m.for_a_table(pool.current_num_threads()));
    let (mut counter, outcome) = ingest_into(shared, archive, (places, counting), options, pool, progress);
    // What still waits may be what is too much.
    counter.flush();
    match memory {
        Some(memory) if counter.is_full() => Err(memory.too_small()),
        _ => Ok((counter, outcome)),
    }
}

/// The same into tables that were made before.
pub(super) fn ingest_into<'p, P: Places>(
    shared: Shared,
    archive: &Archive,
    (places, counting): (&'p P, &'p Counting),
    options: &Ingest,
    pool: &ThreadPool,
    progress: &Progress,
) -> (Counter<'p, P>, Outcome) {
    let shared = Arc::new(shared);
    let reading = Reading {
        new: &|logs: &FlowLogs| Counter::new(places, counting, shared.clone()).by_interface(logs.are_several()),
        restart: &|| shared.cells.clear(),
        sieve: None,
        shelf: options.shelf.as_deref(),
        window: counting.window,
    };
    read_into(archive, &reading, options, pool, progress)
}

/// Hands the records of `archive` to tallies, one a worker, and merges them. With a sieve only the lines that it names
/// are read.
pub fn read_into<T: Tally>(
    archive: &Archive,
    reading: &Reading<'_, T>,
    options: &Ingest,
    pool: &ThreadPool,
    progress: &Progress,
) -> (T, Outcome) {
    let mut whole = BTreeSet::new();
    loop {
        if let Some(rejects) = &options.rejects {
            rejects.clear();
        }
        let run = Run::prepare(archive, reading, options, &whole, pool);
        let (tally, watch) = run.read(pool, progress);
        let changed = run.changed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if changed.is_empty() {
            let told = run.reports.finish(run.claims.finish());
            let mut outcome = Outcome::of(archive, told, run.examples.take());
            (outcome.logs, outcome.seen) = (run.logs, watch.finish());
            return (tally, outcome);
        }
        whole.extend(changed);
        (reading.restart)();
    }
}

struct Run<'a, T> {
    archive: &'a Archive,
    reading: &'a Reading<'a, T>,
    options: &'a Ingest,
    tasks: Tasks,
    /// Format at the start of each file that is cut into pieces.
    formats: BTreeMap<u32, LogFormat>,
    /// Contents known before reading: of large files whose size another file shares.
    known: BTreeMap<u32, Fingerprint>,
    claims: Claims,
    logs: FlowLogs,
    /// By flow log, its first task, if there is a shelf.
    first: Vec<u32>,
    examples: Examples,
    reports: Reports,
    /// Files in pieces of which one changed the format: they have to be read whole.
    changed: Mutex<BTreeSet<u32>>,
    /// Set by the first bad record of a strict run.
    stop: AtomicBool,
    drawn: Drawn,
}

struct Worker<T> {
    tally: T,
    watch: Watch,
    reader: Option<Reader>,
    lines: LineReader,
}

impl<'a, T: Tally> Run<'a, T> {
    fn prepare(
        archive: &'a Archive,
        reading: &'a Reading<'a, T>,
        options: &'a Ingest,
        whole: &BTreeSet<u32>,
        pool: &ThreadPool,
    ) -> Self {
        let mut tasks = Tasks::default();
        let mut formats = BTreeMap::new();
        for (file, source) in archive.sources.iter().enumerate() {
            let file = file as u32;
            let format =
                (!shelved(reading, file) && !whole.contains(&file)).then(|| wrapped::format_if_cut(&source, options));
            let format = format.flatten();
            tasks.push(format.is_some().then_some(source.size));
            formats.extend(format.map(|f| (file, f)));
        }
        let known = match holds_all(archive, reading) {
            true => BTreeMap::new(),
            false => fingerprints_of_look_alikes(archive, options.read, &formats, pool),
        };
        let logs = FlowLogs::of(archive);
        Run {
            reports: Reports::of_tasks(tasks.len(), (0..tasks.len()).map(|n| (n, tasks.get(n).file))),
            first: reading.shelf.map(|_| first_tasks(&tasks, &logs)).unwrap_or_default(),
            changed: Mutex::default(),
            archive,
            reading,
            options,
            tasks,
            formats,
            known,
            claims: claims(reading, &logs, (archive.sources.len(), options.learned.is_some())),
            logs,
            examples: Examples::default(),
            stop: AtomicBool::new(false),
            drawn: Drawn::of(archive, options),
        }
    }

    /// Reads all tasks, the longest first; merges what the workers counted.
    fn read(&self, pool: &ThreadPool, progress: &Progress) -> (T, Watch) {
        let order = self.tasks.in_order(self.archive.sources.sizes());
        self.fetch_ahead(&order);
        let watch = || Watch::new(self.options.watching, self.reading.window);
        let new = || Worker {
            watch: watch(),
            tally: (self.reading.new)(&self.logs),
            reader: None,
            lines: LineReader::new(LogFormat::default_v2()),
        };
        let step = |w: &mut Worker<T>, i: usize| {
            if let Some(part) = i.checked_sub(order.steps()) {
                return self.part(w, part);
            }
            let Some(number) = order.task(i) else { return };
            let task = self.tasks.get(number);
            let Some(source) = self.archive.sources.get(task.file as usize) else {
                return;
            };
            self.task(w, number, &task, &source);
            let bytes = task.range.map_or(source.size, |r| r.end - r.start);
            progress.bytes.fetch_add(bytes, Ordering::Relaxed);
            progress.tasks.fetch_add(1, Ordering::Relaxed);
        };
        let mut all: Option<T> = None;
        let mut seen = watch();
        self.quiet(&mut seen);
        let parts = self.reading.shelf.map_or(0, |s| s.parts());
        for worker in workers::run(pool, order.steps() + parts, new, step) {
            seen.merge(worker.watch);
            match &mut all {
                Some(all) => all.merge(worker.tally),
                None => all = Some(worker.tally),
            }
        }
        (all.unwrap_or_else(|| (self.reading.new)(&self.logs)), seen)
    }

    fn task(&self, worker: &mut Worker<T>, number: u32, task: &Task, source: &Source) {
        if self.stop.load(Ordering::Relaxed) || worker.tally.is_full() {
            return;
        }
        if self.on_shelf(worker, number, task.file) {
            return;
        }
        let _file = tracing::debug_span!("file", file = %source.name, bytes = source.size).entered();
        worker.tally.file(task.file);
        let mut report = TaskReport::new(number, task.file);
        worker.watch.log = self.logs.of_file(task.file);
        worker.tally.begin(number, u16::try_from(worker.watch.log).unwrap_or(0));
        let before = worker.tally.actions();
        let reader = worker.reader.get_or_insert_with(|| Reader::new(self.options.read));
        let mut sink = Counted {
            tally: &mut worker.tally,
            watch: &mut worker.watch,
            report: &mut report,
            rejects: self.options.rejects.as_deref().map(|log| Handful::new(log, number)),
        };
        let read = || match self.opened(source, reader, task, &mut sink) {
            Err(e) => sink.report.place = Place::Unreadable(e.reason()),
            Ok(None) => {}
            Ok(Some(Content::Whole(bytes))) => {
                bytes.expect(task.range.as_ref());
                self.whole(task, &bytes, &mut worker.lines, &mut sink);
            }
            Ok(Some(Content::Stream(stream))) => self.stream(task, *stream, &mut worker.lines, &mut sink),
            Ok(Some(Content::Parquet(bytes))) => self.rows(task, bytes, &mut sink),
        };
        if workers::guarded(read).is_none() {
            sink.report.place = Place::Damaged(workers::FAULT.into());
        }
        if let Some(rejects) = &mut sink.rejects {
            rejects.hand_over();
        }
        report.look_again(reader.change(source));
        let rejects = std::mem::take(&mut report.rejects);
        if T::KEEPS_REPORTS {
            report.rejects.clone_from(&rejects);
        }
        self.examples.add(number, rejects);
        let after = worker.tally.actions();
        report.actions = (after.0 - before.0, after.1 - before.1);
        if self.options.strict && report.counts.rejected > 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
        report.log(&source.name);
        self.push(task, &report);
    }

    fn whole(&self, task: &Task, bytes: &[u8], lines: &mut LineReader, sink: &mut Counted<'_, T>) {
        if let Some(form) = self.form(task, bytes) {
            let claim = self.claim_whole(task, bytes, sink);
            return self.unwrap_whole(task, form, bytes, claim, sink);
        }
        let piece = match &task.range {
            Some(range) => lines_starting_in(bytes, range),
            None => bytes,
        };
        let first = task.range.as_ref().is_none_or(|r| r.start == 0);
        let piece = piece.strip_prefix(BOM).filter(|_| first).unwrap_or(piece);
        match self.formats.get(&task.file) {
            Some(format) => lines.restart(format.clone()),
            None => lines.begin(bytes, || self.lines_format(task)),
        }
        lines.at((piece.as_ptr().addr() - bytes.as_ptr().addr()) as u64);
        match self.claim_whole(task, bytes, sink) {
            Claim::Count => {
                self.lines(lines, piece, sink);
                sink.report.finish(lines);
            }
            Claim::Watch if task.range.is_none() => lines.read(piece, &mut Watched(sink.watch)),
            Claim::Watch | Claim::Pass => {}
        }
    }

    fn stream(
        &self,
        task: &Task,
        mut stream: crate::input::Stream<'_>,
        lines: &mut LineReader,
        sink: &mut Counted<'_, T>,
    ) {
        let fingerprint = self.known.get(&task.file).copied().or_else(|| self.identity(task.file));
        if fingerprint.is_some_and(|f| self.is_learned(f)) {
            sink.report.fingerprint = fingerprint;
            return;
        }
        if self.claim(task.file, fingerprint, sink) != Claim::Count {
            return;
        }
        match self.form(task, stream.peek()) {
            Some(form) => self.unwrap_stream(task, form, &mut stream, sink),
            None => self.stream_lines(task, &mut stream, lines, sink),
        }
        if let Some(e) = stream.damage() {
            let text = format!(
                "{}; lost after byte {} of the unpacked content",
                e.reason(),
                stream.unpacked()
            );
            sink.report.place = Place::Damaged(text);
        }
    }

    fn stream_lines(
        &self,
        task: &Task,
        stream: &mut crate::input::Stream<'_>,
        lines: &mut LineReader,
        sink: &mut Counted<'_, T>,
    ) {
        lines.restart(self.format(task));
        let mut first = true;
        while let Some((offset, block)) = stream.next_block() {
            if sink.tally.is_full() {
                return;
            }
            match block {
                Block::Lines(bytes) => {
                    let text = bytes.strip_prefix(BOM).filter(|_| first).unwrap_or(bytes);
                    lines.at(offset + (bytes.len() - text.len()) as u64);
                    self.lines(lines, text, sink);
                }
                Block::TooLong(start) => {
                    lines.at(offset);
                    lines.too_long(start, sink);
                }
            }
            first = false;
        }
        sink.report.finish(lines);
    }

    fn lines(&self, lines: &mut LineReader, block: &[u8], sink: &mut impl Sink) {
        match self.reading.sieve {
            Some(sieve) => lines.sift(block, sieve, sink),
            None => lines.read(block, sink),
        }
    }

    /// The format of lines whose start is not at hand.
    fn format(&self, task: &Task) -> LogFormat {
        let known = self.formats.get(&task.file).cloned();
        known.unwrap_or_else(|| self.lines_format(task))
    }
}
