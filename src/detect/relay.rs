//! `relay`: a machine fetches from S3 or from inside, and soon after sends as much to somewhere new.
//!
//! Collect, then carry out: the download alone is work, the upload alone may be a backup, the two together in the right
//! order and size are staging. Compression and encryption change the size, so the ratio is wide.

use serde::{Deserialize, Serialize};

use super::new_destination::{News, private_news};
use super::signal::Signal;
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, DayView, Novelty};
use crate::net::{human_bytes, printable};

/// The detector.
pub struct Relay;

/// Parameters of `relay`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Hours before the upload in which the download is looked for.
    pub hours: usize,
    /// Smallest upload for each byte fetched: below, what was fetched was used, not carried away.
    pub least_ratio: f64,
    /// Largest: above, most of the upload came from elsewhere.
    pub most_ratio: f64,
    /// So many times the byte floor: small ratios of small numbers mean nothing.
    pub floors: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            hours: 3,
            least_ratio: 0.3,
            most_ratio: 1.2,
            floors: 10,
        }
    }
}

impl Detector for Relay {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "relay",
            title: "Data fetched and then sent on to a destination never used before",
            techniques: &["T1074", "T1567"],
            guardduty: None,
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            let news = private_news(actor);
            out.extend(news.iter().filter_map(|new| judge(view, index, actor, new, settings)));
        }
        out
    }
}

fn judge(
    view: &DayView<'_>,
    index: usize,
    actor: &ActorDay<'_>,
    new: &News<'_, '_>,
    settings: &Settings,
) -> Option<Signal> {
    let own = &settings.relay;
    if new.more < settings.floor_bytes.saturating_mul(own.floors) {
        return None;
    }
    let hours = view.place_hours(new.place);
    let first = hours.iter().position(|b| *b > 0)?;
    let last = hours.iter().rposition(|b| *b > 0)?;
    let fetched = actor.fetched(view.table, first.saturating_sub(own.hours)..=last);
    let ratio = new.place.bytes as f64 / fetched.max(1) as f64;
    if !(own.least_ratio..=own.most_ratio).contains(&ratio) {
        return None;
    }
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Place, new.more);
    let reason = format!(
        "{} were fetched from S3 or from inside in the hours around it, and {} went on to {}.",
        human_bytes(fetched),
        human_bytes(new.place.bytes.into()),
        printable(new.place.name.as_bytes())
    );
    Some(Signal::novel(
        "relay",
        index,
        new.place.cells.clone(),
        deviation,
        vec![reason],
    ))
}
