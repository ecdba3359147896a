//! `top`: the table folded by any subset of its keys, largest sums first.
//!
//! Ties are broken by the keys as text, so that two runs print the same bytes. Text is made only for ties and for the
//! rows that are shown.

use crate::aggregate::cells::Rest;
use crate::aggregate::filter::Filter;
use crate::aggregate::key::Grain;
use crate::aggregate::table::{Direction, EgressTable, Row, Volume};
use crate::error::{Error, Result};
use crate::net::{Class, printable, rfc3339};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeSet;

mod groups;
mod largest;
mod streamed;

pub use streamed::{Streamed, stream_archive, stream_cells};

/// A key of `top --by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Interface.
    Eni,
    /// The interface's own address (pods and secondary addresses apart).
    Src,
    /// Peer address.
    Dst,
    /// Peer's autonomous system.
    Asn,
    /// Peer's country.
    Country,
    /// Peer's AWS service.
    Service,
    /// Service port.
    Port,
    /// Hour in which the records started.
    Hour,
    /// Peer's class.
    Class,
}

/// Every key and its name.
pub const KEYS: [(&str, Key); 9] = [
    ("eni", Key::Eni),
    ("src", Key::Src),
    ("dst", Key::Dst),
    ("asn", Key::Asn),
    ("country", Key::Country),
    ("service", Key::Service),
    ("port", Key::Port),
    ("hour", Key::Hour),
    ("class", Key::Class),
];

impl std::str::FromStr for Key {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        KEYS.iter()
            .find(|(name, _)| *name == s)
            .map(|(_, k)| *k)
            .ok_or_else(|| {
                let names: Vec<_> = KEYS.iter().map(|(n, _)| *n).collect();
                Error::usage(format!(
                    "--by: `{}` is not one of {}",
                    printable(s.as_bytes()),
                    names.join(", ")
                ))
            })
    }
}

impl Key {
    /// The name, as in `--by` and as a column's header.
    pub fn name(self) -> &'static str {
        KEYS.iter().find(|(_, k)| *k == self).map_or("", |(n, _)| n)
    }
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ways {
    /// Out.
    #[default]
    Egress,
    /// In.
    Ingress,
    /// Out and in, summed.
    Both,
}

impl Ways {
    /// True if bytes that went this way are asked for.
    pub fn wants(self, direction: Direction) -> bool {
        match self {
            Ways::Egress => direction == Direction::Egress,
            Ways::Ingress => direction == Direction::Ingress,
            Ways::Both => true,
        }
    }
}

/// What `top` was asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// The keys, as they stand in the answer.
    pub keys: Vec<Key>,
    /// Which way.
    pub ways: Ways,
    /// How many rows, largest first; 0 for all.
    pub limit: usize,
}

/// What `top` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The largest groups: their keys as text (`-` for none), and their sums.
    pub rows: Vec<(Vec<String>, Volume)>,
    /// The number of groups, whatever is shown of them.
    pub groups: u64,
    /// Bytes of all groups.
    pub total_bytes: u128,
}

/// The coarsest grain that still tells `keys` and `filter` apart.
pub fn grain_for(keys: &[Key], filter: &Filter, ways: Ways) -> Grain {
    let has = |list: &[Key]| keys.iter().any(|k| list.contains(k));
    Grain {
        interface: has(&[Key::Eni]),
        local: has(&[Key::Src]),
        peer: has(&[Key::Dst, Key::Asn, Key::Country, Key::Service]) || filter.needs_peer(),
        hour: has(&[Key::Hour]),
        port: has(&[Key::Port]),
        ingress: ways != Ways::Egress,
        home: filter.names_class(Class::Home),
    }
}

/// True if, where no flow needs a second look, each cell of [`grain_for`] is a group of its own.
pub fn cells_are_groups(keys: &[Key], filter: &Filter, ways: Ways) -> bool {
    let grain = grain_for(keys, filter, ways);
    let by_peer = keys.contains(&Key::Dst) || !grain.peer && keys.contains(&Key::Class);
    ways == Ways::Egress && by_peer && !filter.needs_peer() && !grain.local && !grain.port && !grain.home
}

/// The groups of a table, largest first.
#[derive(Debug)]
pub struct Top<'t> {
    table: &'t EgressTable,
    keys: Vec<Key>,
    groups: Vec<Group<'t>>,
    /// Groups that are not in the table.
    rest: Rest,
    /// Numbers of interfaces ascend as their ids do.
    ascending: bool,
}

#[derive(Debug)]
struct Group<'t> {
    /// A row that stands for the group's keys.
    row: &'t Row,
    volume: Volume,
}

