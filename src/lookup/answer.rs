//! From keys to cards: resolve every key, search the flow logs once for all of them, once more one step further, and
//! put the two logs together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::ThreadPool;

use crate::aggregate::{Filter, Formats, Ingest, Outcome, Places, Progress, ScanStats, Shelf, Watching};
use crate::attribute::{Attribution, Class as Tie, Question};
use crate::error::Result;
use crate::index::{IndexShelf, Manifest};
use crate::input::Archive;
use crate::intel::{Intel, Status};
use crate::lookup::basis::{Coverage, FlowCoverage, TrailCoverage};
use crate::lookup::card::{About, Behind, Caller, Card, Exact, Membership, Met, Pivot, Prevalence, SCHEMA};
use crate::lookup::key::Key;
use crate::lookup::records::Records;
use crate::lookup::resolve::{Estate, Ties, resolve};
use crate::lookup::search::{Detail, Found, Search, Target, What, search};
use crate::lookup::traffic::Reading;
use crate::lookup::{calls, history};
use crate::net::{Addr, TimeWindow};
use crate::trail::PrincipalIndex;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The keys.
    pub keys: Vec<Key>,
    /// Only flow records that pass.
    pub filter: Filter,
    /// Keep the records.
    pub records: bool,
    /// Search the flow logs once more for the other destinations of the interfaces found.
    pub pivot: bool,
    /// Read and check every line instead of searching the bytes first.
    pub slow: bool,
}

/// Where to look.
pub struct Sources<'a> {
    /// Flow logs, if any.
    pub flows: Option<&'a Archive>,
    /// A store that may hold some of them.
    pub index: Option<&'a Stored>,
    /// How they are read.
    pub ingest: &'a Ingest,
    /// What CloudTrail and the inventory know.
    pub estate: Estate<'a>,
    /// By key, the events of an object; see [`crate::lookup::objects`].
    pub objects: &'a BTreeMap<usize, PrincipalIndex>,
    /// What was read of the trail.
    pub trail: Option<TrailCoverage>,
    /// Lists.
    pub intel: &'a Intel,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    /// One card a key, in the order asked.
    pub cards: Vec<Card>,
    /// The records, if they were asked for.
    pub records: Records,
    /// What was read of the flow logs.
    pub stats: Option<ScanStats>,
}

/// A store of sums by the hour, and the archive that is asked about, without a time window.
#[derive(Debug)]
pub struct Stored {
    /// The store's folder.
    pub folder: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// Every file of the archive, also those that lie outside of the time window by their names.
    pub all: Archive,
}

impl Stored {
    /// Leaves out what these formats read otherwise than it was read.
    pub fn read_by(&mut self, formats: &Formats) {
        self.manifest.read_by(formats);
    }

    /// What it holds for a search; whatever sums by the hour do not tell is left to the raw files that hold a key.
    fn shelf<P: Places>(&self, search: &Search<'_, P>, archive: &Archive) -> Result<IndexShelf> {
        let wanted = search.wanted();
        if search.asks_by_the_hour() {
            return Ok(IndexShelf::new(
                &self.folder,
                &self.manifest,
                archive,
                &self.all,
                Some(wanted),
            ));
        }
        IndexShelf::of_files(&self.folder, &self.manifest, archive, &self.all, &wanted)
    }
}

/// Rows shown of long lists.
const TOP: usize = 10;
/// Most other ends that a card holds; formats for people show the first of them.
const PEERS: usize = 1000;
/// Most interfaces whose other destinations are searched.
const PIVOT_INTERFACES: usize = 16;
/// Most interfaces that are attributed.
const ATTRIBUTED: usize = 20;

/// Looks up all keys.
///
/// # Errors
/// `List` if a store is damaged.
pub fn look_up(request: &Request, from: &Sources<'_>, pool: &ThreadPool, progress: &Progress) -> Result<Answer> {
    let class = |a: Addr| from.intel.class(a);
    let index_of = |n: usize| from.objects.get(&n).unwrap_or(from.estate.index);
    let keys = request.keys.iter().enumerate();
    let ties: Vec<Ties<'_>> = keys
        .map(|(n, k)| resolve(k, n, index_of(n), &from.estate, &class))
        .collect();
    let targets: Vec<Target> = ties.iter().flat_map(|t| t.targets.iter().cloned()).collect();
    let detail = match request.records {
        true => Detail::Records,
        false => Detail::Services,
    };
    let (mut found, outcome) = run(request, from, &targets, detail, pool, progress)?;
    let records = std::mem::take(&mut found.records);
    let reading = Reading {
        found: &found,
        targets: &targets,
        inventory: from.estate.inventory,
        intel: from.intel,
    };
    let stats = from.flows.zip(outcome.as_ref()).map(|(a, o)| o.stats(a, &found.counts));
    let coverage = Coverage {
        flows: stats
            .as_ref()
            .zip(outcome.as_ref())
            .map(|(s, o)| FlowCoverage::of(s, o)),
        trail: from.trail.clone(),
    };
    let cards = request.keys.iter().zip(&ties).enumerate();
    let mut cards: Vec<Card> = cards
        .map(|(n, (key, ties))| card(key, ties, index_of(n), &reading, n, from, &coverage))
        .collect();
    if request.pivot && !request.records {
        step_further(&mut cards, request, from, pool)?;
    }
    Ok(Answer { cards, records, stats })
}

