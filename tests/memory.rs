//! A bound of memory changes no byte of what is told, leaves nothing behind on disk, and fails honestly when the disk does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was skipped")]

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

const BIN: &str = env!("CARGO_BIN_EXE_flowtrail");
/// Hardly a cell fits: everything goes to disk again and again.
const TINY: &str = "4K";

fn flowtrail(folder: &Path, args: &[&str]) -> Output {
    Command::new(BIN).current_dir(folder).args(args).output().unwrap()
}

fn told(folder: &Path, args: &[&str]) -> Vec<u8> {
    let out = flowtrail(folder, args);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(0 | 3)), "{args:?}: {text}");
    out.stdout
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// An address: home, outside, or of IPv6; of few or of many.
fn address(n: &mut Numbers) -> String {
    match n.below(10) {
        0..4 => format!("10.0.{}.{}", n.below(2), n.below(9)),
        4..8 => format!("198.51.{}.{}", n.below(99), n.below(40)),
        8 => format!("2001:db8::{:x}", n.below(300)),
        _ => format!("2001:db8:{:x}::{:x}", n.below(3), n.below(300)),
    }
}

fn line(n: &mut Numbers, packet: bool) -> String {
    let (src, dst) = (address(n), address(n));
    let ports = [
        (50_000, 443),
        (443, 50_000),
        (40_000 + n.below(9), 41_000),
        (41_000, 40_001),
    ][n.below(4) as usize];
    let start = match n.below(400) {
        0 => 9_000_000_000,
        m => 1_772_409_600 + m * 700,
    };
    // Two of them do not fit 64 bits together.
    let bytes = if n.below(50) == 0 {
        9_223_372_036_854_775_807
    } else {
        n.below(9_000_000)
    };
    let mut text = format!(
        "2 111111111111 eni-{:02} {src} {dst} {} {} {} 9 {bytes} {start} {} ACCEPT OK",
        n.below(12),
        ports.0,
        ports.1,
        [6, 17][n.below(2) as usize],
        start + 60
    );
    if packet {
        let far = n.below(4) == 0;
        let ends = if far { (address(n), address(n)) } else { (src, dst) };
        let way = ["-", "-", "egress", "ingress"][n.below(4) as usize];
        write!(text, " {} {} {way}", ends.0, ends.1).unwrap();
    }
    text
}

