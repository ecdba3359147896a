//! Countries and autonomous systems from a MaxMind database file.
//!
//! The format is one, the records are not: MaxMind and DB-IP nest (`country.iso_code`), IPinfo and the npm packages are
//! flat (`country_code`, or `country` as text; `asn` as `AS64500`). All are read by one record type. A damaged record
//! makes that address unknown, and is counted; it never ends a run.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

use super::list::{ListInfo, ListKind};
use crate::net::{Addr, Country};

/// An opened database.
#[derive(Debug)]
pub(super) struct Mmdb {
    reader: Reader<Vec<u8>>,
    errors: AtomicU64,
}

/// The parts of a record that are looked at; everything else is skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<CountryField<'a>>,
    #[serde(borrow)]
    registered_country: Option<CountryField<'a>>,
    country_code: Option<&'a str>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    asn: Option<AsnField<'a>>,
    as_name: Option<&'a str>,
    name: Option<&'a str>,
}

/// `{"iso_code": "SE", …}` or plain text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CountryField<'a> {
    Nested {
        #[serde(borrow, default)]
        iso_code: Option<&'a str>,
    },
    Flat(&'a str),
}

/// `64500` or `AS64500`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AsnField<'a> {
    Number(u32),
    Text(&'a str),
}

impl Mmdb {
    /// Opens the database at `path`, and looks at its first records whether they are of `kind`; `whole` counts them all.
    pub(super) fn open(path: &Path, kind: ListKind, whole: bool) -> (ListInfo, Option<Self>) {
        let (mut info, bytes) = ListInfo::read(kind, path);
        if info.file_error.is_some() {
            return (info, None);
        }
        match Reader::from_source(bytes) {
            Ok(reader) => {
                let mmdb = Mmdb {
                    reader,
                    errors: AtomicU64::new(0),
                };
                mmdb.examine(&mut info, whole);
                (info, Some(mmdb))
            }
            Err(e) => {
                info.file_error = Some(format!("not a usable MaxMind database: {e}"));
                (info, None)
            }
        }
    }

    /// The country of `addr`; unknown also when its record is damaged.
    pub(super) fn country(&self, addr: Addr) -> Option<Country> {
        self.record(addr, |r| r.country())
    }

    /// Number and name of the autonomous system of `addr`.
    pub(super) fn asn(&self, addr: Addr) -> Option<(u32, Option<String>)> {
        self.record(addr, |r| r.asn())
    }

    /// Look-ups that met a damaged record so far.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    fn record<T>(&self, addr: Addr, take: impl Fn(&Record<'_>) -> Option<T>) -> Option<T> {
        if !addr.is_v4() && self.reader.metadata().ip_version == 4 {
            return None;
        }
        match self
            .reader
            .lookup(addr.ip())
            .and_then(|found| found.decode::<Record<'_>>())
        {
            Ok(record) => record.as_ref().and_then(take),
            Err(_) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn examine(&self, info: &mut ListInfo, whole: bool) {
        let metadata = self.reader.metadata();
        info.date = i64::try_from(metadata.build_epoch)
            .ok()
            .and_then(|s| jiff::Timestamp::from_second(s).ok())
            .map(|t| t.to_string());
        // A binary tree has one leaf more than nodes: no walk over a sound one is longer.
        let most = if whole {
            metadata.node_count as usize + 1
        } else {
            PROBED
        };
        let useful = self.count(info, most);
        info.entries = whole.then_some(info.good);
        if useful == 0 {
            let what = if info.kind == ListKind::Asn {
                "autonomous system"
            } else {
                "country"
            };
            info.warnings.push(format!(
                "{}: no {what} in its first {} records (database type `{}`)",
                info.source,
                info.good,
                crate::net::printable(metadata.database_type.as_bytes())
            ));
        }
    }

    /// Counts readable and damaged records, and returns how many of them say something of the list's kind.
    ///
    /// Empty networks are walked, too, and `most` bounds the walk: a tree whose branches meet again has no end otherwise.
    fn count(&self, info: &mut ListInfo, most: usize) -> usize {
        let all = WithinOptions::default().include_networks_without_data();
        let Ok(networks) = self.reader.networks(all) else {
            return 0;
        };
        let mut useful = 0;
        for found in networks.take(most) {
            match found.and_then(|f| f.decode::<Record<'_>>()) {
                Ok(Some(record)) => {
                    info.good += 1;
                    useful += usize::from(record.says(info.kind));
                }
                Ok(None) => {}
                Err(e) => info.reject("", &e.to_string()),
            }
        }
        useful
    }
}

impl Record<'_> {
    fn says(&self, kind: ListKind) -> bool {
        if kind == ListKind::Asn {
            self.asn().is_some()
        } else {
            self.country().is_some()
        }
    }

    fn country(&self) -> Option<Country> {
        let code = |f: &Option<CountryField<'_>>| match f {
            Some(CountryField::Nested { iso_code }) => iso_code.and_then(Country::parse),
            Some(CountryField::Flat(text)) => Country::parse(text),
            None => None,
        };
        code(&self.country)
            .or_else(|| self.country_code.and_then(Country::parse))
            .or_else(|| code(&self.registered_country))
    }

