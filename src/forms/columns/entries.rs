//! The distinct values of a column, each parsed and judged once.
//!
//! A dictionary's entries stay for the whole column chunk; values that stand in the pages themselves are entries too, and
//! go when the batch is done. Rows hold codes only.

use crate::flow::value::{address, number};
use crate::flow::{Field, Kind, Listed, MISSING, Sieve};
use crate::forms::names::Reading;
use crate::net::Addr;
use std::io::Write;

/// What an entry is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Valid for its field.
    Good,
    /// `-`: not applicable.
    Absent,
    /// Not a value of this field.
    Bad,
}

/// The entries of one column.
#[derive(Debug, Clone)]
pub struct Entries {
    kind: Kind,
    reading: Reading,
    states: Vec<State>,
    /// The entries that are not good, in order.
    flawed: Vec<u32>,
    /// How many of them are bad.
    bad: usize,
    /// By entry, for fields of numbers; [`MISSING`] where it is not good.
    numbers: Vec<u64>,
    /// By entry, for fields of addresses.
    addresses: Vec<Addr>,
    /// By entry, for fields that are searched; for fields of numbers by [`Entries::flawed`].
    texts: Listed,
    scratch: Vec<u8>,
}

impl Entries {
    pub(super) const NOTHING: Entries = Entries {
        kind: Kind::Text,
        reading: Reading::Plain,
        states: Vec::new(),
        flawed: Vec::new(),
        bad: 0,
        numbers: Vec::new(),
        addresses: Vec::new(),
        texts: Listed::EMPTY,
        scratch: Vec::new(),
    };

    pub(super) fn new(field: Field, reading: Reading) -> Self {
        Entries {
            kind: field.info().kind,
            reading,
            ..Entries::NOTHING
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// True if some entry is bad, though perhaps no row has it.
    pub fn has_bad(&self) -> bool {
        self.bad > 0
    }

    /// True if every entry is good.
    pub fn all_good(&self) -> bool {
        self.flawed.is_empty()
    }

    /// The codes of the entries that are not good, in order.
    pub(super) fn flawed(&self) -> &[u32] {
        &self.flawed
    }

    /// What an entry is worth.
    #[inline]
    pub fn state(&self, code: u32) -> State {
        self.states.get(code as usize).copied().unwrap_or(State::Absent)
    }

    /// The number of a good entry of a number field.
    #[inline]
    pub fn number(&self, code: u32) -> Option<u64> {
        Some(self.number_or_missing(code)).filter(|n| *n != MISSING)
    }

    /// The same as one number: [`MISSING`] for everything else.
    #[inline]
    pub(super) fn number_or_missing(&self, code: u32) -> u64 {
        self.numbers.get(code as usize).copied().unwrap_or(MISSING)
    }

    /// The numbers of all entries of a number field; [`MISSING`] for those that are not good.
    pub(super) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// The addresses of all entries of an address field; of those that are not good they mean nothing.
    pub(super) fn addresses(&self) -> &[Addr] {
        &self.addresses
    }

    /// The address of a good entry of an address field.
    #[inline]
    pub fn address(&self, code: u32) -> Option<Addr> {
        let a = self.addresses.get(code as usize).copied();
        a.filter(|_| self.state(code) == State::Good)
    }

    /// The text of an entry as AWS's text form has it; empty for good numbers.
    #[inline]
    pub fn text(&self, code: u32) -> &[u8] {
        match self.is_searched() {
            true => self.texts.get(code as usize),
            false => self.flawed.binary_search(&code).map_or(b"", |n| self.texts.get(n)),
        }
    }

    fn is_searched(&self) -> bool {
        !matches!(self.kind, Kind::Number(_))
    }

    /// The entries from `from` on whose text `sieve` names, in order.
    pub(super) fn hits(&self, from: usize, sieve: &dyn Sieve) -> Vec<u32> {
        let mut places = Vec::new();
        sieve.places(self.texts.lines(from), &mut places);
        let mut hits: Vec<u32> = places.into_iter().map(|p| self.texts.at(from, p) as u32).collect();
        hits.sort_unstable();
        hits.dedup();
        hits
    }

    /// Drops all entries from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        while let Some(gone) = self.flawed.pop_if(|code| *code as usize >= len) {
            self.bad -= usize::from(self.state(gone) == State::Bad);
        }
        self.states.truncate(len);
        self.numbers.truncate(len);
        self.addresses.truncate(len);
        let texts = if self.is_searched() { len } else { self.flawed.len() };
        self.texts.truncate(texts);
    }

