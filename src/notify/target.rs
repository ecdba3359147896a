//! A target, as its table `[notify.NAME]` of the configuration file has it.
//!
//! Unknown keys and values of the wrong type are errors. They name table and key, never a value.

use std::time::Duration;

use toml::{Table, Value};

use super::{Environment, KINDS, Kind, Sender};
use crate::detect::Severity;
use crate::error::{Error, Result};

/// Where notices go.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, as `--notify` has it.
    pub name: String,
    /// What it is.
    pub kind: &'static Kind,
    /// Incidents from this severity on.
    pub least: Severity,
    /// How long one try may take.
    pub timeout: Duration,
    /// How often it is tried in one run.
    pub tries: u32,
    /// What happens to a notice that may have arrived.
    pub unsure: Unsure,
    table: Hidden,
}

/// What the file says: a URL in it may hold a secret, so it is not for logs.
#[derive(Clone)]
struct Hidden(Table);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What happens to a notice whose reply was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsure {
    /// It is sent again: it arrives for certain, and twice where the receiver does not keep ids.
    Repeat,
    /// It is never sent again: it arrives once at most.
    Hold,
}

/// The keys that every kind has.
const KEYS: [&str; 6] = ["kind", "min-severity", "timeout", "tries", "if-unsure", "allow-plain"];

const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST: f64 = 120.0;
const TRIES: u32 = 5;
const MOST_TRIES: i64 = 20;

impl Target {
    /// Reads a table of the configuration file.
    ///
    /// # Errors
    /// `Usage`, naming the table and the key.
    pub fn read(name: &str, table: &Table) -> Result<Target> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_word) {
            return Err(Error::usage(
                "[notify]: names of targets are letters, digits and hyphens",
            ));
        }
        let mut target = Target {
            name: name.to_owned(),
            kind: kind(name, table)?,
            least: Severity::High,
            timeout: TIMEOUT,
            tries: TRIES,
            unsure: Unsure::Repeat,
            table: Hidden(table.clone()),
        };
        target.check_keys()?;
        target.least = match target.typed("min-severity", Value::as_str)? {
            Some(text) => text.parse().map_err(|_| target.wrong("min-severity", SEVERITIES))?,
            None => target.least,
        };
        target.timeout = target.seconds()?.unwrap_or(target.timeout);
        target.tries = match target.typed("tries", Value::as_integer)? {
            Some(n @ 1..=MOST_TRIES) => n.unsigned_abs() as u32,
            Some(_) => return Err(target.wrong("tries", "is a number from 1 to 20")),
            None => target.tries,
        };
        target.unsure = match target.typed("if-unsure", Value::as_str)? {
            None | Some("repeat") => Unsure::Repeat,
            Some("hold") => Unsure::Hold,
            Some(_) => return Err(target.wrong("if-unsure", "is `repeat` or `hold`")),
        };
        target.typed("allow-plain", Value::as_bool)?;
        Ok(target)
    }

    /// Makes it ready to send: secrets and addresses are looked at, nothing is sent.
    ///
    /// # Errors
    /// `Usage` if a secret is not in the environment, or an address is none.
    pub fn open(&self, environment: &Environment<'_>) -> Result<Sender> {
        let carrier = (self.kind.open)(self, environment)?;
        Ok(Sender {
            target: self.clone(),
            carrier,
        })
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.table.0.get(key)?.as_str()
    }

    /// True if a key is `true`.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.table.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The whole number of a key.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>> {
        self.typed(key, Value::as_integer)
    }

    /// An error of a key.
    pub(super) fn wrong(&self, key: &str, what: &str) -> Error {
        Error::usage(format!("[notify.{}] {key}: {what}", self.name))
    }

    fn check_keys(&self) -> Result<()> {
        let known = |k: &str| KEYS.contains(&k) || self.kind.keys.contains(&k);
        if let Some(key) = self.table.0.keys().find(|k| !known(k)) {
            let all = [&KEYS[..], self.kind.keys].concat().join(", ");
            let what = format!("is no key of a {} target; there are {all}", self.kind.name);
            return Err(self.wrong(key, &what));
        }
        let is_text = |k: &str| !matches!(k, "timeout" | "tries" | "allow-plain" | "tls" | "enterprise");
        match self.table.0.iter().find(|(k, v)| is_text(k) && !v.is_str()) {
            Some((key, _)) => Err(self.wrong(key, "is not a text")),
            None => Ok(()),
        }
    }

    fn typed<'t, T>(&'t self, key: &str, read: impl FnOnce(&'t Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.table.0.get(key) else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, &format!("has the wrong type: {}", value.type_str()));
        read(value).map(Some).ok_or_else(wrong)
    }

    fn seconds(&self) -> Result<Option<Duration>> {
        let number = |v: &Value| v.as_float().or_else(|| v.as_integer().map(|n| n as f64));
        match self.typed("timeout", number)? {
            Some(s) if s > 0.0 && s <= LONGEST => Ok(Some(Duration::from_secs_f64(s))),
            Some(_) => Err(self.wrong("timeout", "is a number of seconds from 0 to 120")),
            None => Ok(None),
        }
    }
}

