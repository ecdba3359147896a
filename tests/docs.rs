//! What README and docs show is what the program does: every ```console block runs, every relative link resolves, and the
//! generated reference pages are what the program writes.
//!
//! A block is marked ```console. Lines that begin with `$ ` are commands, run one after the other by a shell; a page starts
//! in a folder with copies of samples/ and examples/, where it may write, and `$ cd …` stays in force to its end. Every
//! other line is output to look for, in which `…` stands for any text. A block that needs what is not at hand is marked
//! ```console,ignore, with a reason in a comment above it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README, CONTRIBUTING and the like, and everything below docs.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    below(&root().join("docs"), &mut found);
    let beside = fs::read_dir(root()).unwrap().flatten().map(|e| e.path());
    found.extend(beside.filter(|p| p.extension().is_some_and(|e| e == "md")));
    found.sort();
    found
}

fn below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, into);
        } else if path.extension().is_some_and(|e| e == "md") {
            into.push(path);
        }
    }
}

/// A fenced block: its line, what stands behind the fence, its lines.
struct Block<'t> {
    line: usize,
    info: &'t str,
    lines: Vec<&'t str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut all: Vec<Block<'_>> = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (n, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                let info = info.trim();
                let lines = Vec::new();
                open = Some(Block {
                    line: n + 1,
                    info,
                    lines,
                });
            }
            (Some(_), Some(block)) => all.push(block),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that does not end");
    all
}

/// A copy of what the pages work with, which takes whatever a command writes.
fn workplace() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for name in ["samples", "examples"] {
        copy(&root().join(name), &place.path().join(name));
    }
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Commands of a block with the output expected of each; a command goes on over lines that end with a backslash.
fn steps(block: &Block<'_>) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut goes_on = false;
    for line in &block.lines {
        match line.strip_prefix("$ ") {
            _ if goes_on => {
                let command = &mut all.last_mut().unwrap().0;
                command.push('\n');
                command.push_str(line);
            }
            Some(command) => all.push((command.to_string(), Vec::new())),
            None => {
                if let Some((_, expected)) = all.last_mut() {
                    expected.push((*line).to_string());
                }
            }
        }
        goes_on = (goes_on || line.starts_with("$ ")) && line.ends_with('\\');
    }
    all
}

/// True if `line` reads like `expected`, in which `…` stands for any text and a run of spaces for any other.
fn reads_like(line: &str, expected: &str) -> bool {
    let even = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, expected) = (even(line), even(expected));
    let mut rest = line.as_str();
    let parts: Vec<&str> = expected.split('…').map(str::trim).collect();
    for (n, part) in parts.iter().enumerate() {
        let found = if n == 0 {
            rest.starts_with(part).then_some(0)
        } else {
            rest.find(part)
        };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.trim().is_empty() || expected.ends_with('…')
}

/// Runs a command as a reader would; what it printed, and how it ended.
fn run(command: &str, place: &Path) -> (Option<i32>, String) {
    let folder = Path::new(env!("CARGO_BIN_EXE_flowtrail"))
        .parent()
        .unwrap()
        .to_path_buf();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let made = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {command}")])
        .current_dir(place)
        .env("PATH", &path)
        .env("COLUMNS", "100")
        .env_remove("FLOWTRAIL_CONFIG")
        .output()
        .unwrap();
    let out = [made.stdout.as_slice(), made.stderr.as_slice()].concat();
    (made.status.code(), String::from_utf8_lossy(&out).into_owned())
}

/// The first lines, for a message.
fn start(text: &str) -> String {
    text.lines().take(25).collect::<Vec<_>>().join("\n")
}

