//! Look-ups from the outside: the program on the sample account, whose truth is known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn account() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account")
}

fn truth(id: &str) -> Value {
    let text = std::fs::read(account().join("truth.json")).unwrap();
    let truth: Value = serde_json::from_slice(&text).unwrap();
    let incidents = truth["incidents"].as_array().unwrap();
    incidents.iter().find(|i| i["id"] == id).unwrap().clone()
}

fn flowtrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap()
}

/// Everything that the sample account has.
fn everywhere() -> Vec<String> {
    let at = |name: &str| account().join(name).display().to_string();
    let mut args = vec![
        "--flows".into(),
        at("flow"),
        "--trail".into(),
        at("trail"),
        "--inventory".into(),
    ];
    for file in std::fs::read_dir(account().join("inventory")).unwrap().flatten() {
        args.push(file.path().display().to_string());
    }
    args.extend(["--tor-exits".into(), at("intel/torbulkexitlist")]);
    args.extend(["--threat-list".into(), at("intel/threat-list.txt"), "--quiet".into()]);
    args
}

fn lookup(keys: &[&str], options: &[&str]) -> (i32, String) {
    let all = everywhere();
    let mut args = vec!["lookup"];
    args.extend(keys);
    args.extend(all.iter().map(String::as_str));
    args.extend(options);
    let out = flowtrail(&args);
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap())
}

