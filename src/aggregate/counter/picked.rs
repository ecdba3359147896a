//! Of many rows those that may count, before anything else is done with them.

use crate::flow::{Action, Rows};
use crate::net::{Addr, Class};

/// Room for what was picked, kept from stretch to stretch.
#[derive(Debug, Default)]
pub(super) struct Picked(Vec<(u32, Class)>);

impl Picked {
    /// Good and accepted rows whose destination is not at home, in order, and what each destination is.
    ///
    /// Which rows these are cannot be foreseen, and a processor that guesses wrong begins again: so every row is written down,
    /// and the place moves on behind those that stay.
    #[inline(always)]
    pub(super) fn leaving(&mut self, rows: &Rows<'_>, class: impl Fn(Addr) -> Class) -> &[(u32, Class)] {
        let c = rows.columns;
        if self.0.len() < rows.len() {
            self.0.resize(rows.len(), Default::default());
        }
        let mut count = 0;
        for (row, ((dst, action), good)) in (0u32..).zip(c.dstaddr.iter().zip(&c.action).zip(c.good())) {
            let of_dst = class(*dst);
            if let Some(slot) = self.0.get_mut(count) {
                *slot = (row, of_dst);
            }
            let accepted = matches!(action, Action::Accept | Action::Unknown);
            count += usize::from(*good & accepted & (of_dst != Class::Home));
        }
        self.0.get(..count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Columns, LogFormat};
    use proptest::prelude::*;

    struct NoText;

    impl crate::flow::TextTable for NoText {
        fn text(&self, _: usize, _: usize) -> &[u8] {
            b"-"
        }

        fn codes(&self, _: usize) -> Option<&[u32]> {
            None
        }

        fn dictionaries(&self) -> usize {
            0
        }
    }

    proptest! {
        #[test]
        fn what_is_picked_is_what_a_plain_look_at_each_row_keeps(
            all in prop::collection::vec((any::<bool>(), 0usize..4, 0u32..6), 0..80),
        ) {
            let actions = [Action::Accept, Action::Reject, Action::Unknown, Action::Other];
            let class = |a: Addr| Class::ALL[a.0 as u32 as usize % Class::ALL.len()];
            let mut columns = Columns::default();
            columns.begin(all.len());
            for (row, (good, action, dst)) in all.iter().enumerate() {
                columns.good_mut()[row] = *good;
                columns.action[row] = actions[*action];
                columns.dstaddr[row] = Addr::v4(*dst);
            }
            let format = LogFormat::default_v2();
            let rows = Rows::of_table(&NoText, 1, &format, &columns);
            let plain: Vec<(u32, Class)> = (0u32..).zip(&all)
                .map(|(row, (good, action, dst))| (row, good & (action % 2 == 0), class(Addr::v4(*dst))))
                .filter(|(_, keep, class)| *keep && *class != Class::Home)
                .map(|(row, _, class)| (row, class))
                .collect();
            let mut picked = Picked::default();
            prop_assert_eq!(picked.leaving(&rows, class), &plain[..]);
            prop_assert_eq!(picked.leaving(&rows, class), &plain[..]);
        }
    }
}
