//! CloudTrail records: who called what, from where, and how many bytes S3 says it moved.
//!
//! Shapes follow AWS's record reference (eventVersion 1.11) and real records. `x-amz-id-2`, 56 bytes of noise a record
//! that nobody reads, is left out, which halves the size of the archive.

use serde::Serialize;
use serde_json::{Value, json};

use super::flows::Owner;
use super::rng::Rng;
use super::world::{ACCOUNT, Bucket, Host, REGION, World};
use crate::net::{Seconds, rfc3339};

/// One record, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) time: Seconds,
    /// Breaks ties: the record's own id.
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) json: String,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The session's or user's ARN; for a service its name.
    pub(super) arn: String,
    pub(super) key: String,
    doc: Value,
}

/// An API call.
pub(super) struct Call<'a> {
    pub(super) time: Seconds,
    pub(super) who: &'a Identity,
    /// `sourceIPAddress`.
    pub(super) from: String,
    /// First part of `eventSource`.
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    pub(super) agent: &'a str,
    pub(super) request: Value,
    pub(super) response: Value,
}

/// An S3 call on an object or a bucket.
pub(super) struct ObjectCall<'a> {
    pub(super) time: Seconds,
    pub(super) who: &'a Identity,
    pub(super) from: String,
    /// The gateway endpoint, where the call came through it.
    pub(super) endpoint: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) bucket: &'a Bucket,
    /// The object's key; empty for calls on the bucket.
    pub(super) key: String,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) agent: &'a str,
}

/// Collects the records of one actor, whose ids come from a stream of its own.
pub(super) struct Trail {
    rng: Rng,
    owner: Owner,
    pub(super) events: Vec<Event>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    user_identity: &'a Value,
    event_time: String,
    event_source: String,
    event_name: &'a str,
    aws_region: &'static str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
    user_agent: &'a str,
    request_parameters: &'a Value,
    response_elements: &'a Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    additional_event_data: Value,
    #[serde(rename = "requestID")]
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: String,
    read_only: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    resources: Value,
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_account_id: Option<&'static str>,
    event_category: &'static str,
}

impl Trail {
    /// Records of `owner`, with ids from the stream `label`.
    pub(super) fn new(world: &World, label: &str, owner: Owner) -> Self {
        Trail {
            rng: Rng::fork(world.seed, &format!("trail {label}")),
            owner,
            events: Vec::new(),
        }
    }

    /// Records a management call.
    pub(super) fn call(&mut self, call: &Call<'_>) {
        self.push(call, Value::Null, Value::Null, None, false);
    }

