//! How destinations and days are named in a baseline.
//!
//! Addresses of large services change by the hour, so a destination is remembered by the smallest thing that stays: a
//! managed AWS service in a region (`s3 eu-west-1`), else the network around the address (/24, or /64 for IPv6), since
//! neighbours in such a block nearly always belong to one owner.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::aggregate::{EgressTable, Peer, Role, Row};
use crate::net::{Addr, Class, Seconds};

/// Days since 1970-01-01, UTC.
pub type Day = u32;

/// Hours in a day.
pub const HOURS: usize = 24;

/// The kind of egress that gets a histogram of its own (design.md, the ledger's channels).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// To the rest of the world, rented machines at AWS included, opened by the interface.
    External,
    /// To Amazon S3.
    S3,
    /// To another managed AWS service.
    Aws,
    /// Answers to those who called.
    Served,
}

impl Channel {
    /// All channels, by index.
    pub const ALL: [Channel; 4] = [Channel::External, Channel::S3, Channel::Aws, Channel::Served];

    /// Name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::External => "external destinations",
            Channel::S3 => "Amazon S3",
            Channel::Aws => "other AWS services",
            Channel::Served => "callers",
        }
    }
}

/// The channel of bytes sent to `peer` in this role; `None` if they stay at home.
pub fn channel(peer: &Peer, role: Role) -> Option<Channel> {
    match (peer.class, role) {
        (Class::Home | Class::Special, _) => None,
        (Class::S3, _) => Some(Channel::S3),
        (_, Role::Server) => Some(Channel::Served),
        (Class::Aws, _) if !rented(peer) => Some(Channel::Aws),
        _ => Some(Channel::External),
    }
}

/// True for AWS addresses that anybody may rent: behind them stands a stranger's machine, not a service of AWS.
fn rented(peer: &Peer) -> bool {
    matches!(
        peer.service.as_deref(),
        None | Some("EC2" | "AMAZON" | "GLOBALACCELERATOR")
    )
}

/// The name under which a destination is remembered.
pub fn place(peer: &Peer) -> String {
    let region = peer.region.as_deref().unwrap_or("-");
    match (peer.class, peer.service.as_deref()) {
        (Class::S3, _) => format!("s3 {region}"),
        (Class::Aws, Some(service)) if !rented(peer) => {
            format!("{} {region}", service.to_ascii_lowercase())
        }
        _ => network(peer.addr),
    }
}

/// The /24 (IPv4) or /64 (IPv6) around an address.
pub fn network(addr: Addr) -> String {
    match addr.as_v4() {
        Some(n) => format!("{}/24", Addr::v4(n & 0xffff_ff00)),
        None => format!("{}/64", Addr(addr.0 >> 64 << 64)),
    }
}

/// The day that holds a second; times beyond the calendar share the last one.
pub fn day_of(t: Seconds) -> Day {
    Day::try_from(t / 86_400).unwrap_or(Day::MAX)
}

/// The places of a table's peers, each named once, and the channel of each peer in each role: rows ask for it by their number.
#[derive(Debug, Default)]
pub struct Places {
    /// The name of each peer's place, by index of the peer.
    pub of_peer: Vec<String>,
    pub(super) ids: Vec<u32>,
    channels: Vec<[Option<Channel>; 3]>,
    listed: Vec<bool>,
}

impl Places {
    /// Names the places of a table's peers.
    pub fn of(table: &EgressTable) -> Self {
        let of_peer: Vec<String> = table.peers.par_iter().map(place).collect();
        let mut out = Places {
            ids: numbered(&of_peer),
            of_peer,
            ..Places::default()
        };
        for peer in &table.peers {
            out.listed.push(!peer.labels.is_empty());
            out.channels
                .push([Role::Client, Role::Server, Role::Unknown].map(|role| channel(peer, role)));
        }
        out
    }

    /// True if the far end of a row of that table is on some list.
    #[inline]
    pub fn is_listed(&self, row: &Row) -> bool {
        self.listed.get(row.peer as usize).is_some_and(|l| *l)
    }

    /// The channel of a row of that table.
    #[inline]
    pub fn channel(&self, row: &Row) -> Option<Channel> {
        *self.channels.get(row.peer as usize)?.get(row.role as usize)?
    }
}

/// A number for each name, the same for the same name, as they are met.
fn numbered(names: &[String]) -> Vec<u32> {
    let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
    let mut number = |name| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(name).or_insert(next)
    };
    names.iter().map(|name| number(name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(addr: &str, class: Class, service: Option<&str>) -> Peer {
        Peer {
            addr: addr.parse().unwrap(),
            class,
            service: service.map(str::to_owned),
            region: Some("eu-west-1".to_owned()),
            country: None,
            asn: None,
            labels: Vec::new(),
        }
    }

    #[test]
    fn a_managed_service_is_one_place_and_a_rented_machine_is_its_network() {
        assert_eq!(place(&peer("52.218.1.1", Class::S3, Some("S3"))), "s3 eu-west-1");
        assert_eq!(place(&peer("52.1.2.3", Class::Aws, Some("EC2"))), "52.1.2.0/24");
        assert_eq!(
            place(&peer("2001:db8:1:2::9", Class::External, None)),
            "2001:db8:1:2::/64"
        );
    }

    #[test]
    fn answers_to_callers_are_a_channel_of_their_own() {
        let visitor = peer("198.51.100.1", Class::External, None);
        assert_eq!(channel(&visitor, Role::Server), Some(Channel::Served));
        assert_eq!(channel(&visitor, Role::Unknown), Some(Channel::External));
        assert_eq!(channel(&peer("10.0.0.1", Class::Home, None), Role::Client), None);
    }
}
