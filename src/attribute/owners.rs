//! Whose traffic was a call of S3? The address tells where one interface has it; else the session named after an instance;
//! else only the network behind whose gateway it came.
//!
//! Private ranges overlap and addresses are handed on: an address counts for an interface only while it had it, and only
//! in the network of the endpoint through which the call came.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::EgressTable;
use crate::inventory::Inventory;
use crate::net::{Addr, HOUR, TimeWindow};
use crate::trail::{PrincipalIndex, TrailRow, is_instance_id};

/// Whose traffic a call was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// That of one interface of the table.
    Interface(u32),
    /// That of some machine in the named network, or in one that is not known.
    Shared(Option<String>),
    /// Not ours.
    Elsewhere,
}

/// Which interface has an address, or serves an instance.
pub(super) struct Owners<'a> {
    inventory: &'a Inventory,
    addresses: BTreeMap<Addr, Vec<(u32, TimeWindow)>>,
    instances: BTreeMap<String, BTreeSet<u32>>,
    /// The network of each interface that talks to S3.
    networks: BTreeMap<u32, String>,
    /// Addresses that are ours without being one interface's, and the network behind them.
    gateways: BTreeMap<Addr, Option<String>>,
}

impl<'a> Owners<'a> {
    /// Those of the interfaces in `talking`.
    pub(super) fn of(table: &EgressTable, inventory: &'a Inventory, talking: &BTreeSet<u32>) -> Self {
        let mut out = Owners {
            inventory,
            addresses: BTreeMap::new(),
            instances: BTreeMap::new(),
            networks: BTreeMap::new(),
            gateways: gateways(inventory),
        };
        for (n, interface) in (0u32..).zip(&table.interfaces).filter(|(n, _)| talking.contains(n)) {
            out.take(n, interface);
        }
        out
    }

    fn take(&mut self, n: u32, interface: &crate::aggregate::Interface) {
        let known = self.inventory.interface(&interface.id);
        let edges = known.into_iter().flat_map(|k| k.addresses.iter().chain(&k.public));
        let edges: Vec<(Addr, TimeWindow)> = edges.map(|e| (e.to, e.span)).collect();
        let seen = interface.addresses.iter().map(|a| (*a, TimeWindow::ALL));
        let unknown = seen.filter(|(a, _)| edges.iter().all(|(known, _)| known != a));
        for (addr, span) in edges.iter().copied().chain(unknown) {
            self.addresses.entry(addr).or_default().push((n, span));
        }
        let served = self.inventory.instance_of(&interface.id, TimeWindow::ALL);
        if let Some(instance) = interface.instance.clone().or(served.map(|e| e.to.clone())) {
            self.instances.entry(instance).or_default().insert(n);
        }
        if let Some(network) = interface.vpc.clone().or(known.and_then(|k| k.vpc.clone())) {
            self.networks.insert(n, network);
        }
    }

    /// Whose a row of the trail was.
    pub(super) fn of_row(&self, index: &PrincipalIndex, row: &TrailRow) -> Owner {
        let Some(addr) = index.addr(row.source) else {
            return Owner::Elsewhere;
        };
        let endpoint = self.inventory.endpoint(index.text(row.endpoint));
        let network = endpoint.and_then(|e| e.vpc.clone());
        let holders = self.holders(addr, row, network.as_deref());
        if let [one] = holders.as_slice() {
            return Owner::Interface(*one);
        }
        let private = addr.is_v4() && matches!(addr.ip(), std::net::IpAddr::V4(v4) if v4.is_private());
        let gateway = self.gateways.get(&addr);
        if !private && gateway.is_none() && holders.is_empty() {
            return Owner::Elsewhere;
        }
        match self.session(index, row) {
            Some(one) => Owner::Interface(one),
            None => Owner::Shared(network.or_else(|| gateway.cloned().flatten())),
        }
    }

    /// The interfaces that had the address then, in that network.
    fn holders(&self, addr: Addr, row: &TrailRow, network: Option<&str>) -> Vec<u32> {
        let then = TimeWindow {
            from: row.first,
            to: row.last.saturating_add(1),
        }
        .widen(HOUR);
        let near = |n: u32| network.is_none_or(|v| self.networks.get(&n).is_none_or(|own| own == v));
        let all = self.addresses.get(&addr).into_iter().flatten();
        let set: BTreeSet<u32> = all
            .filter(|(n, span)| span.overlaps(&then) && near(*n))
            .map(|(n, _)| *n)
            .collect();
        set.into_iter().collect()
    }

    /// The interface of the instance that the session is named after.
    fn session(&self, index: &PrincipalIndex, row: &TrailRow) -> Option<u32> {
        let session = index.principal(row)?.session.as_deref()?;
        let of = self.instances.get(session).filter(|_| is_instance_id(session))?;
        of.first().copied()
    }

    /// True if calls from the named network may be an interface's.
    pub(super) fn may_be(&self, interface: u32, network: Option<&str>) -> bool {
        match (self.networks.get(&interface), network) {
            (Some(own), Some(network)) => own == network,
            _ => true,
        }
    }
}

/// Public addresses of gateways and interfaces.
fn gateways(inventory: &Inventory) -> BTreeMap<Addr, Option<String>> {
    let nats = inventory.nats.iter().map(|n| (&n.public, &n.vpc));
    let own = inventory.interfaces.iter().map(|i| (&i.public, &i.vpc));
    own.chain(nats)
        .flat_map(|(public, vpc)| public.iter().map(move |e| (e.to, vpc.clone())))
        .collect()
}
