//! Findings of other tools, read and joined to incidents.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::intake::{SideFindings, Subject, Tool, best};
use std::hint::black_box;
use std::path::Path;

fn findings(count: u32) -> String {
    let one = |i: u32| {
        format!(
            r#"{{"detail-type":"GuardDuty Finding","detail":{{"id":"{i:032x}","type":"UnauthorizedAccess:S3/TorIPCaller","severity":8,
            "accountId":"111122223333","resource":{{"accessKeyDetails":{{"accessKeyId":"AKIA{i:016}","userName":"user-{i}"}}}},
            "service":{{"eventFirstSeen":"2026-03-10T02:47:00Z","eventLastSeen":"2026-03-10T04:12:00Z","count":7}}}}}}"#
        )
    };
    (0..count).map(one).collect::<Vec<_>>().join("\n")
}

fn subjects(count: u32) -> Vec<Subject> {
    let one = |i: u32| {
        let mut s = Subject {
            id: format!("inc-{i:016x}"),
            first_seen: 1_773_111_600,
            last_seen: 1_773_115_200,
            account: Some("111122223333".to_owned()),
            ..Subject::default()
        };
        s.add_person(&format!("arn:aws:iam::111122223333:user/user-{i}"), None);
        s
    };
    (0..count).map(one).collect()
}

fn intake(c: &mut Criterion) {
    let text = findings(2_000);
    let mut side = SideFindings::default();
    side.add(text.as_bytes(), Tool::GuardDuty, Path::new("f")).unwrap();
    let subjects = subjects(200);
    let mut group = c.benchmark_group("intake");
    group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("read", |b| {
        b.iter(|| {
            let mut side = SideFindings::default();
            side.add(black_box(text.as_bytes()), Tool::GuardDuty, Path::new("f"))
                .unwrap();
            side.list.len()
        });
    });
    group.throughput(Throughput::Elements(side.list.len() as u64));
    group.bench_function("join", |b| {
        b.iter(|| side.list.iter().filter_map(|f| best(black_box(&subjects), f)).count());
    });
    group.finish();
}

criterion_group!(benches, intake);
criterion_main!(benches);
