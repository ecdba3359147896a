//! Parquet against text: the same records, written as lines and as rows in every encoding, must say the same.
//!
//! The text reader is the obvious twin of the column reader. Row groups, pages, dictionaries and encodings vary; values
//! include nulls, `-`, numbers beyond their type and addresses that are none.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use flowtrail::flow::{Action, Field, FlowRecord, LineReader, LogFormat, Reject, Rows, Sieve, Sink};
use flowtrail::forms::columns::{Table, Verdict};
use flowtrail::net::TimeWindow;
use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use std::sync::Arc;

const HEADER: &str = "interface-id srcaddr dstaddr srcport bytes start end action log-status pkt-dstaddr";
const SCHEMA: &str = "message flow { optional binary interface_id (utf8); optional binary srcaddr (utf8);
    optional binary dstaddr (utf8); optional int32 srcport; optional int64 bytes; required int64 start;
    required int64 end; optional binary action (utf8); required binary log_status (utf8);
    optional binary pkt_dstaddr (utf8); }";

/// What a sink is told, in words.
#[derive(Default, Debug, PartialEq)]
struct Told(Vec<String>);

impl Sink for Told {
    fn record(&mut self, line: u64, r: &FlowRecord<'_>) {
        let columns: Vec<_> = r
            .columns()
            .iter()
            .map(|c| String::from_utf8_lossy(c).into_owned())
            .collect();
        let typed = (r.srcaddr, r.bytes, r.start, r.action, r.status);
        self.0.push(format!("{line}: {} {typed:?}", columns.join(" ")));
    }

    fn reject(&mut self, line: u64, reject: &Reject<'_>) {
        let text = String::from_utf8_lossy(reject.text);
        self.0.push(format!(
            "{line}: {} {:?} in {text}",
            reject.field(),
            reject.fault.reason
        ));
    }
}

