//! Ground floor: the small `Copy` values that every room speaks, and how they are written for people.
//!
//! An address is kept as one 128-bit number ([`Addr`]), IPv4 inside the IPv4-mapped range (RFC 4291 §2.5.5.2), so that
//! both families share every table. Times are whole seconds since 1970-01-01T00:00:00Z, as flow logs give them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address as one number; IPv4 is IPv4-mapped, and a mapped address *is* that IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Addr(pub u128);

const V4_MAPPED: u128 = 0xffff_0000_0000;

impl Addr {
    /// The address of an IPv4 number in host order.
    #[inline]
    pub const fn v4(n: u32) -> Self {
        Addr(V4_MAPPED | n as u128)
    }

    /// True for IPv4, also when it was written as an IPv4-mapped IPv6 address.
    #[inline]
    pub const fn is_v4(self) -> bool {
        self.0 >> 32 == V4_MAPPED >> 32
    }

    /// The IPv4 number in host order, if this is IPv4.
    #[inline]
    pub const fn as_v4(self) -> Option<u32> {
        if self.is_v4() { Some(self.0 as u32) } else { None }
    }

    /// The standard library's form; IPv4-mapped becomes IPv4.
    pub fn ip(self) -> IpAddr {
        match self.as_v4() {
            Some(n) => IpAddr::V4(Ipv4Addr::from(n)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => Addr::v4(a.into()),
            IpAddr::V6(a) => Addr(a.into()),
        }
    }
}

impl std::str::FromStr for Addr {
    type Err = std::net::AddrParseError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<IpAddr>().map(Addr::from)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl serde::Serialize for Addr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What kind of destination an address is (design.md, counting rule 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Inside the organisation: private ranges and what `--home` names.
    Home,
    /// Amazon S3, by its published prefixes or a prefix list.
    S3,
    /// Another AWS service.
    Aws,
    /// Everybody else.
    #[default]
    External,
    /// Link-local, multicast, loopback, metadata: never egress.
    Special,
}

impl Class {
    /// All classes, in the order in which they are printed.
    pub const ALL: [Class; 5] = [Class::Home, Class::S3, Class::Aws, Class::External, Class::Special];

    /// The name used in options, filters and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Home => "home",
            Class::S3 => "s3",
            Class::Aws => "aws",
            Class::External => "external",
            Class::Special => "special",
        }
    }

    /// True if bytes to such a peer left the organisation's own network.
    pub const fn is_egress(self) -> bool {
        !matches!(self, Class::Home | Class::Special)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Class {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Class::ALL
            .into_iter()
            .find(|c| c.as_str() == s)
            .ok_or_else(|| format!("unknown class `{s}`"))
    }
}

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(pub [u8; 2]);

impl Country {
    /// The code of a two-letter text, if it is one.
    pub fn parse(s: &str) -> Option<Self> {
        match *s.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Seconds since the epoch, UTC. Flow logs allow any 63-bit value, so this is wider than calendars are.
pub type Seconds = u64;

/// Length of the window of all baselines, in seconds.
pub const HOUR: Seconds = 3_600;

/// A half-open span of time `[from, to)` in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeWindow {
    /// First second inside.
    pub from: Seconds,
    /// First second after.
    pub to: Seconds,
}

impl TimeWindow {
    /// Everything.
    pub const ALL: TimeWindow = TimeWindow {
        from: 0,
        to: Seconds::MAX,
    };

    /// True if `t` lies inside.
    #[inline]
    pub const fn contains(&self, t: Seconds) -> bool {
        self.from <= t && t < self.to
    }

    /// The same span with `slack` seconds added at both ends.
    #[must_use]
    pub const fn widen(&self, slack: Seconds) -> Self {
        TimeWindow {
            from: self.from.saturating_sub(slack),
            to: self.to.saturating_add(slack),
        }
    }

    /// True if both ends are full hours, or no ends at all.
    pub const fn is_by_the_hour(&self) -> bool {
        self.is_by(HOUR)
    }

    /// True if it cuts no day of UTC in two.
    pub const fn is_by_the_day(&self) -> bool {
        self.is_by(24 * HOUR)
    }

    const fn is_by(&self, step: Seconds) -> bool {
        self.from.is_multiple_of(step) && (self.to == Seconds::MAX || self.to.is_multiple_of(step))
    }

    /// True if the two spans share a second.
    pub const fn overlaps(&self, other: &TimeWindow) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// The time as RFC 3339 in UTC; beyond the year 9999 as `@seconds`, since no calendar holds it.
pub fn rfc3339(t: Seconds) -> String {
    Stamp::of(t).as_str().to_owned()
}

/// A time as [`rfc3339`] writes it, without memory of its own.
///
/// Tables have two or three in each of their rows: digits are set where they belong, and the library's way is the tests'.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    text: [u8; Stamp::LONGEST],
    length: usize,
}

impl Stamp {
    const LONGEST: usize = "@18446744073709551615".len();

