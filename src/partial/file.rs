//! A state as a file: frames of the store that follow each other, each with its own checksum and bound to the one before.
//!
//! First the head, then files and interfaces, then the trail, then blocks of sorted cells, then an end, without which the
//! file is cut off. So a state is written and read in bounded memory, however many cells it has.

use crate::aggregate::raw::{BlockReader, FlowState, RawEntry, RawKey, TakeBlock};
use crate::error::{Error, ErrorKind, Result};
use crate::partial::head::Head;
use crate::store::{self, Kind, Reader, Writer};
use crate::trail::TrailState;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// What stands in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// Rules and parts.
    Head,
    /// Files, flow logs, interfaces and counts.
    Flows,
    /// A piece of the trail.
    Trail,
    /// Sorted cells.
    Cells,
    /// Nothing more comes.
    End,
}

const PIECES: [Piece; 5] = [Piece::Head, Piece::Flows, Piece::Trail, Piece::Cells, Piece::End];

/// Largest piece, packed or not: the names of ten million files.
const LARGEST: u64 = 4 << 30;
/// Largest block of cells, packed or not: sixteen times what one is with the longest numbers.
const LARGEST_BLOCK: u64 = 64 << 20;

/// Hands out the blocks of sorted cells, one after the other.
pub type Blocks<'b> = &'b mut dyn FnMut(TakeBlock<'_>) -> Result<()>;

/// Writes a state: what was read of flow logs, their cells in order as blocks, and the trail.
///
/// # Errors
/// `Format` if a piece is too large, those of the blocks, and `Io` if `out` fails.
pub fn write(
    head: &Head,
    flows: Option<&FlowState>,
    blocks: Blocks<'_>,
    trail: Option<&TrailState>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut out = Pieces { out, chain: 0 };
    let mut w = Writer::default();
    head.encode(&mut w);
    out.write(Piece::Head, &w.into_bytes())?;
    if let Some(flows) = flows {
        let mut w = Writer::default();
        flows.encode(&mut w);
        out.write(Piece::Flows, &w.into_bytes())?;
    }
    if let Some(trail) = trail {
        trail.encode(&mut |piece| out.write(Piece::Trail, piece))?;
    }
    blocks(&mut |block| out.write(Piece::Cells, block))?;
    out.write(Piece::End, &[])
}

/// Writes pieces, each bound to the one before.
struct Pieces<'o> {
    out: &'o mut dyn Write,
    chain: u128,
}

impl Pieces<'_> {
    fn write(&mut self, piece: Piece, body: &[u8]) -> Result<()> {
        let mut content = Vec::with_capacity(body.len() + PREFIX);
        content.extend(self.chain.to_le_bytes());
        content.push(piece as u8);
        content.extend(body);
        self.chain = xxh3_128(&content);
        Ok(self.out.write_all(&store::pack(Kind::Partial, &content)?)?)
    }
}

/// The chain and the sort of the piece.
const PREFIX: usize = 17;

/// A state that is being read.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    /// Rules and parts.
    pub head: Head,
    /// What was read of flow logs, without the cells.
    pub flows: FlowState,
    /// Identifies the state by its first pieces.
    pub identity: u128,
    from: BufReader<File>,
    chain: u128,
    /// A piece that was read and not yet used.
    next: Option<(Piece, Vec<u8>)>,
    block: BlockReader,
    before: Option<RawKey>,
}

impl Partial {
    /// True if the file begins as a state does.
    pub fn is_one(path: &Path) -> bool {
        let mut start = [0; 12];
        let read = File::open(path).and_then(|mut f| f.read_exact(&mut start));
        read.is_ok() && store::is_kind(Kind::Partial, &start)
    }

