//! Reconciliation: the bytes that an interface exchanged with S3, against the bytes that S3 counted for its callers.
//!
//! Flow logs count packets, CloudTrail payload. Between them lie headers (2-10 %), the acknowledgements of downloads
//! (0.2-2 % of what came in) and a few kilobytes a request, so payload explains an *interval* of flow bytes. What lies above
//! its upper end went to S3 without an event: buckets that the trail does not cover, or credentials that are not ours.
//! Transfers cross hours while an event is a point: what is over-explained beside an hour is taken off it.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::{Direction, EgressTable};
use crate::inventory::Inventory;
use crate::net::{Addr, Class, HOUR, Seconds, TimeWindow};
use crate::trail::{Access, PrincipalIndex, TrailRow, is_instance_id};

/// Upper ends: wire bytes for a byte of payload, acknowledgement for a byte received, bytes for a request.
const WIRE: (u128, u128) = (110, 100);
const ACKNOWLEDGED: (u128, u128) = (2, 100);
const REQUEST: u128 = 4_000;

/// One interface and hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Flow bytes to S3.
    pub sent: u128,
    /// Flow bytes from S3.
    pub received: u128,
    /// Payload that its callers sent, by CloudTrail.
    pub uploaded: u128,
    /// Payload that its callers received.
    pub downloaded: u128,
    /// Their requests.
    pub requests: u64,
    /// Rows of the table behind `sent`.
    pub cells: Vec<u32>,
}

/// The balance of all interfaces.
#[derive(Debug, Clone, Default)]
pub struct Reconciliation {
    /// By interface of the table and hour.
    pub balances: BTreeMap<u32, BTreeMap<Seconds, Balance>>,
    /// Payload uploaded by hour from addresses that several machines share, and from no known machine.
    pub shared: BTreeMap<Seconds, u128>,
}

impl Balance {
    /// The most flow bytes that its events explain.
    pub fn explained(&self) -> u128 {
        let part = |bytes: u128, (n, of): (u128, u128)| bytes.saturating_mul(n) / of;
        let received = self.received.max(self.downloaded);
        part(self.uploaded, WIRE)
            .saturating_add(part(received, ACKNOWLEDGED))
            .saturating_add(REQUEST.saturating_mul(self.requests.into()))
    }

    /// Bytes above (or, negative, below) what is explained.
    fn excess(&self) -> i128 {
        let whole = |n: u128| i128::try_from(n).unwrap_or(i128::MAX);
        whole(self.sent).saturating_sub(whole(self.explained()))
    }
}

impl Reconciliation {
    /// Compares the two logs; nothing if the trail has no data event at all, since then S3 counted nothing.
    pub fn new(
        table: &EgressTable,
        index: &PrincipalIndex,
        inventory: &Inventory,
        passing: &BTreeSet<String>,
    ) -> Option<Self> {
        if !index.rows.iter().any(|r| r.access != Access::Management) {
            return None;
        }
        let mut out = Reconciliation::default();
        out.add_flows(table, passing);
        let owners = Owners::of(table, inventory, &out);
        for row in &index.rows {
            if !index.text(row.service).starts_with("s3") || row.bytes_in == 0 && row.bytes_out == 0 {
                continue;
            }
            match owners.of_row(index, row) {
                Owner::Interface(i) => out
                    .balances
                    .entry(i)
                    .or_default()
                    .entry(row.hour)
                    .or_default()
                    .count(row),
                Owner::Shared => *out.shared.entry(row.hour).or_default() += row.bytes_in,
                Owner::Elsewhere => {}
            }
        }
        Some(out)
    }

    fn add_flows(&mut self, table: &EgressTable, passing: &BTreeSet<String>) {
        for (n, row) in table.rows.iter().enumerate() {
            let passes = table
                .interfaces
                .get(row.interface as usize)
                .is_none_or(|i| passing.contains(&i.id));
            if passes || table.peer(row).class != Class::S3 {
                continue;
            }
            let balance = self
                .balances
                .entry(row.interface)
                .or_default()
                .entry(row.hour)
                .or_default();
            match row.direction {
                Direction::Egress => {
                    balance.sent += row.volume.bytes;
                    balance.cells.push(u32::try_from(n).unwrap_or(u32::MAX));
                }
                Direction::Ingress => balance.received += row.volume.bytes,
            }
        }
    }

    /// Unaccounted bytes of an interface by hour: what is over-explained in the hours beside is taken off, and so is what
    /// unknown machines behind shared addresses uploaded then.
    pub fn unaccounted(&self, interface: u32) -> BTreeMap<Seconds, u128> {
        let Some(hours) = self.balances.get(&interface) else {
            return BTreeMap::new();
        };
        let excess = |h: Seconds| hours.get(&h).map_or(0, Balance::excess);
        let net = |h: Seconds| {
            let beside = [h.saturating_sub(HOUR), h.saturating_add(HOUR)].map(|b| excess(b).min(0));
            let shared: u128 = [h.saturating_sub(HOUR), h, h.saturating_add(HOUR)]
                .iter()
                .filter_map(|h| self.shared.get(h))
                .sum();
            let shared = i128::try_from(shared).unwrap_or(i128::MAX);
            excess(h)
                .saturating_add(beside[0])
                .saturating_add(beside[1])
                .saturating_sub(shared)
        };
        let positive = |h: &Seconds| u128::try_from(net(*h)).ok().map(|n| (*h, n));
        hours.keys().filter_map(positive).collect()
    }

