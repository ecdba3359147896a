//! One archive in every form that AWS delivers must give the same incidents and the same sums, byte for byte.
//!
//! The sample account's flow logs are rewritten as plain text, gzip, zstd, Parquet, CloudWatch exports, subscription
//! envelopes, answers of the CLI, CSV, Firehose objects and named JSON; evidence alone may differ, for it names lines.
//! `tests/s3.rs` has them read from S3.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

#[path = "shared/forms.rs"]
mod written;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use written::{FORMS, SAMPLE, sample};

fn run(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

fn top(folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    run(&[
        "top",
        "--quiet",
        "--by",
        "eni,dst,port,hour",
        "--limit",
        "0",
        "--totals",
        "--format",
        "ndjson",
        &folder,
    ])
}

/// Incidents without what names lines.
fn incidents(folder: &Path) -> Vec<Value> {
    let trail = format!("{SAMPLE}/trail");
    let text = run(&[
        "scan",
        "--quiet",
        "--format",
        "ndjson",
        "--trail",
        &trail,
        &folder.to_string_lossy(),
    ]);
    let without = |line: &str| {
        let mut incident: Value = serde_json::from_str(line).unwrap();
        incident.as_object_mut().unwrap().remove("evidence");
        incident
    };
    text.lines().map(without).collect()
}

#[test]
fn every_form_gives_the_same_sums_and_incidents() {
    let sample = sample();
    let dir = tempfile::tempdir().unwrap();
    let mut first: Option<(String, Vec<Value>)> = None;
    for (name, write) in FORMS {
        let folder = dir.path().join(name);
        for (file, rows) in &sample {
            // The name tells the flow log; its ending tells nothing.
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, write(rows)).unwrap();
        }
        let got = (top(&folder), incidents(&folder));
        match &first {
            None => {
                assert!(got.0.lines().count() > 100 && !got.1.is_empty());
                first = Some(got);
            }
            Some(first) => {
                assert!(first.0 == got.0, "{name}: top says something else than for text");
                assert!(first.1 == got.1, "{name}: the incidents are not those of text");
            }
        }
    }
}

/// What a rejected record is called: its file, the line of the container, its field.
#[test]
fn rejects_name_their_place_in_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let good = "2 1 eni-1 10.0.0.1 192.0.2.1 1 443 6 1 7 10 20 ACCEPT OK";
    let bad = good.replace(" 443 ", " 70000 ");
    let files = [
        (
            "export.log",
            format!("2026-03-02T00:00:00Z {good}\n2026-03-02T00:00:00Z {bad}\n"),
            2,
        ),
        (
            "firehose.json",
            format!("{{\"message\":\"{good}\"}}{{\"message\":\"{bad}\"}}"),
            1,
        ),
        (
            "events.json",
            format!("{{\"events\":[\n{{\"message\":\"{good}\"}},\n{{\"message\":\"{bad}\"}}\n]}}"),
            3,
        ),
        (
            "insights.csv",
            format!("@timestamp,@message\nx,\"{good}\n\"\nx,{bad}\n"),
            4,
        ),
    ];
    for (name, text, line) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let stats = dir.path().join("stats");
        let args = ["top", "--quiet", "--max-rejected", "100%", "--stats"];
        let args = args.iter().map(Path::new).chain([stats.as_path(), path.as_path()]);
        let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        let stats: Value = serde_json::from_slice(&std::fs::read(&stats).unwrap()).unwrap();
        let reject = &stats["rejects"][0];
        assert_eq!(
            (stats["good"].as_u64(), stats["rejected"].as_u64()),
            (Some(1), Some(1)),
            "{name}"
        );
        assert_eq!(
            (reject["line"].as_u64(), reject["field"].as_str()),
            (Some(line), Some("dstport")),
            "{name}"
        );
    }
}
