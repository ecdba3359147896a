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
        self.bytes(text.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A number that may be negative.
    pub fn signed(&mut self, n: i64) {
        self.number((n << 1 ^ n >> 63) as u64);
    }

    /// A number of 128 bits that mostly is small.
    pub fn large(&mut self, n: u128) {
        match u64::try_from(n) {
            Ok(small) if small < 1 << 63 => self.number(small << 1),
            _ => {
                self.number(1);
                self.wide(n);
            }
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    #[inline]
    pub fn number(&mut self) -> Result<u64> {
        match self.0.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.0 = rest;
                Ok(byte.into())
            }
            _ => self.longer(),
        }
    }

    fn longer(&mut self) -> Result<u64> {
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

    /// A number of things that are added up: below 2^56, so that sums of many of them are numbers too.
    ///
    /// # Errors
    /// `Format` if there is none, or it is larger.
    pub fn count(&mut self) -> Result<u64> {
        let n = self.number()?;
        if n < 1 << 56 { Ok(n) } else { Err(damaged()) }
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
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged())
    }

    /// Bytes.
    ///
    /// # Errors
    /// `Format` if there are not so many.
    pub fn bytes(&mut self) -> Result<&'b [u8]> {
        let length = self.small::<usize>()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A number that may be negative.
    ///
    /// # Errors
    /// `Format` if there is none.
    pub fn signed(&mut self) -> Result<i64> {
        let n = self.number()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A number of 128 bits that mostly is small.
    ///
    /// # Errors
    /// `Format` if there is none.
    pub fn large(&mut self) -> Result<u128> {
        let n = self.number()?;
        match n {
            1 => self.wide(),
            _ if n & 1 == 1 => Err(damaged()),
            _ => Ok(u128::from(n >> 1)),
        }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
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
        fn what_was_written_is_read(
            numbers in prop::collection::vec(any::<u64>(), 0..20),
            wide: u128,
            signed: i64,
            text in ".{0,30}",
        ) {
            let mut writer = Writer::default();
            writer.signed(signed);
            writer.large(wide);
            writer.large(wide >> 64);
            numbers.iter().for_each(|n| writer.number(*n >> (n % 64)));
            writer.wide(wide);
            writer.text(&text);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!((reader.large().unwrap(), reader.large().unwrap()), (wide, wide >> 64));
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
