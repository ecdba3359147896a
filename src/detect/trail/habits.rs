//! What is usual for a caller: places, hours of the day, and the most that it did in an hour and in a day.
//!
//! A caller with too short a past borrows from its group (the role of a session, the account of a stranger). What is asked
//! of a place is in the end asked of everybody: an office that others call from is no strange place.

use std::collections::{BTreeMap, BTreeSet};

use super::deed::Deed;
use super::{Actor, Day, TrailDay};
use crate::net::{Country, HOUR, Seconds};
use crate::trail::{Access, Distinct, IdentityKind, Principal};

/// So many days of its own, and a caller is judged by them.
pub const LEARNED: usize = 3;

/// What a caller, or a group of callers, did in the past.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    /// Days on which it called.
    pub days: BTreeSet<Day>,
    /// Places that it called from, and on how many days.
    pub places: BTreeMap<String, u32>,
    /// Countries likewise.
    pub countries: BTreeMap<Country, u32>,
    /// Hours of the day (UTC), and on how many days.
    pub hours: BTreeMap<u64, u32>,
    /// The most in any hour.
    pub hour: Measure,
    /// The most in any day.
    pub day: Measure,
    /// Accounts that it wrote or copied to, or copied from for.
    pub accounts: BTreeSet<String>,
    /// Places that used its presigned requests.
    pub presigned: BTreeSet<String>,
}

/// How much was done in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Distinct objects read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u128,
    /// Distinct objects (or requests, where keys are not known) deleted.
    pub deleted: u64,
    /// Distinct buckets asked about.
    pub breadth: u64,
    /// Requests that were refused or named a bucket that does not exist.
    pub refused: u64,
    /// Objects copied inside S3.
    pub copied: u64,
}

/// Everybody's habits.
#[derive(Debug, Default)]
pub struct History {
    names: BTreeMap<String, Habits>,
    groups: BTreeMap<String, Habits>,
    /// Who came from each place.
    visitors: BTreeMap<String, BTreeSet<String>>,
    days: usize,
}

/// A past to judge by.
#[derive(Debug, Clone, Copy)]
pub struct Past<'h> {
    /// What was usual.
    pub habits: &'h Habits,
    /// True if it is the group's, not the caller's own.
    pub borrowed: bool,
}

/// What one caller did on one day.
#[derive(Debug, Default)]
pub struct Lesson {
    name: String,
    group: Option<String>,
    seen: Habits,
}

impl History {
    /// Days learned so far.
    pub fn days(&self) -> usize {
        self.days
    }

    /// The past that a caller is judged by: its own, else its group's.
    pub fn of(&self, actor: &Actor<'_>) -> Option<Past<'_>> {
        let long = |h: &&Habits| h.days.len() >= LEARNED;
        let own = self.names.get(actor.name).filter(long);
        let group = || self.groups.get(&group_of(actor.who)?).filter(long);
        own.map(|habits| Past {
            habits,
            borrowed: false,
        })
        .or_else(|| group().map(|habits| Past { habits, borrowed: true }))
    }

    /// The caller's own past, however short.
    pub fn own(&self, name: &str) -> Option<&Habits> {
        self.names.get(name)
    }

    /// How many other callers came from a place before.
    pub fn others_at(&self, place: &str, name: &str) -> usize {
        let others = |v: &BTreeSet<String>| v.iter().filter(|n| *n != name).count();
        self.visitors.get(place).map_or(0, others)
    }

    /// Takes in a day.
    pub fn learn(&mut self, _day: Day, lessons: Vec<Lesson>) {
        self.days += 1;
        for lesson in lessons {
            for place in lesson.seen.places.keys() {
                let visitors = self.visitors.entry(place.clone()).or_default();
                visitors.insert(lesson.name.clone());
            }
            if let Some(group) = lesson.group {
                self.groups.entry(group).or_default().add(&lesson.seen);
            }
            self.names.entry(lesson.name).or_default().add(&lesson.seen);
        }
    }
}

impl Habits {
    fn add(&mut self, other: &Habits) {
        self.days.extend(&other.days);
        for (place, n) in &other.places {
            *self.places.entry(place.clone()).or_default() += n;
        }
        for (country, n) in &other.countries {
            *self.countries.entry(*country).or_default() += n;
        }
        for (hour, n) in &other.hours {
            *self.hours.entry(*hour).or_default() += n;
        }
        self.hour.raise(&other.hour);
        self.day.raise(&other.day);
        self.accounts.extend(other.accounts.iter().cloned());
        self.presigned.extend(other.presigned.iter().cloned());
    }
}

impl Measure {
    fn raise(&mut self, other: &Measure) {
        self.objects = self.objects.max(other.objects);
        self.bytes = self.bytes.max(other.bytes);
        self.deleted = self.deleted.max(other.deleted);
        self.breadth = self.breadth.max(other.breadth);
        self.refused = self.refused.max(other.refused);
        self.copied = self.copied.max(other.copied);
    }
}

/// Whose habits a new caller is expected to share: the role of a session, the account of a stranger.
pub fn group_of(who: &Principal) -> Option<String> {
    match who.kind {
        IdentityKind::AssumedRole | IdentityKind::Role => who.issuer.clone(),
        IdentityKind::AwsAccount => who.account.clone(),
        _ => None,
    }
}

/// The day as a lesson, without the rows that are strange.
pub(super) fn lessons(view: &TrailDay<'_>, strange: &BTreeSet<u32>) -> Vec<Lesson> {
    let of = |actor: &Actor<'_>| {
        let rows: Vec<u32> = actor.rows.iter().copied().filter(|n| !strange.contains(n)).collect();
        (!rows.is_empty()).then(|| Lesson {
            name: actor.name.to_owned(),
            group: group_of(actor.who),
            seen: seen(view, &rows),
        })
    };
    view.actors.iter().filter_map(of).collect()
}

