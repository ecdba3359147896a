//! The whole scan over the sample account, and the sum alone, in bytes of flow log a second (packed).

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::aggregate::top::{Key, Top, Ways, grain_for};
use flowtrail::aggregate::{Counting, Filter, Ingest, Progress};
use flowtrail::detect::Settings;
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::TimeWindow;
use flowtrail::scan::{self, Inputs};
use std::sync::Arc;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/account");

fn end_to_end(c: &mut Criterion) {
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let pool = scan::threads(0).unwrap();
    let follow = |_: &flowtrail::input::Archive| Arc::new(Progress::default());
    let inputs = Inputs {
        flows: vec![format!("{SAMPLE}/flow").into()],
        trail: vec![format!("{SAMPLE}/trail").into()],
        ..Inputs::default()
    };
    let settings = Settings::default();
    let run = || scan::scan(&inputs, &intel, &settings, &pool, &follow).unwrap();
    let bytes = run().counted.archive.bytes();
    let mut group = c.benchmark_group("end to end");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    group.bench_function("scan", |b| b.iter(run));
    let (keys, filter) = ([Key::Eni, Key::Dst], Filter::default());
    let counting = Counting {
        grain: grain_for(&keys, &filter, Ways::Egress),
        filter: filter.clone(),
        window: TimeWindow::ALL,
        largest: 0,
    };
    group.bench_function("top by eni,dst", |b| {
        b.iter(|| {
            let none = Default::default();
            let counted = scan::count(
                &inputs.flows,
                &intel,
                &counting,
                &Ingest::default(),
                &none,
                &pool,
                &follow,
            )
            .unwrap();
            Top::of(&counted.table, &keys, &filter, Ways::Egress).len()
        });
    });
    group.finish();
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
