//! Two small incidents that only lists can tell: a host of Tor's, and one on the threat list.
//!
//! Neither moves enough to stand out by volume.

use super::super::events::Identity;
use super::super::flows::{Far, Talk};
use super::super::truth::Incident;
use super::super::world::{THREAT_HOST, TOR_AUTHORITY, World};
use super::Stage;
use crate::net::{Addr, Seconds};

/// A web server speaks to a listed address: 11:20 to 11:49 of the first day.
pub(super) fn threat_host(world: &World, stage: &mut Stage) -> Incident {
    let span = [world.at(0, 11, 20), world.at(0, 11, 49) + 59];
    let rules = vec!["threat-ip"];
    let title = "A web server sends 6 MB to an address on the threat list".to_owned();
    Incident {
        title,
        rules,
        ..talk(world, stage, "web-2", THREAT_HOST, 8_443, span, [6_200_000, 480_000])
    }
}

/// An application server joins Tor through a directory authority: 21:00 to 22:09 of the first day.
pub(super) fn tor_guard(world: &World, stage: &mut Stage) -> Incident {
    let span = [world.at(0, 21, 0), world.at(0, 22, 9) + 59];
    let rules = vec!["tor-egress"];
    let title = "An application server sends 38 MB into the Tor network".to_owned();
    Incident {
        title,
        rules,
        ..talk(world, stage, "app-3", TOR_AUTHORITY, 443, span, [38_400_000, 5_100_000])
    }
}

fn talk(
    world: &World,
    stage: &mut Stage,
    name: &str,
    far: Addr,
    port: u16,
    span: [Seconds; 2],
    bytes: [u64; 2],
) -> Incident {
    let host = world.find(name);
    let [sent, received] = bytes;
    let whole = Talk {
        sent,
        received,
        port,
        ..Talk::https(host, Far::Outside(far), stage.port(), span[0], span[1])
    };
    for part in whole.over_windows() {
        part.record(world, stage.owner, &mut stage.flows);
    }
    let session = Identity::session(world, &world.hosts[host], span[0]);
    let mut incident = Incident {
        principal: Some(session.arn),
        access_keys: vec![session.key],
        source_ips: vec![world.hosts[host].addr],
        ..Incident::default()
    };
    incident.on_host(world, host);
    incident.count_flows(&stage.flows, stage.owner, host);
    incident.lasts(span[0], span[1]);
    incident
}
