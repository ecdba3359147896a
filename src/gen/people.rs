//! The account's own management calls: credentials renewed, a stack built, a developer at work.
//!
//! These are what attribution learns from: which instance holds which interface and address (RunInstances,
//! CreateNetworkInterface), which key a session used (AssumeRole), where a user normally calls from.

use serde_json::{Value, json};

use super::events::{Call, Identity, ObjectCall, SESSION, Trail};
use super::habits::Hours;
use super::rng::Rng;
use super::world::{ACCOUNT, Host, OFFICE, REGION, Role, World};
use crate::net::{Seconds, rfc3339};

/// The developer whose key will be stolen.
pub(super) const DEVELOPER: &str = "j.rivera";
/// What the developer uses.
pub(super) const CLI: &str = "[aws-cli/2.28.4 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0 md/command#s3.cp]";
const TERRAFORM: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.13.1 terraform-provider-aws/6.11.0";

/// Adds everything.
pub(super) fn fill(world: &World, trail: &mut Trail) {
    build(world, trail);
    for host in world.hosts.iter().filter(|h| h.instance.is_some()) {
        renewals(world, host, trail);
    }
    developer(world, trail);
}

/// The stack as it was built in the first minutes: NAT gateway, endpoint, web, app and node instances.
fn build(world: &World, trail: &mut Trail) {
    let who = Identity::person(world, "Platform", "m.okafor", world.start);
    let mut time = world.start + 240;
    let mut call = |trail: &mut Trail, name, request, response| {
        time += 7;
        let from = OFFICE.to_string();
        trail.call(&Call {
            time,
            who: &who,
            from,
            service: "ec2",
            name,
            agent: TERRAFORM,
            request,
            response,
        });
    };
    for host in &world.hosts {
        match host.role {
            Role::Web | Role::App | Role::Node | Role::Dual => {
                call(
                    trail,
                    "RunInstances",
                    run_request(world, host),
                    run_response(world, host),
                );
            }
            Role::Nat | Role::Endpoint | Role::Alb => {
                call(
                    trail,
                    "CreateNetworkInterface",
                    json!({ "subnetId": world.subnets[host.subnet] }),
                    created(world, host),
                );
            }
            _ => {}
        }
    }
    let nat = &world.hosts[world.find("nat-1")];
    let request =
        json!({ "CreateNatGatewayRequest": { "SubnetId": world.subnets[nat.subnet], "ConnectivityType": "public" } });
    call(trail, "CreateNatGateway", request, nat_response(world, nat));
}

fn run_request(world: &World, host: &Host) -> Value {
    json!({ "instanceType": "m7g.large", "subnetId": world.subnets[host.subnet],
        "iamInstanceProfile": { "name": host.iam }, "instancesSet": { "items": [{ "minCount": 1, "maxCount": 1 }] } })
}

fn run_response(world: &World, host: &Host) -> Value {
    let mut interface = interface(world, host);
    interface["attachment"] = json!({ "instanceId": host.instance, "deviceIndex": 0, "status": "attaching" });
    json!({ "ownerId": ACCOUNT, "instancesSet": { "items": [{
        "instanceId": host.instance, "privateIpAddress": host.addr.to_string(), "vpcId": world.vpc,
        "subnetId": world.subnets[host.subnet], "instanceState": { "code": 0, "name": "pending" },
        "iamInstanceProfile": { "arn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/{}", host.iam.unwrap_or("none")) },
        "networkInterfaceSet": { "items": [interface] } }] } })
}

fn created(world: &World, host: &Host) -> Value {
    json!({ "networkInterface": interface(world, host) })
}

fn interface(world: &World, host: &Host) -> Value {
    json!({ "networkInterfaceId": host.eni, "privateIpAddress": host.addr.to_string(), "ownerId": ACCOUNT,
        "vpcId": world.vpc, "subnetId": world.subnets[host.subnet], "requesterManaged": host.instance.is_none(),
        "description": super::inventory::description(world, host), "status": "pending",
        "privateIpAddressesSet": { "item": [{ "privateIpAddress": host.addr.to_string(), "primary": true }] } })
}

fn nat_response(world: &World, nat: &Host) -> Value {
    json!({ "CreateNatGatewayResponse": { "natGateway": { "natGatewayId": world.nat_gateway, "vpcId": world.vpc,
        "subnetId": world.subnets[nat.subnet], "state": "pending", "connectivityType": "public" } } })
}

/// Every six hours the instance service takes on the role anew.
fn renewals(world: &World, host: &Host, trail: &mut Trail) {
    let service = Identity::service("ec2.amazonaws.com");
    let (role, instance) = (host.iam.unwrap_or("none"), host.instance.as_deref().unwrap_or("-"));
    for time in (world.start + host.renewal..world.end()).step_by(SESSION as usize) {
        let session = Identity::session(world, host, time);
        trail.call(&Call {
            time,
            who: &service,
            from: "ec2.amazonaws.com".to_owned(),
            service: "sts",
            name: "AssumeRole",
            agent: "ec2.amazonaws.com",
            request: json!({ "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "roleSessionName": instance }),
            response: json!({ "credentials": { "accessKeyId": session.key, "expiration": rfc3339(time + SESSION) },
                "assumedRoleUser": { "arn": session.arn } }),
        });
    }
}

/// A few reads an hour from the office, on working days.
fn developer(world: &World, trail: &mut Trail) {
    let who = Identity::user(world, DEVELOPER);
    let mut rng = Rng::fork(world.seed, "developer");
    for hour in (world.start..world.end())
        .step_by(3_600)
        .filter(|&t| Hours::Office.active(t))
    {
        let mut times: Vec<Seconds> = (0..rng.range(2, 6)).map(|_| hour + rng.below(3_600)).collect();
        times.sort_unstable();
        for time in times {
            let bucket = world.bucket(rng.pick(&["customer-records", "finance-exports", "artifacts"]));
            trail.object(&ObjectCall {
                time,
                who: &who,
                from: OFFICE.to_string(),
                endpoint: None,
                name: "GetObject",
                bucket,
                key: format!("{}/{:05}.json", bucket.folder, rng.below(400)),
                bytes_in: 0,
                bytes_out: rng.heavy(350_000),
                agent: CLI,
            });
        }
        overview(&who, hour, trail);
    }
}

fn overview(who: &Identity, hour: Seconds, trail: &mut Trail) {
    trail.call(&Call {
        time: hour + 65,
        who,
        from: OFFICE.to_string(),
        service: "ec2",
        name: "DescribeInstances",
        agent: CLI,
        request: json!({ "filterSet": {}, "region": REGION }),
        response: Value::Null,
    });
}
