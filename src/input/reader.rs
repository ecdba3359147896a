//! A source to its bytes: whole where that is cheap, else in blocks of whole lines.
//!
//! Each worker has one [`Reader`] and reuses its buffers. The form is told from the first bytes, never from the name:
//! plain text is mapped (or read), gzip inflated. What lies before a damage is handed out; the damage is told at the end.

use crate::error::{Error, Result};
use crate::input::archive::Source;
use crate::input::{gzip, mmap};
use crate::net::TimeWindow;
use libdeflater::Decompressor;
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, Read};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How sources are read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Map plain files instead of reading them.
    pub mmap: bool,
    /// Stop unpacking a file after so many bytes.
    pub max_unpacked: u64,
    /// Longest line that is kept, in bytes.
    pub line_cap: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            mmap: true,
            max_unpacked: 64 << 30,
            line_cap: 1 << 20,
        }
    }
}

/// Reads sources one after the other into buffers of its own.
pub struct Reader {
    options: ReadOptions,
    packed: Vec<u8>,
    text: Vec<u8>,
    decoder: Decompressor,
}

/// What a source holds.
pub enum Content<'r> {
    /// All of it, undamaged.
    Whole(Bytes<'r>),
    /// To be drawn block by block.
    Stream(Box<Stream<'r>>),
}

/// Bytes from a map or from a reader's buffer.
pub enum Bytes<'r> {
    /// A mapped file.
    Mapped(memmap2::Mmap),
    /// A buffer.
    Buffer(&'r [u8]),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Buffer(bytes) => bytes,
        }
    }
}

/// Identity of a content, whatever its packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Unpacked length in bytes.
    pub size: u64,
    /// XXH3-128 of the unpacked bytes.
    pub hash: u128,
}

impl Fingerprint {
    /// The fingerprint of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Fingerprint {
            size: bytes.len() as u64,
            hash: xxh3_128(bytes),
        }
    }

    /// The fingerprint of the part of a content that lies in a window.
    #[must_use]
    pub fn cut(self, window: TimeWindow) -> Self {
        if window == TimeWindow::ALL {
            return self;
        }
        let mut text = self.hash.to_le_bytes().to_vec();
        text.extend([window.from, window.to].iter().flat_map(|t| t.to_le_bytes()));
        Fingerprint {
            size: self.size,
            hash: xxh3_128(&text),
        }
    }
}

/// Plain files below this are read: a system call is cheaper than a map.
const MAP_FROM: u64 = 256 << 10;
/// gzip files that unpack to at most this are inflated at once.
const WHOLE_CAP: u64 = 64 << 20;
pub(super) const WINDOW: usize = 1 << 20;

impl Reader {
    /// A reader with empty buffers.
    pub fn new(options: ReadOptions) -> Self {
        Reader {
            options,
            packed: Vec::new(),
            text: Vec::new(),
            decoder: Decompressor::new(),
        }
    }

