//! The frame around a stored state: 64 bytes of head, then packed content (deflated; zstd in frames that follow each other).
//!
//! | bytes | what |
//! | --- | --- |
//! | 0-7 | `flowtrl` and a line feed, which a transfer as text would damage |
//! | 8-9, 10-11 | version of the format, kind of content (little-endian, as all numbers) |
//! | 12-15 | zero |
//! | 16-23, 24-31 | length of what follows the head, length unpacked |
//! | 32-63 | SHA-256 of bytes 0-31 and of what follows the head |
//!
//! The length is compared with the file's before anything is read, and the sum before anything is unpacked, so no number
//! in a forged file makes room for anything.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"flowtrl\n";
const HEAD: usize = 64;

/// Largest content, as stored: 1 GiB.
pub const LARGEST_PACKED: u64 = 1 << 30;

/// Largest content, unpacked: 8 GiB.
pub const LARGEST_UNPACKED: u64 = 8 << 30;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was learned of a fleet.
    Baseline,
    /// Which incidents were sent to whom, and which wait.
    Journal,
    /// What counts in an index, and what records without flows say.
    Index,
    /// A piece of what was counted of some of an archive's files.
    Partial,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Kind::Baseline => 1,
            Kind::Journal => 2,
            Kind::Index => 3,
            Kind::Partial => 4,
        }
    }

    /// The version of this kind's content that this program writes and reads.
    const fn version(self) -> u16 {
        match self {
            Kind::Baseline => 2,
            Kind::Journal => 1,
            Kind::Index => 8,
            Kind::Partial => 1,
        }
    }

    const fn packing(self) -> Packing {
        match self {
            Kind::Baseline | Kind::Journal => Packing::Deflate,
            Kind::Index | Kind::Partial => Packing::Zstd,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::Baseline => "baseline",
            Kind::Journal => "journal",
            Kind::Index => "index",
            Kind::Partial => "partial state",
        }
    }
}

/// Puts content into a frame: the same content gives the same bytes.
///
/// # Errors
/// `Format` if it is larger than a frame may be.
pub fn pack(kind: Kind, content: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; HEAD];
    kind.packing().pack(content, &mut out)?;
    let packed = (out.len() - HEAD) as u64;
    if packed > LARGEST_PACKED || content.len() as u64 > LARGEST_UNPACKED {
        return Err(Error::format(format!("a {} may not be so large", kind.name())));
    }
    let mut head = [0; 32];
    head[..8].copy_from_slice(&MAGIC);
    head[8..10].copy_from_slice(&kind.version().to_le_bytes());
    head[10..12].copy_from_slice(&kind.number().to_le_bytes());
    head[16..24].copy_from_slice(&packed.to_le_bytes());
    head[24..32].copy_from_slice(&(content.len() as u64).to_le_bytes());
    let sum = sum(&head, &out[HEAD..]);
    out[..32].copy_from_slice(&head);
    out[32..HEAD].copy_from_slice(&sum);
    Ok(out)
}

/// Reads a file and takes the content out of its frame.
///
/// # Errors
/// `List`, naming the file: it cannot be read, or is no such file, or damaged, or of another version.
pub fn read(kind: Kind, path: &Path) -> Result<Vec<u8>> {
    let cannot = |e: std::io::Error| Error::list(format!("cannot be read: {e}")).at(path);
    let file = File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if !meta.is_file() || meta.len() > LARGEST_PACKED + HEAD as u64 {
        return Err(Error::list(format!("no flowtrail {}", kind.name())).at(path));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read; what is added is no part of it.
    file.take(meta.len()).read_to_end(&mut bytes).map_err(cannot)?;
    unpack(kind, &bytes).map_err(|e| Error::list(e.reason()).at(path))
}

/// Takes the content out of a frame.
///
/// # Errors
/// `Format` that says what is wrong with it.
pub fn unpack(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>> {
    let cut = || Error::format(format!("no flowtrail {}, or cut off", kind.name()));
    let (head, packed) = bytes.split_first_chunk().ok_or_else(cut)?;
    open(kind, head, packed, LARGEST_UNPACKED)
}

/// The same of the next of several frames; nothing where no byte is left. No frame of more than `largest` bytes, packed
/// or not, is taken.
///
/// # Errors
/// `Format` that says what is wrong with it, `Io` if it cannot be read.
pub fn read_next(kind: Kind, from: &mut dyn Read, largest: u64) -> Result<Option<Vec<u8>>> {
    let mut head = [0; HEAD];
    let mut packed = Vec::new();
    if from.take(HEAD as u64).read_to_end(&mut packed)? == 0 {
        return Ok(None);
    }
    let cut = || Error::format(format!("no flowtrail {}, or cut off", kind.name()));
    if packed.len() < HEAD {
        return Err(cut());
    }
    head.copy_from_slice(&packed);
    packed.clear();
    let length = number(&head, 16, 8);
    check(kind, &head)?;
    if length > largest {
        return Err(Error::format("damaged: a piece larger than any that is written"));
    }
    from.take(length).read_to_end(&mut packed)?;
    open(kind, &head, &packed, largest).map(Some)
}

/// True if bytes that begin a file begin a frame of this kind.
pub fn is_kind(kind: Kind, start: &[u8]) -> bool {
    start.starts_with(&MAGIC) && number(start, 10, 2) == u64::from(kind.number())
}

/// Says whether a head is one of this kind and version.
fn check(kind: Kind, head: &[u8; HEAD]) -> Result<()> {
    let name = kind.name();
    if head[..8] != MAGIC || number(head, 10, 2) != u64::from(kind.number()) {
        return Err(Error::format(format!("no flowtrail {name}")));
    }
    let (version, own) = (number(head, 8, 2), u64::from(kind.version()));
    if version != own {
        let age = if version > own { "a newer" } else { "an older" };
        return Err(Error::format(format!(
            "written by {age} flowtrail (format {version}; this program reads {own}): it is left as it is"
        )));
    }
    Ok(())
}

fn open(kind: Kind, head: &[u8; HEAD], packed: &[u8], largest: u64) -> Result<Vec<u8>> {
    check(kind, head)?;
    if number(head, 16, 8) != packed.len() as u64 {
        let text = format!(
            "damaged: {} bytes of content, {} stated",
            packed.len(),
            number(head, 16, 8)
        );
        return Err(Error::format(text));
    }
    if head[32..] != sum(&head[..32], packed) {
        return Err(Error::format("damaged: its checksum does not match its content"));
    }
    kind.packing().unpack(packed, number(head, 24, 8), largest)
}

/// How the content of a frame is packed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Deflate,
    Zstd,
}

impl Packing {
    fn pack(self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Packing::Deflate => {
                let mut encoder = DeflateEncoder::new(out, Compression::new(6));
                encoder.write_all(content)?;
                encoder.finish()?;
            }
            Packing::Zstd => zstd::stream::copy_encode(content, out, ZSTD_LEVEL)?,
        }
        Ok(())
    }

    fn unpack(self, packed: &[u8], stated: u64, largest: u64) -> Result<Vec<u8>> {
        let damaged = || Error::format("damaged: its content does not unpack to the stated length");
        if stated > largest {
            return Err(damaged());
        }
        let mut out = Vec::new();
        let most = stated.saturating_add(1);
        let read = match self {
            Packing::Deflate => DeflateDecoder::new(packed).take(most).read_to_end(&mut out),
            Packing::Zstd => zstd::stream::Decoder::new(packed).and_then(|d| d.take(most).read_to_end(&mut out)),
        };
        read.map_err(|_| damaged())?;
        if out.len() as u64 == stated {
            Ok(out)
        } else {
            Err(damaged())
        }
    }
}

