//! Which addresses are whose, by the inventory.

use crate::inventory::Inventory;
use crate::net::Addr;
use std::collections::BTreeSet;

/// Addresses that the inventory gives to interfaces: they decide directions that records leave open.
pub fn own_addresses(inventory: &Inventory) -> BTreeSet<(String, Addr)> {
    let of = |i: &crate::inventory::KnownInterface| {
        let id = i.id.clone();
        i.addresses
            .iter()
            .map(|e| e.to)
            .map(|a| (id.clone(), a))
            .collect::<Vec<_>>()
    };
    inventory.interfaces.iter().flat_map(of).collect()
}
