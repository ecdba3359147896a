//! What the trail's detectors may see: the index, the estate, and what the lists say of every caller's address.
//!
//! A caller is *inside* if it speaks from a private address, or from a public one that belongs to the estate: an Elastic
//! IP, a NAT gateway, or an address of Amazon's that several of our instances share. Everybody else calls from a place:
//! the operator of the network (its AS number, else the network itself) and the country.

use std::collections::{BTreeMap, BTreeSet};

use super::deed::{Deed, deed};
use crate::aggregate::Peer;
use crate::inventory::Inventory;
use crate::net::{Addr, Class};
use crate::trail::{PrincipalIndex, TrailRow};

/// Everything that is to be judged.
#[derive(Debug)]
pub struct TrailCase<'a> {
    /// Who did what from where.
    pub index: &'a PrincipalIndex,
    /// Interfaces, instances, endpoints.
    pub inventory: &'a Inventory,
    /// Accounts that are ours.
    pub own_accounts: BTreeSet<String>,
    callers: BTreeMap<u32, Caller>,
    deeds: Vec<Deed>,
}

/// A caller's address.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address.
    pub addr: Addr,
    /// What the lists say of it.
    pub peer: Peer,
    /// The operator of its network: `AS64500`, else `192.0.0.0/16`; `inside` for our own.
    pub place: String,
    /// True if the address is ours.
    pub inside: bool,
    /// True if the operator is known by its number, so that a new one means something.
    pub operator: bool,
}

impl<'a> TrailCase<'a> {
    /// Looks up every caller once. `facts` are the lists' (see `aggregate::Places`); `own` adds accounts to those in whose
    /// trails the events stand.
    pub fn new(
        index: &'a PrincipalIndex,
        inventory: &'a Inventory,
        own: impl IntoIterator<Item = String>,
        facts: &dyn Fn(Addr) -> Peer,
    ) -> Self {
        let ours = own_public(inventory);
        let sources: BTreeSet<u32> = index.rows.iter().map(|r| r.source).collect();
        let look = |id: u32| Some((id, Caller::new(facts(index.addr(id)?), &ours)));
        let accounts = index.accounts.iter().chain(&inventory.accounts).cloned();
        let mut case = TrailCase {
            index,
            inventory,
            own_accounts: accounts.chain(own).collect(),
            callers: sources.into_iter().filter_map(look).collect(),
            deeds: Vec::new(),
        };
        case.learn_gateways();
        let kind = |r: &TrailRow| deed(index.text(r.service), index.text(r.event));
        case.deeds = index.rows.iter().map(kind).collect();
        case
    }

    /// The caller of a row; none for AWS services and unreadable addresses.
    pub fn caller(&self, row: &TrailRow) -> Option<&Caller> {
        self.callers.get(&row.source)
    }

    /// What kind of deed a row is.
    pub fn deed(&self, row: u32) -> Deed {
        self.deeds.get(row as usize).copied().unwrap_or_default()
    }

    /// True if an account is known and not ours. A trail that names no account at all knows no foreign one.
    pub fn is_foreign(&self, account: &str) -> bool {
        let number = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
        number && !self.own_accounts.is_empty() && !self.own_accounts.contains(account)
    }

    /// Addresses of Amazon's that sessions of several instances share are gateways of ours.
    fn learn_gateways(&mut self) {
        let mut instances: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
        for row in &self.index.rows {
            if let Some(instance) = self.index.principal(row).and_then(|p| p.instance.as_deref()) {
                instances.entry(row.source).or_default().insert(instance);
            }
        }
        for (source, sharing) in instances {
            let caller = self.callers.get_mut(&source).filter(|_| sharing.len() > 1);
            if let Some(caller) = caller.filter(|c| matches!(c.peer.class, Class::Aws | Class::S3)) {
                caller.take_in();
            }
        }
    }
}

impl Caller {
    fn new(peer: Peer, ours: &BTreeSet<Addr>) -> Self {
        let inside = matches!(peer.class, Class::Home | Class::Special) || ours.contains(&peer.addr);
        let mut caller = Caller {
            addr: peer.addr,
            place: peer.asn.map_or_else(|| network(peer.addr), |n| format!("AS{n}")),
            operator: peer.asn.is_some(),
            inside: false,
            peer,
        };
        if inside {
            caller.take_in();
        }
        caller
    }

    fn take_in(&mut self) {
        self.inside = true;
        self.place = INSIDE.to_owned();
    }

    /// The lists that name the address and whose labels begin like this.
    pub fn labels(&self, start: &str) -> Vec<&str> {
        let wanted = |l: &&str| l.starts_with(start);
        self.peer.labels.iter().map(AsRef::as_ref).filter(wanted).collect()
    }

    /// The address with what is known of it, for a sentence.
    pub fn words(&self) -> String {
        let mut facts: Vec<String> = self.peer.labels.iter().map(ToString::to_string).collect();
        facts.extend(self.peer.country.map(|c| c.to_string()));
        facts.extend(self.peer.asn.map(|a| format!("AS{a}")));
        if facts.is_empty() {
            self.addr.to_string()
        } else {
            format!("{} ({})", self.addr, facts.join(", "))
        }
    }
}

/// The place of all addresses that are ours.
const INSIDE: &str = "inside";

/// Where there is no AS number: a network of a size that providers give to a region.
fn network(addr: Addr) -> String {
    match addr.as_v4() {
        Some(n) => format!("{}/16", Addr::v4(n & 0xffff_0000)),
        None => format!("{}/32", Addr(addr.0 & !(u128::MAX >> 32))),
    }
}

/// Addresses of the estate.
fn own_public(inventory: &Inventory) -> BTreeSet<Addr> {
    let of_interfaces = inventory
        .interfaces
        .iter()
        .flat_map(|i| i.public.iter().chain(&i.addresses));
    let of_nats = inventory.nats.iter().flat_map(|n| &n.public);
    of_interfaces.chain(of_nats).map(|e| e.to).collect()
}
