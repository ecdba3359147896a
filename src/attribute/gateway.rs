//! Whose bytes a NAT gateway passed on: the sender that the node's own log does not show.
//!
//! Without `pkt-srcaddr` a node's interface logs its first address for all of its pods. What leaves through a NAT gateway is
//! logged at the gateway's interface too, on its way in, with the address that the packets carried: the pod's, unless the
//! node rewrites it. Hours and ports of the two must agree, and with those of one address alone.

use std::collections::{BTreeMap, BTreeSet};

use super::question::Question;
use super::subject::known_addresses;
use crate::aggregate::{Direction, EgressTable, Row};
use crate::inventory::Inventory;
use crate::net::{Addr, Seconds};

/// The sender of some bytes, as a gateway logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOn {
    /// Who sent.
    pub sender: Addr,
    /// The gateway's interface that logged most of it.
    pub gateway: String,
}

/// Per cent of the bytes that must have come from one address.
const ALL: u128 = 90;
/// Per cent of them that any other address may as well have sent.
const CHANCE: u128 = 50;

/// Hour, port, protocol.
type Slot = (Seconds, u16, u8);

/// Bytes by slot and gateway, of each sender.
type Senders = BTreeMap<Addr, BTreeMap<Slot, BTreeMap<u32, u128>>>;

impl PassedOn {
    /// Looks for the address of the interface in question that sent the cited cells, in what `gateways` logged.
    pub fn find(
        table: &EgressTable,
        gateways: &BTreeSet<String>,
        cells: &BTreeSet<u32>,
        question: &Question,
        inventory: &Inventory,
    ) -> Option<Self> {
        let own = known_addresses(inventory, question, question.instance.as_deref(), question.when());
        let cited: Vec<&Row> = cells.iter().filter_map(|c| table.rows.get(*c as usize)).collect();
        let wanted = wanted(table, &cited);
        let total: u128 = wanted.values().sum();
        if own.len() < 2 || total == 0 {
            return None;
        }
        let senders = senders(table, gateways, &wanted, &own);
        let mut ranked: Vec<(u128, Addr)> = senders.iter().map(|(a, got)| (covered(got, &wanted), *a)).collect();
        ranked.sort_by(|a, b| b.cmp(a));
        let (most, sender) = *ranked.first()?;
        let next = ranked.get(1).map_or(0, |(bytes, _)| *bytes);
        let told = most * 100 >= total * ALL && next * 100 < total * CHANCE;
        let logged = cited.iter().any(|r| r.local == sender);
        let interface = table.interfaces.get(busiest(senders.get(&sender)?)? as usize)?;
        (told && !logged).then(|| PassedOn {
            sender,
            gateway: interface.id.clone(),
        })
    }
}

/// Cited egress over IPv4, by slot: a NAT gateway passes nothing else on.
fn wanted(table: &EgressTable, cited: &[&Row]) -> BTreeMap<Slot, u128> {
    let mut out = BTreeMap::new();
    for row in cited {
        if row.local.is_v4() && table.peer(row).class.is_egress() {
            *out.entry((row.hour, row.port, row.protocol)).or_default() += row.volume.bytes;
        }
    }
    out
}

/// What came in at the gateways from the interface's addresses in the same slots.
fn senders(table: &EgressTable, gateways: &BTreeSet<String>, wanted: &BTreeMap<Slot, u128>, own: &[Addr]) -> Senders {
    let mut out = Senders::new();
    let (Some((first, _)), Some((last, _))) = (wanted.first_key_value(), wanted.last_key_value()) else {
        return out;
    };
    let numbered = (0u32..).zip(&table.interfaces);
    for (n, _) in numbered.filter(|(_, i)| gateways.contains(&i.id)) {
        let rows = table.of_interface(n);
        let from = rows.partition_point(|r| r.hour < first.0);
        let rows = rows.iter().skip(from).take_while(|r| r.hour <= last.0);
        for row in rows.filter(|r| r.direction == Direction::Ingress) {
            let (slot, sender) = ((row.hour, row.port, row.protocol), table.peer(row).addr);
            if wanted.contains_key(&slot) && own.contains(&sender) {
                let by_gateway = out.entry(sender).or_default().entry(slot).or_default();
                *by_gateway.entry(n).or_default() += row.volume.bytes;
            }
        }
    }
    out
}

