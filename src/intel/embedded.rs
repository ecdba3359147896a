//! The snapshots inside the program (`geoip/`), for runs that name no list of their own.
//!
//! MANIFEST.toml says of each where it comes from, of which day, under which licence, and its sha256; a test compares it
//! with the files. Tor exits and autonomous systems are not embedded: they are `not loaded` until a file is given.

use hashbrown::HashMap;
use serde::Deserialize;

use super::country::CountryRanges;
use super::list::{ListInfo, ListKind};
use super::owner::{Claims, Layer, Owner, OwnerNumber};
use super::prefix::Prefix;
use super::text::lines;

const MANIFEST: &str = include_str!("../../geoip/MANIFEST.toml");
const COUNTRY: &[u8] = include_bytes!("../../geoip/country.bin");
const AWS: &str = include_str!("../../geoip/aws-prefixes.tsv");
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

/// What MANIFEST.toml says of the snapshot of `kind`.
pub(super) fn info(kind: ListKind) -> ListInfo {
    let manifest = toml::from_str(MANIFEST).unwrap_or(Manifest { list: Vec::new() });
    match manifest.list.into_iter().find(|s| s.kind == kind.as_str()) {
        Some(s) => {
            let source = format!("{} {} ({}, {})", s.source, s.version, s.file, s.licence);
            let info = ListInfo::embedded(kind, source, s.entries);
            ListInfo {
                date: Some(s.date),
                sha256: Some(s.sha256),
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

/// Claims the embedded AWS prefixes: lines `prefix TAB region TAB service,…`, of which few endings differ.
pub(super) fn aws(claims: &mut Claims) -> ListInfo {
    // Of a line of some forty bytes there are three claims in two.
    claims.expect(AWS.len() / 26);
    let mut owners: HashMap<&str, Vec<OwnerNumber>> = HashMap::new();
    for (prefix, owned) in aws_lines() {
        let numbers = owners
            .entry(owned)
            .or_insert_with(|| aws_owners(owned).map(|o| claims.number(o)).collect());
        numbers.iter().for_each(|n| claims.add_number(prefix, Layer::Aws, *n));
    }
    info(ListKind::Aws)
}

/// The lines of the snapshot: a prefix, and by whom it is owned.
fn aws_lines() -> impl Iterator<Item = (Prefix, &'static str)> {
    let lines = AWS.lines().filter_map(|l| l.split_once('\t'));
    lines.filter_map(|(prefix, owned)| Some((Prefix::parse(prefix)?, owned)))
}

/// `region TAB service,…`
fn aws_owners(owned: &str) -> impl Iterator<Item = Owner> {
    let (region, services) = owned.split_once('\t').unwrap_or((owned, ""));
    services
        .split(',')
        .filter(|s| !s.is_empty())
        .map(move |s| Owner::aws(s, Some(region)))
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
    use super::*;
    use crate::net::{Addr, Class};
    use sha2::{Digest, Sha256};

    #[test]
    fn the_manifest_tells_the_truth() {
        let manifest: Manifest = toml::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.list.len(), 4);
        for snapshot in &manifest.list {
            let (content, entries): (&[u8], usize) = match snapshot.kind.as_str() {
                "geoip" => (COUNTRY, countries().unwrap().known()),
                "aws" => (AWS.as_bytes(), AWS.lines().filter(|l| !l.starts_with('#')).count()),
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
    fn every_line_of_the_aws_snapshot_is_a_claim() {
        let mut claims = Claims::new(&[]);
        let before = claims.len();
        let info = aws(&mut claims);
        let services: usize = AWS
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.matches(',').count() + 1)
            .sum();
        assert_eq!(claims.len() - before, services);
        assert_eq!(info.status, super::super::list::Status::Embedded);
    }

    #[test]
    fn the_class_equals_a_linear_search_over_the_snapshot() {
        let rows: Vec<(Prefix, Owner)> = aws_lines()
            .flat_map(|(p, owned)| aws_owners(owned).map(move |o| (p, o)))
            .collect();
        let mut claims = Claims::new(&[]);
        aws(&mut claims);
        let owners = claims.decide();
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
