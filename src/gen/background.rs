//! Benign life: the table of habits turned into talks and calls, and the noise that every log has.
//!
//! Every host draws each of its habits from a stream of its own. S3 habits leave calls in the trail whose bytes explain
//! the flow's: the wire carries 3.5 % more than the payload, and headers; a download sends acknowledgements.

use super::events::{Identity, ObjectCall, Trail};
use super::flows::{Far, Flow, Status, Talk, WINDOW, s3_front};
use super::habits::{HABITS, Habit, Peer};
use super::rng::Rng;
use super::world::{Role, World, v4};
use crate::net::{Addr, Seconds};

/// Tor exits whose people visit the site: what is answered to them is no exfiltration.
pub(super) const VISITING_EXITS: [Addr; 3] = [v4(185, 220, 101, 7), v4(185, 220, 101, 12), v4(185, 220, 101, 58)];

/// Adds the whole background.
pub(super) fn fill(world: &World, flows: &mut Vec<Flow>, trail: &mut Trail) {
    for host in 0..world.hosts.len() {
        for (n, habit) in HABITS
            .iter()
            .enumerate()
            .filter(|(_, h)| h.role == world.hosts[host].role)
        {
            live(world, host, n, habit, flows, trail);
        }
    }
    silence(world, flows);
    scanners(world, flows);
}

/// One habit of one host over the whole archive.
fn live(world: &World, host: usize, n: usize, habit: &Habit, flows: &mut Vec<Flow>, trail: &mut Trail) {
    let mut rng = Rng::fork(world.seed, &format!("habit {} {n}", world.hosts[host].name));
    let hours = (world.start..world.end()).step_by(3_600);
    for hour in hours.filter(|&t| habit.hours.active(t)) {
        let talks = habit.talks(world);
        let weight = habit.hours.weight(hour);
        for _ in 0..talks {
            let (from, to) = moment(&mut rng, hour);
            let sent = rng.vary(habit.sent * weight / 100 / talks, 30);
            let received = rng.vary(habit.received * weight / 100 / talks, 30);
            let talk = Talk {
                sent,
                received,
                port: habit.port,
                ..near(world, host, &mut rng, from, to)
            };
            speak(world, habit, talk, &mut rng, flows, trail);
        }
    }
}

/// A span inside one of the hour's windows that ends in its second half: a file every ten minutes.
fn moment(rng: &mut Rng, hour: Seconds) -> (Seconds, Seconds) {
    let window = hour + rng.below(6) * WINDOW;
    (window + rng.below(290), window + rng.range(300, WINDOW))
}

fn near(world: &World, host: usize, rng: &mut Rng, from: Seconds, to: Seconds) -> Talk {
    let ephemeral = rng.range(32_768, 60_999) as u16;
    let pods = &world.hosts[host].pods;
    let pod = (!pods.is_empty()).then(|| rng.pick(pods));
    Talk {
        pod,
        ..Talk::https(host, Far::Inside(host), ephemeral, from, to)
    }
}

fn speak(world: &World, habit: &Habit, talk: Talk, rng: &mut Rng, flows: &mut Vec<Flow>, trail: &mut Trail) {
    let talk = match habit.peer {
        Peer::Visitors => Talk {
            far: Far::Outside(visitor(rng)),
            served: true,
            ..talk
        },
        Peer::Caller(addr) => Talk {
            far: Far::Outside(addr),
            served: true,
            ..talk
        },
        Peer::Fixed(addr) => Talk {
            far: Far::Outside(addr),
            ..talk
        },
        Peer::Tail => Talk {
            far: Far::Outside(customer(rng)),
            ..talk
        },
        Peer::Role(role) => Talk {
            far: Far::Inside(rng.pick(&world.role(role))),
            ..talk
        },
        Peer::Put(stem) => s3(world, &talk, stem, true, rng, trail),
        Peer::Get(stem) => s3(world, &talk, stem, false, rng, trail),
    };
    talk.record(world, 0, flows);
}

