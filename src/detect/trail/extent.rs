//! What follows from cited rows: requests, bytes, distinct objects, buckets, addresses and times, each counted once.

use std::collections::{BTreeMap, BTreeSet};

use super::case::TrailCase;
use super::deed::Deed;
use crate::net::{Seconds, human_bytes};
use crate::trail::{Distinct, PrincipalIndex};

/// Sums over rows of the index.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    /// Requests.
    pub requests: u64,
    /// Bytes of objects that moved: read by callers, or written by them.
    pub bytes: u128,
    /// Distinct objects.
    pub objects: u64,
    /// Objects copied inside S3.
    pub copied: u64,
    /// First request.
    pub first: Seconds,
    /// Last request.
    pub last: Seconds,
    /// `sourceIPAddress` of the callers, by number, sorted.
    pub sources: BTreeSet<u32>,
    /// By bucket.
    pub buckets: BTreeMap<String, BucketSum>,
    /// Bytes and requests by (ARN, access key).
    pub principals: BTreeMap<(String, String), (u128, u64)>,
}

/// One bucket's part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSum {
    /// Distinct objects.
    pub objects: u64,
    /// Bytes of objects that moved.
    pub bytes: u128,
}

impl Extent {
    /// Adds up rows; none gives nothing.
    pub fn of<'r>(case: &TrailCase<'_>, rows: impl IntoIterator<Item = &'r u32>) -> Extent {
        let mut out = Extent {
            first: Seconds::MAX,
            ..Extent::default()
        };
        let mut objects: BTreeMap<u32, Distinct> = BTreeMap::new();
        let mut copied = Distinct::default();
        for n in rows {
            let Some(row) = case.index.rows.get(*n as usize) else {
                continue;
            };
            let deed = case.deed(*n);
            let bytes = moved(deed, row.bytes_in, row.bytes_out);
            out.requests += row.requests;
            out.bytes = out.bytes.saturating_add(bytes);
            out.first = out.first.min(row.first);
            out.last = out.last.max(row.last);
            out.sources.insert(row.source);
            let who = case.index.principal(row);
            let name = who.map(|p| (p.arn.clone(), p.access_key.clone())).unwrap_or_default();
            let share = out.principals.entry(name).or_default();
            *share = (share.0 + bytes, share.1 + row.requests);
            let bucket = if deed == Deed::Copy && row.copied_from != 0 {
                copied.merge(&row.objects);
                row.copied_from
            } else {
                row.bucket
            };
            if bucket != 0 {
                objects.entry(bucket).or_default().merge(&row.objects);
                out.bucket(case.index, bucket).bytes += bytes;
            }
        }
        for (bucket, seen) in objects {
            let count = seen.count().number;
            out.objects += count;
            out.bucket(case.index, bucket).objects = count;
        }
        out.copied = copied.count().number;
        out
    }

    fn bucket(&mut self, index: &PrincipalIndex, id: u32) -> &mut BucketSum {
        self.buckets.entry(index.text(id).to_owned()).or_default()
    }

    /// The buckets, most bytes first, for a sentence.
    pub fn bucket_names(&self) -> String {
        const SHOWN: usize = 3;
        let mut names: Vec<(&String, &BucketSum)> = self.buckets.iter().collect();
        names.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.bytes, sum.objects)));
        let mut text: Vec<&str> = names.iter().take(SHOWN).map(|(n, _)| n.as_str()).collect();
        let more = format!("{} more", names.len().saturating_sub(SHOWN));
        if names.len() > SHOWN {
            text.push(&more);
        }
        text.join(", ")
    }

    /// "4.70 GB", for a sentence.
    pub fn volume(&self) -> String {
        human_bytes(self.bytes)
    }
}

/// The bytes of objects that a call moved. Error messages and listings are not data.
fn moved(deed: Deed, bytes_in: u128, bytes_out: u128) -> u128 {
    match deed {
        Deed::Read => bytes_out,
        Deed::Write => bytes_in,
        _ => 0,
    }
}
