//! Tor relay lists in the forms in which they are published, told apart by content.
//!
//! The bulk list (an address a line), TorDNSEL's `ExitAddress` lines, Onionoo's details document (JSON), and tables with a
//! column of flags (CSV with a header, or `|` with flag letters). Entry and exit are different roles: exits call us,
//! guards and authorities are what an inside host connects to. Where relays carry flags, only those of the role asked
//! for are taken; where they carry none, the file is what the option says.
//! <https://metrics.torproject.org/onionoo.html#details>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::ListInfo;
use super::prefix::Prefix;
use super::text::{self, lines, without_bom, written_date};
use crate::net::Addr;

/// What a Tor list says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Relays {
    /// Addresses of the role asked for.
    pub(super) asked: Vec<Prefix>,
    /// Directory authorities, where flags tell them.
    pub(super) authorities: Vec<Prefix>,
}

/// The role for which a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `--tor-exits`.
    Exit,
    /// `--tor-guards`.
    Guard,
}

/// One relay with flags; none of them set is a relay in the middle.
#[derive(Debug, Default)]
struct Relay {
    addresses: Vec<Addr>,
    /// Where its exit traffic comes from, if not from `addresses` alone.
    exit_addresses: Vec<Addr>,
    exit: bool,
    guard: bool,
    authority: bool,
}

/// Reads a list of any of the forms; bad entries are counted in `info`.
pub(super) fn relays(bytes: &[u8], role: Role, info: &mut ListInfo) -> Relays {
    let mut out = Relays::default();
    if without_bom(bytes).trim_ascii_start().starts_with(b"{") {
        onionoo(bytes, role, info, &mut out);
    } else {
        let first = first_line(bytes);
        if first.starts_with(b"ExitNode ") || first.starts_with(b"ExitAddress ") {
            exit_addresses(bytes, info, &mut out);
        } else if let Some(columns) = Columns::of(first) {
            table(bytes, &columns, role, info, &mut out);
        } else {
            out.asked = text::addresses(bytes, info);
        }
    }
    if out.asked.is_empty() && info.good > 0 && info.file_error.is_none() {
        info.file_error = Some(format!("none of its {} relays carries the flag {role:?}", info.good));
    }
    out
}

/// The first line that is not blank and no comment.
fn first_line(bytes: &[u8]) -> &[u8] {
    lines(bytes).map(|(_, l)| l).find(|l| is_content(l)).unwrap_or_default()
}

/// Neither blank nor a comment (`#`, `;`, and `<!--` as around dan.me.uk's list).
fn is_content(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    !line.is_empty() && ![b"#".as_slice(), b";", b"<!--"].iter().any(|c| line.starts_with(c))
}

impl Relays {
    fn take(&mut self, relay: Relay, role: Role) {
        let wanted = match role {
            Role::Exit => relay.exit,
            Role::Guard => relay.guard,
        };
        if wanted {
            let exits = relay.exit_addresses.iter().filter(|_| role == Role::Exit);
            self.asked
                .extend(relay.addresses.iter().chain(exits).map(|a| Prefix::from(*a)));
        }
        if relay.authority {
            self.authorities.extend(relay.addresses.into_iter().map(Prefix::from));
        }
    }
}

/// TorDNSEL: `ExitAddress 192.0.2.1 2026-08-22 03:00:29` among lines `ExitNode`, `Published` and `LastStatus`.
fn exit_addresses(bytes: &[u8], info: &mut ListInfo, out: &mut Relays) {
    let mut newest = None;
    for (number, line) in lines(bytes) {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (None | Some("ExitNode" | "Published" | "LastStatus"), _) => {}
            (Some("ExitAddress"), Some(address)) if let Ok(addr) = address.parse::<Addr>() => {
                info.good += 1;
                out.asked.push(addr.into());
                newest = newest.max(written_date(&words.collect::<Vec<_>>().join(" ")));
            }
            _ => info.reject(&number.to_string(), &text::not_an_address(line)),
        }
    }
    info.date = newest.map(|t| t.to_string());
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(default)]
    relays_published: Option<String>,
    #[serde(borrow)]
    relays: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct DetailsRelay {
    or_addresses: Vec<String>,
    #[serde(default)]
    exit_addresses: Vec<String>,
    flags: Vec<String>,
}

