//! Evidence that can be found again: file names below the input root, and the SHA-256 of the files cited.

use crate::aggregate::EgressTable;
use crate::detect::{citable, evidence_of};
use crate::incident::Incident;
use crate::input::{Archive, Source};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

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

/// The rows that may be cited, but of which no line is known.
pub fn uncited(incidents: &[Incident], table: &EgressTable) -> BTreeSet<u32> {
    let unknown = |row: &u32| table.rows.get(*row as usize).is_some_and(|r| r.sample.line == 0);
    let rows = incidents.iter().flat_map(|i| citable(table, &i.cells));
    rows.filter(unknown).collect()
}

/// Takes the evidence anew from the table.
pub fn choose_again(incidents: &mut [Incident], table: &EgressTable) {
    for incident in incidents {
        incident.evidence = evidence_of(table, &incident.cells);
    }
}

/// SHA-256 of a file as it lies on disk, in hex; nothing if it cannot be read.
pub fn sha256(source: &Source) -> Option<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut source.stored().ok()?, &mut hash).ok()?;
    Some(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
