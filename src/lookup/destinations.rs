//! One step further: with whom else the interfaces that met an address exchanged how much.
//!
//! A day of a busy interface has a hundred thousand other ends, so each is touched as seldom as possible: summed once by far
//! end, and only of those that are shown it is asked which interfaces met them.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::lookup::card::FarEnd;
use crate::lookup::search::ends::{Common, Ways};
use crate::lookup::traffic::{End, Reading};
use crate::net::{Addr, Class};

/// Addresses that an interface is known or seen to have, mostly one.
type Own = BTreeMap<u32, Vec<Addr>>;
/// Sums by far end.
type FarEnds = HashMap<Addr, Sums, RandomState>;

/// What was exchanged with a far end.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sent: u128,
    received: u128,
    flows: u64,
}

/// What one end sent, seen from the interface.
struct Sent {
    far: Addr,
    /// True if the interface received it.
    to: bool,
    bytes: u128,
    flows: u64,
}

impl Reading<'_> {
    /// How many other ends that `wanted` lets through the key's interfaces sent to, and the `most` that got most.
    pub(super) fn destinations(&self, number: usize, wanted: impl Fn(Addr) -> bool, most: usize) -> (u64, Vec<FarEnd>) {
        let own = self.own_of_pairs(number);
        let mut ends = FarEnds::default();
        self.each_sent(number, &own, |_, sent| {
            let end = ends.entry(sent.far).or_default();
            match sent.to {
                true => end.received += sent.bytes,
                false => end.sent += sent.bytes,
            }
            end.flows += sent.flows;
        });
        ends.retain(|ip, sums| sums.sent > 0 && self.intel.class(*ip).is_egress() && wanted(*ip));
        let all = ends.len() as u64;
        let mut largest: Vec<(Addr, Sums)> = ends.into_iter().collect();
        let order = |(ip, sums): &(Addr, Sums)| (std::cmp::Reverse(sums.sent), *ip);
        if largest.len() > most {
            largest.select_nth_unstable_by_key(most, order);
            largest.truncate(most);
        }
        largest.sort_unstable_by_key(order);
        (all, self.shown(number, &own, &largest))
    }

    /// These far ends with the interfaces that met them.
    fn shown(&self, number: usize, own: &Own, ends: &[(Addr, Sums)]) -> Vec<FarEnd> {
        let mut met: HashMap<Addr, BTreeSet<u32>, RandomState> =
            ends.iter().map(|(ip, _)| (*ip, BTreeSet::new())).collect();
        self.each_sent(number, own, |common, sent| {
            if let Some(interfaces) = met.get_mut(&sent.far) {
                interfaces.insert(common.interface);
            }
        });
        let end = |(ip, sums): &(Addr, Sums)| {
            self.far_end(&End {
                ip: *ip,
                sent: sums.sent,
                received: sums.received,
                flows: sums.flows,
                interfaces: met.get(ip).into_iter().flatten().copied().collect(),
            })
        };
        ends.iter().map(end).collect()
    }

    /// Hands out what counts for a key, by what its pairs have in common.
    fn each_sent(&self, number: usize, own: &Own, mut to: impl FnMut(&Common, Sent)) {
        let accepted = self.commons(number).filter(|c| c.accepted);
        let passing = self.passing(accepted.map(|c| c.interface).collect());
        for ends in &self.found.ends {
            let counts =
                |c: &Common| c.accepted && !c.twice && !passing.contains(&c.interface) && self.is_of(c, number);
            let of = |c: &Common| own.get(&c.interface).map_or(&[][..], Vec::as_slice);
            let commons = ends.commons().iter();
            let counted: Vec<_> = commons.map(|c| counts(c).then(|| (c, of(c)))).collect();
            ends.each(|common, pair, ways| {
                if let Some(Some((common, own))) = counted.get(common as usize) {
                    self.settled(common, own, pair, ways, &mut to);
                }
            });
        }
    }

    /// Both ways of a pair: which end is the interface's, where records do not tell, is told by its own address, else the one
    /// at home.
    #[inline]
    fn settled(
        &self,
        common: &Common,
        own: &[Addr],
        (first, second): (Addr, Addr),
        ways: Ways,
        to: &mut impl FnMut(&Common, Sent),
    ) {
        let home = |a: Addr| self.intel.class(a) == Class::Home;
        let own = [own.contains(&first), own.contains(&second)];
        let both = [(first, second), (second, first)];
        for (n, ((src, dst), (bytes, flows))) in both.into_iter().zip(ways).enumerate() {
            let inward = match (common.directed, own) {
                (true, _) => n == 1,
                (false, [true, false]) => n == 1,
                (false, [false, true]) => n == 0,
                (false, _) => !home(src) && home(dst),
            };
            if flows > 0 {
                let far = if inward { src } else { dst };
                let sent = Sent {
                    far,
                    to: inward,
                    bytes,
                    flows,
                };
                to(common, sent);
            }
        }
    }

    fn is_of(&self, common: &Common, number: usize) -> bool {
        let target = self.targets.get(common.target as usize);
        target.is_some_and(|t| t.key == number)
    }

    fn commons(&self, number: usize) -> impl Iterator<Item = &Common> {
        let all = self.found.ends.iter().flat_map(|e| e.commons());
        all.filter(move |c| self.is_of(c, number))
    }

    /// Addresses of interfaces whose records leave the side open: the inventory's, else the one that most records have.
    fn own_of_pairs(&self, number: usize) -> Own {
        let open = self.commons(number).filter(|c| !c.directed);
        let interfaces: BTreeSet<u32> = open.map(|c| c.interface).collect();
        let mut own = Own::new();
        let mut unknown = BTreeSet::new();
        for interface in interfaces {
            let known = self.known_addresses(interface);
            match known.is_empty() {
                true => drop(unknown.insert(interface)),
                false => drop(own.insert(interface, known.into_iter().collect())),
            }
        }
        let mut met = Met::new(unknown);
        self.each_open(number, &met.numbers.clone(), |n, addr, flows| met.note(n, addr, flows));
        // Twice: what the fullest place holds, and then whatever may hold more than its fullest address.
        for _ in 0..2 {
            if met.choose() {
                self.each_open(number, &met.numbers.clone(), |n, addr, flows| met.count(n, addr, flows));
            }
        }
        own.extend(met.most());
        own
    }

    /// Both ends of every pair whose side is open, with its flows, for interfaces that have a number.
    fn each_open(&self, key: usize, numbers: &BTreeMap<u32, usize>, mut to: impl FnMut(usize, Addr, u64)) {
        for ends in &self.found.ends {
            let open = |c: &&Common| !c.directed && self.is_of(c, key);
            let number = |c: &Common| Some(c).filter(open).and_then(|c| numbers.get(&c.interface)).copied();
            let numbers: Vec<Option<usize>> = ends.commons().iter().map(number).collect();
            ends.each(|common, (a, b), [(_, there), (_, back)]| {
                if let Some(Some(n)) = numbers.get(common as usize) {
                    to(*n, a, there + back);
                    to(*n, b, there + back);
                }
            });
        }
    }
}