fn onionoo(bytes: &[u8], role: Role, info: &mut ListInfo, out: &mut Relays) {
    let details: Details<'_> = match serde_json::from_slice(without_bom(bytes)) {
        Ok(details) => details,
        Err(e) => {
            info.file_error = Some(format!("not an Onionoo details document: {e}"));
            return;
        }
    };
    info.date = details
        .relays_published
        .as_deref()
        .and_then(written_date)
        .map(|t| t.to_string());
    for (i, raw) in details.relays.iter().enumerate() {
        match onionoo_relay(raw) {
            Ok(relay) => {
                info.good += 1;
                out.take(relay, role);
            }
            Err(reason) => info.reject(&format!(" relays[{i}]"), &reason),
        }
    }
}

fn onionoo_relay(raw: &RawValue) -> Result<Relay, String> {
    let relay: DetailsRelay = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let all = |texts: &[String]| -> Result<Vec<Addr>, String> {
        texts
            .iter()
            .map(|t| address(t).ok_or_else(|| text::not_an_address(t.as_bytes())))
            .collect()
    };
    let mut out = Relay {
        addresses: all(&relay.or_addresses)?,
        exit_addresses: all(&relay.exit_addresses)?,
        ..Relay::default()
    };
    for flag in &relay.flags {
        out.set(flag);
    }
    Ok(out)
}

/// An address, or one with a port: `192.0.2.1:443`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<Addr> {
    let socket = || text.parse::<std::net::SocketAddr>().ok().map(|s| s.ip().into());
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(socket).or_else(bare)
}

impl Relay {
    fn set(&mut self, flag: &str) {
        match flag.to_ascii_lowercase().as_str() {
            "exit" => self.exit = true,
            "guard" => self.guard = true,
            "authority" => self.authority = true,
            _ => {}
        }
    }

    /// One letter a flag, as in dan.me.uk's list: `EFGHRSDV`; words (`Exit Guard`) where there are any.
    fn set_all(&mut self, flags: &str) {
        let words = flags
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|w| !w.is_empty());
        let (mut letters, mut any) = (String::new(), false);
        for word in words {
            any |= word.len() > 1 && word.bytes().any(|b| b.is_ascii_lowercase());
            letters.push_str(word);
            self.set(word);
        }
        if !any {
            self.exit |= letters.contains('E');
            self.guard |= letters.contains('G');
            self.authority |= letters.contains('A');
        }
    }
}

/// Which column of a table holds what.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    separator: char,
    header: bool,
    address: usize,
    /// Columns of flag words or letters.
    flags: Option<usize>,
    /// Columns that are one flag each: `Flag - Exit` with 0 or 1.
    single: Vec<(usize, &'static str)>,
}

impl Columns {
    /// The columns that a table's first line names; none if this is not a table with flags.
    fn of(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let separator = ['|', ',', '\t'].into_iter().find(|s| line.contains(*s))?;
        let names: Vec<String> = cells(line, separator).map(str::to_ascii_lowercase).collect();
        if separator == '|' && names.len() >= 5 && names.first().is_some_and(|n| address(n).is_some()) {
            return Some(Columns {
                separator,
                header: false,
                address: 0,
                flags: Some(4),
                single: Vec::new(),
            });
        }
        let find = |wanted: &[&str]| wanted.iter().find_map(|w| names.iter().position(|n| n == w));
        let single = ["exit", "guard", "authority"].into_iter().flat_map(|flag| {
            let is = move |n: &String| {
                n == flag
                    || *n == format!("flag - {flag}")
                    || *n == format!("is_{flag}")
                    || *n == format!("flag_{flag}")
            };
            names.iter().position(is).map(|i| (i, flag))
        });
        let columns = Columns {
            separator,
            header: true,
            address: find(&[
                "ip",
                "ip address",
                "ip_address",
                "address",
                "or_address",
                "ipaddress",
                "or_addresses",
            ])?,
            flags: find(&["flags", "flag"]),
            single: single.collect(),
        };
        (columns.flags.is_some() || !columns.single.is_empty()).then_some(columns)
    }

    fn relay(&self, line: &str) -> Option<Relay> {
        let cells: Vec<&str> = cells(line, self.separator).collect();
        let mut relay = Relay {
            addresses: vec![address(cells.get(self.address)?)?],
            ..Relay::default()
        };
        if let Some(at) = self.flags {
            relay.set_all(cells.get(at)?);
        }
        for (at, flag) in &self.single {
            if matches!(
                cells.get(*at)?.to_ascii_lowercase().as_str(),
                "1" | "true" | "yes" | "y"
            ) {
                relay.set(flag);
            }
        }
        Some(relay)
    }
}

