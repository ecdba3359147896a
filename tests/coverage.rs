//! Coverage from the outside: missing files, lost records, digests, rejected lines, pruning by time.
//!
//! The large labelled archive lies beside the repository (`FLOWTRAIL_RANGE`, a folder with `s1`, `s2`, …); without it that
//! test says so and passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn flowtrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The tables of `coverage`.
fn coverage(args: &[&str]) -> Value {
    let out = flowtrail(&[&["coverage", "--quiet", "--format", "json"], args].concat());
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)))
}

fn rows<'v>(document: &'v Value, table: &str) -> &'v Vec<Value> {
    document[table].as_array().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut text = Vec::new();
    match MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text) {
        Ok(_) => text,
        Err(_) => bytes,
    }
}

fn seconds(time: &str) -> u64 {
    flowtrail::net::parse_rfc3339(time).unwrap()
}

/// A small account of four days: one file every ten minutes.
fn account() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let out = flowtrail(&["gen", text(&dir.path().join("a")), "--days", "4", "--scale", "small"]);
    assert!(out.status.success());
    dir
}

fn stamped(folder: &Path, stamp: &str) -> PathBuf {
    let all = files(folder);
    all.into_iter().find(|f| text(f).contains(stamp)).unwrap()
}

#[test]
fn a_whole_archive_has_no_gap_and_each_removed_file_is_named() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    let whole = coverage(&[text(&flow)]);
    assert_eq!(
        (rows(&whole, "gaps").len(), &whole["flow_logs"][0]["cadence"]),
        (0, &json!(600))
    );
    for stamp in ["20260303T1005Z", "20260303T1015Z", "20260304T2355Z"] {
        fs::remove_file(stamped(&flow, stamp)).unwrap();
    }
    let holed = coverage(&[text(&flow)]);
    let named: Vec<_> = rows(&holed, "gaps")
        .iter()
        .map(|g| {
            (
                g["first_file"].as_str().unwrap(),
                g["last_file"].as_str().unwrap(),
                g["files"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("2026-03-03T10:05:00Z", "2026-03-03T10:15:00Z", 2),
            ("2026-03-04T23:55:00Z", "2026-03-04T23:55:00Z", 1)
        ]
    );
    assert_eq!(holed["flow_logs"][0]["missing"], json!(3));
}

#[test]
fn a_window_asks_about_its_own_time_only() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    for stamp in ["20260303T1005Z", "20260303T1405Z"] {
        fs::remove_file(stamped(&flow, stamp)).unwrap();
    }
    let c = coverage(&[text(&flow), "--from", "2026-03-02", "--to", "2026-03-03T12:00:00Z"]);
    let named: Vec<&Value> = rows(&c, "gaps").iter().map(|g| &g["first_file"]).collect();
    assert_eq!(named, ["2026-03-03T10:05:00Z"]);
    let not_live = rows(&c, "interfaces").iter().filter(|i| i["state"] != "live").count();
    assert_eq!(
        not_live, 0,
        "the files of the day after are read for late records, and are no reason to miss anybody"
    );
}

#[test]
fn a_file_delivered_twice_under_another_stamp_neither_fills_nor_makes_a_gap() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    let file = stamped(&flow, "20260303T1005Z");
    let other = |stamp: &str| PathBuf::from(text(&file).replace("20260303T1005Z", stamp));
    fs::copy(&file, other("20260303T1000Z")).unwrap();
    fs::remove_file(stamped(&flow, "20260303T1015Z")).unwrap();
    fs::copy(&file, other("20260303T1015Z")).unwrap();
    let c = coverage(&[text(&flow)]);
    assert_eq!(c["flow_logs"][0]["copies"], json!(2));
    let named: Vec<&Value> = rows(&c, "gaps").iter().map(|g| &g["first_file"]).collect();
    assert_eq!(named, ["2026-03-03T10:15:00Z"]);
}

