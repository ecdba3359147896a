//! The lists as the counters see them.

use crate::aggregate::counter::Places;
use crate::aggregate::table::Peer;
use crate::intel::Intel;
use crate::inventory::{Endpoint, Inventory};
use crate::net::{Addr, Class};
use std::collections::HashSet;

impl Places for Intel {
    #[inline(always)]
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

/// The lists, and S3 behind interface endpoints: their addresses are private, and what goes there goes to S3 (design.md,
/// counting rule 4). Which they are is known from the inventory or from CloudTrail.
#[derive(Debug)]
pub struct WithEndpoints<'a> {
    intel: &'a Intel,
    s3: HashSet<Addr>,
}

impl<'a> WithEndpoints<'a> {
    /// Takes the addresses of the interfaces of every S3 endpoint.
    pub fn new(intel: &'a Intel, inventory: &Inventory) -> Self {
        let is_s3 = |e: &&Endpoint| e.service.as_deref().is_some_and(|s| s.ends_with(".s3"));
        let interfaces = inventory.endpoints.iter().filter(is_s3).flat_map(|e| &e.interfaces);
        let addresses = interfaces
            .filter_map(|id| inventory.interface(id))
            .flat_map(|i| &i.addresses);
        WithEndpoints {
            intel,
            s3: addresses.map(|edge| edge.to).collect(),
        }
    }
}

impl Places for WithEndpoints<'_> {
    #[inline(always)]
    fn class(&self, addr: Addr) -> Class {
        match self.intel.class(addr) {
            Class::Home if !self.s3.is_empty() && self.s3.contains(&addr) => Class::S3,
            class => class,
        }
    }

    fn peer(&self, addr: Addr) -> Peer {
        let mut peer = Places::peer(self.intel, addr);
        if self.class(addr) == Class::S3 {
            peer.class = Class::S3;
            peer.service.get_or_insert_with(|| "S3".into());
        }
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intel::IntelOptions;
    use crate::inventory::Graph;

    #[test]
    fn the_address_of_an_s3_endpoint_is_s3_and_its_neighbours_are_home() {
        let mut graph = Graph::default();
        let endpoints = br#"{"VpcEndpoints":[{"VpcEndpointId":"vpce-1","VpcEndpointType":"Interface","VpcId":"vpc-1",
            "ServiceName":"com.amazonaws.us-east-1.s3","NetworkInterfaceIds":["eni-1"]},
            {"VpcEndpointId":"vpce-2","VpcEndpointType":"Interface","VpcId":"vpc-1",
            "ServiceName":"com.amazonaws.us-east-1.sts","NetworkInterfaceIds":["eni-2"]}]}"#;
        let interfaces = br#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","PrivateIpAddress":"10.0.0.9","PrivateIpAddresses":[{"PrivateIpAddress":"10.0.0.9"}]},
            {"NetworkInterfaceId":"eni-2","PrivateIpAddress":"10.0.0.10","PrivateIpAddresses":[{"PrivateIpAddress":"10.0.0.10"}]}]}"#;
        graph.read_inventory(endpoints).unwrap();
        graph.read_inventory(interfaces).unwrap();
        let intel = Intel::load(&IntelOptions::default()).unwrap();
        let places = WithEndpoints::new(&intel, &graph.resolve());
        let class = |a: &str| places.class(a.parse().unwrap());
        assert_eq!(
            (class("10.0.0.9"), class("10.0.0.10"), class("10.0.0.11")),
            (Class::S3, Class::Home, Class::Home)
        );
        assert_eq!(places.peer("10.0.0.9".parse().unwrap()).service.as_deref(), Some("S3"));
    }
}
