//! The store in the place of raw files: whoever reads an archive finds those files on the shelf that it holds unchanged.
//!
//! A segment serves as a whole or not at all, since its rows add up several files: one changed file, and the segment's
//! files are read raw. So an answer is the archive's, whatever the age of the store.

use crate::aggregate::outcome::TaskReport;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::watch::Presence;
use crate::aggregate::{Shelf, Summed};
use crate::error::{Error, Result};
use crate::flow::value::address;
use crate::forms::columns::guard::guarded;
use crate::index::blocks::Reading;
use crate::index::keys::{self, Places};
use crate::index::manifest::{Manifest, StoredFile};
use crate::index::now::{Stamp, place};
use crate::index::part::{BLOCK, GROUP, paths};
use crate::index::quiet;
use crate::index::seal::{Seal, damaged};
use crate::input::{Archive, Fingerprint, Source};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod rows;
mod stretch;

/// What is looked for: all that is not here may be left out.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Addresses and ids.
    pub names: Names,
    /// Networks.
    pub networks: Vec<IpNetwork>,
    /// Only who exchanged how many bytes in how many flows with whom by day: sums are handed out without ports, protocol,
    /// packets and times of day.
    pub ends: bool,
}

/// Texts of keys as records have them.
pub type Names = BTreeSet<String>;

/// The files of one archive that a store holds.
#[derive(Debug)]
pub struct IndexShelf {
    folder: PathBuf,
    held: BTreeMap<u32, Held>,
    served: Vec<Served>,
    wanted: Option<Wanted>,
    failed: Mutex<Option<Error>>,
}

/// A segment that serves.
#[derive(Debug)]
struct Served {
    name: String,
    parts: Arc<Vec<[Seal; 2]>>,
    quiet: Seal,
    /// The archive's numbers of its files, by its own.
    files: BTreeMap<u32, u32>,
}

#[derive(Debug)]
struct Held {
    report: TaskReport,
    counts: RecordCounts,
    copy: bool,
}

/// One raw file of a segment in the archive that is asked about.
struct Seat {
    segment: usize,
    file: usize,
    /// Its number in the archive, if it is in it.
    number: Option<u32>,
}

impl IndexShelf {
    /// What a store holds of `archive`. `all` is the same archive without a time window: what is only in it lies outside of
    /// the window by its name. With `wanted` only rows that may matter are handed out.
    pub fn new(folder: &Path, manifest: &Manifest, archive: &Archive, all: &Archive, wanted: Option<Wanted>) -> Self {
        let seats = seats(manifest, archive, all);
        let mut shelf = IndexShelf {
            folder: folder.to_path_buf(),
            held: BTreeMap::new(),
            served: Vec::new(),
            wanted,
            failed: Mutex::default(),
        };
        for seat in &seats {
            shelf.hold(manifest, seat);
        }
        let mut served: BTreeMap<usize, BTreeMap<u32, u32>> = BTreeMap::new();
        for seat in &seats {
            let files = served.entry(seat.segment).or_default();
            files.extend(stored(manifest, seat).map(|f| f.number).zip(seat.number));
        }
        for (segment, files) in served {
            shelf.served.extend(manifest.segments.get(segment).map(|s| Served {
                name: s.name.clone(),
                parts: Arc::clone(&s.parts),
                quiet: s.quiet.clone(),
                files,
            }));
        }
        shelf
    }

    /// The same store for raw records: files in which nothing wanted stands are held, the others are to be read.
    ///
    /// # Errors
    /// `List` if the store is damaged.
    pub fn of_files(
        folder: &Path,
        manifest: &Manifest,
        archive: &Archive,
        all: &Archive,
        wanted: &Wanted,
    ) -> Result<Self> {
        let seats = seats(manifest, archive, all);
        let mut holding: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for seat in &seats {
            if let std::collections::btree_map::Entry::Vacant(e) = holding.entry(seat.segment) {
                let segment = manifest.segments.get(seat.segment);
                let parts = segment
                    .into_iter()
                    .flat_map(|s| (0..).zip(s.parts.iter()).map(|(n, seals)| (s.name.as_str(), n, seals)));
                let mut files = BTreeSet::new();
                for part in parts {
                    files.extend(places(folder, part, wanted)?.files);
                }
                e.insert(files);
            }
        }
        let mut shelf = IndexShelf {
            folder: folder.to_path_buf(),
            held: BTreeMap::new(),
            served: Vec::new(),
            wanted: None,
            failed: Mutex::default(),
        };
        let number = |s: &Seat| stored(manifest, s).map(|f| f.number);
        let holds = |s: &&Seat| {
            let files = holding.get(&s.segment);
            files.zip(number(s)).is_some_and(|(files, n)| files.contains(&n))
        };
        for seat in seats.iter().filter(|s| !holds(s)) {
            shelf.hold(manifest, seat);
        }
        Ok(shelf)
    }

