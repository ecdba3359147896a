//! Rows that a raw search names: dictionaries are searched before any row is read.
//!
//! What is searched for stands in columns of text. A column whose dictionary lacks it, and whose pages hold nothing but
//! codes of that dictionary, is not read at all; a row group without any other column costs its dictionaries. Of the rest
//! the codes say which rows matter, and only for batches with such a row the other columns are read; what they pass over
//! is not even inflated where it is a whole page.

use crate::error::Result;
use crate::flow::{Field, Kind, LineCounts, Sieve, Sink};
use crate::forms::columns::chunk::Chunk;
use crate::forms::columns::guard::guarded;
use crate::forms::columns::rows::{BATCH, Batch, Rows};
use crate::forms::columns::{Finished, Table, span_of};
use crate::net::TimeWindow;
use parquet::file::metadata::RowGroupMetaData;
use std::ops::Range;

/// What the search knows of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Searched {
    /// Some row may matter by it.
    live: bool,
    /// Codes of the dictionary that matter.
    hits: Vec<u32>,
}

impl Table {
    /// As [`Table::read`], but only the rows that `sieve` names, and those at the ends of a row group that does not say
    /// when its records are of. The others are counted as searched.
    pub fn sift(&self, window: TimeWindow, part: Range<u64>, sieve: &dyn Sieve, sink: &mut impl Sink) -> Finished {
        let mut finished = Finished::default();
        for group in (0..self.groups()).filter(|g| part.contains(&self.start_of(*g))) {
            if self.is_outside(group, window) {
                finished.counts.searched += self.rows_in(group);
                continue;
            }
            let span = self.meta.row_groups().get(group).and_then(|g| self.times_of(g));
            if let Err(e) = self.sift_group((group, span.is_none()), sieve, &mut finished.counts, sink) {
                finished.damage = Some(self.cause(e));
                break;
            }
            finished.span = match (finished.span, span) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
        finished
    }

    fn sift_group(
        &self,
        (group, ends): (usize, bool),
        sieve: &dyn Sieve,
        counts: &mut LineCounts,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let mut rows = self.rows(group)?;
        self.fetch(group, &is_text)?;
        guarded(|| rows.search_dictionaries(sieve))?;
        if !ends && !rows.searched.iter().any(|s| s.live) {
            counts.searched += self.rows_in(group);
            return Ok(());
        }
        let mut found = Vec::new();
        while let Some(batch) = rows.next_found(sieve, ends, &mut found)? {
            let mut done = 0;
            for row in &found {
                counts.searched += (row - done) as u64;
                self.one(&batch, *row, counts, sink);
                done = row + 1;
            }
            counts.searched += (batch.len() - done) as u64;
        }
        Ok(())
    }

    /// First start and last end of a row group's records, if the writer noted them.
    fn times_of(&self, group: &RowGroupMetaData) -> Option<(u64, u64)> {
        let column = |field| self.schema.leaves.iter().find(|l| l.field == field);
        let (start, end) = (column(Field::Start)?, column(Field::End)?);
        let first = span_of(group, start.column)?.0 / start.scale;
        let last = span_of(group, end.column)?.1 / end.scale;
        Some((u64::try_from(first).ok()?, u64::try_from(last).ok()?))
    }
}

impl Rows<'_> {
    fn search_dictionaries(&mut self, sieve: &dyn Sieve) -> Result<()> {
        self.searched = vec![Searched::default(); self.chunks.len()];
        let texts = self.schema.leaves.iter().map(|l| is_text(l.field));
        for ((chunk, searched), _) in self
            .chunks
            .iter_mut()
            .zip(&mut self.searched)
            .zip(texts)
            .filter(|(_, t)| *t)
        {
            let complete = chunk.load_dictionary()?;
            searched.hits = chunk.entries.hits(0, sieve);
            searched.live = !complete || !searched.hits.is_empty();
        }
        Ok(())
    }

    /// The next rows, and which of them matter: those that `sieve` names and, with `ends`, the first and the last of all.
    /// Where none does, the batch holds nothing but its length.
    fn next_found(&mut self, sieve: &dyn Sieve, ends: bool, found: &mut Vec<usize>) -> Result<Option<Batch<'_>>> {
        let count = self.left.min(BATCH);
        found.clear();
        if count == 0 {
            return Ok(None);
        }
        if ends && self.left == self.all {
            found.push(0);
        }
        if ends && self.left == count {
            found.push(count - 1);
        }
        guarded(|| self.find(count, sieve, found))?;
        self.left -= count;
        found.sort_unstable();
        found.dedup();
        Ok(Some(Batch {
            rows: self,
            length: count,
        }))
    }

    fn find(&mut self, count: usize, sieve: &dyn Sieve, found: &mut Vec<usize>) -> Result<()> {
        let columns = self.chunks.iter_mut().zip(&mut self.codes).zip(&self.searched);
        for ((chunk, codes), searched) in columns.filter(|(_, s)| s.live) {
            chunk.read(count, codes)?;
            chunk.found(&searched.hits, sieve, codes, found);
        }
        let columns = self.chunks.iter_mut().zip(&mut self.codes).zip(&self.searched);
        for ((chunk, codes), _) in columns.filter(|(_, s)| !s.live) {
            match found.is_empty() {
                true => chunk.skip(count),
                false => chunk.read(count, codes)?,
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// Adds the rows whose code is one of the dictionary's `hits`, or stands for another entry that `sieve` names.
    fn found(&self, hits: &[u32], sieve: &dyn Sieve, codes: &[u32], into: &mut Vec<usize>) {
        let others = self.entries.hits(self.dictionary, sieve);
        let mut rows_of = |hit: u32| {
            let rows = codes.iter().enumerate().filter(|(_, code)| **code == hit);
            into.extend(rows.map(|(row, _)| row));
        };
        if hits.len() + others.len() <= FEW {
            hits.iter().chain(&others).for_each(|hit| rows_of(*hit));
            return;
        }
        let among = |code: &u32| hits.binary_search(code).is_ok() || others.binary_search(code).is_ok();
        let rows = codes.iter().enumerate().filter(|(_, code)| among(code));
        into.extend(rows.map(|(row, _)| row));
    }
}

/// So few codes are looked for one by one.
const FEW: usize = 4;

fn is_text(field: Field) -> bool {
    !matches!(field.info().kind, Kind::Number(_))
}
