//! Files that people write about incidents (`--allow`, `--suppress`), TOML or JSON, read field by field.
//!
//! A wrong entry must be found by whoever wrote it, so every complaint names the file, the entry and the field, and a field
//! that is not known is a mistake, not a comment: a misspelt `expires` would hide findings for ever.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::net::{Addr, Seconds, parse_rfc3339, printable};

/// A file larger than this is not one of ours.
const LARGEST: u64 = 16 << 20;

/// What TOML's reader calls a date when it is asked for a general value.
const TOML_DATE: &str = "$__toml_private_datetime";

/// One entry of a file, its fields taken out one by one.
#[derive(Debug)]
pub(super) struct Entry {
    path: PathBuf,
    number: usize,
    fields: Map<String, Value>,
}

/// The entries of a file under any of `names`, in its order.
pub(super) fn read(path: &Path, names: &[&str]) -> Result<Vec<Entry>> {
    let cannot = |e: std::io::Error| Error::list(format!("cannot be read: {e}")).at(path);
    if std::fs::metadata(path).map_err(cannot)?.len() > LARGEST {
        return Err(Error::list("larger than 16 MiB: not a list of entries").at(path));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    parse(path, &text, names)
}

/// As [`read`], of text.
pub(super) fn parse(path: &Path, text: &str, names: &[&str]) -> Result<Vec<Entry>> {
    let json = text.trim_start().starts_with('{') || text.trim_start().starts_with("[{") || text.trim() == "[]";
    let tree: Value = if json {
        serde_json::from_str(text).map_err(|e| Error::list(format!("no JSON: {e}")).at(path))?
    } else {
        toml::from_str(text).map_err(|e| Error::list(format!("no TOML: {}", e.to_string().trim())).at(path))?
    };
    let list = match tree {
        Value::Object(top) => entries_of(path, top, names)?,
        Value::Array(list) => list,
        _ => return Err(Error::list("expected a list of entries").at(path)),
    };
    list.into_iter()
        .enumerate()
        .map(|(i, value)| Entry::new(path, i + 1, value))
        .collect()
}

fn entries_of(path: &Path, top: Map<String, Value>, names: &[&str]) -> Result<Vec<Value>> {
    let mut list = Vec::new();
    for (key, value) in top {
        match value {
            Value::Array(more) if names.contains(&key.as_str()) => list.extend(more),
            version if key == "version" => {
                if version != 1 {
                    return Err(Error::list(format!("version {version}: this program reads version 1")).at(path));
                }
            }
            _ => {
                let key = printable(key.as_bytes());
                return Err(Error::list(format!("`{key}` is not known here: use {}", names.join(" or "))).at(path));
            }
        }
    }
    Ok(list)
}

impl Entry {
    fn new(path: &Path, number: usize, value: Value) -> Result<Entry> {
        match value {
            Value::Object(fields) => Ok(Entry {
                path: path.to_path_buf(),
                number,
                fields,
            }),
            _ => Err(Error::list(format!("entry {number}: expected fields with names")).at(path)),
        }
    }

    /// What is wrong with a field, with its place.
    pub(super) fn wrong(&self, field: &str, text: &str) -> Error {
        let n = self.number;
        Error::list(format!("entry {n}: field `{}`: {text}", printable(field.as_bytes()))).at(&self.path)
    }

    /// A warning about the entry as a whole.
    pub(super) fn says(&self, text: &str) -> String {
        format!("{}: entry {}: {text}", self.path.display(), self.number)
    }

    /// A text.
    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "expected text")),
        }
    }

    /// One text or a list of them.
    pub(super) fn texts(&mut self, field: &str) -> Result<Vec<String>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(list)) if !list.is_empty() => list
                .into_iter()
                .map(|v| v.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| self.wrong(field, "expected a list of texts")),
            Some(_) => Err(self.wrong(field, "expected text, or a list of texts that is not empty")),
        }
    }

    /// Addresses and CIDRs, one or a list.
    pub(super) fn networks(&mut self, field: &str) -> Result<Vec<IpNetwork>> {
        let network = |text: String| {
            let bad = || no_network(&text);
            text.trim().parse::<IpNetwork>().map_err(|_| bad())
        };
        let texts = self.texts(field)?;
        texts
            .into_iter()
            .map(network)
            .collect::<std::result::Result<_, String>>()
            .map_err(|e| self.wrong(field, &e))
    }

    /// Port numbers, one or a list.
    pub(super) fn ports(&mut self, field: &str) -> Result<Vec<u16>> {
        let list = match self.fields.remove(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) if !list.is_empty() => list,
            Some(one) => vec![one],
        };
        let port = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok());
        list.iter()
            .map(port)
            .collect::<Option<_>>()
            .ok_or_else(|| self.wrong(field, "expected port numbers, 0 to 65535"))
    }

    /// A whole number, not negative.
    pub(super) fn integer(&mut self, field: &str) -> Result<Option<u64>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => match v.as_u64() {
                Some(n) => Ok(Some(n)),
                None => Err(self.wrong(field, "expected a whole number, not negative")),
            },
        }
    }

    /// A time: RFC 3339, or a date, which means its first second, or with `whole_day` its last.
    pub(super) fn time(&mut self, field: &str, whole_day: bool) -> Result<Option<Seconds>> {
        let text = match self.fields.remove(field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Object(mut date)) => match date.remove(TOML_DATE) {
                Some(Value::String(text)) => text,
                _ => return Err(self.wrong(field, "expected a time")),
            },
            Some(_) => return Err(self.wrong(field, "expected a time")),
        };
        let date = || parse_rfc3339(&format!("{text}T00:00:00Z")).map(|t| if whole_day { t + 86_399 } else { t });
        match parse_rfc3339(&text).or_else(date) {
            Some(t) => Ok(Some(t)),
            None => Err(self.wrong(
                field,
                &format!(
                    "`{}` is neither RFC 3339 nor a date like 2026-03-31",
                    printable(text.as_bytes())
                ),
            )),
        }
    }

    /// Complains about what nobody asked for.
    pub(super) fn done(self, known: &[&str]) -> Result<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(field) => Err(self.wrong(field, &format!("not known; the fields are {}", known.join(", ")))),
        }
    }
}

fn no_network(text: &str) -> String {
    format!(
        "`{}` is neither an address nor a CIDR like 198.51.100.0/24",
        printable(text.as_bytes())
    )
}

/// True if an address lies in one of the networks; an empty list means: anywhere.
pub(super) fn inside(networks: &[IpNetwork], addr: Addr) -> bool {
    let ip: IpAddr = addr.ip();
    networks.is_empty() || networks.iter().any(|n| n.contains(ip))
}
