//! `egress-cidrs`: the interface sends to its usual destinations only, by a security group of its own.
//!
//! A security group is stateful: answers to visitors need no rule. S3 is allowed by its prefix list, where it is used.

use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::control::{Control, Kind};
use super::facts::Usual;
use super::plan::Given;
use super::shell::Command;

/// For the interface of the incident.
pub(super) fn egress(given: Given<'_>) -> Vec<Control> {
    let Some(interface) = &given.case.interface else {
        return Vec::new();
    };
    let name = format!("egress-{interface}.json");
    let rules = rules(&given.case.usual);
    let group = format!("flowtrail-{}", given.case.id);
    let mut out = Control::new(
        "egress-cidrs",
        format!("{interface} sends to its usual destinations only"),
    )
    .about(interface)
    .why("What the interface usually sends to is in the rules (at most 60 destinations, those with most bytes); what the incident cites is not.");
    if rules.as_array().is_some_and(Vec::is_empty) {
        out = out.why("It has no usual destination beside the incident: the group has no egress rule at all.");
    }
    out = out
        .needs("ec2:CreateSecurityGroup, ec2:RevokeSecurityGroupEgress, ec2:AuthorizeSecurityGroupEgress, ec2:ModifyNetworkInterfaceAttribute")
        .needs("VPC_ID of the interface, GROUP_ID from create-security-group, and S3_PREFIX_LIST (describe-managed-prefix-lists) where S3 stays allowed, set in the shell")
        .careful("describe-network-interfaces first: its Groups are what you go back to. A new group begins with a rule that allows all egress: it is revoked before it is used.")
        .careful("Connections that are open when the group changes may go on: AWS tracks them. Stop the processes, or the instance.");
    let mut commands = vec![
        Command::aws("ec2", "describe-network-interfaces").with("network-interface-ids", interface),
        Command::aws("ec2", "create-security-group")
            .with("group-name", &group)
            .with("description", "egress limited during an incident")
            .variable("vpc-id", "", "VPC_ID", ""),
        Command::aws("ec2", "revoke-security-group-egress")
            .variable("group-id", "", "GROUP_ID", "")
            .with("ip-permissions", "IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]"),
    ];
    if rules.as_array().is_some_and(|r| !r.is_empty()) {
        commands.push(
            Command::aws("ec2", "authorize-security-group-egress")
                .variable("group-id", "", "GROUP_ID", "")
                .file("ip-permissions", &name),
        );
        out = out.document(name, Kind::Parameter, rules);
    }
    commands.push(
        Command::aws("ec2", "authorize-security-group-egress")
            .variable("group-id", "", "GROUP_ID", "")
            .variable(
                "ip-permissions",
                "IpProtocol=tcp,FromPort=443,ToPort=443,PrefixListIds=[{PrefixListId=",
                "S3_PREFIX_LIST",
                "}]",
            ),
    );
    commands.push(
        Command::aws("ec2", "modify-network-interface-attribute")
            .with("network-interface-id", interface)
            .variable("groups", "", "GROUP_ID", ""),
    );
    out.commands = commands;
    vec![out]
}

/// Permissions, one a protocol and port. Destinations at home are taken by their /16: they are many, and near.
fn rules(usual: &[Usual]) -> Value {
    let mut by_port: BTreeMap<(u8, u16), (Vec<String>, Vec<String>)> = BTreeMap::new();
    for u in usual {
        let Ok(network) = u.cidr.parse::<IpNetwork>() else {
            continue;
        };
        let slot = by_port.entry((u.protocol, u.port)).or_default();
        match widened(network, u.class == "home") {
            IpNetwork::V4(v4) => slot.0.push(v4.to_string()),
            IpNetwork::V6(v6) => slot.1.push(v6.to_string()),
        }
    }
    by_port
        .into_iter()
        .map(|((protocol, port), (v4, v6))| permission(protocol, port, v4, v6))
        .collect()
}

fn permission(protocol: u8, port: u16, mut v4: Vec<String>, mut v6: Vec<String>) -> Value {
    for list in [&mut v4, &mut v6] {
        list.sort();
        list.dedup();
    }
    let (word, ports) = match protocol {
        6 => ("tcp".to_owned(), Some((port, port))),
        17 => ("udp".to_owned(), Some((port, port))),
        n => (n.to_string(), None),
    };
    let mut out = json!({ "IpProtocol": word });
    if let Some((from, to)) = ports {
        (out["FromPort"], out["ToPort"]) = (from.into(), to.into());
    }
    if !v4.is_empty() {
        out["IpRanges"] = v4.iter().map(|c| json!({ "CidrIp": c })).collect();
    }
    if !v6.is_empty() {
        out["Ipv6Ranges"] = v6.iter().map(|c| json!({ "CidrIpv6": c })).collect();
    }
    out
}

fn widened(network: IpNetwork, home: bool) -> IpNetwork {
    let length = match network {
        IpNetwork::V4(_) if home => 16,
        IpNetwork::V6(_) if home => 56,
        _ => return network,
    };
    let wide = IpNetwork::new(network.ip(), length);
    wide.and_then(|n| IpNetwork::new(n.network(), length))
        .unwrap_or(network)
}
