//! The trail's detectors on whole accounts: the generated sample with its flow logs, and real attack simulations.
//!
//! Real data lies beside the repository (`FLOWTRAIL_SHARED`); without it those tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowtrail::aggregate::Progress;
use flowtrail::detect::{Settings, Severity};
use flowtrail::incident::Incident;
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::scan::{self, Inputs};

/// The sample account, flow logs and trail together.
fn account() -> Vec<Incident> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account");
    let options = IntelOptions {
        tor_exits: vec![root.join("intel/torbulkexitlist")],
        threat_lists: vec![root.join("intel/threat-list.txt")],
        ..IntelOptions::default()
    };
    let inventory = std::fs::read_dir(root.join("inventory"))
        .unwrap()
        .flatten()
        .map(|e| e.path());
    let inputs = Inputs {
        flows: vec![root.join("flow").into()],
        trail: vec![root.join("trail").into()],
        inventory: inventory.collect(),
        ..Inputs::default()
    };
    let intel = Intel::load(&options).unwrap();
    let pool = scan::threads(2).unwrap();
    let follow = |_: &flowtrail::input::Archive| Arc::new(Progress::default());
    scan::scan(&inputs, &intel, &Settings::default(), &pool, &follow)
        .unwrap()
        .incidents
}

#[test]
fn the_playbooks_stolen_key_is_the_first_incident() {
    let incidents = account();
    let first = &incidents[0];
    assert_eq!(first.severity, Severity::Critical, "{:?}", first.rules);
    assert!(first.principals[0].arn.ends_with(":user/j.rivera"));
    assert_eq!((first.flows, first.bytes), (12_847, 4_700_000_000));
    assert_eq!(first.buckets.iter().map(|b| b.objects).sum::<u64>(), 12_611);
    assert_eq!(first.buckets.len(), 3);
    let at = |t: u64| flowtrail::net::rfc3339(t);
    assert_eq!(at(first.first_seen), "2026-03-10T02:47:11Z");
    assert_eq!(at(first.last_seen), "2026-03-10T04:12:38Z");
    for rule in ["s3-tor-caller", "s3-bulk-download", "s3-unusual-caller"] {
        assert!(first.rules.contains(&rule), "{rule}: {:?}", first.rules);
    }
    let foreign = incidents
        .iter()
        .find(|i| i.rules.contains(&"s3-foreign-write"))
        .unwrap();
    assert!(foreign.severity >= Severity::Medium);
    assert_eq!(foreign.buckets[0].bytes, 640_000_000);
    let machine = foreign.instance.as_deref().unwrap();
    let same =
        |i: &&Incident| i.instance.as_deref() == Some(machine) && i.first_seen.abs_diff(foreign.first_seen) < 7_200;
    assert_eq!(
        incidents.iter().filter(same).count(),
        1,
        "flow and trail findings of one machine are one incident"
    );
}

fn corpus(name: &str) -> Option<Vec<Incident>> {
    let given = std::env::var_os("FLOWTRAIL_SHARED").map(PathBuf::from);
    let shared = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("corpus/cloudtrail").join(name);
    if !folder.is_dir() {
        println!("skipped: no shared test data at {}", folder.display());
        return None;
    }
    let inputs = Inputs {
        trail: vec![folder.into()],
        ..Inputs::default()
    };
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let pool = scan::threads(1).unwrap();
    Some(scan::scan_trail(&inputs, &intel, &Settings::default(), &pool).unwrap())
}

#[test]
fn keys_stolen_through_a_proxy_are_found_with_session_instance_and_objects() {
    let Some(found) = corpus("otrf") else { return };
    let stolen = found
        .iter()
        .find(|i| i.rules.contains(&"stolen-instance-credentials"))
        .unwrap();
    assert_eq!(stolen.instance.as_deref(), Some("i-0317f6c6b66ae9c40"));
    assert!(stolen.principals[0].arn.ends_with("/i-0317f6c6b66ae9c40"));
    assert_eq!((stolen.flows, stolen.bytes), (2, 178));
    assert!(stolen.buckets[0].name.starts_with("mordors3stack-s3bucket-"));
}

#[test]
fn one_session_at_two_addresses_and_logs_switched_off_are_found() {
    let Some(found) = corpus("invictus-ir") else { return };
    let stolen = found
        .iter()
        .find(|i| i.rules.contains(&"stolen-instance-credentials"))
        .unwrap();
    assert_eq!(stolen.instance.as_deref(), Some("i-0dbc91f429e48eeed"));
    assert_eq!(stolen.source_ips[0].to_string(), "192.168.10.20");
    let tampered = found.iter().find(|i| i.rules.contains(&"log-tampering")).unwrap();
    for event in ["DeleteTrail", "StopLogging", "DeleteFlowLogs", "PutEventSelectors"] {
        assert!(tampered.explanation.iter().any(|e| e.contains(event)), "{event}");
    }
    for shared in [
        "ModifyImageAttribute",
        "ModifySnapshotAttribute",
        "ModifyDBSnapshotAttribute",
        "PutBucketPolicy",
    ] {
        assert!(tampered.explanation.iter().any(|e| e.contains(shared)), "{shared}");
    }
}

#[test]
fn sums_by_principal_and_address_are_those_of_a_database() {
    use flowtrail::trail::{TrailKey, summarise};
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Written by benches/trail_answer.sh --store, which asks DuckDB with the query that `--print-sql duckdb` prints.
    let stored = std::fs::read_to_string(root.join("tests/data/trail_answer.csv")).unwrap();
    let archive =
        flowtrail::input::Archive::discover(&[root.join("samples/account/trail")], flowtrail::input::Family::Trail);
    let pool = scan::threads(1).unwrap();
    let read = flowtrail::trail::read_archive(
        &archive.unwrap(),
        flowtrail::input::ReadOptions::default(),
        &flowtrail::trail::Wanted::ALL,
        &pool,
    );
    let told = summarise(&read.index, &[TrailKey::Principal, TrailKey::Ip], |_| true);
    let line = |s: &flowtrail::trail::Summary| {
        let at = flowtrail::net::rfc3339;
        let (first, last) = (at(s.first_seen), at(s.last_seen));
        let (keys, objects) = (s.keys.join(","), s.objects.number);
        format!(
            "{keys},{},{},{},{},{objects},{first},{last}",
            s.bytes_out, s.bytes_in, s.requests, s.errors
        )
    };
    let ours: Vec<String> = told.iter().map(line).collect();
    assert!(ours.len() > 10);
    assert_eq!(ours, stored.lines().skip(1).collect::<Vec<_>>());
}