    /// Records an S3 call: a data event if it names an object or lists them.
    pub(super) fn object(&mut self, o: &ObjectCall<'_>) {
        let host = format!("{}.s3.{REGION}.amazonaws.com", o.bucket.name);
        let mut request = json!({ "bucketName": o.bucket.name, "Host": host });
        if !o.key.is_empty() {
            request["key"] = json!(o.key);
        }
        let call = Call {
            time: o.time,
            who: o.who,
            from: o.from.clone(),
            service: "s3",
            name: o.name,
            agent: o.agent,
            request,
            response: Value::Null,
        };
        let bytes = json!({ "SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "AuthenticationMethod": "AuthHeader", "bytesTransferredIn": o.bytes_in, "bytesTransferredOut": o.bytes_out });
        let data = !o.key.is_empty() || o.name == "ListObjects";
        self.push(&call, bytes, resources(o), o.endpoint, data);
    }

    fn push(&mut self, c: &Call<'_>, additional: Value, resources: Value, endpoint: Option<&str>, data: bool) {
        let id = self.rng.uuid();
        let record = Record {
            event_version: "1.11",
            user_identity: &c.who.doc,
            event_time: rfc3339(c.time),
            event_source: format!("{}.amazonaws.com", c.service),
            event_name: c.name,
            aws_region: REGION,
            source_ip_address: &c.from,
            user_agent: c.agent,
            request_parameters: &c.request,
            response_elements: &c.response,
            additional_event_data: additional,
            request_id: if c.service == "s3" {
                self.rng.base32(16)
            } else {
                self.rng.uuid()
            },
            event_id: id.clone(),
            read_only: ["Get", "List", "Describe", "Head", "Assume"]
                .iter()
                .any(|p| c.name.starts_with(p)),
            resources,
            event_type: "AwsApiCall",
            management_event: !data,
            recipient_account_id: ACCOUNT,
            vpc_endpoint_id: endpoint,
            vpc_endpoint_account_id: endpoint.map(|_| ACCOUNT),
            event_category: if data { "Data" } else { "Management" },
        };
        let json = serde_json::to_string(&record).unwrap_or_default();
        self.events.push(Event {
            time: c.time,
            id,
            owner: self.owner,
            json,
        });
    }
}

/// The object and its bucket, with the account that owns it: how foreign buckets are told.
fn resources(o: &ObjectCall<'_>) -> Value {
    let arn = format!("arn:aws:s3:::{}", o.bucket.name);
    let bucket = json!({ "accountId": o.bucket.account, "type": "AWS::S3::Bucket", "ARN": arn });
    match (o.key.is_empty(), o.name) {
        (false, _) => json!([{ "type": "AWS::S3::Object", "ARN": format!("{arn}/{}", o.key) }, bucket]),
        (true, "ListObjects") => json!([{ "type": "AWS::S3::Object", "ARNPrefix": format!("{arn}/") }, bucket]),
        _ => json!([bucket]),
    }
}

impl Identity {
    /// The role session of an instance at a moment: its name is the instance's id, its key lives for six hours.
    pub(super) fn session(world: &World, host: &Host, time: Seconds) -> Self {
        let turn = session_turn(world, host, time);
        let name = host.instance.clone().unwrap_or_default();
        let begun = (world.start + host.renewal + turn * SESSION).saturating_sub(SESSION);
        Self::assumed(
            world,
            host.iam.unwrap_or("none"),
            &name,
            &format!("{name} {turn}"),
            begun,
        )
    }

    /// Somebody who came through single sign-on.
    pub(super) fn person(world: &World, role: &str, name: &str, begun: Seconds) -> Self {
        Self::assumed(
            world,
            &format!("AWSReservedSSO_{role}"),
            name,
            &format!("{name} {begun}"),
            begun,
        )
    }

    fn assumed(world: &World, role: &str, session: &str, label: &str, begun: Seconds) -> Self {
        let key = key(world, "ASIA", label);
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}");
        let id = key_id(world, "AROA", role);
        let doc = json!({ "type": "AssumedRole", "principalId": format!("{id}:{session}"), "arn": arn,
            "accountId": ACCOUNT, "accessKeyId": key, "sessionContext": {
                "attributes": { "creationDate": rfc3339(begun), "mfaAuthenticated": "false" },
                "sessionIssuer": { "type": "Role", "principalId": id, "accountId": ACCOUNT, "userName": role,
                    "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}") } } });
        Identity { arn, key, doc }
    }

    /// An IAM user with a long-lived key.
    pub(super) fn user(world: &World, name: &str) -> Self {
        let arn = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
        let key = key_id(world, "AKIA", name);
        let key = format!("{}WXYZ", key.get(..16).unwrap_or_default());
        let doc = json!({ "type": "IAMUser", "principalId": key_id(world, "AIDA", name), "arn": arn,
            "accountId": ACCOUNT, "accessKeyId": key, "userName": name });
        Identity { arn, key, doc }
    }

    /// An AWS service acting for the account.
    pub(super) fn service(name: &str) -> Self {
        let doc = json!({ "type": "AWSService", "invokedBy": name });
        Identity {
            arn: name.to_owned(),
            key: String::new(),
            doc,
        }
    }
}

/// How long an instance's credentials are used before they are renewed.
pub(super) const SESSION: Seconds = 6 * 3_600;

/// Which renewal is in force: 0 is the one from before the archive.
fn session_turn(world: &World, host: &Host, time: Seconds) -> u64 {
    (time + SESSION).saturating_sub(world.start + host.renewal) / SESSION
}

fn key(world: &World, prefix: &str, label: &str) -> String {
    key_id(world, prefix, label)
}

/// An access key or principal id: four letters and 16 of AWS's base 32.
pub(super) fn key_id(world: &World, prefix: &str, label: &str) -> String {
    format!(
        "{prefix}{}",
        Rng::fork(world.seed, &format!("key {prefix} {label}")).base32(16)
    )
}
