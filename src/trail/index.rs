//! The finished index of a trail: who did what from where, sorted by time, the same for any order of files.
//!
//! [`TrailRow`] is one cell: principal × source address × endpoint × bucket × event × outcome × hour, with requests,
//! bytes, distinct objects, first and last. Names are numbers into one sorted dictionary ([`PrincipalIndex::text`]);
//! number 0 is the empty text and means "absent".

use std::collections::BTreeMap;

use super::archive::TrailArchive;
use super::distinct::Distinct;
use super::identity::{IdentityKind, UserIdentity};
use super::issued::IssuedSession;
use super::notable::Notable;
use super::row::{Cell, RowKey};
use crate::net::{Addr, Seconds, TimeWindow};

/// How many object keys a row keeps as examples.
pub const EXAMPLES: usize = 3;

/// Everything kept of a trail.
#[derive(Debug, Default)]
pub struct PrincipalIndex {
    /// Principals, sorted; [`TrailRow::principal`] is an index into it.
    pub principals: Vec<Principal>,
    /// The rows, sorted by hour, then principal, source, bucket, event and the rest.
    pub rows: Vec<TrailRow>,
    /// Credentials handed out, sorted by time.
    pub issued: Vec<IssuedSession>,
    /// Events kept whole, sorted by time.
    pub notable: Vec<Notable>,
    /// Accounts in whose trails the events stand, sorted: the organisation's own.
    pub accounts: Vec<String>,
    /// Events that were copies of others, and added nothing.
    pub duplicates: u64,
    /// Events older than what was remembered: some may be copies.
    pub beyond_window: u64,
    texts: Vec<String>,
    addrs: BTreeMap<u32, Addr>,
}

/// One caller with one access key.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// ARN of the session, user or root; without one the principal id, service or account.
    pub arn: String,
    /// Access key id; empty if unknown.
    pub access_key: String,
    /// `userIdentity.type`.
    pub kind: IdentityKind,
    /// Account of the caller.
    pub account: Option<String>,
    /// ARN of the role (or user) behind a session.
    pub issuer: Option<String>,
    /// Session name.
    pub session: Option<String>,
    /// The instance that the session is named after.
    pub instance: Option<String>,
    /// Service on whose behalf, or by which, the call was made.
    pub invoked_by: Option<String>,
    /// `1.0` or `2.0`: the metadata service version that delivered instance credentials.
    pub role_delivery: Option<String>,
    /// Function or task that the credentials were issued to.
    pub issued_to: Option<String>,
}

/// What kind of access a row counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Control plane.
    #[default]
    Management,
    /// Objects, signed in the header.
    Data,
    /// Signed in the query string: a presigned URL.
    Presigned,
    /// A network activity event, seen at a VPC endpoint.
    Network,
}

impl Access {
    /// The kind of that number.
    pub(super) fn of_number(n: u64) -> Option<Self> {
        let all = [Access::Management, Access::Data, Access::Presigned, Access::Network];
        all.into_iter().find(|kind| *kind as u64 == n)
    }
}

/// One cell of the index.
#[derive(Debug, Clone)]
pub struct TrailRow {
    /// Start of the hour.
    pub hour: Seconds,
    /// Index into [`PrincipalIndex::principals`].
    pub principal: u32,
    /// `sourceIPAddress`, as text; see also [`PrincipalIndex::addr`].
    pub source: u32,
    /// VPC endpoint.
    pub endpoint: u32,
    /// Account that owns the endpoint.
    pub endpoint_owner: u32,
    /// Bucket of the request.
    pub bucket: u32,
    /// Account that owns the bucket.
    pub owner: u32,
    /// `eventSource`.
    pub service: u32,
    /// `eventName`.
    pub event: u32,
    /// `errorCode`; 0 if the requests succeeded.
    pub error: u32,
    /// Bucket that a server-side copy read from.
    pub copied_from: u32,
    /// Region.
    pub region: u32,
    /// Account in whose trail the events stand.
    pub recipient: u32,
    /// Kind of access.
    pub access: Access,
    /// Requests.
    pub requests: u64,
    /// Bytes that callers sent.
    pub bytes_in: u128,
    /// Bytes that callers received.
    pub bytes_out: u128,
    /// First request.
    pub first: Seconds,
    /// Last request.
    pub last: Seconds,
    /// Distinct objects.
    pub objects: Distinct,
    /// Keys of some of them: the first in text order, at most [`EXAMPLES`].
    pub examples: Vec<Box<str>>,
    /// One of the user agents: the first in text order.
    pub agent: u32,
}

impl Principal {
    pub(super) fn of(i: &UserIdentity<'_>) -> Self {
        let own = |t: &Option<std::borrow::Cow<'_, str>>| t.as_deref().map(str::to_owned);
        Principal {
            arn: i.name().to_owned(),
            access_key: own(&i.access_key).unwrap_or_default(),
            kind: i.kind,
            account: own(&i.account),
            issuer: own(&i.issuer),
            session: i.session_name().map(str::to_owned),
            instance: i.instance().map(str::to_owned),
            invoked_by: own(&i.invoked_by),
            role_delivery: own(&i.role_delivery),
            issued_to: own(&i.issued_to),
        }
    }
}

