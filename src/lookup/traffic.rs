//! The flow logs' half of a card: sums both ways, ports, days, interfaces and other ends.
//!
//! A byte is counted once: what NAT gateways, load balancers and endpoints pass on, and what the other interface of the
//! same network logged as well, is shown beside the sums and not in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::Volume;
use crate::attribute::Class as Tie;
use crate::intel::Intel;
use crate::inventory::Inventory;
use crate::lookup::card::{Day, Exact, FarEnd, Flows, Met, PortUse, When};
use crate::lookup::key::Key;
use crate::lookup::search::{Cell, Found, Side, Target, What};
use crate::net::{Addr, Class, TimeWindow};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// What the flow logs say of one key.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) flows: Flows,
    pub(super) interfaces: Vec<Met>,
    /// Other ends, by bytes.
    pub(super) peers: Vec<FarEnd>,
}

/// Everything that is needed to read a search's result.
#[derive(Clone, Copy)]
pub(super) struct Reading<'r> {
    pub(super) found: &'r Found,
    pub(super) targets: &'r [Target],
    pub(super) inventory: &'r Inventory,
    pub(super) intel: &'r Intel,
}

/// One cell with its sides settled.
struct Seen<'r> {
    cell: &'r Cell,
    volume: &'r Volume,
    /// The key's end, its other end.
    near: Addr,
    far: Addr,
    to: bool,
}

impl<'r> Reading<'r> {
    /// Reads what was found for key `number`.
    pub(super) fn of(&self, number: usize, key: &Key) -> Traffic {
        let seen = self.seen(number);
        let own = self.own_interfaces(key, &seen);
        let accepted = seen.iter().filter(|s| s.cell.accepted);
        let passing = self.passing(accepted.map(|s| s.cell.interface).collect());
        let mut flows = Flows::default();
        let mut ports: BTreeMap<(u16, u8), PortUse> = BTreeMap::new();
        let mut days: BTreeMap<u64, Day> = BTreeMap::new();
        let mut ends = FarEnds::default();
        for s in &seen {
            match () {
                () if !s.cell.accepted => flows.rejected.add(s.volume),
                () if passing.contains(&s.cell.interface) => flows.passed_on.add(s.volume),
                () if s.cell.twice || !own.is_empty() && !own.contains(&s.cell.interface) => {
                    flows.seen_elsewhere.add(s.volume)
                }
                () => {
                    if s.to {
                        flows.to.add(s.volume);
                    } else {
                        flows.from.add(s.volume);
                    }
                    add_port(&mut ports, s);
                    add_day(&mut days, s);
                    ends.add(s);
                }
            }
        }
        flows.ports = ports.into_values().collect();
        flows
            .ports
            .sort_by_key(|p| (std::cmp::Reverse(p.to.0 + p.from.0), p.port, p.protocol));
        flows.days = days.into_values().collect();
        Traffic {
            flows,
            interfaces: self.met(&seen, &own),
            peers: ends.finish().iter().map(|e| self.far_end(e)).collect(),
        }
    }

    /// Those of interfaces that only pass on what others of them began.
    pub(super) fn passing(&self, interfaces: BTreeSet<u32>) -> BTreeSet<u32> {
        let name = |i: u32| self.found.interfaces.get(i as usize).map_or("-", |i| i.id.as_str());
        let (passing, originators): (BTreeSet<u32>, BTreeSet<u32>) =
            interfaces.into_iter().partition(|i| self.passes_on(name(*i)));
        match originators.is_empty() {
            true => BTreeSet::new(),
            false => passing,
        }
    }

    pub(super) fn far_end(&self, end: &End) -> FarEnd {
        let name = |i: &u32| self.found.interfaces.get(*i as usize).map_or("-", |i| i.id.as_str());
        FarEnd {
            ip: end.ip,
            class: self.intel.class(end.ip),
            country: self.intel.country(end.ip),
            labels: self.intel.labels(end.ip).into_iter().map(str::to_owned).collect(),
            sent: Exact(end.sent),
            received: Exact(end.received),
            flows: end.flows,
            interfaces: end.interfaces.iter().map(|i| name(i).to_owned()).collect(),
        }
    }

