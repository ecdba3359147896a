//! What other tools said of the stolen key: GuardDuty's and Macie's findings, and the lists that a scan is given.
//!
//! `get-findings` shapes of both services. The lists are small and made up for this account; a Tor exit and a directory
//! authority are real addresses, the rest stand in prefixes that host nobody.

use serde_json::{Value, json};

use super::background::VISITING_EXITS;
use super::events::{Identity, key_id};
use super::people::DEVELOPER;
use super::stories::{FINDING_AT, PAGER_AT};
use super::world::{ACCOUNT, PARTNER, REGION, Role, THREAT_HOST, TOR_EXIT, World};
use crate::net::rfc3339;

/// The buckets that hold sensitive data, and what Macie finds in them.
const SENSITIVE: [(&str, &str, &str, u64); 4] = [
    (
        "customer-records",
        "PERSONAL_INFORMATION",
        "USA_SOCIAL_SECURITY_NUMBER",
        4_108,
    ),
    ("customer-records", "PERSONAL_INFORMATION", "EMAIL_ADDRESS", 9_377),
    ("finance-exports", "FINANCIAL_INFORMATION", "CREDIT_CARD_NUMBER", 2_950),
    (
        "hr-documents",
        "PERSONAL_INFORMATION",
        "USA_SOCIAL_SECURITY_NUMBER",
        611,
    ),
];

/// `get-findings` of GuardDuty; empty without the stolen key.
pub(super) fn guardduty(world: &World, told: &[String]) -> Value {
    if !told.iter().any(|id| id == "stolen-key") {
        return json!({ "Findings": [] });
    }
    json!({ "Findings": [
        finding(world, "Exfiltration:S3/AnomalousBehavior", "An access key read S3 objects in an unusual way."),
        finding(world, "UnauthorizedAccess:S3/TorIPCaller", "S3 was called from a Tor exit node."),
    ] })
}

fn finding(world: &World, kind: &str, title: &str) -> Value {
    let id = world.id("gd", kind).replace("gd-0", "") + &world.id("gd", title).replace("gd-0", "");
    let detector = world.id("detector", "main").replace("detector-0", "");
    let at = rfc3339(world.at(1, FINDING_AT[0], FINDING_AT[1])).replace('Z', ".000Z");
    json!({ "SchemaVersion": "2.0", "AccountId": ACCOUNT, "Region": REGION, "Partition": "aws", "Id": id, "Type": kind,
        "Arn": format!("arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{detector}/finding/{id}"), "Severity": 8.0,
        "Title": title, "Description": title, "CreatedAt": at, "UpdatedAt": at, "Resource": resource(world),
        "Service": { "ServiceName": "guardduty", "DetectorId": detector, "Archived": false, "Count": 12_847, "ResourceRole": "TARGET",
            "EventFirstSeen": rfc3339(world.at(1, 2, 47) + 11), "EventLastSeen": rfc3339(world.at(1, 4, 12) + 38),
            "Action": { "ActionType": "AWS_API_CALL", "AwsApiCallAction": { "Api": "GetObject", "ServiceName": "s3.amazonaws.com",
                "CallerType": "Remote IP", "RemoteIpDetails": { "IpAddressV4": TOR_EXIT.to_string(), "Country": { "CountryName": "Germany" } } } } } })
}

fn resource(world: &World) -> Value {
    let buckets = ["customer-records", "finance-exports", "hr-documents"].map(|stem| {
        let name = &world.bucket(stem).name;
        json!({ "Name": name, "Arn": format!("arn:aws:s3:::{name}"), "Type": "Destination", "PublicAccess": { "EffectivePermission": "NOT_PUBLIC" } })
    });
    let user = Identity::user(world, DEVELOPER);
    json!({ "ResourceType": "S3Bucket", "S3BucketDetails": buckets, "AccessKeyDetails": { "AccessKeyId": user.key,
        "PrincipalId": key_id(world, "AIDA", DEVELOPER), "UserName": DEVELOPER, "UserType": "IAMUser" } })
}

/// `get-findings` of Macie: they were there before the theft, one an object.
pub(super) fn macie(world: &World) -> Value {
    let all: Vec<Value> = (1..)
        .zip(SENSITIVE)
        .map(|(n, found)| classified(world, n, found))
        .collect();
    json!({ "findings": all })
}

fn classified(world: &World, n: u64, (stem, category, kind, count): (&str, &str, &str, u64)) -> Value {
    let bucket = world.bucket(stem);
    let class = if category.starts_with("FIN") {
        "Financial"
    } else {
        "Personal"
    };
    let at = rfc3339(world.start + n * 3_600).replace('Z', ".000Z");
    let (name, key) = (&bucket.name, format!("{}/{:06}.csv.gz", bucket.folder, n * 37));
    json!({ "accountId": ACCOUNT, "region": REGION, "partition": "aws", "schemaVersion": "1.0", "sample": false, "archived": false,
        "id": world.id("m", &format!("{stem} {kind}")).replace("m-0", ""), "category": "CLASSIFICATION", "count": 1,
        "type": format!("SensitiveData:S3Object/{class}"), "title": "The S3 object contains sensitive data.",
        "severity": { "description": "High", "score": 3 }, "createdAt": at, "updatedAt": at,
        "resourcesAffected": { "s3Bucket": { "name": name, "arn": format!("arn:aws:s3:::{name}"),
                "publicAccess": { "effectivePermission": "NOT_PUBLIC" } },
            "s3Object": { "key": key, "path": format!("{name}/{key}"), "bucketArn": format!("arn:aws:s3:::{name}") } },
        "classificationDetails": { "result": { "status": { "code": "COMPLETE" }, "sensitiveData": [{ "category": category,
            "totalCount": count, "detections": [{ "type": kind, "count": count }] }] } } })
}

/// What no log knows: for the report's `--timeline`.
pub(super) fn timeline(world: &World) -> String {
    let page = rfc3339(world.at(1, PAGER_AT[0], PAGER_AT[1]));
    let search = rfc3339(world.at(1, 5, 30));
    format!("{page} PagerDuty alert to the SOC\n{search} Secret scan of the developer's repositories started\n")
}

/// Tor's exits, in the form of its bulk exit list.
pub(super) fn tor_exits() -> String {
    let mut exits = VISITING_EXITS.to_vec();
    exits.push(TOR_EXIT);
    exits.sort_unstable();
    exits.iter().map(|a| format!("{a}\n")).collect()
}

/// The threat list: one address, one network that nobody speaks to.
pub(super) fn threats() -> String {
    format!("# A threat list made up for the sample account\n{THREAT_HOST} # drop point\n192.0.2.240/28\n")
}

/// The announced transfer: the weekly export, an entry for each host that makes it.
pub(super) fn allowed(world: &World) -> String {
    let (from, until) = (rfc3339(world.start), rfc3339(world.end()));
    let entry = |host: usize| {
        let (name, eni) = (&world.hosts[host].name, &world.hosts[host].eni);
        format!(
            "[[entry]]\nid = \"weekly-export-{name}\"\nreason = \"weekly export to a partner, by contract\"\n\
             eni = \"{eni}\"\ndestination = \"{PARTNER}/32\"\nports = [22]\nfrom = \"{from}\"\nuntil = \"{until}\"\n\
             max_bytes = 2500000000\n"
        )
    };
    world.role(Role::Report).into_iter().map(entry).collect()
}
