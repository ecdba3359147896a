//! The yardstick for gzip: inflates every `.gz` file below a folder, whole files, two threads, and does nothing else.
//!
//! libdeflate, one member a file, buffers reused. `benches/lookup.sh` measures its CPU beside a look-up's, which cannot be
//! less.   usage: cargo bench --bench inflate -- FOLDER

#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use libdeflater::Decompressor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, into),
            path if path.extension().is_some_and(|e| e == "gz") => into.push(path),
            _ => {}
        }
    }
}

/// Inflates one file; 0 if it cannot be.
fn inflate(path: &Path, decoder: &mut Decompressor, out: &mut Vec<u8>) -> u64 {
    let Ok(packed) = std::fs::read(path) else { return 0 };
    let stated = packed.last_chunk::<4>().map_or(0, |n| u32::from_le_bytes(*n));
    out.resize(out.len().max(stated as usize), 0);
    decoder.gzip_decompress(&packed, out).map_or(0, |n| n as u64)
}

fn main() {
    // `cargo bench` adds an option of its own.
    let Some(folder) = std::env::args().skip(1).find(|a| !a.starts_with("--")) else {
        return println!("no folder: nothing to inflate");
    };
    let mut all = Vec::new();
    files(Path::new(&folder), &mut all);
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let worker = || {
        let (mut decoder, mut out) = (Decompressor::new(), Vec::new());
        while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes.fetch_add(inflate(path, &mut decoder, &mut out), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    println!("{} files, {} bytes", all.len(), bytes.load(Ordering::Relaxed));
}
