//! What is kept of the events: sums per principal, source, bucket, event and hour, and the few events worth keeping whole.
//!
//! Each worker fills a [`TrailArchive`] of its own; merging is commutative and associative, also about copies: every
//! event leaves a mark (its id, what it added and where), so that an event met by two workers is taken out again once.
//! Of copies that differ in their time the earliest counts, whoever met it. Marks of hours long past are dropped
//! ([`TrailArchive::forget`]), which keeps memory flat over any number of files.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use super::event::{Category, TrailEvent};
use super::grain::TrailGrain;
use super::index::{Access, Principal, PrincipalIndex};
use super::issued::IssuedSession;
use super::learn;
use super::names::Names;
use super::notable::{Notable, is_notable};
use super::row::{Cell, Mark, RowKey};
use crate::inventory::Graph;
use crate::net::{HOUR, Seconds};

/// The mergeable state of reading a trail.
#[derive(Debug, Default)]
pub struct TrailArchive {
    grain: TrailGrain,
    pub(super) names: Names,
    pub(super) principal_ids: HashMap<u128, u32>,
    pub(super) principals: Vec<Principal>,
    row_ids: HashMap<RowKey, u32>,
    pub(super) rows: Vec<(RowKey, Cell)>,
    /// Marks of the events that are remembered.
    pub(super) seen: HashMap<u128, Mark>,
    pub(super) newest: Seconds,
    pub(super) issued: BTreeMap<u128, IssuedSession>,
    pub(super) notable: BTreeMap<(Seconds, u128), Notable>,
    graph: Graph,
    pub(super) accounts: BTreeSet<String>,
    pub(super) duplicates: u64,
    pub(super) forgotten: Seconds,
    pub(super) beyond: u64,
    buffer: Vec<u8>,
}

impl TrailArchive {
    /// An archive that counts no finer than asked. Only archives of one grain can be merged.
    pub fn of_grain(grain: TrailGrain) -> Self {
        TrailArchive {
            grain,
            ..TrailArchive::default()
        }
    }

    /// An empty one that continues this: it knows what has been forgotten, so that it can say so of late copies.
    #[must_use]
    pub fn next(&self) -> Self {
        TrailArchive {
            forgotten: self.forgotten,
            ..TrailArchive::of_grain(self.grain)
        }
    }

    /// Takes in one event. A copy of one that is still remembered is counted as such and adds nothing.
    pub fn observe(&mut self, event: &TrailEvent<'_>) {
        let id = self.identity_of(event);
        self.beyond += u64::from(event.time < self.forgotten);
        self.newest = self.newest.max(event.time);
        let row = self.touch(event);
        let (bytes_in, bytes_out) = (event.bytes_in.unwrap_or(0), event.bytes_out.unwrap_or(0));
        self.count(
            id,
            Mark {
                bytes_in,
                bytes_out,
                time: event.time,
                row,
            },
        );
        if self.grain.whole {
            self.keep_whole(event, id);
            learn::facts(event, &mut self.graph);
        }
    }

    /// Takes over everything that another archive holds.
    pub fn merge(&mut self, mut other: TrailArchive) {
        self.duplicates += other.duplicates;
        self.beyond += other.beyond;
        self.forgotten = self.forgotten.max(other.forgotten);
        self.newest = self.newest.max(other.newest);
        self.graph.merge(std::mem::take(&mut other.graph));
        self.accounts.append(&mut other.accounts);
        let names: Vec<u32> = other.names.texts().map(|t| self.names.id(t)).collect();
        let principals = self.adopt_principals(&mut other);
        let rows = self.adopt_rows(&mut other, &names, &principals);
        self.adopt_marks(other.seen, &rows);
        let new_id = |id: &mut u32| *id = *principals.get(*id as usize).unwrap_or(&0);
        for (key, mut session) in other.issued {
            new_id(&mut session.by);
            self.keep_issued(key, session);
        }
        for (key, mut event) in other.notable {
            new_id(&mut event.principal);
            self.notable.entry(key).or_insert(event);
        }
    }

    /// Forgets the marks of events more than `window` seconds older than the newest. Copies of those can no longer be
    /// told; events that arrive later with such a time are counted in [`TrailArchive::beyond_window`].
    ///
    /// To get the same result whatever the number of threads, call it at places that do not depend on them.
    pub fn forget(&mut self, window: Seconds) {
        let from = self.newest.saturating_sub(window);
        if from > self.forgotten {
            self.seen.retain(|_, mark| mark.time >= from);
            self.forgotten = from;
        }
    }

