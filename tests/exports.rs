//! Exports for other products: compared with stored ones, drawn from results that an attacker has written into, and from
//! results larger than other products take. What those products' own models say of them is `just validate-exports`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowtrail::report::asff::{BATCH, BATCH_BYTES, FINDING_BYTES};
use flowtrail::report::{Wanted, reporter};
use serde_json::{Value, json};

const FORMATS: [&str; 4] = ["csv", "asff", "ocsf", "ecs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sample account's result with the lists that the sample brings, its long lists cut.
fn stored() -> Value {
    let text = std::fs::read_to_string(root().join("tests/data/exports/result.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn drawn(format: &str, result: &Value) -> String {
    let mut out = Vec::new();
    let reporter = reporter(format).unwrap();
    reporter.draw(result.clone(), &Wanted::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn flowtrail(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.args(args).current_dir(root()).output().unwrap()
}

fn findings(asff: &str) -> Vec<Value> {
    let batches = asff.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    batches
        .flat_map(|b| b["Findings"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn the_samples_exports_are_the_stored_ones() {
    for format in FORMATS {
        let file = root().join(format!("tests/data/exports/account.{format}"));
        let golden = std::fs::read_to_string(&file).unwrap();
        assert!(
            drawn(format, &stored()) == golden,
            "{} differs: look at `just golden-exports`",
            file.display()
        );
    }
}

#[test]
fn scan_and_report_export_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.json");
    let result = result.to_str().unwrap();
    let scan = |format: &str| {
        let common = [
            "scan",
            "samples/account/flow",
            "--quiet",
            "--trail",
            "samples/account/trail",
            "--format",
            format,
        ];
        let out = flowtrail(&common);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    std::fs::write(result, scan("json")).unwrap();
    for format in FORMATS {
        let later = flowtrail(&["report", result, "--format", format]);
        assert!(later.status.success());
        assert!(scan(format) == later.stdout && later.stdout.len() > 500, "{format}");
    }
}

#[test]
fn every_incident_is_in_every_export_by_its_id() {
    let result = stored();
    let incidents = result["incidents"].as_array().unwrap();
    let ids: BTreeSet<&str> = incidents.iter().map(|i| i["id"].as_str().unwrap()).collect();
    let asff = findings(&drawn("asff", &result));
    let of = |text: &str, pointer: &str| -> BTreeSet<String> {
        let values = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        values
            .filter_map(|v| Some(v.pointer(pointer)?.as_str()?.to_owned()))
            .collect()
    };
    let same = |found: BTreeSet<String>| assert!(found.iter().map(String::as_str).eq(ids.iter().copied()), "{found:?}");
    same(
        asff.iter()
            .map(|f| f["Id"].as_str().unwrap().replace("flowtrail/", ""))
            .collect(),
    );
    same(of(&drawn("ocsf", &result), "/finding_info/uid"));
    same(of(&drawn("ecs", &result), "/index/_id"));
    same(of(&drawn("ecs", &result), "/event/id"));
    same(
        drawn("csv", &result)
            .lines()
            .skip(1)
            .map(|l| l.split(',').next().unwrap().to_owned())
            .collect(),
    );
}

#[test]
fn the_stolen_key_is_told_in_the_terms_of_each_product() {
    let result = stored();
    let asff = findings(&drawn("asff", &result));
    let finding = asff.iter().find(|f| f["Severity"]["Label"] == "CRITICAL").unwrap();
    let kinds: Vec<&str> = finding["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["Type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["AwsIamAccessKey", "AwsS3Bucket", "AwsS3Bucket", "AwsS3Bucket"]);
    assert_eq!(finding["ThreatIntelIndicators"][0]["Value"], "185.220.101.34");
    assert_eq!(finding["FindingProviderFields"]["Severity"]["Label"], "CRITICAL");
    let ocsf = drawn("ocsf", &result);
    let event: Value = serde_json::from_str(ocsf.lines().next().unwrap()).unwrap();
    assert_eq!(
        (event["class_uid"].as_u64(), event["severity_id"].as_u64()),
        (Some(2004), Some(5))
    );
    assert_eq!(
        event["anomaly_analyses"][0]["anomalies"][0]["observations"][0]["value"],
        "3277910769"
    );
    assert_eq!(
        event["finding_info"]["attacks"][1]["sub_technique"]["name"],
        "Cloud Accounts"
    );
    let ecs = drawn("ecs", &result);
    let document: Value = serde_json::from_str(ecs.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        document["threat"]["technique"]["subtechnique"]["id"],
        json!(["T1078.004", "T1090.003"])
    );
    assert_eq!(document["user"]["name"], "j.rivera");
}

#[test]
fn a_flow_is_told_with_its_interface_and_its_path() {
    let asff = findings(&drawn("asff", &stored()));
    let finding = asff
        .iter()
        .find(|f| f["GeneratorId"] == "flowtrail/tor-egress")
        .unwrap();
    assert_eq!(finding["Network"]["DestinationIpV4"], "131.188.40.189");
    assert_eq!(finding["Network"]["DestinationPort"], 443);
    assert_eq!(finding["NetworkPath"][0]["ComponentId"], "eni-0bc7ec0eb5663df0a");
    assert_eq!(
        finding["Resources"][0]["Id"],
        "arn:aws:ec2:us-east-1:111122223333:network-interface/eni-0bc7ec0eb5663df0a"
    );
}

#[test]
fn a_timeline_is_refused_where_it_could_not_be_told() {
    let result = "tests/data/exports/result.json";
    for format in FORMATS {
        let args = [
            "report",
            result,
            "--format",
            format,
            "--timeline",
            "samples/account/alerts/timeline.txt",
        ];
        assert_eq!(flowtrail(&args).status.code(), Some(2), "{format}");
    }
}

#[test]
fn nothing_is_exported_of_nothing() {
    let empty = json!({"schema": "flowtrail.result/1"});
    for format in ["asff", "ocsf", "ecs"] {
        assert_eq!(drawn(format, &empty), "");
    }
    assert_eq!(drawn("csv", &empty).lines().count(), 1);
}

// --- hostile texts -----------------------------------------------------------------------------------------------------

const HOSTILE: &[&str] = &[
    "=cmd|'/c calc'!A1",
    "x;=1+1;@SUM(A1)|-2+3,\"=4",
    "\t=1\r\n+2",
    "\"\"\"=1",
    "\u{ff1d}1+1",
    "a\nb\r\nc\u{2028}d\u{0}e\u{7f}\u{85}",
    "{\"index\":{\"_index\":\"other\"}}\n{}",
    "\\\",\"x\":\"",
    "   ",
    "",
    "\u{1b}[31m\u{202e}<script>alert(1)</script>",
    "999.999.999.999",
    "arn:aws:iam::1:user/",
    "🦀🦀🦀🦀🦀🦀🦀🦀",
];

fn hostile() -> Vec<String> {
    let ours = HOSTILE.iter().map(|s| (*s).to_owned());
    let long = ["\u{1}".repeat(6_000), "ß".repeat(3_000), "\"\\".repeat(3_000)];
    ours.chain(long).chain(shared()).collect()
}

/// Hostile strings of the shared set, where it is there.
fn shared() -> BTreeSet<String> {
    let root = std::env::var("FLOWTRAIL_SHARED").unwrap_or_else(|_| "../shared".into());
    let path = Path::new(&root).join("badinputs/ct/attacker_strings.json");
    let mut out = BTreeSet::new();
    match std::fs::read_to_string(&path) {
        Ok(text) => texts(&serde_json::from_str(&text).unwrap(), &mut out),
        Err(_) => println!("skipped: {} is not there", path.display()),
    }
    out.retain(|s| s.chars().any(|c| !c.is_ascii_alphanumeric() && !":./-_ ".contains(c)));
    out
}

fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(s) => _ = into.insert(s.clone()),
        Value::Array(list) => list.iter().for_each(|v| texts(v, into)),
        Value::Object(fields) => fields.values().for_each(|v| texts(v, into)),
        _ => {}
    }
}

/// Puts a text into every field that holds one, or behind what it holds.
fn poison(value: &mut Value, name: &str, text: &str, behind: bool) {
    match value {
        Value::String(_) if name == "schema" => {}
        Value::String(s) if behind || name == "id" => s.push_str(text),
        Value::String(s) => text.clone_into(s),
        Value::Array(list) => list.iter_mut().for_each(|v| poison(v, name, text, behind)),
        Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| poison(v, k, text, behind)),
        _ => {}
    }
}

fn poisoned() -> impl Iterator<Item = Value> {
    let mut clean = stored();
    clean["incidents"].as_array_mut().unwrap().truncate(2);
    clean["details"].as_array_mut().unwrap().truncate(2);
    hostile().into_iter().flat_map(move |text| {
        [false, true].map(|behind| {
            let mut bad = clean.clone();
            poison(&mut bad, "", &text, behind);
            bad
        })
    })
}

/// No text is blank, nothing is null or empty: each would have the call refused.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(s) => !s.trim().is_empty(),
        Value::Array(list) => !list.is_empty() && list.iter().all(is_filled),
        Value::Object(fields) => !fields.is_empty() && fields.values().all(is_filled),
        _ => true,
    }
}

fn is_asff(text: &str) {
    for line in text.lines() {
        assert!(line.len() <= BATCH_BYTES);
        let batch: Value = serde_json::from_str(line).unwrap();
        assert!(batch["Findings"].as_array().unwrap().len() <= BATCH);
    }
    for f in findings(text) {
        assert!(f.to_string().len() <= FINDING_BYTES);
        assert!(is_filled(&f), "{f:.2000}");
        let at_most = |value: &Value, n: usize| assert!(value.as_str().unwrap().len() <= n, "{value:.200}");
        at_most(&f["Id"], 512);
        at_most(&f["Title"], 256);
        at_most(&f["Description"], 1_024);
        assert!(f["AwsAccountId"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
        assert!(f["Resources"].as_array().unwrap().len() <= 32);
        f["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|r| at_most(&r["Id"], 512));
    }
}

/// Cells of a CSV as a spreadsheet takes it apart that splits by this.
fn cells(text: &str, separator: char) -> Vec<String> {
    let (mut out, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\n' | '\r' if !quoted => out.push(std::mem::take(&mut cell)),
            c if c == separator && !quoted => out.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    out
}

#[test]
fn hostile_texts_break_no_export() {
    for bad in poisoned() {
        is_asff(&drawn("asff", &bad));
        let ocsf = drawn("ocsf", &bad);
        for format in ["asff", "ocsf", "ecs"] {
            assert!(!drawn(format, &bad).contains(['\u{2028}', '\u{2029}', '\u{85}', '\u{202e}', '\r', '\u{7f}']));
        }
        assert_eq!(ocsf.lines().count(), 2);
        let whole = |l: &str| is_filled(&serde_json::from_str::<Value>(l).unwrap());
        assert!(ocsf.lines().all(whole));
        let ecs = drawn("ecs", &bad);
        assert_eq!((ecs.split('\n').count(), ecs.ends_with('\n')), (5, true));
        let actions = ecs
            .lines()
            .step_by(2)
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        assert!(
            actions
                .into_iter()
                .all(|a| a["index"].as_object().unwrap().keys().eq(["_id"]))
        );
        assert!(ecs.lines().skip(1).step_by(2).all(whole));
        let csv = drawn("csv", &bad);
        assert_eq!(cells(&csv, ',').len(), 3 * 21, "{csv:.3000}");
        for separator in [',', ';', '|', '\t'] {
            for cell in cells(&csv, separator) {
                let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
                assert!(!runs || cell == "-", "{cell:.200}");
            }
        }
        assert!(!csv.chars().any(|c| c.is_control() && c != '\n'));
    }
}

#[test]
fn hundreds_of_incidents_of_three_accounts_are_cut_into_calls() {
    let mut result = stored();
    let one = result["incidents"][1].clone();
    let nth = |n: usize| {
        let mut i = one.clone();
        i["id"] = json!(format!("inc-{n:016x}"));
        i["account"] = json!(format!("{:012}", n % 3));
        i["explanation"] = json!(vec!["ß".repeat(3_000); 50]);
        i["buckets"] = (0..500)
            .map(|b| json!({"name": format!("{b}-{}", "b".repeat(600))}))
            .collect();
        i["destinations"] = (0..1_000)
            .map(|d| json!({"ip": format!("192.0.{}.{}", d / 250, d % 250), "bytes": d, "labels": ["x".repeat(500)]}))
            .collect();
        i
    };
    result["incidents"] = (0..400).map(nth).collect();
    let asff = drawn("asff", &result);
    is_asff(&asff);
    assert_eq!(findings(&asff).len(), 400);
    for line in asff.lines() {
        let batch: Value = serde_json::from_str(line).unwrap();
        let owners: BTreeSet<&str> = batch["Findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["AwsAccountId"].as_str().unwrap())
            .collect();
        assert_eq!(owners.len(), 1);
    }
}
