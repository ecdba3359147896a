//! The journal: what was sent to whom, what waits, and what may have arrived. It outlives the run.
//!
//! It is held under a lock from before the first notice until after the last, so two runs never send the same one at once,
//! and replaced as a whole at each change (`store::replace`): whoever is killed leaves the state before or the one after.
//! What was sent is remembered for good, about 40 bytes an incident, because an old archive may be scanned again.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::{self, Kind, Lock, Reader, Writer};

/// The journal, and the right to change it.
#[derive(Debug)]
pub struct Journal {
    lock: Lock,
    entries: BTreeMap<(String, String), Entry>,
}

/// What became of an incident at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The receiver has it.
    Sent,
    /// It is to be sent.
    Waiting {
        /// The incident, `flowtrail.finding/1`, as JSON.
        finding: String,
        /// It may have arrived: a try was begun, and no reply came.
        unsure: bool,
    },
}

impl Journal {
    /// Takes the lock and reads the file; an absent one is an empty journal.
    ///
    /// # Errors
    /// `Output` if another process holds it; `List` if it is damaged or of another version: it is left as it is, since an
    /// empty one would send everything again.
    pub fn open(path: &Path) -> Result<Journal> {
        let lock = Lock::take(path)?;
        let there = path.try_exists().map_err(|e| Error::output(path, e))?;
        let entries = if there {
            decode(&store::read(Kind::Journal, path)?).map_err(|e| Error::list(e.reason()).at(path))?
        } else {
            BTreeMap::new()
        };
        Ok(Journal { lock, entries })
    }

    /// What is known of an incident at a target.
    pub fn entry(&self, target: &str, id: &str) -> Option<&Entry> {
        self.entries.get(&(target.to_owned(), id.to_owned()))
    }

    /// What waits for a target: id, incident as JSON, whether it may have arrived.
    pub fn waiting(&self, target: &str) -> Vec<(String, String, bool)> {
        let mut all = Vec::new();
        for ((t, id), entry) in &self.entries {
            if let (true, Entry::Waiting { finding, unsure }) = (t == target, entry) {
                all.push((id.clone(), finding.clone(), *unsure));
            }
        }
        all
    }

    /// Notes what became of an incident; on disk with the next [`Journal::save`].
    pub fn set(&mut self, target: &str, id: &str, entry: Entry) {
        self.entries.insert((target.to_owned(), id.to_owned()), entry);
    }

    /// Writes it.
    ///
    /// # Errors
    /// `Output`; the old one is whole.
    pub fn save(&self) -> Result<()> {
        store::replace(&self.lock, &store::pack(Kind::Journal, &encode(&self.entries))?)
    }
}

const SENT: u64 = 0;
const WAITING: u64 = 1;
const UNSURE: u64 = 2;

fn encode(entries: &BTreeMap<(String, String), Entry>) -> Vec<u8> {
    let mut w = Writer::default();
    w.number(entries.len() as u64);
    for ((target, id), entry) in entries {
        w.text(target);
        w.text(id);
        match entry {
            Entry::Sent => w.number(SENT),
            Entry::Waiting { finding, unsure } => {
                w.number(if *unsure { UNSURE } else { WAITING });
                w.text(finding);
            }
        }
    }
    w.into_bytes()
}

fn decode(bytes: &[u8]) -> Result<BTreeMap<(String, String), Entry>> {
    let mut r = Reader::new(bytes);
    let mut entries = BTreeMap::new();
    for _ in 0..r.number()? {
        let key = (r.text()?.to_owned(), r.text()?.to_owned());
        let entry = match r.number()? {
            SENT => Entry::Sent,
            state @ (WAITING | UNSURE) => Entry::Waiting {
                finding: r.text()?.to_owned(),
                unsure: state == UNSURE,
            },
            _ => return Err(Error::format("damaged: an entry of no known state")),
        };
        entries.insert(key, entry);
    }
    r.done()?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_there_after_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.journal");
        let waiting = |unsure| Entry::Waiting {
            finding: "{\"id\":\"inc-ü\"}".into(),
            unsure,
        };
        {
            let mut journal = Journal::open(&path).unwrap();
            journal.set("a", "inc-1", Entry::Sent);
            journal.set("a", "inc-2", waiting(false));
            journal.set("b", "inc-1", waiting(true));
            journal.save().unwrap();
            journal.set("b", "inc-9", Entry::Sent);
        }
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.entry("a", "inc-1"), Some(&Entry::Sent));
        assert_eq!(journal.entry("b", "inc-1"), Some(&waiting(true)));
        assert_eq!(journal.entry("b", "inc-9"), None, "it was not saved");
        assert_eq!(journal.waiting("a").len(), 1);
    }

    #[test]
    fn a_damaged_journal_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        Journal::open(&path).unwrap().save().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(Journal::open(&path).unwrap_err().to_string().contains("damaged"));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
