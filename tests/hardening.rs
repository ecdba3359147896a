//! Faults from outside: a full disk, a signal, a kill at each system call, a folder full of traps; and what the program may
//! touch. docs/reliability.md names these tests row by row; `just hardening` runs them all, with figures.
//!
//! Tests that need strace or setpriv say `skipped:` where there is none.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures, and what was skipped")]

use flowtrail::aggregate::{Ingest, Progress, Reading, Tally, read_into};
use flowtrail::flow::FlowRecord;
use flowtrail::input::{Archive, Change, Content, Family, ReadOptions, Reader, Source};
use flowtrail::net::TimeWindow;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_flowtrail");
const LINE: &str = "2 123456789012 eni-0a 10.0.0.1 203.0.113.9 40000 443 6 1 100 1700000000 1700000001 ACCEPT OK\n";

fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    Command::new(BIN).args(args).stdin(Stdio::null()).output().unwrap()
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// True if a tool is there; says so if not.
fn has(tool: &str) -> bool {
    let found = Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success());
    if !found {
        println!("skipped: no {tool} here");
    }
    found
}

/// Fails if the run ended by a panic or a signal.
fn ended_well(out: &Output, what: &str) {
    let code = out.status.code();
    assert!(matches!(code, Some(0..=4)), "{what}: {:?}: {}", out.status, stderr(out));
    assert!(!stderr(out).contains("panicked"), "{what}: {}", stderr(out));
}

/// Every file below a folder: content, length and time of change.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            all.extend(tree(&entry.path()));
        } else if meta.is_file() {
            all.insert(
                entry.path(),
                (
                    fs::read(entry.path()).unwrap(),
                    meta.mtime_nsec() + meta.mtime() * 1_000_000_000,
                ),
            );
        }
    }
    all
}

#[test]
fn a_full_device_is_said_by_name_and_exit_4() {
    let (flow, trail) = (sample("account/flow"), sample("account/trail"));
    let mut runs = Vec::new();
    for format in ["table", "json", "ndjson", "csv", "md"] {
        runs.push(vec![
            "top",
            &flow,
            "--by",
            "eni,dst,hour",
            "--limit",
            "0",
            "--format",
            format,
        ]);
        runs.push(vec![
            "trail",
            &trail,
            "--by",
            "principal,event,hour",
            "--limit",
            "0",
            "--format",
            format,
        ]);
    }
    for format in ["json", "ndjson", "html", "md", "ocsf"] {
        runs.push(vec!["scan", &flow, "--format", format]);
    }
    for args in runs {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = Command::new(BIN)
            .args(&args)
            .arg("--quiet")
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(4), "{args:?}: {}", stderr(&out));
        assert!(
            stderr(&out).contains("standard output: cannot be written: No space left"),
            "{}",
            stderr(&out)
        );
    }
    let out = run(&["top", &flow, "--quiet", "-o", "/dev/full"]);
    assert_eq!(out.status.code(), Some(4), "{}", stderr(&out));
    assert!(stderr(&out).contains("/dev/full"), "{}", stderr(&out));
}

/// As a user without root's right to pass over permissions.
fn without_rights(args: &[&OsStr]) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--",
        BIN,
    ]);
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn a_folder_that_cannot_be_written_ends_the_run_before_anything_is_read() {
    if !has("setpriv") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let (flow, out) = (sample("first/default-v2.log"), closed.join("out.json"));
    let out = out.to_str().unwrap();
    for args in [
        ["scan", &flow, "-o", out, "--log", "json"],
        ["top", &flow, "-o", out, "--log", "json"],
        ["scan", &flow, "--stats", out, "--log", "json"],
        ["scan", &flow, "--rejects", out, "--log", "json"],
        ["baseline", "build", &flow, "-o", out, "--quiet"],
    ] {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let ran = without_rights(&args).output().unwrap();
        assert_eq!(ran.status.code(), Some(4), "{args:?}: {}", stderr(&ran));
        assert!(stderr(&ran).contains("out.json"), "{}", stderr(&ran));
        assert!(!stderr(&ran).contains("inputs found"), "{args:?}: {}", stderr(&ran));
    }
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

/// A run that waits for its standard input, once it listens for signals.
fn waiting(args: &[&str]) -> Child {
    let mut child = Command::new(BIN)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(LINE.as_bytes()).unwrap();
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mask = text.lines().find_map(|l| l.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).unwrap_or(0);
        mask >> 1 & 1 == 1 && mask >> 14 & 1 == 1
    };
    let began = Instant::now();
    while !listens() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn signals_end_a_run_by_their_code_and_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (state, out) = (folder.path().join("b.ftb"), folder.path().join("out.json"));
    let (state, out) = (state.to_str().unwrap(), out.to_str().unwrap());
    assert!(
        run(&[
            "baseline",
            "build",
            &sample("first/default-v2.log"),
            "-o",
            state,
            "--quiet"
        ])
        .status
        .success()
    );
    let before = tree(folder.path());
    for (signal, code, name) in [("-INT", 130, "SIGINT"), ("-TERM", 143, "SIGTERM")] {
        let mut child = waiting(&["scan", "-", "--baseline", state, "-o", out, "--format", "json"]);
        let sent = Instant::now();
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let status = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains(&format!("stopped by {name}")), "{said}");
        println!("{name}: exit {code} after {:.2?}", sent.elapsed());
        assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
        assert_eq!(tree(folder.path()), before);
    }
}

