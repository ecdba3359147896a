//! What a look-up costs over raw text: the search of bytes alone, the look-up over it, and reading every line.
//!
//! The first is the bound: no look-up without an index is faster than one search through memory. One thread, 32 MB in one
//! file; the key stands in 1 of 1,000 lines, as a busy peer's does, or in none.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench is no library")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::aggregate::{Filter, Ingest, Progress, workers};
use flowtrail::input::{Archive, Family};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::lookup::search::{Detail, Search, Target, What, search};
use flowtrail::net::TimeWindow;
use std::hint::black_box;

const LINES: u32 = 300_000;

fn text() -> Vec<u8> {
    let line = |i: u32| {
        let (a, b) = (i.wrapping_mul(2_654_435_761), i.wrapping_mul(40_503));
        let peer = match i % 1_000 {
            0 => "93.175.146.77".to_string(),
            _ => format!("{}.{}.{}.{}", 100 + b % 80, (b >> 8) & 255, (b >> 16) & 255, b & 255),
        };
        format!(
            "2 123456789010 eni-{:017x} 10.{}.{}.{} {peer} {} 443 6 {} {} 1773000000 1773000060 ACCEPT OK\n",
            a % 2_000,
            a >> 24,
            (a >> 16) & 255,
            a & 255,
            1_024 + a % 60_000,
            b % 5_000,
            u64::from(b) * 7,
        )
    };
    (0..LINES).flat_map(|i| line(i).into_bytes()).collect()
}

fn look_ups(c: &mut Criterion) {
    let (dir, text) = (tempfile::tempdir().unwrap(), text());
    std::fs::write(dir.path().join("flows.log"), &text).unwrap();
    let archive = Archive::discover(&[dir.path()], Family::FlowLogs).unwrap();
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let (pool, filter) = (workers::pool(1).unwrap(), Filter::default());
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    for (name, key) in [
        ("1 in 1,000", "93.175.146.77"),
        ("none", "203.0.113.250"),
        ("IPv6", "2001:db8::7"),
    ] {
        group.bench_function(BenchmarkId::new("bytes", name), |b| {
            let finder = memchr::memmem::Finder::new(key.as_bytes());
            b.iter(|| finder.find_iter(black_box(&text)).count());
        });
        let targets = [Target {
            key: 0,
            tie: flowtrail::attribute::Class::Exact,
            what: What::Addr(key.parse().unwrap()),
            window: TimeWindow::ALL,
            why: String::new(),
        }];
        let wanted = Search::new(&targets, &filter, TimeWindow::ALL, &intel, Detail::Records);
        for (way, slow) in [("search", false), ("every line", true)] {
            group.bench_function(BenchmarkId::new(way, name), |b| {
                b.iter(|| {
                    search(&wanted, &archive, &Ingest::default(), slow, &pool, &Progress::default())
                        .0
                        .records
                        .len()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, look_ups);
criterion_main!(benches);
