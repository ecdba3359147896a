//! AWS's path layouts and file names to account, region, flow log and time; and which of them a time window can pass over.
//!
//! A flow log file stamped 16:20 holds records whose *end* lies in 16:20:00 to 16:24:59, or arrived late: a stamp is never
//! the time of the records. So `--from/--to` passes over only what lies a whole day beyond the window ([`LATE`]) or more
//! than a long aggregation window before it ([`EARLY`]), and never what has no date that AWS's layout would write.
//! Sources: "Flow log files" (Amazon VPC user guide), "CloudTrail log file examples" (CloudTrail user guide).

use crate::net::{Seconds, TimeWindow, parse_rfc3339};
use std::path::Path;

/// The length of a slot: AWS publishes flow logs every five minutes.
pub const SLOT: Seconds = 300;

/// How long after its stamp's time a record may still arrive and be wanted: one day.
pub const LATE: Seconds = 86_400;

/// How far before the window a file may be stamped and still hold a record that starts inside: the longest aggregation
/// window (600 s), the accuracy of `start` (60 s) and the slot itself, rounded up to a quarter of an hour.
pub const EARLY: Seconds = 900;

/// Which log a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogKind {
    /// VPC (or transit gateway) flow logs.
    FlowLog,
    /// CloudTrail events.
    Trail,
    /// CloudTrail digests, for the integrity of its log files.
    Digest,
    /// CloudTrail Insights.
    Insight,
}

/// What AWS writes into the name of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogName<'a> {
    /// The log.
    pub kind: LogKind,
    /// Account, 12 digits.
    pub account: &'a str,
    /// Region.
    pub region: &'a str,
    /// Flow log id (`fl-…`), or the trail's name of a digest; empty for CloudTrail events.
    pub log: &'a str,
    /// The time stamp: for flow logs the start of the slot in which the records ended, or were delivered.
    pub stamp: Seconds,
}

impl<'a> LogName<'a> {
    /// Reads the name of a file; folders in front of it are passed over. `None` if AWS does not write such names.
    pub fn parse(path: &'a str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let name = name.split('.').next()?;
        let mut parts = name.split('_');
        let account = parts.next().filter(|a| is_account(a))?;
        let kind = LogKind::of(parts.next()?)?;
        let region = parts.next().filter(|r| r.contains('-'))?;
        let rest = name
            .get(account.len() + 1..)?
            .split_once('_')?
            .1
            .get(region.len() + 1..)?;
        let (at, stamp) = find_stamp(rest)?;
        let log = rest.get(..at)?.trim_end_matches('_');
        let good = kind != LogKind::FlowLog || log.starts_with("fl-");
        good.then_some(LogName {
            kind,
            account,
            region,
            log,
            stamp,
        })
    }

    /// The seconds that the stamp covers.
    pub fn span(&self) -> TimeWindow {
        TimeWindow {
            from: self.stamp,
            to: self.stamp.saturating_add(SLOT),
        }
    }
}

impl LogKind {
    fn of(word: &str) -> Option<Self> {
        match word {
            "vpcflowlogs" => Some(LogKind::FlowLog),
            "CloudTrail" => Some(LogKind::Trail),
            "CloudTrail-Digest" => Some(LogKind::Digest),
            "CloudTrail-Insight" => Some(LogKind::Insight),
            _ => None,
        }
    }
}

/// The span of the date that a folder stands for: `…/vpcflowlogs/<region>/2026/03[/02[/07]]` or
/// `…/year=2026/month=03[/day=02[/hour=07]]`. `None` if its path does not say so in AWS's words.
pub fn folder_span(folder: &Path) -> Option<TimeWindow> {
    let parts: Vec<&str> = folder.iter().filter_map(|p| p.to_str()).collect();
    let hive = parts.iter().position(|p| p.starts_with("year="));
    let numbers: Vec<u32> = match hive {
        Some(at) => hive_numbers(parts.get(at..)?)?,
        None => plain_numbers(after_region(&parts)?)?,
    };
    span_of(&numbers)
}

