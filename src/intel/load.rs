//! From options to lists: each option is read once, and what is missing comes from the embedded snapshots.
//!
//! Nothing fails here. A list that cannot be used says so in its [`ListInfo`], and adds nothing; whether that ends the
//! run is decided by the caller.

use std::collections::BTreeMap;
use std::path::Path;

use super::list::{ListInfo, ListKind};
use super::mmdb::Mmdb;
use super::owner::Claims;
use super::prefix::Prefix;
use super::table::RangeTable;
use super::{Countries, Intel, IntelOptions, aws, embedded, text, tor};
use crate::net::printable;

/// Prefixes by label.
type Labels = BTreeMap<String, Vec<Prefix>>;

/// Reads everything.
pub(super) fn survey(options: &IntelOptions) -> Intel {
    let mut lists = Vec::new();
    let mut claims = Claims::new(&options.home);
    lists.push(home(options, &claims));
    lists.push(match &options.ip_ranges {
        Some(path) => aws::ip_ranges(path, &mut claims),
        None => embedded::aws(&mut claims),
    });
    lists.extend(aws::prefix_lists(&options.prefix_lists, &mut claims));
    let countries = countries(options, &mut lists);
    let asn = asn(options, &mut lists);
    let mut labels = Labels::new();
    tor_exits(options, &mut labels, &mut lists);
    tor_entries(options, &mut labels, &mut lists);
    threats(options, &mut labels, &mut lists);
    lists.sort_by(|a, b| (a.kind, &a.source).cmp(&(b.kind, &b.source)));
    let labels = labels
        .into_iter()
        .map(|(label, prefixes)| (label, RangeTable::members(prefixes)))
        .collect();
    Intel {
        owners: claims.decide(),
        countries,
        asn,
        labels,
        lists,
    }
}

/// What a file is worth as a list of one kind: read as a run would read it, with nothing else loaded.
pub fn judge(kind: ListKind, path: &Path) -> ListInfo {
    let mut claims = Claims::new(&[]);
    match kind {
        ListKind::Home | ListKind::Aws => aws::ip_ranges(path, &mut claims),
        ListKind::PrefixList => {
            let infos = aws::prefix_lists(&[path.to_owned()], &mut claims);
            infos.into_iter().next().unwrap_or_else(|| ListInfo::not_loaded(kind))
        }
        ListKind::Geoip | ListKind::Asn => Mmdb::open(path, kind, true).0,
        ListKind::TorExit => tor_list(path, kind, tor::Role::Exit).0,
        ListKind::TorGuard | ListKind::TorAuthority => tor_list(path, kind, tor::Role::Guard).0,
        ListKind::Threat => threat_list(path).0,
    }
}

fn home(options: &IntelOptions, claims: &Claims) -> ListInfo {
    let source = match options.home.len() {
        0 => "private and special ranges".to_owned(),
        n => format!("private and special ranges, and {n} by --home"),
    };
    ListInfo::embedded(ListKind::Home, source, claims.len() as u64)
}

fn countries(options: &IntelOptions, lists: &mut Vec<ListInfo>) -> Countries {
    let Some(path) = &options.geoip else {
        lists.push(embedded::info(ListKind::Geoip));
        return embedded::countries().map_or(Countries::NotLoaded, Countries::Embedded);
    };
    let (info, mmdb) = Mmdb::open(path, ListKind::Geoip, options.whole);
    lists.push(info);
    mmdb.map_or(Countries::NotLoaded, Countries::Database)
}

fn asn(options: &IntelOptions, lists: &mut Vec<ListInfo>) -> Option<Mmdb> {
    let Some(path) = &options.asn else {
        lists.push(ListInfo::not_loaded(ListKind::Asn));
        return None;
    };
    let (info, mmdb) = Mmdb::open(path, ListKind::Asn, options.whole);
    lists.push(info);
    mmdb
}

fn tor_exits(options: &IntelOptions, labels: &mut Labels, lists: &mut Vec<ListInfo>) {
    if options.tor_exits.is_empty() {
        lists.push(ListInfo::not_loaded(ListKind::TorExit));
    }
    for path in &options.tor_exits {
        let (info, relays) = tor_list(path, ListKind::TorExit, tor::Role::Exit);
        add(labels, "tor-exit", relays.asked);
        lists.push(info);
    }
}

/// Guards and authorities: a list of guards that marks authorities replaces both snapshots.
fn tor_entries(options: &IntelOptions, labels: &mut Labels, lists: &mut Vec<ListInfo>) {
    let mut authorities = Vec::new();
    for path in &options.tor_guards {
        let (info, relays) = tor_list(path, ListKind::TorGuard, tor::Role::Guard);
        add(labels, "tor-guard", relays.asked);
        authorities.extend(relays.authorities);
        lists.push(info);
    }
    if options.tor_guards.is_empty() {
        add(labels, "tor-guard", embedded::tor(ListKind::TorGuard));
        lists.push(embedded::info(ListKind::TorGuard));
    }
    if authorities.is_empty() {
        authorities = embedded::tor(ListKind::TorAuthority);
        lists.push(embedded::info(ListKind::TorAuthority));
    }
    add(labels, "tor-authority", authorities);
}

fn tor_list(path: &Path, kind: ListKind, role: tor::Role) -> (ListInfo, tor::Relays) {
    let (mut info, bytes) = ListInfo::read(kind, path);
    if info.file_error.is_some() {
        return (info, tor::Relays::default());
    }
    let relays = tor::relays(&bytes, role, &mut info);
    info.finish(relays.asked.len() as u64);
    (info, relays)
}

fn threats(options: &IntelOptions, labels: &mut Labels, lists: &mut Vec<ListInfo>) {
    if options.threat_lists.is_empty() {
        lists.push(ListInfo::not_loaded(ListKind::Threat));
    }
    for path in &options.threat_lists {
        let (info, prefixes) = threat_list(path);
        if info.file_error.is_none() {
            let stem = path
                .file_stem()
                .map_or_else(String::new, |s| printable(s.as_encoded_bytes()));
            add(labels, &format!("threat:{stem}"), prefixes);
        }
        lists.push(info);
    }
}

fn threat_list(path: &Path) -> (ListInfo, Vec<Prefix>) {
    let (mut info, bytes) = ListInfo::read(ListKind::Threat, path);
    if info.file_error.is_some() {
        return (info, Vec::new());
    }
    let prefixes = text::addresses(&bytes, &mut info);
    info.finish(prefixes.len() as u64);
    (info, prefixes)
}

fn add(labels: &mut Labels, label: &str, prefixes: Vec<Prefix>) {
    labels.entry(label.to_owned()).or_default().extend(prefixes);
}
