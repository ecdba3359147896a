//! A hundred thousand files in little memory: a list of sources in which each path says only what the one before does not.
//!
//! In order of name, neighbours share their folders and most of their names, so a file costs some twenty bytes in place of
//! two texts. Every sixteenth stands whole, and whoever asks for one of them is given it as a [`Source`] of its own. Lists
//! are sorted a few thousand files at a time (`Gathering`), since all of them side by side would be the peak of a run.

use crate::input::archive::{Source, os_text};
use crate::input::remote::{Buckets, Object};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A list of sources. A copy of it shares what it holds.
#[derive(Clone, Default)]
pub struct Sources(Arc<Packed>);

#[derive(Clone, Default)]
struct Packed {
    /// The entries, one behind the other.
    bytes: Vec<u8>,
    /// Where every [`STEP`]th of them starts.
    starts: Vec<u64>,
    len: usize,
    /// The path of the last one.
    last: Vec<u8>,
    buckets: Buckets,
}

/// From one entry that stands whole to the next.
const STEP: usize = 16;

impl Sources {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The source with this number.
    pub fn get(&self, number: usize) -> Option<Source> {
        let start = *self.0.starts.get(number / STEP)?;
        let mut cursor = Cursor::at(usize::try_from(start).ok()?);
        for _ in 0..number % STEP {
            cursor.next(&self.0)?;
        }
        let entry = cursor.next(&self.0)?;
        entry.source(&cursor.path, &self.0.buckets)
    }

    /// The first one.
    pub fn first(&self) -> Option<Source> {
        self.get(0)
    }

    /// All of them in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            packed: &self.0,
            cursor: Cursor::at(0),
        }
    }

    /// Their sizes on disk in bytes, in their order.
    pub fn sizes(&self) -> impl Iterator<Item = u64> + '_ {
        let mut cursor = Cursor::at(0);
        std::iter::from_fn(move || Some(cursor.next(&self.0)?.size))
    }

    /// True if some are objects on S3.
    pub fn has_objects(&self) -> bool {
        !self.0.buckets.is_empty()
    }

    /// Adds one at the end.
    pub fn push(&mut self, source: &Source) {
        Arc::make_mut(&mut self.0).push(source);
    }

    /// Leaves only those that `keep` wants, asked in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Source) -> bool) {
        *self = self.iter().filter(|s| keep(s)).collect();
    }
}

impl Packed {
    fn push(&mut self, source: &Source) {
        let path = source.path.as_os_str().as_encoded_bytes();
        if self.len.is_multiple_of(STEP) {
            self.starts.push(self.bytes.len() as u64);
            self.last.clear();
        }
        let both = self.last.iter().zip(path);
        let shared = both.take_while(|(a, b)| a == b).count();
        write_number(&mut self.bytes, shared as u64);
        write_bytes(&mut self.bytes, path.get(shared..).unwrap_or_default());
        match path.strip_suffix(source.name.as_bytes()) {
            Some(root) => write_number(&mut self.bytes, root.len() as u64 + 1),
            None => {
                write_number(&mut self.bytes, 0);
                write_bytes(&mut self.bytes, source.name.as_bytes());
            }
        }
        write_number(&mut self.bytes, source.size);
        match &source.object {
            None => write_number(&mut self.bytes, 0),
            Some(object) => {
                write_number(&mut self.bytes, self.buckets.number(object) + 1);
                write_tag(&mut self.bytes, object.tag());
            }
        }
        self.last.truncate(shared);
        self.last.extend(path.get(shared..).unwrap_or_default());
        self.len += 1;
    }
}

/// Where a reader of a list stands, and the path of the entry before.
struct Cursor {
    at: usize,
    path: Vec<u8>,
}

/// An entry without its path.
struct Entry<'s> {
    name: Name<'s>,
    size: u64,
    /// Number of its bucket, and its tag.
    object: Option<(u64, Tag<'s>)>,
}

enum Name<'s> {
    /// The path without so many bytes at its start.
    Below(usize),
    Own(&'s [u8]),
}

impl Cursor {
    fn at(at: usize) -> Self {
        Cursor { at, path: Vec::new() }
    }

