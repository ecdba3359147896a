//! Each detector against its samples, through the whole pipeline: the hit fires exactly once, the miss stays silent.
//!
//! A detector also needs its page in `docs/detectors`, and a folder without a detector is an error as well.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowtrail::aggregate::Progress;
use flowtrail::detect::{DETECTORS, JOINT_DETECTORS, Settings, Severity, TRAIL_DETECTORS};
use flowtrail::incident::Incident;
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::scan::{self, Inputs};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn incidents(log: &Path) -> Vec<Incident> {
    incidents_of_both(log, None)
}

fn incidents_of_both(log: &Path, trail: Option<&Path>) -> Vec<Incident> {
    let list = root().join("samples/detectors/threat-ip/list.txt");
    let options = IntelOptions {
        threat_lists: vec![list],
        ..IntelOptions::default()
    };
    let intel = Intel::load(&options).unwrap();
    let inputs = Inputs {
        flows: vec![log.into()],
        trail: trail.into_iter().map(Into::into).collect(),
        ..Inputs::default()
    };
    let pool = scan::threads(1).unwrap();
    let follow = |_: &flowtrail::input::Archive| Arc::new(Progress::default());
    let scanned = scan::scan(&inputs, &intel, &Settings::default(), &pool, &follow).unwrap();
    scanned.incidents
}

#[test]
fn every_hit_fires_exactly_once_and_every_miss_is_silent() {
    for detector in DETECTORS {
        let id = detector.meta().id;
        let folder = root().join("samples/detectors").join(id);
        let hits = incidents(&folder.join("hit.log"));
        let loud: Vec<_> = hits.iter().filter(|i| i.severity >= Severity::Medium).collect();
        assert_eq!(loud.len(), 1, "{id}: {hits:#?}");
        assert!(loud[0].rules.contains(&id), "{id}: {:?}", loud[0].rules);
        let misses = incidents(&folder.join("miss.log"));
        let heard: Vec<_> = misses.iter().filter(|i| i.severity >= Severity::Low).collect();
        assert!(heard.is_empty(), "{id}: {heard:#?}");
    }
}

#[test]
fn every_hit_in_both_logs_fires_exactly_once_and_every_miss_is_silent() {
    for detector in JOINT_DETECTORS {
        let id = detector.meta().id;
        let of = |name: &str| {
            let path = root().join("samples/detectors").join(id).join(name);
            incidents_of_both(&path.with_extension("log"), Some(&path.with_extension("json")))
        };
        // What CloudTrail accounts for is on record as `info`.
        let hits: Vec<_> = of("hit").into_iter().filter(|i| i.severity >= Severity::Low).collect();
        assert_eq!(hits.len(), 1, "{id}: {hits:#?}");
        assert!(hits[0].rules.contains(&id), "{id}: {:?}", hits[0].rules);
        assert_eq!(hits[0].severity, Severity::Medium, "{hits:#?}");
        let misses: Vec<_> = of("miss").into_iter().filter(|i| i.severity >= Severity::Low).collect();
        assert!(misses.is_empty(), "{id}: {misses:#?}");
    }
}

/// Incidents of a trail without flow logs.
fn callers(trail: &Path) -> Vec<Incident> {
    let samples = root().join("samples/detectors");
    let options = IntelOptions {
        threat_lists: vec![samples.join("threat-ip/list.txt")],
        tor_exits: vec![samples.join("s3-tor-caller/tor-exits.txt")],
        ..IntelOptions::default()
    };
    let intel = Intel::load(&options).unwrap();
    let inputs = Inputs {
        trail: vec![trail.into()],
        ..Inputs::default()
    };
    let pool = scan::threads(1).unwrap();
    scan::scan_trail(&inputs, &intel, &Settings::default(), &pool).unwrap()
}

#[test]
fn every_hit_in_a_trail_fires_exactly_once_and_every_miss_is_silent() {
    for detector in TRAIL_DETECTORS {
        let id = detector.meta().id;
        let folder = root().join("samples/detectors").join(id);
        let hits = callers(&folder.join("hit.json"));
        assert_eq!(hits.len(), 1, "{id}: {hits:#?}");
        assert!(hits[0].rules.contains(&id), "{id}: {:?}", hits[0].rules);
        assert!(hits[0].severity >= Severity::Medium, "{id}: {hits:#?}");
        assert!(
            !hits[0].principals.is_empty() && !hits[0].explanation.is_empty(),
            "{id}"
        );
        let misses = callers(&folder.join("miss.json"));
        assert!(misses.is_empty(), "{id}: {misses:#?}");
    }
}

