//! The frame around a stored state: 64 bytes of head, then deflated content.
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
    /// What counts in an index.
    Index,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Kind::Baseline => 1,
            Kind::Journal => 2,
            Kind::Index => 3,
        }
    }

    /// The version of this kind's content that this program writes and reads.
    const fn version(self) -> u16 {
        match self {
            Kind::Baseline => 2,
            Kind::Journal => 1,
            Kind::Index => 1,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::Baseline => "baseline",
            Kind::Journal => "journal",
            Kind::Index => "index",
        }
    }
}

/// Puts content into a frame: the same content gives the same bytes.
///
/// # Errors
/// `Format` if it is larger than a frame may be.
pub fn pack(kind: Kind, content: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; HEAD];
    let mut encoder = DeflateEncoder::new(&mut out, Compression::new(6));
    encoder.write_all(content)?;
    encoder.finish()?;
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
    let name = kind.name();
    let Some((head, packed)) = bytes.split_at_checked(HEAD) else {
        return Err(Error::format(format!("no flowtrail {name}, or cut off")));
    };
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
    if number(head, 16, 8) != packed.len() as u64 {
        let text = format!(
            "damaged: {} bytes of content, {} stated",
            packed.len(),
            number(head, 16, 8)
        );
        return Err(Error::format(text));
    }
    if head[32..HEAD] != sum(&head[..32], packed) {
        return Err(Error::format("damaged: its checksum does not match its content"));
    }
    inflate(packed, number(head, 24, 8))
}

fn inflate(packed: &[u8], stated: u64) -> Result<Vec<u8>> {
    let damaged = || Error::format("damaged: its content does not unpack to the stated length");
    if stated > LARGEST_UNPACKED {
        return Err(damaged());
    }
    let mut out = Vec::new();
    let mut content = DeflateDecoder::new(packed).take(stated.saturating_add(1));
    content.read_to_end(&mut out).map_err(|_| damaged())?;
    if out.len() as u64 == stated {
        Ok(out)
    } else {
        Err(damaged())
    }
}

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
