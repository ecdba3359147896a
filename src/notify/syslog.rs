//! syslog: RFC 5424 messages, octet-counted (RFC 6587) over TCP, with TLS as RFC 5425 has it.
//!
//! The structured data holds every field of the finding under its own name: plain values as they are, lists of words
//! joined by commas and of sentences by spaces, everything else as JSON. The message's time is the incident's end, so the same incident is the same
//! message; what is sent again has `repeated="yes"`. A message is kept within [`MOST`] bytes, which collectors take: long
//! lists end early, and say how much is left out.

use serde_json::Value;

use super::tcp::Wire;
use super::{Answer, Carrier, Environment, Kind, Notice, Target};
use crate::detect::Severity;
use crate::error::Result;
use crate::net::printable;
use crate::report::shape::{cut, line};

/// The registry's line.
pub(super) const KIND: Kind = Kind {
    name: "syslog",
    about: "syslog, RFC 5424 over TCP or TLS",
    keys: &["address", "tls", "facility", "hostname", "enterprise"],
    open,
};

/// Bytes of a message: rsyslog's default limit.
const MOST: usize = 8_096;

/// Bytes of one value.
const VALUE: usize = 2_048;

/// The enterprise number for examples (RFC 5612).
const EXAMPLE: i64 = 32_473;

#[derive(Debug)]
struct Syslog {
    wire: Wire,
    style: Style,
}

/// What stands in every message.
#[derive(Debug)]
struct Style {
    facility: u8,
    hostname: String,
    enterprise: i64,
}

fn open(target: &Target, _: &Environment<'_>) -> Result<Box<dyn Carrier>> {
    let named = target.text("facility").unwrap_or("local0");
    let facility = FACILITIES.iter().find(|(name, _)| *name == named).map(|(_, n)| *n);
    let hostname = target.text("hostname").unwrap_or("-");
    if hostname.is_empty() || hostname.len() > 255 || !hostname.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(target.wrong("hostname", "is no name of a host"));
    }
    let enterprise = target.number("enterprise")?.unwrap_or(EXAMPLE);
    let style = Style {
        facility: facility
            .ok_or_else(|| target.wrong("facility", "is kern to cron, auth, authpriv or local0 to local7"))?,
        hostname: hostname.to_owned(),
        enterprise: Some(enterprise)
            .filter(|n| *n > 0)
            .ok_or_else(|| target.wrong("enterprise", "is a number"))?,
    };
    Ok(Box::new(Syslog {
        wire: Wire::open(target)?,
        style,
    }))
}

