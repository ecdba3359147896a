//! Reads `--inventory` files: the JSON that the AWS CLI prints, told apart by its top-level key.
//!
//! One file may hold several answers (objects one after another, or keys side by side). AttachTime and LaunchTime
//! begin an edge where AWS gives them; the rest is a snapshot without a time. Fields that are absent cost only what
//! they would have said; a file with no known key at all is an error, since the user took it for an inventory.

use serde_json::Value;

use super::graph::{Graph, Mark, Origin, Relation};
use crate::error::{Error, Result};
use crate::net::parse_rfc3339;

/// What was found in one file: how many items of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Document {
    /// `describe-network-interfaces`.
    pub interfaces: usize,
    /// `describe-instances`.
    pub instances: usize,
    /// `describe-vpc-endpoints`.
    pub endpoints: usize,
    /// `describe-addresses`.
    pub addresses: usize,
    /// `describe-nat-gateways`.
    pub nats: usize,
    /// `describe-subnets`.
    pub subnets: usize,
    /// `describe-flow-logs`.
    pub flow_logs: usize,
    /// `get-event-selectors`: basic and advanced selectors.
    pub selectors: usize,
}

impl Graph {
    /// Adds what one `--inventory` file says.
    ///
    /// # Errors
    /// A [`crate::ErrorKind::List`] error if the content is not JSON, or none of its keys is known.
    pub fn read_inventory(&mut self, content: &[u8]) -> Result<Document> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut found = Document::default();
        let mut known = false;
        for value in serde_json::Deserializer::from_slice(content).into_iter::<Value>() {
            let value = value.map_err(|e| Error::list(format!("not the JSON of an AWS CLI answer: {e}")))?;
            known |= self.add_answer(&value, &mut found);
        }
        if known { Ok(found) } else { Err(Error::list(UNKNOWN)) }
    }

    fn add_answer(&mut self, value: &Value, found: &mut Document) -> bool {
        let mut known = false;
        for (key, read, count) in READERS {
            let Some(items) = value.get(*key).and_then(Value::as_array) else {
                continue;
            };
            known = true;
            for item in items {
                *count(found) += read(self, item, value);
            }
        }
        known
    }
}

const UNKNOWN: &str = "no known inventory: expected the JSON of describe-network-interfaces, -instances, \
     -vpc-endpoints, -addresses, -nat-gateways, -subnets, -flow-logs or get-event-selectors";

type Reader = fn(&mut Graph, &Value, &Value) -> usize;
type Count = fn(&mut Document) -> &mut usize;

/// Top-level key, how to read one of its items, where to count it.
const READERS: &[(&str, Reader, Count)] = &[
    ("NetworkInterfaces", interface, |d| &mut d.interfaces),
    ("Reservations", reservation, |d| &mut d.instances),
    ("VpcEndpoints", endpoint, |d| &mut d.endpoints),
    ("Addresses", address, |d| &mut d.addresses),
    ("NatGateways", nat_gateway, |d| &mut d.nats),
    ("Subnets", subnet, |d| &mut d.subnets),
    ("FlowLogs", flow_log, |d| &mut d.flow_logs),
    ("EventSelectors", selector, |d| &mut d.selectors),
    ("AdvancedEventSelectors", selector, |d| &mut d.selectors),
];

fn text<'a>(v: &'a Value, key: &str) -> Option<&'a str> {
    v.get(key)?.as_str()
}

fn list<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A beginning if the time is given, else a snapshot.
fn mark(time: Option<&str>) -> Mark {
    time.and_then(parse_rfc3339).map_or(Mark::Seen, Mark::Begin)
}

fn interface(g: &mut Graph, v: &Value, _: &Value) -> usize {
    use Relation::*;
    const FROM: Origin = Origin("describe-network-interfaces");
    let Some(id) = text(v, "NetworkInterfaceId") else {
        return 0;
    };
    g.say(id, InterfaceAccount, text(v, "OwnerId"), Mark::Seen, FROM);
    g.say(id, InterfaceVpc, text(v, "VpcId"), Mark::Seen, FROM);
    g.say(id, InterfaceSubnet, text(v, "SubnetId"), Mark::Seen, FROM);
    g.say(id, InterfaceKind, kind(v), Mark::Seen, FROM);
    let managed = v.get("RequesterManaged").and_then(Value::as_bool).unwrap_or(false);
    g.say(id, InterfaceManaged, managed.then_some("true"), Mark::Seen, FROM);
    g.say(id, InterfaceAddress, text(v, "PrivateIpAddress"), Mark::Seen, FROM);
    for a in list(v, "PrivateIpAddresses") {
        g.say(id, InterfaceAddress, text(a, "PrivateIpAddress"), Mark::Seen, FROM);
        public(g, id, a.get("Association"), FROM);
    }
    for a in list(v, "Ipv6Addresses") {
        g.say(id, InterfaceAddress, text(a, "Ipv6Address"), Mark::Seen, FROM);
    }
    public(g, id, v.get("Association"), FROM);
    attachment(g, id, v.get("Attachment"), FROM);
    owner_service(g, id, v, FROM);
    1
}

