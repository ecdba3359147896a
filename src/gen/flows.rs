//! Conversations, and the records that every interface on their way writes about them.
//!
//! A [`Talk`] is one conversation within one aggregation window of ten minutes. The host's own interface writes a record
//! in each direction; a peer inside the VPC writes the same two again; what goes through the NAT gateway appears there
//! four times, as AWS's documentation shows it. A [`Bulk`] is a talk that lasts over several windows.

use super::world::{World, v4};
use crate::net::{Addr, Seconds};

/// The aggregation window of the flow log, in seconds.
pub(super) const WINDOW: Seconds = 600;

/// Who made a record: 0 is the background, n the n-th incident. Never written: tests and truth.json need it.
pub(super) type Owner = u8;

/// One flow log record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) end: Seconds,
    pub(super) host: usize,
    pub(super) start: Seconds,
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) sport: u16,
    pub(super) dport: u16,
    pub(super) pkt_src: Addr,
    pub(super) pkt_dst: Addr,
    pub(super) protocol: u8,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) status: Status,
    pub(super) flags: u8,
    pub(super) egress: bool,
    /// `traffic-path`: 1 inside the VPC, 7 gateway endpoint, 8 internet gateway; 0 is `-`.
    pub(super) path: u8,
    pub(super) owner: Owner,
}

/// What kind of line a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Accept,
    Reject,
    NoData,
    SkipData,
}

/// The other end of a talk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Far {
    /// An address outside the VPC.
    Outside(Addr),
    /// A host of ours.
    Inside(usize),
}

/// One conversation in one window.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub(super) host: usize,
    /// A pod's address, where it is not the host itself.
    pub(super) pod: Option<Addr>,
    pub(super) far: Far,
    /// The listening port.
    pub(super) port: u16,
    /// The other side's port.
    pub(super) ephemeral: u16,
    pub(super) protocol: u8,
    /// Bytes that the host sent.
    pub(super) sent: u64,
    /// Bytes that it received.
    pub(super) received: u64,
    pub(super) from: Seconds,
    /// Last second, in the same window as `from`.
    pub(super) to: Seconds,
    /// True if the far end opened the connection: the host answers.
    pub(super) served: bool,
    /// The connection begins, and ends, within this window.
    pub(super) begins: bool,
    pub(super) ends: bool,
}

impl Talk {
    /// A client's HTTPS talk that begins and ends within its window.
    pub(super) fn https(host: usize, far: Far, ephemeral: u16, from: Seconds, to: Seconds) -> Self {
        Talk {
            host,
            pod: None,
            far,
            port: 443,
            ephemeral,
            protocol: 6,
            sent: 0,
            received: 0,
            from,
            to,
            served: false,
            begins: true,
            ends: true,
        }
    }

    /// Cuts a talk that lasts over several windows, its bytes shared out exactly by time.
    pub(super) fn over_windows(&self) -> Vec<Talk> {
        let mut parts = Vec::new();
        let mut from = self.from;
        while from <= self.to {
            let to = (from - from % WINDOW + WINDOW - 1).min(self.to);
            let share = |total: u64| self.share(total, to + 1) - self.share(total, from);
            let (sent, received) = (share(self.sent), share(self.received));
            let (begins, ends) = (from == self.from, to == self.to);
            parts.push(Talk {
                from,
                to,
                sent,
                received,
                begins,
                ends,
                ..self.clone()
            });
            from = to + 1;
        }
        parts
    }

    /// How much of `total` had passed before second `t`.
    fn share(&self, total: u64, t: Seconds) -> u64 {
        let whole = u128::from(self.to + 1 - self.from);
        (u128::from(total) * u128::from(t - self.from) / whole) as u64
    }

    /// Adds the records of all vantage points.
    pub(super) fn record(&self, world: &World, owner: Owner, out: &mut Vec<Flow>) {
        let host = &world.hosts[self.host];
        let (near, far) = (self.near(world), self.far_addr(world));
        let path = path(world, self.host, self.far);
        let own = Leg {
            host: self.host,
            near: host_side(world, self.host, near),
            far,
            pkt_near: near,
            pkt_far: far,
            path,
        };
        own.record(self, self.sent, self.received, owner, out);
        match self.far {
            Far::Inside(other) => self.mirrored().leg_of_peer(other, near, far, owner, out),
            Far::Outside(_) if through_nat(world, self.host, self.far) => {
                self.nat_legs(world, host.addr, far, owner, out);
            }
            Far::Outside(_) => {}
        }
    }

    fn near(&self, world: &World) -> Addr {
        let host = &world.hosts[self.host];
        match (self.far, self.pod) {
            (Far::Outside(far), _) if !far.is_v4() => host.addr6.unwrap_or(host.addr),
            (Far::Inside(_), Some(pod)) => pod,
            _ => host.addr,
        }
    }

    fn far_addr(&self, world: &World) -> Addr {
        match self.far {
            Far::Outside(addr) => addr,
            Far::Inside(other) => world.hosts[other].addr,
        }
    }

