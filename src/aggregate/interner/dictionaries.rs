//! What rows of a table say of their interfaces, as codes of the table's dictionaries.

use super::FACTS;
use crate::flow::{Field, Rows};

/// Codes of the columns that describe interfaces, where each text stands in a dictionary.
#[derive(Debug, Default)]
pub struct Dictionaries<'r> {
    ids: &'r [u32],
    facts: Vec<(usize, &'r [u32])>,
}

impl<'r> Dictionaries<'r> {
    /// Of these rows; of none where some text stands in no dictionary.
    pub fn of(rows: &Rows<'r>) -> Self {
        // Where an id is missing the record's `resource-id` stands in its place.
        let alone = !rows.format.has(Field::ResourceId);
        let facts = FACTS.iter().enumerate().filter(|(_, f)| rows.format.has(**f));
        let facts: Option<Vec<_>> = facts.map(|(i, f)| Some((i, rows.codes(*f)?))).collect();
        match (rows.codes(Field::InterfaceId).filter(|_| alone), facts) {
            (Some(ids), Some(facts)) => Dictionaries { ids, facts },
            _ => Dictionaries::default(),
        }
    }

    /// The code of the interface that a row has, if its facts have codes too.
    #[inline]
    pub(super) fn id(&self, row: usize) -> Option<u32> {
        let known = self.facts.iter().all(|(_, codes)| row < codes.len());
        self.ids.get(row).copied().filter(|_| known)
    }

    /// The codes of its facts, 0 for those that the format lacks.
    pub(super) fn facts(&self, row: usize) -> [u32; FACTS.len()] {
        let mut facts = [0; FACTS.len()];
        for (i, codes) in &self.facts {
            facts[*i] = codes.get(row).copied().unwrap_or_default();
        }
        facts
    }

    /// True if these are the codes of its facts: compared where they stand, which is sooner done than copied.
    #[inline]
    pub(super) fn are_facts(&self, row: usize, noted: &[u32; FACTS.len()]) -> bool {
        let mut facts = self.facts.iter();
        facts.all(|(i, codes)| codes.get(row) == Some(&noted[*i]))
    }
}
