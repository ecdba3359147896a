//! The replay: every cell of requests, or of flows, judged once and summed; what belongs to an incident told apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::action;
use super::inferred::{Inferred, unexplained};
use super::judge::{Request, judge};
use super::networks::Networks;
use super::policy::{Policy, Scope};
use super::{Proposal, Verdict};
use crate::aggregate::{Direction, EgressTable, Role};
use crate::attribute::Bounds;
use crate::inventory::Inventory;
use crate::net::{Class, HOUR, Seconds, parse_rfc3339};
use crate::trail::{Access, IdentityKind, PrincipalIndex, TrailRow};

/// What is replayed.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// Flows.
    pub table: &'a EgressTable,
    /// Requests.
    pub index: &'a PrincipalIndex,
    /// Endpoints and their VPCs.
    pub inventory: &'a Inventory,
    /// Interfaces that only pass traffic on.
    pub passing: &'a BTreeSet<String>,
    /// Only these interfaces, for networks; empty for all.
    pub only: &'a BTreeSet<String>,
}

/// Requests or flow records, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests, or flow log records.
    pub count: u64,
    /// Payload of requests, or bytes of flows.
    pub bytes: u128,
}

/// One caller and bucket, or one interface and far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Stopped, or unknown: what is allowed has no line.
    pub verdict: Verdict,
    /// Principal, or interface.
    pub who: String,
    /// Bucket, or far end.
    pub what: String,
    /// Account that owns the bucket, or port and protocol.
    pub about: String,
    /// How much.
    pub sums: Sums,
    /// First and last hour.
    pub span: (Seconds, Seconds),
    /// The incident that it is part of.
    pub incident: Option<String>,
    /// For what no request shows and both logs together say: the most bytes that it may have been; `sums` has the least.
    pub inferred: Option<u128>,
}

/// What became of one incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// Its id.
    pub id: String,
    /// Its leading rule.
    pub rule: String,
    /// By verdict: allowed, stopped, unknown.
    pub sums: [Sums; 3],
    /// Flow bytes that would have been stopped too, as both logs together say.
    pub inferred: Bounds,
}

/// The answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// `endpoint policy`, `bucket policy`, `networks`.
    pub kind: &'static str,
    /// `requests` or `flow records`.
    pub unit: &'static str,
    /// What is not understood.
    pub unsupported: Vec<String>,
    /// By verdict: allowed, stopped, unknown.
    pub sums: [Sums; 3],
    /// What would have been stopped beside incidents.
    pub broken: Sums,
    /// What is stopped or unknown, most bytes first.
    pub lines: Vec<Line>,
    /// Incidents that it has to do with, in the order of the result.
    pub incidents: Vec<Effect>,
    /// Flow bytes to S3 that no event explains, whatever is made of them. Nothing without data events.
    pub unexplained: Option<u128>,
    /// Those of them that would have been stopped. Nothing without data events, and for other proposals.
    pub inferred: Option<Inferred>,
}

/// An incident of a result, as far as cells can be told to be its.
#[derive(Debug, Clone, Default)]
pub struct Suspect {
    /// Its id.
    pub id: String,
    /// Its leading rule.
    pub rule: String,
    /// Its time.
    pub span: (Seconds, Seconds),
    /// Its interface.
    pub interface: Option<String>,
    /// ARNs and keys of those who did it.
    pub people: BTreeSet<String>,
    /// Buckets concerned.
    pub buckets: BTreeSet<String>,
    /// Far ends.
    pub peers: BTreeSet<String>,
}

/// The incidents of a result; the one only whose id begins with `only`.
pub fn suspects(result: &Value, only: Option<&str>) -> Vec<Suspect> {
    let all = result["incidents"].as_array().into_iter().flatten();
    let wanted = |i: &&Value| only.is_none_or(|o| i["id"].as_str().is_some_and(|id| id.starts_with(o)));
    all.filter(wanted).map(suspect).collect()
}

fn suspect(i: &Value) -> Suspect {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let time = |key: &str| i[key].as_str().and_then(parse_rfc3339).unwrap_or(0);
    let list = |key: &str| i[key].as_array().into_iter().flatten();
    let people = list("principals").filter(|p| matches!(p["class"].as_str(), Some("exact" | "strong")));
    Suspect {
        id: text(&i["id"]).unwrap_or_default(),
        rule: text(&i["rule"]).unwrap_or_default(),
        span: (time("first_seen"), time("last_seen")),
        interface: text(&i["eni"]),
        people: people.filter_map(|p| text(&p["arn"])).collect(),
        buckets: list("buckets").filter_map(|b| text(&b["name"])).collect(),
        peers: list("destinations").filter_map(|d| text(&d["ip"])).collect(),
    }
}