/// Files of several forms, under two flow logs and none.
fn archive(folder: &Path, lines: usize) {
    let mut n = Numbers(7);
    let v3 = format!("{V2} pkt-srcaddr pkt-dstaddr flow-direction");
    let forms = [
        (V2, false, "log"),
        (v3.as_str(), true, "log.gz"),
        (V2, false, "json"),
        (v3.as_str(), true, "log"),
    ];
    fs::create_dir(folder.join("logs")).unwrap();
    for (i, (header, packet, form)) in forms.iter().enumerate() {
        let all: Vec<String> = (0..lines / forms.len()).map(|_| line(&mut n, *packet)).collect();
        let text = format!("{header}\n{}\n", all.join("\n"));
        let name = match i {
            3 => format!("logs/plain.{form}"),
            _ => format!(
                "logs/111111111111_vpcflowlogs_us-east-1_fl-0{}_20260302T0000Z_{i:08x}.{form}",
                i % 2
            ),
        };
        let bytes = match *form {
            "log.gz" => {
                let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
                gz.write_all(text.as_bytes()).unwrap();
                gz.finish().unwrap()
            }
            "json" => all
                .iter()
                .map(|l| format!("{{\"message\":\"{l}\"}}\n"))
                .collect::<String>()
                .into_bytes(),
            _ => text.into_bytes(),
        };
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Small files of distinct contents, as AWS lays them out.
fn delivered(folder: &Path, files: u64) {
    let below = folder.join("AWSLogs/111111111111/vpcflowlogs/us-east-1/2026/03/02");
    fs::create_dir_all(&below).unwrap();
    for n in 0..files {
        let stamp = format!("20260302T{:02}{:02}Z", n / 60 % 24, n % 60);
        let name = format!(
            "111111111111_vpcflowlogs_us-east-1_fl-0ab_{stamp}_{:08x}.log",
            n * 2_654_435_761 % 4_294_967_291
        );
        let line =
            format!("2 111111111111 eni-0a 10.0.0.1 203.0.113.9 40000 443 6 1 {n} 1772409600 1772409660 ACCEPT OK");
        fs::write(below.join(name), format!("{V2}\n{line}\n")).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_costs_about_a_hundred_bytes() {
    const FILES: u64 = 16_000;
    let peak = |files: u64| {
        let folder = tempfile::tempdir().unwrap();
        delivered(folder.path(), files);
        let args = [
            "top",
            "AWSLogs",
            "--threads",
            "1",
            "--stats",
            "stats.json",
            "--totals",
            "--format",
            "csv",
        ];
        let sum = String::from_utf8(told(folder.path(), &args)).unwrap();
        let bytes = files * (files - 1) / 2;
        assert!(sum.contains(&format!(",{bytes},")), "{sum}");
        let stats: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("stats.json")).unwrap()).unwrap();
        assert_eq!(stats["files"]["ok"], files);
        stats["peak_memory"].as_u64().unwrap()
    };
    let (few, many) = (peak(500), peak(FILES));
    let each = many.saturating_sub(few) / (FILES - 500);
    println!("{each} bytes a file ({few} with 500, {many} with {FILES})");
    // It was 870; a page or an arena more makes some difference.
    assert!(each < 250, "{each} bytes a file: {few} with 500, {many} with {FILES}");
}

#[test]
fn a_bound_changes_no_byte_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("spill")).unwrap();
    archive(folder.path(), 40_000);
    let questions: [&[&str]; 9] = [
        &["--by", "eni,dst", "--limit", "0", "--totals"],
        &["--by", "eni,dst", "--where", "family=ipv4", "--limit", "7", "--totals"],
        &["--by", "dst", "--direction", "both", "--limit", "0"],
        &["--by", "src,port,hour", "--direction", "both", "--limit", "0"],
        &["--by", "eni,port,class", "--direction", "ingress", "--limit", "50"],
        &["--by", "asn,country,service", "--limit", "0", "--totals"],
        &[
            "--by",
            "hour,class",
            "--where",
            "bytes>1000 country!=US",
            "--limit",
            "0",
            "--totals",
        ],
        &[
            "--by",
            "src,dst",
            "--where",
            "class=home,external",
            "--direction",
            "both",
            "--limit",
            "0",
        ],
        &[
            "--by",
            "dst,hour",
            "--from",
            "2026-03-02",
            "--to",
            "2026-03-04",
            "--limit",
            "3",
        ],
    ];
    for question in questions {
        let top = |more: &[&str]| {
            let args = [&["top", "logs", "--format", "csv"], question, more].concat();
            String::from_utf8(told(folder.path(), &args)).unwrap()
        };
        let whole = top(&["--quiet"]);
        for (threads, size) in [("1", TINY), ("2", TINY), ("2", "64K"), ("2", "1G")] {
            // Rows that are shown must fit, as they are.
            let room = if question.contains(&"0") && size != "1G" {
                "96M"
            } else {
                size
            };
            let bound = [
                "--quiet",
                "--threads",
                threads,
                "--max-memory",
                room,
                "--temp-dir",
                "spill",
            ];
            assert_eq!(top(&bound), whole, "{question:?} {bound:?}");
        }
    }
    assert_eq!(fs::read_dir(folder.path().join("spill")).unwrap().count(), 0);
}

/// Sums of IPv4 alone stand for themselves while flows of IPv6 are open: only the largest of those are kept then.
#[test]
fn the_largest_are_those_of_the_whole_where_some_flows_are_open() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("logs")).unwrap();
    let mut n = Numbers(11);
    // Addresses of IPv4 on both sides of home's border, or of IPv6, whose direction only the whole tells.
    let told_apart = |line: &String| {
        let home = line.matches(" 10.0.").count();
        home == 1 || line.matches(" 2001:").count() == 2
    };
    let lines: Vec<String> = (0..40_000).map(|_| line(&mut n, false)).filter(told_apart).collect();
    assert!(lines.len() > 10_000 && lines.iter().any(|l| l.contains(" 2001:")));
    fs::write(
        folder.path().join("logs/a.log"),
        format!("{V2}\n{}\n", lines.join("\n")),
    )
    .unwrap();
    let questions: [&[&str]; 5] = [
        &["--by", "eni,dst"],
        &["--by", "dst,hour"],
        &["--by", "eni,class"],
        &["--by", "eni,dst", "--where", "bytes>9000000"],
        &["--by", "dst", "--where", "family=ipv6"],
    ];
    for question in questions {
        let top = |limit: &str| {
            let format = ["--format", "csv", "--quiet", "--totals", "--limit", limit];
            let answer = told(folder.path(), &[&["top", "logs"], question, &format].concat());
            String::from_utf8(answer).unwrap()
        };
        let whole = top("0");
        let rows: Vec<&str> = whole.lines().collect();
        let (totals, rows) = rows.split_last().unwrap();
        for limit in [1, 3, 10, 500] {
            let shown = top(&limit.to_string());
            let mut expected = rows[..rows.len().min(limit + 1)].to_vec();
            expected.push(totals);
            assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{question:?} {limit}");
        }
    }
}

