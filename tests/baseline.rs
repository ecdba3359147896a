//! Baselines through the program: learned once, whole or not at all, the same in any order, and of use to a scan.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn account() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account")
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.current_dir(account());
    command
}

fn flowtrail(line: &str) -> Output {
    program().args(line.split_whitespace()).output().unwrap()
}

fn ok(line: &str) -> String {
    let out = flowtrail(line);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{line}: {said}");
    said
}

const INVENTORY: &str =
    "--inventory inventory/describe-network-interfaces.json --inventory inventory/describe-nat-gateways.json";

fn incidents(more: &str) -> Vec<(String, u64)> {
    let out = flowtrail(&format!("scan flow {INVENTORY} --quiet --format ndjson {more}"));
    let lines = String::from_utf8(out.stdout).unwrap();
    let read = |l: &str| {
        let i: Value = serde_json::from_str(l).unwrap();
        (i["id"].as_str().unwrap().to_owned(), i["bytes"].as_u64().unwrap())
    };
    lines.lines().map(read).collect()
}

#[test]
fn what_was_learned_before_judges_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.ftb").display().to_string();
    ok(&format!("baseline build flow {INVENTORY} --to 2026-03-09 -o {file}"));
    let (with, without) = (format!("--from 2026-03-09 --baseline {file}"), "--from 2026-03-09");
    let whole = incidents("");
    let judged = incidents(&with);
    let kept: Vec<_> = whole.iter().filter(|i| judged.contains(i)).collect();
    assert_eq!(kept.len(), judged.len(), "{judged:?} {whole:?}");
    let blind = incidents(without);
    assert!(
        judged.iter().any(|i| !blind.contains(i)),
        "a baseline makes no difference: {judged:?}"
    );
}

#[test]
fn the_same_files_teach_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.ftb");
    let build = |paths: &str| ok(&format!("baseline build {paths} {INVENTORY} -o {}", file.display()));
    build("flow");
    let first = std::fs::read(&file).unwrap();
    let said = build("flow");
    assert!(
        said.contains("1,440 of 1,440 files were already learned: it stays as it is"),
        "{said}"
    );
    // Under another name, and unpacked, they are the same files.
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let one = largest(&account().join("flow"));
    std::fs::copy(&one, copy.join("renamed.log.gz")).unwrap();
    let mut text = Vec::new();
    let mut gz = flate2::read::MultiGzDecoder::new(std::fs::File::open(&one).unwrap());
    std::io::Read::read_to_end(&mut gz, &mut text).unwrap();
    std::fs::write(copy.join("unpacked.log"), text).unwrap();
    let said = build(&copy.display().to_string());
    assert!(said.contains("already learned: it stays as it is"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), first);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "the baseline and the copies: {left:?}");
}

fn largest(folder: &Path) -> PathBuf {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => all.push((entry.metadata().unwrap().len(), entry.path())),
            }
        }
    }
    all.into_iter().max().unwrap().1
}

#[test]
fn merging_knows_no_order_and_no_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    ok(&format!(
        "baseline build flow {INVENTORY} --to 2026-03-06 -o {}",
        at("a")
    ));
    ok(&format!(
        "baseline build flow {INVENTORY} --from 2026-03-06 -o {}",
        at("b")
    ));
    ok(&format!(
        "baseline build flow {INVENTORY} --from 2026-03-05 --to 2026-03-08 -o {}",
        at("c")
    ));
    ok(&format!("baseline merge {} {} -o {}", at("a"), at("b"), at("ab")));
    ok(&format!("baseline merge {} {} -o {}", at("b"), at("a"), at("ba")));
    assert_eq!(bytes("ab"), bytes("ba"));
    let said = ok(&format!(
        "baseline merge {} {} {} -o {}",
        at("a"),
        at("ab"),
        at("b"),
        at("again")
    ));
    assert!(said.contains("everything that it learned was known"), "{said}");
    assert_eq!(bytes("ab"), bytes("again"));
    let out = flowtrail(&format!("baseline merge {} {} -o {}", at("a"), at("c"), at("ac")));
    assert_eq!(out.status.code(), Some(2));
    assert!(!folder.path().join("ac").exists());
    let diff = flowtrail(&format!("baseline diff {} {} --format csv", at("a"), at("ab")));
    assert!(String::from_utf8(diff.stdout).unwrap().lines().count() > 10);
}

