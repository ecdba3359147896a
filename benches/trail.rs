//! CloudTrail in bytes per second: reading alone, reading into an archive, and, as the yardstick, a bare borrowed
//! `serde_json` decode of the same fields with nothing done to them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod bare;

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtrail::trail::{TrailArchive, read};

use bare::BareFile;

/// S3 data events as AWS writes them now (version 1.11, about 1,500 bytes each).
fn records(count: u32) -> Vec<u8> {
    let mut out = String::from("{\"Records\":[");
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        let (host, minute, second, object) = (n % 200, n / 60 % 60, n % 60, n % 5_000);
        let (name, sent, got) = if n % 3 == 0 {
            ("PutObject", 52_311 + n, 0)
        } else {
            ("GetObject", 0, 81_022 + n)
        };
        write!(
            out,
            "{comma}{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\"AROAEXAMPLE{host:05}:i-0{host:016x}\",\
             \"arn\":\"arn:aws:sts::111122223333:assumed-role/app-role/i-0{host:016x}\",\"accountId\":\"111122223333\",\
             \"accessKeyId\":\"ASIAEXAMPLE{host:09}\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROAEXAMPLE\",\
             \"arn\":\"arn:aws:iam::111122223333:role/app-role\",\"accountId\":\"111122223333\",\"userName\":\"app-role\"}},\
             \"attributes\":{{\"creationDate\":\"2025-03-01T00:00:00Z\",\"mfaAuthenticated\":\"false\"}},\"ec2RoleDelivery\":\"2.0\"}}}},\
             \"eventTime\":\"2025-03-01T02:{minute:02}:{second:02}Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"{name}\",\
             \"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"10.0.3.{host}\",\"userAgent\":\"[aws-sdk-java/2.29.23 md/io#sync \
             ua/2.1 os/Linux#6.1.119 lang/java#17.0.13]\",\"requestParameters\":{{\"bucketName\":\"acme-data-lake\",\"Host\":\
             \"acme-data-lake.s3.eu-central-1.amazonaws.com\",\"key\":\"warehouse/day=2025-03-01/part-{object:06}.parquet\"}},\
             \"responseElements\":null,\"additionalEventData\":{{\"SignatureVersion\":\"SigV4\",\"CipherSuite\":\"TLS_AES_128_GCM_SHA256\",\
             \"bytesTransferredIn\":{sent},\"AuthenticationMethod\":\"AuthHeader\",\"x-amz-id-2\":\"x8fTzz7VmN0PpPpR0k3m1o2uVd1bKcQ0Qw\
             bT9i2mYw3o2kqv1x9h6c1a5Zk2TgK0XkQ8yq4m8=\",\"bytesTransferredOut\":{got}}},\"requestID\":\"PZ1X2C3V4B5N6M7Q\",\
             \"eventID\":\"{n:08x}-0000-4000-8000-000000000000\",\"readOnly\":true,\"resources\":[{{\"type\":\"AWS::S3::Object\",\"ARN\":\
             \"arn:aws:s3:::acme-data-lake/warehouse/day=2025-03-01/part-{object:06}.parquet\"}},{{\"accountId\":\"111122223333\",\
             \"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::acme-data-lake\"}}],\"eventType\":\"AwsApiCall\",\"managementEvent\":false,\
             \"recipientAccountId\":\"111122223333\",\"vpcEndpointId\":\"vpce-0123456789abcdef0\",\"vpcEndpointAccountId\":\"111122223333\",\
             \"eventCategory\":\"Data\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\
             \"clientProvidedHostHeader\":\"acme-data-lake.s3.eu-central-1.amazonaws.com\"}}}}"
        )
        .unwrap();
    }
    out.push_str("]}");
    out.into_bytes()
}

fn trail(c: &mut Criterion) {
    let log = records(20_000);
    let mut group = c.benchmark_group("trail");
    group.throughput(Throughput::Bytes(log.len() as u64)).sample_size(20);
    group.bench_function("bare_decode", |b| {
        b.iter(|| {
            let text = std::str::from_utf8(&log).unwrap();
            serde_json::from_str::<BareFile<'_>>(text).unwrap().records.len()
        });
    });
    group.bench_function("read", |b| {
        b.iter(|| read(&log, &mut |event| _ = black_box(&event)).records);
    });
    group.bench_function("archive", |b| {
        b.iter(|| {
            let mut archive = TrailArchive::default();
            read(&log, &mut |event| archive.observe(&event));
            archive.duplicates()
        });
    });
    group.finish();
}

criterion_group!(benches, trail);
criterion_main!(benches);