#[test]
fn lost_windows_and_unlogged_interfaces_are_named() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    let interfaces = dir.path().join("a/inventory/describe-network-interfaces.json");
    let mut described: Value = serde_json::from_slice(&fs::read(&interfaces).unwrap()).unwrap();
    let mut more = described["NetworkInterfaces"][0].clone();
    more["NetworkInterfaceId"] = json!("eni-0123456789abcdef0");
    described["NetworkInterfaces"].as_array_mut().unwrap().push(more);
    fs::write(&interfaces, described.to_string()).unwrap();
    let c = coverage(&[text(&flow), "--inventory", text(&interfaces)]);
    let not_logged: Vec<&Value> = rows(&c, "interfaces")
        .iter()
        .filter(|i| i["state"] == "not logged")
        .map(|i| &i["eni"])
        .collect();
    assert_eq!(not_logged, ["eni-0123456789abcdef0"]);
    let (named, _) = lost_windows(&c);
    assert_eq!(named, naive_skipdata(&flow));
    assert!(!named.is_empty());
}

/// (interface, start) of every window that the tool names, and how many it names.
fn lost_windows(c: &Value) -> (BTreeSet<(String, u64)>, usize) {
    let all = rows(c, "skipdata");
    let window = |w: &Value| {
        (
            w["eni"].as_str().unwrap().to_string(),
            seconds(w["from"].as_str().unwrap()),
        )
    };
    (all.iter().map(window).collect(), all.len())
}

/// The slow twin: every SKIPDATA line of every file, by the columns of its header.
fn naive_skipdata(flow: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for file in files(flow) {
        let text = String::from_utf8(content(&file)).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(' ').collect();
        let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
        let (eni, start) = (column("interface-id"), column("start"));
        for line in lines.filter(|l| l.contains("SKIPDATA")) {
            let fields: Vec<&str> = line.split(' ').collect();
            found.insert((fields[eni].to_string(), fields[start].parse().unwrap()));
        }
    }
    found
}

#[test]
fn a_flow_log_of_rejects_alone_is_called_blind() {
    let dir = tempfile::tempdir().unwrap();
    for slot in 0..8u64 {
        let t = 1_772_409_600 + slot * 300;
        let stamp: String = flowtrail::net::rfc3339(t)
            .chars()
            .filter(|c| !"-:".contains(*c))
            .take(13)
            .collect();
        let line = format!(
            "2 111122223333 eni-1 192.0.2.1 10.0.0.1 40000 22 6 1 40 {t} {} REJECT OK\n",
            t + 60
        );
        let name = format!("111122223333_vpcflowlogs_eu-west-1_fl-0aa_{stamp}Z_0.log");
        fs::write(dir.path().join(name), line).unwrap();
    }
    let c = coverage(&[text(dir.path())]);
    assert_eq!(c["flow_logs"][0]["traffic"], "REJECT only, by its records");
    let accepted = &rows(&c, "prerequisites")
        .iter()
        .find(|p| p["prerequisite"] == "flow logs of accepted traffic")
        .unwrap()["state"];
    assert_eq!(accepted, "lacking");
}

#[test]
fn two_flow_logs_that_write_the_same_bytes_are_both_seen() {
    let dir = tempfile::tempdir().unwrap();
    for log in ["fl-0aa", "fl-0bb"] {
        for slot in 0..8u64 {
            let t = 1_772_409_600 + slot * 300;
            let stamp: String = flowtrail::net::rfc3339(t)
                .chars()
                .filter(|c| !"-:".contains(*c))
                .take(13)
                .collect();
            let line = format!("2 111122223333 eni-1 - - - - - - - {t} {} - NODATA\n", t + 60);
            fs::write(
                dir.path()
                    .join(format!("111122223333_vpcflowlogs_eu-west-1_{log}_{stamp}Z_0.log")),
                line,
            )
            .unwrap();
        }
    }
    let results: BTreeSet<String> = ["1", "2", "4", "1"]
        .iter()
        .map(|threads| coverage(&[text(dir.path()), "--threads", threads]).to_string())
        .collect();
    assert_eq!(results.len(), 1, "whichever file is read first");
    let c = coverage(&[text(dir.path())]);
    assert_eq!(c["interfaces"][0]["flow_logs"], "fl-0aa fl-0bb");
    assert_eq!((rows(&c, "gaps").len(), &c["flow_logs"][1]["present"]), (0, &json!(8)));
}

