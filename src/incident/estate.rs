//! What containment must not break, and may build on: endpoints and buckets in use, event selectors, the usual rate of
//! reads, and where the interfaces of incidents usually send to.
//!
//! Everything is bounded and sorted; it travels in the result, so that `contain` needs no log.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::Incident;
use crate::aggregate::{Direction, EgressTable, Role};
use crate::coverage::Selectors;
use crate::detect::TrailCase;
use crate::detect::trail::{Deed, aws_owner};
use crate::inventory::Inventory;
use crate::net::{Class, HOUR, Seconds};

/// Buckets listed, those with most requests first.
const BUCKETS: usize = 1_000;
/// Usual destinations of an interface: a security group holds sixty rules.
const PEERS: usize = 60;

/// What is in use.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Estate {
    /// Accounts that are ours, sorted.
    pub accounts: Vec<String>,
    /// Regions of the requests, sorted.
    pub regions: Vec<String>,
    /// VPC endpoints that S3 was called through, and those of the inventory, sorted by id.
    pub endpoints: Vec<EndpointUse>,
    /// Buckets that were called, by requests.
    pub buckets: Vec<BucketUse>,
    /// Event selectors as AWS wrote them.
    pub selectors: Vec<TrailSelector>,
    /// Objects read by the hour.
    pub reads: Reads,
    /// Usual destinations of the interfaces of incidents.
    pub egress: BTreeMap<String, Vec<Usual>>,
}

/// A VPC endpoint.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct EndpointUse {
    /// `vpce-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: Option<String>,
    /// `com.amazonaws.<region>.s3`.
    pub service: Option<String>,
    /// Requests through it.
    pub requests: u64,
}

/// A bucket in use.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct BucketUse {
    /// Its name.
    pub name: String,
    /// Account that owns it.
    pub owner: Option<String>,
    /// `own`, `foreign`, `aws` or `unknown`.
    pub standing: &'static str,
    /// The service of AWS whose it is.
    pub service: Option<&'static str>,
    /// Its region, by the requests.
    pub region: Option<String>,
    /// Requests that succeeded.
    pub requests: u64,
    /// Endpoints that it was called through, sorted.
    pub endpoints: Vec<String>,
    /// Requests that came through none.
    pub without_endpoint: u64,
    /// Of these, those of own principals that no incident cites: what a policy that asks for an endpoint would break.
    pub own_without_endpoint: u64,
    /// What the selectors record of it: `all`, `reads`, `writes`, `part`, `none`.
    pub data_events: Option<&'static str>,
}

/// One event selector.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct TrailSelector {
    /// ARN of the trail.
    pub trail: String,
    /// As AWS wrote it.
    pub selector: Value,
}

/// Objects read by the hour, without what incidents read.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
pub struct Reads {
    /// Hours between the first and the last.
    pub hours: u64,
    /// The busiest hour.
    pub most: u64,
}

/// A usual destination.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Usual {
    /// A host or, for S3, nothing: its prefix list stands for it.
    pub cidr: String,
    /// Port of the service.
    pub port: u16,
    /// IANA number.
    pub protocol: u8,
    /// Class.
    pub class: Class,
    /// Bytes sent.
    #[serde(serialize_with = "crate::detect::finding::big")]
    pub bytes: u128,
}

impl Estate {
    /// What the logs show to be in use.
    pub fn of(case: &TrailCase<'_>, inventory: &Inventory, table: &EgressTable, incidents: &[Incident]) -> Self {
        let selectors = Selectors::of(inventory);
        let regions: BTreeSet<&str> = case.index.rows.iter().map(|r| case.index.text(r.region)).collect();
        let mut out = Estate {
            accounts: case.own_accounts.iter().cloned().collect(),
            regions: regions
                .into_iter()
                .filter(|r| !r.is_empty())
                .map(str::to_owned)
                .collect(),
            endpoints: endpoints(case, inventory),
            buckets: buckets(case, &selectors, &cited(incidents)),
            reads: reads(case, incidents),
            egress: egress(table, incidents),
            selectors: Vec::new(),
        };
        for s in &inventory.selectors {
            let selector = serde_json::from_str(&s.json).unwrap_or_default();
            let trail = s.trail.clone();
            out.selectors.push(TrailSelector { trail, selector });
        }
        out
    }
}

fn endpoints(case: &TrailCase<'_>, inventory: &Inventory) -> Vec<EndpointUse> {
    let mut all: BTreeMap<&str, EndpointUse> = BTreeMap::new();
    for row in case
        .index
        .rows
        .iter()
        .filter(|r| r.endpoint != 0 && case.index.text(r.service).starts_with("s3"))
    {
        all.entry(case.index.text(row.endpoint)).or_default().requests += row.requests;
    }
    let is_s3 = |s: &Option<String>| s.as_deref().is_some_and(|s| s.ends_with(".s3"));
    for known in &inventory.endpoints {
        if !is_s3(&known.service) && !all.contains_key(known.id.as_str()) {
            continue;
        }
        let about = all.entry(&known.id).or_default();
        (about.vpc, about.service) = (known.vpc.clone(), known.service.clone());
    }
    let named = |(id, e): (&str, EndpointUse)| EndpointUse { id: id.to_owned(), ..e };
    all.into_iter().map(named).collect()
}

