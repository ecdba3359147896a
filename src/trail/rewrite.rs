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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trail::event::Record;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Any JSON, of small size.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            (0.0f64..1e12).prop_map(Into::into),
            "[a-z\"\\\\é{\\[ ]{0,8}".prop_map(Into::into)
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            let keys = prop_oneof![
                Just("arn"),
                Just("key"),
                Just("bucketName"),
                Just("bytesTransferredIn"),
                Just("x")
            ];
            let map = proptest::collection::btree_map(keys, inner.clone(), 0..3);
            let map = map.prop_map(|m| m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
            prop_oneof![map, proptest::collection::vec(inner, 0..3).prop_map(Into::into)]
        })
    }

    fn record() -> impl Strategy<Value = Value> {
        let keys = proptest::sample::subsequence((0..FIELDS.len()).collect::<Vec<_>>(), 0..FIELDS.len());
        let member = (any::<prop::sample::Index>(), anything());
        let good =
            json!({"eventTime": "2025-03-01T00:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"});
        (keys, proptest::collection::vec(member, FIELDS.len())).prop_map(move |(keys, values)| {
            let mut record = good.clone();
            for (key, (n, value)) in keys.into_iter().zip(values) {
                // mostly the right type for the strict ones, so that whole records are met too
                let strict = matches!(FIELDS[key].1, Rule::Strict) && n.index(8) > 0;
                let text = if key < 3 { None } else { Some(Value::from("text")) };
                match (strict, text) {
                    (true, Some(text)) => record[FIELDS[key].0] = text,
                    (true, None) => {}
                    _ => record[FIELDS[key].0] = value,
                }
            }
            record
        })
    }

    /// What is read of a record, without the text that it was read from.
    fn slow(text: &str) -> Option<String> {
        let clean = rewrite(text).ok()?;
        let event = serde_json::from_str::<Record<'_>>(&clean)
            .unwrap()
            .into_event("")
            .ok()?;
        Some(format!("{event:?}"))
    }

    proptest! {
        #[test]
        fn the_patient_way_agrees_with_the_fast_one(record in record()) {
            let text = record.to_string();
            if let Ok(fast) = serde_json::from_str::<Record<'_>>(&text)
                && !matches!(fast.kind(), crate::trail::event::Kind::Packed)
            {
                prop_assert_eq!(fast.into_event("").ok().map(|e| format!("{e:?}")), slow(&text));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_lose_count(record in record(), cut in 0usize..400, noise in any::<u8>()) {
            let mut text = format!("{{\"Records\":[{record},{record}]}}").into_bytes();
            let at = cut.min(text.len() - 1);
            text[at] = noise;
            let mut seen = 0;
            let counts = crate::trail::read(&text, &mut |_| seen += 1);
            prop_assert_eq!(counts.records, seen);
        }
    }

    #[test]
    fn packed_members_are_unpacked_and_broken_ones_left_out() {
        let packed = r#"{"eventTime":"2025-03-01T00:00:00Z","eventsource":"s3.amazonaws.com","eventName":"GetObject",
            "requestparameters":"{\"bucketName\":\"b\",\"key\":\"k\"}","additionalEventData":{"bytesTransferredIn":1e999},"readOnly":[[[]]]}"#;
        let text = slow(packed).unwrap();
        assert!(
            text.contains(r#"bucket: Some("b")"#) && text.contains("bytes_in: None"),
            "{text}"
        );
    }

    #[test]
    fn a_member_that_stands_there_twice_is_named() {
        let fault = rewrite(r#"{"eventName":"GetObject","eventName":"StopLogging"}"#).unwrap_err();
        assert_eq!((&*fault.field, fault.reason), ("eventName", "stands there twice"));
    }
}
