//! Which of several files with one content counts? The first that claims it.
//!
//! Contents are told by a fast hash of 128 bits over what they hold unpacked. Files that are held whole in memory are hashed
//! as they are read; larger ones before anything is counted, and only if another file has the same length. A content that
//! comes once costs half of its hash and a place in a table: some fifteen bytes.

use crate::aggregate::watch::FlowLogs;
use crate::aggregate::workers;
use crate::flow::LogFormat;
use crate::input::{Archive, Fingerprint, ReadOptions, Reader, Source};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The contents that were claimed so far.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Known>);

/// The contents of files.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// One half of each file's hash; 0 where none was taken. A content is looked for by a keyed hash of both halves, and
    /// known again by this one: of ten million files two are taken for the same by chance in one run of 10^13.
    halves: Vec<u64>,
    /// The other half, if contents are to be known after the run: without it a file costs eight bytes less.
    others: Option<Vec<u64>>,
    /// Of each content the file that came first with it.
    owners: HashTable<u32>,
    /// The others, with theirs.
    copies: BTreeMap<u32, u32>,
    random: RandomState,
}

/// By file, the length of a content that was identified after its file was counted.
pub(super) type Late = BTreeMap<u32, u64>;

#[derive(Debug, Default)]
struct Known {
    contents: Contents,
    /// Copies under other flow logs: the file that counts, and the flow log.
    elsewhere: BTreeSet<(u32, u32)>,
    /// Large contents that no other had the length of so far: their file. Their hash is worked out once one comes that has.
    alone: BTreeMap<u64, u32>,
    /// Lengths of large contents that several files have.
    shared: BTreeSet<u64>,
    late: Late,
}

/// What to do with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is new.
    Count,
    /// A copy under another flow log: only what it says of coverage is new.
    Watch,
    /// A copy.
    Pass,
}

/// Contents below this length are hashed as they are read, while they are in the cache.
const LARGE: u64 = 1 << 20;

impl Contents {
    /// Those of so many files, each hash as a whole or not. Memory of which nothing is written is not taken.
    pub(super) fn of_files(files: usize, whole: bool) -> Self {
        Contents {
            halves: vec![0; files],
            others: whole.then(|| vec![0; files]),
            owners: HashTable::with_capacity(files),
            ..Contents::default()
        }
    }

    /// The first file that came with this content, which is that of `file`.
    pub(super) fn owner(&mut self, print: Fingerprint, file: u32) -> u32 {
        let (half, other) = (print.hash as u64, (print.hash >> 64) as u64);
        match self.halves.get_mut(file as usize) {
            Some(place) => *place = half,
            None => return file,
        }
        if let Some(place) = self.others.as_mut().and_then(|o| o.get_mut(file as usize)) {
            *place = other;
        }
        let (halves, others) = (&self.halves, &self.others);
        let is = |n: &u32| {
            let known = others.as_ref().map(|o| o.get(*n as usize).copied());
            halves.get(*n as usize) == Some(&half) && known.is_none_or(|known| known == Some(other))
        };
        let place = self.random.hash_one(print.hash);
        if let Some(owner) = self.owners.find(place, is) {
            if *owner != file {
                self.copies.insert(file, *owner);
            }
            return *owner;
        }
        // There is room for all files, so that nobody has to move.
        self.owners.insert_unique(place, file, |_| place);
        file
    }

    /// The first file that came with the content of `file`.
    pub(super) fn leader(&self, file: u32) -> u32 {
        self.copies.get(&file).copied().unwrap_or(file)
    }

    /// The same, no more to be asked for owners.
    pub(super) fn found(mut self) -> Self {
        self.owners = HashTable::new();
        self
    }

    /// The files that came first with a content that came again.
    pub(super) fn leaders(&self) -> BTreeSet<u32> {
        self.copies.values().copied().collect()
    }

    /// The hash of a file's content, where one was taken and kept whole.
    pub(super) fn hash(&self, file: u32) -> Option<u128> {
        let other = *self.others.as_ref()?.get(file as usize)?;
        let half = *self.halves.get(file as usize)?;
        Some(u128::from(other) << 64 | u128::from(half))
    }
}

impl Claims {
    /// Room for those of so many files, to be known after the run or not.
    pub(super) fn of_files(files: usize, whole: bool) -> Self {
        Claims(Mutex::new(Known {
            contents: Contents::of_files(files, whole),
            ..Known::default()
        }))
    }

    /// What `file` is to do with its content.
    pub(super) fn claim(&self, print: Fingerprint, file: u32, logs: &FlowLogs) -> Claim {
        self.lock().claim(print, file, logs)
    }

