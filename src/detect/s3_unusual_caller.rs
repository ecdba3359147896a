//! `s3-unusual-caller`: credentials are used from a country or a network that their owner never used.
//!
//! A new address alone means little: providers change them daily. What counts is a new operator (AS) or a new country, at
//! which no other caller of ours was seen either; without a database of operators only the country does. An hour of the day
//! at which the caller never works makes it a little stranger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trail::{API_READS, Actor, Aspect, CONTROL, Caller, Deed, Extent, Habits, TrailDay, TrailDetector};
use super::trail::{TrailSignal, group_of};
use super::{Meta, Settings, Severity};
use crate::net::HOUR;
use crate::trail::{IdentityKind, Principal};

/// The detector.
pub struct S3UnusualCaller;

/// Parameters of `s3-unusual-caller`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many distinct objects touched make it worth a look: fewer are a person who tries something.
    pub objects: u64,
    /// So many others came from the network before: then it is one of ours, an office or a VPN.
    pub shared_by: usize,
    /// Names of calls that hand out access or open data: from a new place they are worth a look by themselves.
    pub sensitive: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        let sensitive = [
            "AttachRolePolicy",
            "AttachUserPolicy",
            "CreateAccessKey",
            "CreateLoginProfile",
            "CreateUser",
            "DeactivateMFADevice",
            "ModifyImageAttribute",
            "ModifySnapshotAttribute",
            "PutBucketPolicy",
            "PutBucketReplication",
            "PutRolePolicy",
            "PutUserPolicy",
            "UpdateAssumeRolePolicy",
            "UpdateLoginProfile",
        ];
        Parameters {
            objects: 100,
            shared_by: 2,
            sensitive: sensitive.map(str::to_owned).to_vec(),
        }
    }
}

impl TrailDetector for S3UnusualCaller {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-unusual-caller",
            title: "Credentials used from a place that is new for their owner",
            techniques: &["T1078.004"],
            guardduty: Some("Exfiltration:S3/AnomalousBehavior"),
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signals(day, index, actor, settings);
        day.actors.iter().enumerate().flat_map(of).collect()
    }
}

/// A signal for each new place that the caller used on this day.
fn signals(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, settings: &Settings) -> Vec<TrailSignal> {
    let Some(past) = day.history.of(actor) else {
        return Vec::new();
    };
    if actor.who.kind == IdentityKind::Anonymous {
        return Vec::new();
    }
    let mut places: BTreeMap<&str, (&Caller, Vec<u32>)> = BTreeMap::new();
    for (n, row) in actor.rows.iter().filter_map(|n| Some((*n, day.row(*n)?))) {
        let Some(caller) = day.case.caller(row).filter(|c| !c.inside) else {
            continue;
        };
        places.entry(&caller.place).or_insert((caller, Vec::new())).1.push(n);
    }
    let own = &settings.s3_unusual_caller;
    let judged = places.into_values().filter_map(|(caller, rows)| {
        let newness = newness(day, actor.name, past.habits, caller, own)?;
        Some(signal(day, index, actor, caller, rows, newness, settings))
    });
    judged.collect()
}

/// True if a caller comes from where it never came from, by the same measure.
pub(super) fn is_new_place(day: &TrailDay<'_>, who: &Principal, caller: &Caller, settings: &Settings) -> bool {
    let actor = Actor {
        name: &who.arn,
        who,
        rows: Vec::new(),
    };
    let past = day.history.of(&actor).filter(|_| !caller.inside);
    past.is_some_and(|p| newness(day, &who.arn, p.habits, caller, &settings.s3_unusual_caller).is_some())
}

/// How new a place is.
struct Newness {
    country: bool,
    words: String,
}

