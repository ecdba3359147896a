//! The yardstick as a program: decodes every `.json` file below a folder with two threads and adds up `bytesTransferredOut`.
//! `benches/trail_speed.sh` measures its CPU beside ours.   usage: cargo bench --bench bare_decode -- FOLDER

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod bare;

use bare::{Bare, BareFile};
use std::path::{Path, PathBuf};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, into),
            path if path.extension().is_some_and(|e| e == "json") => into.push(path),
            _ => {}
        }
    }
}

fn sum(paths: &[PathBuf]) -> (u64, u64) {
    let (mut records, mut bytes) = (0, 0);
    for path in paths {
        let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        let file: BareFile<'_> = serde_json::from_str(&text).unwrap();
        records += file.records.len() as u64;
        bytes += file.records.iter().map(Bare::bytes).sum::<u64>();
    }
    (records, bytes)
}

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|a| !a.starts_with('-')) else {
        return;
    };
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    paths.sort();
    let (left, right) = paths.split_at(paths.len() / 2);
    let (a, b) = std::thread::scope(|s| {
        let other = s.spawn(|| sum(right));
        (sum(left), other.join().unwrap())
    });
    println!("{} records, {} bytes", a.0 + b.0, a.1 + b.1);
}
