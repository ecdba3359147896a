//! Headers of pages, in Thrift's compact protocol.
//!
//! Sources: apache/parquet-format:src/main/thrift/parquet.thrift (`PageHeader`) and apache/thrift:doc/specs/
//! thrift-compact-protocol.md. Only what reading needs is kept; statistics and whatever is not known are passed over. The
//! parquet crate keeps its reader of headers to itself, and is its twin in the tests.

/// What stands before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes of the page, once it is unpacked.
    pub(crate) unpacked: usize,
    /// Bytes of the page, as it stands in the file.
    pub(crate) packed: usize,
    /// CRC-32 of the page as it stands in the file.
    pub(crate) crc: Option<u32>,
    /// Values of the page, absent ones with them.
    pub(crate) values: u32,
    /// `Encoding` by its number.
    pub(crate) encoding: i32,
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The values that codes stand for.
    Dictionary,
    /// Levels, each part with its length, and values; the encoding of the definition levels.
    Data { levels: i32 },
    /// Levels as they are, of so many bytes each, and values that may be packed.
    Data2 {
        repetition: usize,
        definition: usize,
        is_packed: bool,
    },
    /// Nothing that a reader needs.
    Other,
}

/// The header at the start of `data`, and its length; `None` if there is none.
pub(crate) fn read(data: &[u8]) -> Option<(Header, usize)> {
    let mut compact = Compact { data, at: 0 };
    let mut raw = Raw::default();
    compact.fields(&mut |c, id, kind| match (id, kind) {
        (1, I32) => c.i32(&mut raw.kind),
        (2, I32) => c.i32(&mut raw.unpacked),
        (3, I32) => c.i32(&mut raw.packed),
        (4, I32) => c.i32(&mut raw.crc),
        (5, STRUCT) => c.numbers(raw.data.get_or_insert_default()),
        (7, STRUCT) => c.numbers(raw.dictionary.get_or_insert_default()),
        (8, STRUCT) => c.numbers(raw.data2.get_or_insert_default()),
        _ => c.pass(kind, 0),
    })?;
    Some((raw.header()?, compact.at))
}

/// Numbers of a struct by their field, from 1 on.
type Numbers = [Option<i32>; 9];

#[derive(Default)]
struct Raw {
    kind: Option<i32>,
    unpacked: Option<i32>,
    packed: Option<i32>,
    crc: Option<i32>,
    data: Option<Numbers>,
    dictionary: Option<Numbers>,
    data2: Option<Numbers>,
}

impl Raw {
    fn header(&self) -> Option<Header> {
        let size = |n: Option<i32>| usize::try_from(n?).ok();
        let (kind, values, encoding) = match self.kind? {
            0 => {
                let [_, values, encoding, levels, ..] = self.data?;
                (Kind::Data { levels: levels? }, values, encoding)
            }
            1 => (Kind::Other, Some(0), Some(0)),
            2 => {
                let [_, values, encoding, ..] = self.dictionary?;
                (Kind::Dictionary, values, encoding)
            }
            3 => {
                let [_, values, _, _, encoding, definition, repetition, is_packed, _] = self.data2?;
                let kind = Kind::Data2 {
                    repetition: size(repetition)?,
                    definition: size(definition)?,
                    // Where it is not said, it is.
                    is_packed: is_packed != Some(0),
                };
                (kind, values, encoding)
            }
            _ => return None,
        };
        Some(Header {
            kind,
            unpacked: size(self.unpacked)?,
            packed: size(self.packed)?,
            crc: self.crc.map(i32::cast_unsigned),
            values: u32::try_from(values?).ok()?,
            encoding: encoding?,
        })
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
/// Structs stand in each other no deeper than this.
const DEEPEST: u32 = 8;

struct Compact<'b> {
    data: &'b [u8],
    at: usize,
}

impl Compact<'_> {
    /// Hands each field of a struct to `take`, with its number and type; it is to read the value.
    fn fields(&mut self, take: &mut dyn FnMut(&mut Self, i16, u8) -> Option<()>) -> Option<()> {
        let mut id = 0i16;
        loop {
            let byte = self.byte()?;
            let (step, kind) = (i16::from(byte >> 4), byte & 0xf);
            if kind == 0 {
                return Some(());
            }
            id = match step {
                0 => i16::try_from(self.zigzag()?).ok()?,
                step => id.checked_add(step)?,
            };
            take(self, id, kind)?;
        }
    }

    /// The whole numbers and truth values of a struct.
    fn numbers(&mut self, into: &mut Numbers) -> Option<()> {
        self.fields(&mut |c, id, kind| {
            let slot = usize::try_from(id).ok().and_then(|id| into.get_mut(id));
            match (kind, slot) {
                (I32, Some(slot)) => c.i32(slot),
                (TRUE | FALSE, Some(slot)) => {
                    *slot = Some(i32::from(kind == TRUE));
                    Some(())
                }
                _ => c.pass(kind, 1),
            }
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let n = self.varint()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn i32(&mut self, into: &mut Option<i32>) -> Option<()> {
        *into = Some(i32::try_from(self.zigzag()?).ok()?);
        Some(())
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        (end <= self.data.len()).then(|| self.at = end)
    }

    /// Passes over a value. Each element of a collection takes a byte at least, so that no stated number goes beyond the
    /// data.
    fn pass(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            _ if depth > DEEPEST => None,
            TRUE | FALSE => Some(()),
            BYTE => self.bytes(1),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.bytes(8),
            BINARY => self.varint().and_then(|n| self.bytes(n)),
            LIST | SET => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.varint()?,
                    few => few.into(),
                };
                (0..count).try_for_each(|_| self.pass_element(byte & 0xf, depth))
            }
            MAP => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.pass_element(kinds >> 4, depth)?;
                    self.pass_element(kinds & 0xf, depth)
                })
            }
            STRUCT => self.fields(&mut |c, _, kind| c.pass(kind, depth + 1)),
            _ => None,
        }
    }

    /// In a collection truth values take a byte.
    fn pass_element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            TRUE | FALSE => self.bytes(1),
            kind => self.pass(kind, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A dictionary of 3 values, 36 bytes unpacked, 20 packed, with a CRC and a field that nobody knows.
    const DICTIONARY: &[u8] = &[
        0x15, 4, 0x15, 72, 0x15, 40, 0x15, 7, 0x3c, 0x15, 6, 0x15, 0, 0x11, 0, 0x28, 2, b'h', b'i', 0,
    ];

    #[test]
    fn a_header_is_read_and_what_is_not_known_is_passed_over() {
        let (header, length) = read(DICTIONARY).unwrap();
        assert_eq!((header.kind, length), (Kind::Dictionary, DICTIONARY.len()));
        assert_eq!((header.values, header.unpacked, header.packed), (3, 36, 20));
        assert_eq!((header.encoding, header.crc), (0, Some(u32::MAX - 3)));
        assert!((0..DICTIONARY.len()).all(|n| read(&DICTIONARY[..n]).is_none()));
    }

    #[test]
    fn what_no_page_has_is_no_header() {
        for (at, byte) in [(1, 8), (3, 71), (5, 39), (0, 0)] {
            let mut bytes = DICTIONARY.to_vec();
            bytes[at] = byte;
            assert!(read(&bytes).is_none(), "{at}");
        }
        // Structs in structs without an end.
        assert!(read(&[0x1c; 1 << 12]).is_none());
    }

    proptest! {
        #[test]
        fn noise_ends_and_never_panics(data in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, length)) = read(&data) {
                prop_assert!(length <= data.len());
            }
        }
    }
}
