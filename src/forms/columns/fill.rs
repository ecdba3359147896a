//! From codes to the columns that counting takes: each distinct value was parsed once, a row is a look-up.

use crate::flow::{Action, Column, Columns, Field, FlowDirection, LogFormat, MISSING};
use crate::forms::columns::chunk::NULL;
use crate::forms::columns::entries::{Entries, State};
use crate::forms::columns::rows::{Batch, Verdict};
use crate::net::Addr;

/// A dictionary of texts so short is looked at once a batch, a longer one row by row.
const FEW: usize = 64;

impl Batch<'_> {
    /// Fills `columns`, which were made for rows of `format`, with the values of all rows.
    pub(super) fn fill(&self, format: &LogFormat, verdicts: &[Verdict], columns: &mut Columns) {
        columns.begin(self.len());
        for (good, verdict) in columns.good_mut().iter_mut().zip(verdicts) {
            *good = *verdict == Verdict::Good;
        }
        for column in format.columns() {
            let Column::Known(field) = column else { continue };
            match field {
                Field::Action => {
                    let of = |e: &Entries, code| Action::of(e.text(code));
                    self.each(*field, Action::of(b"-"), of, &mut columns.action);
                }
                Field::FlowDirection => {
                    let of = |e: &Entries, code| FlowDirection::of(e.text(code));
                    self.each(*field, None, of, &mut columns.direction);
                }
                Field::SrcAddr => self.addresses(*field, &mut columns.srcaddr),
                Field::DstAddr => self.addresses(*field, &mut columns.dstaddr),
                _ => {
                    if let Some(numbers) = columns.numbers_mut(*field) {
                        self.numbers(*field, numbers);
                    }
                }
            }
        }
        for field in [Field::PktSrcAddr, Field::PktDstAddr] {
            if format.has(field) {
                self.addresses(field, columns.packet_mut(field));
            }
        }
    }

    /// What `of` makes of each row's entry, `nothing` where there is none; of several columns of a field the first that has
    /// a value counts.
    pub(super) fn each<T: Copy>(&self, field: Field, nothing: T, of: impl Fn(&Entries, u32) -> T, into: &mut [T]) {
        for (i, (entries, codes)) in self.columns(field).enumerate() {
            let table: Vec<T> = (0..entries.len().min(FEW) as u32)
                .map(|code| of(entries, code))
                .collect();
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

    fn numbers(&self, field: Field, into: &mut [u64]) {
        let mut all = self.columns(field);
        let Some((entries, codes)) = all.next() else { return };
        for (slot, code) in into.iter_mut().zip(codes) {
            *slot = entries.number_or_missing(*code);
        }
        for (entries, codes) in all {
            for (slot, code) in into.iter_mut().zip(codes).filter(|(slot, _)| **slot == MISSING) {
                *slot = entries.number_or_missing(*code);
            }
        }
    }

    /// Addresses of rows that have one; the other slots stay as they are.
    fn addresses(&self, field: Field, into: &mut [Addr]) {
        // The first column that has a value counts, so it is written last.
        let all: Vec<_> = self.columns(field).collect();
        for (entries, codes) in all.into_iter().rev() {
            let good = entries.all_good();
            for (slot, code) in into.iter_mut().zip(codes) {
                match entries.addresses().get(*code as usize) {
                    Some(a) if good || entries.state(*code) == State::Good => *slot = *a,
                    _ => {}
                }
            }
        }
    }
}
