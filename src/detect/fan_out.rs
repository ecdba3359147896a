//! `fan-out`: one sender, many destinations that are all new to it, each with a little.
//!
//! Splitting an upload keeps every single destination small. Together they are compared with what all new destinations of a
//! day got in the past. Addresses roll up to their network and their operator, which the explanation names. Cited is the
//! burst: the hours with many new places, and in them every part of like size, whoever else uses the place.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::new_destination::private_news;
use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::aggregate::Direction;
use crate::baseline::{ActorDay, Channel, DayView, HOURS, Novelty, PlaceDay};
use crate::net::human_bytes;

/// The detector.
pub struct FanOut;

/// Parameters of `fan-out`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Fewer new places than this in a day are not many.
    pub places: usize,
    /// The largest may have at most this share of the bytes: above, it is one transfer and not a split one.
    pub largest: f64,
    /// Decades of surprise from which the day is cited.
    pub surprise: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            places: 20,
            largest: 0.5,
            surprise: 1.5,
        }
    }
}

impl Detector for FanOut {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "fan-out",
            title: "Data split over many destinations never used before",
            techniques: &["T1030"],
            guardduty: None,
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let actors = view.actors.iter().enumerate();
        actors
            .filter_map(|(index, actor)| judge(view, index, actor, settings))
            .collect()
    }
}

fn judge(view: &DayView<'_>, index: usize, actor: &ActorDay<'_>, settings: &Settings) -> Option<Signal> {
    let own = &settings.fan_out;
    let news = private_news(actor);
    let places: Vec<&PlaceDay<'_>> = news
        .iter()
        .map(|n| n.place)
        .filter(|p| p.channel == Channel::External)
        .collect();
    let bytes = places.iter().fold(0u64, |sum, p| sum.saturating_add(p.bytes));
    let largest = places.iter().map(|p| p.bytes).max()?;
    if places.len() < own.places || largest as f64 > own.largest * bytes as f64 {
        return None;
    }
    let mut hours = [0u64; HOURS];
    for place in &places {
        let more = view.place_hours(place);
        hours
            .iter_mut()
            .zip(more)
            .for_each(|(sum, b)| *sum = sum.saturating_add(b));
    }
    let more = view.increase_in(actor, Channel::External, &hours);
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Sum, more);
    if more < settings.floor_bytes || deviation.surprise < own.surprise {
        return None;
    }
    let parts = burst(view, actor, &places);
    let bytes = parts.iter().fold(0u64, |sum, p| sum.saturating_add(p.bytes));
    let operators: BTreeSet<u32> = parts.iter().filter_map(|p| p.place.asn).collect();
    let mut reasons = vec![format!(
        "{} went to {} networks of {} operators, to none of which this interface had sent as much before.",
        human_bytes(bytes.into()),
        parts.len(),
        operators.len()
    )];
    reasons.push(compared(&deviation, "day to all new destinations together"));
    reasons.extend(history(&deviation));
    let cells = parts.into_iter().flat_map(|p| p.cells).collect();
    Some(Signal::novel("fan-out", index, cells, deviation, reasons))
}

/// A place's part in the burst.
struct Share<'a, 'b> {
    place: &'b PlaceDay<'a>,
    bytes: u64,
    cells: Vec<u32>,
}

/// The parts of the split transfer.
///
/// A split upload has many parts of like size and spares no place because others use it too, so every place counts that
/// got a like part in the burst's hours: if it is new to this interface, or got more than on all days before together.
fn burst<'a, 'b>(view: &DayView<'_>, actor: &'b ActorDay<'a>, news: &[&'b PlaceDay<'a>]) -> Vec<Share<'a, 'b>> {
    let hours = busy_hours(view, news);
    let share = |place| share(view, place, &hours);
    let least = typical(news.iter().map(|p| share(p).bytes).collect()) / UNLIKE;
    let external = actor.places.iter().filter(|p| p.channel == Channel::External);
    let alike = external
        .map(share)
        .filter(|s| s.bytes > least && (s.place.new[0] || s.bytes > s.place.before));
    answered_alike(view, actor, &hours, alike.collect())
}

