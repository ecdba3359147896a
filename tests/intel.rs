//! The lists on the shared test data: its READMEs and manifests say what is right, counted by other programs.
//!
//! The data is no part of the repository: `FLOWTRAIL_SHARED` names its folder (default `../shared`), and a test whose
//! part is missing says so.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // in the helpers, which Clippy does not take for tests

mod shared;

use std::path::Path;

use flowtrail::intel::{Intel, IntelOptions, ListInfo, ListKind, Prefix};
use flowtrail::net::{Addr, Class};
use shared::shared;

fn addr(text: &str) -> Addr {
    text.parse().unwrap()
}

fn list(intel: &Intel, kind: ListKind) -> &ListInfo {
    intel.lists().iter().find(|l| l.kind == kind).unwrap()
}

#[test]
fn bad_lists_and_databases_are_judged_as_the_manifest_says() {
    let Some(root) = shared("badinputs") else { return };
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("MANIFEST.json")).unwrap()).unwrap();
    let mut seen = 0;
    for item in manifest["items"].as_array().unwrap() {
        let path = root.join(item["file"].as_str().unwrap());
        match item["kind"].as_str() {
            Some("list") => judge_list(&path, item),
            Some("mmdb") => judge_mmdb(&path, item),
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 11);
}

fn judge_list(path: &Path, item: &serde_json::Value) {
    // The same answer whichever option names the file.
    let threat = IntelOptions {
        threat_lists: vec![path.into()],
        ..IntelOptions::default()
    };
    let exits = IntelOptions {
        tor_exits: vec![path.into()],
        ..IntelOptions::default()
    };
    let guards = IntelOptions {
        tor_guards: vec![path.into()],
        ..IntelOptions::default()
    };
    for (kind, options) in [
        (ListKind::Threat, threat),
        (ListKind::TorExit, exits),
        (ListKind::TorGuard, guards),
    ] {
        let intel = Intel::survey(&options);
        let info = list(&intel, kind);
        let expect = &item["expect"];
        assert_eq!(
            (Some(info.good), Some(info.rejected)),
            (expect["good"].as_u64(), expect["rejected"].as_u64()),
            "{}",
            path.display()
        );
        for reject in item["rejects"].as_array().into_iter().flatten() {
            let place = format!("{}:{}: ", path.display(), reject["line"]);
            assert!(
                info.warnings.iter().any(|w| w.starts_with(&place)),
                "{place} in {:?}",
                info.warnings
            );
        }
        match expect["file_error"].as_str().unwrap() {
            "none" => assert_eq!(info.file_error, None),
            "required" => assert!(info.file_error.is_some() && Intel::load(&options).is_err()),
            _ => {}
        }
    }
}

fn judge_mmdb(path: &Path, item: &serde_json::Value) {
    let intel = Intel::survey(&IntelOptions {
        geoip: Some(path.into()),
        whole: true,
        ..IntelOptions::default()
    });
    let opened = list(&intel, ListKind::Geoip).file_error.is_none();
    let late = item["also_acceptable"]
        .as_array()
        .is_some_and(|a| a.iter().any(|o| o["lookup"] == "some_error"));
    match item["expect"]["open"].as_str() {
        Some("ok") => assert!(opened, "{}", path.display()),
        _ => assert!(!opened || late, "{}", path.display()),
    }
    for (ip, country) in item["expect"]["lookup"].as_object().into_iter().flatten() {
        assert_eq!(
            intel.country(addr(ip)).map(|c| c.to_string()).as_deref(),
            country.as_str(),
            "{ip}"
        );
    }
}

