//! The lists as the counters see them.

use crate::aggregate::counter::Places;
use crate::aggregate::table::Peer;
use crate::intel::Intel;
use crate::net::{Addr, Class};

impl Places for Intel {
    #[inline]
    fn class(&self, addr: Addr) -> Class {
        Intel::class(self, addr)
    }

    fn peer(&self, addr: Addr) -> Peer {
        let facts = Intel::peer(self, addr);
        Peer {
            addr,
            class: facts.class,
            service: facts.service.map(Into::into),
            region: facts.region.map(Into::into),
            country: facts.country,
            asn: facts.asn,
            labels: facts.labels.into_iter().map(Into::into).collect(),
        }
    }
}
