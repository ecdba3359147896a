//! intel: what do the lists say of this address?
//!
//! ```text
//! --home, --ip-ranges, --prefix-list ─► Claims ─► Owners ─► class (hot: once a record), service, region
//! --geoip, --asn (.mmdb)             ─► Mmdb            ─► country, autonomous system
//! --tor-exits, --tor-guards, --threat-list ─► tables    ─► labels
//! ```
//!
//! [`Intel::load`] reads the lists once; whatever was not given is taken from the dated snapshots of `geoip/`, and what
//! is not embedded either is *not loaded*, which is said and never taken for no hit. After that nothing changes:
//! look-ups need no lock, and the same lists give the same answers in any order of the options.

mod aws;
mod country;
mod embedded;
mod list;
mod load;
mod mmdb;
mod owner;
mod prefix;
mod ranges;
mod table;
mod text;
mod tor;

use std::path::PathBuf;

use ipnetwork::IpNetwork;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::net::{Addr, Class, Country, Seconds, rfc3339};
use country::CountryRanges;
use mmdb::Mmdb;
use owner::Owners;
use table::RangeTable;

pub use list::{ListInfo, ListKind, Status};
pub use load::judge;
pub use prefix::Prefix;

/// Which lists to read; what is left empty is taken from the embedded snapshots.
#[derive(Debug, Clone, Default)]
pub struct IntelOptions {
    /// `--ip-ranges`: AWS's ip-ranges.json of any year.
    pub ip_ranges: Option<PathBuf>,
    /// `--prefix-list`: describe-prefix-lists, describe-managed-prefix-lists, get-managed-prefix-list-entries or CIDRs.
    pub prefix_lists: Vec<PathBuf>,
    /// `--geoip`: a country or city database (.mmdb).
    pub geoip: Option<PathBuf>,
    /// `--asn`: a database of autonomous systems (.mmdb).
    pub asn: Option<PathBuf>,
    /// `--tor-exits`: addresses from which Tor leaves.
    pub tor_exits: Vec<PathBuf>,
    /// `--tor-guards`: addresses at which Tor is entered.
    pub tor_guards: Vec<PathBuf>,
    /// `--threat-list`: addresses and CIDRs; the label is `threat:` and the file's name without its ending.
    pub threat_lists: Vec<PathBuf>,
    /// `--home`: the organisation's own ranges beyond the private ones.
    pub home: Vec<IpNetwork>,
    /// Walk databases whole, so that their entries are counted and damaged ones found; `flowtrail intel` does.
    pub whole: bool,
}

/// All lists, ready to be asked.
#[derive(Debug)]
pub struct Intel {
    owners: Owners,
    countries: Countries,
    asn: Option<Mmdb>,
    /// By label, sorted.
    labels: Vec<(String, RangeTable<bool>)>,
    lists: Vec<ListInfo>,
}

#[derive(Debug)]
enum Countries {
    Embedded(CountryRanges<'static>),
    Database(Mmdb),
    NotLoaded,
}

/// What the lists say of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerFacts<'a> {
    /// Kind of destination.
    pub class: Class,
    /// AWS service that owns the prefix, as ip-ranges.json spells it (`S3`, `EC2`, `AMAZON`, …).
    pub service: Option<&'a str>,
    /// AWS region of the prefix (`GLOBAL` included).
    pub region: Option<&'a str>,
    /// Country.
    pub country: Option<Country>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<String>,
    /// List memberships, sorted: `threat:<list>`, `tor-authority`, `tor-exit`, `tor-guard`.
    pub labels: Vec<&'a str>,
}

/// What `flowtrail intel` shows.
#[derive(Debug, Serialize)]
pub struct Description<'a> {
    /// Name and version of this layout.
    pub schema: &'static str,
    /// All lists, in use or not loaded.
    pub lists: &'a [ListInfo],
}

impl Intel {
    /// Reads the lists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::List`](crate::ErrorKind::List) for the first list that cannot be used; how many others is said.
    pub fn load(options: &IntelOptions) -> Result<Self> {
        let intel = Intel::survey(options);
        let mut bad = intel.lists.iter().filter_map(|l| l.file_error.as_ref().map(|e| (l, e)));
        match (bad.next(), bad.count()) {
            (None, _) => Ok(intel),
            (Some((list, reason)), 0) => Err(Error::list(reason).at(&list.path)),
            (Some((list, reason)), more) => {
                Err(Error::list(format!("{reason} (and {more} more lists cannot be used)")).at(&list.path))
            }
        }
    }

    /// Reads the lists and says of each what is wrong with it ([`ListInfo::file_error`]); never fails.
    pub fn survey(options: &IntelOptions) -> Self {
        load::survey(options)
    }

