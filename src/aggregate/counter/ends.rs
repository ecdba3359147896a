//! Which end of a record is the interface's, and which way its bytes go, as far as the record tells.

use super::{Counter, Places};
use crate::aggregate::key::Bearing;
use crate::aggregate::table::{Direction, Role};
use crate::aggregate::way::Way;
use crate::flow::FlowDirection;
use crate::net::{Addr, Class};

pub(super) struct Ends {
    pub(super) local: Addr,
    pub(super) peer: Addr,
    pub(super) bearing: Bearing,
    pub(super) class: Class,
    /// The local address stands behind the interface.
    pub(super) carried: bool,
    /// Some packet address is not the interface's.
    pub(super) transit: bool,
    /// It came in for an address that is not ours.
    pub(super) passed: bool,
    /// Both ends are at home.
    pub(super) inside: bool,
}

impl Ends {
    pub(super) fn is_open(&self) -> bool {
        self.bearing == Bearing::Open
    }

    pub(super) fn is_ingress(&self) -> bool {
        self.bearing == Bearing::Known(Direction::Ingress)
    }
}

impl<P: Places> Counter<'_, P> {
    /// True for what [`Counter::ends`] would not want of a record with no more than two addresses: most of all records.
    #[inline(always)]
    pub(super) fn stays(&self, src: Addr, of_dst: Class) -> bool {
        let grain = &self.counting.grain;
        of_dst == Class::Home && !grain.home && (!grain.ingress || self.places.class(src) == Class::Home)
    }

    /// Which end is the interface's, and whether the grain wants such a flow at all.
    #[inline]
    pub(super) fn ends(&self, w: &Way) -> Option<Ends> {
        self.ends_to(w, self.places.class(w.dst))
    }

    /// The same with what its destination is. Inlined, so that no record goes through memory once more.
    #[inline(always)]
    pub(super) fn ends_to(&self, w: &Way, of_dst: Class) -> Option<Ends> {
        let of = |a: Addr| self.places.class(a);
        let of_src = of(w.src);
        let of_source = if w.source == w.src { of_src } else { of(w.source) };
        let of_destination = if w.destination == w.dst {
            of_dst
        } else {
            of(w.destination)
        };
        let (home_src, home_dst) = (of_src == Class::Home, of_dst == Class::Home);
        let bearing = match w.direction {
            Some(FlowDirection::Egress) => Bearing::Known(Direction::Egress),
            Some(FlowDirection::Ingress) => Bearing::Known(Direction::Ingress),
            // An interface logs its private address: home to elsewhere is egress (design.md, counting rule 3). Towards a
            // NAT gateway only the packet's own destination shows where the bytes go.
            None => match (home_src, home_dst) {
                (true, false) => Bearing::Known(Direction::Egress),
                (false, true) => Bearing::Known(Direction::Ingress),
                (true, true) if of_destination != Class::Home => Bearing::Known(Direction::Egress),
                _ => Bearing::Open,
            },
        };
        let grain = &self.counting.grain;
        let (class, wanted) = match bearing {
            Bearing::Known(Direction::Egress) => {
                let wanted = of_destination.is_egress() || grain.home && of_destination == Class::Home;
                (of_destination, wanted)
            }
            Bearing::Known(Direction::Ingress) => (of_source, grain.ingress && (of_source.is_egress() || grain.home)),
            Bearing::Open => (of_dst, grain.home || of_src.is_egress() || of_dst.is_egress()),
        };
        wanted.then(|| {
            // It came in for an address of ours and goes on to one that is not.
            let passed = home_dst && of_destination != Class::Home;
            let transit = w.source != w.src || w.destination != w.dst;
            // Behind an interface stand pods and secondary addresses; a far address there is only passing through.
            let (own, behind, of_behind, peer) = match bearing {
                Bearing::Known(Direction::Egress) => (w.src, w.source, of_source, w.destination),
                Bearing::Known(Direction::Ingress) => (w.dst, w.destination, of_destination, w.source),
                Bearing::Open => (w.src, w.src, of_src, w.dst),
            };
            let behind_it = behind != own && of_behind == Class::Home;
            Ends {
                local: if behind_it { behind } else { own },
                peer,
                bearing,
                class,
                carried: behind_it || passed && bearing == Bearing::Known(Direction::Egress),
                transit,
                passed,
                inside: home_src && home_dst,
            }
        })
    }
}

/// The service port, and the other one where nobody is known to listen: then the local side's comes first (the source's,
/// while the sides are open).
#[inline]
pub(super) fn ports(of_source: Role, bearing: Bearing, src: u16, dst: u16) -> (u16, u16) {
    match (of_source, bearing) {
        (Role::Client, _) => (dst, 0),
        (Role::Server, _) => (src, 0),
        (Role::Unknown, Bearing::Known(Direction::Ingress)) => (dst, src),
        (Role::Unknown, _) => (src, dst),
    }
}