/// A signal at each system call that makes, names or removes a file.
#[test]
fn a_signal_at_any_step_of_writing_leaves_no_trace() {
    if !has("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (state, out, rejects) = (at("b.ftb"), at("out.json"), at("rejects.ndjson"));
    let log = sample("first/custom-v5.log");
    let scan = [
        "scan",
        &log,
        "--baseline",
        &state,
        "--learn",
        "-o",
        &out,
        "--rejects",
        &rejects,
        "--quiet",
    ];
    let mut stopped = 0;
    for call in ["openat", "unlink", "rename", "fsync", "flock"] {
        for n in 1.. {
            let inject = format!("inject={call}:signal=SIGTERM:when={n}");
            let trace = [
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={call}"),
                "-e",
                &inject,
                BIN,
            ];
            let ended = Command::new("strace").args(trace).args(scan).output().unwrap().status;
            let names = tree(folder.path()).into_keys().map(|p| p.to_str().unwrap().to_string());
            let left: Vec<String> = names.filter(|n| ![&state, &out, &rejects].contains(&n)).collect();
            assert!(left.is_empty(), "{call} {n}: {left:?}");
            if ended.success() {
                break;
            }
            assert!(n < 500, "{ended:?}");
            stopped += 1;
        }
    }
    println!("{stopped} stops");
    assert!(stopped > 20, "{stopped}");
}

/// Truncation under the map: deterministic here, at chosen moments; `just faults` does it to a running program.
#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    for mmap in [true, false] {
        fs::write(&path, LINE.repeat(20_000)).unwrap();
        let size = fs::metadata(&path).unwrap().len();
        let source = Source {
            name: "a.log".into(),
            path: path.clone(),
            size,
            object: None,
        };
        let mut reader = Reader::new(ReadOptions {
            mmap,
            ..ReadOptions::default()
        });
        let Ok(Content::Whole(bytes)) = reader.open(&source) else {
            panic!("a plain file is read whole");
        };
        File::options().write(true).open(&path).unwrap().set_len(5_000).unwrap();
        let good = bytes
            .split(|b| *b == b'\n')
            .filter(|l| *l == LINE.trim_end().as_bytes())
            .count();
        assert!(good >= 5_000 / LINE.len(), "what stands is read");
        assert!(!mmap || good < 20_000, "what is gone is not invented");
        drop(bytes);
        assert_eq!(reader.change(&source), Some(Change::Cut { was: size, is: 5_000 }));
    }
    assert!(
        Change::Cut { was: 2, is: 1 }
            .to_string()
            .contains("changed while it was read (2 -> 1 bytes)")
    );
}

/// Names that a terminal, a shell or a report would stumble over, from `make_scenarios.py`.
const ODD: &[&[u8]] = &[
    b"-rf.log",
    b"--help.log",
    b"new\nline.log",
    b"esc\x1b[31m.log",
    b"<img src=x onerror=alert(1)>.log",
    b"=cmd|calc.log",
    b"\xff\xfe.log",
    b"\xe2\x80\xaegol.exe.log",
    b"'; rm -rf.log",
    b"*.log",
];

