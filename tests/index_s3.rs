//! The side store of an archive on S3: answers are those of the objects, what has not changed is not fetched again, and what
//! cannot be known is refused.
//!
//! `tests/shared/servers.rs` says where the servers come from.

#![cfg(feature = "s3")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

#[path = "shared/place.rs"]
mod place;
#[path = "shared/servers.rs"]
mod servers;
mod shared;
#[path = "shared/forms.rs"]
mod written;

use place::{first_difference, hard, walk};
use serde_json::{Value, json};
use servers::{Ran, Server, fetched, fill, flowtrail, own, put, real, scripted};
use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use written::FORMS;

/// A bucket of hard cases and its store.
struct Bucket {
    folder: tempfile::TempDir,
    store: String,
    /// Requests for objects that were answered before.
    before: Cell<usize>,
}

const FLOWS: &str = "s3://bucket/logs";
/// How many objects a bucket of hard cases has.
const ALL: usize = 2 * 36 + FORMS.len();
/// A peer of many records.
const PEER: &str = "198.51.100.77";

impl Bucket {
    /// The archive of hard cases, half of its objects below a folder more, and a day of another interface in every form.
    fn hard() -> Bucket {
        let bucket = Bucket::empty();
        let archive = hard(36);
        let mut files = Vec::new();
        walk(Path::new(&archive.flows), &mut files);
        for (n, file) in files.iter().enumerate() {
            let below = if n % 2 == 0 { "logs" } else { "logs/2026" };
            let name = file.file_name().unwrap().to_str().unwrap();
            bucket.put(&format!("{below}/{name}"), &fs::read(file).unwrap());
        }
        for (n, (_, write)) in FORMS.iter().enumerate() {
            let rows = lines(n as u64, 30);
            let rows = rows
                .lines()
                .map(|l| l.split(' ').map(str::to_owned).collect())
                .collect();
            bucket.put(&format!("logs/forms/{n:02}.log"), &write(&rows));
        }
        bucket
    }

