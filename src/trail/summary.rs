//! The index grouped by anything: the table behind `flowtrail trail --by principal,ip,bucket,event,hour,day`.
//!
//! Rows come by bytes to callers, then by requests, descending, then by their keys as text: the top downloaders first.
//! Failed requests count as errors and never as downloads; their bytes stay apart.

use std::collections::BTreeMap;

use super::distinct::{Count, Distinct};
use super::index::{PrincipalIndex, TrailRow};
use crate::net::{HOUR, Seconds, rfc3339};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrailKey {
    /// The caller, by ARN.
    Principal,
    /// `sourceIPAddress`, as written.
    Ip,
    /// Bucket.
    Bucket,
    /// `eventName`.
    Event,
    /// Hour, as RFC 3339.
    Hour,
    /// Day, as RFC 3339.
    Day,
    /// Access key id.
    Key,
    /// Account that owns the bucket.
    Owner,
    /// VPC endpoint.
    Endpoint,
    /// Bucket that a server-side copy read from.
    From,
}

impl TrailKey {
    /// All keys with their names in options and output.
    pub const ALL: [(TrailKey, &'static str); 10] = [
        (TrailKey::Principal, "principal"),
        (TrailKey::Ip, "ip"),
        (TrailKey::Bucket, "bucket"),
        (TrailKey::Event, "event"),
        (TrailKey::Hour, "hour"),
        (TrailKey::Day, "day"),
        (TrailKey::Key, "key"),
        (TrailKey::Owner, "owner"),
        (TrailKey::Endpoint, "endpoint"),
        (TrailKey::From, "from"),
    ];

    /// Its name in options and output.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(key, _)| *key == self)
            .map_or("", |(_, name)| name)
    }

    /// The key of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, n)| *n == name).map(|(key, _)| key)
    }

    pub(super) fn of(self, index: &PrincipalIndex, row: &TrailRow) -> String {
        let who = |f: fn(&super::index::Principal) -> &str| index.principal(row).map_or("", f).to_owned();
        match self {
            TrailKey::Principal => who(|p| &p.arn),
            TrailKey::Key => who(|p| &p.access_key),
            TrailKey::Ip => index.text(row.source).to_owned(),
            TrailKey::Bucket => index.text(row.bucket).to_owned(),
            TrailKey::Event => index.text(row.event).to_owned(),
            TrailKey::Owner => index.text(row.owner).to_owned(),
            TrailKey::Endpoint => index.text(row.endpoint).to_owned(),
            TrailKey::From => index.text(row.copied_from).to_owned(),
            TrailKey::Hour => rfc3339(row.hour),
            TrailKey::Day => rfc3339(row.hour - row.hour % (24 * HOUR)),
        }
    }
}

/// The values of the keys asked for, in their order; a value that is absent is empty.
pub type Keys = Vec<String>;

/// One line of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The keys.
    pub keys: Keys,
    /// Requests, failed ones included.
    pub requests: u64,
    /// Failed requests.
    pub errors: u64,
    /// Bytes that callers sent, in requests that succeeded.
    pub bytes_in: u128,
    /// Bytes that callers received, in requests that succeeded.
    pub bytes_out: u128,
    /// Bytes that callers sent in failed requests.
    pub failed_in: u128,
    /// Bytes that callers received in failed requests: error messages.
    pub failed_out: u128,
    /// Distinct objects of requests that succeeded.
    pub objects: Count,
    /// First request.
    pub first_seen: Seconds,
    /// Last request.
    pub last_seen: Seconds,
}

/// Groups the rows that `wanted` lets pass. No keys at all gives one line, the total.
pub fn summarise(index: &PrincipalIndex, by: &[TrailKey], wanted: impl Fn(&TrailRow) -> bool) -> Vec<Summary> {
    let mut groups: BTreeMap<Keys, (Summary, Distinct)> = BTreeMap::new();
    for row in index.rows.iter().filter(|r| wanted(r)) {
        let keys: Keys = by.iter().map(|k| k.of(index, row)).collect();
        let fresh = || {
            (
                Summary {
                    first_seen: Seconds::MAX,
                    ..Summary::default()
                },
                Distinct::default(),
            )
        };
        let (sums, objects) = groups.entry(keys).or_insert_with(fresh);
        sums.add(row);
        if row.error == 0 {
            objects.merge(&row.objects);
        }
    }
    let finish = |(keys, (sums, objects)): (Keys, (Summary, Distinct))| Summary {
        keys,
        objects: objects.count(),
        ..sums
    };
    let mut out: Vec<Summary> = groups.into_iter().map(finish).collect();
    // stable: lines of equal size stay in the order of their keys
    out.sort_by_key(|s| std::cmp::Reverse((s.bytes_out, s.requests)));
    out
}

impl Summary {
    fn add(&mut self, row: &TrailRow) {
        self.requests += row.requests;
        if row.error == 0 {
            self.bytes_in += row.bytes_in;
            self.bytes_out += row.bytes_out;
        } else {
            self.errors += row.requests;
            self.failed_in += row.bytes_in;
            self.failed_out += row.bytes_out;
        }
        self.first_seen = self.first_seen.min(row.first);
        self.last_seen = self.last_seen.max(row.last);
    }
}