/// The parts without those that got quite another answer than the rest.
///
/// One tool that uploads the parts of one thing is answered in one proportion: so many acknowledgements, one short reply.
/// Where nearly all parts agree in it, one that does not was somebody else's. Where they do not agree, it tells nothing.
fn answered_alike<'a, 'b>(
    view: &DayView<'_>,
    actor: &ActorDay<'a>,
    hours: &[bool; HOURS],
    parts: Vec<Share<'a, 'b>>,
) -> Vec<Share<'a, 'b>> {
    let answers = answers(actor, hours);
    let row = |cell: &u32| view.table.rows.get(*cell as usize);
    let share = |part: &Share<'_, '_>| -> Option<f64> {
        let peers: BTreeSet<u32> = part.cells.iter().filter_map(row).map(|r| r.peer).collect();
        let answered: u128 = peers.iter().filter_map(|p| answers.get(p)).sum();
        (answered > 0 && part.bytes > 0).then(|| (answered as f64 / part.bytes as f64).ln())
    };
    let shares: Vec<f64> = parts.iter().filter_map(share).collect();
    let Some(middle) = median(shares.clone()) else {
        return parts;
    };
    let apart = |s: &f64| (s - middle).abs();
    let spread = median(shares.iter().map(apart).collect()).unwrap_or(0.0);
    let most = (DEVIATIONS * spread).max(UNEQUAL.ln());
    let like = |part: &Share<'_, '_>| share(part).is_none_or(|s| apart(&s) <= most);
    let others = parts.iter().filter(|p| !like(p)).count();
    if parts.len() < MANY || others * MANY > parts.len() {
        return parts;
    }
    parts.into_iter().filter(like).collect()
}

/// What came in from each peer in some hours of the day.
fn answers(actor: &ActorDay<'_>, hours: &[bool; HOURS]) -> BTreeMap<u32, u128> {
    let mut out = BTreeMap::new();
    for row in actor.rows.iter().filter(|r| r.direction == Direction::Ingress) {
        if hours[(row.hour / 3_600 % HOURS as u64) as usize] {
            *out.entry(row.peer).or_default() += row.volume.bytes;
        }
    }
    out
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// One part in so many may be somebody else's; of fewer parts, proportions tell nothing.
const MANY: usize = 20;

/// So many times the median deviation is no chance: five standard deviations of a bell curve.
const DEVIATIONS: f64 = 7.5;

/// A proportion so many times another is not the same, however well the rest agrees.
const UNEQUAL: f64 = 1.25;

/// What a place got in some hours of the day.
fn share<'a, 'b>(view: &DayView<'_>, place: &'b PlaceDay<'a>, hours: &[bool; HOURS]) -> Share<'a, 'b> {
    let row = |cell: &u32| view.table.rows.get(*cell as usize);
    let within = |cell: &u32| row(cell).is_some_and(|r| hours[(r.hour / 3_600 % HOURS as u64) as usize]);
    let cells: Vec<u32> = place.cells.iter().copied().filter(within).collect();
    let bytes: u128 = cells.iter().filter_map(row).map(|r| r.volume.bytes).sum();
    Share {
        place,
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        cells,
    }
}

/// The hours in which many of the new places were sent to: a tenth of those of the busiest hour, at least.
fn busy_hours(view: &DayView<'_>, news: &[&PlaceDay<'_>]) -> [bool; HOURS] {
    let mut places = [0usize; HOURS];
    for place in news {
        let hours = view.place_hours(place);
        places
            .iter_mut()
            .zip(hours)
            .for_each(|(n, bytes)| *n += usize::from(bytes > 0));
    }
    let most = places.iter().copied().max().unwrap_or(0);
    places.map(|n| n > 0 && n * 10 >= most)
}

/// The size of the part that holds the middle byte.
fn typical(mut sizes: Vec<u64>) -> u64 {
    sizes.sort_unstable();
    let half = sizes.iter().fold(0, |sum: u64, b| sum.saturating_add(*b)) / 2;
    let mut sum = 0u64;
    let upto = |b: &u64| {
        sum = sum.saturating_add(*b);
        sum > half
    };
    sizes.iter().copied().find(upto).unwrap_or(0)
}

/// A part so many times smaller than the typical one is something else: what a browser fetched beside it.
const UNLIKE: u64 = 10;