    /// Opens a state and reads everything before the cells.
    ///
    /// # Errors
    /// `List`, naming the file: it cannot be read, or is no state, or damaged.
    pub fn open(path: &Path) -> Result<Partial> {
        let cannot = |e: std::io::Error| Error::list(format!("cannot be read: {e}")).at(path);
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(Error::list("no flowtrail partial state").at(path));
        }
        let mut partial = Partial {
            path: path.to_path_buf(),
            head: Head::empty(),
            flows: FlowState::default(),
            identity: 0,
            from: BufReader::new(file),
            chain: 0,
            next: None,
            block: BlockReader::default(),
            before: None,
        };
        partial.start().map_err(|e| partial.named(&e))?;
        Ok(partial)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn named(&self, e: &Error) -> Error {
        Error::list(e.reason()).at(&self.path)
    }

    fn start(&mut self) -> Result<()> {
        let (Piece::Head, bytes) = self.piece(LARGEST)? else {
            return Err(damaged());
        };
        let mut r = body(&bytes);
        self.head = Head::decode(&mut r)?;
        r.done()?;
        if self.head.flows {
            let (Piece::Flows, bytes) = self.piece(LARGEST)? else {
                return Err(damaged());
            };
            let mut r = body(&bytes);
            self.flows = FlowState::decode(&mut r)?;
            r.done()?;
        }
        self.identity = self.chain;
        self.next = Some(self.piece(LARGEST)?);
        Ok(())
    }

    /// The next piece, whose place in the file was checked.
    fn piece(&mut self, largest: u64) -> Result<(Piece, Vec<u8>)> {
        let cut = || Error::format("damaged: cut off between two pieces");
        let content = store::read_next(Kind::Partial, &mut self.from, largest)?.ok_or_else(cut)?;
        let (chain, rest) = content.split_first_chunk::<16>().ok_or_else(damaged)?;
        if u128::from_le_bytes(*chain) != self.chain {
            return Err(Error::format("damaged: its pieces are not in their order"));
        }
        let sort = rest.first().and_then(|n| PIECES.get(usize::from(*n)));
        self.chain = xxh3_128(&content);
        Ok((*sort.ok_or_else(damaged)?, content))
    }

    /// The next cell in order; none where the cells end.
    ///
    /// # Errors
    /// `List`, naming the file, if it is damaged.
    pub fn next_cell(&mut self) -> Result<Option<RawEntry>> {
        let cell = self.cell().map_err(|e| self.named(&e))?;
        if let Some((key, _)) = &cell {
            if self.before.as_ref().is_some_and(|before| key <= before) {
                return Err(self.named(&Error::format("damaged: its cells are not in their order")));
            }
            self.before = Some(*key);
        }
        Ok(cell)
    }

    fn cell(&mut self) -> Result<Option<RawEntry>> {
        loop {
            if let Some(cell) = self.block.read_next()? {
                return Ok(Some(cell));
            }
            match self.next.take() {
                None => self.next = Some(self.piece(LARGEST_BLOCK)?),
                Some((Piece::Trail, _)) if self.head.trail => {}
                Some((Piece::Cells, bytes)) if self.head.flows => self.block = BlockReader::new(bytes, PREFIX)?,
                Some((Piece::End, bytes)) if is_at_end(&mut self.from)? => {
                    self.next = Some((Piece::End, bytes));
                    return Ok(None);
                }
                Some(_) => return Err(damaged()),
            }
        }
    }

    /// The trail, which stands before the cells.
    ///
    /// # Errors
    /// `List`, naming the file, if it is damaged.
    pub fn trail(&mut self) -> Result<TrailState> {
        let mut trail = TrailState::default();
        while let Some((Piece::Trail, bytes)) = &self.next {
            let piece = bytes.get(PREFIX..).unwrap_or_default();
            trail.decode(piece).map_err(|e| self.named(&e))?;
            self.next = Some(self.piece(LARGEST).map_err(|e| self.named(&e))?);
        }
        Ok(trail)
    }
}

fn is_at_end(from: &mut BufReader<File>) -> Result<bool> {
    let mut one = [0];
    Ok(from.read(&mut one).map_err(|e| Error::new(ErrorKind::Io(e)))? == 0)
}

fn body(content: &[u8]) -> Reader<'_> {
    Reader::new(content.get(PREFIX..).unwrap_or_default())
}

fn damaged() -> Error {
    Error::format("damaged: its content is not what its kind asks for")
}