    fn hold(&mut self, manifest: &Manifest, seat: &Seat) {
        if let (Some(file), Some(number)) = (stored(manifest, seat), seat.number) {
            let held = Held {
                report: file.report.clone(),
                counts: file.counts.clone(),
                copy: file.is_copy(),
            };
            self.held.insert(number, held);
        }
    }

    /// The held files in which a key stands, by their numbers in the archive; a copy of one is not among them.
    ///
    /// # Errors
    /// `List` if the store is damaged.
    pub fn files_with(&self, key: &str) -> Result<BTreeSet<u32>> {
        let wanted = Wanted {
            names: [key.to_owned()].into(),
            ..Wanted::default()
        };
        let mut files = BTreeSet::new();
        for segment in &self.served {
            for (n, seals) in (0..).zip(segment.parts.iter()) {
                let found = places(&self.folder, (segment.name.as_str(), n, seals), &wanted)?.files;
                files.extend(found.iter().filter_map(|f| segment.files.get(f)));
            }
        }
        Ok(files)
    }

    /// How many files it holds.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What went wrong while it was asked.
    ///
    /// # Errors
    /// `List`: a file of the store is missing or damaged.
    pub fn check(&self) -> Result<()> {
        self.failure().take().map_or(Ok(()), Err)
    }
}

/// The raw files of those segments that serve: all their files are unchanged, and in the archive.
fn seats(manifest: &Manifest, archive: &Archive, all: &Archive) -> Vec<Seat> {
    // Compared as texts: to compare paths takes them apart each time.
    let text = |s: &Source| place(s).into_os_string();
    let there: HashMap<OsString, u32, RandomState> = archive.sources.iter().map(|s| text(&s)).zip(0..).collect();
    // With what objects are; files on disk are looked at.
    let listed = |s: &Source| s.object.as_ref().map(|o| Box::new(Stamp::of_object(o)));
    let known: HashMap<OsString, Option<Box<Stamp>>, RandomState> =
        all.sources.iter().map(|s| (text(&s), listed(&s))).collect();
    let mut seats = Vec::new();
    let mut originals: BTreeSet<Fingerprint> = BTreeSet::new();
    for (n, segment) in manifest.segments.iter().enumerate() {
        let unchanged = |f: &StoredFile| match known.get(f.path.as_os_str()) {
            None => false,
            Some(Some(object)) => **object == f.stamp,
            Some(None) => Stamp::of_file(&f.path).is_none_or(|now| now == f.stamp),
        };
        let files = || segment.files.iter();
        let same: Vec<bool> = files().map(unchanged).collect();
        if files().zip(&same).any(|(f, same)| !same && !f.is_copy()) {
            continue;
        }
        originals.extend(files().filter(|f| !f.is_copy()).filter_map(|f| f.report.fingerprint));
        let served = files().enumerate().zip(&same).filter(|(_, same)| **same);
        seats.extend(served.map(|((file, f), _)| Seat {
            segment: n,
            file,
            number: there.get(f.path.as_os_str()).copied(),
        }));
    }
    seats.retain(|s| {
        let copy = stored(manifest, s).filter(|f| f.is_copy());
        copy.is_none_or(|f| f.report.fingerprint.is_some_and(|p| originals.contains(&p)))
    });
    seats
}

/// What the store says of a file.
fn stored<'m>(manifest: &'m Manifest, seat: &Seat) -> Option<&'m StoredFile> {
    manifest.segments.get(seat.segment)?.files.get(seat.file)
}

/// The segment of a part, its number there, and what its two files are.
type Part<'p> = (&'p str, u32, &'p [Seal; 2]);

/// Where keys stand in a part.
fn places(folder: &Path, (segment, number, [_, seal]): Part<'_>, wanted: &Wanted) -> Result<Places> {
    let [_, path] = paths(folder, segment, number, true);
    let found = guarded(|| {
        let file = Reading::open(&path, seal, true).map_err(|e| Error::list(e.to_string()))?;
        let (mut found, mut keys) = (Places::default(), keys::Finder::new(&file));
        for name in &wanted.names {
            let text = name.as_bytes();
            keys.find((text, text), |t| t == text, &mut found)
                .map_err(|e| Error::list(e.to_string()))?;
        }
        for net in &wanted.networks {
            let (least, most) = range(net);
            let holds = |t: &[u8]| address(t).is_some_and(|a| net.contains(a.ip()));
            keys.find((&least, &most), holds, &mut found)
                .map_err(|e| Error::list(e.to_string()))?;
        }
        for list in [&mut found.files, &mut found.blocks] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(found)
    });
    found.map_err(|e| damaged(&path, &e))
}

