//! `--timeline FILE`: what happened outside of the logs: a page sent, a call made, a scan begun.
//!
//! One line each: an RFC 3339 time, then, if wanted, the id of an incident, then words. Empty lines and lines that begin
//! with `#` are passed over. A line that names no incident goes to the most severe one that it can belong to.

use std::path::Path;

use crate::error::{Error, Result};
use crate::net::{Seconds, parse_rfc3339, printable};
use crate::report::document::{Moment, Reported, When, mask_keys};

/// A line from outside the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// When.
    pub time: Seconds,
    /// The incident that it names, or the start of its id.
    pub incident: Option<String>,
    /// What, safe to show.
    pub text: String,
}

/// How long after an incident a line still belongs to it, in seconds: a day.
const AFTER: u64 = 86_400;

/// How long before.
const BEFORE: u64 = 3_600;

impl Outside {
    /// Reads a file.
    ///
    /// # Errors
    /// `Usage`, naming the line that has no time or no words.
    pub fn load(path: &Path) -> Result<Vec<Outside>> {
        let wrong = |text: String| Error::usage(text).at(path);
        let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
        lines
            .map(|(line, n)| (line.trim(), n))
            .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, n)| {
                let why = "a line is a time like 2026-03-10T04:20:00Z, then words";
                Outside::parse(line).ok_or_else(|| wrong(format!("line {n}: {why}")))
            })
            .collect()
    }

    fn parse(line: &str) -> Option<Outside> {
        let (time, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim();
        let named = rest
            .split_once(char::is_whitespace)
            .filter(|(id, _)| id.starts_with("inc-"));
        let words = named.map_or(rest, |(_, words)| words.trim());
        Some(Outside {
            time: parse_rfc3339(time)?,
            incident: named.map(|(id, _)| id.to_owned()),
            text: printable(words.as_bytes()),
        })
    }

    /// The incident that it belongs to, by its place.
    pub(super) fn place(&self, incidents: &[Reported]) -> Option<usize> {
        let fits = |i: &Reported| match (&self.incident, i.first_seen.0, i.last_seen.0) {
            (Some(id), ..) => i.id.starts_with(id.as_str()),
            (None, Some(first), Some(last)) => {
                (first.saturating_sub(BEFORE)..=last.saturating_add(AFTER)).contains(&self.time)
            }
            _ => false,
        };
        incidents.iter().position(fits)
    }

    pub(super) fn moment(&self, show_keys: bool) -> Moment {
        Moment {
            time: When(Some(self.time)),
            until: None,
            source: "outside".to_owned(),
            text: if show_keys {
                self.text.clone()
            } else {
                mask_keys(&self.text)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_time_and_words_and_may_name_its_incident() {
        let plain = Outside::parse("2026-03-10T04:20:00Z  PagerDuty alert to the SOC").unwrap();
        assert_eq!(
            (plain.time, plain.text.as_str()),
            (1_773_116_400, "PagerDuty alert to the SOC")
        );
        let named = Outside::parse("2026-03-10T05:20:00+01:00 inc-af61 key \u{1b}[31mdisabled").unwrap();
        assert_eq!(named.time, plain.time);
        assert_eq!(named.incident.as_deref(), Some("inc-af61"));
        assert_eq!(named.text, "key \\x1b[31mdisabled");
        assert_eq!(Outside::parse("04:20 PagerDuty"), None);
        assert_eq!(Outside::parse("2026-03-10T04:20:00Z"), None);
    }

    #[test]
    fn a_line_goes_to_the_most_severe_incident_of_its_day() {
        let incident = |id: &str, first: u64| Reported {
            id: id.to_owned(),
            first_seen: When(Some(first)),
            last_seen: When(Some(first + 3_600)),
            ..Reported::default()
        };
        let all = [incident("inc-aa", 100_000), incident("inc-bb", 90_000)];
        let line = |time, incident: Option<&str>| Outside {
            time,
            incident: incident.map(str::to_owned),
            text: String::new(),
        };
        assert_eq!(line(104_000, None).place(&all), Some(0));
        assert_eq!(line(91_000, None).place(&all), Some(1));
        assert_eq!(line(91_000, Some("inc-aa")).place(&all), Some(0));
        assert_eq!(line(1_000_000, None).place(&all), None);
    }
}
