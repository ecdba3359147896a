//! What really happened: the incidents with their bytes, summed from the records themselves.
//!
//! `truth.json` is for judging a scan, never an input of one. Bytes of flows are counted once, at the interface where
//! they began; bytes of the trail are what S3 logged for the incident's calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::flows::{Flow, Owner, Status};
use super::world::World;
use crate::net::{Addr, Seconds, rfc3339};

/// The whole of `truth.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Truth {
    /// `flowtrail.truth/1`.
    pub schema: &'static str,
    /// First second in which something may be found; before it is learning.
    pub detect_from: String,
    /// The incidents, by time.
    pub incidents: Vec<Incident>,
    /// Benign activity that looks like one.
    pub lookalikes: Vec<Lookalike>,
}

/// One incident.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Incident {
    /// As `--without` takes it.
    pub id: String,
    /// One sentence for people.
    pub title: String,
    /// Interface, where flows belong to it.
    pub eni: Option<String>,
    /// Its instance.
    pub instance: Option<String>,
    /// ARN of the session or user whose credentials were used.
    pub principal: Option<String>,
    /// Their access keys.
    pub access_keys: Vec<String>,
    /// Addresses that called the API.
    pub source_ips: Vec<Addr>,
    /// Far ends of the flows, by address.
    pub peers: Vec<PeerTruth>,
    /// Buckets, by name.
    pub buckets: Vec<BucketTruth>,
    /// Object-level calls of the trail, listings left out.
    pub requests: u64,
    /// Distinct objects among them.
    pub objects: u64,
    /// Bytes that left the interface.
    pub flow_bytes: u64,
    /// Bytes that S3 logged as sent to the caller.
    pub trail_bytes_out: u64,
    /// Bytes that S3 logged as received from the caller.
    pub trail_bytes_in: u64,
    /// First second, RFC 3339.
    pub start: String,
    /// Last second, RFC 3339.
    pub end: String,
    /// Rules that should fire.
    pub rules: Vec<&'static str>,
}

/// A far end of an incident's flows.
#[derive(Debug, Clone, Serialize)]
pub struct PeerTruth {
    /// Its address.
    pub ip: Addr,
    /// Bytes sent to it by the incident's interface.
    pub bytes_out: u64,
    /// Bytes received from it.
    pub bytes_in: u64,
    /// Records at that interface.
    pub records: u64,
}

/// A bucket of an incident's calls.
#[derive(Debug, Clone, Serialize)]
pub struct BucketTruth {
    /// Its name.
    pub name: String,
    /// Owner.
    pub account: String,
    /// Object-level calls; 0 where the calls are not in the account's trail.
    pub requests: u64,
    /// Distinct objects.
    pub objects: u64,
    /// Bytes that S3 logged, both ways.
    pub bytes: u64,
}

/// Benign activity that a detector may stumble over.
#[derive(Debug, Clone, Serialize)]
pub struct Lookalike {
    /// Short name.
    pub id: &'static str,
    /// What it is and why it is harmless.
    pub title: &'static str,
    /// Interfaces.
    pub enis: Vec<String>,
}

/// Counts an incident's S3 calls while they are made.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, (String, u64, BTreeSet<String>, u64)>);

impl Calls {
    /// Counts one object-level call.
    pub(super) fn add(&mut self, bucket: &super::world::Bucket, key: &str, bytes: u64) {
        let entry = self.0.entry(bucket.name.clone()).or_default();
        entry.0 = bucket.account.to_owned();
        entry.1 += 1;
        entry.2.insert(key.to_owned());
        entry.3 += bytes;
    }

    /// Writes what was counted into the incident.
    pub(super) fn settle(&self, incident: &mut Incident) {
        for (name, (account, requests, keys, bytes)) in &self.0 {
            let objects = keys.len() as u64;
            incident.requests += requests;
            incident.objects += objects;
            incident.buckets.push(BucketTruth {
                name: name.clone(),
                account: account.clone(),
                requests: *requests,
                objects,
                bytes: *bytes,
            });
        }
    }
}

impl Incident {
    /// Names the interface.
    pub(super) fn on_host(&mut self, world: &World, host: usize) {
        self.eni = Some(world.hosts[host].eni.clone());
        self.instance = world.hosts[host].instance.clone();
    }

    /// Sums the incident's records at its interface.
    pub(super) fn count_flows(&mut self, flows: &[Flow], owner: Owner, host: usize) {
        let mut peers: BTreeMap<Addr, PeerTruth> = BTreeMap::new();
        for f in flows
            .iter()
            .filter(|f| f.owner == owner && f.host == host && f.status == Status::Accept)
        {
            let ip = if f.egress { f.pkt_dst } else { f.pkt_src };
            let peer = peers.entry(ip).or_insert(PeerTruth {
                ip,
                bytes_out: 0,
                bytes_in: 0,
                records: 0,
            });
            *(if f.egress {
                &mut peer.bytes_out
            } else {
                &mut peer.bytes_in
            }) += f.bytes;
            peer.records += 1;
        }
        self.peers = peers.into_values().collect();
        self.flow_bytes = self.peers.iter().map(|p| p.bytes_out).sum();
    }

    /// Sets the span.
    pub(super) fn lasts(&mut self, from: Seconds, to: Seconds) {
        (self.start, self.end) = (rfc3339(from), rfc3339(to));
    }
}