    /// Adds values that were stored as whole numbers.
    pub(super) fn push_numbers(&mut self, numbers: impl Iterator<Item = i64> + Clone) {
        let plain = self.reading == Reading::Plain;
        let fits = |max: u64| numbers.clone().fold(true, |all, n| all & (n as u64 <= max));
        if !matches!(self.kind, Kind::Number(max) if plain && fits(max)) {
            return numbers.for_each(|n| self.push_number(n));
        }
        self.numbers.extend(numbers.map(|n| n as u64));
        self.states.resize(self.numbers.len(), State::Good);
    }

    /// Adds a value that was stored as a whole number.
    pub(super) fn push_number(&mut self, n: i64) {
        let max = match self.kind {
            Kind::Number(max) => max,
            // An account id stored as a number has lost its zeros; anything else is as it is.
            Kind::Text | Kind::Address => return self.push_text(n.to_string().as_bytes()),
        };
        let scaled = if self.reading == Reading::Time { millis(n) } else { n };
        match u64::try_from(scaled).ok().filter(|n| *n <= max) {
            Some(n) => self.push((State::Good, b""), n, Addr::default()),
            None => self.push_bad(n.to_string().as_bytes()),
        }
    }

    /// Adds values that were stored as text. Plain addresses are read several at once, up to one that may be none.
    pub(super) fn push_texts(&mut self, values: &[&[u8]]) {
        if self.kind != Kind::Address || self.reading != Reading::Plain {
            return values.iter().for_each(|value| self.push_text(value));
        }
        self.texts.reserve(values.len(), values.iter().map(|v| v.len()).sum());
        for run in values.chunk_by(|a, b| may_be_address(a) && may_be_address(b)) {
            let first = self.len();
            run.iter().for_each(|value| self.texts.push(value));
            self.addresses.resize(first + run.len(), Addr::default());
            match self.texts.addresses(first, &mut self.addresses[first..]) {
                true => self.states.resize(first + run.len(), State::Good),
                false => {
                    self.texts.truncate(first);
                    self.addresses.truncate(first);
                    run.iter().for_each(|value| self.push_text(value));
                }
            }
        }
    }

    /// Adds a value that was stored as text.
    pub(super) fn push_text(&mut self, value: &[u8]) {
        if self.kind == Kind::Address
            && self.reading == Reading::Plain
            && let Some(a) = address(value)
        {
            return self.push((State::Good, value), MISSING, a);
        }
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        self.reading.token(value, &mut text);
        let (state, n, addr) = match self.kind {
            _ if text == b"-" => (State::Absent, MISSING, Addr::default()),
            Kind::Text => (State::Good, MISSING, Addr::default()),
            Kind::Number(max) => match number(&text, max) {
                Some(n) => (State::Good, n, Addr::default()),
                None => (State::Bad, MISSING, Addr::default()),
            },
            Kind::Address => match address(&text) {
                Some(a) => (State::Good, MISSING, a),
                None => (State::Bad, MISSING, Addr::default()),
            },
        };
        self.push((state, &text), n, addr);
        self.scratch = text;
    }

    /// Adds what no column of this field should hold.
    pub(super) fn push_bad(&mut self, text: &[u8]) {
        self.push((State::Bad, text), MISSING, Addr::default());
    }