    /// Opens a source.
    ///
    /// # Errors
    /// `Io` if it cannot be opened, `Format` if it is packed in a way that is not read.
    pub fn open(&mut self, source: &Source) -> Result<Content<'_>> {
        if source.is_stdin() {
            return Ok(self.stream(Box::new(io::stdin().lock())));
        }
        let mut file = File::open(&source.path).map_err(|e| Error::from(e).at(&source.path))?;
        let size = file.metadata().map_or(source.size, |m| m.len());
        let mut magic = [0u8; 8];
        let n = read_full(&mut file, &mut magic).map_err(|e| Error::from(e).at(&source.path))?;
        refuse_unread_forms(&magic[..n]).map_err(|e| e.at(&source.path))?;
        if magic[..n].starts_with(gzip::MAGIC) {
            return self.gzip(file, &magic[..n], source);
        }
        self.plain(file, &magic[..n], size, source)
    }

    fn plain(&mut self, mut file: File, start: &[u8], size: u64, source: &Source) -> Result<Content<'_>> {
        if self.options.mmap && size >= MAP_FROM {
            match mmap::map(&file) {
                Ok(map) => return Ok(Content::Whole(Bytes::Mapped(map))),
                Err(_) => return Ok(self.stream(Box::new(io::Cursor::new(start.to_vec()).chain(file)))),
            }
        }
        if size > WHOLE_CAP {
            return Ok(self.stream(Box::new(io::Cursor::new(start.to_vec()).chain(file))));
        }
        self.packed.clear();
        self.packed.extend_from_slice(start);
        file.read_to_end(&mut self.packed)
            .map_err(|e| Error::from(e).at(&source.path))?;
        Ok(Content::Whole(Bytes::Buffer(&self.packed)))
    }

    fn gzip(&mut self, mut file: File, start: &[u8], source: &Source) -> Result<Content<'_>> {
        self.packed.clear();
        self.packed.extend_from_slice(start);
        file.read_to_end(&mut self.packed)
            .map_err(|e| Error::from(e).at(&source.path))?;
        let cap = WHOLE_CAP.min(self.options.max_unpacked);
        if gzip::inflate_whole(&self.packed, &mut self.text, &mut self.decoder, cap) {
            let size = gzip::stated_size(&self.packed).unwrap_or(0) as usize;
            return Ok(Content::Whole(Bytes::Buffer(&self.text[..size])));
        }
        let packed = Fill::Gzip(Box::new(gzip::GzipRead::new(Box::new(self.packed.as_slice()))));
        Ok(Content::Stream(Box::new(Stream::new(packed, self.options))))
    }

    fn stream<'r>(&self, mut read: Box<dyn Read + 'r>) -> Content<'r> {
        let mut start = vec![0; 2];
        let n = read_full(&mut read, &mut start).unwrap_or(0);
        start.truncate(n);
        let packed = start == gzip::MAGIC;
        let read = Box::new(io::Cursor::new(start).chain(read));
        let fill = if packed {
            Fill::Gzip(Box::new(gzip::GzipRead::new(read)))
        } else {
            Fill::Plain(read)
        };
        Content::Stream(Box::new(Stream::new(fill, self.options)))
    }

    /// The fingerprint of a source's content; after damage, of what came before it.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn fingerprint(&mut self, source: &Source) -> Result<Fingerprint> {
        match self.open(source)? {
            Content::Whole(bytes) => Ok(Fingerprint::of(&bytes)),
            Content::Stream(mut stream) => {
                let mut window = vec![0; WINDOW];
                let mut hash = Xxh3::new();
                loop {
                    let n = stream.fill(&mut window);
                    hash.update(&window[..n]);
                    if n < WINDOW {
                        return Ok(Fingerprint {
                            size: stream.unpacked,
                            hash: hash.digest128(),
                        });
                    }
                }
            }
        }
    }
}

enum Fill<'r> {
    Plain(Box<dyn Read + 'r>),
    Gzip(Box<gzip::GzipRead<Box<dyn Read + 'r>>>),
}

/// A piece of a stream.
pub enum Block<'a> {
    /// Whole lines.
    Lines(&'a [u8]),
    /// The start of a line that is longer than the cap; the rest of it was dropped.
    TooLong(&'a [u8]),
}

/// A source that is drawn in blocks of whole lines, in memory bounded by the line cap.
pub struct Stream<'r> {
    fill: Fill<'r>,
    options: ReadOptions,
    window: Vec<u8>,
    /// `window[from..to]` is unread.
    from: usize,
    to: usize,
    dropping: bool,
    ended: bool,
    unpacked: u64,
    damage: Option<io::Error>,
}

impl<'r> Stream<'r> {
    fn new(fill: Fill<'r>, options: ReadOptions) -> Self {
        let (window, damage) = (Vec::new(), None);
        Stream {
            fill,
            options,
            window,
            from: 0,
            to: 0,
            dropping: false,
            ended: false,
            unpacked: 0,
            damage,
        }
    }

    /// Bytes unpacked so far.
    pub fn unpacked(&self) -> u64 {
        self.unpacked
    }

    /// Where in the unpacked content the byte `from` of the window stands.
    fn offset(&self, from: usize) -> u64 {
        self.unpacked.saturating_sub((self.to - from) as u64)
    }

    /// What ended the stream before its end, once [`Stream::next_block`] has returned `None`.
    pub fn damage(&mut self) -> Option<Error> {
        self.damage.take().map(Error::from)
    }

    /// Fills `out` from its start; fewer bytes than asked for is the end.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> usize {
        let room = self.options.max_unpacked - self.unpacked;
        let room = usize::try_from(room).map_or(out.len(), |r| r.min(out.len()));
        let (made, error) = match &mut self.fill {
            Fill::Gzip(read) => read.fill(&mut out[..room]),
            Fill::Plain(read) => fill_plain(read, &mut out[..room]),
        };
        self.unpacked += made as u64;
        if error.is_none() && made == room && room < out.len() {
            let text = format!(
                "more than {} bytes unpacked (--max-unpacked)",
                self.options.max_unpacked
            );
            self.damage = Some(io::Error::other(text));
        }
        if error.is_some() {
            self.damage = error;
        }
        made
    }

    /// The next block with its offset in the unpacked content, or `None` at the end or at the damage. An open last line
    /// before damage is never handed out.
    pub fn next_block(&mut self) -> Option<(u64, Block<'_>)> {
        loop {
            if let Some(end) = memrchr(b'\n', &self.window[self.from..self.to]).map(|i| self.from + i + 1) {
                let from = self.skip_dropped();
                self.from = end;
                if from < end {
                    return Some((self.offset(from), Block::Lines(&self.window[from..end])));
                }
            } else if self.ended {
                return self.last_line();
            } else if let Some(range) = self.overlong() {
                return Some((self.offset(range.start), Block::TooLong(&self.window[range])));
            } else {
                self.load();
            }
        }
    }

    /// Where the next block starts, after the rest of an overlong line.
    fn skip_dropped(&mut self) -> usize {
        let from = self.from;
        if !std::mem::take(&mut self.dropping) {
            return from;
        }
        memchr(b'\n', &self.window[from..self.to]).map_or(self.to, |i| from + i + 1)
    }

    fn last_line(&mut self) -> Option<(u64, Block<'_>)> {
        let (from, to) = (self.from, self.to);
        self.from = to;
        let open = from < to && !self.dropping && self.damage.is_none();
        open.then(|| (self.offset(from), Block::Lines(&self.window[from..to])))
    }

    /// The start of a line that passed the cap before its end was seen; the rest of the line is dropped.
    fn overlong(&mut self) -> Option<std::ops::Range<usize>> {
        let (from, to) = (self.from, self.to);
        if self.dropping {
            self.from = to;
        } else if to - from > self.options.line_cap {
            self.from = to;
            self.dropping = true;
            return Some(from..from + 256.min(to - from));
        }
        None
    }

    fn load(&mut self) {
        self.window.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        let size = self.to + WINDOW;
        if self.window.len() < size {
            self.window.resize(size, 0);
        }
        let mut window = std::mem::take(&mut self.window);
        let made = self.fill(&mut window[self.to..size]);
        self.window = window;
        self.to += made;
        self.ended = made < WINDOW;
    }
}

