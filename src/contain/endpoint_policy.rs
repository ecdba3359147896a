//! `endpoint-policy`: through the S3 endpoint only own accounts' buckets, or only buckets seen in use.
//!
//! Buckets that AWS owns and every machine needs (packages, image layers, agents) stay open, as far as the archive shows them
//! in use; so do buckets of others that no incident concerns.

use serde_json::{Value, json};

use super::control::{Control, Kind};
use super::facts::{Account, Bucket, Endpoint};
use super::plan::Given;
use super::shell::Command;

/// For every S3 endpoint, if S3 has part in the incident.
pub(super) fn policies(given: Given<'_>) -> Vec<Control> {
    if !given.case.s3 {
        return Vec::new();
    }
    if given.account.endpoints.is_empty() || given.account.accounts.is_empty() {
        return vec![unknown()];
    }
    given.account.endpoints.iter().map(|e| policy(e, given)).collect()
}

fn unknown() -> Control {
    Control::new("endpoint-policy", "Through the S3 endpoint only own buckets")
        .why("Data cannot be written into a bucket of somebody else's through an endpoint whose policy knows only own accounts.")
        .needs("The S3 endpoint and the own accounts: scan with --inventory and describe-vpc-endpoints, and --own-account")
}

fn policy(endpoint: &Endpoint, given: Given<'_>) -> Control {
    let account = given.account;
    let others = kept(account);
    let strict = format!("endpoint-policy-{}-own-accounts.json", endpoint.id);
    let narrow = format!("endpoint-policy-{}-buckets-in-use.json", endpoint.id);
    let id = &endpoint.id;
    let mut out = Control::new("endpoint-policy", format!("Through {id} only own buckets"))
        .about(id)
        .why("Data cannot be written into a bucket of somebody else's, with whatever credentials, through an endpoint whose policy knows only own accounts (s3:ResourceAccount).")
        .why("The second document is narrower: only the buckets that the archive shows in use. Take one of the two.")
        .needs("ec2:ModifyVpcEndpoint, ec2:DescribeVpcEndpoints")
        .careful("The policy replaces the present one; the first line keeps a copy. Back: the same line with --reset-policy.")
        .careful("It closes the endpoint only: a route to S3 through a NAT or internet gateway stays open.");
    for bucket in &others {
        let whose = bucket.service.or(bucket.owner.as_deref()).unwrap_or("unknown");
        out = out.careful(format!(
            "{} ({whose}) is in use and stays open for reading.",
            bucket.name
        ));
    }
    if account.blind || others.is_empty() {
        out = out.careful(format!(
            "No trail names the buckets of AWS's own that machines fetch packages, image layers and agents from. Where they are used, add them, such as {}.",
            of_aws(account.region()).join(", ")
        ));
    }
    out.document(strict.clone(), Kind::EndpointPolicy, own_accounts(account, &others))
        .document(narrow, Kind::EndpointPolicy, in_use(account, &others))
        .run(
            Command::aws("ec2", "describe-vpc-endpoints")
                .with("vpc-endpoint-ids", id)
                .with("query", "VpcEndpoints[0].PolicyDocument")
                .with("output", "text"),
        )
        .run(
            Command::aws("ec2", "modify-vpc-endpoint")
                .with("vpc-endpoint-id", id)
                .file("policy-document", &strict),
        )
}

/// Buckets of AWS's own that are usually needed: `AmazonECR`, `Systems Manager` and `Amazon Linux` guides on endpoint policies.
fn of_aws(region: &str) -> [String; 4] {
    [
        format!("prod-{region}-starport-layer-bucket"),
        format!("al2023-repos-{region}-de612dc2"),
        format!("amazonlinux-2-repos-{region}"),
        format!("aws-ssm-{region}"),
    ]
}

/// Buckets of others in use that no incident concerns, and AWS's own.
fn kept(account: &Account) -> Vec<&Bucket> {
    let wanted = |b: &&Bucket| b.standing == "aws" || b.standing == "foreign" && !account.concerned.contains(&b.name);
    account.buckets.iter().filter(wanted).collect()
}

fn own_accounts(account: &Account, others: &[&Bucket]) -> Value {
    let own = json!({ "Sid": "BucketsOfOwnAccounts", "Effect": "Allow", "Principal": "*", "Action": ["s3:*"], "Resource": ["*"],
        "Condition": { "StringEquals": { "s3:ResourceAccount": account.accounts } } });
    document(own, others)
}

/// Buckets that one policy may name: an endpoint's policy holds 20,480 characters.
const NAMED: usize = 60;

fn in_use(account: &Account, others: &[&Bucket]) -> Value {
    let own = account.buckets.iter().filter(|b| b.standing == "own").take(NAMED);
    let resources: Vec<String> = own.flat_map(|b| arns(&b.name)).collect();
    if resources.is_empty() {
        return own_accounts(account, others);
    }
    let own = json!({ "Sid": "BucketsInUse", "Effect": "Allow", "Principal": "*",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"], "Resource": resources,
        "Condition": { "StringEquals": { "s3:ResourceAccount": account.accounts } } });
    document(own, others)
}

fn document(own: Value, others: &[&Bucket]) -> Value {
    let mut statements = vec![own];
    if !others.is_empty() {
        let resources: Vec<String> = others.iter().take(NAMED).flat_map(|b| arns(&b.name)).collect();
        statements.push(
            json!({ "Sid": "OthersInUseForReading", "Effect": "Allow", "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": resources }),
        );
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn arns(bucket: &str) -> [String; 2] {
    [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]
}