#[test]
fn ip_ranges_of_2026_and_2017_count_as_their_readme_says() {
    let Some(root) = shared("corpus/aws-network") else {
        return;
    };
    let read = |name: &str| {
        Intel::load(&IntelOptions {
            ip_ranges: Some(root.join(name)),
            ..IntelOptions::default()
        })
        .unwrap()
    };
    let now = read("ip-ranges-2026-08-22.json");
    let info = list(&now, ListKind::Aws);
    assert_eq!(
        (info.good, info.rejected, info.date.as_deref()),
        (10_668 + 6_160, 0, Some("2026-08-22T15:17:05Z"))
    );
    let s3 = now.peer(addr("52.216.229.53"));
    assert_eq!(
        (s3.class, s3.service, s3.region),
        (Class::S3, Some("S3"), Some("us-east-1"))
    );
    assert_eq!(now.peer(addr("3.239.232.29")).service, Some("EC2"));
    let old = read("ip-ranges-2017-12-21.json");
    assert_eq!(list(&old, ListKind::Aws).good, 989 + 360);
    assert_eq!(old.class(addr("52.216.229.53")), Class::S3);
}

#[test]
fn the_class_equals_a_linear_search_over_the_real_list() {
    let Some(path) = shared("corpus/aws-network/ip-ranges-2026-08-22.json") else {
        return;
    };
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let rows: Vec<(Prefix, usize, &str)> = ["prefixes", "ipv6_prefixes"]
        .into_iter()
        .flat_map(|key| rows[key].as_array().unwrap())
        .map(|r| {
            let text = r["ip_prefix"].as_str().or(r["ipv6_prefix"].as_str()).unwrap();
            let service = r["service"].as_str().unwrap();
            let tier = ["AMAZON", "EC2", "", "S3"]
                .iter()
                .position(|s| *s == service)
                .unwrap_or(2);
            (Prefix::parse(text).unwrap(), tier, service)
        })
        .collect();
    let intel = Intel::load(&IntelOptions {
        ip_ranges: Some(path),
        ..IntelOptions::default()
    })
    .unwrap();
    let naive = |a: Addr| {
        rows.iter()
            .filter(|(p, ..)| p.contains(a))
            .max_by_key(|(p, tier, _)| ((*tier).min(2), p.bits, *tier))
            .map(|r| r.2)
    };
    // Both borders of every 40th prefix, the addresses beside them, and some that lie anywhere.
    let borders = rows
        .iter()
        .step_by(40)
        .flat_map(|(p, ..)| [p.first.0, p.first.0 - 1, p.last.0, p.last.0 + 1].map(Addr));
    let anywhere = (0..500u32).map(|n| Addr::v4(n.wrapping_mul(2_654_435_761)));
    for a in borders.chain(anywhere) {
        let expected = match naive(a) {
            Some("S3") => Class::S3,
            Some(_) => Class::Aws,
            None => Class::External,
        };
        let class = intel.class(a);
        assert!(
            class == expected || matches!(class, Class::Home | Class::Special),
            "{a}: {class} but {expected}"
        );
        assert_eq!(
            intel.peer(a).service.map(|s| s == "S3"),
            naive(a).map(|s| s == "S3").filter(|_| class == expected)
        );
    }
}

#[test]
fn prefix_lists_of_the_command_line_are_read() {
    let Some(root) = shared("corpus/aws-network") else {
        return;
    };
    let files = [
        "cloud-custodian-placebo/describe-prefix-lists-s3-us-east-1.json",
        "cloud-custodian-placebo/describe-managed-prefix-lists.json",
        "cloud-custodian-placebo/get-managed-prefix-list-entries-1.json",
        "cloud-custodian-placebo/get-managed-prefix-list-entries-2.json",
        "aws-cli-examples/describe-managed-prefix-lists-1.json",
        "aws-cli-examples/describe-prefix-lists-1.json",
        "aws-cli-examples/get-managed-prefix-list-entries-1.json",
    ];
    let prefix_lists = files.iter().map(|f| root.join(f)).collect();
    let intel = Intel::load(&IntelOptions {
        prefix_lists,
        ..IntelOptions::default()
    })
    .unwrap();
    let good: Vec<u64> = intel
        .lists()
        .iter()
        .filter(|l| l.kind == ListKind::PrefixList)
        .map(|l| l.good)
        .collect();
    assert_eq!(good.iter().sum::<u64>(), 2 + 4 + 1 + 1 + 2 + 1 + 2);
    let facts = intel.peer(addr("54.231.99.1"));
    assert_eq!((facts.class, facts.region), (Class::S3, Some("us-east-1")));
}

