//! Which interfaces only pass traffic on: a byte is counted once, where it began (design.md, counting rule 5).
//!
//! NAT gateways, transit gateways, endpoints and network load balancers log bytes that an originator's interface logged
//! too. They are known, surest first, by the `interface-type` of version 11, by `resource-id`, by the inventory, by packet
//! addresses that are not the interface's own, and in plain version 2 by behaviour: what comes in from home on a service
//! port goes out to the same service, and other interfaces sent as much to the same far ends in the same hours. An
//! application load balancer ends connections itself: what it answers to visitors began there.

use crate::aggregate::table::{Direction, EgressTable, Interface, Role, Row};
use crate::net::{Addr, Class, Seconds};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Why an interface is taken for one that passes traffic on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// `interface-type` (version 11).
    InterfaceType,
    /// `resource-id` of a regional NAT gateway.
    ResourceId,
    /// The inventory, or CloudTrail.
    Inventory,
    /// Packet addresses that are not its own.
    PacketAddress,
    /// Bytes in and out agree with what others sent.
    Behaviour,
}

/// Which interfaces pass traffic on, and how much of theirs nobody else explains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vantage {
    /// Interfaces that pass traffic on: left out of every sum.
    pub middleboxes: BTreeMap<String, Sign>,
    /// NAT gateways whose originators are not in the archive: counted at the gateway, and said so.
    pub shared: BTreeMap<String, Sign>,
    /// Egress on middleboxes, in bytes.
    pub passed_on: u128,
    /// The part of it that no originator in the archive explains, in bytes.
    pub residual: u128,
}

/// Behaviour below this many bytes of egress decides nothing.
const LEAST: u128 = 1_000_000;
/// Share of a gateway's egress that must have come in from home on the same service in the same hour.
const RELAYED: f64 = 0.8;
/// Share of a gateway's egress that other interfaces must have sent to the same far ends.
const EXPLAINED: f64 = 0.8;
/// Below this share nobody in the archive is the originator.
const UNEXPLAINED: f64 = 0.1;

/// Decides over a table; `known` tells what an inventory says of an interface id.
pub fn decide(table: &EgressTable, known: &(dyn Fn(&str) -> Option<bool> + Sync)) -> Vantage {
    let interfaces = table.interfaces.par_iter().enumerate();
    let suspect = |(n, interface): (usize, &Interface)| {
        let n = n as u32;
        let behaves = || known(&interface.id).is_none() && relays(table, table.of_interface(n));
        let sign = named(interface, known).or_else(|| behaves().then_some(Sign::Behaviour));
        Some((n, sign?))
    };
    let suspects: Vec<(u32, Sign)> = interfaces.filter_map(suspect).collect();
    let far = FarSums::of(table, &suspects);
    let mut vantage = Vantage::default();
    for (n, sign) in suspects {
        let Some(interface) = table.interfaces.get(n as usize) else {
            continue;
        };
        let (out, explained) = far.explained(table, table.of_interface(n));
        let nobody = out >= LEAST && (explained as f64) < UNEXPLAINED * out as f64;
        if nobody {
            vantage.shared.insert(interface.id.clone(), sign);
        } else if sign != Sign::Behaviour || explained as f64 >= EXPLAINED * out as f64 {
            vantage.middleboxes.insert(interface.id.clone(), sign);
            vantage.passed_on += out;
            vantage.residual += out - explained;
        }
    }
    vantage
}

/// What the records' own fields or the inventory say.
fn named(interface: &Interface, known: &(dyn Fn(&str) -> Option<bool> + Sync)) -> Option<Sign> {
    const KINDS: [&str; 5] = [
        "nat_gateway",
        "network_load_balancer",
        "regional_nat_gateway",
        "transit_gateway",
        "vpc_endpoint",
    ];
    let signs = &interface.signs;
    if signs.kind.as_deref().is_some_and(|k| KINDS.contains(&k)) {
        return Some(Sign::InterfaceType);
    }
    if interface.id.starts_with("nat-") {
        return Some(Sign::ResourceId);
    }
    match known(&interface.id) {
        Some(true) => Some(Sign::Inventory),
        // An interface without an instance, or one that sends on what came in for far addresses.
        _ if signs.transit > 0 && (signs.detached || signs.passed >= LEAST) => Some(Sign::PacketAddress),
        _ => None,
    }
}

/// Egress by hour to the far ends of some interfaces, over all interfaces.
struct FarSums {
    bytes: Sums<(Seconds, Addr)>,
}

/// Bytes by something; nothing depends on the order.
type Sums<K> = HashMap<K, u128, RandomState>;

type Service = (Seconds, u16, u8);

impl FarSums {
    fn of(table: &EgressTable, interfaces: &[(u32, Sign)]) -> Self {
        let mut bytes = Sums::default();
        for (n, _) in interfaces {
            bytes.extend(sent(table, table.of_interface(*n)).into_keys().map(|place| (place, 0)));
        }
        if !bytes.is_empty() {
            for row in table.rows.iter().filter(|r| leaves(table, r)) {
                if let Some(sum) = bytes.get_mut(&(row.hour, table.peer(row).addr)) {
                    *sum += row.volume.bytes;
                }
            }
        }
        FarSums { bytes }
    }

