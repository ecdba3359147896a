//! JSON as other products want it: nothing empty in it, texts no longer than they take, numbers that their columns hold.
//!
//! Everything a log wrote stays as it is, JSON's own escapes apart; it is only cut. All functions keep the order of fields,
//! so that the same result gives the same bytes.

use std::io;

use serde_json::{Map, Value};

/// A value on one line, whoever splits lines: what some readers take for a line's end, and what a screen would act on or
/// hide, is a JSON escape.
///
/// # Errors
/// None that is expected: every key is text.
pub fn line(value: &Value) -> io::Result<String> {
    let plain = serde_json::to_string(value)?;
    if plain.is_ascii() && !plain.contains('\u{7f}') {
        return Ok(plain);
    }
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Removes what is null, blank or empty, inside first: an object of empty fields is an empty field.
pub fn pruned(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(pruned).filter(|v| !is_empty(v)).collect(),
        Value::Object(fields) => {
            let kept: Map<String, Value> = fields
                .into_iter()
                .map(|(name, v)| (name, pruned(v)))
                .filter(|(_, v)| !is_empty(v))
                .collect();
            Value::Object(kept)
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// At most so many bytes of a text, whole characters; an ellipsis says that it was cut.
pub fn cut(text: &str, most: usize) -> String {
    const MARK: char = '…';
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(MARK.len_utf8());
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > room {
            break;
        }
        out.push(c);
    }
    out.push(MARK);
    out
}

/// A number for a signed 64-bit column; none if it does not fit.
pub fn long(n: u128) -> Value {
    i64::try_from(n).map_or(Value::Null, Value::from)
}

/// Nearest whole number from 0 to 100.
pub fn percent(share: f64) -> u64 {
    (share * 100.0).round().clamp(0.0, 100.0) as u64
}

/// Milliseconds since 1970.
pub fn millis(seconds: u64) -> Value {
    long(u128::from(seconds) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_empty_goes_and_what_is_zero_stays() {
        let value =
            json!({"a": {"b": {"c": null, "d": " \n"}}, "e": [[], {}, ""], "f": 0, "g": false, "h": ["x", null]});
        assert_eq!(pruned(value), json!({"f": 0, "g": false, "h": ["x"]}));
    }

    #[test]
    fn a_line_is_one_line_and_says_the_same() {
        let value = json!({"a\u{2028}": "ä\u{85}\u{202e}\u{7f}\n\\u"});
        let text = line(&value).unwrap();
        assert_eq!(text, r#"{"a\u2028":"ä\u0085\u202e\u007f\n\\u"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn cut_texts_are_whole_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöüß", 7), "äö…");
        assert!((0..20).all(|n| cut("äöüäöüäöü", n).len() <= n.max(3)));
    }

    #[test]
    fn numbers_that_no_column_holds_are_left_out() {
        assert_eq!(long(u128::MAX), Value::Null);
        assert_eq!(percent(f64::NAN), 0);
        assert_eq!(percent(1e308), 100);
    }
}
