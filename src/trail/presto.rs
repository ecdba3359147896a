//! Structs, maps and arrays as Athena and CloudTrail Lake print them into a cell: `{type=AssumedRole, arn=…, username=null}`.
//!
//! Nothing in them is quoted, so a value may hold what looks like the next member. Where the members are known by name
//! (`useridentity`, `resources`) only those names end a value; in a map any name does. What then stands there twice can be
//! read in two ways and is refused. JSON inside (CloudTrail Lake keeps nested parameters so) is taken as it is.

use serde_json::value::RawValue;

/// Deeper than this is nobody's record.
const DEEPEST: u8 = 12;

/// The cell as JSON, its scalars as texts, `null` left out; `None` if it cannot be told how it is meant. `names`, if not
/// empty, are the members that can occur.
pub(super) fn to_json(cell: &str, names: &[&str]) -> Option<String> {
    let mut out = String::with_capacity(cell.len() + cell.len() / 4);
    let mut printed = Printed {
        text: cell,
        at: 0,
        names,
    };
    printed.value(&mut out, DEEPEST)?;
    printed.rest().is_empty().then_some(out)
}

struct Printed<'a> {
    text: &'a str,
    at: usize,
    names: &'a [&'a str],
}

impl<'a> Printed<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> Option<()> {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found.then_some(())
    }

    /// A value; false in place of it if it is null.
    fn value(&mut self, out: &mut String, deeper: u8) -> Option<bool> {
        if self.json(out).is_some() {
            return Some(true);
        }
        match self.rest().as_bytes().first() {
            Some(b'{') => self.members(out, deeper.checked_sub(1)?)?,
            Some(b'[') => self.items(out, deeper.checked_sub(1)?)?,
            _ => return self.scalar(out),
        }
        Some(true)
    }

    /// An object or array of JSON, if one stands here and a member's end follows.
    fn json(&mut self, out: &mut String) -> Option<()> {
        let rest = self.rest();
        let may =
            rest.starts_with("{\"") || rest.starts_with("[\"") || rest.starts_with("[{\"") || rest.starts_with("{}");
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let json = may.then(|| stream.next()).flatten()?.ok()?.get();
        let after = rest.get(json.len()..)?;
        let ends = after.is_empty() || after.starts_with(['}', ']']) || after.starts_with(", ");
        ends.then(|| {
            out.push_str(json);
            self.at += json.len();
        })
    }

    fn members(&mut self, out: &mut String, deeper: u8) -> Option<()> {
        self.take("{")?;
        let start = out.len();
        let mut seen: Vec<&str> = Vec::new();
        while self.take("}").is_none() {
            if !seen.is_empty() {
                self.take(", ")?;
            }
            let name = self.name(self.rest())?;
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            self.at += name.len() + 1;
            let before = out.len();
            out.push(if before == start { '{' } else { ',' });
            out.push_str(&serde_json::to_string(name).ok()?);
            out.push(':');
            if !self.value(out, deeper)? {
                out.truncate(before);
            }
        }
        out.push_str(if out.len() == start { "{}" } else { "}" });
        Some(())
    }

    fn items(&mut self, out: &mut String, deeper: u8) -> Option<()> {
        self.take("[")?;
        out.push('[');
        let mut first = true;
        while self.take("]").is_none() {
            if !first {
                self.take(", ")?;
                out.push(',');
            }
            first = false;
            if !self.value(out, deeper)? {
                out.push_str("null");
            }
        }
        out.push(']');
        Some(())
    }

    /// The name of the member that begins here, with `=` behind it.
    fn name(&self, text: &'a str) -> Option<&'a str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        let name = text.get(..text.find(|c: char| !is_part(c))?)?;
        let follows = text.get(name.len()..)?.starts_with('=');
        let known = self.names.is_empty() || self.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        (follows && known && !name.is_empty()).then_some(name)
    }

    /// A text up to the next member or the end of this one; false if it is null.
    fn scalar(&mut self, out: &mut String) -> Option<bool> {
        let rest = self.rest();
        let ends = |(at, c): &(usize, char)| match c {
            '}' | ']' => self.closes(rest.get(at + 1..).unwrap_or_default()),
            ',' => rest
                .get(at + 2..)
                .is_some_and(|t| rest[*at..].starts_with(", ") && self.begins(t)),
            _ => false,
        };
        let end = rest.char_indices().find(ends).map(|(at, _)| at)?;
        let text = rest.get(..end)?;
        self.at += end;
        if text != "null" {
            out.push_str(&serde_json::to_string(text).ok()?);
        }
        Some(text != "null")
    }

    /// True if a member, or an item of an array of structs, begins here.
    fn begins(&self, text: &'a str) -> bool {
        text.starts_with('{') || self.name(text).is_some()
    }

    /// True if nothing but the ends of values, or another member, follows a bracket.
    fn closes(&self, after: &'a str) -> bool {
        let rest = after.trim_start_matches(['}', ']']);
        rest.is_empty() || rest.strip_prefix(", ").is_some_and(|t| self.begins(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_presto_prints_is_read_back() {
        for (cell, json) in [
            ("{}", "{}"),
            ("{type=Root, arn=null}", r#"{"type":"Root"}"#),
            ("{a=null}", "{}"),
            ("{a={b={c=x=y, d=,}}, e=}", r#"{"a":{"b":{"c":"x=y","d":","}},"e":""}"#),
            (
                "[{arn=a:b, type=t}, {arn=c}]",
                r#"[{"arn":"a:b","type":"t"},{"arn":"c"}]"#,
            ),
            (
                r#"{p={"S":[{"a":1}]}, k=a}b.txt}"#,
                r#"{"p":{"S":[{"a":1}]},"k":"a}b.txt"}"#,
            ),
            ("[]", "[]"),
        ] {
            assert_eq!(to_json(cell, &[]).as_deref(), Some(json), "{cell}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for cell in [
            "{key=a, bucketName=mine, bucketName=b}",
            "{a=b",
            "a=b}",
            "",
            "{a}",
            "{a=b}x",
            "[a",
            "{=b}",
        ] {
            assert_eq!(to_json(cell, &[]), None, "{cell}");
        }
        let names = ["arn", "type"];
        assert_eq!(
            to_json("{arn=x, y=1, type=t}", &names).as_deref(),
            Some(r#"{"arn":"x, y=1","type":"t"}"#)
        );
        assert_eq!(to_json(&"{a=".repeat(100), &[]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_json_or_refused(cell in "[{}\\[\\]=, \"a-c\u{e9}null]{0,40}") {
            if let Some(json) = to_json(&cell, &[]) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            }
        }
    }
}