    /// Reads an entry; its path is the cursor's then.
    fn next<'s>(&mut self, packed: &'s Packed) -> Option<Entry<'s>> {
        let all = packed.bytes.get(self.at..).filter(|b| !b.is_empty())?;
        let mut rest = all;
        let shared = usize::try_from(number(&mut rest)?).ok()?;
        self.path.truncate(shared);
        self.path.extend(bytes(&mut rest)?);
        let name = match number(&mut rest)? {
            0 => Name::Own(bytes(&mut rest)?),
            n => Name::Below(usize::try_from(n - 1).ok()?),
        };
        let size = number(&mut rest)?;
        let object = match number(&mut rest)? {
            0 => None,
            n => Some((n - 1, tag(&mut rest)?)),
        };
        self.at += all.len() - rest.len();
        Some(Entry { name, size, object })
    }
}

impl Entry<'_> {
    fn source(&self, path: &[u8], buckets: &Buckets) -> Option<Source> {
        let name = match self.name {
            Name::Below(root) => path.get(root..)?,
            Name::Own(name) => name,
        };
        let object = match &self.object {
            None => None,
            Some((bucket, tag)) => Some(Object::again(buckets, *bucket, path, self.size, &tag.text())?),
        };
        Some(Source {
            name: String::from_utf8_lossy(name).into_owned(),
            path: PathBuf::from(OsString::from(&*os_text(path))),
            size: self.size,
            object,
        })
    }
}

/// The sources of a list, one after the other.
pub struct Iter<'s> {
    packed: &'s Packed,
    cursor: Cursor,
}

impl Iterator for Iter<'_> {
    type Item = Source;

    fn next(&mut self) -> Option<Source> {
        let entry = self.cursor.next(self.packed)?;
        entry.source(&self.cursor.path, &self.packed.buckets)
    }
}

impl<'s> IntoIterator for &'s Sources {
    type Item = Source;
    type IntoIter = Iter<'s>;

    fn into_iter(self) -> Iter<'s> {
        self.iter()
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        let mut packed = Packed::default();
        sources.into_iter().for_each(|s| packed.push(&s));
        Sources(Arc::new(packed))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Sources as they are found, to be sorted.
#[derive(Debug, Default)]
pub(in crate::input) struct Gathering {
    fresh: Vec<Source>,
    /// Sorted, each of them.
    runs: Vec<Sources>,
}

/// Sources that are sorted at a time.
const RUN: usize = 4_096;

impl Gathering {
    /// Adds one.
    pub(in crate::input) fn push(&mut self, source: Source) {
        self.fresh.push(source);
        if self.fresh.len() >= RUN {
            self.settle();
        }
    }

    /// Adds what was found elsewhere.
    #[cfg(feature = "s3")]
    pub(in crate::input) fn append(&mut self, mut other: Gathering) {
        other.settle();
        self.runs.append(&mut other.runs);
    }

    fn settle(&mut self) {
        self.fresh.sort();
        if !self.fresh.is_empty() {
            self.runs.push(self.fresh.drain(..).collect());
        }
    }

    /// All of them sorted, each path once.
    pub(in crate::input) fn finish(mut self) -> Sources {
        self.settle();
        let mut runs: Vec<Iter<'_>> = self.runs.iter().map(Sources::iter).collect();
        let firsts = runs
            .iter_mut()
            .enumerate()
            .filter_map(|(n, r)| Some(Reverse((r.next()?, n))));
        let mut heads: BinaryHeap<Reverse<(Source, usize)>> = firsts.collect();
        let mut all = Packed::default();
        // Room for all at once: a list that grew would be copied each time. What is not used costs nothing.
        let room = self.runs.iter().map(|r| r.0.bytes.len()).sum::<usize>();
        all.bytes.reserve_exact(room + room / 4);
        let mut before: Option<PathBuf> = None;
        while let Some(Reverse((source, n))) = heads.pop() {
            let next = runs.get_mut(n).and_then(Iterator::next);
            heads.extend(next.map(|s| Reverse((s, n))));
            if before.as_ref().is_none_or(|b| b.as_os_str() != source.path.as_os_str()) {
                all.push(&source);
                before = Some(source.path);
            }
        }
        Sources(Arc::new(all))
    }
}

/// What tells one content of an object from another: most are 32 hexadecimal digits between quotes.
enum Tag<'s> {
    Digits(&'s [u8]),
    Text(&'s [u8]),
}

impl Tag<'_> {
    fn text(&self) -> String {
        match self {
            Tag::Digits(bytes) => {
                let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                format!("\"{digits}\"")
            }
            Tag::Text(text) => String::from_utf8_lossy(text).into_owned(),
        }
    }
}

fn write_tag(out: &mut Vec<u8>, tag: &str) {
    match digits(tag) {
        Some(bytes) => {
            write_number(out, 0);
            write_bytes(out, &bytes);
        }
        None => {
            write_number(out, 1);
            write_bytes(out, tag.as_bytes());
        }
    }
}

fn tag<'s>(from: &mut &'s [u8]) -> Option<Tag<'s>> {
    match number(from)? {
        0 => Some(Tag::Digits(bytes(from)?)),
        _ => Some(Tag::Text(bytes(from)?)),
    }
}

