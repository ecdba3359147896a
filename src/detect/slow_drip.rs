//! `slow-drip`: a little every hour to one destination that this interface did not know a few days ago.
//!
//! Each hour stays below what any volume rule sees. What gives a drip away is that it does not stop: new destinations are
//! mostly visited once, so one that gets bytes in many hours of its first days is compared with how much such *steady* new
//! destinations got in the past (mostly nothing at all).

use serde::{Deserialize, Serialize};

use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, DayView, Novelty, PlaceDay, STEADY_HOURS};
use crate::net::{human_bytes, printable};

/// The detector.
pub struct SlowDrip;

/// Parameters of `slow-drip`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Decades of surprise from which a steady new destination is cited.
    pub surprise: f64,
    /// A destination is young for so many days after the first bytes to it.
    pub young_days: u32,
    /// The busiest hour may carry at most this share of the day's bytes: above, it is a single transfer with an echo.
    pub burst: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            surprise: 1.5,
            young_days: 3,
            burst: 0.5,
        }
    }
}

impl Detector for SlowDrip {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "slow-drip",
            title: "Small amounts sent again and again to a destination not used before",
            techniques: &["T1030"],
            guardduty: None,
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            out.extend(
                actor
                    .places
                    .iter()
                    .filter_map(|place| judge(view, index, actor, place, settings)),
            );
        }
        out
    }
}

fn judge(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    place: &PlaceDay<'_>,
    settings: &Settings,
) -> Option<Signal> {
    let own = &settings.slow_drip;
    let young = place.new[0] || young(view, actor, place, own.young_days);
    if !young || place.bytes < settings.floor_bytes || place.users > view.profiles.learning.common {
        return None;
    }
    let hours = view.place_hours(place);
    let busy = hours.iter().filter(|b| **b > 0).count();
    let largest = hours.iter().copied().max()?;
    let more = view.increase(actor, place);
    if busy < STEADY_HOURS as usize || largest as f64 > own.burst * place.bytes as f64 || more < settings.floor_bytes {
        return None;
    }
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Steady, more);
    if deviation.surprise < own.surprise {
        return None;
    }
    let mut reasons = vec![format!(
        "{} went to {} in {busy} different hours of the day, never more than {} in one.",
        human_bytes(place.bytes.into()),
        printable(place.name.as_bytes()),
        human_bytes(largest.into())
    )];
    reasons.push(compared(&deviation, "day to a steady new destination"));
    reasons.extend(history(&deviation));
    Some(Signal::novel(
        "slow-drip",
        index,
        place.cells.clone(),
        deviation,
        reasons,
    ))
}

/// True if the interface, which was there before, first sent to a place a few days ago.
pub(super) fn young(view: &DayView<'_>, actor: &ActorDay<'_>, place: &PlaceDay<'_>, days: u32) -> bool {
    let settled = view.profiles.own(actor.id).and_then(|p| p.first);
    let settled = settled.map(|first| first.saturating_add(view.profiles.learning.warm_up));
    view.day.saturating_sub(place.since) <= days && settled.is_some_and(|s| place.since >= s)
}
