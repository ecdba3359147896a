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
    fn count(&self, info: &mut ListInfo, most: usize) -> usize {
        let Ok(networks) = self.reader.networks(WithinOptions::default()) else {
            return 0;
        };
        let mut useful = 0;
        for found in networks.take(most) {
            match found.and_then(|f| f.decode::<Record<'_>>()) {
                Ok(record) => {
                    info.good += 1;
                    let record = record.unwrap_or_default();
                    let says = if info.kind == ListKind::Asn {
                        record.asn().is_some()
                    } else {
                        record.country().is_some()
                    };
                    useful += usize::from(says);
                }
                Err(e) => info.reject("", &e.to_string()),
            }
        }
        useful
    }
}

impl Record<'_> {
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

/// So many records are looked at when a database is opened for a run.
const PROBED: usize = 256;
