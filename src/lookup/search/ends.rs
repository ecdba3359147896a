//! Who exchanged how much with whom, and nothing else: what one step further asks of interfaces that are busier than most.
//!
//! Both ways between two ends are one entry, which holds no more than two numbers a way, and workers' tables are not merged
//! but read one after the other: nobody who reads them cares in how many pieces a sum comes.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Side;
use crate::flow::ask_for;
use crate::net::{Addr, Seconds};

/// What several pairs of ends have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Common {
    /// Index of the target.
    pub target: u32,
    /// Index into [`Found::interfaces`](super::Found::interfaces).
    pub interface: u32,
    /// Start of the day.
    pub day: Seconds,
    /// True if the records say which end is the interface's: then it is the first of each pair.
    pub directed: bool,
    /// False for REJECT.
    pub accepted: bool,
    /// Flow log subscription, as a number that means something inside one archive.
    pub log: u16,
    /// True if another flow log of the same interface counts on that day: not to be added.
    pub twice: bool,
}

/// Bytes and flows that the first end sent, and the second.
pub type Ways = [(u128, u64); 2];

/// One worker's sums.
#[derive(Debug, Default)]
pub struct Ends {
    commons: Vec<Common>,
    numbers: HashMap<Common, u32, RandomState>,
    /// The one met last.
    last: u32,
    lean: Table,
    wide: HashMap<Pair<Addr>, Lean, RandomState>,
    /// Sums that would not have fitted with one more.
    full: Vec<(Pair<Addr>, Ways)>,
    /// What was met last, and is not in a table yet: mostly the other way follows.
    open: Option<(Pair<Addr>, Lean)>,
}

/// Two ends, and the number of what they have in common with others.
type Pair<A> = (u32, A, A);
/// As [`Ways`], for a table.
type Lean = [(u64, u64); 2];

/// Pairs of IPv4 addresses. There are many more than a cache holds, so where they stand is asked for some time before.
#[derive(Debug, Default)]
struct Table {
    slots: Vec<(Pair<u32>, Lean)>,
    used: usize,
    hash: RandomState,
    waiting: Vec<(Pair<u32>, Lean, usize)>,
}

/// No number of what pairs have in common: a free slot.
const FREE: u32 = u32::MAX;
/// Pairs that wait for their slots together.
const WAITING: usize = 32;

impl Ends {
    /// Adds what `src` sent to `dst`; `side` tells which of them is the interface's.
    #[inline]
    pub(super) fn add(&mut self, common: Common, (src, dst): (Addr, Addr), side: Side, (bytes, flows): (u128, u64)) {
        let turned = side == Side::To || side == Side::Open && src > dst;
        let (first, second) = if turned { (dst, src) } else { (src, dst) };
        let pair = (self.number(common), first, second);
        let Ok(bytes) = u64::try_from(bytes) else {
            let mut ways = Ways::default();
            ways[usize::from(turned)] = (bytes, flows);
            return self.full.push((pair, ways));
        };
        if self.open.as_ref().is_none_or(|(open, _)| *open != pair) {
            self.close();
        }
        let (_, ways) = self.open.get_or_insert((pair, Lean::default()));
        let mut one = Lean::default();
        one[usize::from(turned)] = (bytes, flows);
        keep(ways, one, || pair, &mut self.full);
    }

    #[inline]
    fn number(&mut self, common: Common) -> u32 {
        if self.commons.get(self.last as usize) != Some(&common) {
            let next = self.commons.len() as u32;
            self.last = *self.numbers.entry(common).or_insert(next);
            if self.last == next {
                self.commons.push(common);
            }
        }
        self.last
    }

    fn close(&mut self) {
        let Some((pair, ways)) = self.open.take() else { return };
        let (common, first, second) = pair;
        match (first.as_v4(), second.as_v4()) {
            (Some(a), Some(b)) => self.lean.add((common, a, b), ways, &mut self.full),
            _ => keep(self.wide.entry(pair).or_default(), ways, || pair, &mut self.full),
        }
    }

