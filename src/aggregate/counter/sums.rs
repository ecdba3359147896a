//! Sums that were made before any list was asked, taken in as if their records stood here.
//!
//! Which end of a flow is ours depends on addresses and lists alone, so it is decided once for all records of a sum.

use super::{Counter, Ends, Places, ports};
use crate::aggregate::filter::RecordFacts;
use crate::aggregate::interner::Described;
use crate::aggregate::key::{Bearing, Cell, Sides};
use crate::aggregate::shelf::Summed;
use crate::aggregate::table::Direction;
use crate::aggregate::way::Way;
use crate::flow::Action;

impl<P: Places> Counter<'_, P> {
    /// Counts records that agree in everything but size and time within an hour.
    pub(in crate::aggregate) fn add_sums(&mut self, s: &Summed<'_>) {
        let counted = matches!(s.action, Action::Accept | Action::Unknown);
        if !counted || !self.counting.window.contains(s.volume.first) {
            return;
        }
        let way = Way {
            src: s.src,
            dst: s.dst,
            source: s.source,
            destination: s.destination,
            direction: s.direction,
        };
        if let Some(ends) = self.ends(&way) {
            self.log = s.log;
            self.add_known(s, &ends);
        }
    }

    fn add_known(&mut self, s: &Summed<'_>, ends: &Ends) {
        let (port, other_port) = ports(s.role, ends.bearing, s.src_port, s.dst_port);
        let facts = RecordFacts {
            local: ends.local,
            peer: ends.peer,
            class: ends.class,
            port,
            protocol: s.protocol,
        };
        if !self.counting.filter.keeps_record(&facts, || s.facts.interface()) {
            return;
        }
        let ingress = ends.bearing == Bearing::Known(Direction::Ingress);
        let role = if ingress { s.role.flip() } else { s.role };
        let linked = ends.bearing == Bearing::Open || ends.carried;
        let mut interface = u32::MAX;
        if self.by_interface || linked {
            interface = self.interfaces.intern(s.facts.interface(), s.facts);
            if ends.transit {
                let passed = if ends.passed { s.volume.bytes } else { 0 };
                self.interfaces.note_passing(s.volume.flows, passed);
            }
        }
        let sides = Sides::new(ends.bearing, role)
            .carried(ends.carried)
            .passed(ends.carried && ends.passed);
        let key = self.key(interface, s.volume.first, ends, &facts, (sides, other_port));
        let cell = Cell {
            bytes: s.volume.bytes,
            packets: s.volume.packets,
            flows: s.volume.flows,
            first: s.volume.first,
            last: s.volume.last,
            sample: (self.task, 0),
        };
        self.add_sum(key, &cell, linked);
    }
}