#[test]
fn pruning_by_time_changes_nothing_but_the_work() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    let list = dir.path().join("list");
    let names: Vec<String> = files(&flow).iter().map(|f| text(f).to_string()).collect();
    fs::write(&list, names.join("\n")).unwrap();
    let stats = dir.path().join("stats.json");
    let window = ["--from", "2026-03-03T10:00:00Z", "--to", "2026-03-03T11:00:00Z"];
    let top = |input: &str| {
        let options = [
            "top",
            input,
            "--by",
            "eni,dst",
            "--format",
            "csv",
            "--quiet",
            "--stats",
            text(&stats),
        ];
        let out = flowtrail(&[&options[..], &window].concat());
        let stats: Value = serde_json::from_slice(&fs::read(&stats).unwrap()).unwrap();
        (
            String::from_utf8(out.stdout).unwrap(),
            stats["passed_over"].clone(),
            stats["files"]["ok"].as_u64().unwrap(),
        )
    };
    let (pruned, over, read) = top(text(&flow));
    let (whole, none, all) = top(&format!("@{}", text(&list)));
    assert_eq!(pruned, whole);
    assert!(pruned.lines().count() > 1);
    assert_eq!((none, all), (json!({"folders": 0, "files": 0}), 576));
    assert!(over["folders"].as_u64().unwrap() >= 1 && read < 260, "{over} {read}");
}

#[test]
fn an_incident_says_how_much_of_its_time_was_seen() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    let scan = || -> Vec<Value> {
        let lists = dir.path().join("a/intel/threat-list.txt");
        let mut args = vec![
            "scan",
            text(&flow),
            "--quiet",
            "--format",
            "ndjson",
            "--min-severity",
            "info",
        ];
        if lists.exists() {
            args.extend(["--threat-list", text(&lists)]);
        }
        let out = flowtrail(&args);
        let lines = String::from_utf8(out.stdout).unwrap();
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let whole = scan();
    assert!(!whole.is_empty());
    assert!(whole.iter().all(|i| i["coverage"]["observed"] == json!(1.0)));
    // The longest incident: the files of its second quarter are lost.
    let length = |i: &Value| seconds(i["last_seen"].as_str().unwrap()) - seconds(i["first_seen"].as_str().unwrap());
    let longest = whole.iter().max_by_key(|i| length(i)).unwrap();
    let from = seconds(longest["first_seen"].as_str().unwrap()) + length(longest) / 4;
    let to = from + length(longest) / 4;
    for file in files(&flow) {
        let name = flowtrail::input::LogName::parse(text(&file)).unwrap();
        if from <= name.stamp && name.stamp < to {
            fs::remove_file(file).unwrap();
        }
    }
    let holed = scan();
    let same = holed
        .iter()
        .find(|i| i["eni"] == longest["eni"] && i["first_seen"] == longest["first_seen"])
        .unwrap();
    let observed = same["coverage"]["observed"].as_f64().unwrap();
    assert!((0.6..0.9).contains(&observed), "{observed}");
}

