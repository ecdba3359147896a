//! A record that comes as names and values, turned into one line of a log whose header would be those names.
//!
//! Names may come in any order and some may be missing: the columns of a content are all names met so far, in AWS's
//! order, and what a record lacks is `-`. A column that no record has is not required of any.

use crate::flow::{FIELDS, Field, LogFormat};
use crate::forms::Out;
use crate::forms::lines::Place;
use crate::forms::names::Reading;

/// Collects the values of one record after the other.
#[derive(Debug)]
pub(super) struct Columns {
    /// By field: the token of the record in hand; empty if it has none.
    tokens: Vec<Vec<u8>>,
    /// By field: some record had it.
    met: Vec<bool>,
    /// The lines that were written last are in these columns.
    in_force: bool,
    line: Vec<u8>,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            tokens: vec![Vec::new(); Field::COUNT],
            met: vec![false; Field::COUNT],
            in_force: false,
            line: Vec::new(),
        }
    }
}

impl Columns {
    /// Notes a value, unless the record has one for this field.
    pub(super) fn set(&mut self, field: Field, reading: Reading, value: &[u8]) {
        let i = field as usize;
        let Some((token, met)) = self.tokens.get_mut(i).zip(self.met.get_mut(i)) else {
            return;
        };
        if !*met {
            (*met, self.in_force) = (true, false);
        }
        if token.is_empty() || token == b"-" {
            token.clear();
            reading.token(value, token);
        }
    }

    /// Fields that the record in hand has.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        let has = |f: &Field| self.tokens.get(*f as usize).is_some_and(|t| !t.is_empty());
        FIELDS.iter().map(|f| f.field).filter(has)
    }

    /// Ends the record: it becomes a line.
    pub(super) fn finish(&mut self, place: Place, out: &mut Out) {
        if !self.in_force {
            out.format(self.format());
            self.in_force = true;
        }
        self.line.clear();
        for token in self
            .tokens
            .iter_mut()
            .zip(&self.met)
            .filter_map(|(t, met)| met.then_some(t))
        {
            if !self.line.is_empty() {
                self.line.push(b' ');
            }
            self.line.extend_from_slice(if token.is_empty() { b"-" } else { token });
            token.clear();
        }
        out.line(&self.line, place);
    }

    /// Drops the record in hand.
    pub(super) fn drop_record(&mut self) {
        self.tokens.iter_mut().for_each(Vec::clear);
    }

    /// The lines that follow are a log's own.
    pub(super) fn plain_lines(&mut self, out: &mut Out) {
        if std::mem::take(&mut self.in_force) {
            out.format(None);
        }
    }

    fn format(&self) -> Option<LogFormat> {
        let names = FIELDS.iter().zip(&self.met).filter(|(_, met)| **met);
        let names: Vec<&str> = names.map(|(f, _)| f.name).collect();
        LogFormat::from_spec(&names.join(" ")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_grow_and_a_missing_value_is_a_dash() {
        let (mut columns, mut out) = (Columns::default(), Out::default());
        let place = Place::default();
        columns.set(Field::SrcAddr, Reading::Plain, b"10.0.0.1");
        columns.finish(place, &mut out);
        columns.set(Field::Bytes, Reading::Plain, b"7");
        columns.set(Field::Bytes, Reading::Plain, b"8");
        columns.finish(place, &mut out);
        assert_eq!(out.text(), "10.0.0.1\n- 7\n");
        assert_eq!(out.formats(), ["srcaddr", "srcaddr bytes"]);
    }
}
