//! Calls of S3 and the permissions that they need: a policy speaks of these, the trail of those.
//!
//! Source: "Actions, resources, and condition keys for Amazon S3" in the service authorization reference. A call that is not
//! listed needs the permission of its own name.

/// The permission that a call needs, and whether it is on objects.
pub(super) fn action(event: &str) -> (String, bool) {
    let (name, on_objects) = match event {
        "GetObject" | "HeadObject" | "SelectObjectContent" | "GetObjectTorrent" => ("GetObject", true),
        "PutObject"
        | "PostObject"
        | "CopyObject"
        | "UploadPart"
        | "UploadPartCopy"
        | "CreateMultipartUpload"
        | "CompleteMultipartUpload" => ("PutObject", true),
        "DeleteObject" | "DeleteObjects" => ("DeleteObject", true),
        "ReplicateObject" => ("ReplicateObject", true),
        "ListParts" => ("ListMultipartUploadParts", true),
        "AbortMultipartUpload"
        | "RestoreObject"
        | "GetObjectAcl"
        | "PutObjectAcl"
        | "GetObjectTagging"
        | "PutObjectTagging" => (event, true),
        "ListObjects" | "ListObjectsV2" | "HeadBucket" => ("ListBucket", false),
        "ListObjectVersions" | "ListBucketObjectVersions" => ("ListBucketVersions", false),
        "GetBucketEncryption" => ("GetEncryptionConfiguration", false),
        other => (other, false),
    };
    (format!("s3:{name}"), on_objects)
}
