//! What a CloudTrail event teaches about interfaces, instances, addresses and gateways.
//!
//! Two shapes of EC2 JSON exist: older calls are flat camelCase with `…Set.items[]`; newer ones are XML in JSON clothes
//! (`CreateNatGatewayRequest{AllocationId}`, `…Response.natGateway`), where a list of one is an object, an empty set is
//! `""`, and a list of texts may be a bare string. Both are read by the same few helpers. Failed calls teach nothing.

use serde_json::Value;

use super::event::TrailEvent;
use crate::inventory::{Graph, Mark, Origin, Relation};

/// Adds what the event says; most events say nothing.
pub(super) fn facts(event: &TrailEvent<'_>, graph: &mut Graph) {
    let Some((origin, learn)) = TEACHERS.iter().find(|(name, _)| *name == event.name) else {
        return;
    };
    if event.error.is_some() || !matches!(&*event.source, "ec2.amazonaws.com" | "iam.amazonaws.com") {
        return;
    }
    let parse = |raw: Option<&serde_json::value::RawValue>| raw.and_then(|r| serde_json::from_str(r.get()).ok());
    let request: Value = parse(event.request_parameters()).unwrap_or_default();
    let response: Value = parse(event.response_elements()).unwrap_or_default();
    let mut lesson = Lesson {
        request: unwrap(&request, "Request"),
        response: unwrap(&response, "Response"),
        at: event.time,
        account: event.recipient.as_deref(),
        origin: Origin(origin),
        graph,
    };
    learn(&mut lesson);
}

/// One event being learnt from.
struct Lesson<'a> {
    request: &'a Value,
    response: &'a Value,
    at: u64,
    account: Option<&'a str>,
    origin: Origin,
    graph: &'a mut Graph,
}

type Learn = fn(&mut Lesson<'_>);

const TEACHERS: &[(&str, Learn)] = &[
    ("RunInstances", run_instances),
    ("TerminateInstances", terminate_instances),
    ("CreateNetworkInterface", create_interface),
    ("AttachNetworkInterface", attach_interface),
    ("DetachNetworkInterface", detach_interface),
    ("DeleteNetworkInterface", delete_interface),
    ("AssignPrivateIpAddresses", assign_addresses),
    ("AllocateAddress", allocate_address),
    ("AssociateAddress", associate_address),
    ("CreateNatGateway", create_nat_gateway),
    ("CreateVpcEndpoint", create_endpoint),
    ("AssociateIamInstanceProfile", associate_profile),
    ("ReplaceIamInstanceProfileAssociation", associate_profile),
    ("AddRoleToInstanceProfile", add_role),
];

/// The origin of that name, if it is one that teaches.
pub(super) fn origin(name: &str) -> Option<Origin> {
    TEACHERS.iter().find(|(n, _)| *n == name).map(|(n, _)| Origin(n))
}

/// Takes off the wrapping of the newer shape: `{"CreateNatGatewayRequest":{…}}`.
fn unwrap<'a>(value: &'a Value, suffix: &str) -> &'a Value {
    let inner = value
        .as_object()
        .and_then(|m| m.iter().find(|(k, v)| k.ends_with(suffix) && v.is_object()));
    inner.map_or(value, |(_, v)| v)
}

/// A member by its camelCase name, or by the same in PascalCase.
fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| {
        let (first, rest) = name.split_at_checked(1)?;
        value.get(format!("{}{rest}", first.to_ascii_uppercase()))
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    get(value, name)?.as_str().filter(|s| !s.is_empty())
}