/// A folder with one of everything that must not be opened, followed or printed as it is; the good lines in it.
fn traps(root: &Path) -> usize {
    let real = root.join("real/sub");
    fs::create_dir_all(&real).unwrap();
    let text = LINE.repeat(10);
    // Different contents: copies would count once.
    let put = |path: PathBuf, n: usize| fs::write(path, text.replace("40000", &n.to_string())).unwrap();
    put(root.join("real/a.log"), 1);
    for (n, name) in ODD.iter().enumerate() {
        put(real.join(OsStr::from_bytes(name)), n + 2);
    }
    put(root.join("outside.txt"), 60_000);
    symlink("../real", root.join("real/loop")).unwrap();
    symlink("self", root.join("real/self")).unwrap();
    symlink("/nonexistent/x.log", root.join("real/dangling.log")).unwrap();
    symlink(root.join("outside.txt"), root.join("real/out.log")).unwrap();
    symlink("/dev/zero", root.join("real/zero.log")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(root.join("real/fifo.log"))
            .status()
            .unwrap()
            .success()
    );
    let socket = std::os::unix::net::UnixListener::bind(root.join("real/socket.log")).unwrap();
    drop(socket);
    // Only root may make a device; where that fails the link to one stands for it.
    let _ = Command::new("mknod")
        .arg(root.join("real/device.log"))
        .args(["c", "1", "5"])
        .stderr(Stdio::null())
        .status();
    put(root.join("real/closed.log"), 60_001);
    fs::create_dir(root.join("real/closed")).unwrap();
    put(root.join("real/closed/c.log"), 60_002);
    let none = || fs::Permissions::from_mode(0o000);
    fs::set_permissions(root.join("real/closed.log"), none()).unwrap();
    fs::set_permissions(root.join("real/closed"), none()).unwrap();
    10 * (1 + ODD.len())
}