    /// How many events were copies of others.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How many events were older than what is remembered, so that some may be copies.
    pub fn beyond_window(&self) -> u64 {
        self.beyond
    }

    /// What the trail teaches about interfaces, instances and addresses.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) fn graph_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// The finished index: sorted, the same for any order of files.
    pub fn finish(self) -> PrincipalIndex {
        PrincipalIndex::build(self)
    }

    /// What tells an event from others: where its id is a real one, the id, the account, and all that is counted of it
    /// but the time (so that nothing hides behind the id of another event); else the whole record.
    fn identity_of(&mut self, e: &TrailEvent<'_>) -> u128 {
        let Some(id) = e.id.as_deref().filter(|id| is_uuid(id)) else {
            return xxh3_128(e.raw.as_bytes());
        };
        let texts = [
            Some(id),
            e.recipient.as_deref(),
            Some(&*e.source),
            Some(&*e.name),
            e.identity.arn.as_deref(),
            e.identity.access_key.as_deref(),
            e.source_ip.as_deref(),
            e.error.as_deref(),
            e.bucket.as_deref(),
            e.key.as_deref(),
        ];
        self.buffer.clear();
        texts.iter().for_each(|t| push(&mut self.buffer, *t));
        self.buffer.extend_from_slice(&e.bytes_in.unwrap_or(0).to_le_bytes());
        self.buffer.extend_from_slice(&e.bytes_out.unwrap_or(0).to_le_bytes());
        xxh3_128(&self.buffer)
    }

    /// The row of an event; what does not add up (first, last, objects) is taken in, from copies too: it is the same.
    fn touch(&mut self, e: &TrailEvent<'_>) -> u32 {
        let key = self.key(e, e.time - e.time % HOUR);
        let row = self.row(key);
        let agent = e.user_agent.as_deref().filter(|_| self.grain.whole);
        let agent = self.names.id_in(0, agent.unwrap_or_default());
        let object = e.bucket.as_deref().zip(e.key.as_deref().filter(|k| !k.is_empty()));
        self.buffer.clear();
        if let Some((bucket, key)) = object {
            push(&mut self.buffer, Some(bucket));
            self.buffer.extend_from_slice(key.as_bytes());
        }
        if let Some((_, cell)) = self.rows.get_mut(row as usize) {
            cell.first = cell.first.min(e.time);
            cell.last = cell.last.max(e.time);
            cell.agent = self.names.first(cell.agent, agent);
            if let Some((_, key)) = object {
                cell.objects.add(&self.buffer);
                if self.grain.whole {
                    cell.exemplify(key);
                }
            }
        }
        row
    }

    /// Counts an event, or finds that it is a copy; of two copies the earlier one stays.
    fn count(&mut self, id: u128, mark: Mark) {
        let loser = match self.seen.get_mut(&id) {
            Some(known) if known.time <= mark.time => None,
            Some(known) => Some(std::mem::replace(known, mark)),
            None => {
                self.seen.insert(id, mark);
                return self.change(mark.row, |cell| cell.put_in(&mark));
            }
        };
        self.duplicates += 1;
        if let Some(loser) = loser {
            self.change(mark.row, |cell| cell.put_in(&mark));
            self.change(loser.row, |cell| cell.take_out(&loser));
        }
    }

    fn change(&mut self, row: u32, how: impl FnOnce(&mut Cell)) {
        if let Some((_, cell)) = self.rows.get_mut(row as usize) {
            how(cell);
        }
    }

    fn key(&mut self, e: &TrailEvent<'_>, hour: Seconds) -> RowKey {
        let principal = self.principal(e);
        if let Some(account) = e.recipient.as_deref().filter(|a| !self.accounts.contains(*a)) {
            self.accounts.insert(account.to_owned());
        }
        let (grain, names) = (self.grain, &mut self.names);
        let mut column = 0;
        let mut id = |kept: bool, text: Option<&str>| {
            column += 1;
            names.id_in(column, text.filter(|_| kept).unwrap_or_default())
        };
        RowKey {
            hour: if grain.hour { hour } else { 0 },
            principal,
            source: id(grain.source, e.source_ip.as_deref()),
            endpoint: id(grain.endpoint, e.endpoint.as_deref()),
            endpoint_owner: id(grain.whole, e.endpoint_account.as_deref()),
            bucket: id(grain.bucket, e.bucket.as_deref()),
            owner: id(grain.owner, e.bucket_owner()),
            service: id(grain.service, Some(&e.source)),
            event: id(grain.event, Some(&e.name)),
            error: id(true, e.error.as_deref()),
            copied_from: id(grain.copied_from, e.copied_from().map(|(bucket, _)| bucket)),
            region: id(grain.whole, e.region.as_deref()),
            recipient: id(grain.whole, e.recipient.as_deref()),
            access: if grain.whole { access(e) } else { Access::default() },
        }
    }