    fn push(&mut self, (state, text): (State, &[u8]), n: u64, addr: Addr) {
        if state != State::Good {
            self.flawed.push(self.states.len() as u32);
            self.bad += usize::from(state == State::Bad);
        }
        self.states.push(state);
        match self.kind {
            Kind::Number(_) => self.numbers.push(n),
            Kind::Address => self.addresses.push(addr),
            Kind::Text => {}
        }
        if self.is_searched() || state != State::Good {
            self.texts.push(text);
        }
    }

    /// Writes an entry as one token.
    pub(super) fn write(&self, code: u32, into: &mut Vec<u8>) {
        match (self.state(code), self.number(code)) {
            (State::Absent, _) => into.push(b'-'),
            (_, Some(n)) => drop(write!(into, "{n}")),
            _ => into.extend_from_slice(self.text(code)),
        }
    }
}

/// True of what looks like one: it is read together with others.
fn may_be_address(value: &[u8]) -> bool {
    value.len() > 1 && value.first().is_some_and(|b| b.is_ascii_hexdigit() || *b == b':')
}

/// Seconds of a time that may be in milliseconds.
fn millis(n: i64) -> i64 {
    const MILLIS_FROM: i64 = 100_000_000_000;
    if n >= MILLIS_FROM { n / 1_000 } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(e: &Entries) -> Vec<String> {
        let one = |code| {
            let mut out = Vec::new();
            e.write(code, &mut out);
            String::from_utf8(out).unwrap()
        };
        (0..e.len() as u32).map(one).collect()
    }

    #[test]
    fn values_are_judged_by_their_field() {
        let mut port = Entries::new(Field::SrcPort, Reading::Plain);
        [0, 65_535, 65_536, -1].into_iter().for_each(|n| port.push_number(n));
        [&b"443"[..], b"-", b"None", b"x"]
            .into_iter()
            .for_each(|t| port.push_text(t));
        use State::{Absent, Bad, Good};
        assert_eq!(port.states, [Good, Good, Bad, Bad, Good, Absent, Absent, Bad]);
        assert_eq!(written(&port), ["0", "65535", "65536", "-1", "443", "-", "-", "x"]);
        let mut addr = Entries::new(Field::SrcAddr, Reading::Plain);
        addr.push_text(b"10.0.0.1");
        addr.push_text(b"10.0.0.256");
        assert_eq!(
            (addr.address(0), addr.address(1)),
            (Some("10.0.0.1".parse().unwrap()), None)
        );
    }

    proptest::proptest! {
        #[test]
        fn many_texts_are_each_of_them(values in proptest::collection::vec(
            "10\\.0\\.[0-9]{1,3}\\.1|10\\.0\\.[0-9]{1,3}\\.1|2001:db8::[0-9a-f]{1,4}|-||None|fe80|a b|[0-9]{1,6}", 0..40)) {
            for (field, reading) in [
                (Field::SrcAddr, Reading::Plain), (Field::SrcPort, Reading::Plain), (Field::Region, Reading::Plain)] {
                let (mut fast, mut slow) = (Entries::new(field, reading), Entries::new(field, reading));
                let values: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
                fast.push_texts(&values);
                values.iter().for_each(|v| slow.push_text(v));
                proptest::prop_assert_eq!(&fast.states, &slow.states);
                proptest::prop_assert_eq!(&fast.flawed, &slow.flawed);
                proptest::prop_assert_eq!(&fast.addresses, &slow.addresses);
                proptest::prop_assert_eq!(written(&fast), written(&slow));
                fast.truncate(values.len() / 2);
                slow.truncate(values.len() / 2);
                fast.push_text(b"x y");
                slow.push_text(b"x y");
                proptest::prop_assert_eq!((written(&fast), fast.bad), (written(&slow), slow.bad));
            }
        }
    }

    #[test]
    fn entries_of_a_batch_go_and_those_of_the_dictionary_stay() {
        let mut e = Entries::new(Field::Action, Reading::Verdict);
        e.push_text(b"Allowed");
        e.push_number(2);
        e.truncate(1);
        e.push_text(b"Blocked");
        assert_eq!(written(&e), ["ACCEPT", "REJECT"]);
    }
}