impl PrincipalIndex {
    /// The text of a name in a row.
    pub fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("", |t| t)
    }

    /// The number of a text, if it occurs.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.texts
            .binary_search_by(|t| t.as_str().cmp(text))
            .ok()
            .map(|n| n as u32)
    }

    /// The address of a row's source, if it is one.
    pub fn addr(&self, source: u32) -> Option<Addr> {
        self.addrs.get(&source).copied()
    }

    /// The principal of a row.
    pub fn principal(&self, row: &TrailRow) -> Option<&Principal> {
        self.principals.get(row.principal as usize)
    }

    /// The rows whose hour overlaps `window`.
    pub fn rows_within(&self, window: TimeWindow) -> &[TrailRow] {
        let from = self
            .rows
            .partition_point(|r| r.hour.saturating_add(crate::net::HOUR) <= window.from);
        let to = self.rows.partition_point(|r| r.hour < window.to);
        self.rows.get(from..to).unwrap_or_default()
    }

    /// The span of all requests.
    pub fn span(&self) -> Option<TimeWindow> {
        let from = self.rows.iter().map(|r| r.first).min()?;
        let to = self.rows.iter().map(|r| r.last).max()?;
        Some(TimeWindow {
            from,
            to: to.saturating_add(1),
        })
    }

    pub(super) fn build(mut archive: TrailArchive) -> Self {
        let (texts, names) = sorted_texts(&archive);
        let order = sorted_order(&archive.principals);
        let new_principal = inverse(&order);
        let name = |id: u32| names.get(id as usize).copied().unwrap_or(0);
        let who = |id: u32| new_principal.get(id as usize).copied().unwrap_or(0);
        let rows = std::mem::take(&mut archive.rows)
            .into_iter()
            .filter(|(_, cell)| cell.requests > 0);
        let mut rows: Vec<TrailRow> = rows
            .map(|(key, cell)| TrailRow::new(key.renamed(name, who(key.principal)), cell, name))
            .collect();
        rows.sort_by_key(TrailRow::key);
        let mut index = PrincipalIndex {
            principals: order
                .iter()
                .filter_map(|n| archive.principals.get(*n as usize).cloned())
                .collect(),
            duplicates: archive.duplicates(),
            beyond_window: archive.beyond_window(),
            issued: archive
                .issued
                .into_values()
                .map(|s| IssuedSession { by: who(s.by), ..s })
                .collect(),
            notable: archive
                .notable
                .into_values()
                .map(|n| Notable {
                    principal: who(n.principal),
                    ..n
                })
                .collect(),
            accounts: archive.accounts.into_iter().collect(),
            addrs: addresses(&rows, &texts),
            rows,
            texts,
        };
        index.issued.sort();
        index.notable.sort();
        index
    }
}

impl TrailRow {
    fn new(k: RowKey, mut c: Cell, name: impl Fn(u32) -> u32) -> Self {
        c.objects.settle();
        TrailRow {
            hour: k.hour,
            principal: k.principal,
            source: k.source,
            endpoint: k.endpoint,
            endpoint_owner: k.endpoint_owner,
            bucket: k.bucket,
            owner: k.owner,
            service: k.service,
            event: k.event,
            error: k.error,
            copied_from: k.copied_from,
            region: k.region,
            recipient: k.recipient,
            access: k.access,
            requests: c.requests,
            bytes_in: c.bytes_in,
            bytes_out: c.bytes_out,
            first: c.first,
            last: c.last,
            objects: c.objects,
            examples: c.examples,
            agent: name(c.agent),
        }
    }

    /// What makes a row: no two rows of an index have the same.
    fn key(&self) -> impl Ord + use<> {
        let place = (
            self.source,
            self.endpoint,
            self.endpoint_owner,
            self.bucket,
            self.owner,
            self.service,
            self.event,
        );
        (
            self.hour,
            self.principal,
            place,
            (self.error, self.copied_from, self.region, self.recipient, self.access),
        )
    }
}

/// The texts in order, and the new number of each old one.
fn sorted_texts(archive: &TrailArchive) -> (Vec<String>, Vec<u32>) {
    let texts: Vec<&str> = archive.names.texts().collect();
    let order = sorted_order(&texts);
    let sorted = order
        .iter()
        .filter_map(|n| texts.get(*n as usize).map(|t| (*t).to_owned()))
        .collect();
    (sorted, inverse(&order))
}

/// The numbers of items in the order of their values.
fn sorted_order<T: Ord>(items: &[T]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..items.len() as u32).collect();
    order.sort_by(|a, b| items.get(*a as usize).cmp(&items.get(*b as usize)));
    order
}

/// Old number → new number.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut out = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        if let Some(slot) = out.get_mut(*old as usize) {
            *slot = new as u32;
        }
    }
    out
}

fn addresses(rows: &[TrailRow], texts: &[String]) -> BTreeMap<u32, Addr> {
    let mut sources: Vec<u32> = rows.iter().map(|r| r.source).collect();
    sources.sort_unstable();
    sources.dedup();
    let parse = |id: u32| Some((id, texts.get(id as usize)?.parse().ok()?));
    sources.into_iter().filter_map(parse).collect()
}
