//! Values inside a JSON object, found from its bytes: a member, the paths of OCSF, a string without its escapes.
//!
//! Nothing is copied but strings that hold escapes; what is too long to be held is followed to its end ([`Skip`]).

use crate::forms::names::OCSF;
use crate::input::brackets::{Step, next_member, value_end};
use std::borrow::Cow;

/// The value of a member of an object.
pub(super) fn value_of<'o>(object: &'o [u8], key: &[u8]) -> Option<&'o [u8]> {
    let mut from = 1;
    while let Step::Member(member) = next_member(object, from) {
        let end = value_end(object, member.value)?;
        if member.key == key {
            return object.get(member.value..end);
        }
        from = end;
    }
    None
}

/// Finds the values at the paths of [`OCSF`]; an object inside a wanted one is followed, others are passed over.
pub(super) fn paths<'o>(object: &'o [u8], inside: &str, values: &mut [Option<&'o [u8]>; OCSF.len()]) {
    let mut from = 1;
    while let Step::Member(member) = next_member(object, from) {
        let Some(end) = value_end(object, member.value) else {
            return;
        };
        let (Some(value), Ok(key)) = (object.get(member.value..end), std::str::from_utf8(member.key)) else {
            return;
        };
        let rest = |path: &'static str| path.strip_prefix(inside)?.strip_prefix(key);
        if value.starts_with(b"{") {
            if OCSF.iter().any(|r| rest(r.path).is_some_and(|p| p.starts_with('.'))) {
                paths(value, &format!("{inside}{key}."), values);
            }
        } else {
            let here = OCSF
                .iter()
                .zip(values.iter_mut())
                .filter(|(r, _)| rest(r.path) == Some(""));
            here.for_each(|(_, slot)| *slot = slot.or(Some(value)));
        }
        from = end;
    }
}

/// The bytes of a string, without quotes and escapes.
pub(super) fn text_of(value: &[u8]) -> Cow<'_, [u8]> {
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value);
    if !bare.contains(&b'\\') {
        return Cow::Borrowed(bare);
    }
    match serde_json::from_slice::<String>(value) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(bare),
    }
}

/// A value as text; `null` is none.
pub(super) fn scalar(value: &[u8]) -> Cow<'_, [u8]> {
    match value.first() {
        Some(b'"') => text_of(value),
        _ if value == b"null" => Cow::Borrowed(b""),
        _ => Cow::Borrowed(value),
    }
}

/// Follows brackets to the end of a value that is too long to be held.
#[derive(Debug, Default)]
pub(super) struct Skip {
    depth: usize,
    string: bool,
    escaped: bool,
    begun: bool,
}

impl Skip {
    /// How many of `bytes` still belong to the value.
    pub(super) fn end(&mut self, bytes: &[u8]) -> usize {
        for (i, b) in bytes.iter().enumerate() {
            if self.escaped {
                self.escaped = false;
            } else if self.string {
                self.escaped = *b == b'\\';
                self.string = *b != b'"';
                if *b == b'\n' {
                    // No string holds a newline: one that was never closed ends here.
                    (self.string, self.depth) = (false, 0);
                }
            } else {
                match b {
                    b'"' => self.string = true,
                    b'{' | b'[' => (self.depth, self.begun) = (self.depth + 1, true),
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            if self.is_done() {
                return i + 1;
            }
        }
        bytes.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.begun && self.depth == 0 && !self.string
    }
}