#[test]
fn a_folder_of_traps_costs_only_what_cannot_be_read() {
    if !has("setpriv") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let good = traps(folder.path());
    let (real, stats) = (folder.path().join("real"), folder.path().join("stats.json"));
    for log in [&[][..], &["--log", "text", "--log-level", "debug"]] {
        let args: Vec<&OsStr> = [
            OsStr::new("top"),
            real.as_os_str(),
            OsStr::new("--stats"),
            stats.as_os_str(),
        ]
        .into_iter()
        .chain(log.iter().map(OsStr::new))
        .collect();
        let began = Instant::now();
        let out = without_rights(&args).output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is waited for");
        assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
        let told: Value = serde_json::from_slice(&fs::read(&stats).unwrap()).unwrap();
        assert_eq!(told["good"], good, "{told:#}");
        let files = told["file_errors"].as_array().unwrap();
        let named: BTreeSet<&str> = files.iter().map(|f| f["file"].as_str().unwrap()).collect();
        for name in [
            "loop",
            "self",
            "dangling.log",
            "out.log",
            "zero.log",
            "fifo.log",
            "socket.log",
            "closed.log",
        ] {
            assert!(named.contains(name), "{name} is not named: {named:?}");
        }
        assert!(named.iter().any(|n| n.ends_with("/closed")), "{named:?}");
        let odd = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(
            !odd(&stderr(&out)) && !odd(&String::from_utf8_lossy(&out.stdout)),
            "{}",
            stderr(&out)
        );
    }
    fs::set_permissions(real.join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a run asks the system, by strace, each call on a line of its own.
fn traced(calls: &str, args: &[&str]) -> Vec<String> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let out = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-s",
            "4096",
            "-e",
            &format!("trace={calls}"),
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(log.path())
        .arg("--")
        .arg(BIN)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    ended_well(&out, &format!("{args:?}"));
    let text = fs::read_to_string(log.path()).unwrap();
    text.lines()
        .filter(|l| !l.contains("resumed>"))
        .map(str::to_string)
        .collect()
}

#[test]
fn local_inputs_cause_no_network_call_and_no_write_but_to_the_named_outputs() {
    if !has("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs");
    fs::create_dir(&inputs).unwrap();
    for file in fs::read_dir(sample("first")).unwrap().flatten() {
        fs::copy(file.path(), inputs.join(file.file_name())).unwrap();
    }
    let before = tree(&inputs);
    let (outputs, inputs_) = (folder.path().join("outputs"), inputs.to_str().unwrap());
    fs::create_dir(&outputs).unwrap();
    let at = |name: &str| outputs.join(name).to_str().unwrap().to_string();
    let trail = inputs.join("cloudtrail.json");
    let calls = "network,open,openat,creat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,\
                 symlink,symlinkat,truncate,chmod,fchmodat,chown,utimensat,mknod,mknodat";
    let seen = traced(
        calls,
        &[
            "scan",
            inputs_,
            "--trail",
            trail.to_str().unwrap(),
            "--custody",
            "--format",
            "html",
            "-o",
            &at("report.html"),
            "--stats",
            &at("stats.json"),
            "--rejects",
            &at("rejects.ndjson"),
            "--baseline",
            &at("b.ftb"),
            "--learn",
        ],
    );
    let network = ["socket(", "connect(", "sendto(", "bind("];
    // The pair of connected descriptors that the signal handler writes to is no network.
    let asked: Vec<&String> = seen.iter().filter(|l| network.iter().any(|n| l.contains(n))).collect();
    assert!(asked.is_empty(), "{asked:#?}");
    let changes = |l: &&String| {
        let opens_to_write = l.contains("O_WRONLY") || l.contains("O_RDWR") || l.contains("O_CREAT");
        let is_open = ["open(", "openat("].iter().any(|o| l.contains(o));
        if is_open {
            opens_to_write
        } else {
            !l.contains("socketpair(")
        }
    };
    let own = outputs.to_str().unwrap();
    let outside: Vec<&String> = seen
        .iter()
        .filter(changes)
        .filter(|l| !l.contains(own) && !l.contains("recv") && !l.contains("+++"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
    assert!(
        seen.iter().any(|l| l.contains("report.html")),
        "the trace holds what was written"
    );
    assert_eq!(tree(&inputs), before, "the evidence is as it was");
    let names: BTreeSet<_> = fs::read_dir(&outputs)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    let names: Vec<_> = names.iter().filter_map(|n| n.to_str()).collect();
    assert_eq!(names, ["b.ftb", "rejects.ndjson", "report.html", "stats.json"]);
    println!(
        "{} system calls looked at: no network, no write outside {own}",
        seen.len()
    );
}

#[test]
fn what_is_written_is_on_the_disk_before_it_has_its_name() {
    if !has("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (state, out) = (folder.path().join("b.ftb"), folder.path().join("out.csv"));
    let (state, out) = (state.to_str().unwrap(), out.to_str().unwrap());
    let flow = sample("first/default-v2.log");
    for args in [
        &["baseline", "build", &flow, "-o", state, "--quiet"][..],
        &["top", &flow, "--format", "csv", "-o", out],
    ] {
        let seen = traced("fsync,fdatasync,rename,renameat,renameat2", args);
        let order: Vec<&str> = seen
            .iter()
            .filter_map(|l| ["fsync(", "rename"].into_iter().find(|call| l.contains(call)))
            .collect();
        assert_eq!(order, ["fsync(", "rename", "fsync("], "file, name, folder: {seen:#?}");
    }
}

/// What a baseline knows, or why it cannot be read.
fn known(state: &Path) -> Result<String, String> {
    let out = run(&[
        OsStr::new("baseline"),
        "show".as_ref(),
        state.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]);
    match out.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        _ => Err(stderr(&out)),
    }
}

#[test]
fn a_run_killed_or_failed_at_any_system_call_leaves_the_old_state_or_the_new_one() {
    if !has("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("b.ftb");
    let build = |log: &str| {
        [
            "baseline".into(),
            "build".into(),
            sample(log),
            "-o".into(),
            state.display().to_string(),
            "--quiet".into(),
        ]
    };
    assert!(run(&build("first/default-v2.log")).status.success());
    let (old, old_bytes) = (known(&state).unwrap(), fs::read(&state).unwrap());
    assert!(run(&build("first/custom-v5.log")).status.success());
    let new = known(&state).unwrap();
    assert_ne!(old, new);
    let mut tries = 0;
    for (fault, calls) in [
        (
            "signal=KILL",
            &["openat", "write", "fsync", "rename", "unlink", "flock", "ftruncate"][..],
        ),
        ("error=ENOSPC", &["write", "fsync", "rename"]),
        ("error=EIO", &["write", "fsync", "rename"]),
    ] {
        for call in calls {
            for n in 1..200 {
                for left in fs::read_dir(folder.path()).unwrap().flatten() {
                    fs::remove_file(left.path()).unwrap();
                }
                fs::write(&state, &old_bytes).unwrap();
                let out = Command::new("strace")
                    .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
                    .args(["-e", &format!("inject={call}:{fault}:when={n}"), "--", BIN])
                    .args(build("first/custom-v5.log"))
                    .output()
                    .unwrap();
                let killed = out.status.signal() == Some(9) || out.status.code() == Some(137);
                let found = known(&state).unwrap_or_else(|e| panic!("{call} {n} {fault}: {e}"));
                assert!(found == old || found == new, "{call} {n} {fault}: neither old nor new");
                if !killed {
                    ended_well(&out, &format!("{call} {n} {fault}"));
                    assert!(
                        found == new || out.status.code() != Some(0),
                        "{call} {n} {fault}: lost in silence"
                    );
                }
                tries += 1;
                // Once nothing is hit any more, the call has been gone through.
                if out.status.code() == Some(0) {
                    break;
                }
            }
        }
    }
    println!("{tries} faults injected: old or new state each time");
}

#[test]
fn two_writers_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("b.ftb");
    let logs: Vec<String> = (0..6)
        .map(|n| {
            let path = folder.path().join(format!("{n}.log"));
            fs::write(&path, LINE.replace("eni-0a", &format!("eni-0{n}"))).unwrap();
            path.display().to_string()
        })
        .collect();
    let start = |log: &String| {
        let args = ["baseline", "build", log, "-o", state.to_str().unwrap(), "--quiet"];
        Command::new(BIN).args(args).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<Child> = logs.iter().map(start).collect();
    let mut learned = 0;
    for child in running {
        let out = child.wait_with_output().unwrap();
        match out.status.code() {
            Some(0) => learned += 1,
            code => {
                assert_eq!(code, Some(4), "{}", stderr(&out));
                assert!(
                    stderr(&out).contains("process"),
                    "the holder is named: {}",
                    stderr(&out)
                );
            }
        }
    }
    let rows: Value = serde_json::from_str(&known(&state).unwrap()).unwrap();
    assert_eq!(
        rows.as_array().unwrap().len(),
        learned,
        "what was said to be learned was learned"
    );
    println!(
        "{learned} of {} runs at once learned, the others said who was first",
        logs.len()
    );
}

/// A listener that answers every request alike, and what it was asked.
fn server(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut asked = vec![0; 16_384];
            let n = stream.read(&mut asked).unwrap_or(0);
            let _ = stream.write_all(answer.as_bytes());
            let _ = send.send(String::from_utf8_lossy(&asked[..n]).into_owned());
        }
    });
    (url, receive)
}

#[test]
fn credentials_appear_nowhere_but_in_the_signature() {
    if cfg!(not(feature = "s3")) {
        return;
    }
    const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 55\r\nConnection: close\r\n\r\n\
                          <Error><Code>InvalidAccessKeyId</Code></Error>         ";
    let (url, asked) = server(DENIED);
    let folder = tempfile::tempdir().unwrap();
    let stats = folder.path().join("stats.json");
    let out = Command::new(BIN)
        .args([
            "top",
            "s3://bucket/prefix/",
            "--endpoint-url",
            &url,
            "--log",
            "json",
            "--log-level",
            "debug",
            "--stats",
        ])
        .arg(&stats)
        .env("AWS_ACCESS_KEY_ID", "AKIACANARYCANARYCANA")
        .env("AWS_SECRET_ACCESS_KEY", "SECRETCANARY")
        .env("AWS_SESSION_TOKEN", "TOKENCANARY")
        .env("AWS_REGION", "us-east-1")
        .output()
        .unwrap();
    let request = asked.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(
        request.contains("AKIACANARY") && !request.contains("SECRETCANARY"),
        "{request}"
    );
    assert!(request.starts_with("GET /bucket"), "{request}");
    let stats = fs::read_to_string(&stats).unwrap_or_default();
    for text in [stderr(&out), String::from_utf8_lossy(&out.stdout).into_owned(), stats] {
        assert!(!text.contains("CANARY"), "{text}");
    }
    assert!(
        stderr(&out).contains("does not know these credentials"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn the_log_is_objects_with_what_an_operator_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), LINE.repeat(3)).unwrap();
    fs::write(
        folder.path().join("cut\x1b[2J.log.gz"),
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2],
    )
    .unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(
        stderr(&run(&["top", path, "--quiet"])).is_empty(),
        "off unless asked for"
    );
    let out = run(&["top", path, "--log", "json", "--log-level", "debug"]);
    let lines: Vec<Value> = stderr(&out)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
        .collect();
    let with = |message: &str| lines.iter().filter(|l| l["message"] == message).collect::<Vec<_>>();
    assert_eq!(with("inputs found")[0]["files"], 2);
    assert_eq!(with("read")[0]["good"], 3);
    assert_eq!(with("damaged")[0]["file"], "cut\\x1b[2J.log.gz");
    assert!(
        with("phase done")
            .iter()
            .any(|p| p["phase"] == "read" && p["seconds"].is_number())
    );
    assert!(!with("warning").is_empty(), "warnings are in the log");
    let few = stderr(&run(&["top", path, "--log", "text", "--log-level", "warn"]));
    assert!(few.contains("damaged") && !few.contains("phase done"), "{few}");
    assert!(!few.contains('\x1b'), "{few}");
}

