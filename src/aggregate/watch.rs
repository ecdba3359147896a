//! What the records say of coverage: which interface was seen under which flow log, when, and what AWS lost.
//!
//! A scan feeds only NODATA and SKIPDATA records, which are rare, so that counting is not slowed; `flowtrail coverage`
//! feeds all, and who prints nothing of it feeds none. Merging is a commutative sum. A content delivered under two flow logs
//! (two subscriptions on a quiet interface write the same bytes) counts for both, whichever of the files was read first.

use crate::error::Result;
use crate::flow::{Action, Field, FlowRecord, LogFormat, LogStatus};
use crate::input::{Archive, LogKind, LogName};
use crate::net::{HOUR, Seconds, TimeWindow};
use crate::store::{Reader, Writer};
use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use std::collections::{BTreeMap, BTreeSet};

/// The flow logs of an archive, by the names of its files.
#[derive(Debug, Clone, Default)]
pub struct FlowLogs {
    /// Ids, sorted; the first is `-`, for files whose name tells none.
    pub ids: Vec<String>,
    /// From which file on it is which of them: neighbours mostly are of one. None where no name tells one.
    runs: Vec<(u32, u32)>,
}

impl FlowLogs {
    /// Reads the names of all files.
    pub fn of(archive: &Archive) -> Self {
        let mut met: Vec<(u32, String)> = Vec::new();
        let mut file = 0;
        archive.sources.each_name(|name| {
            let log = LogName::parse(name).filter(|n| n.kind == LogKind::FlowLog);
            let id = log.map_or(UNNAMED, |n| n.log);
            if met.last().is_none_or(|(_, last)| last != id) {
                met.push((file, id.to_string()));
            }
            file += 1;
        });
        let known: BTreeSet<&str> = met
            .iter()
            .map(|(_, id)| id.as_str())
            .filter(|id| *id != UNNAMED)
            .collect();
        let ids: Vec<String> = std::iter::once(UNNAMED).chain(known).map(String::from).collect();
        if ids.len() == 1 {
            met.clear();
        }
        let place: BTreeMap<&String, u32> = ids.iter().zip(0..).collect();
        let log = |id: &String| place.get(id).copied().unwrap_or(0);
        let runs = met.iter().map(|(file, id)| (*file, log(id))).collect();
        FlowLogs { ids, runs }
    }

    /// True if files belong to more than one flow log; those whose name tells none are one of their own.
    pub fn are_several(&self) -> bool {
        self.runs.len() > 1
    }

    /// The flow log of a file, an index into `ids`.
    pub fn of_file(&self, file: u32) -> u32 {
        let after = self.runs.partition_point(|(first, _)| *first <= file);
        let run = after.checked_sub(1).and_then(|n| self.runs.get(n));
        run.map_or(0, |(_, log)| *log)
    }
}

/// Stands for the flow log of files whose name tells none.
pub const UNNAMED: &str = "-";

/// One interface under one flow log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Earliest `start`.
    pub first: Seconds,
    /// Latest `end`.
    pub last: Seconds,
    /// ACCEPT records (0 if only rare records were fed).
    pub accept: u64,
    /// REJECT records (0 if only rare records were fed).
    pub reject: u64,
    /// Records that say that nothing passed.
    pub nodata: u64,
    /// Windows in which AWS lost records: one of each SKIPDATA record.
    pub lost: BTreeSet<TimeWindow>,
}

impl Default for Presence {
    fn default() -> Self {
        Presence {
            first: Seconds::MAX,
            last: 0,
            accept: 0,
            reject: 0,
            nodata: 0,
            lost: BTreeSet::new(),
        }
    }
}

impl Presence {
    fn observe(&mut self, r: &FlowRecord<'_>) {
        let start = r.start.unwrap_or(0);
        let end = r.end.unwrap_or(start);
        self.first = self.first.min(start);
        self.last = self.last.max(end);
        match (r.status, r.action) {
            (LogStatus::NoData, _) => self.nodata += 1,
            (LogStatus::SkipData, _) => drop(self.lost.insert(TimeWindow { from: start, to: end })),
            (LogStatus::Ok, Action::Accept | Action::Unknown) => self.accept += 1,
            (LogStatus::Ok, Action::Reject) => self.reject += 1,
            (LogStatus::Ok, Action::Other) => {}
        }
    }

    /// Writes it.
    pub fn encode(&self, w: &mut Writer) {
        [self.first, self.last, self.accept, self.reject, self.nodata]
            .into_iter()
            .for_each(|n| w.number(n));
        w.number(self.lost.len() as u64);
        for window in &self.lost {
            w.number(window.from);
            w.number(window.to);
        }
    }

