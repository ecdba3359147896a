//! Which events are kept whole, with their parameters: those that change who can see or reach data, or what is logged,
//! and those that show containment. One table; everything else lives on in sums only.

use super::event::TrailEvent;
use crate::net::Seconds;

/// An event kept whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notable {
    /// When.
    pub time: Seconds,
    /// `eventName`.
    pub event: String,
    /// `eventSource`.
    pub service: String,
    /// `awsRegion`.
    pub region: String,
    /// `sourceIPAddress`.
    pub source: String,
    /// `errorCode`, if it failed.
    pub error: Option<String>,
    /// Bucket, if the request names one.
    pub bucket: Option<String>,
    /// `requestParameters` as JSON, cut off beyond 16 KiB (then it is no JSON any more).
    pub request: String,
    /// Index into [`super::PrincipalIndex::principals`].
    pub principal: u32,
}

/// Longest request kept.
const LONGEST_REQUEST: usize = 16 << 10;

impl Notable {
    pub(super) fn of(e: &TrailEvent<'_>, principal: u32) -> Self {
        let request = e.request_parameters().map_or("", |r| r.get());
        let end = (0..=LONGEST_REQUEST.min(request.len()))
            .rev()
            .find(|n| request.is_char_boundary(*n))
            .unwrap_or(0);
        Notable {
            time: e.time,
            event: e.name.to_string(),
            service: e.source.to_string(),
            region: e.region.as_deref().unwrap_or_default().to_owned(),
            source: e.source_ip.as_deref().unwrap_or_default().to_owned(),
            error: e.error.as_deref().map(str::to_owned),
            bucket: e.bucket.as_deref().map(str::to_owned),
            request: request.get(..end).unwrap_or_default().to_owned(),
            principal,
        }
    }
}

/// True for events that later rooms want to read whole.
pub(super) fn is_notable(e: &TrailEvent<'_>) -> bool {
    NOTABLE.binary_search(&&*e.name).is_ok()
}

/// Event names, sorted.
const NOTABLE: &[&str] = &[
    "AddUserToGroup",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "ConsoleLogin",
    "CreateAccessKey",
    "CreateAccessPoint",
    "CreateFlowLogs",
    "CreateLoginProfile",
    "CreateUser",
    "DeactivateMFADevice",
    "DeleteAccessKey",
    "DeleteAccountPublicAccessBlock",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "DeleteBucketPublicAccessBlock",
    "DeleteConfigurationRecorder",
    "DeleteDetector",
    "DeleteEventDataStore",
    "DeleteFlowLogs",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeleteLoginProfile",
    "DeletePublicAccessBlock",
    "DeleteResolverQueryLogConfig",
    "DeleteRole",
    "DeleteTrail",
    "DisableMacie",
    "DisassociateFromAdministratorAccount",
    "DisassociateFromMasterAccount",
    "DisassociateResolverQueryLogConfig",
    "EnableMFADevice",
    "LeaveOrganization",
    "ModifyDBClusterSnapshotAttribute",
    "ModifyDBSnapshotAttribute",
    "ModifyImageAttribute",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "ModifySnapshotAttribute",
    "ModifyVpcEndpoint",
    "PutAccessPointPolicy",
    "PutAccountPublicAccessBlock",
    "PutBucketAcl",
    "PutBucketLifecycle",
    "PutBucketLifecycleConfiguration",
    "PutBucketLogging",
    "PutBucketNotification",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketReplication",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutEventSelectors",
    "PutInsightSelectors",
    "PutMultiRegionAccessPointPolicy",
    "PutObjectAcl",
    "PutPublicAccessBlock",
    "PutRolePolicy",
    "PutUserPolicy",
    "RemoveTags",
    "StopConfigurationRecorder",
    "StopInstances",
    "StopLogging",
    "StopMonitoringMembers",
    "TerminateInstances",
    "UpdateAccessKey",
    "UpdateAssumeRolePolicy",
    "UpdateDetector",
    "UpdateLoginProfile",
    "UpdateTrail",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(super::NOTABLE.is_sorted());
    }
}
