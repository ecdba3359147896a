//! gzip: several members, padding, and damage that costs only what lies behind it (RFC 1952).
//!
//! Two paths. [`inflate_whole`] unpacks a single-member file at once into a reused buffer (libdeflate). Everything else
//! takes [`GzipRead`], which hands out every byte that was decoded before it says what is wrong.

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Decompressor;
use std::io::{self, Read};

/// The first two bytes of every member.
pub const MAGIC: &[u8] = &[0x1f, 0x8b];
/// deflate cannot shrink more than this.
const MAX_RATIO: u64 = 1_032;
const SMALLEST_MEMBER: usize = 18;

/// The uncompressed length that the last member's trailer states (modulo 2^32).
pub fn stated_size(packed: &[u8]) -> Option<u64> {
    let trailer: [u8; 4] = packed.get(packed.len().checked_sub(4)?..)?.try_into().ok()?;
    (packed.len() >= SMALLEST_MEMBER && packed.starts_with(MAGIC)).then(|| u64::from(u32::from_le_bytes(trailer)))
}

/// Unpacks a file of one whole member into `text` if it is at most `cap` bytes. `false` means: take the other path.
pub fn inflate_whole(packed: &[u8], text: &mut Vec<u8>, decoder: &mut Decompressor, cap: u64) -> bool {
    let Some(size) = stated_size(packed).filter(|n| *n <= cap && *n <= MAX_RATIO * packed.len() as u64) else {
        return false;
    };
    if may_have_another_member(packed) {
        return false;
    }
    let size = size as usize;
    if text.len() < size {
        text.resize(size, 0);
    }
    decoder.gzip_decompress(packed, &mut text[..size]) == Ok(size)
}

/// True if something that looks like the start of another member stands inside: then the trailer at the end may be that
/// one's. By chance it does once in many terabytes; the other path reads such a file as well.
fn may_have_another_member(packed: &[u8]) -> bool {
    const DEFLATE: [u8; 3] = [0x1f, 0x8b, 8];
    let starts = |at: usize| {
        let Some([flags, _, _, _, _, extra, system]) = packed.get(at + 3..at + 10) else {
            return false;
        };
        flags & 0xe0 == 0 && matches!(extra, 0 | 2 | 4) && matches!(system, 0..=13 | 255)
    };
    memchr::memmem::find_iter(packed, &DEFLATE).any(|at| at > 0 && starts(at))
}

/// Inflates members one after the other from any reader, in bounded memory.
pub struct GzipRead<R> {
    packed: R,
    decoder: Decompress,
    input: Vec<u8>,
    from: usize,
    to: usize,
    state: State,
    /// Bytes handed out.
    made: u64,
    /// The decoder met damage, and kept what it had made in that call.
    failed: bool,
    /// Unpack a few bytes a call: then nothing is kept back.
    careful: bool,
    /// The same packed bytes once more.
    again: Option<R>,
    /// Who goes on after damage.
    rest: Option<Box<GzipRead<R>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member.
    Boundary,
    /// Inside one.
    Member,
    /// After the last.
    End,
}

const INPUT: usize = 64 << 10;
const WINDOW_BITS: u8 = 15;
/// Too little for the decoder's fast loop, which forgets up to a thousand bytes before the damage that ends it.
const FEW: usize = 128;

impl<R: Read> GzipRead<R> {
    /// A reader over packed bytes that begin with a member.
    pub fn new(packed: R) -> Self {
        let decoder = Decompress::new_gzip(WINDOW_BITS);
        GzipRead {
            packed,
            decoder,
            input: vec![0; INPUT],
            from: 0,
            to: 0,
            state: State::Boundary,
            made: 0,
            failed: false,
            careful: false,
            again: None,
            rest: None,
        }
    }

