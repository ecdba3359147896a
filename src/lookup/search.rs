//! The search through flow logs: which records are about which key, summed up, and kept whole where that is asked for.
//!
//! Every key has targets: addresses, networks, interfaces, instances, each with the class of its tie to the key. A record
//! counts once for a key, by its best target. Raw bytes are searched first ([`Needles`]); what is found is parsed and
//! compared as values, so that the slow way of reading every line gives the same.

pub mod ends;
mod hits;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnetwork::IpNetwork;
use rayon::ThreadPool;

use crate::aggregate::counter::Places;
use crate::aggregate::filter::RecordFacts;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::{Filter, FlowLogs, Ingest, Interface, Outcome, Progress, Reading, Volume, read_into};
use crate::attribute::Class as Tie;
use crate::flow::{Field, FlowDirection, FlowRecord};
use crate::index::Wanted;
use crate::input::Archive;
use crate::lookup::asked::Asked;
use crate::lookup::needle::{Needle, Needles};
use crate::lookup::records::Records;
use crate::net::{Addr, Class, Seconds, TimeWindow};

use ends::Ends;
use hits::Hits;

/// Something to find in flow logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index of the key that it stands for.
    pub key: usize,
    /// How sure it is that its traffic is the key's.
    pub tie: Tie,
    /// What to find.
    pub what: What,
    /// When it stood for the key.
    pub window: TimeWindow,
    /// Why it stands for the key; empty if it is the key.
    pub why: String,
}

/// What to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// One of the four addresses of a record.
    Addr(Addr),
    /// The same, within a network.
    Net(IpNetwork),
    /// `interface-id`, or `resource-id` where there is none.
    Interface(String),
    /// `instance-id`.
    Instance(String),
}

/// Which end of a record a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// It received.
    To,
    /// It sent.
    From,
    /// The record does not tell: an interface without `flow-direction`.
    Open,
}

/// What is kept of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Bytes and flows by the two ends alone.
    Ends,
    /// Sums by ends, port and protocol.
    Services,
    /// These, and the records themselves.
    Records,
}

/// Targets, filter and what is to be kept.
pub struct Search<'s, P> {
    targets: &'s [Target],
    filter: &'s Filter,
    window: TimeWindow,
    places: &'s P,
    detail: Detail,
    addresses: HashMap<Addr, Vec<u32>, RandomState>,
    networks: Vec<(IpNetwork, u32)>,
    names: HashMap<Vec<u8>, Vec<u32>, RandomState>,
    /// Only interfaces and instances are looked for, whenever and whatever they exchanged.
    names_decide: bool,
}

/// What a cell of the result is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Index of the target.
    pub target: u32,
    /// Index into [`Found::interfaces`].
    pub interface: u32,
    /// Start of the day.
    pub day: Seconds,
    /// The target's end; the source while the side is open.
    pub near: Addr,
    /// The other end.
    pub far: Addr,
    /// Which end the target is.
    pub side: Side,
    /// Service port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// False for REJECT.
    pub accepted: bool,
    /// Flow log subscription, as a number that means something inside one archive.
    pub log: u16,
    /// True if another flow log of the same interface counts on that day: not to be added.
    pub twice: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Sums, sorted; none if only ends were asked for.
    pub cells: Vec<(Cell, Volume)>,
    /// Sums by the two ends, if only they were asked for, in several pieces.
    pub ends: Vec<Ends>,
    /// Interfaces, sorted by id.
    pub interfaces: Vec<Interface>,
    /// The records themselves, if they were to be kept, in the order of the files.
    pub records: Records,
    /// Counts over all records that were looked at.
    pub counts: RecordCounts,
}

/// Searches `archive`; `slow` reads every line, which gives the same and validates everything.
pub fn search<P: Places>(
    search: &Search<'_, P>,
    archive: &Archive,
    options: &Ingest,
    slow: bool,
    pool: &ThreadPool,
    progress: &Progress,
) -> (Found, Outcome) {
    let needles = if slow { None } else { search.needles() };
    let reading = Reading {
        new: &|_: &FlowLogs| Hits::new(search),
        restart: &|| {},
        sieve: needles.as_ref().map(|n| n as &dyn crate::flow::Sieve),
        shelf: options.shelf.as_deref(),
        window: search.window,
    };
    let (hits, outcome) = read_into(archive, &reading, options, pool, progress);
    (hits.finish(), outcome)
}