fn public(g: &mut Graph, id: &str, association: Option<&Value>, from: Origin) {
    if let Some(a) = association {
        g.say(id, Relation::InterfacePublic, text(a, "PublicIp"), Mark::Seen, from);
    }
}

fn attachment(g: &mut Graph, id: &str, attachment: Option<&Value>, from: Origin) {
    if let Some(a) = attachment {
        let when = mark(text(a, "AttachTime"));
        g.say(id, Relation::InterfaceInstance, text(a, "InstanceId"), when, from);
        g.say(id, Relation::InterfaceAttachment, text(a, "AttachmentId"), when, from);
    }
}

/// NAT gateways and endpoints write their own id into the description of their interfaces.
fn owner_service(g: &mut Graph, id: &str, v: &Value, from: Origin) {
    let words = || text(v, "Description").unwrap_or_default().split(' ');
    if let Some(nat) = words().find(|w| w.starts_with("nat-")) {
        g.say(nat, Relation::NatInterface, Some(id), Mark::Seen, from);
        g.say(nat, Relation::NatVpc, text(v, "VpcId"), Mark::Seen, from);
        g.say(nat, Relation::NatSubnet, text(v, "SubnetId"), Mark::Seen, from);
    }
    if let Some(endpoint) = words().find(|w| w.starts_with("vpce-")) {
        g.say(endpoint, Relation::EndpointInterface, Some(id), Mark::Seen, from);
    }
}

/// `InterfaceType` calls a classic or application load balancer a plain `interface`: the description tells.
fn kind(v: &Value) -> Option<&str> {
    let description = text(v, "Description").unwrap_or_default();
    match text(v, "InterfaceType") {
        Some("interface") | None if description.starts_with("ELB ") => Some("load_balancer"),
        Some("interface") | None if description.starts_with("AWS Lambda VPC ENI") => Some("lambda"),
        Some("interface") | None if description.starts_with("Interface for NAT Gateway") => Some("nat_gateway"),
        other => other,
    }
}

fn reservation(g: &mut Graph, v: &Value, _: &Value) -> usize {
    list(v, "Instances").map(|i| instance(g, i, text(v, "OwnerId"))).sum()
}

fn instance(g: &mut Graph, v: &Value, account: Option<&str>) -> usize {
    use Relation::*;
    const FROM: Origin = Origin("describe-instances");
    let Some(id) = text(v, "InstanceId") else { return 0 };
    let since = mark(text(v, "LaunchTime"));
    g.say(id, InstanceAccount, account, Mark::Seen, FROM);
    g.say(id, InstanceVpc, text(v, "VpcId"), Mark::Seen, FROM);
    g.say(id, InstanceAddress, text(v, "PrivateIpAddress"), Mark::Seen, FROM);
    g.say(id, InstancePublic, text(v, "PublicIpAddress"), Mark::Seen, FROM);
    let profile = v.get("IamInstanceProfile").and_then(|p| text(p, "Arn")).map(last_part);
    g.say(id, InstanceProfile, profile, since, FROM);
    for i in list(v, "NetworkInterfaces") {
        interface(g, i, v);
        let attached = i.get("Attachment").and_then(|a| text(a, "AttachTime"));
        g.say(
            text(i, "NetworkInterfaceId").unwrap_or_default(),
            InterfaceInstance,
            Some(id),
            mark(attached),
            FROM,
        );
    }
    1
}

