//! A source of moderate size at once: CloudTrail files, lists, inventories.

use super::reader::{Content, Reader, Stream, WINDOW};
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
        }
    }
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
