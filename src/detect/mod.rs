//! detect: which of what left is worth a person's time, and why?
//!
//! Detectors read one day beside the profiles of the days before it and give signals; the alert budget and what else fired
//! decide which become findings; then the day is learned. A new detector is one file, its `mod` line and its line in
//! [`DETECTORS`]. None of them sees options, files, clocks or threads.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::aggregate::{EgressTable, Interface, Row};
use crate::attribute::Reconciliation;
use crate::baseline::{Baseline, Day, DayView, Fresh, InterfaceHistory, Learning, Places, Profiles, day_of};
use mark::Mark;
use rayon::prelude::*;

pub mod beacon;
mod budget;
mod cells;
mod edges;
mod explained;
pub mod coverage_gap;
pub mod fan_out;
pub mod finding;
mod floor;
pub mod joint;
mod listed;
mod mark;
pub mod log_tampering;
pub mod new_country;
pub mod new_destination;
pub mod protocol_tunnel;
pub mod relay;
pub mod s3_bulk_download;
pub mod s3_cross_account_copy;
pub mod s3_enumeration;
pub mod s3_exposure_change;
pub mod s3_foreign_write;
pub mod s3_malicious_caller;
pub mod s3_mass_delete;
pub mod s3_presigned;
pub mod s3_tor_caller;
pub mod s3_unusual_caller;
mod signal;
pub mod slow_drip;
pub mod stolen_instance_credentials;
pub mod threat_ip;
pub mod tor_egress;
pub mod trail;
pub mod unaccounted_s3;
pub mod unusual_port;
pub mod volume_spike;

pub use budget::Budget;
pub use cells::{Sums, citable, evidence_of};
pub use finding::{
    ATTACK_VERSION, Attack, BucketClaim, Confidence, CoverageClaim, Destination, Evidence, Expectation, Finding, Part,
    PrincipalClaim, SCHEMA, Severity, Technique,
};
pub use floor::{Floor, floors};
pub use joint::{JointCase, JointDetector};
pub use mark::accept;
pub use signal::{Kind, Signal};
pub use trail::{TrailCase, TrailDetector};

/// All detectors on the flow side, rules first.
pub const DETECTORS: &[&dyn Detector] = &[
    &tor_egress::TorEgress,
    &threat_ip::ThreatIp,
    &new_country::NewCountry,
    &new_destination::NewDestination,
    &unusual_port::UnusualPort,
    &fan_out::FanOut,
    &relay::Relay,
    &slow_drip::SlowDrip,
    &protocol_tunnel::ProtocolTunnel,
    &beacon::Beacon,
    &volume_spike::VolumeSpike,
];

/// All detectors on the trail's side, rules first.
pub const TRAIL_DETECTORS: &[&dyn TrailDetector] = &[
    &s3_tor_caller::S3TorCaller,
    &s3_malicious_caller::S3MaliciousCaller,
    &stolen_instance_credentials::StolenInstanceCredentials,
    &s3_unusual_caller::S3UnusualCaller,
    &s3_bulk_download::S3BulkDownload,
    &s3_cross_account_copy::S3CrossAccountCopy,
    &s3_foreign_write::S3ForeignWrite,
    &s3_presigned::S3Presigned,
    &s3_enumeration::S3Enumeration,
    &s3_mass_delete::S3MassDelete,
    &s3_exposure_change::S3ExposureChange,
    &log_tampering::LogTampering,
];

/// All detectors that need both logs.
pub const JOINT_DETECTORS: &[&dyn JointDetector] = &[&unaccounted_s3::UnaccountedS3, &coverage_gap::CoverageGap];

/// One way to see data leave.
pub trait Detector: Sync {
    /// Its name and references.
    fn meta(&self) -> &'static Meta;
    /// Judges one day.
    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal>;
}

/// A detector's name and references.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Rule id, as in findings.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// ATT&CK technique ids.
    pub techniques: &'static [&'static str],
    /// The nearest GuardDuty finding type.
    pub guardduty: Option<&'static str>,
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was counted.
    pub table: &'a EgressTable,
    /// What was learned before, from other archives.
    pub baseline: Option<&'a Baseline>,
    /// Interfaces whose bytes began elsewhere (NAT gateways and other middleboxes): never judged, never learned.
    pub excluded: &'a BTreeSet<String>,
    /// What CloudTrail says of the bytes to S3, if there is a trail with data events.
    pub books: Option<&'a Reconciliation>,
}

