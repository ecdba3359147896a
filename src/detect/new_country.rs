//! `new-country`: data to a country to which nobody in the fleet has sent before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::new_destination::private_news;
use super::signal::{Signal, compared, history};
use super::{Detector, Meta, Settings};
use crate::baseline::{ActorDay, DayView, Novelty, PlaceDay};
use crate::net::{human_bytes, printable};

/// The detector.
pub struct NewCountry;

/// Parameters of `new-country`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// A country that at most this many interfaces ever sent to is new: 0, the whole fleet is asked.
    pub users: usize,
    /// Decades of surprise that a country new to the whole fleet adds to what its bytes say.
    pub weight: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { users: 0, weight: 1.0 }
    }
}

impl Detector for NewCountry {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "new-country",
            title: "Data sent to a country that the fleet never sent to",
            techniques: &["T1048"],
            guardduty: None,
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        view.actors
            .iter()
            .enumerate()
            .filter_map(|(index, actor)| judge(view, index, actor, settings))
            .collect()
    }
}

fn judge(view: &DayView<'_>, index: usize, actor: &ActorDay<'_>, settings: &Settings) -> Option<Signal> {
    let mut countries: BTreeMap<&str, (u64, Vec<&PlaceDay<'_>>)> = BTreeMap::new();
    let news = private_news(actor);
    for new in news.iter().filter(|n| n.place.new[2]) {
        let place = new.place;
        let Some(country) = place.country.as_deref() else {
            continue;
        };
        if view.profiles.country_users(country) <= settings.new_country.users {
            let entry = countries.entry(country).or_default();
            entry.0 += new.more;
            entry.1.push(place);
        }
    }
    let (country, (bytes, places)) = countries
        .into_iter()
        .max_by_key(|(c, (bytes, _))| (*bytes, std::cmp::Reverse(*c)))?;
    if bytes < settings.floor_bytes {
        return None;
    }
    let deviation = view.profiles.judge_novel(actor.id, Novelty::Country, bytes);
    let mut reasons = vec![format!(
        "{} went to {}, a country to which no interface of the fleet has sent before.",
        human_bytes(bytes.into()),
        printable(country.as_bytes())
    )];
    reasons.push(compared(&deviation, "day to a new country"));
    reasons.extend(history(&deviation));
    let cells = places.iter().flat_map(|p| p.cells.iter().copied()).collect();
    let mut signal = Signal::novel("new-country", index, cells, deviation, reasons);
    signal.surprise += settings.new_country.weight;
    Some(signal)
}