    /// Gives interfaces other numbers.
    pub(super) fn renumber(&mut self, place: impl Fn(u32) -> u32) {
        self.close();
        self.lean.settle(&mut self.full);
        self.numbers.clear();
        for common in &mut self.commons {
            common.interface = place(common.interface);
        }
    }

    /// Hands out everything, in no order; a pair may come more than once.
    pub fn each(&self, mut to: impl FnMut(u32, (Addr, Addr), Ways)) {
        let wide = |[(a, m), (b, n)]: Lean| [(a.into(), m), (b.into(), n)];
        let lean = self.lean.slots.iter().map(|(p, w)| (*p, *w));
        let waiting = self.lean.waiting.iter().map(|(p, w, _)| (*p, *w));
        for ((common, a, b), ways) in lean.chain(waiting) {
            if common != FREE {
                to(common, (Addr::v4(a), Addr::v4(b)), wide(ways));
            }
        }
        for ((common, a, b), ways) in self.wide.iter().chain(self.open.as_ref().map(|(p, w)| (p, w))) {
            to(*common, (*a, *b), wide(*ways));
        }
        for ((common, a, b), ways) in &self.full {
            to(*common, (*a, *b), *ways);
        }
    }

    /// What pairs have in common, by its number.
    pub fn commons(&self) -> &[Common] {
        &self.commons
    }
}

impl Table {
    #[inline]
    fn add(&mut self, pair: Pair<u32>, ways: Lean, full: &mut Vec<(Pair<Addr>, Ways)>) {
        let hash = self.hash.hash_one(pair) as usize;
        if let Some(slot) = self.slots.get(hash & (self.slots.len().wrapping_sub(1))) {
            ask_for(slot);
        }
        self.waiting.push((pair, ways, hash));
        if self.waiting.len() >= WAITING {
            self.settle(full);
        }
    }

    /// Adds what waits.
    fn settle(&mut self, full: &mut Vec<(Pair<Addr>, Ways)>) {
        // At least two of five slots stay free, so that a search ends, and soon.
        while (self.used + self.waiting.len()) * 5 > self.slots.len() * 3 {
            self.grow();
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for (pair, ways, hash) in waiting.drain(..) {
            if let Some(held) = self.slot(pair, hash) {
                let (common, a, b) = pair;
                keep(held, ways, || (common, Addr::v4(a), Addr::v4(b)), full);
            }
        }
        self.waiting = waiting;
    }

    /// The sums of a pair; there is room for it.
    #[inline]
    fn slot(&mut self, pair: Pair<u32>, hash: usize) -> Option<&mut Lean> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash & mask;
        while self.slots.get(at)?.0 != pair {
            if self.slots.get(at)?.0.0 == FREE {
                self.used += 1;
                self.slots.get_mut(at)?.0 = pair;
                break;
            }
            at = (at + 1) & mask;
        }
        self.slots.get_mut(at).map(|slot| &mut slot.1)
    }

    fn grow(&mut self) {
        let free = ((FREE, 0, 0), Lean::default());
        let size = (self.slots.len() * 2).max(1 << 10);
        let before = std::mem::replace(&mut self.slots, vec![free; size]);
        self.used = 0;
        for (pair, ways) in before {
            if pair.0 != FREE {
                let hash = self.hash.hash_one(pair) as usize;
                if let Some(held) = self.slot(pair, hash) {
                    *held = ways;
                }
            }
        }
    }
}

/// Adds to a sum; where it would not fit, what it was is put aside.
#[inline]
fn keep(held: &mut Lean, more: Lean, pair: impl FnOnce() -> Pair<Addr>, full: &mut Vec<(Pair<Addr>, Ways)>) {
    let sum = |a: (u64, u64), b: (u64, u64)| Some((a.0.checked_add(b.0)?, a.1.checked_add(b.1)?));
    let [out, back] = *held;
    *held = match (sum(out, more[0]), sum(back, more[1])) {
        (Some(out), Some(back)) => [out, back],
        _ => {
            full.push((pair(), held.map(|(bytes, flows)| (bytes.into(), flows))));
            more
        }
    };
}

