//! `beacon`: an interface calls one new destination again and again, at equal intervals and with equal amounts.
//!
//! The score is RITA's (activecm/rita, `analysis/beacons.go`): the mean of how regular the intervals are, how regular the
//! sizes are, how long it goes on, and how flat its histogram over the hours is. RITA keeps every connection; here the hours'
//! sums are enough, and they merge: from the first record of an hour to the first of the next there are exactly as many
//! intervals as records, so their mean is known; what averaging hides of the jitter is put back by the root of their number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signal::{Kind, Signal};
use super::slow_drip::young;
use super::{Detector, Meta, Settings};
use crate::aggregate::{Role, Volume};
use crate::baseline::{ActorDay, Channel, DayView, PlaceDay};
use crate::net::{Seconds, printable};

/// The detector.
pub struct Beacon;

/// Parameters of `beacon`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Score from which a destination is cited: RITA's threshold for a beacon of medium severity.
    pub score: f64,
    /// Score that the intervals alone must reach. Something that happens once an hour, at any minute, has 0.86.
    pub timing: f64,
    /// As `score`, where the intervals cannot be seen, because they are shorter than the log's own.
    pub blind_score: f64,
    /// Fewer hours with calls on a day say nothing (RITA's `min_hours_seen`).
    pub hours: usize,
    /// So many hours in a row are as long as it needs to last (RITA's `ideal_number_of_consistent_hours`).
    pub lasting: usize,
    /// A destination is young for so many days after the first bytes to it; older ones are habits.
    pub young_days: u32,
    /// Decades of surprise at `score`: what is reported in a small fleet; ten more for each further point of score.
    pub surprise: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            score: 0.9,
            timing: 0.88,
            blind_score: 0.97,
            hours: 6,
            lasting: 12,
            young_days: 3,
            surprise: 2.5,
        }
    }
}

impl Detector for Beacon {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "beacon",
            title: "Regular calls to a destination not used before",
            techniques: &["T1071"],
            guardduty: Some("Backdoor:EC2/C&CActivity.B"),
        }
    }

    fn detect(&self, view: &DayView<'_>, settings: &Settings) -> Vec<Signal> {
        // A fleet's first week knows nothing of what is new.
        if view.profiles.days() < view.profiles.learning.full_history {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (index, actor) in view.actors.iter().enumerate() {
            let wanted = |p: &&PlaceDay<'_>| is_candidate(view, actor, p, settings);
            let mut resolution = None;
            for place in actor.places.iter().filter(wanted) {
                let step = *resolution.get_or_insert_with(|| aggregation(actor));
                out.extend(peers(view, index, place, step, &settings.beacon));
            }
        }
        out
    }
}

/// A new destination of this interface alone: what many call is a service, and a lot of data that comes instead of what went
/// before is a vendor that moved.
fn is_candidate(view: &DayView<'_>, actor: &ActorDay<'_>, place: &PlaceDay<'_>, settings: &Settings) -> bool {
    place.channel == Channel::External
        && place.cells.len() >= settings.beacon.hours
        && (place.new[0] || young(view, actor, place, settings.beacon.young_days))
        && place.users <= view.profiles.learning.common
        && (place.bytes < settings.floor_bytes || view.increase(actor, place) >= settings.floor_bytes)
}

/// The aggregation interval of the interface's records: one minute or ten, by the longest record that is known apart.
fn aggregation(actor: &ActorDay<'_>) -> Seconds {
    let single = actor.rows.iter().filter(|r| r.volume.flows == 1);
    let longest = single.map(|r| r.volume.last.saturating_sub(r.volume.first)).max();
    if longest.is_some_and(|s| s > 60) { 600 } else { 60 }
}

/// The signals of a place's addresses.
fn peers(view: &DayView<'_>, index: usize, place: &PlaceDay<'_>, step: Seconds, own: &Parameters) -> Vec<Signal> {
    let mut by_peer: BTreeMap<u32, (Calls, Vec<u32>)> = BTreeMap::new();
    for cell in &place.cells {
        let Some(row) = view.table.rows.get(*cell as usize).filter(|r| r.role != Role::Server) else {
            continue;
        };
        let peer = by_peer.entry(row.peer).or_default();
        peer.0.entry(row.hour).or_insert(Volume::EMPTY).add(&row.volume);
        peer.1.push(*cell);
    }
    let judged = |(calls, cells): (Calls, Vec<u32>)| judge(index, place, &calls, cells, step, own);
    by_peer.into_values().filter_map(judged).collect()
}

