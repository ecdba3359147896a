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

/// Files that may hold unsafe code. Each block says why it is sound (clippy keeps that), and the tests of these files run
/// under AddressSanitizer and valgrind: `just asan`, `just valgrind`.
const UNSAFE: [&str; 7] = [
    "src/aggregate/cells/slab.rs",
    "src/flow/rows.rs",
    "src/flow/simd.rs",
    "src/flow/simd/x86.rs",
    "src/flow/tokens.rs",
    "src/input/mmap.rs",
    "tests/mutations.rs",
];

#[test]
fn unsafe_code_stands_in_the_named_files_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        sources(&root.join(folder), &mut files);
    }
    files.push(root.join("fuzz/targets.rs"));
    let mut found: Vec<String> = files
        .into_iter()
        .filter(|path| !path.ends_with("tests/architecture.rs"))
        .filter(|path| {
            let text = fs::read_to_string(path).expect("source is text");
            let code = text.lines().map(|l| l.split("//").next().unwrap_or_default());
            code.flat_map(|l| l.split(|c: char| !c.is_alphanumeric() && !"_#".contains(c)))
                .any(|word| word == "unsafe")
        })
        .map(|path| path.strip_prefix(root).unwrap_or(&path).display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, UNSAFE);
}

#[test]
fn nothing_listens_and_only_named_files_open_connections() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let with = |words: &[&str]| -> Vec<String> {
        let holds = |path: &&PathBuf| {
            let text = fs::read_to_string(path).expect("source is text");
            let code = text.lines().map(|l| l.split("//").next().unwrap_or_default());
            code.flat_map(|l| l.split(|c: char| !c.is_alphanumeric() && c != '_'))
                .any(|word| words.contains(&word))
        };
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
        files.iter().filter(holds).map(name).collect()
    };
    let listeners = ["TcpListener", "UdpSocket", "UnixListener", "UnixDatagram"];
    assert!(with(&listeners).is_empty(), "{:?}", with(&listeners));
    let connections = with(&["TcpStream", "UnixStream", "reqwest"]);
    let wanted = |path: &String| ["src/notify/", "src/input/remote"].iter().any(|w| path.starts_with(w));
    assert!(
        !connections.is_empty() && connections.iter().all(wanted),
        "{connections:?}"
    );
}

/// Crates below these versions had a flaw that input could reach; the advisories are named in docs/reliability.md.
const FLOORS: [(&str, [u64; 3]); 11] = [
    ("bytes", [1, 11, 1]),
    ("h2", [0, 4, 16]),
    ("lz4_flex", [0, 12, 1]),
    ("maxminddb", [0, 30, 3]),
    ("memmap2", [0, 9, 11]),
    ("object_store", [0, 14, 0]),
    ("quick-xml", [0, 41, 0]),
    ("rustls-webpki", [0, 103, 13]),
    ("time", [0, 3, 47]),
    ("tracing-subscriber", [0, 3, 20]),
    ("zlib-rs", [0, 4, 0]),
];

#[test]
fn dependencies_stand_above_their_known_flaws() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("the lock file is checked in");
    let mut met = 0;
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|l| l.strip_prefix(&format!("{key} = \"")));
            line.map(|v| v.trim_end_matches('"').to_string()).unwrap_or_default()
        };
        let (name, version) = (value("name"), value("version"));
        assert!(
            !["bincode", "rkyv"].contains(&name.as_str()),
            "{name} is not to be trusted with files"
        );
        let source = value("source");
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(source.is_empty() || source == registry, "{name} comes from {source}");
        let Some((_, floor)) = FLOORS.iter().find(|(n, _)| *n == name) else {
            continue;
        };
        let digits = version.split(['-', '+']).next().unwrap_or_default();
        let parts: Vec<u64> = digits.split('.').filter_map(|p| p.parse().ok()).collect();
        assert!(
            parts.as_slice() >= floor.as_slice(),
            "{name} {version} is below {floor:?}"
        );
        met += 1;
    }
    assert!(
        met >= FLOORS.len() - 2,
        "only {met} of them are in use: is the list still of this program?"
    );
}