/// The items of a set: `{"items":[…]}`, `{"item":[…]}`, `{"item":{…}}`, an array, or one bare value.
fn items<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let Some(set) = get(value, name) else { return Vec::new() };
    let inner = set.get("items").or_else(|| set.get("item")).unwrap_or(set);
    match inner {
        Value::Array(list) => list.iter().collect(),
        Value::String(s) if s.is_empty() => Vec::new(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// The name at the end of an ARN, or the name itself.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

impl Lesson<'_> {
    fn say(&mut self, subject: Option<&str>, relation: Relation, object: Option<&str>) {
        self.graph.say(
            subject.unwrap_or_default(),
            relation,
            object,
            Mark::Begin(self.at),
            self.origin,
        );
    }

    fn end(&mut self, subject: Option<&str>, relation: Relation) {
        self.graph
            .end(subject.unwrap_or_default(), relation, self.at, self.origin);
    }

    /// Everything that an interface object says of itself.
    fn interface(&mut self, v: &Value, instance: Option<&str>) {
        use Relation::*;
        let id = text(v, "networkInterfaceId");
        self.say(id, InterfaceAccount, text(v, "ownerId").or(self.account));
        self.say(id, InterfaceVpc, text(v, "vpcId"));
        self.say(id, InterfaceSubnet, text(v, "subnetId"));
        self.say(id, InterfaceKind, text(v, "interfaceType"));
        let managed = get(v, "requesterManaged").and_then(Value::as_bool).unwrap_or(false);
        self.say(id, InterfaceManaged, managed.then_some("true"));
        self.say(id, InterfaceAddress, text(v, "privateIpAddress"));
        for a in items(v, "privateIpAddressesSet") {
            self.say(id, InterfaceAddress, text(a, "privateIpAddress"));
        }
        for a in items(v, "ipv6AddressesSet") {
            self.say(id, InterfaceAddress, text(a, "ipv6Address"));
        }
        let attachment = get(v, "attachment");
        self.say(
            id,
            InterfaceAttachment,
            attachment.and_then(|a| text(a, "attachmentId")),
        );
        self.say(
            id,
            InterfaceInstance,
            instance.or_else(|| attachment.and_then(|a| text(a, "instanceId"))),
        );
    }

    fn profile(&mut self, instance: Option<&str>, profile: Option<&Value>) {
        let name = profile
            .and_then(|p| text(p, "arn").or_else(|| text(p, "name")))
            .map(last_part);
        self.say(instance, Relation::InstanceProfile, name);
    }
}

fn run_instances(l: &mut Lesson<'_>) {
    let owner = text(l.response, "ownerId").or(l.account);
    for i in items(l.response, "instancesSet") {
        let id = text(i, "instanceId");
        l.say(id, Relation::InstanceAccount, owner);
        l.say(id, Relation::InstanceVpc, text(i, "vpcId"));
        l.say(id, Relation::InstanceAddress, text(i, "privateIpAddress"));
        l.profile(id, get(i, "iamInstanceProfile"));
        for interface in items(i, "networkInterfaceSet") {
            l.interface(interface, id);
        }
    }
}

fn terminate_instances(l: &mut Lesson<'_>) {
    for i in items(l.response, "instancesSet") {
        let id = text(i, "instanceId");
        l.end(id, Relation::InstanceAddress);
        l.end(id, Relation::InstanceProfile);
        l.say(id, Relation::InstanceEnded, Some("terminated"));
    }
}

fn create_interface(l: &mut Lesson<'_>) {
    if let Some(interface) = get(l.response, "networkInterface") {
        l.interface(interface, None);
    }
}

fn attach_interface(l: &mut Lesson<'_>) {
    let id = text(l.request, "networkInterfaceId");
    l.say(id, Relation::InterfaceInstance, text(l.request, "instanceId"));
    l.say(id, Relation::InterfaceAttachment, text(l.response, "attachmentId"));
}

fn detach_interface(l: &mut Lesson<'_>) {
    l.end(text(l.request, "attachmentId"), Relation::InterfaceAttachment);
}

fn delete_interface(l: &mut Lesson<'_>) {
    let id = text(l.request, "networkInterfaceId");
    for relation in [
        Relation::InterfaceAddress,
        Relation::InterfacePublic,
        Relation::InterfaceInstance,
    ] {
        l.end(id, relation);
    }
}

/// Secondary addresses: the pods of a node.
fn assign_addresses(l: &mut Lesson<'_>) {
    let id = text(l.request, "networkInterfaceId");
    for set in ["assignedPrivateIpAddressesSet", "privateIpAddressesSet"] {
        for a in items(l.response, set) {
            let address = text(a, "privateIpAddress").or_else(|| text(a, "assignedPrivateIpAddress"));
            l.say(id, Relation::InterfaceAddress, address.or(a.as_str()));
        }
    }
}

fn allocate_address(l: &mut Lesson<'_>) {
    l.say(
        text(l.response, "allocationId"),
        Relation::AllocationAddress,
        text(l.response, "publicIp"),
    );
}

fn associate_address(l: &mut Lesson<'_>) {
    let public = text(l.request, "publicIp");
    let allocation = text(l.request, "allocationId").or(public);
    l.say(allocation, Relation::AllocationAddress, public);
    let target = text(l.request, "networkInterfaceId").or_else(|| text(l.request, "instanceId"));
    l.say(allocation, Relation::AllocationTarget, target);
}

fn create_nat_gateway(l: &mut Lesson<'_>) {
    let Some(nat) = get(l.response, "natGateway") else {
        return;
    };
    let id = text(nat, "natGatewayId");
    l.say(id, Relation::NatVpc, text(nat, "vpcId"));
    l.say(id, Relation::NatSubnet, text(nat, "subnetId"));
    for a in items(nat, "natGatewayAddressSet") {
        let allocation = text(a, "allocationId");
        l.say(allocation, Relation::AllocationTarget, id);
        l.say(allocation, Relation::AllocationAddress, text(a, "publicIp"));
        l.say(id, Relation::NatInterface, text(a, "networkInterfaceId"));
    }
}

fn create_endpoint(l: &mut Lesson<'_>) {
    let Some(endpoint) = get(l.response, "vpcEndpoint") else {
        return;
    };
    let id = text(endpoint, "vpcEndpointId");
    let asked = |name| text(l.request, name);
    let service = text(endpoint, "serviceName").or_else(|| asked("serviceName"));
    let vpc = text(endpoint, "vpcId").or_else(|| asked("vpcId"));
    let kind = text(endpoint, "vpcEndpointType").or_else(|| asked("vpcEndpointType"));
    let account = text(endpoint, "ownerId").or(l.account);
    l.say(id, Relation::EndpointService, service);
    l.say(id, Relation::EndpointVpc, vpc);
    l.say(id, Relation::EndpointKind, kind);
    l.say(id, Relation::EndpointAccount, account);
    for interface in items(endpoint, "networkInterfaceIdSet") {
        l.say(
            id,
            Relation::EndpointInterface,
            interface.as_str().or_else(|| text(interface, "networkInterfaceId")),
        );
    }
}

fn associate_profile(l: &mut Lesson<'_>) {
    let answered = get(l.response, "iamInstanceProfileAssociation");
    let side = answered.unwrap_or(l.request);
    l.profile(
        text(side, "instanceId"),
        get(side, "iamInstanceProfile").or_else(|| get(l.request, "iamInstanceProfile")),
    );
}

fn add_role(l: &mut Lesson<'_>) {
    l.say(
        text(l.request, "instanceProfileName"),
        Relation::ProfileRole,
        text(l.request, "roleName"),
    );
}

#[cfg(test)]
mod tests {
    use crate::inventory::Inventory;
    use crate::trail::{TrailArchive, read};

    fn learn(events: &[(&str, &str, &str)]) -> Inventory {
        let mut archive = TrailArchive::default();
        for (minute, (name, request, response)) in events.iter().enumerate() {
            let record = format!(
                r#"{{"eventTime":"1970-01-01T00:{minute:02}:00Z","eventSource":"ec2.amazonaws.com","eventName":"{name}",
                "recipientAccountId":"111122223333","requestParameters":{request},"responseElements":{response}}}"#
            );
            assert_eq!(read(record.as_bytes(), &mut |e| archive.observe(&e)).records, 1);
        }
        archive.graph().resolve()
    }

    #[test]
    fn flat_and_wrapped_shapes_teach_the_same() {
        let flat = (
            "CreateVpcEndpoint",
            r#"{"vpcId":"vpc-1"}"#,
            r#"{"vpcEndpoint":{"vpcEndpointId":"vpce-1","serviceName":"com.amazonaws.eu-central-1.s3","networkInterfaceIdSet":{"items":[{"networkInterfaceId":"eni-7"}]}}}"#,
        );
        let wrapped = (
            "CreateVpcEndpoint",
            r#"{"CreateVpcEndpointRequest":{"VpcId":"vpc-1"}}"#,
            r#"{"CreateVpcEndpointResponse":{"vpcEndpoint":{"vpcEndpointId":"vpce-1","serviceName":"com.amazonaws.eu-central-1.s3","networkInterfaceIdSet":{"item":"eni-7"}}}}"#,
        );
        let known = learn(&[flat]);
        assert_eq!(known, learn(&[wrapped]));
        let endpoint = known.endpoint("vpce-1").unwrap();
        assert_eq!(
            (endpoint.vpc.as_deref(), endpoint.interfaces.as_slice()),
            (Some("vpc-1"), &["eni-7".to_string()][..])
        );
        assert_eq!(known.interface("eni-7").unwrap().endpoint.as_deref(), Some("vpce-1"));
    }

    #[test]
    fn an_elastic_address_follows_its_gateway_and_its_instance() {
        let known = learn(&[
            (
                "AllocateAddress",
                "{}",
                r#"{"publicIp":"198.51.100.9","allocationId":"eipalloc-1"}"#,
            ),
            (
                "CreateNatGateway",
                "null",
                r#"{"CreateNatGatewayResponse":{"natGateway":{"natGatewayId":"nat-1","vpcId":"vpc-1","natGatewayAddressSet":{"item":{"allocationId":"eipalloc-1"}}}}}"#,
            ),
            (
                "RunInstances",
                "{}",
                r#"{"ownerId":"111122223333","instancesSet":{"items":[{"instanceId":"i-1","iamInstanceProfile":{"arn":"arn:aws:iam::111122223333:instance-profile/web"},"networkInterfaceSet":{"items":[{"networkInterfaceId":"eni-1","privateIpAddress":"10.0.0.5","privateIpAddressesSet":{"item":[{"privateIpAddress":"10.0.0.5"},{"privateIpAddress":"10.0.0.6"}]}}]}}]}}"#,
            ),
            (
                "AssociateAddress",
                r#"{"publicIp":"198.51.100.5","instanceId":"i-1"}"#,
                r#"{"associationId":"x"}"#,
            ),
            (
                "TerminateInstances",
                "{}",
                r#"{"instancesSet":{"items":[{"instanceId":"i-1"}]}}"#,
            ),
        ]);
        assert_eq!(known.nats[0].public[0].to.to_string(), "198.51.100.9");
        let interface = known.interface("eni-1").unwrap();
        assert_eq!(
            (interface.public[0].to.to_string().as_str(), interface.addresses.len()),
            ("198.51.100.5", 2)
        );
        assert_eq!(
            (interface.instances[0].span.from, interface.instances[0].span.to),
            (120, 240)
        );
        assert_eq!(known.instance("i-1").unwrap().roles, ["web"]);
    }

    #[test]
    fn what_failed_teaches_nothing() {
        let known = learn(&[
            ("RunInstances", "{}", "null"),
            ("CreateNetworkInterface", "\"odd\"", "[1]"),
        ]);
        assert_eq!(known, Inventory::default());
    }
}
