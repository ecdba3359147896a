//! What the lists cost: the class of an address (once a record), all facts (once a peer), and reading them at start.
//!
//! `FLOWTRAIL_SHARED` (default `../shared`) adds a threat list of 120,000 lines. Addresses are drawn with a fixed
//! generator, half of them from AWS's ranges, as egress is.

#![allow(clippy::unwrap_used, missing_docs)] // a bench is no library

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::Addr;

const LOOKUPS: usize = 1 << 16;

fn random(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Half anywhere, half within 3.0.0.0/8 and 52.0.0.0/8, which are mostly AWS's.
fn ipv4() -> Vec<Addr> {
    let narrow = |n: u64| (if n & 1 == 0 { 3u32 } else { 52 }) << 24 | (n >> 8) as u32 & 0x00ff_ffff;
    (0..LOOKUPS as u64)
        .map(random)
        .map(|n| Addr::v4(if n & 2 == 0 { n as u32 } else { narrow(n) }))
        .collect()
}

/// Half anywhere, half within 2600:1f00::/24, which is AWS's.
fn ipv6() -> Vec<Addr> {
    let wide = |n: u64| u128::from(n) << 64 | u128::from(random(n));
    let narrow = |n: u64| 0x2600_1f00_u128 << 96 | wide(n) >> 24;
    (0..LOOKUPS as u64)
        .map(random)
        .map(|n| Addr(if n & 2 == 0 { wide(n) } else { narrow(n) }))
        .collect()
}

fn lookups(c: &mut Criterion) {
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let mut group = c.benchmark_group("intel");
    group.throughput(Throughput::Elements(LOOKUPS as u64));
    for (name, addresses) in [("ipv4", ipv4()), ("ipv6", ipv6())] {
        group.bench_with_input(BenchmarkId::new("class", name), &addresses, |b, all| {
            b.iter(|| all.iter().map(|a| black_box(intel.class(*a)) as u64).sum::<u64>());
        });
        group.bench_with_input(BenchmarkId::new("peer", name), &addresses, |b, all| {
            b.iter(|| {
                all.iter()
                    .map(|a| black_box(intel.peer(*a)).labels.len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

fn loading(c: &mut Criterion) {
    let mut group = c.benchmark_group("intel/load");
    group.bench_function("embedded", |b| {
        b.iter(|| Intel::load(&IntelOptions::default()).unwrap())
    });
    let root = std::env::var_os("FLOWTRAIL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let ipsum = root.join("corpus/threat/ipsum-2026-08-22.txt");
    if ipsum.exists() {
        let options = IntelOptions {
            threat_lists: vec![ipsum],
            ..IntelOptions::default()
        };
        group.bench_function("embedded + 120,430 lines", |b| {
            b.iter(|| Intel::load(&options).unwrap())
        });
        let intel = Intel::load(&options).unwrap();
        let addresses = ipv4();
        group.throughput(Throughput::Elements(LOOKUPS as u64));
        group.bench_function("labels among 120,430", |b| {
            b.iter(|| addresses.iter().map(|a| intel.labels(*a).len()).sum::<usize>())
        });
    }
    group.finish();
}

criterion_group!(benches, lookups, loading);
criterion_main!(benches);
