//! Names, times and counts in words, as a reader who is no engineer expects them.

use crate::net::{Seconds, human_bytes};
use crate::report::document::When;
use crate::report::grid::grouped;

/// Months, as they are written out.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `10 March 2026`.
pub fn date(t: When) -> String {
    let text = t.to_string();
    let mut parts = text.get(..10).unwrap_or_default().split('-');
    let year = parts.next().unwrap_or_default().to_owned();
    let month = parts.next().and_then(|m| m.parse::<usize>().ok());
    let month = month.and_then(|m| MONTHS.get(m.checked_sub(1)?));
    match (month, parts.next().and_then(|d| d.parse::<u8>().ok())) {
        (Some(month), Some(day)) => format!("{day} {month} {year}"),
        _ => text,
    }
}

/// `02:47`.
pub fn clock(t: When) -> String {
    t.to_string().get(11..16).unwrap_or("-").to_owned()
}

/// `2026-03-10 02:47:11`.
pub fn stamp(t: When) -> String {
    let text = t.to_string();
    text.get(..19).map_or_else(|| text.clone(), |cut| cut.replace('T', " "))
}

/// `on 10 March 2026, from 02:47 to 04:12 UTC`.
pub fn period(first: When, last: When) -> String {
    let (from, to) = (date(first), date(last));
    if from == to && clock(first) == clock(last) {
        format!("on {from} at {} UTC", clock(first))
    } else if from == to {
        format!("on {from}, from {} to {} UTC", clock(first), clock(last))
    } else {
        format!("from {from} {} to {to} {} UTC", clock(first), clock(last))
    }
}

/// `1 h 25 min`.
pub fn duration(seconds: Seconds) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (1, 0, _) => "1 day".to_owned(),
        (d, 0, _) => format!("{d} days"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// How a principal is called among people: `user j.rivera`, `role batch-worker`.
pub fn principal(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (Some(account), Some(resource)) = (parts.get(4), parts.get(5)) else {
        let number = !arn.is_empty() && arn.bytes().all(|b| b.is_ascii_digit());
        return if number {
            format!("account {arn}")
        } else {
            arn.to_owned()
        };
    };
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    let last = name.rsplit('/').next().unwrap_or(name);
    match kind {
        "root" => format!("the root user of account {account}"),
        "user" => format!("user {last}"),
        "role" => format!("role {last}"),
        "federated-user" => format!("federated user {last}"),
        "assumed-role" => match name.split_once('/') {
            Some((role, session)) => format!("role {role}, session {session}"),
            None => format!("role {name}"),
        },
        _ => (*resource).to_owned(),
    }
}

/// The shortest name that still tells principals apart: the part of the ARN behind its kind.
pub fn short(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let name = resource.split_once('/').map_or(resource, |(_, name)| name);
    name.to_owned()
}

/// `12,611 objects`, `2 addresses`.
pub fn count(n: u64, one: &str) -> String {
    let many = match (n, one.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{} {one}{many}", grouped(n.into()))
}

/// `5.47 GB`, or that nobody knows.
pub fn bytes(n: crate::report::document::Amount) -> String {
    n.0.map_or_else(|| "not observable".to_owned(), human_bytes)
}

/// A list's label as a reader says it.
pub fn label(label: &str) -> String {
    match label {
        "tor-exit" => "Tor exit node".to_owned(),
        "tor-guard" => "Tor guard".to_owned(),
        "tor-authority" => "Tor directory authority".to_owned(),
        other => other
            .strip_prefix("threat:")
            .map_or_else(|| other.to_owned(), |l| format!("on threat list {l}")),
    }
}

/// The first letter large.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> When {
        When(crate::net::parse_rfc3339(text))
    }

    #[test]
    fn times_are_written_out() {
        let (first, last) = (at("2026-03-10T02:47:11Z"), at("2026-03-10T04:12:38Z"));
        assert_eq!(period(first, last), "on 10 March 2026, from 02:47 to 04:12 UTC");
        let next = at("2026-03-11T00:00:00Z");
        assert_eq!(
            period(first, next),
            "from 10 March 2026 02:47 to 11 March 2026 00:00 UTC"
        );
        assert_eq!(stamp(first), "2026-03-10 02:47:11");
        assert_eq!(date(When(None)), "-");
        let spans = [5, 90, 3_600, 5_127, 86_400, 200_000].map(duration);
        assert_eq!(spans, ["5 s", "1 min", "1 h", "1 h 25 min", "1 day", "2 d 7 h"]);
    }

    #[test]
    fn principals_have_short_names() {
        let names = [
            "arn:aws:iam::111122223333:user/dev/j.rivera",
            "arn:aws:sts::111122223333:assumed-role/batch-worker/i-0eb",
            "arn:aws:iam::111122223333:root",
            "444455556666",
            "AROAEXAMPLE:x",
        ]
        .map(principal);
        assert_eq!(names[0], "user j.rivera");
        assert_eq!(names[1], "role batch-worker, session i-0eb");
        assert_eq!(names[2], "the root user of account 111122223333");
        assert_eq!(names[3], "account 444455556666");
        assert_eq!(names[4], "AROAEXAMPLE:x");
        assert_eq!(
            short("arn:aws:sts::1:assumed-role/batch-worker/i-0eb"),
            "batch-worker/i-0eb"
        );
    }
}