/// The sums of each hour.
type Calls = BTreeMap<Seconds, Volume>;

fn judge(
    index: usize,
    place: &PlaceDay<'_>,
    calls: &Calls,
    cells: Vec<u32>,
    step: Seconds,
    own: &Parameters,
) -> Option<Signal> {
    if calls.len() < own.hours {
        return None;
    }
    let score = Score::of(calls, step, own.lasting)?;
    let total = score.total();
    let least = if score.intervals.is_some() {
        own.score
    } else {
        own.blind_score
    };
    if total < least {
        return None;
    }
    let every = match score.intervals {
        Some(_) => format!("about every {}", span(score.median)),
        None => format!("in every interval of the log ({})", span(step as f64)),
    };
    let records: u64 = calls.values().map(|v| v.flows).sum();
    let bytes: u128 = calls.values().map(|v| v.bytes).sum();
    let reason = format!(
        "{} was called {every}, in {} hours of the day, with {} bytes a time: as regular as a clock ({:.0} of 100 points).",
        printable(place.name.as_bytes()),
        calls.len(),
        bytes / u128::from(records.max(1)),
        total * 100.0
    );
    let news = "This interface had not sent there until a few days ago, and hardly any other does.".to_owned();
    Some(Signal {
        rule: "beacon",
        actor: index,
        kind: Kind::Statistical,
        surprise: own.surprise + 10.0 * (total - own.score).max(0.0),
        cells,
        portions: BTreeMap::new(),
        deviation: None,
        reasons: vec![reason, news],
    })
}

/// Seconds for people.
fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} seconds")
    } else {
        format!("{:.0} minutes", seconds / 60.0)
    }
}

/// RITA's four scores, each 0 to 1.
#[derive(Debug)]
struct Score {
    /// Regularity of the intervals, if they can be seen.
    intervals: Option<f64>,
    /// Median interval in seconds.
    median: f64,
    sizes: f64,
    duration: f64,
    histogram: f64,
}

impl Score {
    fn of(calls: &Calls, step: Seconds, lasting: usize) -> Option<Score> {
        let hours: Vec<(&Seconds, &Volume)> = calls.iter().collect();
        let intervals: Vec<(f64, f64)> = hours.windows(2).filter_map(interval).collect();
        let sizes: Vec<(f64, f64)> = calls
            .values()
            .map(|v| (v.bytes as f64 / v.flows as f64, v.flows as f64))
            .collect();
        let (timing, median) = regularity(&intervals)?;
        // Shorter intervals than the log's own are all one record long.
        let seen = median > 1.5 * step as f64;
        Some(Score {
            intervals: seen.then_some(timing),
            median,
            sizes: regularity(&sizes)?.0,
            duration: (longest_run(&hours) as f64 / lasting as f64).min(1.0),
            histogram: flatness(&hours),
        })
    }

    fn total(&self) -> f64 {
        let rest = self.sizes + self.duration + self.histogram;
        self.intervals.map_or(rest / 3.0, |i| (rest + i) / 4.0)
    }
}

/// Mean interval between the records of an hour, up to the first of the next one, and how many it is the mean of.
fn interval(pair: &[(&Seconds, &Volume)]) -> Option<(f64, f64)> {
    let [(hour, a), (next, b)] = pair else { return None };
    let adjacent = **next - **hour <= 3_600;
    let whole = b.first.saturating_sub(a.first) as f64;
    (adjacent || a.flows == 1).then(|| (whole / a.flows as f64, a.flows as f64))
}

