//! `new-destination`: a lot of data to a network that this interface never sent to before.
//!
//! New destinations are everyday life; the question is how much they get. A day's largest new place, its largest new
//! autonomous system and all new places together are each compared with what new ones got on the days before. Places that
//! several machines use at once are a new vendor, not one interface's secret.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::signal::{Kind, Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, DayView, Deviation, Novelty, PlaceDay};
use crate::net::{human_bytes, printable};

/// The detector.
pub struct NewDestination;

/// Parameters of `new-destination`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Decades of surprise from which a new destination is cited at all.
    pub surprise: f64,
    /// Destinations with less than this share of the day's largest new one are not cited with it.
    pub share: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { surprise: 1.5, share: 0.2 }
    }
}

impl Detector for NewDestination {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "new-destination",
            title: "Data sent to a destination never used before",
            techniques: &["T1041"],
            guardduty: Some("Behavior:EC2/TrafficVolumeUnusual"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        view.actors.iter().enumerate().filter_map(|(index, actor)| judge(view, index, actor, settings)).collect()
    }
}

/// The places of a day that are new to the interface and not shared with others.
pub(super) fn private_news<'a, 'b>(view: &'b DayView<'a>, actor: &'b ActorDay<'a>) -> impl Iterator<Item = &'b PlaceDay<'a>> {
    let common = view.profiles.learning.common;
    actor.places.iter().filter(move |p| p.new[0] && view.users(p) <= common)
}

fn judge(view: &DayView<'_>, index: usize, actor: &ActorDay<'_>, settings: &Settings) -> Option<Signal> {
    let own = &settings.new_destination;
    let news: Vec<&PlaceDay<'_>> = private_news(view, actor).collect();
    let largest = *news.first()?;
    if largest.bytes < settings.floor_bytes {
        return None;
    }
    let place = view.profiles.judge_novel(actor.id, Novelty::Place, largest.bytes);
    let system = largest_system(view, &news).map(|(asn, bytes)| (asn, view.profiles.judge_novel(actor.id, Novelty::Asn, bytes)));
    let best = system.map_or(0.0, |(_, d)| d.surprise).max(place.surprise);
    if best < own.surprise {
        return None;
    }
    let least = (largest.bytes as f64 * own.share) as u64;
    let cited: Vec<&PlaceDay<'_>> = news.into_iter().filter(|p| p.bytes >= least).collect();
    Some(Signal {
        rule: "new-destination",
        actor: index,
        kind: Kind::Statistical,
        surprise: best,
        cells: cited.iter().flat_map(|p| p.cells.iter().copied()).collect(),
        deviation: Some(place),
        reasons: reasons(largest, &place, system.filter(|(_, d)| d.surprise > place.surprise)),
        flag_places: true,
    })
}

/// The autonomous system new to the interface that got most, and how much.
fn largest_system(view: &DayView<'_>, news: &[&PlaceDay<'_>]) -> Option<(u32, u64)> {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    let common = view.profiles.learning.common;
    for place in news.iter().filter(|p| p.new[1]) {
        if let Some(asn) = place.asn.filter(|a| view.profiles.asn_users(*a) <= common) {
            *sums.entry(asn).or_default() += place.bytes;
        }
    }
    sums.into_iter().max_by_key(|(asn, bytes)| (*bytes, std::cmp::Reverse(*asn)))
}

fn reasons(place: &PlaceDay<'_>, d: &Deviation, system: Option<(u32, Deviation)>) -> Vec<String> {
    let mut out = vec![format!(
        "{} went to {}, where this interface had not sent anything before.",
        human_bytes(place.bytes.into()),
        printable(place.name.as_bytes())
    )];
    out.push(compared(d, "day to one new destination"));
    if let Some((asn, _)) = system {
        out.push(format!("The network belongs to AS{asn}, to which this interface had not sent anything either."));
    }
    out.extend(history(d));
    out
}
