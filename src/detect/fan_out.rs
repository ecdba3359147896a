//! `fan-out`: one sender, many destinations that are all new to it, each with a little.
//!
//! Splitting an upload keeps every single destination small. Together they are compared with what all new destinations of a
//! day got in the past. Addresses roll up to their network and their operator, which the explanation names.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::new_destination::private_news;
use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
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
    let bytes: u64 = places.iter().map(|p| p.bytes).sum();
    let largest = places.iter().map(|p| p.bytes).max()?;
    if places.len() < own.places || largest as f64 > own.largest * bytes as f64 {
        return None;
    }
    let mut hours = [0u64; HOURS];
    for place in &places {
        let more = view.place_hours(place);
        hours.iter_mut().zip(more).for_each(|(sum, b)| *sum += b);
    }
    let more = view.increase_in(actor, Channel::External, &hours);
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Sum, more);
    if more < settings.floor_bytes || deviation.surprise < own.surprise {
        return None;
    }
    let operators: BTreeSet<u32> = places.iter().filter_map(|p| p.asn).collect();
    let mut reasons = vec![format!(
        "{} went to {} networks of {} operators in a day, none of which this interface had sent to before.",
        human_bytes(bytes.into()),
        places.len(),
        operators.len()
    )];
    reasons.push(compared(&deviation, "day to all new destinations together"));
    reasons.extend(history(&deviation));
    Some(Signal::novel(
        "fan-out",
        index,
        cited(&places, bytes),
        deviation,
        reasons,
    ))
}

/// The cells of the places that got nearly all of the bytes: what a browser fetched beside it is not cited.
fn cited(places: &[&PlaceDay<'_>], bytes: u64) -> Vec<u32> {
    let mut out = Vec::new();
    let mut sum = 0u64;
    // Places come largest first.
    for place in places {
        if sum as f64 >= bytes as f64 * CITED {
            break;
        }
        sum = sum.saturating_add(place.bytes);
        out.extend(&place.cells);
    }
    out
}

/// Share of the bytes that the cited places account for.
const CITED: f64 = 0.99;