impl Suspect {
    pub(super) fn meets(&self, hour: Seconds) -> bool {
        hour <= self.span.1 && self.span.0 < hour.saturating_add(HOUR)
    }
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.count += other.count;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Replays the archive.
pub fn replay(proposal: &Proposal, archive: &Archive<'_>, suspects: &[Suspect]) -> Answer {
    let mut sheet = Sheet {
        suspects,
        answer: Answer::default(),
        lines: BTreeMap::new(),
        inferred: BTreeMap::new(),
        effects: BTreeMap::new(),
    };
    match proposal {
        Proposal::Policy(policy) => requests(policy, archive, &mut sheet),
        Proposal::Networks(networks) => flows(networks, archive, &mut sheet),
    }
    sheet.finish()
}

/// Verdict, who, what, about, incident.
type Key = (Verdict, String, String, String, Option<usize>);

/// Bytes, with their first and last hour.
type Deduced = (Bounds, (Seconds, Seconds));

pub(super) struct Sheet<'a> {
    pub(super) suspects: &'a [Suspect],
    pub(super) answer: Answer,
    lines: BTreeMap<Key, (Sums, (Seconds, Seconds))>,
    /// By interface and incident.
    inferred: BTreeMap<(String, Option<usize>), Deduced>,
    effects: BTreeMap<usize, ([Sums; 3], Bounds)>,
}

fn widen(all: &mut Bounds, one: Bounds) {
    all.low = all.low.saturating_add(one.low);
    all.high = all.high.saturating_add(one.high);
}

impl Sheet<'_> {
    /// Notes flow bytes of an hour that no event explains and that would have been stopped.
    pub(super) fn infer(&mut self, interface: &str, incident: Option<usize>, bytes: Bounds, hour: Seconds) {
        let key = (interface.to_owned(), incident);
        let line = self.inferred.entry(key).or_insert((Bounds::default(), (hour, hour)));
        widen(&mut line.0, bytes);
        line.1 = (line.1.0.min(hour), line.1.1.max(hour));
        if let Some(n) = incident {
            widen(&mut self.effects.entry(n).or_default().1, bytes);
        }
    }

    pub(super) fn put(&mut self, key: Key, sums: Sums, hour: Seconds) {
        let (verdict, incident) = (key.0, key.4);
        if let Some(slot) = self.answer.sums.get_mut(verdict as usize) {
            slot.add(sums);
        }
        if let Some(slot) = incident.and_then(|n| self.effects.entry(n).or_default().0.get_mut(verdict as usize)) {
            slot.add(sums);
        }
        if verdict == Verdict::Stopped && incident.is_none() {
            self.answer.broken.add(sums);
        }
        if verdict != Verdict::Allowed {
            let line = self.lines.entry(key).or_insert((Sums::default(), (hour, hour)));
            line.0.add(sums);
            line.1 = (line.1.0.min(hour), line.1.1.max(hour));
        }
    }

    fn finish(self) -> Answer {
        let mut answer = self.answer;
        let id = |n: usize| self.suspects.get(n).map(|s| s.id.clone());
        for ((verdict, who, what, about, incident), (sums, span)) in self.lines {
            answer.lines.push(Line {
                verdict,
                who,
                what,
                about,
                sums,
                span,
                incident: incident.and_then(id),
                inferred: None,
            });
        }
        for ((who, incident), (bytes, span)) in self.inferred {
            answer.lines.push(Line {
                verdict: Verdict::Stopped,
                who,
                what: "S3".to_owned(),
                about: "inferred: no event names the bucket".to_owned(),
                sums: Sums {
                    count: 0,
                    bytes: bytes.low,
                },
                span,
                incident: incident.and_then(id),
                inferred: Some(bytes.high),
            });
        }
        answer.lines.sort_by(|a, b| {
            let size = |l: &Line| (l.sums.bytes, l.sums.count);
            size(b)
                .cmp(&size(a))
                .then_with(|| (&a.who, &a.what).cmp(&(&b.who, &b.what)))
        });
        for (n, (sums, inferred)) in self.effects {
            let Some(s) = self.suspects.get(n) else { continue };
            answer.incidents.push(Effect {
                id: s.id.clone(),
                rule: s.rule.clone(),
                sums,
                inferred,
            });
        }
        answer
    }
}