/// The address that most records of an interface have, without a sum for each address: sums of many at once first, and of
/// single addresses only in those places that may hold the largest.
struct Met {
    /// Of interfaces.
    numbers: BTreeMap<u32, usize>,
    places: Vec<[u64; PLACES]>,
    chosen: Vec<[bool; PLACES]>,
    /// Those of them whose addresses are not counted yet.
    fresh: Vec<[bool; PLACES]>,
    counts: Vec<HashMap<Addr, u64, RandomState>>,
}

const PLACES: usize = 1024;

fn place(addr: Addr) -> usize {
    let folded = (addr.0 >> 64) as u64 ^ addr.0 as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

impl Met {
    fn new(interfaces: BTreeSet<u32>) -> Self {
        let count = interfaces.len();
        Met {
            numbers: interfaces.into_iter().zip(0..).collect(),
            places: vec![[0; PLACES]; count],
            chosen: vec![[false; PLACES]; count],
            fresh: vec![[false; PLACES]; count],
            counts: vec![HashMap::default(); count],
        }
    }

    #[inline]
    fn note(&mut self, n: usize, addr: Addr, flows: u64) {
        if let Some(sum) = self.places.get_mut(n).and_then(|p| p.get_mut(place(addr))) {
            *sum += flows;
        }
    }

    /// Chooses the places whose addresses are to be counted next; false if there are none.
    fn choose(&mut self) -> bool {
        let flags = self.chosen.iter_mut().zip(&mut self.fresh);
        let mut any = false;
        for ((places, counts), (chosen, fresh)) in self.places.iter().zip(&self.counts).zip(flags) {
            let least = counts.values().max().or(places.iter().max()).copied().unwrap_or(0);
            for ((sum, chosen), fresh) in places.iter().zip(chosen).zip(fresh) {
                *fresh = *sum >= least && !*chosen;
                *chosen |= *fresh;
                any |= *fresh;
            }
        }
        any
    }

    #[inline]
    fn count(&mut self, n: usize, addr: Addr, flows: u64) {
        let fresh = self.fresh.get(n).and_then(|f| f.get(place(addr)));
        if fresh == Some(&true)
            && let Some(counts) = self.counts.get_mut(n)
        {
            *counts.entry(addr).or_default() += flows;
        }
    }

    /// By interface the address that most records have.
    fn most(&self) -> impl Iterator<Item = (u32, Vec<Addr>)> {
        self.numbers.iter().filter_map(|(interface, n)| {
            let counts = self.counts.get(*n)?.iter();
            let (addr, _) = counts.max_by_key(|(a, n)| (**n, std::cmp::Reverse(**a)))?;
            Some((*interface, vec![*addr]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The twin: a sum for each address.
        #[test]
        fn the_address_of_most_records_is_found_without_a_sum_for_each(
            all in prop::collection::vec((0u32..3, 0u32..5000, 0u64..50), 1..3000),
            often in 0u32..5000,
        ) {
            let all: Vec<_> = all.iter().map(|(n, a, f)| (*n, if a % 3 == 0 { often } else { *a }, *f)).collect();
            let mut plain: BTreeMap<u32, BTreeMap<Addr, u64>> = BTreeMap::new();
            for (n, a, f) in &all {
                *plain.entry(*n).or_default().entry(Addr::v4(*a)).or_default() += f;
            }
            let mut met = Met::new(plain.keys().copied().collect());
            let numbers = met.numbers.clone();
            all.iter().for_each(|(n, a, f)| met.note(numbers[n], Addr::v4(*a), *f));
            for _ in 0..2 {
                if met.choose() {
                    all.iter().for_each(|(n, a, f)| met.count(numbers[n], Addr::v4(*a), *f));
                }
            }
            prop_assert!(!met.choose());
            let most = |counts: &BTreeMap<Addr, u64>| {
                let most = counts.iter().max_by_key(|(a, n)| (**n, std::cmp::Reverse(**a)));
                most.map(|(a, _)| vec![*a])
            };
            let wanted: BTreeMap<u32, Vec<Addr>> = plain.iter().filter_map(|(n, c)| Some((*n, most(c)?))).collect();
            prop_assert_eq!(met.most().collect::<BTreeMap<_, _>>(), wanted);
        }
    }
}
