//! From codes to the columns that counting takes: each distinct value was parsed once, a row is a look-up.

use crate::flow::{Action, Column, Columns, Field, FlowDirection, LogFormat, MISSING};
use crate::forms::columns::entries::{Entries, State};
use crate::forms::columns::rows::{Batch, Verdict};
use crate::net::Addr;

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
                Field::Action => self.each(*field, |e, code| Action::of(e.text(code)), &mut columns.action),
                Field::FlowDirection => self.each(
                    *field,
                    |e, code| FlowDirection::of(e.text(code)),
                    &mut columns.direction,
                ),
                Field::SrcAddr => self.addresses(*field, &mut columns.srcaddr),
                Field::DstAddr => self.addresses(*field, &mut columns.dstaddr),
                _ => {
                    if let Some(numbers) = columns.numbers_mut(*field) {
                        self.each(*field, |e, code| e.number(code).unwrap_or(MISSING), numbers);
                    }
                }
            }
        }
        // Where the packet's own addresses are missing, they are the interface's.
        columns.pkt_srcaddr.copy_from_slice(&columns.srcaddr);
        columns.pkt_dstaddr.copy_from_slice(&columns.dstaddr);
        self.addresses(Field::PktSrcAddr, &mut columns.pkt_srcaddr);
        self.addresses(Field::PktDstAddr, &mut columns.pkt_dstaddr);
    }

    /// What `of` makes of each row's entry; of several columns of a field the first that has a value counts.
    fn each<T>(&self, field: Field, of: impl Fn(&Entries, u32) -> T, into: &mut [T]) {
        let mut all = self.columns(field);
        let Some((entries, codes)) = all.next() else { return };
        for (slot, code) in into.iter_mut().zip(codes) {
            *slot = of(entries, *code);
        }
        for (other, its) in all {
            for ((slot, code), its) in into.iter_mut().zip(codes).zip(its) {
                if entries.state(*code) == State::Absent {
                    *slot = of(other, *its);
                }
            }
        }
    }

    /// Addresses of rows that have one; the other slots stay as they are.
    fn addresses(&self, field: Field, into: &mut [Addr]) {
        // The first column that has a value counts, so it is written last.
        let all: Vec<_> = self.columns(field).collect();
        for (entries, codes) in all.into_iter().rev() {
            for (slot, code) in into.iter_mut().zip(codes) {
                *slot = entries.address(*code).unwrap_or(*slot);
            }
        }
    }
}
