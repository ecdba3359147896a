//! The finished index of a trail: who did what from where, sorted by time, the same for any order of files.
//!
//! [`TrailRow`] is one cell: principal × source address × endpoint × bucket × event × outcome × hour, with requests,
//! bytes, distinct objects, first and last. Names are numbers into one sorted dictionary ([`PrincipalIndex::text`]);
//! number 0 is the empty text and means "absent".

use std::collections::BTreeMap;

use super::archive::TrailArchive;
use super::distinct::Distinct;
use super::event::TrailEvent;
use super::identity::{IdentityKind, UserIdentity, is_instance_id, session_of_arn};
use crate::net::{Addr, Seconds, TimeWindow};

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
    /// One of the user agents: the first in text order.
    pub agent: u32,
}

/// Credentials that a call handed out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssuedSession {
    /// When.
    pub time: Seconds,
    /// ARN of the session (from the answer, else built from role and session name); empty for plain keys.
    pub arn: String,
    /// Access key id of the new credentials; empty if the answer does not tell.
    pub access_key: String,
    /// Session name.
    pub session: String,
    /// ARN of the role.
    pub role: String,
    /// The call: `AssumeRole`, `AssumeRoleWithWebIdentity`, `GetSessionToken`, `CreateAccessKey`, …
    pub call: String,
    /// Service that asked for them, such as `ec2.amazonaws.com` for an instance.
    pub invoked_by: String,
    /// `sourceIPAddress` of the call.
    pub source: String,
    /// Who asked: index into [`PrincipalIndex::principals`].
    pub by: u32,
}

impl IssuedSession {
    /// The instance that the session is named after.
    pub fn instance(&self) -> Option<&str> {
        Some(self.session.as_str()).filter(|s| is_instance_id(s))
    }

    pub(super) fn of(e: &TrailEvent<'_>, by: u32) -> Option<Self> {
        let issued = e.issued.as_ref()?;
        let text = |t: &Option<std::borrow::Cow<'_, str>>| t.as_deref().unwrap_or_default().to_owned();
        let (role, arn) = (text(&issued.role), text(&issued.arn));
        let session = issued
            .session
            .as_deref()
            .or_else(|| session_of_arn(&arn))
            .unwrap_or_default()
            .to_owned();
        let arn = if arn.is_empty() {
            session_arn(&role, &session)
        } else {
            arn
        };
        Some(IssuedSession {
            time: e.time,
            access_key: text(&issued.access_key),
            call: e.name.to_string(),
            invoked_by: text(&e.identity.invoked_by),
            source: text(&e.source_ip),
            arn,
            session,
            role,
            by,
        })
    }
}

/// `arn:aws:iam::A:role/path/R` and a session name → `arn:aws:sts::A:assumed-role/R/session`.
fn session_arn(role: &str, session: &str) -> String {
    let Some((head, path)) = role.split_once(":role/").filter(|_| !session.is_empty()) else {
        return String::new();
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("{}:assumed-role/{name}/{session}", head.replacen(":iam:", ":sts:", 1))
}

/// An event kept whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notable {
    /// When.
    pub time: Seconds,
    /// `eventName`.
    pub event: String,
    /// `eventSource`.
    pub service: String,
    /// `awsRegion`.
    pub region: String,
    /// `sourceIPAddress`.
    pub source: String,
    /// `errorCode`, if it failed.
    pub error: Option<String>,
    /// Bucket, if the request names one.
    pub bucket: Option<String>,
    /// `requestParameters` as JSON, cut off beyond 16 KiB (then it is no JSON any more).
    pub request: String,
    /// Index into [`PrincipalIndex::principals`].
    pub principal: u32,
}

/// Longest request kept.
const LONGEST_REQUEST: usize = 16 << 10;

impl Notable {
    pub(super) fn of(e: &TrailEvent<'_>, principal: u32) -> Self {
        let request = e.request_parameters().map_or("", |r| r.get());
        let end = (0..=LONGEST_REQUEST.min(request.len()))
            .rev()
            .find(|n| request.is_char_boundary(*n))
            .unwrap_or(0);
        Notable {
            time: e.time,
            event: e.name.to_string(),
            service: e.source.to_string(),
            region: e.region.as_deref().unwrap_or_default().to_owned(),
            source: e.source_ip.as_deref().unwrap_or_default().to_owned(),
            error: e.error.as_deref().map(str::to_owned),
            bucket: e.bucket.as_deref().map(str::to_owned),
            request: request.get(..end).unwrap_or_default().to_owned(),
            principal,
        }
    }
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
        let rows = std::mem::take(&mut archive.rows);
        let mut rows: Vec<TrailRow> = rows
            .into_iter()
            .filter(|(_, c)| c.requests > 0)
            .map(|(k, mut c)| {
                c.objects.settle();
                TrailRow {
                    hour: k.hour,
                    principal: who(k.principal),
                    source: name(k.source),
                    endpoint: name(k.endpoint),
                    endpoint_owner: name(k.endpoint_owner),
                    bucket: name(k.bucket),
                    owner: name(k.owner),
                    service: name(k.service),
                    event: name(k.event),
                    error: name(k.error),
                    copied_from: name(k.copied_from),
                    region: name(k.region),
                    recipient: name(k.recipient),
                    access: k.access,
                    requests: c.requests,
                    bytes_in: c.bytes_in,
                    bytes_out: c.bytes_out,
                    first: c.first,
                    last: c.last,
                    objects: c.objects,
                    agent: name(c.agent),
                }
            })
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
