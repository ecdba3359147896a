//! Judging: rows a second through baseline, detectors and grouping, for a fleet of a size that is common.

#![allow(missing_docs, reason = "the macros of the harness write public functions")]

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::aggregate::{Direction, EgressTable, Interface, Peer, Role, Row, Sample, Volume};
use flowtrail::baseline::Baseline;
use flowtrail::detect::{self, Case, Settings};
use flowtrail::incident;
use flowtrail::net::{Addr, Class, Country, HOUR};

const INTERFACES: u32 = 100;
const PEERS: u32 = 5_000;
const DAYS: u64 = 14;
const ROWS_AN_HOUR: u32 = 5;

/// Small reproducible numbers: a linear congruential generator is enough to spread peers and sizes.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn table() -> EgressTable {
    let interface = |n: u32| Interface {
        id: format!("eni-{n:05}"),
        subnet: Some(format!("subnet-{}", n / 20)),
        ..Interface::default()
    };
    let peer = |n: u32| Peer {
        addr: Addr::v4(0x2d00_0000 + n * 97),
        class: if n.is_multiple_of(10) {
            Class::S3
        } else {
            Class::External
        },
        service: n.is_multiple_of(10).then(|| "S3".to_owned()),
        region: n.is_multiple_of(10).then(|| "eu-west-1".to_owned()),
        country: Country::parse(["DE", "US", "FR"][n as usize % 3]),
        asn: Some(n / 100),
        labels: Vec::new(),
    };
    let mut table = EgressTable {
        interfaces: (0..INTERFACES).map(interface).collect(),
        peers: (0..PEERS).map(peer).collect(),
        rows: Vec::new(),
    };
    let mut state = 1;
    for interface in 0..INTERFACES {
        for hour in 0..DAYS * 24 {
            for _ in 0..ROWS_AN_HOUR {
                table.rows.push(row(interface, hour * HOUR, &mut state));
            }
        }
    }
    table.sort();
    table
}

fn row(interface: u32, hour: u64, state: &mut u64) -> Row {
    let peer = (next(state) % u64::from(PEERS)) as u32;
    let bytes = u128::from(next(state) % 3_000_000);
    Row {
        interface,
        peer,
        hour,
        local: Addr::v4(0x0a00_0000 + interface),
        port: 443,
        protocol: 6,
        direction: Direction::Egress,
        role: Role::Client,
        volume: Volume {
            bytes,
            packets: bytes / 1_400 + 1,
            flows: 1,
            first: hour,
            last: hour + 59,
        },
        sample: Sample::default(),
    }
}

fn bench(c: &mut Criterion) {
    let table = table();
    let excluded = BTreeSet::new();
    let settings = Settings::default();
    let mut group = c.benchmark_group("detect");
    group.throughput(Throughput::Elements(table.rows.len() as u64));
    group.sample_size(10);
    group.bench_function("learn", |b| {
        b.iter(|| {
            let mut baseline = Baseline::default();
            baseline.learn(black_box(&table));
            baseline
        });
    });
    group.bench_function("judge and group", |b| {
        b.iter(|| {
            let case = Case {
                table: black_box(&table),
                baseline: None,
                excluded: &excluded,
                books: None,
            };
            incident::group(detect::run(&case, &settings), &table, None)
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
