//! gen: what does an account with known incidents look like?
//!
//! [`generate`] writes a synthetic AWS account: weeks of VPC Flow Logs and CloudTrail in AWS's own layout, an inventory,
//! lists, other tools' findings, and `truth.json`. Same options, same bytes, for ever: no clock, no threads, a generator
//! of chance of its own. It serves for trying the tool out, for the checked-in `samples/`, and for tests. All identifiers
//! are invented; account numbers are AWS's documentation examples.

mod alerts;
mod archive;
mod background;
mod events;
mod flows;
mod habits;
mod inventory;
mod lines;
mod people;
mod readme;
mod rng;
mod stories;
mod truth;
mod world;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

pub use truth::{BucketTruth, Incident, Lookalike, PeerTruth, Truth};

use crate::error::{Error, Result};
use crate::net::{Seconds, rfc3339};
use archive::Archive;
use events::{Event, Trail};
use flows::{Flow, Owner, Status};
use stories::STORIES;
use world::{Role, World};

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Every seed is another account.
    pub seed: u64,
    /// Length of the archive in days, at least 4: the last three have the incidents, those before are for learning.
    pub days: u32,
    /// Midnight UTC of the first day, in seconds since the epoch.
    pub start: Seconds,
    /// Fields of the flow log.
    pub format: Format,
    /// How many interfaces and records.
    pub scale: Scale,
    /// Plain text instead of gzip.
    pub plain: bool,
    /// Incidents to leave out, by id.
    pub without: Vec<String>,
}

/// Fields of the flow log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AWS's default format of 14 fields.
    #[default]
    V2,
    /// All fields of versions 2 to 5.
    V5,
}

/// How large the account is. Volumes, incidents and identifiers are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// About 17 interfaces, few records: the checked-in sample.
    Small,
    /// About 30 interfaces.
    #[default]
    Full,
}

/// What was generated.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// `flowtrail.gen/1`.
    pub schema: &'static str,
    /// [`Options::seed`].
    pub seed: u64,
    /// [`Options::days`].
    pub days: u32,
    /// First second, RFC 3339.
    pub start: String,
    /// [`Options::format`].
    pub format: Format,
    /// [`Options::scale`].
    pub scale: Scale,
    /// Ids of the incidents that are in it.
    pub incidents: Vec<String>,
    /// Network interfaces.
    pub interfaces: usize,
    /// Counts of files and lines.
    pub counts: Counts,
}

/// Counts of what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Flow log files.
    pub flow_files: u64,
    /// Records with log-status OK.
    pub ok: u64,
    /// Of these, rejected connections.
    pub reject: u64,
    /// NODATA records.
    pub nodata: u64,
    /// SKIPDATA records.
    pub skipdata: u64,
    /// Sum of `bytes` over accepted records, all interfaces and both directions.
    pub accept_bytes: u64,
    /// CloudTrail files.
    pub trail_files: u64,
    /// CloudTrail records.
    pub trail_records: u64,
}

/// Writes the account into `out`, a folder that is new or empty.
///
/// # Errors
/// Options that make no sense (an unknown incident, fewer than four days, a start that is not midnight), a folder that
/// is not empty, or a file that cannot be written.
pub fn generate(options: &Options, out: &Path) -> Result<Manifest> {
    options.check()?;
    let archive = Archive::new(out, options.plain)?;
    let world = World::new(options);
    let made = make(options, &world);
    let mut manifest = manifest(options, &world, &made.truth);
    archive.flows(&world, options, &made.flows, &mut manifest.counts)?;
    archive.events(&world, &made.events, &mut manifest.counts)?;
    extras(&archive, &world, &manifest)?;
    archive.text("truth.json", &pretty(&made.truth))?;
    archive.text("manifest.json", &pretty(&manifest))?;
    archive.text("README.md", &readme::page(options, &manifest, &made.truth))?;
    Ok(manifest)
}

/// Ids of the incidents that `Options::without` takes.
pub fn incident_ids() -> impl Iterator<Item = &'static str> {
    STORIES.iter().map(|s| s.id)
}

impl Default for Options {
    /// 17 days from Monday 2026-03-02, the whole account, default format, gzip, all incidents.
    fn default() -> Self {
        let (format, scale) = (Format::default(), Scale::default());
        Options {
            seed: 1,
            days: 17,
            start: 1_772_409_600,
            format,
            scale,
            plain: false,
            without: Vec::new(),
        }
    }
}

impl Options {
    /// The command line that says the same, for the README.
    pub fn command(&self, out: &str) -> String {
        let Options { seed, days, .. } = self;
        let mut text = format!("gen {out} --seed {seed} --days {days}");
        text += &format!(" --start {}", rfc3339(self.start).get(..10).unwrap_or_default());
        text += if self.format == Format::V5 {
            " --format v5"
        } else {
            " --format v2"
        };
        text += if self.scale == Scale::Small {
            " --scale small"
        } else {
            ""
        };
        text += if self.plain { " --plain" } else { "" };
        self.without
            .iter()
            .fold(text, |text, id| format!("{text} --without {id}"))
    }