#[test]
fn statistics_count_rejects_by_reason_and_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let (log, stats) = (folder.path().join("a.log"), folder.path().join("stats.json"));
    let bad = [
        LINE.replace("10.0.0.1", "x"),
        "one two\n".into(),
        LINE.replace(" 443 ", " 70000 "),
    ]
    .concat();
    fs::write(&log, LINE.repeat(5) + &bad.repeat(40)).unwrap();
    let out = run(&[
        "top",
        log.to_str().unwrap(),
        "--quiet",
        "--stats",
        stats.to_str().unwrap(),
    ]);
    assert_eq!(out.status.code(), Some(3));
    let stats: Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
    let reasons = stats["rejects_by_reason"].as_array().unwrap();
    let counted: Vec<_> = reasons
        .iter()
        .map(|r| (r["field"].as_str().unwrap(), r["lines"].as_u64().unwrap()))
        .collect();
    assert_eq!(counted.iter().map(|(_, n)| n).sum::<u64>(), 120);
    assert!(
        counted.contains(&("srcaddr", 40)) && counted.contains(&("field count", 40)),
        "{counted:?}"
    );
    assert_eq!(
        stats["rejects"].as_array().unwrap().len(),
        60,
        "twenty are shown of each"
    );
    assert!(stats["peak_memory"].as_u64().unwrap() > 0);
    let rate = &stats["rate"];
    assert!(
        rate["lines_per_second"].as_f64().unwrap() > 0.0 && rate["bytes_per_second"].as_f64().unwrap() > 0.0,
        "{rate}"
    );
}

