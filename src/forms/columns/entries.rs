//! The distinct values of a column, each parsed and judged once.
//!
//! A dictionary's entries stay for the whole column chunk; values that stand in the pages themselves are entries too, and
//! go when the batch is done. Rows hold codes only.

use crate::flow::value::{address, number};
use crate::flow::{Field, Kind, MISSING, Sieve};
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
    /// Texts one after the other: of text fields, of addresses, and of what is bad. Those of fields that are searched
    /// are lines.
    texts: Vec<u8>,
    ends: Vec<u32>,
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
        texts: Vec::new(),
        ends: Vec::new(),
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
        let (from, code) = (self.start(code as usize), code as usize);
        let to = self.ends.get(code).map_or(from, |end| *end as usize);
        self.texts.get(from..to).unwrap_or_default()
    }

    /// Where the text of an entry starts.
    fn start(&self, code: usize) -> usize {
        let before = code.checked_sub(1).and_then(|i| self.ends.get(i));
        before.map_or(0, |end| *end as usize + usize::from(self.is_searched()))
    }

    fn is_searched(&self) -> bool {
        !matches!(self.kind, Kind::Number(_))
    }

    /// The entries from `from` on whose text `sieve` names, in order.
    pub(super) fn hits(&self, from: usize, sieve: &dyn Sieve) -> Vec<u32> {
        let (start, mut places) = (self.start(from), Vec::new());
        sieve.places(self.texts.get(start..).unwrap_or_default(), &mut places);
        let entry = |place: usize| self.ends.partition_point(|end| *end as usize <= start + place) as u32;
        let mut hits: Vec<u32> = places.into_iter().map(entry).collect();
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
        self.ends.truncate(len);
        self.texts.truncate(self.start(self.ends.len()));
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
        self.ends.resize(self.numbers.len(), self.text_end());
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
            Some(n) => self.push(State::Good, n, b""),
            None => self.push_bad(n.to_string().as_bytes()),
        }
    }

    /// Adds a value that was stored as text.
    pub(super) fn push_text(&mut self, value: &[u8]) {
        if self.kind == Kind::Address
            && self.reading == Reading::Plain
            && let Some(a) = address(value)
        {
            self.texts.extend_from_slice(value);
            return self.end(State::Good, MISSING, a);
        }
        let mut token = std::mem::take(&mut self.texts);
        let start = token.len();
        self.reading.token(value, &mut token);
        let text = token.get(start..).unwrap_or_default();
        let (state, n, addr) = match self.kind {
            _ if text == b"-" => (State::Absent, MISSING, Addr::default()),
            Kind::Text => (State::Good, MISSING, Addr::default()),
            Kind::Number(max) => match number(text, max) {
                Some(n) => (State::Good, n, Addr::default()),
                None => (State::Bad, MISSING, Addr::default()),
            },
            Kind::Address => match address(text) {
                Some(a) => (State::Good, MISSING, a),
                None => (State::Bad, MISSING, Addr::default()),
            },
        };
        if matches!(self.kind, Kind::Number(_)) && state == State::Good {
            token.truncate(start);
        }
        self.texts = token;
        self.end(state, n, addr);
    }

    /// Adds what no column of this field should hold.
    pub(super) fn push_bad(&mut self, text: &[u8]) {
        self.push(State::Bad, MISSING, text);
    }

    fn push(&mut self, state: State, n: u64, text: &[u8]) {
        self.texts.extend_from_slice(text);
        self.end(state, n, Addr::default());
    }

    fn end(&mut self, state: State, n: u64, addr: Addr) {
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
        self.ends.push(self.text_end());
        if self.is_searched() {
            self.texts.push(b'\n');
        }
    }

    fn text_end(&self) -> u32 {
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
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
