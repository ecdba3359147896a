//! Building: new files become segments, segments whose files changed are built again, and the manifest comes last.
//!
//! Everything is written under temporary names and synced; then it is renamed, the folder synced, the manifest replaced,
//! and only then what no longer counts is removed. Whoever is killed in between leaves the old store or the new one, and
//! leftovers that the next build removes.

use crate::aggregate::outcome::{Place, TaskReport};
use crate::aggregate::watch::Quiet;
use crate::aggregate::{Ingest, Outcome, Progress, Reading, Watching, read_into, workers};
use crate::error::{Error, Result};
use crate::index::gather::{Gather, Target};
use crate::index::manifest::{Manifest, NAME, Segment, StoredFile};
use crate::index::now::{Now, Stamp, place};
use crate::index::part::paths;
use crate::index::quiet;
use crate::index::seal::Seal;
use crate::input::{Archive, Fingerprint, Problem, ReadOptions, Reader, Source};
use crate::net::TimeWindow;
use crate::store::{self, Kind, Lock};
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

/// How a store is built.
#[derive(Debug)]
pub struct Options<'o> {
    /// How files are read.
    pub ingest: &'o Ingest,
    /// Bytes on disk of a segment's files, about.
    pub step: u64,
}

impl Options<'_> {
    /// Files of one segment: 1 GiB on disk.
    pub const STEP: u64 = 1 << 30;
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// The store as it is now.
    pub manifest: Manifest,
    /// Files read.
    pub read: u64,
    /// Files that were in the store and have not changed.
    pub kept: u64,
    /// Segments dropped: a file of theirs changed or is gone.
    pub dropped: u64,
    /// Files that could not be opened: the store is without them.
    pub unreadable: Vec<Problem>,
}

