//! The requests that an incident cites, as cells of the trail: who, from where, on which bucket, what, in which hour.
//!
//! `scan` writes them into the result, and `verify` counts them again from the trail. A cell's sums are those of all events
//! that look like it, so that they can be recounted without knowing which of them were cited.

use std::collections::{BTreeMap, BTreeSet};

use crate::incident::Incident;
use crate::net::rfc3339;
use crate::report::detail::CELLS;
use crate::report::explain::integer;
use crate::report::grid::json_integer;
use crate::trail::{PrincipalIndex, TrailRow};
use serde_json::{Value, json};

/// What a cell is about, as the result writes it: in the order of [`NAMES`].
type Key = [String; NAMES.len()];

/// The parts of a key.
const NAMES: [&str; 12] = [
    "hour",
    "principal",
    "access_key",
    "source",
    "endpoint",
    "bucket",
    "owner",
    "service",
    "event",
    "error",
    "from",
    "recipient",
];

/// Requests, bytes that callers sent, bytes that callers received.
type Sums = (u64, u128, u128);

/// Cells of the trail with their sums.
#[derive(Debug, Default)]
pub struct Calls {
    sums: BTreeMap<Key, Sums>,
}

impl Calls {
    /// The cells that some incidents cite.
    pub fn cited(incidents: &[Incident], index: Option<&PrincipalIndex>) -> Self {
        let Some(index) = index else { return Calls::default() };
        let rows = incidents.iter().flat_map(|i| &i.requests);
        let keys: BTreeSet<Key> = rows
            .filter_map(|n| Some(key(index, index.rows.get(*n as usize)?)))
            .collect();
        Calls::of(index, |key| keys.contains(key))
    }

    /// The cells of `index` that are `wanted`.
    fn of(index: &PrincipalIndex, wanted: impl Fn(&Key) -> bool) -> Self {
        let mut out = Calls::default();
        for row in &index.rows {
            let key = key(index, row);
            if wanted(&key) {
                let (requests, sent, received) = out.sums.entry(key).or_default();
                *requests = requests.saturating_add(row.requests);
                *sent = sent.saturating_add(row.bytes_in);
                *received = received.saturating_add(row.bytes_out);
            }
        }
        out
    }

    /// What an incident cites: its largest cells, and how many more there are.
    pub fn of_incident(&self, incident: &Incident, index: Option<&PrincipalIndex>) -> (Value, Value) {
        let row = |n: &u32| index.and_then(|i| Some(key(i, i.rows.get(*n as usize)?)));
        let keys: BTreeSet<Key> = incident.requests.iter().filter_map(row).collect();
        let mut cells: Vec<(&Key, &Sums)> = keys.iter().filter_map(|k| self.sums.get_key_value(k)).collect();
        cells.sort_by_key(|(_, s)| std::cmp::Reverse((s.1.saturating_add(s.2), s.0)));
        let rest = cells.split_off(cells.len().min(CELLS));
        let requests: u64 = rest.iter().map(|(_, s)| s.0).sum();
        let more = json!({"calls": rest.len(), "requests": requests});
        (cells.into_iter().map(|(k, s)| cell(k, *s)).collect(), more)
    }
}

/// What became of cited cells: how many are as they were, and which are not, in words.
pub(super) fn recount(cited: &[Value], index: &PrincipalIndex) -> (usize, Vec<String>) {
    let keys: BTreeSet<Key> = cited.iter().map(key_of).collect();
    let found = Calls::of(index, |key| keys.contains(key));
    let stated = |cell: &Value| {
        let requests = cell["requests"].as_u64().unwrap_or(u64::MAX);
        (requests, integer(&cell["bytes_in"]), integer(&cell["bytes_out"]))
    };
    let changed: Vec<String> = cited
        .iter()
        .filter_map(|cell| compare(&key_of(cell), stated(cell), found.sums.get(&key_of(cell))))
        .collect();
    (cited.len() - changed.len(), changed)
}

/// What differs about a cell.
fn compare(key: &Key, stated: Sums, found: Option<&Sums>) -> Option<String> {
    let [hour, principal, _, source, _, bucket, _, _, event, ..] = key;
    let place = format!("{event} on {bucket} by {principal} from {source} in the hour of {hour}");
    let words = |s: &Sums| format!("{} requests, {} bytes in and {} out", s.0, s.1, s.2);
    match found {
        Some(found) if *found == stated => None,
        Some(found) => Some(format!("{place}: {}; cited were {}", words(found), words(&stated))),
        None => Some(format!("{place}: no event; cited were {}", words(&stated))),
    }
}

fn key(index: &PrincipalIndex, row: &TrailRow) -> Key {
    let who = index.principal(row);
    let text = |id: u32| index.text(id).to_owned();
    [
        rfc3339(row.hour),
        who.map(|p| p.arn.clone()).unwrap_or_default(),
        who.map(|p| p.access_key.clone()).unwrap_or_default(),
        text(row.source),
        text(row.endpoint),
        text(row.bucket),
        text(row.owner),
        text(row.service),
        text(row.event),
        text(row.error),
        text(row.copied_from),
        text(row.recipient),
    ]
}

fn key_of(cell: &Value) -> Key {
    NAMES.map(|name| cell[name].as_str().unwrap_or_default().to_owned())
}

/// A cell as it is written; what the events do not have is null.
fn cell(key: &Key, (requests, sent, received): Sums) -> Value {
    let named = NAMES.iter().zip(key);
    let texts = named.map(|(name, text)| ((*name).to_owned(), Some(text).filter(|t| !t.is_empty()).cloned().into()));
    let mut out: serde_json::Map<String, Value> = texts.collect();
    out.insert("requests".to_owned(), requests.into());
    out.insert("bytes_in".to_owned(), json_integer(sent));
    out.insert("bytes_out".to_owned(), json_integer(received));
    Value::Object(out)
}
