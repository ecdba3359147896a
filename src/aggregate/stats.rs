//! What a run read and could not read: the accounting law, by file and in sum (`flowtrail.stats/1`).
//!
//! Everything is an integer and adds up, so that any split of the input gives the same numbers. The shape is the
//! contract of the design page; `trail` is filled by the trail room through the scan.

use crate::flow::{Action, FlowRecord, LineCounts, MISSING, Rows, Wide, wide};
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts over the records of a run, beside [`LineCounts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Good records with action ACCEPT, or of a format without the column.
    pub good_accept: u64,
    /// Their bytes.
    pub accept_bytes: u128,
    /// Good records with action REJECT: attempted, not left.
    pub reject_records: u64,
    /// Their bytes.
    pub reject_bytes: u128,
    /// Good records whose format has no `bytes`: their sum is unknown, not 0.
    pub unknown_bytes: u64,
    /// Good records of transit gateways, which are kept apart.
    pub transit_gateway: u64,
    /// Their bytes.
    pub transit_gateway_bytes: u128,
    /// Records whose times are odd.
    pub anomalies: Anomalies,
}

/// Good records with odd times: counted, and read all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Anomalies {
    /// `end` before `start`.
    pub end_before_start: u64,
    /// Milliseconds in place of seconds.
    pub epoch_ms: u64,
    /// Before 2014: flow logs came in 2015.
    pub far_past: u64,
    /// From 2100 on.
    pub far_future: u64,
    /// From 2^31 - 1 to 2100.
    pub y2038: u64,
}

const YEAR_2014: u64 = 1_388_534_400;
const YEAR_2100: u64 = 4_102_444_800;
const I32_END: u64 = i32::MAX as u64;
const MS: std::ops::Range<u64> = 1_000_000_000_000..10_000_000_000_000;

impl Anomalies {
    /// Looks at the times of a good record.
    #[inline]
    pub fn observe(&mut self, start: Option<u64>, end: Option<u64>) {
        let Some(start) = start else { return };
        self.end_before_start += u64::from(end.is_some_and(|e| e < start));
        if (YEAR_2014..I32_END).contains(&start) {
            return;
        }
        match start {
            _ if start < YEAR_2014 => self.far_past += 1,
            _ if start < YEAR_2100 => self.y2038 += 1,
            _ if MS.contains(&start) => self.epoch_ms += 1,
            _ => self.far_future += 1,
        }
    }

    fn add(&mut self, o: &Self) {
        self.end_before_start += o.end_before_start;
        self.epoch_ms += o.epoch_ms;
        self.far_past += o.far_past;
        self.far_future += o.far_future;
        self.y2038 += o.y2038;
    }

    fn take_out(&mut self, o: &Self) {
        self.end_before_start = self.end_before_start.saturating_sub(o.end_before_start);
        self.epoch_ms = self.epoch_ms.saturating_sub(o.epoch_ms);
        self.far_past = self.far_past.saturating_sub(o.far_past);
        self.far_future = self.far_future.saturating_sub(o.far_future);
        self.y2038 = self.y2038.saturating_sub(o.y2038);
    }

    /// By name, as `--stats` prints them; `end_before_start` always, the others where they occur.
    pub fn by_name(&self) -> BTreeMap<&'static str, u64> {
        let all = [
            ("epoch_ms", self.epoch_ms),
            ("far_past", self.far_past),
            ("far_future", self.far_future),
            ("y2038", self.y2038),
        ];
        let met = all.into_iter().filter(|(_, n)| *n > 0);
        std::iter::once(("end_before_start", self.end_before_start))
            .chain(met)
            .collect()
    }
}

/// The counts of rows, if all have bytes and usual times, and no sum can overflow: without a branch for each.
struct Usual<'r>(&'r Rows<'r>);

impl Wide for Usual<'_> {
    type Found = Option<RecordCounts>;

    #[inline(always)]
    fn run(self) -> Self::Found {
        let c = self.0.columns;
        let (mut odd, mut accept, mut reject) = (0u64, [0u64; 2], [0u64; 2]);
        let times = c.start.iter().zip(&c.end);
        let rest = c.bytes.iter().zip(&c.action).zip(c.good());
        for ((start, end), ((bytes, action), good)) in times.zip(rest) {
            let good = u64::from(*good).wrapping_neg();
            let accepts = good & u64::from(matches!(action, Action::Accept | Action::Unknown)).wrapping_neg();
            let rejects = good & u64::from(matches!(action, Action::Reject)).wrapping_neg();
            // With the highest bit set: what is beyond the end, before the start, or wider than 32 bits.
            let times = end.wrapping_sub(*start) | start.wrapping_sub(YEAR_2014) | (I32_END - 1).wrapping_sub(*start);
            odd |= good & (times | *end | *start | bytes >> 32 << 32);
            accept = [accept[0].wrapping_sub(accepts), accept[1].wrapping_add(bytes & accepts)];
            reject = [reject[0].wrapping_sub(rejects), reject[1].wrapping_add(bytes & rejects)];
        }
        let few = u32::try_from(self.0.len()).is_ok();
        let usual = odd >> 32 == 0 && few;
        usual.then(|| RecordCounts {
            good_accept: accept[0],
            accept_bytes: accept[1].into(),
            reject_records: reject[0],
            reject_bytes: reject[1].into(),
            ..RecordCounts::default()
        })
    }
}

impl RecordCounts {
    /// Counts a good record.
    #[inline]
    pub fn observe(&mut self, r: &FlowRecord<'_>) {
        self.anomalies.observe(r.start, r.end);
        self.count(r.bytes, r.action, r.format().is_transit_gateway());
    }

    #[inline]
    fn count(&mut self, bytes: Option<u64>, action: Action, transit_gateway: bool) {
        self.unknown_bytes += u64::from(bytes.is_none());
        let bytes = u128::from(bytes.unwrap_or(0));
        match action {
            Action::Accept | Action::Unknown => {
                self.good_accept += 1;
                self.accept_bytes += bytes;
            }
            Action::Reject => {
                self.reject_records += 1;
                self.reject_bytes += bytes;
            }
            Action::Other => {}
        }
        if transit_gateway {
            self.transit_gateway += 1;
            self.transit_gateway_bytes += bytes;
        }
    }

    /// Counts the good records of many rows; the same as [`RecordCounts::observe`] of each.
    pub fn observe_rows(&mut self, rows: &Rows<'_>) {
        match wide(Usual(rows)) {
            Some(plain) if !rows.format.is_transit_gateway() => self.add(&plain),
            _ => self.observe_each(rows),
        }
    }

    /// The slow and obvious way.
    fn observe_each(&mut self, rows: &Rows<'_>) {
        let c = rows.columns;
        let known = |n: u64| Some(n).filter(|n| *n != MISSING);
        for i in (0..rows.len()).filter(|i| rows.is_good(*i)) {
            self.anomalies.observe(known(c.start[i]), known(c.end[i]));
            self.count(known(c.bytes[i]), c.action[i], rows.format.is_transit_gateway());
        }
    }

    /// The sum of accepted bytes, unless no record had a byte count.
    pub fn known_accept_bytes(&self) -> Option<String> {
        let unknown = self.unknown_bytes > 0 && self.accept_bytes == 0;
        (!unknown).then(|| self.accept_bytes.to_string())
    }

    /// Takes out what was added before.
    pub fn take_out(&mut self, o: &Self) {
        self.good_accept = self.good_accept.saturating_sub(o.good_accept);
        self.accept_bytes = self.accept_bytes.saturating_sub(o.accept_bytes);
        self.reject_records = self.reject_records.saturating_sub(o.reject_records);
        self.reject_bytes = self.reject_bytes.saturating_sub(o.reject_bytes);
        self.unknown_bytes = self.unknown_bytes.saturating_sub(o.unknown_bytes);
        self.transit_gateway = self.transit_gateway.saturating_sub(o.transit_gateway);
        self.transit_gateway_bytes = self.transit_gateway_bytes.saturating_sub(o.transit_gateway_bytes);
        self.anomalies.take_out(&o.anomalies);
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, o: &Self) {
        self.good_accept += o.good_accept;
        self.accept_bytes += o.accept_bytes;
        self.reject_records += o.reject_records;
        self.reject_bytes += o.reject_bytes;
        self.unknown_bytes += o.unknown_bytes;
        self.transit_gateway += o.transit_gateway;
        self.transit_gateway_bytes += o.transit_gateway_bytes;
        self.anomalies.add(&o.anomalies);
    }
}

/// How the reading of one file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStatus {
    /// Read to its end.
    Ok,
    /// Read up to a damage.
    Partial(String),
    /// Not read, or no good line in it.
    Failed(String),
    /// Same content as the file with this number.
    Duplicate(u32),
}

/// One rejected line, for people and for `--rejects`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RejectedLine {
    /// File, relative to its root.
    pub file: String,
    /// Physical line, from 1.
    pub line: u64,
    /// Field as the header spells it, or `field count`.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// The start of the line, escaped.
    #[serde(skip)]
    pub excerpt: String,
}

/// How many lines were rejected for one reason in one field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RejectCount {
    /// What is wrong.
    pub reason: &'static str,
    /// Field as the header spells it, or `field count`.
    pub field: String,
    /// Lines.
    pub lines: u64,
}

/// What `--stats` writes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ScanStats {
    /// `flowtrail.stats/1`
    pub schema: &'static str,
    /// Lines of each sort.
    #[serde(flatten)]
    pub lines: LineCounts,
    /// Good records with action ACCEPT.
    pub good_accept: u64,
    /// Their exact sum of bytes, in decimal; null if no record has a byte count: unknown, not 0.
    pub accept_bytes: Option<String>,
    /// Good records with action REJECT (attempted).
    pub reject_records: u64,
    /// Records without a byte count in their format.
    pub unknown_bytes: u64,
    /// Transit gateway records, kept apart.
    pub transit_gateway: u64,
    /// Odd times.
    pub anomalies: BTreeMap<&'static str, u64>,
    /// Files by how they ended.
    pub files: FileCounts,
    /// What `--from/--to` left out by its name.
    pub passed_over: crate::input::PassedOver,
    /// Every file that was not read whole.
    pub file_errors: Vec<FileError>,
    /// Files that were written to while they were read: what was there at first was counted.
    pub changed: Vec<String>,
    /// The first rejected lines of each file and reason.
    pub rejects: Vec<RejectedLine>,
    /// All rejected lines, counted by reason and field.
    pub rejects_by_reason: Vec<RejectCount>,
    /// CloudTrail's side.
    pub trail: serde_json::Value,
    /// Where the time went.
    pub phases: Vec<Phase>,
    /// How fast the logs were read: the flow logs, where there are both.
    pub rate: Rate,
    /// Peak resident memory in bytes, 0 where the system does not tell.
    pub peak_memory: u64,
    /// True if every field of every line was checked.
    pub validated: bool,
}

/// Files by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FileCounts {
    /// Read whole.
    pub ok: u64,
    /// Read up to a damage.
    pub partial: u64,
    /// Not read, or without a good line.
    pub failed: u64,
    /// Links, devices.
    pub skipped: u64,
    /// Same content as another file, counted once.
    pub duplicate: u64,
}

/// A file that was not read whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileError {
    /// File, relative to its root.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl FileError {
    const COPY: &'static str = "same content as ";

    /// A file that was found and cannot be read.
    pub fn of(problem: &crate::input::Problem) -> Self {
        FileError {
            file: problem.name.clone(),
            reason: problem.reason.clone(),
        }
    }

    /// A file whose content was counted from `original`.
    pub fn copy_of(file: &str, original: &str) -> Self {
        FileError {
            file: file.into(),
            reason: format!("{}{original}: counted once", Self::COPY),
        }
    }

    /// True if nothing was lost: the content was counted from another file.
    pub fn is_copy(&self) -> bool {
        self.reason.starts_with(Self::COPY)
    }
}

/// A phase of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Wall time.
    pub seconds: f64,
    /// Bytes read from disk in it.
    pub bytes: u64,
}

impl Phase {
    /// How fast it went; `lines` are those that were read in it.
    pub fn rate(&self, lines: u64) -> Rate {
        let seconds = self.seconds.max(f64::MIN_POSITIVE);
        Rate {
            bytes_per_second: self.bytes as f64 / seconds,
            lines_per_second: lines as f64 / seconds,
        }
    }
}

/// Work per second of reading, by the clock on the wall.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Rate {
    /// Bytes from disk, packed or not.
    pub bytes_per_second: f64,
    /// Lines of any sort; records, of CloudTrail.
    pub lines_per_second: f64,
}

/// Rejected lines shown for each file and reason; all are counted.
pub const REJECTS_SHOWN: usize = 20;

impl ScanStats {
    /// True if some input was not read whole (exit code 3): a file damaged, unreadable or without a good line, or more
    /// than `max_rejected` (a share) of all lines rejected.
    pub fn is_partial(&self, max_rejected: f64) -> bool {
        let share = self.lines.rejected as f64 / (self.lines.lines + self.lines.searched).max(1) as f64;
        self.files.partial + self.files.failed > 0 || share > max_rejected
    }

    /// The peak resident memory of this process, from `/proc/self/status`; 0 where there is none.
    pub fn peak_memory_now() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        line.and_then(|l| l.trim().strip_suffix(" kB"))
            .and_then(|n| n.parse::<u64>().ok())
            .map_or(0, |kb| kb * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{LineReader, LogFormat, Reject, Sink};
    use proptest::prelude::*;

    /// The same rows, each way.
    #[derive(Default)]
    struct Both {
        fast: RecordCounts,
        slow: RecordCounts,
    }

    impl Sink for Both {
        fn record(&mut self, _: u64, _: &FlowRecord<'_>) {}
        fn reject(&mut self, _: u64, _: &Reject<'_>) {}
        fn by_columns(&self) -> bool {
            true
        }
        fn rows(&mut self, rows: &Rows<'_>) {
            self.fast.observe_rows(rows);
            self.slow.observe_each(rows);
        }
    }

    proptest! {
        #[test]
        fn many_rows_count_as_each_of_them(rows in proptest::collection::vec((
            prop_oneof![9 => Just(1_700_000_000u64), 1 => Just(5), 1 => Just(1_700_000_000_000)],
            0..3u64,
            prop_oneof![5 => 0..1_000_000u64, 1 => Just(1 << 40), 1 => Just(u64::MAX >> 1)],
            "ACCEPT|REJECT|-|OTHER", "OK|OK|OK|NODATA"), 0..60)) {
            let line = |(start, lag, bytes, action, status): &(u64, u64, u64, String, String)| {
                format!("{start} {} {bytes} {action} {status}\n", start + 1 - lag)
            };
            let text: String = rows.iter().map(line).collect::<String>() + "a line behind them for the last loads of all\n";
            let mut both = Both::default();
            LineReader::new(LogFormat::from_spec("start end bytes action log-status").unwrap()).read(text.as_bytes(), &mut both);
            prop_assert_eq!(both.fast, both.slow);
        }
    }
}
