//! What only the whole can tell of a cell, learned in passes over all cells and then asked for each.
//!
//! In this order: of several flow logs on one interface one counts; open directions are resolved; bytes carried for another
//! interface of the archive are left to that interface; listening ports are learned. Each step learns from what the steps
//! before it let through, so no split of the input changes a byte. Where the cells stand, in memory or on disk, is no matter.

use crate::aggregate::cells::Rest;
use crate::aggregate::counter::Places;
use crate::aggregate::key::{Cell, FlowKey, Grain};
use crate::aggregate::logs::Chosen;
use crate::aggregate::parted::{Parted, Through};
use crate::aggregate::roles::{Partners, is_open as has_both_ports};
use crate::aggregate::sides::{Origins, Owners};
use crate::aggregate::spill::Room;
use crate::aggregate::table::Interface;
use crate::net::Addr;
use std::collections::BTreeSet;

/// All cells; their interfaces are numbers in a list sorted by id.
pub(super) type Cells<'c> = &'c dyn Parted;

/// What was left out of the table, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Egress or ingress whose direction nothing decides, in bytes.
    pub ambiguous: u128,
    /// Carried for another interface of the archive, which logged it too, in bytes.
    pub forwarded: u128,
    /// Logged once more by another flow log on the same interface, in bytes.
    pub logged_twice: u128,
    /// Groups that the answer will not show (see [`Counting::largest`](crate::aggregate::Counting)).
    pub smaller: Rest,
}

impl LeftOut {
    /// Both.
    pub(super) fn and(self, other: LeftOut) -> LeftOut {
        LeftOut {
            ambiguous: self.ambiguous + other.ambiguous,
            forwarded: self.forwarded + other.forwarded,
            logged_twice: self.logged_twice + other.logged_twice,
            smaller: self.smaller.and(other.smaller),
        }
    }
}

/// Decides about each cell.
#[derive(Debug, Default)]
pub struct Rules {
    chosen: Chosen,
    owners: Owners,
    origins: Option<Origins>,
    partners: Partners,
}

/// Which questions there are at all.
#[derive(Debug, Default)]
struct Met {
    log: Option<u16>,
    several_logs: bool,
    carried: bool,
    both_ports: bool,
}

impl Met {
    fn of(cells: Cells<'_>) -> Met {
        cells.fold(Met::default, Met::add, Met::and)
    }

    fn add(&mut self, key: &FlowKey, _: &Cell) {
        self.several_logs |= *self.log.get_or_insert(key.log) != key.log;
        self.carried |= key.sides.is_carried();
        self.both_ports |= has_both_ports(key);
    }

    fn and(self, other: Met) -> Met {
        let differ = self.log.zip(other.log).is_some_and(|(a, b)| a != b);
        Met {
            log: self.log.or(other.log),
            several_logs: self.several_logs || other.several_logs || differ,
            carried: self.carried || other.carried,
            both_ports: self.both_ports || other.both_ports,
        }
    }
}

impl Rules {
    /// Learns from all cells; `own` are addresses that the inventory tells, `room` is for what is learned.
    pub(super) fn learn<P: Places>(
        cells: Cells<'_>,
        (places, grain): (&P, &Grain),
        (interfaces, own): (&[Interface], &BTreeSet<(String, Addr)>),
        room: &Room,
    ) -> Self {
        let met = Met::of(cells);
        let mut rules = Rules {
            chosen: Chosen::default(),
            owners: Owners::learn(cells, interfaces, own, room),
            origins: None,
            partners: Partners::default(),
        };
        if met.several_logs {
            rules.chosen = Chosen::of(cells, room);
        }
        if met.carried {
            let key = |key: &FlowKey, cell: &Cell| rules.sided(places, key, cell, &mut LeftOut::default());
            let sided = Through { cells, key: &key };
            rules.origins = Some(Origins::of(&sided, &rules.owners, interfaces, room));
        }
        if met.both_ports && grain.port {
            let key = |key: &FlowKey, cell: &Cell| rules.begun(places, key, cell, &mut LeftOut::default());
            let begun = Through { cells, key: &key };
            rules.partners = Partners::of(&begun, room);
        }
        rules
    }

    /// The key under which a cell counts; nothing if it does not, which is noted.
    pub(super) fn decide<P: Places>(
        &self,
        places: &P,
        key: &FlowKey,
        cell: &Cell,
        left_out: &mut LeftOut,
    ) -> Option<FlowKey> {
        self.begun(places, key, cell, left_out)
            .map(|key| self.partners.decide(key))
    }

    /// Addresses that are the interfaces' own, sorted.
    pub(super) fn addresses(&self) -> Vec<(u32, Addr)> {
        self.owners.sorted()
    }

    /// With its direction, if its log counts.
    fn sided<P: Places>(&self, places: &P, key: &FlowKey, cell: &Cell, left_out: &mut LeftOut) -> Option<FlowKey> {
        let counts = self.chosen.keeps(key, cell, left_out);
        let key = FlowKey { log: 0, ..*key };
        counts.then(|| self.owners.resolve(key, cell, places, left_out))?
    }

    /// The same, if its bytes began here.
    fn begun<P: Places>(&self, places: &P, key: &FlowKey, cell: &Cell, left_out: &mut LeftOut) -> Option<FlowKey> {
        let key = self.sided(places, key, cell, left_out)?;
        let stays = self.origins.as_ref().is_none_or(|o| o.keeps(&key, cell, left_out));
        let sides = key.sides.carried(false).passed(false);
        stays.then_some(FlowKey { sides, ..key })
    }
}
