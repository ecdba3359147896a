//! Plain lists: one address or CIDR a line, as Tor's bulk list, ipsum and firehol publish them.
//!
//! `line = [ entry ] [ blanks ] [ ("#" | ";") … ]`, `entry = address [ "/" digits ] [ TAB score ]`; CRLF, blank lines and
//! a byte order mark are accepted, anything else rejects the line by its number. Comments of the head may carry a date,
//! which serves to warn of a list that is older than the flows.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, digit1, one_of};
use nom::combinator::{all_consuming, opt, rest};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::list::ListInfo;
use super::prefix::{Prefix, network};
use crate::net::printable;

/// All prefixes of a plain list; bad lines are counted in `info`.
pub(super) fn addresses(bytes: &[u8], info: &mut ListInfo) -> Vec<Prefix> {
    let mut out = Vec::new();
    for (number, line) in lines(bytes) {
        match entry_line(line) {
            Ok((_, Some(prefix))) => out.push(accept(prefix, number, info)),
            Ok((_, None)) => note_date(line, info),
            Err(_) => info.reject(&number.to_string(), &not_an_address(line)),
        }
    }
    out
}

fn accept(prefix: Prefix, line: u64, info: &mut ListInfo) -> Prefix {
    info.good += 1;
    if prefix.is_huge() {
        info.warnings.push(format!(
            "{}:{line}: a very wide block: it names a good part of the internet",
            info.source
        ));
    }
    prefix
}

/// `[ entry ] blanks [ comment ]`; none for a line without an entry.
pub(super) fn entry_line(i: &[u8]) -> IResult<&[u8], Option<Prefix>> {
    let comment = preceded(one_of("#;"), rest);
    let line = (blanks, opt(entry), blanks, opt(comment)).map(|(_, prefix, _, _)| prefix);
    all_consuming(line).parse(i)
}

/// `network [ TAB score ]`: ipsum counts in a second column on how many lists an address stands.
fn entry(i: &[u8]) -> IResult<&[u8], Prefix> {
    terminated(network.map(Prefix::from), opt(preceded(char('\t'), digit1))).parse(i)
}

fn blanks(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|b| b == b' ' || b == b'\t').parse(i)
}

/// The reason given for a line that is no entry; its text is shortened and made safe.
pub(super) fn not_an_address(line: &[u8]) -> String {
    let shown = line.get(..60).unwrap_or(line);
    format!("not an address or CIDR: `{}`", printable(shown))
}

/// The lines of a text with their numbers, without byte order mark, LF and CRLF.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = without_bom(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let rows = bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    rows.zip(1u64..).map(|(line, n)| (n, line))
}

/// The text after a UTF-8 byte order mark.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Takes the first date that a comment carries: `# Last update: Sat, 22 Aug 2026 03:00:29 +0200`.
fn note_date(line: &[u8], info: &mut ListInfo) {
    if info.date.is_none() && info.good == 0 && line.len() < 200 {
        info.date = std::str::from_utf8(line).ok().and_then(comment_date);
    }
}

fn comment_date(line: &str) -> Option<String> {
    let (_, text) = line.split_once(": ")?;
    written_date(text.trim()).map(|t| t.to_string())
}

/// A date as lists write it: RFC 2822, RFC 3339, `2026-08-22 15:00:00` (UTC), or that of `date` in the C locale.
pub(super) fn written_date(text: &str) -> Option<jiff::Timestamp> {
    let utc = |t: jiff::civil::DateTime| t.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp());
    let rfc2822 = jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp());
    rfc2822
        .or_else(|| text.parse().ok())
        .or_else(|| text.parse().ok().and_then(utc))
        .or_else(|| {
            jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S UTC %Y", text)
                .ok()
                .and_then(utc)
        })
}

#[cfg(test)]
mod tests {
    use super::super::list::{ListInfo, ListKind};
    use super::*;

    fn read(text: &[u8]) -> (Vec<Prefix>, ListInfo) {
        let mut info = ListInfo::not_loaded(ListKind::Threat);
        let prefixes = addresses(text, &mut info);
        info.finish(prefixes.len() as u64);
        (prefixes, info)
    }

