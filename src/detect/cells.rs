//! What follows from the cited cells: bytes, times, sources and destinations, each byte once.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Destination, Evidence};
use crate::aggregate::{EgressTable, Row, Volume};
use crate::baseline::{Channel, channel};
use crate::net::Addr;

/// Sums over cited cells.
#[derive(Debug, Default)]
pub struct Sums {
    /// Bytes, packets, records and times.
    pub volume: Option<Volume>,
    /// Addresses that sent.
    pub sources: Vec<Addr>,
    /// Where to, most bytes first.
    pub destinations: Vec<Destination>,
    /// Channel with most bytes, as in the ledger.
    pub channel: &'static str,
    /// Records to look at, of the cells with most bytes.
    pub evidence: Vec<Evidence>,
}

/// How many records are cited as evidence.
const EVIDENCE: usize = 10;

impl Sums {
    /// Adds up cells, given by row index.
    pub fn of(table: &EgressTable, cells: &BTreeSet<u32>) -> Self {
        Self::of_portions(table, cells, &BTreeMap::new())
    }

    /// As [`Sums::of`], of some cells only so many bytes as `portions` says. Packets and records are those of the whole.
    pub fn of_portions(table: &EgressTable, cells: &BTreeSet<u32>, portions: &BTreeMap<u32, u128>) -> Self {
        let cited = cells.iter().filter_map(|c| Some((c, table.rows.get(*c as usize)?)));
        let (bytes, rows): (Vec<u128>, Vec<&Row>) = cited
            .map(|(c, r)| (portions.get(c).map_or(r.volume.bytes, |p| r.volume.bytes.min(*p)), r))
            .unzip();
        let mut volume: Option<Volume> = None;
        let mut sources = BTreeSet::new();
        let mut peers: BTreeMap<u32, u128> = BTreeMap::new();
        let mut channels: BTreeMap<Channel, u128> = BTreeMap::new();
        for (bytes, row) in bytes.into_iter().zip(&rows) {
            volume.get_or_insert(Volume::EMPTY).add(&Volume { bytes, ..row.volume });
            sources.insert(row.local);
            *peers.entry(row.peer).or_default() += bytes;
            if let Some(channel) = channel(table.peer(row), row.role) {
                *channels.entry(channel).or_default() += bytes;
            }
        }
        let leading = channels
            .into_iter()
            .max_by_key(|(c, bytes)| (*bytes, std::cmp::Reverse(*c)))
            .map(|(c, _)| c);
        Sums {
            volume,
            sources: sources.into_iter().collect(),
            destinations: destinations(table, peers),
            channel: leading.map_or("internet", ledger),
            evidence: evidence(rows),
        }
    }
}

fn ledger(channel: Channel) -> &'static str {
    match channel {
        Channel::External | Channel::Aws => "internet",
        Channel::S3 => "s3",
        Channel::Served => "served",
    }
}

fn destinations(table: &EgressTable, peers: BTreeMap<u32, u128>) -> Vec<Destination> {
    let mut out: Vec<Destination> = peers
        .into_iter()
        .filter_map(|(index, bytes)| table.peers.get(index as usize).map(|p| (p, bytes)))
        .map(|(p, bytes)| Destination {
            ip: p.addr,
            bytes,
            class: p.class,
            country: p.country,
            asn: p.asn,
            labels: p.labels.clone(),
        })
        .collect();
    out.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.ip.cmp(&b.ip)));
    out
}

/// Records to look at, of cells given by row index: of those with most bytes.
pub fn evidence_of(table: &EgressTable, cells: &BTreeSet<u32>) -> Vec<Evidence> {
    evidence(cells.iter().filter_map(|c| table.rows.get(*c as usize)).collect())
}

/// The cells that may be cited: those with most bytes, and all that have as many as the last of them.
pub fn citable(table: &EgressTable, cells: &BTreeSet<u32>) -> BTreeSet<u32> {
    let bytes = |cell: u32| table.rows.get(cell as usize).map_or(0, |r| r.volume.bytes);
    let mut all: Vec<u128> = cells.iter().map(|c| bytes(*c)).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let least = all.get(EVIDENCE - 1).copied().unwrap_or(0);
    cells.iter().copied().filter(|c| bytes(*c) >= least).collect()
}

fn evidence(mut rows: Vec<&Row>) -> Vec<Evidence> {
    rows.sort_by(|a, b| b.volume.bytes.cmp(&a.volume.bytes).then(a.sample.cmp(&b.sample)));
    let mut samples: Vec<_> = rows.into_iter().take(EVIDENCE).map(|r| r.sample).collect();
    samples.sort();
    samples.dedup();
    let cite = |s: crate::aggregate::Sample| Evidence {
        line: s.line,
        file_index: s.file,
        ..Evidence::default()
    };
    samples.into_iter().map(cite).collect()
}
