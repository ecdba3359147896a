//! From a key to what stands for it in the two logs: targets in the flow logs, rows of the trail, each with its class.
//!
//! An address stands for itself. An interface has its callers by attribution; a principal has the interfaces of the
//! instance that its session is named after (strong), the one interface that had a private address it called from
//! (strong), and public addresses it called from (weak: others may share them). A bucket has no address of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::{Attribution, Class as Tie, Question};
use crate::inventory::Inventory;
use crate::lookup::key::Key;
use crate::lookup::search::{Target, What};
use crate::net::{Addr, Class, HOUR, Seconds, TimeWindow};
use crate::trail::{IssuedSession, Principal, PrincipalIndex, TrailRow};

/// What CloudTrail and the inventory know.
#[derive(Debug, Clone, Copy)]
pub struct Estate<'a> {
    /// Who did what from where.
    pub index: &'a PrincipalIndex,
    /// Interfaces, instances, endpoints.
    pub inventory: &'a Inventory,
    /// True if a trail was read.
    pub has_trail: bool,
    /// Only what happened then.
    pub window: TimeWindow,
}

/// Most addresses of a principal that are searched in the flow logs.
const ADDRESSES: usize = 12;

/// Longest life of credentials of a role.
const SESSION: Seconds = 12 * HOUR;

/// What stands for a key.
#[derive(Debug, Default)]
pub(super) struct Ties<'a> {
    /// Rows of the trail.
    pub(super) rows: Vec<&'a TrailRow>,
    /// Class and reason by principal; who is not in it is tied by the key itself.
    pub(super) why: BTreeMap<u32, (Tie, String)>,
    /// What to search in flow logs.
    pub(super) targets: Vec<Target>,
    /// What the reader of the card should know.
    pub(super) notes: Vec<String>,
}

/// Finds what stands for `key`, the `number`th; `index` is where its rows are looked for.
pub(super) fn resolve<'a>(
    key: &Key,
    number: usize,
    index: &'a PrincipalIndex,
    estate: &Estate<'a>,
    class: &dyn Fn(Addr) -> Class,
) -> Ties<'a> {
    let mut finder = Finder {
        number,
        index,
        estate,
        class,
        ties: Ties::default(),
    };
    finder.key(key);
    finder.ties
}

struct Finder<'f, 'a> {
    number: usize,
    index: &'a PrincipalIndex,
    estate: &'f Estate<'a>,
    class: &'f dyn Fn(Addr) -> Class,
    ties: Ties<'a>,
}

