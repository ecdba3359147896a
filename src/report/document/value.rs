//! Single values of a result: amounts, times, words; and the cleaning of every text.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::net::{Seconds, parse_rfc3339, printable, rfc3339};
use crate::report::run::masked;

/// A number of bytes; none where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub Option<u128>);

impl Amount {
    /// The number, or 0.
    pub fn get(self) -> u128 {
        self.0.unwrap_or(0)
    }
}

/// A time; none where it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub Option<Seconds>);

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.map_or_else(|| "-".to_owned(), rfc3339))
    }
}

/// A word, or a number written as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        Ok(Amount(match Value::deserialize(d)? {
            Value::Number(n) => n.as_u64().map(u128::from),
            Value::String(s) => s.parse().ok(),
            _ => None,
        }))
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = Value::deserialize(d)?;
        Ok(When(text.as_str().and_then(parse_rfc3339)))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        Ok(Word(match Value::deserialize(d)? {
            Value::String(s) => s,
            Value::Null => String::new(),
            other => other.to_string(),
        }))
    }
}

/// Makes every text of a document safe to show, and masks its access keys.
pub(super) fn clean(value: &mut Value, show_keys: bool) {
    match value {
        Value::String(s) => {
            *s = printable(s.as_bytes());
            if !show_keys {
                *s = mask_keys(s);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| clean(v, show_keys)),
        Value::Object(fields) => {
            for (name, v) in fields.iter_mut() {
                clean(v, show_keys);
                if let (false, "access_key", Value::String(key)) = (show_keys, name.as_str(), v) {
                    *key = masked(key, false);
                }
            }
        }
        _ => {}
    }
}

/// Access key ids inside of a sentence: `AKIA…WXYZ`.
pub fn mask_keys(text: &str) -> String {
    if !KEYS.iter().any(|k| text.contains(k)) {
        return text.to_owned();
    }
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(c) if is_part(c) => word.push(c),
            other => {
                let is_key = word.len() >= LEAST && KEYS.iter().any(|k| word.starts_with(k));
                out.push_str(&masked(&word, !is_key));
                word.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// How access key ids of users and of sessions begin.
const KEYS: [&str; 2] = ["AKIA", "ASIA"];

/// The least characters of an access key id.
const LEAST: usize = 16;
