//! ASFF's resources: the interface, the instance, the principals' keys, the buckets, each by its own type.
//!
//! At most 32, each once; where an incident names none, it is the account's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::report::document::{Bucket, Principal, Reported};
use crate::report::shape::cut;
use crate::report::subject::{Arn, Subject, Who, account_of, address};

/// Resources that a finding takes.
const RESOURCES: usize = 32;

/// Addresses of an interface that are listed.
const ADDRESSES: usize = 20;

/// Everything that an incident touches.
pub(super) fn resources(i: &Reported, subject: &Subject, account: &str) -> Vec<Value> {
    let eni = i.eni.iter().map(|id| interface(id, i, subject));
    let instance = i.instance.iter().map(|id| instance(id, i, subject));
    let who = i.principals.iter().filter_map(|p| principal(p, subject));
    let buckets = i.buckets.iter().map(|b| bucket(b, subject));
    let whole = json!({"Type": "AwsAccount", "Id": format!("AWS::::Account:{account}"), "Partition": subject.partition(), "Region": subject.region});
    let mut met = BTreeSet::new();
    let mut out: Vec<Value> = eni
        .chain(instance)
        .chain(who)
        .chain(buckets)
        .filter(|r| {
            r["Id"]
                .as_str()
                .is_some_and(|id| !id.trim().is_empty() && met.insert(id.to_owned()))
        })
        .take(RESOURCES)
        .collect();
    if out.is_empty() {
        out.push(whole);
    }
    out
}

fn resource(kind: &str, id: &str, role: &str, subject: &Subject, details: Value) -> Value {
    json!({
        "Type": kind,
        "Id": cut(id, 500),
        "Partition": subject.partition(),
        "Region": subject.region,
        "ResourceRole": role,
        "Details": details,
    })
}

fn interface(id: &str, i: &Reported, subject: &Subject) -> Value {
    let own = || i.source_ips.iter().filter_map(|s| address(s)).take(ADDRESSES);
    let v4: Value = own()
        .filter(|a| a.is_ipv4())
        .map(|a| json!({"PrivateIpAddress": a}))
        .collect();
    let v6: Value = own()
        .filter(|a| a.is_ipv6())
        .map(|a| json!({"IpV6Address": a}))
        .collect();
    let details = json!({"AwsEc2NetworkInterface": {
        "NetworkInterfaceId": cut(id, 64),
        "PrivateIpAddresses": v4,
        "IpV6Addresses": v6,
    }});
    resource(
        "AwsEc2NetworkInterface",
        &subject.ec2("network-interface", id),
        "Target",
        subject,
        details,
    )
}

fn instance(id: &str, i: &Reported, subject: &Subject) -> Value {
    let own = || i.source_ips.iter().filter_map(|s| address(s)).take(ADDRESSES);
    let details = json!({"AwsEc2Instance": {
        "IpV4Addresses": own().filter(|a| a.is_ipv4()).collect::<Vec<_>>(),
        "IpV6Addresses": own().filter(|a| a.is_ipv6()).collect::<Vec<_>>(),
    }});
    resource(
        "AwsEc2Instance",
        &subject.ec2("instance", id),
        "Target",
        subject,
        details,
    )
}

fn bucket(bucket: &Bucket, subject: &Subject) -> Value {
    if bucket.name.trim().is_empty() {
        return Value::Null;
    }
    let details = json!({
        "AwsS3Bucket": {"Name": cut(&bucket.name, 256)},
        "Other": {
            "objects": bucket.objects.to_string(),
            "bytes": bucket.bytes.0.map(|n| n.to_string()),
            "sensitivity": cut(&bucket.sensitivity.join(" "), 1_000),
        },
    });
    resource("AwsS3Bucket", &subject.bucket(&bucket.name), "Target", subject, details)
}

/// The key where it is known, else the user, else whatever the ARN names.
fn principal(p: &Principal, subject: &Subject) -> Option<Value> {
    let arn = Arn::parse(&p.arn);
    let kind = arn.map_or(Who::Other, |a| a.kind);
    let Some(key) = p.access_key.as_deref().filter(|k| !k.trim().is_empty()) else {
        let kind = match kind {
            Who::User => "AwsIamUser",
            Who::Role if arn.is_some_and(|a| a.session.is_none()) => "AwsIamRole",
            _ => "Other",
        };
        let name = arn.map(|a| cut(a.name, 64));
        let details = match kind {
            "AwsIamUser" => json!({"AwsIamUser": {"UserName": name}}),
            "AwsIamRole" => json!({"AwsIamRole": {"RoleName": name}}),
            _ => Value::Null,
        };
        return Some(resource(kind, &p.arn, "Actor", subject, details));
    };
    let kind = match kind {
        Who::User => Some("User"),
        Who::Role => Some("AssumedRole"),
        Who::Root => Some("Root"),
        Who::Other => None,
    };
    let issuer = arn.filter(|a| a.session.is_some());
    let details = json!({"AwsIamAccessKey": {
        "AccessKeyId": cut(key, 128),
        "AccountId": account_of(p),
        "PrincipalType": kind,
        "PrincipalName": arn.map(|a| cut(a.session.unwrap_or(a.name), 128)),
        "SessionContext": {"SessionIssuer": {"Type": issuer.map(|_| "Role"), "UserName": issuer.map(|a| cut(a.name, 128))}},
    }});
    let id = format!("AWS::IAM::AccessKey:{key}");
    Some(resource("AwsIamAccessKey", &id, "Actor", subject, details))
}