/// The texts between which all addresses of a network are written.
fn range(net: &IpNetwork) -> (Vec<u8>, Vec<u8>) {
    let whole = match net {
        IpNetwork::V4(n) => n
            .network()
            .octets()
            .iter()
            .take(usize::from(n.prefix() / 8))
            .map(|o| format!("{o}."))
            .collect(),
        IpNetwork::V6(_) => String::new(),
    };
    let mut most = whole.clone().into_bytes();
    most.push(0xff);
    (whole.into_bytes(), most)
}

impl Shelf for IndexShelf {
    fn holds(&self, file: u32) -> bool {
        self.held.contains_key(&file)
    }

    fn report(&self, file: u32) -> Option<(TaskReport, RecordCounts)> {
        let held = self.held.get(&file)?;
        Some((held.report.clone(), held.counts.clone()))
    }

    fn contents(&self) -> Vec<(Fingerprint, u32)> {
        let originals = self.held.iter().filter(|(_, h)| !h.copy);
        originals
            .filter_map(|(n, h)| Some((h.report.fingerprint?, *n)))
            .collect()
    }

    fn parts(&self) -> usize {
        self.served.iter().map(|s| s.parts.len()).sum()
    }

    fn quiet(&self, tell: &mut dyn FnMut(&str, &[u8], Presence)) {
        let mut told = |s: &Served| quiet::read(&self.folder, &s.name, &s.quiet, &mut *tell);
        if let Err(e) = self.served.iter().try_for_each(&mut told) {
            self.failure().get_or_insert(e);
        }
    }

    fn fill(&self, part: usize, log: &dyn Fn(&str) -> u16, each: &mut dyn FnMut(&Summed<'_>)) {
        let Some(found) = self.part(part).filter(|_| self.failure().is_none()) else {
            return;
        };
        if let Err(e) = self.fill_part(found, log, each) {
            self.failure().get_or_insert(e);
        }
    }
}

impl IndexShelf {
    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, part: usize) -> Option<Part<'_>> {
        let mut left = part;
        for Served { name, parts, .. } in &self.served {
            match left.checked_sub(parts.len()) {
                None => return Some((name, u32::try_from(left).ok()?, parts.get(left)?)),
                Some(behind) => left = behind,
            }
        }
        None
    }

    fn fill_part(&self, part: Part<'_>, log: &dyn Fn(&str) -> u16, each: &mut dyn FnMut(&Summed<'_>)) -> Result<()> {
        let wanted = self
            .wanted
            .as_ref()
            .map(|w| places(&self.folder, part, w))
            .transpose()?;
        if wanted.as_ref().is_some_and(|w| w.blocks.is_empty()) {
            return Ok(());
        }
        let (segment, number, [seal, _]) = part;
        let [path, _] = paths(&self.folder, segment, number, true);
        let failed = |e: Error| damaged(&path, &e);
        let file =
            guarded(|| Reading::open(&path, seal, false).map_err(|e| Error::list(e.to_string()))).map_err(failed)?;
        let mut rows = rows::Rows::new(&file, log, self.wanted.as_ref());
        let blocks = wanted.map(|w| w.blocks);
        for group in 0..file.groups() {
            let size = file.rows(group).map_err(|e| failed(Error::list(e.to_string())))?;
            let chosen: Vec<std::ops::Range<usize>> = match &blocks {
                None => std::iter::once(0..size).collect(),
                Some(blocks) => in_group(blocks, group, size),
            };
            for range in chosen {
                guarded(|| rows.read(group, range).map_err(|e| Error::list(e.to_string()))).map_err(failed)?;
                rows.hand_out(each).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The rows of a group that stand in these blocks, neighbours joined.
fn in_group(blocks: &[u32], group: usize, size: usize) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    let first = group * GROUP;
    for block in blocks {
        let Some(from) = (*block as usize * BLOCK).checked_sub(first).filter(|f| *f < size) else {
            continue;
        };
        let to = (from + BLOCK).min(size);
        match found.last_mut() {
            Some(last) if last.end == from => last.end = to,
            _ => found.push(from..to),
        }
    }
    found
}
