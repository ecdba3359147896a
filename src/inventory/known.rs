//! The graph with its intervals worked out: what later rooms ask.
//!
//! Everything is sorted by id; lookups are binary searches. Where several edges of one kind stand beside each other
//! (an interface that changed its instance), all are kept, each with its interval.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Edges, Origin, Relation};
use crate::net::{Addr, TimeWindow};

/// "Belongs to", from then until then, known from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge<T> {
    /// The far end.
    pub to: T,
    /// When it held.
    pub span: TimeWindow,
    /// The calls that it is known from, sorted.
    pub origins: Vec<Origin>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownInterface {
    /// `eni-…`.
    pub id: String,
    /// Account that owns it.
    pub account: Option<String>,
    /// VPC.
    pub vpc: Option<String>,
    /// Subnet.
    pub subnet: Option<String>,
    /// `interface`, `nat_gateway`, `vpc_endpoint`, `load_balancer`, `network_load_balancer`, `transit_gateway`,
    /// `lambda`, … as EC2 spells it (or as the description tells); `None` if nothing said so.
    pub kind: Option<String>,
    /// True if another AWS service made it (`requesterManaged`).
    pub managed: bool,
    /// Private addresses.
    pub addresses: Vec<Edge<Addr>>,
    /// Public addresses (Elastic IPs and automatic ones), without a NAT gateway in between.
    pub public: Vec<Edge<Addr>>,
    /// Instances that it was attached to.
    pub instances: Vec<Edge<String>>,
    /// NAT gateway whose interface this is.
    pub nat: Option<String>,
    /// Endpoint whose interface this is.
    pub endpoint: Option<String>,
}

/// An EC2 instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// Account.
    pub account: Option<String>,
    /// VPC.
    pub vpc: Option<String>,
    /// Interfaces attached to it.
    pub interfaces: Vec<Edge<String>>,
    /// Addresses that the instance's own records name.
    pub addresses: Vec<Edge<Addr>>,
    /// Instance profiles, by name.
    pub profiles: Vec<Edge<String>>,
    /// Roles of those profiles, by name, sorted. By AWS's habit a profile without a known role is taken by its name.
    pub roles: Vec<String>,
}

/// A NAT gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nat {
    /// `nat-…`.
    pub id: String,
    /// VPC.
    pub vpc: Option<String>,
    /// Subnet.
    pub subnet: Option<String>,
    /// Its interface, where known.
    pub interface: Option<String>,
    /// Its public addresses.
    pub public: Vec<Edge<Addr>>,
}

/// A VPC endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `vpce-…`.
    pub id: String,
    /// `com.amazonaws.<region>.s3`, ….
    pub service: Option<String>,
    /// VPC.
    pub vpc: Option<String>,
    /// Account that owns it.
    pub account: Option<String>,
    /// `Gateway`, `Interface`, …
    pub kind: Option<String>,
    /// Its interfaces, sorted.
    pub interfaces: Vec<String>,
}

/// A subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// VPC.
    pub vpc: Option<String>,
    /// Its CIDRs, as text.
    pub cidrs: Vec<String>,
}

/// A flow log subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowLog {
    /// `fl-…`.
    pub id: String,
    /// VPC, subnet or interface that it watches.
    pub resource: Option<String>,
    /// `ALL`, `ACCEPT` or `REJECT`.
    pub traffic: Option<String>,
    /// `${version} ${account-id} …`.
    pub format: Option<String>,
    /// When it existed.
    pub span: Option<TimeWindow>,
}

/// One event selector of a trail, as AWS wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The trail's ARN.
    pub trail: String,
    /// The selector's JSON: `EventSelectors[]` or `AdvancedEventSelectors[]`.
    pub json: String,
}

/// What is known of the estate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Interfaces, sorted by id.
    pub interfaces: Vec<KnownInterface>,
    /// Instances, sorted by id.
    pub instances: Vec<Instance>,
    /// NAT gateways, sorted by id.
    pub nats: Vec<Nat>,
    /// Endpoints, sorted by id.
    pub endpoints: Vec<Endpoint>,
    /// Subnets, sorted by id.
    pub subnets: Vec<Subnet>,
    /// Flow logs, sorted by id.
    pub flow_logs: Vec<FlowLog>,
    /// Event selectors, sorted by trail.
    pub selectors: Vec<Selector>,
    /// Accounts that own any of this, sorted.
    pub accounts: Vec<String>,
}

impl KnownInterface {
    /// True for its own id, and for that of an instance that it serves.
    fn answers_to(&self, target: &str) -> bool {
        self.id == target || self.instances.iter().any(|e| e.to == target)
    }
}

impl Inventory {
    /// The interface of that id.
    pub fn interface(&self, id: &str) -> Option<&KnownInterface> {
        find(&self.interfaces, id, |i| &i.id)
    }

