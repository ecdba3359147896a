//! Takes findings out of what they travel in: arrays, `Findings`, NDJSON, EventBridge events, SNS and SQS envelopes.
//!
//! Envelopes hold their content as text (`Message`, `body`) or as an object (`detail`); whatever they are, an object that
//! looks like a finding is one. Nesting is bounded, so that hostile input costs no stack.

use serde_json::Value;

use crate::error::{Error, Result};

/// Envelopes inside envelopes that are opened.
const DEEPEST: usize = 12;

/// Members whose text is JSON again.
const PACKED: [&str; 5] = ["Message", "message", "Body", "body", "detail"];

/// What an object turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It was taken as a finding: nothing in it is looked at.
    Taken,
    /// Perhaps an envelope.
    Unknown,
}

/// Calls `take` with every object, outermost first, and looks into those that it does not take; returns how many events
/// were about something else, and whether any list of findings was empty.
///
/// # Errors
/// `List` if the content is not JSON.
pub(super) fn unwrap(content: &[u8], take: &mut dyn FnMut(&Value) -> Met) -> Result<Envelopes> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut seen = Envelopes::default();
    for value in serde_json::Deserializer::from_slice(content).into_iter::<Value>() {
        let value = value.map_err(|e| Error::list(format!("not the JSON of findings: {e}")))?;
        visit(&value, DEEPEST, take, &mut seen);
    }
    Ok(seen)
}

/// What was met beside findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Envelopes {
    /// Events about something else.
    pub(super) other: u64,
    /// An answer without findings.
    pub(super) empty: bool,
}

fn visit(value: &Value, depth: usize, take: &mut dyn FnMut(&Value) -> Met, seen: &mut Envelopes) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Array(items) => {
            seen.empty |= items.is_empty();
            items.iter().fold(false, |any, v| visit(v, depth, take, seen) | any)
        }
        Value::Object(members) => {
            if take(value) == Met::Taken {
                return true;
            }
            let mut any = false;
            for (key, member) in members {
                any |= match member {
                    Value::String(text) if PACKED.contains(&key.as_str()) => packed(text, depth, take, seen),
                    Value::Array(_) | Value::Object(_) => visit(member, depth, take, seen),
                    _ => false,
                };
            }
            if !any && members.contains_key("detail-type") {
                seen.other += 1;
            }
            any
        }
        _ => false,
    }
}

fn packed(text: &str, depth: usize, take: &mut dyn FnMut(&Value) -> Met, seen: &mut Envelopes) -> bool {
    let start = text.trim_start();
    if !start.starts_with(['{', '[']) {
        return false;
    }
    match serde_json::from_str::<Value>(start) {
        Ok(inner) => visit(&inner, depth, take, seen),
        Err(_) => false,
    }
}

/// A member by its name in camelCase or in PascalCase.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let found = value.get(name).or_else(|| {
        let mut chars = name.chars();
        let first = chars.next()?.to_ascii_uppercase();
        value.get(format!("{first}{}", chars.as_str()))
    });
    found.filter(|v| !v.is_null())
}

/// A member some levels down, by names separated with dots.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |v, name| member(v, name))
}

/// A text some levels down.
pub(super) fn text(value: &Value, path: &str) -> Option<String> {
    let found = at(value, path)?.as_str()?;
    (!found.is_empty()).then(|| found.to_owned())
}

/// The items of a list some levels down; a single object counts as one.
pub(super) fn items<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    match at(value, path) {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// A number, written as one or as text.
pub(super) fn number(value: &Value, path: &str) -> Option<f64> {
    let found = at(value, path)?;
    let number = found.as_f64().or_else(|| found.as_str()?.parse().ok())?;
    number.is_finite().then_some(number)
}

/// A time: RFC 3339, the same with a blank and without a zone (UTC), or seconds since 1970.
pub(super) fn time(value: &Value, path: &str) -> Option<crate::net::Seconds> {
    let found = at(value, path)?;
    if let Some(seconds) = found.as_f64().filter(|s| *s >= 0.0) {
        return Some(seconds as crate::net::Seconds);
    }
    let written = found.as_str()?;
    let written = written.replacen(' ', "T", 1);
    crate::net::parse_rfc3339(&written).or_else(|| crate::net::parse_rfc3339(&format!("{written}Z")))
}
