//! Files that need not be read: what a shelf holds of them goes to the workers in their place.

use super::{Run, Worker};
use crate::aggregate::copies::Claims;
use crate::aggregate::tally::{Reading, Tally};
use crate::aggregate::watch::FlowLogs;
use crate::input::Archive;

impl<T: Tally> Run<'_, T> {
    /// Takes what became of a file from the shelf; false if it is not there.
    pub(super) fn on_shelf(&self, worker: &mut Worker<T>, number: u32, file: u32) -> bool {
        let Some((mut report, counts)) = self.reading.shelf.and_then(|s| s.report(file)) else {
            return false;
        };
        worker.tally.counted(&counts);
        report.renumber(number, file);
        self.examples.add(number, std::mem::take(&mut report.rejects));
        self.keep(&report);
        true
    }

    /// A part of what was read before.
    pub(super) fn part(&self, worker: &mut Worker<T>, number: usize) {
        let logs = |id: &str| self.logs.ids.iter().position(|l| l == id).unwrap_or(0);
        let log = |id: &str| u16::try_from(logs(id)).unwrap_or(0);
        if let Some(shelf) = self.reading.shelf {
            shelf.fill(number, &log, &mut |sums| worker.tally.sums(sums));
        }
    }
}

/// True if the file is on the shelf.
pub(super) fn shelved<T>(reading: &Reading<'_, T>, file: u32) -> bool {
    reading.shelf.is_some_and(|s| s.holds(file))
}

/// True if no file of the archive has to be read.
pub(super) fn holds_all<T>(archive: &Archive, reading: &Reading<'_, T>) -> bool {
    !archive.sources.is_empty() && (0..archive.sources.len() as u32).all(|f| shelved(reading, f))
}

/// The contents that are on the shelf: a file that holds one of them is a copy.
pub(super) fn claims<T>(reading: &Reading<'_, T>, logs: &FlowLogs, files: (usize, bool)) -> Claims {
    let claims = Claims::of_files(files.0, files.1);
    for (print, file) in reading.shelf.map(|s| s.contents()).unwrap_or_default() {
        claims.of_shelf(print, file, logs);
    }
    claims
}
