//! What is known of the thing in question: its addresses, network, account and instance at that time.

use super::question::Question;
use crate::inventory::{Edge, Inventory};
use crate::net::{Addr, Seconds, TimeWindow};
use crate::trail::IssuedSession;

/// How far apart the clocks of the two logs may be: a flow's window plus a minute (AWS), rounded up.
const SLACK: Seconds = 660;

/// What is known of the thing in question.
pub(super) struct Subject<'q> {
    pub(super) question: &'q Question,
    pub(super) window: TimeWindow,
    pub(super) instance: Option<String>,
    pub(super) account: Option<String>,
    pub(super) vpc: Option<String>,
    pub(super) own: Vec<Addr>,
    /// Other addresses of the same interface: pods, secondary addresses.
    pub(super) siblings: Vec<Addr>,
    pub(super) public: Vec<Addr>,
    pub(super) nat: Vec<Addr>,
}

impl<'q> Subject<'q> {
    /// What the inventory says of the interface and instance in question.
    pub(super) fn new(question: &'q Question, inventory: &Inventory) -> Self {
        let window = question.when();
        let id = question.interface.as_deref().unwrap_or_default();
        let known = inventory.interface(id);
        let attached = inventory.instance_of(id, window).map(|e| e.to.clone());
        let instance = question.instance.clone().or(attached);
        let of_instance = instance.as_deref().and_then(|i| inventory.instance(i));
        let account = question
            .account
            .clone()
            .or_else(|| known.and_then(|k| k.account.clone()));
        let vpc = question.vpc.clone().or_else(|| known.and_then(|k| k.vpc.clone()));
        let vpc = vpc.or_else(|| of_instance.and_then(|i| i.vpc.clone()));
        let middlebox = inventory.is_middlebox(id) == Some(true);
        let known_own = known_addresses(inventory, question, instance.as_deref(), window);
        let (own, siblings) = split_addresses(question, known_own, middlebox);
        let valid = |edges: &[Edge<Addr>]| -> Vec<Addr> {
            edges
                .iter()
                .filter(|e| e.span.overlaps(&window))
                .map(|e| e.to)
                .collect()
        };
        let public = known.map(|k| valid(&k.public)).unwrap_or_default();
        let nats = vpc
            .iter()
            .flat_map(|v| inventory.nats_of(v))
            .flat_map(|n| valid(&n.public))
            .collect();
        let (public, nat) = if middlebox {
            (Vec::new(), public)
        } else {
            (public, nats)
        };
        Subject {
            question,
            window: window.widen(SLACK),
            instance,
            account,
            vpc,
            own,
            siblings,
            public,
            nat,
        }
    }

    /// The address of the subject from which credentials were asked for; true if it is one in question.
    pub(super) fn asked_from(&self, issued: &IssuedSession) -> Option<(Addr, bool)> {
        let addr = issued.source.parse().ok()?;
        let own = self.own.contains(&addr);
        (own || self.siblings.contains(&addr)).then_some((addr, own))
    }
}

/// What the inventory knows of the interface's, and the instance's, private addresses.
pub(super) fn known_addresses(
    inventory: &Inventory,
    question: &Question,
    instance: Option<&str>,
    window: TimeWindow,
) -> Vec<Addr> {
    let interfaces = question.interface.as_deref().and_then(|id| inventory.interface(id));
    let of_interface = interfaces.into_iter().flat_map(|i| &i.addresses);
    let of_instance = instance
        .and_then(|i| inventory.instance(i))
        .into_iter()
        .flat_map(|i| &i.addresses);
    let valid = of_interface.chain(of_instance).filter(|e| e.span.overlaps(&window));
    let mut out: Vec<Addr> = valid.map(|e| e.to).collect();
    out.sort();
    out.dedup();
    out
}

/// The addresses in question, and what else the interface is known to have. A middlebox has none of its own: what it
/// sent from are the addresses of others.
fn split_addresses(question: &Question, known: Vec<Addr>, middlebox: bool) -> (Vec<Addr>, Vec<Addr>) {
    if middlebox {
        return (Vec::new(), Vec::new());
    }
    if question.addresses.is_empty() {
        return (known, Vec::new());
    }
    let siblings = known.into_iter().filter(|a| !question.addresses.contains(a)).collect();
    (question.addresses.clone(), siblings)
}
