//! S3 servers on loopback: a scripted one that misbehaves, and real ones where they are installed; and the program asked of them.
//!
//! The scripted server is part of the shared test data (`FLOWTRAIL_SHARED`). Real servers (s3s-fs, hadro, moto) are looked
//! for in `PATH` and in the folders of `FLOWTRAIL_S3_TOOLS`; `just s3` installs them. What is missing is said and passed.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "each test is a crate of its own, and not each uses all"
)]

use crate::shared::shared;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "AKIAIOSFODNN7CANARY0";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY1234";

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the scripted server.
pub(crate) fn scripted(scenario: &Path, log: &Path) -> Option<Server> {
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
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
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
pub(crate) fn real(name: &str, arguments: impl Fn(&str) -> Vec<String>) -> Option<Server> {
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

/// What a run said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) all: String,
    pub(crate) stats: Value,
}

/// Runs the program with the keys that the servers know.
pub(crate) fn flowtrail(server: &Server, args: &[&str]) -> Ran {
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ];
    told(server, args, &keys)
}

/// Runs the program with these settings of AWS and no other ones.
pub(crate) fn told(server: &Server, args: &[&str], settings: &[(&str, &str)]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let stats = dir.path().join("stats.json");
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.args(args).args(["--endpoint-url", &endpoint]);
    if args.first() != Some(&"index") {
        command.arg("--stats").arg(&stats);
    }
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    ] {
        command.env_remove(name);
    }
    let out = command.envs(settings.iter().copied()).output().unwrap();
    let text = std::fs::read_to_string(&stats).unwrap_or_default();
    let all = format!(
        "{}{}{text}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(
        !all.contains("CANARY") && !all.contains("Signature="),
        "a credential in the output: {all}"
    );
    Ran {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stats: serde_json::from_str(&text).unwrap_or(Value::Null),
        all,
    }
}

/// The files that were not read, each with why.
pub(crate) fn errors(stats: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_string();
    let all = stats["file_errors"].as_array().unwrap().iter();
    all.map(|e| (text(&e["file"]), text(&e["reason"]))).collect()
}

/// How many ranges of objects were asked for and given, and how many bytes they are.
pub(crate) fn fetched(log: &Path) -> (usize, u64) {
    let requests = std::fs::read_to_string(log).unwrap();
    let length = |line: &str| {
        let request: Value = serde_json::from_str(line).unwrap();
        let range = request["range"].as_str().filter(|_| request["status"] == 206)?;
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some(to.parse::<u64>().ok()? + 1 - from.parse::<u64>().ok()?)
    };
    let all: Vec<u64> = requests.lines().filter_map(length).collect();
    (all.len(), all.iter().sum())
}

/// What the servers on this machine are told: where to listen, and the keys.
pub(crate) fn own(port: &str) -> Vec<String> {
    let keys = ["--access-key", KEY, "--secret-key", SECRET];
    let place = ["--host", "127.0.0.1", "--port", port];
    place.into_iter().chain(keys).map(String::from).collect()
}

/// Puts every file of a folder into a server as an object of the bucket, as long as its authentication is off.
pub(crate) fn fill(server: &Server, bucket: &Path) {
    put(server, "/bucket", &[]);
    for file in glob::glob(&format!("{}/**/*.*", bucket.display()))
        .unwrap()
        .map(Result::unwrap)
    {
        let key = file.strip_prefix(bucket).unwrap().to_string_lossy().into_owned();
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
        put(server, &format!("/bucket/{key}"), &std::fs::read(file).unwrap());
    }
}

/// A PUT that nobody signed, which moto takes as long as its authentication is off; over an object only from somebody.
pub(crate) fn put(server: &Server, path: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: AWS a:b\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        server.port,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