    /// Reads what [`Presence::encode`] wrote.
    ///
    /// # Errors
    /// `Format` if something else stands there.
    pub fn decode(r: &mut Reader<'_>) -> Result<Presence> {
        let (first, last) = (r.number()?, r.number()?);
        let (accept, reject, nodata) = (r.count()?, r.count()?, r.count()?);
        let mut lost = BTreeSet::new();
        for _ in 0..r.number()? {
            let (from, to) = (r.number()?, r.number()?);
            lost.insert(TimeWindow { from, to });
        }
        Ok(Presence {
            first,
            last,
            accept,
            reject,
            nodata,
            lost,
        })
    }

    /// Takes out the counts of what was added before; its times and losses were also seen elsewhere.
    pub fn take_out(&mut self, other: &Presence) {
        self.accept = self.accept.saturating_sub(other.accept);
        self.reject = self.reject.saturating_sub(other.reject);
        self.nodata = self.nodata.saturating_sub(other.nodata);
    }

    /// Adds what was seen elsewhere: commutative and associative.
    pub fn add(&mut self, other: Presence) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.accept += other.accept;
        self.reject += other.reject;
        self.nodata += other.nodata;
        self.lost.extend(other.lost);
    }
}

/// (index into [`FlowLogs::ids`], interface) to what was seen.
pub type Seen = BTreeMap<(u32, String), Presence>;

/// Of which records it is noted which interface they show under which flow log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watching {
    /// Of none: nobody will ask.
    Nothing,
    /// Of NODATA and SKIPDATA records.
    #[default]
    Rare,
    /// Of all.
    All,
}

/// One worker's collector.
#[derive(Debug)]
pub struct Watch {
    /// What is fed.
    watching: Watching,
    /// Flow log of the file that is being read.
    pub(super) log: u32,
    window: TimeWindow,
    seen: HashMap<(u32, Box<[u8]>), Presence, RandomState>,
}

/// What NODATA and SKIPDATA records show, by flow log, interface and hour of their start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quiet(BTreeMap<(String, Box<[u8]>, Seconds), Presence>);

impl Quiet {
    /// Takes in a record.
    pub fn observe(&mut self, log: &str, r: &FlowRecord<'_>) {
        let hour = r.start.unwrap_or(0) / HOUR;
        let key = (log.to_owned(), interface_of(r).into(), hour);
        self.0.entry(key).or_default().observe(r);
    }

    /// Adds what was seen elsewhere: commutative and associative.
    pub fn merge(&mut self, other: Quiet) {
        for (key, presence) in other.0 {
            self.0.entry(key).or_default().add(presence);
        }
    }

    /// Writes it.
    pub fn encode(&self, w: &mut Writer) {
        w.number(self.0.len() as u64);
        for ((log, id, hour), presence) in &self.0 {
            w.text(log);
            w.bytes(id);
            w.number(*hour);
            presence.encode(w);
        }
    }

    /// Tells what [`Quiet::encode`] wrote: flow log, interface, and what its records of one hour say.
    ///
    /// # Errors
    /// `Format` if something else stands there.
    pub fn each(r: &mut Reader<'_>, tell: &mut dyn FnMut(&str, &[u8], Presence)) -> Result<()> {
        for _ in 0..r.number()? {
            let (log, id, _) = (r.text()?, r.bytes()?, r.number()?);
            tell(log, id, Presence::decode(r)?);
        }
        Ok(())
    }
}

/// The interface of a record, as coverage calls it.
fn interface_of<'r>(r: &FlowRecord<'r>) -> &'r [u8] {
    r.text(Field::InterfaceId)
        .or_else(|| r.text(Field::ResourceId))
        .unwrap_or(b"-")
}

/// A key of what was seen, not yet kept.
#[derive(Hash)]
struct Known<'r>(u32, &'r [u8]);

impl Equivalent<(u32, Box<[u8]>)> for Known<'_> {
    fn equivalent(&self, key: &(u32, Box<[u8]>)) -> bool {
        (self.0, self.1) == (key.0, &key.1)
    }
}

impl Watch {
    pub(super) fn new(watching: Watching, window: TimeWindow) -> Self {
        Watch {
            watching,
            log: 0,
            window,
            seen: HashMap::default(),
        }
    }

    /// True if good records are to be fed.
    #[inline]
    pub(super) fn wants_all(&self) -> bool {
        self.watching == Watching::All
    }

    /// True if what is fed is noted.
    pub(super) fn wants_any(&self) -> bool {
        self.watching != Watching::Nothing
    }

