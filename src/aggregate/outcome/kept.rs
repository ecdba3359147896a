//! What became of a file, as bytes: kept beside sums of its records, so that both can be told again without reading it.
//!
//! Pieces of a large file become one report first, with lines counted from the start of the file.

use super::{Place, TaskReport};
use crate::aggregate::watch::FieldSet;
use crate::error::{Error, Result};
use crate::flow::{LineCounts, Reason};
use crate::input::Fingerprint;
use crate::store::{Reader, Writer};

const REASONS: [Reason; 7] = [
    Reason::FieldCount,
    Reason::BlankAtEdge,
    Reason::TooLong,
    Reason::NotANumber,
    Reason::NotAnAddress,
    Reason::Missing,
    Reason::UnknownStatus,
];

impl TaskReport {
    /// The report of a whole file from those of its pieces, which follow each other; none if there is no piece.
    pub fn join<'r>(pieces: impl IntoIterator<Item = &'r TaskReport>) -> Option<TaskReport> {
        let mut pieces = pieces.into_iter();
        let mut all = pieces.next()?.clone();
        for piece in pieces {
            let before = all.counts.lines + all.counts.searched;
            all.counts += piece.counts;
            if all.place == Place::Read {
                all.place = piece.place.clone();
            }
            all.fingerprint = all.fingerprint.or(piece.fingerprint);
            all.span = match (all.span, piece.span) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (a, b) => a.or(b),
            };
            all.actions = (all.actions.0 + piece.actions.0, all.actions.1 + piece.actions.1);
            all.fields = match (all.fields, piece.fields) {
                (Some(a), Some(b)) => Some(a.and(b)),
                (a, b) => a.or(b),
            };
            for (kind, (count, lines)) in &piece.rejects {
                let moved = lines.iter().map(|(line, text)| (before + line, text.clone()));
                let entry = all.rejects.entry(kind.clone()).or_default();
                entry.0 += count;
                entry.1.extend(moved);
            }
            all.changed |= piece.changed;
        }
        Some(all)
    }

    /// The same report as that of another run's task and file.
    #[must_use]
    pub fn of(mut self, task: u32, file: u32) -> TaskReport {
        (self.task, self.file) = (task, file);
        self
    }

    /// Writes it, without the numbers of task and file.
    pub fn write(&self, to: &mut Writer) {
        let c = &self.counts;
        let counts = [
            c.lines, c.good, c.nodata, c.skipdata, c.rejected, c.headers, c.blank, c.searched,
        ];
        counts.into_iter().for_each(|n| to.number(n));
        let (kind, reason) = match &self.place {
            Place::Read => (0, ""),
            Place::Damaged(reason) => (1, reason.as_str()),
            Place::Unreadable(reason) => (2, reason.as_str()),
            Place::Copy => (3, ""),
        };
        to.number(kind);
        to.text(reason);
        option(to, self.fingerprint.is_some());
        if let Some(print) = self.fingerprint {
            to.number(print.size);
            to.wide(print.hash);
        }
        option(to, self.span.is_some());
        if let Some((first, last)) = self.span {
            to.number(first);
            to.number(last);
        }
        to.number(self.actions.0);
        to.number(self.actions.1);
        option(to, self.fields.is_some());
        to.wide(self.fields.map_or(0, FieldSet::bits));
        to.number(self.rejects.len() as u64);
        for ((reason, field), (count, lines)) in &self.rejects {
            to.number(REASONS.iter().position(|r| r == reason).unwrap_or(0) as u64);
            to.text(field);
            to.number(*count);
            to.number(lines.len() as u64);
            for (line, text) in lines {
                to.number(*line);
                to.text(text);
            }
        }
    }

    /// Reads what [`TaskReport::write`] wrote.
    ///
    /// # Errors
    /// `Format` if something else stands there.
    pub fn read(from: &mut Reader<'_>) -> Result<TaskReport> {
        let mut report = TaskReport::new(0, 0);
        report.counts = counts(from)?;
        report.place = place(from)?;
        if from.small::<u8>()? == 1 {
            report.fingerprint = Some(Fingerprint {
                size: from.number()?,
                hash: from.wide()?,
            });
        }
        if from.small::<u8>()? == 1 {
            report.span = Some((from.number()?, from.number()?));
        }
        report.actions = (from.number()?, from.number()?);
        let known = from.small::<u8>()? == 1;
        let bits = from.wide()?;
        report.fields = known.then(|| FieldSet::from_bits(bits));
        for _ in 0..from.number()? {
            let reason = REASONS.get(from.small::<usize>()?).copied();
            let reason = reason.ok_or_else(|| Error::format("damaged: an unknown reason"))?;
            let field = from.text()?.to_owned();
            let count = from.number()?;
            let mut lines = Vec::new();
            for _ in 0..from.number()? {
                lines.push((from.number()?, from.text()?.to_owned()));
            }
            report.rejects.insert((reason, field), (count, lines));
        }
        Ok(report)
    }
}

fn option(to: &mut Writer, there: bool) {
    to.number(u64::from(there));
}

fn counts(from: &mut Reader<'_>) -> Result<LineCounts> {
    Ok(LineCounts {
        lines: from.number()?,
        good: from.number()?,
        nodata: from.number()?,
        skipdata: from.number()?,
        rejected: from.number()?,
        headers: from.number()?,
        blank: from.number()?,
        searched: from.number()?,
    })
}

fn place(from: &mut Reader<'_>) -> Result<Place> {
    let kind: u8 = from.small()?;
    let reason = from.text()?.to_owned();
    match kind {
        0 => Ok(Place::Read),
        1 => Ok(Place::Damaged(reason)),
        2 => Ok(Place::Unreadable(reason)),
        3 => Ok(Place::Copy),
        _ => Err(Error::format("damaged: an unknown state of a file")),
    }
}
