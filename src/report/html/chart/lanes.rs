//! The timeline of an incident as a picture: a lane for each source, a disc for a moment, a bar for what lasted.
//!
//! The list below it tells the moments in words, in the same order.

use maud::{Markup, html};

use super::egress::time_ticks;
use super::scale::Times;
use super::{Picture, share, table};
use crate::report::document::Moment;
use crate::report::story::Case;
use crate::report::story::words::{clock, stamp};

/// One source of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report::html) struct Lane {
    /// As it stands in the result.
    source: &'static str,
    /// For people.
    pub(in crate::report::html) name: &'static str,
    /// Of the style sheet.
    pub(in crate::report::html) class: &'static str,
}

/// Lanes from top to bottom; the last is for sources that nobody knows.
const LANES: [Lane; 7] = [
    lane_of("flow", "Flow logs", "flow"),
    lane_of("cloudtrail", "CloudTrail", "trail"),
    lane_of("guardduty", "GuardDuty", "side"),
    lane_of("macie", "Macie", "side"),
    lane_of("containment", "Containment", "done"),
    lane_of("outside", "Outside the logs", "outside"),
    OTHER,
];

const OTHER: Lane = lane_of("", "Other", "outside");

/// Height of a lane and of the axis, in pixels.
const LANE: usize = 40;
const AXIS: usize = 26;

const fn lane_of(source: &'static str, name: &'static str, class: &'static str) -> Lane {
    Lane { source, name, class }
}

/// The lane of a source.
pub(in crate::report::html) fn lane(source: &str) -> Lane {
    LANES.into_iter().find(|l| l.source == source).unwrap_or(OTHER)
}

/// The picture; none for fewer than two moments.
pub(in crate::report::html) fn of_case(case: &Case<'_>, moments: &[Moment]) -> Markup {
    let known: Vec<&Moment> = moments.iter().filter(|m| m.time.0.is_some()).collect();
    let begin = known.iter().filter_map(|m| m.time.0).min();
    let end = known
        .iter()
        .filter_map(|m| m.until.and_then(|t| t.0).or(m.time.0))
        .max();
    let (Some(begin), Some(end), [_, _, ..]) = (begin, end, known.as_slice()) else {
        return html! {};
    };
    let margin = (end.saturating_sub(begin) / 25).max(60);
    let times = Times::new(begin.saturating_sub(margin), end.saturating_add(margin));
    let used: Vec<Lane> = LANES
        .into_iter()
        .filter(|l| known.iter().any(|m| lane(&m.source) == *l))
        .collect();
    let row = |m: &&Moment| {
        let until = m.until.map(clock).unwrap_or_default();
        vec![stamp(m.time), until, lane(&m.source).name.to_owned(), m.text.clone()]
    };
    let rows: Vec<Vec<String>> = known.iter().map(row).collect();
    Picture {
        id: format!("lanes-{}", case.number),
        caption: "When it happened, by source".to_owned(),
        description: format!(
            "{} moments of {} sources, from {} to {} UTC.",
            known.len(),
            used.len(),
            stamp(crate::report::document::When(Some(begin))),
            stamp(crate::report::document::When(Some(end)))
        ),
        height: LANE * used.len() + AXIS,
        drawing: drawing(&known, &used, times),
        table: table(&["Time (UTC)", "Until", "Source", "What"], &rows),
    }
    .draw()
}

fn drawing(moments: &[&Moment], used: &[Lane], times: Times) -> Markup {
    html! {
        @for (n, l) in used.iter().enumerate() {
            @let y = n * LANE;
            text.tick x="0" y=(y + 13) { (l.name) }
            line.grid x1="0" x2="100%" y1=(y + 27) y2=(y + 27) {}
            @for m in moments.iter().filter(|m| lane(&m.source) == *l) {
                @let at = times.at(m.time.0.unwrap_or_default());
                @if let Some(until) = m.until.and_then(|t| t.0) {
                    rect class={ "span " (l.class) } x=(share(at)) y=(y + 23)
                        width=(share((times.at(until) - at).max(0.003))) height="8" rx="4" {}
                } @else {
                    circle class={ "dot " (l.class) } cx=(share(at)) cy=(y + 27) r="5" {}
                }
            }
        }
        line.axis x1="0" x2="100%" y1=(LANE * used.len()) y2=(LANE * used.len()) {}
        (time_ticks(times, LANE * used.len()))
    }
}
