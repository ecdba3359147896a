//! To which group of `top` a cell belongs, told from its key and from what the lists say of the far end.

use crate::aggregate::counter::Places;
use crate::aggregate::filter::Filter;
use crate::aggregate::key::{FlowKey, Grain, peer_as_class};
use crate::aggregate::spill::{Packed, bytes_of};
use crate::aggregate::table::{Interface, Peer};
use crate::aggregate::top::{Key, Query};
use crate::net::{Addr, Class, Country, HOUR, Seconds, rfc3339};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The keys of a group; those that were not asked for are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Group {
    local: Addr,
    peer: Addr,
    /// One more than the number, 0 for none.
    asn: u64,
    interface: u32,
    hour: u32,
    /// One more than the place among the services that were met, 0 for none.
    service: u32,
    country: [u8; 2],
    port: u16,
    class: u8,
}

/// What a group needs of the far end.
#[derive(Debug, Clone, Copy)]
struct Facts {
    class: Class,
    asn: u64,
    country: [u8; 2],
    service: u32,
    kept: bool,
}

/// Finds groups.
pub(super) struct Groups<'q, P> {
    query: &'q Query,
    filter: &'q Filter,
    grain: &'q Grain,
    places: &'q P,
    services: Vec<String>,
    /// What was asked lately.
    facts: HashMap<Addr, Facts, RandomState>,
}

/// Far ends that are remembered.
const REMEMBERED: usize = 1 << 15;

impl<'q, P: Places> Groups<'q, P> {
    pub(super) fn new(query: &'q Query, filter: &'q Filter, grain: &'q Grain, places: &'q P) -> Self {
        Groups {
            query,
            filter,
            grain,
            places,
            services: Vec::new(),
            facts: HashMap::default(),
        }
    }

    /// The group of a cell whose direction is known, if it is asked for.
    pub(super) fn of(&mut self, key: &FlowKey) -> Option<Group> {
        let direction = key.sides.direction()?;
        if !self.query.ways.wants(direction) {
            return None;
        }
        let facts = self.facts(key);
        let wanted = self.grain.wants(direction, facts.class);
        let mut group = Group::default();
        for asked in &self.query.keys {
            match asked {
                Key::Eni => group.interface = key.interface,
                Key::Src => group.local = key.local,
                Key::Dst => group.peer = key.peer,
                Key::Asn => group.asn = facts.asn,
                Key::Country => group.country = facts.country,
                Key::Service => group.service = facts.service,
                Key::Port => group.port = key.port,
                Key::Hour => group.hour = key.hour,
                Key::Class => group.class = facts.class as u8,
            }
        }
        (wanted && facts.kept).then_some(group)
    }

    fn facts(&mut self, key: &FlowKey) -> Facts {
        let (peer, is_class) = (key.peer, key.sides.is_classed());
        let needed = |k: &Key| matches!(k, Key::Asn | Key::Country | Key::Service);
        if !self.query.keys.iter().any(needed) && !self.filter.needs_peer() {
            let class = if is_class {
                peer_as_class(peer)
            } else {
                self.places.class(peer)
            };
            return Facts {
                class,
                asn: 0,
                country: [0; 2],
                service: 0,
                kept: true,
            };
        }
        if let Some(facts) = self.facts.get(&peer) {
            return *facts;
        }
        let facts = match is_class {
            true => self.facts_of(&Peer::of_class(peer, peer_as_class(peer))),
            false => self.facts_of(&self.places.peer(peer)),
        };
        if self.facts.len() >= REMEMBERED {
            self.facts.clear();
        }
        self.facts.insert(peer, facts);
        facts
    }

    fn facts_of(&mut self, peer: &Peer) -> Facts {
        let service = peer.service.as_ref().map_or(0, |name| {
            let place = self.services.iter().position(|s| s == name);
            let place = place.unwrap_or_else(|| {
                self.services.push(name.clone());
                self.services.len() - 1
            });
            place as u32 + 1
        });
        Facts {
            class: peer.class,
            asn: peer.asn.map_or(0, |a| u64::from(a) + 1),
            country: peer.country.map_or([0; 2], |c| c.0),
            service,
            kept: self.filter.keeps_peer(peer),
        }
    }

    /// The keys as text, as they were asked for.
    pub(super) fn texts(&self, group: &Group, interfaces: &[Interface]) -> Vec<String> {
        let text = |key: &Key| self.text(group, *key, interfaces).unwrap_or_else(|| "-".into());
        self.query.keys.iter().map(text).collect()
    }

    fn text(&self, group: &Group, key: Key, interfaces: &[Interface]) -> Option<String> {
        match key {
            Key::Eni => interfaces.get(group.interface as usize).map(|i| i.id.clone()),
            Key::Src => Some(group.local.to_string()),
            Key::Dst => Some(group.peer.to_string()),
            Key::Asn => group.asn.checked_sub(1).map(|a| format!("AS{a}")),
            Key::Country => Some(Country(group.country))
                .filter(|c| c.0 != [0; 2])
                .map(|c| c.to_string()),
            Key::Service => self.services.get(group.service.checked_sub(1)? as usize).cloned(),
            Key::Port => Some(group.port.to_string()),
            Key::Hour => Some(rfc3339(Seconds::from(group.hour) * HOUR)),
            Key::Class => {
                let class = Class::ALL.into_iter().find(|c| *c as u8 == group.class);
                class.map(|c| c.to_string())
            }
        }
    }
}

impl Packed for Group {
    const BYTES: usize = 57;

    fn pack(&self, out: &mut Vec<u8>) {
        out.extend(self.local.0.to_le_bytes());
        out.extend(self.peer.0.to_le_bytes());
        out.extend(self.asn.to_le_bytes());
        out.extend(self.interface.to_le_bytes());
        out.extend(self.hour.to_le_bytes());
        out.extend(self.service.to_le_bytes());
        out.extend(self.country);
        out.extend(self.port.to_le_bytes());
        out.push(self.class);
    }

    fn unpack(from: &mut &[u8]) -> Self {
        Group {
            local: Addr(u128::from_le_bytes(bytes_of(from))),
            peer: Addr(u128::from_le_bytes(bytes_of(from))),
            asn: u64::from_le_bytes(bytes_of(from)),
            interface: u32::from_le_bytes(bytes_of(from)),
            hour: u32::from_le_bytes(bytes_of(from)),
            service: u32::from_le_bytes(bytes_of(from)),
            country: bytes_of(from),
            port: u16::from_le_bytes(bytes_of(from)),
            class: u8::from_le_bytes(bytes_of(from)),
        }
    }
}
