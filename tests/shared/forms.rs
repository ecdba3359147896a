//! The sample account's flow logs in every form that AWS delivers, as `tests/forms.rs` and `tests/s3.rs` have them read.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "each test is a crate of its own, and not each uses all"
)]

use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::Arc;

/// The sample account.
pub(crate) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/account");

/// Lines of one file without their header, as cells.
pub(crate) type Rows = Vec<Vec<String>>;

/// A form: its name, and a file's rows in it.
pub(crate) type Form = (&'static str, fn(&Rows) -> Vec<u8>);

pub(crate) const FORMS: &[Form] = &[
    ("text", |r| lines(r, "").into_bytes()),
    ("gzip", |r| gzip(lines(r, "").as_bytes())),
    ("gzip of two members", |r| {
        let text = lines(r, "");
        let (a, b) = text.split_at(text.len() / 2);
        [gzip(a.as_bytes()), gzip(b.as_bytes())].concat()
    }),
    ("zstd", |r| zstd::bulk::compress(lines(r, "").as_bytes(), 3).unwrap()),
    ("Parquet", |r| parquet(&NAMES, r, 3_000)),
    ("export", |r| gzip(lines(r, "2026-03-02T00:00:00.000Z ").as_bytes())),
    ("subscription", |r| gzip(&subscription(r))),
    ("packed twice", |r| gzip(&gzip(&subscription(r)))),
    ("get-log-events", |r| {
        serde_json::to_vec_pretty(&json!({"events": events(r), "nextForwardToken": "f/1"})).unwrap()
    }),
    ("Firehose", |r| {
        events(r)
            .iter()
            .map(|e| json!({"message": e["message"]}).to_string())
            .collect::<String>()
            .into()
    }),
    ("Insights", |r| {
        let rows = r.iter().map(|c| format!("2026-03-02 00:00:00.000,{}\n", c.join(" ")));
        format!("@timestamp,@message\n{}", rows.collect::<String>()).into()
    }),
    ("table", |r| {
        let head = "-----\n|  GetLogEvents  |\n+---+\n||  events  ||\n|| message | timestamp ||\n";
        let rows = r.iter().map(|c| format!("||  {}  |  1  ||\n", c.join(" ")));
        (head.to_string() + &rows.collect::<String>()).into()
    }),
    ("named JSON", |r| {
        let object = |c: &Vec<String>| {
            let pairs = NAMES.iter().zip(c).map(|((name, _), v)| (name.to_string(), json!(v)));
            Value::Object(pairs.collect()).to_string() + "\n"
        };
        r.iter().map(object).collect::<String>().into()
    }),
];

/// The columns of version 2 as Parquet has them.
pub(crate) const NAMES: [(&str, &str); 14] = [
    ("version", "int32"),
    ("account_id", "binary"),
    ("interface_id", "binary"),
    ("srcaddr", "binary"),
    ("dstaddr", "binary"),
    ("srcport", "int32"),
    ("dstport", "int32"),
    ("protocol", "int32"),
    ("packets", "int64"),
    ("bytes", "int64"),
    ("start", "int64"),
    ("end", "int64"),
    ("action", "binary"),
    ("log_status", "binary"),
];

fn lines(rows: &Rows, before: &str) -> String {
    rows.iter().fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "{before}{}", row.join(" "));
        text
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn events(rows: &Rows) -> Vec<Value> {
    let event = |r: &Vec<String>| json!({"id": "1", "timestamp": 1, "message": r.join(" ")});
    rows.iter().map(event).collect()
}

fn subscription(rows: &Rows) -> Vec<u8> {
    let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "CWL CONTROL MESSAGE: x"}]});
    let documents = rows.chunks(500).map(|rows| {
        let events = events(&rows.to_vec());
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logEvents": events}).to_string()
    });
    (control.to_string() + &documents.collect::<String>()).into()
}

/// Rows of these columns in row groups of so many.
pub(crate) fn parquet(names: &[(&str, &str)], rows: &Rows, group: usize) -> Vec<u8> {
    let columns: String = names
        .iter()
        .map(|(name, kind)| format!("optional {kind} {name}; "))
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message flow {{ {columns} }}")).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    for rows in rows.chunks(group) {
        let mut group = file.next_row_group().unwrap();
        for (i, (_, kind)) in names.iter().enumerate() {
            let mut column = group.next_column().unwrap().unwrap();
            let cells = rows.iter().map(|r| r[i].as_str());
            let levels: Vec<i16> = cells.clone().map(|c| i16::from(c != "-")).collect();
            let present: Vec<&str> = cells.filter(|c| *c != "-").collect();
            match *kind {
                "int32" => {
                    let values: Vec<i32> = present.iter().map(|v| v.parse().unwrap()).collect();
                    column.typed::<Int32Type>().write_batch(&values, Some(&levels), None)
                }
                "int64" => {
                    let values: Vec<i64> = present.iter().map(|v| v.parse().unwrap()).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)
                }
                _ => {
                    let values: Vec<ByteArray> = present.iter().map(|v| (*v).into()).collect();
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&values, Some(&levels), None)
                }
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    file.into_inner().unwrap()
}

/// The sample's flow logs: name below the folder, and rows.
pub(crate) fn sample() -> Vec<(String, Rows)> {
    let files = glob::glob(&format!("{SAMPLE}/flow/**/*.gz")).unwrap();
    let read = |path: std::path::PathBuf| {
        let mut text = String::new();
        let file = std::fs::File::open(&path).unwrap();
        flate2::read::MultiGzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        let rows = text.lines().skip(1).map(|l| l.split(' ').map(str::to_string).collect());
        let name = path.strip_prefix(SAMPLE).unwrap().to_string_lossy().into_owned();
        (name, rows.collect())
    };
    files.map(|f| read(f.unwrap())).collect()
}
