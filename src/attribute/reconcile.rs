//! Reconciliation: the bytes that an interface exchanged with S3, against the bytes that S3 counted for its callers.
//!
//! Flow logs count packets, CloudTrail payload: [`Balance`] says which interval of the one explains the other. What lies
//! above its upper end went to S3 without an event: buckets that the trail does not cover, or credentials that are not
//! ours. A transfer may cross an hour while its event is a point in time: bytes that the hour beside has too few of are
//! taken off, each once. What machines without a name of their own moved behind a shared address may be anybody's of that
//! network, so it is taken off everybody's.

use std::collections::{BTreeMap, BTreeSet};

use super::balance::{Balance, Payload, Way};
use super::owners::{Owner, Owners};
use crate::aggregate::{Direction, EgressTable};
use crate::inventory::Inventory;
use crate::net::{Class, HOUR, Seconds};
use crate::trail::{Access, PrincipalIndex};

/// The balance of all interfaces.
#[derive(Debug, Clone, Default)]
pub struct Reconciliation {
    /// By interface of the table and hour.
    pub balances: BTreeMap<u32, BTreeMap<Seconds, Balance>>,
    /// By interface and hour: what may be the interface's of calls from addresses that several machines share.
    pub shared: BTreeMap<u32, BTreeMap<Seconds, Payload>>,
    /// False if the trail has no data event at all: then S3 counted nothing, and nothing can be said.
    pub observable: bool,
}

/// One interface and hour or day, reconciled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Interface of the table.
    pub interface: u32,
    /// Start of the hour or day.
    pub start: Seconds,
    /// The sums of both logs.
    pub balance: Balance,
    /// What may be the interface's of shared addresses.
    pub shared: Payload,
    /// Flow bytes to S3 that no event explains.
    pub sent_open: u128,
    /// Flow bytes from S3 that no event explains.
    pub received_open: u128,
}

/// True if the trail records more than management events: without that nothing can be reconciled.
pub fn is_observable(index: &PrincipalIndex) -> bool {
    index.rows.iter().any(|r| r.access != Access::Management)
}

impl Reconciliation {
    /// Compares the two logs. `passing` are interfaces whose bytes began elsewhere.
    pub fn new(table: &EgressTable, index: &PrincipalIndex, inventory: &Inventory, passing: &BTreeSet<String>) -> Self {
        let mut out = Reconciliation {
            observable: is_observable(index),
            ..Reconciliation::default()
        };
        out.add_flows(table, passing);
        let talking: BTreeSet<u32> = out.balances.keys().copied().collect();
        let owners = Owners::of(table, inventory, &talking);
        let mut pools: BTreeMap<Option<String>, BTreeMap<Seconds, Payload>> = BTreeMap::new();
        for row in &index.rows {
            if !index.text(row.service).starts_with("s3") {
                continue;
            }
            match owners.of_row(index, row) {
                Owner::Interface(i) => out.balance(i, row.hour).events.count(row),
                Owner::Shared(network) => pools
                    .entry(network)
                    .or_default()
                    .entry(row.hour)
                    .or_default()
                    .count(row),
                Owner::Elsewhere => {}
            }
        }
        out.share(pools, &owners, &talking);
        out
    }

    fn balance(&mut self, interface: u32, hour: Seconds) -> &mut Balance {
        self.balances.entry(interface).or_default().entry(hour).or_default()
    }

    fn add_flows(&mut self, table: &EgressTable, passing: &BTreeSet<String>) {
        for (n, row) in (0u32..).zip(&table.rows) {
            let passes = table
                .interfaces
                .get(row.interface as usize)
                .is_none_or(|i| passing.contains(&i.id));
            if passes || table.peer(row).class != Class::S3 {
                continue;
            }
            let balance = self.balance(row.interface, row.hour);
            match row.direction {
                Direction::Egress => {
                    balance.sent += row.volume.bytes;
                    balance.cells.push(n);
                }
                Direction::Ingress => balance.received += row.volume.bytes,
            }
        }
    }

    /// Every machine of a network may be behind its shared addresses.
    fn share(
        &mut self,
        pools: BTreeMap<Option<String>, BTreeMap<Seconds, Payload>>,
        owners: &Owners<'_>,
        talking: &BTreeSet<u32>,
    ) {
        for (network, hours) in pools {
            for i in talking.iter().filter(|i| owners.may_be(**i, network.as_deref())) {
                let own = self.shared.entry(*i).or_default();
                for (hour, payload) in &hours {
                    own.entry(*hour).or_default().add(*payload);
                }
            }
        }
    }

