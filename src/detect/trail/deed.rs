//! What a call did to data: one table of S3's event names.
//!
//! AWS: AmazonS3/latest/userguide/cloudtrail-logging-s3-info. `ReplicateObject` is no API call of that page; it is accepted
//! because it is found in the wild.

/// What a call did to data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Objects were read.
    Read,
    /// Objects were written.
    Write,
    /// Objects were copied inside S3: no byte of it in any flow log, nor in the event.
    Copy,
    /// Objects were deleted.
    Delete,
    /// Somebody looked around: listings, configuration, existence.
    Discover,
    /// Something else.
    #[default]
    Other,
}

/// The deed of an event.
pub fn deed(service: &str, event: &str) -> Deed {
    let s3 = matches!(
        service,
        "s3.amazonaws.com" | "s3express.amazonaws.com" | "s3-object-lambda.amazonaws.com"
    );
    match event {
        _ if !s3 => Deed::Other,
        "GetObject" | "SelectObjectContent" | "GetObjectTorrent" => Deed::Read,
        "PutObject" | "UploadPart" | "PostObject" => Deed::Write,
        "CopyObject" | "UploadPartCopy" | "ReplicateObject" => Deed::Copy,
        "DeleteObject" | "DeleteObjects" | "DeleteObjectVersion" | "DeleteBucket" => Deed::Delete,
        _ if [
            "List",
            "Head",
            "GetBucket",
            "GetObject",
            "GetPublicAccess",
            "GetAccountPublicAccess",
        ]
        .iter()
        .any(|start| event.starts_with(start)) =>
        {
            Deed::Discover
        }
        _ => Deed::Other,
    }
}
