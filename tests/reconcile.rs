//! Both logs against each other, from the outside: `reconcile`, `unaccounted-s3`, and the second look at stolen credentials.
//!
//! The large labelled archive lies beside the repository (`FLOWTRAIL_RANGE`, a folder with `s1`, `s2`, …); without it that
//! test says so and passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples/detectors")
        .join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the program prints, and its messages.
fn flowtrail(args: &[&str]) -> (String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap();
    let messages = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{args:?}: {messages}");
    (String::from_utf8(out.stdout).unwrap(), messages)
}

/// Lines of NDJSON.
fn lines(args: &[&str]) -> Vec<Value> {
    let (out, _) = flowtrail(&[args, &["--format", "ndjson", "--quiet"]].concat());
    out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn number(v: &Value) -> u128 {
    v.as_u64()
        .map(u128::from)
        .or_else(|| v.as_str()?.parse().ok())
        .unwrap_or_else(|| panic!("{v} is no count"))
}

fn reconciled(which: &str, more: &[&str]) -> Vec<Value> {
    let (flow, trail) = (
        sample(&format!("unaccounted-s3/{which}.log")),
        sample(&format!("unaccounted-s3/{which}.json")),
    );
    lines(&[&["reconcile", text(&flow), "--trail", text(&trail)], more].concat())
}

#[test]
fn an_upload_without_an_event_lies_open_in_its_hour() {
    let rows = reconciled("hit", &["--limit", "0"]);
    assert_eq!(rows.len(), 18);
    assert_eq!(rows[0]["hour"], "2026-01-13T12:00:00Z");
    assert_eq!(rows[0]["sent"], 900_000_000);
    // what 4 MB from S3 are acknowledged with at most, and nothing else
    assert_eq!(rows[0]["sent_unaccounted"], 900_000_000 - 80_000);
    assert_eq!(rows[0]["verdict"], "upper bound");
    assert!(
        rows[1..]
            .iter()
            .all(|r| r["sent_unaccounted"] == 0 && r["verdict"] == "explained")
    );
    assert!(
        reconciled("miss", &["--limit", "0"])
            .iter()
            .all(|r| r["verdict"] == "explained")
    );
}

#[test]
fn a_day_holds_the_sums_of_its_hours() {
    let rows = reconciled("hit", &["--by", "day", "--limit", "1", "--totals"]);
    assert_eq!(rows[0]["day"], "2026-01-13T00:00:00Z");
    assert_eq!(
        (&rows[0]["sent"], &rows[0]["uploaded"]),
        (&1_800_000_000.into(), &862_000_000.into())
    );
    // one event explains up to 110 % of its payload, 4,000 bytes of a request, and 2 % of what came in
    assert_eq!(
        rows[0]["sent_unaccounted"],
        1_800_000_000u64 - 948_200_000 - 4_000 - 160_000
    );
    assert_eq!(rows[1]["groups"], 9);
    assert_eq!(rows[1]["upper_bound"], true);
}

#[test]
fn selectors_that_cover_every_bucket_turn_the_bound_into_a_fact() {
    let folder = tempfile::tempdir().unwrap();
    let selectors = folder.path().join("selectors.json");
    let all = r#"{"TrailARN":"arn:aws:cloudtrail:us-east-1:123456789012:trail/t","EventSelectors":[{"ReadWriteType":"All",
        "IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}]}"#;
    fs::write(&selectors, all).unwrap();
    let rows = reconciled("hit", &["--limit", "1", "--inventory", text(&selectors)]);
    assert_eq!(rows[0]["verdict"], "unaccounted");
}

#[test]
fn without_data_events_nothing_is_said_of_what_events_explain() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail.json");
    let management = r#"{"Records":[{"eventTime":"2026-01-05T00:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances",
        "eventCategory":"Management","recipientAccountId":"123456789012","sourceIPAddress":"10.0.1.20"}]}"#;
    fs::write(&trail, management).unwrap();
    let flow = sample("unaccounted-s3/hit.log");
    let command = [
        "reconcile",
        text(&flow),
        "--trail",
        text(&trail),
        "--limit",
        "1",
        "--totals",
    ];
    let rows = lines(&command);
    assert_eq!(rows[0]["verdict"], "not observable");
    assert_eq!(rows[0]["sent"], 900_000_000);
    assert!(rows[0]["sent_unaccounted"].is_null() && rows[0]["uploaded"].is_null());
    assert!(rows[1]["explained"].is_null() && rows[1]["sent_unaccounted"].is_null());
    let (table, messages) = flowtrail(&command);
    assert!(table.contains("not observable") && messages.contains("no S3 data event"));
}

#[test]
fn every_format_holds_the_same_rows() {
    let (flow, trail) = (sample("unaccounted-s3/hit.log"), sample("unaccounted-s3/hit.json"));
    let of = |format: &str| {
        let args = [
            "reconcile",
            text(&flow),
            "--trail",
            text(&trail),
            "--limit",
            "3",
            "--quiet",
            "--format",
            format,
        ];
        flowtrail(&args).0
    };
    let array: Vec<Value> = serde_json::from_str(&of("json")).unwrap();
    let objects: Vec<Value> = of("ndjson").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(array, objects);
    let csv = of("csv");
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.starts_with("eni,instance,hour,sent,sent_low,sent_high,sent_unaccounted,received,"));
    assert!(of("table").contains("900 MB") && of("md").starts_with("| eni |"));
}