    fn asn(&self) -> Option<(u32, Option<String>)> {
        let number = match (self.autonomous_system_number, &self.asn) {
            (Some(n), _) => n,
            (None, Some(AsnField::Number(n))) => *n,
            (None, Some(AsnField::Text(text))) => text.trim_start_matches(['A', 'S', 'a', 's']).parse().ok()?,
            (None, None) => return None,
        };
        let name = self.autonomous_system_organization.or(self.as_name).or(self.name);
        Some((number, name.map(str::to_owned)))
    }
}

/// So many networks are looked at when a database is opened for a run.
const PROBED: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    /// A database without records: `nodes` as pairs of 24-bit numbers, and metadata that fits them.
    fn database(nodes: &[(u32, u32)]) -> Vec<u8> {
        let text = |s: &str| [&[0x40 | s.len() as u8][..], s.as_bytes()].concat();
        let u16_of = |n: u8| vec![0xa1, n];
        let mut out: Vec<u8> = nodes
            .iter()
            .flat_map(|(l, r)| [l, r].map(|n| n.to_be_bytes()))
            .flat_map(|n| n[1..].to_vec())
            .collect();
        out.extend([0; 16]);
        out.extend(b"\xab\xcd\xefMaxMind.com");
        out.push(0xe9);
        let fields: [(&str, Vec<u8>); 9] = [
            ("binary_format_major_version", u16_of(2)),
            ("binary_format_minor_version", vec![0xa0]),
            ("build_epoch", vec![0x04, 0x02, 0x60, 0, 0, 0]),
            ("database_type", text("test")),
            ("description", vec![0xe0]),
            ("ip_version", u16_of(6)),
            ("languages", vec![0x00, 0x04]),
            ("node_count", vec![0xc1, nodes.len() as u8]),
            ("record_size", u16_of(24)),
        ];
        for (key, value) in fields {
            out.extend(text(key));
            out.extend(value);
        }
        out
    }

    #[test]
    fn a_tree_whose_branches_meet_again_does_not_hold_up_the_run() {
        // Both branches of each of 128 nodes lead to the next one, and the last to nothing: 2^128 ways, no record.
        let nodes: Vec<(u32, u32)> = (1..=128).map(|n| (n, n)).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), database(&nodes)).unwrap();
        for whole in [false, true] {
            let (info, mmdb) = Mmdb::open(file.path(), ListKind::Geoip, whole);
            assert_eq!(info.file_error, None);
            assert_eq!(mmdb.unwrap().country("2001:db8::1".parse().unwrap()), None);
        }
    }
}