fn by_lines(rows: &[Vec<Option<String>>]) -> (Told, flowtrail::flow::LineCounts) {
    let line = |r: &Vec<Option<String>>| {
        r.iter()
            .map(|v| v.as_deref().unwrap_or("-"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let text: Vec<String> = rows.iter().map(line).collect();
    let mut told = Told::default();
    let mut reader = LineReader::new(LogFormat::from_header(HEADER.as_bytes()).unwrap());
    reader.read(text.join("\n").as_bytes(), &mut told);
    (told, reader.counts)
}

fn by_columns(file: Vec<u8>) -> (Told, flowtrail::flow::LineCounts) {
    let mut told = Told::default();
    let table = Table::open(file.into(), &|_| true).unwrap();
    let finished = table.read(TimeWindow::ALL, 0..u64::MAX, &mut told);
    assert!(finished.damage.is_none(), "{:?}", finished.damage);
    assert_eq!(
        by_verdicts(&table),
        told.0
            .iter()
            .map(|t| t.contains(": ") && !t.contains(" in "))
            .collect::<Vec<_>>()
    );
    (told, finished.counts)
}

/// For each row whether it is a record, judged column by column.
fn by_verdicts(table: &Table) -> Vec<bool> {
    let (mut all, mut verdicts) = (Vec::new(), Vec::new());
    for group in 0..table.groups() {
        let mut rows = table.rows(group).unwrap();
        while let Some(batch) = rows.next_batch().unwrap() {
            batch.verdicts(&mut verdicts);
            all.extend(verdicts.iter().map(|v| *v != Verdict::Rejected));
        }
    }
    all
}

/// Rows by column, of which those towards `192.0.2.0/24` are passed over, or handed out whole like all others.
#[derive(Default, Debug, PartialEq)]
struct Picked {
    selects: bool,
    /// What the accounting takes of every good row.
    sums: [u64; 4],
    /// All that stands in the other rows.
    rows: Vec<String>,
}

impl Sink for Picked {
    fn record(&mut self, _: u64, _: &FlowRecord<'_>) {}
    fn reject(&mut self, _: u64, _: &Reject<'_>) {}

    fn by_columns(&self) -> bool {
        true
    }

    fn selects(&self, _: &LogFormat) -> bool {
        self.selects
    }

    fn is_passed(&self, destination: flowtrail::net::Addr) -> bool {
        destination.to_string().starts_with("192.0.2.")
    }

    fn rows(&mut self, rows: &Rows<'_>) {
        let c = rows.columns;
        assert_eq!(rows.selected().is_some(), self.selects);
        for i in (0..rows.len()).filter(|i| rows.is_good(*i)) {
            let numbers = [
                c.bytes[i],
                c.start[i],
                c.end[i],
                u64::from(c.action[i] == Action::Accept),
            ];
            let sums = self.sums.iter_mut().zip(numbers);
            sums.for_each(|(sum, n)| *sum = sum.wrapping_add(n));
        }
        let selected = rows.selected().map(|rows| rows.iter().map(|i| *i as usize).collect());
        let all = selected.unwrap_or_else(|| (0..rows.len()).filter(|i| rows.is_good(*i)).collect::<Vec<_>>());
        let passed = |i: &usize| self.is_passed(c.dstaddr[*i]);
        let wanted: Vec<usize> = all.into_iter().filter(|i| !passed(i)).collect();
        for i in wanted {
            let (ends, packet) = ([c.srcaddr[i], c.dstaddr[i]], [c.source(i), c.destination(i)]);
            let numbers = [c.srcport[i], c.bytes[i], c.start[i], c.end[i]];
            let text = rows.text(i, Field::InterfaceId);
            self.rows
                .push(format!("{} {ends:?} {packet:?} {numbers:?} {text:?}", rows.line(i)));
        }
    }
}

/// Rows that are told apart by their bytes, which count from 0.
fn numbered(count: u64) -> Vec<Vec<Option<String>>> {
    let row = |i: u64| {
        let n = i.to_string();
        let cells = [
            "eni-1",
            "10.0.0.1",
            "192.0.2.1",
            "1",
            n.as_str(),
            "5",
            "6",
            "ACCEPT",
            "OK",
            "192.0.2.1",
        ];
        cells.map(|c| Some(c.to_string())).to_vec()
    };
    (0..count).map(row).collect()
}

/// Every part of a file is read by exactly one of the tasks that share it.
#[test]
fn parts_of_a_file_make_up_the_whole() {
    let rows = numbered(500);
    let file = write(&rows, WriterProperties::default(), 70);
    let (size, table) = (file.len() as u64, Table::open(file.into(), &|_| true).unwrap());
    for step in [100, 1_000, size / 2, size] {
        let mut bytes = Vec::new();
        for from in (0..size).step_by(step as usize) {
            let mut told = Told::default();
            table.read(TimeWindow::ALL, from..from + step, &mut told);
            bytes.extend(told.0.iter().map(|t| t.split(' ').nth(5).unwrap().to_string()));
        }
        let expect: Vec<String> = (0..500).map(|i| i.to_string()).collect();
        assert_eq!(bytes, expect, "in parts of {step} bytes");
    }
}

fn write(rows: &[Vec<Option<String>>], properties: WriterProperties, group: usize) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema.clone(), Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut out = file.next_row_group().unwrap();
        for (i, field) in schema.get_fields().iter().enumerate() {
            let mut column = out.next_column().unwrap().unwrap();
            let values: Vec<&String> = rows.iter().filter_map(|r| r[i].as_ref()).collect();
            let levels: Vec<i16> = rows.iter().map(|r| i16::from(r[i].is_some())).collect();
            let levels = field.is_optional().then_some(levels.as_slice());
            match field.get_physical_type() {
                Physical::INT32 => {
                    let values: Vec<i32> = values.iter().map(|v| v.parse().unwrap()).collect();
                    column.typed::<Int32Type>().write_batch(&values, levels, None).unwrap();
                }
                Physical::INT64 => {
                    let values: Vec<i64> = values.iter().map(|v| v.parse().unwrap()).collect();
                    column.typed::<Int64Type>().write_batch(&values, levels, None).unwrap();
                }
                _ => {
                    let values: Vec<ByteArray> = values.iter().map(|v| v.as_str().into()).collect();
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&values, levels, None)
                        .unwrap();
                }
            }
            column.close().unwrap();
        }
        out.close().unwrap();
    }
    file.into_inner().unwrap()
}

fn row() -> impl Strategy<Value = Vec<Option<String>>> {
    let address = "10\\.0\\.0\\.[0-9]|192\\.0\\.2\\.[0-9]{1,3}|2001:db8::[0-9]|-|x";
    let cells = (
        prop::option::of("eni-[0-9]"),
        prop::option::weighted(0.95, address),
        prop::option::weighted(0.95, address),
        prop::option::of(prop_oneof![0i32..65_536, Just(70_000), Just(-1)]),
        prop::option::weighted(0.95, prop_oneof![0i64..1_000, any::<i64>()]),
        0i64..2_000_000_000,
        0i64..2_000_000_000,
        prop::option::of("ACCEPT|REJECT"),
        "OK|OK|OK|OK|WHAT",
        prop::option::of(address),
    );
    cells.prop_map(|(eni, src, dst, port, bytes, start, end, action, status, pkt)| {
        let number = |n: i64| Some(n.to_string());
        let port = port.map(|n| n.to_string());
        vec![
            eni,
            src,
            dst,
            port,
            bytes.and_then(number),
            number(start),
            number(end),
            action,
            Some(status),
            pkt,
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_say_what_lines_say(
        rows in prop::collection::vec(row(), 1..200), dictionary in any::<bool>(), v2 in any::<bool>(),
        page in 1usize..60, group in 1usize..250, codec in 0usize..5, delta in any::<bool>()
    ) {
        let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default()),
            Compression::ZSTD(Default::default()), Compression::LZ4_RAW];
        let mut properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(64)
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page)
            .set_writer_version(if v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
            .set_compression(codecs[codec]);
        if delta && !dictionary {
            properties = properties
                .set_column_encoding("bytes".into(), Encoding::DELTA_BINARY_PACKED)
                .set_column_encoding("srcaddr".into(), Encoding::DELTA_BYTE_ARRAY);
        }
        let file = write(&rows, properties.build(), group);
        check_search(file.clone());
        check_selection(file.clone());
        prop_assert_eq!(by_columns(file), by_lines(&rows));
    }
}

/// Rows that are selected hold what all rows hold.
fn check_selection(file: Vec<u8>) {
    let table = Table::open(file.into(), &|_| true).unwrap();
    let [picked, all] = [true, false].map(|selects| {
        let mut sink = Picked {
            selects,
            ..Picked::default()
        };
        table.read(TimeWindow::ALL, 0..u64::MAX, &mut sink);
        (sink.sums, sink.rows)
    });
    assert_eq!(picked, all);
}

/// A sieve that looks for one text.
struct Holds(&'static [u8]);

impl Sieve for Holds {
    fn places(&self, text: &[u8], into: &mut Vec<usize>) {
        into.extend((0..text.len()).filter(|i| text[*i..].starts_with(self.0)));
    }
}

/// What a raw search hands on is what reading everything and looking at each row finds.
fn check_search(file: Vec<u8>) {
    let (table, mut all, mut found) = (
        Table::open(file.into(), &|_| true).unwrap(),
        Told::default(),
        Told::default(),
    );
    let read = table.read(TimeWindow::ALL, 0..u64::MAX, &mut all);
    let sifted = table.sift(TimeWindow::ALL, 0..u64::MAX, &Holds(b"192.0.2.77"), &mut found);
    all.0.retain(|row| row.contains("192.0.2.77"));
    assert_eq!(found, all);
    assert_eq!(sifted.counts.lines, found.0.len() as u64);
    assert_eq!(sifted.counts.lines + sifted.counts.searched, read.counts.lines);
    assert!(sifted.damage.is_none() && sifted.span.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Many batches and pages, most of them passed over.
    #[test]
    fn a_search_finds_what_reading_finds(
        some in prop::collection::vec(row(), 1..20), hits in prop::collection::btree_set(0usize..9_000, 0..4),
        dictionary in any::<bool>(), v2 in any::<bool>(), page in 50usize..3_000, group in 1_000usize..9_500, limit in any::<bool>()
    ) {
        let mut rows: Vec<_> = some.iter().cycle().take(9_000).cloned().collect();
        for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| hits.contains(i)) {
            row[if i % 2 == 0 { 1 } else { 9 }] = Some("192.0.2.77".into());
        }
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(if limit { 64 } else { 1 << 20 })
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page)
            .set_writer_version(if v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 });
        let file = write(&rows, properties.build(), group);
        check_search(file.clone());
        check_selection(file);
    }
}

/// Times and counts as other writers store them: timestamps, floats with NaN for nothing, numbers as text.
#[test]
fn lenient_types_are_read() {
    let schema = "message t { required binary srcaddr; required binary dstaddr; required double bytes;
        required int64 start (timestamp_millis); required binary end (utf8); required binary srcport (utf8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let text = |t: [&str; 2]| t.map(ByteArray::from).to_vec();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match number {
            0 => column
                .typed::<ByteArrayType>()
                .write_batch(&text(["10.0.0.1", "10.0.0.1"]), None, None),
            1 => column
                .typed::<ByteArrayType>()
                .write_batch(&text(["192.0.2.1", "192.0.2.1"]), None, None),
            2 => column.typed::<DoubleType>().write_batch(&[7.0, f64::NAN], None, None),
            3 => column
                .typed::<Int64Type>()
                .write_batch(&[1_700_000_000_000, 1_700_000_001_000], None, None),
            4 => column
                .typed::<ByteArrayType>()
                .write_batch(&text(["2023-11-14T22:13:21Z", "1700000002"]), None, None),
            _ => column
                .typed::<ByteArrayType>()
                .write_batch(&text(["443", "None"]), None, None),
        }
        .unwrap();
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    let (told, counts) = by_columns(file.into_inner().unwrap());
    assert_eq!((counts.good, counts.rejected), (1, 1), "a record without bytes is none");
    assert!(
        told.0[0].starts_with("1: 10.0.0.1 192.0.2.1 443 7 1700000000 1700000001"),
        "{told:?}"
    );
    assert!(told.0[1].starts_with("2: bytes Missing"), "{told:?}");
}

/// A window passes over row groups by the statistics of `start`, and says so.
#[test]
fn row_groups_outside_the_window_are_passed_over() {
    let row = |start: u64| {
        let cells = [
            "eni-1",
            "10.0.0.1",
            "192.0.2.1",
            "1",
            "7",
            "S",
            "S",
            "ACCEPT",
            "OK",
            "192.0.2.1",
        ];
        cells.map(|c| Some(c.replace('S', &start.to_string()))).to_vec()
    };
    let rows: Vec<_> = (0..100).map(|i| row(1_000 + i)).collect();
    let file = write(&rows, WriterProperties::default(), 10);
    let table = Table::open(file.into(), &|_| true).unwrap();
    let window = TimeWindow { from: 1_035, to: 1_041 };
    let mut told = Told::default();
    let finished = table.read(window, 0..u64::MAX, &mut told);
    assert_eq!((finished.counts.good, finished.counts.searched), (20, 80));
    assert!(told.0[0].starts_with("31: "), "rows keep their numbers");
}

/// Damage anywhere costs no more than the file: no panic reaches the caller, and rows before it are kept.
#[test]
fn damage_is_an_error_wherever_it_stands() {
    let rows = numbered(300);
    let file = write(&rows, WriterProperties::default(), 100);
    let mut step = 0;
    for i in (0..file.len()).step_by(7) {
        step += 1;
        let mut bad = file.clone();
        bad[i] ^= 1 << (step % 8);
        if let Ok(table) = Table::open(bad.into(), &|_| true) {
            let mut told = Told::default();
            let finished = table.read(TimeWindow::ALL, 0..u64::MAX, &mut told);
            assert_eq!(
                finished.counts.good + finished.counts.rejected + finished.counts.nodata,
                finished.counts.lines
            );
        }
    }
}

/// A file whose pages have checksums, as AWS's writer makes them (`write_page_checksum` of pyarrow): a flipped bit in a page
/// is damage. What is left are bytes of the pages' own heads, which no sum covers: in this file, of 60 rows, they are a
/// fifth of it (712 bytes), and 48 of its 3,423 flips go unseen. Without the sums it is a quarter.
#[test]
fn a_flipped_bit_in_a_page_with_a_checksum_is_damage() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/checksums.parquet")).unwrap();
    let read = |bytes: Vec<u8>| {
        let mut told = Told::default();
        let table = Table::open(bytes.into(), &|_| true).ok()?;
        let finished = table.read(TimeWindow::ALL, 0..u64::MAX, &mut told);
        (finished.damage.is_none() && finished.counts.rejected == 0).then_some(told)
    };
    let good = read(file.clone()).expect("it is whole");
    assert_eq!(good.0.len(), 60);
    let silent = |at: &usize| {
        let mut bad = file.clone();
        bad[*at] ^= 1 << (at % 8);
        read(bad).is_some_and(|told| told != good)
    };
    let places = (0..file.len()).filter(silent).count();
    assert!(places * 50 <= file.len(), "{places} of {}", file.len());
}
