//! `stolen-instance-credentials`: the credentials of an instance's role are used where that instance is not.
//!
//! A session of an instance role is named after its instance. It belongs at the instance's own addresses, at the NAT
//! gateways of its VPC and at the endpoints. A public address outside of Amazon's ranges can be none of these, unless the
//! session always came that way (a proxy at home). Inside Amazon's ranges, and for private addresses, it takes an
//! inventory, or what the trail taught, to say so: without that the rule is silent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trail::{API_READS, Actor, Aspect, Caller, Deed, Extent, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings, Severity};
use crate::inventory::{Instance, Inventory};
use crate::net::{Addr, Class, HOUR, TimeWindow, rfc3339};
use crate::trail::TrailRow;

/// The detector.
pub struct StolenInstanceCredentials;

/// Parameters of `stolen-instance-credentials`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many other callers came from the address's network before: then it is a gateway of ours.
    pub shared_by: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { shared_by: 3 }
    }
}

impl TrailDetector for StolenInstanceCredentials {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "stolen-instance-credentials",
            title: "Credentials of an instance used elsewhere",
            techniques: &["T1552.005", "T1078.004"],
            guardduty: Some("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"),
        }
    }

    fn retired(&self) -> &'static [&'static str] {
        &["UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration"]
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let own = &settings.stolen_instance_credentials;
        let of = |(index, actor): (usize, &Actor<'_>)| {
            let instance = actor.who.instance.as_deref()?;
            Some(signals(day, index, actor, instance, own))
        };
        day.actors.iter().enumerate().filter_map(of).flatten().collect()
    }
}

/// A signal for each address where the instance is not.
fn signals(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, instance: &str, own: &Parameters) -> Vec<TrailSignal> {
    let mut places: BTreeMap<Addr, (&Caller, Vec<u32>, &'static str)> = BTreeMap::new();
    for (n, row) in actor.rows.iter().filter_map(|n| Some((*n, day.row(*n)?))) {
        // A service that calls with the instance's session (forward access) leaves its own name, not an address.
        let caller = day.case.caller(row).filter(|_| actor.who.invoked_by.is_none());
        let Some(caller) = caller else { continue };
        if let Some(why) = elsewhere(day, actor, instance, row, caller, own) {
            places.entry(caller.addr).or_insert((caller, Vec::new(), why)).1.push(n);
        }
    }
    let signal = |(caller, rows, why)| signal(day, index, actor, instance, (caller, why), rows);
    places.into_values().map(signal).collect()
}

/// Why the caller's address cannot be the instance's, if it cannot.
fn elsewhere(
    day: &TrailDay<'_>,
    actor: &Actor<'_>,
    instance: &str,
    row: &TrailRow,
    caller: &Caller,
    own: &Parameters,
) -> Option<&'static str> {
    let inventory = day.case.inventory;
    let window = TimeWindow {
        from: row.first,
        to: row.last.saturating_add(1),
    };
    let known = inventory.instance(instance);
    let wide = window.widen(HOUR);
    if known.is_some_and(|i| belongs(inventory, i, caller.addr, wide)) {
        return None;
    }
    let placed = known.filter(|i| !i.addresses.is_empty() || !i.interfaces.is_empty());
    let through_endpoint = row.endpoint != 0;
    match caller.peer.class {
        Class::Special => None,
        Class::Home if through_endpoint => other_holder(inventory, instance, caller.addr, window)
            .then_some("which is the address of another machine of ours"),
        // Without an endpoint no private address reaches a service: unless it was rewritten, it is not ours.
        Class::Home => placed.map(|_| "a private address that the instance does not have"),
        Class::External => (!usual(day, actor, caller, own)).then_some("an address outside of AWS"),
        Class::Aws | Class::S3 if caller.inside => None,
        Class::Aws | Class::S3 => {
            let vpc_known = placed.is_some_and(|i| knows_gateways(inventory, i));
            (vpc_known && !usual(day, actor, caller, own)).then_some("an address in AWS that is none of the VPC's")
        }
    }
}

/// True if the address is the instance's, of one of its interfaces, or of a NAT gateway of its VPC.
fn belongs(inventory: &Inventory, instance: &Instance, addr: Addr, window: TimeWindow) -> bool {
    let holds = |e: &crate::inventory::Edge<Addr>| e.to == addr && e.span.overlaps(&window);
    let interfaces = instance.interfaces.iter().filter_map(|e| inventory.interface(&e.to));
    let of_interfaces = interfaces.flat_map(|i| i.addresses.iter().chain(&i.public));
    let nats = instance
        .vpc
        .iter()
        .flat_map(|v| inventory.nats_of(v))
        .flat_map(|n| &n.public);
    instance.addresses.iter().chain(of_interfaces).chain(nats).any(holds)
}

/// True if exactly another known machine had the address.
fn other_holder(inventory: &Inventory, instance: &str, addr: Addr, window: TimeWindow) -> bool {
    let holders = inventory.interfaces_at(addr, window);
    let of_others =
        |i: &&crate::inventory::KnownInterface| !i.instances.is_empty() && i.instances.iter().all(|e| e.to != instance);
    matches!(holders.as_slice(), [one] if of_others(one))
}

/// True if the ways out of the instance's VPC are known: its own public address, or a NAT gateway.
fn knows_gateways(inventory: &Inventory, instance: &Instance) -> bool {
    let interfaces = instance.interfaces.iter().filter_map(|e| inventory.interface(&e.to));
    let public = interfaces.flat_map(|i| &i.public).next().is_some();
    let nat = instance
        .vpc
        .iter()
        .flat_map(|v| inventory.nats_of(v))
        .any(|n| !n.public.is_empty());
    public || nat
}

/// True if the session, or several others, came from there before.
fn usual(day: &TrailDay<'_>, actor: &Actor<'_>, caller: &Caller, own: &Parameters) -> bool {
    let before = day.history.own(actor.name);
    before.is_some_and(|h| h.places.contains_key(&caller.place))
        || day.history.others_at(&caller.place, actor.name) >= own.shared_by
}

fn signal(
    day: &TrailDay<'_>,
    index: usize,
    actor: &Actor<'_>,
    instance: &str,
    place: (&Caller, &'static str),
    all: Vec<u32>,
) -> TrailSignal {
    let (caller, why) = place;
    let reads: Vec<u32> = all
        .iter()
        .copied()
        .filter(|n| day.case.deed(*n) == Deed::Read)
        .collect();
    let rows = if reads.is_empty() { all } else { reads };
    let extent = Extent::of(day.case, &rows);
    let reason = format!(
        "{} requests with the credentials of instance {instance} came from {}, {why}, from {} to {}.",
        extent.requests,
        caller.words(),
        rfc3339(extent.first),
        rfc3339(extent.last)
    );
    let signal = TrailSignal::new(
        "stolen-instance-credentials",
        index,
        Aspect::Stolen,
        Severity::Medium,
        rows,
    )
    .channel(API_READS)
    .surprise(2.0)
    .because(reason);
    match other_delivery(day, actor) {
        true => signal.because("The same session was used with credentials of another delivery (IMDSv1 and IMDSv2)."),
        false => signal,
    }
}

/// True if the session's credentials came both ways.
fn other_delivery(day: &TrailDay<'_>, actor: &Actor<'_>) -> bool {
    let rows = actor.rows.iter().filter_map(|n| day.row(*n));
    let ways: std::collections::BTreeSet<&str> = rows
        .filter_map(|r| day.case.index.principal(r)?.role_delivery.as_deref())
        .collect();
    ways.len() > 1
}