impl<'s, P: Places> Search<'s, P> {
    /// Prepares a search.
    pub fn new(targets: &'s [Target], filter: &'s Filter, window: TimeWindow, places: &'s P, detail: Detail) -> Self {
        let mut search = Search {
            targets,
            filter,
            window,
            places,
            detail,
            addresses: HashMap::default(),
            networks: Vec::new(),
            names: HashMap::default(),
            names_decide: false,
        };
        for (n, target) in targets.iter().enumerate() {
            let n = n as u32;
            match &target.what {
                What::Addr(a) => search.addresses.entry(*a).or_default().push(n),
                What::Net(net) => search.networks.push((*net, n)),
                What::Interface(id) | What::Instance(id) => {
                    search.names.entry(id.as_bytes().to_vec()).or_default().push(n);
                }
            }
        }
        search.names_decide = search.addresses.is_empty()
            && search.networks.is_empty()
            && filter.is_empty()
            && search.windows().all(|w| w == TimeWindow::ALL);
        search
    }

    /// What an index need not hand out otherwise.
    pub(super) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted {
            ends: self.detail == Detail::Ends && self.filter.is_empty() && self.windows().all(|w| w.is_by_the_day()),
            ..Wanted::default()
        };
        for target in self.targets {
            match &target.what {
                What::Addr(a) => drop(wanted.names.insert(a.to_string())),
                What::Net(net) => wanted.networks.push(*net),
                What::Interface(id) | What::Instance(id) => drop(wanted.names.insert(id.clone())),
            }
        }
        wanted
    }

    /// True if sums by the hour tell it all: no term about single records, no time inside an hour.
    pub(super) fn asks_by_the_hour(&self) -> bool {
        let by_the_hour = || self.windows().all(|w| w.is_by_the_hour());
        self.detail != Detail::Records && !self.filter.needs_sums() && by_the_hour()
    }

    /// The times that matter.
    fn windows(&self) -> impl Iterator<Item = TimeWindow> {
        self.targets.iter().map(|t| t.window).chain([self.window])
    }

    fn needles(&self) -> Option<Needles> {
        let of = |t: &Target| match &t.what {
            What::Addr(a) => Needle::address(*a),
            What::Net(net) => Needle::network(net),
            What::Interface(id) | What::Instance(id) => Some(Needle::token(id)),
        };
        Needles::new(self.targets.iter().map(of).collect())
    }

    /// The targets of a record: one of each key, the best.
    fn targets_of(&self, r: &Asked<'_>, met: &mut Vec<(u32, Side)>) {
        met.clear();
        let sides = [Side::From, Side::From, Side::To, Side::To];
        for (addr, side) in r.addresses.into_iter().zip(sides) {
            let Some(addr) = addr else { continue };
            let same = self.addresses.get(&addr).into_iter().flatten().copied();
            met.extend(same.map(|n| (n, side)));
            let within = self.networks.iter().filter(|(net, _)| net.contains(addr.ip()));
            met.extend(within.map(|(_, n)| (*n, side)));
        }
        let side = match r.direction {
            Some(FlowDirection::Egress) => Side::From,
            Some(FlowDirection::Ingress) => Side::To,
            None => Side::Open,
        };
        for name in [r.interface, r.instance].into_iter().flatten() {
            met.extend(self.names.get(name).into_iter().flatten().map(|n| (*n, side)));
        }
        let target = |n: u32| self.targets.get(n as usize);
        met.retain(|(n, _)| target(*n).is_some_and(|t| t.window.contains(r.volume.first)));
        let rank = |n: u32| target(n).map(|t| (t.key, t.tie));
        met.sort_by_key(|(n, side)| (rank(*n), *n, *side));
        met.dedup_by_key(|(n, _)| target(*n).map(|t| t.key));
    }

    /// The filter's view: the interface's side is local, the other the peer, as `top` has it.
    fn passes(&self, r: &Asked<'_>) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let (src, dst) = (r.src, r.dst);
        let home = |a| self.places.class(a) == Class::Home;
        let inward = match r.direction {
            Some(d) => d == FlowDirection::Ingress,
            None => !home(src) && home(dst),
        };
        let (local, peer) = if inward { (dst, src) } else { (src, dst) };
        let facts = RecordFacts {
            local,
            peer,
            class: self.places.class(peer),
            port: r.port,
            protocol: r.protocol,
        };
        let v = &r.volume;
        self.filter.keeps_record(&facts, || r.interface.unwrap_or(b"-"))
            && self.filter.keeps_sum(v.bytes, v.packets, v.flows)
            && (!self.filter.needs_peer() || self.filter.keeps_peer(&self.places.peer(peer)))
    }
}

