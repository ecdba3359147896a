//! Verdicts that can be trusted: the same for any threads, order and split, and none where nothing happened.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn account() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account")
}

fn ran(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    let out = command.current_dir(folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

const KNOWN: &[&str] = &[
    "--inventory",
    "inventory/describe-network-interfaces.json",
    "--inventory",
    "inventory/describe-nat-gateways.json",
    "--inventory",
    "inventory/get-event-selectors.json",
    "--format",
    "ndjson",
    "--quiet",
    "--min-severity",
    "info",
];

/// The incidents of a scan, without evidence: files may have other names.
fn verdicts(folder: &Path, logs: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["scan"].iter().chain(logs).chain(KNOWN).copied().collect();
    let told = |line: &str| {
        let mut incident: Value = serde_json::from_str(line).unwrap();
        incident["evidence"] = Value::Null;
        incident
    };
    ran(folder, &arguments).lines().map(told).collect()
}

#[test]
fn threads_change_nothing() {
    let of = |n: &str| verdicts(&account(), &["flow", "--trail", "trail", "--threads", n]);
    let one = of("1");
    assert!(one.len() > 5, "{one:#?}");
    assert_eq!(one, of("3"));
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

#[test]
fn neither_order_nor_split_of_the_files_changes_a_verdict() {
    let mut logs = Vec::new();
    files(&account().join("flow"), &mut logs);
    logs.sort();
    let text = |path: &PathBuf| {
        let mut text = String::new();
        let file = std::fs::File::open(path).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
        text
    };
    // All lines in three files, dealt out like cards, the last ones first.
    let mut parts: BTreeMap<usize, String> = BTreeMap::new();
    let mut header = String::new();
    for (n, path) in logs.iter().rev().enumerate() {
        for line in text(path).lines().rev() {
            if line.starts_with("version") {
                header = format!("{line}\n");
            } else {
                let part = parts.entry((n + line.len()) % 3).or_default();
                part.push_str(line);
                part.push('\n');
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for (n, lines) in parts {
        std::fs::write(folder.path().join(format!("part-{n}.log")), format!("{header}{lines}")).unwrap();
    }
    let other = folder.path().display().to_string();
    // Coverage is read off the files' names, which these have not.
    let plain = |mut all: Vec<Value>| {
        all.iter_mut().for_each(|i| i["coverage"] = Value::Null);
        all
    };
    let one = plain(verdicts(&account(), &["flow", "--trail", "trail"]));
    assert_eq!(one, plain(verdicts(&account(), &[&other, "--trail", "trail"])));
}

#[test]
fn a_week_in_which_nothing_happens_has_no_high_finding_and_few_others() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<&str> = flowtrail::r#gen::incident_ids().collect();
    let mut arguments = vec![
        "gen", "calm", "--seed", "7", "--days", "14", "--scale", "small", "--format", "v2",
    ];
    for id in &all {
        arguments.extend(["--without", id]);
    }
    ran(folder.path(), &arguments);
    let calm = folder.path().join("calm");
    let found = verdicts(&calm, &["flow", "--trail", "trail"]);
    let severe = |i: &&Value| matches!(i["severity"].as_str(), Some("high" | "critical"));
    assert_eq!(found.iter().find(severe), None);
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for incident in found.iter().filter(|i| i["severity"] == "medium") {
        let day = incident["first_seen"].as_str().unwrap().get(..10).unwrap().to_owned();
        *days.entry(day).or_default() += 1;
    }
    assert!(days.values().all(|n| *n <= 5), "more than the alert budget: {days:?}");
}