#[test]
fn the_detector_tells_the_unexplained_bytes_and_no_others() {
    let scan = |which: &str| {
        let (flow, trail) = (
            sample(&format!("unaccounted-s3/{which}.log")),
            sample(&format!("unaccounted-s3/{which}.json")),
        );
        lines(&["scan", text(&flow), "--trail", text(&trail)])
    };
    let hit = scan("hit");
    assert_eq!(hit.len(), 1, "{hit:#?}");
    assert_eq!(hit[0]["rule"], "unaccounted-s3");
    assert_eq!(hit[0]["channel"], "S3 unaccounted");
    assert_eq!(hit[0]["bytes"], 899_920_000);
    assert_eq!(hit[0]["destinations"][0]["bytes"], 899_920_000);
    assert!(scan("miss").is_empty());
}

/// The reasons of the finding about the sample's stolen session, beside a flow log of its instance with `more` in it.
fn told_of_stolen_credentials(more: &str, instance: &str) -> (String, f64) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("flow.log");
    let header =
        "interface-id instance-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    let at = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_second();
    let begin = at(&format!("{}:00:00Z", &stolen_at()[..13]));
    let line = |minute: i64| {
        let start = begin + minute * 60;
        format!(
            "eni-1 {instance} 10.0.1.9 10.0.1.20 5432 41000 6 10 9000 {start} {} ACCEPT OK\n",
            start + 599
        )
    };
    let lines: String = (-12..18).map(|n| line(n * 10)).collect();
    let more = more
        .replace("START", &begin.to_string())
        .replace("END", &(begin + 3_599).to_string());
    fs::write(&log, format!("{header}\n{lines}{more}")).unwrap();
    let trail = sample("stolen-instance-credentials/hit.json");
    let found = lines_of(&log, &trail);
    let all = found.iter().filter(|f| {
        f["rules"]
            .as_array()
            .unwrap()
            .contains(&"stolen-instance-credentials".into())
    });
    let finding = all.clone().next().unwrap_or_else(|| panic!("{found:#?}"));
    (
        finding["explanation"].to_string(),
        finding["confidence"].as_f64().unwrap(),
    )
}

fn lines_of(log: &Path, trail: &Path) -> Vec<Value> {
    lines(&["scan", text(log), "--trail", text(trail), "--min-severity", "info"])
}

/// When the sample's session called from elsewhere.
fn stolen_at() -> String {
    let file = fs::read(sample("stolen-instance-credentials/hit.json")).unwrap();
    let all: Value = serde_json::from_slice(&file).unwrap();
    let records = all["Records"].as_array().unwrap();
    let elsewhere = records.iter().filter(|r| r["sourceIPAddress"] == "198.51.100.7");
    let last = elsewhere.map(|r| r["eventTime"].as_str().unwrap()).max();
    last.unwrap().to_owned()
}

#[test]
fn whole_flow_logs_speak_against_the_instance_and_gaps_say_nothing() {
    let instance = "i-0a1b2c3d4e5f60718";
    let (whole, sure) = told_of_stolen_credentials("", instance);
    assert!(
        whole.contains("are whole for that time") && whole.contains("did not go there"),
        "{whole}"
    );
    let skipped = format!("eni-1 {instance} - - - - - - - START END - SKIPDATA\n");
    let (gap, less) = told_of_stolen_credentials(&skipped, instance);
    assert!(
        gap.contains("have gaps at that time") && !gap.contains("did not go there"),
        "{gap}"
    );
    let (unseen, _) = told_of_stolen_credentials("", "i-0fedcba9876543210");
    assert!(
        unseen.contains("No flow log shows an interface of the instance"),
        "{unseen}"
    );
    assert!(less < sure, "{less} {sure}");
}

#[test]
fn the_range_is_explained_but_for_what_its_truth_says() {
    let Some(range) = std::env::var_os("FLOWTRAIL_RANGE")
        .map(PathBuf::from)
        .filter(|r| r.is_dir())
    else {
        println!("skipped: FLOWTRAIL_RANGE names no folder");
        return;
    };
    for estate in fs::read_dir(range).unwrap().map(|e| e.unwrap().path()) {
        let truth: Value = serde_json::from_slice(&fs::read(estate.join("truth.json")).unwrap()).unwrap();
        for format in ["flow-v2", "flow-v5"] {
            let share = legitimate_share(&estate, format, &truth);
            println!("{} {format}: {:.2} % explained", estate.display(), share * 100.0);
            assert!(share >= 0.97, "{} {format}: {share}", estate.display());
        }
    }
}

/// The explained share of the bytes to and from S3, without the hours of uploads into foreign buckets.
fn legitimate_share(estate: &Path, format: &str, truth: &Value) -> f64 {
    let of = |part: &str| estate.join(part).to_str().unwrap().to_owned();
    let rows = lines(&[
        "reconcile",
        &of(format),
        "--trail",
        &of("trail"),
        "--inventory",
        &of("inventory/describe-network-interfaces.json"),
        "--inventory",
        &of("inventory/event-selectors.json"),
        "--ip-ranges",
        &of("intel/ip-ranges.json"),
        "--limit",
        "0",
    ]);
    let foreign = truth["incidents"].as_array().unwrap().iter();
    let foreign: Vec<&Value> = foreign.filter(|i| i["kind"] == "s3_foreign_upload").collect();
    let hour = |t: &Value| t.as_str().unwrap()[..13].to_owned();
    let is_foreign = |r: &Value| {
        let within = |i: &&Value| hour(&i["start"]) <= hour(&r["hour"]) && hour(&r["hour"]) <= hour(&i["end"]);
        foreign.iter().any(|i| i["eni"] == r["eni"] && within(i))
    };
    let (mut all, mut open) = (0u128, 0u128);
    for row in rows.iter().filter(|r| !is_foreign(r)) {
        all += number(&row["sent"]) + number(&row["received"]);
        open += number(&row["sent_unaccounted"]) + number(&row["received_unaccounted"]);
    }
    1.0 - open as f64 / all as f64
}
