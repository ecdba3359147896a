//! GuardDuty's and Macie's findings: what others recorded is read, and on the sample account they speak for the incident.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says so when it is skipped"
)]

mod shared;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowtrail::input::ReadOptions;
use flowtrail::intake::{Level, SideFindings, Tool};
use serde_json::Value;
use shared::shared;

/// The JSON files below a folder, in order of name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

fn read(paths: &[PathBuf], tool: Tool) -> SideFindings {
    let mut side = SideFindings::default();
    side.read_files(paths, tool, ReadOptions::default()).unwrap();
    side
}

/// Folder, findings read, distinct findings, other events: as the corpus's page counts them.
const GUARDDUTY: [(&str, u64, usize, u64); 6] = [
    ("onug-csnf", 2, 2, 0),
    ("guardduty-soar-samples", 15, 15, 0),
    ("cloud-custodian-eventbridge", 2, 2, 0),
    ("notify-slack", 4, 1, 1),
    ("aws-cli-examples", 1, 1, 0),
    // 8 lines and the two sequences once more; six of the lines are one finding in six states
    ("panther-rule-tests", 10, 3, 0),
];

#[test]
fn recorded_findings_of_guardduty_are_read() {
    let Some(corpus) = shared("corpus/guardduty") else {
        return;
    };
    for (folder, count, distinct, other) in GUARDDUTY {
        let side = read(&files(&corpus.join(folder)), Tool::GuardDuty);
        assert_eq!(
            (side.read, side.list.len(), side.other),
            (count, distinct, other),
            "{folder}"
        );
    }
}

#[test]
fn what_a_correct_reader_must_get_of_guardduty() {
    let Some(corpus) = shared("corpus/guardduty") else {
        return;
    };
    let one = |file: &str| read(&[corpus.join(file)], Tool::GuardDuty).list.remove(0);
    let beta = one("onug-csnf/guardduty-test.json");
    assert_eq!(
        (beta.kind.plain(), beta.score),
        ("Exfiltration:S3/AnomalousBehavior", 8.0)
    );
    assert!(beta.kind.written().starts_with("[beta]"));
    assert_eq!(beta.remote, ["10.191.54.191".parse().unwrap()]);
    assert!(beta.hosts.contains(&"i-000592257fc1c8bd2".to_owned()));
    let pascal = one("onug-csnf/aws_gd_test.json");
    assert_eq!(
        (pascal.kind.plain(), pascal.score),
        ("Discovery:S3/MaliciousIPCaller", 8.0)
    );
    assert!(pascal.buckets.contains(&"bucketName".to_owned()));
    let sequence = one("panther-rule-tests/AttackSequence-S3-CompromisedData.json");
    assert_eq!((sequence.level, sequence.sample), (Level::Critical, true));
    assert_eq!(
        sequence.first_seen,
        flowtrail::net::parse_rfc3339("2025-02-25T20:40:06Z")
    );
    let tor = one("cloud-custodian-eventbridge/iam-duty-event.json");
    assert_eq!(
        (tor.kind.plain(), tor.score),
        ("UnauthorizedAccess:IAMUser/TorIPCaller", 5.0)
    );
    let old = one("aws-cli-examples/get-findings-1.json");
    assert_eq!(old.kind.current(), "Discovery:IAMUser/AnomalousBehavior");
    let slack: Vec<f64> = [
        "guardduty_finding_high",
        "guardduty_finding_medium",
        "guardduty_finding_low",
        "sns-guardduty_finding",
    ]
    .iter()
    .map(|f| one(&format!("notify-slack/{f}.json")).score)
    .collect();
    assert_eq!(slack, [9.0, 5.0, 2.0, 9.0]);
}

#[test]
fn what_a_correct_reader_must_get_of_macie() {
    let Some(corpus) = shared("corpus/macie") else { return };
    let side = read(&files(&corpus.join("aws-samples-finding-data-reveal")), Tool::Macie);
    let levels: Vec<Level> = side.list.iter().map(|f| f.level).collect();
    assert_eq!((side.read, side.list.len()), (6, 6));
    assert_eq!(levels.iter().filter(|l| **l == Level::High).count(), 5);
    assert_eq!(levels.iter().filter(|l| **l == Level::Medium).count(), 1);
    let custom = side.list.iter().find(|f| f.level == Level::Medium).unwrap();
    assert_eq!(custom.kind.plain(), "SensitiveData:S3Object/CustomIdentifier");
    assert_eq!(custom.sensitivity, ["custom: email check"]);
    let held = side.sensitive.of("DOC-EXAMPLE-BUCKET1").unwrap();
    assert!(held.objects.contains("macie-workshop/sample-data with spaces.csv"));
    assert!(held.categories.contains("CUSTOM_IDENTIFIER") && held.categories.contains("PERSONAL_INFORMATION"));
}

fn flowtrail(args: &[&str]) -> Output {
    let account = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account");
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .current_dir(account)
        .args(args)
        .output()
        .unwrap()
}

const SCAN: [&str; 11] = [
    "scan",
    "flow",
    "--trail",
    "trail",
    "--inventory",
    "inventory",
    "--tor-exits",
    "intel/torbulkexitlist",
    "--format",
    "json",
    "--quiet",
];
const ALERTS: [&str; 4] = [
    "--guardduty",
    "alerts/guardduty-findings.json",
    "--macie",
    "alerts/macie-findings.json",
];

