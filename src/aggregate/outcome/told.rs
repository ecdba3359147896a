//! Reports of a hundred thousand files in little memory: each is packed as soon as its task is done.
//!
//! In: reports as workers finish them, in any order. Out: the same reports in the order of tasks, unpacked one at a time. A
//! plain file's takes some twenty bytes: numbers that are 0 take none, columns and contents stand once, by number, and
//! what only few have (why a file was not read) only where it occurs.

use super::{Place, TaskReport};
use crate::aggregate::copies::{Contents, Late};
use crate::aggregate::watch::FieldSet;
use crate::error::Result;
use crate::flow::LineCounts;
use crate::input::Fingerprint;
use crate::store::{Reader, Writer};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Reports by task.
#[derive(Debug, Clone, Default)]
pub struct Told {
    packed: Packed,
    /// Hashes of contents, by number.
    contents: Vec<u128>,
    /// Contents that were identified after their file was counted.
    late: Late,
}

/// A report and the number of its content.
pub(super) type Numbered = (TaskReport, Option<u32>);

#[derive(Debug, Clone, Default)]
struct Packed {
    /// Where each task's report stands: five bytes reach far enough.
    places: Vec<[u8; 5]>,
    bytes: Vec<u8>,
    /// The columns that were met.
    columns: Vec<FieldSet>,
}

/// Stands for a task without a report.
const NOWHERE: [u8; 5] = [0xff; 5];

/// Reports of all workers, as they come.
#[derive(Debug)]
pub(in crate::aggregate) struct Reports(Mutex<Writing>);

#[derive(Debug, Default)]
struct Writing {
    packed: Packed,
    numbers: BTreeMap<u128, u32>,
}

impl Reports {
    /// Room for so many: a list that grew would be copied each time, and leave holes. What is not used costs nothing.
    pub(in crate::aggregate) fn for_tasks(tasks: usize) -> Self {
        const USUAL: usize = 28;
        let mut writing = Writing::default();
        writing.packed.places = vec![NOWHERE; tasks];
        writing.packed.bytes.reserve_exact(tasks.saturating_mul(USUAL));
        Reports(Mutex::new(writing))
    }

    /// Adds one; its content has this number.
    pub(in crate::aggregate) fn push(&self, report: &TaskReport, content: Option<u32>) {
        let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writing.push(report, content);
    }

    /// All of them.
    pub(in crate::aggregate) fn finish(self, (contents, late): (Contents, Late)) -> Told {
        let writing = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Told {
            packed: writing.packed,
            contents: contents.into_hashes(),
            late,
        }
    }
}

impl Writing {
    fn push(&mut self, report: &TaskReport, content: Option<u32>) {
        let columns = report.fields.map(|f| self.number(f));
        let mut w = Writer::default();
        report.pack(columns, content, &mut w);
        let at = self.packed.bytes.len() as u64;
        let [a, b, c, d, e, ..] = at.to_le_bytes();
        if let Some(place) = self.packed.places.get_mut(report.task as usize) {
            *place = [a, b, c, d, e];
        }
        self.packed.bytes.extend(w.into_bytes());
    }

    fn number(&mut self, columns: FieldSet) -> u32 {
        let next = self.packed.columns.len() as u32;
        let number = *self.numbers.entry(columns.bits()).or_insert(next);
        if number == next {
            self.packed.columns.push(columns);
        }
        number
    }
}

impl Told {
    /// These reports.
    pub(in crate::aggregate) fn of<'r>(reports: impl Iterator<Item = &'r TaskReport> + Clone) -> Told {
        let last = reports.clone().map(|r| r.task as usize + 1).max();
        let all = Reports::for_tasks(last.unwrap_or(0));
        let mut contents = Contents::default();
        for report in reports {
            let number = report.fingerprint.map(|f| contents.number(f));
            all.push(report, number);
        }
        all.finish((contents, Late::new()))
    }

    /// All reports, sorted by task; those of a file follow each other.
    pub fn tasks(&self) -> impl Iterator<Item = TaskReport> + '_ {
        self.numbered().map(|(report, _)| report)
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = Numbered> + '_ {
        (0..self.packed.places.len() as u32).filter_map(|task| self.report(task))
    }

    /// How many contents there are numbers of.
    pub(super) fn contents(&self) -> usize {
        self.contents.len()
    }

    /// All tasks have numbers below this one.
    pub(super) fn beyond(&self) -> u32 {
        self.packed.places.len() as u32
    }

    /// The file of a task.
    pub(super) fn file(&self, task: u32) -> Option<u32> {
        self.at(task)?.small().ok()
    }

    fn at(&self, task: u32) -> Option<Reader<'_>> {
        let [a, b, c, d, e] = *self.packed.places.get(task as usize).filter(|p| **p != NOWHERE)?;
        let at = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
        self.packed.bytes.get(usize::try_from(at).ok()?..).map(Reader::new)
    }

    fn report(&self, task: u32) -> Option<Numbered> {
        let mut from = self.at(task)?;
        let (mut report, mut content) = TaskReport::unpack(task, &self.packed.columns, &mut from).ok()?;
        if content.is_none() {
            content = self.late.get(&report.file).copied();
        }
        let hash = content.and_then(|(number, _)| self.contents.get(number as usize));
        report.fingerprint = content
            .zip(hash)
            .map(|((_, size), hash)| Fingerprint { size, hash: *hash });
        Some((report, content.map(|(number, _)| number)))
    }
}

const DAMAGED: u64 = 1;
const UNREADABLE: u64 = 2;
const COPY: u64 = 3;
const CHANGED: u64 = 1 << 2;
const OTHER_FORMAT: u64 = 1 << 3;
const SPAN: u64 = 1 << 4;
const COLUMNS: u64 = 1 << 5;
const CONTENT: u64 = 1 << 6;
const REJECTS: u64 = 1 << 7;

