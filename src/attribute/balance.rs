//! One balance of two logs: flow bytes to and from S3 on one side, payload and requests that S3 counted on the other.
//!
//! Payload explains an *interval* of flow bytes, never a number: headers and TLS, acknowledgements of what went the other
//! way, and what a request costs whatever it carries. The bounds are field arithmetic (40-52 bytes of headers in a packet
//! of at most 1,500; one acknowledgement for one or two packets), not measurements of one estate.

use crate::trail::TrailRow;

/// Wire bytes for a hundred bytes of payload.
const WIRE: (u128, u128) = (102, 110);
/// Acknowledgements for a thousand bytes that came the other way.
const ACKNOWLEDGED: (u128, u128) = (2, 20);
/// Bytes for a request or its answer, beside the payload.
const REQUEST: (u128, u128) = (300, 4_000);

/// One interface and stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Flow bytes to S3.
    pub sent: u128,
    /// Flow bytes from S3.
    pub received: u128,
    /// What S3 counted for the interface's callers.
    pub events: Payload,
    /// Rows of the table behind `sent`.
    pub cells: Vec<u32>,
}

/// What S3 counted, failed requests included: they carry bytes too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Payload {
    /// Bytes that callers sent.
    pub uploaded: u128,
    /// Bytes that callers received.
    pub downloaded: u128,
    /// Requests.
    pub requests: u64,
}

/// The least and the most flow bytes that events explain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// With fewer, flow records are missing.
    pub low: u128,
    /// What lies above has no event.
    pub high: u128,
}

/// Which way the flow bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To S3.
    Sent,
    /// From S3.
    Received,
}

impl Payload {
    /// Adds a row of the trail.
    pub(super) fn count(&mut self, row: &TrailRow) {
        self.add(Payload {
            uploaded: row.bytes_in,
            downloaded: row.bytes_out,
            requests: row.requests,
        });
    }

    /// Adds another sum.
    pub(super) fn add(&mut self, other: Payload) {
        self.uploaded = self.uploaded.saturating_add(other.uploaded);
        self.downloaded = self.downloaded.saturating_add(other.downloaded);
        self.requests = self.requests.saturating_add(other.requests);
    }

    /// What it explains of the bytes that went `way`, `back` having come the other way.
    pub(super) fn explains(&self, way: Way, back: u128) -> Bounds {
        let (payload, answered) = match way {
            Way::Sent => (self.uploaded, self.downloaded),
            Way::Received => (self.downloaded, self.uploaded),
        };
        let bound = |wire: u128, answered: u128, acknowledged: u128, request: u128| {
            let part = |bytes: u128, share: u128, of: u128| bytes.saturating_mul(share) / of;
            part(payload, wire, 100)
                .saturating_add(part(answered, acknowledged, 1_000))
                .saturating_add(request.saturating_mul(self.requests.into()))
        };
        Bounds {
            low: bound(WIRE.0, answered, ACKNOWLEDGED.0, REQUEST.0),
            high: bound(WIRE.1, answered.max(back), ACKNOWLEDGED.1, REQUEST.1),
        }
    }
}

impl Balance {
    /// Flow bytes that went `way`.
    pub fn flow(&self, way: Way) -> u128 {
        match way {
            Way::Sent => self.sent,
            Way::Received => self.received,
        }
    }

    /// What the events explain of them. Acknowledgements need no event: what came the other way is in the flow log.
    pub fn bounds(&self, way: Way) -> Bounds {
        let back = match way {
            Way::Sent => self.received,
            Way::Received => self.sent,
        };
        self.events.explains(way, back)
    }

    /// Bytes above what is explained.
    pub(super) fn excess(&self, way: Way) -> u128 {
        self.flow(way).saturating_sub(self.bounds(way).high)
    }

    /// Room for bytes that were logged in the hour beside: only where fewer flowed than the events must have cost.
    pub(super) fn spare(&self, way: Way) -> u128 {
        let (flow, bounds) = (self.flow(way), self.bounds(way));
        if flow < bounds.low { bounds.high - flow } else { 0 }
    }

    pub(super) fn add(&mut self, other: &Balance) {
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.events.add(other.events);
        self.cells.extend_from_slice(&other.cells);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_explains_an_interval() {
        let balance = |sent, uploaded, received| Balance {
            sent,
            received,
            events: Payload {
                uploaded,
                downloaded: 0,
                requests: 10,
            },
            ..Balance::default()
        };
        // a backup with 5 % of headers
        let backup = balance(1_050_000_000, 1_000_000_000, 0);
        assert_eq!(
            backup.bounds(Way::Sent),
            Bounds {
                low: 1_020_003_000,
                high: 1_100_040_000
            }
        );
        assert_eq!((backup.excess(Way::Sent), backup.spare(Way::Sent)), (0, 0));
        // acknowledgements of a download that has no event
        assert_eq!(balance(10_000_000, 0, 1_000_000_000).excess(Way::Sent), 0);
        // an upload without events, and events without flows
        assert_eq!(balance(900_000_000, 0, 0).excess(Way::Sent), 900_000_000 - 40_000);
        assert_eq!(balance(0, 1_000_000, 0).spare(Way::Sent), 1_140_000);
    }

    #[test]
    fn what_came_from_s3_is_explained_likewise() {
        let restore = Balance {
            received: 1_050_000_000,
            events: Payload {
                uploaded: 0,
                downloaded: 1_000_000_000,
                requests: 1,
            },
            ..Balance::default()
        };
        assert_eq!(restore.excess(Way::Received), 0);
        assert_eq!(
            Balance {
                received: 2_000_000_000,
                ..restore
            }
            .excess(Way::Received),
            899_996_000
        );
    }
}
