//! Interface ids as small numbers, and what the records say of each interface.
//!
//! An id's last bytes tell where it stands, unless it shares the place with another. Of every fact the smallest text met is kept:
//! the choice is the same whatever the order, and a fact hardly ever has two values. What most records say of theirs, its
//! id and its account, stands in one cache line: a run begins every few records, with an interface of long ago.

mod dictionaries;
mod face;

use crate::aggregate::table::{Interface, Signs};
use crate::flow::{Field, FlowRecord, LogFormat, Rows};
use crate::net::Addr;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

pub use dictionaries::Dictionaries;
use face::{Face, Others, Short, same};

/// The columns of a record as text, wherever it stands.
pub trait Described {
    /// A column, if the format has it and it is not `-`.
    fn text(&self, field: Field) -> Option<&[u8]>;
    /// The record's format.
    fn format(&self) -> &LogFormat;

    /// The interface's id; a regional NAT gateway logs without one, by `resource-id`.
    fn interface(&self) -> &[u8] {
        let id = self.text(Field::InterfaceId).or_else(|| self.text(Field::ResourceId));
        id.unwrap_or(b"-")
    }
}

impl Described for FlowRecord<'_> {
    #[inline]
    fn text(&self, field: Field) -> Option<&[u8]> {
        FlowRecord::text(self, field)
    }

    fn format(&self) -> &LogFormat {
        FlowRecord::format(self)
    }
}

/// One of many rows.
impl Described for (&Rows<'_>, usize) {
    #[inline]
    fn text(&self, field: Field) -> Option<&[u8]> {
        self.0.text(self.1, field)
    }

    fn format(&self) -> &LogFormat {
        self.0.format
    }
}

/// Numbers of interfaces that several workers share.
#[derive(Debug, Default)]
pub struct Ids(Mutex<HashMap<Box<[u8]>, u32, RandomState>>);

impl Ids {
    fn number(&self, id: &[u8]) -> u32 {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ids.len() as u32;
        *ids.entry(id.into()).or_insert(next)
    }
}

/// The fields that describe an interface, as far as a format has them.
const FACTS: [Field; 6] = [
    Field::AccountId,
    Field::InstanceId,
    Field::VpcId,
    Field::SubnetId,
    Field::Region,
    Field::InterfaceType,
];

/// What the records say of one interface, as it is kept and handed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its id.
    pub id: Box<[u8]>,
    /// Account, instance, VPC, subnet, region and kind, where known.
    pub facts: [Option<Box<[u8]>>; FACTS.len()],
    /// Its records had an `instance-id` column.
    pub instance_column: bool,
}

impl About {
    /// Adds what other records say of the same interface.
    pub fn merge(&mut self, other: &About) {
        for (slot, fact) in self.facts.iter_mut().zip(&other.facts) {
            if let Some(text) = fact {
                keep_smaller(slot, text);
            }
        }
        self.instance_column |= other.instance_column;
    }
}

/// Ids and facts.
#[derive(Debug, Default)]
pub struct Interner {
    shared: Option<Arc<Ids>>,
    hash: RandomState,
    /// Numbers of entries, by their ids.
    places: HashTable<u32>,
    entries: Vec<Entry>,
    /// Of each entry what is looked at first.
    faces: Vec<Face>,
    /// And what is looked at next, of those that something was noted of.
    others: Vec<Others>,
    last: u32,
    /// By an id's last bytes, the entry that was looked for last.
    near: Vec<u32>,
    seen: Seen,
    /// The number elsewhere of the interface learned last, and its entry.
    learned: Option<(u32, u32)>,
}

/// What the dictionaries in hand were found to mean.
#[derive(Debug, Default)]
struct Seen {
    /// Task and dictionaries, if codes are at hand.
    of: Option<(u32, usize)>,
    /// By code of an interface.
    entries: Vec<Option<Known>>,
}

/// What the code of an interface was found to mean.
#[derive(Debug, Clone, Copy)]
struct Known {
    entry: u32,
    number: u32,
    /// The facts noted last.
    facts: [u32; FACTS.len()],
}

#[derive(Debug, Clone)]
struct Entry {
    about: About,
    transit: u64,
    passed: u128,
    /// An address that a record showed to be its own; the default if none did.
    own: Addr,
}

/// Places that are told by an id's last bytes, a power of two.
const NEAR: usize = 1 << 14;

