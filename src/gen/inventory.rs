//! What the account would answer when asked: its interfaces, and which buckets its trail covers.
//!
//! Shapes of `aws ec2 describe-network-interfaces`, `describe-vpc-endpoints` and `aws cloudtrail get-event-selectors`.

use serde_json::{Value, json};

use super::world::{ACCOUNT, Host, REGION, Role, World};

/// describe-network-interfaces
pub(super) fn interfaces(world: &World) -> Value {
    let all: Vec<Value> = world.hosts.iter().map(|h| interface(world, h)).collect();
    json!({ "NetworkInterfaces": all })
}

fn interface(world: &World, host: &Host) -> Value {
    let mut out = json!({
        "NetworkInterfaceId": host.eni, "OwnerId": ACCOUNT, "VpcId": world.vpc, "SubnetId": world.subnets[host.subnet],
        "AvailabilityZone": format!("{REGION}a"), "Status": "in-use", "InterfaceType": kind(host.role),
        "Description": description(world, host), "RequesterManaged": host.instance.is_none(),
        "SourceDestCheck": host.role != Role::Nat, "PrivateIpAddress": host.addr.to_string(),
        "PrivateIpAddresses": addresses(host), "TagSet": [{ "Key": "Name", "Value": host.name }],
        "Ipv6Addresses": host.addr6.iter().map(|a| json!({ "Ipv6Address": a.to_string() })).collect::<Vec<_>>(),
    });
    if let Some(instance) = &host.instance {
        out["Attachment"] =
            json!({ "InstanceId": instance, "InstanceOwnerId": ACCOUNT, "DeviceIndex": 0, "Status": "attached" });
    }
    if let Some(public) = host.public {
        out["Association"] = json!({ "PublicIp": public.to_string(), "IpOwnerId": ACCOUNT });
    }
    out
}

fn addresses(host: &Host) -> Vec<Value> {
    let primary = json!({ "PrivateIpAddress": host.addr.to_string(), "Primary": true });
    let pods = host
        .pods
        .iter()
        .map(|p| json!({ "PrivateIpAddress": p.to_string(), "Primary": false }));
    std::iter::once(primary).chain(pods).collect()
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Nat => "nat_gateway",
        Role::Endpoint => "vpc_endpoint",
        _ => "interface",
    }
}

/// How AWS describes an interface that belongs to a service; a host's is empty.
pub(super) fn description(world: &World, host: &Host) -> String {
    match host.role {
        Role::Nat => format!("Interface for NAT Gateway {}", world.nat_gateway),
        Role::Endpoint => format!("VPC Endpoint Interface {}", world.id("vpce", "secrets")),
        Role::Alb => format!(
            "ELB app/{}/{}",
            host.name,
            world.id("lb", &host.name).trim_start_matches("lb-0")
        ),
        Role::Db => "RDSNetworkInterface".to_owned(),
        _ => String::new(),
    }
}

/// describe-vpc-endpoints
pub(super) fn endpoints(world: &World) -> Value {
    let enis: Vec<&str> = world
        .role(Role::Endpoint)
        .into_iter()
        .map(|i| world.hosts[i].eni.as_str())
        .collect();
    json!({ "VpcEndpoints": [
        { "VpcEndpointId": world.gateway, "VpcEndpointType": "Gateway", "VpcId": world.vpc, "State": "available",
          "OwnerId": ACCOUNT, "ServiceName": format!("com.amazonaws.{REGION}.s3"), "NetworkInterfaceIds": [] },
        { "VpcEndpointId": world.id("vpce", "secrets"), "VpcEndpointType": "Interface", "VpcId": world.vpc, "State": "available",
          "OwnerId": ACCOUNT, "ServiceName": format!("com.amazonaws.{REGION}.secretsmanager"), "NetworkInterfaceIds": enis },
    ] })
}

/// describe-nat-gateways
pub(super) fn nat_gateways(world: &World) -> Value {
    let all = world.role(Role::Nat).into_iter().map(|i| &world.hosts[i]);
    let all: Vec<Value> = all.map(|h| json!({ "NatGatewayId": world.nat_gateway, "VpcId": world.vpc, "State": "available",
        "SubnetId": world.subnets[h.subnet], "ConnectivityType": "public", "NatGatewayAddresses": [{
            "NetworkInterfaceId": h.eni, "PrivateIp": h.addr.to_string(), "PublicIp": h.public.unwrap_or_default().to_string() }] })).collect();
    json!({ "NatGateways": all })
}

/// get-event-selectors: data events of every own bucket.
pub(super) fn event_selectors(world: &World) -> Value {
    let own = world.buckets.iter().filter(|b| b.account == ACCOUNT);
    let values: Vec<String> = own.map(|b| format!("arn:aws:s3:::{}/", b.name)).collect();
    json!({ "TrailARN": format!("arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/main"), "EventSelectors": [{
        "ReadWriteType": "All", "IncludeManagementEvents": true,
        "DataResources": [{ "Type": "AWS::S3::Object", "Values": values }] }] })
}
