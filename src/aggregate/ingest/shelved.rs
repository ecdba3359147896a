//! Files that need not be read: what a shelf holds of them goes to the workers in their place.

use super::{Run, Worker};
use crate::aggregate::copies::Claims;
use crate::aggregate::pieces::Tasks;
use crate::aggregate::tally::{Reading, Tally};
use crate::aggregate::watch::{FlowLogs, Watch};
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
    ///
    /// No line is known of a sum: it counts as line 0 of its flow log's first task, so that before any true line of that log.
    pub(super) fn part(&self, worker: &mut Worker<T>, number: usize) {
        let log = |id: &str| self.log(id);
        if let Some(shelf) = self.reading.shelf {
            shelf.fill(number, &log, &mut |sums| {
                let task = self.first.get(usize::from(sums.log)).copied().unwrap_or(0);
                worker.tally.begin(task, sums.log);
                worker.tally.sums(sums);
            });
        }
    }

    /// What the shelf says of interfaces where nothing passed, or of which records were lost.
    pub(super) fn quiet(&self, watch: &mut Watch) {
        if let Some(shelf) = self.reading.shelf.filter(|_| watch.wants_any()) {
            shelf.quiet(&mut |log, id, seen| watch.add(u32::from(self.log(log)), id, seen));
        }
    }

    fn log(&self, id: &str) -> u16 {
        let number = self.logs.ids.iter().position(|l| l == id).unwrap_or(0);
        u16::try_from(number).unwrap_or(0)
    }
}

/// By flow log, its first task.
pub(super) fn first_tasks(tasks: &Tasks, logs: &FlowLogs) -> Vec<u32> {
    let mut first = vec![None; logs.ids.len()];
    for task in 0..tasks.len() {
        let log = logs.of_file(tasks.get(task).file);
        if let Some(first) = first.get_mut(log as usize) {
            first.get_or_insert(task);
        }
    }
    first.into_iter().map(Option::unwrap_or_default).collect()
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