#[test]
fn databases_of_all_makers_are_read() {
    let Some(root) = shared("corpus/geo") else { return };
    let country = |file: &str, ip: &str| {
        let intel = Intel::load(&IntelOptions {
            geoip: Some(root.join(file)),
            ..IntelOptions::default()
        })
        .unwrap();
        intel
            .country(addr(ip))
            .map(|c| c.to_string())
            .unwrap_or_else(|| "-".into())
    };
    for (ip, code) in [
        ("89.160.20.112", "SE"),
        ("2.125.160.216", "GB"),
        ("216.160.83.56", "US"),
        ("10.0.0.1", "-"),
    ] {
        assert_eq!(country("maxmind-test-data/GeoLite2-Country-Test.mmdb", ip), code);
        assert_eq!(country("maxmind-test-data/GeoLite2-City-Test.mmdb", ip), code);
    }
    for (ip, code) in [
        ("92.55.146.245", "RO"),
        ("185.220.101.1", "DE"),
        ("52.216.229.53", "US"),
        ("2001:67c:2e8::1", "NL"),
    ] {
        assert_eq!(country("npm-iptoasn-country/iptoasn-country.mmdb", ip), code);
    }
    let intel = Intel::load(&IntelOptions {
        asn: Some(root.join("maxmind-test-data/GeoLite2-ASN-Test.mmdb")),
        ..IntelOptions::default()
    })
    .unwrap();
    assert_eq!(
        intel.asn(addr("1.128.0.0")),
        Some((1221, Some("Telstra Pty Ltd".into())))
    );
    assert_eq!(intel.peer(addr("1.128.0.0")).asn, Some(1221));
}

#[test]
fn the_embedded_countries_equal_their_source() {
    let Some(path) = shared("corpus/geo/npm-iptoasn-country/iptoasn-country.mmdb") else {
        return;
    };
    let source = Intel::load(&IntelOptions {
        geoip: Some(path),
        ..IntelOptions::default()
    })
    .unwrap();
    let embedded = Intel::load(&IntelOptions::default()).unwrap();
    for n in 0..40_000u32 {
        let v4 = Addr::v4(n.wrapping_mul(2_654_435_761));
        let v6 = Addr(0x2000_u128 << 112 | u128::from(n.wrapping_mul(2_654_435_761)) << 92 | u128::from(n));
        for a in [v4, v6] {
            assert_eq!(embedded.country(a), source.country(a), "{a}");
        }
    }
}

#[test]
fn damaged_databases_are_refused_or_counted() {
    let Some(root) = shared("corpus/geo") else { return };
    let survey = |file: &str| {
        Intel::survey(&IntelOptions {
            geoip: Some(root.join(file)),
            whole: true,
            ..IntelOptions::default()
        })
    };
    for file in [
        "libmaxminddb/libmaxminddb-metadata-marker-only.mmdb",
        "maxminddb-golang/cyclic-data-structure.mmdb",
        "maxminddb-golang/invalid-string-length.mmdb",
    ] {
        let intel = survey(&format!("maxmind-bad-data/{file}"));
        assert!(list(&intel, ListKind::Geoip).file_error.is_some(), "{file}");
    }
    let broken = survey("maxmind-test-data/MaxMind-DB-test-broken-pointers-24.mmdb");
    assert!(list(&broken, ListKind::Geoip).rejected > 0);
    assert_eq!(broken.country(addr("1.1.1.32")), None);
    assert!(broken.lookup_errors() > 0);
    let flat = survey("maxmind-test-data/MaxMind-DB-no-ipv4-search-tree.mmdb");
    assert_eq!(list(&flat, ListKind::Geoip).file_error, None);
    assert_eq!(flat.country(addr("1.1.1.1")), None);
}