/// Level 3 packs numbers nearly as well as the higher ones, at some hundred MB/s.
const ZSTD_LEVEL: i32 = 3;

fn sum(head: &[u8], packed: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(packed);
    hash.finalize().into()
}

fn number(head: &[u8], at: usize, length: usize) -> u64 {
    let bytes = head.get(at..at + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_and_a_large_one_is_refused() {
        let pieces: [&[u8]; 3] = [b"first", b"", &[7; 5_000]];
        let all: Vec<u8> = pieces.iter().flat_map(|p| pack(Kind::Partial, p).unwrap()).collect();
        let mut from = all.as_slice();
        for piece in pieces {
            assert_eq!(read_next(Kind::Partial, &mut from, 5_000).unwrap().unwrap(), piece);
        }
        assert!(read_next(Kind::Partial, &mut from, 5_000).unwrap().is_none());
        let (mut large, mut cut) = (all.as_slice(), &all[..all.len() - 1]);
        let read = |from: &mut &[u8], most| (0..3).try_for_each(|_| read_next(Kind::Partial, from, most).map(drop));
        assert!(read(&mut large, 4_999).is_err() && read(&mut cut, 5_000).is_err());
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_found() {
        let content: Vec<u8> = (0..600u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let whole = pack(Kind::Baseline, &content).unwrap();
        assert_eq!(unpack(Kind::Baseline, &whole).unwrap(), content);
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                assert!(unpack(Kind::Baseline, &damaged).is_err(), "byte {at}");
            }
            assert!(unpack(Kind::Baseline, &whole[..at]).is_err(), "cut at {at}");
        }
        let mut longer = whole;
        longer.push(0);
        assert!(unpack(Kind::Baseline, &longer).is_err());
    }

    /// As one who knows the format would forge it: with a sum that is right.
    fn forged(head: impl Fn(&mut [u8])) -> Vec<u8> {
        let mut bytes = pack(Kind::Baseline, b"content").unwrap();
        head(&mut bytes[..32]);
        let right = sum(&bytes[..32], &bytes[HEAD..]);
        bytes[32..HEAD].copy_from_slice(&right);
        bytes
    }

    #[test]
    fn stated_lengths_make_no_room() {
        let text = |bytes: &[u8]| unpack(Kind::Baseline, bytes).unwrap_err().to_string();
        let packed = forged(|h| h[16..24].copy_from_slice(&(4u64 << 30).to_le_bytes()));
        assert!(text(&packed).contains("4294967296 stated"), "{}", text(&packed));
        let unpacked = forged(|h| h[24..32].copy_from_slice(&(4u64 << 30).to_le_bytes()));
        assert!(text(&unpacked).contains("stated length"));
        let endless = forged(|h| h[24..32].copy_from_slice(&u64::MAX.to_le_bytes()));
        assert!(text(&endless).contains("stated length"));
    }

    #[test]
    fn other_versions_are_told_apart_from_damage() {
        let text = |version: u16| {
            let bytes = forged(|h| h[8..10].copy_from_slice(&version.to_le_bytes()));
            unpack(Kind::Baseline, &bytes).unwrap_err().to_string()
        };
        assert!(text(3).contains("newer flowtrail (format 3"), "{}", text(3));
        assert!(text(0).contains("older flowtrail (format 0"), "{}", text(0));
    }
}