#[test]
fn only_bytes_and_a_second_kind_of_evidence_make_it_high() {
    let of = |id: &str| callers(&root().join("samples/detectors").join(id).join("hit.json"))[0].clone();
    // 20 MB, by an address on a list.
    assert_eq!(of("s3-tor-caller").severity, Severity::High);
    // 240 MB, but from the office, and nothing else speaks against it.
    assert_eq!(of("s3-bulk-download").severity, Severity::Medium);
    // A rule alone, without a byte.
    assert_eq!(of("log-tampering").severity, Severity::Medium);
}

#[test]
fn a_trail_finding_names_requests_objects_buckets_and_the_caller() {
    let found = &callers(&root().join("samples/detectors/s3-bulk-download/hit.json"))[0];
    assert_eq!((found.flows, found.bytes), (123, 243_000_000));
    let buckets: Vec<(&str, u64)> = found.buckets.iter().map(|b| (b.name.as_str(), b.objects)).collect();
    assert_eq!(buckets, [("customers", 120), ("reports", 3)]);
    assert_eq!(found.principals[0].arn, "arn:aws:iam::111122223333:user/dev");
    assert_eq!(found.source_ips[0].to_string(), "184.164.242.10");
    assert_eq!(found.channel, "out-of-VPC API reads");
}

#[test]
fn every_detector_has_its_file_its_samples_and_its_page() {
    let of_trail = TRAIL_DETECTORS.iter().map(|d| d.meta().id.to_owned());
    let of_both = JOINT_DETECTORS.iter().map(|d| d.meta().id.to_owned());
    let ids: BTreeSet<String> = DETECTORS
        .iter()
        .map(|d| d.meta().id.to_owned())
        .chain(of_trail)
        .chain(of_both)
        .collect();
    let count = DETECTORS.len() + TRAIL_DETECTORS.len() + JOINT_DETECTORS.len();
    assert_eq!(ids.len(), count, "two detectors share an id");
    for id in &ids {
        let file = root().join("src/detect").join(format!("{}.rs", id.replace('-', "_")));
        assert!(file.exists(), "{} is missing", file.display());
        let page = std::fs::read_to_string(root().join("docs/detectors").join(format!("{id}.md"))).unwrap();
        for word in [
            "## How",
            "## Parameters",
            "## What it misses",
            "## False positives",
            "ATT&CK",
        ] {
            assert!(page.contains(word), "docs/detectors/{id}.md has no `{word}`");
        }
    }
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("samples/detectors"))
        .unwrap()
        .flatten()
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(ids, folders);
}

#[test]
fn a_hit_names_the_bytes_that_left_and_nothing_else() {
    let found = incidents(&root().join("samples/detectors/new-destination/hit.log"));
    assert_eq!(found[0].bytes, 400_000_000);
    assert_eq!(found[0].destinations.len(), 1);
    assert_eq!(found[0].destinations[0].ip.to_string(), "192.0.2.77");
}

#[test]
fn a_split_upload_is_its_parts_and_not_what_was_sent_beside_it() {
    let mut log = std::fs::read_to_string(root().join("samples/detectors/fan-out/hit.log")).unwrap();
    let day = 1_768_262_400;
    let mut send = |to: &str, bytes: u32, start: u32| {
        let packets = bytes / 1_400 + 1;
        let end = start + 60;
        log += &format!(
            "2 123456789012 eni-0a1b2c3d4e5f60718 10.0.1.20 {to} 41000 443 6 {packets} {bytes} {start} {end} ACCEPT OK\n"
        );
    };
    // Known by a few bytes of the week before, and then a part like all others.
    send("203.0.113.9", 4_000, day - 6 * 86_400);
    send("203.0.113.9", 6_000_000, day + 11 * 3_600 + 60);
    // A page fetched in between, and a new place on the same night.
    send("192.0.2.9", 100_000, day + 11 * 3_600 + 120);
    send("198.51.102.9", 9_000_000, day + 3 * 3_600);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("split.log");
    std::fs::write(&path, log).unwrap();
    let found = incidents(&path);
    let split = found.iter().find(|i| i.rules.contains(&"fan-out")).unwrap();
    assert_eq!((split.bytes, split.destinations.len()), (61 * 6_000_000, 61));
    let cites = |ip: &str| split.destinations.iter().any(|d| d.ip.to_string() == ip);
    assert!(cites("203.0.113.9") && !cites("192.0.2.9") && !cites("198.51.102.9"));
}