impl<'t> Top<'t> {
    /// Folds `table` by `keys`; `filter`'s terms on peers and sums are applied here.
    pub fn of(table: &'t EgressTable, keys: &[Key], filter: &Filter, ways: Ways) -> Self {
        let kept: Vec<bool> = table.peers.iter().map(|p| filter.keeps_peer(p)).collect();
        let wanted = |row: &&Row| kept[row.peer as usize] && ways.wants(row.direction);
        let groups = |rows: &'t [Row]| groups(table, rows.iter().filter(wanted), keys, filter);
        let groups = match keys.contains(&Key::Eni) {
            // Rows of two interfaces never meet.
            true => {
                let interfaces = table.rows.par_chunk_by(|a, b| a.interface == b.interface);
                interfaces.flat_map_iter(groups).collect()
            }
            false => groups(&table.rows).collect(),
        };
        Top {
            table,
            keys: keys.to_vec(),
            groups,
            rest: Rest::default(),
            ascending: table.interfaces.is_sorted_by(|a, b| a.id < b.id),
        }
    }

    /// The same, with groups that were left out of the table because they are too small to be shown.
    #[must_use]
    pub fn and(mut self, rest: Rest) -> Self {
        self.rest = rest;
        self
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.groups.len() + self.rest.groups as usize
    }

    /// True if there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all groups.
    pub fn total_bytes(&self) -> u128 {
        self.groups.iter().map(|g| g.volume.bytes).sum::<u128>() + self.rest.bytes
    }

    /// All that is shown of it.
    pub fn answer(mut self, limit: usize) -> Answer {
        Answer {
            rows: self.rows(limit),
            groups: self.len() as u64,
            total_bytes: self.total_bytes(),
        }
    }

    /// The `limit` largest groups (0: all): their keys as text (`-` for none), and their sums.
    pub fn rows(&mut self, limit: usize) -> Vec<(Vec<String>, Volume)> {
        let limit = if limit == 0 {
            self.groups.len()
        } else {
            limit.min(self.groups.len())
        };
        let mut groups = std::mem::take(&mut self.groups);
        let order = |a: &Group<'_>, b: &Group<'_>| self.order(a, b);
        if limit < groups.len() && limit > 0 {
            groups.select_nth_unstable_by(limit - 1, order);
        }
        groups[..limit].par_sort_unstable_by(order);
        let rows = groups[..limit]
            .par_iter()
            .map(|g| (self.texts(g).collect(), g.volume))
            .collect();
        self.groups = groups;
        rows
    }

    fn order(&self, a: &Group<'_>, b: &Group<'_>) -> Ordering {
        let by_keys = || self.keys.iter().map(|key| self.order_of_texts((a.row, b.row), *key));
        let by_bytes = b.volume.bytes.cmp(&a.volume.bytes);
        by_bytes.then_with(|| by_keys().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
    }

    /// The order of two rows by the text of a key; most can be told without the texts.
    fn order_of_texts(&self, (a, b): (&Row, &Row), key: Key) -> Ordering {
        /// Up to here all times are as long as each other.
        const CALENDAR: u64 = 253_402_207_200;
        let known = |interface: u32| (interface as usize) < self.table.interfaces.len();
        let peer = |row| self.table.peer(row);
        match key {
            Key::Eni if self.ascending && known(a.interface) && known(b.interface) => a.interface.cmp(&b.interface),
            Key::Hour if a.hour.max(b.hour) < CALENDAR => a.hour.cmp(&b.hour),
            Key::Class => peer(a).class.as_str().cmp(peer(b).class.as_str()),
            _ => {
                let text = |row| text(self.table, row, key).unwrap_or_else(|| "-".into());
                text(a).cmp(&text(b))
            }
        }
    }

    fn texts(&self, group: &Group<'_>) -> impl Iterator<Item = String> {
        let text = |key: &Key| text(self.table, group.row, *key);
        self.keys.iter().map(move |key| text(key).unwrap_or_else(|| "-".into()))
    }
}

/// The groups of some rows whose sums `filter` lets through.
fn groups<'t>(
    table: &EgressTable,
    rows: impl Iterator<Item = &'t Row>,
    keys: &[Key],
    filter: &Filter,
) -> impl Iterator<Item = Group<'t>> {
    let mut groups: HashMap<GroupId, Group<'t>, RandomState> = HashMap::default();
    for row in rows {
        let group = groups.entry(group_id(table, row, keys)).or_insert(Group {
            row,
            volume: Volume::EMPTY,
        });
        group.volume.add(&row.volume);
    }
    let keeps = |g: &Group<'_>| filter.keeps_sum(g.volume.bytes, g.volume.packets, g.volume.flows);
    groups.into_values().filter(keeps)
}