    /// Adds a row that was counted elsewhere.
    pub(super) fn add_row(&mut self, key: RowKey, cell: Cell) {
        let row = self.row(key);
        if let Some((_, own)) = self.rows.get_mut(row as usize) {
            *own = cell;
        }
    }

    fn row(&mut self, key: RowKey) -> u32 {
        let rows = &mut self.rows;
        *self.row_ids.entry(key).or_insert_with(|| {
            rows.push((
                key,
                Cell {
                    first: Seconds::MAX,
                    ..Cell::default()
                },
            ));
            (rows.len() - 1) as u32
        })
    }

    fn principal(&mut self, e: &TrailEvent<'_>) -> u32 {
        let i = &e.identity;
        self.buffer.clear();
        self.buffer.push(i.kind as u8);
        for part in [
            &i.arn,
            &i.principal_id,
            &i.account,
            &i.access_key,
            &i.invoked_by,
            &i.issuer,
            &i.role_delivery,
            &i.issued_to,
        ] {
            push(&mut self.buffer, part.as_deref());
        }
        let hash = xxh3_128(&self.buffer);
        if let Some(id) = self.principal_ids.get(&hash) {
            return *id;
        }
        self.add_principal(hash, Principal::of(i))
    }

    pub(super) fn add_principal(&mut self, hash: u128, principal: Principal) -> u32 {
        let id = self.principals.len() as u32;
        self.principals.push(principal);
        self.principal_ids.insert(hash, id);
        id
    }

    fn keep_whole(&mut self, e: &TrailEvent<'_>, id: u128) {
        if e.error.is_none() && e.issued.is_some() {
            let by = self.principal(e);
            if let Some(session) = IssuedSession::of(e, by) {
                self.keep_issued(id, session);
            }
        }
        if is_notable(e) {
            let principal = self.principal(e);
            self.notable
                .entry((e.time, id))
                .or_insert_with(|| Notable::of(e, principal));
        }
    }

    fn keep_issued(&mut self, id: u128, session: IssuedSession) {
        match self.issued.get(&id) {
            Some(known) if known.time <= session.time => {}
            _ => drop(self.issued.insert(id, session)),
        }
    }

    fn adopt_principals(&mut self, other: &mut TrailArchive) -> Vec<u32> {
        let mut hashes: Vec<(u32, u128)> = other.principal_ids.iter().map(|(hash, id)| (*id, *hash)).collect();
        hashes.sort_unstable();
        let principals = std::mem::take(&mut other.principals);
        let adopt = |((_, hash), principal): ((u32, u128), Principal)| match self.principal_ids.get(&hash) {
            Some(id) => *id,
            None => self.add_principal(hash, principal),
        };
        hashes.into_iter().zip(principals).map(adopt).collect()
    }

    fn adopt_rows(&mut self, other: &mut TrailArchive, names: &[u32], principals: &[u32]) -> Vec<u32> {
        let new = |ids: &[u32], id: u32| ids.get(id as usize).copied().unwrap_or(0);
        let rows = std::mem::take(&mut other.rows);
        let adopt = |(key, cell): (RowKey, Cell)| {
            let row = self.row(key.renamed(|id| new(names, id), new(principals, key.principal)));
            let agent = new(names, cell.agent);
            let names = &self.names;
            if let Some((_, own)) = self.rows.get_mut(row as usize) {
                own.add(&cell, names.first(own.agent, agent));
            }
            row
        };
        rows.into_iter().map(adopt).collect()
    }

    /// The rows have been added up: what both sides had counted is taken out once.
    fn adopt_marks(&mut self, seen: HashMap<u128, Mark>, rows: &[u32]) {
        for (id, mark) in seen {
            let mark = Mark {
                row: rows.get(mark.row as usize).copied().unwrap_or(0),
                ..mark
            };
            if self.seen.contains_key(&id) {
                self.change(mark.row, |cell| cell.take_out(&mark));
                self.count(id, mark);
            } else {
                self.seen.insert(id, mark);
            }
        }
    }
}