fn run(
    request: &Request,
    from: &Sources<'_>,
    targets: &[Target],
    detail: Detail,
    pool: &ThreadPool,
    progress: &Progress,
) -> Result<(Found, Option<Outcome>)> {
    let Some(archive) = from.flows.filter(|_| !targets.is_empty()) else {
        return Ok((Found::default(), None));
    };
    let wanted = Search::new(targets, &request.filter, from.estate.window, from.intel, detail);
    let shelf = from.index.map(|i| i.shelf(&wanted, archive)).transpose()?.map(Arc::new);
    let ingest = Ingest {
        shelf: shelf.clone().map(|s| s as Arc<dyn Shelf>),
        watching: Watching::Nothing,
        ..from.ingest.clone()
    };
    let (found, outcome) = search(&wanted, archive, &ingest, request.slow, pool, progress);
    shelf.map_or(Ok(()), |s| s.check())?;
    Ok((found, Some(outcome)))
}

fn card(
    key: &Key,
    ties: &Ties<'_>,
    index: &PrincipalIndex,
    reading: &Reading<'_>,
    number: usize,
    from: &Sources<'_>,
    coverage: &Coverage,
) -> Card {
    let traffic = reading.of(number, key);
    let calls = calls::read(ties, index, from.intel, whose(key));
    let is_address = matches!(key, Key::Ip(_) | Key::Net(_));
    let prevalence = prevalence(&traffic.interfaces, calls.callers.len(), &from.estate);
    let mut notes = ties.notes.clone();
    notes.extend(doubled(&traffic.interfaces).filter(|_| is_address));
    let others = calls::other_addresses(&ties.rows, index, from.intel);
    let far_ends = traffic.peers.len() as u64;
    let issued = history::issued(key, ties, &from.estate);
    let was_issued = !issued.is_empty();
    Card {
        schema: SCHEMA,
        key: key.to_string(),
        kind: key.kind(),
        found: !traffic.interfaces.is_empty() || !calls.callers.is_empty() || was_issued,
        about: match key {
            Key::Ip(a) => Some(about(*a, from.intel)),
            _ => None,
        },
        behind: others_behind(key, &traffic.interfaces, &calls.callers, from),
        flows: traffic.flows,
        interfaces: traffic.interfaces,
        peers: if is_address {
            Vec::new()
        } else {
            traffic.peers.into_iter().take(PEERS).collect()
        },
        far_ends: if is_address { 0 } else { far_ends },
        prevalence,
        callers: calls.callers,
        sources: calls.sources,
        buckets: calls.buckets,
        events: calls.events,
        pivot: Pivot {
            addresses_all: others.len() as u64,
            addresses: others.into_iter().take(TOP).collect(),
            ..Pivot::default()
        },
        coverage: coverage.clone(),
        issued,
        notable: history::notable(key, ties, &from.estate),
        notes,
    }
}

fn prevalence(interfaces: &[Met], callers: usize, estate: &Estate<'_>) -> Prevalence {
    let met = interfaces.iter().filter(|m| !m.passes_on).count() as u64;
    let known = estate.inventory.interfaces.len() as u64;
    Prevalence {
        interfaces: met,
        interfaces_known: (known > 0).then_some(known.max(met)),
        principals: callers as u64,
        principals_known: estate.has_trail.then_some(estate.index.principals.len() as u64),
    }
}

/// A warning if one interface shows as much as all others together: it may be a gateway that nobody said is one.
fn doubled(interfaces: &[Met]) -> Option<String> {
    let bytes = |m: &Met| m.to.0 + m.from.0;
    let counted = interfaces.iter().filter(|m| !m.passes_on && m.flows > 0);
    let all: u128 = counted.clone().map(bytes).sum();
    let half = |m: &&Met| (2 * bytes(m)).abs_diff(all) * 50 <= all;
    let one = counted.clone().find(half).filter(|_| all > 0)?;
    (counted.count() > 1).then(|| {
        format!(
            "{} shows as much as all others together: one may pass on what the others sent, so the sums may hold bytes \
             twice; --inventory tells gateways",
            one.eni
        )
    })
}

/// Why a row belongs to a key that names it itself.
const fn whose(key: &Key) -> &'static str {
    match key {
        Key::Ip(_) | Key::Net(_) => "called from it",
        Key::Bucket(_) | Key::Object(..) => "named it in a request",
        _ => "the principal itself",
    }
}

