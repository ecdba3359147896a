//! Texts one after the other, of which whole columns are read at once: the values of a dictionary, for one.
//!
//! Each text is followed by a line's end, as if it stood alone in its line: so they are searched as lines are, and their
//! addresses are read several in an instruction, by the same code.

use crate::flow::rows::read_addresses;
use crate::flow::simd::{LOAD, Stretch};
use crate::net::Addr;

/// A list of texts.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    text: Vec<u8>,
    /// What stands before the first text, and where each ends: they rise, for `push` alone adds to them.
    ends: Vec<u32>,
}

/// Before the first text, as [`Stretch`] wants it.
const BEFORE: u32 = u32::MAX;

impl Listed {
    /// Without any text; the first one begins it.
    pub(crate) const EMPTY: Listed = Listed {
        text: Vec::new(),
        ends: Vec::new(),
    };

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// Adds a text; an empty one in its place if there were more than 4 GB of them.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        if self.ends.is_empty() {
            self.ends.push(BEFORE);
        }
        let room = (u32::MAX as usize).saturating_sub(self.text.len() + 2 * LOAD);
        self.text.extend_from_slice(if text.len() <= room { text } else { b"" });
        self.ends.push(self.text.len() as u32);
        self.text.push(b'\n');
    }

    /// Makes room for so many more texts of so many bytes together.
    pub(crate) fn reserve(&mut self, texts: usize, bytes: usize) {
        self.ends.reserve(texts + 1);
        self.text.reserve(bytes + texts + LOAD + 1);
    }

    /// Where a text starts; the end of all, if there are not so many.
    fn start(&self, n: usize) -> usize {
        self.ends
            .get(n)
            .map_or(self.text.len(), |end| end.wrapping_add(1) as usize)
    }

    /// A text; an empty one if there are not so many.
    #[inline]
    pub(crate) fn get(&self, n: usize) -> &[u8] {
        let end = self.ends.get(n + 1).map_or(0, |end| *end as usize);
        self.text.get(self.start(n)..end).unwrap_or_default()
    }

    /// All texts from one on, as lines.
    pub(crate) fn lines(&self, from: usize) -> &[u8] {
        self.text.get(self.start(from)..).unwrap_or_default()
    }

    /// The text in which a byte of [`Listed::lines`] stands.
    pub(crate) fn at(&self, from: usize, place: usize) -> usize {
        let (place, ends) = (self.start(from) + place, self.ends.get(1..).unwrap_or_default());
        ends.partition_point(|end| (*end as usize) < place)
    }

    /// Keeps the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.text.truncate(self.start(len));
        self.ends.truncate(len + 1);
    }

    /// The addresses of the texts from one on; false unless all are some.
    pub(crate) fn addresses(&mut self, from: usize, into: &mut [Addr]) -> bool {
        let (whole, mut good) = (self.text.len(), vec![true; into.len()]);
        self.text.extend_from_slice(&[b'\n'; LOAD + 1]);
        let ends = self.ends.get(from..).unwrap_or_default();
        let stretch = Stretch::new(&self.text, ends, 1, into.len());
        if let Some(stretch) = &stretch {
            read_addresses(stretch, into, &mut good);
        }
        let all = into.is_empty() || stretch.is_some() && good.iter().all(|good| *good);
        self.text.truncate(whole);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::value::address;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Vec<String>> {
        let usual = "[0-9]{1,3}(\\.[0-9]{1,3}){3}|2001:db8::[0-9a-f]{1,4}";
        proptest::collection::vec(prop_oneof![9 => usual, 1 => "-||.{1,20}|10\\.0\\.0\\.1\\n"], 0..40)
    }

    proptest! {
        #[test]
        fn addresses_are_those_of_each_text(texts in texts(), from in 0usize..5) {
            let mut listed = Listed::EMPTY;
            texts.iter().for_each(|t| listed.push(t.as_bytes()));
            let from = from.min(texts.len());
            let mut read = vec![Addr::default(); texts.len() - from];
            let each: Vec<_> = texts[from..].iter().map(|t| address(t.as_bytes())).collect();
            let all = listed.addresses(from, &mut read);
            prop_assert_eq!(all, each.iter().all(Option::is_some));
            for (read, each) in read.iter().zip(each).filter(|(_, each)| each.is_some()) {
                prop_assert_eq!(Some(*read), each);
            }
            prop_assert!(texts.iter().enumerate().all(|(n, t)| listed.get(n) == t.as_bytes()));
        }

        #[test]
        fn it_is_a_list_of_lines(texts in proptest::collection::vec("[a-c]{0,4}", 1..20), keep in 0usize..20, from in 0usize..20) {
            let mut listed = Listed::EMPTY;
            texts.iter().for_each(|t| listed.push(t.as_bytes()));
            let from = from.min(texts.len());
            let lines: String = texts[from..].iter().map(|t| format!("{t}\n")).collect();
            prop_assert_eq!(listed.lines(from), lines.as_bytes());
            let mut place = 0;
            for (n, text) in texts.iter().enumerate().skip(from) {
                prop_assert_eq!(listed.at(from, place), n);
                prop_assert_eq!(listed.at(from, place + text.len()), n);
                place += text.len() + 1;
            }
            listed.truncate(keep);
            listed.push(b"d");
            let kept = keep.min(texts.len());
            prop_assert_eq!(listed.len(), kept + 1);
            prop_assert_eq!((listed.get(kept), listed.get(kept + 1)), (&b"d"[..], &b""[..]));
            prop_assert!((0..kept).all(|n| listed.get(n) == texts[n].as_bytes()));
        }
    }
}
