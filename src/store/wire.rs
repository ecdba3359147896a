//! Numbers and texts as bytes: little-endian base 128, most numbers one to four bytes long.
//!
//! A count of items is never trusted for room: whoever reads a list asks for one item after the other, and each must still
//! be there. A number has one spelling only, so that equal states are equal bytes.

use crate::error::{Error, Result};

/// Bytes to be stored.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// Bytes that were stored.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'b>(&'b [u8]);

impl Writer {
    /// A number.
    pub fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// A number of 128 bits.
    pub fn wide(&mut self, n: u128) {
        self.0.extend(n.to_le_bytes());
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// All of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<'b> Reader<'b> {
    /// Reads from the start.
    pub fn new(bytes: &'b [u8]) -> Self {
        Reader(bytes)
    }

    /// A number.
    ///
    /// # Errors
    /// `Format` if there is none.
    pub fn number(&mut self) -> Result<u64> {
        let mut n = 0u64;
        for place in 0..10 {
            let (&byte, rest) = self.0.split_first().ok_or_else(damaged)?;
            self.0 = rest;
            let digit = u64::from(byte & 0x7f);
            if place == 9 && digit > 1 || byte == 0 && place > 0 {
                return Err(damaged());
            }
            n |= digit << (7 * place);
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(damaged())
    }

    /// A number that must fit another type.
    ///
    /// # Errors
    /// `Format` if there is none, or it does not fit.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T> {
        T::try_from(self.number()?).map_err(|_| damaged())
    }

    /// A number of 128 bits.
    ///
    /// # Errors
    /// `Format` if there is none.
    pub fn wide(&mut self) -> Result<u128> {
        let (bytes, rest) = self.0.split_first_chunk::<16>().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u128::from_le_bytes(*bytes))
    }

    /// A text.
    ///
    /// # Errors
    /// `Format` if there is none, or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'b str> {
        let length = self.small::<usize>()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        std::str::from_utf8(bytes).map_err(|_| damaged())
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    /// `Format` if something is.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::format("damaged: its content is not what its kind asks for")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(numbers in prop::collection::vec(any::<u64>(), 0..20), wide: u128, text in ".{0,30}") {
            let mut writer = Writer::default();
            numbers.iter().for_each(|n| writer.number(*n >> (n % 64)));
            writer.wide(wide);
            writer.text(&text);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            for n in &numbers {
                prop_assert_eq!(reader.number().unwrap(), n >> (n % 64));
            }
            prop_assert_eq!(reader.wide().unwrap(), wide);
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert!(reader.done().is_ok());
        }

        #[test]
        fn garbage_is_refused_or_read_and_never_more(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.number();
            let _ = reader.text();
            let _ = reader.wide();
        }
    }

    #[test]
    fn a_text_longer_than_the_rest_is_damage() {
        let mut writer = Writer::default();
        writer.number(4 << 30);
        let bytes = writer.into_bytes();
        assert!(Reader::new(&bytes).text().is_err());
        assert!(
            Reader::new(&[0x80, 0x00]).number().is_err(),
            "a second spelling of zero"
        );
    }
}