fn about(addr: Addr, intel: &Intel) -> About {
    let facts = intel.peer(addr);
    let membership = |label: &&str| {
        let listed = |l: &&crate::intel::ListInfo| {
            l.kind.as_str() == *label || label.strip_prefix("threat:").is_some_and(|name| l.name == name)
        };
        let list = intel.lists().iter().find(listed);
        Membership {
            label: (*label).to_owned(),
            source: list.map(|l| l.source.clone()).unwrap_or_default(),
            date: list.and_then(|l| l.date.clone()),
        }
    };
    let missing = intel.lists().iter().filter(|l| l.status == Status::NotLoaded);
    About {
        class: facts.class,
        service: facts.service.map(str::to_owned),
        region: facts.region.map(str::to_owned),
        country: facts.country,
        asn: facts.asn,
        as_name: facts.as_name.clone(),
        lists: facts.labels.iter().map(membership).collect(),
        not_loaded: missing.map(|l| l.kind.as_str()).collect(),
    }
}

/// Who is behind the interfaces of an address, or of an interface or instance beside its callers.
fn others_behind(key: &Key, interfaces: &[Met], callers: &[Caller], from: &Sources<'_>) -> Vec<Behind> {
    let same = |b: &Behind, c: &Caller| c.arn == b.arn && c.access_key == b.access_key;
    match key {
        Key::Ip(_) | Key::Net(_) => behind(interfaces, from),
        Key::Interface(_) | Key::Instance(_) => {
            let mut all = behind(interfaces, from);
            all.retain(|b| !callers.iter().any(|c| same(b, c)));
            all
        }
        _ => Vec::new(),
    }
}

/// Who is behind the interfaces that met an address.
fn behind(interfaces: &[Met], from: &Sources<'_>) -> Vec<Behind> {
    if !from.estate.has_trail {
        return Vec::new();
    }
    let attribution = Attribution::new(from.estate.inventory, from.estate.index);
    let ends = interfaces
        .iter()
        .filter(|m| !m.passes_on && m.flows > 0)
        .take(ATTRIBUTED);
    let of = |m: &Met| {
        let question = Question {
            interface: Some(m.eni.clone()),
            instance: m.instance.clone(),
            addresses: m.addresses.clone(),
            account: m.account.clone(),
            vpc: m.vpc.clone(),
            window: Some(TimeWindow {
                from: m.first.0,
                to: m.last.0.saturating_add(1),
            }),
            ..Question::default()
        };
        let eni = m.eni.clone();
        let one = move |p: crate::attribute::Principal| Behind {
            arn: p.arn,
            access_key: Some(p.access_key).filter(|k| !k.is_empty()),
            eni: eni.clone(),
            class: p.class,
            confidence: p.confidence,
            requests: p.requests,
            bytes: Exact(p.bytes),
            why: p.why,
        };
        attribution
            .who(&question)
            .into_iter()
            .take(TOP)
            .map(one)
            .collect::<Vec<_>>()
    };
    ends.flat_map(of).collect()
}

/// Other destinations of the interfaces that met an address: one more search, for all cards together.
fn step_further(cards: &mut [Card], request: &Request, from: &Sources<'_>, pool: &ThreadPool) -> Result<()> {
    let once = |a: &Archive| a.sources.iter().any(|s| s.is_stdin());
    if from.flows.is_some_and(once) {
        let note = "standard input can be read once: other destinations were not searched";
        cards.iter_mut().for_each(|c| c.notes.push(note.into()));
        return Ok(());
    }
    let mut targets = Vec::new();
    for (n, (card, key)) in cards.iter().zip(&request.keys).enumerate() {
        let asks = matches!(key, Key::Ip(_) | Key::Net(_));
        let ends = card
            .interfaces
            .iter()
            .filter(|m| asks && !m.passes_on)
            .take(PIVOT_INTERFACES);
        targets.extend(ends.map(|m| Target {
            key: n,
            tie: Tie::Exact,
            what: What::Interface(m.eni.clone()),
            window: TimeWindow::ALL,
            why: String::new(),
        }));
    }
    let everything = Request {
        filter: Filter::default(),
        ..request.clone()
    };
    let (found, outcome) = run(&everything, from, &targets, Detail::Ends, pool, &Progress::default())?;
    if outcome.is_none() {
        return Ok(());
    }
    let reading = Reading {
        found: &found,
        targets: &targets,
        inventory: from.estate.inventory,
        intel: from.intel,
    };
    for (n, (card, key)) in cards.iter_mut().zip(&request.keys).enumerate() {
        let others = reading.destinations(n, |ip| !key.holds(ip), TOP);
        (card.pivot.destinations_all, card.pivot.destinations) = others;
    }
    Ok(())
}
