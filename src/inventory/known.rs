//! The graph with its intervals worked out: what later rooms ask.
//!
//! Everything is sorted by id; lookups are binary searches. Where several edges of one kind stand beside each other
//! (an interface that changed its instance), all are kept, each with its interval.

use std::collections::BTreeMap;

use super::graph::{Edges, Origin, Relation};
use super::table::Table;
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

    /// True if the interface only passes traffic on: NAT, transit gateway, network or gateway load balancer, endpoint.
    /// An application or classic load balancer ends connections itself: what it answers began there.
    pub fn is_middlebox(&self, interface: &str) -> Option<bool> {
        let kind = self.interface(interface)?.kind.as_deref()?;
        const KINDS: [&str; 7] = [
            "nat_gateway",
            "regional_nat_gateway",
            "transit_gateway",
            "vpc_endpoint",
            "network_load_balancer",
            "gateway_load_balancer",
            "gateway_load_balancer_endpoint",
        ];
        Some(KINDS.contains(&kind))
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
