//! Who listens, learned from the whole: one port with many partners is a service (design.md, counting rule 3).
//!
//! Where neither flags nor port ranges told (two high ports, mostly), the record kept both ports. A local port that many
//! different far ends spoke to, while their ports change, listens; a far port that many local ports spoke to does.

use crate::aggregate::key::{FlowKey, Sides};
use crate::aggregate::rules::Cells;
use crate::aggregate::spill::Room;
use crate::aggregate::table::Role;
use crate::net::Addr;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

/// A service has at least so many partners, and so many times those of the other side.
const PARTNERS: usize = 3;
const TIMES: usize = 2;
/// Partners counted of one port: more change nothing.
const ENOUGH: usize = 64;

type Local = (u32, Addr, u8, u16);
type Far = (Addr, u8, u16);

type Set<T> = HashSet<T, RandomState>;

/// Decides the roles that were left open, and adds up what then shares a key.
pub(super) fn is_open(key: &FlowKey) -> bool {
    key.sides.role() == Role::Unknown && key.other_port != 0
}

/// Who spoke to whom, where nothing told who listens.
#[derive(Debug, Default)]
pub(super) struct Partners {
    of_local: HashMap<Local, Set<(Addr, u16)>, RandomState>,
    of_far: HashMap<Far, Set<(u32, u16)>, RandomState>,
}

impl Partners {
    /// Of all cells.
    pub(super) fn of(cells: Cells<'_>, room: &Room) -> Partners {
        cells.fold(
            Partners::default,
            |partners, key, _| partners.add(key, room),
            Partners::and,
        )
    }

    fn add(&mut self, key: &FlowKey, room: &Room) {
        // Two sets of one each, or two more in sets that there are.
        if is_open(key) && room.take(300) {
            note(
                self.of_local.entry(local(key)).or_default(),
                [(key.peer, key.other_port)],
            );
            note(self.of_far.entry(far(key)).or_default(), [(key.interface, key.port)]);
        }
    }

    fn and(mut self, other: Partners) -> Partners {
        for (local, partners) in other.of_local {
            note(self.of_local.entry(local).or_default(), partners);
        }
        for (far, partners) in other.of_far {
            note(self.of_far.entry(far).or_default(), partners);
        }
        self
    }

    /// The same key with its role decided; any other is left as it is.
    pub(super) fn decide(&self, key: FlowKey) -> FlowKey {
        if !is_open(&key) {
            return key;
        }
        let ours = self.of_local.get(&local(&key)).map_or(0, Set::len);
        let theirs = self.of_far.get(&far(&key)).map_or(0, Set::len);
        let (role, port) = if ours >= PARTNERS && ours >= TIMES * theirs {
            (Role::Server, key.port)
        } else if theirs >= PARTNERS && theirs >= TIMES * ours {
            (Role::Client, key.other_port)
        } else {
            (Role::Unknown, key.port.min(key.other_port))
        };
        FlowKey {
            sides: Sides::new(key.sides.bearing(), role).classed(key.sides.is_classed()),
            port,
            other_port: 0,
            ..key
        }
    }
}

fn note<T: std::hash::Hash + Eq>(partners: &mut Set<T>, more: impl IntoIterator<Item = T>) {
    for partner in more {
        if partners.len() < ENOUGH {
            partners.insert(partner);
        }
    }
}

fn local(k: &FlowKey) -> Local {
    (k.interface, k.local, k.protocol, k.port)
}

fn far(k: &FlowKey) -> Far {
    (k.peer, k.protocol, k.other_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::key::{Bearing, Cell};
    use crate::aggregate::table::Direction;

    fn cell(peer: u32, port: u16, other_port: u16) -> (FlowKey, Cell) {
        let sides = Sides::new(Bearing::Known(Direction::Egress), Role::Unknown);
        let (local, peer) = (Addr::v4(1), Addr::v4(peer));
        let key = FlowKey {
            local,
            peer,
            interface: 0,
            log: 0,
            other_port,
            hour: 0,
            port,
            protocol: 6,
            sides,
        };
        (
            key,
            Cell {
                bytes: 1,
                packets: 1,
                flows: 1,
                first: 0,
                last: 1,
                sample: (0, 1),
            },
        )
    }

    fn roles(cells: Vec<(FlowKey, Cell)>) -> Vec<(Role, u16)> {
        let partners = Partners::of(&cells, &Room::endless());
        let decided = cells.iter().map(|(key, _)| partners.decide(*key));
        let mut all: Vec<_> = decided.map(|k| (k.sides.role(), k.port)).collect();
        all.dedup();
        all
    }

    #[test]
    fn a_local_port_with_many_partners_listens() {
        assert_eq!(
            roles((0..5).map(|i| cell(10 + i, 8_080, 5_000 + i as u16)).collect()),
            [(Role::Server, 8_080)]
        );
    }

    #[test]
    fn a_far_port_that_many_local_ports_speak_to_listens() {
        assert_eq!(
            roles((0..5).map(|i| cell(10, 5_000 + i, 9_200)).collect()),
            [(Role::Client, 9_200)]
        );
    }

    #[test]
    fn a_single_pair_stays_unknown_under_its_lower_port() {
        assert_eq!(roles(vec![cell(10, 40_000, 50_000)]), [(Role::Unknown, 40_000)]);
    }
}