/// How much of what is wanted one sender can have sent.
fn covered(got: &BTreeMap<Slot, BTreeMap<u32, u128>>, wanted: &BTreeMap<Slot, u128>) -> u128 {
    let of = |slot: &Slot| got.get(slot).map_or(0, |g| g.values().sum());
    wanted.iter().map(|(slot, bytes)| of(slot).min(*bytes)).sum()
}

fn busiest(got: &BTreeMap<Slot, BTreeMap<u32, u128>>) -> Option<u32> {
    let mut sums: BTreeMap<u32, u128> = BTreeMap::new();
    for (gateway, bytes) in got.values().flatten() {
        *sums.entry(*gateway).or_default() += bytes;
    }
    sums.into_iter()
        .max_by_key(|(n, bytes)| (*bytes, std::cmp::Reverse(*n)))
        .map(|(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Interface, Peer, Role, Sample, Volume};
    use crate::inventory::{Graph, Mark, Origin, Relation};
    use crate::net::{Class, HOUR};

    const MB: u128 = 1_000_000;

    fn addr(text: &str) -> Addr {
        text.parse().unwrap()
    }

    /// A node with two pods behind a gateway; the node logged 100 MB, the gateway what is given, by sender.
    fn found(at_gateway: &[(&str, u16, u128)]) -> Option<String> {
        let (node, far) = (addr("10.0.0.5"), addr("203.0.113.9"));
        let mut peers: Vec<Peer> = at_gateway
            .iter()
            .map(|(a, ..)| Peer::of_class(addr(a), Class::Home))
            .collect();
        peers.push(Peer::of_class(far, Class::External));
        peers.sort_by_key(|p| p.addr);
        peers.dedup_by_key(|p| p.addr);
        let peer = |a: Addr| peers.iter().position(|p| p.addr == a).unwrap() as u32;
        let row = |interface, peer, direction, port, bytes| Row {
            interface,
            peer,
            hour: HOUR,
            local: if interface == 0 { node } else { addr("10.0.0.200") },
            port,
            protocol: 6,
            direction,
            role: Role::Unknown,
            volume: Volume {
                bytes,
                packets: 1,
                flows: 1,
                first: HOUR,
                last: HOUR + 60,
            },
            sample: Sample::default(),
        };
        let mut rows = vec![row(0, peer(far), Direction::Egress, 443, 100 * MB)];
        rows.extend(
            at_gateway
                .iter()
                .map(|(a, port, mb)| row(1, peer(addr(a)), Direction::Ingress, *port, mb * MB)),
        );
        let named = |id: &str| Interface {
            id: id.into(),
            ..Interface::default()
        };
        let table = EgressTable {
            interfaces: vec![named("eni-1"), named("eni-nat")],
            peers: peers.clone(),
            rows,
        };
        let mut g = Graph::default();
        for a in ["10.0.0.5", "10.0.0.6", "10.0.0.7"] {
            g.say("eni-1", Relation::InterfaceAddress, Some(a), Mark::Seen, Origin("test"));
        }
        let question = Question {
            interface: Some("eni-1".into()),
            ..Question::default()
        };
        let gateways = BTreeSet::from(["eni-nat".to_owned()]);
        let found = PassedOn::find(&table, &gateways, &BTreeSet::from([0]), &question, &g.resolve())?;
        assert_eq!(found.gateway, "eni-nat");
        Some(found.sender.to_string())
    }

    #[test]
    fn a_gateway_names_the_pod_whose_bytes_it_passed_on() {
        let others = [("10.0.0.6", 443, 3), ("10.0.0.7", 443, 102), ("10.0.0.99", 443, 500)];
        assert_eq!(found(&others).as_deref(), Some("10.0.0.7"));
    }

    #[test]
    fn what_may_be_chance_or_another_service_names_nobody() {
        let two = [("10.0.0.6", 443, 60), ("10.0.0.7", 443, 102)];
        assert_eq!(found(&two), None, "two pods were as busy");
        assert_eq!(found(&[("10.0.0.7", 443, 80)]), None, "not all of it");
        assert_eq!(found(&[("10.0.0.7", 80, 100)]), None, "another port");
        assert_eq!(
            found(&[("10.0.0.5", 443, 100)]),
            None,
            "the node rewrites its pods' address"
        );
        assert_eq!(found(&[("10.0.0.99", 443, 100)]), None, "another machine's");
    }
}
