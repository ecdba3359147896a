//! The cells of the archive while they are being counted: what they are about, what they hold, what an event added.

use super::distinct::Distinct;
use super::index::{Access, EXAMPLES};
use crate::net::Seconds;

/// What one row is about; numbers are ids of [`Names`], 0 being "".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RowKey {
    pub(super) hour: Seconds,
    pub(super) principal: u32,
    pub(super) source: u32,
    pub(super) endpoint: u32,
    pub(super) endpoint_owner: u32,
    pub(super) bucket: u32,
    pub(super) owner: u32,
    pub(super) service: u32,
    pub(super) event: u32,
    pub(super) error: u32,
    pub(super) copied_from: u32,
    pub(super) region: u32,
    pub(super) recipient: u32,
    pub(super) access: Access,
}

/// The sums of one row.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) bytes_in: u128,
    pub(super) bytes_out: u128,
    pub(super) first: Seconds,
    pub(super) last: Seconds,
    pub(super) objects: Distinct,
    /// Keys of objects, the first in text order, sorted.
    pub(super) examples: Vec<Box<str>>,
    /// User agents: the first in text order.
    pub(super) agent: u32,
}

/// That an event was counted, what it added, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) time: Seconds,
    pub(super) row: u32,
}

impl RowKey {
    pub(super) fn renamed(self, name: impl Fn(u32) -> u32, principal: u32) -> Self {
        RowKey {
            hour: self.hour,
            principal,
            source: name(self.source),
            endpoint: name(self.endpoint),
            endpoint_owner: name(self.endpoint_owner),
            bucket: name(self.bucket),
            owner: name(self.owner),
            service: name(self.service),
            event: name(self.event),
            error: name(self.error),
            copied_from: name(self.copied_from),
            region: name(self.region),
            recipient: name(self.recipient),
            access: self.access,
        }
    }
}

impl RowKey {
    /// Who, and the names, in their order.
    pub(super) fn numbers(&self) -> [u32; 12] {
        [
            self.principal,
            self.source,
            self.endpoint,
            self.endpoint_owner,
            self.bucket,
            self.owner,
            self.service,
            self.event,
            self.error,
            self.copied_from,
            self.region,
            self.recipient,
        ]
    }

    /// What [`RowKey::numbers`] gave, and the rest.
    pub(super) fn of_numbers(hour: Seconds, n: [u32; 12], access: Access) -> Self {
        let [
            principal,
            source,
            endpoint,
            endpoint_owner,
            bucket,
            owner,
            service,
            event,
            ..,
        ] = n;
        let [.., error, copied_from, region, recipient] = n;
        RowKey {
            hour,
            principal,
            source,
            endpoint,
            endpoint_owner,
            bucket,
            owner,
            service,
            event,
            error,
            copied_from,
            region,
            recipient,
            access,
        }
    }

    /// By what rows are sorted.
    pub(super) fn parts(&self) -> (Seconds, [u32; 12], Access) {
        (self.hour, self.numbers(), self.access)
    }
}

impl Cell {
    pub(super) fn put_in(&mut self, mark: &Mark) {
        self.requests += 1;
        self.bytes_in += u128::from(mark.bytes_in);
        self.bytes_out += u128::from(mark.bytes_out);
    }

    /// Saturating, since marks may come from a file that does not tell the truth.
    pub(super) fn take_out(&mut self, mark: &Mark) {
        self.requests = self.requests.saturating_sub(1);
        self.bytes_in = self.bytes_in.saturating_sub(mark.bytes_in.into());
        self.bytes_out = self.bytes_out.saturating_sub(mark.bytes_out.into());
    }

    pub(super) fn add(&mut self, other: &Cell, agent: u32) {
        self.requests += other.requests;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.objects.merge(&other.objects);
        other.examples.iter().for_each(|key| self.exemplify(key));
        self.agent = agent;
    }

    pub(super) fn exemplify(&mut self, key: &str) {
        let place = self.examples.partition_point(|e| &**e < key);
        if place < EXAMPLES && self.examples.get(place).is_none_or(|e| &**e != key) {
            self.examples.insert(place, key.into());
            self.examples.truncate(EXAMPLES);
        }
    }
}