    fn empty() -> Bucket {
        let folder = tempfile::tempdir().unwrap();
        Bucket {
            store: folder.path().join("store").display().to_string(),
            folder,
            before: Cell::default(),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join("bucket").join(key)
    }

    fn put(&self, key: &str, content: &[u8]) {
        let path = self.path(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A scripted server of what the bucket holds now, whose objects fail like this.
    fn served(&self, faults: &[(&str, Value)], listing: &Value) -> Option<Server> {
        let (root, mut files) = (self.folder.path(), Vec::new());
        walk(&root.join("bucket"), &mut files);
        let object = |file: &PathBuf| {
            let key = file.strip_prefix(root.join("bucket")).unwrap().display().to_string();
            let faults = faults
                .iter()
                .find(|(k, _)| *k == key)
                .map_or(json!([]), |f| f.1.clone());
            (key.clone(), json!({"file": format!("bucket/{key}"), "faults": faults}))
        };
        let objects: serde_json::Map<String, Value> = files.iter().map(object).collect();
        let scenario = json!({"bucket": "bucket", "page": 50, "list_faults": listing, "objects": objects});
        let path = root.join("scenario.json");
        fs::write(&path, scenario.to_string()).unwrap();
        scripted(&path, &self.log())
    }

    fn well(&self) -> Option<Server> {
        self.served(&[], &json!([]))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("requests.jsonl")
    }

    /// Requests for objects since the last question.
    fn gets(&self) -> usize {
        let all = fetched(&self.log()).0;
        all - self.before.replace(all)
    }

    fn build(&self, server: &Server) -> Ran {
        flowtrail(server, &["index", "build", FLOWS, "-o", &self.store])
    }

    /// Asks without the store and with it; gives back how many objects were fetched with it.
    fn agree(&self, server: &Server) -> [usize; 3] {
        let top = [
            "top",
            FLOWS,
            "--by",
            "eni,dst,port,hour,class",
            "--limit",
            "0",
            "--totals",
            "--format",
            "csv",
        ];
        let lookup = ["lookup", PEER, "--flows", FLOWS, "--format", "json"];
        let scan = [
            "scan",
            FLOWS,
            "--format",
            "json",
            "--min-severity",
            "info",
            "--alert-budget",
            "50/day",
        ];
        [&top[..], &lookup, &scan].map(|question| {
            let ask = |more: &[&str]| {
                let ran = flowtrail(server, &[question, &["--quiet"], more].concat());
                assert_eq!(ran.code, 0, "{question:?}: {}", ran.all);
                assert!(ran.stdout.len() > 1_000, "{question:?}: {}", ran.all);
                ran.stdout
            };
            // A look-up that checks every line says so, as the store did when it was built.
            let raw = ask(if question[0] == "lookup" { &["--validate"] } else { &[] });
            self.gets();
            let stored = ask(&["--index", &self.store]);
            if question[0] == "lookup" {
                assert!(counts(&raw) == counts(&stored), "{raw}\n{stored}");
            } else {
                assert!(raw == stored, "{question:?}: {}", first_difference(&raw, &stored));
            }
            self.gets()
        })
    }

    /// The card by the store alone.
    fn alone(&self, server: &Server) -> Ran {
        flowtrail(
            server,
            &["lookup", PEER, "--index", &self.store, "--format", "json", "--quiet"],
        )
    }

    fn changed(&self, server: &Server) -> Vec<u64> {
        let ran = flowtrail(server, &["index", "info", &self.store, "--format", "json"]);
        assert_eq!(ran.code, 0, "{}", ran.all);
        let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        rows.iter().map(|r| r["changed"].as_u64().unwrap()).collect()
    }
}

/// A card but for how its lines were read: where the store lacks objects only hits are checked.
fn counts(card: &str) -> Value {
    let mut card: Value = serde_json::from_str(card).unwrap();
    let flows = card["cards"][0]["coverage"]["flows"].take();
    json!([card, flows["files"], flows["lines"]])
}

/// So many lines of an interface of its own.
fn lines(n: u64, count: u64) -> String {
    let line = |i: u64| {
        let start = 1_772_409_600 + n * 3_600 + i * 60;
        format!(
            "2 111122223333 eni-0f{n} 10.0.9.{n} 198.51.100.{} 40000 443 6 9 {} {start} {} ACCEPT OK\n",
            n % 5,
            500 + i,
            start + 59
        )
    };
    (0..count).map(line).collect()
}

#[test]
fn the_store_answers_as_the_objects_do_and_fetches_next_to_nothing() {
    let bucket = Bucket::hard();
    let Some(server) = bucket.well() else { return };
    let built = bucket.build(&server);
    assert_eq!(built.code, 0, "{}", built.all);
    assert!(
        built.all.contains(&format!("{ALL} files read, 0 held already")),
        "{}",
        built.all
    );
    // What cannot be unpacked at once, as gzip of two members, is drawn twice: to be identified, and to be counted.
    assert_eq!(bucket.gets(), ALL + 1);
    let again = bucket.build(&server);
    assert!(
        again
            .all
            .contains(&format!("0 files read, {ALL} held already, 0 segments dropped")),
        "{}",
        again.all
    );
    assert_eq!(bucket.gets(), 0);
    let [top, lookup, scan] = bucket.agree(&server);
    println!("of {ALL} objects top fetched {top}, lookup {lookup}, scan {scan}");
    assert_eq!((top, lookup), (0, 0));
    assert!(0 < scan && scan < ALL / 2, "{scan} of {ALL}: only what is cited");
    let raw = flowtrail(
        &server,
        &[
            "lookup",
            PEER,
            "--flows",
            FLOWS,
            "--format",
            "json",
            "--quiet",
            "--validate",
        ],
    );
    bucket.gets();
    let alone = bucket.alone(&server);
    assert!(alone.stdout == raw.stdout, "{}\n{}", alone.all, raw.all);
    assert_eq!(bucket.gets(), 0);
    assert_eq!(bucket.changed(&server), [0]);
    // Raw records come from the objects that hold the key.
    let records = ["lookup", "10.0.9.3", "--records", "--format", "ndjson", "--quiet"];
    let raw = flowtrail(&server, &[&records[..], &["--flows", FLOWS]].concat());
    bucket.gets();
    let stored = flowtrail(&server, &[&records[..], &["--index", &bucket.store]].concat());
    assert!(
        raw.stdout.lines().count() == 30 && raw.stdout == stored.stdout,
        "{}",
        stored.all
    );
    assert_eq!(bucket.gets(), 1);
}

#[test]
fn what_was_added_changed_or_removed_is_told_by_the_listing() {
    let bucket = Bucket::hard();
    let server = bucket.well();
    let Some(server) = server else { return };
    bucket.build(&server);
    let step = |act: &dyn Fn(), said: &str, fetches: usize| {
        act();
        let server = bucket.well().unwrap();
        bucket.agree(&server);
        let built = bucket.build(&server);
        assert!(built.code == 0 && built.all.contains(said), "{said}: {}", built.all);
        assert_eq!(bucket.gets(), fetches, "{said}");
        assert_eq!(bucket.agree(&server)[..2], [0, 0], "{said}");
    };
    drop(server);
    let add = || bucket.put("logs/2026/new.log", lines(20, 40).as_bytes());
    step(&add, "1 files read, 85 held already, 0 segments dropped", 1);
    // Of the same length, so that its tag alone tells.
    let change = || bucket.put("logs/2026/new.log", lines(21, 40).as_bytes());
    step(&change, "1 files read, 85 held already, 1 segments dropped", 1);
    bucket.put("logs/2026/new.log", lines(22, 40).as_bytes());
    let server = bucket.well().unwrap();
    assert_eq!(bucket.changed(&server), [0, 1]);
    let raw = flowtrail(
        &server,
        &["lookup", PEER, "--flows", FLOWS, "--format", "json", "--quiet"],
    );
    assert_eq!(
        counts(&bucket.alone(&server).stdout),
        counts(&raw.stdout),
        "what changed is read"
    );
    drop(server);
    // What is gone still counts where nobody names the archive, as with files on disk.
    fs::remove_file(bucket.path("logs/2026/new.log")).unwrap();
    let server = bucket.well().unwrap();
    assert_eq!(bucket.changed(&server), [0, 1]);
    assert!(bucket.alone(&server).stdout.contains("\"files\": 86"));
    drop(server);
    step(&|| (), "0 files read, 85 held already, 1 segments dropped", 0);
}

#[test]
fn what_cannot_be_fetched_or_listed_is_named_and_had_the_next_time() {
    let bucket = Bucket::hard();
    let refused = [("logs/forms/03.log", json!([{"do": "403", "times": -1}]))];
    let Some(server) = bucket.served(&refused, &json!([])) else {
        return;
    };
    let built = bucket.build(&server);
    assert_eq!(built.code, 3, "{}", built.all);
    assert!(
        built.all.contains("03.log: ") && built.all.contains("403"),
        "{}",
        built.all
    );
    drop(server);
    bucket.gets();
    let no_listing = json!([{"do": "403", "times": -1}]);
    let server = bucket.served(&[], &no_listing).unwrap();
    let manifest = || fs::read(Path::new(&bucket.store).join("manifest")).unwrap();
    let was = manifest();
    for ran in [bucket.build(&server), bucket.alone(&server)] {
        assert_eq!(ran.code, 2, "{}", ran.all);
        assert!(
            ran.stdout.is_empty() && ran.all.contains("403") && ran.all.contains("--profile"),
            "{}",
            ran.all
        );
    }
    assert!(was == manifest(), "a build that was refused changed the store");
    let info = flowtrail(&server, &["index", "info", &bucket.store, "--format", "csv"]);
    assert!(
        info.code == 3 && info.stdout.contains(",84,-,") && info.all.contains("403"),
        "{}",
        info.all
    );
    drop(server);
    let server = bucket.well().unwrap();
    assert_eq!(bucket.gets(), 0);
    let built = bucket.build(&server);
    assert!(
        built.code == 0 && built.all.contains("1 files read, 84 held already"),
        "{}",
        built.all
    );
    assert_eq!(bucket.gets(), 1);
    bucket.agree(&server);
}

#[test]
fn an_object_that_broke_off_while_it_was_counted_is_read_again() {
    let bucket = Bucket::empty();
    // Large objects are counted while they are fetched; most of this one is a line that is too long.
    let mut large = lines(1, 10).into_bytes();
    large.resize(65 << 20, b'x');
    large.extend(b"\n");
    large.extend(lines(2, 10).into_bytes());
    bucket.put("logs/large.log", &large);
    bucket.put("logs/small.log", lines(3, 10).as_bytes());
    let mut faults = vec![json!({"do": ""}); 12];
    faults.push(json!({"do": "403", "times": -1}));
    let Some(server) = bucket.served(&[("logs/large.log", json!(faults))], &json!([])) else {
        return;
    };
    let built = bucket.build(&server);
    assert_eq!(built.code, 3, "{}", built.all);
    drop(server);
    let server = bucket.well().unwrap();
    assert_eq!(bucket.changed(&server), [1], "it is to be read again");
    let top = [
        "top",
        FLOWS,
        "--by",
        "eni",
        "--format",
        "csv",
        "--quiet",
        "--max-rejected",
        "50%",
        "--index",
        &bucket.store,
    ];
    let whole = flowtrail(&server, &top);
    assert_eq!((whole.code, &whole.stats["good"]), (0, &json!(30)), "{}", whole.all);
}

/// Builds, adds an object, changes it, and builds each time, on a server that serves the bucket's folder or is told by `put`.
fn on_a_real_server(name: &str, bucket: &Bucket, server: &Server, put: &dyn Fn(&str)) {
    let built = bucket.build(server);
    assert!(
        built.code == 0 && built.all.contains(&format!("{ALL} files read")),
        "{name}: {}",
        built.all
    );
    bucket.agree(server);
    let key = "logs/2026/new.log";
    for (count, dropped) in [(40, 0), (50, 1)] {
        bucket.put(key, lines(20, count).as_bytes());
        put(key);
        bucket.agree(server);
        let built = bucket.build(server).all;
        let said = format!("1 files read, {ALL} held already, {dropped} segments dropped");
        assert!(built.contains(&said), "{name}: {built}");
        bucket.agree(server);
        assert_eq!(bucket.changed(server), [0, 0], "{name}");
    }
}

#[test]
fn real_servers_give_the_same() {
    let bucket = Bucket::hard();
    let root = bucket.folder.path().display().to_string();
    fs::write(bucket.log(), "").unwrap();
    if let Some(server) = real("s3s-fs", |port| [own(port), vec![root.clone()]].concat()) {
        on_a_real_server("s3s-fs", &bucket, &server, &|_| ());
    }
    let bucket = Bucket::hard();
    let root = bucket.folder.path().display().to_string();
    fs::write(bucket.log(), "").unwrap();
    let slow = ["--region", "us-east-1", "--error-rate", "0.1", "--fault-seed", "3"].map(String::from);
    if let Some(server) = real("hadro", |port| [own(port), slow.to_vec(), vec![root.clone()]].concat()) {
        on_a_real_server("hadro", &bucket, &server, &|_| ());
    }
    let bucket = Bucket::hard();
    fs::write(bucket.log(), "").unwrap();
    if let Some(server) = real("moto_server", |port| {
        ["-H", "127.0.0.1", "-p", port].map(String::from).to_vec()
    }) {
        let folder = bucket.folder.path().join("bucket");
        fill(&server, &folder);
        on_a_real_server("moto", &bucket, &server, &|key| {
            put(&server, &format!("/bucket/{key}"), &fs::read(bucket.path(key)).unwrap())
        });
    }
}

/// An endpoint that lists one object in these words, to everybody.
fn listing(entry: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let body = format!("<ListBucketResult>{entry}</ListBucketResult>");
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

#[test]
fn objects_that_nothing_tells_apart_are_refused() {
    let bucket = Bucket::empty();
    let port = listing("<Contents><Key>logs/a.log</Key><Size>7</Size></Contents>");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(["index", "build", FLOWS, "-o", &bucket.store, "--endpoint-url"])
        .arg(format!("http://127.0.0.1:{port}"))
        .envs([
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_REGION", "us-east-1"),
        ])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{error}");
    assert!(
        error.contains("a.log") && error.contains("ETag") && error.contains("copy"),
        "{error}"
    );
    assert!(!Path::new(&bucket.store).exists());
}
