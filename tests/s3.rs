//! s3:// against servers on loopback: a scripted one that misbehaves, and real ones where they are installed.
//!
//! `tests/shared/servers.rs` says where the servers come from.

#![cfg(feature = "s3")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

#[path = "shared/servers.rs"]
mod servers;
mod shared;
#[path = "shared/forms.rs"]
mod written;

use serde_json::{Value, json};
use servers::{KEY, Ran, SECRET, Server, errors, fetched, fill, flowtrail, own, real, scripted, told, tool};
use shared::shared;
use std::path::{Path, PathBuf};
use std::process::Command;
use written::{FORMS, NAMES, SAMPLE, parquet, sample};

/// Ten records that no other object holds.
fn records(object: u64) -> String {
    let line = |i: u64| format!("2 1 eni-{object} 10.0.0.{i} 192.0.2.{object} 1 443 6 1 {object} 100 160 ACCEPT OK\n");
    (1..=10).map(line).collect()
}

/// Runs a scenario of objects with distinct records; what is served, and the requests.
fn scenario(objects: &[(&str, Value)], list_faults: &Value) -> Option<(Ran, Vec<Value>)> {
    let dir = tempfile::tempdir().unwrap();
    let object = |(i, (key, faults)): (usize, &(&str, Value))| {
        (
            format!("logs/{key}"),
            json!({"text": records(i as u64), "faults": faults}),
        )
    };
    let objects: serde_json::Map<String, Value> = objects.iter().enumerate().map(object).collect();
    let scenario = json!({"bucket": "bucket", "page": 3, "list_faults": list_faults, "objects": objects});
    let (path, log) = (dir.path().join("scenario.json"), dir.path().join("requests.jsonl"));
    std::fs::write(&path, scenario.to_string()).unwrap();
    let server = scripted(&path, &log)?;
    let args = [
        "top",
        "--quiet",
        "--by",
        "dst",
        "--limit",
        "0",
        "--format",
        "csv",
        "s3://bucket/logs",
    ];
    let ran = flowtrail(&server, &args);
    let requests = std::fs::read_to_string(&log).unwrap();
    let requests = requests.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    Some((ran, requests))
}

#[test]
fn passing_faults_cost_nothing_and_no_record_counts_twice() {
    let faults = [
        ("fine", json!([])),
        ("slow-down", json!([{"do": "503", "times": 2}])),
        ("internal", json!([{"do": "500"}])),
        ("too-many", json!([{"do": "429"}])),
        ("short", json!([{"do": "short", "after": 200}])),
        ("reset", json!([{"do": "rst", "after": 200}, {"do": "ignore_range"}])),
        (
            "wrong-range",
            json!([{"do": "short", "after": 0}, {"do": "ignore_range"}]),
        ),
        ("error-body", json!([{"do": "body_error"}])),
        ("odd \u{1b}[31m+&name/a//b", json!([])),
    ];
    let Some((ran, requests)) = scenario(&faults, &json!([{"do": "503"}, {"do": "bad_xml"}])) else {
        return;
    };
    assert_eq!((ran.code, &ran.stats["good"]), (0, &json!(90)), "{}", ran.all);
    let rows: Vec<&str> = ran.stdout.lines().skip(1).collect();
    assert_eq!(rows.len(), 9, "{}", ran.stdout);
    for (row, i) in rows.iter().zip((0..9).rev()) {
        assert!(
            row.starts_with(&format!("192.0.2.{i},{},", 10 * i)),
            "{row}: each record once"
        );
    }
    assert!(requests.iter().all(|r| r["m"] == "GET" && r["has_auth"] == true));
    let gets = requests.iter().filter(|r| r["range"].is_string());
    assert!(gets.clone().count() > 9 && gets.clone().all(|r| r["if_match"].is_string()));
    assert!(!ran.all.contains('\u{1b}'));
}

