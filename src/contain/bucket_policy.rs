//! `bucket-policy`: objects of a bucket are reached through the VPC endpoints only.
//!
//! Only object calls are refused, so that an administrator can always take the policy back; AWS's own services, and calls
//! that they make for somebody, are let through.

use serde_json::{Value, json};

use super::control::{Control, Kind};
use super::facts::Bucket;
use super::plan::Given;
use super::shell::Command;

/// Calls that move or destroy objects. Not `s3:PutBucketPolicy`: that is the way back.
const ACTIONS: [&str; 6] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucket",
];

/// For every own bucket that was touched.
pub(super) fn policies(given: Given<'_>) -> Vec<Control> {
    let known = given.case.own_buckets.iter().filter_map(|b| given.account.of_name(b));
    known.map(|b| policy(b, given)).collect()
}

fn policy(bucket: &Bucket, given: Given<'_>) -> Control {
    let name = &bucket.name;
    let mut out = Control::new("bucket-policy", format!("Objects of {name} reached through the VPC endpoint only"))
        .about(name)
        .why("A stolen key is of no use outside: without one of these endpoints every call for an object is refused.")
        .why("AWS services (aws:PrincipalIsAWSService), and calls that they make on somebody's behalf (aws:ViaAWSService), pass.");
    let endpoints: Vec<&str> = given.account.endpoints.iter().map(|e| e.id.as_str()).collect();
    if endpoints.is_empty() {
        return out.needs("The id of the VPC endpoint: none is known. Scan with --inventory and describe-vpc-endpoints, or with a trail in which S3 is called through one");
    }
    out = out
        .needs("s3:GetBucketPolicy and s3:PutBucketPolicy on the bucket; every caller that must go on inside a VPC with one of these endpoints")
        .careful("put-bucket-policy replaces the whole policy: merge the statement into what get-bucket-policy prints.")
        .careful("Break glass: the policy does not refuse s3:PutBucketPolicy and s3:DeleteBucketPolicy, so an administrator can take it back from anywhere; name emergency roles with --break-glass ARN to exempt them from the start.");
    if bucket.own_without_endpoint > 0 {
        out = out.careful(format!(
            "In this archive {} requests of your own principals, beside the incidents, came through no endpoint: they would be refused.",
            bucket.own_without_endpoint
        ));
    }
    let document = format!("bucket-policy-{name}.json");
    out.document(
        document.clone(),
        Kind::BucketPolicy,
        content(name, &endpoints, &given.options.break_glass),
    )
    .run(
        Command::aws("s3api", "get-bucket-policy")
            .with("bucket", name)
            .with("query", "Policy")
            .with("output", "text"),
    )
    .run(
        Command::aws("s3api", "put-bucket-policy")
            .with("bucket", name)
            .file("policy", &document),
    )
}

fn content(bucket: &str, endpoints: &[&str], break_glass: &[String]) -> Value {
    let mut condition = json!({
        "StringNotEquals": { "aws:sourceVpce": endpoints },
        "BoolIfExists": { "aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false" },
    });
    if !break_glass.is_empty() {
        condition["ArnNotEquals"] = json!({ "aws:PrincipalArn": break_glass });
    }
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "ObjectsThroughTheEndpointOnly", "Effect": "Deny", "Principal": "*",
        "Action": ACTIONS, "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
        "Condition": condition }] })
}