/// From an own address of IPv6 that only the whole tells, to a far end of IPv4 that one of IPv4 sent to as well.
#[test]
fn a_group_of_both_families_is_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("logs")).unwrap();
    let line = |src: &str, far: u32, bytes: u32| {
        let (start, end) = (1_772_409_600, 1_772_409_660);
        format!("2 1 eni-1 {src} 198.51.100.{far} 50000 443 6 1 {bytes} {start} {end} ACCEPT OK\n")
    };
    let both = |far| [line("2001:db8::7", far, 1_000), line("10.0.0.5", far, far)];
    let text: String = (1..30).flat_map(both).collect();
    fs::write(folder.path().join("logs/a.log"), format!("{V2}\n{text}")).unwrap();
    let top = |more: &[&str]| {
        let args = [
            "top", "logs", "--by", "eni,dst", "--format", "csv", "--quiet", "--totals", "--limit", "2",
        ];
        String::from_utf8(told(folder.path(), &[&args, more].concat())).unwrap()
    };
    let shown = top(&[]);
    assert!(shown.contains("eni-1,198.51.100.29,1029,2,2,"), "{shown}");
    assert!(shown.ends_with("groups,29,total_bytes,29435\n"), "{shown}");
    assert_eq!(top(&["--max-memory", TINY, "--temp-dir", "."]), shown);
}

#[test]
fn a_bound_changes_no_byte_of_a_state() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), 40_000);
    let state = |name: &str, more: &[&str]| {
        let args = [&["scan", "logs", "--quiet", "--partial", name], more].concat();
        told(folder.path(), &args);
        fs::read(folder.path().join(name)).unwrap()
    };
    let whole = state("whole.ftp", &[]);
    for threads in ["1", "2"] {
        for size in [TINY, "1M", "1G"] {
            let bound = ["--threads", threads, "--max-memory", size, "--temp-dir", "."];
            assert!(state("bounded.ftp", &bound) == whole, "{bound:?}");
        }
    }
    let top = |more: &[&str]| {
        let args = [
            &[
                "top",
                "whole.ftp",
                "--quiet",
                "--by",
                "src,dst,port",
                "--limit",
                "9",
                "--totals",
            ],
            more,
        ]
        .concat();
        told(folder.path(), &args)
    };
    assert_eq!(top(&["--max-memory", "8M"]), top(&[]));
    let merged = [
        "merge",
        "whole.ftp",
        "--max-memory",
        "8M",
        "--quiet",
        "--partial",
        "again.ftp",
    ];
    told(folder.path(), &merged);
    assert!(fs::read(folder.path().join("again.ftp")).unwrap() == whole);
}

#[test]
fn what_judges_says_when_its_memory_is_too_small() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), 40_000);
    told(folder.path(), &["scan", "logs", "--quiet", "--partial", "whole.ftp"]);
    let large = ["scan", "logs", "--quiet", "--format", "json"];
    assert_eq!(
        told(folder.path(), &[&large[..], &["--max-memory", "1G"]].concat()),
        told(folder.path(), &large)
    );
    for command in [["scan", "logs"], ["merge", "whole.ftp"]] {
        let out = flowtrail(
            folder.path(),
            &[&command[..], &["--quiet", "--max-memory", "1M"]].concat(),
        );
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{text}");
        assert!(text.contains("--max-memory 1048576: what judges holds"), "{text}");
    }
    let all = [
        "top",
        "logs",
        "--by",
        "src,dst,port,hour",
        "--direction",
        "both",
        "--where",
        "class=home,external",
    ];
    let out = flowtrail(
        folder.path(),
        &[&all[..], &["--limit", "0", "--max-memory", "1K"]].concat(),
    );
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("rows that are shown"), "{text}");
}

