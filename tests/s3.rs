//! s3:// against servers on loopback: a scripted one that misbehaves, and real ones where they are installed.
//!
//! The scripted server is part of the shared test data (`FLOWTRAIL_SHARED`). Real servers (s3s-fs, hadro, moto) are looked
//! for in `PATH` and in the folders of `FLOWTRAIL_S3_TOOLS`; `just s3` installs them. What is missing is said and passed.

#![cfg(feature = "s3")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

mod shared;

use serde_json::{Value, json};
use shared::shared;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "AKIAIOSFODNN7CANARY0";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY1234";

/// A server that ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the scripted server.
fn scripted(scenario: &Path, log: &Path) -> Option<Server> {
    let program = shared("badinputs/s3fault.py")?;
    let mut command = Command::new("python3");
    command.arg(program).arg(scenario).arg("--log").arg(log);
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) => {
            println!("skipped: python3: {e}");
            return None;
        }
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port = line.trim().parse().unwrap();
    Some(Server { child, port })
}

/// A program in `PATH` or among the installed tools.
fn tool(name: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("FLOWTRAIL_S3_TOOLS").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&tools).chain(std::env::split_paths(&path));
    let found = all.map(|d| d.join(name)).find(|p| p.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed (`just s3` does it)");
    }
    found
}

/// Starts a real server, told its port, and waits until it listens.
fn real(name: &str, arguments: impl Fn(&str) -> Vec<String>) -> Option<Server> {
    let program = tool(name)?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(program);
    command
        .args(arguments(&port.to_string()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server {
        child: command.spawn().unwrap(),
        port,
    };
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{name} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(server)
}

struct Ran {
    code: i32,
    stdout: String,
    all: String,
    stats: Value,
}

fn flowtrail(server: &Server, args: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let stats = dir.path().join("stats.json");
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command
        .args(args)
        .args(["--endpoint-url", &endpoint, "--stats"])
        .arg(&stats);
    for name in [
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    ] {
        command.env_remove(name);
    }
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ];
    let out = command.envs(keys).output().unwrap();
    let text = std::fs::read_to_string(&stats).unwrap_or_default();
    let all = format!(
        "{}{}{text}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(
        !all.contains("CANARY") && !all.contains("Signature"),
        "a credential in the output: {all}"
    );
    Ran {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stats: serde_json::from_str(&text).unwrap_or(Value::Null),
        all,
    }
}

/// Ten records that no other object holds.
fn records(object: u64) -> String {
    let line = |i: u64| format!("2 1 eni-{object} 10.0.0.{i} 192.0.2.{object} 1 443 6 1 {object} 100 160 ACCEPT OK\n");
    (1..=10).map(line).collect()
}

fn errors(stats: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_string();
    let all = stats["file_errors"].as_array().unwrap().iter();
    all.map(|e| (text(&e["file"]), text(&e["reason"]))).collect()
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
    assert_eq!(asked.count(), 1, "what is forbidden is not asked for again");
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
    bucket
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

/// What the servers on this machine are told: where to listen, and the keys.
fn own(port: &str) -> Vec<String> {
    let keys = ["--access-key", KEY, "--secret-key", SECRET];
    let place = ["--host", "127.0.0.1", "--port", port];
    place.into_iter().chain(keys).map(String::from).collect()
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
    put(&server, "/bucket", &[]);
    for file in glob::glob(&format!("{}/**/*.*", bucket.display()))
        .unwrap()
        .map(Result::unwrap)
    {
        let key = file.strip_prefix(&bucket).unwrap().to_string_lossy().into_owned();
        let key: String = key
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() || b"/._-".contains(&b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        put(&server, &format!("/bucket/{key}"), &std::fs::read(file).unwrap());
    }
    same_as_files("moto", &server, &bucket);
}

/// An unsigned PUT, which moto takes as long as its authentication is off.
fn put(server: &Server, path: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        server.port,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
