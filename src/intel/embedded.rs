//! The snapshots inside the program (`geoip/`), for runs that name no list of their own.
//!
//! MANIFEST.toml says of each where it comes from, of which day, under which licence, and its sha256; a test compares it
//! with the files. Tor exits and autonomous systems are not embedded: they are `not loaded` until a file is given.

use std::sync::LazyLock;

use serde::Deserialize;

use super::country::CountryRanges;
use super::list::{ListInfo, ListKind};
use super::owner::Claims;
use super::prefix::Prefix;
use super::ranges::OwnedRanges;
use super::text::lines;

const MANIFEST: &str = include_str!("../../geoip/MANIFEST.toml");
const COUNTRY: &[u8] = include_bytes!("../../geoip/country.bin");
const AWS: &[u8] = include_bytes!("../../geoip/aws-ranges.bin");
const TOR_GUARDS: &[u8] = include_bytes!("../../geoip/tor-guards.txt");
const TOR_AUTHORITIES: &[u8] = include_bytes!("../../geoip/tor-authorities.txt");

#[derive(Deserialize)]
struct Manifest {
    list: Vec<Snapshot>,
}

/// One table of MANIFEST.toml.
#[derive(Deserialize)]
struct Snapshot {
    file: String,
    kind: String,
    source: String,
    version: String,
    date: String,
    licence: String,
    sha256: String,
    entries: u64,
}

/// MANIFEST.toml, read once.
static SNAPSHOTS: LazyLock<Vec<Snapshot>> = LazyLock::new(|| {
    let manifest = toml::from_str(MANIFEST).unwrap_or(Manifest { list: Vec::new() });
    manifest.list
});

/// What MANIFEST.toml says of the snapshot of `kind`.
pub(super) fn info(kind: ListKind) -> ListInfo {
    match SNAPSHOTS.iter().find(|s| s.kind == kind.as_str()) {
        Some(s) => {
            let source = format!("{} {} ({}, {})", s.source, s.version, s.file, s.licence);
            let info = ListInfo::embedded(kind, source, s.entries);
            ListInfo {
                date: Some(s.date.clone()),
                sha256: Some(s.sha256.clone()),
                ..info
            }
        }
        None => ListInfo::not_loaded(kind),
    }
}

/// The embedded country ranges.
pub(super) fn countries() -> Option<CountryRanges<'static>> {
    CountryRanges::new(COUNTRY)
}

/// Lays the embedded AWS prefixes, decided already, under all that is claimed.
pub(super) fn aws(claims: &mut Claims) -> ListInfo {
    let Some(ranges) = OwnedRanges::new(AWS) else {
        return ListInfo::not_loaded(ListKind::Aws);
    };
    claims.lay_under(ranges);
    info(ListKind::Aws)
}

/// The embedded guards or authorities.
pub(super) fn tor(kind: ListKind) -> Vec<Prefix> {
    let bytes = if kind == ListKind::TorAuthority {
        TOR_AUTHORITIES
    } else {
        TOR_GUARDS
    };
    let texts = lines(bytes).filter_map(|(_, l)| std::str::from_utf8(l).ok());
    texts.filter_map(Prefix::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::list::Status;
    use super::super::owner::{Layer, Owner, Owners};
    use super::*;
    use crate::net::{Addr, Class};
    use sha2::{Digest, Sha256};

    /// What the ranges are made of: lines `prefix TAB region TAB service,…`
    const PREFIXES: &str = include_str!("../../geoip/aws-prefixes.tsv");

    fn aws_rows() -> impl Iterator<Item = (Prefix, Owner)> {
        PREFIXES.lines().filter(|l| !l.starts_with('#')).flat_map(|line| {
            let [prefix, region, services] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let prefix = Prefix::parse(prefix).unwrap();
            services.split(',').map(move |s| (prefix, Owner::aws(s, Some(region))))
        })
    }

    /// Of the text the slow way, or of the ranges; under `--home` and prefix lists if `lists`.
    fn owners(slow: bool, lists: bool) -> Owners {
        let home = ["52.216.0.0/15", "2600:1f14::/36"].map(|h| h.parse().unwrap());
        let mut claims = Claims::new(if lists { &home } else { &[] });
        for prefix in ["3.5.128.0/19", "52.92.0.0/14", "54.231.0.0/17", "2600:1f00::/26"] {
            let owner = Owner::aws("S3", Some("eu-west-1"));
            lists.then(|| claims.add(Prefix::parse(prefix).unwrap(), Layer::PrefixList, owner));
        }
        if slow {
            aws_rows().for_each(|(prefix, owner)| claims.add(prefix, Layer::Aws, owner));
        } else {
            assert_eq!(aws(&mut claims).status, Status::Embedded);
        }
        claims.decide()
    }

    #[test]
    fn the_manifest_tells_the_truth() {
        let manifest: Manifest = toml::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.list.len(), 4);
        for snapshot in &manifest.list {
            let (content, entries): (&[u8], usize) = match snapshot.kind.as_str() {
                "geoip" => (COUNTRY, countries().unwrap().known()),
                "aws" => (PREFIXES.as_bytes(), PREFIXES.lines().count() - 1),
                "tor-guard" => (TOR_GUARDS, tor(ListKind::TorGuard).len()),
                "tor-authority" => (TOR_AUTHORITIES, tor(ListKind::TorAuthority).len()),
                other => panic!("{other} is not embedded"),
            };
            assert_eq!(
                super::super::list::hex(&Sha256::digest(content)),
                snapshot.sha256,
                "{}",
                snapshot.file
            );
            assert_eq!(entries as u64, snapshot.entries, "{}", snapshot.file);
            assert!(crate::net::parse_rfc3339(&snapshot.date).is_some() && !snapshot.licence.is_empty());
        }
        assert!(countries().unwrap().is_sound());
    }

    #[test]
    fn the_aws_ranges_are_the_prefixes_decided() {
        for lists in [false, true] {
            let (slow, fast) = (owners(true, lists), owners(false, lists));
            for a in aws_rows().flat_map(|(p, _)| [p.first.0 - 1, p.first.0, p.last.0, p.last.0 + 1].map(Addr)) {
                assert_eq!(fast.class(a), slow.class(a), "{a}");
                assert_eq!(fast.owner(a), slow.owner(a), "{a}");
            }
        }
    }

    #[test]
    fn the_class_equals_a_linear_search_over_the_snapshot() {
        let rows: Vec<(Prefix, Owner)> = aws_rows().collect();
        let owners = owners(false, false);
        let tier = |o: &Owner| match o.service.as_deref() {
            Some("AMAZON") => 0,
            Some("EC2") => 1,
            _ => 2,
        };
        let naive = |a: Addr| {
            rows.iter()
                .filter(|(p, _)| p.contains(a))
                .max_by_key(|(p, o)| (tier(o), p.bits, o.class == Class::S3))
        };
        let borders = rows
            .iter()
            .step_by(97)
            .flat_map(|(p, _)| [p.first.0 - 1, p.first.0, p.last.0, p.last.0 + 1].map(Addr));
        let anywhere = (0..500u32).map(|n| Addr::v4(n.wrapping_mul(2_654_435_761)));
        for a in borders.chain(anywhere) {
            let expected = naive(a).map_or(Class::External, |(_, o)| o.class);
            let class = owners.class(a);
            assert!(
                class == expected || matches!(class, Class::Home | Class::Special),
                "{a}: {class}, not {expected}"
            );
        }
    }
}