#[test]
fn threat_and_tor_lists_count_as_their_readme_says() {
    let Some(root) = shared("corpus/threat") else { return };
    let options = IntelOptions {
        tor_exits: vec![root.join("tor-exit-nodes-2024-02-27.lst")],
        threat_lists: vec![
            root.join("ipsum-2026-08-22.txt"),
            root.join("ipsum-level5-2026-08-22.txt"),
        ],
        ..IntelOptions::default()
    };
    let intel = Intel::load(&options).unwrap();
    assert_eq!(
        (
            list(&intel, ListKind::TorExit).good,
            list(&intel, ListKind::TorExit).rejected
        ),
        (1_127 + 619, 0)
    );
    let threats: Vec<_> = intel
        .lists()
        .iter()
        .filter(|l| l.kind == ListKind::Threat)
        .map(|l| (l.good, l.rejected, l.date.as_deref()))
        .collect();
    assert_eq!(threats, [(120_430, 0, Some("2026-08-22T01:00:29Z")), (1_413, 0, None)]);
    assert_eq!(
        intel.labels(addr("77.90.185.20")),
        ["threat:ipsum-2026-08-22", "threat:ipsum-level5-2026-08-22"]
    );
    assert_eq!(intel.labels(addr("101.99.92.179")).last(), Some(&"tor-exit"));
}

/// The program says the same of a bad list as the library, and ends with 2.
#[cfg(feature = "cli")]
#[test]
fn the_program_shows_lists_and_refuses_bad_ones() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.txt");
    std::fs::write(&bad, "203.0.113.5\nx\ny\n").unwrap();
    let run = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_flowtrail"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let good = run(&["intel"]);
    assert_eq!(good.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&good.stdout).contains("not loaded"));
    let refused = run(&["intel", "--format", "json", "--threat-list", bad.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    let threat = json["lists"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["kind"] == "threat")
        .unwrap();
    assert_eq!(
        (threat["good"].as_u64(), threat["rejected"].as_u64()),
        (Some(1), Some(2))
    );
    assert!(threat["file_error"].as_str().unwrap().starts_with("more bad than good"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bad.txt:2: not an address or CIDR: `x`"));
}

/// Damage of any kind to a list or a database gives answers or an error, never a panic or a run without end.
#[test]
fn mutated_lists_and_databases_do_no_harm() {
    let Some(root) = shared("corpus") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutated");
    let sources = [
        "geo/maxmind-test-data/GeoLite2-Country-Test.mmdb",
        "geo/maxmind-test-data/GeoLite2-ASN-Test.mmdb",
        "geo/maxmind-test-data/MaxMind-DB-test-decoder.mmdb",
        "aws-network/cloud-custodian-placebo/describe-prefix-lists-s3-us-east-1.json",
        "threat/tor-exit-nodes-2024-02-27.lst",
    ];
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    for (i, source) in sources.iter().cycle().take(60).enumerate() {
        let mut bytes = std::fs::read(root.join(source)).unwrap();
        for _ in 0..=random(12) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        if i % 4 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        let one = || Some(path.clone());
        let many = || vec![path.clone()];
        let options = match i % 5 {
            0 | 2 => IntelOptions {
                geoip: one(),
                whole: true,
                ..IntelOptions::default()
            },
            1 => IntelOptions {
                asn: one(),
                whole: i % 2 == 0,
                ..IntelOptions::default()
            },
            3 => IntelOptions {
                prefix_lists: many(),
                ip_ranges: one(),
                ..IntelOptions::default()
            },
            _ => IntelOptions {
                tor_exits: many(),
                tor_guards: many(),
                threat_lists: many(),
                ..IntelOptions::default()
            },
        };
        let intel = Intel::survey(&options);
        for n in 0..200u32 {
            intel.peer(Addr::v4(n.wrapping_mul(2_654_435_761)));
            intel.peer(Addr(u128::from(n) << 120));
        }
        assert!(intel.lists().iter().all(|l| l.rejected <= bytes.len() as u64));
    }
}