/// The calls of an S3 talk, and the talk with the bytes that they cost on the wire.
fn s3(world: &World, talk: &Talk, stem: &str, put: bool, rng: &mut Rng, trail: &mut Trail) -> Talk {
    let requests = if world.small { 2 } else { 3 };
    let payload = if put { talk.sent } else { talk.received } / requests;
    let host = &world.hosts[talk.host];
    let bucket = world.bucket(stem);
    for _ in 0..requests {
        let time = rng.range(talk.from, talk.to);
        trail.object(&ObjectCall {
            time,
            who: &Identity::session(world, host, time),
            from: host.addr.to_string(),
            endpoint: Some(&world.gateway),
            name: if put { "PutObject" } else { "GetObject" },
            bucket,
            key: format!("{}/{:05}.gz", bucket.folder, rng.below(100_000)),
            bytes_in: if put { payload } else { 0 },
            bytes_out: if put { 0 } else { payload },
            agent: SDK,
        });
    }
    let (sent, received) = on_the_wire(
        if put { payload * requests } else { 0 },
        if put { 0 } else { payload * requests },
        requests,
    );
    Talk {
        far: Far::Outside(s3_front(rng.below(64))),
        pod: None,
        sent,
        received,
        ..talk.clone()
    }
}

/// What S3 payload costs as IP traffic, both ways: headers of packets and requests, acknowledgements.
pub(super) fn on_the_wire(up: u64, down: u64, requests: u64) -> (u64, u64) {
    (
        up * 1_035 / 1_000 + down * 6 / 1_000 + requests * 1_100,
        down * 1_035 / 1_000 + up * 6 / 1_000 + requests * 800,
    )
}

/// The user agent of the account's own programs.
pub(super) const SDK: &str = "[Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux lang/python#3.12.11]";

fn visitor(rng: &mut Rng) -> Addr {
    let net = rng.pick(&[(192, 0, 2), (198, 51, 100), (203, 0, 113)]);
    match rng.chance(2) {
        true => rng.pick(&VISITING_EXITS),
        false => v4(net.0, net.1, net.2, rng.range(50, 250) as u32),
    }
}

/// A customer's webhook address, hosted at AWS as most are.
fn customer(rng: &mut Rng) -> Addr {
    v4(
        54,
        208 + rng.below(2) as u32,
        rng.range(1, 255) as u32,
        rng.range(1, 255) as u32,
    )
}

/// The standby's NODATA in every window, and a SKIPDATA at the bastion every third day.
fn silence(world: &World, flows: &mut Vec<Flow>) {
    for host in world.role(Role::Idle) {
        let windows = (world.start..world.end()).step_by(WINDOW as usize);
        flows.extend(windows.map(|t| empty(host, t, Status::NoData)));
    }
    for host in world.role(Role::Bastion) {
        let days = (world.start + 40_200..world.end()).step_by(3 * 86_400);
        flows.extend(days.map(|t| empty(host, t, Status::SkipData)));
    }
}

fn empty(host: usize, window: Seconds, status: Status) -> Flow {
    let talk = Talk::https(host, Far::Inside(host), 0, window, window + WINDOW - 1);
    Flow {
        status,
        host,
        start: talk.from,
        end: talk.to,
        ..nothing()
    }
}

/// Strangers who knock at what is public and are turned away.
fn scanners(world: &World, flows: &mut Vec<Flow>) {
    let mut rng = Rng::fork(world.seed, "scanners");
    let doors = [world.find("bastion-1"), world.find("nat-1")];
    for hour in (world.start..world.end()).step_by(3_600) {
        let (start, end) = moment(&mut rng, hour);
        let host = rng.pick(&doors);
        let (src, dst) = (v4(203, 0, 113, rng.range(1, 49) as u32), world.hosts[host].addr);
        let dport = rng.pick(&[22, 23, 445, 3_389, 8_080]);
        let sport = rng.range(1_024, 65_000) as u16;
        let packets = rng.range(1, 4);
        let known = Flow {
            start,
            end,
            host,
            src,
            dst,
            pkt_src: src,
            pkt_dst: dst,
            sport,
            dport,
            ..nothing()
        };
        flows.push(Flow {
            packets,
            bytes: packets * 44,
            protocol: 6,
            flags: 2,
            status: Status::Reject,
            ..known
        });
    }
}

fn nothing() -> Flow {
    Flow {
        end: 0,
        host: 0,
        start: 0,
        src: Addr::default(),
        dst: Addr::default(),
        sport: 0,
        dport: 0,
        pkt_src: Addr::default(),
        pkt_dst: Addr::default(),
        protocol: 0,
        packets: 0,
        bytes: 0,
        status: Status::NoData,
        flags: 0,
        egress: false,
        path: 0,
        owner: 0,
    }
}
