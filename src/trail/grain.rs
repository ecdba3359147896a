//! How finely a trail is counted: a table by caller and address needs no hours and no buckets, and with them gone its
//! memory does not grow with the days read.

use super::filter::{Field, TrailFilter};
use super::summary::TrailKey;

/// What rows keep apart; the rest reads as absent. Caller and outcome are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailGrain {
    pub(super) hour: bool,
    pub(super) source: bool,
    pub(super) endpoint: bool,
    pub(super) bucket: bool,
    pub(super) owner: bool,
    pub(super) service: bool,
    pub(super) event: bool,
    pub(super) copied_from: bool,
    /// Everything that no table is grouped by: regions, accounts, kinds of access, user agents, example keys, events kept
    /// whole, and what they teach of the estate.
    pub(super) whole: bool,
}

impl Default for TrailGrain {
    fn default() -> Self {
        TrailGrain::ALL
    }
}

impl TrailGrain {
    /// All of it: what detectors need.
    pub const ALL: TrailGrain = TrailGrain {
        hour: true,
        source: true,
        endpoint: true,
        bucket: true,
        owner: true,
        service: true,
        event: true,
        copied_from: true,
        whole: true,
    };

    const LEAST: TrailGrain = TrailGrain {
        hour: false,
        source: false,
        endpoint: false,
        bucket: false,
        owner: false,
        service: false,
        event: false,
        copied_from: false,
        whole: false,
    };

    /// What a table by `keys` needs of what `filter` lets pass.
    pub fn of(keys: &[TrailKey], filter: &TrailFilter) -> Self {
        let asked = filter.terms.iter().map(|t| t.field);
        let fields = keys.iter().map(|k| Field::Key(*k)).chain(asked);
        fields.fold(TrailGrain::LEAST, TrailGrain::with)
    }

    /// The same, with services apart.
    #[must_use]
    pub fn by_service(self) -> Self {
        self.with(Field::Service)
    }

    fn with(mut self, field: Field) -> Self {
        match field {
            Field::Key(TrailKey::Ip) => self.source = true,
            Field::Key(TrailKey::Bucket) => self.bucket = true,
            Field::Key(TrailKey::Event) => self.event = true,
            Field::Key(TrailKey::Hour | TrailKey::Day) => self.hour = true,
            Field::Key(TrailKey::Owner) => self.owner = true,
            Field::Key(TrailKey::Endpoint) => self.endpoint = true,
            Field::Key(TrailKey::From) => self.copied_from = true,
            Field::Service => self.service = true,
            Field::Key(TrailKey::Principal | TrailKey::Key) | Field::Error | Field::Account => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PrincipalIndex, TrailArchive, read, summarise};
    use super::*;

    const LOG: &[u8] = include_bytes!("../../samples/first/cloudtrail.json");

    fn index(grain: TrailGrain) -> PrincipalIndex {
        let mut archive = TrailArchive::of_grain(grain);
        read(LOG, &mut |e| archive.observe(&e));
        archive.finish()
    }

    #[test]
    fn a_coarse_count_gives_the_same_tables() {
        let fine = index(TrailGrain::ALL);
        let filter = TrailFilter::parse("service=s3.amazonaws.com error=no").unwrap();
        for (key, name) in TrailKey::ALL {
            let coarse = index(TrailGrain::of(&[key], &filter));
            let of = |i: &PrincipalIndex| summarise(i, &[key], |row| filter.passes(i, row));
            assert_eq!(of(&coarse), of(&fine), "{name}");
            assert!(!of(&fine).is_empty());
        }
        let least = index(TrailGrain::of(&[], &filter));
        assert!(least.rows.iter().all(|r| (r.hour, r.source, r.bucket) == (0, 0, 0)));
    }
}