/// Fails at one record, as a program with a fault would.
#[derive(Default)]
struct Faulty(u64);

impl Tally for Faulty {
    fn begin(&mut self, _: u32, _: u16) {}

    fn observe(&mut self, _: u64, record: &FlowRecord<'_>) {
        assert!(record.bytes != Some(666), "a fault that this test has planted");
        self.0 += 1;
    }

    fn actions(&self) -> (u64, u64) {
        (self.0, 0)
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[test]
fn a_fault_of_the_program_costs_one_file_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.log", " 1 "), ("b.log", " 666 "), ("c.log", " 3 ")] {
        let second = LINE.replace(" 100 ", bytes);
        fs::write(folder.path().join(name), format!("{LINE}{second}")).unwrap();
    }
    let archive = Archive::discover(&[folder.path()], Family::FlowLogs).unwrap();
    let reading = Reading {
        new: &|_| Faulty::default(),
        restart: &|| (),
        sieve: None,
        shelf: None,
        window: TimeWindow::ALL,
    };
    let pool = flowtrail::scan::threads(2).unwrap();
    let (tally, outcome) = read_into(&archive, &reading, &Ingest::default(), &pool, &Progress::default());
    assert_eq!(tally.0, 5, "two of a, one of b, two of c");
    let (counts, errors) = outcome.files(&archive);
    assert_eq!((counts.ok, counts.partial), (2, 1));
    assert!(
        errors[0].file == "b.log" && errors[0].reason.contains("fault of the program"),
        "{errors:?}"
    );
}

