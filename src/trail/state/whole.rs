//! The parts of a trail's state that are no table of numbers: texts, principals, events kept whole, facts.

use super::{damaged, time};
use crate::error::Result;
use crate::inventory::{Fact, Graph, Mark as When, Relation};
use crate::net::Seconds;
use crate::store::{Reader, Writer};
use crate::trail::archive::TrailArchive;
use crate::trail::identity::IdentityKind;
use crate::trail::index::Principal;
use crate::trail::issued::IssuedSession;
use crate::trail::learn;
use crate::trail::names::Names;
use crate::trail::notable::Notable;
use crate::trail::row::RowKey;

/// The numbers that texts, principals and rows have in the file, and the rows in their order.
pub(super) struct Order {
    names: Vec<u32>,
    texts: Vec<u32>,
    pub(super) principals: Vec<u32>,
    callers: Vec<(u32, u128)>,
    /// The rows' old places, in the new order.
    pub(super) rows: Vec<u32>,
    /// The new place of each row.
    pub(super) places: Vec<u32>,
}

impl Order {
    pub(super) fn of(a: &TrailArchive) -> Self {
        let all: Vec<&str> = a.names.texts().collect();
        let texts = sorted((0..all.len() as u32).collect(), |n| all.get(*n as usize));
        let mut callers: Vec<(u32, u128)> = a.principal_ids.iter().map(|(hash, id)| (*id, *hash)).collect();
        callers.sort_by(|(a_id, a_hash), (b_id, b_hash)| {
            let of = |id: &u32| a.principals.get(*id as usize);
            of(a_id).cmp(&of(b_id)).then(a_hash.cmp(b_hash))
        });
        let mut order = Order {
            names: inverse(&texts),
            texts,
            principals: inverse(&callers.iter().map(|(id, _)| *id).collect::<Vec<_>>()),
            callers,
            rows: Vec::new(),
            places: Vec::new(),
        };
        let keys: Vec<_> = a.rows.iter().map(|(key, _)| order.renamed(key).parts()).collect();
        order.rows = sorted((0..a.rows.len() as u32).collect(), |n| keys.get(*n as usize));
        order.places = inverse(&order.rows);
        order
    }

    pub(super) fn name(&self, id: u32) -> u32 {
        self.names.get(id as usize).copied().unwrap_or(0)
    }

    fn principal(&self, id: u32) -> u32 {
        self.principals.get(id as usize).copied().unwrap_or(0)
    }

    pub(super) fn renamed(&self, key: &RowKey) -> RowKey {
        key.renamed(|id| self.name(id), self.principal(key.principal))
    }
}

fn sorted<K: Ord>(mut numbers: Vec<u32>, key: impl Fn(&u32) -> K) -> Vec<u32> {
    numbers.sort_by_key(key);
    numbers
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut out = vec![0; order.len()];
    for (new, old) in (0u32..).zip(order) {
        if let Some(slot) = out.get_mut(*old as usize) {
            *slot = new;
        }
    }
    out
}

pub(super) fn encode(a: &TrailArchive, order: &Order, w: &mut Writer) {
    [a.newest, a.forgotten, a.duplicates, a.beyond]
        .into_iter()
        .for_each(|n| w.number(n));
    w.number(order.texts.len() as u64);
    order.texts.iter().for_each(|n| w.text(a.names.text(*n)));
    w.number(order.callers.len() as u64);
    for (id, hash) in &order.callers {
        w.wide(*hash);
        encode_principal(a.principals.get(*id as usize), w);
    }
    w.number(a.accounts.len() as u64);
    a.accounts.iter().for_each(|account| w.text(account));
    w.number(a.issued.len() as u64);
    for (id, s) in &a.issued {
        w.wide(*id);
        w.number(s.time);
        session_texts(s).into_iter().for_each(|t| w.text(t));
        w.number(order.principal(s.by).into());
    }
    w.number(a.notable.len() as u64);
    for ((time, id), n) in &a.notable {
        w.number(*time);
        w.wide(*id);
        encode_notable(n, w);
        w.number(order.principal(n.principal).into());
    }
    encode_graph(a.graph(), w);
}

pub(super) fn decode(a: &mut TrailArchive, r: &mut Reader<'_>) -> Result<()> {
    (a.newest, a.forgotten) = (r.number()?, r.number()?);
    (a.duplicates, a.beyond) = (r.count()?, r.count()?);
    let texts = r.number()?;
    a.names = Names::default();
    for n in 0..texts {
        // The first text is the empty one, and each is a new one.
        if u64::from(a.names.id(r.text()?)) != n {
            return Err(damaged());
        }
    }
    for _ in 0..r.number()? {
        let hash = r.wide()?;
        let principal = decode_principal(r)?;
        a.add_principal(hash, principal);
    }
    for _ in 0..r.number()? {
        a.accounts.insert(r.text()?.to_owned());
    }
    let callers = a.principals.len() as u64;
    for _ in 0..r.number()? {
        let (id, session) = (r.wide()?, decode_session(r, callers)?);
        a.issued.insert(id, session);
    }
    for _ in 0..r.number()? {
        let key = (r.number()?, r.wide()?);
        a.notable.insert(key, decode_notable(r, key.0, callers)?);
    }
    decode_graph(a.graph_mut(), r)
}

