//! Which events are kept whole, with their parameters: those that change who can see or reach data, or what is logged,
//! and those that show containment. One table; everything else lives on in sums only.

use super::event::TrailEvent;

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
    "DeleteDetector",
    "DeleteEventDataStore",
    "DeleteFlowLogs",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeletePublicAccessBlock",
    "DeleteResolverQueryLogConfig",
    "DeleteTrail",
    "DisassociateResolverQueryLogConfig",
    "EnableMFADevice",
    "LeaveOrganization",
    "ModifyDBClusterSnapshotAttribute",
    "ModifyDBSnapshotAttribute",
    "ModifyImageAttribute",
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
    "PutBucketWebsite",
    "PutEventSelectors",
    "PutInsightSelectors",
    "PutObjectAcl",
    "PutPublicAccessBlock",
    "PutRolePolicy",
    "PutUserPolicy",
    "RemoveTags",
    "StopLogging",
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
