//! Egress over time beside what was usual, with the incident marked.
//!
//! The band goes up to the high value of the past at that time of day; hours of the incident stand out in colour.

use maud::{Markup, html};

use super::scale::{Amounts, Times};
use super::{Picture, share, table};
use crate::net::{HOUR, Seconds, human_bytes};
use crate::report::document::{self, Series, When};
use crate::report::story::Case;
use crate::report::story::words::{short, stamp};

/// Series drawn of one incident.
const DRAWN: usize = 3;

/// How long before an incident the picture begins, and how long after it ends, in hours.
const BEFORE: u64 = 7 * 24;
const AFTER: u64 = 24;

/// Rows of the table behind it.
const ROWS: usize = 72;

/// Height of the plot, its upper edge, and of the whole, in pixels.
const PLOT: usize = 190;
const TOP: usize = 26;
const HEIGHT: usize = TOP + PLOT + 24;

/// One hour: its start, bytes, usual and high.
struct Hour {
    start: Seconds,
    moved: u128,
    usual: Option<u128>,
    high: Option<u128>,
}

/// What is drawn of a series.
struct Plot {
    hours: Vec<Hour>,
    times: Times,
    amounts: Amounts,
    /// First and last second of the incident.
    during: (Seconds, Seconds),
    /// Distance of two hours, in parts of a thousand.
    step: f64,
}

/// The pictures of an incident's series.
pub(in crate::report::html) fn pictures(case: &Case<'_>) -> Markup {
    let drawn = case.series.iter().take(DRAWN).enumerate();
    html! {
        @for (n, series) in drawn {
            @if let Some(plot) = Plot::of(series, case) { (plot.picture(series, case, n)) }
        }
    }
}

impl Plot {
    fn of(series: &Series, case: &Case<'_>) -> Option<Plot> {
        let (first, last) = (case.incident.first_seen.0?, case.incident.last_seen.0?);
        let from = (first / HOUR).saturating_sub(BEFORE) * HOUR;
        let to = last.saturating_add(AFTER * HOUR);
        let hour = |(start, moved, usual, high): &document::Hour| {
            Some(Hour {
                start: start.0?,
                moved: moved.get(),
                usual: usual.0,
                high: high.0,
            })
        };
        let hours: Vec<Hour> = series
            .hours
            .iter()
            .filter_map(hour)
            .filter(|h| (from..=to).contains(&h.start))
            .collect();
        let (begin, end) = (hours.first()?.start, hours.last()?.start.saturating_add(HOUR));
        let most = hours.iter().map(|h| h.moved).max()?;
        let usual = hours.iter().filter_map(|h| h.high).max().unwrap_or(0);
        let times = Times::new(begin, end);
        Some(Plot {
            amounts: Amounts::beside(most, usual),
            step: 1_000.0 * (times.at(begin + HOUR) - times.at(begin)),
            during: (first / HOUR * HOUR, last),
            hours,
            times,
        })
    }

    fn picture(&self, series: &Series, case: &Case<'_>, n: usize) -> Markup {
        let whose = match (&series.eni, &series.principal) {
            (Some(eni), _) => format!("Egress of {eni} to {}", series.channel),
            (None, Some(arn)) => format!("{} {} by hour", short(arn), series.channel),
            _ => "Egress by hour".to_owned(),
        };
        let peak = self.peak();
        let description = format!(
            "{} hours. In the incident the busiest hour had {}; usual at that time are {}, and {} would be high.",
            self.hours.len(),
            peak.map_or_else(|| "nothing".to_owned(), |h| human_bytes(h.moved)),
            known(peak.and_then(|h| h.usual)),
            known(peak.and_then(|h| h.high)),
        );
        let scale = if self.amounts.is_log() {
            ", logarithmic scale"
        } else {
            ""
        };
        Picture {
            id: format!("egress-{}-{n}", case.number),
            caption: format!("{whose}, beside what was usual{scale}"),
            description,
            height: HEIGHT,
            drawing: self.drawing(),
            table: self.table(),
        }
        .draw()
    }

    fn is_of_incident(&self, h: &Hour) -> bool {
        (self.during.0..=self.during.1).contains(&h.start)
    }

    /// The busiest hour of the incident.
    fn peak(&self) -> Option<&Hour> {
        let of = self.hours.iter().filter(|h| self.is_of_incident(h));
        of.max_by_key(|h| (h.moved, std::cmp::Reverse(h.start)))
    }

