//! Lines of flow log text to validated records, in bytes a second on one core.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::flow::{FlowRecord, LineReader, LogFormat, Reject, Sink};
use std::hint::black_box;

struct Sum(u64);

impl Sink for Sum {
    fn record(&mut self, _: u64, r: &FlowRecord<'_>) {
        self.0 = self.0.wrapping_add(r.bytes.unwrap_or(0));
    }
    fn reject(&mut self, _: u64, _: &Reject<'_>) {}
}

fn text(lines: u32) -> Vec<u8> {
    let line = |i: u32| {
        let (a, b) = (i.wrapping_mul(2_654_435_761), i.wrapping_mul(40_503));
        format!(
            "2 123456789010 eni-{:017x} 10.{}.{}.{} {}.{}.{}.{} {} 443 6 {} {} 1773000000 1773000060 ACCEPT OK\n",
            a % 2_000,
            a >> 24,
            (a >> 16) & 255,
            a & 255,
            20 + b % 180,
            (b >> 8) & 255,
            (b >> 16) & 255,
            b & 255,
            1_024 + a % 60_000,
            b % 5_000,
            u64::from(b) * 7,
        )
    };
    (0..lines).flat_map(|i| line(i).into_bytes()).collect()
}

fn lines(c: &mut Criterion) {
    let text = text(50_000);
    let mut group = c.benchmark_group("flow");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("lines of version 2", |b| {
        b.iter(|| {
            let mut sum = Sum(0);
            LineReader::new(LogFormat::default_v2()).read(black_box(&text), &mut sum);
            sum.0
        });
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