/// True if nothing stamped inside `span` can hold a record that starts in `window`.
pub fn is_outside(span: &TimeWindow, window: &TimeWindow) -> bool {
    let wanted = TimeWindow {
        from: window.from.saturating_sub(EARLY),
        to: window.to.saturating_add(LATE),
    };
    !span.overlaps(&wanted)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The last part that reads `20260302T1620Z` (digests: with seconds), and where it begins.
fn find_stamp(text: &str) -> Option<(usize, Seconds)> {
    let mut found = None;
    let mut at = 0;
    for part in text.split('_') {
        if let Some(t) = stamp(part) {
            found = Some((at, t));
        }
        at += part.len() + 1;
    }
    found
}

fn stamp(text: &str) -> Option<Seconds> {
    let digits = text.strip_suffix('Z')?;
    let (day, time) = digits.split_once('T')?;
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if day.len() != 8 || !matches!(time.len(), 4 | 6) || !plain(day) || !plain(time) {
        return None;
    }
    let two = |t: &str, at: usize| t.get(at..at + 2).map_or(Some(0), |t| t.parse::<i8>().ok());
    let year = i16::from(two(day, 0)?) * 100 + i16::from(two(day, 2)?);
    let (month, day) = (two(day, 4)?, two(day, 6)?);
    let time = [two(time, 0)?, two(time, 2)?, two(time, 4)?];
    let time = jiff::civil::DateTime::new(year, month, day, time[0], time[1], time[2], 0).ok()?;
    let time = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    Seconds::try_from(time.as_second()).ok()
}

/// What follows `<log>/<region>/` in AWS's plain layout.
fn after_region<'p, 'a>(parts: &'p [&'a str]) -> Option<&'p [&'a str]> {
    let log = |p: &&str| *p == "vpcflowlogs" || p.starts_with("CloudTrail");
    let at = parts.iter().rposition(log)?;
    parts.get(at + 2..)
}

fn plain_numbers(parts: &[&str]) -> Option<Vec<u32>> {
    let width = |i: usize| if i == 0 { 4 } else { 2 };
    let number = |(i, p): (usize, &&str)| number(p, width(i));
    parts.iter().enumerate().map(number).collect()
}

fn hive_numbers(parts: &[&str]) -> Option<Vec<u32>> {
    const KEYS: [(&str, usize); 4] = [("year=", 4), ("month=", 2), ("day=", 2), ("hour=", 2)];
    if parts.len() > KEYS.len() {
        return None;
    }
    let number = |(part, (key, width)): (&&str, (&str, usize))| number(part.strip_prefix(key)?, width);
    parts.iter().zip(KEYS).map(number).collect()
}

