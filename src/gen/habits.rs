//! What the account does every day, as one table: who talks to whom, when, how much.
//!
//! Volumes are bytes per active hour for one host at full weight; the hour of day and the weekend scale them down. The
//! table holds the innocent look-alikes too: nightly backups, deployments, the weekly export to a partner, visitors
//! from everywhere (some of them through Tor exits), and customers' webhook addresses that are always new.

use super::world::{OFFICE, PARTNER, Role, World, v4};
use crate::net::{Addr, Seconds};

/// Whom a habit goes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    /// Strangers who open connections to us.
    Visitors,
    /// Hosts of a role.
    Role(Role),
    /// One address that we call.
    Fixed(Addr),
    /// One address that calls us.
    Caller(Addr),
    /// Addresses that are seldom seen twice.
    Tail,
    /// Uploads to an own bucket, by the stem of its name.
    Put(&'static str),
    /// Downloads from an own bucket.
    Get(&'static str),
}

/// When a habit is active, UTC. Days are counted from the start of the archive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hours {
    Always,
    /// Weekdays, 13:00 to 22:00: New York's working day.
    Office,
    /// Every day at these hours.
    Daily(&'static [u64]),
    /// On one weekday (Monday is 0) at these hours.
    Weekly(u64, &'static [u64]),
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habit {
    pub(super) role: Role,
    pub(super) peer: Peer,
    pub(super) port: u16,
    pub(super) hours: Hours,
    /// Talks an hour in the whole account; the small one has a quarter of them, of the same total.
    pub(super) talks: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

const MB: u64 = 1_000_000;
const KB: u64 = 1_000;
/// A package mirror at a public content network (US).
const MIRROR: Addr = v4(151, 101, 0, 223);
/// A code hosting site (US).
const CODE: Addr = v4(140, 82, 113, 4);
/// An AWS API in the region.
const AWS_API: Addr = v4(52, 46, 150, 17);
/// A monitoring company, hosted at AWS.
const MONITOR: Addr = v4(54, 209, 77, 12);
/// The package mirror's IPv6 address.
const MIRROR6: Addr = Addr(0x2a04_4e42 << 96 | 0x223);
/// A page host's IPv6 address (US).
const CODE6: Addr = Addr(0x2606_50c0_8000 << 80 | 0x153);

/// The daily life of the account.
#[rustfmt::skip] // a table: one line a habit
pub(super) const HABITS: [Habit; 24] = [
    habit(Role::Alb, Peer::Visitors, 443, Hours::Always, 16, [220 * MB, 9 * MB]),
    habit(Role::Alb, Peer::Role(Role::Web), 8080, Hours::Always, 8, [10 * MB, 210 * MB]),
    habit(Role::Web, Peer::Role(Role::App), 8080, Hours::Always, 4, [6 * MB, 80 * MB]),
    habit(Role::Web, Peer::Put("logs"), 443, Hours::Always, 4, [12 * MB, 0]),
    habit(Role::Web, Peer::Role(Role::Endpoint), 443, Hours::Daily(&[0, 6, 12, 18]), 1, [30 * KB, 70 * KB]),
    habit(Role::App, Peer::Role(Role::Db), 5432, Hours::Always, 4, [8 * MB, 60 * MB]),
    habit(Role::App, Peer::Tail, 443, Hours::Always, 4, [3 * MB, MB]),
    habit(Role::App, Peer::Put("uploads"), 443, Hours::Always, 4, [25 * MB, 0]),
    habit(Role::App, Peer::Get("artifacts"), 443, Hours::Weekly(0, &[14]), 4, [0, 300 * MB]),
    habit(Role::App, Peer::Get("artifacts"), 443, Hours::Weekly(3, &[14]), 4, [0, 300 * MB]),
    habit(Role::App, Peer::Fixed(CODE), 443, Hours::Weekly(3, &[14]), 4, [2 * MB, 60 * MB]),
    habit(Role::Batch, Peer::Get("data-lake"), 443, Hours::Always, 4, [0, 180 * MB]),
    habit(Role::Batch, Peer::Put("backups"), 443, Hours::Daily(&[1, 2]), 8, [1_400 * MB, 0]),
    habit(Role::Batch, Peer::Fixed(MIRROR), 443, Hours::Daily(&[4]), 4, [600 * KB, 45 * MB]),
    habit(Role::Batch, Peer::Fixed(AWS_API), 443, Hours::Always, 2, [900 * KB, 2 * MB]),
    habit(Role::Node, Peer::Role(Role::App), 8080, Hours::Always, 4, [5 * MB, 20 * MB]),
    habit(Role::Node, Peer::Fixed(MONITOR), 443, Hours::Always, 4, [9 * MB, 400 * KB]),
    habit(Role::Node, Peer::Fixed(AWS_API), 443, Hours::Always, 2, [MB, 12 * MB]),
    habit(Role::Bastion, Peer::Caller(OFFICE), 22, Hours::Office, 2, [4 * MB, MB]),
    habit(Role::Dual, Peer::Fixed(MIRROR6), 443, Hours::Always, 4, [5 * MB, 11 * MB]),
    habit(Role::Dual, Peer::Fixed(CODE6), 443, Hours::Always, 2, [MB, 6 * MB]),
    habit(Role::Report, Peer::Get("data-lake"), 443, Hours::Daily(&[5]), 8, [0, 600 * MB]),
    habit(Role::Report, Peer::Fixed(AWS_API), 443, Hours::Always, 2, [700 * KB, MB]),
    habit(Role::Report, Peer::Fixed(PARTNER), 22, Hours::Weekly(1, &[6, 7]), 8, [800 * MB, 5 * MB]),
];

const fn habit(role: Role, peer: Peer, port: u16, hours: Hours, talks: u64, bytes: [u64; 2]) -> Habit {
    Habit {
        role,
        peer,
        port,
        hours,
        talks,
        sent: bytes[0],
        received: bytes[1],
    }
}

impl Hours {
    /// True in the hour that begins at `t`.
    pub(super) fn active(self, t: Seconds) -> bool {
        let (day, hour) = (weekday(t), t / 3_600 % 24);
        match self {
            Hours::Always => true,
            Hours::Office => day < 5 && (13..22).contains(&hour),
            Hours::Daily(hours) => hours.contains(&hour),
            Hours::Weekly(on, hours) => day == on && hours.contains(&hour),
        }
    }

    /// How busy the hour is, in percent: work that runs by the clock knows no season.
    pub(super) fn weight(self, t: Seconds) -> u64 {
        const DAY: [u64; 24] = [
            62, 55, 48, 42, 38, 35, 34, 36, 42, 50, 60, 70, 80, 88, 94, 98, 100, 100, 98, 96, 92, 86, 78, 70,
        ];
        let season = if weekday(t) < 5 { 100 } else { 65 };
        match self {
            Hours::Always => DAY.get((t / 3_600 % 24) as usize).map_or(100, |w| w * season / 100),
            _ => 100,
        }
    }
}

impl Habit {
    /// Talks an hour.
    pub(super) fn talks(&self, world: &World) -> u64 {
        if world.small {
            self.talks.div_ceil(4)
        } else {
            self.talks
        }
    }
}

/// Day of the week, Monday is 0: the epoch was a Thursday.
pub(super) fn weekday(t: Seconds) -> u64 {
    (t / 86_400 + 3) % 7
}
