//! What is asked: an interface, instance or addresses, a span of time, and perhaps the bytes that flowed to S3.

use std::collections::BTreeMap;

use super::gateway::PassedOn;
use crate::aggregate::{Direction, EgressTable, Row};
use crate::net::{Addr, Class, Seconds, TimeWindow};
use crate::trail::TrailRow;

/// "Who used this, then?"
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// `eni-…`.
    pub interface: Option<String>,
    /// `i-…`.
    pub instance: Option<String>,
    /// The addresses in question. Empty: all that the inventory knows of the interface.
    pub addresses: Vec<Addr>,
    /// Account that owns the interface.
    pub account: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// When.
    pub window: Option<TimeWindow>,
    /// What kind of peer the traffic went to.
    pub toward: Toward,
    /// Flow log egress to S3 by hour, for comparison with what S3 counted; empty if not known.
    pub hourly: Vec<(Seconds, u128)>,
    /// True if the flow log shows one address for all that the interface has: without `pkt-srcaddr`, AWS writes the first
    /// private address whoever sent.
    pub one_address: bool,
    /// The gateway's interface that logged the traffic in question as sent by the addresses in question.
    pub gateway: Option<String>,
}

/// Where the traffic in question went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Toward {
    /// Anywhere: callers are ranked by all their bytes.
    #[default]
    Anywhere,
    /// To S3: callers are ranked by what they uploaded.
    S3,
}

impl Question {
    /// The question about one interface of the table.
    pub fn of_interface(table: &EgressTable, interface: u32, window: TimeWindow, toward: Toward) -> Self {
        let Some(i) = table.interfaces.get(interface as usize) else {
            return Question::default();
        };
        Question {
            interface: Some(i.id.clone()),
            instance: i.instance.clone(),
            addresses: i.addresses.clone(),
            account: i.account.clone(),
            vpc: i.vpc.clone(),
            window: Some(window),
            toward,
            hourly: s3_egress(table, interface, window),
            one_address: one_address(table, interface),
            gateway: None,
        }
    }

    /// The same question about one address behind the interface (a pod, a secondary address).
    #[must_use]
    pub fn about(mut self, local: Addr) -> Self {
        self.addresses = vec![local];
        self
    }

    /// The same question about the sender that a gateway logged.
    #[must_use]
    pub fn sent_by(self, passed: &PassedOn) -> Self {
        Question {
            gateway: Some(passed.gateway.clone()),
            ..self.about(passed.sender)
        }
    }

    /// The window, or all of time.
    pub(super) fn when(&self) -> TimeWindow {
        self.window.unwrap_or(TimeWindow::ALL)
    }

    /// True if what S3 counted for these rows fits what flowed to S3, hour by hour, within the cost of packing it.
    pub(super) fn bytes_agree(&self, rows: &[&TrailRow]) -> bool {
        let mut counted: BTreeMap<Seconds, u128> = BTreeMap::new();
        for row in rows {
            *counted.entry(row.hour).or_default() += row.bytes_in;
        }
        let flowed: u128 = self.hourly.iter().map(|(_, b)| b).sum();
        let all: u128 = counted.values().sum();
        let both = |(h, b): &(Seconds, u128)| (*b).min(counted.get(h).copied().unwrap_or(0));
        let shared: u128 = self.hourly.iter().map(both).sum();
        shared >= FLOOR && shared * 100 >= flowed * 85 && shared * 100 >= all * 85
    }
}

/// Less than this agrees by accident.
const FLOOR: u128 = 1_000_000;

/// True if everything that an interface sent over IPv4 has one sender.
fn one_address(table: &EgressTable, interface: u32) -> bool {
    let sent = |r: &&Row| r.direction == Direction::Egress && r.local.is_v4();
    let mut senders = table.of_interface(interface).iter().filter(sent).map(|r| r.local);
    let first = senders.next();
    first.is_some() && senders.all(|a| Some(a) == first)
}

fn s3_egress(table: &EgressTable, interface: u32, window: TimeWindow) -> Vec<(Seconds, u128)> {
    let mut out: Vec<(Seconds, u128)> = Vec::new();
    for row in table.of_interface(interface) {
        let counts = row.direction == Direction::Egress && table.peer(row).class == Class::S3;
        if !counts || !window.contains(row.hour) {
            continue;
        }
        match out.last_mut() {
            Some((hour, bytes)) if *hour == row.hour => *bytes += row.volume.bytes,
            _ => out.push((row.hour, row.volume.bytes)),
        }
    }
    out
}
