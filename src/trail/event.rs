//! One CloudTrail event: the fields in use, borrowed from the file's bytes.
//!
//! AWS: userguide/cloudtrail-event-reference-record-contents. A record is one iff it has a time that exists, a source
//! and a name; everything else may be absent or odd and is then simply not known. The rest of the record stays
//! reachable as text ([`TrailEvent::request_parameters`]) for the few events whose parameters matter.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::identity::{RawIdentity, UserIdentity};
use super::json::{Amount, Flag, List, Object, Part, Strict, Text};
use super::time::parse_time;
use crate::net::{Addr, Seconds};

/// One event. Texts are as in the log: untrusted, to be escaped before anybody reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailEvent<'a> {
    /// `eventTime` (or `@timestamp`, where a log shipper put it there instead).
    pub time: Seconds,
    /// `eventSource`, such as `s3.amazonaws.com`.
    pub source: Cow<'a, str>,
    /// `eventName`, such as `GetObject`.
    pub name: Cow<'a, str>,
    /// `eventID`.
    pub id: Option<Cow<'a, str>>,
    /// `awsRegion`.
    pub region: Option<Cow<'a, str>>,
    /// `recipientAccountId`: the account in whose trail this stands.
    pub recipient: Option<Cow<'a, str>>,
    /// `sourceIPAddress` as written: an address, a service's name, `AWS Internal`, or something odd.
    pub source_ip: Option<Cow<'a, str>>,
    /// The same, if it is an address.
    pub addr: Option<Addr>,
    /// `vpcEndpointId`.
    pub endpoint: Option<Cow<'a, str>>,
    /// `vpcEndpointAccountId`.
    pub endpoint_account: Option<Cow<'a, str>>,
    /// `userAgent`.
    pub user_agent: Option<Cow<'a, str>>,
    /// `errorCode`: the request failed.
    pub error: Option<Cow<'a, str>>,
    /// `readOnly`.
    pub read_only: Option<bool>,
    /// Management, data or network activity.
    pub category: Category,
    /// `userIdentity`.
    pub identity: UserIdentity<'a>,
    /// `requestParameters.bucketName`.
    pub bucket: Option<Cow<'a, str>>,
    /// `requestParameters.key`.
    pub key: Option<Cow<'a, str>>,
    /// `requestParameters.x-amz-copy-source`: where a server-side copy reads.
    pub copy_source: Option<Cow<'a, str>>,
    /// Bytes sent by the caller (`additionalEventData.bytesTransferredIn`).
    pub bytes_in: Option<u64>,
    /// Bytes sent to the caller (`additionalEventData.bytesTransferredOut`).
    pub bytes_out: Option<u64>,
    /// `SigV4`, `SigV2`.
    pub signature_version: Option<Cow<'a, str>>,
    /// `AuthHeader`, or `QueryString` for a presigned URL.
    pub authentication: Option<Cow<'a, str>>,
    /// What the call touched.
    pub resources: Vec<Resource<'a>>,
    /// Credentials that the call handed out.
    pub issued: Option<Issued<'a>>,
    /// The whole record as JSON text.
    pub raw: &'a str,
}

/// `eventCategory`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Control plane.
    #[default]
    Management,
    /// Object level.
    Data,
    /// At a VPC endpoint.
    Network,
}

/// One item of `resources[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Its ARN (or the prefix, for a listing).
    pub arn: Option<Cow<'a, str>>,
    /// Account that owns it.
    pub account: Option<Cow<'a, str>>,
}

/// What `AssumeRole…`, `GetSessionToken`, `GetFederationToken` or `CreateAccessKey` answered. Never the secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issued<'a> {
    /// Access key id of the new credentials.
    pub access_key: Option<Cow<'a, str>>,
    /// ARN of the new session (`assumedRoleUser.arn`).
    pub arn: Option<Cow<'a, str>>,
    /// `requestParameters.roleArn`.
    pub role: Option<Cow<'a, str>>,
    /// `requestParameters.roleSessionName`.
    pub session: Option<Cow<'a, str>>,
}