    fn target(&self, cell: &Cell) -> Option<&'r Target> {
        self.targets.get(cell.target as usize)
    }

    fn id(&self, cell: &Cell) -> &'r str {
        self.found
            .interfaces
            .get(cell.interface as usize)
            .map_or("-", |i| i.id.as_str())
    }

    fn passes_on(&self, id: &str) -> bool {
        id.starts_with("nat-") || self.inventory.is_middlebox(id) == Some(true)
    }

    fn seen(&self, number: usize) -> Vec<Seen<'r>> {
        let cells = self.found.cells.iter();
        let mine: Vec<&(Cell, Volume)> = cells
            .filter(|(c, _)| self.target(c).is_some_and(|t| t.key == number))
            .collect();
        let own = self.own_addresses(&mine);
        mine.into_iter()
            .map(|(cell, volume)| self.settle(cell, volume, &own))
            .collect()
    }

    /// Which end an interface is, where its records do not tell: its own address, else the one at home.
    fn settle(&self, cell: &'r Cell, volume: &'r Volume, own: &BTreeMap<u32, BTreeSet<Addr>>) -> Seen<'r> {
        let (mut near, mut far) = (cell.near, cell.far);
        let mut to = cell.side == Side::To;
        if cell.side == Side::Open {
            let is_own = |a: Addr| own.get(&cell.interface).is_some_and(|o| o.contains(&a));
            let home = |a: Addr| self.intel.class(a) == Class::Home;
            to = match (is_own(near), is_own(far)) {
                (false, true) => true,
                (true, false) => false,
                _ => !home(near) && home(far),
            };
            if to {
                std::mem::swap(&mut near, &mut far);
            }
        }
        Seen {
            cell,
            volume,
            near,
            far,
            to,
        }
    }

    /// Addresses of interfaces whose records leave the side open: the inventory's, else the one that most records have.
    fn own_addresses(&self, cells: &[&(Cell, Volume)]) -> BTreeMap<u32, BTreeSet<Addr>> {
        let mut met: BTreeMap<u32, HashMap<Addr, u64, RandomState>> = BTreeMap::new();
        for (cell, volume) in cells.iter().filter(|(c, _)| c.side == Side::Open) {
            let counts = met.entry(cell.interface).or_default();
            *counts.entry(cell.near).or_default() += volume.flows;
            *counts.entry(cell.far).or_default() += volume.flows;
        }
        let of = |(interface, counts): (u32, HashMap<Addr, u64, RandomState>)| {
            let mut own = self.known_addresses(interface);
            if own.is_empty() {
                own.extend(
                    counts
                        .iter()
                        .max_by_key(|(a, n)| (**n, std::cmp::Reverse(**a)))
                        .map(|(a, _)| *a),
                );
            }
            (interface, own)
        };
        met.into_iter().map(of).collect()
    }

    /// The addresses of an interface that the inventory knows.
    pub(super) fn known_addresses(&self, interface: u32) -> BTreeSet<Addr> {
        let interface = self.found.interfaces.get(interface as usize);
        let known = self.inventory.interface(interface.map_or("-", |i| i.id.as_str()));
        known.into_iter().flat_map(|i| &i.addresses).map(|e| e.to).collect()
    }

    /// Interfaces that have the address asked for, if they logged: then the others show the same bytes once more.
    fn own_interfaces(&self, key: &Key, seen: &[Seen<'_>]) -> BTreeSet<u32> {
        let Key::Ip(addr) = key else { return BTreeSet::new() };
        let holders = self.inventory.interfaces_at(*addr, TimeWindow::ALL);
        let holds = |s: &&Seen<'_>| holders.iter().any(|h| h.id == self.id(s.cell));
        seen.iter().filter(holds).map(|s| s.cell.interface).collect()
    }

    fn met(&self, seen: &[Seen<'_>], own: &BTreeSet<u32>) -> Vec<Met> {
        let mut by_interface: BTreeMap<u32, Met> = BTreeMap::new();
        for s in seen.iter().filter(|s| !s.cell.twice) {
            let met = by_interface.entry(s.cell.interface).or_insert_with(|| self.stranger(s));
            if let Some(t) = self.target(s.cell).filter(|t| t.tie < met.class) {
                (met.class, met.why) = (t.tie, t.why.clone());
            }
            let by_name = matches!(
                self.target(s.cell).map(|t| &t.what),
                Some(What::Interface(_) | What::Instance(_))
            );
            let local = if by_name || own.contains(&s.cell.interface) {
                s.near
            } else {
                s.far
            };
            if !met.addresses.contains(&local) {
                met.addresses.push(local);
            }
            met.first.0 = met.first.0.min(s.volume.first);
            met.last.0 = met.last.0.max(s.volume.last);
            match (s.cell.accepted, s.to) {
                (false, _) => met.rejected += s.volume.flows,
                (true, true) => met.to.0 += s.volume.bytes,
                (true, false) => met.from.0 += s.volume.bytes,
            }
            met.flows += if s.cell.accepted { s.volume.flows } else { 0 };
        }
        let mut all: Vec<Met> = by_interface.into_values().collect();
        all.iter_mut().for_each(|m| m.addresses.sort());
        all.sort_by(|a, b| {
            let bytes = (b.to.0 + b.from.0).cmp(&(a.to.0 + a.from.0));
            let originators_first = a.passes_on.cmp(&b.passes_on);
            originators_first.then(bytes).then_with(|| a.eni.cmp(&b.eni))
        });
        all
    }

    fn stranger(&self, s: &Seen<'_>) -> Met {
        let facts = self.found.interfaces.get(s.cell.interface as usize);
        let id = self.id(s.cell);
        let known = self.inventory.interface(id);
        let window = TimeWindow {
            from: s.volume.first,
            to: s.volume.last.saturating_add(1),
        };
        let logged = facts.and_then(|f| f.instance.clone());
        let edge = self.inventory.instance_of(id, window).map(|e| e.to.clone());
        let instance_class = match (&logged, &edge) {
            (Some(_), _) => Some(Tie::Exact),
            (None, Some(_)) => Some(Tie::Strong),
            _ => None,
        };
        let target = self.target(s.cell);
        Met {
            eni: id.to_owned(),
            account: facts
                .and_then(|f| f.account.clone())
                .or_else(|| known.and_then(|k| k.account.clone())),
            vpc: facts
                .and_then(|f| f.vpc.clone())
                .or_else(|| known.and_then(|k| k.vpc.clone())),
            instance: logged.or(edge),
            instance_class,
            class: target.map_or(Tie::Ambiguous, |t| t.tie),
            why: target.map(|t| t.why.clone()).unwrap_or_default(),
            passes_on: self.passes_on(id),
            addresses: Vec::new(),
            to: Exact(0),
            from: Exact(0),
            flows: 0,
            rejected: 0,
            first: When(s.volume.first),
            last: When(s.volume.last),
        }
    }
}

fn add_port(ports: &mut BTreeMap<(u16, u8), PortUse>, s: &Seen<'_>) {
    let entry = ports.entry((s.cell.port, s.cell.protocol)).or_insert_with(|| PortUse {
        port: s.cell.port,
        protocol: s.cell.protocol,
        to: Exact(0),
        from: Exact(0),
        flows: 0,
    });
    let side = if s.to { &mut entry.to } else { &mut entry.from };
    side.0 += s.volume.bytes;
    entry.flows += s.volume.flows;
}

fn add_day(days: &mut BTreeMap<u64, Day>, s: &Seen<'_>) {
    let entry = days.entry(s.cell.day).or_insert_with(|| Day {
        day: When(s.cell.day),
        to: Exact(0),
        from: Exact(0),
        flows: 0,
    });
    let side = if s.to { &mut entry.to } else { &mut entry.from };
    side.0 += s.volume.bytes;
    entry.flows += s.volume.flows;
}

/// Other ends while they are summed, cell by cell.
#[derive(Default)]
struct FarEnds(HashMap<Addr, End, RandomState>);

/// Sums of one other end.
#[derive(Default)]
pub(super) struct End {
    pub(super) ip: Addr,
    pub(super) sent: u128,
    pub(super) received: u128,
    pub(super) flows: u64,
    /// Numbers of the interfaces that met it, ascending: in order of their ids.
    pub(super) interfaces: Vec<u32>,
}

impl FarEnds {
    fn add(&mut self, s: &Seen<'_>) {
        let end = self.0.entry(s.far).or_default();
        match s.to {
            true => end.received += s.volume.bytes,
            false => end.sent += s.volume.bytes,
        }
        end.flows += s.volume.flows;
        if end.interfaces.last() != Some(&s.cell.interface) {
            end.interfaces.push(s.cell.interface);
        }
    }

    /// All, by bytes.
    fn finish(self) -> Vec<End> {
        let named = |(ip, end): (Addr, End)| End { ip, ..end };
        let mut all: Vec<End> = self.0.into_iter().map(named).collect();
        for end in &mut all {
            end.interfaces.sort_unstable();
            end.interfaces.dedup();
        }
        all.sort_unstable_by_key(|e| (std::cmp::Reverse(e.sent + e.received), e.ip));
        all
    }
}
