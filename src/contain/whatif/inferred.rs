//! Bytes to S3 that no event explains: which of them can no own bucket have taken?
//!
//! An own bucket whose data events are recorded leaves an event of every upload. Where all that are known have theirs recorded,
//! bytes without an event went to a bucket of somebody else's. Where some have not, log shipping to these looks the same: then
//! only hours count that stand out by the measure of `unaccounted-s3`, less the most that the interface left open before. The
//! policy must concern the interface (its calls come through an endpoint) and refuse every bucket of others; else, and on
//! days without any data event or beyond the trail's first and last hour, they are unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::elsewhere::refused;
use super::judge::Request;
use super::policy::Policy;
use super::replay::{Archive, Sheet, Sums};
use super::{Scope, Verdict};
use crate::aggregate::Interface;
use crate::attribute::{Bounds, Reconciliation, Way};
use crate::coverage::Selectors;
use crate::detect::unaccounted_s3::{Parameters, standing_out};
use crate::net::{Addr, HOUR, Seconds};
use crate::trail::Access;

const DAY: Seconds = 24 * HOUR;

/// What no request shows, and both logs together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inferred {
    /// Flow bytes that would have been stopped: at least, at most.
    pub bytes: Bounds,
    /// The least of those that belong to no incident.
    pub broken: u128,
    /// True if event selectors are known; nothing is inferred without.
    pub selectors: bool,
    /// Own buckets whose writes no selector records, sorted.
    pub blind: Vec<String>,
}

/// Flow bytes to S3 beyond what events explain, each hour of each interface judged.
pub(super) fn unexplained(policy: &Policy, archive: &Archive<'_>, sheet: &mut Sheet<'_>) {
    let books = Reconciliation::new(archive.table, archive.index, archive.inventory, archive.passing);
    if !books.observable {
        return;
    }
    let ground = Ground::of(policy, archive, &books);
    let mut all = Inferred {
        selectors: ground.selectors,
        blind: ground.blind.clone(),
        ..Inferred::default()
    };
    let mut total = 0u128;
    for (n, interface) in (0u32..).zip(&archive.table.interfaces) {
        let closed = ground.closed(interface);
        for (hour, open) in books.unaccounted(n) {
            total = total.saturating_add(open);
            let of = |s: &super::Suspect| s.meets(hour) && s.interface.as_deref() == Some(&interface.id);
            let incident = sheet.suspects.iter().position(of);
            let taken = if closed {
                ground.taken(n, hour, open)
            } else {
                Bounds::default()
            };
            if taken.low > 0 {
                all.add(taken, incident.is_none());
                sheet.infer(&interface.id, incident, taken, hour);
            }
            leave(sheet, interface, open.saturating_sub(taken.low), (hour, incident));
        }
    }
    sheet.answer.unexplained = Some(total);
    sheet.answer.inferred = Some(all);
}

impl Inferred {
    fn add(&mut self, taken: Bounds, outside: bool) {
        self.bytes.low = self.bytes.low.saturating_add(taken.low);
        self.bytes.high = self.bytes.high.saturating_add(taken.high);
        if outside {
            self.broken = self.broken.saturating_add(taken.low);
        }
    }
}

/// What is left stays unknown.
fn leave(sheet: &mut Sheet<'_>, interface: &Interface, bytes: u128, (hour, incident): (Seconds, Option<usize>)) {
    if bytes == 0 {
        return;
    }
    let about = "bucket not shown by any event".to_owned();
    let key = (Verdict::Unknown, interface.id.clone(), "S3".to_owned(), about, incident);
    sheet.put(key, Sums { count: 0, bytes }, hour);
}

/// What the verdicts stand on.
struct Ground<'a> {
    policy: &'a Policy,
    archive: &'a Archive<'a>,
    books: &'a Reconciliation,
    selectors: bool,
    accounts: BTreeSet<String>,
    own: BTreeSet<String>,
    blind: Vec<String>,
    /// Endpoints through which each address called S3.
    through: BTreeMap<Addr, BTreeSet<&'a str>>,
    /// First and last hour of the trail.
    span: (Seconds, Seconds),
    /// Days with a data event.
    heard: BTreeSet<Seconds>,
    /// Hours that stand out, with the most of any hour before.
    loud: BTreeMap<u32, BTreeMap<Seconds, u128>>,
}

