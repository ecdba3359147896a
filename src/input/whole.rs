//! A source of moderate size at once: CloudTrail files, lists, inventories.

use super::reader::{Content, Reader, WINDOW};
use super::stream::Stream;
use crate::error::{Error, Result};
use crate::input::archive::Source;

impl Reader {
    /// The whole content of a source of moderate size: for CloudTrail files, lists and inventories. At most
    /// `max_unpacked` bytes; beyond it, or after damage, what came before is returned together with the error.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn whole(&mut self, source: &Source, into: &mut Vec<u8>) -> Result<Option<Error>> {
        Ok(match self.open(source)? {
            Content::Whole(bytes) => {
                (*bytes).clone_into(into);
                None
            }
            Content::Stream(mut stream) => drain(&mut stream, source, into),
            Content::Parquet(_) => return Err(no_text(source)),
        })
    }

    /// As [`Reader::whole`], without a copy where the content lies in memory anyway; else it is drawn into `spare`.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn with_whole<T>(
        &mut self,
        source: &Source,
        spare: &mut Vec<u8>,
        see: impl FnOnce(&[u8], Option<Error>) -> T,
    ) -> Result<T> {
        match self.open(source)? {
            Content::Whole(bytes) => Ok(see(&bytes, None)),
            Content::Stream(mut stream) => {
                let damage = drain(&mut stream, source, spare);
                Ok(see(spare, damage))
            }
            Content::Parquet(_) => Err(no_text(source)),
        }
    }
}

fn no_text(source: &Source) -> Error {
    let text = "Parquet content is read as flow logs only; give this one as JSON";
    Error::format(text).at(&source.path)
}

/// Draws all of a stream; the damage at its end, if there is one.
fn drain(stream: &mut Stream<'_>, source: &Source, into: &mut Vec<u8>) -> Option<Error> {
    into.clear();
    loop {
        let at = into.len();
        into.resize(at + WINDOW, 0);
        let n = stream.fill(&mut into[at..]);
        into.truncate(at + n);
        if n < WINDOW {
            return stream.damage().map(|e| e.at(&source.path));
        }
    }
}
