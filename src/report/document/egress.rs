//! Egress read back from a result: by hour, by place, by channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::incident::Place;
use super::value::{Amount, When};

/// Start, bytes, usual, high.
pub type Hour = (When, Amount, Amount, Amount);

/// Egress by hour.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Series {
    /// The interface, or
    pub eni: Option<String>,
    /// the principal.
    pub principal: Option<String>,
    /// Where to.
    pub channel: String,
    /// Start, bytes, usual, high.
    pub hours: Vec<Hour>,
}

/// Where egress went.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Places {
    /// By address.
    pub destinations: Listed<Place>,
    /// By country.
    pub countries: Listed<Named>,
    /// By autonomous system.
    pub operators: Listed<Named>,
    /// Names of autonomous systems, by number.
    pub as_names: BTreeMap<String, String>,
}

/// The largest of something.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Listed<T> {
    /// How many there are.
    pub all: u64,
    /// The largest.
    pub listed: Vec<T>,
    /// Bytes of the others.
    pub more_bytes: Amount,
}

/// A name with bytes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// Name.
    pub name: String,
    /// Bytes.
    pub bytes: Amount,
}

/// Egress by channel; what no log shows is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// To external destinations.
    pub internet: Amount,
    /// Answers to visitors.
    pub served: Amount,
    /// To S3, in all.
    pub s3: Amount,
    /// To own buckets.
    pub own_s3: Amount,
    /// To buckets of others.
    pub foreign_s3: Amount,
    /// To S3, and no event tells where.
    pub s3_unaccounted: Amount,
    /// Read from outside of the network.
    pub out_of_vpc_api_reads: Amount,
    /// Copies inside S3.
    pub server_side_copy: Copies,
    /// Seen once more where it only passed.
    pub passed_on: Amount,
    /// Left through a gateway, and nobody knows from whom.
    pub residual: Amount,
    /// Share whose origin is decided.
    pub resolved_share: f64,
}

/// Copies inside S3: an object, or the words `not observable`.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    /// Objects copied to others, if the trail shows it.
    pub objects: Option<u64>,
}

impl<'de> Deserialize<'de> for Copies {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        Ok(Copies {
            objects: value.get("objects").and_then(Value::as_u64),
        })
    }
}
