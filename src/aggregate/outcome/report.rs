//! What was read of whole files, as it is kept between runs: the tasks of a file become one report.

use super::{Outcome, Place, TaskReport};
use crate::aggregate::examples::{Kind, Rejected};
use crate::aggregate::raw::sum;
use crate::aggregate::stats::{Anomalies, RecordCounts};
use crate::aggregate::watch::FieldSet;
use crate::error::{Error, Result};
use crate::flow::{LineCounts, Reason};
use crate::input::Fingerprint;
use crate::store::{Reader, Writer};
use std::collections::BTreeMap;

impl Outcome {
    /// One report a file that was read, in their order; lines are those of the file.
    pub fn file_reports(&self) -> Vec<TaskReport> {
        let mut files: Vec<TaskReport> = Vec::new();
        for task in self.told.tasks() {
            if files.last().is_none_or(|f| f.file != task.file) {
                files.push(TaskReport::new(task.file, task.file));
            }
            if let Some(file) = files.last_mut() {
                let before = self.starts.get(&task.task).copied().unwrap_or(0);
                file.add(&task, self.kept.shown.get(&task.task), before);
            }
        }
        files
    }

    /// How many lines were rejected for what.
    pub(in crate::aggregate) fn rejected(&self) -> BTreeMap<Kind, u64> {
        self.kept.count.clone()
    }
}

impl TaskReport {
    /// The report of a whole file from those of its pieces, which follow each other; none if there is no piece.
    pub fn join<'r>(pieces: impl IntoIterator<Item = &'r TaskReport>) -> Option<TaskReport> {
        let mut whole: Option<TaskReport> = None;
        for piece in pieces {
            let whole = whole.get_or_insert_with(|| TaskReport::new(piece.task, piece.file));
            let before = whole.counts.lines + whole.counts.searched;
            whole.add(piece, Some(&piece.rejects), before);
        }
        whole
    }

    /// Adds the next task of the same file.
    fn add(&mut self, task: &TaskReport, rejects: Option<&Rejected>, before: u64) {
        self.counts += task.counts;
        if self.place == Place::Read {
            self.place.clone_from(&task.place);
        }
        self.fingerprint = self.fingerprint.or(task.fingerprint);
        self.span = match (self.span, task.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self.actions.0 += task.actions.0;
        self.actions.1 += task.actions.1;
        self.fields = match (self.fields, task.fields) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        };
        self.changed |= task.changed;
        for (kind, (count, lines)) in rejects.into_iter().flatten() {
            let (sum, shown) = self.rejects.entry(kind.clone()).or_default();
            *sum += count;
            shown.extend(lines.iter().map(|(line, text)| (before + line, text.clone())));
        }
    }

    /// Says that the file's content is counted from another one.
    pub fn make_copy(&mut self) {
        let fingerprint = self.fingerprint;
        *self = TaskReport::new(self.task, self.file);
        self.fingerprint = fingerprint;
        self.place = Place::Copy;
    }

    /// Gives it the numbers of another run's task and file.
    pub fn renumber(&mut self, task: u32, file: u32) {
        (self.task, self.file) = (task, file);
    }

    /// Writes it, without its numbers.
    pub fn encode(&self, w: &mut Writer) {
        let c = &self.counts;
        let lines = [
            c.lines, c.good, c.nodata, c.skipdata, c.rejected, c.headers, c.blank, c.searched,
        ];
        lines.into_iter().for_each(|n| w.number(n));
        let (place, reason) = match &self.place {
            Place::Read => (0, ""),
            Place::Damaged(reason) => (1, reason.as_str()),
            Place::Unreadable(reason) => (2, reason.as_str()),
            Place::Copy => (3, ""),
        };
        w.number(place);
        w.text(reason);
        let known = [
            self.changed,
            self.fingerprint.is_some(),
            self.span.is_some(),
            self.fields.is_some(),
        ];
        w.number(known.iter().fold(0, |bits, known| bits << 1 | u64::from(*known)));
        if let Some(print) = self.fingerprint {
            w.number(print.size);
            w.wide(print.hash);
        }
        if let Some((first, last)) = self.span {
            w.number(first);
            w.number(last);
        }
        if let Some(fields) = self.fields {
            w.wide(fields.bits());
        }
        w.number(self.actions.0);
        w.number(self.actions.1);
        self.encode_rejects(w);
    }

    pub(super) fn encode_rejects(&self, w: &mut Writer) {
        w.number(self.rejects.len() as u64);
        for ((reason, field), (count, lines)) in &self.rejects {
            w.number(*reason as u64);
            w.text(field);
            w.number(*count);
            w.number(lines.len() as u64);
            for (line, excerpt) in lines {
                w.number(*line);
                w.text(excerpt);
            }
        }
    }

    /// Reads what [`TaskReport::encode`] wrote, of the file with this number.
    ///
    /// # Errors
    /// `Format` if something else stands there.
    pub fn decode(number: u32, r: &mut Reader<'_>) -> Result<Self> {
        let mut out = TaskReport::new(number, number);
        out.counts = LineCounts {
            lines: r.count()?,
            good: r.count()?,
            nodata: r.count()?,
            skipdata: r.count()?,
            rejected: r.count()?,
            headers: r.count()?,
            blank: r.count()?,
            searched: r.count()?,
        };
        let (place, reason) = (r.number()?, r.text()?.to_owned());
        out.place = match place {
            0 => Place::Read,
            1 => Place::Damaged(reason),
            2 => Place::Unreadable(reason),
            3 => Place::Copy,
            _ => return Err(damaged()),
        };
        let known = r.number()?;
        out.changed = known & 8 != 0;
        if known & 4 != 0 {
            let (size, hash) = (r.number()?, r.wide()?);
            out.fingerprint = Some(Fingerprint { size, hash });
        }
        if known & 2 != 0 {
            out.span = Some((r.number()?, r.number()?));
        }
        if known & 1 != 0 {
            out.fields = Some(FieldSet::from_bits(r.wide()?));
        }
        out.actions = (r.count()?, r.count()?);
        out.decode_rejects(r)?;
        Ok(out)
    }

    pub(super) fn decode_rejects(&mut self, r: &mut Reader<'_>) -> Result<()> {
        for _ in 0..r.number()? {
            let kind = decode_kind(r)?;
            let (count, lines) = self.rejects.entry(kind).or_default();
            *count = r.count()?;
            for _ in 0..r.number()? {
                lines.push((r.number()?, r.text()?.to_owned()));
            }
        }
        Ok(())
    }
}

