//! Event times: the one form that AWS writes, fast; every other that has been met, patiently.

use crate::net::Seconds;

/// The seconds of an event time: RFC 3339, with a blank for `T` (Athena), and without a zone meaning UTC.
pub(super) fn parse_time(s: &str) -> Option<Seconds> {
    if let Some(t) = plain_time(s.as_bytes()) {
        return Some(t);
    }
    if s.len() < "2023-11-14 22:00".len() || s.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    if let Some(t) = crate::net::parse_rfc3339(s) {
        return Some(t);
    }
    let civil: jiff::civil::DateTime = s.parse().ok()?;
    u64::try_from(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()).ok()
}

/// The one form that AWS writes, `YYYY-MM-DDTHH:MM:SSZ`, without a calendar library.
fn plain_time(b: &[u8]) -> Option<Seconds> {
    let b: &[u8; 20] = b.try_into().ok()?;
    let shape = (b[4], b[7], b[10], b[13], b[16], b[19]) == (b'-', b'-', b'T', b':', b':', b'Z');
    let year = number(&b[0..4])?;
    let (month, day) = (number(&b[5..7])?, number(&b[8..10])?);
    let (hour, minute, second) = (number(&b[11..13])?, number(&b[14..16])?, number(&b[17..19])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let exists = year >= 1970 && (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 60;
    (shape && exists).then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// Days since 1970-01-01 of a date that exists, by Howard Hinnant's days_from_civil.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (y / 400, y % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_that_do_not_exist_are_none() {
        for bad in [
            "2023-13-01T00:00:00Z",
            "2023-02-30T00:00:00Z",
            "2023-11-14T25:00:00Z",
            "yesterday",
            "",
            "1700000000",
            "2023-11-14",
            "-2023-11-14T22:00:00Z",
            "2023-02-29T00:00:00Z",
            "20231114T220000Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_way_of_writing_a_time_is_read() {
        let expected = Some(1_699_999_200);
        for good in [
            "2023-11-14T22:00:00Z",
            "2023-11-14 22:00:00Z",
            "2023-11-14 22:00:00",
            "2023-11-14 22:00:00.000000000",
            "2023-11-14T22:00:00.000Z",
            "2023-11-14T23:00:00+01:00",
        ] {
            assert_eq!(parse_time(good), expected, "{good}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_clock_agrees_with_the_calendar(t in 0u64..253_402_300_800) {
            let text = crate::net::rfc3339(t);
            prop_assert_eq!(plain_time(text.as_bytes()), Some(t));
        }

        #[test]
        fn the_fast_clock_takes_only_what_the_calendar_takes(text in "(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z") {
            if let Some(t) = plain_time(text.as_bytes()) {
                prop_assert_eq!(crate::net::parse_rfc3339(&text), Some(t));
            }
        }
    }
}
