//! The variant with own credentials: an application server's role writes into a bucket of another account.
//!
//! The trail has every UploadPart, and each names the bucket's owner in `resources[].accountId`; the flows to S3 are
//! explained to the byte, so that volume alone says nothing.

use super::super::background::{SDK, on_the_wire};
use super::super::events::{Identity, ObjectCall};
use super::super::flows::{Far, Talk};
use super::super::truth::{Calls, Incident};
use super::super::world::{World, v4};
use super::Stage;

const TOTAL: u64 = 640_000_000;
const PARTS: u64 = 80;

/// Plays it: 13:20 to 13:49 of the second day.
pub(super) fn tell(world: &World, stage: &mut Stage) -> Incident {
    let host = world.find("app-2");
    let (from, to) = (world.at(1, 13, 20), world.at(1, 13, 49) + 59);
    let session = Identity::session(world, &world.hosts[host], from);
    let mut calls = Calls::default();
    parts(world, stage, &session, host, &mut calls);
    let (sent, received) = on_the_wire(TOTAL, 0, PARTS);
    let far = Far::Outside(v4(54, 231, 16, 41));
    let whole = Talk {
        sent,
        received,
        ..Talk::https(host, far, stage.port(), from, to)
    };
    for part in whole.over_windows() {
        part.record(world, stage.owner, &mut stage.flows);
    }
    let mut incident = Incident {
        title: "An application server's role writes 640 MB into a bucket of another account".to_owned(),
        principal: Some(session.arn),
        access_keys: vec![session.key],
        source_ips: vec![world.hosts[host].addr],
        trail_bytes_in: TOTAL,
        rules: vec!["s3-foreign-write"],
        ..Incident::default()
    };
    calls.settle(&mut incident);
    incident.on_host(world, host);
    incident.count_flows(&stage.flows, stage.owner, host);
    incident.lasts(from, to);
    incident
}

/// One archive in eighty parts.
fn parts(world: &World, stage: &mut Stage, who: &Identity, host: usize, calls: &mut Calls) {
    let bucket = world.bucket("sync-mirror");
    let key = format!("{}/{}.tar.zst", bucket.folder, stage.rng.hex(8));
    for n in 0..PARTS {
        calls.add(bucket, &key, TOTAL / PARTS);
        stage.trail.object(&ObjectCall {
            time: world.at(1, 13, 20) + 10 + n * 22,
            who,
            from: world.hosts[host].addr.to_string(),
            endpoint: Some(&world.gateway),
            name: "UploadPart",
            bucket,
            key: key.clone(),
            bytes_in: TOTAL / PARTS,
            bytes_out: 0,
            agent: SDK,
        });
    }
}