    /// The class of `addr`: some nanoseconds, asked once a record.
    #[inline(always)]
    pub fn class(&self, addr: Addr) -> Class {
        match self.owners.class_of_upper_half(addr) {
            Some(class) => class,
            None => self.owners.class(behind_nat64(addr)),
        }
    }

    /// All that the lists say of `addr`; asked once a peer.
    pub fn peer(&self, addr: Addr) -> PeerFacts<'_> {
        let owner = self.owners.owner(behind_nat64(addr));
        let (asn, as_name) = self.asn(addr).map_or((None, None), |(n, name)| (Some(n), name));
        PeerFacts {
            class: self.class(addr),
            service: owner.and_then(|o| o.service.as_deref()),
            region: owner.and_then(|o| o.region.as_deref()),
            country: self.country(addr),
            asn,
            as_name,
            labels: self.labels(addr),
        }
    }

    /// The country of `addr`, if the database knows it.
    pub fn country(&self, addr: Addr) -> Option<Country> {
        let addr = behind_nat64(addr);
        match &self.countries {
            Countries::Embedded(ranges) => ranges.get(addr),
            Countries::Database(mmdb) => mmdb.country(addr),
            Countries::NotLoaded => None,
        }
    }

    /// Number and name of the autonomous system of `addr`, if a database was given and knows it.
    pub fn asn(&self, addr: Addr) -> Option<(u32, Option<String>)> {
        self.asn.as_ref().and_then(|mmdb| mmdb.asn(behind_nat64(addr)))
    }

    /// The lists on which `addr` stands, sorted.
    pub fn labels(&self, addr: Addr) -> Vec<&str> {
        let addr = behind_nat64(addr);
        self.labels
            .iter()
            .filter(|(_, table)| table.get(addr))
            .map(|(label, _)| label.as_str())
            .collect()
    }

    /// All lists, in use or not loaded, in the order of [`ListKind`].
    pub fn lists(&self) -> &[ListInfo] {
        &self.lists
    }

    /// True if some list of `kind` is in use; otherwise no hit means nothing.
    pub fn is_loaded(&self, kind: ListKind) -> bool {
        self.lists
            .iter()
            .any(|l| l.kind == kind && l.status != Status::NotLoaded && l.file_error.is_none())
    }

    /// What a reader of the results should know of the lists: bad entries, blocks that are too wide, and the like.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().flat_map(|l| l.warnings.iter().map(String::as_str))
    }

    /// Look-ups in databases that met a damaged record so far: their addresses are unknown.
    pub fn lookup_errors(&self) -> u64 {
        let geo = if let Countries::Database(mmdb) = &self.countries {
            mmdb.errors()
        } else {
            0
        };
        geo + self.asn.as_ref().map_or(0, Mmdb::errors)
    }

    /// One sentence for each list in use that is a day or more older than the last flow.
    pub fn warn_if_older_than(&self, flows_last: Seconds) -> Vec<String> {
        let sentence = |list: &ListInfo| {
            let days = flows_last.checked_sub(list.date_seconds()?)? / 86_400;
            let date = list.date.as_deref()?;
            (days > 0).then(|| {
                let last = rfc3339(flows_last);
                format!(
                    "list `{}` ({}) is of {date}: {days} days older than the last flow ({last})",
                    list.name,
                    list.status.as_str()
                )
            })
        };
        self.lists.iter().filter_map(sentence).collect()
    }
}

/// The IPv4 address inside NAT64's well-known prefix 64:ff9b::/96 (RFC 6052), which instances of IPv6-only subnets send to
/// when they reach IPv4 through a NAT gateway; any other address as it is.
#[inline]
fn behind_nat64(addr: Addr) -> Addr {
    if addr.0 >> 32 == 0x0064_ff9b << 64 {
        Addr::v4(addr.0 as u32)
    } else {
        addr
    }
}

