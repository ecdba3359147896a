//! The bytes of a Parquet file: all at hand, or drawn from S3 as they are needed.
//!
//! Of an object the footer is read first. A row group's columns are fetched when its rows are opened, or, where rows are
//! searched, those that are searched first and the others with the first row that matters. Columns that stand close to
//! each other come in one request; what lay between them is thrown away, which costs less than another request.

use crate::error::{Error, Result};
use crate::forms::columns::chunk::damaged;
use crate::input::Pieces;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as Read};
use parquet::file::reader::{ChunkReader, Length};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file, or as much of it as was fetched.
pub(super) enum Held {
    /// All of it.
    Whole(Bytes),
    /// What was drawn so far.
    Drawn(Pieces, Mutex<Drawn>),
}

/// Parts of an object.
#[derive(Default)]
pub(super) struct Drawn {
    /// What is at hand, with where it starts.
    parts: Vec<(u64, Bytes)>,
    /// What the row group in hand may need.
    wanted: Vec<Range<u64>>,
    /// Why something could not be fetched.
    failed: Option<Error>,
}

/// Columns so near to each other are fetched together, with what lies between: a request takes as long as so many bytes.
const NEAR: u64 = 512 << 10;

/// The end of a Parquet file: how long its footer is, and four letters.
const END: u64 = 8;

impl Held {
    /// An object with its footer at hand.
    pub(super) fn drawn(pieces: Pieces) -> Result<Self> {
        let (size, tail) = (pieces.size(), pieces.tail());
        let mut parts = vec![(size.saturating_sub(tail.len() as u64), tail)];
        let from = parts.first().and_then(|(at, tail)| footer(*at, tail));
        let from = from.ok_or_else(|| damaged("its footer is longer than it"))?;
        if parts.first().is_some_and(|(at, _)| from < *at) {
            let all = pieces.fetch(std::slice::from_ref(&(from..size)))?;
            parts = all.into_iter().map(|bytes| (from, bytes)).collect();
        }
        let drawn = Drawn {
            parts,
            ..Drawn::default()
        };
        Ok(Held::Drawn(pieces, Mutex::new(drawn)))
    }

    /// True if only what is asked for is at hand.
    pub(super) fn is_drawn(&self) -> bool {
        matches!(self, Held::Drawn(..))
    }

    /// Begins a row group whose columns stand here: what was fetched of others goes.
    pub(super) fn begin(&self, columns: Vec<Range<u64>>) {
        if let Held::Drawn(_, drawn) = self {
            let mut drawn = lock(drawn);
            drawn.parts.clear();
            drawn.wanted = columns;
        }
    }

    /// Fetches some columns of the row group, as far as they are not at hand.
    ///
    /// # Errors
    /// What S3 says.
    pub(super) fn need(&self, columns: &[Range<u64>]) -> Result<()> {
        match self {
            Held::Whole(_) => Ok(()),
            Held::Drawn(pieces, drawn) => lock(drawn).fetch(pieces, columns),
        }
    }

    /// Why something could not be fetched, told once.
    pub(super) fn failure(&self) -> Option<Error> {
        match self {
            Held::Whole(_) => None,
            Held::Drawn(_, drawn) => lock(drawn).failed.take(),
        }
    }

    /// What is at hand from `at` on; all that the row group may need is fetched if nothing is.
    pub(super) fn from(&self, at: u64) -> Read<Bytes> {
        let missing = || ParquetError::General("a page beyond its column".into());
        let (pieces, drawn) = match self {
            Held::Drawn(pieces, drawn) => (pieces, drawn),
            Held::Whole(bytes) => {
                let start = usize::try_from(at).ok().filter(|at| *at <= bytes.len());
                return start.map(|at| bytes.slice(at..)).ok_or_else(missing);
            }
        };
        let mut drawn = lock(drawn);
        if let Some(bytes) = drawn.at(at) {
            return Ok(bytes);
        }
        let wanted = drawn.wanted.clone();
        if let Err(e) = drawn.fetch(pieces, &wanted) {
            let reason = e.reason();
            drawn.failed = Some(e);
            return Err(ParquetError::General(reason));
        }
        drawn.at(at).ok_or_else(missing)
    }
}

impl Drawn {
    fn at(&self, at: u64) -> Option<Bytes> {
        let inside = |(start, bytes): &&(u64, Bytes)| *start <= at && at - start < bytes.len() as u64;
        let (start, bytes) = self.parts.iter().find(inside)?;
        Some(bytes.slice(usize::try_from(at - start).ok()?..))
    }

    fn fetch(&mut self, pieces: &Pieces, columns: &[Range<u64>]) -> Result<()> {
        let held = |r: &Range<u64>| {
            let part = self.at(r.start);
            part.is_some_and(|p| p.len() as u64 >= r.end - r.start)
        };
        let missing = columns.iter().filter(|r| r.start < r.end && !held(r));
        let ranges = merged(missing.cloned().collect());
        let fetched = pieces.fetch(&ranges)?;
        self.parts.extend(ranges.iter().map(|r| r.start).zip(fetched));
        Ok(())
    }
}

impl Length for Held {
    fn len(&self) -> u64 {
        match self {
            Held::Whole(bytes) => bytes.len() as u64,
            Held::Drawn(pieces, _) => pieces.size(),
        }
    }
}

impl ChunkReader for Held {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Read<Self::T> {
        match self {
            Held::Whole(bytes) => bytes.get_read(start),
            Held::Drawn(..) => Ok(self.from(start)?.reader()),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Read<Bytes> {
        match self {
            Held::Whole(bytes) => bytes.get_bytes(start, length),
            Held::Drawn(..) => {
                let mut bytes = self.from(start)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF("a page beyond its column".into()));
                }
                bytes.truncate(length);
                Ok(bytes)
            }
        }
    }
}

fn lock(drawn: &Mutex<Drawn>) -> MutexGuard<'_, Drawn> {
    drawn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the footer starts, by the end of the file, whose last bytes stand at `at`.
fn footer(at: u64, tail: &[u8]) -> Option<u64> {
    let end = at + tail.len() as u64;
    let length = tail.len().checked_sub(END as usize).and_then(|i| tail.get(i..i + 4))?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    end.checked_sub(END + u64::from(length))
}

/// The ranges in their order, those that are near each other as one.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all
            .last_mut()
            .filter(|last| range.start <= last.end.saturating_add(NEAR))
        {
            Some(last) => last.end = last.end.max(range.end),
            None => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_columns_come_in_one_request() {
        let far = 2 * NEAR + 20;
        let ranges = vec![far..far + 5, 10..20, 0..10, 15 + NEAR..18 + NEAR];
        assert_eq!(merged(ranges), [0..18 + NEAR, far..far + 5]);
        assert_eq!(merged(Vec::new()), []);
    }

    #[test]
    fn a_footer_is_found_by_the_end_of_its_file_and_never_before_its_start() {
        let end = |length: u32| [&length.to_le_bytes()[..], b"PAR1"].concat();
        assert_eq!(footer(1_000, &end(100)), Some(900));
        assert_eq!(footer(99, &end(100)), None);
        assert_eq!(footer(0, b"PAR1"), None);
    }
}