fn number(text: &str, width: usize) -> Option<u32> {
    let plain = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// The span of a year, month, day or hour.
fn span_of(numbers: &[u32]) -> Option<TimeWindow> {
    let start = |y: u32, m: u32, d: u32, h: u32| parse_rfc3339(&format!("{y:04}-{m:02}-{d:02}T{h:02}:00:00Z"));
    let (from, to) = match *numbers {
        [y] => (start(y, 1, 1, 0)?, start(y + 1, 1, 1, 0)?),
        [y, 12] => (start(y, 12, 1, 0)?, start(y + 1, 1, 1, 0)?),
        [y, m] => (start(y, m, 1, 0)?, start(y, m + 1, 1, 0)?),
        [y, m, d] => start(y, m, d, 0).map(|t| (t, t + 86_400))?,
        [y, m, d, h] => start(y, m, d, h).map(|t| (t, t + 3_600))?,
        _ => return None,
    };
    Some(TimeWindow { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Seconds {
        parse_rfc3339(text).unwrap()
    }

    fn span(path: &str) -> Option<(String, String)> {
        folder_span(Path::new(path)).map(|s| (crate::net::rfc3339(s.from), crate::net::rfc3339(s.to)))
    }

    #[test]
    fn names_of_all_logs_are_read() {
        let flow = "AWSLogs/1/x/123456789012_vpcflowlogs_us-east-1_fl-0ab_20260302T1620Z_89b7af87.log.gz";
        let name = LogName::parse(flow).unwrap();
        assert_eq!(name.kind, LogKind::FlowLog);
        assert_eq!(
            (name.account, name.region, name.log),
            ("123456789012", "us-east-1", "fl-0ab")
        );
        assert_eq!(name.stamp, at("2026-03-02T16:20:00Z"));

        let trail = LogName::parse("123456789012_CloudTrail_us-east-1_20260302T1620Z_AbC.json.gz").unwrap();
        assert_eq!((trail.kind, trail.log), (LogKind::Trail, ""));

        let digest = "123456789012_CloudTrail-Digest_us-east-2_my_own_trail_us-east-1_20260302T162007Z.json.gz";
        let digest = LogName::parse(digest).unwrap();
        assert_eq!((digest.kind, digest.region), (LogKind::Digest, "us-east-2"));
        assert_eq!(
            (digest.log, digest.stamp),
            ("my_own_trail_us-east-1", at("2026-03-02T16:20:07Z"))
        );
    }

    #[test]
    fn other_names_are_nobodys() {
        for other in [
            "flow.log",
            "12345_vpcflowlogs_us-east-1_fl-1_20260302T1620Z_x.log",
            "123456789012_vpcflowlogs_us-east-1_fl-1_20261302T1620Z_x.log",
            "123456789012_vpcflowlogs_us-east-1_fl-1_2026T1620Z_x.log",
            "123456789012_vpcflowlogs_us-east-1_20260302T1620Z.log",
            "123456789012_vpcflowlogs",
            "123456789012_vpcflowlogs_é_fl-1",
            "___",
            "",
        ] {
            assert_eq!(LogName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn folders_of_all_layouts_have_a_span() {
        let day = Some(("2026-12-31T00:00:00Z".to_string(), "2027-01-01T00:00:00Z".to_string()));
        assert_eq!(span("b/AWSLogs/1/vpcflowlogs/us-east-1/2026/12/31"), day);
        let hive = "b/AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=x/year=2026/month=12/day=31";
        assert_eq!(span(hive), day);
        assert_eq!(span(&format!("{hive}/hour=07")).unwrap().0, "2026-12-31T07:00:00Z");
        assert_eq!(
            span("AWSLogs/1/vpcflowlogs/us-east-1/2026/12").unwrap().1,
            "2027-01-01T00:00:00Z"
        );
        assert_eq!(
            span("AWSLogs/1/CloudTrail/us-east-1/2026").unwrap().1,
            "2027-01-01T00:00:00Z"
        );
        for other in [
            "logs/2026/12/31",
            "AWSLogs/1/vpcflowlogs",
            "AWSLogs/1/vpcflowlogs/us-east-1",
            "x/year=26",
            "AWSLogs/1/vpcflowlogs/us-east-1/2026/13/01",
            "AWSLogs/1/vpcflowlogs/us-east-1/old/12",
            "AWSLogs/1/vpcflowlogs/us-east-1/2026/02/30",
        ] {
            assert_eq!(span(other), None, "{other}");
        }
    }

    #[test]
    fn late_files_and_long_windows_are_not_passed_over() {
        let window = TimeWindow {
            from: at("2026-03-02T16:00:00Z"),
            to: at("2026-03-02T17:00:00Z"),
        };
        let outside = |t: &str| {
            let from = at(t);
            is_outside(&TimeWindow { from, to: from + SLOT }, &window)
        };
        assert!(
            !outside("2026-03-02T15:50:00Z"),
            "a record that started at 16:00 may end in an earlier slot by clock skew"
        );
        assert!(!outside("2026-03-03T16:55:00Z"), "a day late");
        assert!(outside("2026-03-02T15:35:00Z"));
        assert!(outside("2026-03-03T17:00:00Z"));
    }
}