/// The lists as rows for people and machines.
pub fn describe(intel: &Intel) -> Description<'_> {
    Description {
        schema: "flowtrail.intel/1",
        lists: intel.lists(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::net::parse_rfc3339;

    fn embedded() -> Intel {
        Intel::load(&IntelOptions::default()).unwrap()
    }

    fn addr(text: &str) -> Addr {
        text.parse().unwrap()
    }

    fn list(intel: &Intel, kind: ListKind) -> &ListInfo {
        intel.lists().iter().find(|l| l.kind == kind).unwrap()
    }

    #[test]
    fn the_embedded_snapshots_answer() {
        let intel = embedded();
        let s3 = intel.peer(addr("52.216.229.53"));
        assert_eq!(
            (s3.class, s3.service, s3.region),
            (Class::S3, Some("S3"), Some("us-east-1"))
        );
        assert_eq!(s3.country.map(|c| c.to_string()).as_deref(), Some("US"));
        let ec2 = intel.peer(addr("3.239.232.29"));
        assert_eq!(
            (ec2.class, ec2.service, ec2.region),
            (Class::Aws, Some("EC2"), Some("us-east-1"))
        );
        assert_eq!(
            intel.country(addr("185.220.101.1")).map(|c| c.to_string()).as_deref(),
            Some("DE")
        );
        assert_eq!(
            intel.country(addr("2001:67c:2e8::1")).map(|c| c.to_string()).as_deref(),
            Some("NL")
        );
        assert_eq!(intel.country(addr("10.0.0.1")), None);
        assert_eq!(intel.labels(addr("204.13.164.118")), ["tor-authority"]);
        assert_eq!(intel.labels(addr("5.9.24.169")), ["tor-guard"]);
        let nobody = PeerFacts {
            class: Class::External,
            service: None,
            region: None,
            country: None,
            asn: None,
            as_name: None,
            labels: vec![],
        };
        assert_eq!(intel.peer(addr("203.0.113.9")), nobody);
    }

    #[test]
    fn an_address_behind_nat64_is_the_ipv4_address() {
        let intel = embedded();
        assert_eq!(
            intel.peer(addr("64:ff9b::52.216.229.53")),
            intel.peer(addr("52.216.229.53"))
        );
        assert_eq!(intel.class(addr("64:ff9b::10.0.0.1")), Class::Home);
        assert_eq!(intel.class(addr("64:ff9b:1::1")), Class::External);
        assert_eq!(intel.labels(addr("64:ff9b::5.9.24.169")), ["tor-guard"]);
    }

    #[test]
    fn what_is_not_embedded_is_not_loaded() {
        let intel = embedded();
        for kind in [ListKind::TorExit, ListKind::Asn, ListKind::Threat] {
            assert_eq!(list(&intel, kind).status, Status::NotLoaded);
            assert!(!intel.is_loaded(kind));
        }
        let json = serde_json::to_value(describe(&intel)).unwrap();
        let exits = json["lists"]
            .as_array()
            .unwrap()
            .iter()
            .find(|l| l["kind"] == "tor-exit")
            .unwrap();
        assert_eq!(
            (
                exits["status"].as_str(),
                exits["date"].is_null(),
                exits["file_error"].is_null()
            ),
            (Some("not loaded"), true, true)
        );
    }

    #[test]
    fn lists_older_than_the_flows_are_warned_of() {
        let intel = embedded();
        let warned = |time: &str| intel.warn_if_older_than(parse_rfc3339(time).unwrap());
        assert_eq!(warned("2025-10-31T12:00:00Z"), Vec::<String>::new());
        assert_eq!(warned("2025-11-10T12:00:00Z").len(), 1);
        assert!(
            warned("2025-11-10T12:00:00Z")[0]
                .contains("list `aws` (embedded) is of 2025-10-31T07:08:41Z: 10 days older")
        );
        assert_eq!(warned("2027-01-01T00:00:00Z").len(), 4);
    }

    #[test]
    fn home_wins_over_every_list() {
        let home = vec!["52.216.0.0/15".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let intel = Intel::load(&IntelOptions {
            home,
            ..IntelOptions::default()
        })
        .unwrap();
        assert_eq!(intel.class(addr("52.216.229.53")), Class::Home);
        assert_eq!(intel.class(addr("2001:db8::1")), Class::Home);
        assert_eq!(intel.class(addr("2001:db9::1")), Class::External);
    }

    #[test]
    fn a_list_overrides_the_snapshot_and_errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let guards = write("guards.txt", "198.51.100.7\n");
        let bad = write("page.html", "<html>\n");
        let threats = vec![
            write("b.txt", "198.51.100.0/24\n"),
            write("a.txt", "198.51.100.7\n"),
            write("a.lst", "192.0.2.1\n"),
        ];
        let options = IntelOptions {
            tor_guards: vec![guards],
            threat_lists: threats,
            ..IntelOptions::default()
        };
        let intel = Intel::load(&options).unwrap();
        assert_eq!(
            intel.labels(addr("198.51.100.7")),
            ["threat:a", "threat:b", "tor-guard"]
        );
        assert_eq!(intel.labels(addr("192.0.2.1")), ["threat:a"]);
        assert_eq!(
            intel.labels(addr("5.9.24.169")),
            Vec::<&str>::new(),
            "the embedded guards are replaced"
        );

        let options = IntelOptions {
            threat_lists: vec![bad.clone()],
            tor_exits: vec![bad],
            ..IntelOptions::default()
        };
        let error = Intel::load(&options).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::List(_)));
        assert!(
            error.to_string().contains("page.html: not a list") && error.to_string().contains("1 more"),
            "{error}"
        );
    }
}
