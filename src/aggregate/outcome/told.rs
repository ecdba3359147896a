//! Reports of a hundred thousand files in little memory: each is packed as soon as its task is done.
//!
//! In: reports as workers finish them, in any order. Out: the same reports in the order of tasks, unpacked one at a time. A
//! plain file's takes some ten bytes: numbers that are 0 take none, columns stand once, by number, what only few have (why a
//! file was not read) only where it occurs, and neighbours, which are much alike, are deflated together once all of a block
//! are there.

use super::{Place, TaskReport};
use crate::aggregate::copies::{Contents, Late};
use crate::aggregate::watch::FieldSet;
use crate::error::Result;
use crate::flow::LineCounts;
use crate::input::{Blocks, Fingerprint};
use crate::store::{Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Reports by task.
#[derive(Debug, Clone, Default)]
pub struct Told {
    packed: Packed,
    contents: Contents,
    /// Lengths of contents that were identified after their file was counted.
    late: Late,
}

#[derive(Debug, Clone, Default)]
struct Packed {
    tasks: u32,
    /// Tasks and their files: from each on, one more task is one more file. Only files in pieces add some.
    files: Vec<(u32, u32)>,
    /// Rows, those of [`BLOCK`] tasks a block.
    blocks: Blocks,
    /// The columns that were met.
    columns: Vec<FieldSet>,
}

/// Tasks of a block.
const BLOCK: u32 = 256;

/// Reports of all workers, as they come.
#[derive(Debug)]
pub(in crate::aggregate) struct Reports(Mutex<Writing>);

#[derive(Debug, Default)]
struct Writing {
    packed: Packed,
    numbers: BTreeMap<u128, u32>,
    /// Blocks that are not complete, by number.
    open: BTreeMap<u32, Rows>,
}

/// Rows as they come: by place in the block, each where it stands.
#[derive(Debug, Default)]
struct Rows {
    bytes: Vec<u8>,
    places: BTreeMap<u32, std::ops::Range<usize>>,
}

impl Reports {
    /// Of so many tasks, which are of these files: all of them by number, or those that matter.
    pub(in crate::aggregate) fn of_tasks(tasks: u32, files: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut writing = Writing::default();
        let packed = &mut writing.packed;
        packed.tasks = tasks;
        for (task, file) in files {
            if packed.file(task) != Some(file) {
                packed.files.push((task, file));
            }
        }
        Reports(Mutex::new(writing))
    }

    /// Adds one.
    pub(in crate::aggregate) fn push(&self, report: &TaskReport) {
        let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writing.push(report);
    }

    /// All of them.
    pub(in crate::aggregate) fn finish(self, (contents, late): (Contents, Late)) -> Told {
        let mut writing = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (block, rows) in std::mem::take(&mut writing.open) {
            writing.settle(block, &rows);
        }
        writing.packed.blocks.rest();
        Told {
            packed: writing.packed,
            contents,
            late,
        }
    }
}

impl Packed {
    fn file(&self, task: u32) -> Option<u32> {
        let after = self.files.partition_point(|(first, _)| *first <= task);
        let (first, file) = self.files.get(after.checked_sub(1)?)?;
        (task < self.tasks).then(|| file + (task - first))
    }
}

impl Writing {
    fn push(&mut self, report: &TaskReport) {
        let columns = report.fields.map(|f| self.number(f));
        let mut w = Writer::default();
        report.pack(columns, &mut w);
        let (block, place) = (report.task / BLOCK, report.task % BLOCK);
        let rows = self.open.entry(block).or_default();
        let start = rows.bytes.len();
        rows.bytes.extend(w.into_bytes());
        rows.places.insert(place, start..rows.bytes.len());
        if rows.places.len() as u64 == u64::from(BLOCK.min(self.packed.tasks.saturating_sub(block * BLOCK)))
            && let Some(rows) = self.open.remove(&block)
        {
            self.settle(block, &rows);
        }
    }

    /// Packs a block: its rows in their order, each behind its distance from the one before.
    fn settle(&mut self, block: u32, rows: &Rows) {
        let mut plain = Vec::with_capacity(rows.bytes.len() + rows.places.len());
        let mut next = 0;
        for (place, range) in &rows.places {
            plain.push((place - next) as u8);
            plain.extend(rows.bytes.get(range.clone()).unwrap_or_default());
            next = place + 1;
        }
        self.packed.blocks.put(block as usize, &plain);
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
        let places: BTreeMap<u32, u32> = reports.clone().map(|r| (r.task, r.file)).collect();
        let tasks = places.keys().last().map_or(0, |last| last + 1);
        let files = places.values().max().map_or(0, |last| *last as usize + 1);
        let all = Reports::of_tasks(tasks, places.into_iter());
        let mut contents = Contents::of_files(files, true);
        for report in reports {
            report.fingerprint.map(|f| contents.owner(f, report.file));
            all.push(report);
        }
        all.finish((contents.found(), Late::new()))
    }

    /// All reports, sorted by task; those of a file follow each other.
    pub fn tasks(&self) -> impl Iterator<Item = TaskReport> + '_ {
        let blocks = 0..self.packed.blocks.len() as u32;
        blocks.flat_map(|block| self.block(block))
    }

    /// The reports of a block.
    fn block(&self, number: u32) -> impl Iterator<Item = TaskReport> + '_ {
        let plain = self.packed.blocks.read(number as usize);
        let (mut at, mut task) = (0, number * BLOCK);
        std::iter::from_fn(move || {
            let (distance, row) = plain.as_ref()?.get(at..)?.split_first()?;
            let mut from = Reader::new(row);
            let report = self.report(task + u32::from(*distance), &mut from)?;
            at += 1 + row.len() - from.left();
            task = report.task + 1;
            Some(report)
        })
    }

    /// The file of which all with this one's content are copies, or the other way round: the same for each of them.
    pub(super) fn leader(&self, file: u32) -> u32 {
        self.contents.leader(file)
    }

    /// The leaders of contents that several files have.
    pub(super) fn leaders(&self) -> BTreeSet<u32> {
        self.contents.leaders()
    }

    /// All tasks have numbers below this one.
    pub(super) fn beyond(&self) -> u32 {
        self.packed.tasks
    }

    /// The file of a task.
    pub(super) fn file(&self, task: u32) -> Option<u32> {
        self.packed.file(task)
    }

    fn report(&self, task: u32, from: &mut Reader<'_>) -> Option<TaskReport> {
        let (mut report, size) = TaskReport::unpack(task, &self.packed.columns, from).ok()?;
        let size = size.or_else(|| self.late.get(&report.file).copied());
        let hash = self.contents.hash(report.file);
        report.fingerprint = size.zip(hash).map(|(size, hash)| Fingerprint { size, hash });
        Some(report)
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
    fn pack(&self, columns: Option<u32>, w: &mut Writer) {
        let (place, reason) = match &self.place {
            Place::Read => (0, None),
            Place::Damaged(reason) => (DAMAGED, Some(reason)),
            Place::Unreadable(reason) => (UNREADABLE, Some(reason)),
            Place::Copy => (COPY, None),
        };
        let flags = [
            (self.changed, CHANGED),
            (self.format_changed, OTHER_FORMAT),
            (self.span.is_some(), SPAN),
            (columns.is_some(), COLUMNS),
            (self.fingerprint.is_some(), CONTENT),
            (!self.rejects.is_empty(), REJECTS),
        ];
        // Few files are in pieces, so that neighbours say the same.
        w.signed(i64::from(self.task) - i64::from(self.file));
        w.number(flags.iter().fold(place, |all, (on, bit)| all | (u64::from(*on) * bit)));
        reason.into_iter().for_each(|r| w.text(r));
        pack_counts(self, w);
        if let Some((first, last)) = self.span {
            w.number(first);
            w.signed(last.wrapping_sub(first) as i64);
        }
        columns.into_iter().for_each(|c| w.number(c.into()));
        self.fingerprint.iter().for_each(|print| w.number(print.size));
        if !self.rejects.is_empty() {
            self.encode_rejects(w);
        }
    }

    /// The report, and the length of its content.
    fn unpack(task: u32, columns: &[FieldSet], r: &mut Reader<'_>) -> Result<(Self, Option<u64>)> {
        let file = i64::from(task) - r.signed()?;
        let mut out = TaskReport::new(task, u32::try_from(file).unwrap_or(u32::MAX));
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
            content = Some(r.number()?);
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
    use proptest::prelude::*;

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
        assert_eq!((told.leader(0), told.leader(1), told.leader(2)), (1, 1, 2));
        assert_eq!((told.file(3), told.file(4)), (Some(2), None));
    }

    #[test]
    fn a_plain_file_costs_a_few_bytes_besides_its_content() {
        let all: Vec<TaskReport> = (0..50_000).map(plain).collect();
        let told = Told::of(all.iter());
        let bytes = told.packed.blocks.size();
        assert!(bytes < 12 * all.len(), "{bytes}");
    }

    proptest! {
        #[test]
        fn reports_come_back_in_order_in_whatever_order_they_came(
            tasks in prop::collection::btree_map(0u32..700, (0u64..5, any::<bool>(), any::<u32>()), 0..300),
        ) {
            let report = |(task, (lines, known, _)): (&u32, &(u64, bool, u32))| {
                let mut report = plain(*task);
                report.file = task / 2;
                report.counts.lines = *lines;
                let hash = u128::from(report.file % 9);
                report.fingerprint = known.then_some(Fingerprint { size: 9, hash });
                report
            };
            let all: Vec<TaskReport> = tasks.iter().map(report).collect();
            let mut shuffled = all.clone();
            shuffled.sort_by_key(|r| tasks[&r.task].2);
            let told = Told::of(shuffled.iter());
            prop_assert_eq!(told.tasks().collect::<Vec<_>>(), all.clone());
            for report in &all {
                prop_assert_eq!(told.file(report.task), Some(report.file));
            }
        }
    }
}