    /// Notes the content of a file, claimed or not.
    pub(super) fn note(&self, print: Fingerprint, file: u32) {
        self.lock().contents.owner(print, file);
    }

    /// Notes a content that was counted before, from `file`.
    pub(super) fn of_shelf(&self, print: Fingerprint, file: u32, logs: &FlowLogs) {
        let mut known = self.lock();
        known.claim(print, file, logs);
        known.shared.insert(print.size);
    }

    /// The same for a content whose hash is not known yet; it is worked out only if it may matter. `again` reads another
    /// file for its fingerprint.
    pub(super) fn claim_bytes(
        &self,
        bytes: &[u8],
        (file, logs): (u32, &FlowLogs),
        again: impl FnOnce(u32) -> Option<Fingerprint>,
    ) -> (Option<Fingerprint>, Claim) {
        let size = bytes.len() as u64;
        let mut known = self.lock();
        if size < LARGE {
            drop(known);
            let print = Fingerprint::of(bytes);
            return (Some(print), self.claim(print, file, logs));
        }
        if let Some(first) = known.alone.remove(&size) {
            if let Some(print) = again(first) {
                known.claim(print, first, logs);
                known.late.insert(first, print.size);
            }
            known.shared.insert(size);
        }
        if known.shared.contains(&size) {
            let print = Fingerprint::of(bytes);
            return (Some(print), known.claim(print, file, logs));
        }
        known.alone.insert(size, file);
        (None, Claim::Count)
    }

    /// The contents, and the lengths of those of files that were counted before they were identified.
    pub(super) fn finish(self) -> (Contents, Late) {
        let known = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        (known.contents.found(), known.late)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn claim(&mut self, print: Fingerprint, file: u32, logs: &FlowLogs) -> Claim {
        let owner = self.contents.owner(print, file);
        if owner == file {
            return Claim::Count;
        }
        let log = logs.of_file(file);
        if logs.of_file(owner) != log && self.elsewhere.insert((owner, log)) {
            return Claim::Watch;
        }
        Claim::Pass
    }
}

/// Fingerprints, before anything is counted, of the files that are not held whole in memory when they are counted, as
/// far as their size makes them look like a copy of another.
pub(super) fn fingerprints_of_look_alikes(
    archive: &Archive,
    read: ReadOptions,
    cut: &BTreeMap<u32, LogFormat>,
    pool: &ThreadPool,
) -> BTreeMap<u32, Fingerprint> {
    /// What is cut or streamed is as long at least.
    const STREAMED: u64 = 64 << 20;
    /// Deflate makes no content smaller than by this.
    const PACKED: u64 = 1_040;
    if !archive.sources.sizes().any(|size| size >= 1 << 20) {
        return BTreeMap::new();
    }
    let large = (0u32..)
        .zip(&archive.sources)
        .filter(|(_, s)| s.size >= STREAMED / PACKED);
    let sized = large.filter_map(|(n, s)| Some((n, unpacked_size(&s).filter(|size| *size >= STREAMED)?)));
    let sizes: Vec<(u32, u64)> = sized.collect();
    let mut count: BTreeMap<u64, u32> = BTreeMap::new();
    for (_, size) in &sizes {
        *count.entry(*size).or_default() += 1;
    }
    let apart = |n: u32, size: u64| cut.contains_key(&n) || size > STREAMED;
    let alike: Vec<u32> = sizes
        .iter()
        .filter(|(n, size)| apart(*n, *size) && count.get(size).is_some_and(|c| *c > 1))
        .map(|(n, _)| *n)
        .collect();
    let step = |found: &mut Vec<(u32, Fingerprint)>, i: usize| {
        let file = alike.get(i).copied();
        let source = file.and_then(|f| Some((f, archive.sources.get(f as usize)?)));
        let print = source.and_then(|(f, s)| Some((f, Reader::new(read).fingerprint(&s).ok()?)));
        found.extend(print);
    };
    workers::run(pool, alike.len(), Vec::new, step)
        .into_iter()
        .flatten()
        .collect()
}

/// The unpacked size that a file states: its length, or what a gzip trailer says.
fn unpacked_size(source: &Source) -> Option<u64> {
    use std::io::{Read, Seek, SeekFrom};
    if source.is_stdin() {
        return None;
    }
    let (mut file, _) = crate::input::regular(&source.path).ok()?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic).ok()?;
    if magic != crate::input::gzip::MAGIC {
        return Some(source.size);
    }
    let mut trailer = [0; 4];
    file.seek(SeekFrom::End(-4)).ok()?;
    file.read_exact(&mut trailer).ok()?;
    Some(u64::from(u32::from_le_bytes(trailer)))
}