impl<'a> TrailEvent<'a> {
    /// The raw `requestParameters`, if they are an object.
    pub fn request_parameters(&self) -> Option<&'a RawValue> {
        self.raw_parts().request_parameters
    }

    /// The raw `responseElements`, if they are an object.
    pub fn response_elements(&self) -> Option<&'a RawValue> {
        self.raw_parts().response_elements
    }

    fn raw_parts(&self) -> RawParts<'a> {
        serde_json::from_str(self.raw).unwrap_or_default()
    }

    /// True for events of S3 itself (`s3`, `s3express`, Object Lambda).
    pub fn is_s3(&self) -> bool {
        matches!(
            &*self.source,
            "s3.amazonaws.com" | "s3express.amazonaws.com" | "s3-object-lambda.amazonaws.com"
        )
    }

    /// The account that owns the bucket of the request, by `resources[]`.
    pub fn bucket_owner(&self) -> Option<&str> {
        let bucket = self.bucket.as_deref()?;
        let names = |r: &&Resource<'_>| {
            r.arn
                .as_deref()
                .and_then(|a| a.split_once(":::"))
                .is_some_and(|(_, n)| n == bucket)
        };
        self.resources.iter().filter(names).find_map(|r| r.account.as_deref())
    }

    /// Bucket and key that a server-side copy read from.
    pub fn copied_from(&self) -> Option<(&str, &str)> {
        let source = self.copy_source.as_deref()?;
        let source = source.split_once(":::").map_or(source, |(_, rest)| rest);
        source.trim_start_matches('/').split_once('/')
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawParts<'a> {
    #[serde(borrow)]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    response_elements: Option<&'a RawValue>,
}

/// A record as decoded in one pass. The second names are those of Athena tables and exports.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Record<'a> {
    #[serde(borrow, alias = "eventtime")]
    pub(super) event_time: Strict<'a>,
    #[serde(borrow, rename = "@timestamp")]
    pub(super) timestamp: Text<'a>,
    #[serde(borrow, alias = "eventsource")]
    pub(super) event_source: Strict<'a>,
    #[serde(borrow, alias = "eventname")]
    pub(super) event_name: Strict<'a>,
    #[serde(borrow, rename = "eventID", alias = "eventid")]
    pub(super) event_id: Strict<'a>,
    #[serde(borrow, alias = "awsregion")]
    pub(super) aws_region: Strict<'a>,
    #[serde(borrow, alias = "recipientaccountid")]
    pub(super) recipient_account_id: Strict<'a>,
    #[serde(borrow, rename = "sourceIPAddress", alias = "sourceipaddress")]
    pub(super) source_ip: Strict<'a>,
    #[serde(borrow, alias = "useragent")]
    pub(super) user_agent: Strict<'a>,
    #[serde(borrow, alias = "errorcode")]
    pub(super) error_code: Strict<'a>,
    #[serde(borrow, alias = "errormessage")]
    pub(super) error_message: Strict<'a>,
    #[serde(borrow, alias = "vpcendpointid")]
    pub(super) vpc_endpoint_id: Text<'a>,
    #[serde(borrow, alias = "vpcendpointaccountid")]
    pub(super) vpc_endpoint_account_id: Text<'a>,
    #[serde(alias = "readonly")]
    pub(super) read_only: Flag,
    #[serde(alias = "managementevent")]
    pub(super) management_event: Flag,
    #[serde(borrow, alias = "eventcategory")]
    pub(super) event_category: Text<'a>,
    #[serde(borrow, alias = "eventtype")]
    pub(super) event_type: Text<'a>,
    #[serde(borrow, alias = "useridentity")]
    pub(super) user_identity: Object<RawIdentity<'a>>,
    #[serde(borrow, alias = "requestparameters")]
    pub(super) request_parameters: Part<Request<'a>>,
    #[serde(borrow, alias = "responseelements")]
    pub(super) response_elements: Part<Response<'a>>,
    #[serde(borrow, alias = "additionaleventdata")]
    pub(super) additional_event_data: Part<Additional<'a>>,
    #[serde(borrow)]
    pub(super) resources: List<RawResource<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow, alias = "bucketname")]
    pub(super) bucket_name: Text<'a>,
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow, rename = "x-amz-copy-source")]
    pub(super) copy_source: Text<'a>,
    #[serde(borrow)]
    pub(super) role_arn: Text<'a>,
    #[serde(borrow)]
    pub(super) role_session_name: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    credentials: Part<Credentials<'a>>,
    #[serde(borrow)]
    access_key: Part<Credentials<'a>>,
    #[serde(borrow)]
    assumed_role_user: Part<AssumedRoleUser<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Credentials<'a> {
    #[serde(borrow)]
    access_key_id: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AssumedRoleUser<'a> {
    #[serde(borrow)]
    pub(super) arn: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Additional<'a> {
    #[serde(rename = "bytesTransferredIn", alias = "bytestransferredin")]
    pub(super) bytes_in: Amount,
    #[serde(rename = "bytesTransferredOut", alias = "bytestransferredout")]
    pub(super) bytes_out: Amount,
    #[serde(borrow, rename = "SignatureVersion")]
    pub(super) signature_version: Text<'a>,
    #[serde(borrow, rename = "AuthenticationMethod")]
    pub(super) authentication: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct RawResource<'a> {
    #[serde(borrow, rename = "ARN", alias = "arn")]
    pub(super) arn: Text<'a>,
    #[serde(borrow, rename = "ARNPrefix")]
    pub(super) prefix: Text<'a>,
    #[serde(borrow, rename = "accountId", alias = "accountid")]
    pub(super) account: Text<'a>,
}

