//! What is to be done with a content: count it, or pass it over because it came before or was learned.

use super::{Run, Task};
use crate::aggregate::copies::Claim;
use crate::aggregate::outcome::{Place, TaskReport};
use crate::aggregate::sinks::Counted;
use crate::aggregate::tally::Tally;
use crate::input::{Fingerprint, Reader};
use std::collections::BTreeSet;
use std::sync::PoisonError;

impl<T: Tally> Run<'_, T> {
    /// Keeps what became of a task.
    pub(super) fn push(&self, task: &Task, report: &TaskReport) {
        if report.format_changed && task.range.is_some() {
            self.changed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(report.file);
        }
        self.keep(report);
    }

    /// Keeps what became of a task whose format did not change in the middle of a file.
    pub(super) fn keep(&self, report: &TaskReport) {
        if let Some(print) = report.fingerprint {
            self.claims.note(print, report.file);
        }
        self.reports.push(report);
    }

    /// True if the content was learned before.
    pub(super) fn is_learned(&self, fingerprint: Fingerprint) -> bool {
        let part = fingerprint.cut(self.reading.window);
        let learned = |l: &BTreeSet<Fingerprint>| l.contains(&fingerprint) || l.contains(&part);
        self.options.learned.as_ref().is_some_and(learned)
    }

    /// Who a streamed file is, where that matters: its content, or its bytes as they are if it cannot be unpacked whole.
    pub(super) fn identity(&self, file: u32) -> Option<Fingerprint> {
        let source = self.archive.sources.get(file as usize)?;
        self.options.learned.as_ref().filter(|_| !source.is_stdin())?;
        let content = Reader::new(self.options.read).fingerprint(&source).ok();
        content.or_else(|| {
            let mut stored = Vec::new();
            source.stored().ok()?.read_to_end(&mut stored).ok()?;
            Some(Fingerprint::of(&stored))
        })
    }

    /// What is to be done with a content that is at hand.
    pub(super) fn claim_whole(&self, task: &Task, bytes: &[u8], sink: &mut Counted<'_, T>) -> Claim {
        let learning = self.options.learned.is_some();
        let print = match (self.known.get(&task.file), &task.range) {
            (Some(print), _) => Some(*print),
            (None, None) if learning || bytes.is_empty() => Some(Fingerprint::of(bytes)),
            (None, None) => {
                let again = |file| self.content_of(file);
                let (print, claim) = self.claims.claim_bytes(bytes, (task.file, &self.logs), again);
                sink.report.fingerprint = print;
                if claim != Claim::Count {
                    sink.report.place = Place::Copy;
                }
                return claim;
            }
            (None, Some(_)) => None,
        };
        if print.is_some_and(|f| self.is_learned(f)) {
            sink.report.fingerprint = print;
            return Claim::Pass;
        }
        self.claim(task.file, print, sink)
    }

    /// Reads a file once more for its fingerprint.
    fn content_of(&self, file: u32) -> Option<Fingerprint> {
        let source = self.archive.sources.get(file as usize)?;
        Reader::new(self.options.read).fingerprint(&source).ok()
    }

    /// Whether this file is the one that counts for its content. Empty contents are nobody's copies.
    pub(super) fn claim(&self, file: u32, fingerprint: Option<Fingerprint>, sink: &mut Counted<'_, T>) -> Claim {
        let Some(print) = fingerprint.filter(|f| f.size > 0) else {
            return Claim::Count;
        };
        sink.report.fingerprint = Some(print);
        let claim = self.claims.claim(print, file, &self.logs);
        if claim != Claim::Count {
            sink.report.place = Place::Copy;
        }
        claim
    }
}