pub(super) fn interface_of<'a>(r: &FlowRecord<'a>) -> Option<&'a [u8]> {
    r.text(Field::InterfaceId).or_else(|| r.text(Field::ResourceId))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Peer, workers};
    use crate::input::Family;
    use proptest::prelude::*;
    use std::io::Write;

    struct Nowhere;

    impl Places for Nowhere {
        fn class(&self, addr: Addr) -> Class {
            let home = addr.as_v4().is_some_and(|n| n >> 24 == 10);
            if home { Class::Home } else { Class::External }
        }

        fn peer(&self, addr: Addr) -> Peer {
            Peer::of_class(addr, self.class(addr))
        }
    }

    /// Addresses that are parts of each other, and one IPv6 address in all its forms.
    const ADDRESSES: [&str; 12] = [
        "10.0.0.1",
        "10.0.0.12",
        "110.0.0.1",
        "10.0.0.1.2",
        "::ffff:10.0.0.1",
        "192.0.2.10",
        "192.0.2.101",
        "2001:db8:0:4321::7",
        "2001:0db8:0000:4321:0000:0000:0000:0007",
        "2001:DB8::4321:0:0:0.0.0.7",
        "2001:db8:0:4321::70",
        "-",
    ];
    const INTERFACES: [&str; 3] = ["eni-0000000a", "eni-0000000ab", "eni-0000000b"];
    const KEYS: [&str; 8] = [
        "10.0.0.1",
        "192.0.2.0/25",
        "192.0.2.101",
        "10.0.0.0/8",
        "2001:db8:0:4321::7",
        "2001:db8::/32",
        "eni-0000000a",
        "0.0.0.0/0",
    ];

    fn targets(keys: &[usize]) -> Vec<Target> {
        let of = |(n, k): (usize, &usize)| Target {
            key: n,
            tie: Tie::Exact,
            what: match KEYS[*k] {
                id if id.starts_with("eni") => What::Interface(id.into()),
                net if net.contains('/') => What::Net(net.parse().unwrap()),
                addr => What::Addr(addr.parse().unwrap()),
            },
            window: TimeWindow::ALL,
            why: String::new(),
        };
        keys.iter().enumerate().map(of).collect()
    }

    fn line(pick: &(usize, usize, usize, u16)) -> String {
        let (src, dst, eni, n) = *pick;
        let (src, dst, eni) = (ADDRESSES[src], ADDRESSES[dst], INTERFACES[eni]);
        match n % 17 {
            0 => String::new(),
            1 => format!("2 1 {eni} {src} {dst} 1 443 6 1 bad {n} {n} ACCEPT OK"),
            2 => "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                  action log-status"
                .replace("  ", " "),
            _ => format!("2 1 {eni} {src} {dst} {n} 443 6 1 {n} 1700000{n:03} 1700000{n:03} ACCEPT OK"),
        }
    }

    /// Everything that a search gives, as text.
    fn answer(dir: &std::path::Path, keys: &[usize], slow: bool, threads: usize) -> String {
        let archive = Archive::discover(&[dir], Family::FlowLogs).unwrap();
        let (targets, filter) = (targets(keys), Filter::default());
        let wanted = Search::new(&targets, &filter, TimeWindow::ALL, &Nowhere, Detail::Records);
        let pool = workers::pool(threads).unwrap();
        let (found, outcome) = search(&wanted, &archive, &Ingest::default(), slow, &pool, &Progress::default());
        let lines = outcome.counts.lines + outcome.counts.searched;
        let mut records = Vec::new();
        found.records.ndjson(&mut records).unwrap();
        let records = String::from_utf8(records).unwrap();
        format!("{lines}\n{records}{:?}{:?}", found.cells, found.interfaces)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The twin: read every line, compare values. Whatever the packing and the threads.
        #[test]
        fn searching_bytes_finds_what_reading_everything_finds(
            picks in prop::collection::vec((0..ADDRESSES.len(), 0..ADDRESSES.len(), 0..INTERFACES.len(), 0u16..1000), 0..80),
            keys in prop::collection::vec(0..KEYS.len(), 1..4),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let lines: Vec<String> = picks.iter().map(line).collect();
            let (first, second) = lines.split_at(lines.len() / 2);
            std::fs::write(dir.path().join("a.log"), first.join("\n")).unwrap();
            let file = std::fs::File::create(dir.path().join("b.log.gz")).unwrap();
            let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gz.write_all(second.join("\r\n").as_bytes()).unwrap();
            gz.finish().unwrap();
            let slow = answer(dir.path(), &keys, true, 1);
            prop_assert_eq!(&answer(dir.path(), &keys, false, 1), &slow);
            prop_assert_eq!(&answer(dir.path(), &keys, false, 3), &slow);
        }
    }

    #[test]
    fn a_record_between_two_ends_of_one_network_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let text = "2 1 eni-1 10.0.0.1 10.0.0.2 1 443 6 1 5 10 20 ACCEPT OK\n";
        std::fs::write(dir.path().join("a"), text).unwrap();
        let found = answer(dir.path(), &[3], false, 1);
        assert_eq!(found.matches("bytes: 5").count(), 1, "{found}");
    }
}