/// Several flow logs on one interface: on every day the one with the most bytes counts, the others are marked.
pub(super) fn one_log_each(all: &mut [Ends]) {
    let mut logs = all.iter().flat_map(|e| &e.commons).map(|c| c.log);
    let first = logs.next();
    if logs.all(|l| Some(l) == first) {
        return;
    }
    let mut sums: BTreeMap<(u32, Seconds), BTreeMap<u16, (u128, u64)>> = BTreeMap::new();
    for ends in &*all {
        ends.each(|common, _, ways| {
            let Some(c) = ends.commons.get(common as usize) else {
                return;
            };
            let sum = sums.entry((c.interface, c.day)).or_default().entry(c.log).or_default();
            for (bytes, flows) in ways {
                *sum = (sum.0 + bytes, sum.1 + flows);
            }
        });
    }
    for common in all.iter_mut().flat_map(|e| &mut e.commons) {
        let logs = sums.get(&(common.interface, common.day));
        let most = logs.and_then(|l| l.iter().max_by_key(|(log, sum)| (**sum, std::cmp::Reverse(**log))));
        common.twice = most.is_some_and(|(log, _)| *log != common.log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn common(n: u32) -> Common {
        Common {
            target: 0,
            interface: n % 3,
            day: 0,
            directed: n.is_multiple_of(2),
            accepted: n < 4,
            log: 0,
            twice: false,
        }
    }

    /// What an end sent to another, by what they have in common.
    type Plain = BTreeMap<(Common, Addr, Addr), (u128, u64)>;

    fn read(all: &[Ends]) -> Plain {
        let mut sums = Plain::new();
        for ends in all {
            ends.each(|n, (a, b), ways| {
                for ((src, dst), (bytes, flows)) in [(a, b), (b, a)].into_iter().zip(ways) {
                    if flows > 0 {
                        let sum = sums.entry((ends.commons()[n as usize], src, dst)).or_default();
                        *sum = (sum.0 + bytes, sum.1 + flows);
                    }
                }
            });
        }
        sums
    }

    fn addr(n: u32) -> Addr {
        if n % 9 == 8 {
            Addr(u128::from(n) << 70)
        } else {
            Addr::v4(n * 7)
        }
    }

    proptest! {
        /// The twin: one plain map, whatever the workers, the sizes and the order.
        #[test]
        fn no_exchange_is_lost_or_counted_twice(
            all in prop::collection::vec((0u32..6, 0u32..600, 0u32..3, any::<bool>(), prop_oneof![4 => 0u64..99, 1 => Just(u64::MAX)]), 0..4000),
        ) {
            let mut plain = Plain::new();
            let mut workers = [Ends::default(), Ends::default()];
            for (i, (n, far, near, sent, bytes)) in all.iter().enumerate() {
                let (near, far) = (addr(700 + near), addr(*far));
                let (src, dst) = if *sent { (near, far) } else { (far, near) };
                let common = common(*n);
                let side = match (common.directed, sent) {
                    (false, _) => Side::Open,
                    (true, true) => Side::From,
                    (true, false) => Side::To,
                };
                let sum = plain.entry((common, src, dst)).or_default();
                *sum = (sum.0 + u128::from(*bytes), sum.1 + 1);
                workers[i % 7 % 2].add(common, (src, dst), side, ((*bytes).into(), 1));
            }
            prop_assert_eq!(&read(&workers), &plain);
            workers.iter_mut().for_each(|w| w.renumber(|n| n));
            prop_assert_eq!(&read(&workers), &plain);
        }
    }
}
