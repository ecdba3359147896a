//! What is looked at first of an interface: its id and its account, in one cache line; and, where records say more of it than
//! those, its other facts beside each other.
//!
//! Texts that are too long for their place are equal to none: who looks takes the long way then.

use super::{Described, FACTS};
use crate::flow::Field;

/// What is looked at first of an entry.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Face {
    pub(super) id: Short<31>,
    /// The account noted last.
    pub(super) account: Short<15>,
    pub(super) number: u32,
}

/// The facts but the account, as they were noted last.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Others {
    facts: [Short<31>; FACTS.len() - 1],
    /// The record had a column for the instance.
    instance_column: bool,
}

impl Face {
    /// True if all that the record says of its interface was noted.
    #[inline]
    pub(super) fn knows(&self, record: &impl Described, others: Option<&Others>) -> bool {
        let [account, rest @ ..] = FACTS;
        let alone = rest.iter().all(|f| !record.format().has(*f));
        let known = record.text(account).is_none_or(|text| self.account.is(text));
        known && (alone || others.is_some_and(|o| o.are(record)))
    }
}

impl Others {
    /// Nothing was noted yet.
    pub(super) fn none() -> Self {
        Others {
            facts: [Short::of(None); FACTS.len() - 1],
            instance_column: false,
        }
    }

    /// Those of a record.
    pub(super) fn of(record: &impl Described) -> Self {
        let [_, rest @ ..] = FACTS;
        Others {
            facts: rest.map(|f| Short::of(record.text(f))),
            instance_column: record.format().has(Field::InstanceId),
        }
    }

    /// True if the record says nothing else.
    #[inline]
    fn are(&self, record: &impl Described) -> bool {
        let [_, rest @ ..] = FACTS;
        let is = |(short, field): (&Short<31>, Field)| record.text(field).is_none_or(|text| short.is(text));
        let column = self.instance_column || !record.format().has(Field::InstanceId);
        column && self.facts.iter().zip(rest).all(is)
    }
}

/// A text that stands where it is looked at, if it is short enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

/// The length of what is too long, and of nothing: equal to no text.
const LONG: u8 = u8::MAX;

impl<const N: usize> Short<N> {
    pub(super) fn of(text: Option<&[u8]>) -> Self {
        let mut short = Short {
            length: LONG,
            bytes: [0; N],
        };
        if let Some((text, room)) = text.and_then(|t| Some((t, short.bytes.get_mut(..t.len())?))) {
            room.copy_from_slice(text);
            short.length = text.len() as u8;
        }
        short
    }

    /// True if it stands here.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.length != LONG
    }

    #[inline]
    pub(super) fn is(&self, text: &[u8]) -> bool {
        let own = self.bytes.get(..usize::from(self.length));
        own.is_some_and(|own| same(own, text))
    }
}

/// True if two texts are equal. Most have 12 (accounts) or 21 bytes (ids): two loads each tell, without a call.
#[inline]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    let of_16 = |t: &[u8]| Some([*t.first_chunk()?, *t.last_chunk()?].map(u128::from_ne_bytes));
    let of_8 = |t: &[u8]| Some([*t.first_chunk()?, *t.last_chunk()?].map(u64::from_ne_bytes));
    match a.len() {
        _ if a.len() != b.len() => false,
        16..=32 => of_16(a) == of_16(b),
        8..16 => of_8(a) == of_8(b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::interner::Interner;
    use crate::flow::{FlowRecord, LogFormat};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_equal_when_they_are(a in "[ab]{0,40}", b in "[ab]{0,40}", at in 0usize..40) {
            let mut near = a.clone().into_bytes();
            if let Some(byte) = near.get_mut(at) {
                *byte ^= 1;
            }
            for b in [a.as_bytes(), b.as_bytes(), &near] {
                let equal = a.as_bytes() == b;
                prop_assert_eq!(same(a.as_bytes(), b), equal);
                prop_assert_eq!(Short::<31>::of(Some(a.as_bytes())).is(b), equal && a.len() <= 31);
            }
            prop_assert!(!Short::<31>::of(None).is(a.as_bytes()));
        }

        /// Ids and facts of any length, in any order and of two formats: each id has one number, and of each fact the smallest
        /// is kept.
        #[test]
        fn every_id_has_one_number_and_its_smallest_facts(
            records in proptest::collection::vec(("e(|x{30}|y{40})[0-3]", "-|a(|b{20})[0-9]", "-|i[0-2]", "-|v(|w{40})[0-2]", any::<bool>()), 1..60),
        ) {
            let formats = ["account-id interface-id bytes instance-id vpc-id", "account-id interface-id bytes"];
            let formats = formats.map(|f| LogFormat::from_spec(f).unwrap());
            let mut interner = Interner::default();
            let mut numbers = std::collections::BTreeMap::new();
            for (id, account, instance, vpc, long) in &records {
                let tokens = [account.as_bytes(), id.as_bytes(), b"7".as_slice(), instance.as_bytes(), vpc.as_bytes()];
                let (format, count) = if *long { (&formats[0], 5) } else { (&formats[1], 3) };
                let record = FlowRecord::read(format, &tokens[..count]).unwrap();
                let number = interner.intern(record.interface(), &record);
                prop_assert_eq!(*numbers.entry(id).or_insert(number), number);
            }
            for interface in interner.sorted().0 {
                let own = || records.iter().filter(|r| r.0 == interface.id);
                let least = |texts: &mut dyn Iterator<Item = &String>| texts.filter(|t| *t != "-").min().cloned();
                prop_assert_eq!(&interface.account, &least(&mut own().map(|r| &r.1)));
                prop_assert_eq!(&interface.instance, &least(&mut own().filter(|r| r.4).map(|r| &r.2)));
                prop_assert_eq!(&interface.vpc, &least(&mut own().filter(|r| r.4).map(|r| &r.3)));
                let column = own().any(|r| r.4);
                prop_assert_eq!(interface.signs.detached, column && interface.instance.is_none());
            }
        }
    }
}