fn seen(view: &TrailDay<'_>, rows: &[u32]) -> Habits {
    let mut out = Habits {
        days: BTreeSet::from([view.day]),
        day: measure(view, rows),
        ..Habits::default()
    };
    for rows in by_hour(view, rows).values() {
        out.hour.raise(&measure(view, rows));
    }
    for row in rows.iter().filter_map(|n| view.row(*n)) {
        let foreign = [row.owner, row.recipient].map(|id| view.case.index.text(id));
        let strangers = foreign.into_iter().filter(|a| view.case.is_foreign(a));
        out.accounts.extend(strangers.map(str::to_owned));
        let Some(caller) = view.case.caller(row) else { continue };
        out.places.insert(caller.place.clone(), 1);
        out.countries.extend(caller.peer.country.map(|c| (c, 1)));
        out.hours.insert(row.hour / HOUR % 24, 1);
        if row.access == Access::Presigned {
            out.presigned.insert(caller.place.clone());
        }
    }
    out
}

/// Rows by hour.
pub fn by_hour(view: &TrailDay<'_>, rows: &[u32]) -> BTreeMap<Seconds, Vec<u32>> {
    let mut out: BTreeMap<Seconds, Vec<u32>> = BTreeMap::new();
    for n in rows {
        if let Some(row) = view.row(*n) {
            out.entry(row.hour).or_default().push(*n);
        }
    }
    out
}

/// How much rows did. AWS services that call for themselves are left out.
pub fn measure(view: &TrailDay<'_>, rows: &[u32]) -> Measure {
    let mut out = Measure::default();
    let (mut read, mut deleted, mut copied) = (Distinct::default(), Distinct::default(), Distinct::default());
    let (mut asked, mut deletions) = (BTreeSet::new(), 0);
    for n in rows {
        let Some(row) = view.row(*n).filter(|r| view.case.caller(r).is_some()) else {
            continue;
        };
        let deed = view.case.deed(*n);
        if row.error != 0 {
            out.refused += if deed == Deed::Other { 0 } else { row.requests };
        }
        if deed == Deed::Discover && row.bucket != 0 {
            asked.insert(row.bucket);
        }
        match deed {
            _ if row.error != 0 => {}
            Deed::Read => {
                read.merge(&row.objects);
                out.bytes = out.bytes.saturating_add(row.bytes_out);
            }
            Deed::Delete => {
                deleted.merge(&row.objects);
                deletions += row.requests;
            }
            Deed::Copy => copied.merge(&row.objects),
            _ => {}
        }
    }
    out.objects = read.count().number;
    out.deleted = deleted.count().number.max(deletions);
    out.copied = copied.count().number;
    out.breadth = asked.len() as u64;
    out
}
