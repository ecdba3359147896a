//! Parquet objects on S3 of which only the footer and the columns that are needed are fetched.
//!
//! What is not fetched cannot be identified, so whatever may be a copy is fetched whole: an object of the same length as
//! another file, and all of them where contents are to be known again. A small one is whole too, in one request: its footer
//! alone would be another one. Whether an object is Parquet is told by its end; its name only says that the end is worth
//! asking for, and without it nothing is lost.

use super::{Claim, Counted, Ingest, Run, Tally, Task, shelved};
use crate::aggregate::outcome::Place;
use crate::aggregate::pieces::Order;
use crate::error::Result;
use crate::forms::columns::Table;
use crate::input::{Archive, Content, Reader, Source};
use std::collections::BTreeSet;

/// Which objects are drawn in pieces.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// None is: there are no objects, or contents are to be identified.
    none: bool,
    /// Lengths that several files have.
    alike: BTreeSet<u64>,
}

/// Smaller ones are fetched whole.
const LEAST: u64 = 4 << 20;

impl Drawn {
    pub(super) fn of(archive: &Archive, options: &Ingest) -> Drawn {
        let mut drawn = Drawn {
            none: options.learned.is_some() || !archive.sources.has_objects(),
            ..Drawn::default()
        };
        if !drawn.none {
            let mut sizes: Vec<u64> = archive.sources.sizes().filter(|size| *size >= LEAST).collect();
            sizes.sort_unstable();
            let same = sizes.windows(2).filter(|two| two[0] == two[1]);
            drawn.alike = same.map(|two| two[0]).collect();
        }
        drawn
    }

    /// True if only parts of it are to be fetched.
    pub(super) fn is(&self, source: &Source) -> bool {
        let named = || source.name.to_ascii_lowercase().ends_with(".parquet");
        !self.none && source.object.is_some() && source.size >= LEAST && !self.alike.contains(&source.size) && named()
    }
}

impl<T: Tally> Run<'_, T> {
    /// Has objects fetched in the order of their tasks.
    pub(super) fn fetch_ahead(&self, order: &Order) {
        let sources = &self.archive.sources;
        if !sources.has_objects() {
            return;
        }
        let files = order.iter().map(|n| self.tasks.get(n).file);
        let files = files.filter(|f| !shelved(self.reading, *f));
        let in_pieces = |file: u32| sources.get(file as usize).is_some_and(|s| self.drawn.is(&s));
        self.archive.fetch_ahead(files.map(|f| (f, in_pieces(f))));
    }

    /// Opens a source; nothing if it was read by parts.
    pub(super) fn opened<'r>(
        &self,
        source: &Source,
        reader: &'r mut Reader,
        task: &Task,
        sink: &mut Counted<'_, T>,
    ) -> Result<Option<Content<'r>>> {
        if self.drawn.is(source)
            && let Some(pieces) = reader.pieces(source)?
        {
            match Table::open_pieces(pieces, &|f| self.wants(f)) {
                Ok(table) => self.table(task, &table, Claim::Count, sink),
                Err(e) => sink.report.place = Place::Unreadable(e.reason()),
            }
            return Ok(None);
        }
        reader.open(source).map(Some)
    }
}
