//! The flow-side story: an instance reads a bucket through the gateway endpoint, then sends it away twice.
//!
//! On the last evening a batch host reads 3.1 GB of customer records with its own role, uploads 2.9 GB to a host in a
//! country that nobody here ever spoke to, and copies 1.4 GB more into somebody else's bucket with that somebody's
//! credentials: no event of the account's trail explains those bytes.

use super::super::background::{SDK, on_the_wire};
use super::super::events::{Identity, ObjectCall};
use super::super::flows::{Far, Talk};
use super::super::truth::{BucketTruth, Calls, Incident};
use super::super::world::{DROP_HOST, FOREIGN_ACCOUNT, World, v4};
use super::Stage;
use crate::net::Seconds;

const READ: u64 = 3_100_000_000;
const READS: u64 = 620;
const UPLOAD: u64 = 2_900_000_000;
const FOREIGN: u64 = 1_400_000_000;
const PARTS: u64 = 175;

/// Plays it.
pub(super) fn tell(world: &World, stage: &mut Stage) -> Incident {
    let host = world.find("batch-2");
    let mut calls = Calls::default();
    read(world, stage, host, &mut calls);
    upload(world, stage, host);
    foreign(world, stage, host);
    let session = Identity::session(world, &world.hosts[host], world.at(2, 20, 10));
    let mut incident = Incident {
        title: "A batch host reads customer records from S3 and uploads them to an unknown host and a foreign bucket"
            .to_owned(),
        principal: Some(session.arn),
        access_keys: keys(world, host),
        source_ips: vec![world.hosts[host].addr],
        trail_bytes_out: READ,
        rules: vec![
            "volume-spike",
            "new-destination",
            "new-country",
            "relay",
            "unaccounted-s3",
        ],
        ..Incident::default()
    };
    calls.settle(&mut incident);
    let (name, account) = (world.bucket("sync-mirror").name.clone(), FOREIGN_ACCOUNT.to_owned());
    incident.buckets.push(BucketTruth {
        name,
        account,
        requests: 0,
        objects: 0,
        bytes: 0,
    });
    incident.on_host(world, host);
    incident.count_flows(&stage.flows, stage.owner, host);
    incident.lasts(world.at(2, 20, 5), world.at(2, 23, 39) + 59);
    incident
}

/// GetObject over the endpoint, 20:05 to 20:58.
fn read(world: &World, stage: &mut Stage, host: usize, calls: &mut Calls) {
    let (from, to) = (world.at(2, 20, 5), world.at(2, 20, 58));
    let bucket = world.bucket("customer-records");
    for n in 0..READS {
        let time = from + (to - from) * n / READS;
        let size = READ * (n + 1) / READS - READ * n / READS;
        let key = format!("{}/{:06}.csv.gz", bucket.folder, n * 11);
        calls.add(bucket, &key, size);
        stage.trail.object(&ObjectCall {
            time,
            who: &Identity::session(world, &world.hosts[host], time),
            from: world.hosts[host].addr.to_string(),
            endpoint: Some(&world.gateway),
            name: "GetObject",
            bucket,
            key,
            bytes_in: 0,
            bytes_out: size,
            agent: SDK,
        });
    }
    let (sent, received) = on_the_wire(0, READ, READS);
    bulk(
        world,
        stage,
        host,
        [Far::Outside(v4(54, 231, 130, 9)); 1],
        [from, to],
        [sent, received],
    );
}

/// Three connections to the unknown host through the NAT gateway, 21:10 to 22:39.
fn upload(world: &World, stage: &mut Stage, host: usize) {
    let far = [Far::Outside(DROP_HOST); 3];
    bulk(
        world,
        stage,
        host,
        far,
        [world.at(2, 21, 10), world.at(2, 22, 39) + 59],
        [UPLOAD, UPLOAD / 160],
    );
}

/// Two front ends of S3, 22:50 to 23:39, and no call in the trail.
fn foreign(world: &World, stage: &mut Stage, host: usize) {
    let far = [v4(54, 231, 171, 24), v4(54, 231, 202, 73)].map(Far::Outside);
    let (sent, received) = on_the_wire(FOREIGN, 0, PARTS);
    bulk(
        world,
        stage,
        host,
        far,
        [world.at(2, 22, 50), world.at(2, 23, 39) + 59],
        [sent, received],
    );
}

/// A transfer over several connections, shared out exactly.
fn bulk<const N: usize>(
    world: &World,
    stage: &mut Stage,
    host: usize,
    far: [Far; N],
    span: [Seconds; 2],
    bytes: [u64; 2],
) {
    for (n, far) in (0..).zip(far) {
        let share = |total: u64| total * (n + 1) / N as u64 - total * n / N as u64;
        let [sent, received] = bytes.map(share);
        let whole = Talk {
            sent,
            received,
            ..Talk::https(host, far, stage.port(), span[0], span[1])
        };
        for part in whole.over_windows() {
            part.record(world, stage.owner, &mut stage.flows);
        }
    }
}

/// The keys of the sessions that were in force meanwhile.
fn keys(world: &World, host: usize) -> Vec<String> {
    let at = |hour| Identity::session(world, &world.hosts[host], world.at(2, hour, 5)).key;
    let mut keys = vec![at(20), at(23)];
    keys.dedup();
    keys
}