fn cells(line: &str, separator: char) -> impl Iterator<Item = &str> {
    line.split(separator).map(|c| c.trim().trim_matches('"'))
}

fn table(bytes: &[u8], columns: &Columns, role: Role, info: &mut ListInfo, out: &mut Relays) {
    let rows = lines(bytes)
        .filter(|(_, l)| is_content(l))
        .skip(usize::from(columns.header));
    for (number, line) in rows {
        match std::str::from_utf8(line).ok().and_then(|l| columns.relay(l)) {
            Some(relay) => {
                info.good += 1;
                out.take(relay, role);
            }
            None => info.reject(&number.to_string(), &text::not_an_address(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::ListKind;
    use super::*;

    fn read(text: &str, role: Role) -> (Vec<String>, ListInfo) {
        let mut info = ListInfo::not_loaded(ListKind::TorExit);
        let relays = relays(text.as_bytes(), role, &mut info);
        (relays.asked.iter().map(|p| p.first.to_string()).collect(), info)
    }

    const ONIONOO: &str = r#"{"version":"8.0","relays_published":"2026-08-22 03:00:00","relays":[
        {"nickname":"a","or_addresses":["192.0.2.1:9001","[2001:db8::1]:9001"],"flags":["Fast","Guard","Running"]},
        {"nickname":"b","or_addresses":["192.0.2.2:443"],"exit_addresses":["192.0.2.3"],"flags":["Exit","Running"]},
        {"nickname":"c","or_addresses":["nonsense"],"flags":["Exit"]},
        {"nickname":"d","or_addresses":["192.0.2.4:80"],"flags":["Authority"]}],"bridges":[]}"#;

    #[test]
    fn onionoo_tells_guards_from_exits() {
        let (exits, info) = read(ONIONOO, Role::Exit);
        assert_eq!(exits, ["192.0.2.2", "192.0.2.3"]);
        assert_eq!(
            (info.good, info.rejected, info.date.as_deref()),
            (3, 1, Some("2026-08-22T03:00:00Z"))
        );
        assert_eq!(read(ONIONOO, Role::Guard).0, ["192.0.2.1", "2001:db8::1"]);
        let mut info = ListInfo::not_loaded(ListKind::TorGuard);
        assert_eq!(relays(ONIONOO.as_bytes(), Role::Guard, &mut info).authorities.len(), 1);
    }

    #[test]
    fn exit_address_lines_and_the_bulk_list() {
        let text = "ExitNode 0011BD\nPublished 2026-08-21 18:12:31\nLastStatus 2026-08-22 02:00:00\nExitAddress 162.247.74.201 2026-08-22 02:08:22\nExitAddress x y\n";
        let (exits, info) = read(text, Role::Exit);
        assert_eq!(
            (exits, info.rejected, info.date.as_deref()),
            (vec!["162.247.74.201".into()], 1, Some("2026-08-22T02:08:22Z"))
        );
        assert_eq!(
            read("# exits\n192.0.2.9\n2001:db8::9\n", Role::Exit).0,
            ["192.0.2.9", "2001:db8::9"]
        );
    }

    #[test]
    fn tables_with_flags() {
        let words = "nickname,ip,flags\na,192.0.2.1,Fast Guard\nb,192.0.2.2,\"Exit|Running\"\n";
        assert_eq!(read(words, Role::Exit).0, ["192.0.2.2"]);
        assert_eq!(read(words, Role::Guard).0, ["192.0.2.1"]);
        let numbers = "Router Name,IP Address,Flag - Exit,Flag - Guard\na,192.0.2.1,0,1\nb,192.0.2.2,1,0\n";
        assert_eq!(read(numbers, Role::Exit).0, ["192.0.2.2"]);
        let letters = "<!-- __BEGIN_TOR_NODE_LIST__ //-->\n192.0.2.1|a|443|0|FGHRSDV|1|Tor|x\n2001:db8::2|b|443|0|EFRSDV|1|Tor|x\n";
        assert_eq!(read(letters, Role::Exit).0, ["2001:db8::2"]);
        assert_eq!(read(letters, Role::Guard).0, ["192.0.2.1"]);
    }

    #[test]
    fn a_file_of_the_other_role_is_refused() {
        let (_, info) = read("ip,flags\n192.0.2.1,Guard\n", Role::Exit);
        assert_eq!(
            info.file_error.as_deref(),
            Some("none of its 1 relays carries the flag Exit")
        );
    }
}
