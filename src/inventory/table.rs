//! From resolved edges to records: collects what all relations say of one id.

use std::collections::BTreeSet;

use super::graph::{Edges, Relation};
use super::known::{Edge, Endpoint, FlowLog, Instance, KnownInterface, Nat, Selector, Subnet};
use crate::net::Addr;

/// The resolved edges, asked by relation.
pub(super) struct Table<'a>(pub(super) &'a Edges);

impl<'a> Table<'a> {
    pub(super) fn all(&self, relation: Relation) -> impl Iterator<Item = (&'a String, &'a Vec<Edge<String>>)> {
        self.0.get(&relation).into_iter().flatten()
    }

    fn edges(&self, relation: Relation, subject: &str) -> Vec<Edge<String>> {
        self.0
            .get(&relation)
            .and_then(|m| m.get(subject))
            .cloned()
            .unwrap_or_default()
    }

    /// The value that was true last; of several that are true together, the first in text order.
    fn last(&self, relation: Relation, subject: &str) -> Option<String> {
        let edges = self.0.get(&relation)?.get(subject)?;
        edges
            .iter()
            .max_by_key(|e| (e.span.to, e.span.from, std::cmp::Reverse(&e.to)))
            .map(|e| e.to.clone())
    }

    pub(super) fn addresses(&self, relation: Relation, subject: &str) -> Vec<Edge<Addr>> {
        let edges = self.edges(relation, subject);
        let parse = |e: Edge<String>| {
            Some(Edge {
                to: e.to.parse().ok()?,
                span: e.span,
                origins: e.origins,
            })
        };
        let mut out: Vec<Edge<Addr>> = edges.into_iter().filter_map(parse).collect();
        out.sort();
        out
    }

    fn subjects(&self, relations: &[Relation]) -> BTreeSet<&'a String> {
        relations.iter().flat_map(|r| self.all(*r).map(|(s, _)| s)).collect()
    }

    fn objects(&self, relation: Relation) -> impl Iterator<Item = &'a String> {
        self.all(relation).flat_map(|(_, edges)| edges.iter().map(|e| &e.to))
    }

    pub(super) fn interfaces(&self) -> Vec<KnownInterface> {
        use Relation::*;
        let about = [
            InterfaceAccount,
            InterfaceVpc,
            InterfaceAddress,
            InterfacePublic,
            InterfaceInstance,
            InterfaceKind,
        ];
        let mut ids = self.subjects(&about);
        ids.extend(self.objects(NatInterface).chain(self.objects(EndpointInterface)));
        let of_id = |id: &String| KnownInterface {
            id: id.clone(),
            account: self.last(InterfaceAccount, id),
            vpc: self.last(InterfaceVpc, id),
            subnet: self.last(InterfaceSubnet, id),
            kind: self.last(InterfaceKind, id),
            managed: self.last(InterfaceManaged, id).is_some(),
            addresses: self.addresses(InterfaceAddress, id),
            public: self.addresses(InterfacePublic, id),
            instances: self.edges(InterfaceInstance, id),
            nat: None,
            endpoint: None,
        };
        ids.into_iter().map(of_id).collect()
    }

    pub(super) fn instances(&self) -> Vec<Instance> {
        use Relation::*;
        let mut ids = self.subjects(&[InstanceAddress, InstanceAccount, InstanceVpc, InstanceProfile]);
        ids.extend(self.objects(InterfaceInstance));
        let of_id = |id: &String| {
            let profiles = self.edges(InstanceProfile, id);
            Instance {
                id: id.clone(),
                account: self.last(InstanceAccount, id),
                vpc: self.last(InstanceVpc, id),
                interfaces: Vec::new(),
                addresses: self.addresses(InstanceAddress, id),
                roles: self.roles(&profiles),
                profiles,
            }
        };
        ids.into_iter().map(of_id).collect()
    }

    fn roles(&self, profiles: &[Edge<String>]) -> Vec<String> {
        let of_profile = |p: &Edge<String>| {
            let known = self.edges(Relation::ProfileRole, &p.to);
            if known.is_empty() {
                vec![p.to.clone()]
            } else {
                known.into_iter().map(|e| e.to).collect()
            }
        };
        let roles: BTreeSet<String> = profiles.iter().flat_map(of_profile).collect();
        roles.into_iter().collect()
    }

    pub(super) fn nats(&self) -> Vec<Nat> {
        use Relation::*;
        let of_id = |id: &String| Nat {
            id: id.clone(),
            vpc: self.last(NatVpc, id),
            subnet: self.last(NatSubnet, id),
            interface: self.last(NatInterface, id),
            public: Vec::new(),
        };
        self.subjects(&[NatVpc, NatSubnet, NatInterface])
            .into_iter()
            .map(of_id)
            .collect()
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        use Relation::*;
        let of_id = |id: &String| Endpoint {
            id: id.clone(),
            service: self.last(EndpointService, id),
            vpc: self.last(EndpointVpc, id),
            account: self.last(EndpointAccount, id),
            kind: self.last(EndpointKind, id),
            interfaces: self.edges(EndpointInterface, id).into_iter().map(|e| e.to).collect(),
        };
        self.subjects(&[EndpointService, EndpointVpc, EndpointInterface])
            .into_iter()
            .map(of_id)
            .collect()
    }

    pub(super) fn subnets(&self) -> Vec<Subnet> {
        use Relation::*;
        let of_id = |id: &String| Subnet {
            id: id.clone(),
            vpc: self.last(SubnetVpc, id),
            cidrs: self.edges(SubnetCidr, id).into_iter().map(|e| e.to).collect(),
        };
        self.subjects(&[SubnetVpc, SubnetCidr]).into_iter().map(of_id).collect()
    }

    pub(super) fn flow_logs(&self) -> Vec<FlowLog> {
        use Relation::*;
        let of_id = |id: &String| FlowLog {
            id: id.clone(),
            resource: self.last(FlowLogResource, id),
            traffic: self.last(FlowLogTraffic, id),
            format: self.last(FlowLogFormat, id),
            span: self.edges(FlowLogResource, id).first().map(|e| e.span),
        };
        self.subjects(&[FlowLogResource, FlowLogFormat])
            .into_iter()
            .map(of_id)
            .collect()
    }

    pub(super) fn selectors(&self) -> Vec<Selector> {
        let of_trail = |(trail, edges): (&String, &Vec<Edge<String>>)| {
            let trail = trail.clone();
            let one = move |e: &Edge<String>| Selector {
                trail: trail.clone(),
                json: e.to.clone(),
            };
            edges.iter().map(one).collect::<Vec<_>>()
        };
        self.all(Relation::TrailSelector).flat_map(of_trail).collect()
    }

    pub(super) fn accounts(&self) -> Vec<String> {
        use Relation::{InstanceAccount, InterfaceAccount};
        let ids: BTreeSet<&String> = self
            .objects(InterfaceAccount)
            .chain(self.objects(InstanceAccount))
            .collect();
        ids.into_iter().cloned().collect()
    }
}
