//! An object that is not read whole: its end first, then the stretches that somebody needs.
//!
//! For Parquet, whose footer stands at the end and says where everything else is. The end is one request, and may have been
//! made before the object's turn came; every other stretch is asked for under the tag of the same content, so that an
//! object that changes between two requests is an error and never a mixture. Stretches are fetched side by side.

use crate::error::{Error, Result};
use crate::input::remote::bucket::runtime;
use crate::input::remote::object::Object;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;

/// An object of which parts are asked for.
#[derive(Clone)]
pub struct Pieces {
    object: Object,
    tail: Bytes,
}

/// So much of its end is asked for first: a footer, as far as one knows.
pub(super) const TAIL: u64 = 64 << 10;

impl Pieces {
    /// Fetches the end of an object; nothing if its content has no tag by which the rest could be asked for.
    ///
    /// # Errors
    /// What S3 says, in words.
    pub(in crate::input) fn of(object: &Object) -> Result<Option<Pieces>> {
        let (tail, tag) = object.tail()?;
        let object = tag.map(|tag| object.with_tag(&tag));
        Ok(object.map(|object| Pieces { object, tail }))
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.object.size()
    }

    /// Its last bytes.
    pub fn tail(&self) -> Bytes {
        self.tail.clone()
    }

    /// The bytes of each of these ranges.
    ///
    /// # Errors
    /// What S3 says, in words; `Format` for a range that is not inside of the object.
    pub fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let inside = |r: &Range<u64>| r.start <= r.end && r.end <= self.size();
        if !ranges.iter().all(inside) {
            return Err(Error::format("it says that a part of it lies beyond its end"));
        }
        let fetched = runtime()?.block_on(self.object.parts(ranges));
        fetched.map_err(|f| std::io::Error::other(f.reason()).into())
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pieces of {:?}", self.object)
    }
}
