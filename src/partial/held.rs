//! Which files does a state hold already? By path, size and time of change; by content where these differ.
//!
//! Logs do not change once they are delivered. A file that is another one now, under the name of one that was counted, is
//! refused: its old records are in the sums and cannot be told apart.

use crate::aggregate::raw::{FileState, modified};
use crate::error::{Error, Result};
use crate::input::{Archive, Fingerprint, ReadOptions, Reader, Source};
use crate::partial::file::Partial;
use std::collections::{BTreeMap, BTreeSet};

/// The files of a state.
#[derive(Debug, Clone, Default)]
pub struct Held {
    flows: BTreeMap<String, Seen>,
    trail: BTreeSet<(String, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    size: u64,
    modified: u64,
    content: Option<Fingerprint>,
}

impl Held {
    /// Those of one state.
    pub fn of(partial: &Partial) -> Self {
        let flow = |f: &FileState| {
            let seen = Seen {
                size: f.size,
                modified: f.modified,
                content: f.report.fingerprint,
            };
            (f.path.clone(), seen)
        };
        Held {
            flows: partial.flows.files.iter().map(flow).collect(),
            trail: partial.head.trail_files.iter().map(place).collect(),
        }
    }

    /// Leaves only flow logs that are new.
    ///
    /// # Errors
    /// `Usage`, naming a file that has changed since it was counted.
    pub fn keep_new(&self, archive: &mut Archive, read: ReadOptions) -> Result<()> {
        let mut changed = None;
        archive.sources.retain(|source| {
            let Some(seen) = self.flows.get(&place(source).0) else {
                return true;
            };
            let same = seen.size == source.size && seen.modified == modified(source);
            if !same && Reader::new(read).fingerprint(source).ok() != seen.content {
                changed.get_or_insert_with(|| source.path.clone());
            }
            false
        });
        match changed {
            None => Ok(()),
            Some(path) => {
                let text = "has changed since it was counted: what it held is in the sums; begin a new state";
                Err(Error::usage(text).at(&path))
            }
        }
    }

    /// Leaves only CloudTrail that is new.
    pub fn keep_new_trail(&self, archive: &mut Archive) {
        archive.sources.retain(|source| !self.trail.contains(&place(source)));
    }
}

fn place(source: &Source) -> (String, u64) {
    (source.path.to_string_lossy().into_owned(), source.size)
}
