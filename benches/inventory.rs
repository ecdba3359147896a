//! `--inventory` JSON to the resolved estate, in bytes a second.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::inventory::Graph;
use std::hint::black_box;

fn interfaces(count: u32) -> String {
    let one = |i: u32| {
        let address = format!("10.0.{}.{}", i >> 8 & 255, i & 255);
        format!(
            r#"{{"NetworkInterfaceId":"eni-{i:017x}","InterfaceType":"interface","VpcId":"vpc-1","SubnetId":"subnet-{}",
            "OwnerId":"123456789010","Attachment":{{"InstanceId":"i-{i:017x}","AttachTime":"2026-03-01T00:00:00Z"}},
            "PrivateIpAddress":"{address}","PrivateIpAddresses":[{{"PrivateIpAddress":"{address}"}}]}}"#,
            i % 8
        )
    };
    let all: Vec<String> = (0..count).map(one).collect();
    format!(r#"{{"NetworkInterfaces":[{}]}}"#, all.join(","))
}

fn inventory(c: &mut Criterion) {
    let json = interfaces(5_000);
    let mut group = c.benchmark_group("inventory");
    group.sample_size(10).throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("describe-network-interfaces", |b| {
        b.iter(|| {
            let mut graph = Graph::default();
            graph.read_inventory(black_box(json.as_bytes())).unwrap();
            graph.resolve().interfaces.len()
        });
    });
    group.finish();
}

criterion_group!(benches, inventory);
criterion_main!(benches);