#[test]
fn digests_show_altered_missing_and_foreign_files() {
    let dir = tempfile::tempdir().unwrap();
    let trail = |stamp: &str| format!("111122223333_CloudTrail_us-east-1_{stamp}Z_AAAAAAAAAAAAAAAA.json");
    let digest = |stamp: &str| format!("111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_{stamp}00Z.json");
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let sha = |name: &str| -> String {
        let hash = Sha256::digest(content(&dir.path().join(name)));
        hash.iter().map(|b| format!("{b:02x}")).collect()
    };
    let hours = ["20260302T10", "20260302T11", "20260302T12"];
    let mut before: Option<String> = None;
    for hour in hours {
        let (log, own) = (trail(&format!("{hour}20")), digest(&format!("{hour}50")));
        put(&log, &format!("{{\"Records\":[],\"x\":\"{hour}\"}}"));
        let named = json!([{"s3Object": format!("AWSLogs/{log}"), "hashValue": sha(&log)}]);
        let link = before.as_ref().map(|b| (format!("AWSLogs/{b}"), sha(b)));
        let content = json!({"digestStartTime": "x", "logFiles": named,
            "previousDigestS3Object": link.as_ref().map(|l| &l.0), "previousDigestHashValue": link.as_ref().map(|l| &l.1)});
        put(&own, &content.to_string());
        before = Some(own);
    }
    let flow = dir.path().join("flow.log");
    fs::write(&flow, "2 1 eni-1 - - - - - - - 1 2 - NODATA\n").unwrap();
    let faults = || -> (String, Vec<(String, String)>) {
        let c = coverage(&[text(&flow), "--trail", text(dir.path())]);
        let fault = |f: &Value| {
            (
                f["fault"].as_str().unwrap().to_string(),
                f["file"].as_str().unwrap().to_string(),
            )
        };
        (
            c["summary"]["digests"].as_str().unwrap().to_string(),
            rows(&c, "digests").iter().map(fault).collect(),
        )
    };
    let (said, none) = faults();
    assert!(
        said.starts_with("3 digests: 3 of 3 log files intact") && said.contains("unsigned"),
        "{said}"
    );
    assert_eq!(none, []);
    put(&trail("20260302T1020"), "{\"Records\":[]}");
    fs::remove_file(dir.path().join(trail("20260302T1220"))).unwrap();
    put(&trail("20260302T1125"), "{\"Records\":[]} ");
    fs::remove_file(dir.path().join(digest("20260302T1150"))).unwrap();
    let expected = [
        ("log file altered", trail("20260302T1020")),
        ("log file missing", trail("20260302T1220")),
        ("digest missing", digest("20260302T1150")),
        ("log file in no digest", trail("20260302T1120")),
        ("log file in no digest", trail("20260302T1125")),
    ];
    assert_eq!(faults().1, expected.map(|(k, f)| (k.to_string(), f)));
}

#[test]
fn sensitive_buckets_without_data_events_are_named() {
    let dir = account();
    let a = dir.path().join("a");
    let macie = a.join("alerts/macie-findings.json");
    let flow = a.join("flow");
    let c = coverage(&[text(&flow), "--macie", text(&macie)]);
    let blind = rows(&c, "buckets").iter().filter(|b| b["blind"] == "yes").count();
    assert!(blind > 0, "nothing is known of data events");
    let (trail, selectors) = (a.join("trail"), a.join("inventory/get-event-selectors.json"));
    let c = coverage(&[
        text(&flow),
        "--macie",
        text(&macie),
        "--trail",
        text(&trail),
        "--inventory",
        text(&selectors),
    ]);
    let state = |what: &str| {
        let row = rows(&c, "prerequisites")
            .iter()
            .find(|p| p["prerequisite"] == what)
            .unwrap();
        row["state"].as_str().unwrap().to_string()
    };
    assert_eq!(state("data events of sensitive buckets"), "met");
    assert_eq!(
        (state("CloudTrail digests"), state("inventory of interfaces")),
        ("lacking".into(), "met".into())
    );
}