impl<'a> Finder<'_, 'a> {
    fn key(&mut self, key: &Key) {
        match key {
            Key::Ip(a) => self.target(What::Addr(*a), Tie::Exact, self.estate.window, ""),
            Key::Net(net) => self.target(What::Net(*net), Tie::Exact, self.estate.window, ""),
            Key::Interface(id) => {
                self.target(What::Interface(id.clone()), Tie::Exact, self.estate.window, "");
                self.callers_on(Question {
                    interface: Some(id.clone()),
                    ..Question::default()
                });
            }
            Key::Instance(id) => {
                self.instance(id, TimeWindow::ALL, Tie::Exact, "");
                self.callers_on(Question {
                    instance: Some(id.clone()),
                    ..Question::default()
                });
            }
            Key::Bucket(_) | Key::Object(..) => self
                .ties
                .notes
                .push("a bucket has no address of its own: flow logs were not searched for it".into()),
            Key::Arn(_) | Key::AccessKey(_) | Key::Session(_) => {}
        }
        self.rows(key);
        if matches!(key, Key::Arn(_) | Key::AccessKey(_) | Key::Session(_)) {
            self.hosts();
            self.issued(key);
        }
    }

    fn target(&mut self, what: What, tie: Tie, window: TimeWindow, why: &str) {
        if !self.ties.targets.iter().any(|t| t.what == what) {
            self.ties.targets.push(Target {
                key: self.number,
                tie,
                what,
                window,
                why: why.into(),
            });
        }
    }

    /// An instance by its id in the records, and by the interfaces that it is known to have had.
    fn instance(&mut self, id: &str, window: TimeWindow, tie: Tie, why: &str) {
        self.target(What::Instance(id.into()), tie, window, why);
        let known = self.estate.inventory.instance(id);
        for edge in known.into_iter().flat_map(|i| &i.interfaces) {
            let span = TimeWindow {
                from: edge.span.from.max(window.from),
                to: edge.span.to.min(window.to),
            };
            let reason = match why {
                "" => format!("interface of {id}"),
                _ => format!("{why}; interface of {id}"),
            };
            self.target(What::Interface(edge.to.clone()), tie.max(Tie::Strong), span, &reason);
        }
    }

    /// Principals on an interface or instance.
    fn callers_on(&mut self, question: Question) {
        let question = Question {
            window: Some(self.estate.window).filter(|w| *w != TimeWindow::ALL),
            ..question
        };
        let mut found = BTreeMap::new();
        for p in Attribution::new(self.estate.inventory, self.index).who(&question) {
            found.insert((p.arn, p.access_key), (p.class, p.why));
        }
        for (n, p) in self.index.principals.iter().enumerate() {
            if let Some(case) = found.get(&(p.arn.clone(), p.access_key.clone())) {
                self.ties.why.insert(n as u32, case.clone());
            }
        }
    }

    fn rows(&mut self, key: &Key) {
        let index = self.index;
        let window = self.estate.window;
        let within = |r: &&TrailRow| r.first < window.to && window.from <= r.last;
        let rows = index.rows_within(window).iter().filter(within);
        self.ties.rows = match key {
            Key::Ip(_) | Key::Net(_) => rows
                .filter(|r| index.addr(r.source).is_some_and(|a| key.holds(a)))
                .collect(),
            Key::Interface(_) | Key::Instance(_) => {
                let sure = |r: &&TrailRow| self.ties.why.get(&r.principal).is_some_and(|(c, _)| *c <= Tie::Strong);
                rows.filter(sure).collect()
            }
            Key::Bucket(name) => rows
                .filter(|r| index.text(r.bucket) == name || index.text(r.copied_from) == name)
                .collect(),
            // The index holds nothing but the object's events.
            Key::Object(..) => rows.collect(),
            Key::Arn(_) | Key::AccessKey(_) | Key::Session(_) => {
                let named: BTreeSet<u32> = self.principals(key);
                rows.filter(|r| named.contains(&r.principal)).collect()
            }
        };
    }

    fn principals(&self, key: &Key) -> BTreeSet<u32> {
        let all = self.index.principals.iter().enumerate();
        all.filter(|(_, p)| is_named(p, key)).map(|(n, _)| n as u32).collect()
    }

    /// Where a principal's traffic is to be looked for.
    fn hosts(&mut self) {
        let mut instances: BTreeMap<&str, TimeWindow> = BTreeMap::new();
        let mut sources: BTreeMap<Addr, (u64, TimeWindow)> = BTreeMap::new();
        for row in &self.ties.rows {
            let span = TimeWindow {
                from: row.first.saturating_sub(HOUR),
                to: row.last.saturating_add(HOUR),
            };
            if let Some(i) = self.index.principal(row).and_then(|p| p.instance.as_deref()) {
                let whole = instances.entry(i).or_insert(span);
                *whole = join(*whole, span);
            }
            if let Some(addr) = self.index.addr(row.source) {
                let (requests, whole) = sources.entry(addr).or_insert((0, span));
                *requests += row.requests;
                *whole = join(*whole, span);
            }
        }
        for (id, span) in instances {
            self.instance(id, span, Tie::Strong, "the session is named after the instance");
        }
        let mut order: Vec<(Addr, (u64, TimeWindow))> = sources.into_iter().collect();
        order.sort_by_key(|(a, (requests, _))| (std::cmp::Reverse(*requests), *a));
        if order.len() > ADDRESSES {
            let text = format!(
                "called from {} addresses; the flows of the {ADDRESSES} busiest were searched",
                order.len()
            );
            self.ties.notes.push(text);
        }
        for (addr, (_, span)) in order.into_iter().take(ADDRESSES) {
            self.source(addr, span);
        }
    }

    /// Where credentials of the principal were handed out that can have been in use: it need not have called since.
    fn issued(&mut self, key: &Key) {
        let asked = self.estate.window;
        let ours = |i: &&IssuedSession| match key {
            Key::AccessKey(id) => i.access_key == *id,
            Key::Arn(arn) => i.arn == *arn || i.role == *arn,
            Key::Session(name) => i.session == *name,
            _ => false,
        };
        for issued in self.index.issued.iter().filter(ours) {
            let span = TimeWindow {
                from: issued.time,
                to: issued.time.saturating_add(SESSION),
            };
            if !span.overlaps(&asked) {
                continue;
            }
            if let Some(id) = issued.instance() {
                self.instance(id, span, Tie::Strong, "the session is named after the instance");
            }
            let source = issued.source.parse().ok().filter(|a| (self.class)(*a) == Class::Home);
            if let Some(addr) = source {
                let call = format!("{} from {addr}", issued.call);
                self.at_home(addr, span, &call);
            }
        }
    }

    fn source(&mut self, addr: Addr, span: TimeWindow) {
        if (self.class)(addr) != Class::Home {
            let why = format!("called AWS from {addr}, which others may share");
            return self.target(What::Addr(addr), Tie::Weak, span, &why);
        }
        self.at_home(addr, span, &format!("called AWS from {addr}"));
    }

    /// The interfaces that had a private address.
    fn at_home(&mut self, addr: Addr, span: TimeWindow, what: &str) {
        let holders: Vec<String> = self
            .estate
            .inventory
            .interfaces_at(addr, span)
            .iter()
            .map(|i| i.id.clone())
            .collect();
        let tie = if holders.len() == 1 {
            Tie::Strong
        } else {
            Tie::Ambiguous
        };
        for id in &holders {
            let why = format!("{what}, an address of {} known interfaces", holders.len());
            self.target(What::Interface(id.clone()), tie, span, &why);
        }
    }
}

fn join(a: TimeWindow, b: TimeWindow) -> TimeWindow {
    TimeWindow {
        from: a.from.min(b.from),
        to: a.to.max(b.to),
    }
}

/// True if the key names this principal: its ARN, the role behind it, its key, its session or user name.
fn is_named(p: &Principal, key: &Key) -> bool {
    match key {
        Key::Arn(arn) => p.arn == *arn || p.issuer.as_deref() == Some(arn),
        Key::AccessKey(id) => p.access_key == *id,
        Key::Session(name) => p.session.as_deref() == Some(name) || user_of(&p.arn) == Some(name),
        _ => false,
    }
}

/// `arn:aws:iam::A:user/path/NAME`
fn user_of(arn: &str) -> Option<&str> {
    arn.split_once(":user/")
        .map(|(_, path)| path.rsplit('/').next().unwrap_or(path))
}
