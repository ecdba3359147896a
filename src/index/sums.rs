//! One worker's sums while an archive is read: hash tables of hours, and which file holds which address.
//!
//! IPv4 with its usual numbers takes a lean key, everything else one that holds whatever there is. Nothing is asked of
//! lists, so nothing depends on them.

use crate::aggregate::Facts;
use crate::aggregate::interner::Described;
use crate::aggregate::table::Role;
use crate::flow::{Action, FlowDirection};
use crate::net::{Addr, HOUR, Seconds};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// What the records of a sum have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<A> {
    pub(super) facts: u32,
    pub(super) src: A,
    pub(super) dst: A,
    /// Number of the packet's own addresses; 0 if they are the two above.
    pub(super) packet: u32,
    pub(super) hour: u64,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) log: u16,
    pub(super) protocol: u8,
    pub(super) signs: Signs,
}

/// Role of the source, logged direction and action in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Signs(u8);

/// The sums of a key, and the file that added to them last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) first: Seconds,
    pub(super) last: Seconds,
    pub(super) flows: u32,
    file: u32,
}

/// One record.
pub(super) struct Item {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) source: Addr,
    pub(super) destination: Addr,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) protocol: u8,
    pub(super) signs: Signs,
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) start: Seconds,
    pub(super) end: Seconds,
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Sums {
    lean: HashMap<Key<u32>, Sum, RandomState>,
    wide: HashMap<Key<Addr>, Sum, RandomState>,
    /// Sums that would not have fitted their numbers with one more record.
    full: Vec<(Key<Addr>, Sum)>,
    /// What was said of interfaces.
    pub(super) facts: Vec<Facts>,
    numbers: HashMap<Facts, u32, RandomState>,
    last: u32,
    /// Packets' own addresses, from number 1 on.
    pub(super) packets: Vec<(Addr, Addr)>,
    packet_numbers: HashMap<(Addr, Addr), u32, RandomState>,
    /// Address and file, as often as a sum met the file first.
    lean_files: Vec<(u32, u32)>,
    wide_files: Vec<(Addr, u32)>,
    facts_files: Vec<(u32, u32)>,
}

/// Everything of a table, in no order.
pub(super) struct Emptied {
    pub(super) sums: Vec<(Key<Addr>, Sum)>,
    pub(super) facts: Vec<Facts>,
    pub(super) packets: Vec<(Addr, Addr)>,
    /// Address and file.
    pub(super) files: Vec<(Addr, u32)>,
    /// Number of facts, and file.
    pub(super) facts_files: Vec<(u32, u32)>,
}

impl Signs {
    pub(super) const fn new(role: Role, direction: Option<FlowDirection>, action: Action) -> Self {
        let direction = match direction {
            None => 0,
            Some(FlowDirection::Egress) => 1,
            Some(FlowDirection::Ingress) => 2,
        };
        let action = match action {
            Action::Accept => 0,
            Action::Reject => 1,
            Action::Unknown => 2,
            Action::Other => 3,
        };
        Signs(role as u8 | direction << 2 | action << 4)
    }

    pub(super) const fn role(self) -> Role {
        match self.0 & 3 {
            0 => Role::Client,
            1 => Role::Server,
            _ => Role::Unknown,
        }
    }

    pub(super) const fn direction(self) -> Option<FlowDirection> {
        match self.0 >> 2 & 3 {
            1 => Some(FlowDirection::Egress),
            2 => Some(FlowDirection::Ingress),
            _ => None,
        }
    }

    /// What the two ways of a conversation share: the action, and whether a direction was logged.
    pub(super) const fn common(self) -> (u8, bool) {
        (self.0 >> 4 & 3, self.direction().is_some())
    }

    pub(super) const fn action(self) -> Action {
        match self.0 >> 4 & 3 {
            0 => Action::Accept,
            1 => Action::Reject,
            2 => Action::Unknown,
            _ => Action::Other,
        }
    }
}

impl Sum {
    fn of(item: &Item, file: u32) -> Self {
        Sum {
            bytes: item.bytes,
            packets: item.packets,
            first: item.start,
            last: item.end,
            flows: 1,
            file,
        }
    }

    /// Adds a record; false, and nothing is changed, if a sum would not fit what it is stored as.
    #[inline]
    fn add(&mut self, item: &Item) -> bool {
        let fits = |n: &u64| *n <= i64::MAX as u64;
        let bytes = self.bytes.checked_add(item.bytes).filter(fits);
        let packets = self.packets.checked_add(item.packets).filter(fits);
        let (Some(bytes), Some(packets), Some(flows)) = (bytes, packets, self.flows.checked_add(1)) else {
            return false;
        };
        (self.bytes, self.packets, self.flows) = (bytes, packets, flows);
        self.first = self.first.min(item.start);
        self.last = self.last.max(item.end);
        true
    }
}

impl Key<u32> {
    fn widen(&self) -> Key<Addr> {
        Key {
            src: Addr::v4(self.src),
            dst: Addr::v4(self.dst),
            facts: self.facts,
            packet: self.packet,
            hour: self.hour,
            src_port: self.src_port,
            dst_port: self.dst_port,
            log: self.log,
            protocol: self.protocol,
            signs: self.signs,
        }
    }
}