/// Keys that still wait to be added when the last file has been read count against the bound too.
#[test]
fn what_judges_is_complete_or_refused_however_few_keys_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let record = |i: usize| {
        let to = format!("51.51.{}.{}", i >> 8, i & 255);
        format!("2 111111111111 eni-1 10.0.0.5 {to} 40000 443 6 9 1000 1772409600 1772409660 ACCEPT OK\n")
    };
    let all: String = (0..9_000).map(record).collect();
    fs::write(path.join("a.log"), format!("{V2}\n{all}")).unwrap();
    told(path, &["scan", "a.log", "--quiet", "--partial", "a.ftp"]);
    for command in [&["scan", "a.log", "--threads", "1"][..], &["merge", "a.ftp"]] {
        let args = [command, &["--quiet", "--format", "json"]].concat();
        let whole = told(path, &args);
        let mut refused = 0;
        for bound in ["2M", "4M", "6M", "8M", "10M", "12M", "16M"] {
            let out = flowtrail(path, &[&args[..], &["--max-memory", bound]].concat());
            match out.status.code() {
                Some(2) => refused += 1,
                code => assert!(code == Some(0) && out.stdout == whole, "{command:?} {bound}: {code:?}"),
            }
        }
        assert!((1..7).contains(&refused), "{command:?}: {refused}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), 400);
    for command in [&["top", "logs"][..], &["scan", "logs", "--partial", "x.ftp"]] {
        let bound = ["--max-memory", "1M", "--temp-dir", "nowhere"];
        let out = flowtrail(folder.path(), &[command, &bound[..]].concat());
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(4), "{text}");
        assert!(text.contains("nowhere: cannot be written"), "{text}");
        assert!(!folder.path().join("x.ftp").exists());
    }
}

#[cfg(target_os = "linux")]
mod faults {
    use super::*;
    use std::process::Stdio;
    use std::time::Duration;

    /// A disk that is full, or broken, at some write or read of the file.
    #[test]
    fn a_full_disk_ends_the_run_with_4_and_leaves_nothing() {
        if !Command::new("strace")
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
        {
            println!("skipped: no strace here");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("spill")).unwrap();
        archive(folder.path(), 8_000);
        let commands = [
            &["top", "logs", "--by", "src,dst,port", "--limit", "5", "--threads", "1"][..],
            &["scan", "logs", "--partial", "x.ftp", "--threads", "1"],
        ];
        for command in commands {
            for (inject, said) in [
                ("lseek:error=ENOSPC:when=3", "No space left"),
                ("lseek:error=EIO:when=400+", "Input/output error"),
            ] {
                let bound = ["--quiet", "--max-memory", TINY, "--temp-dir", "spill"];
                let out = Command::new("strace")
                    .current_dir(folder.path())
                    .args(["-f", "-o", "/dev/null", "-e", &format!("inject={inject}"), BIN])
                    .args(command)
                    .args(bound)
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&out.stderr);
                assert_eq!(out.status.code(), Some(4), "{command:?} {inject}: {text}");
                assert!(
                    text.contains("spill: cannot be written") && text.contains(said),
                    "{text}"
                );
                assert!(out.stdout.is_empty() && !folder.path().join("x.ftp").exists());
                assert_eq!(fs::read_dir(folder.path().join("spill")).unwrap().count(), 0);
            }
        }
    }

    #[test]
    fn a_signal_leaves_nothing_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("spill")).unwrap();
        fs::write(
            folder.path().join("some.log"),
            format!("{V2}\n{}\n", line(&mut Numbers(1), false)),
        )
        .unwrap();
        let mut run = Command::new(BIN)
            .current_dir(folder.path())
            .args(["top", "-", "--max-memory", TINY, "--temp-dir", "spill"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut to = run.stdin.take().unwrap();
        let mut n = Numbers(3);
        let text: String = (0..40_000).map(|_| line(&mut n, false) + "\n").collect();
        to.write_all(format!("{V2}\n{text}").as_bytes()).unwrap();
        to.flush().unwrap();
        // It waits for more, with its file open.
        let open = format!("/proc/{}/fd", run.id());
        let spill = folder.path().join("spill");
        let holds = || {
            let links = fs::read_dir(&open)
                .unwrap()
                .flatten()
                .filter_map(|e| fs::read_link(e.path()).ok());
            links.into_iter().any(|l| l.starts_with(&spill))
        };
        let mut waited = 0;
        while !holds() && waited < 400 {
            std::thread::sleep(Duration::from_millis(50));
            waited += 1;
        }
        assert!(holds(), "the file was never opened");
        assert_eq!(
            fs::read_dir(&spill).unwrap().count(),
            0,
            "it has no name while it is used"
        );
        Command::new("kill").arg(run.id().to_string()).status().unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(143));
        assert_eq!(fs::read_dir(&spill).unwrap().count(), 0);
        drop(to);
    }
}