/// The 16 bytes of `"32 digits"`, if they are written as [`Tag::text`] does.
fn digits(tag: &str) -> Option<Vec<u8>> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let value = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pair = |p: &[u8]| Some(value(*p.first()?)? << 4 | value(*p.get(1)?)?);
    (text.len() == 32).then(|| text.chunks(2).map(pair).collect())?
}

fn write_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for place in 0..10 {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        n |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

fn bytes<'s>(from: &mut &'s [u8]) -> Option<&'s [u8]> {
    let length = usize::try_from(number(from)?).ok()?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(name: &str, root: &str, size: u64) -> Source {
        Source {
            name: name.into(),
            path: format!("{root}{name}").into(),
            size,
            object: None,
        }
    }

    #[test]
    fn a_file_costs_some_twenty_bytes() {
        let name = |n: u64| {
            format!(
                "AWSLogs/1/vpcflowlogs/us-east-1/2026/03/02/1_vpcflowlogs_us-east-1_fl-0ab_20260302T{n:04}Z_{:08x}.log.gz",
                n * 2_654_435_761 % 4_294_967_291
            )
        };
        let all: Sources = (0..10_000).map(|n| source(&name(n), "/data/archive/", n)).collect();
        let bytes = all.0.bytes.len() + 8 * all.0.starts.len();
        assert!(bytes < 40 * all.len(), "{bytes}");
        assert_eq!(all.get(9_999).unwrap().name, name(9_999));
    }

    #[test]
    fn names_that_are_no_end_of_their_path_are_kept() {
        let mut odd = source("a\\u{1b}.log", "", 1);
        odd.path = "a\u{1b}.log".into();
        let all: Sources = [odd.clone(), source("b", "", 0)].into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), [odd, source("b", "", 0)]);
        assert_eq!(all.get(2), None);
    }

    #[test]
    fn tags_come_back_as_they_were() {
        let mut out = Vec::new();
        let tags = [
            "\"0123456789abcdef0123456789abcdef\"",
            "\"0123456789ABCDEF0123456789abcdef\"",
            "\"x-2\"",
            "",
        ];
        tags.iter().for_each(|t| write_tag(&mut out, t));
        let mut from = out.as_slice();
        for expected in tags {
            assert_eq!(tag(&mut from).unwrap().text(), expected);
        }
    }

    proptest! {
        #[test]
        fn a_packed_list_holds_what_a_plain_one_does(names in prop::collection::vec(("[ab/é]{0,6}", "r?/", 0u64..9_000_000_000), 0..80)) {
            let plain: Vec<Source> = names.iter().map(|(n, root, size)| source(n, root, *size)).collect();
            let packed: Sources = plain.iter().cloned().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), plain.clone());
            for (n, one) in plain.iter().enumerate() {
                prop_assert_eq!(packed.get(n), Some(one.clone()));
            }
            prop_assert!(packed.sizes().eq(plain.iter().map(|s| s.size)));
        }

        #[test]
        fn runs_are_merged_as_one_sort_would(names in prop::collection::vec("[ab]{0,3}", 0..60), cut in 1usize..9) {
            let mut plain: Vec<Source> = names.iter().map(|n| source(n, "x/", n.len() as u64)).collect();
            let mut gathering = Gathering::default();
            for (n, s) in plain.iter().enumerate() {
                gathering.push(s.clone());
                if n % cut == 0 {
                    gathering.settle();
                }
            }
            plain.sort();
            plain.dedup_by(|a, b| a.path.as_os_str() == b.path.as_os_str());
            prop_assert_eq!(gathering.finish().iter().collect::<Vec<_>>(), plain);
        }
    }
}