/// The facilities' numbers.
const FACILITIES: &[(&str, u8)] = &[
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

impl Carrier for Syslog {
    fn carry(&self, notice: &Notice, repeated: bool) -> Answer {
        let message = message(notice, &self.style, repeated);
        self.wire.send(format!("{} {message}", message.len()).as_bytes())
    }
}

/// The message, without its octet count.
fn message(notice: &Notice, style: &Style, repeated: bool) -> String {
    let mut room = VALUE;
    loop {
        let text = within(notice, style, repeated, room);
        if text.len() <= MOST || room < 32 {
            return text;
        }
        room /= 2;
    }
}

/// The message with no value longer than `room`.
fn within(notice: &Notice, style: &Style, repeated: bool, room: usize) -> String {
    let i = &notice.people;
    let time = i.last_seen.0.map_or_else(|| "-".into(), crate::net::rfc3339);
    let rule: String = i.rule.chars().filter(char::is_ascii_graphic).take(32).collect();
    let rule = if rule.is_empty() { "-" } else { &rule };
    let priority = u16::from(style.facility) * 8 + severity(notice.severity);
    let mut data = String::new();
    for (name, value) in notice.finding.as_object().into_iter().flatten() {
        if let Some(value) = text(value, room).filter(|v| !v.is_empty()) {
            data.push_str(&format!(" {}=\"{}\"", parameter(name), escaped(&value)));
        }
    }
    if repeated {
        data.push_str(" repeated=\"yes\"");
    }
    let title = cut(&i.title, room);
    let mark = if title.is_ascii() { "" } else { "\u{feff}" };
    let Style {
        hostname, enterprise, ..
    } = style;
    format!("<{priority}>1 {time} {hostname} flowtrail - {rule} [flowtrail@{enterprise}{data}] {mark}{title}")
}

/// A field's value; none for null.
fn text(value: &Value, room: usize) -> Option<String> {
    let plain = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    match value {
        Value::Null => None,
        Value::Array(all) if all.iter().all(Value::is_string) => {
            let all: Vec<String> = all.iter().filter_map(plain).collect();
            let (kept, rest) = whole_items(&all, room);
            let between = if all.iter().any(|t| t.contains(' ')) { " " } else { "," };
            Some(kept.iter().cloned().chain(rest).collect::<Vec<_>>().join(between))
        }
        Value::Array(all) => {
            let all: Vec<String> = all.iter().filter_map(|v| line(v).ok()).collect();
            let (kept, rest) = whole_items(&all, room);
            let rest = rest.map(|r| format!("\"{r}\""));
            Some(format!(
                "[{}]",
                kept.iter().cloned().chain(rest).collect::<Vec<_>>().join(",")
            ))
        }
        Value::Object(_) => line(value).ok(),
        other => plain(other).map(|t| cut(&t, room)),
    }
}

/// The first items that fit, and how many more there are.
fn whole_items(all: &[String], room: usize) -> (&[String], Option<String>) {
    let mut used = 0;
    let fits = |item: &&String| {
        used += item.len() + 1;
        used <= room
    };
    let kept = all.iter().take_while(fits).count();
    let rest = all.len() - kept;
    (&all[..kept], (rest > 0).then(|| format!("{rest} more")))
}

/// A name of at most 32 characters that RFC 5424 takes.
fn parameter(name: &str) -> String {
    let good = |c: &char| c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"');
    name.chars().filter(good).take(32).collect()
}

/// RFC 5424, 6.3.3: `"`, `\` and `]` behind a backslash. Control characters and what turns text around are made visible
/// before that.
fn escaped(value: &str) -> String {
    let shown = printable(value.as_bytes());
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn severity(s: Severity) -> u16 {
    match s {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::tests::sample;
    use serde_json::json;

    fn style() -> Style {
        Style {
            facility: 16,
            hostname: "-".into(),
            enterprise: EXAMPLE,
        }
    }

    /// As a collector reads structured data: names, values without their escapes.
    fn parameters(message: &str) -> Vec<(String, String)> {
        let (_, rest) = message.split_once("[flowtrail@32473 ").unwrap();
        let (mut out, mut chars) = (Vec::new(), rest.chars());
        loop {
            let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(chars.next(), Some('"'));
            let mut value = String::new();
            loop {
                match chars.next().unwrap() {
                    '\\' => value.push(chars.next().unwrap()),
                    '"' => break,
                    c => value.push(c),
                }
            }
            out.push((name, value));
            match chars.next().unwrap() {
                ']' => return out,
                c => assert_eq!(c, ' '),
            }
        }
    }

    #[test]
    fn every_field_of_a_finding_is_a_parameter() {
        let notice = sample();
        let text = message(&notice, &style(), false);
        assert!(
            text.starts_with("<131>1 2026-03-10T04:12:00Z - flowtrail - tor-egress [flowtrail@32473 "),
            "{text}"
        );
        let all = parameters(&text);
        let names: Vec<&str> = all.iter().map(|(n, _)| n.as_str()).collect();
        let fields: Vec<&str> = notice.finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, fields);
        let value = |name: &str| &all.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(value("rules"), "tor-egress,volume-spike");
        assert_eq!(value("title"), "7 MB to <!channel> \"x\" ]\\x0a& \\u{202e}more");
        let places: Value = serde_json::from_str(value("destinations")).unwrap();
        assert_eq!(places, notice.finding["destinations"]);
        assert!(message(&notice, &style(), true).contains(" repeated=\"yes\"]"));
    }

    #[test]
    fn a_long_finding_is_shortened_by_whole_items() {
        let mut finding = sample().finding;
        let many: Vec<Value> = (0..2_000)
            .map(|n| json!({"file": format!("{n}.gz"), "line": n}))
            .collect();
        finding["evidence"] = many.into();
        finding["explanation"] = vec!["\"]\\ ".repeat(40); 50].into();
        let notice = Notice::of(finding).unwrap();
        let text = message(&notice, &style(), false);
        assert!(text.len() <= MOST, "{}", text.len());
        let all = parameters(&text);
        let evidence = &all.iter().find(|(n, _)| n == "evidence").unwrap().1;
        let evidence: Vec<Value> = serde_json::from_str(evidence).unwrap();
        let last = evidence.last().unwrap().as_str().unwrap();
        assert_eq!(last, format!("{} more", 2_000 - (evidence.len() - 1)));
        assert_eq!(all.len(), notice.finding.as_object().unwrap().len());
    }
}
