//! Interface ids as small numbers, and what the records say of each interface.
//!
//! Flow logs hold runs of the same interface, so the last one is remembered. Of every fact the smallest text met is kept:
//! the choice is the same whatever the order, and a fact hardly ever has two values.

use crate::aggregate::table::{Interface, Signs};
use crate::flow::{Field, FlowRecord};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The fields that describe an interface, as far as a format has them.
const FACTS: [Field; 6] = [
    Field::AccountId,
    Field::InstanceId,
    Field::VpcId,
    Field::SubnetId,
    Field::Region,
    Field::InterfaceType,
];

/// Ids and facts.
#[derive(Debug, Default)]
pub struct Interner {
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    entries: Vec<Entry>,
    last: u32,
}

#[derive(Debug, Clone)]
struct Entry {
    id: Box<[u8]>,
    facts: [Option<Box<[u8]>>; FACTS.len()],
    /// Records that had an `instance-id` column.
    instance_column: bool,
    transit: u64,
    passed: u128,
}

impl Interner {
    /// The number of the interface `id`, after noting what `record` says of it.
    #[inline]
    pub fn intern(&mut self, id: &[u8], record: &FlowRecord<'_>) -> u32 {
        let number = match self.entries.get(self.last as usize) {
            Some(entry) if *entry.id == *id => self.last,
            _ => self.number(id),
        };
        self.last = number;
        self.entries[number as usize].note(record);
        number
    }

    /// Notes a record whose packet addresses are not the interface's; `passed` are its bytes if it came in for an address
    /// that is not ours.
    pub fn note_transit(&mut self, interface: u32, passed: u64) {
        if let Some(entry) = self.entries.get_mut(interface as usize) {
            entry.transit += 1;
            entry.passed += u128::from(passed);
        }
    }

    fn number(&mut self, id: &[u8]) -> u32 {
        if let Some(n) = self.numbers.get(id) {
            return *n;
        }
        let n = self.entries.len() as u32;
        self.numbers.insert(id.into(), n);
        self.entries.push(Entry::new(id));
        n
    }

    /// Takes over another interner; returns its numbers in this one's terms.
    pub fn merge(&mut self, other: &Interner) -> Vec<u32> {
        let add = |entry: &Entry| {
            let n = self.number(&entry.id);
            self.entries[n as usize].merge(entry);
            n
        };
        other.entries.iter().map(add).collect()
    }

    /// The interfaces in order of id, and for each number its place in that order.
    pub fn sorted(&self) -> (Vec<Interface>, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
        order.sort_by(|a, b| self.entries[*a as usize].id.cmp(&self.entries[*b as usize].id));
        let mut place = vec![0; order.len()];
        for (i, n) in order.iter().enumerate() {
            place[*n as usize] = i as u32;
        }
        (
            order.iter().map(|n| self.entries[*n as usize].interface()).collect(),
            place,
        )
    }
}

impl Entry {
    fn new(id: &[u8]) -> Self {
        Entry {
            id: id.into(),
            facts: Default::default(),
            instance_column: false,
            transit: 0,
            passed: 0,
        }
    }

    #[inline]
    fn note(&mut self, record: &FlowRecord<'_>) {
        for (slot, field) in self.facts.iter_mut().zip(FACTS) {
            if let Some(text) = record.text(field) {
                keep_smaller(slot, text);
            }
        }
        self.instance_column |= record.format().has(Field::InstanceId);
    }

    fn merge(&mut self, other: &Entry) {
        for (slot, fact) in self.facts.iter_mut().zip(&other.facts) {
            if let Some(text) = fact {
                keep_smaller(slot, text);
            }
        }
        self.instance_column |= other.instance_column;
        self.transit += other.transit;
        self.passed += other.passed;
    }

    fn interface(&self) -> Interface {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let [account, instance, vpc, subnet, region, kind] = self.facts.clone().map(|f| f.as_deref().map(text));
        let detached = self.instance_column && instance.is_none();
        let signs = Signs {
            kind,
            detached,
            transit: self.transit,
            passed: self.passed,
        };
        Interface {
            id: text(&self.id),
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
        Some(kept) if **kept <= *text => {}
        _ => *slot = Some(text.into()),
    }
}