    /// The stamp of a time.
    pub fn of(t: Seconds) -> Self {
        const DAY: Seconds = 24 * HOUR;
        /// The last that `parse_rfc3339` reads.
        const LAST: Seconds = 253_402_207_200;
        let mut text = *b"0000-00-00T00:00:00Z@";
        if t > LAST {
            text.rotate_right(1);
            let (_, room) = text.split_at_mut(1);
            let length = 1 + decimal(t, room);
            return Stamp { text, length };
        }
        let (year, month, day) = date_of(t / DAY);
        let parts = [
            year / 100,
            year % 100,
            month,
            day,
            t % DAY / HOUR,
            t % HOUR / 60,
            t % 60,
        ];
        for (at, n) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
            text[at] += (n / 10) as u8;
            text[at + 1] += (n % 10) as u8;
        }
        let length = text.len() - 1;
        Stamp { text, length }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.length);
        text.and_then(|t| std::str::from_utf8(t).ok()).unwrap_or_default()
    }
}

/// Writes a number's decimal digits to the start of `room`, which takes 20; tells how many there are.
pub fn decimal(mut n: u64, room: &mut [u8]) -> usize {
    let length = n.checked_ilog10().map_or(1, |log| log as usize + 1);
    for digit in room.iter_mut().take(length).rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    length
}

/// Year, month and day of the Gregorian calendar, so many days after the first of January 1970: years are counted from March
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
const fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let january = month >= 10;
    let (month, year) = if january {
        (month - 9, year + 1)
    } else {
        (month + 3, year)
    };
    (year + 400 * era, month, day)
}

/// Reads an RFC 3339 time (a blank in place of `T` is accepted, as Athena exports have it); fractions are cut off.
pub fn parse_rfc3339(s: &str) -> Option<Seconds> {
    let ts: jiff::Timestamp = s.parse().ok()?;
    u64::try_from(ts.as_second()).ok()
}

/// Bytes for people: decimal units (AWS bills and SEED's report count in GB = 10^9), three digits.
pub fn human_bytes(n: u128) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let exponent = (n.ilog10() as usize / 3).min(UNITS.len() - 1);
    let value = n as f64 / 1_000f64.powi(exponent as i32);
    let digits = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS[exponent])
}

/// Untrusted text made safe for a terminal or a log line: control characters, DEL, C1, line separators, bidirectional
/// and zero-width characters are shown as escapes; bytes that are not UTF-8 as `\xNN`.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    if let Some(plain) = str::from_utf8(bytes)
        .ok()
        .filter(|_| bytes.iter().all(|b| (b' '..0x7f).contains(b)))
    {
        out.push_str(plain);
        return out;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_printable(&mut out, c);
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out
}

fn push_printable(out: &mut String, c: char) {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}' | '\u{00ad}')
        || matches!(c, '\u{e0000}'..='\u{e007f}' | '\u{fff9}'..='\u{fffb}');
    match c {
        '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
        '\u{80}'..='\u{9f}' => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        _ if hidden => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        _ => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let a: Addr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(a, "192.0.2.1".parse().unwrap());
        assert_eq!(a.to_string(), "192.0.2.1");
        assert!(!"2001:db8::1".parse::<Addr>().unwrap().is_v4());
    }

    #[test]
    fn times_beyond_the_calendar_are_still_shown() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        let of_library = |t: u64| jiff::Timestamp::from_second(t as i64).ok().map(|t| t.to_string());
        let times = (0..253_402_207_200)
            .step_by(86_399 * 7)
            .chain(253_402_207_198..253_402_207_205);
        for t in times {
            assert_eq!(rfc3339(t), of_library(t).unwrap_or(format!("@{t}")));
        }
        for t in [253_402_207_201, 10u64.pow(12), u64::MAX] {
            assert_eq!(rfc3339(t), format!("@{t}"));
        }
        assert_eq!(
            parse_rfc3339("2023-07-10 11:42:18Z"),
            parse_rfc3339("2023-07-10T11:42:18.9Z")
        );
    }

    #[test]
    fn decimal_digits_are_those_of_the_library() {
        for n in (0..=20).flat_map(|e| [0, 1, 9].map(|m| 10u64.saturating_pow(e).saturating_sub(1).saturating_add(m))) {
            let mut room = [0; 20];
            let length = decimal(n, &mut room);
            assert_eq!(std::str::from_utf8(&room[..length]).unwrap(), n.to_string());
        }
    }

    #[test]
    fn bytes_are_rounded_to_three_digits() {
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(4_700_000_000), "4.70 GB");
        assert_eq!(human_bytes(1 << 64), "18.4 EB");
    }

    #[test]
    fn hostile_text_cannot_reach_the_terminal() {
        assert_eq!(printable(b"a\x1b[31m\n\xff"), "a\\x1b[31m\\x0a\\xff");
        assert_eq!(printable("\u{202e}é\u{85}".as_bytes()), "\\u{202e}é\\u{85}");
    }
}