fn requests(policy: &Policy, archive: &Archive<'_>, sheet: &mut Sheet<'_>) {
    sheet.answer.kind = match policy.scope {
        Scope::Endpoint => "endpoint policy",
        Scope::Bucket => "bucket policy",
    };
    sheet.answer.unit = "requests";
    sheet.answer.unsupported = policy.unsupported.clone();
    let owners = owners(archive.index);
    for row in archive
        .index
        .rows
        .iter()
        .filter(|r| r.error == 0 && r.access != Access::Network)
    {
        let Some(request) = request(archive, row, &owners) else {
            continue;
        };
        let verdict = judge(policy, &request);
        let who = archive.index.principal(row).map_or("", |p| p.arn.as_str());
        let incident = sheet
            .suspects
            .iter()
            .position(|s| s.meets(row.hour) && s.people.contains(who) && s.buckets.contains(request.bucket));
        let about = request.owner.unwrap_or("owner not known").to_owned();
        let key = (verdict, who.to_owned(), request.bucket.to_owned(), about, incident);
        let sums = Sums {
            count: row.requests,
            bytes: row.bytes_in.saturating_add(row.bytes_out),
        };
        sheet.put(key, sums, row.hour);
    }
    if policy.scope == Scope::Endpoint {
        unexplained(policy, archive, sheet);
    }
}

/// Whose each bucket is, where any event says.
fn owners(index: &PrincipalIndex) -> BTreeMap<u32, u32> {
    let named = index.rows.iter().filter(|r| r.bucket != 0 && r.owner != 0);
    named.map(|r| (r.bucket, r.owner)).collect()
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn request<'a>(archive: &Archive<'a>, row: &TrailRow, owners: &BTreeMap<u32, u32>) -> Option<Request<'a>> {
    let index = archive.index;
    let bucket = some(index.text(row.bucket))?;
    if !matches!(index.text(row.service), "s3.amazonaws.com" | "s3express.amazonaws.com") {
        return None;
    }
    let (action, on_objects) = action(index.text(row.event));
    let who = index.principal(row)?;
    let endpoint = some(index.text(row.endpoint));
    let by_service = who.kind == IdentityKind::AwsService;
    Some(Request {
        action,
        bucket,
        on_objects,
        owner: owners.get(&row.bucket).and_then(|o| some(index.text(*o))),
        principal: who
            .issuer
            .as_deref()
            .filter(|i| i.contains(":role/"))
            .or(some(&who.arn)),
        account: who.account.as_deref(),
        by_service,
        via_service: !by_service && who.invoked_by.is_some(),
        endpoint,
        vpc: endpoint.and_then(|e| archive.inventory.endpoint(e)?.vpc.as_deref()),
        address: index.addr(row.source).map(|a| a.ip()),
    })
}

fn flows(networks: &Networks, archive: &Archive<'_>, sheet: &mut Sheet<'_>) {
    sheet.answer.kind = "networks";
    sheet.answer.unit = "flow records";
    sheet.answer.unsupported = networks.unsupported.clone();
    for row in archive.table.rows.iter().filter(|r| r.direction == Direction::Egress) {
        let Some(interface) = archive.table.interfaces.get(row.interface as usize) else {
            continue;
        };
        let peer = archive.table.peer(row);
        let out = archive.passing.contains(&interface.id) || peer.class == Class::Special;
        if out || !archive.only.is_empty() && !archive.only.contains(&interface.id) {
            continue;
        }
        let to = peer.addr.to_string();
        // Answers to visitors follow the connection: egress rules do not concern them.
        let verdict = match (row.role, networks.allow(peer.addr.ip(), row.port, row.protocol)) {
            (Role::Server, _) | (_, true) => Verdict::Allowed,
            (_, false) if !networks.unsupported.is_empty() && peer.class == Class::S3 => Verdict::Unknown,
            (Role::Unknown, false) => Verdict::Unknown,
            (Role::Client, false) => Verdict::Stopped,
        };
        let of =
            |s: &Suspect| s.meets(row.hour) && s.interface.as_deref() == Some(&interface.id) && s.peers.contains(&to);
        let incident = sheet.suspects.iter().position(of);
        let about = format!("port {} protocol {}", row.port, row.protocol);
        let sums = Sums {
            count: row.volume.flows,
            bytes: row.volume.bytes,
        };
        sheet.put((verdict, interface.id.clone(), to, about, incident), sums, row.hour);
    }
}