fn fill_plain(read: &mut dyn Read, out: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut made = 0;
    while made < out.len() {
        match read.read(&mut out[made..]) {
            Ok(0) => break,
            Ok(n) => made += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (made, Some(e)),
        }
    }
    (made, None)
}

fn read_full(read: &mut dyn Read, out: &mut [u8]) -> io::Result<usize> {
    match fill_plain(read, out) {
        (_, Some(e)) => Err(e),
        (n, None) => Ok(n),
    }
}

/// Forms that are told by their first bytes and not read: better a clear word than a thousand rejected lines.
fn refuse_unread_forms(magic: &[u8]) -> Result<()> {
    const FORMS: [(&[u8], &str); 5] = [
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"PAR1", "Parquet"),
    ];
    match FORMS.iter().find(|(m, _)| magic.starts_with(m)) {
        Some((_, form)) => Err(Error::format(format!(
            "{form} content is not read; unpack or convert it to text or gzip"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &[u8], line_cap: usize, max_unpacked: u64) -> (Vec<u8>, usize, bool) {
        let options = ReadOptions {
            line_cap,
            max_unpacked,
            ..ReadOptions::default()
        };
        let mut stream = Stream::new(Fill::Plain(Box::new(text)), options);
        let (mut lines, mut long) = (Vec::new(), 0);
        while let Some((_, block)) = stream.next_block() {
            match block {
                Block::Lines(b) => lines.extend_from_slice(b),
                Block::TooLong(_) => long += 1,
            }
        }
        (lines, long, stream.damage().is_some())
    }

    #[test]
    fn long_lines_are_dropped_and_their_neighbours_kept() {
        let long = vec![b'x'; 3 << 20];
        let text = [b"a\n", &long[..], b"\nb\n", &long[..], b"\nc"].concat();
        assert_eq!(blocks(&text, 1 << 20, u64::MAX), (b"a\nb\nc".to_vec(), 2, false));
    }

    #[test]
    fn a_cut_stream_loses_its_open_line_only() {
        assert_eq!(blocks(b"one\ntwo\nthree", 100, 10), (b"one\ntwo\n".to_vec(), 0, true));
        assert_eq!(blocks(b"", 100, 10), (vec![], 0, false));
    }

    #[test]
    fn many_windows_give_the_same_text() {
        let text: Vec<u8> = (0..400_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        assert_eq!(blocks(&text, 1 << 20, u64::MAX).0, text);
    }
}
