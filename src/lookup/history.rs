//! Single events that matter to a key: credentials handed out, exposure changed, logging stopped, keys disabled.

use std::collections::BTreeSet;

use crate::lookup::card::{Event, Issue, When};
use crate::lookup::key::Key;
use crate::lookup::resolve::{Estate, Ties};
use crate::trail::{IssuedSession, Notable, PrincipalIndex};

/// Most of either that a card holds.
const MOST: usize = 50;

/// Credentials that were handed out to the key's principals, from its addresses, or that are the key.
pub(super) fn issued(key: &Key, ties: &Ties<'_>, estate: &Estate<'_>) -> Vec<Issue> {
    let index = estate.index;
    let keys = access_keys(ties, index);
    let is_ours = |i: &&IssuedSession| match key {
        Key::AccessKey(id) => i.access_key == *id,
        Key::Arn(arn) => i.arn == *arn || i.role == *arn,
        Key::Session(name) => i.session == *name,
        Key::Instance(id) => i.instance() == Some(id),
        Key::Ip(_) | Key::Net(_) => i.source.parse().is_ok_and(|a| key.holds(a)),
        _ => false,
    };
    let used = |i: &&IssuedSession| !i.access_key.is_empty() && keys.contains(i.access_key.as_str());
    let mine = index.issued.iter().filter(|i| estate.window.contains(i.time));
    let mine = mine.filter(|i| is_ours(i) || used(i) && !matches!(key, Key::Bucket(_) | Key::Object(..)));
    mine.take(MOST)
        .map(|i| Issue {
            time: When(i.time),
            call: i.call.clone(),
            by: match i.invoked_by.as_str() {
                "" => name(index, i.by),
                service => service.to_owned(),
            },
            source: i.source.clone(),
            arn: i.arn.clone(),
            access_key: Some(i.access_key.clone()).filter(|k| !k.is_empty()),
        })
        .collect()
}

/// Notable events by the key's principals, from its addresses, on its bucket, or that name its access key.
pub(super) fn notable(key: &Key, ties: &Ties<'_>, estate: &Estate<'_>) -> Vec<Event> {
    let index = estate.index;
    let who: BTreeSet<u32> = ties.rows.iter().map(|r| r.principal).collect();
    let keys = access_keys(ties, index);
    let names = |n: &Notable| keys.iter().any(|k| n.request.contains(k));
    let is_ours = |n: &&Notable| match key {
        Key::Ip(_) | Key::Net(_) => n.source.parse().is_ok_and(|a| key.holds(a)) || names(n),
        Key::Bucket(b) | Key::Object(b, _) => n.bucket.as_deref() == Some(b),
        Key::AccessKey(id) => who.contains(&n.principal) || n.request.contains(id.as_str()),
        _ => who.contains(&n.principal) || names(n),
    };
    let mine = index.notable.iter().filter(|n| estate.window.contains(n.time));
    mine.filter(is_ours)
        .take(MOST)
        .map(|n| Event {
            time: When(n.time),
            event: n.event.clone(),
            by: name(index, n.principal),
            source: n.source.clone(),
            bucket: n.bucket.clone(),
            error: n.error.clone(),
        })
        .collect()
}

/// Keys of the principals tied to the key.
fn access_keys<'a>(ties: &Ties<'_>, index: &'a PrincipalIndex) -> BTreeSet<&'a str> {
    let who: BTreeSet<u32> = ties.rows.iter().map(|r| r.principal).collect();
    let keys = who.iter().filter_map(|n| index.principals.get(*n as usize));
    keys.map(|p| p.access_key.as_str()).filter(|k| !k.is_empty()).collect()
}

fn name(index: &PrincipalIndex, principal: u32) -> String {
    index
        .principals
        .get(principal as usize)
        .map(|p| p.arn.clone())
        .unwrap_or_default()
}
