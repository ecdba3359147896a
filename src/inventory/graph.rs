//! The set of facts, before anybody has asked anything of it.
//!
//! A fact is one sentence: this subject stood in this relation to this object, beginning or ending then, or seen at
//! an unknown time. A set of such sentences merges by union, which is why copies and re-deliveries cost nothing.
//! Intervals are only worked out when everything has been read.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Edge, Inventory};
use crate::net::{Seconds, TimeWindow};

/// How a subject and an object belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Interface → account that owns it.
    InterfaceAccount,
    /// Interface → VPC.
    InterfaceVpc,
    /// Interface → subnet.
    InterfaceSubnet,
    /// Interface → kind: `interface`, `nat_gateway`, `vpc_endpoint`, `load_balancer`, `transit_gateway`, `lambda`, …
    InterfaceKind,
    /// Interface → `true` if another service made it.
    InterfaceManaged,
    /// Interface → private address.
    InterfaceAddress,
    /// Interface → public address that it is translated to.
    InterfacePublic,
    /// Interface → instance. An interface serves one instance at a time.
    InterfaceInstance,
    /// Interface → attachment (`eni-attach-…`), which `DetachNetworkInterface` names.
    InterfaceAttachment,
    /// Instance → private address.
    InstanceAddress,
    /// Instance → public address.
    InstancePublic,
    /// Instance → account.
    InstanceAccount,
    /// Instance → VPC.
    InstanceVpc,
    /// Instance → `terminated`: ends what its interfaces had with it.
    InstanceEnded,
    /// Instance → instance profile, by name. An instance has one profile at a time.
    InstanceProfile,
    /// Instance profile, by name → role, by name.
    ProfileRole,
    /// Elastic IP allocation → public address.
    AllocationAddress,
    /// Elastic IP allocation → NAT gateway, interface or instance. One at a time.
    AllocationTarget,
    /// NAT gateway → VPC.
    NatVpc,
    /// NAT gateway → subnet.
    NatSubnet,
    /// NAT gateway → interface.
    NatInterface,
    /// Endpoint → service name.
    EndpointService,
    /// Endpoint → VPC.
    EndpointVpc,
    /// Endpoint → account.
    EndpointAccount,
    /// Endpoint → `Gateway`, `Interface`, …
    EndpointKind,
    /// Endpoint → interface.
    EndpointInterface,
    /// Subnet → CIDR.
    SubnetCidr,
    /// Subnet → VPC.
    SubnetVpc,
    /// Flow log → resource (VPC, subnet or interface).
    FlowLogResource,
    /// Flow log → `LogFormat`.
    FlowLogFormat,
    /// Flow log → `TrafficType`.
    FlowLogTraffic,
    /// Trail → one event selector, as its JSON text.
    TrailSelector,
}

/// When a fact held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// It held at some time that nobody wrote down (a snapshot).
    Seen,
    /// It began to hold.
    Begin(Seconds),
    /// It ceased to hold.
    End(Seconds),
}

/// What a fact is known from: the AWS CLI command or the API call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub &'static str);

/// One sentence of the graph. An empty object in a fact that ends means "whatever it was".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// Id of the subject (`eni-…`, `i-…`, `eipalloc-…`, `nat-…`, `vpce-…`, `fl-…`, a profile's name, a trail's ARN).
    pub subject: String,
    /// The relation.
    pub relation: Relation,
    /// Id or value of the object.
    pub object: String,
    /// When.
    pub mark: Mark,
    /// Known from.
    pub origin: Origin,
}

/// The facts so far: add in any order, merge in any order, resolve once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    facts: BTreeSet<Fact>,
}

impl Graph {
    /// Adds one fact; one with an empty subject says nothing and is dropped.
    pub fn add(&mut self, fact: Fact) {
        if !fact.subject.is_empty() {
            self.facts.insert(fact);
        }
    }

    /// Adds a fact from its parts, if the object is known.
    pub fn say(&mut self, subject: &str, relation: Relation, object: Option<&str>, mark: Mark, origin: Origin) {
        if let Some(object) = object.filter(|o| !o.is_empty()) {
            self.add(Fact {
                subject: subject.into(),
                relation,
                object: object.into(),
                mark,
                origin,
            });
        }
    }