    /// Takes in a record; kept out of line, since the fast path of a scan never comes here.
    #[cold]
    #[inline(never)]
    pub(super) fn observe(&mut self, r: &FlowRecord<'_>) {
        if !self.wants_any() || !self.window.contains(r.start.unwrap_or(0)) {
            return;
        }
        let id = interface_of(r);
        match self.seen.get_mut(&Known(self.log, id)) {
            Some(presence) => presence.observe(r),
            None => self.seen.entry((self.log, id.into())).or_default().observe(r),
        }
    }

    /// Takes in what records of one hour showed that were read before.
    pub(super) fn add(&mut self, log: u32, id: &[u8], seen: Presence) {
        if self.window.contains(seen.first) {
            self.seen.entry((log, id.into())).or_default().add(seen);
        }
    }

    pub(super) fn merge(&mut self, other: Watch) {
        if self.seen.is_empty() {
            self.seen = other.seen;
            return;
        }
        for (key, presence) in other.seen {
            self.seen.entry(key).or_default().add(presence);
        }
    }

    pub(super) fn finish(self) -> Seen {
        let mut seen = Seen::new();
        for ((log, id), presence) in self.seen {
            let id = String::from_utf8_lossy(&id).into_owned();
            seen.entry((log, id)).or_default().add(presence);
        }
        seen
    }
}

/// A set of fields, one bit each: in two halves, so that it needs no wider place than they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet([u64; 2]);

const _: () = assert!(Field::COUNT <= 128, "FieldSet has a bit for each field");

impl FieldSet {
    /// The known fields of a format.
    pub fn of(format: &LogFormat) -> Self {
        let mut bits = [0; 2];
        for column in format.columns() {
            if let crate::flow::Column::Known(f) = column {
                bits[*f as usize / 64] |= 1u64 << (*f as u32 % 64);
            }
        }
        FieldSet(bits)
    }

    /// True if the field is in it.
    pub fn has(self, field: Field) -> bool {
        self.0[field as usize / 64] >> (field as u32 % 64) & 1 == 1
    }

    /// A bit for each field, by its number.
    pub const fn bits(self) -> u128 {
        (self.0[1] as u128) << 64 | self.0[0] as u128
    }

    /// What [`FieldSet::bits`] gave; bits that no field has are dropped.
    pub const fn from_bits(bits: u128) -> Self {
        let known = bits & (u128::MAX >> (128 - Field::COUNT));
        FieldSet([known as u64, (known >> 64) as u64])
    }

    /// The fields of both.
    #[must_use]
    pub fn and(self, other: FieldSet) -> FieldSet {
        FieldSet([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }
}

/// What one file held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Earliest `start` and latest `end`.
    pub span: Option<(Seconds, Seconds)>,
    /// Records of any status.
    pub records: u64,
    /// Good ACCEPT records.
    pub accept: u64,
    /// Good REJECT records.
    pub reject: u64,
    /// Fields of its format; `None` if nothing was read.
    pub fields: Option<FieldSet>,
}

impl FileFacts {
    /// Adds another piece of the same file.
    pub fn add(&mut self, other: &FileFacts) {
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self.records += other.records;
        self.accept += other.accept;
        self.reject += other.reject;
        self.fields = match (self.fields, other.fields) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{LineReader, Reject, Sink};

    struct All(Watch);

    impl Sink for All {
        fn record(&mut self, _: u64, r: &FlowRecord<'_>) {
            self.0.observe(r);
        }
        fn reject(&mut self, _: u64, _: &Reject<'_>) {}
    }

    fn watched(lines: &[&str]) -> Watch {
        let mut all = All(Watch::new(Watching::All, TimeWindow::ALL));
        LineReader::new(LogFormat::default_v2()).read(lines.join("\n").as_bytes(), &mut all);
        all.0
    }

    const LINES: [&str; 5] = [
        "2 1 eni-1 10.0.0.1 192.0.2.1 1 2 6 1 1 100 160 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 192.0.2.1 1 2 6 1 1 40 90 REJECT OK",
        "2 1 eni-1 - - - - - - - 200 260 - SKIPDATA",
        "2 1 eni-1 - - - - - - - 200 260 - SKIPDATA",
        "2 1 eni-2 - - - - - - - 200 260 - NODATA",
    ];

    #[test]
    fn any_split_of_the_records_says_the_same() {
        let whole = watched(&LINES).finish();
        let eni1 = &whole[&(0, "eni-1".to_string())];
        assert_eq!((eni1.first, eni1.last, eni1.accept, eni1.reject), (40, 260, 1, 1));
        assert_eq!(eni1.lost.len(), 1, "two lines of one window are one loss");
        assert_eq!(whole[&(0, "eni-2".to_string())].nodata, 1);
        for cut in 0..=LINES.len() {
            let (a, b) = LINES.split_at(cut);
            let mut merged = watched(b);
            merged.merge(watched(a));
            assert_eq!(merged.finish(), whole);
        }
    }
}