/// Brings the store in `folder` up to what `archive` is now.
///
/// # Errors
/// `Usage` for an archive that cannot be indexed, `List` for a manifest that cannot be read, `Output` if the store cannot
/// be written: it is as it was.
pub fn build(
    archive: &Archive,
    folder: &Path,
    options: &Options<'_>,
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<Built> {
    archive.sources.iter().try_for_each(|s| can_be_known_again(&s))?;
    fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
    let manifest = folder.join(NAME);
    let lock = Lock::take(&manifest)?;
    let formats = &options.ingest.formats;
    let mut old = match manifest.exists() {
        true => Manifest::open_for(folder, formats)?,
        false => Manifest::empty(),
    };
    old.format = formats.otherwise();
    let now = Now::of(&old, archive, &options.ingest.remote)?;
    sweep(folder, &old);
    let mut built = retained(&old, &now);
    let known: BTreeSet<PathBuf> = built.manifest.files().map(|f| f.path.clone()).collect();
    let fresh: Vec<Source> = archive.sources.iter().filter(|s| !known.contains(&place(s))).collect();
    built.kept = (archive.sources.len() - fresh.len()) as u64;
    built.read = fresh.len() as u64;
    if built.read == 0 && built.dropped == 0 && manifest.exists() {
        return Ok(built);
    }
    let mut added = Vec::new();
    for batch in batches(fresh, options.step) {
        let name = format!("{:06}", built.manifest.next);
        built.manifest.next += 1;
        let (segment, unreadable) = segment(&name, batch, folder, &built.manifest, options, pool, progress)?;
        built.unreadable.extend(unreadable);
        if !segment.files.is_empty() {
            built.manifest.segments.push(segment);
            added.push(name);
        }
    }
    publish(folder, &lock, &built.manifest, &added)?;
    sweep(folder, &built.manifest);
    Ok(built)
}

/// Refuses what nobody could tell from what it will be later.
fn can_be_known_again(source: &Source) -> Result<()> {
    let object = source.object.as_ref();
    let text = match object {
        Some(object) if object.mark().is_empty() => {
            "this endpoint lists objects without ETag and LastModified, by which a store knows \
             that they are what they were: copy them here, and index the copies"
        }
        None if source.is_stdin() => "only files and objects can be indexed: write it to a file first",
        _ => return Ok(()),
    };
    Err(Error::usage(format!("{}: {text}", source.name)))
}

/// What still holds of the old store.
fn retained(old: &Manifest, now: &Now) -> Built {
    let holds = |f: &StoredFile| !f.is_changed(now);
    let segments = old
        .segments
        .iter()
        .filter(|s| s.files.iter().all(holds))
        .cloned()
        .collect();
    let manifest = Manifest {
        format: old.format.clone(),
        segments,
        next: old.next,
    };
    let contents: BTreeSet<Fingerprint> = manifest
        .files()
        .filter(|f| !f.is_copy())
        .filter_map(|f| f.report.fingerprint)
        .collect();
    let orphan = |f: &StoredFile| f.is_copy() && f.report.fingerprint.is_none_or(|p| !contents.contains(&p));
    let mut manifest = manifest;
    manifest.segments.retain(|s| !s.files.iter().any(orphan));
    Built {
        dropped: (old.segments.len() - manifest.segments.len()) as u64,
        manifest,
        read: 0,
        kept: 0,
        unreadable: Vec::new(),
    }
}

/// Files in steps of about so many bytes.
fn batches(files: Vec<Source>, step: u64) -> Vec<Vec<Source>> {
    let mut all: Vec<Vec<Source>> = Vec::new();
    let mut size = u64::MAX;
    for file in files {
        if size.saturating_add(file.size) > step {
            all.push(Vec::new());
            size = 0;
        }
        size += file.size;
        if let Some(last) = all.last_mut() {
            last.push(file);
        }
    }
    all
}

/// Reads a batch into parts, and tells what became of its files.
fn segment(
    name: &str,
    batch: Vec<Source>,
    folder: &Path,
    before: &Manifest,
    options: &Options<'_>,
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<(Segment, Vec<Problem>)> {
    let stamps: Vec<Option<Stamp>> = batch.iter().map(Stamp::of).collect();
    let archive = Archive::of(batch.into_iter().collect());
    let learned: BTreeSet<Fingerprint> = before
        .files()
        .filter_map(|f| f.report.fingerprint)
        .filter(|p| p.size > 0)
        .collect();
    let ingest = Ingest {
        learned: Some(learned.clone()),
        // What it tells of coverage is kept by `gather`, by the hour.
        watching: Watching::Nothing,
        ..options.ingest.clone()
    };
    let target = Target {
        folder,
        segment: name,
        parts: AtomicU32::new(0),
    };
    let reading = Reading {
        new: &|logs: &crate::aggregate::FlowLogs| Gather::new(&target, Arc::new(logs.ids.clone())),
        restart: &|| {},
        sieve: None,
        shelf: None,
        window: TimeWindow::ALL,
    };
    let (gather, outcome) = read_into(&archive, &reading, &ingest, pool, progress);
    let (counts, parts, said) = finish(gather, pool)?;
    let quiet = quiet::write(folder, name, &said)?;
    let (files, unreadable) = told(&archive, &outcome, &counts, stamps, (&learned, ingest.read));
    let segment = Segment {
        name: name.into(),
        bytes: parts.values().flatten().chain([&quiet]).map(|s| s.size).sum(),
        parts: Arc::new(parts.into_values().collect()),
        quiet,
        files,
    };
    Ok((segment, unreadable))
}

/// What became of the files of a batch; apart from the others those that could not be opened.
fn told(
    archive: &Archive,
    outcome: &Outcome,
    counts: &Counts,
    stamps: Vec<Option<Stamp>>,
    (learned, read): (&BTreeSet<Fingerprint>, ReadOptions),
) -> (Vec<StoredFile>, Vec<Problem>) {
    let mut by_file: BTreeMap<u32, Vec<TaskReport>> = BTreeMap::new();
    for report in outcome.tasks() {
        by_file.entry(report.file).or_default().push(report);
    }
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for ((n, source), stamp) in (0..).zip(&archive.sources).zip(stamps) {
        let pieces = by_file.remove(&n).unwrap_or_default();
        let Some(mut report) = TaskReport::join(&pieces) else {
            continue;
        };
        // It may be there next time: whoever asks meanwhile reads it, or is told.
        if let Place::Unreadable(reason) = report.place {
            let name = source.name;
            unreadable.push(Problem { name, reason });
            continue;
        }
        if report.fingerprint.is_none() && report.place == Place::Read {
            report.fingerprint = Reader::new(read).fingerprint(&source).ok();
        }
        let known = report.fingerprint.is_some_and(|p| learned.contains(&p));
        if known && report.counts.lines == 0 {
            report.place = Place::Copy;
        }
        // What changed while it was read, or may have broken off, is read again next time.
        let broke_off = !matches!(report.place, Place::Read | Place::Copy) && Reader::is_fetched_on_the_way(&source);
        let seen = stamp.filter(|_| !report.changed && !broke_off);
        files.push(StoredFile {
            number: n,
            stamp: seen.unwrap_or_else(|| Stamp::of_nothing(source.size)),
            path: place(&source),
            name: source.name,
            report,
            counts: counts.get(&n).cloned().unwrap_or_default(),
        });
    }
    (files, unreadable)
}

type Counts = BTreeMap<u32, crate::aggregate::stats::RecordCounts>;
/// By number; every number was taken by somebody who wrote it.
type Parts = BTreeMap<u32, [Seal; 2]>;

/// Writes what workers still hold, side by side.
fn finish(gather: Gather<'_>, pool: &ThreadPool) -> Result<(Counts, Parts, Quiet)> {
    let gathers: Vec<Mutex<Gather<'_>>> = gather.split().into_iter().map(Mutex::new).collect();
    let lock = |n: usize| gathers.get(n).map(|g| g.lock().unwrap_or_else(PoisonError::into_inner));
    let step = |(): &mut (), n: usize| {
        if let Some(mut gather) = lock(n) {
            gather.finish();
        }
    };
    workers::run(pool, gathers.len(), || (), step);
    let (mut counts, mut parts, mut quiet) = (Counts::new(), Parts::new(), Quiet::default());
    for n in 0..gathers.len() {
        let Some(mut gather) = lock(n) else { continue };
        if let Some(e) = gather.failed.take() {
            return Err(e);
        }
        parts.extend(std::mem::take(&mut gather.written));
        quiet.merge(std::mem::take(&mut gather.quiet));
        for (file, of_file) in std::mem::take(&mut gather.counts) {
            counts.entry(file).or_default().add(&of_file);
        }
    }
    Ok((counts, parts, quiet))
}

/// Gives new files their names, and then the manifest its content.
fn publish(folder: &Path, lock: &Lock, manifest: &Manifest, added: &[String]) -> Result<()> {
    let failed = |e| Error::output(folder, e);
    for segment in manifest.segments.iter().filter(|s| added.contains(&s.name)) {
        for (from, to) in files(folder, segment, false).zip(files(folder, segment, true)) {
            fs::rename(from, to).map_err(failed)?;
        }
    }
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed)?;
    store::replace(lock, &store::pack(Kind::Index, &manifest.encode())?)
}

/// The names of a segment's files, while they are written and afterwards.
fn files(folder: &Path, segment: &Segment, written: bool) -> impl Iterator<Item = PathBuf> {
    let parts = 0..u32::try_from(segment.parts.len()).unwrap_or(u32::MAX);
    parts
        .flat_map(move |n| paths(folder, &segment.name, n, written))
        .chain([quiet::path(folder, &segment.name, written)])
}

/// Removes what no manifest names: leftovers of killed runs, and segments that no longer count.
fn sweep(folder: &Path, manifest: &Manifest) {
    let known: BTreeSet<PathBuf> = manifest.segments.iter().flat_map(|s| files(folder, s, true)).collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_ours(&name) && !known.contains(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// True for names that a build gives, while a file is written and afterwards.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".part").unwrap_or(name).trim_start_matches('.');
    let is_part = ["flows-", "keys-"].iter().any(|p| name.starts_with(p)) && name.ends_with(".parquet");
    is_part || quiet::is_named(name)
}
