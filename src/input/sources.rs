//! A hundred thousand files in little memory: a list of sources in packed blocks, in which a path says only what the one
//! before does not.
//!
//! In order of name, neighbours share their folders and most of their names, so a file costs three to thirteen bytes in place
//! of two texts. Every sixteenth stands whole, and whoever asks for one of them is given it as a [`Source`] of its own.

use crate::input::archive::{Source, os_text};
use crate::input::blocks::Blocks;
use crate::input::remote::{Buckets, Object};
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

/// A list of sources. A copy of it shares what it holds.
#[derive(Clone, Default)]
pub struct Sources(Arc<Packed>);

#[derive(Clone, Default)]
pub(super) struct Packed {
    /// Entries, [`BLOCK`] a block.
    blocks: Blocks,
    /// The last block, while it is not complete.
    open: Open,
    len: usize,
    buckets: Buckets,
}

/// A block to which entries are added: a table of where every [`STEP`]th stands, then the entries.
#[derive(Clone, Default)]
struct Open {
    bytes: Vec<u8>,
    /// The path of the last one.
    last: Vec<u8>,
}

/// From one entry that stands whole to the next.
const STEP: usize = 16;

/// Entries of a block: it is unpacked as a whole.
const BLOCK: usize = 256;

/// Length of its table.
const HEAD: usize = BLOCK / STEP * PLACE;

/// Bytes of a place in the table.
const PLACE: usize = 4;

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
        if number >= self.0.len {
            return None;
        }
        let mut cursor = Cursor::of(&self.0, number)?;
        for _ in 0..number % STEP {
            cursor.step(|_, _| Some(()))?;
        }
        cursor.source()
    }

    /// The first one.
    pub fn first(&self) -> Option<Source> {
        self.get(0)
    }

    /// All of them in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(Cursor::all(&self.0))
    }

    /// Their names, in their order.
    pub fn each_name(&self, mut each: impl FnMut(&str)) {
        let mut cursor = Cursor::all(&self.0);
        let mut name = |entry: &Entry<'_>, path: &[u8]| {
            let name = match entry.name {
                Name::Below(root) => path.get(root..).unwrap_or_default(),
                Name::Own(name) => name,
            };
            each(&text_of(name));
            Some(())
        };
        while cursor.next(&mut name).is_some() {}
    }

    /// Their sizes on disk in bytes, in their order.
    pub fn sizes(&self) -> impl Iterator<Item = u64> + '_ {
        let mut cursor = Cursor::all(&self.0);
        std::iter::from_fn(move || cursor.next(|entry, _| Some(entry.size)))
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
    pub(super) fn push(&mut self, source: &Source) {
        let bucket = source.object.as_ref().map(|o| self.buckets.number(o));
        self.open.push(source, self.len % BLOCK, bucket);
        self.len += 1;
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.put(self.len / BLOCK - 1, &self.open.bytes);
            self.open.bytes.clear();
        }
    }

    /// A block; `walks` says that the others are asked for too.
    fn block(&self, number: usize, walks: bool) -> Option<Block<'_>> {
        match number < self.len / BLOCK {
            true if walks => self.blocks.read(number).map(Block::Unpacked),
            true => self.blocks.get(number).map(Block::Unpacked),
            false => Some(Block::Open(&self.open.bytes)),
        }
    }

    pub(super) fn done(mut self) -> Sources {
        self.blocks.rest();
        Sources(Arc::new(self))
    }
}

impl Open {
    fn push(&mut self, source: &Source, place: usize, bucket: Option<u64>) {
        let path = source.path.as_os_str().as_encoded_bytes();
        if place == 0 {
            self.bytes.resize(HEAD, 0);
        }
        if place.is_multiple_of(STEP) {
            self.last.clear();
            let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
            let table = self.bytes.get_mut(place / STEP * PLACE..);
            table.into_iter().flatten().zip(at).for_each(|(to, byte)| *to = byte);
        }
        let both = self.last.iter().zip(path);
        let shared = both.take_while(|(a, b)| a == b).count();
        let (out, suffix) = (&mut self.bytes, path.get(shared..).unwrap_or_default());
        write_number(out, shared as u64);
        write_bytes(out, suffix);
        match path.strip_suffix(source.name.as_bytes()) {
            Some(root) => write_number(out, root.len() as u64 + 1),
            None => {
                write_number(out, 0);
                write_bytes(out, source.name.as_bytes());
            }
        }
        write_number(out, source.size);
        write_number(out, bucket.map_or(0, |n| n + 1));
        source.object.iter().for_each(|o| write_tag(out, o.mark()));
        self.last.truncate(shared);
        self.last.extend(suffix);
    }
}

/// A block's bytes.
enum Block<'s> {
    Unpacked(Arc<[u8]>),
    Open(&'s [u8]),
}

impl Deref for Block<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Block::Unpacked(bytes) => bytes,
            Block::Open(bytes) => bytes,
        }
    }
}

/// Where a reader of a list stands, and the path of the entry before.
struct Cursor<'s> {
    packed: &'s Packed,
    block: Block<'s>,
    /// In the block.
    at: usize,
    /// The number of the next entry.
    number: usize,
    path: Vec<u8>,
}

/// An entry without its path.
struct Entry<'b> {
    name: Name<'b>,
    size: u64,
    /// Number of its bucket, and its tag.
    object: Option<(u64, Tag<'b>)>,
}

/// A name as text. Most are plain, and the library is quicker to see that of a whole than to look for what is not.
fn text_of(name: &[u8]) -> Cow<'_, str> {
    str::from_utf8(name).map_or_else(|_| String::from_utf8_lossy(name), Cow::from)
}

enum Name<'b> {
    /// The path without so many bytes at its start.
    Below(usize),
    Own(&'b [u8]),
}

