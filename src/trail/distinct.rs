//! How many different objects: exact up to a bound, an estimate beyond, the same whatever the order.
//!
//! The K smallest hashes of everything seen are kept (K minimum values, Bar-Yossef et al. 2002): union and truncation
//! commute, so merging in any order ends in the same set. With K = 16,384 the estimate's standard error is 0.8 %.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::store::{Reader, Writer};

/// Up to this many the count is exact.
pub const EXACT_UP_TO: usize = 16_384;

/// A set of hashes of things seen.
#[derive(Debug, Clone, Default)]
pub struct Distinct {
    /// Hashes; sorted and without copies after [`Distinct::settle`].
    hashes: Vec<u64>,
    /// True if something larger than what is kept was dropped.
    full: bool,
    /// How many leading hashes are settled.
    settled: usize,
}

/// A number of different things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Count {
    /// The number.
    pub number: u64,
    /// False if it is an estimate.
    pub exact: bool,
}

impl Distinct {
    /// Adds one thing.
    pub fn add(&mut self, thing: &[u8]) {
        self.push(xxh3_64(thing));
    }

    /// Adds everything that another set has seen.
    pub fn merge(&mut self, other: &Distinct) {
        self.full |= other.full;
        for hash in &other.hashes {
            self.push(*hash);
        }
    }

    /// How many different things were seen.
    pub fn count(&self) -> Count {
        let mut own = self.clone();
        own.settle();
        match own.hashes.last() {
            Some(largest) if own.full => Count {
                number: estimate(own.hashes.len(), *largest),
                exact: false,
            },
            _ => Count {
                number: own.hashes.len() as u64,
                exact: true,
            },
        }
    }

    /// True if nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether an object was seen; nothing where only an estimate is left that does not tell.
    pub fn holds_object(&self, bucket: &str, key: &str) -> Option<bool> {
        // As `TrailArchive` names objects: the bucket, a byte that no text has, the key.
        let hash = xxh3_64(&[bucket.as_bytes(), &[0xff], key.as_bytes()].concat());
        let found = match self.settled == self.hashes.len() {
            true => self.hashes.binary_search(&hash).is_ok(),
            false => self.hashes.contains(&hash),
        };
        let beyond = self.full && self.hashes.last().is_some_and(|largest| hash > *largest);
        (found || !beyond).then_some(found)
    }

    /// Writes it, settled.
    pub(super) fn encode(&self, w: &mut Writer) {
        let mut own = self.clone();
        own.settle();
        w.number((own.hashes.len() as u64) << 1 | u64::from(own.full));
        let mut before = 0;
        for hash in own.hashes {
            w.number(hash - before);
            before = hash;
        }
    }

    /// Reads what [`Distinct::encode`] wrote.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let n = r.number()?;
        let mut out = Distinct {
            full: n & 1 == 1,
            ..Distinct::default()
        };
        let mut hash = 0u64;
        for _ in 0..n >> 1 {
            hash = hash.wrapping_add(r.number()?);
            out.hashes.push(hash);
        }
        out.settle();
        Ok(out)
    }

    fn push(&mut self, hash: u64) {
        // Larger than all that are kept of a full set: it would be dropped by the next settling.
        let beyond = || self.hashes.get(EXACT_UP_TO - 1).is_some_and(|largest| hash > *largest);
        if self.settled == EXACT_UP_TO && beyond() {
            self.full = true;
            return;
        }
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
        if self.hashes.len() >= (2 * self.settled).clamp(64, 2 * EXACT_UP_TO) {
            self.settle();
        }
    }

    /// Brings the set into its one canonical form.
    pub(super) fn settle(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.full |= self.hashes.len() > EXACT_UP_TO;
        self.hashes.truncate(EXACT_UP_TO);
        self.settled = self.hashes.len();
    }
}

/// The K-th smallest of n random numbers stands near K/n of the range.
fn estimate(kept: usize, largest: u64) -> u64 {
    let share = (largest as f64 + 1.0) / 2f64.powi(64);
    ((kept as f64 - 1.0) / share).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u32>) -> Distinct {
        let mut d = Distinct::default();
        range.for_each(|n| d.add(&n.to_le_bytes()));
        d
    }

    #[test]
    fn exact_to_the_bound_and_close_beyond() {
        assert_eq!(
            of(0..12_847).count(),
            Count {
                number: 12_847,
                exact: true
            }
        );
        let many = of(0..200_000).count();
        assert!(!many.exact && many.number.abs_diff(200_000) < 6_000, "{many:?}");
    }

    #[test]
    fn any_split_and_order_gives_the_same() {
        let whole = of(0..50_000).count();
        let mut backwards = of(20_000..50_000);
        backwards.merge(&of(0..30_000));
        backwards.merge(&of(10_000..11_000));
        assert_eq!(backwards.count(), whole);
    }
}