/// The name at the end of an ARN.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn endpoint(g: &mut Graph, v: &Value, _: &Value) -> usize {
    use Relation::*;
    const FROM: Origin = Origin("describe-vpc-endpoints");
    let Some(id) = text(v, "VpcEndpointId") else { return 0 };
    let since = mark(text(v, "CreationTimestamp"));
    g.say(id, EndpointService, text(v, "ServiceName"), since, FROM);
    g.say(id, EndpointVpc, text(v, "VpcId"), since, FROM);
    g.say(id, EndpointAccount, text(v, "OwnerId"), since, FROM);
    g.say(id, EndpointKind, text(v, "VpcEndpointType"), since, FROM);
    for i in list(v, "NetworkInterfaceIds") {
        g.say(id, EndpointInterface, i.as_str(), Mark::Seen, FROM);
    }
    1
}

fn address(g: &mut Graph, v: &Value, _: &Value) -> usize {
    use Relation::*;
    const FROM: Origin = Origin("describe-addresses");
    let Some(allocation) = text(v, "AllocationId").or_else(|| text(v, "PublicIp")) else {
        return 0;
    };
    g.say(allocation, AllocationAddress, text(v, "PublicIp"), Mark::Seen, FROM);
    let interface = text(v, "NetworkInterfaceId");
    g.say(
        allocation,
        AllocationTarget,
        interface.or_else(|| text(v, "InstanceId")),
        Mark::Seen,
        FROM,
    );
    if let Some(interface) = interface {
        g.say(
            interface,
            InterfaceAddress,
            text(v, "PrivateIpAddress"),
            Mark::Seen,
            FROM,
        );
        g.say(interface, InterfaceInstance, text(v, "InstanceId"), Mark::Seen, FROM);
        g.say(
            interface,
            InterfaceAccount,
            text(v, "NetworkInterfaceOwnerId"),
            Mark::Seen,
            FROM,
        );
    }
    1
}

fn nat_gateway(g: &mut Graph, v: &Value, _: &Value) -> usize {
    use Relation::*;
    const FROM: Origin = Origin("describe-nat-gateways");
    let Some(id) = text(v, "NatGatewayId") else { return 0 };
    g.say(id, NatVpc, text(v, "VpcId"), Mark::Seen, FROM);
    g.say(id, NatSubnet, text(v, "SubnetId"), Mark::Seen, FROM);
    for a in list(v, "NatGatewayAddresses") {
        g.say(id, NatInterface, text(a, "NetworkInterfaceId"), Mark::Seen, FROM);
        let allocation = text(a, "AllocationId")
            .or_else(|| text(a, "PublicIp"))
            .unwrap_or_default();
        g.say(allocation, AllocationAddress, text(a, "PublicIp"), Mark::Seen, FROM);
        g.say(allocation, AllocationTarget, Some(id), Mark::Seen, FROM);
        let interface = text(a, "NetworkInterfaceId").unwrap_or_default();
        g.say(interface, InterfaceAddress, text(a, "PrivateIp"), Mark::Seen, FROM);
        g.say(interface, InterfaceKind, Some("nat_gateway"), Mark::Seen, FROM);
    }
    1
}

fn subnet(g: &mut Graph, v: &Value, _: &Value) -> usize {
    const FROM: Origin = Origin("describe-subnets");
    let Some(id) = text(v, "SubnetId") else { return 0 };
    g.say(id, Relation::SubnetVpc, text(v, "VpcId"), Mark::Seen, FROM);
    g.say(id, Relation::SubnetCidr, text(v, "CidrBlock"), Mark::Seen, FROM);
    for block in list(v, "Ipv6CidrBlockAssociationSet") {
        g.say(id, Relation::SubnetCidr, text(block, "Ipv6CidrBlock"), Mark::Seen, FROM);
    }
    1
}

fn flow_log(g: &mut Graph, v: &Value, _: &Value) -> usize {
    const FROM: Origin = Origin("describe-flow-logs");
    let Some(id) = text(v, "FlowLogId") else { return 0 };
    g.say(
        id,
        Relation::FlowLogResource,
        text(v, "ResourceId"),
        mark(text(v, "CreationTime")),
        FROM,
    );
    g.say(id, Relation::FlowLogFormat, text(v, "LogFormat"), Mark::Seen, FROM);
    g.say(id, Relation::FlowLogTraffic, text(v, "TrafficType"), Mark::Seen, FROM);
    1
}

fn selector(g: &mut Graph, v: &Value, answer: &Value) -> usize {
    const FROM: Origin = Origin("get-event-selectors");
    let trail = text(answer, "TrailARN").unwrap_or("-");
    g.say(trail, Relation::TrailSelector, Some(&v.to_string()), Mark::Seen, FROM);
    1
}