/// Everything that can be set, each detector's own table included.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Upper bound of uncorroborated statistical findings a day, for the whole fleet.
    pub alert_budget: f64,
    /// Fewer bytes than this never make a statistical finding: 10 MB is a few thousand customer records.
    pub floor_bytes: u64,
    /// What was flagged teaches when it has lasted this many days.
    pub adopt_after: u32,
    /// Of `beacon`.
    pub beacon: beacon::Parameters,
    /// Of `coverage-gap`.
    pub coverage_gap: coverage_gap::Parameters,
    /// Of `fan-out`.
    pub fan_out: fan_out::Parameters,
    /// Of `new-country`.
    pub new_country: new_country::Parameters,
    /// Of `new-destination`.
    pub new_destination: new_destination::Parameters,
    /// Of `protocol-tunnel`.
    pub protocol_tunnel: protocol_tunnel::Parameters,
    /// Of `relay`.
    pub relay: relay::Parameters,
    /// Of `slow-drip`.
    pub slow_drip: slow_drip::Parameters,
    /// Of `threat-ip`.
    pub threat_ip: threat_ip::Parameters,
    /// Of `tor-egress`.
    pub tor_egress: tor_egress::Parameters,
    /// Of `unusual-port`.
    pub unusual_port: unusual_port::Parameters,
    /// Of `volume-spike`.
    pub volume_spike: volume_spike::Parameters,
    /// Of `log-tampering`.
    pub log_tampering: log_tampering::Parameters,
    /// Of `s3-bulk-download`.
    pub s3_bulk_download: s3_bulk_download::Parameters,
    /// Of `s3-cross-account-copy`.
    pub s3_cross_account_copy: s3_cross_account_copy::Parameters,
    /// Of `s3-enumeration`.
    pub s3_enumeration: s3_enumeration::Parameters,
    /// Of `s3-exposure-change`.
    pub s3_exposure_change: s3_exposure_change::Parameters,
    /// Of `s3-foreign-write`.
    pub s3_foreign_write: s3_foreign_write::Parameters,
    /// Of `s3-malicious-caller`.
    pub s3_malicious_caller: s3_malicious_caller::Parameters,
    /// Of `s3-mass-delete`.
    pub s3_mass_delete: s3_mass_delete::Parameters,
    /// Of `s3-presigned`.
    pub s3_presigned: s3_presigned::Parameters,
    /// Of `s3-tor-caller`.
    pub s3_tor_caller: s3_tor_caller::Parameters,
    /// Of `s3-unusual-caller`.
    pub s3_unusual_caller: s3_unusual_caller::Parameters,
    /// Of `stolen-instance-credentials`.
    pub stolen_instance_credentials: stolen_instance_credentials::Parameters,
    /// Of `unaccounted-s3`.
    pub unaccounted_s3: unaccounted_s3::Parameters,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            alert_budget: 5.0,
            floor_bytes: 10_000_000,
            adopt_after: 7,
            beacon: Default::default(),
            coverage_gap: Default::default(),
            fan_out: Default::default(),
            relay: Default::default(),
            unusual_port: Default::default(),
            new_country: Default::default(),
            new_destination: Default::default(),
            protocol_tunnel: Default::default(),
            slow_drip: Default::default(),
            threat_ip: Default::default(),
            tor_egress: Default::default(),
            volume_spike: Default::default(),
            log_tampering: Default::default(),
            s3_bulk_download: Default::default(),
            s3_cross_account_copy: Default::default(),
            s3_enumeration: Default::default(),
            s3_exposure_change: Default::default(),
            s3_foreign_write: Default::default(),
            s3_malicious_caller: Default::default(),
            s3_mass_delete: Default::default(),
            s3_presigned: Default::default(),
            s3_tor_caller: Default::default(),
            s3_unusual_caller: Default::default(),
            stolen_instance_credentials: Default::default(),
            unaccounted_s3: Default::default(),
        }
    }
}

/// What was found, and what was learned on the way.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Findings in order of day, interface and rule.
    pub findings: Vec<Finding>,
    /// The state after the last day.
    pub baseline: Baseline,
}

/// Judges every day of a case, each by the days before it.
pub fn run(case: &Case<'_>, settings: &Settings) -> Vec<Finding> {
    judge(case, settings).findings
}

/// As [`run`], and hands back what was learned.
pub fn judge(case: &Case<'_>, settings: &Settings) -> Outcome {
    let places = Places::of(case.table);
    let mut court = Court::open(case.baseline, settings);
    let mut findings = Vec::new();
    for (day, slices) in days(case) {
        findings.extend(court.hear(case, &places, day, slices, settings));
    }
    Outcome {
        findings,
        baseline: court.baseline,
    }
}

