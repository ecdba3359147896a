//! The slow, patient way to read one record: taken only when the fast one gave up, or when an export packed JSON into
//! strings.
//!
//! The record is cut into its members without looking inside them. Members that are not in use are dropped (with
//! whatever made the fast way stumble), strict ones are checked and named if they are wrong, lenient ones that cannot
//! be read are left out, packed ones are unpacked. What is left is written as a clean record.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Strict, is_packed};

/// Why a record is none: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: Cow<'static, str>,
    pub(super) reason: &'static str,
}

/// Writes the record anew, with nothing in it that a decoder could stumble over.
pub(super) fn rewrite(text: &str) -> Result<String, Fault> {
    let members: Members<'_> = serde_json::from_str(text).map_err(|_| Fault {
        field: "".into(),
        reason: "not valid JSON",
    })?;
    let mut out = String::with_capacity(text.len().min(1 << 16));
    let mut seen = Vec::new();
    for (key, value) in &members.0 {
        let Some(field) = FIELDS.iter().find(|f| f.0.eq_ignore_ascii_case(key)) else {
            continue;
        };
        if seen.contains(&field.0) {
            return Err(Fault {
                field: field.0.into(),
                reason: "stands there twice",
            });
        }
        seen.push(field.0);
        if let Some(value) = field.1.keep(field.0, value.get())? {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push('"');
            out.push_str(field.0);
            out.push_str("\":");
            out.push_str(&value);
        }
    }
    out.push_str(if out.is_empty() { "{}" } else { "}" });
    Ok(out)
}

/// How a member is treated.
#[derive(Clone, Copy)]
enum Rule {
    /// A string or null, else the record is rejected.
    Strict,
    /// An object or null, else the record is rejected.
    Object,
    /// Anything; left out if it cannot be decoded.
    Lenient,
}

/// The members in use. `tests` compares this table with what the fast way decodes.
const FIELDS: &[(&str, Rule)] = &[
    ("eventTime", Rule::Strict),
    ("eventSource", Rule::Strict),
    ("eventName", Rule::Strict),
    ("eventID", Rule::Strict),
    ("awsRegion", Rule::Strict),
    ("recipientAccountId", Rule::Strict),
    ("sourceIPAddress", Rule::Strict),
    ("userAgent", Rule::Strict),
    ("errorCode", Rule::Strict),
    ("errorMessage", Rule::Strict),
    ("userIdentity", Rule::Object),
    ("@timestamp", Rule::Lenient),
    ("vpcEndpointId", Rule::Lenient),
    ("vpcEndpointAccountId", Rule::Lenient),
    ("readOnly", Rule::Lenient),
    ("managementEvent", Rule::Lenient),
    ("eventCategory", Rule::Lenient),
    ("eventType", Rule::Lenient),
    ("requestParameters", Rule::Lenient),
    ("responseElements", Rule::Lenient),
    ("additionalEventData", Rule::Lenient),
    ("resources", Rule::Lenient),
];

impl Rule {
    /// The value to write, or `None` to leave the member out.
    fn keep<'a>(self, field: &'static str, value: &'a str) -> Result<Option<Cow<'a, str>>, Fault> {
        let wrong = |reason| {
            Err(Fault {
                field: field.into(),
                reason,
            })
        };
        match self {
            Rule::Strict if serde_json::from_str::<Strict<'_>>(value).is_err() => wrong("neither a string nor null"),
            Rule::Strict => Ok(Some(value.into())),
            Rule::Object => match unpacked(value) {
                v if v.starts_with('{') => Ok(decodable(v)),
                v if v == "null" => Ok(Some(v)),
                _ => wrong("neither an object nor null"),
            },
            Rule::Lenient => Ok(decodable(unpacked(value))),
        }
    }
}

/// The JSON inside a string, or the value itself.
fn unpacked(value: &str) -> Cow<'_, str> {
    if value.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(value)
        && is_packed(&inner)
        && serde_json::from_str::<&RawValue>(&inner).is_ok()
    {
        return inner.trim().to_owned().into();
    }
    value.into()
}

/// The value, if the decoder can walk through it: not nested too deep, no number that does not fit, no lone surrogate.
fn decodable(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    serde_json::from_str::<serde_json::Value>(&value)
        .is_ok()
        .then_some(value)
}

/// The members of an object, unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some((key, value)) = map.next_entry::<Strict<'de>, &'de RawValue>()? {
                    out.push((key.0.unwrap_or_default(), value));
                }
                Ok(Members(out))
            }
        }
        d.deserialize_map(V)
    }
}