impl TaskReport {
    fn pack(&self, columns: Option<u32>, content: Option<u32>, w: &mut Writer) {
        let (place, reason) = match &self.place {
            Place::Read => (0, None),
            Place::Damaged(reason) => (DAMAGED, Some(reason)),
            Place::Unreadable(reason) => (UNREADABLE, Some(reason)),
            Place::Copy => (COPY, None),
        };
        let content = content.zip(self.fingerprint);
        let flags = [
            (self.changed, CHANGED),
            (self.format_changed, OTHER_FORMAT),
            (self.span.is_some(), SPAN),
            (columns.is_some(), COLUMNS),
            (content.is_some(), CONTENT),
            (!self.rejects.is_empty(), REJECTS),
        ];
        w.number(self.file.into());
        w.number(flags.iter().fold(place, |all, (on, bit)| all | (u64::from(*on) * bit)));
        reason.into_iter().for_each(|r| w.text(r));
        pack_counts(self, w);
        if let Some((first, last)) = self.span {
            w.number(first);
            w.signed(last.wrapping_sub(first) as i64);
        }
        columns.into_iter().for_each(|c| w.number(c.into()));
        if let Some((number, print)) = content {
            w.number(number.into());
            w.number(print.size);
        }
        if !self.rejects.is_empty() {
            self.encode_rejects(w);
        }
    }

    /// The report, and number and length of its content.
    fn unpack(task: u32, columns: &[FieldSet], r: &mut Reader<'_>) -> Result<(Self, Option<(u32, u64)>)> {
        let mut out = TaskReport::new(task, r.small()?);
        let flags = r.number()?;
        out.place = match flags & 3 {
            DAMAGED => Place::Damaged(r.text()?.to_owned()),
            UNREADABLE => Place::Unreadable(r.text()?.to_owned()),
            COPY => Place::Copy,
            _ => Place::Read,
        };
        (out.changed, out.format_changed) = (flags & CHANGED != 0, flags & OTHER_FORMAT != 0);
        unpack_counts(&mut out, r)?;
        if flags & SPAN != 0 {
            let first = r.number()?;
            out.span = Some((first, first.wrapping_add(r.signed()? as u64)));
        }
        if flags & COLUMNS != 0 {
            out.fields = columns.get(r.small::<usize>()?).copied();
        }
        let mut content = None;
        if flags & CONTENT != 0 {
            content = Some((r.small()?, r.number()?));
        }
        if flags & REJECTS != 0 {
            out.decode_rejects(r)?;
        }
        Ok((out, content))
    }
}

/// A bit for each number that is not 0, then those.
fn pack_counts(report: &TaskReport, w: &mut Writer) {
    let c = &report.counts;
    let all = [
        c.lines,
        c.good,
        c.headers,
        report.actions.0,
        report.actions.1,
        c.nodata,
        c.rejected,
        c.skipdata,
        c.blank,
        c.searched,
    ];
    let bits = all.iter().enumerate().map(|(bit, n)| u64::from(*n != 0) << bit);
    w.number(bits.sum());
    all.into_iter().filter(|n| *n != 0).for_each(|n| w.number(n));
}

fn unpack_counts(report: &mut TaskReport, r: &mut Reader<'_>) -> Result<()> {
    let mut bits = r.number()?;
    let mut next = || {
        let there = bits & 1 == 1;
        bits >>= 1;
        if there { r.number() } else { Ok(0) }
    };
    let (lines, good, headers) = (next()?, next()?, next()?);
    report.actions = (next()?, next()?);
    report.counts = LineCounts {
        lines,
        good,
        headers,
        nodata: next()?,
        rejected: next()?,
        skipdata: next()?,
        blank: next()?,
        searched: next()?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{LogFormat, Reason};

    fn plain(task: u32) -> TaskReport {
        let mut report = TaskReport::new(task, task);
        report.counts.lines = 2;
        report.counts.good = 1;
        report.counts.headers = 1;
        report.actions = (1, 0);
        report.span = Some((1_700_000_000, 1_700_000_060));
        report.fields = Some(FieldSet::of(&LogFormat::default_v2()));
        report.fingerprint = Some(Fingerprint {
            size: 300,
            hash: u128::from(task) << 64 | 7,
        });
        report
    }

    #[test]
    fn a_report_comes_back_as_it_was_wherever_it_was_put() {
        let mut odd = TaskReport::new(3, 2);
        odd.place = Place::Damaged("cut".into());
        odd.changed = true;
        odd.format_changed = true;
        odd.span = Some((u64::MAX, 1));
        (odd.counts.nodata, odd.counts.searched, odd.counts.rejected) = (1, u64::MAX, 3);
        odd.rejects
            .insert((Reason::TooLong, "bytes".into()), (3, vec![(1, "x".into())]));
        let mut copy = TaskReport::new(1, 1);
        (copy.place, copy.fingerprint) = (Place::Copy, plain(0).fingerprint);
        let all = [plain(0), copy, plain(2), odd];
        let told = Told::of(all.iter().rev());
        assert_eq!(told.tasks().collect::<Vec<_>>(), all);
        assert_eq!((told.contents(), told.file(3), told.file(4)), (2, Some(2), None));
    }

    #[test]
    fn a_plain_file_costs_some_twenty_bytes_and_its_content_sixteen() {
        let all: Vec<TaskReport> = (0..50_000).map(plain).collect();
        let told = Told::of(all.iter());
        let bytes = told.packed.bytes.len() + 5 * told.packed.places.len();
        assert!(bytes < 32 * all.len(), "{bytes}");
    }
}