/// What tells groups apart: a slot for each key, and one more for the upper half of a local address.
type GroupId = [u64; KEYS.len() + 1];

fn group_id(table: &EgressTable, row: &Row, keys: &[Key]) -> GroupId {
    let mut id = [0; KEYS.len() + 1];
    let peer = table.peer(row);
    if keys.contains(&Key::Src) {
        id[KEYS.len()] = (row.local.0 >> 64) as u64;
    }
    for (slot, key) in id.iter_mut().zip(keys) {
        *slot = match key {
            Key::Eni => u64::from(row.interface),
            Key::Src => row.local.0 as u64,
            Key::Dst => u64::from(row.peer),
            Key::Asn => peer.asn.map_or(0, |a| u64::from(a) + 1),
            Key::Country => peer.country.map_or(0, |c| u64::from(u16::from_be_bytes(c.0))),
            Key::Service => peer
                .service
                .as_deref()
                .map_or(0, |s| xxhash_rust::xxh3::xxh3_64(s.as_bytes())),
            Key::Port => u64::from(row.port),
            Key::Hour => row.hour,
            Key::Class => peer.class as u64,
        };
    }
    id
}

fn text(table: &EgressTable, row: &Row, key: Key) -> Option<String> {
    let peer = table.peer(row);
    match key {
        Key::Eni => table.interfaces.get(row.interface as usize).map(|i| i.id.clone()),
        Key::Src => Some(row.local.to_string()),
        Key::Dst => Some(peer.addr.to_string()),
        Key::Asn => peer.asn.map(|a| format!("AS{a}")),
        Key::Country => peer.country.map(|c| c.to_string()),
        Key::Service => peer.service.clone(),
        Key::Port => Some(row.port.to_string()),
        Key::Hour => Some(rfc3339(row.hour)),
        Key::Class => Some(peer.class.to_string()),
    }
}

/// Reads `--by eni,dst`.
///
/// # Errors
/// `Usage` for an unknown key, one that is named twice, or none.
pub fn parse_keys(text: &str) -> Result<Vec<Key>> {
    let keys: Vec<Key> = text.split(',').map(|k| k.trim().parse()).collect::<Result<_>>()?;
    let names: BTreeSet<_> = keys.iter().map(|k| k.name()).collect();
    if names.len() < keys.len() {
        return Err(Error::usage(format!(
            "--by: a key is named twice in `{}`",
            printable(text.as_bytes())
        )));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::table::{Interface, Peer, Role, Sample};
    use crate::net::Addr;
    use proptest::prelude::*;

    /// Interface, peer, hour, port.
    fn table(ids: &[&str], rows: &[(u32, u32, u64, u16)]) -> EgressTable {
        let interface = |id: &&str| Interface {
            id: (*id).into(),
            ..Interface::default()
        };
        let peer = |n: u32| Peer::of_class(Addr::v4(n), Class::ALL[n as usize % 5]);
        let row = |(interface, peer, hour, port): &(u32, u32, u64, u16)| Row {
            interface: *interface,
            peer: *peer,
            hour: *hour,
            local: Addr::v4(0x0a00_0001),
            port: *port,
            protocol: 6,
            direction: Direction::Egress,
            role: Role::Client,
            volume: Volume {
                bytes: u128::from(*port % 3),
                ..Volume::EMPTY
            },
            sample: Sample::default(),
        };
        let mut table = EgressTable {
            interfaces: ids.iter().map(interface).collect(),
            peers: (1..40).map(peer).collect(),
            rows: rows.iter().map(row).collect(),
        };
        table.sort();
        table
    }

    proptest! {
        #[test]
        fn equal_sums_stand_in_the_order_of_their_texts(
            rows in proptest::collection::vec(
                (0u32..5, 0u32..39, prop_oneof![0u64..9, Just(253_402_207_199), Just(253_402_300_799)], 0u16..40), 0..120),
            keys in proptest::sample::subsequence(vec![Key::Eni, Key::Dst, Key::Port, Key::Hour, Key::Class], 1..6),
            ids in prop_oneof![Just(["-", "eni-1", "eni-2", "nat-1"]), Just(["eni-9", "eni-1", "eni-1", "-"])],
        ) {
            let table = table(&ids, &rows);
            let filter = Filter::parse("").unwrap();
            let rows = Top::of(&table, &keys, &filter, Ways::Egress).rows(0);
            let order = |(texts, volume): &(Vec<String>, Volume)| (std::cmp::Reverse(volume.bytes), texts.clone());
            prop_assert!(rows.is_sorted_by_key(order));
        }
    }
}