    /// Unaccounted bytes to S3 of an interface, by hour.
    pub fn unaccounted(&self, interface: u32) -> BTreeMap<Seconds, u128> {
        let open = self.open(interface, Way::Sent, HOUR);
        open.into_iter().filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// All interfaces by hours or days (`span` in seconds, a multiple of an hour), sorted by interface and time.
    pub fn lines(&self, span: Seconds) -> Vec<Line> {
        let mut out = Vec::new();
        for interface in self.balances.keys() {
            let sent = self.open(*interface, Way::Sent, span);
            let received = self.open(*interface, Way::Received, span);
            for (start, balance) in self.spans(*interface, span) {
                out.push(Line {
                    interface: *interface,
                    start,
                    balance,
                    shared: self.shared_in(*interface, start, start.saturating_add(span)),
                    sent_open: sent.get(&start).copied().unwrap_or(0),
                    received_open: received.get(&start).copied().unwrap_or(0),
                });
            }
        }
        out
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

    /// The balances of an interface, added up.
    fn spans(&self, interface: u32, span: Seconds) -> BTreeMap<Seconds, Balance> {
        let mut out: BTreeMap<Seconds, Balance> = BTreeMap::new();
        for (hour, balance) in self.balances.get(&interface).into_iter().flatten() {
            out.entry(hour - hour % span).or_default().add(balance);
        }
        out
    }

    /// Bytes above what is explained, by hour or day; the hour before and the hour after may have had too few.
    fn open(&self, interface: u32, way: Way, span: Seconds) -> BTreeMap<Seconds, u128> {
        let hours = self.balances.get(&interface).into_iter().flatten();
        let mut spare: BTreeMap<Seconds, u128> = hours.map(|(h, b)| (*h, b.spare(way))).filter(|s| s.1 > 0).collect();
        let mut out = BTreeMap::new();
        for (start, balance) in self.spans(interface, span) {
            let end = start.saturating_add(span);
            let mut open = balance.excess(way);
            for beside in start.checked_sub(HOUR).into_iter().chain([end]) {
                if let Some(left) = spare.get_mut(&beside) {
                    let taken = open.min(*left);
                    (open, *left) = (open - taken, *left - taken);
                }
            }
            let shared = self.shared_in(interface, start.saturating_sub(HOUR), end.saturating_add(HOUR));
            out.insert(start, open.saturating_sub(shared.explains(way, 0).high));
        }
        out
    }

    /// What may be an interface's of shared addresses, from `from` to `to`.
    fn shared_in(&self, interface: u32, from: Seconds, to: Seconds) -> Payload {
        let mut sum = Payload::default();
        for (_, payload) in self.shared.get(&interface).into_iter().flat_map(|h| h.range(from..to)) {
            sum.add(*payload);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Seconds = 24 * HOUR;

    fn balance(sent: u128, uploaded: u128) -> Balance {
        Balance {
            sent,
            events: Payload {
                uploaded,
                downloaded: 0,
                requests: 1,
            },
            ..Balance::default()
        }
    }

    fn books(hours: &[(u64, Balance)]) -> Reconciliation {
        let hours = hours.iter().map(|(h, b)| (h * HOUR, b.clone())).collect();
        Reconciliation {
            balances: BTreeMap::from([(0, hours)]),
            observable: true,
            ..Reconciliation::default()
        }
    }

    #[test]
    fn an_event_at_the_end_of_one_hour_explains_bytes_of_the_next_once() {
        let crossing = [(0, balance(0, 500_000_000)), (1, balance(510_000_000, 0))];
        assert!(books(&crossing).unaccounted(0).is_empty());
        let twice = [&crossing[..], &[(2, balance(510_000_000, 0))]].concat();
        assert_eq!(books(&twice).unaccounted(0).len(), 1);
        let far = [(0, balance(0, 500_000_000)), (2, balance(510_000_000, 0))];
        assert_eq!(books(&far).unaccounted(0)[&(2 * HOUR)], 509_996_000);
    }

    #[test]
    fn the_slack_of_a_large_backup_hides_no_upload_in_the_hour_beside() {
        let beside = [
            (0, balance(105_000_000_000, 100_000_000_000)),
            (1, balance(4_000_000_000, 0)),
        ];
        assert_eq!(books(&beside).unaccounted(0)[&HOUR], 3_999_996_000);
    }

    #[test]
    fn a_day_is_reconciled_as_one_and_looks_one_hour_beyond_midnight() {
        let spread = [(3, balance(0, 500_000_000)), (9, balance(520_000_000, 0))];
        assert_eq!(books(&spread).lines(DAY)[0].sent_open, 0);
        assert_eq!(
            books(&spread).lines(HOUR).iter().map(|l| l.sent_open).sum::<u128>(),
            519_996_000
        );
        let midnight = [(23, balance(0, 500_000_000)), (24, balance(520_000_000, 0))];
        assert!(books(&midnight).lines(DAY).iter().all(|l| l.sent_open == 0));
        let early = [(9, balance(0, 500_000_000)), (24, balance(520_000_000, 0))];
        assert_eq!(books(&early).lines(DAY)[1].sent_open, 519_996_000);
    }

    #[test]
    fn what_came_from_a_shared_address_may_be_anybodys() {
        let mut books = books(&[(5, balance(900_000_000, 0))]);
        let payload = Payload {
            uploaded: 850_000_000,
            downloaded: 0,
            requests: 10,
        };
        books.shared.insert(0, BTreeMap::from([(6 * HOUR, payload)]));
        assert!(books.unaccounted(0).is_empty());
        assert_eq!(books.lines(HOUR)[0].shared, Payload::default());
    }
}