#[test]
fn lasting_faults_cost_their_object_only_and_are_named() {
    let faults = [
        ("a-forbidden", json!([{"do": "403", "times": -1}])),
        ("b-gone", json!([{"do": "404", "times": -1}])),
        ("c-changed", json!([{"do": "etag"}])),
        (
            "d-elsewhere",
            json!([{"do": "redirect", "to": "http://127.0.0.1:1/x", "times": -1}]),
        ),
        ("e/../up", json!([])),
        ("fine", json!([])),
    ];
    let Some((ran, requests)) = scenario(&faults, &json!([])) else {
        return;
    };
    assert_eq!((ran.code, &ran.stats["good"]), (3, &json!(10)), "{}", ran.all);
    let errors = errors(&ran.stats);
    assert_eq!(errors.len(), 5, "{errors:?}");
    for (name, word) in [
        ("a-", "403"),
        ("b-", "404"),
        ("c-", "changed"),
        ("d-", "redirection"),
        ("e/", ".."),
    ] {
        assert!(
            errors.iter().any(|(f, r)| f.contains(name) && r.contains(word)),
            "{name}: {errors:?}"
        );
    }
    let asked = requests
        .iter()
        .filter(|r| r["path"].as_str().unwrap().contains("a-forbidden"));
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked.len(), 1, "what is forbidden is not asked for again: {asked:?}");
}

#[test]
fn worn_out_credentials_end_the_asking() {
    let faults: Vec<(String, Value)> = (0..40)
        .map(|i| (format!("{i:02}"), json!([{"do": "400expired", "times": -1}])))
        .collect();
    let faults: Vec<(&str, Value)> = faults.iter().map(|(k, f)| (k.as_str(), f.clone())).collect();
    let Some((ran, requests)) = scenario(&faults, &json!([])) else {
        return;
    };
    assert_eq!((ran.code, &ran.stats["good"]), (3, &json!(0)));
    assert!(errors(&ran.stats).iter().all(|(_, r)| r.contains("expired")));
    let gets = requests.iter().filter(|r| r["range"].is_string()).count();
    assert!(
        gets <= 33,
        "{gets} requests with credentials that are known to be worn out"
    );
}

#[test]
fn a_listing_that_leads_back_ends() {
    let objects: Vec<(String, Value)> = (0..8).map(|i| (format!("{i}"), json!([]))).collect();
    let objects: Vec<(&str, Value)> = objects.iter().map(|(k, f)| (k.as_str(), f.clone())).collect();
    for fault in ["endless_page", "dup_page"] {
        let Some((ran, requests)) = scenario(&objects, &json!([{"do": fault, "times": -1}])) else {
            return;
        };
        assert!(requests.len() < 40, "{fault}: {} requests", requests.len());
        assert_eq!(ran.code, 3, "{fault}: {}", ran.all);
        assert_eq!(ran.stats["good"], 30, "{fault}: what was listed once counts once");
        assert!(errors(&ran.stats)[0].1.contains("leads back"));
    }
}

#[test]
fn the_shared_scenario_is_read_as_it_promises() {
    let Some(path) = shared("badinputs/s3/faults.json") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = scripted(&path, &dir.path().join("log")) else {
        return;
    };
    let ran = flowtrail(&server, &["top", "--quiet", "s3://logs/AWSLogs"]);
    // All good objects hold the same records: one counts, the others are named as its copies.
    let named = errors(&ran.stats);
    assert_eq!((ran.code, &ran.stats["good"]), (3, &json!(300)), "{}", ran.all);
    assert_eq!(ran.stats["files"]["duplicate"], 7, "{named:?}");
    assert_eq!(
        ran.stats["files"]["failed"], 3,
        "forbidden, gone, and the key with `..`: {named:?}"
    );
}

#[test]
fn nonsense_is_refused_before_anything_is_asked() {
    let code = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.arg("top").args(args).output().unwrap().status.code()
    };
    assert_eq!(code(&["s3://"]), Some(2));
    assert_eq!(
        code(&["s3://bucket/x", "--endpoint-url", "http://s3.example.com"]),
        Some(2)
    );
}

