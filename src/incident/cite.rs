//! Evidence that can be found again: file names below the input root, and the SHA-256 of the files cited.

use crate::incident::Incident;
use crate::input::{Archive, Source};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Puts file names and the SHA-256 of the cited files into the evidence.
pub fn cite(incidents: &mut [Incident], archive: &Archive) {
    let mut sums: BTreeMap<u32, Option<String>> = BTreeMap::new();
    for evidence in incidents.iter_mut().flat_map(|i| &mut i.evidence) {
        let Some(source) = archive.sources.get(evidence.file_index as usize) else {
            continue;
        };
        evidence.file = source.name.clone();
        evidence.sha256 = sums
            .entry(evidence.file_index)
            .or_insert_with(|| sha256(&source))
            .clone();
    }
}

/// SHA-256 of a file as it lies on disk, in hex; nothing if it cannot be read.
pub fn sha256(source: &Source) -> Option<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut source.stored().ok()?, &mut hash).ok()?;
    Some(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