/// A web server's nine days: four visitors an hour, and on the last day `copies` callers who get 3 GB between them.
fn served(copies: u64) -> Vec<String> {
    let mut log = Vec::new();
    let mut answer = |to: &str, bytes: u64, start: u64| {
        for (from, to, ports, bytes) in [
            ("10.0.1.20", to, "443 41000", bytes),
            (to, "10.0.1.20", "41000 443", bytes / 50),
        ] {
            let (packets, end) = (bytes / 1_400 + 1, start + 540);
            log.push(format!(
                "2 123456789012 eni-0a1b2c3d4e5f60718 {from} {to} {ports} 6 {packets} {bytes} {start} {end} ACCEPT OK"
            ));
        }
    };
    let first = 1_767_571_200;
    for hour in 0..9 * 24 {
        for visitor in 0..4 {
            let to = format!("198.51.100.{}", (hour * 4 + visitor) % 250);
            answer(&to, 2_000_000 + hour % 7 * 100_000, first + hour * 3_600 + 300);
        }
    }
    for copy in 0..copies {
        answer(
            &format!("192.0.2.{}", copy + 1),
            3_000_000_000 / copies,
            first + (8 * 24 + 10) * 3_600,
        );
    }
    log
}

#[test]
fn one_caller_who_fetches_more_than_all_others_is_told_and_a_good_day_is_not() {
    let found = |log: &[String]| told(&log.iter().map(String::as_str).collect::<Vec<_>>());
    let copied = found(&served(1));
    assert_eq!(copied.len(), 1, "{copied:?}");
    assert!(
        copied[0].contains("asked for by one caller") && copied[0].contains("\"192.0.2.1\""),
        "{copied:?}"
    );
    assert_eq!(found(&served(60)), Vec::<String>::new());
}

/// Findings of a log's lines, without evidence (files have other names).
fn told(lines: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("part.log");
    std::fs::write(&log, lines.join("\n") + "\n").unwrap();
    let mut found = incidents(&log);
    found.iter_mut().for_each(|i| i.evidence.clear());
    found.iter().map(|i| serde_json::to_string(i).unwrap()).collect()
}

#[test]
fn a_day_more_changes_no_old_verdict_and_order_changes_none() {
    let text = std::fs::read_to_string(root().join("samples/detectors/new-destination/hit.log")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let before = told(&lines);
    assert_eq!(before.len(), 1);
    // Two ordinary days after it: the records of days 1 and 2, moved.
    let start = |line: &str| line.split(' ').nth(10).unwrap().parse::<u64>().unwrap();
    let first = start(lines[0]);
    let moved: Vec<String> = lines
        .iter()
        .filter(|l| (1..3).contains(&((start(l) - first) / 86_400)))
        .map(|l| {
            let mut fields: Vec<String> = l.split(' ').map(str::to_owned).collect();
            for at in [10, 11] {
                fields[at] = (fields[at].parse::<u64>().unwrap() + 8 * 86_400).to_string();
            }
            fields.join(" ")
        })
        .collect();
    let mut longer = lines.clone();
    longer.extend(moved.iter().map(String::as_str));
    assert_eq!(told(&longer), before);
    longer.reverse();
    assert_eq!(told(&longer), before);
}

#[test]
fn without_the_incident_there_is_no_finding() {
    for detector in DETECTORS {
        let path = root()
            .join("samples/detectors")
            .join(detector.meta().id)
            .join("hit.log");
        let text = std::fs::read_to_string(path).unwrap();
        let usual: Vec<&str> = text
            .lines()
            .filter(|l| l.split(' ').nth(10).is_some_and(everyday))
            .collect();
        assert_eq!(told(&usual), Vec::<String>::new(), "{}", detector.meta().id);
    }
}

/// The samples' everyday records start five minutes past the hour.
fn everyday(start: &str) -> bool {
    start.parse::<u64>().unwrap() % 3_600 == 300
}
