//! Records to sums: flow log text on disk to the finished table, coarse (interface, peer) and as fine as a scan needs,
//! in bytes of text a second.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::aggregate::top::{Key, Ways, grain_for};
use flowtrail::aggregate::{Counting, Filter, Grain, Ingest, Progress};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::TimeWindow;
use flowtrail::scan;
use std::sync::Arc;

fn text(lines: u32) -> String {
    let line = |i: u32| {
        let (a, b) = (i.wrapping_mul(2_654_435_761), i.wrapping_mul(40_503));
        format!(
            "2 123456789010 eni-{:017x} 10.0.{}.{} {}.{}.{}.9 {} 443 6 {} {} {} {} ACCEPT OK\n",
            i / 16 % 500,
            i / 16 % 500 / 250,
            i / 16 % 250,
            20 + b % 180,
            (b >> 8) & 255,
            (b >> 16) & 15,
            32_768 + a % 28_000,
            b % 5_000,
            u64::from(b) * 7,
            1_773_000_000 + i / 10,
            1_773_000_060 + i / 10,
        )
    };
    (0..lines).map(line).collect()
}

fn aggregate(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let text = text(200_000);
    std::fs::write(dir.path().join("flows.log"), &text).unwrap();
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let (pool, own, ingest) = (scan::threads(1).unwrap(), Default::default(), Ingest::default());
    let follow = |_: &flowtrail::input::Archive| Arc::new(Progress::default());
    let coarse = grain_for(&[Key::Eni, Key::Dst], &Filter::default(), Ways::Egress);
    let mut group = c.benchmark_group("aggregate");
    group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
    for (name, grain) in [("interface and peer", coarse), ("as a scan", Grain::SCAN)] {
        let counting = Counting {
            grain,
            filter: Filter::default(),
            window: TimeWindow::ALL,
            largest: 0,
        };
        group.bench_function(name, |b| {
            b.iter(|| scan::count(&[dir.path().into()], &intel, &counting, &ingest, &own, &pool, &follow).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, aggregate);
criterion_main!(benches);