    fn drawing(&self) -> Markup {
        let (begin, end) = (self.times.at(self.during.0), self.times.at(self.during.1));
        let width = (end - begin).max(0.004);
        html! {
            rect.incident x=(share(begin)) y=(TOP) width=(share(width)) height=(PLOT) {}
            svg x="0" y=(TOP) width="100%" height=(PLOT) viewBox="0 0 1000 1000" preserveAspectRatio="none" {
                path.band d=(self.band()) {}
                path.bars d=(self.bars(false)) {}
                path.bars.marked d=(self.bars(true)) {}
                path.edge d=(self.edge()) {}
            }
            @for (at, words) in self.amounts.ticks() {
                @let y = TOP as f64 + (1.0 - at) * PLOT as f64;
                line.grid x1="0" x2="100%" y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
                text.tick.over x="2" y=(format!("{:.1}", y - 3.0)) { (words) }
            }
            line.axis x1="0" x2="100%" y1=(TOP + PLOT) y2=(TOP + PLOT) {}
            (time_ticks(self.times, TOP + PLOT))
            (self.note())
        }
    }

    /// The words at the busiest hour.
    fn note(&self) -> Markup {
        let Some(peak) = self.peak() else { return html! {} };
        let at = self.times.at(peak.start.saturating_add(HOUR / 2));
        let (anchor, dx) = match at {
            at if at > 0.6 => ("end", "4"),
            at if at < 0.4 => ("start", "-4"),
            _ => ("middle", "0"),
        };
        let usual = peak.high.map(|h| format!(", usual up to {}", human_bytes(h)));
        let words = format!(
            "{}{}",
            human_bytes(peak.moved),
            usual.unwrap_or_else(|| " in one hour".to_owned())
        );
        html! { text.peak.over x=(share(at)) dx=(dx) y=(TOP - 9) text-anchor=(anchor) { (words) } }
    }

    fn x(&self, t: Seconds) -> f64 {
        1_000.0 * self.times.at(t)
    }

    fn y(&self, amount: u128) -> f64 {
        1_000.0 * (1.0 - self.amounts.at(amount))
    }

    /// A rectangle for each hour, of the incident or of the others.
    fn bars(&self, marked: bool) -> String {
        let gap = self.step * 0.12;
        let wanted = self
            .hours
            .iter()
            .filter(|h| self.is_of_incident(h) == marked && h.moved > 0);
        wanted
            .map(|h| {
                let (x, y) = (self.x(h.start) + gap, self.y(h.moved));
                format!("M{x:.1} 1000V{y:.1}h{:.1}V1000z", self.step - 2.0 * gap)
            })
            .collect()
    }

    /// The area below the high value, hour by hour; between hours without traffic it goes on as it was.
    fn band(&self) -> String {
        let line = self.outline();
        if line.is_empty() {
            line
        } else {
            format!("{line}V1000H{:.1}z", self.known_from())
        }
    }

    /// The upper edge of the band.
    fn edge(&self) -> String {
        self.outline()
    }

    fn known_from(&self) -> f64 {
        let first = self.hours.iter().find(|h| h.high.is_some());
        first.map_or(0.0, |h| self.x(h.start))
    }

    fn outline(&self) -> String {
        let mut out = String::new();
        for h in self.hours.iter().filter(|h| h.high.is_some()) {
            let y = self.y(h.high.unwrap_or(0));
            let start = if out.is_empty() {
                format!("M{:.1} {y:.1}", self.x(h.start))
            } else {
                format!("H{:.1}V{y:.1}", self.x(h.start))
            };
            out.push_str(&start);
        }
        if !out.is_empty() {
            out.push_str("H1000");
        }
        out
    }

    /// The hours around the incident.
    fn table(&self) -> Markup {
        let near = |h: &&Hour| {
            let (from, to) = (
                self.during.0.saturating_sub(12 * HOUR),
                self.during.1.saturating_add(12 * HOUR),
            );
            (from..=to).contains(&h.start)
        };
        let row = |h: &Hour| {
            let mark = if self.is_of_incident(h) { "incident" } else { "" };
            let start = stamp(When(Some(h.start)));
            vec![
                start,
                human_bytes(h.moved),
                known(h.usual),
                known(h.high),
                mark.to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = self.hours.iter().filter(near).take(ROWS).map(row).collect();
        table(&["Hour (UTC)", "Moved", "Usual", "High", ""], &rows)
    }
}

fn known(amount: Option<u128>) -> String {
    amount.map_or_else(|| "not known".to_owned(), human_bytes)
}

/// Ticks of time below a plot.
pub(super) fn time_ticks(times: Times, y: usize) -> Markup {
    html! {
        @for (n, (at, words)) in times.ticks().iter().enumerate() {
            @let anchor = if *at < 0.05 { "start" } else if *at > 0.95 { "end" } else { "middle" };
            line.axis x1=(share(*at)) x2=(share(*at)) y1=(y) y2=(y + 4) {}
            text class=(if n % 2 == 0 { "tick" } else { "tick wide" }) x=(share(*at)) y=(y + 18) text-anchor=(anchor) { (words) }
        }
    }
}
