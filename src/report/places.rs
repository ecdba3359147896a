//! Where the archive's egress went: by destination, country and autonomous system, each byte once.
//!
//! What interfaces only pass on is left out, as everywhere. The largest are listed; the rest is one sum.

use std::collections::BTreeMap;

use crate::aggregate::Direction;
use crate::net::{Addr, Country};
use crate::report::grid::json_integer;
use crate::report::run::Run;
use serde_json::{Value, json};

/// Places listed of each kind.
const LISTED: usize = 40;

/// Bytes by destination, country and operator.
pub fn places(run: &Run<'_>) -> Value {
    let peers = by_peer(run);
    let mut countries: BTreeMap<Option<Country>, u128> = BTreeMap::new();
    let mut operators: BTreeMap<Option<u32>, u128> = BTreeMap::new();
    let mut examples: BTreeMap<u32, Addr> = BTreeMap::new();
    for (n, bytes) in &peers {
        let Some(peer) = run.table.peers.get(*n as usize) else {
            continue;
        };
        *countries.entry(peer.country).or_default() += bytes;
        *operators.entry(peer.asn).or_default() += bytes;
        if let Some(asn) = peer.asn {
            examples.entry(asn).or_insert(peer.addr);
        }
    }
    let destination = |n: u32, bytes: u128| {
        let peer = run.table.peers.get(n as usize);
        json!({
            "ip": peer.map(|p| p.addr),
            "bytes": json_integer(bytes),
            "class": peer.map(|p| p.class),
            "country": peer.and_then(|p| p.country),
            "asn": peer.and_then(|p| p.asn),
            "labels": peer.map(|p| &p.labels),
        })
    };
    json!({
        "destinations": listed(peers, destination),
        "countries": listed(texts(countries, |c| c.to_string()), named),
        "operators": listed(texts(operators, |asn| format!("AS{asn}")), named),
        "as_names": as_names(run, examples),
    })
}

/// Names of the operators, by number, of which these are addresses, and of those of the incidents' destinations.
fn as_names(run: &Run<'_>, mut examples: BTreeMap<u32, Addr>) -> BTreeMap<u32, String> {
    for d in run.incidents.iter().flat_map(|i| &i.destinations) {
        if let Some(asn) = d.asn {
            examples.entry(asn).or_insert(d.ip);
        }
    }
    let name = |(asn, addr)| Some((asn, run.intel.asn(addr)?.1?));
    examples.into_iter().filter_map(name).collect()
}

fn named(name: String, bytes: u128) -> Value {
    json!({"name": name, "bytes": json_integer(bytes)})
}

/// Sums under their names, in the order of those; `-` for none.
fn texts<K>(sums: BTreeMap<Option<K>, u128>, text: impl Fn(K) -> String) -> Vec<(String, u128)> {
    let named = |(key, bytes): (Option<K>, u128)| (key.map_or("-".to_owned(), &text), bytes);
    let mut all: Vec<_> = sums.into_iter().map(named).collect();
    all.sort();
    all
}

/// Egress by the number of the peer.
fn by_peer(run: &Run<'_>) -> Vec<(u32, u128)> {
    let passing = run.passing();
    let mut sums: Vec<Option<u128>> = vec![None; run.table.peers.len()];
    for row in run.table.rows.iter().filter(|r| r.direction == Direction::Egress) {
        let passes_on = passing.get(row.interface as usize) == Some(&true);
        if !passes_on
            && run.table.peer(row).class.is_egress()
            && let Some(sum) = sums.get_mut(row.peer as usize)
        {
            *sum.get_or_insert_default() += row.volume.bytes;
        }
    }
    let met = (0u32..).zip(sums).filter_map(|(n, sum)| Some((n, sum?)));
    met.collect()
}

/// The largest, how many there are in all, and the bytes of those not listed.
fn listed<K>(mut all: Vec<(K, u128)>, told: impl Fn(K, u128) -> Value) -> Value {
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let (count, rest) = (all.len(), all.split_off(all.len().min(LISTED)));
    let more: u128 = rest.iter().map(|(_, bytes)| bytes).sum();
    json!({
        "all": count,
        "listed": all.into_iter().map(|(k, bytes)| told(k, bytes)).collect::<Value>(),
        "more_bytes": json_integer(more),
    })
}