const SEVERITIES: &str = "is info, low, medium, high or critical";

fn kind(name: &str, table: &Table) -> Result<&'static Kind> {
    let wanted = table.get("kind").and_then(Value::as_str);
    let found = wanted.and_then(|w| KINDS.iter().find(|k| k.name == w));
    found.ok_or_else(|| {
        let all: Vec<&str> = KINDS.iter().map(|k| k.name).collect();
        Error::usage(format!("[notify.{name}] kind: is one of {}", all.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Target::read("t", &text.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let t = Target::read("ops", &"kind = \"slack\"".parse().unwrap()).unwrap();
        assert_eq!((t.least, t.tries, t.unsure), (Severity::High, 5, Unsure::Repeat));
        let text = "kind = \"slack\"\nmin-severity = \"low\"\ntimeout = 1\ntries = 2\nif-unsure = \"hold\"";
        let t = Target::read("ops", &text.parse().unwrap()).unwrap();
        assert_eq!((t.least, t.tries, t.unsure), (Severity::Low, 2, Unsure::Hold));
        assert_eq!(t.timeout, Duration::from_secs(1));
    }

    #[test]
    fn errors_name_the_key_and_never_a_value() {
        for (text, says) in [
            ("", "kind: is one of pagerduty, webhook, slack, syslog"),
            ("kind = \"CANARY\"", "kind: is one of"),
            (
                "kind = \"pagerduty\"\nkey = \"CANARY\"",
                "key: is no key of a pagerduty target",
            ),
            ("kind = \"slack\"\nurl-env = [\"CANARY\"]", "url-env: is not a text"),
            ("kind = \"slack\"\ntries = 0", "tries: is a number from 1 to 20"),
            ("kind = \"slack\"\ntimeout = -1", "timeout: is a number of seconds"),
            ("kind = \"slack\"\nallow-plain = 1", "allow-plain: has the wrong type"),
            ("kind = \"slack\"\nmin-severity = \"CANARY\"", "min-severity: is info"),
            (
                "kind = \"slack\"\nif-unsure = \"CANARY\"",
                "if-unsure: is `repeat` or `hold`",
            ),
        ] {
            let error = wrong(text);
            assert!(error.contains(says) && !error.contains("CANARY"), "{error}");
            assert!(error.starts_with("[notify.t] "), "{error}");
        }
    }

    #[test]
    fn a_secret_that_is_not_there_is_said_without_naming_the_variable() {
        let t = Target::read("p", &"kind = \"pagerduty\"\nkey-env = \"CANARY\"".parse().unwrap()).unwrap();
        let error = t.open(&|_| None).unwrap_err().to_string();
        assert!(
            error.starts_with("[notify.p] key-env: ") && !error.contains("CANARY"),
            "{error}"
        );
    }
}