/// Rows of the trail that incidents cite.
fn cited(incidents: &[Incident]) -> BTreeSet<u32> {
    incidents.iter().flat_map(|i| i.requests.iter().copied()).collect()
}

fn buckets(case: &TrailCase<'_>, selectors: &Selectors, cited: &BTreeSet<u32>) -> Vec<BucketUse> {
    let mut all: BTreeMap<&str, BucketUse> = BTreeMap::new();
    let text = |id: u32| case.index.text(id);
    for (n, row) in (0u32..)
        .zip(&case.index.rows)
        .filter(|(_, r)| r.bucket != 0 && r.error == 0)
    {
        let name = text(row.bucket);
        let about = all.entry(name).or_default();
        about.requests += row.requests;
        about.owner = about.owner.take().or_else(|| some(text(row.owner)));
        about.region = about.region.take().or_else(|| some(text(row.region)));
        match text(row.endpoint) {
            "" => {
                about.without_endpoint += row.requests;
                let who = case
                    .index
                    .principal(row)
                    .and_then(|p| p.account.as_deref())
                    .unwrap_or_default();
                if case.own_accounts.contains(who) && !cited.contains(&n) {
                    about.own_without_endpoint += row.requests;
                }
            }
            id if about.endpoints.iter().all(|e| e != id) => about.endpoints.push(id.to_owned()),
            _ => {}
        }
    }
    let mut out: Vec<BucketUse> = all
        .into_iter()
        .map(|(name, b)| finish(case, selectors, name, b))
        .collect();
    out.sort_by(|a, b| b.requests.cmp(&a.requests).then(a.name.cmp(&b.name)));
    out.truncate(BUCKETS);
    out
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn finish(case: &TrailCase<'_>, selectors: &Selectors, name: &str, mut b: BucketUse) -> BucketUse {
    b.name = name.to_owned();
    b.endpoints.sort();
    b.service = aws_owner(name);
    b.standing = match &b.owner {
        _ if b.service.is_some() => "aws",
        Some(owner) if case.is_foreign(owner) => "foreign",
        Some(_) => "own",
        None => "unknown",
    };
    b.data_events = (!selectors.is_empty()).then(|| selectors.scope(name).as_str());
    b
}

fn reads(case: &TrailCase<'_>, incidents: &[Incident]) -> Reads {
    let cited = cited(incidents);
    let mut hours: BTreeMap<Seconds, u64> = BTreeMap::new();
    for (n, row) in (0u32..).zip(&case.index.rows) {
        if case.deed(n) == Deed::Read && !cited.contains(&n) {
            *hours.entry(row.hour).or_default() += row.requests;
        }
    }
    let span = hours.first_key_value().zip(hours.last_key_value());
    Reads {
        hours: span.map_or(0, |(a, b)| (b.0 - a.0) / HOUR + 1),
        most: hours.values().copied().max().unwrap_or(0),
    }
}

/// What the interfaces of incidents send to beside the incidents, as clients.
fn egress(table: &EgressTable, incidents: &[Incident]) -> BTreeMap<String, Vec<Usual>> {
    let cited: BTreeSet<u32> = incidents.iter().flat_map(|i| i.cells.iter().copied()).collect();
    let bad: BTreeSet<u32> = cited
        .iter()
        .filter_map(|c| table.rows.get(*c as usize))
        .map(|r| r.peer)
        .collect();
    let mut wanted: BTreeMap<u32, &str> = BTreeMap::new();
    for (n, interface) in (0u32..).zip(&table.interfaces) {
        if incidents.iter().any(|i| i.eni.as_deref() == Some(&interface.id)) {
            wanted.insert(n, &interface.id);
        }
    }
    let mut sums: BTreeMap<(u32, u32, u16, u8), u128> = BTreeMap::new();
    for row in table
        .rows
        .iter()
        .filter(|r| r.direction == Direction::Egress && r.role != Role::Server)
    {
        let class = table.peer(row).class;
        if wanted.contains_key(&row.interface)
            && !bad.contains(&row.peer)
            && !matches!(class, Class::Special | Class::S3)
        {
            let key = (row.interface, row.peer, row.port, row.protocol);
            *sums.entry(key).or_default() += row.volume.bytes;
        }
    }
    let mut out: BTreeMap<String, Vec<Usual>> = BTreeMap::new();
    for ((interface, peer, port, protocol), bytes) in sums {
        let (Some(id), Some(peer)) = (wanted.get(&interface), table.peers.get(peer as usize)) else {
            continue;
        };
        let length = if peer.addr.is_v4() { 32 } else { 128 };
        out.entry((*id).to_owned()).or_default().push(Usual {
            cidr: format!("{}/{length}", peer.addr),
            port,
            protocol,
            class: peer.class,
            bytes,
        });
    }
    for list in out.values_mut() {
        list.sort_by(|a, b| {
            b.bytes
                .cmp(&a.bytes)
                .then_with(|| (&a.cidr, a.port).cmp(&(&b.cidr, b.port)))
        });
        list.truncate(PEERS);
    }
    out
}
