//! What a scan shows and sets aside, and what becomes of wrong files: through the program, on the sample account.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn account() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account")
}

fn flowtrail(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.args(args).current_dir(account()).output().unwrap()
}

/// The sample account scanned, with more options.
fn scan(more: &[&str]) -> Output {
    let mut args = vec!["scan", "flow", "--quiet"];
    for file in ["network-interfaces", "nat-gateways", "vpc-endpoints"] {
        args.extend([
            "--inventory",
            Box::leak(format!("inventory/describe-{file}.json").into_boxed_str()),
        ]);
    }
    args.extend(["--threat-list", "intel/threat-list.txt"]);
    args.extend(more);
    flowtrail(&args)
}

fn result(more: &[&str]) -> Value {
    let out = scan(&[&["--format", "json"], more].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn ids(result: &Value) -> Vec<String> {
    let list = result["incidents"].as_array().unwrap();
    list.iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entries.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

#[test]
fn an_announced_transfer_is_set_aside_and_counted() {
    let (all, shown) = (result(&[]), result(&["--allow", "intel/allow.toml"]));
    assert_eq!(ids(&all).len(), ids(&shown).len() + 1);
    let allowed = shown["view"]["allowed"].as_array().unwrap();
    assert_eq!(allowed.len(), 1);
    assert_eq!(allowed[0]["by"], "weekly-export-report-1");
    let text = String::from_utf8(scan(&["--allow", "intel/allow.toml"]).stdout).unwrap();
    assert!(text.contains("1 announced by --allow"), "{text}");
}

#[test]
fn more_than_was_announced_is_reported_and_says_so() {
    let text = std::fs::read_to_string(account().join("intel/allow.toml")).unwrap();
    let (_kept, path) = written(&text.replace("max_bytes = 2500000000", "max_bytes = 900000000"));
    let shown = result(&["--allow", &path]);
    assert_eq!(ids(&shown), ids(&result(&[])));
    let sentences = shown["incidents"].to_string();
    assert!(sentences.contains("for at most 900 MB"), "{sentences}");
}

#[test]
fn an_announcement_of_another_port_or_time_covers_nothing() {
    let text = std::fs::read_to_string(account().join("intel/allow.toml")).unwrap();
    let changes = [
        ("ports = [22]", "ports = [443]"),
        ("until = \"2026-03-12T00:00:00Z\"", "until = \"2026-03-03\""),
        ("198.51.100.40/32", "198.51.100.41/32"),
        ("destination", "source = \"10.20.20.40\"\ndestination"),
    ];
    for (from, to) in changes {
        // A date means its whole day: the transfer is on that day, so this entry ends the day before.
        let (_kept, path) = written(&text.replace(from, &to.replace("2026-03-03\"", "2026-03-02\"")));
        assert_eq!(
            result(&["--allow", &path])["view"]["allowed"],
            serde_json::json!([]),
            "{to}"
        );
    }
}

#[test]
fn suppressions_hide_what_they_name_until_they_expire() {
    let all = result(&[]);
    let quiet = |text: &str| {
        let (_kept, path) = written(text);
        let shown = result(&["--suppress", &path]);
        assert_eq!(
            ids(&shown).len() + shown["view"]["suppressed"].as_array().unwrap().len(),
            ids(&all).len()
        );
        ids(&all).len() - ids(&shown).len()
    };
    let first = &ids(&all)[0];
    assert_eq!(
        quiet(&format!(
            "[[suppress]]\nid = \"{first}\"\nreason = \"seen\"\nexpires = 2999-01-01\n"
        )),
        1
    );
    assert_eq!(
        quiet(&format!("[[suppress]]\nid = \"{first}\"\nexpires = \"2020-01-01\"\n")),
        0
    );
    assert_eq!(
        quiet("[[suppress]]\ncidr = \"184.164.240.0/24\"\nreason = \"a sinkhole of ours\"\n"),
        1
    );
    // An incident in which another rule fired as well comes back.
    assert_eq!(quiet("[[suppress]]\nrule = \"tor-egress\"\nreason = \"r\"\n"), 0);
    assert_eq!(quiet("[[suppress]]\nrule = \"threat-ip\"\nreason = \"r\"\n"), 1);
    assert_eq!(
        quiet("[[suppress]]\nrule = \"threat-ip\"\neni = \"eni-0\"\nreason = \"r\"\n"),
        0
    );
}

#[test]
fn what_is_suppressed_does_not_reach_fail_on() {
    let severe = scan(&["--fail-on", "high"]);
    assert_eq!(severe.status.code(), Some(1));
    let all = result(&[]);
    let (_kept, path) = written(&format!("[[suppress]]\nid = \"{}\"\nreason = \"r\"\n", ids(&all)[0]));
    assert_eq!(scan(&["--fail-on", "high", "--suppress", &path]).status.code(), Some(0));
}

#[test]
fn an_expired_suppression_warns() {
    let (_kept, path) = written("[[suppress]]\nrule = \"threat-ip\"\nowner = \"net\"\nexpires = \"2020-01-01\"\n");
    let out = flowtrail(&["scan", "flow", "--suppress", &path, "--format", "ndjson"]);
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(
        text.contains("entry 1: expired 2020-01-01") && text.contains("(net)"),
        "{text}"
    );
}

#[test]
fn wrong_files_end_the_run_and_name_file_entry_and_field() {
    let cases = [
        (
            "--suppress",
            "[[suppress]]\nrule = \"x\"\nexpire = \"2030-01-01\"\n",
            "field `expire`: not known",
        ),
        (
            "--suppress",
            "[[suppress]]\nreason = \"all of it\"\n",
            "field `rule`: nothing is named",
        ),
        (
            "--suppress",
            "[[suppress]]\ncidr = \"10.0.0.0/33\"\n",
            "field `cidr`: `10.0.0.0/33`",
        ),
        (
            "--suppress",
            "[[suppress]]\nrule = \"x\"\nexpires = \"soon\"\n",
            "field `expires`: `soon`",
        ),
        ("--suppress", "[[entry]]\nid = \"x\"\n", "`entry` is not known here"),
        (
            "--allow",
            "[[entry]]\nid = \"a\"\ndestination = \"192.0.2.1\"\nports = [70000]\n",
            "field `ports`",
        ),
        ("--allow", "[[entry]]\nid = \"a\"\n", "field `destination`: is missing"),
        ("--allow", "{\"version\":2,\"entries\":[]}", "version 2"),
        ("--allow", "[[entry]\n", "no TOML"),
    ];
    for (option, text, complaint) in cases {
        let (_kept, path) = written(text);
        let out = scan(&[option, &path]);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{text}");
        assert!(said.contains(complaint) && said.contains(&path), "{text}: {said}");
    }
    assert_eq!(scan(&["--allow", "no/such/file"]).status.code(), Some(2));
}

#[test]
fn an_incident_is_explained_from_the_result_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json").to_string_lossy().into_owned();
    assert!(scan(&["--format", "json", "-o", &path]).status.success());
    let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let relay = document["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["bytes"] == 2_900_000_000_u64);
    let out = flowtrail(&["explain", relay.unwrap()["id"].as_str().unwrap(), &path]);
    let text = String::from_utf8(out.stdout).unwrap();
    for part in [
        "93.175.146.77",
        "hours before: median",
        "usual",
        "new-country [medium]: weight",
        ".log.gz:",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    assert_eq!(flowtrail(&["explain", "inc-none", &path]).status.code(), Some(2));
    assert_eq!(flowtrail(&["explain", "inc-1", "truth.json"]).status.code(), Some(2));
}

#[test]
fn verify_finds_what_the_logs_no_longer_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json").to_string_lossy().into_owned();
    assert!(scan(&["--format", "json", "-o", &path]).status.success());
    let verify = |flows: &str| {
        flowtrail(&[
            "verify",
            &path,
            "--flows",
            flows,
            "--inventory",
            "inventory/describe-network-interfaces.json",
        ])
    };
    let whole = verify("flow");
    let text = String::from_utf8(whole.stdout).unwrap();
    assert_eq!(whole.status.code(), Some(0), "{text}");
    assert!(text.contains("5 hold, 0 no longer hold"), "{text}");
    // One cited byte count changed in the result is as good as one changed in the logs.
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"bytes\": 6200000", "\"bytes\": 6200001");
    std::fs::write(&path, changed).unwrap();
    let part = verify("flow");
    assert_eq!(part.status.code(), Some(1));
    assert!(String::from_utf8(part.stdout).unwrap().contains("1 no longer hold"));
}

#[test]
fn verify_counts_the_requests_of_the_trail_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json").to_string_lossy().into_owned();
    assert!(
        scan(&["--trail", "trail", "--format", "json", "-o", &path])
            .status
            .success()
    );
    let verify = || {
        let out = flowtrail(&["verify", &path, "--trail", "trail"]);
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, text) = verify();
    assert_eq!(code, Some(0), "{text}");
    let stolen = |text: &str| {
        let of_trail = text.lines().filter(|l| l.contains("cited kinds of requests"));
        of_trail.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(stolen(&text).len() >= 2 && text.contains(" 0 no longer hold"), "{text}");
    let result = std::fs::read_to_string(&path).unwrap();
    let mut changed: Value = serde_json::from_str(&result).unwrap();
    let details = changed["details"].as_array_mut().unwrap();
    let detail = details
        .iter_mut()
        .find(|d| d["calls"].as_array().is_some_and(|c| !c.is_empty()));
    let call = &mut detail.unwrap()["calls"][0];
    call["requests"] = (call["requests"].as_u64().unwrap() + 1).into();
    std::fs::write(&path, changed.to_string()).unwrap();
    let (code, text) = verify();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("1 no longer hold") && text.contains("cited were"),
        "{text}"
    );
}