    /// The same, with a second reader over the same bytes: after damage it unpacks them once more, in small steps, for the
    /// last bytes before it.
    pub fn twice(packed: R, again: R) -> Self {
        GzipRead {
            again: Some(again),
            ..GzipRead::new(packed)
        }
    }

    /// Makes sure that unread input is at hand; false at its end.
    fn refill(&mut self) -> io::Result<bool> {
        if self.from == self.to {
            self.from = 0;
            self.to = self.packed.read(&mut self.input)?;
        }
        Ok(self.from < self.to)
    }

    /// Decides what follows a member: another one, padding, or garbage.
    fn boundary(&mut self, first: bool) -> io::Result<State> {
        while self.refill()? {
            match self.input[self.from] {
                0 if !first => self.from += 1,
                b if b == MAGIC[0] => {
                    self.decoder = Decompress::new_gzip(WINDOW_BITS);
                    return Ok(State::Member);
                }
                _ => return Err(damage("bytes that are not gzip follow a gzip member")),
            }
        }
        Ok(State::End)
    }

    /// One call of the decoder: bytes made, also when the call fails after making some.
    fn step(&mut self, out: &mut [u8]) -> (usize, io::Result<Status>) {
        let (before_in, before_out) = (self.decoder.total_in(), self.decoder.total_out());
        let few = if self.careful { FEW.min(out.len()) } else { out.len() };
        let (input, out) = (&self.input[self.from..self.to], &mut out[..few]);
        let status = self.decoder.decompress(input, out, FlushDecompress::None);
        self.from += (self.decoder.total_in() - before_in) as usize;
        let made = (self.decoder.total_out() - before_out) as usize;
        self.failed = status.is_err();
        (made, status.map_err(|e| damage(&format!("damaged gzip data: {e}"))))
    }

    /// Fills `out` from its start as far as possible: how many bytes were made, and why it stopped short if it did.
    /// Fewer bytes than asked for and no error is the end.
    pub fn fill(&mut self, out: &mut [u8]) -> (usize, Option<io::Error>) {
        if let Some(rest) = &mut self.rest {
            return rest.fill(out);
        }
        let (mut made, error) = self.fill_once(out);
        self.made += made as u64;
        if !self.failed || error.is_none() {
            return (made, error);
        }
        let Some(mut rest) = self.careful_after(self.made) else {
            return (made, error);
        };
        let (more, error) = rest.fill(&mut out[made..]);
        made += more;
        self.rest = Some(rest);
        (made, error)
    }

    /// A reader that goes on after so many bytes, in small steps.
    fn careful_after(&mut self, made: u64) -> Option<Box<Self>> {
        let mut rest = Box::new(GzipRead::new(self.again.take()?));
        rest.careful = true;
        let mut passed = vec![0; INPUT];
        while rest.made < made {
            let step = usize::try_from(made - rest.made).map_or(INPUT, |n| n.min(INPUT));
            let (n, error) = rest.fill(&mut passed[..step]);
            if n < step || error.is_some() {
                return None;
            }
        }
        Some(rest)
    }

    fn fill_once(&mut self, out: &mut [u8]) -> (usize, Option<io::Error>) {
        let mut made = 0;
        while made < out.len() {
            match self.advance(&mut out[made..]) {
                (n, Ok(State::End)) => return (made + n, None),
                (n, Ok(_)) => made += n,
                (n, Err(e)) => return (made + n, Some(e)),
            }
        }
        (made, None)
    }

    fn advance(&mut self, out: &mut [u8]) -> (usize, io::Result<State>) {
        let first = self.decoder.total_in() == 0;
        let next = match self.state {
            State::End => return (0, Ok(State::End)),
            State::Boundary => self.boundary(first),
            State::Member => match self.refill() {
                Ok(more) => {
                    // Without more input too: the decoder holds bits that it has not read out, up to a thousand bytes' worth.
                    let (made, status) = self.step(out);
                    let next = match status {
                        Ok(Status::StreamEnd) => Ok(State::Boundary),
                        Ok(_) if !more && made == 0 => Err(damage("gzip data ends inside a member")),
                        Ok(_) => Ok(State::Member),
                        Err(e) => Err(e),
                    };
                    self.state = *next.as_ref().unwrap_or(&State::End);
                    return (made, next);
                }
                Err(e) => Err(e),
            },
        };
        self.state = *next.as_ref().unwrap_or(&State::End);
        (0, next)
    }
}