/// A reason and a field.
pub(in crate::aggregate) fn decode_kind(r: &mut Reader<'_>) -> Result<Kind> {
    let reason = *REASONS.get(r.small::<usize>()?).ok_or_else(damaged)?;
    Ok((reason, r.text()?.to_owned()))
}

impl RecordCounts {
    /// Writes them.
    pub fn encode(&self, w: &mut Writer) {
        let a = &self.anomalies;
        [
            self.good_accept,
            self.reject_records,
            self.unknown_bytes,
            self.transit_gateway,
            a.end_before_start,
            a.epoch_ms,
            a.far_past,
            a.far_future,
            a.y2038,
        ]
        .into_iter()
        .for_each(|n| w.number(n));
        [self.accept_bytes, self.reject_bytes, self.transit_gateway_bytes]
            .into_iter()
            .for_each(|n| w.wide(n));
    }

    /// Reads what [`RecordCounts::encode`] wrote.
    ///
    /// # Errors
    /// `Format` if it is anything else.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        Ok(RecordCounts {
            good_accept: r.count()?,
            reject_records: r.count()?,
            unknown_bytes: r.count()?,
            transit_gateway: r.count()?,
            anomalies: Anomalies {
                end_before_start: r.count()?,
                epoch_ms: r.count()?,
                far_past: r.count()?,
                far_future: r.count()?,
                y2038: r.count()?,
            },
            accept_bytes: sum(r.wide()?)?,
            reject_bytes: sum(r.wide()?)?,
            transit_gateway_bytes: sum(r.wide()?)?,
        })
    }
}

/// By their numbers in the file.
const REASONS: [Reason; 7] = [
    Reason::FieldCount,
    Reason::BlankAtEdge,
    Reason::TooLong,
    Reason::NotANumber,
    Reason::NotAnAddress,
    Reason::Missing,
    Reason::UnknownStatus,
];

fn damaged() -> Error {
    Error::format("damaged: its content is not what its kind asks for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (n, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, n);
        }
    }
}