    /// Flow bytes to S3, and how many of them no event explains.
    pub fn totals(&self) -> (u128, u128) {
        let sent = self.balances.values().flat_map(|h| h.values()).map(|b| b.sent).sum();
        let open = self
            .balances
            .keys()
            .flat_map(|i| self.unaccounted(*i).into_values())
            .sum();
        (sent, open)
    }
}

impl Balance {
    fn count(&mut self, row: &TrailRow) {
        self.uploaded = self.uploaded.saturating_add(row.bytes_in);
        self.downloaded = self.downloaded.saturating_add(row.bytes_out);
        self.requests += row.requests;
    }
}

/// Whose traffic a call was.
enum Owner {
    Interface(u32),
    Shared,
    Elsewhere,
}

/// Which interface has an address, or serves an instance.
#[derive(Default)]
struct Owners {
    addresses: BTreeMap<Addr, BTreeSet<u32>>,
    instances: BTreeMap<String, BTreeSet<u32>>,
    shared: BTreeSet<Addr>,
}

impl Owners {
    fn of(table: &EgressTable, inventory: &Inventory, flows: &Reconciliation) -> Self {
        let mut out = Owners::default();
        for (n, interface) in table.interfaces.iter().enumerate() {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            if !flows.balances.contains_key(&n) {
                continue;
            }
            let known = inventory.interface(&interface.id);
            let edges = known
                .into_iter()
                .flat_map(|k| k.addresses.iter().chain(&k.public))
                .map(|e| e.to);
            for addr in interface.addresses.iter().copied().chain(edges) {
                out.addresses.entry(addr).or_default().insert(n);
            }
            let served = inventory
                .instance_of(&interface.id, TimeWindow::ALL)
                .map(|e| e.to.clone());
            if let Some(instance) = interface.instance.clone().or(served) {
                out.instances.entry(instance).or_default().insert(n);
            }
        }
        let gateways = inventory.nats.iter().flat_map(|n| &n.public);
        let public = inventory.interfaces.iter().flat_map(|i| &i.public);
        out.shared = gateways.chain(public).map(|e| e.to).collect();
        out
    }

    /// A session named after an instance tells more than an address that several share.
    fn of_row(&self, index: &PrincipalIndex, row: &TrailRow) -> Owner {
        let Some(addr) = index.addr(row.source) else {
            return Owner::Elsewhere;
        };
        let one = |set: Option<&BTreeSet<u32>>| set.filter(|s| s.len() == 1).and_then(|s| s.first().copied());
        let session = index
            .principal(row)
            .and_then(|p| p.session.as_deref())
            .filter(|s| is_instance_id(s));
        let private = addr.is_v4() && matches!(addr.ip(), std::net::IpAddr::V4(v4) if v4.is_private());
        if let Some(i) = one(self.addresses.get(&addr)) {
            return Owner::Interface(i);
        }
        let ours = private || self.shared.contains(&addr) || self.addresses.contains_key(&addr);
        match session.and_then(|s| self.instances.get(s)).and_then(|s| s.first()) {
            Some(i) if ours => Owner::Interface(*i),
            _ if ours => Owner::Shared,
            _ => Owner::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_explains_an_interval_and_beyond_it_bytes_are_unaccounted_for() {
        let balance = |sent, uploaded, received| Balance {
            sent,
            uploaded,
            received,
            requests: 10,
            ..Balance::default()
        };
        let of = |hours: Vec<Balance>| {
            let hours = (0u64..).map(|n| n * HOUR).zip(hours).collect();
            Reconciliation {
                balances: BTreeMap::from([(0, hours)]),
                ..Reconciliation::default()
            }
        };
        // a backup with 5 % of headers, and a download's acknowledgements
        assert!(
            of(vec![balance(1_050_000_000, 1_000_000_000, 0)])
                .unaccounted(0)
                .is_empty()
        );
        assert!(
            of(vec![balance(10_000_000, 0, 1_000_000_000)])
                .unaccounted(0)
                .is_empty()
        );
        // an upload without events
        let open = of(vec![balance(900_000_000, 0, 0)]).unaccounted(0);
        assert_eq!(open[&0], 900_000_000 - 40_000);
        // an event at the end of one hour whose bytes flowed in the next
        let crossing = of(vec![balance(0, 500_000_000, 0), balance(510_000_000, 0, 0)]);
        assert!(crossing.unaccounted(0).is_empty());
    }
}