fn damage(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pack(text: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        e.write_all(text).unwrap();
        e.finish().unwrap()
    }

    fn unpack(packed: &[u8], window: usize) -> (Vec<u8>, Option<String>) {
        let mut read = GzipRead::new(packed);
        let mut all = Vec::new();
        loop {
            let mut out = vec![0; window];
            let (n, e) = read.fill(&mut out);
            all.extend_from_slice(&out[..n]);
            if n < window || e.is_some() {
                return (all, e.map(|e| e.to_string()));
            }
        }
    }

    #[test]
    fn several_members_and_padding_are_one_text() {
        let mut packed = [pack(b"one\n"), pack(b""), pack(b"two\n")].concat();
        packed.extend_from_slice(&[0; 512]);
        for window in [1, 3, 8, 4096] {
            assert_eq!(unpack(&packed, window), (b"one\ntwo\n".to_vec(), None));
        }
    }

    #[test]
    fn what_was_decoded_before_the_damage_is_kept() {
        let text: Vec<u8> = (0..20_000u32)
            .flat_map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        let packed = pack(&text);
        let (kept, error) = unpack(&packed[..packed.len() / 2], 1 << 16);
        assert!(kept.len() > text.len() / 4 && text.starts_with(&kept));
        assert!(error.unwrap().contains("ends inside"));
        let (kept, error) = unpack(&[packed, b"garbage".to_vec()].concat(), 1 << 16);
        assert_eq!((kept, error.is_some()), (text, true));
    }

    #[test]
    fn the_last_bytes_before_damage_are_not_lost() {
        let text: Vec<u8> = (0..2_000u32)
            .flat_map(|i| format!("{i} {}\n", i % 7).into_bytes())
            .collect();
        let packed = pack(&text);
        for at in (20..packed.len() - 8).step_by(packed.len() / 40) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            let kept = |window: usize| {
                let mut read = GzipRead::twice(&damaged[..], &damaged[..]);
                let (mut all, mut out) = (Vec::new(), vec![0; window]);
                loop {
                    let (n, e) = read.fill(&mut out);
                    all.extend_from_slice(&out[..n]);
                    if n < window || e.is_some() {
                        return (all, e.map(|e| e.to_string()));
                    }
                }
            };
            assert_eq!(kept(1 << 20), kept(1), "damage at {at}");
        }
    }

    #[test]
    fn a_member_that_stands_there_twice_is_read_twice() {
        let (mut text, mut decoder) = (Vec::new(), Decompressor::new());
        let twice = [pack(b"one\n"), pack(b"one\n")].concat();
        assert!(!inflate_whole(&twice, &mut text, &mut decoder, 100));
        assert_eq!(unpack(&twice, 64), (b"one\none\n".to_vec(), None));
    }

    #[test]
    fn the_fast_path_takes_whole_single_members_only() {
        let (mut text, mut decoder) = (Vec::new(), Decompressor::new());
        let one = pack(b"one\n");
        assert!(inflate_whole(&one, &mut text, &mut decoder, 100));
        assert_eq!(&text[..4], b"one\n");
        assert!(!inflate_whole(
            &[one.clone(), pack(b"two\n")].concat(),
            &mut text,
            &mut decoder,
            100
        ));
        assert!(!inflate_whole(&one, &mut text, &mut decoder, 3), "over the cap");
        assert!(!inflate_whole(&one[..one.len() - 1], &mut text, &mut decoder, 100));
    }
}
