//! Sources to bytes, in unpacked bytes a second: gzip at once and streamed.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::input::{Content, ReadOptions, Reader, Source};
use std::io::Write;
use std::path::Path;

fn source(path: &Path) -> Source {
    Source {
        name: "bench".into(),
        path: path.to_path_buf(),
        size: path.metadata().unwrap().len(),
        object: None,
    }
}

fn drain(reader: &mut Reader, source: &Source) -> u64 {
    match reader.open(source).unwrap() {
        Content::Whole(bytes) => bytes.len() as u64,
        Content::Stream(mut stream) => {
            while stream.next_block().is_some() {}
            stream.unpacked()
        }
        Content::Parquet(bytes) => bytes.len() as u64,
    }
}

fn gzip(c: &mut Criterion) {
    let text: Vec<u8> = (0..200_000u32)
        .flat_map(|i| format!("{} eni-{:08x}\n", i, i.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&text).unwrap();
    let packed = packer.finish().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.gz"), dir.path().join("two.gz"));
    std::fs::write(&one, &packed).unwrap();
    std::fs::write(&two, [packed.clone(), packed].concat()).unwrap();
    let mut reader = Reader::new(ReadOptions::default());
    let mut group = c.benchmark_group("input");
    for (name, path) in [("one member, at once", one), ("two members, streamed", two)] {
        let source = source(&path);
        group.throughput(Throughput::Bytes(drain(&mut reader, &source)));
        group.bench_function(name, |b| b.iter(|| drain(&mut reader, &source)));
    }
    group.finish();
}

criterion_group!(benches, gzip);
criterion_main!(benches);
