//! The timeline of an incident, from the logs: its requests, its flows, and what else its principals changed.
//!
//! Calls of one kind from one address are one moment with a span; what moved data has its first request told apart, since
//! that is where a responder begins. Times are UTC.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::{EgressTable, Row};
use crate::detect::trail::{Deed, deed};
use crate::incident::Incident;
use crate::net::{Seconds, human_bytes, rfc3339};
use crate::report::grid::json_integer;
use crate::report::requests::Sum;
use crate::report::story::words::{count, short};
use crate::trail::{Notable, PrincipalIndex};
use serde_json::{Value, json};

/// Kinds of calls told of one incident, and changes told beside them.
const LISTED: usize = 40;

/// How long before an incident a change by its principals still belongs to its story, and how long after it; seconds.
const BEFORE: u64 = 3_600;
const AFTER: u64 = 86_400;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    time: Seconds,
    until: Seconds,
    source: &'static str,
    text: String,
    bytes: u128,
}

impl Moment {
    fn json(&self) -> Value {
        json!({
            "time": rfc3339(self.time),
            "until": (self.until > self.time).then(|| rfc3339(self.until)),
            "source": self.source,
            "text": self.text,
            "bytes": json_integer(self.bytes),
        })
    }
}

/// The moments of an incident in the order of time.
pub fn moments(incident: &Incident, table: &EgressTable, index: Option<&PrincipalIndex>) -> Value {
    let mut out = of_flows(incident, table);
    if let Some(index) = index.filter(|_| !incident.requests.is_empty()) {
        out.extend(of_requests(incident, index));
    }
    out.extend(index.map(|i| changes(incident, i)).unwrap_or_default());
    out.sort();
    out.iter().map(Moment::json).collect()
}

/// First record, all of them, and the busiest hour.
fn of_flows(incident: &Incident, table: &EgressTable) -> Vec<Moment> {
    let rows: Vec<&Row> = incident
        .cells
        .iter()
        .filter_map(|c| table.rows.get(*c as usize))
        .collect();
    let Some(first) = rows.iter().min_by_key(|r| (r.volume.first, r.peer)) else {
        return Vec::new();
    };
    let last = rows.iter().map(|r| r.volume.last).max().unwrap_or_default();
    let bytes: u128 = rows.iter().map(|r| r.volume.bytes).sum();
    let records: u64 = rows.iter().map(|r| r.volume.flows).sum();
    let peers = rows.iter().map(|r| r.peer).collect::<BTreeSet<_>>().len();
    let eni = incident.eni.as_deref().unwrap_or("an interface");
    let start = first.volume.first;
    let flow = |time, until, bytes, text| Moment {
        time,
        until,
        source: "flow",
        text,
        bytes,
    };
    let to = table.peer(first).addr;
    let mut out = vec![flow(
        start,
        start,
        0,
        format!("first record of {eni} to {to}, port {}", first.port),
    )];
    let all = format!(
        "{} left {eni} in {} to {}",
        human_bytes(bytes),
        count(records, "record"),
        count(peers as u64, "address")
    );
    out.push(flow(start, last, bytes, all));
    out.extend(busiest(&rows).map(|(hour, bytes)| {
        let text = format!("busiest hour of {eni}: {}", human_bytes(bytes));
        flow(hour.max(start), hour.max(start), bytes, text)
    }));
    out
}

/// The hour with most bytes, if there are several.
fn busiest(rows: &[&Row]) -> Option<(Seconds, u128)> {
    let mut hours: BTreeMap<Seconds, u128> = BTreeMap::new();
    for row in rows {
        *hours.entry(row.hour).or_default() += row.volume.bytes;
    }
    let most = hours
        .iter()
        .max_by_key(|(hour, bytes)| (**bytes, std::cmp::Reverse(**hour)));
    most.filter(|_| hours.len() > 2).map(|(h, b)| (*h, *b))
}

