//! CloudTrail's half of a card: callers, where they called from, buckets, events, and their other addresses.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::Class as Tie;
use crate::intel::Intel;
use crate::lookup::card::{BucketUse, Caller, EventUse, Exact, Source, When};
use crate::lookup::resolve::Ties;
use crate::net::Seconds;
use crate::trail::{Distinct, EXAMPLES, IdentityKind, PrincipalIndex, TrailRow};

/// What the trail says of one key.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) callers: Vec<Caller>,
    pub(super) sources: Vec<Source>,
    pub(super) buckets: Vec<BucketUse>,
    pub(super) events: Vec<EventUse>,
}

/// Reads the rows that are tied to a key.
pub(super) fn read(ties: &Ties<'_>, index: &PrincipalIndex, intel: &Intel, whose: &str) -> Calls {
    Calls {
        callers: callers(ties, index, whose),
        sources: sources(&ties.rows, index, intel),
        buckets: buckets(&ties.rows, index),
        events: events(&ties.rows, index),
    }
}

/// Sums over rows.
#[derive(Default, Clone)]
struct Sum {
    requests: u64,
    errors: u64,
    sent: u128,
    received: u128,
    span: Option<(Seconds, Seconds)>,
}

impl Sum {
    fn add(&mut self, row: &TrailRow) {
        *(if row.error == 0 {
            &mut self.requests
        } else {
            &mut self.errors
        }) += row.requests;
        self.sent += row.bytes_in;
        self.received += row.bytes_out;
        let (first, last) = self.span.unwrap_or((row.first, row.last));
        self.span = Some((first.min(row.first), last.max(row.last)));
    }

    fn first(&self) -> When {
        When(self.span.map_or(0, |s| s.0))
    }

    fn last(&self) -> When {
        When(self.span.map_or(0, |s| s.1))
    }
}

fn callers(ties: &Ties<'_>, index: &PrincipalIndex, whose: &str) -> Vec<Caller> {
    let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
    for row in &ties.rows {
        sums.entry(row.principal).or_default().add(row);
    }
    let of = |(n, sum): (u32, Sum)| {
        let p = index.principals.get(n as usize)?;
        let tie = ties.why.get(&n).cloned();
        let (class, why) = tie.unwrap_or_else(|| (Tie::Exact, whose.to_owned()));
        Some(Caller {
            arn: p.arn.clone(),
            access_key: Some(p.access_key.clone()).filter(|k| !k.is_empty()),
            kind: p.kind.as_str(),
            instance: p.instance.clone(),
            class,
            why,
            requests: sum.requests,
            errors: sum.errors,
            first: sum.first(),
            last: sum.last(),
            sent: Exact(sum.sent),
            received: Exact(sum.received),
        })
    };
    let mut all: Vec<Caller> = sums.into_iter().filter_map(of).collect();
    all.sort_by(|a, b| {
        let busier = (b.received.0 + b.sent.0, b.requests).cmp(&(a.received.0 + a.sent.0, a.requests));
        let name = |c: &Caller| (c.arn.clone(), c.access_key.clone());
        a.class.cmp(&b.class).then(busier).then_with(|| name(a).cmp(&name(b)))
    });
    all
}

/// By requests.
fn sources(rows: &[&TrailRow], index: &PrincipalIndex, intel: &Intel) -> Vec<Source> {
    let mut sums: BTreeMap<u32, (Sum, BTreeSet<u32>, u32)> = BTreeMap::new();
    for row in rows {
        let (sum, principals, endpoint) = sums.entry(row.source).or_default();
        sum.add(row);
        principals.insert(row.principal);
        *endpoint = (*endpoint).max(row.endpoint);
    }
    let of = |(source, (sum, principals, endpoint)): (u32, (Sum, BTreeSet<u32>, u32))| {
        let addr = index.addr(source);
        Source {
            source: index.text(source).to_owned(),
            country: addr.and_then(|a| intel.country(a)),
            labels: addr
                .map(|a| intel.labels(a))
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            endpoint: Some(index.text(endpoint)).filter(|e| !e.is_empty()).map(str::to_owned),
            principals: principals.len() as u64,
            requests: sum.requests + sum.errors,
            received: Exact(sum.received),
            first: sum.first(),
            last: sum.last(),
        }
    };
    let mut all: Vec<Source> = sums.into_iter().map(of).collect();
    all.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.source.cmp(&b.source)));
    all
}

fn buckets(rows: &[&TrailRow], index: &PrincipalIndex) -> Vec<BucketUse> {
    #[derive(Default)]
    struct Use {
        sum: Sum,
        owner: u32,
        objects: Distinct,
        examples: BTreeSet<String>,
    }
    let mut sums: BTreeMap<u32, Use> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.bucket != 0) {
        let of = sums.entry(row.bucket).or_default();
        of.sum.add(row);
        of.owner = of.owner.max(row.owner);
        if row.error == 0 {
            of.objects.merge(&row.objects);
            of.examples.extend(row.examples.iter().map(ToString::to_string));
        }
    }
    let of = |(name, of): (u32, Use)| {
        let objects = of.objects.count();
        BucketUse {
            name: index.text(name).to_owned(),
            owner: Some(index.text(of.owner)).filter(|o| !o.is_empty()).map(str::to_owned),
            requests: of.sum.requests,
            errors: of.sum.errors,
            objects: objects.number,
            objects_exact: objects.exact,
            examples: of.examples.into_iter().take(EXAMPLES).collect(),
            sent: Exact(of.sum.sent),
            received: Exact(of.sum.received),
        }
    };
    let mut all: Vec<BucketUse> = sums.into_iter().map(of).collect();
    all.sort_by(|a, b| {
        let busier = (b.received.0 + b.sent.0, b.requests).cmp(&(a.received.0 + a.sent.0, a.requests));
        busier.then_with(|| a.name.cmp(&b.name))
    });
    all
}

fn events(rows: &[&TrailRow], index: &PrincipalIndex) -> Vec<EventUse> {
    let mut sums: BTreeMap<(u32, u32, u32), u64> = BTreeMap::new();
    for row in rows {
        *sums.entry((row.service, row.event, row.error)).or_default() += row.requests;
    }
    let mut all: Vec<_> = sums.into_iter().collect();
    all.sort_by_key(|(key, requests)| (std::cmp::Reverse(*requests), *key));
    let of = |((service, event, error), requests)| EventUse {
        service: index.text(service).to_owned(),
        event: index.text(event).to_owned(),
        error: Some(index.text(error)).filter(|e| !e.is_empty()).map(str::to_owned),
        requests,
    };
    all.into_iter().map(of).collect()
}

/// Other addresses of the keys and sessions of these rows. Services and nobody in particular are everywhere: left out.
pub(super) fn other_addresses(rows: &[&TrailRow], index: &PrincipalIndex, intel: &Intel) -> Vec<Source> {
    let named = |n: &u32| {
        index.principals.get(*n as usize).is_some_and(|p| {
            !matches!(
                p.kind,
                IdentityKind::AwsService | IdentityKind::Anonymous | IdentityKind::Unknown
            )
        })
    };
    let who: BTreeSet<u32> = rows.iter().map(|r| r.principal).filter(named).collect();
    let known: BTreeSet<u32> = rows.iter().map(|r| r.source).collect();
    let others = index
        .rows
        .iter()
        .filter(|r| who.contains(&r.principal) && !known.contains(&r.source) && r.source != 0);
    sources(&others.collect::<Vec<_>>(), index, intel)
}
