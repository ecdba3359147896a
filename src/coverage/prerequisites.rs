//! What the account and the run lack, each with what it costs: one table, most costly first.

use crate::coverage::buckets::BucketCoverage;
use crate::coverage::digest::DigestReport;
use crate::coverage::interfaces::{InterfaceCoverage, State};
use crate::coverage::logs::LogCoverage;
use crate::coverage::selectors::Selectors;
use crate::flow::Field;
use crate::intel::{ListInfo, Status};
use crate::inventory::Inventory;
use crate::trail::{Access, PrincipalIndex};

/// Everything that is known when the table is made.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Flow logs.
    pub logs: &'a [LogCoverage],
    /// Interfaces.
    pub interfaces: &'a [InterfaceCoverage],
    /// Buckets.
    pub buckets: &'a [BucketCoverage],
    /// The trail, if there is one.
    pub trail: Option<&'a PrincipalIndex>,
    /// Event selectors.
    pub selectors: &'a Selectors,
    /// Digests, if there are any.
    pub digests: Option<&'a DigestReport>,
    /// The inventory.
    pub inventory: &'a Inventory,
    /// Lists in use and missing.
    pub lists: &'a [ListInfo],
}

/// How one prerequisite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It is not there.
    Lacking,
    /// Some of it is.
    Partial,
    /// It is there.
    Met,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prerequisite {
    /// What.
    pub what: String,
    /// How it stands.
    pub grade: Grade,
    /// In numbers.
    pub found: String,
    /// What its absence costs.
    pub cost: &'static str,
}

impl Grade {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Grade::Lacking => "lacking",
            Grade::Partial => "partial",
            Grade::Met => "met",
        }
    }

    fn of(good: usize, all: usize) -> Grade {
        match good {
            0 => Grade::Lacking,
            n if n < all => Grade::Partial,
            _ => Grade::Met,
        }
    }
}

/// The table: what is lacking first, then in the order of the cost.
pub fn prerequisites(facts: &Facts<'_>) -> Vec<Prerequisite> {
    let rows: [fn(&Facts<'_>) -> Option<Prerequisite>; 14] = [
        accepted,
        all_files,
        all_records,
        all_interfaces,
        trail,
        data_events,
        sensitive,
        network_activity,
        packet_fields,
        inventory,
        flow_log_list,
        event_selectors,
        digests,
        dns,
    ];
    let mut table: Vec<Prerequisite> = rows.iter().filter_map(|row| row(facts)).collect();
    table.extend(lists(facts));
    table.sort_by_key(|p| p.grade);
    table
}

fn row(what: &'static str, grade: Grade, found: String, cost: &'static str) -> Option<Prerequisite> {
    Some(Prerequisite {
        what: what.into(),
        grade,
        found,
        cost,
    })
}

fn read_logs<'a>(f: &Facts<'a>) -> impl Iterator<Item = &'a LogCoverage> + Clone {
    f.logs.iter().filter(|l| l.facts.records > 0)
}

fn accepted(f: &Facts<'_>) -> Option<Prerequisite> {
    let all = read_logs(f).count();
    let good = read_logs(f).filter(|l| !l.traffic.is_blind()).count();
    let found = format!("{good} of {all} flow logs record what was accepted");
    let cost = "a log of REJECT alone shows attempts and nothing that left";
    row("flow logs of accepted traffic", Grade::of(good, all), found, cost)
}

fn all_files(f: &Facts<'_>) -> Option<Prerequisite> {
    let missing: u64 = f.logs.iter().flat_map(|l| &l.slots.gaps).map(|g| g.files).sum();
    let unsteady = read_logs(f).filter(|l| !l.slots.steady).count();
    let grade = if missing + unsteady as u64 > 0 {
        Grade::Partial
    } else {
        Grade::Met
    };
    let found = format!("{missing} files missing; {unsteady} flow logs too irregular or short to tell");
    row(
        "every file of the flow logs",
        grade,
        found,
        "what left in that time is in no sum and no baseline",
    )
}

fn all_records(f: &Facts<'_>) -> Option<Prerequisite> {
    let lost: u64 = f.interfaces.iter().map(|i| i.lost_seconds).sum();
    let grade = if lost > 0 { Grade::Partial } else { Grade::Met };
    let found = format!("{lost} interface-seconds of SKIPDATA");
    row(
        "every record (no SKIPDATA)",
        grade,
        found,
        "AWS lost records of these windows: sums are lower bounds",
    )
}

fn all_interfaces(f: &Facts<'_>) -> Option<Prerequisite> {
    let not_logged = f.interfaces.iter().filter(|i| i.state == State::NotLogged).count();
    let silent = f.interfaces.iter().filter(|i| i.state == State::Silent).count();
    let good = f.interfaces.len() - not_logged - silent;
    let found = format!("{not_logged} interfaces of the inventory in no flow log, {silent} fell silent");
    let cost = "nothing that such an interface sends is seen";
    row(
        "every interface logged",
        Grade::of(good, f.interfaces.len()),
        found,
        cost,
    )
}