/// What a decoded object turned out to be.
pub(super) enum Kind {
    /// An event.
    Event,
    /// An event that a shipper packed into strings: unpack, then decode again.
    Packed,
    /// A CloudTrail Insight.
    Insight,
    /// No record: perhaps an envelope around one.
    Other,
}

impl<'a> Record<'a> {
    /// Tells what this is.
    pub(super) fn kind(&self) -> Kind {
        let is = |t: &Text<'_>, word: &str| t.0.as_deref() == Some(word);
        let bare = self.event_time.0.is_none() && self.event_source.0.is_none() && self.event_name.0.is_none();
        if is(&self.event_category, "Insight") || is(&self.event_type, "AwsCloudTrailInsight") {
            Kind::Insight
        } else if bare && self.user_identity.0.is_none() && self.event_id.0.is_none() {
            Kind::Other
        } else if self.is_packed() {
            Kind::Packed
        } else {
            Kind::Event
        }
    }

    fn is_packed(&self) -> bool {
        self.request_parameters.packed
            || self.response_elements.packed
            || self.additional_event_data.packed
            || self.resources.packed
    }

    /// True if nobody is named at all.
    pub(super) fn lacks_identity(&self) -> bool {
        self.user_identity.0.is_none()
    }

    /// The event, or the field that keeps this record from being one.
    pub(super) fn into_event(self, raw: &'a str) -> Result<TrailEvent<'a>, &'static str> {
        let time = self.time().ok_or("eventTime")?;
        let category = self.category();
        let request = self.request_parameters.value;
        let response = self.response_elements.value;
        let additional = self.additional_event_data.value;
        let issued = issued(response, request.role_arn, request.role_session_name);
        let addr = self.source_ip.0.as_deref().and_then(|s| s.parse().ok());
        Ok(TrailEvent {
            time,
            source: self.event_source.0.filter(|s| !s.is_empty()).ok_or("eventSource")?,
            name: self.event_name.0.filter(|s| !s.is_empty()).ok_or("eventName")?,
            id: self.event_id.0,
            region: self.aws_region.0,
            recipient: self.recipient_account_id.0,
            source_ip: self.source_ip.0,
            addr,
            endpoint: self.vpc_endpoint_id.0,
            endpoint_account: self.vpc_endpoint_account_id.0,
            user_agent: self.user_agent.0,
            error: self.error_code.0.filter(|s| !s.is_empty()),
            read_only: self.read_only.0,
            category,
            identity: self.user_identity.0.map(UserIdentity::from).unwrap_or_default(),
            bucket: request.bucket_name.0,
            key: request.key.0,
            copy_source: request.copy_source.0,
            bytes_in: additional.bytes_in.0,
            bytes_out: additional.bytes_out.0,
            signature_version: additional.signature_version.0,
            authentication: additional.authentication.0,
            resources: self.resources.items.into_iter().map(Resource::from).collect(),
            issued,
            raw,
        })
    }

    fn time(&self) -> Option<Seconds> {
        parse_time(self.event_time.0.as_deref().or(self.timestamp.0.as_deref())?)
    }

    fn category(&self) -> Category {
        match (self.event_category.0.as_deref(), self.management_event.0) {
            (Some("Data"), _) => Category::Data,
            (Some("NetworkActivity"), _) => Category::Network,
            (Some(_), _) | (None, Some(true)) => Category::Management,
            (None, Some(false)) => Category::Data,
            (None, None) => self.old_category(),
        }
    }

    /// Records before version 1.06 do not say: an S3 call that names a key is one on an object.
    fn old_category(&self) -> Category {
        let of_s3 = self.event_source.0.as_deref() == Some("s3.amazonaws.com");
        if of_s3 && self.request_parameters.value.key.0.is_some() {
            Category::Data
        } else {
            Category::Management
        }
    }
}

fn issued<'a>(response: Response<'a>, role: Text<'a>, session: Text<'a>) -> Option<Issued<'a>> {
    let key = response
        .credentials
        .value
        .access_key_id
        .0
        .or(response.access_key.value.access_key_id.0);
    let arn = response.assumed_role_user.value.arn.0;
    if key.is_none() && arn.is_none() {
        return None;
    }
    Some(Issued {
        access_key: key,
        arn,
        role: role.0,
        session: session.0,
    })
}

impl<'a> From<RawResource<'a>> for Resource<'a> {
    fn from(raw: RawResource<'a>) -> Self {
        Resource {
            arn: raw.arn.0.or(raw.prefix.0),
            account: raw.account.0,
        }
    }
}