/// Which of them an id has: no secret, for who shares it is looked for as if there were none.
#[inline]
fn near(id: &[u8]) -> usize {
    let last = id.last_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    (last.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - NEAR.ilog2())) as usize
}

impl Interner {
    /// An interner whose numbers are those of `ids`.
    pub fn sharing(ids: Arc<Ids>) -> Self {
        Interner {
            shared: Some(ids),
            ..Interner::default()
        }
    }

    /// Announces records with codes of these dictionaries of a task, or without codes.
    pub fn announce(&mut self, task: u32, dictionaries: Option<usize>) {
        let of = dictionaries.map(|d| (task, d));
        if of.is_none() || of != self.seen.of {
            self.seen.of = of;
            self.seen.entries.clear();
        }
    }

    /// The number of a record's interface, after noting what the record says of it; the same codes say the same.
    #[inline]
    pub fn intern_coded(&mut self, (dictionaries, row): (&Dictionaries<'_>, usize), record: &impl Described) -> u32 {
        let Some(id) = dictionaries.id(row).filter(|_| self.seen.of.is_some()) else {
            return self.intern(record.interface(), record);
        };
        if let Some(Some(known)) = self.seen.entries.get(id as usize)
            && dictionaries.are_facts(row, &known.facts)
        {
            self.last = known.entry;
            return known.number;
        }
        let number = self.intern(record.interface(), record);
        // The code of no text is beyond all others.
        if id != u32::MAX {
            self.seen
                .entries
                .resize(self.seen.entries.len().max(id as usize + 1), None);
            self.seen.entries[id as usize] = Some(Known {
                entry: self.last,
                number,
                facts: dictionaries.facts(row),
            });
        }
        number
    }

    /// The number of the interface `id`, after noting what `record` says of it.
    #[inline]
    pub fn intern(&mut self, id: &[u8], record: &impl Described) -> u32 {
        // Not the last one first: where a run of one interface ends cannot be foreseen.
        let near = self.near.get(near(id)).copied().unwrap_or(u32::MAX);
        self.last = match self.faces.get(near as usize) {
            Some(face) if face.id.is(id) => near,
            _ => self.place(id),
        };
        let face = &self.faces[self.last as usize];
        if face.knows(record, self.others.get(self.last as usize)) {
            return face.number;
        }
        self.note(record)
    }

    /// Notes what the record says of the interface met last; returns its number.
    #[inline(never)]
    fn note(&mut self, record: &impl Described) -> u32 {
        let last = self.last as usize;
        self.entries[last].note(record);
        if self.others.len() <= last {
            self.others.resize(self.faces.len(), Others::none());
        }
        self.others[last] = Others::of(record);
        let face = &mut self.faces[last];
        face.account = Short::of(record.text(Field::AccountId));
        face.number
    }

    /// The number of an interface that is known from elsewhere, where `number` tells it from others, after noting what
    /// was known of it.
    pub fn learn(&mut self, number: u32, about: &About) -> u32 {
        self.last = match self.learned {
            Some((learned, entry)) if learned == number => entry,
            _ => {
                let entry = self.place(&about.id);
                self.entries[entry as usize].about.merge(about);
                self.learned = Some((number, entry));
                entry
            }
        };
        self.faces[self.last as usize].number
    }

    /// Notes the same of many records at once: so many of them, with so many bytes passed on.
    pub fn note_transits(&mut self, records: u64, passed: u128) {
        if let Some(entry) = self.entries.get_mut(self.last as usize) {
            entry.transit += records;
            entry.passed += passed;
        }
    }

    /// What is known of the interfaces in order of id, and for each number its place in that order.
    pub fn about(&self) -> (Vec<About>, Vec<u32>) {
        let (order, place) = self.order();
        let about = |n: &u32| self.entries[*n as usize].about.clone();
        (order.iter().map(about).collect(), place)
    }

    /// Notes that the record interned last has packet addresses that are not the interface's; `passed` are its bytes if it
    /// came in for an address that is not ours.
    pub fn note_transit(&mut self, passed: u64) {
        if let Some(entry) = self.entries.get_mut(self.last as usize) {
            entry.transit += 1;
            entry.passed += u128::from(passed);
        }
    }

    /// The same of many records at once: so many of them, with so many bytes that came in for others.
    pub fn note_passing(&mut self, records: u64, passed: u128) {
        if let Some(entry) = self.entries.get_mut(self.last as usize) {
            entry.transit += records;
            entry.passed += passed;
        }
    }

    /// Notes that the record interned last showed an address of its interface, if it did.
    #[inline]
    pub fn note_own(&mut self, own: Addr, shown: bool) {
        if let Some(entry) = self.entries.get_mut(self.last as usize).filter(|_| shown) {
            entry.own = own;
        }
    }

    /// True if the address was noted last for the interface of the record interned last.
    #[inline]
    pub fn owns(&self, address: Addr) -> bool {
        let entry = self.entries.get(self.last as usize);
        entry.is_some_and(|e| e.own == address && address != Addr::default())
    }

    /// The place of an interface's entry. Most stand where their last bytes say.
    fn place(&mut self, id: &[u8]) -> u32 {
        if self.near.is_empty() {
            self.near = vec![0; NEAR];
        }
        let near = near(id);
        if self
            .faces
            .get(self.near[near] as usize)
            .is_none_or(|face| !face.id.is(id))
        {
            self.near[near] = self.find(id);
        }
        self.near[near]
    }

    fn find(&mut self, id: &[u8]) -> u32 {
        let (faces, entries, hash) = (&self.faces, &self.entries, &self.hash);
        let is = |n: &u32| match &faces[*n as usize].id {
            short if short.is_short() => short.is(id),
            _ => *entries[*n as usize].about.id == *id,
        };
        let h = hash.hash_one(id);
        if let Some(n) = self.places.find(h, is) {
            return *n;
        }
        let n = self.entries.len() as u32;
        let number = self.shared.as_ref().map_or(n, |ids| ids.number(id));
        let rehash = |n: &u32| hash.hash_one(&*entries[*n as usize].about.id);
        self.places.insert_unique(h, n, rehash);
        self.entries.push(Entry::new(id));
        self.faces.push(Face {
            id: Short::of(Some(id)),
            account: Short::of(None),
            number,
        });
        n
    }

    /// Takes over another interner; returns its numbers in this one's terms. Numbers that are shared stay as they are.
    pub fn merge(&mut self, other: &Interner) -> Vec<u32> {
        let add = |entry: &Entry| {
            let place = self.place(&entry.about.id) as usize;
            self.entries[place].merge(entry);
            self.faces[place].number
        };
        other.entries.iter().map(add).collect()
    }

    /// The interfaces in order of id, and for each number its place in that order.
    pub fn sorted(&self) -> (Vec<Interface>, Vec<u32>) {
        let (order, place) = self.order();
        let interface = |n: &u32| self.entries[*n as usize].interface();
        (order.iter().map(interface).collect(), place)
    }

    fn id(&self, entry: u32) -> &[u8] {
        &self.entries[entry as usize].about.id
    }

    fn order(&self) -> (Vec<u32>, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
        order.sort_by(|a, b| self.id(*a).cmp(self.id(*b)));
        let most = self.faces.iter().map(|f| f.number as usize + 1).max();
        let mut place = vec![0; most.unwrap_or(0)];
        for (i, n) in order.iter().enumerate() {
            place[self.faces[*n as usize].number as usize] = i as u32;
        }
        (order, place)
    }
}

impl Entry {
    fn new(id: &[u8]) -> Self {
        Entry {
            about: About {
                id: id.into(),
                ..About::default()
            },
            transit: 0,
            passed: 0,
            own: Addr::default(),
        }
    }

    #[inline]
    fn note(&mut self, record: &impl Described) {
        for (slot, field) in self.about.facts.iter_mut().zip(FACTS) {
            if let Some(text) = record.text(field) {
                keep_smaller(slot, text);
            }
        }
        self.about.instance_column |= record.format().has(Field::InstanceId);
    }

    fn merge(&mut self, other: &Entry) {
        self.about.merge(&other.about);
        self.transit += other.transit;
        self.passed += other.passed;
    }

    fn interface(&self) -> Interface {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let [account, instance, vpc, subnet, region, kind] = self.about.facts.clone().map(|f| f.as_deref().map(text));
        let detached = self.about.instance_column && instance.is_none();
        let signs = Signs {
            kind,
            detached,
            transit: self.transit,
            passed: self.passed,
        };
        Interface {
            id: text(&self.about.id),
            account,
            instance,
            vpc,
            subnet,
            region,
            addresses: Vec::new(),
            signs,
        }
    }
}

#[inline]
fn keep_smaller(slot: &mut Option<Box<[u8]>>, text: &[u8]) {
    match slot {
        Some(kept) if same(kept, text) || **kept < *text => {}
        _ => *slot = Some(text.into()),
    }
}
