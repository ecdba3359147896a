//! What a worker makes of the records that it reads: sums ([`Counter`]), or what a look-up finds.

use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::shelf::{Shelf, Summed};
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::watch::FlowLogs;
use crate::flow::{FlowRecord, LogFormat, Rows, Sieve};
use crate::net::{Addr, TimeWindow};

/// One worker's state. Merging is commutative, so that any split of the input over workers gives the same.
pub trait Tally: Send {
    /// The records that follow stand in this task, whose file belongs to this flow log (see [`FlowLogs`]).
    fn begin(&mut self, task: u32, log: u16);

    /// True if what became of each file is kept whole, with its rejected lines.
    const KEEPS_REPORTS: bool = false;

    /// The records that follow stand in this file of the archive.
    fn file(&mut self, _: u32) {}

    /// Sums of records that were read before; see [`Shelf`].
    fn sums(&mut self, _: &Summed<'_>) {}

    /// Counts over records that were read before.
    fn counted(&mut self, _: &RecordCounts) {}

    /// A good, NODATA or SKIPDATA record, at `line` of the current task.
    fn observe(&mut self, line: u64, record: &FlowRecord<'_>);

    /// True if good records may come many at once, by [`Tally::rows`].
    const BY_COLUMNS: bool = false;

    /// Good records of the current task; only called with [`Tally::BY_COLUMNS`].
    fn rows(&mut self, _: &Rows<'_>) {}

    /// As [`Sink::selects`](crate::flow::Sink::selects).
    fn selects(&self, _: &LogFormat) -> bool {
        false
    }

    /// As [`Sink::is_passed`](crate::flow::Sink::is_passed).
    fn is_passed(&self, _: Addr) -> bool {
        false
    }

    /// Good ACCEPT and REJECT records so far.
    fn actions(&self) -> (u64, u64);

    /// True if there is no room for more, or none of it can be kept: the rest of the archive need not be read.
    fn is_full(&self) -> bool {
        false
    }

    /// Takes over another worker's state.
    fn merge(&mut self, other: Self);
}

/// How an archive is turned into a tally.
pub struct Reading<'r, T> {
    /// A new tally for a worker, told what flow logs there are.
    pub new: &'r (dyn Fn(&FlowLogs) -> T + Sync),
    /// Called before the archive is read once more from the start.
    pub restart: &'r (dyn Fn() + Sync),
    /// Read only the lines that it names; none reads all.
    pub sieve: Option<&'r dyn Sieve>,
    /// What is known of some files without reading them.
    pub shelf: Option<&'r dyn Shelf>,
    /// When records count for coverage.
    pub window: TimeWindow,
}

impl<P: Places> Tally for Counter<'_, P> {
    fn begin(&mut self, task: u32, log: u16) {
        (self.task, self.log) = (task, log);
    }

    #[inline]
    fn observe(&mut self, line: u64, record: &FlowRecord<'_>) {
        Counter::observe(self, line, record);
    }

    const BY_COLUMNS: bool = true;

    fn rows(&mut self, rows: &Rows<'_>) {
        Counter::rows(self, rows);
    }

    fn selects(&self, format: &LogFormat) -> bool {
        Counter::selects(self, format)
    }

    fn is_passed(&self, destination: Addr) -> bool {
        Counter::is_passed(self, destination)
    }

    fn sums(&mut self, sums: &Summed<'_>) {
        self.add_sums(sums);
    }

    fn counted(&mut self, counts: &RecordCounts) {
        self.records.add(counts);
    }

    fn actions(&self) -> (u64, u64) {
        (self.records.good_accept, self.records.reject_records)
    }

    fn is_full(&self) -> bool {
        Counter::is_full(self)
    }

    fn merge(&mut self, other: Self) {
        Counter::merge(self, other);
    }
}
