//! Sums that were counted elsewhere, before any list was asked, taken in as if their records stood here.
//!
//! Which end of a flow is ours depends on addresses and lists alone, so it is decided once for all records of a raw cell.

use super::{Counter, Places};
use crate::aggregate::filter::RecordFacts;
use crate::aggregate::interner::About;
use crate::aggregate::key::{Bearing, Cell, Sides};
use crate::aggregate::raw::RawKey;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::{Direction, Role};
use crate::net::{HOUR, Seconds};

impl<P: Places> Counter<'_, P> {
    /// Adds a raw cell of the interface that `about` tells of (always the same of one number); `cell.sample` is a task and a line of this run.
    pub fn adopt(&mut self, key: &RawKey, about: &About, cell: &Cell) {
        let Some(ends) = self.ends(&key.way()) else { return };
        let of_source = key.sides.role();
        let (port, other_port) = ports(key, ends.bearing);
        let facts = RecordFacts {
            local: ends.local,
            peer: ends.peer,
            class: ends.class,
            port,
            protocol: key.protocol,
        };
        if !self.counting.filter.keeps_record(&facts, || &about.id) {
            return;
        }
        let ingress = ends.bearing == Bearing::Known(Direction::Ingress);
        let role = if ingress { of_source.flip() } else { of_source };
        let linked = ends.bearing == Bearing::Open || ends.carried;
        let mut interface = u32::MAX;
        if self.by_interface || linked {
            interface = self.interfaces.learn(key.interface, about);
            if ends.transit {
                let passed = if ends.passed { cell.bytes } else { 0 };
                self.interfaces.note_transits(cell.flows, passed);
            }
        }
        let sides = Sides::new(ends.bearing, role)
            .carried(ends.carried)
            .passed(ends.carried && ends.passed);
        self.log = key.log;
        let key = self.key(
            interface,
            Seconds::from(key.hour) * HOUR,
            &ends,
            &facts,
            (sides, other_port),
        );
        self.add_sum(key, cell, linked);
    }

    /// Adds counts over records that were read elsewhere.
    pub fn adopt_records(&mut self, records: &RecordCounts) {
        self.records.add(records);
    }
}

/// The service port and the other one; where nobody is known to listen, the local side's comes first.
fn ports(key: &RawKey, bearing: Bearing) -> (u16, u16) {
    match (key.sides.role(), bearing) {
        (Role::Unknown, Bearing::Known(Direction::Ingress)) => (key.other_port, key.port),
        _ => (key.port, key.other_port),
    }
}