/// Whatever is known in the morning of a day.
struct Court {
    learning: Learning,
    baseline: Baseline,
    profiles: Profiles,
    /// The day heard last, and what each interface met on it for the first time, until there is another morning.
    evening: Option<(Day, BTreeMap<String, Fresh>)>,
    budget: Budget,
}

impl Court {
    /// With what was learned before.
    fn open(before: Option<&Baseline>, settings: &Settings) -> Self {
        let learning = Learning {
            adopt_after: settings.adopt_after,
            ..Learning::default()
        };
        let baseline = before.cloned().unwrap_or_default();
        Court {
            learning,
            profiles: Profiles::replay(&baseline, learning),
            evening: None,
            budget: Budget::of(&baseline.events),
            baseline,
        }
    }

    /// Closes the day before, and forms the groups of a day.
    fn assemble(&mut self, table: &EgressTable, slices: &Slices<'_>) {
        if let Some((day, news)) = self.evening.take() {
            self.profiles.close_day(&self.baseline, day, &news);
        }
        let newcomers = newcomers(table, slices, &self.baseline);
        self.profiles.regroup(&self.baseline, &newcomers);
    }

    /// Judges a day and learns it.
    fn hear(
        &mut self,
        case: &Case<'_>,
        places: &Places,
        day: Day,
        slices: Slices<'_>,
        settings: &Settings,
    ) -> Vec<Finding> {
        let table = case.table;
        self.assemble(table, &slices);
        let view = DayView::new(table, places, day, slices.clone(), &self.baseline, &self.profiles);
        let mut signals: Vec<Signal> = DETECTORS
            .par_iter()
            .flat_map_iter(|d| d.detect(&view, settings))
            .collect();
        explained::mark(&view, &mut signals, case.books, settings.floor_bytes);
        let found = self.budget.weigh(&view, signals, settings);
        let events = self.budget.last();
        // A fleet's first week teaches whatever happened: there is nothing yet that it could be strange against.
        let learned = self.profiles.days() >= self.learning.full_history;
        let marks: Vec<Mark> = found
            .iter()
            .filter(|_| learned)
            .filter_map(|f| Mark::of(table, places, f))
            .collect();
        drop(view);
        self.baseline.events.extend(events);
        marks.into_iter().for_each(|m| m.apply(&mut self.baseline, day));
        let slices = slices.iter().map(|(_, rows)| *rows);
        self.evening = Some((day, self.baseline.learn_all(table, slices, places)));
        found
    }
}

type Slices<'a> = Vec<(u32, &'a [Row])>;

/// The rows of each day, by interface, with the index of the first.
fn days<'a>(case: &Case<'a>) -> BTreeMap<Day, Slices<'a>> {
    let mut out: BTreeMap<Day, Slices<'a>> = BTreeMap::new();
    let same = |a: &Row, b: &Row| a.interface == b.interface && day_of(a.hour) == day_of(b.hour);
    let chunks: Vec<&[Row]> = case.table.rows.par_chunk_by(same).collect();
    let mut at = 0usize;
    for rows in chunks {
        let first = u32::try_from(at).unwrap_or(u32::MAX);
        at += rows.len();
        let Some(row) = rows.first() else { continue };
        let excluded = case
            .table
            .interfaces
            .get(row.interface as usize)
            .is_none_or(|i| case.excluded.contains(&i.id));
        if !excluded {
            out.entry(day_of(row.hour)).or_default().push((first, rows));
        }
    }
    out
}

/// Today's records of interfaces without a past, or that did next to nothing so far: only to find their peer group.
fn newcomers(table: &EgressTable, slices: &Slices<'_>, baseline: &Baseline) -> Baseline {
    let is_new = |rows: &&[Row]| {
        let interface = rows.first().and_then(|r| table.interfaces.get(r.interface as usize));
        let today = rows.iter().map(|r| r.volume.flows).sum();
        let history = |i: &Interface| baseline.interfaces.get(&i.id);
        interface.is_some_and(|i| history(i).is_none_or(|h| asleep(h, today)))
    };
    let mut out = Baseline::default();
    out.learn_trades(table, slices.iter().map(|(_, rows)| *rows).filter(is_new));
    out
}

/// True if an interface is so much busier than ever that its past was only a spare's: a few records an hour before, and
/// ten times as many today.
fn asleep(history: &InterfaceHistory, today: u64) -> bool {
    let hours = history.hours.len().max(1) as u64;
    let records = history.habits.values().fold(0u64, |sum, n| sum.saturating_add(*n));
    let days = hours.div_ceil(24);
    records / hours <= 4 && today / 10 > records / days
}