#[test]
fn a_damaged_baseline_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.ftb");
    ok(&format!("baseline build flow --to 2026-03-03 -o {}", file.display()));
    let whole = std::fs::read(&file).unwrap();
    let mut bad = whole.clone();
    bad[whole.len() / 2] ^= 1;
    let newer = [&whole[..8], &[9, 0], &whole[10..]].concat();
    for (bytes, complaint) in [
        (bad, "damaged"),
        (newer, "newer flowtrail (format 9"),
        (Vec::new(), "no flowtrail baseline"),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        let name = file.display();
        for line in [
            format!("baseline show {name}"),
            format!("scan flow --baseline {name}"),
            format!("scan flow --baseline {name} --learn"),
            format!("baseline build flow -o {name}"),
            format!("baseline merge {name} -o {name}"),
        ] {
            let out = flowtrail(&line);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(2), "{line}: {said}");
            assert!(said.contains(complaint), "{line}: {said}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[test]
fn two_learners_at_once_both_teach_or_one_says_who_was_faster() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.ftb").display().to_string();
    let learn = |days: &str| {
        let line = format!("baseline build flow {INVENTORY} {days} -o {file}");
        program()
            .args(line.split_whitespace())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [learn("--to 2026-03-04"), learn("--from 2026-03-04 --to 2026-03-06")];
    let ends = both.map(|c| c.wait_with_output().unwrap());
    assert!(ends.iter().all(|e| matches!(e.status.code(), Some(0 | 4))), "{ends:?}");
    let learned = ends.iter().filter(|e| e.status.code() == Some(0)).count();
    let show = flowtrail(&format!("baseline show {file} --format csv"));
    let rows = String::from_utf8(show.stdout).unwrap();
    let hours: u64 = rows
        .lines()
        .skip(1)
        .filter_map(|l| l.split(',').nth(3)?.parse::<u64>().ok())
        .max()
        .unwrap();
    assert_eq!(hours, 48 * learned as u64);
}

#[test]
fn a_scan_learns_only_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.ftb");
    let name = file.display();
    assert_eq!(
        flowtrail(&format!("scan flow --baseline {name}")).status.code(),
        Some(2)
    );
    ok(&format!("scan flow --to 2026-03-05 --baseline {name} --learn"));
    let before = std::fs::read(&file).unwrap();
    ok(&format!(
        "scan flow --from 2026-03-05 --to 2026-03-06 --baseline {name}"
    ));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    ok(&format!(
        "scan flow --from 2026-03-05 --to 2026-03-06 --baseline {name} --learn"
    ));
    let after = std::fs::read(&file).unwrap();
    assert_ne!(after, before);
    ok(&format!(
        "scan flow --from 2026-03-05 --to 2026-03-06 --baseline {name} --learn"
    ));
    assert_eq!(std::fs::read(&file).unwrap(), after);
}

#[test]
fn what_somebody_suppressed_teaches_and_the_rest_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (plain, looked_at, seen) = (file("plain.ftb"), file("looked-at.ftb"), file("seen.toml"));
    ok(&format!("baseline build flow {INVENTORY} --to 2026-03-09 -o {plain}"));
    std::fs::copy(&plain, &looked_at).unwrap();
    let entry =
        "[[suppress]]\neni = \"eni-05995c602886f5b99\"\nreason = \"a move, announced late\"\nowner = \"data team\"\n";
    std::fs::write(&seen, entry).unwrap();
    let scan = |file: &str, more: &str| {
        ok(&format!(
            "scan flow {INVENTORY} --from 2026-03-09 --baseline {file} --learn --format ndjson {more}"
        ))
    };
    let said = scan(&plain, "");
    assert!(said.contains("3 anomalous days of a channel do not teach"), "{said}");
    let said = scan(&looked_at, &format!("--suppress {seen}"));
    assert!(said.contains("2 anomalous days of a channel do not teach"), "{said}");
    let excluded = |file: &str| -> Vec<String> {
        let out = flowtrail(&format!("baseline show {file} --quiet --format ndjson"));
        let text = String::from_utf8(out.stdout).unwrap();
        let rows = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        let left_out = rows.filter(|r| r["excluded"] != 0);
        left_out.map(|r| r["eni"].as_str().unwrap().to_owned()).collect()
    };
    let (before, after) = (excluded(&plain), excluded(&looked_at));
    assert_eq!((before.len(), after.len()), (3, 2));
    assert!(before.contains(&"eni-05995c602886f5b99".to_owned()) && after.iter().all(|e| before.contains(e)));
    assert!(!after.contains(&"eni-05995c602886f5b99".to_owned()), "{after:?}");
}

#[test]
fn the_floor_is_below_what_the_incident_sent_and_backtest_finds_it() {
    let out = flowtrail(&format!("floor flow {INVENTORY} --quiet --format ndjson"));
    let text = String::from_utf8(out.stdout).unwrap();
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(rows.len() > 10);
    for row in &rows {
        for most in [&row["at_once"], &row["spread"]] {
            assert!((100_000..2_000_000_000).contains(&most.as_u64().unwrap()), "{row}");
        }
    }
    let out = flowtrail(&format!(
        "backtest --truth truth.json flow --trail trail {INVENTORY} --threat-list intel/threat-list.txt --tor-exits \
         intel/torbulkexitlist --allow intel/allow.toml --quiet --format json"
    ));
    let text = String::from_utf8(out.stdout).unwrap();
    let score: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(score["recall_medium"], 1.0, "{text}");
    assert_eq!(score["fp_high_per_day"], 0.0, "{text}");
    assert_eq!(flowtrail("backtest --truth manifest.json flow").status.code(), Some(2));
}