impl<'a> Ground<'a> {
    fn of(policy: &'a Policy, archive: &'a Archive<'a>, books: &'a Reconciliation) -> Self {
        let index = archive.index;
        let selectors = Selectors::of(archive.inventory);
        let accounts: BTreeSet<String> = index
            .accounts
            .iter()
            .chain(&archive.inventory.accounts)
            .cloned()
            .collect();
        let own = own_buckets(archive, &selectors, &accounts);
        let recorded = |b: &&String| Some(selectors.scope(b)).is_some_and(|s| s.write && !s.part);
        let blind = own.iter().filter(|b| !recorded(b)).cloned().collect();
        let hours = index.rows.iter().map(|r| r.hour);
        let data = index.rows.iter().filter(|r| r.access != Access::Management);
        Ground {
            policy,
            archive,
            books,
            selectors: !selectors.is_empty(),
            accounts,
            blind,
            own,
            through: through(archive),
            span: (hours.clone().min().unwrap_or(0), hours.max().unwrap_or(0)),
            heard: data.map(|r| r.hour / DAY).collect(),
            loud: standing_out(books, &Parameters::default()),
        }
    }

    /// True if the interface's calls come through an endpoint, where the policy would have refused every bucket of others.
    fn closed(&self, interface: &Interface) -> bool {
        let known = self.archive.inventory.interface(&interface.id);
        let vpc = interface.vpc.as_deref().or(known.and_then(|k| k.vpc.as_deref()));
        let here = |e: &str| {
            let at = self.archive.inventory.endpoint(e).and_then(|e| e.vpc.as_deref());
            vpc.zip(at).is_none_or(|(own, at)| own == at)
        };
        let called = interface
            .addresses
            .iter()
            .filter_map(|a| Some((*a, self.through.get(a)?)));
        let ways: Vec<(Addr, &str)> = called
            .flat_map(|(a, set)| set.iter().filter(|e| here(e)).map(move |e| (a, *e)))
            .collect();
        let closes = self.policy.scope == Scope::Endpoint && !ways.is_empty();
        closes && ways.iter().all(|(a, e)| self.refused(*a, e, vpc))
    }

    fn refused(&self, from: Addr, endpoint: &str, vpc: Option<&str>) -> bool {
        let upload = Request {
            action: "s3:PutObject".to_owned(),
            on_objects: true,
            endpoint: Some(endpoint),
            vpc,
            address: Some(from.ip()),
            ..Request::default()
        };
        refused(self.policy, &upload, &self.accounts, &self.own)
    }

    /// How many of an hour's open bytes no own bucket can have taken.
    fn taken(&self, n: u32, hour: Seconds, open: u128) -> Bounds {
        let usual = match self.loud.get(&n).and_then(|h| h.get(&hour)) {
            _ if self.blind.is_empty() => Some(0),
            most => most.copied(),
        };
        let balance = self.books.balances.get(&n).and_then(|h| h.get(&hour));
        let (Some(usual), Some(balance)) = (usual, balance) else {
            return Bounds::default();
        };
        let covered = (self.span.0..=self.span.1).contains(&hour) && self.heard.contains(&(hour / DAY));
        if !self.selectors || !covered {
            return Bounds::default();
        }
        let low = open.saturating_sub(usual);
        let high = balance.sent.saturating_sub(balance.bounds(Way::Sent).low);
        Bounds {
            low,
            high: high.max(low),
        }
    }
}

/// Buckets that selectors name, and those that answered a call and are not known for somebody else's.
fn own_buckets(archive: &Archive<'_>, selectors: &Selectors, accounts: &BTreeSet<String>) -> BTreeSet<String> {
    let index = archive.index;
    let ours = |owner: &str| owner.is_empty() || accounts.contains(owner);
    let answered = index.rows.iter().filter(|r| r.bucket != 0 && r.error == 0);
    let met: BTreeSet<&str> = answered.clone().map(|r| index.text(r.bucket)).collect();
    let foreign: BTreeSet<&str> = answered
        .filter(|r| !ours(index.text(r.owner)))
        .map(|r| index.text(r.bucket))
        .collect();
    let own = met.difference(&foreign).map(|b| (*b).to_owned());
    own.chain(selectors.buckets()).filter(|b| !b.is_empty()).collect()
}

fn through<'a>(archive: &Archive<'a>) -> BTreeMap<Addr, BTreeSet<&'a str>> {
    let index = archive.index;
    let mut out: BTreeMap<Addr, BTreeSet<&str>> = BTreeMap::new();
    for row in index
        .rows
        .iter()
        .filter(|r| r.endpoint != 0 && index.text(r.service).starts_with("s3"))
    {
        if let Some(addr) = index.addr(row.source) {
            out.entry(addr).or_default().insert(index.text(row.endpoint));
        }
    }
    out
}
