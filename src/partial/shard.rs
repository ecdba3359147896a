//! `--shard I/N`: a choice of the files that every machine makes for itself from the same listing.
//!
//! The largest file goes to the shard that has the least so far, and so on. Files of one size stay together: copies of a
//! file have its size, and where they meet they are told and counted once.

use crate::error::{Error, Result};
use crate::input::{Archive, Sources};
use crate::partial::head::Part;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use xxhash_rust::xxh3::Xxh3;

/// The `number`-th of `of` shards, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

/// Reads `3/7`.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_shard(text: &str) -> std::result::Result<Shard, String> {
    let numbers = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((number, of)) if 1 <= number && number <= of => Ok(Shard { number, of }),
        _ => Err(format!("`{text}` is no shard: give I/N with I from 1 to N, like 3/7")),
    }
}

impl Shard {
    /// Keeps this shard's files; what could not be listed is told by the first shard alone. Returns what identifies the
    /// listing.
    pub fn keep(self, archive: &mut Archive) -> u128 {
        let listing = listing(&archive.sources);
        let mine = self.chosen(&archive.sources);
        let mut mine = mine.iter();
        archive.sources.retain(|_| mine.next() == Some(&true));
        if self.number != 1 {
            archive.skipped.clear();
            archive.failed.clear();
            archive.passed_over = crate::input::PassedOver::default();
        }
        listing
    }

    /// This shard as a part of a listing.
    pub fn part(self, listing: u128) -> Part {
        Part {
            listing,
            of: self.of,
            number: self.number,
        }
    }

    fn chosen(self, sources: &Sources) -> Vec<bool> {
        let mut by_size: BTreeMap<Reverse<u64>, Vec<usize>> = BTreeMap::new();
        for (n, size) in sources.sizes().enumerate() {
            by_size.entry(Reverse(size)).or_default().push(n);
        }
        let mut chosen = vec![false; sources.len()];
        let mut least: BinaryHeap<Reverse<(u64, u32)>> = (1..=self.of).map(|n| Reverse((0, n))).collect();
        let mut groups: Vec<(u64, Vec<usize>)> = by_size
            .into_iter()
            .map(|(Reverse(size), files)| ((size + OPENING).saturating_mul(files.len() as u64), files))
            .collect();
        groups.sort_by_key(|(weight, _)| Reverse(*weight));
        for (weight, files) in groups {
            let Some(Reverse((bytes, shard))) = least.pop() else {
                break;
            };
            least.push(Reverse((bytes.saturating_add(weight), shard)));
            for n in files.into_iter().filter(|_| shard == self.number) {
                if let Some(slot) = chosen.get_mut(n) {
                    *slot = true;
                }
            }
        }
        chosen
    }
}

/// Opening a file costs about as much as reading so many bytes.
const OPENING: u64 = 4 << 10;

/// What tells a listing from others: names and sizes in order.
fn listing(sources: &Sources) -> u128 {
    let mut hash = Xxh3::new();
    for source in sources {
        hash.update(source.name.as_bytes());
        hash.update(&[0xff]);
        hash.update(&source.size.to_le_bytes());
    }
    hash.digest128()
}

/// Says whether the parts of one listing are all there.
///
/// # Errors
/// `Usage`, naming a part that is missing, or saying that there are two listings.
pub(super) fn whole<'p>(parts: impl Iterator<Item = &'p Part>) -> Result<()> {
    let mut numbers: BTreeMap<(u128, u32), Vec<u32>> = BTreeMap::new();
    for part in parts {
        numbers.entry((part.listing, part.of)).or_default().push(part.number);
    }
    if numbers.len() > 1 {
        return Err(Error::usage(
            "these states are shards of different listings: files came or went between the shards (name the time with \
             --to), or one of the shards was made with other paths",
        ));
    }
    for ((_, of), have) in numbers {
        if let Some(missing) = (1..=of).find(|n| !have.contains(n)) {
            let text = format!("shard {missing}/{of} is missing: {} of {of} are there", have.len());
            return Err(Error::usage(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Source;

    fn sources() -> Sources {
        let size = |n: u64| if n.is_multiple_of(7) { 5_000 } else { n * n };
        let source = |n: u64| Source {
            name: format!("f{n:04}"),
            path: format!("f{n:04}").into(),
            size: size(n),
            object: None,
        };
        (0..400).map(source).collect()
    }

    #[test]
    fn shards_share_all_files_evenly_and_equal_sizes_stay_together() {
        let all = sources();
        for of in [1, 2, 7, 64] {
            let shards: Vec<Vec<bool>> = (1..=of).map(|number| Shard { number, of }.chosen(&all)).collect();
            for n in 0..all.len() {
                assert_eq!(shards.iter().filter(|s| s[n]).count(), 1, "file {n} of {of}");
            }
            let sevenths = shards.iter().filter(|s| s[7]);
            assert!(sevenths.into_iter().all(|s| (0..400).step_by(7).all(|n| s[n])));
            let bytes = |s: &Vec<bool>| all.sizes().zip(s).filter(|(_, c)| **c).map(|(f, _)| f).sum::<u64>();
            let most = shards.iter().map(bytes).max().unwrap();
            let total: u64 = all.sizes().sum();
            assert!(most <= total / u64::from(of) + 58 * 5_000 + 160_000, "{of}: {most}");
        }
    }

    #[test]
    fn a_missing_shard_and_another_listing_are_named() {
        let part = |listing, number| Part { listing, of: 3, number };
        assert!(whole([part(1, 1), part(1, 2), part(1, 3)].iter()).is_ok());
        let text = |parts: &[Part]| whole(parts.iter()).unwrap_err().to_string();
        assert!(text(&[part(1, 1), part(1, 3)]).contains("shard 2/3 is missing"));
        assert!(text(&[part(1, 1), part(2, 2)]).contains("different listings"));
        assert!(parse_shard("0/3").is_err() && parse_shard("4/3").is_err() && parse_shard("x").is_err());
    }
}