    /// The same talk as the far end sees it.
    fn mirrored(&self) -> Talk {
        Talk {
            sent: self.received,
            received: self.sent,
            served: !self.served,
            ..self.clone()
        }
    }

    fn leg_of_peer(&self, other: usize, near: Addr, far: Addr, owner: Owner, out: &mut Vec<Flow>) {
        let leg = Leg {
            host: other,
            near: far,
            far: near,
            pkt_near: far,
            pkt_far: near,
            path: 1,
        };
        leg.record(self, self.sent, self.received, owner, out);
    }

    /// Towards the instance and towards the internet, both at the gateway's interface.
    fn nat_legs(&self, world: &World, client: Addr, far: Addr, owner: Owner, out: &mut Vec<Flow>) {
        let nat = world.find("nat-1");
        let own = world.hosts[nat].addr;
        let inner = Leg {
            host: nat,
            near: own,
            far: client,
            pkt_near: far,
            pkt_far: client,
            path: 1,
        };
        inner.record(&self.mirrored(), self.received, self.sent, owner, out);
        let outer = Leg {
            host: nat,
            near: own,
            far,
            pkt_near: own,
            pkt_far: far,
            path: 8,
        };
        let port = 1_024 + (self.ephemeral ^ 0x2a5) % 60_000;
        outer.record(
            &Talk {
                ephemeral: port,
                ..self.clone()
            },
            self.sent,
            self.received,
            owner,
            out,
        );
    }
}

/// One interface's view of a talk.
struct Leg {
    host: usize,
    near: Addr,
    far: Addr,
    pkt_near: Addr,
    pkt_far: Addr,
    path: u8,
}

impl Leg {
    fn record(&self, talk: &Talk, sent: u64, received: u64, owner: Owner, out: &mut Vec<Flow>) {
        let (near, far) = if talk.served {
            (talk.port, talk.ephemeral)
        } else {
            (talk.ephemeral, talk.port)
        };
        let egress = Flow {
            end: talk.to,
            host: self.host,
            start: talk.from,
            src: self.near,
            dst: self.far,
            sport: near,
            dport: far,
            pkt_src: self.pkt_near,
            pkt_dst: self.pkt_far,
            protocol: talk.protocol,
            packets: packets(sent, received),
            bytes: sent,
            status: Status::Accept,
            flags: flags(talk, talk.served),
            egress: true,
            path: self.path,
            owner,
        };
        out.push(Flow {
            bytes: received,
            packets: packets(received, sent),
            flags: flags(talk, !talk.served),
            ..egress.turned()
        });
        out.push(egress);
    }
}

impl Flow {
    fn turned(&self) -> Flow {
        let (src, dst, pkt_src, pkt_dst) = (self.dst, self.src, self.pkt_dst, self.pkt_src);
        let (sport, dport) = (self.dport, self.sport);
        Flow {
            src,
            dst,
            sport,
            dport,
            pkt_src,
            pkt_dst,
            egress: false,
            path: 0,
            ..self.clone()
        }
    }
}

/// True for the published S3 prefixes that the account meets.
pub(super) fn is_s3(addr: Addr) -> bool {
    let v6 = addr.0 >> 89 == 0x2600_1fa0_8000u128 << 80 >> 89;
    addr.as_v4().map_or(v6, |n| {
        [(52, 216), (52, 217), (54, 231), (16, 182)].contains(&(n >> 24, n >> 16 & 255))
    })
}

/// The address that `srcaddr` shows: an interface logs its primary address for its pods.
fn host_side(world: &World, host: usize, near: Addr) -> Addr {
    if near.is_v4() { world.hosts[host].addr } else { near }
}

fn through_nat(world: &World, host: usize, far: Far) -> bool {
    matches!(far, Far::Outside(a) if a.is_v4() && !is_s3(a)) && world.hosts[host].public.is_none()
}

fn path(world: &World, host: usize, far: Far) -> u8 {
    match far {
        Far::Inside(_) => 1,
        Far::Outside(a) if is_s3(a) && a.is_v4() => 7,
        Far::Outside(_) if through_nat(world, host, far) => 1,
        Far::Outside(_) => 8,
    }
}

/// Full segments for the direction that carries data, bare acknowledgements for the other.
fn packets(bytes: u64, other: u64) -> u64 {
    let size = if bytes.saturating_mul(10) < other { 52 } else { 1_400 };
    (bytes / size).max(1)
}

/// `tcp-flags` OR-ed over the window: SYN 2 or SYN-ACK 18, FIN 1.
fn flags(talk: &Talk, answers: bool) -> u8 {
    let syn = if answers { 18 } else { 2 };
    if talk.protocol == 6 {
        (u8::from(talk.begins) * syn) | u8::from(talk.ends)
    } else {
        0
    }
}

/// One of the S3 front ends in `52.216.0.0/15` that everybody uses; incidents draw from `54.231.0.0/16`.
pub(super) fn s3_front(n: u64) -> Addr {
    v4(52, 216, 8 + (n % 4) as u32 * 37, 10 + (n % 16) as u32 * 13)
}
