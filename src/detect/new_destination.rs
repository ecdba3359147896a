//! `new-destination`: a lot of data to a network that this interface never sent to before.
//!
//! New destinations are everyday life; the question is how much they get. A day's largest new place, its largest new
//! autonomous system are each compared with what new ones got on the days before. Places that several machines use at once
//! are a new vendor, not one interface's secret, and one that takes the place of an old one is an old vendor at a new address.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, DayView, Deviation, Novelty, PlaceDay};
use crate::net::{human_bytes, printable};

/// The detector.
pub struct NewDestination;

/// Parameters of `new-destination`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Decades of surprise from which a new destination is cited at all.
    pub surprise: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { surprise: 1.5 }
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
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            let news = private_news(actor);
            out.extend(news.iter().filter_map(|new| place(view, index, actor, new, settings)));
            out.extend(system(view, index, actor, &news, settings));
        }
        out
    }
}

/// A new place, and the bytes to it that came on top of what is usual.
pub(super) struct News<'a, 'b> {
    /// The place.
    pub(super) place: &'b PlaceDay<'a>,
    /// Bytes on top.
    pub(super) more: u64,
}

/// The places of a day that are new to the interface, not shared with others, and no substitute for old ones.
pub(super) fn private_news<'a, 'b>(actor: &'b ActorDay<'a>) -> Vec<News<'a, 'b>> {
    let news = |place: &'b PlaceDay<'a>| place.news.map(|more| News { place, more });
    actor.places.iter().filter_map(news).collect()
}

/// One new place that got more than new places usually do.
fn place(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    new: &News<'_, '_>,
    settings: &Settings,
) -> Option<Signal> {
    if new.more < settings.floor_bytes {
        return None;
    }
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Place, new.more);
    (deviation.surprise >= settings.new_destination.surprise).then(|| {
        let cells = new.place.cells.clone();
        Signal::novel(
            "new-destination",
            index,
            cells,
            deviation,
            reasons(new.place, &deviation),
        )
    })
}

/// The autonomous system new to the interface that got most, over all its addresses.
fn system(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    news: &[News<'_, '_>],
    settings: &Settings,
) -> Option<Signal> {
    let common = view.profiles.learning.common;
    let mut systems: BTreeMap<u32, (u64, Vec<u32>)> = BTreeMap::new();
    for new in news.iter().filter(|n| n.place.new[1]) {
        if let Some(asn) = new.place.asn.filter(|a| view.profiles.asn_users(*a) <= common) {
            let entry = systems.entry(asn).or_default();
            entry.0 += new.more;
            entry.1.extend(&new.place.cells);
        }
    }
    let (asn, (bytes, cells)) = systems
        .into_iter()
        .max_by_key(|(asn, (bytes, _))| (*bytes, std::cmp::Reverse(*asn)))?;
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Asn, bytes);
    if bytes < settings.floor_bytes || deviation.surprise < settings.new_destination.surprise {
        return None;
    }
    let mut reasons = vec![format!(
        "{} went to AS{asn}, an operator whose networks this interface had not sent to before.",
        human_bytes(bytes.into())
    )];
    reasons.push(compared(&deviation, "day to one new operator"));
    Some(Signal::novel("new-destination", index, cells, deviation, reasons))
}

fn reasons(place: &PlaceDay<'_>, d: &Deviation) -> Vec<String> {
    let mut out = vec![format!(
        "{} went to {}, where this interface had not sent anything before.",
        human_bytes(place.bytes.into()),
        printable(place.name.as_bytes())
    )];
    out.push(compared(d, "day to one new destination"));
    out.extend(history(d));
    out
}
