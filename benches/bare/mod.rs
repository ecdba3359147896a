//! What a bare, borrowed `serde_json` decode of the fields in use looks like: the yardstick of the trail reader. Nothing is
//! done with the fields, nothing is lenient, nothing is kept.

#![allow(unreachable_pub, dead_code, reason = "shared by two benchmarks")]

use std::borrow::Cow;

use serde::Deserialize;

/// A file.
#[derive(Deserialize)]
pub struct BareFile<'a> {
    /// Its records.
    #[serde(borrow, rename = "Records")]
    pub records: Vec<Bare<'a>>,
}

/// A record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bare<'a> {
    #[serde(borrow)]
    user_identity: BareIdentity<'a>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    aws_region: Cow<'a, str>,
    #[serde(borrow, rename = "sourceIPAddress")]
    source_ip: Cow<'a, str>,
    #[serde(borrow)]
    user_agent: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Cow<'a, str>,
    #[serde(borrow, default)]
    request_parameters: Option<BareRequest<'a>>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    recipient_account_id: Cow<'a, str>,
    #[serde(borrow, default)]
    vpc_endpoint_id: Cow<'a, str>,
    #[serde(default)]
    additional_event_data: Option<BareData>,
}

impl Bare<'_> {
    /// Bytes to the caller.
    pub fn bytes(&self) -> u64 {
        self.additional_event_data
            .as_ref()
            .map_or(0, |d| d.bytes_transferred_out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareIdentity<'a> {
    #[serde(borrow, default)]
    arn: Cow<'a, str>,
    #[serde(borrow, default)]
    access_key_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareRequest<'a> {
    #[serde(borrow, default)]
    bucket_name: Cow<'a, str>,
    #[serde(borrow, default)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareData {
    bytes_transferred_in: u64,
    bytes_transferred_out: u64,
}