    /// The instance of that id.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        find(&self.instances, id, |i| &i.id)
    }

    /// The endpoint of that id.
    pub fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        find(&self.endpoints, id, |e| &e.id)
    }

    /// The interfaces that had the private address `addr` during `window`.
    pub fn interfaces_at(&self, addr: Addr, window: TimeWindow) -> Vec<&KnownInterface> {
        let has = |i: &&KnownInterface| i.addresses.iter().any(|e| e.to == addr && e.span.overlaps(&window));
        self.interfaces.iter().filter(has).collect()
    }

    /// The instance that `interface` served during `window` (the latest, if it changed).
    pub fn instance_of(&self, interface: &str, window: TimeWindow) -> Option<&Edge<String>> {
        let edges = &self.interface(interface)?.instances;
        edges
            .iter()
            .filter(|e| e.span.overlaps(&window))
            .max_by_key(|e| (e.span.from, &e.to))
    }

    /// True if the interface only passes traffic on: NAT, transit gateway, load balancer, endpoint.
    pub fn is_middlebox(&self, interface: &str) -> Option<bool> {
        let kind = self.interface(interface)?.kind.as_deref()?;
        let kinds = [
            "nat_gateway",
            "regional_nat_gateway",
            "transit_gateway",
            "vpc_endpoint",
            "gateway_load_balancer",
        ];
        Some(kinds.contains(&kind) || kind.ends_with("load_balancer") || kind.ends_with("load_balancer_endpoint"))
    }

    /// The NAT gateways of a VPC.
    pub fn nats_of<'a>(&'a self, vpc: &'a str) -> impl Iterator<Item = &'a Nat> {
        self.nats.iter().filter(move |n| n.vpc.as_deref() == Some(vpc))
    }

    pub(super) fn from_edges(edges: Edges) -> Self {
        let table = Table(&edges);
        let mut known = Inventory {
            interfaces: table.interfaces(),
            instances: table.instances(),
            nats: table.nats(),
            endpoints: table.endpoints(),
            subnets: table.subnets(),
            flow_logs: table.flow_logs(),
            selectors: table.selectors(),
            accounts: table.accounts(),
        };
        known.link_elastic_addresses(&table);
        known.link_instances();
        known.link_services();
        known
    }

    /// Elastic IPs reach their interface, or their NAT gateway, by way of the allocation.
    fn link_elastic_addresses(&mut self, table: &Table<'_>) {
        for (allocation, targets) in table.all(Relation::AllocationTarget) {
            for address in table.addresses(Relation::AllocationAddress, allocation) {
                for target in targets {
                    let edge = Edge {
                        to: address.to,
                        span: target.span,
                        origins: target.origins.clone(),
                    };
                    self.give_public(&target.to, edge);
                }
            }
        }
    }

    fn give_public(&mut self, target: &str, edge: Edge<Addr>) {
        let list = if let Some(n) = self.nats.iter_mut().find(|n| n.id == target) {
            &mut n.public
        } else if let Some(i) = self.interfaces.iter_mut().find(|i| i.answers_to(target)) {
            &mut i.public
        } else {
            return;
        };
        if !list.iter().any(|e| e.to == edge.to) {
            list.push(edge);
            list.sort();
        }
    }

    fn link_instances(&mut self) {
        let mut found: BTreeMap<&str, Vec<Edge<String>>> = BTreeMap::new();
        for interface in &self.interfaces {
            for edge in &interface.instances {
                let back = Edge {
                    to: interface.id.clone(),
                    ..edge.clone()
                };
                found.entry(&edge.to).or_default().push(back);
            }
        }
        for instance in &mut self.instances {
            instance.interfaces = found.remove(instance.id.as_str()).unwrap_or_default();
        }
    }

    /// The interfaces of NAT gateways and endpoints, both ways.
    fn link_services(&mut self) {
        for interface in &mut self.interfaces {
            let of_nat = self.nats.iter().find(|n| n.interface.as_deref() == Some(&interface.id));
            interface.nat = of_nat.map(|n| n.id.clone());
            let of_endpoint = self.endpoints.iter().find(|e| e.interfaces.contains(&interface.id));
            interface.endpoint = of_endpoint.map(|e| e.id.clone());
        }
        for nat in &mut self.nats {
            let own = self.interfaces.iter().find(|i| nat.interface.as_deref() == Some(&i.id));
            if let Some(own) = own.filter(|_| nat.public.is_empty()) {
                nat.public = own.public.clone();
            }
        }
    }
}

fn find<'a, T>(sorted: &'a [T], id: &str, key: impl Fn(&T) -> &String) -> Option<&'a T> {
    let at = sorted.binary_search_by(|x| key(x).as_str().cmp(id)).ok()?;
    sorted.get(at)
}

/// The resolved edges, asked by relation.
struct Table<'a>(&'a Edges);

impl<'a> Table<'a> {
    fn all(&self, relation: Relation) -> impl Iterator<Item = (&'a String, &'a Vec<Edge<String>>)> {
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

    fn addresses(&self, relation: Relation, subject: &str) -> Vec<Edge<Addr>> {
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

    fn interfaces(&self) -> Vec<KnownInterface> {
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

    fn instances(&self) -> Vec<Instance> {
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

    fn nats(&self) -> Vec<Nat> {
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

    fn endpoints(&self) -> Vec<Endpoint> {
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

    fn subnets(&self) -> Vec<Subnet> {
        use Relation::*;
        let of_id = |id: &String| Subnet {
            id: id.clone(),
            vpc: self.last(SubnetVpc, id),
            cidrs: self.edges(SubnetCidr, id).into_iter().map(|e| e.to).collect(),
        };
        self.subjects(&[SubnetVpc, SubnetCidr]).into_iter().map(of_id).collect()
    }

    fn flow_logs(&self) -> Vec<FlowLog> {
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

    fn selectors(&self) -> Vec<Selector> {
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

    fn accounts(&self) -> Vec<String> {
        use Relation::{InstanceAccount, InterfaceAccount};
        let ids: BTreeSet<&String> = self
            .objects(InterfaceAccount)
            .chain(self.objects(InstanceAccount))
            .collect();
        ids.into_iter().cloned().collect()
    }
}