    /// Says that whatever `subject` stood in `relation` to has ended.
    pub fn end(&mut self, subject: &str, relation: Relation, at: Seconds, origin: Origin) {
        self.add(Fact {
            subject: subject.into(),
            relation,
            object: String::new(),
            mark: Mark::End(at),
            origin,
        });
    }

    /// Takes over everything that another graph knows. Commutative and associative.
    pub fn merge(&mut self, mut other: Graph) {
        self.facts.append(&mut other.facts);
    }

    /// Number of facts.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// All facts, sorted.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter()
    }

    /// Works out what held when.
    pub fn resolve(&self) -> Inventory {
        let mut edges: Edges = BTreeMap::new();
        let mut detached = self.detachments();
        detached.extend(self.terminations());
        let mut facts = self.facts.iter().chain(&detached).collect::<Vec<_>>();
        facts.sort();
        for group in facts.chunk_by(|a, b| (&a.subject, a.relation) == (&b.subject, b.relation)) {
            if let Some(first) = group.first() {
                let found = intervals(first.relation, group);
                edges
                    .entry(first.relation)
                    .or_default()
                    .insert(first.subject.clone(), found);
            }
        }
        Inventory::from_edges(edges)
    }

    /// `DetachNetworkInterface` names an attachment, not an interface: translated here.
    fn detachments(&self) -> Vec<Fact> {
        let attached = |f: &&Fact| f.relation == Relation::InterfaceAttachment && !f.object.is_empty();
        let interface_of: BTreeMap<&str, &str> = self
            .facts
            .iter()
            .filter(attached)
            .map(|f| (f.object.as_str(), f.subject.as_str()))
            .collect();
        let ends = self
            .facts
            .iter()
            .filter(|f| f.relation == Relation::InterfaceAttachment && f.object.is_empty());
        ends.filter_map(|f| {
            let interface = interface_of.get(f.subject.as_str())?;
            let relation = Relation::InterfaceInstance;
            Some(Fact {
                subject: (*interface).to_string(),
                relation,
                ..f.clone()
            })
        })
        .collect()
    }

    /// `TerminateInstances` names no interface: those that served the instance stop to.
    fn terminations(&self) -> Vec<Fact> {
        let ended = self.facts.iter().filter(|f| f.relation == Relation::InstanceEnded);
        let ended: BTreeMap<&str, &Fact> = ended.map(|f| (f.subject.as_str(), f)).collect();
        let serving = self
            .facts
            .iter()
            .filter(|f| f.relation == Relation::InterfaceInstance && !f.object.is_empty());
        serving
            .filter_map(|f| match ended.get(f.object.as_str()) {
                Some(Fact {
                    mark: Mark::Begin(t),
                    origin,
                    ..
                }) => Some(Fact {
                    mark: Mark::End(*t),
                    origin: *origin,
                    ..f.clone()
                }),
                _ => None,
            })
            .collect()
    }
}

impl Relation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Relation; 32] = {
        use Relation::*;
        [
            InterfaceAccount,
            InterfaceVpc,
            InterfaceSubnet,
            InterfaceKind,
            InterfaceManaged,
            InterfaceAddress,
            InterfacePublic,
            InterfaceInstance,
            InterfaceAttachment,
            InstanceAddress,
            InstancePublic,
            InstanceAccount,
            InstanceVpc,
            InstanceEnded,
            InstanceProfile,
            ProfileRole,
            AllocationAddress,
            AllocationTarget,
            NatVpc,
            NatSubnet,
            NatInterface,
            EndpointService,
            EndpointVpc,
            EndpointAccount,
            EndpointKind,
            EndpointInterface,
            SubnetCidr,
            SubnetVpc,
            FlowLogResource,
            FlowLogFormat,
            FlowLogTraffic,
            TrailSelector,
        ]
    };

    /// True if a new object takes the place of the old one.
    fn is_exclusive(self) -> bool {
        use Relation::{AllocationTarget, InstanceProfile, InterfaceInstance};
        matches!(self, InterfaceInstance | InstanceProfile | AllocationTarget)
    }
}

