//! Copies of one content that came to different states: one counts, as in a single run.
//!
//! Sums do not say which file they came from, but the file does: the copy is read once more and what it had added is
//! taken out. First and last times, and interfaces, are the same of both and stay.

use crate::aggregate::key::Cell;
use crate::aggregate::outcome::Place;
use crate::aggregate::raw::{FileState, FlowState, Gathered, Numbers, RawKey};
use crate::error::{Error, Result};
use crate::input::{Fingerprint, LogName};
use std::collections::BTreeMap;

/// Reads one file once more.
pub type Again<'a> = &'a dyn Fn(&FileState) -> Option<Gathered>;

/// What has to be taken out of cells.
#[derive(Debug, Default)]
pub(super) struct Less(BTreeMap<RawKey, Cell>);

impl Less {
    /// True if nothing has.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left of a cell; nothing if no record is.
    pub(super) fn from(&mut self, key: &RawKey, mut cell: Cell) -> Option<Cell> {
        if let Some(less) = self.0.remove(key) {
            cell.bytes = cell.bytes.saturating_sub(less.bytes);
            cell.packets = cell.packets.saturating_sub(less.packets);
            cell.flows = cell.flows.saturating_sub(less.flows);
        }
        (cell.flows > 0).then_some(cell)
    }

    fn add(&mut self, key: RawKey, cell: &Cell) {
        self.0.entry(key).and_modify(|c| c.add(cell)).or_insert(*cell);
    }
}

/// Makes copies of all but the first file of each content that more than one state has counted.
pub(super) fn without_copies(flows: &mut FlowState, numbers: &[Numbers], again: Again<'_>) -> Result<Less> {
    let mut less = Less::default();
    if numbers.len() < 2 {
        return Ok(less);
    }
    let mut first: BTreeMap<Fingerprint, usize> = BTreeMap::new();
    for n in 0..flows.files.len() {
        let Some(print) = flows.files.get(n).and_then(counted) else {
            continue;
        };
        let kept = *first.entry(print).or_insert(n);
        if kept == n {
            continue;
        }
        let (Some(a), Some(b)) = (flows.files.get(kept).cloned(), flows.files.get(n).cloned()) else {
            continue;
        };
        // Either will do: the one that can still be read is taken out.
        let read = |file: &FileState| {
            again(file).filter(|g| g.state.files.iter().any(|f| f.report.fingerprint == Some(print)))
        };
        let found = read(&b).map(|g| (n, g)).or_else(|| read(&a).map(|g| (kept, g)));
        let (gone, gathered) = found.ok_or_else(|| {
            Error::usage(format!(
                "{}: same content as {}, which is in another of these states, and neither can be read any more to take \
                 it out: fold states of different contents (`--shard` keeps copies together)",
                b.path, a.path
            ))
        })?;
        take_out(flows, &gathered, log_of(&a.name) == log_of(&b.name), &mut less)?;
        first.insert(print, if gone == n { kept } else { n });
        if let Some(file) = flows.files.get_mut(gone) {
            file.report.make_copy();
        }
    }
    Ok(less)
}

/// The content of a file whose records are in the sums.
fn counted(file: &FileState) -> Option<Fingerprint> {
    let print = file.report.fingerprint.filter(|f| f.size > 0)?;
    (file.report.place != Place::Copy).then_some(print)
}

fn log_of(name: &str) -> Option<String> {
    LogName::parse(name).map(|n| n.log.to_string())
}

/// What one file had added to the whole.
fn take_out(flows: &mut FlowState, file: &Gathered, same_log: bool, less: &mut Less) -> Result<()> {
    let place = |ids: &[String], id: &String| ids.binary_search(id).unwrap_or(0) as u32;
    let logs: Vec<u32> = file.state.logs.iter().map(|id| place(&flows.logs, id)).collect();
    let interface = |n: u32| {
        let id = &file.state.interfaces.get(n as usize)?.id;
        let found = flows.interfaces.binary_search_by(|i| i.id.cmp(id)).ok()?;
        u32::try_from(found).ok()
    };
    for entry in file.cells.iter() {
        let (key, cell) = entry?;
        let log = logs.get(usize::from(key.log)).copied().unwrap_or(0);
        let Some(interface) = interface(key.interface) else {
            continue;
        };
        let log = u16::try_from(log).unwrap_or(0);
        less.add(RawKey { interface, log, ..key }, &cell);
    }
    flows.records.take_out(&file.state.records);
    flows.take_out_rejected(&file.state);
    // Under another flow log the copy is a sign of its own that the interface was watched.
    for ((log, id), presence) in file.state.seen.iter().filter(|_| same_log) {
        let log = logs.get(*log as usize).copied().unwrap_or(0);
        if let Some(seen) = flows.seen.get_mut(&(log, id.clone())) {
            seen.take_out(presence);
        }
    }
    Ok(())
}
