//! The playbook's own story: a developer's access key, used through a Tor exit at 02:47.
//!
//! 12,847 GetObject requests over three buckets, 4.7 GB, until 04:12; a GuardDuty finding at 04:15, a page at 04:20, the
//! key disabled at 04:25, and then the containment that the report's checklist asks for. No packet of it ever crosses
//! the VPC: the flow logs are silent, only the trail knows.

use serde_json::{Value, json};

use super::super::events::{Call, Identity, ObjectCall};
use super::super::people::DEVELOPER;
use super::super::truth::{Calls, Incident};
use super::super::world::{Bucket, OFFICE, TOR_EXIT, World};
use super::Stage;
use crate::net::Seconds;

/// Bucket, requests, distinct objects among them: the rest are read twice.
const READS: [(&str, u64, u64); 3] = [
    ("customer-records", 7_204, 7_068),
    ("finance-exports", 3_318, 3_291),
    ("hr-documents", 2_325, 2_252),
];
/// All that was read, in bytes.
const TOTAL: u64 = 4_700_000_000;
/// First and last request: 02:47:11 and 04:12:38 of the second day.
const FIRST: [u64; 3] = [2, 47, 11];
const LAST: [u64; 3] = [4, 12, 38];
/// When GuardDuty wrote its finding, and when somebody's telephone rang: hour and minute of the second day.
pub(in super::super) const FINDING_AT: [u64; 2] = [4, 15];
pub(in super::super) const PAGER_AT: [u64; 2] = [4, 20];
const TOOL: &str = "[aws-cli/2.17.11 md/awscrt#0.20.11 ua/2.0 os/linux#6.8.11-amd64 md/command#s3.sync]";
const CONSOLE: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Plays it.
pub(super) fn tell(world: &World, stage: &mut Stage) -> Incident {
    let thief = Identity::user(world, DEVELOPER);
    let [first, last] = [FIRST, LAST].map(|[h, m, s]| world.at(1, h, m) + s);
    look_around(world, stage, &thief, first - 71);
    let mut calls = Calls::default();
    download(world, stage, &thief, [first, last], &mut calls);
    contain(world, stage, &thief);
    let mut incident = Incident {
        title: "A developer's access key, used through a Tor exit, reads three sensitive buckets at night".to_owned(),
        principal: Some(thief.arn),
        access_keys: vec![thief.key],
        source_ips: vec![TOR_EXIT],
        trail_bytes_out: TOTAL,
        rules: vec![
            "s3-tor-caller",
            "s3-bulk-download",
            "s3-unusual-caller",
            "s3-enumeration",
        ],
        ..Incident::default()
    };
    calls.settle(&mut incident);
    incident.lasts(first - 71, last);
    incident
}

/// ListBuckets, then every bucket's list: the minute before.
fn look_around(world: &World, stage: &mut Stage, who: &Identity, mut time: Seconds) {
    let request = json!({ "Host": "s3.us-east-1.amazonaws.com" });
    let from = TOR_EXIT.to_string();
    let (service, name, response) = ("s3", "ListBuckets", Value::Null);
    stage.trail.call(&Call {
        time,
        who,
        from,
        service,
        name,
        agent: TOOL,
        request,
        response,
    });
    for bucket in world
        .buckets
        .iter()
        .filter(|b| b.account == super::super::world::ACCOUNT)
    {
        time += stage.rng.range(5, 9);
        stage.trail.object(&ObjectCall {
            bytes_out: 96_000,
            ..call(who, time, "ListObjects", bucket, String::new())
        });
    }
}

fn call<'a>(who: &'a Identity, time: Seconds, name: &'a str, bucket: &'a Bucket, key: String) -> ObjectCall<'a> {
    let from = TOR_EXIT.to_string();
    ObjectCall {
        time,
        who,
        from,
        endpoint: None,
        name,
        bucket,
        key,
        bytes_in: 0,
        bytes_out: 0,
        agent: TOOL,
    }
}

fn download(world: &World, stage: &mut Stage, who: &Identity, span: [Seconds; 2], calls: &mut Calls) {
    let count: u64 = READS.iter().map(|r| r.1).sum();
    let sizes = sizes(stage, count);
    let mut n = 0;
    for (stem, requests, objects) in READS {
        let bucket = world.bucket(stem);
        for i in 0..requests {
            let key = format!("{}/{:06}.csv.gz", bucket.folder, (i % objects) * 37 % 900_001);
            let time = span[0] + (span[1] - span[0]) * n / (count - 1);
            let size = sizes.get(n as usize).copied().unwrap_or_default();
            calls.add(bucket, &key, size);
            stage.trail.object(&ObjectCall {
                bytes_out: size,
                ..call(who, time, "GetObject", bucket, key)
            });
            n += 1;
        }
    }
}

/// Heavy-tailed sizes that sum to the total exactly.
fn sizes(stage: &mut Stage, count: u64) -> Vec<u64> {
    let raw: Vec<u64> = (0..count).map(|_| stage.rng.heavy(100_000)).collect();
    let sum: u64 = raw.iter().sum();
    let mut sizes: Vec<u64> = raw
        .iter()
        .map(|r| (u128::from(*r) * u128::from(TOTAL) / u128::from(sum)) as u64)
        .collect();
    let missing = TOTAL - sizes.iter().sum::<u64>();
    if let Some(last) = sizes.last_mut() {
        *last += missing;
    }
    sizes
}

/// What the responders did, from the office: the report's checklist is ticked from these.
fn contain(world: &World, stage: &mut Stage, thief: &Identity) {
    let who = Identity::person(world, "SecurityResponse", "a.lindqvist", world.at(1, 4, 18));
    let mut act = |hour, minute, service, name, request| {
        let time = world.at(1, hour, minute);
        let from = OFFICE.to_string();
        stage.trail.call(&Call {
            time,
            who: &who,
            from,
            service,
            name,
            agent: CONSOLE,
            request,
            response: Value::Null,
        });
    };
    let user = DEVELOPER;
    act(
        4,
        25,
        "iam",
        "UpdateAccessKey",
        json!({ "userName": user, "accessKeyId": thief.key, "status": "Inactive" }),
    );
    act(
        4,
        31,
        "iam",
        "UpdateLoginProfile",
        json!({ "userName": user, "passwordResetRequired": true }),
    );
    act(
        4,
        38,
        "iam",
        "EnableMFADevice",
        json!({ "userName": user, "serialNumber": format!("arn:aws:iam::{}:mfa/{user}", super::super::world::ACCOUNT) }),
    );
    let policy = endpoint_policy();
    act(
        4,
        52,
        "ec2",
        "ModifyVpcEndpoint",
        json!({ "ModifyVpcEndpointRequest": { "VpcEndpointId": world.gateway, "PolicyDocument": policy } }),
    );
    for (n, (stem, ..)) in (0..).zip(READS) {
        let bucket = &world.bucket(stem).name;
        act(
            5,
            3 + n,
            "s3",
            "PutBucketPolicy",
            json!({ "bucketName": bucket, "Host": format!("{bucket}.s3.us-east-1.amazonaws.com"), "bucketPolicy": bucket_policy(bucket, &world.gateway) }),
        );
    }
}

fn endpoint_policy() -> String {
    let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:ResourceAccount": super::super::world::ACCOUNT } } });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn bucket_policy(bucket: &str, endpoint: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "OnlyFromTheVpc", "Effect": "Deny", "Principal": "*",
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*"),
        "Condition": { "StringNotEquals": { "aws:sourceVpce": endpoint } } }] })
}
