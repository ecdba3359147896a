//! The incidents: one file per kind, one registry.
//!
//! Each draws from a stream of its own and writes to its own owner number, so that `--without ID` takes away exactly its
//! lines. All happen in the last three days; what comes before is for learning.

mod foreign_write;
mod instance_upload;
mod small;
mod stolen_key;

use super::events::Trail;
use super::flows::{Flow, Owner};
use super::rng::Rng;
use super::truth::Incident;
use super::world::World;

pub(super) use stolen_key::{FINDING_AT, PAGER_AT};

/// An incident that can be told.
pub(super) struct Story {
    /// As `--without` takes it.
    pub(super) id: &'static str,
    tell: fn(&World, &mut Stage) -> Incident,
}

/// Every story, in order of time. The place in this list is the owner number, less one: only append.
pub(super) const STORIES: [Story; 5] = [
    Story {
        id: "threat-host",
        tell: small::threat_host,
    },
    Story {
        id: "tor-guard",
        tell: small::tor_guard,
    },
    Story {
        id: "stolen-key",
        tell: stolen_key::tell,
    },
    Story {
        id: "foreign-write",
        tell: foreign_write::tell,
    },
    Story {
        id: "instance-upload",
        tell: instance_upload::tell,
    },
];

/// Where a story is played.
pub(super) struct Stage {
    pub(super) owner: Owner,
    pub(super) rng: Rng,
    pub(super) flows: Vec<Flow>,
    pub(super) trail: Trail,
}

impl Story {
    /// Plays the story: its records, its calls, and what is true of them.
    pub(super) fn play(&self, world: &World, owner: Owner) -> (Stage, Incident) {
        let rng = Rng::fork(world.seed, &format!("story {}", self.id));
        let trail = Trail::new(world, self.id, owner);
        let mut stage = Stage {
            owner,
            rng,
            flows: Vec::new(),
            trail,
        };
        let incident = Incident {
            id: self.id.to_owned(),
            ..(self.tell)(world, &mut stage)
        };
        (stage, incident)
    }
}

impl Stage {
    /// A port of the client's side.
    pub(super) fn port(&mut self) -> u16 {
        self.rng.range(32_768, 60_999) as u16
    }
}
