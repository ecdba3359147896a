//! Finds where JSON values end, from bytes alone: no recursion, no allocation, no belief that the text is well formed.
//!
//! This is what lets a bad record cost itself only. A JSON parser gives up on a whole file for one lone surrogate or
//! one `1e999`; here brackets are counted and strings are skipped, so the neighbours of anything are found, however
//! deep it is nested and whatever bytes it holds.

use memchr::memchr2;

/// Position of the first byte at or after `from` that is no white space.
pub fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(rest.len())
}

/// Position after the string whose opening quote stands at `from`; `None` if it does not end.
pub fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.checked_add(1)?;
    loop {
        let hit = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(hit) == Some(&b'"') {
            return Some(hit + 1);
        }
        at = hit + 2;
    }
}

/// Position after the value that begins at `from`; `None` if the content ends before the value does.
///
/// A bare word (number, `true`, garbage) ends before the next separator, at the latest at the end of the content.
pub fn value_end(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes.get(from)? {
        b'"' => string_end(bytes, from),
        b'{' | b'[' => nested_end(bytes, from),
        _ => {
            let rest = bytes.get(from..)?;
            let ends = |b: &u8| matches!(b, b',' | b']' | b'}' | b':') || b.is_ascii_whitespace();
            Some(from + rest.iter().position(ends).unwrap_or(rest.len()).max(1))
        }
    }
}

fn nested_end(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// One `"key": value` of an object.
pub struct Member<'a> {
    /// The key's bytes between the quotes, escapes untouched.
    pub key: &'a [u8],
    /// Where the value begins.
    pub value: usize,
}

/// What stands at a place inside an object, between members.
pub enum Step<'a> {
    /// A member.
    Member(Member<'a>),
    /// The closing brace; the position after it.
    Close(usize),
    /// Neither: the object is broken or cut here.
    Broken,
}

/// The next member of an object, from any place between its members (after `{`, after a value).
pub fn next_member(bytes: &[u8], from: usize) -> Step<'_> {
    let mut at = skip_space(bytes, from);
    if bytes.get(at) == Some(&b',') {
        at = skip_space(bytes, at + 1);
    }
    match bytes.get(at) {
        Some(b'}') => Step::Close(at + 1),
        Some(b'"') => member_at(bytes, at).map_or(Step::Broken, Step::Member),
        _ => Step::Broken,
    }
}

fn member_at(bytes: &[u8], quote: usize) -> Option<Member<'_>> {
    let end = string_end(bytes, quote)?;
    let key = bytes.get(quote + 1..end - 1)?;
    let colon = skip_space(bytes, end);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let value = skip_space(bytes, colon + 1);
    bytes.get(value).map(|_| Member { key, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_end_where_they_end() {
        let ends = |s: &str| value_end(s.as_bytes(), 0);
        assert_eq!(ends(r#"{"a":"}\"","b":[1,{}]} tail"#), Some(22));
        assert_eq!(ends(r#""a\\" tail"#), Some(5));
        assert_eq!(ends("12,3"), Some(2));
        assert_eq!(ends(r#"{"a":"cut"#), None);
        assert_eq!(ends(r#"{"a":[1"#), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert_eq!(value_end(&deep, 0), Some(deep.len()));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Into::into),
            ".{0,9}".prop_map(Into::into),
            Just(serde_json::Value::Null)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let map = proptest::collection::btree_map("[\\\\\"{}\\[\\]a-c]{0,4}", inner.clone(), 0..4);
            let list = proptest::collection::vec(inner, 0..4);
            prop_oneof![list.prop_map(Into::into), map.prop_map(|m| m.into_iter().collect())]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_json_parser(value in json(), tail in "[ ,\n}\\]]{1}[a-z{\"]{0,5}") {
            let text = value.to_string();
            prop_assert_eq!(value_end(format!("{text}{tail}").as_bytes(), 0), Some(text.len()));
        }

        #[test]
        fn never_runs_past_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..64), from in 0usize..70) {
            if let Some(end) = value_end(&bytes, from) {
                prop_assert!(end > from && end <= bytes.len());
            }
        }
    }
}
