//! Several states as one: files, flow logs and interfaces get their places in the whole.
//!
//! All lists are sorted, so the new places rise with the old ones, and sorted cells stay sorted.

use crate::aggregate::interner::About;
use crate::aggregate::raw::state::FlowState;
use crate::aggregate::raw::{FileState, RawEntry};
use std::collections::{BTreeMap, BTreeSet};

/// The places in the whole of what one state has numbered.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    files: Vec<u32>,
    logs: Vec<u32>,
    interfaces: Vec<u32>,
}

impl Numbers {
    /// A cell of that state as a cell of the whole; nothing if it names what the state does not have.
    pub fn of(&self, (mut key, mut cell): RawEntry) -> Option<RawEntry> {
        key.interface = *self.interfaces.get(key.interface as usize)?;
        // As counting does: what is beyond the numbers of a key shares the first.
        key.log = u16::try_from(*self.logs.get(usize::from(key.log))?).unwrap_or(0);
        cell.sample.0 = *self.files.get(cell.sample.0 as usize)?;
        Some((key, cell))
    }
}

/// Puts states together; their contents must be different ones.
pub fn fold_states(states: Vec<FlowState>) -> (FlowState, Vec<Numbers>) {
    let mut whole = FlowState::default();
    let mut numbers = vec![Numbers::default(); states.len()];
    let logs: BTreeSet<String> = states.iter().flat_map(|s| s.logs.iter().cloned()).collect();
    whole.logs = logs.into_iter().collect();
    let mut files: Vec<(FileState, usize)> = Vec::new();
    let mut about: BTreeMap<Box<[u8]>, About> = BTreeMap::new();
    for (n, state) in states.iter().enumerate() {
        let place = |id: &String| whole.logs.binary_search(id).unwrap_or(0) as u32;
        if let Some(numbers) = numbers.get_mut(n) {
            numbers.logs = state.logs.iter().map(place).collect();
        }
        for interface in &state.interfaces {
            about.entry(interface.id.clone()).or_default().take(interface);
        }
    }
    whole.interfaces = about.into_values().collect();
    for (n, state) in states.into_iter().enumerate() {
        let own = numbers.get_mut(n).map(|numbers| {
            let of = |i: &About| whole.interfaces.binary_search_by(|w| w.id.cmp(&i.id)).unwrap_or(0) as u32;
            numbers.interfaces = state.interfaces.iter().map(of).collect();
            numbers.logs.clone()
        });
        whole.add(&state, &own.unwrap_or_default());
        files.extend(state.files.into_iter().map(|f| (f, n)));
    }
    whole.skipped.sort();
    whole.skipped.dedup();
    whole.failed.sort();
    whole.failed.dedup();
    // Stable: files of one state stay in their order.
    files.sort_by(|(a, _), (b, _)| (&a.name, &a.path, a.size).cmp(&(&b.name, &b.path, b.size)));
    for ((mut file, n), place) in files.into_iter().zip(0u32..) {
        file.report.renumber(place, place);
        if let Some(numbers) = numbers.get_mut(n) {
            numbers.files.push(place);
        }
        whole.files.push(file);
    }
    (whole, numbers)
}

impl FlowState {
    /// Adds the parts that are sums and sets.
    fn add(&mut self, other: &FlowState, logs: &[u32]) {
        self.records.add(&other.records);
        for (kind, lines) in &other.rejected {
            *self.rejected.entry(kind.clone()).or_default() += lines;
        }
        self.passed_over.folders += other.passed_over.folders;
        self.passed_over.files += other.passed_over.files;
        self.skipped.extend(other.skipped.iter().cloned());
        self.failed.extend(other.failed.iter().cloned());
        for ((log, id), presence) in &other.seen {
            let log = logs.get(*log as usize).copied().unwrap_or(0);
            self.seen.entry((log, id.clone())).or_default().add(presence.clone());
        }
    }
}

impl About {
    fn take(&mut self, other: &About) {
        if self.id.is_empty() {
            self.id.clone_from(&other.id);
        }
        self.merge(other);
    }
}