    /// An interface's egress, and how much of it others sent to the same far ends in the same hours.
    fn explained(&self, table: &EgressTable, rows: &[Row]) -> (u128, u128) {
        let own = sent(table, rows);
        let out = own.values().sum();
        let others = |key, mine: u128| self.bytes.get(key).map_or(0, |all| all - mine).min(mine);
        (out, own.iter().map(|(key, mine)| others(key, *mine)).sum())
    }
}

/// Egress to every far end by hour.
fn sent(table: &EgressTable, rows: &[Row]) -> Sums<(Seconds, Addr)> {
    let mut sums = Sums::default();
    for row in rows.iter().filter(|r| leaves(table, r)) {
        *sums.entry((row.hour, table.peer(row).addr)).or_default() += row.volume.bytes;
    }
    sums
}

/// True if the interface of these rows sends out what came in from home for the same service in the same hour.
fn relays(table: &EgressTable, rows: &[Row]) -> bool {
    let (mut came, mut went) = (Sums::<Service>::default(), Sums::<Service>::default());
    for row in rows.iter().filter(|r| r.protocol != ICMP) {
        let service = (row.hour, row.port, row.protocol);
        let from_home = row.direction == Direction::Ingress && table.peer(row).class == Class::Home;
        if from_home && row.role != Role::Client {
            *came.entry(service).or_default() += row.volume.bytes;
        } else if leaves(table, row) && row.role != Role::Server {
            *went.entry(service).or_default() += row.volume.bytes;
        }
    }
    let out: u128 = went.values().sum();
    let relayed: u128 = went
        .iter()
        .map(|(s, n)| came.get(s).copied().unwrap_or(0).min(*n))
        .sum();
    out >= LEAST && relayed as f64 >= RELAYED * out as f64
}

const ICMP: u8 = 1;

fn leaves(table: &EgressTable, row: &Row) -> bool {
    row.direction == Direction::Egress && table.peer(row).class.is_egress()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::table::{Peer, Sample, Volume};

    /// interface, egress?, peer (0: a host at home), port, bytes
    fn table(ids: &[&str], rows: &[(u32, bool, u32, u16, u128)]) -> EgressTable {
        let home = Peer::of_class(Addr::v4(0x0a00_0001), Class::Home);
        let far = (1..4).map(|n| Peer::of_class(Addr::v4(0xc000_0200 + n), Class::External));
        let mut table = EgressTable {
            interfaces: ids
                .iter()
                .map(|id| Interface {
                    id: (*id).into(),
                    ..Interface::default()
                })
                .collect(),
            peers: std::iter::once(home).chain(far).collect(),
            rows: Vec::new(),
        };
        for (interface, egress, peer, port, bytes) in rows {
            table.rows.push(Row {
                interface: *interface,
                peer: *peer,
                hour: 0,
                local: Addr::v4(0x0a00_0100 + interface),
                port: *port,
                protocol: 6,
                direction: if *egress { Direction::Egress } else { Direction::Ingress },
                role: if *egress { Role::Client } else { Role::Server },
                volume: Volume {
                    bytes: *bytes,
                    packets: 1,
                    flows: 1,
                    first: 0,
                    last: 1,
                },
                sample: Sample::default(),
            });
        }
        table.sort();
        table
    }

    const MB: u128 = 1_000_000;

    #[test]
    fn a_nat_gateway_is_known_by_behaviour_in_plain_version_2() {
        let t = table(
            &["eni-host", "eni-nat"],
            &[
                (0, true, 1, 443, 50 * MB),
                (1, false, 0, 443, 50 * MB),
                (1, true, 1, 443, 50 * MB),
            ],
        );
        let v = decide(&t, &|_| None);
        assert_eq!(
            v.middleboxes,
            BTreeMap::from([("eni-nat".to_string(), Sign::Behaviour)])
        );
        assert_eq!((v.passed_on, v.residual), (50 * MB, 0));
    }

    #[test]
    fn a_host_that_forwards_what_others_never_sent_there_is_no_gateway() {
        // The thief's relay: bytes come in from home and leave, but no other interface sent to that far end.
        let t = table(
            &["eni-host", "eni-relay"],
            &[
                (0, true, 2, 443, 50 * MB),
                (1, false, 0, 443, 50 * MB),
                (1, true, 1, 443, 50 * MB),
            ],
        );
        let v = decide(&t, &|_| None);
        assert!(v.middleboxes.is_empty());
    }

    #[test]
    fn hosts_that_talk_to_the_same_far_end_are_no_gateways() {
        let t = table(
            &["eni-a", "eni-b"],
            &[(0, true, 1, 443, 50 * MB), (1, true, 1, 443, 50 * MB)],
        );
        assert!(decide(&t, &|_| None).middleboxes.is_empty());
    }

    #[test]
    fn a_gateway_without_originators_is_counted_and_what_is_unexplained_is_shown() {
        let alone = table(&["eni-nat"], &[(0, true, 1, 443, 50 * MB)]);
        let v = decide(&alone, &|_| Some(true));
        assert!(v.middleboxes.is_empty() && v.shared.contains_key("eni-nat"));
        let most = table(
            &["eni-host", "eni-nat"],
            &[(0, true, 1, 443, 40 * MB), (1, true, 1, 443, 50 * MB)],
        );
        assert_eq!(decide(&most, &|id| Some(id == "eni-nat")).residual, 10 * MB);
    }
}