/// Regularity of means of so many values each, and their median: half the symmetry of their quartiles (Bowley), half the
/// nearness to their median.
fn regularity(means: &[(f64, f64)]) -> Option<(f64, f64)> {
    if means.len() < 3 {
        return None;
    }
    let mut values: Vec<f64> = means.iter().map(|m| m.0).collect();
    values.sort_by(f64::total_cmp);
    let at = |q: usize| values.get(values.len() * q / 4).copied().unwrap_or(0.0);
    let (low, median, high) = (at(1), at(2), at(3));
    let skew = if high - low < 10.0 || median == low || median == high {
        0.0
    } else {
        (low + high - 2.0 * median) / (high - low)
    };
    let mut far: Vec<f64> = means.iter().map(|(v, n)| (v - median).abs() * n.sqrt()).collect();
    far.sort_by(f64::total_cmp);
    let deviation = far.get(far.len() / 2).copied().unwrap_or(0.0);
    let near = (1.0 - deviation / median.max(1.0)).max(0.0);
    Some(((1.0 - skew.abs() + near) / 2.0, median))
}

fn longest_run(hours: &[(&Seconds, &Volume)]) -> usize {
    let mut longest = 1;
    let mut run = 1;
    for pair in hours.windows(2) {
        run = match pair {
            [(a, _), (b, _)] if **b - **a <= 3_600 => run + 1,
            _ => 1,
        };
        longest = longest.max(run);
    }
    longest
}

/// One less the coefficient of variation of records an hour; the first and the last hour are parts.
fn flatness(hours: &[(&Seconds, &Volume)]) -> f64 {
    let inner = hours.get(1..hours.len().saturating_sub(1)).unwrap_or_default();
    let counts: Vec<f64> = inner.iter().map(|(_, v)| v.flows as f64).collect();
    if counts.is_empty() {
        return 0.0;
    }
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / counts.len() as f64;
    (1.0 - variance.sqrt() / mean.max(1.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums by hour of records at some times with some bytes.
    fn calls(records: impl Iterator<Item = (u64, u64)>) -> Calls {
        let mut out = Calls::new();
        for (time, bytes) in records {
            let one = Volume {
                bytes: bytes.into(),
                packets: 1,
                flows: 1,
                first: time,
                last: time + 1,
            };
            out.entry(time / 3_600 * 3_600).or_insert(Volume::EMPTY).add(&one);
        }
        out
    }

    fn noise(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn a_clock_scores_high_with_and_without_jitter() {
        let mut seed = 7;
        for (period, jitter) in [(300.0, 0.0), (900.0, 0.2), (3_600.0, 0.1), (1_800.0, 0.3)] {
            let times = (0..(80_000.0 / period) as u64)
                .map(|n| ((n as f64 + jitter * noise(&mut seed)) * period) as u64)
                .collect::<Vec<_>>();
            let score = Score::of(&calls(times.into_iter().map(|t| (t, 700))), 60, 12).unwrap();
            assert!(score.total() > 0.9, "{period} {jitter}: {score:?}");
            assert!((score.median / period - 1.0).abs() < 0.1, "{score:?}");
        }
    }

    #[test]
    fn people_and_chance_score_low() {
        let mut seed = 11;
        for mean in [200.0, 600.0, 1_500.0, 4_000.0] {
            let mut time = 0.0;
            let mut records = Vec::new();
            while time < 80_000.0 {
                time -= mean * noise(&mut seed).max(1e-9).ln();
                records.push((time as u64, 300 + (2_000.0 * noise(&mut seed)) as u64));
            }
            let score = Score::of(&calls(records.into_iter()), 60, 12).map_or(0.0, |s| s.total());
            assert!(score < 0.85, "{mean}: {score}");
        }
    }

    #[test]
    fn once_an_hour_at_any_minute_is_no_clock() {
        let mut seed = 3;
        let records: Vec<(u64, u64)> = (0..24)
            .map(|h| (h * 3_600 + (3_599.0 * noise(&mut seed)) as u64, 700))
            .collect();
        let score = Score::of(&calls(records.into_iter()), 60, 12).unwrap();
        assert!(
            score.intervals.is_some_and(|i| i < Parameters::default().timing),
            "{score:?}"
        );
    }

    #[test]
    fn intervals_below_the_logs_own_are_not_claimed() {
        let records = (0..140u64).map(|n| (n * 600, 5_000));
        let score = Score::of(&calls(records), 600, 12).unwrap();
        assert!(score.intervals.is_none() && score.total() > 0.97, "{score:?}");
    }
}
