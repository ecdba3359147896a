//! A source to its bytes: whole where that is cheap, else in blocks of whole lines.
//!
//! Each worker has one [`Reader`] and reuses its buffers. The packing is told from the first bytes, never from the name:
//! plain text is mapped (or read), gzip and zstd are unpacked, Parquet is handed on with its ends at hand. What lies before
//! a damage is handed out; the damage is told at the end.

use crate::error::{Error, Result};
use crate::input::archive::Source;
use crate::input::open::{self, Change, Opened};
use crate::input::remote::{Object, Pieces};
use crate::input::stream::{Fill, Stream, fill_plain};
use crate::input::{gzip, mmap, zstd};
use crate::net::TimeWindow;
use libdeflater::Decompressor;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
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
    opened: Option<Opened>,
}

/// What a source holds.
pub enum Content<'r> {
    /// All of it, undamaged.
    Whole(Bytes<'r>),
    /// To be drawn block by block.
    Stream(Box<Stream<'r>>),
    /// A Parquet file, as it stands: it is read from its end, a column at a time.
    Parquet(bytes::Bytes),
}

/// Bytes from a map or from a reader's buffer.
pub enum Bytes<'r> {
    /// A mapped file.
    Mapped(mmap::Map),
    /// A buffer.
    Buffer(&'r [u8]),
}

impl Bytes<'_> {
    /// Says that these will be read next, all of them if nothing is said of which.
    pub fn expect(&self, range: Option<&Range<u64>>) {
        let Bytes::Mapped(map) = self else { return };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(map.len());
        map.expect(range.map_or(0..map.len(), |r| place(r.start)..place(r.end)));
    }
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
/// The first bytes of a Parquet file; its last are the same.
const PARQUET: &[u8] = b"PAR1";

impl Reader {
    /// A reader with empty buffers.
    pub fn new(options: ReadOptions) -> Self {
        Reader {
            options,
            packed: Vec::new(),
            text: Vec::new(),
            decoder: Decompressor::new(),
            opened: None,
        }
    }

    /// Opens a source.
    ///
    /// # Errors
    /// `Io` if it cannot be opened, `Format` if it is packed in a way that is not read.
    pub fn open(&mut self, source: &Source) -> Result<Content<'_>> {
        self.opened = None;
        if source.is_stdin() {
            return self.stream(Box::new(io::stdin().lock()));
        }
        if let Some(object) = &source.object {
            return self.object(object, source);
        }
        let (mut file, metadata) = open::regular(&source.path).map_err(|e| Error::from(e).at(&source.path))?;
        let size = metadata.len();
        self.opened = Some(Opened::new(source.size, metadata));
        let mut magic = [0u8; 8];
        let n = read_full(&mut file, &mut magic).map_err(|e| Error::from(e).at(&source.path))?;
        refuse_unread_forms(&magic[..n]).map_err(|e| e.at(&source.path))?;
        match &magic[..n] {
            m if m.starts_with(gzip::MAGIC) || m.starts_with(zstd::MAGIC) => {
                self.load(file, m, source)?;
                self.unpack(source, false)
            }
            m if m.starts_with(PARQUET) => self.parquet(file, m, source),
            m => self.plain(file, m, size, source),
        }
    }

    /// A Parquet object of which only parts are to be read, if it is one and can be read so; else nothing, and it is to be
    /// opened as ever.
    ///
    /// # Errors
    /// If its end cannot be fetched.
    #[cfg(feature = "s3")]
    pub fn pieces(&mut self, source: &Source) -> Result<Option<Pieces>> {
        self.opened = None;
        let Some(object) = &source.object else { return Ok(None) };
        let pieces = Pieces::of(object).map_err(|e| e.at(&source.path))?;
        Ok(pieces.filter(|p| p.tail().ends_with(PARQUET)))
    }

    /// The same in a build that reads no objects.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(feature = "s3"))]
    pub fn pieces(&mut self, _: &Source) -> Result<Option<Pieces>> {
        Ok(None)
    }

    fn parquet(&mut self, mut file: File, start: &[u8], source: &Source) -> Result<Content<'_>> {
        if self.options.mmap
            && let Ok(map) = mmap::map(&file)
        {
            self.watch(&map);
            return Ok(Content::Parquet(bytes::Bytes::from_owner(map)));
        }
        let mut all = start.to_vec();
        file.read_to_end(&mut all)
            .map_err(|e| Error::from(e).at(&source.path))?;
        Ok(Content::Parquet(all.into()))
    }

    fn plain(&mut self, mut file: File, start: &[u8], size: u64, source: &Source) -> Result<Content<'_>> {
        if self.options.mmap && size >= MAP_FROM {
            match mmap::map(&file) {
                Ok(map) => {
                    self.watch(&map);
                    return Ok(Content::Whole(Bytes::Mapped(map)));
                }
                Err(_) => return self.stream(Box::new(io::Cursor::new(start.to_vec()).chain(file))),
            }
        }
        if size > WHOLE_CAP {
            return self.stream(Box::new(io::Cursor::new(start.to_vec()).chain(file)));
        }
        self.packed.clear();
        self.packed.extend_from_slice(start);
        file.read_to_end(&mut self.packed)
            .map_err(|e| Error::from(e).at(&source.path))?;
        Ok(Content::Whole(Bytes::Buffer(&self.packed)))
    }

    fn watch(&mut self, map: &mmap::Map) {
        if let Some(opened) = &mut self.opened {
            opened.cut = Some(map.cut());
        }
    }

    /// True if a source is counted while it is fetched: a damage may be the connection's, and not there the next time.
    pub fn is_fetched_on_the_way(source: &Source) -> bool {
        source.object.as_ref().is_some_and(|o| o.size() > WHOLE_CAP)
    }

    /// What became of the source that was opened last, once its content is given back; nothing if it stayed as it was, or
    /// is no file.
    pub fn change(&self, source: &Source) -> Option<Change> {
        self.opened.as_ref()?.change(&source.path)
    }

    fn load(&mut self, mut file: File, start: &[u8], source: &Source) -> Result<()> {
        self.packed.clear();
        self.packed.extend_from_slice(start);
        file.read_to_end(&mut self.packed)
            .map_err(|e| Error::from(e).at(&source.path))?;
        Ok(())
    }

    /// What `packed` holds, whatever its packing; with `again` it came out of a packing itself.
    fn unpack(&mut self, source: &Source, again: bool) -> Result<Content<'_>> {
        let cap = WHOLE_CAP.min(self.options.max_unpacked);
        if self.packed.starts_with(gzip::MAGIC) {
            if gzip::inflate_whole(&self.packed, &mut self.text, &mut self.decoder, cap) {
                let size = gzip::stated_size(&self.packed).unwrap_or(0) as usize;
                if self.text[..size].starts_with(gzip::MAGIC) && !again {
                    // Firehose packs what CloudWatch Logs has packed already.
                    self.packed.clear();
                    self.packed.extend_from_slice(&self.text[..size]);
                    return self.unpack(source, true);
                }
                return Ok(Content::Whole(Bytes::Buffer(&self.text[..size])));
            }
            let packed = Fill::Gzip(Box::new(gzip::GzipRead::twice(
                Box::new(self.packed.as_slice()),
                Box::new(self.packed.as_slice()),
            )));
            return Ok(Content::Stream(Box::new(Stream::new(packed, self.options))));
        }
        if self.packed.starts_with(zstd::MAGIC) {
            if let Some(size) = zstd::unpack_whole(&self.packed, &mut self.text, cap) {
                return Ok(Content::Whole(Bytes::Buffer(&self.text[..size])));
            }
            let read = zstd::read(Box::new(self.packed.as_slice()));
            let fill = Fill::Plain(read.map_err(|e| Error::from(e).at(&source.path))?);
            return Ok(Content::Stream(Box::new(Stream::new(fill, self.options))));
        }
        if self.packed.starts_with(PARQUET) {
            return Ok(Content::Parquet(std::mem::take(&mut self.packed).into()));
        }
        Ok(Content::Whole(Bytes::Buffer(&self.packed)))
    }

    #[cfg(feature = "s3")]
    fn object(&mut self, object: &Object, source: &Source) -> Result<Content<'_>> {
        if object.size() > WHOLE_CAP {
            return self.stream(Box::new(object.stream())).map_err(|e| e.at(&source.path));
        }
        self.packed.clear();
        let fetched = object.read_into(&mut self.packed);
        fetched.map_err(|e| Error::from(e).at(&source.path))?;
        refuse_unread_forms(&self.packed).map_err(|e| e.at(&source.path))?;
        self.unpack(source, false)
    }

    #[cfg(not(feature = "s3"))]
    fn object(&mut self, object: &Object, _: &Source) -> Result<Content<'_>> {
        match *object {}
    }

    /// Standard input and what cannot be mapped: told by its first bytes like everything else.
    fn stream<'r>(&self, mut read: Box<dyn Read + 'r>) -> Result<Content<'r>> {
        let mut start = vec![0; 8];
        let n = read_full(&mut read, &mut start)?;
        start.truncate(n);
        refuse_unread_forms(&start)?;
        let (is_gzip, is_zstd) = (start.starts_with(gzip::MAGIC), start.starts_with(zstd::MAGIC));
        let is_parquet = start.starts_with(PARQUET);
        let mut read: Box<dyn Read + 'r> = Box::new(io::Cursor::new(start).chain(read));
        if is_parquet {
            let mut all = Vec::new();
            read.read_to_end(&mut all)?;
            return Ok(Content::Parquet(all.into()));
        }
        let fill = match (is_gzip, is_zstd) {
            (true, _) => Fill::Gzip(Box::new(gzip::GzipRead::new(read))),
            (_, true) => Fill::Plain(zstd::read(read)?),
            _ => Fill::Plain(read),
        };
        Ok(Content::Stream(Box::new(Stream::new(fill, self.options))))
    }

    /// The fingerprint of a source's content; after damage, of what came before it.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn fingerprint(&mut self, source: &Source) -> Result<Fingerprint> {
        match self.open(source)? {
            Content::Whole(bytes) => Ok(Fingerprint::of(&bytes)),
            Content::Parquet(bytes) => Ok(Fingerprint::of(&bytes)),
            Content::Stream(mut stream) => {
                let mut window = vec![0; WINDOW];
                let mut hash = Xxh3::new();
                loop {
                    let n = stream.fill(&mut window);
                    hash.update(&window[..n]);
                    if n < WINDOW {
                        return Ok(Fingerprint {
                            size: stream.unpacked(),
                            hash: hash.digest128(),
                        });
                    }
                }
            }
        }
    }
}

fn read_full(read: &mut dyn Read, out: &mut [u8]) -> io::Result<usize> {
    match fill_plain(read, out) {
        (_, Some(e)) => Err(e),
        (n, None) => Ok(n),
    }
}

/// Forms that are told by their first bytes and not read: better a clear word than a thousand rejected lines.
fn refuse_unread_forms(magic: &[u8]) -> Result<()> {
    const FORMS: [(&[u8], &str); 4] = [
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"PK\x03\x04", "zip"),
        (b"PARE", "encrypted Parquet"),
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

    /// Fails once, and then goes on behind what it could not give.
    struct Gap(bool);

    impl Read for Gap {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match std::mem::replace(&mut self.0, true) {
                false => Err(io::Error::other("the first stretch was refused")),
                true => b"the second one".as_slice().read(out),
            }
        }
    }

    #[test]
    fn a_stream_whose_start_cannot_be_read_is_not_read_from_its_middle() {
        let reader = Reader::new(ReadOptions::default());
        let stream = reader.stream(Box::new(Gap(false)));
        assert!(stream.is_err_and(|e| e.to_string().contains("the first stretch was refused")));
    }
}