impl<'s> Cursor<'s> {
    /// Before the first entry.
    fn all(packed: &'s Packed) -> Self {
        Cursor {
            packed,
            block: Block::Open(&[]),
            at: 0,
            number: 0,
            path: Vec::new(),
        }
    }

    /// Before the entry that stands whole and is this one or comes shortly before it.
    fn of(packed: &'s Packed, number: usize) -> Option<Self> {
        let block = packed.block(number / BLOCK, false)?;
        let place = number % BLOCK / STEP * PLACE;
        let at: [u8; PLACE] = block.get(place..place + PLACE)?.try_into().ok()?;
        Some(Cursor {
            block,
            at: u32::from_le_bytes(at) as usize,
            ..Cursor::all(packed)
        })
    }

    /// Reads the next entry of the list.
    fn next<T>(&mut self, read: impl FnOnce(&Entry<'_>, &[u8]) -> Option<T>) -> Option<T> {
        if self.number >= self.packed.len {
            return None;
        }
        if self.number.is_multiple_of(BLOCK) {
            self.block = self.packed.block(self.number / BLOCK, true)?;
            self.at = HEAD;
        }
        self.number += 1;
        self.step(read)
    }

    /// Reads the next entry of the block.
    fn step<T>(&mut self, read: impl FnOnce(&Entry<'_>, &[u8]) -> Option<T>) -> Option<T> {
        let mut rest = self.block.get(self.at..)?;
        let entry = Entry::read(&mut rest, &mut self.path)?;
        self.at = self.block.len() - rest.len();
        read(&entry, &self.path)
    }

    fn source(&mut self) -> Option<Source> {
        let buckets = &self.packed.buckets;
        self.step(|entry, path| entry.source(path, buckets))
    }
}

impl<'b> Entry<'b> {
    /// Reads an entry; the path becomes its own.
    fn read(rest: &mut &'b [u8], path: &mut Vec<u8>) -> Option<Self> {
        path.truncate(usize::try_from(number(rest)?).ok()?);
        path.extend(bytes(rest)?);
        let name = match number(rest)? {
            0 => Name::Own(bytes(rest)?),
            n => Name::Below(usize::try_from(n - 1).ok()?),
        };
        let size = number(rest)?;
        let object = match number(rest)? {
            0 => None,
            n => Some((n - 1, tag(rest)?)),
        };
        Some(Entry { name, size, object })
    }

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
            name: text_of(name).into_owned(),
            path: PathBuf::from(OsString::from(&*os_text(path))),
            size: self.size,
            object,
        })
    }
}

/// The sources of a list, one after the other.
pub struct Iter<'s>(Cursor<'s>);

impl Iterator for Iter<'_> {
    type Item = Source;

    fn next(&mut self) -> Option<Source> {
        let buckets = &self.0.packed.buckets;
        self.0.next(|entry, path| entry.source(path, buckets))
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
        packed.done()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
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
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::input) fn source(name: &str, root: &str, size: u64) -> Source {
        Source {
            name: name.into(),
            path: format!("{root}{name}").into(),
            size,
            object: None,
        }
    }

    #[test]
    fn a_file_costs_some_thirteen_bytes() {
        let name = |n: u64| {
            format!(
                "AWSLogs/1/vpcflowlogs/us-east-1/2026/03/02/1_vpcflowlogs_us-east-1_fl-0ab_20260302T{n:04}Z_{:08x}.log.gz",
                n * 2_654_435_761 % 4_294_967_291
            )
        };
        let all: Sources = (0..10_000).map(|n| source(&name(n), "/data/archive/", n)).collect();
        let bytes = all.0.blocks.size();
        assert!(bytes < 14 * all.len(), "{bytes}");
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

    /// Names as a file system may hold them: of any bytes, one the start of another, empty.
    #[cfg(unix)]
    fn odd(bytes: &[u8], root: &str, size: u64) -> Source {
        let path = [root.as_bytes(), bytes].concat();
        Source {
            name: crate::net::printable(bytes),
            path: PathBuf::from(OsString::from(&*os_text(&path))),
            size,
            object: None,
        }
    }

    #[cfg(unix)]
    pub(in crate::input) fn names() -> impl Strategy<Value = Vec<Source>> {
        let byte = prop_oneof![4 => Just(b'a'), 1 => Just(b'/'), 1 => any::<u8>()];
        let name = (prop::collection::vec(byte, 0..9), "(|r/|r/s/)", 0u64..9_000_000_000);
        prop::collection::vec(name, 0..3 * BLOCK)
            .prop_map(|all| all.iter().map(|(name, root, size)| odd(name, root, *size)).collect())
    }

    #[cfg(unix)]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_packed_list_holds_what_a_plain_one_does(plain in names(), more in names(), asked in any::<prop::sample::Index>()) {
            let packed: Sources = plain.iter().cloned().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), plain.clone());
            for (n, one) in plain.iter().enumerate().rev() {
                prop_assert_eq!(packed.get(n), Some(one.clone()));
            }
            prop_assert_eq!(packed.get(plain.len()), None);
            prop_assert!(packed.sizes().eq(plain.iter().map(|s| s.size)));
            let (mut longer, mut all) = (packed.clone(), plain.clone());
            more.iter().for_each(|s| longer.push(s));
            all.extend(more);
            prop_assert_eq!((packed.len(), longer.len()), (plain.len(), all.len()));
            if !all.is_empty() {
                let n = asked.index(all.len());
                prop_assert_eq!(longer.get(n), all.get(n).cloned());
            }
            longer.retain(|s| s.size % 2 == 0);
            all.retain(|s| s.size % 2 == 0);
            prop_assert_eq!(longer.iter().collect::<Vec<_>>(), all);
        }
    }
}