#[test]
fn a_terminal_of_one_column_harms_nobody() {
    for columns in ["0", "1", "65536", "x"] {
        for args in [["top", "--by", "eni,dst,hour"], ["coverage", "--format", "table"]] {
            let out = Command::new(BIN)
                .args(args)
                .arg(sample("first/default-v2.log"))
                .env("COLUMNS", columns)
                .env("TERM", "dumb")
                .output()
                .unwrap();
            ended_well(&out, columns);
            assert!(!out.stdout.contains(&0x1b));
        }
    }
}

/// What stands at a place, and how it gets there.
type Trap<'t> = (&'static str, &'t dyn Fn(&Path));

/// A state of each of two folders that hold the same content.
fn two_states(folder: &Path) -> [PathBuf; 2] {
    ["a", "b"].map(|name| {
        let (archive, state) = (folder.join(name), folder.join(format!("{name}.state")));
        fs::create_dir(&archive).unwrap();
        fs::write(archive.join("x.log"), LINE.repeat(50)).unwrap();
        let args = [
            "scan",
            archive.to_str().unwrap(),
            "--partial",
            state.to_str().unwrap(),
            "--quiet",
        ];
        let out = run(&args);
        assert!(out.status.success(), "{}", stderr(&out));
        state
    })
}

#[test]
fn a_state_from_elsewhere_makes_merge_read_nothing_but_the_content_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let states = two_states(folder.path());
    let args = [
        "merge",
        states[0].to_str().unwrap(),
        states[1].to_str().unwrap(),
        "--format",
        "ndjson",
    ];
    if has("strace") {
        // The copy is read once more, and nothing else: no connection, and no listener either.
        let seen = traced("network,openat", &args);
        let network = ["socket(", "connect(", "bind(", "listen(", "accept"];
        let asked: Vec<&String> = seen.iter().filter(|l| network.iter().any(|n| l.contains(n))).collect();
        assert!(asked.is_empty(), "{asked:#?}");
        assert!(seen.iter().any(|l| l.contains("x.log")), "the copy is read once more");
    }
    let places = ["a", "b"].map(|d| folder.path().join(d).join("x.log"));
    let secret = folder.path().join("secret");
    let other = LINE.replace("eni-0a", "eni-0c").repeat(50);
    fs::write(&secret, &other).unwrap();
    let traps: [Trap<'_>; 4] = [
        ("a pipe", &|p| {
            let made = Command::new("mkfifo").arg(p).status().unwrap();
            assert!(made.success());
        }),
        ("a folder", &|p| {
            fs::create_dir(p).unwrap();
            fs::write(p.join("y.log"), LINE.repeat(50)).unwrap();
        }),
        ("a link to another file of that size", &|p| symlink(&secret, p).unwrap()),
        ("nothing", &|_| {}),
    ];
    for (what, make) in traps {
        for place in &places {
            let _ = fs::remove_file(place);
            let _ = fs::remove_dir_all(place);
            make(place);
        }
        let begun = Instant::now();
        let out = run(&args);
        assert_eq!(out.status.code(), Some(2), "{what}: {}", stderr(&out));
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: waited");
        assert!(
            stderr(&out).contains("neither can be read any more"),
            "{what}: {}",
            stderr(&out)
        );
        assert!(out.stdout.is_empty() && !stderr(&out).contains("eni-0c"), "{what}");
    }
}

#[test]
fn a_state_that_states_four_billion_of_anything_makes_no_room_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let [state, _] = two_states(folder.path());
    let whole = fs::read(&state).unwrap();
    let bad = folder.path().join("bad.state");
    let mut refused = 0;
    for at in 0..whole.len().min(400) {
        // four bytes that say four billion, in any order of bytes, wherever a length may stand
        let mut content = whole.clone();
        for byte in content.iter_mut().skip(at).take(4) {
            *byte = 0xff;
        }
        fs::write(&bad, &content).unwrap();
        let limited = format!("ulimit -v 2000000; exec {BIN} merge {} --format ndjson", bad.display());
        let out = Command::new("sh")
            .args(["-c", &limited])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        ended_well(&out, &format!("byte {at}"));
        refused += u32::from(out.status.code() == Some(2));
    }
    println!(
        "{refused} of {} forged states refused, none made room",
        whole.len().min(400)
    );
    assert_eq!(refused as usize, whole.len().min(400));
}
