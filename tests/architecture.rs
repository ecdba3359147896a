//! The floors of the house: a room imports only rooms that stand before it in `src/lib.rs`.
//!
//! In a single package no compiler keeps this, so this test reads every `crate::room` path and fails on an arrow that
//! runs up. An order without upward arrows has no circle. Sizes of functions and files are kept here too.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every file of the library with its room and its code without the tests at its end.
fn rooms() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let room = |p: &Path| {
        let first = p
            .strip_prefix(&src)
            .ok()?
            .components()
            .next()?
            .as_os_str()
            .to_str()?
            .to_string();
        Some(first.trim_end_matches(".rs").to_string())
    };
    let code = |p: &Path| {
        let text = fs::read_to_string(p).expect("source is text");
        text.split("\n#[cfg(test)]\n").next().unwrap_or_default().to_string()
    };
    let mut all: Vec<_> = files
        .into_iter()
        .filter_map(|p| Some((p.clone(), room(&p)?, code(&p))))
        .collect();
    all.retain(|(_, room, _)| room != "lib" && room != "bin");
    all.sort();
    all
}

fn order() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    lib.lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.trim_start_matches("r#").strip_suffix(';'))
        .map(String::from)
        .collect()
}

/// Rooms named by `crate::room` in code, comments left out.
fn named(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in code
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
    {
        for part in line.split("crate::").skip(1) {
            let room: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((n + 1, room));
        }
    }
    found
}

#[test]
fn no_arrow_runs_up() {
    let order = order();
    let place = |room: &str| order.iter().position(|r| r == room);
    let mut wrong = Vec::new();
    for (path, room, code) in rooms() {
        let own = place(&room).unwrap_or_else(|| panic!("{room} is not in lib.rs"));
        for (line, other) in named(&code) {
            if place(&other).is_some_and(|p| p > own) {
                wrong.push(format!("{}:{line}: {room} -> {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that run up:\n{}", wrong.join("\n"));
}

#[test]
fn functions_and_files_stay_small() {
    let mut wrong = Vec::new();
    for (path, _, code) in rooms() {
        let lines: Vec<&str> = code.lines().collect();
        let full = lines.iter().filter(|l| !l.trim().is_empty()).count();
        if full > 400 {
            wrong.push(format!("{}: {full} lines", path.display()));
        }
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_fn = line
                .trim_start()
                .trim_start_matches("pub ")
                .trim_start_matches("pub(super) ")
                .starts_with("fn ");
            let end = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|l| *l == end).unwrap_or(0) + 1;
            if is_fn && length > 60 && !line.ends_with(';') {
                wrong.push(format!(
                    "{}:{}: a function of {length} lines",
                    path.display(),
                    start + 1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "too large:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_an_essay() {
    for (path, _, code) in rooms() {
        assert!(
            code.starts_with("//! "),
            "{} does not say what it is for",
            path.display()
        );
    }
}

#[test]
fn every_room_has_its_heading_in_the_architecture() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).expect("the page");
    let headings: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    for room in order() {
        let named = |h: &&str| {
            h.split(':')
                .next()
                .is_some_and(|names| names.split(", ").any(|n| n == room))
        };
        assert!(
            headings.iter().any(named),
            "docs/architecture.md says nothing of {room}"
        );
    }
}