fn optional(text: Option<&str>, w: &mut Writer) {
    // Absent is no text; an empty text is one byte that no text is.
    match text {
        None => w.bytes(b""),
        Some("") => w.bytes(b"\xff"),
        Some(text) => w.text(text),
    }
}

fn decode_optional(r: &mut Reader<'_>) -> Result<Option<String>> {
    Ok(match r.bytes()? {
        b"" => None,
        b"\xff" => Some(String::new()),
        bytes => Some(std::str::from_utf8(bytes).map_err(|_| damaged())?.to_owned()),
    })
}

fn encode_principal(principal: Option<&Principal>, w: &mut Writer) {
    let nobody = Principal::default();
    let p = principal.unwrap_or(&nobody);
    w.text(&p.arn);
    w.text(&p.access_key);
    w.number(p.kind as u64);
    let texts = [
        &p.account,
        &p.issuer,
        &p.session,
        &p.instance,
        &p.invoked_by,
        &p.role_delivery,
        &p.issued_to,
    ];
    texts.into_iter().for_each(|t| optional(t.as_deref(), w));
}

fn decode_principal(r: &mut Reader<'_>) -> Result<Principal> {
    Ok(Principal {
        arn: r.text()?.to_owned(),
        access_key: r.text()?.to_owned(),
        kind: IdentityKind::of_number(r.number()?).ok_or_else(damaged)?,
        account: decode_optional(r)?,
        issuer: decode_optional(r)?,
        session: decode_optional(r)?,
        instance: decode_optional(r)?,
        invoked_by: decode_optional(r)?,
        role_delivery: decode_optional(r)?,
        issued_to: decode_optional(r)?,
    })
}

fn session_texts(s: &IssuedSession) -> [&str; 7] {
    [
        &s.arn,
        &s.access_key,
        &s.session,
        &s.role,
        &s.call,
        &s.invoked_by,
        &s.source,
    ]
}

fn decode_session(r: &mut Reader<'_>, callers: u64) -> Result<IssuedSession> {
    let time = r.number()?;
    let mut text = || r.text().map(str::to_owned);
    Ok(IssuedSession {
        time,
        arn: text()?,
        access_key: text()?,
        session: text()?,
        role: text()?,
        call: text()?,
        invoked_by: text()?,
        source: text()?,
        by: below(r, callers)?,
    })
}

fn encode_notable(n: &Notable, w: &mut Writer) {
    w.number(n.time);
    [&n.event, &n.service, &n.region, &n.source, &n.request]
        .into_iter()
        .for_each(|t| w.text(t));
    optional(n.error.as_deref(), w);
    optional(n.bucket.as_deref(), w);
}

fn decode_notable(r: &mut Reader<'_>, from: Seconds, callers: u64) -> Result<Notable> {
    // An event's time is its key's.
    let at = r.number()?;
    if at != from {
        return Err(damaged());
    }
    Ok(Notable {
        time: at,
        event: r.text()?.to_owned(),
        service: r.text()?.to_owned(),
        region: r.text()?.to_owned(),
        source: r.text()?.to_owned(),
        request: r.text()?.to_owned(),
        error: decode_optional(r)?,
        bucket: decode_optional(r)?,
        principal: below(r, callers)?,
    })
}

/// A number that names one of so many.
pub(super) fn below(r: &mut Reader<'_>, end: u64) -> Result<u32> {
    let n = r.number()?;
    if n < end {
        u32::try_from(n).map_err(|_| damaged())
    } else {
        Err(damaged())
    }
}

fn encode_graph(graph: &Graph, w: &mut Writer) {
    w.number(graph.len() as u64);
    for fact in graph.facts() {
        w.text(&fact.subject);
        w.number(fact.relation as u64);
        w.text(&fact.object);
        let (kind, at) = match fact.mark {
            When::Seen => (0, 0),
            When::Begin(at) => (1, at),
            When::End(at) => (2, at),
        };
        w.number(kind);
        w.number(at);
        w.text(fact.origin.0);
    }
}

fn decode_graph(graph: &mut Graph, r: &mut Reader<'_>) -> Result<()> {
    for _ in 0..r.number()? {
        let subject = r.text()?.to_owned();
        let relation = r.small::<usize>()?;
        let relation = *Relation::ALL.get(relation).ok_or_else(damaged)?;
        let object = r.text()?.to_owned();
        let (kind, at) = (r.number()?, time(r, 0)?);
        graph.add(Fact {
            subject,
            relation,
            object,
            mark: match kind {
                0 => When::Seen,
                1 => When::Begin(at),
                2 => When::End(at),
                _ => return Err(damaged()),
            },
            origin: learn::origin(r.text()?).ok_or_else(damaged)?,
        });
    }
    Ok(())
}