fn result(more: &[&str]) -> Value {
    let args: Vec<&str> = SCAN.iter().chain(more).copied().collect();
    let out = flowtrail(&args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn stolen_key(result: &Value) -> (Value, Value) {
    let of = |list: &str, id: &Value| {
        result[list]
            .as_array()
            .unwrap()
            .iter()
            .find(|i| i["id"] == *id)
            .unwrap()
            .clone()
    };
    let all = result["incidents"].as_array().unwrap();
    let ours = all
        .iter()
        .find(|i| i["rules"].to_string().contains("s3-tor-caller"))
        .unwrap();
    (ours.clone(), of("details", &ours["id"]))
}

#[test]
fn the_stolen_key_is_told_by_both_and_its_containment_is_ticked() {
    let with = result(&ALERTS);
    let (incident, detail) = stolen_key(&with);
    assert_eq!(incident["severity"], "critical");
    let types = incident["guardduty"].to_string();
    assert!(
        types.contains("Exfiltration:S3/AnomalousBehavior/") && types.contains("UnauthorizedAccess:S3/TorIPCaller/")
    );
    let sensitivity = |name: &str| {
        let buckets = incident["buckets"].as_array().unwrap();
        let found = buckets
            .iter()
            .find(|b| b["name"].as_str().unwrap().starts_with(name))
            .unwrap();
        found["sensitivity"].to_string()
    };
    assert_eq!(
        sensitivity("customer"),
        r#"["PII: EMAIL_ADDRESS","PII: USA_SOCIAL_SECURITY_NUMBER"]"#
    );
    assert_eq!(sensitivity("finance"), r#"["financial: CREDIT_CARD_NUMBER"]"#);
    let why = incident["explanation"].to_string();
    assert!(
        why.contains("Of 4 objects that Macie found it in, 4 are known to be among them."),
        "{why}"
    );
    let steps = detail["containment"].as_array().unwrap();
    let told: Vec<(&str, bool, Option<&str>)> = steps
        .iter()
        .map(|s| {
            (
                s["id"].as_str().unwrap(),
                s["done"].as_bool().unwrap(),
                s["at"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("disable-key", true, Some("2026-03-10T04:25:00Z")),
            ("reset-user", true, Some("2026-03-10T04:38:00Z")),
            ("endpoint-policy", true, Some("2026-03-10T04:52:00Z")),
            ("bucket-policy", true, Some("2026-03-10T05:05:00Z")),
            ("secret-scan", false, None),
        ]
    );
    let key = incident["principals"][0]["access_key"].as_str().unwrap();
    assert!(
        !detail["containment"].to_string().contains(key),
        "sentences for people hold no whole key"
    );
    let side = with["side_findings"].as_array().unwrap();
    assert_eq!(side.len(), 6);
    assert!(side.iter().all(|s| s["matched"] == incident["id"]));
}

#[test]
fn without_findings_nothing_is_claimed_of_them() {
    let without = result(&[]);
    assert!(without["side_findings"].is_null());
    let (incident, _) = stolen_key(&without);
    assert!(!incident["guardduty"].to_string().contains("TorIPCaller/"));
    assert!(incident["buckets"][0]["sensitivity"].as_array().unwrap().is_empty());
}

#[test]
fn agreement_is_both_only_ours_only_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    std::fs::write(&path, result(&ALERTS).to_string()).unwrap();
    let stranger = folder.path().join("stranger.json");
    let text = r#"{"id":"g","type":"Recon:EC2 Portscan","severity":5,"service":{"eventFirstSeen":"2026-03-10T01:00:00Z"},
        "resource":{"instanceDetails":{"instanceId":"i-0000000000000000"}}}"#;
    std::fs::write(&stranger, text).unwrap();
    let out = flowtrail(&[
        "guardduty",
        "alerts/guardduty-findings.json",
        stranger.to_str().unwrap(),
        "--result",
        path.to_str().unwrap(),
        "--format",
        "ndjson",
        "--quiet",
    ]);
    assert!(out.status.success());
    let rows: Vec<Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let count = |word: &str| rows.iter().filter(|r| r["agreement"] == word).count();
    assert_eq!((count("both"), count("only theirs")), (2, 1));
    let incidents = result(&ALERTS)["incidents"].as_array().unwrap().len();
    assert_eq!(count("only ours"), incidents - 1);
    let both = rows
        .iter()
        .find(|r| r["type"] == "UnauthorizedAccess:S3/TorIPCaller")
        .unwrap();
    assert_eq!(
        (both["action"].as_str(), both["by"].as_str()),
        (Some("GetObject"), Some("access key"))
    );
}

#[test]
fn a_file_without_findings_ends_with_2_before_anything_is_read() {
    for wrong in [
        ["--guardduty", "manifest.json"],
        ["--macie", "alerts/guardduty-findings.json"],
        ["--guardduty", "none.json"],
    ] {
        let args: Vec<&str> = SCAN.iter().chain(&wrong).copied().collect();
        let out = flowtrail(&args);
        assert_eq!(out.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains(wrong[1]), "{wrong:?}");
    }
}