#[test]
fn every_rejected_line_stands_in_rejects_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let good = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
    let bad = [
        "x",
        "2 1 eni-1 \x1b[31m",
        " leading",
        "2 123456789010 eni-1 host 1.1.1.1 1 2 6 1 1 1 2 ACCEPT OK",
    ];
    let file = |from: usize| -> String {
        let line = |i: usize| {
            if i.is_multiple_of(3) {
                bad[(i + from) % bad.len()].to_string()
            } else {
                good.to_string()
            }
        };
        format!("\u{feff}{}\n", (0..500).map(line).collect::<Vec<_>>().join("\n"))
    };
    for (n, name) in ["b.log", "a.log", "c.log"].iter().enumerate() {
        fs::write(dir.path().join(name), file(n)).unwrap();
    }
    fs::write(dir.path().join("copy-of-a.log"), file(1)).unwrap();
    let rejects = dir.path().join("rejects.ndjson");
    let mut seen = BTreeSet::new();
    for threads in ["1", "3"] {
        let out = flowtrail(&[
            "top",
            text(&dir.path().join("*.log")),
            "--quiet",
            "--threads",
            threads,
            "--rejects",
            text(&rejects),
        ]);
        assert_eq!(out.status.code(), Some(3));
        seen.insert(fs::read_to_string(&rejects).unwrap());
    }
    assert_eq!(seen.len(), 1, "the order does not depend on threads");
    let lines: Vec<Value> = seen
        .first()
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 3 * 167);
    let mut places = Vec::new();
    for line in &lines {
        let name = line["file"].as_str().unwrap();
        let text = fs::read(dir.path().join(name)).unwrap();
        let at = usize::try_from(line["byte"].as_u64().unwrap()).unwrap();
        let number = usize::try_from(line["line"].as_u64().unwrap()).unwrap();
        let raw = text[at..].split(|b| *b == b'\n').next().unwrap();
        assert_eq!(line["text"], flowtrail::net::printable(raw));
        assert_eq!(text[..at].iter().filter(|b| **b == b'\n').count() + 1, number);
        places.push((name.to_string(), number));
    }
    assert!(places.is_sorted());
    assert_eq!(files(dir.path()).len(), 5, "nothing stays behind");
}

#[test]
fn csv_is_one_table() {
    let dir = account();
    let flow = dir.path().join("a/flow");
    assert_eq!(
        flowtrail(&["coverage", text(&flow), "--format", "csv"]).status.code(),
        Some(2)
    );
    let out = flowtrail(&["coverage", text(&flow), "--format", "csv", "--table", "flow-logs"]);
    let csv = String::from_utf8(out.stdout).unwrap();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let out = flowtrail(&["coverage", text(&flow), "--format", "ndjson"]);
    let tables: BTreeMap<String, usize> =
        String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .fold(BTreeMap::new(), |mut n, l| {
                let row: Value = serde_json::from_str(l).unwrap();
                *n.entry(row["table"].as_str().unwrap().to_string()).or_default() += 1;
                n
            });
    assert_eq!((tables["flow-logs"], tables["interfaces"]), (1, 17));
}

/// On the labelled archive each removed file and each SKIPDATA window is named, and nothing else.
#[test]
fn the_range_has_the_holes_that_its_truth_says() {
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
            let flow = estate.join(format);
            let inventory = estate.join("inventory/describe-network-interfaces.json");
            let c = coverage(&[text(&flow), "--inventory", text(&inventory)]);
            same_gaps(&c, &truth);
            let (named, count) = lost_windows(&c);
            assert_eq!(named, naive_skipdata(&flow), "{}", flow.display());
            assert_eq!(named.len(), count);
            same_losses(&named, &truth);
        }
    }
}

/// The files of a slot of ten minutes are stamped five minutes after its end.
fn same_gaps(c: &Value, truth: &Value) {
    let mut expected: Vec<(u64, u64, u64)> = Vec::new();
    for gap in truth["noise"]["gaps"].as_array().unwrap() {
        let (from, to) = (
            seconds(gap["from"].as_str().unwrap()),
            seconds(gap["to"].as_str().unwrap()),
        );
        let files = (to - from) / 600;
        expected.push((from + 900, from + 300 + files * 600, files));
    }
    let mut named: Vec<(u64, u64, u64)> = rows(c, "gaps")
        .iter()
        .map(|g| {
            let time = |key: &str| seconds(g[key].as_str().unwrap());
            (time("first_file"), time("last_file"), g["files"].as_u64().unwrap())
        })
        .collect();
    expected.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, expected);
}

/// Every window is one of the truth's; of the truth's, those are absent that left no line in the logs.
fn same_losses(named: &BTreeSet<(String, u64)>, truth: &Value) {
    let slot = |t: u64| t / 600 * 600;
    let true_ones: BTreeSet<(String, u64)> = truth["noise"]["skipdata"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            (
                s["eni"].as_str().unwrap().to_string(),
                seconds(s["from"].as_str().unwrap()),
            )
        })
        .collect();
    for (eni, start) in named {
        assert!(true_ones.contains(&(eni.clone(), slot(*start))), "{eni} {start}");
    }
    assert!(10 * named.len() > 8 * true_ones.len());
}