    fn check(&self) -> Result<()> {
        let known: Vec<&str> = incident_ids().collect();
        if let Some(id) = self.without.iter().find(|id| !known.contains(&id.as_str())) {
            return Err(Error::usage(format!(
                "no incident is called `{id}`: they are {}",
                known.join(", ")
            )));
        }
        if !(4..=3_650).contains(&self.days) {
            return Err(Error::usage(
                "give from 4 to 3650 days: the last three have the incidents",
            ));
        }
        if !self.start.is_multiple_of(86_400) || self.start > 253_000_000_000 {
            return Err(Error::usage("the start must be a midnight, UTC"));
        }
        Ok(())
    }
}

impl Counts {
    fn flow(&mut self, flow: &Flow) {
        match flow.status {
            Status::Accept => {
                self.ok += 1;
                self.accept_bytes += flow.bytes;
            }
            Status::Reject => {
                self.ok += 1;
                self.reject += 1;
            }
            Status::NoData => self.nodata += 1,
            Status::SkipData => self.skipdata += 1,
        }
    }
}

/// Everything before it is written, sorted.
struct Made {
    flows: Vec<Flow>,
    events: Vec<Event>,
    truth: Truth,
}

fn make(options: &Options, world: &World) -> Made {
    let mut flows = Vec::new();
    let mut trail = Trail::new(world, "background", 0);
    background::fill(world, &mut flows, &mut trail);
    people::fill(world, &mut trail);
    let mut events = trail.events;
    let mut incidents = Vec::new();
    for (owner, story) in (1 as Owner..).zip(&STORIES) {
        if !options.without.iter().any(|id| id == story.id) {
            let (stage, incident) = story.play(world, owner);
            flows.extend(stage.flows);
            events.extend(stage.trail.events);
            incidents.push(incident);
        }
    }
    flows.sort_unstable();
    events.sort_unstable();
    Made {
        flows,
        events,
        truth: truth(world, incidents),
    }
}

fn truth(world: &World, incidents: Vec<Incident>) -> Truth {
    let enis = |role| {
        world
            .role(role)
            .into_iter()
            .map(|i| world.hosts[i].eni.clone())
            .collect()
    };
    let alike = |id, role, title| Lookalike {
        id,
        title,
        enis: enis(role),
    };
    let lookalikes = vec![
        alike(
            "nightly-backup",
            Role::Batch,
            "every night at 01:00 and 02:00 the batch hosts write 2.8 GB each to an own bucket",
        ),
        alike(
            "deployment",
            Role::App,
            "on Mondays and Thursdays at 14:00 all application servers fetch a release",
        ),
        alike(
            "partner-export",
            Role::Report,
            "on Tuesdays at 06:00 1.6 GB go to a partner, announced in intel/allow.toml; the first time, after one day \
             of history, it may stand out",
        ),
        alike(
            "visitors",
            Role::Alb,
            "the load balancer answers visitors from everywhere, some of them through Tor exits",
        ),
        alike(
            "webhooks",
            Role::App,
            "customers' addresses that are hardly ever seen twice",
        ),
    ];
    Truth {
        schema: "flowtrail.truth/1",
        detect_from: rfc3339(world.at(0, 0, 0)),
        incidents,
        lookalikes,
    }
}

fn manifest(options: &Options, world: &World, truth: &Truth) -> Manifest {
    Manifest {
        schema: "flowtrail.gen/1",
        seed: options.seed,
        days: options.days,
        start: rfc3339(options.start),
        format: options.format,
        scale: options.scale,
        incidents: truth.incidents.iter().map(|i| i.id.clone()).collect(),
        interfaces: world.hosts.len(),
        counts: Counts::default(),
    }
}

/// Inventory, lists and other tools' findings.
fn extras(archive: &Archive<'_>, world: &World, manifest: &Manifest) -> Result<()> {
    archive.text(
        "inventory/describe-network-interfaces.json",
        &pretty(&inventory::interfaces(world)),
    )?;
    archive.text(
        "inventory/describe-vpc-endpoints.json",
        &pretty(&inventory::endpoints(world)),
    )?;
    archive.text(
        "inventory/describe-nat-gateways.json",
        &pretty(&inventory::nat_gateways(world)),
    )?;
    archive.text(
        "inventory/get-event-selectors.json",
        &pretty(&inventory::event_selectors(world)),
    )?;
    archive.text("intel/torbulkexitlist", &alerts::tor_exits())?;
    archive.text("intel/threat-list.txt", &alerts::threats())?;
    archive.text("intel/allow.toml", &alerts::allowed(world))?;
    archive.text(
        "alerts/guardduty-findings.json",
        &pretty(&alerts::guardduty(world, &manifest.incidents)),
    )?;
    archive.text("alerts/macie-findings.json", &pretty(&alerts::macie(world)))?;
    archive.text("alerts/timeline.txt", &alerts::timeline(world))
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value)
        .map(|s| s + "\n")
        .unwrap_or_default()
}