    #[test]
    fn scores_comments_and_crlf_are_read() {
        let (prefixes, info) = read(b"\xef\xbb\xbf# Last update: Sat, 22 Aug 2026 03:00:29 +0200\r\n\r\n77.90.185.20\t10\r\n ::1 ; own\n192.0.2.0/24");
        assert_eq!((prefixes.len(), info.good, info.rejected), (3, 3, 0));
        assert_eq!(info.date.as_deref(), Some("2026-08-22T01:00:29Z"));
        assert!(info.file_error.is_none());
    }

    #[test]
    fn bad_lines_are_named_and_a_list_of_them_is_an_error() {
        let (_, info) = read(b"203.0.113.5\n203.0.113.6\n10.0.0.1 10.0.0.2\nexample.\x1bcom\n");
        assert_eq!(
            info.warnings,
            [
                "-:3: not an address or CIDR: `10.0.0.1 10.0.0.2`",
                "-:4: not an address or CIDR: `example.\\x1bcom`"
            ]
        );
        assert!(info.file_error.is_none(), "as many bad as good still serves");
        let (_, info) = read(b"203.0.113.5\nx\ny\n");
        assert!(
            info.file_error
                .unwrap()
                .starts_with("more bad than good entries (2 bad, 1 good); first: -:2:")
        );
        assert!(read(b"").1.file_error.is_some());
    }

    #[test]
    fn a_block_that_names_everybody_is_warned_of() {
        assert!(read(b"0.0.0.0/0").1.warnings[0].contains(":1: a very wide block"));
    }

    #[test]
    fn dates_of_the_usual_lists() {
        for text in [
            "Sat, 22 Aug 2026 03:00:29 +0000",
            "2026-08-22T03:00:29Z",
            "2026-08-22 03:00:29",
            "Sat Aug 22 03:00:29 UTC 2026",
        ] {
            assert_eq!(written_date(text).unwrap().to_string(), "2026-08-22T03:00:29Z");
        }
    }

    /// The slow, obviously right twin of [`entry_line`]: cut, trim, ask the standard library.
    fn naive(line: &str) -> Result<Option<Prefix>, ()> {
        let text = line
            .split(['#', ';'])
            .next()
            .unwrap_or_default()
            .trim_matches([' ', '\t']);
        if text.is_empty() {
            return Ok(None);
        }
        let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let text = text
            .split_once('\t')
            .filter(|(_, score)| number(score))
            .map_or(text, |(network, _)| network);
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        if length.is_some_and(|l| !number(l)) {
            return Err(());
        }
        let address: std::net::IpAddr = address.parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), str::parse).map_err(|_| ())?;
        ipnetwork::IpNetwork::new(address, length)
            .map(|n| Some(n.into()))
            .map_err(|_| ())
    }

    proptest::proptest! {
        #[test]
        fn a_line_means_what_it_obviously_means(line in "[ \t]{0,2}(([0-9]{1,3}\\.){3}|[0-9a-f:]{0,4}::)([0-9]{1,3}|[0-9a-f:.]{0,9})(/[0-9]{0,4})?[ \t]{0,2}[0-9]{0,3}[ \t]{0,1}([#;].{0,9})?") {
            let read = entry_line(line.as_bytes()).map(|(_, p)| p).map_err(|_| ());
            proptest::prop_assert_eq!(read, naive(&line), "{:?}", line);
        }

        #[test]
        fn any_bytes_are_counted_line_by_line(bytes in proptest::collection::vec(proptest::sample::select(b"1.2:/#\n\r\t \xef\xbb\xbf".to_vec()), 0..200)) {
            let (_, info) = read(&bytes);
            let content = lines(&bytes).filter(|(_, l)| !matches!(naive(&String::from_utf8_lossy(l)), Ok(None))).count() as u64;
            proptest::prop_assert_eq!(info.good + info.rejected, content);
        }
    }
}