fn cards(keys: &[&str], options: &[&str]) -> Vec<Value> {
    let (code, text) = lookup(keys, &[&["--format", "ndjson"], options].concat());
    assert_eq!(code, 0);
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn card(key: &str) -> Value {
    cards(&[key], &[]).remove(0)
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|v| v[field].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_tor_exit_leads_to_the_stolen_key_and_what_it_took() {
    let (card, truth) = (card("185.220.101.34"), truth("stolen-key"));
    assert_eq!(card["about"]["lists"][0]["label"], "tor-exit");
    assert_eq!(card["callers"][0]["arn"], truth["principal"]);
    assert_eq!(card["callers"][0]["access_key"], truth["access_keys"][0]);
    assert_eq!(card["callers"][0]["class"], "exact");
    let reads = card["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["event"] == "GetObject")
        .unwrap();
    assert_eq!(reads["requests"], truth["requests"]);
    assert_eq!(reads["requests"], 12_847);
    for bucket in truth["buckets"].as_array().unwrap() {
        let found = card["buckets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|b| b["name"] == bucket["name"])
            .unwrap();
        assert_eq!(found["objects"], bucket["objects"]);
        let (read, taken) = (found["received"].as_u64().unwrap(), bucket["bytes"].as_u64().unwrap());
        assert!(read.abs_diff(taken) * 100 < taken, "{read} and {taken}");
    }
    assert_eq!(card["flows"]["to"]["flows"], 0, "it never met an interface");
    // Where the key's owner works from, and that the key was disabled.
    assert_eq!(card["pivot"]["addresses"][0]["source"], "184.164.242.10");
    assert!(texts(&card["notable"], "event").contains(&"UpdateAccessKey".into()));
}

#[test]
fn an_upload_host_leads_to_interface_instance_and_session() {
    let (card, truth) = (card("93.175.146.77"), truth("instance-upload"));
    let peer = truth["peers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["ip"] == "93.175.146.77")
        .unwrap()
        .clone();
    assert_eq!(
        card["flows"]["to"]["bytes"], peer["bytes_out"],
        "counted once, not again at the NAT gateway"
    );
    assert_eq!(card["flows"]["from"]["bytes"], peer["bytes_in"]);
    assert!(card["flows"]["passed_on"]["bytes"].as_u64().unwrap() >= peer["bytes_out"].as_u64().unwrap());
    let met = card["interfaces"].as_array().unwrap();
    let origin = met.iter().find(|m| m["passes_on"] == false).unwrap();
    assert_eq!(
        (&origin["eni"], &origin["instance"]),
        (&truth["eni"], &truth["instance"])
    );
    assert_eq!(
        (&card["behind"][0]["arn"], &card["behind"][0]["class"]),
        (&truth["principal"], &Value::from("exact"))
    );
    assert_eq!(
        (
            &card["prevalence"]["interfaces"],
            &card["prevalence"]["interfaces_known"]
        ),
        (&1.into(), &17.into())
    );
    assert_eq!(card["about"]["country"], "NL");
    let elsewhere = texts(&card["pivot"]["destinations"], "ip");
    assert!(!elsewhere.is_empty() && !elsewhere.contains(&"93.175.146.77".into()));
}

/// From any of the three, the other two.
#[test]
fn peer_principal_and_interface_name_each_other() {
    for id in ["threat-host", "tor-guard", "instance-upload"] {
        let truth = truth(id);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let (eni, arn) = (text(&truth["eni"]), text(&truth["principal"]));
        let last = truth["peers"].as_array().unwrap().last().unwrap();
        let peer = text(&last["ip"]);
        let all = cards(&[&peer, &eni, &arn], &["--from", "2026-03-09"]);
        assert!(
            texts(&all[0]["interfaces"], "eni").contains(&eni) && texts(&all[0]["behind"], "arn").contains(&arn),
            "{id}"
        );
        let narrowed = cards(&[&eni], &["--from", "2026-03-09", "--where", &format!("dst={peer}")]);
        assert_eq!(texts(&narrowed[0]["peers"], "ip"), [peer], "{id}");
        assert!(
            texts(&all[1]["callers"], "arn").contains(&arn),
            "{id}: {}",
            all[1]["callers"]
        );
        assert!(texts(&all[2]["interfaces"], "eni").contains(&eni), "{id}");
    }
}

#[test]
fn what_occurs_nowhere_is_said_with_the_coverage() {
    for key in [
        "203.0.113.250",
        "2001:db8::7:1",
        "AKIAIOSFODNN7EXAMPLE",
        "eni-00000000000000000",
        "s3://no-such-bucket",
    ] {
        let card = card(key);
        assert_eq!(card["found"], false, "{key}");
        assert_eq!(card["coverage"]["trail"]["records"], 17_997);
    }
    let (code, text) = lookup(&["203.0.113.250"], &[]);
    assert_eq!(code, 0);
    assert!(
        text.contains("occurs nowhere in what was read") && text.contains("1,440 files, 33,532 lines"),
        "{text}"
    );
    assert!(text.contains("only hits checked"));
}

/// 93.175.146.77 is neither 93.175.146.7 nor 193.175.146.77.
#[test]
fn an_address_is_matched_whole() {
    for near in ["93.175.146.7", "3.175.146.77", "193.175.146.77"] {
        assert_eq!(card(near)["flows"]["to"]["flows"], 0, "{near}");
    }
}

#[test]
fn searching_first_gives_what_reading_every_line_gives() {
    let keys = [
        "93.175.146.77",
        "10.20.20.0/24",
        "eni-05995c602886f5b99",
        "i-0eba6461da1b80d54",
    ];
    let strip = |mut cards: Vec<Value>| {
        for card in &mut cards {
            card["coverage"] = Value::Null;
        }
        cards
    };
    assert_eq!(strip(cards(&keys, &[])), strip(cards(&keys, &["--validate"])));
}

/// Without an inventory nothing says which interface is the NAT gateway's: the sums warn of themselves.
#[test]
fn sums_that_may_hold_bytes_twice_say_so() {
    let flow = account().join("flow").display().to_string();
    let out = flowtrail(&["lookup", "93.175.146.77", "--flows", &flow, "--no-pivot"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("received 5.80 GB") && text.contains("may hold bytes twice"),
        "{text}"
    );
    assert!(card("93.175.146.77")["notes"].as_array().unwrap().is_empty());
}

/// Files that are damaged, or no flow logs at all, beside good ones.
#[test]
fn damage_is_named_and_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let good = "2 111122223333 eni-00000001 10.0.0.1 192.0.2.1 1 443 6 1 70 1773000000 1773000060 ACCEPT OK\n";
    std::fs::write(dir.path().join("good.log"), good).unwrap();
    std::fs::write(dir.path().join("bad.log"), "{\"not\": \"192.0.2.1\"}\n").unwrap();
    std::fs::write(dir.path().join("cut.log.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]).unwrap();
    let path = dir.path().display().to_string();
    let out = flowtrail(&["lookup", "192.0.2.1", "--flows", &path, "--format", "ndjson"]);
    assert_eq!(out.status.code(), Some(3), "some input was not read whole");
    let card: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (
            &card["flows"]["to"]["bytes"],
            &card["coverage"]["flows"]["files_incomplete"]
        ),
        (&70.into(), &2.into())
    );
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("bad.log") && said.contains("cut.log.gz"), "{said}");
}

#[test]
fn records_come_whole_and_their_sum_last() {
    let (code, text) = lookup(&["93.175.146.77"], &["--records", "--totals", "--format", "ndjson"]);
    assert_eq!(code, 0);
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (last, rows) = lines.split_last().unwrap();
    assert_eq!(rows.len(), 108, "54 at the instance, 54 at the NAT gateway");
    let sum: u64 = rows.iter().map(|r| r["bytes"].as_u64().unwrap()).sum();
    assert_eq!(last, &serde_json::json!({"rows": 108, "bytes": sum}));
    let of_address = |r: &Value| r["srcaddr"] == "93.175.146.77" || r["dstaddr"] == "93.175.146.77";
    assert!(rows.iter().all(of_address));
    assert_eq!(rows[0]["log-status"], "OK");
    let (_, csv) = lookup(
        &["93.175.146.77"],
        &["--records", "--format", "csv", "--where", "bytes>1e8"],
    );
    assert!(csv.starts_with("version,account-id,interface-id,srcaddr,dstaddr,"));
    assert_eq!(
        csv.lines().count() as u64 - 1,
        rows.iter().filter(|r| r["bytes"].as_u64() > Some(100_000_000)).count() as u64
    );
}

#[test]
fn keys_are_masked_for_people_and_whole_for_machines() {
    let key = truth("stolen-key")["access_keys"][0].as_str().unwrap().to_owned();
    for format in ["table", "md"] {
        let (_, text) = lookup(&[&key], &["--format", format]);
        assert!(!text.contains(&key) && text.contains("WXYZ"), "{text}");
    }
    assert!(lookup(&[&key], &["--show-keys"]).1.contains(&key));
    assert!(lookup(&[&key], &["--format", "json"]).1.contains(&key));
}

#[test]
fn keys_come_from_lists_standard_input_and_findings() {
    let dir = tempfile::tempdir().unwrap();
    let (list, finding) = (dir.path().join("list"), dir.path().join("finding.json"));
    std::fs::write(&list, "# seen by the proxy\n93.175.146.77\n\n203.0.113.250\n").unwrap();
    std::fs::write(
        &finding,
        r#"{"source_ips":["185.220.101.34"],"buckets":[{"name":"hr-documents-05544a"}]}"#,
    )
    .unwrap();
    let at = format!("@{}", list.display());
    let kinds = |cards: &[Value]| {
        cards
            .iter()
            .map(|c| c["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = cards(&[&at, "--finding", &finding.display().to_string()], &["--no-pivot"]);
    assert_eq!(
        kinds(&all),
        [
            "93.175.146.77",
            "203.0.113.250",
            "185.220.101.34",
            "s3://hr-documents-05544a"
        ]
    );

    let trail = account().join("trail");
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(["lookup", "-", "--format", "ndjson", "--trail"])
        .arg(trail)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"j.rivera\n").unwrap();
    let out = child.wait_with_output().unwrap();
    let card: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&card["kind"], &card["found"]), (&"session".into(), &true.into()));
}

#[test]
fn one_object_has_its_own_readers() {
    let card = card("s3://hr-documents-05544a/people/000000.csv.gz");
    assert_eq!(
        texts(&card["callers"], "arn"),
        [truth("stolen-key")["principal"].as_str().unwrap()]
    );
    assert_eq!(card["buckets"][0]["objects"], 1);
}

#[test]
fn what_makes_no_sense_is_refused_before_reading() {
    let flow = account().join("flow").display().to_string();
    for args in [
        &["lookup", "--flows", &flow][..],
        &["lookup", "10.0.0.1"],
        &["lookup", "10.0.0.256", "--flows", &flow],
        &["lookup", "10.0.0.1", "--flows", &flow, "--format", "csv"],
        &["lookup", "10.0.0.1", "--flows", &flow, "--where", "colour=red"],
    ] {
        assert_eq!(flowtrail(args).status.code(), Some(2), "{args:?}");
    }
}

/// The page's transcripts are what the program prints.
#[test]
fn the_guide_tells_the_truth() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/lookup.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut shown = 0;
    for block in page.split("```console\n$ flowtrail ").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let (command, wanted) = block.split_once('\n').unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
            .args(command.split(' '))
            .current_dir(account())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap().trim_end(), wanted, "{command}");
        shown += 1;
    }
    assert_eq!(shown, 4);
}