/// The sample's flow logs and trail, and files with odd names, as a bucket below `root`.
fn bucket(root: &Path) -> PathBuf {
    let bucket = root.join("bucket");
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/account"));
    let days = glob::glob(&format!("{}/flow/**/2026/03/0[2-5]/**/*.gz", sample.display())).unwrap();
    for file in days.map(Result::unwrap) {
        let to = bucket.join(file.strip_prefix(sample.join("flow")).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
    for file in glob::glob(&format!("{}/trail/**/*.gz", sample.display()))
        .unwrap()
        .map(Result::unwrap)
    {
        let to = bucket.join(file.strip_prefix(sample.join("trail")).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
    for (i, name) in ["odd name+1=.log", "ümläut.log", "a&b.log"].iter().enumerate() {
        std::fs::write(bucket.join("AWSLogs").join(name), records(i as u64)).unwrap();
    }
    let large =
        (0..240_000u64).map(|i| format!("2 1 eni-9 10.0.0.{} 192.0.2.9 1 443 6 1 7 {i} {i} ACCEPT OK\n", i % 250));
    std::fs::write(bucket.join("AWSLogs/large.log"), large.collect::<String>()).unwrap();
    std::fs::write(bucket.join("AWSLogs/large.log.parquet"), hours()).unwrap();
    bucket
}

/// Row groups of [`hours`].
const HOURS: u64 = 6;

/// A Parquet file of some megabytes: a row group an hour from 2026-03-02 on, and a long column that nobody needs in the
/// middle of the others.
fn hours() -> Vec<u8> {
    const ROWS: u64 = 10_000;
    let mut names = NAMES.to_vec();
    names.insert(7, ("az_id", "binary"));
    let row = |i: u64| {
        let (hour, n) = (i / ROWS, i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        let start = 1_772_409_600 + hour * 3_600 + n % 3_000;
        let text = format!(
            "2 1 eni-{} 10.1.0.{} 192.0.2.{hour} {} 443 6 9 {} {start} {} ACCEPT OK",
            n % 5,
            n % 250,
            1_024 + n % 60_000,
            n % 9_000,
            start + 60
        );
        let mut cells: Vec<String> = text.split(' ').map(str::to_string).collect();
        cells.insert(7, format!("{n:0100}"));
        cells
    };
    parquet(&names, &(0..HOURS * ROWS).map(row).collect(), ROWS as usize)
}

/// A scripted server of one bucket with these objects, and the file that it notes requests in.
fn serving(dir: &Path, objects: &[(&str, Vec<u8>, Value)]) -> Option<(Server, PathBuf)> {
    let mut all = serde_json::Map::new();
    for (key, bytes, faults) in objects {
        std::fs::write(dir.join(key), bytes).unwrap();
        all.insert((*key).to_string(), json!({"file": key, "faults": faults}));
    }
    let (path, log) = (dir.join("scenario.json"), dir.join("requests.jsonl"));
    std::fs::write(&path, json!({"bucket": "bucket", "objects": all}).to_string()).unwrap();
    Some((scripted(&path, &log)?, log))
}

/// Each question about flow logs at a place.
fn questions(place: &str) -> [Vec<&str>; 3] {
    let top = [
        "top",
        "--quiet",
        "--by",
        "eni,dst,hour",
        "--limit",
        "0",
        "--format",
        "csv",
        "--totals",
        place,
    ];
    let hour = ["--from", "2026-03-02T02:00:00Z", "--to", "2026-03-02T03:00:00Z"];
    let lookup = ["lookup", "192.0.2.4", "--quiet", "--format", "json", "--flows", place];
    [top.to_vec(), [&top[..], &hour].concat(), lookup.to_vec()]
}

#[test]
fn of_a_parquet_object_only_what_is_needed_is_fetched() {
    let file = hours();
    let size = file.len() as u64;
    assert!(size > 7 << 20, "{size}");
    let dir = tempfile::tempdir().unwrap();
    let Some((server, log)) = serving(dir.path(), &[("a.log.parquet", file, json!([]))]) else {
        return;
    };
    let local = dir.path().join("a.log.parquet").display().to_string();
    let mut before = (0, 0);
    // A look-up reads twice, and searches every text.
    let bounds = [(14, size / 4), (4, size / 20), (24, 2 * size + (128 << 10))];
    for ((here, there), (requests, bytes)) in questions(&local).iter().zip(questions("s3://bucket/")).zip(bounds) {
        let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
            .args(here)
            .output()
            .unwrap();
        let ran = flowtrail(&server, &there);
        assert_eq!(ran.code, 0, "{there:?}: {}", ran.all);
        let answer = String::from_utf8(out.stdout).unwrap();
        assert!(
            answer.len() > 200 && ran.stdout == answer,
            "{there:?}: {} for {answer}",
            ran.stdout
        );
        let all = fetched(&log);
        let its = (all.0 - before.0, all.1 - before.1);
        println!("{there:?}: {} requests, {} of {size} bytes", its.0, its.1);
        assert!(its.0 <= requests && its.1 <= bytes, "{there:?}: {its:?} of {size}");
        before = all;
    }
    let text = std::fs::read_to_string(&log).unwrap();
    let gets = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    assert!(
        gets.filter(|r| r["range"].is_string())
            .all(|r| r["if_match"].is_string())
    );
}

/// Sums of a Parquet object whose server does what `faults` say: checked for the exit code and the good records.
fn asked_amid(faults: &Value, (code, good): (i32, u64)) -> Option<Ran> {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = serving(dir.path(), &[("a.log.parquet", hours(), faults.clone())])?;
    let ran = flowtrail(&server, &questions("s3://bucket/")[0]);
    assert_eq!(
        (ran.code, &ran.stats["good"]),
        (code, &json!(good)),
        "{faults}: {}",
        ran.all
    );
    Some(ran)
}

#[test]
fn faults_in_the_middle_of_a_parquet_object_cost_nothing_or_name_it() {
    let pass = json!({"do": ""});
    let passing = [
        json!([{"do": "503"}, pass, {"do": "short", "after": 200}, {"do": "500"}]),
        json!([pass, {"do": "rst", "after": 2_000}, {"do": "ignore_range"}, {"do": "wrong_range"}]),
        json!([{"do": "ignore_range"}, {"do": "body_error"}, {"do": "short", "after": 0}]),
    ];
    for faults in passing {
        let Some(ran) = asked_amid(&faults, (0, 60_000)) else {
            return;
        };
        assert!(errors(&ran.stats).is_empty(), "{faults}: {}", ran.all);
    }
    let lasting = [
        (json!([pass, {"do": "etag"}]), 0, "changed"),
        (json!([pass, pass, pass, pass, {"do": "etag"}]), 10_000, "changed"),
        (json!([pass, {"do": "403", "times": -1}]), 0, "403"),
        (json!([{"do": "404", "times": -1}]), 0, "404"),
    ];
    for (faults, good, word) in lasting {
        let Some(ran) = asked_amid(&faults, (3, good)) else {
            return;
        };
        let named = errors(&ran.stats);
        assert!(
            named.len() == 1 && named[0].0 == "a.log.parquet" && named[0].1.contains(word),
            "{faults}: {named:?}"
        );
    }
}

#[test]
fn parquet_objects_of_one_length_are_read_whole_and_copies_count_once() {
    let one = hours();
    let mut other = one.clone();
    // A digit of the column that nobody needs.
    let at = other.windows(80).position(|w| w.iter().all(|b| *b == b'0')).unwrap();
    other[at] = b'9';
    let objects = [
        ("a.log.parquet", one.clone(), json!([])),
        ("b.log.parquet", other, json!([])),
        ("c.log.parquet", one, json!([])),
    ];
    let dir = tempfile::tempdir().unwrap();
    let Some((server, log)) = serving(dir.path(), &objects) else {
        return;
    };
    let ran = flowtrail(&server, &questions("s3://bucket/")[0]);
    assert_eq!((ran.code, &ran.stats["good"]), (0, &json!(120_000)), "{}", ran.all);
    assert_eq!(ran.stats["files"]["duplicate"], 1);
    let named = errors(&ran.stats);
    assert!(
        named[0].0 == "c.log.parquet" && named[0].1.contains("same content as a.log.parquet"),
        "{named:?}"
    );
    let whole: u64 = objects.iter().map(|(_, bytes, _)| bytes.len() as u64).sum();
    assert_eq!(fetched(&log).1, whole);
}

fn same_as_files(name: &str, server: &Server, bucket: &Path) {
    let args = |place: &str| {
        let options = [
            "top",
            "--quiet",
            "--by",
            "eni,dst,hour",
            "--limit",
            "0",
            "--totals",
            "--format",
            "ndjson",
        ];
        options
            .iter()
            .map(|s| s.to_string())
            .chain([place.to_string()])
            .collect::<Vec<_>>()
    };
    let local = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args(&bucket.display().to_string()))
        .output();
    let local = String::from_utf8(local.unwrap().stdout).unwrap();
    let remote = args("s3://bucket/");
    let remote: Vec<&str> = remote.iter().map(String::as_str).collect();
    let ran = flowtrail(server, &remote);
    assert_eq!(ran.code, 0, "{name}: {}", ran.all);
    assert!(
        local.lines().count() > 50 && ran.stdout == local,
        "{name}: another answer than from files"
    );
    let args = [
        "trail",
        "--by",
        "principal,bucket",
        "--limit",
        "0",
        "--format",
        "ndjson",
        "--quiet",
    ];
    let mut local = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    let local = String::from_utf8(local.args(args).arg(bucket).output().unwrap().stdout).unwrap();
    let ran = flowtrail(server, &[&args[..], &["s3://bucket"]].concat());
    assert!(local.lines().count() > 5, "{local}");
    assert!(
        ran.stdout == local,
        "{name}: another trail than from files: {}",
        ran.all
    );
    let window = [
        "top",
        "--quiet",
        "s3://bucket/AWSLogs",
        "--from",
        "2026-03-05",
        "--to",
        "2026-03-06",
    ];
    let ran = flowtrail(server, &window);
    assert!(
        ran.stats["passed_over"]["folders"].as_u64() > Some(0),
        "{name}: {}",
        ran.all
    );
}

#[test]
fn s3s_fs_gives_what_files_give() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = bucket(dir.path());
    let root = dir.path().display().to_string();
    let arguments = |port: &str| [own(port), vec![root.clone()]].concat();
    if let Some(server) = real("s3s-fs", arguments) {
        same_as_files("s3s-fs", &server, &bucket);
    }
}

#[test]
fn hadro_gives_what_files_give_even_while_it_throttles() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = bucket(dir.path());
    let root = dir.path().display().to_string();
    for faults in [
        &["--latency-ms", "1"][..],
        &["--error-rate", "0.1", "--fault-seed", "3", "--latency-ms", "5"],
    ] {
        let arguments = |port: &str| {
            let more = ["--region", "us-east-1"].iter().chain(faults).map(|s| (*s).to_owned());
            own(port).into_iter().chain(more).chain([root.clone()]).collect()
        };
        if let Some(server) = real("hadro", arguments) {
            same_as_files("hadro", &server, &bucket);
        }
    }
}

#[test]
fn moto_gives_what_files_give() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = bucket(dir.path());
    let arguments = |port: &str| ["-H", "127.0.0.1", "-p", port].map(String::from).to_vec();
    let Some(server) = real("moto_server", arguments) else {
        return;
    };
    fill(&server, &bucket);
    same_as_files("moto", &server, &bucket);
    let Some(user) = known_to(&server) else { return };
    let settings = [
        ("AWS_ACCESS_KEY_ID", user[0].as_str()),
        ("AWS_SECRET_ACCESS_KEY", &user[1]),
        ("AWS_REGION", "us-east-1"),
    ];
    let args = ["top", "--quiet", "s3://bucket/AWSLogs/large.log"];
    let ran = told(&server, &args, &settings);
    assert_eq!((ran.code, &ran.stats["good"]), (0, &json!(240_000)), "{}", ran.all);
    let ran = flowtrail(&server, &args);
    assert_eq!(ran.code, 3, "{}", ran.all);
    let named = errors(&ran.stats);
    assert!(
        named[0].1.contains("does not know these credentials"),
        "keys that nobody gave out: {named:?}"
    );
}

/// Gives a user of moto keys, and has signatures and permissions checked from then on.
fn known_to(server: &Server) -> Option<Vec<String>> {
    let python = tool("moto_server")?.with_file_name("python");
    // Moto 5.2.1 refuses signed listings, whatever signs them with their query; 5.2.5 does not.
    let script = "import boto3, json, moto, sys, urllib.request\n\
        if tuple(map(int, moto.__version__.split('.')[:3])) < (5, 2, 5): sys.exit()\n\
        iam = boto3.client('iam', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')\n\
        iam.create_user(UserName='u')\n\
        allow = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': ['s3:ListBucket', 's3:GetObject'], 'Resource': '*'}]}\n\
        iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument=json.dumps(allow))\n\
        key = iam.create_access_key(UserName='u')['AccessKey']\n\
        print(key['AccessKeyId'], key['SecretAccessKey'])\n\
        ask = urllib.request.Request(sys.argv[1] + '/moto-api/reset-auth', b'0', {'Content-Type': 'text/plain'})\n\
        urllib.request.urlopen(ask)\n";
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let out = Command::new(python).args(["-c", script, &endpoint]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let keys = String::from_utf8(out.stdout).unwrap();
    let keys: Vec<String> = keys.split_whitespace().map(str::to_string).collect();
    if keys.is_empty() {
        println!("skipped: this moto is too old to check signatures (`just s3` installs one)");
    }
    Some(keys).filter(|k| k.len() == 2)
}

/// The sample's flow logs, each in another form than the one before it, and its trail, as keys below `bucket`.
fn in_every_form(bucket: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    let mut put = |name: &Path, bytes: &[u8]| {
        let to = bucket.join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
        keys.push(name.to_str().unwrap().to_string());
    };
    for ((name, rows), (_, write)) in sample().iter().zip(FORMS.iter().cycle()) {
        put(Path::new(name).strip_prefix("flow").unwrap(), &write(rows));
    }
    let trail = Path::new(SAMPLE).join("trail");
    for file in glob::glob(&format!("{}/**/*.gz", trail.display())).unwrap() {
        let file = file.unwrap();
        put(file.strip_prefix(&trail).unwrap(), &std::fs::read(&file).unwrap());
    }
    keys
}

/// The scripted server knows no folders, so no family of logs is passed over there.
const FLOW_LOGS: &str = "s3://bucket/AWSLogs/111122223333/vpcflowlogs";
const TRAIL: &str = "s3://bucket/AWSLogs/111122223333/CloudTrail";

/// Holds `top` and the incidents of `scan` on a bucket against those on the sample's own files.
fn says_what_the_sample_says(name: &str, server: &Server) {
    let (flow, trail) = (format!("{SAMPLE}/flow"), format!("{SAMPLE}/trail"));
    let local = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_flowtrail")).args(args).output();
        String::from_utf8(out.unwrap().stdout).unwrap()
    };
    let top = ["top", "--quiet", "--by", "eni,dst,port,hour", "--limit", "0"];
    let top = |place| [&top[..], &["--totals", "--format", "ndjson", place]].concat();
    let ran = flowtrail(server, &top(FLOW_LOGS));
    assert_eq!(ran.code, 0, "{name}: {}", ran.all);
    assert!(ran.stdout.lines().count() > 100);
    assert!(ran.stdout == local(&top(&flow)), "{name}: top says something else");
    let scan = |flow, trail| ["scan", "--quiet", "--format", "ndjson", flow, "--trail", trail];
    let ran = flowtrail(server, &scan(FLOW_LOGS, TRAIL));
    assert_eq!(ran.code, 0, "{name}: {}", ran.all);
    let incidents = without_evidence(&ran.stdout);
    assert!(incidents.len() > 3);
    assert!(
        incidents == without_evidence(&local(&scan(&flow, &trail))),
        "{name}: other incidents"
    );
}

/// Incidents without what names files and lines.
fn without_evidence(text: &str) -> Vec<Value> {
    let without = |line| {
        let mut incident: Value = serde_json::from_str(line).unwrap();
        incident.as_object_mut().unwrap().remove("evidence");
        incident
    };
    text.lines().map(without).collect()
}

#[test]
fn every_form_in_s3_gives_the_same_sums_and_incidents() {
    let dir = tempfile::tempdir().unwrap();
    in_every_form(&dir.path().join("bucket"));
    let root = dir.path().display().to_string();
    if let Some(server) = real("s3s-fs", |port| [own(port), vec![root.clone()]].concat()) {
        says_what_the_sample_says("s3s-fs", &server);
    }
}

#[test]
fn faults_change_no_sum_and_no_incident() {
    let dir = tempfile::tempdir().unwrap();
    let keys = in_every_form(&dir.path().join("bucket"));
    let faults = [
        json!([{"do": "503"}]),
        json!([{"do": "short", "after": 100}]),
        json!([{"do": "rst", "after": 100}, {"do": "ignore_range"}]),
        json!([{"do": "500"}, {"do": "body_error"}]),
        json!([{"do": "429"}]),
    ];
    let object = |(n, key): (usize, &String)| {
        let fault = if n % 7 == 3 {
            &faults[n % faults.len()]
        } else {
            &json!([])
        };
        (key.clone(), json!({"file": format!("bucket/{key}"), "faults": fault}))
    };
    let objects: serde_json::Map<String, Value> = keys.iter().enumerate().map(object).collect();
    let list = json!([{"do": "503"}, {"do": "bad_xml"}]);
    let scenario = json!({"bucket": "bucket", "page": 500, "list_faults": list, "objects": objects});
    let path = dir.path().join("scenario.json");
    std::fs::write(&path, scenario.to_string()).unwrap();
    let log = dir.path().join("requests.jsonl");
    if let Some(server) = scripted(&path, &log) {
        says_what_the_sample_says("scripted", &server);
        let requests = std::fs::read_to_string(&log).unwrap();
        let refused = requests.lines().filter(|l| l.contains("\"status\": 5")).count();
        assert!(refused > 50, "{refused} requests were refused");
    }
}

/// A folder whose `aws` does what `script` says and notes what it was asked.
#[cfg(unix)]
fn stand_in(folder: &Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let note = folder.join("asked");
    let text = format!("#!/bin/sh\necho \"$@\" >>'{}'\n{script}\n", note.display());
    let program = folder.join("aws");
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

/// What `aws configure export-credentials --format process` prints.
#[cfg(unix)]
fn exported(token: &str, until: &str) -> String {
    let keys = json!({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET,
        "SessionToken": token, "Expiration": until});
    format!("case $2 in get) echo us-east-1;; *) cat <<'END'\n{keys:#}\nEND\nesac")
}

#[cfg(unix)]
#[test]
fn a_profile_is_asked_of_the_cli_once() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("bucket");
    std::fs::create_dir(&bucket).unwrap();
    std::fs::write(bucket.join("a.log"), records(1)).unwrap();
    std::fs::write(bucket.join("b.log"), records(2)).unwrap();
    let scenario =
        json!({"bucket": "bucket", "objects": {"a.log": {"file": "bucket/a.log"}, "b.log": {"file": "bucket/b.log"}}});
    let (path, log) = (dir.path().join("scenario.json"), dir.path().join("requests.jsonl"));
    std::fs::write(&path, scenario.to_string()).unwrap();
    let root = dir.path().display().to_string();
    let servers = [
        scripted(&path, &log),
        real("s3s-fs", |port| [own(port), vec![root.clone()]].concat()),
    ];
    for server in servers.iter().flatten() {
        let search = stand_in(dir.path(), &exported("CANARY/token+==", "2099-01-01T00:00:00+00:00"));
        let args = ["top", "--quiet", "s3://bucket", "--profile", "audit"];
        let ran = told(server, &args, &[("PATH", &search)]);
        assert_eq!(ran.stats["good"], 20, "{}", ran.all);
        let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
        let export = "configure export-credentials --format process --profile audit";
        assert_eq!(asked.lines().filter(|l| *l == export).count(), 1, "{asked}");
        std::fs::remove_file(dir.path().join("asked")).unwrap();
    }
    if servers[0].is_some() {
        let requests = std::fs::read_to_string(&log).unwrap();
        assert!(requests.lines().count() >= 3 && requests.lines().all(|l| l.contains("\"has_auth\": true")));
    }
}

#[cfg(unix)]
#[test]
fn what_the_cli_says_in_place_of_keys_is_told_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let (path, log) = (dir.path().join("scenario.json"), dir.path().join("requests.jsonl"));
    std::fs::write(
        &path,
        json!({"bucket": "bucket", "objects": {"a": {"text": records(1)}}}).to_string(),
    )
    .unwrap();
    let Some(server) = scripted(&path, &log) else { return };
    let failed = format!("echo 'The config profile (audit) could not be found {KEY} {SECRET}' >&2; exit 255");
    let odd = format!("printf '\\377\\376{SECRET}'");
    let endless = format!("while :; do echo '{KEY}{SECRET}' || exit 9; done");
    for (script, words) in [
        (failed.as_str(), "could not be found"),
        ("exit 0", "printed no credentials"),
        (&format!("echo '<html>{SECRET}'"), "printed no credentials"),
        (
            &format!("echo '{{\"AccessKeyId\": \"{KEY}\"}}'"),
            "printed no credentials",
        ),
        (&odd, "printed no text"),
        (&endless, "failed"),
        (
            &exported("CANARY\r\nx-amz-acl: public-read", "2099-01-01T00:00:00Z"),
            "printed no credentials",
        ),
        (&exported("CANARY", "2020-01-01T00:00:00Z"), "have expired"),
    ] {
        let search = stand_in(dir.path(), script);
        let args = [
            "top",
            "--quiet",
            "s3://bucket",
            "--profile",
            "audit",
            "--log",
            "json",
            "--log-level",
            "debug",
        ];
        let ran = told(&server, &args, &[("PATH", &search), ("AWS_REGION", "us-east-1")]);
        assert_eq!((ran.code, &ran.stats["good"]), (3, &json!(0)), "{}", ran.all);
        let named = errors(&ran.stats);
        assert!(named.len() == 1 && named[0].1.contains(words), "{words}: {named:?}");
    }
    let nowhere = dir.path().join("nowhere").display().to_string();
    let ran = told(
        &server,
        &["top", "s3://bucket", "--profile", "audit"],
        &[("PATH", &nowhere), ("AWS_REGION", "us-east-1")],
    );
    assert!(errors(&ran.stats)[0].1.contains("was not found"), "{}", ran.all);
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "",
        "nothing is asked without keys"
    );
}
