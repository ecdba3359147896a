//! Which of several files with one content counts? The first that claims it.
//!
//! Contents are told by their unpacked length and a fast hash. Files that are held whole in memory are hashed as they are
//! read; larger ones before anything is counted, and only if another file has the same length.

use crate::aggregate::workers;
use crate::flow::LogFormat;
use crate::input::{Archive, Fingerprint, ReadOptions, Reader, Source};
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The contents that were claimed so far.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    owners: BTreeMap<Fingerprint, Owner>,
    /// Copies under other flow logs: the file that counts, and the flow log.
    elsewhere: BTreeSet<(u32, u32)>,
    /// Large contents that no other had the length of so far: the file and its flow log. Their hash is worked out once one
    /// comes that has.
    alone: BTreeMap<u64, (u32, u32)>,
    /// Lengths of large contents that several files have.
    shared: BTreeSet<u64>,
    /// Hashes that were worked out after the file was counted.
    late: BTreeMap<u32, Fingerprint>,
}

/// Whose content it is: the file that counts, and its flow log.
#[derive(Debug)]
struct Owner {
    file: u32,
    log: u32,
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

impl Claims {
    /// What `file`, of the flow log `log`, is to do with its content.
    pub(super) fn claim(&self, print: Fingerprint, file: u32, log: u32) -> Claim {
        self.lock().claim(print, file, log)
    }

    /// Notes a content that was counted before, from `file` of the flow log `log`.
    pub(super) fn of_shelf(&self, print: Fingerprint, file: u32, log: u32) {
        let mut known = self.lock();
        known.claim(print, file, log);
        known.shared.insert(print.size);
    }

    /// The same for a content whose hash is not known yet; it is worked out only if it may matter. `again` reads another
    /// file for its fingerprint.
    pub(super) fn claim_bytes(
        &self,
        bytes: &[u8],
        (file, log): (u32, u32),
        again: impl FnOnce(u32) -> Option<Fingerprint>,
    ) -> (Option<Fingerprint>, Claim) {
        let size = bytes.len() as u64;
        let mut known = self.lock();
        if size < LARGE {
            drop(known);
            let print = Fingerprint::of(bytes);
            return (Some(print), self.claim(print, file, log));
        }
        if let Some((first, its_log)) = known.alone.remove(&size) {
            if let Some(print) = again(first) {
                known.claim(print, first, its_log);
                known.late.insert(first, print);
            }
            known.shared.insert(size);
        }
        if known.shared.contains(&size) {
            let print = Fingerprint::of(bytes);
            return (Some(print), known.claim(print, file, log));
        }
        known.alone.insert(size, (file, log));
        (None, Claim::Count)
    }

    /// The fingerprint of a file that was counted before it was needed.
    pub(super) fn late(&self, file: u32) -> Option<Fingerprint> {
        self.lock().late.get(&file).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn claim(&mut self, print: Fingerprint, file: u32, log: u32) -> Claim {
        let owner = self.owners.entry(print).or_insert(Owner { file, log });
        if owner.file == file {
            return Claim::Count;
        }
        if owner.log != log && self.elsewhere.insert((owner.file, log)) {
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
    const STREAMED: u64 = 64 << 20;
    let size_of = |s: &Source| unpacked_size(s).unwrap_or(0);
    if !archive.sources.iter().any(|s| s.size >= 1 << 20) {
        return BTreeMap::new();
    }
    let sizes: Vec<u64> = archive.sources.iter().map(size_of).collect();
    let mut count: BTreeMap<u64, u32> = BTreeMap::new();
    for size in &sizes {
        *count.entry(*size).or_default() += 1;
    }
    let large = |i: u32| cut.contains_key(&i) || sizes[i as usize] > STREAMED;
    let alike: Vec<u32> = (0..sizes.len() as u32)
        .filter(|i| large(*i) && count[&sizes[*i as usize]] > 1)
        .collect();
    let step = |found: &mut Vec<(u32, Fingerprint)>, i: usize| {
        if let Ok(print) = Reader::new(read).fingerprint(&archive.sources[alike[i] as usize]) {
            found.push((alike[i], print));
        }
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
