//! From codes to the columns that counting takes: each distinct value was parsed once, a row is a look-up.
//!
//! Rows that nobody selected get what the accounting needs of every record, and nothing else.

use crate::flow::{Action, Column, Columns, Field, FlowDirection, LogFormat, MISSING};
use crate::forms::columns::chunk::{Chunk, NULL};
use crate::forms::columns::entries::{Entries, State};
use crate::forms::columns::rows::{Batch, Verdict};
use crate::net::Addr;

/// A dictionary of texts so short is looked at once a batch, a longer one row by row.
const FEW: usize = 64;

/// What the accounting of all records takes.
const OF_ALL: [Field; 4] = [Field::Action, Field::Bytes, Field::Start, Field::End];

impl Batch<'_> {
    /// Begins `columns`, which were made for rows of `format`, with what is needed of every row.
    pub(super) fn fill(&self, format: &LogFormat, verdicts: &[Verdict], columns: &mut Columns) {
        columns.begin(self.len());
        for (good, verdict) in columns.good_mut().iter_mut().zip(verdicts) {
            *good = *verdict == Verdict::Good;
        }
        self.fill_fields(format, &|f| OF_ALL.contains(&f), columns, None);
    }

    /// Fills the other columns: of the rows that are selected, or of all.
    pub(super) fn fill_rest(&self, format: &LogFormat, columns: &mut Columns, selected: Option<&[u32]>) {
        self.fill_fields(format, &|f| !OF_ALL.contains(&f), columns, selected);
        for field in [Field::PktSrcAddr, Field::PktDstAddr] {
            if format.has(field) {
                self.addresses(field, columns.packet_mut(field), selected);
            }
        }
    }

    fn fill_fields(
        &self,
        format: &LogFormat,
        wanted: &dyn Fn(Field) -> bool,
        columns: &mut Columns,
        selected: Option<&[u32]>,
    ) {
        for column in format.columns() {
            let Column::Known(field) = column else { continue };
            match field {
                _ if !wanted(*field) => {}
                Field::Action => {
                    let of = |e: &Entries, code| Action::of(e.text(code));
                    self.each(*field, Action::of(b"-"), of, &mut columns.action);
                }
                Field::FlowDirection => {
                    let of = |e: &Entries, code| FlowDirection::of(e.text(code));
                    self.each(*field, None, of, &mut columns.direction);
                }
                Field::SrcAddr => self.addresses(*field, &mut columns.srcaddr, selected),
                Field::DstAddr => self.addresses(*field, &mut columns.dstaddr, selected),
                _ => {
                    if let Some(numbers) = columns.numbers_mut(*field) {
                        self.numbers(*field, numbers, selected);
                    }
                }
            }
        }
    }

    /// The only column that holds a field, with its codes.
    pub(super) fn only(&self, field: Field) -> Option<(&Chunk, &[u32])> {
        let leaves = self.rows.schema.leaves.iter();
        let all = leaves.zip(&self.rows.chunks).zip(&self.rows.codes);
        let mut those = all.filter(|((leaf, _), _)| leaf.field == field);
        let ((_, chunk), codes) = those.next()?;
        those.next().is_none().then_some((chunk, codes))
    }

    /// What `of` makes of each row's entry, `nothing` where there is none; of several columns of a field the first that has
    /// a value counts.
    pub(super) fn each<T: Copy>(&self, field: Field, nothing: T, of: impl Fn(&Entries, u32) -> T, into: &mut [T]) {
        for (i, (entries, codes)) in self.columns(field).enumerate() {
            let mut table = [nothing; FEW];
            for (code, slot) in (0u32..).zip(&mut table).take(entries.len()) {
                *slot = of(entries, code);
            }
            if i == 0 && entries.len() < FEW {
                // The code of no value is the last of the table, and no entry's.
                let values = codes.iter().map(|code| table[*code as usize % FEW]);
                into.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
                continue;
            }
            let value = |code: u32| match table.get(code as usize) {
                Some(value) => *value,
                None if code == NULL => nothing,
                None => of(entries, code),
            };
            for (row, (slot, code)) in into.iter_mut().zip(codes).enumerate() {
                if i == 0 || self.lacks(field, i, row) {
                    *slot = value(*code);
                }
            }
        }
    }

    /// True if none of the first `columns` columns of a field has a value in a row.
    fn lacks(&self, field: Field, columns: usize, row: usize) -> bool {
        let mut before = self.columns(field).take(columns);
        before.all(|(e, codes)| codes.get(row).is_none_or(|code| e.state(*code) == State::Absent))
    }

    fn numbers(&self, field: Field, into: &mut [u64], selected: Option<&[u32]>) {
        let mut all = self.columns(field);
        let Some((entries, codes)) = all.next() else { return };
        let numbers = entries.numbers();
        each_of(selected, into, codes, |slot, code| match numbers.get(code as usize) {
            Some(number) => *slot = *number,
            None => *slot = missing(),
        });
        for (entries, codes) in all {
            each_of(selected, into, codes, |slot, code| {
                if *slot == MISSING {
                    *slot = entries.number_or_missing(code);
                }
            });
        }
    }

    /// Addresses of rows that have one; the other slots stay as they are.
    fn addresses(&self, field: Field, into: &mut [Addr], selected: Option<&[u32]>) {
        // The first column that has a value counts, so it is written last.
        let all: Vec<_> = self.columns(field).collect();
        for (entries, codes) in all.into_iter().rev() {
            let good = entries.all_good();
            each_of(selected, into, codes, |slot, code| {
                match entries.addresses().get(code as usize) {
                    Some(a) if good || entries.state(code) == State::Good => *slot = *a,
                    _ => {}
                }
            });
        }
    }
}

/// Few rows have no value: a branch that is foreseen costs less than to choose between two places.
#[cold]
fn missing() -> u64 {
    MISSING
}

/// Each of the selected rows, or of all.
#[inline(always)]
fn each_of<T>(selected: Option<&[u32]>, into: &mut [T], codes: &[u32], mut set: impl FnMut(&mut T, u32)) {
    match selected {
        None => into.iter_mut().zip(codes).for_each(|(slot, code)| set(slot, *code)),
        Some(rows) => {
            for row in rows {
                if let (Some(slot), Some(code)) = (into.get_mut(*row as usize), codes.get(*row as usize)) {
                    set(slot, *code);
                }
            }
        }
    }
}
