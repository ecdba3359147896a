//! Which rows of a batch have to be there whole: by their destination, each distinct one judged once.
//!
//! Most records go to an address of home, and of those a sum of egress needs no more than the accounting of all records
//! does. Whoever counts says of each entry of a dictionary whether that is so ([`Sink::is_passed`]); the rows are told by
//! their codes.

use crate::flow::{Columns, Field, LogFormat, Sink};
use crate::forms::columns::Batch;

/// What was told of the destinations of the row group in hand, and the rows selected last.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// The sink wants rows to be selected.
    on: bool,
    /// By entry: records towards it are passed over.
    passed: Vec<bool>,
    /// How many of them stand for good, of which dictionary.
    known: (usize, u64),
    rows: Vec<u32>,
}

impl Selection {
    pub(super) fn of(format: &LogFormat, sink: &impl Sink) -> Self {
        Selection {
            on: sink.selects(format),
            ..Selection::default()
        }
    }

    /// The good rows that are needed whole; `None` if all are.
    pub(super) fn select(&mut self, batch: &Batch<'_>, columns: &Columns, sink: &impl Sink) -> Option<&[u32]> {
        let (chunk, codes) = batch.only(Field::DstAddr).filter(|_| self.on)?;
        let (entries, dictionary) = (&chunk.entries, (chunk.dictionary, chunk.turn));
        // Entries of a batch go with it.
        self.passed
            .truncate(if self.known == dictionary { dictionary.0 } else { 0 });
        self.known = dictionary;
        let new = entries.addresses().iter().skip(self.passed.len());
        self.passed.extend(new.map(|a| sink.is_passed(*a)));
        self.rows.resize(codes.len(), 0);
        let (passed, rows, mut count) = (self.passed.as_slice(), self.rows.as_mut_slice(), 0);
        for (row, (code, good)) in (0u32..).zip(codes.iter().zip(columns.good())) {
            if let (Some(passed), Some(slot)) = (passed.get(*code as usize), rows.get_mut(count)) {
                *slot = row;
                count += usize::from(*good & !passed);
            }
        }
        self.rows.get(..count)
    }
}