/// Resolved edges: relation → subject → edges to objects.
pub(super) type Edges = BTreeMap<Relation, BTreeMap<String, Vec<Edge<String>>>>;

/// The intervals of all objects that one subject stood in one relation to; `facts` are sorted by object, then mark.
fn intervals(relation: Relation, facts: &[&Fact]) -> Vec<Edge<String>> {
    let mut out = Vec::new();
    for group in facts.chunk_by(|a, b| a.object == b.object) {
        let Some(object) = group.first().map(|f| &f.object).filter(|o| !o.is_empty()) else {
            continue;
        };
        let mut origins: Vec<Origin> = group.iter().map(|f| f.origin).collect();
        origins.sort();
        origins.dedup();
        for from in beginnings(group) {
            let to = facts
                .iter()
                .filter_map(|f| end_of(relation, object, f))
                .filter(|t| *t > from)
                .min();
            let span = TimeWindow {
                from,
                to: to.unwrap_or(Seconds::MAX),
            };
            out.push(Edge {
                to: object.clone(),
                span,
                origins: origins.clone(),
            });
        }
    }
    out
}

/// Where intervals begin: at each known beginning, else (seen only, or only its end known) at the beginning of time.
fn beginnings(group: &[&Fact]) -> Vec<Seconds> {
    let known: BTreeSet<Seconds> = group
        .iter()
        .filter_map(|f| if let Mark::Begin(t) = f.mark { Some(t) } else { None })
        .collect();
    if known.is_empty() {
        vec![0]
    } else {
        known.into_iter().collect()
    }
}

/// The time at which `fact` ends an interval of `object`, if it does.
fn end_of(relation: Relation, object: &str, fact: &Fact) -> Option<Seconds> {
    match fact.mark {
        Mark::End(t) if fact.object.is_empty() || fact.object == object => Some(t),
        Mark::Begin(t) if relation.is_exclusive() && fact.object != object => Some(t),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Inventory;

    const RUN: Origin = Origin("RunInstances");

    fn attached(graph: &Graph) -> Vec<(String, u64, u64)> {
        let known: Inventory = graph.resolve();
        let edges = &known.interface("eni-1").unwrap().instances;
        edges.iter().map(|e| (e.to.clone(), e.span.from, e.span.to)).collect()
    }

    #[test]
    fn an_interface_that_moves_serves_one_instance_at_a_time() {
        let mut g = Graph::default();
        g.say("eni-1", Relation::InterfaceInstance, Some("i-b"), Mark::Begin(200), RUN);
        g.say("eni-1", Relation::InterfaceInstance, Some("i-a"), Mark::Begin(100), RUN);
        g.end("eni-1", Relation::InterfaceInstance, 300, RUN);
        assert_eq!(attached(&g), [("i-a".into(), 100, 200), ("i-b".into(), 200, 300)]);
    }

    #[test]
    fn a_detachment_is_found_by_its_attachment() {
        let mut g = Graph::default();
        g.say("eni-1", Relation::InterfaceInstance, Some("i-a"), Mark::Begin(100), RUN);
        g.say(
            "eni-1",
            Relation::InterfaceAttachment,
            Some("eni-attach-9"),
            Mark::Begin(100),
            RUN,
        );
        g.end(
            "eni-attach-9",
            Relation::InterfaceAttachment,
            150,
            Origin("DetachNetworkInterface"),
        );
        assert_eq!(attached(&g), [("i-a".into(), 100, 150)]);
    }

    #[test]
    fn a_snapshot_without_a_time_holds_always_and_merging_is_union() {
        let (mut a, mut b) = (Graph::default(), Graph::default());
        a.say("eni-1", Relation::InterfaceInstance, Some("i-a"), Mark::Seen, RUN);
        b.say("eni-1", Relation::InterfaceInstance, Some("i-a"), Mark::Seen, RUN);
        b.say("eni-1", Relation::InterfaceVpc, Some("vpc-1"), Mark::Seen, RUN);
        let mut ab = a.clone();
        ab.merge(b.clone());
        b.merge(a);
        assert_eq!(ab, b);
        assert_eq!(attached(&ab), [("i-a".into(), 0, u64::MAX)]);
    }
}