/// Runs the blocks of a page; what is not as shown goes into `wrong`.
fn walk(page: &Path, wrong: &mut Vec<String>) -> usize {
    let text = fs::read_to_string(page).unwrap();
    let blocks = blocks(&text);
    let shown: Vec<&Block<'_>> = blocks.iter().filter(|b| b.info == "console").collect();
    if shown.is_empty() {
        return 0;
    }
    let place = workplace();
    let mut at = place.path().to_path_buf();
    let mut count = 0;
    for block in shown {
        for (command, expected) in steps(block) {
            count += 1;
            if let Some(folder) = command.strip_prefix("cd ") {
                at = at.join(folder);
                continue;
            }
            let (code, out) = run(&command, &at);
            let where_ = format!("{}:{}: $ {command}", page.display(), block.line);
            if code.is_none_or(|c| c > 1) {
                wrong.push(format!("{where_}\nends with {code:?}:\n{}", start(&out)));
            }
            let missing = expected.iter().filter(|e| !out.lines().any(|l| reads_like(l, e)));
            wrong.extend(missing.map(|e| format!("{where_}\ndoes not print `{e}`, but:\n{}", start(&out))));
        }
    }
    count
}

#[cfg(unix)]
#[test]
fn console_blocks_run_and_print_what_they_show() {
    let mut wrong = Vec::new();
    let count: usize = pages().iter().map(|page| walk(page, &mut wrong)).sum();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count > 20, "only {count} commands were found");
    println!("{count} commands");
}

#[test]
fn blocks_that_do_not_run_say_why() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for block in blocks(&text).iter().filter(|b| b.info.starts_with("console,")) {
            let before = lines[..block.line - 1].iter().rev().find(|l| !l.trim().is_empty());
            let has_reason = block.info == "console,ignore" && before.is_some_and(|l| l.contains("<!--"));
            assert!(
                has_reason,
                "{}:{}: needs a reason in a comment above it",
                page.display(),
                block.line
            );
        }
    }
}

/// Targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        let plain: Vec<&str> = line.split('`').step_by(2).collect();
        let targets = plain.join("``");
        let targets = targets
            .split("](")
            .skip(1)
            .filter_map(|t| t.split_once(')').map(|(t, _)| t.to_string()));
        if !code {
            all.extend(targets);
        }
    }
    all
}

/// The name that a heading has in links.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_relative_link_resolves() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text)
            .iter()
            .filter(|t| !t.contains("://") && !t.starts_with("mailto:"))
        {
            let (file, part) = target
                .split_once('#')
                .map_or((target.as_str(), None), |(f, p)| (f, Some(p)));
            let to = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let headed = |part: &str| {
                let text = fs::read_to_string(&to).unwrap_or_default();
                text.lines().any(|l| l.starts_with('#') && anchor(l) == part)
            };
            if !to.exists() || !part.is_none_or(headed) {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_book() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let named = links(&summary);
    let docs = root().join("docs");
    let missing: Vec<String> = pages()
        .iter()
        .filter_map(|p| Some(p.strip_prefix(&docs).ok()?.to_str()?.replace('\\', "/")))
        .filter(|p| p != "SUMMARY.md" && !named.contains(p))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/SUMMARY.md (`just summary` writes it): {missing:?}"
    );
}

#[test]
fn generated_pages_are_what_the_program_writes() {
    for (what, page) in [("cli", "docs/reference/cli.md"), ("fields", "docs/reference/fields.md")] {
        let made = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
            .args(["generate", what])
            .output()
            .unwrap();
        assert!(made.status.success());
        let there = fs::read_to_string(root().join(page)).unwrap();
        assert!(
            String::from_utf8_lossy(&made.stdout) == there,
            "{page} is not what the program writes: run `just reference`"
        );
    }
}

#[test]
fn what_is_expected_of_a_line_is_compared_as_described() {
    assert!(reads_like("  1  CRITICAL 100  a + b  inc-1", "1 CRITICAL 100 …"));
    assert!(reads_like("read 5 files of 7", "read … of 7"));
    assert!(reads_like("BUCKET ACTION", "BUCKET … ACTION"));
    assert!(!reads_like("read 5 files of 8", "read … of 7"));
    assert!(!reads_like("read 5 files of 7, twice", "read … of 7"));
    assert_eq!(anchor("## Not seen, at all: `x`"), "not-seen-at-all-x");
}
