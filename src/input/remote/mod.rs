//! s3:// inputs: objects are listed, pruned by the dates in their keys, and read into memory like files.
//!
//! In: a URL and how to reach it. Out: sources whose bytes are fetched when a worker opens them. Only List and Get are
//! asked for; nothing is written anywhere, and no credential reaches a message. Without the feature `s3` such an argument
//! is refused with a word that says so.

mod again;
#[cfg(feature = "s3")]
mod bucket;
#[cfg(feature = "s3")]
mod fault;
#[cfg(feature = "s3")]
mod keys;
#[cfg(feature = "s3")]
mod listing;
#[cfg(feature = "s3")]
mod object;
#[cfg(feature = "s3")]
mod pieces;
#[cfg(feature = "s3")]
mod profile;
#[cfg(feature = "s3")]
mod walk;

pub use again::Again;
#[cfg(feature = "s3")]
pub(in crate::input) use object::Buckets;
#[cfg(feature = "s3")]
pub use object::Object;
#[cfg(feature = "s3")]
pub use pieces::Pieces;

/// How S3 is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteOptions {
    /// A profile of the AWS CLI, which is asked for its credentials (`aws configure export-credentials`).
    pub profile: Option<String>,
    /// Another endpoint than AWS's; plain http only to this machine.
    pub endpoint: Option<String>,
    /// The bucket's region; without it the environment's, else the one that S3 names.
    pub region: Option<String>,
}

/// The scheme of an argument that names objects.
pub const SCHEME: &[u8] = b"s3://";

/// A build that reads no objects has none.
#[cfg(not(feature = "s3"))]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {}

#[cfg(not(feature = "s3"))]
impl Object {
    /// Says of nothing that it is expected.
    pub fn expect(_: impl Iterator<Item = (Object, bool)>) {}

    /// What tells the content of nothing.
    pub fn mark(&self) -> &str {
        match *self {}
    }

    /// The bytes of nothing.
    pub fn size(&self) -> u64 {
        match *self {}
    }

    pub(in crate::input) fn again(_: &Buckets, _: u64, _: &[u8], _: u64, _: &str) -> Option<Object> {
        None
    }
}

/// A build that reads no objects has no pieces of them.
#[cfg(not(feature = "s3"))]
#[derive(Debug, Clone)]
pub enum Pieces {}

#[cfg(not(feature = "s3"))]
impl Pieces {
    /// The length of nothing.
    pub fn size(&self) -> u64 {
        match *self {}
    }

    /// The end of nothing.
    pub fn tail(&self) -> bytes::Bytes {
        match *self {}
    }

    /// Nothing is fetched.
    ///
    /// # Errors
    /// Never.
    pub fn fetch(&self, _: &[std::ops::Range<u64>]) -> crate::error::Result<Vec<bytes::Bytes>> {
        match *self {}
    }
}

/// The buckets of no object.
#[cfg(not(feature = "s3"))]
#[derive(Clone, Default)]
pub(in crate::input) struct Buckets;

#[cfg(not(feature = "s3"))]
impl Buckets {
    pub(in crate::input) fn is_empty(&self) -> bool {
        true
    }

    pub(in crate::input) fn number(&mut self, object: &Object) -> u64 {
        match *object {}
    }
}

/// Lists what a URL names.
#[cfg(feature = "s3")]
pub(super) fn discover(
    url: &str,
    options: &RemoteOptions,
    wanted: &walk::Wanted<'_>,
) -> crate::error::Result<walk::Listed> {
    let (name, prefix) = split(url)?;
    let bucket = bucket::Bucket::open(name, options)?;
    Ok(walk::walk(&bucket, prefix, wanted))
}

#[cfg(feature = "s3")]
pub(super) use walk::Wanted;

/// Bucket and prefix of `s3://bucket/prefix`.
#[cfg(feature = "s3")]
fn split(url: &str) -> crate::error::Result<(&str, &str)> {
    let rest = url.strip_prefix("s3://").unwrap_or(url);
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if bucket.len() >= 3 && bucket.bytes().all(good) {
        return Ok((bucket, prefix));
    }
    let text = format!(
        "`{}` names no bucket; write s3://bucket/prefix",
        crate::net::printable(url.as_bytes())
    );
    Err(crate::error::Error::usage(text))
}