fn trail(f: &Facts<'_>) -> Option<Prerequisite> {
    let grade = if f.trail.is_some() { Grade::Met } else { Grade::Lacking };
    let found = f
        .trail
        .map_or("no --trail".into(), |t| format!("{} accounts", t.accounts.len()));
    row(
        "CloudTrail",
        grade,
        found,
        "findings end at an interface: no principal, no key, no bucket",
    )
}

fn data_events(f: &Facts<'_>) -> Option<Prerequisite> {
    let all = f.buckets.len();
    let good = f.buckets.iter().filter(|b| !b.is_blind()).count();
    let found = format!("{good} of {all} known buckets");
    let cost = "downloads and server-side copies leave no trace; S3 bytes cannot be reconciled";
    row("S3 data events", Grade::of(good, all), found, cost)
}

fn sensitive(f: &Facts<'_>) -> Option<Prerequisite> {
    let sensitive = || f.buckets.iter().filter(|b| !b.sensitive.is_empty());
    let all = sensitive().count();
    let blind: Vec<&str> = sensitive().filter(|b| b.is_blind()).map(|b| b.name.as_str()).collect();
    let cost = "the data that matters most can be read unseen";
    let found = format!(
        "{} of {all} buckets that Macie calls sensitive: {}",
        blind.len(),
        blind.join(", ")
    );
    let found = found.trim_end_matches(": ").to_string() + " without them";
    (all > 0).then(|| {
        row(
            "data events of sensitive buckets",
            Grade::of(all - blind.len(), all),
            found,
            cost,
        )
    })?
}

fn network_activity(f: &Facts<'_>) -> Option<Prerequisite> {
    let met = f.trail?.rows.iter().filter(|r| r.access == Access::Network).count();
    let grade = if met > 0 || f.selectors.network_activity() {
        Grade::Met
    } else {
        Grade::Lacking
    };
    let cost = "writes with foreign keys through an endpoint are in nobody's trail but the attacker's";
    row("network activity events", grade, format!("{met} cells of events"), cost)
}

fn packet_fields(f: &Facts<'_>) -> Option<Prerequisite> {
    const WANTED: [Field; 4] = [
        Field::PktDstAddr,
        Field::FlowDirection,
        Field::TcpFlags,
        Field::TrafficPath,
    ];
    let all = read_logs(f).count();
    let good = read_logs(f).filter(|l| WANTED.iter().all(|w| l.has(*w))).count();
    let found = format!("{good} of {all} flow logs have pkt-dstaddr, flow-direction, tcp-flags and traffic-path");
    let cost = "direction and role are inferred; hosts behind a NAT gateway, pods and the way out are not told";
    row("fields of versions 3 to 5", Grade::of(good, all), found, cost)
}

fn inventory(f: &Facts<'_>) -> Option<Prerequisite> {
    let n = f.inventory.interfaces.len();
    let cost =
        "no interface that lacks a flow log can be named; instances and NAT gateways only as far as CloudTrail tells";
    row(
        "inventory of interfaces",
        Grade::of(n, n),
        format!("{n} interfaces"),
        cost,
    )
}

fn flow_log_list(f: &Facts<'_>) -> Option<Prerequisite> {
    let n = f.inventory.flow_logs.len();
    row(
        "describe-flow-logs",
        Grade::of(n, n),
        format!("{n} flow logs"),
        "TrafficType is guessed from the records",
    )
}

fn event_selectors(f: &Facts<'_>) -> Option<Prerequisite> {
    let grade = if f.selectors.is_empty() {
        Grade::Lacking
    } else {
        Grade::Met
    };
    let found = format!("{} selectors", f.inventory.selectors.len());
    row(
        "get-event-selectors",
        grade,
        found,
        "a bucket without events may be unused or unrecorded",
    )
}

fn digests(f: &Facts<'_>) -> Option<Prerequisite> {
    f.trail?;
    let cost = "a trail file that was altered or deleted goes unnoticed";
    let Some(d) = f.digests else {
        return row("CloudTrail digests", Grade::Lacking, "none in --trail".into(), cost);
    };
    let grade = if d.faults.is_empty() {
        Grade::Met
    } else {
        Grade::Partial
    };
    let found = format!(
        "{} of {} files intact, {} faults, unsigned",
        d.intact,
        d.named,
        d.faults.len()
    );
    row("CloudTrail digests", grade, found, cost)
}

fn dns(_: &Facts<'_>) -> Option<Prerequisite> {
    let cost = "tunnels through the VPC's resolver are in no flow log, whatever its format";
    row("Resolver query logs", Grade::Lacking, "not read".into(), cost)
}

fn lists<'a>(f: &Facts<'a>) -> impl Iterator<Item = Prerequisite> + use<'a> {
    let missing = f.lists.iter().filter(|l| l.status == Status::NotLoaded);
    missing.map(|l| Prerequisite {
        what: format!("list: {}", l.kind.as_str()),
        grade: Grade::Lacking,
        found: "list not loaded".into(),
        cost: "no hit can be told from not looked",
    })
}