impl Sums {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lean.len() + self.wide.len() + self.full.len()
    }

    /// The number of what a record says of its interface.
    #[inline]
    pub(super) fn facts_of(&mut self, record: &impl Described) -> u32 {
        match self.facts.get(self.last as usize) {
            Some(facts) if facts.fits(record) => {}
            _ => self.last = self.place(Facts::of(record)),
        }
        self.last
    }

    fn place(&mut self, facts: Facts) -> u32 {
        let next = self.facts.len() as u32;
        match self.numbers.entry(facts) {
            Entry::Occupied(e) => *e.get(),
            Entry::Vacant(e) => {
                self.facts.push(e.key().clone());
                *e.insert(next)
            }
        }
    }

    /// Adds a record of `file` and flow log `log`.
    #[inline]
    pub(super) fn add(&mut self, item: &Item, facts: u32, (file, log): (u32, u16)) {
        let ends = (item.source, item.destination);
        let packet = if ends == (item.src, item.dst) {
            0
        } else {
            self.packet(ends, file)
        };
        let hour = item.start / HOUR;
        match (item.src.as_v4(), item.dst.as_v4()) {
            (Some(src), Some(dst)) => {
                let key = key_of(item, (src, dst), (facts, packet, hour, log));
                self.add_lean(key, item, file);
            }
            _ => {
                let key = key_of(item, (item.src, item.dst), (facts, packet, hour, log));
                self.add_wide(key, item, file);
            }
        }
    }

    #[inline]
    fn add_lean(&mut self, key: Key<u32>, item: &Item, file: u32) {
        let new = match self.lean.entry(key) {
            Entry::Occupied(mut e) => {
                let sum = e.get_mut();
                if !sum.add(item) {
                    self.full.push((key.widen(), *sum));
                    *sum = Sum::of(item, sum.file);
                }
                std::mem::replace(&mut sum.file, file) != file
            }
            Entry::Vacant(e) => {
                e.insert(Sum::of(item, file));
                true
            }
        };
        if new {
            for pair in [(key.src, file), (key.dst, file)] {
                self.lean_files.push(pair);
            }
            self.note(key.facts, file);
        }
    }

    #[cold]
    fn add_wide(&mut self, key: Key<Addr>, item: &Item, file: u32) {
        let sum = self.wide.entry(key).or_insert_with(|| Sum {
            flows: 0,
            bytes: 0,
            packets: 0,
            ..Sum::of(item, u32::MAX)
        });
        if !sum.add(item) {
            self.full.push((key, *sum));
            *sum = Sum::of(item, sum.file);
        }
        if std::mem::replace(&mut sum.file, file) != file {
            self.wide_files.extend([(key.src, file), (key.dst, file)]);
            self.note(key.facts, file);
        }
    }

    #[cold]
    fn packet(&mut self, ends: (Addr, Addr), file: u32) -> u32 {
        self.met(ends, file);
        let next = self.packets.len() as u32 + 1;
        match self.packet_numbers.entry(ends) {
            Entry::Occupied(e) => *e.get(),
            Entry::Vacant(e) => {
                self.packets.push(ends);
                *e.insert(next)
            }
        }
    }

    /// Notes that a file holds both addresses, without a sum.
    pub(super) fn met(&mut self, ends: (Addr, Addr), file: u32) {
        let last = self
            .wide_files
            .len()
            .checked_sub(2)
            .and_then(|n| self.wide_files.get(n..));
        if last != Some(&[(ends.0, file), (ends.1, file)]) {
            self.wide_files.extend([(ends.0, file), (ends.1, file)]);
        }
    }

    /// Notes that a file tells of an interface.
    #[inline]
    pub(super) fn note(&mut self, facts: u32, file: u32) {
        if self.facts_files.last() != Some(&(facts, file)) {
            self.facts_files.push((facts, file));
        }
    }

    /// Hands out everything and begins anew.
    pub(super) fn empty(&mut self) -> Emptied {
        let all = std::mem::take(self);
        let mut sums = all.full;
        sums.reserve_exact(all.lean.len() + all.wide.len());
        sums.extend(all.lean.into_iter().map(|(key, sum)| (key.widen(), sum)));
        sums.extend(all.wide);
        let mut files = all.wide_files;
        let mut lean_files = all.lean_files;
        lean_files.sort_unstable();
        lean_files.dedup();
        files.extend(lean_files.into_iter().map(|(a, f)| (Addr::v4(a), f)));
        Emptied {
            sums,
            facts: all.facts,
            packets: all.packets,
            files,
            facts_files: all.facts_files,
        }
    }
}

#[inline(always)]
fn key_of<A>(item: &Item, (src, dst): (A, A), (facts, packet, hour, log): (u32, u32, u64, u16)) -> Key<A> {
    Key {
        facts,
        src,
        dst,
        packet,
        hour,
        src_port: item.src_port,
        dst_port: item.dst_port,
        log,
        protocol: item.protocol,
        signs: item.signs,
    }
}