/// Adds a text and a byte that no text holds.
fn push(buffer: &mut Vec<u8>, text: Option<&str>) {
    buffer.extend_from_slice(text.unwrap_or_default().as_bytes());
    buffer.push(0xff);
}

fn access(e: &TrailEvent<'_>) -> Access {
    match (e.category, e.authentication.as_deref()) {
        (Category::Network, _) => Access::Network,
        (_, Some("QueryString")) => Access::Presigned,
        (Category::Data, _) => Access::Data,
        (Category::Management, _) => Access::Management,
    }
}

/// True for the form that AWS gives to event ids: a UUID (RFC 9562) made from random numbers or a name. What people
/// write in its place (`redacted`, `12345678-1234-1234-1234-123456789012`) is none.
fn is_uuid(id: &str) -> bool {
    let b = id.as_bytes();
    let shape = |(n, c): (usize, &u8)| match n {
        8 | 13 | 18 | 23 => *c == b'-',
        14 => matches!(c, b'3'..=b'5'),
        19 => matches!(c, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
        _ => c.is_ascii_hexdigit(),
    };
    b.len() == 36 && b.iter().enumerate().all(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trail::{TrailKey, read, summarise};
    use proptest::prelude::*;

    /// A small world, so that copies, equal rows and differing copies are met often.
    fn record(n: (u8, u8, u8, u8, bool)) -> String {
        let (id, who, minute, bytes, failed) = n;
        let error = if failed { r#""errorCode":"AccessDenied","# } else { "" };
        format!(
            r#"{{"eventTime":"2025-03-01T00:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",{error}
            "eventID":"{id:08x}-0000-4000-8000-00000000000a","recipientAccountId":"1","userIdentity":{{"arn":"arn:{who}"}},
            "requestParameters":{{"bucketName":"b","key":"k{bytes}"}},"additionalEventData":{{"bytesTransferredOut":{bytes}}}}}"#
        )
    }

    fn filled(records: &[String]) -> TrailArchive {
        let mut archive = TrailArchive::default();
        read(format!("[{}]", records.join(",")).as_bytes(), &mut |e| {
            archive.observe(&e)
        });
        archive
    }

    fn text(archive: TrailArchive) -> String {
        let duplicates = archive.duplicates();
        let index = archive.finish();
        let by = [TrailKey::Principal, TrailKey::Event];
        format!(
            "{duplicates} {:?} {:?}",
            summarise(&index, &by, |_| true),
            summarise(&index, &[], |_| true)
        )
    }

    proptest! {
        #[test]
        fn any_split_and_order_gives_the_same(
            events in proptest::collection::vec((0u8..6, 0u8..2, 0u8..3, 0u8..2, any::<bool>()), 1..24),
            split in 0usize..24,
            turn in 0usize..24,
        ) {
            let mut records: Vec<String> = events.into_iter().map(record).collect();
            let whole = text(filled(&records));
            let at = turn % records.len();
            records.rotate_left(at);
            let (a, b) = records.split_at(split.min(records.len()));
            let (mut ab, mut ba) = (filled(a), filled(b));
            ab.merge(filled(b));
            ba.merge(filled(a));
            prop_assert_eq!(&text(ab), &whole);
            prop_assert_eq!(&text(ba), &whole);
        }
    }

    #[test]
    fn what_is_forgotten_is_said() {
        let old = record((1, 0, 0, 1, false));
        let mut archive = filled(&[old.clone(), record((2, 0, 59, 1, false))]);
        archive.forget(600);
        read(old.as_bytes(), &mut |e| archive.observe(&e));
        assert_eq!((archive.duplicates(), archive.beyond_window()), (0, 1));
        let mut later = archive.next();
        read(old.as_bytes(), &mut |e| later.observe(&e));
        archive.merge(later);
        assert_eq!(archive.beyond_window(), 2);
    }

    #[test]
    fn failed_requests_are_no_downloads() {
        let records: Vec<String> = (0..4).map(|n| record((n, 0, 0, 200, n % 2 == 1))).collect();
        let total = summarise(&filled(&records).finish(), &[], |_| true).remove(0);
        assert_eq!(
            (
                total.requests,
                total.errors,
                total.bytes_out,
                total.failed_out,
                total.objects.number
            ),
            (4, 2, 400, 400, 1)
        );
    }
}