fn newness(day: &TrailDay<'_>, name: &str, past: &Habits, caller: &Caller, own: &Parameters) -> Option<Newness> {
    let known = |h: &Habits| h.places.contains_key(&caller.place);
    let before = day.history.own(name);
    if known(past) || before.is_some_and(known) || day.history.others_at(&caller.place, name) >= own.shared_by {
        return None;
    }
    let country = caller.peer.country.filter(|c| !past.countries.contains_key(c));
    let elsewhere: Vec<String> = past.countries.keys().map(ToString::to_string).collect();
    let words = match country {
        Some(country) if !elsewhere.is_empty() => {
            format!(
                "from {country} ({}), and in the past only from {}",
                caller.place,
                elsewhere.join(", ")
            )
        }
        _ if caller.operator => format!("from {}, a network that it never used", caller.place),
        _ => return None,
    };
    Some(Newness {
        country: country.is_some(),
        words,
    })
}

fn signal(
    day: &TrailDay<'_>,
    index: usize,
    actor: &Actor<'_>,
    caller: &Caller,
    all: Vec<u32>,
    new: Newness,
    settings: &Settings,
) -> TrailSignal {
    let own = &settings.s3_unusual_caller;
    let touches = |n: &&u32| {
        let deed = matches!(day.case.deed(**n), Deed::Read | Deed::Write | Deed::Copy | Deed::Delete);
        deed && day.row(**n).is_some_and(|r| r.error == 0)
    };
    let objects: Vec<u32> = all.iter().filter(touches).copied().collect();
    let sensitive: Vec<u32> = all.iter().filter(|n| is_sensitive(day, **n, own)).copied().collect();
    let much = {
        let extent = Extent::of(day.case, &objects);
        extent.bytes >= settings.floor_bytes.into() || extent.objects >= own.objects
    };
    let rows = match (objects.is_empty(), sensitive.is_empty()) {
        (true, true) => all,
        _ => objects.iter().chain(&sensitive).copied().collect(),
    };
    let severity = match (much || !sensitive.is_empty(), new.country) {
        (true, _) => Severity::Medium,
        (false, true) => Severity::Low,
        (false, false) => Severity::Info,
    };
    let at_night = rows
        .iter()
        .filter_map(|n| day.row(*n))
        .all(|r| !usual_hour(day, actor, r.hour));
    let extent = Extent::of(day.case, &rows);
    let mut signal = TrailSignal::new("s3-unusual-caller", index, Aspect::Place, severity, rows)
        .channel(if objects.is_empty() { CONTROL } else { API_READS })
        .surprise(1.0 + f64::from(u8::from(new.country)) + f64::from(u8::from(at_night)) / 2.0)
        .because(format!("{} called {} as {}.", actor.name, new.words, caller.words()));
    if !sensitive.is_empty() {
        let names = names(day, &sensitive);
        signal = signal.because(format!("From there it also called {names}."));
    }
    if extent.bytes > 0 {
        signal = signal.because(format!("{} of objects moved to or from there.", extent.volume()));
    }
    if at_night {
        signal = signal.because("It never worked at that hour of the day before.");
    }
    signal
}

fn names(day: &TrailDay<'_>, rows: &[u32]) -> String {
    let events = rows
        .iter()
        .filter_map(|n| day.row(*n))
        .map(|r| day.case.index.text(r.event));
    let names: std::collections::BTreeSet<&str> = events.collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn is_sensitive(day: &TrailDay<'_>, n: u32, own: &Parameters) -> bool {
    let row = day.row(n).filter(|r| r.error == 0);
    row.is_some_and(|r| own.sensitive.iter().any(|s| s == day.case.index.text(r.event)))
}

/// True if the caller worked at that hour of the day, or the one beside it, before; or if too little is known.
fn usual_hour(day: &TrailDay<'_>, actor: &Actor<'_>, hour: u64) -> bool {
    let Some(past) = day.history.own(actor.name).filter(|h| h.days.len() >= 5) else {
        return group_of(actor.who).is_some() || day.history.own(actor.name).is_none();
    };
    let hour = hour / HOUR % 24;
    [hour, (hour + 1) % 24, (hour + 23) % 24]
        .iter()
        .any(|h| past.hours.contains_key(h))
}