/// Calls by kind and address.
fn of_requests(incident: &Incident, index: &PrincipalIndex) -> Vec<Moment> {
    let mut kinds: BTreeMap<(Deed, u32, u32, bool), Sum> = BTreeMap::new();
    for row in incident.requests.iter().filter_map(|n| index.rows.get(*n as usize)) {
        let deed = deed(index.text(row.service), index.text(row.event));
        let kind = (deed, row.event, row.source, row.error != 0);
        kinds.entry(kind).or_default().add(row, deed);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, sum)| {
        (
            std::cmp::Reverse((sum.read + sum.written, sum.requests + sum.failed)),
            *kind,
        )
    });
    kinds.truncate(LISTED);
    let told = |(kind, sum): ((Deed, u32, u32, bool), Sum)| of_kind(kind, &sum, index);
    kinds.into_iter().flat_map(told).collect()
}

fn of_kind((deed, event, source, failed): (Deed, u32, u32, bool), sum: &Sum, index: &PrincipalIndex) -> Vec<Moment> {
    let (event, from) = (index.text(event), index.text(source));
    let time = sum.first.unwrap_or_default();
    let moment = |time, until, bytes, text| Moment {
        time,
        until,
        source: "cloudtrail",
        text,
        bytes,
    };
    let asked = sum.requests + sum.failed;
    let bytes = sum.read.saturating_add(sum.written);
    let mut text = format!("{} from {from}", count(asked, &format!("{event} request")));
    if failed {
        text += ", refused or failed";
    } else if !sum.objects.is_empty() {
        let objects = sum.objects.count().number;
        text += &format!(": {}, {}", count(objects, "distinct object"), human_bytes(bytes));
    }
    let mut out = vec![moment(time, sum.last.unwrap_or(time), bytes, text)];
    if asked > 1 && !failed && !matches!(deed, Deed::Discover | Deed::Other) {
        out.push(moment(time, time, 0, format!("first {event} from {from}")));
    }
    out
}

/// What the incident's principals changed around it, and what was done about their keys and to its buckets since.
fn changes(incident: &Incident, index: &PrincipalIndex) -> Vec<Moment> {
    let who: BTreeSet<&str> = incident.principals.iter().map(|p| p.arn.as_str()).collect();
    let concerns = |n: &&Notable| {
        let actor = index.principals.get(n.principal as usize).map_or("", |p| &p.arn);
        let near =
            (incident.first_seen.saturating_sub(BEFORE)..=incident.last_seen.saturating_add(AFTER)).contains(&n.time);
        let acts = near && who.contains(actor);
        acts || n.time >= incident.first_seen && near_or_named(incident, n, near)
    };
    let told = |n: &Notable| {
        let actor = index.principals.get(n.principal as usize).map_or("", |p| &p.arn);
        let on = n.bucket.as_deref().map(|b| format!(" on {b}")).unwrap_or_default();
        let failed = n.error.as_deref().map(|e| format!(", failed: {e}")).unwrap_or_default();
        Moment {
            time: n.time,
            until: n.time,
            source: "cloudtrail",
            text: format!("{}{on} by {} from {}{failed}", n.event, name(actor, incident), n.source),
            bytes: 0,
        }
    };
    index.notable.iter().filter(concerns).take(LISTED).map(told).collect()
}

/// The short name of an actor, with its account if that is another than the incident's.
fn name(arn: &str, incident: &Incident) -> String {
    let account = arn.split(':').nth(4).unwrap_or_default();
    let own = incident.account.as_deref().is_none_or(|a| a == account) || account.is_empty();
    if own {
        short(arn)
    } else {
        format!("{} of account {account}", short(arn))
    }
}

/// True for a change of a bucket of the incident soon after it, or of a key or user that it names, whenever that was.
fn near_or_named(incident: &Incident, n: &Notable, near: bool) -> bool {
    let bucket = n.bucket.as_deref().unwrap_or("-");
    let on_bucket = near && incident.buckets.iter().any(|b| b.name == bucket);
    let named = |p: &crate::detect::PrincipalClaim| {
        let key = p
            .access_key
            .as_deref()
            .is_some_and(|k| k.len() > 8 && quoted(&n.request, k));
        let user = p
            .arn
            .rsplit_once(":user/")
            .map(|(_, path)| path.rsplit('/').next().unwrap_or(path));
        key || user.is_some_and(|u| quoted(&n.request, u))
    };
    on_bucket || incident.principals.iter().any(named)
}

/// True if a request holds a value, whole.
fn quoted(request: &str, value: &str) -> bool {
    request.contains(&format!("\"{value}\""))
}
