//! Who is told of the lines of a file: a worker's tally, what watches coverage, and the report of the task.
//!
//! Records come one by one or by columns, as the tally likes it; coverage wants to see each of them only where it was
//! asked for.

use crate::aggregate::outcome::TaskReport;
use crate::aggregate::rejects::Handful;
use crate::aggregate::tally::Tally;
use crate::aggregate::watch::Watch;
use crate::flow::{FlowRecord, LogFormat, LogStatus, Reject, Rows, Sink};
use crate::net::Addr;

/// A worker's tally, its coverage and the report of its task.
pub(super) struct Counted<'w, T> {
    pub(super) tally: &'w mut T,
    pub(super) watch: &'w mut Watch,
    pub(super) report: &'w mut TaskReport,
    pub(super) rejects: Option<Handful<'w>>,
}

/// Sees records for coverage alone.
pub(super) struct Watched<'w>(pub(super) &'w mut Watch);

impl Sink for Watched<'_> {
    fn record(&mut self, _: u64, record: &FlowRecord<'_>) {
        if self.0.wants_all() || record.status != LogStatus::Ok {
            self.0.observe(record);
        }
    }

    fn reject(&mut self, _: u64, _: &Reject<'_>) {}
}

impl<T: Tally> Sink for Counted<'_, T> {
    #[inline]
    fn record(&mut self, line: u64, record: &FlowRecord<'_>) {
        self.tally.observe(line, record);
        self.report.observe(record);
        if self.watch.wants_all() || record.status != LogStatus::Ok {
            self.watch.observe(record);
        }
    }

    fn by_columns(&self) -> bool {
        T::BY_COLUMNS && !self.watch.wants_all()
    }

    fn rows(&mut self, rows: &Rows<'_>) {
        self.tally.rows(rows);
        self.report.observe_rows(rows);
    }

    fn selects(&self, format: &LogFormat) -> bool {
        self.tally.selects(format)
    }

    fn is_passed(&self, destination: Addr) -> bool {
        self.tally.is_passed(destination)
    }

    fn reject(&mut self, line: u64, reject: &Reject<'_>) {
        self.report.reject(line, reject);
        if let Some(rejects) = &mut self.rejects {
            rejects.add(line, reject);
        }
    }
}
