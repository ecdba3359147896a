//! One part of a segment as two plain Parquet files: sums by the hour, and which key stands where.
//!
//! A row is what two ends exchanged within an hour, both ways ([`pairs`](super::pairs)). Columns that hardly change have long pages, the others short ones, so that few rows can be read alone. The second file
//! is sorted by key (address, interface, instance) and names the raw files and the blocks of rows that hold it.

use crate::aggregate::Facts;
use crate::error::{Error, Result};
use crate::flow::Action;
use crate::index::keys;
use crate::index::pairs::{Row, halves, paired};
use crate::index::seal::{Seal, Sealing};
use crate::index::sums::{Emptied, Sum};
use crate::net::{Addr, HOUR};
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::fs::OpenOptions;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The columns of the sums. Texts are as AWS writes them; an absent value is null.
const SCHEMA: &str = "message flows {
    REQUIRED INT64 hour;
    REQUIRED BYTE_ARRAY interface (UTF8);
    OPTIONAL BYTE_ARRAY account_id (UTF8);
    OPTIONAL BYTE_ARRAY vpc_id (UTF8);
    OPTIONAL BYTE_ARRAY subnet_id (UTF8);
    OPTIONAL BYTE_ARRAY region (UTF8);
    OPTIONAL BYTE_ARRAY interface_type (UTF8);
    OPTIONAL BYTE_ARRAY instance_id (UTF8);
    REQUIRED BYTE_ARRAY flow_log (UTF8);
    REQUIRED BYTE_ARRAY local (UTF8);
    REQUIRED BYTE_ARRAY peer (UTF8);
    REQUIRED BOOLEAN direction_logged;
    OPTIONAL BYTE_ARRAY pkt_local (UTF8);
    OPTIONAL BYTE_ARRAY pkt_peer (UTF8);
    OPTIONAL INT32 local_port;
    OPTIONAL INT32 peer_port;
    REQUIRED INT32 protocol;
    REQUIRED BYTE_ARRAY action (UTF8);
    REQUIRED INT64 egress_bytes;
    REQUIRED INT64 egress_packets;
    REQUIRED INT64 egress_flows;
    REQUIRED INT64 ingress_bytes;
    REQUIRED INT64 ingress_packets;
    REQUIRED INT64 ingress_flows;
    REQUIRED INT32 start_second;
    REQUIRED INT64 seconds;
    OPTIONAL INT32 egress_start_second;
    OPTIONAL INT64 egress_seconds;
    OPTIONAL INT32 ingress_start_second;
    OPTIONAL INT64 ingress_seconds;
}";

/// Rows that a key names together, and rows of a short page.
pub(super) const BLOCK: usize = 2048;
/// Rows of a row group.
pub(super) const GROUP: usize = 64 * BLOCK;
/// Columns whose values change with nearly every row.
const RESTLESS: [&str; 12] = [
    "hour",
    "peer",
    "local_port",
    "peer_port",
    "egress_bytes",
    "egress_packets",
    "egress_flows",
    "ingress_bytes",
    "ingress_packets",
    "ingress_flows",
    "start_second",
    "seconds",
];

/// Columns whose values change now and then, and rows of their pages: of a page as long as a row group a look-up would
/// unpack all for a few rows.
const CALM: [&str; 8] = [
    "interface",
    "local",
    "protocol",
    "action",
    "egress_start_second",
    "egress_seconds",
    "ingress_start_second",
    "ingress_seconds",
];
const CALM_PAGE: usize = 8 * BLOCK;

/// Everything that rows point into.
struct Behind<'b> {
    facts: &'b [&'b Facts],
    packets: &'b [(Addr, Addr)],
    logs: &'b [String],
}

/// The names of a part's two files, while they are written and afterwards.
pub(super) fn paths(folder: &Path, segment: &str, number: u32, written: bool) -> [PathBuf; 2] {
    let suffix = if written { "" } else { ".part" };
    let dot = if written { "" } else { "." };
    ["flows", "keys"].map(|what| folder.join(format!("{dot}{what}-{segment}-{number:03}.parquet{suffix}")))
}

/// Writes a part under temporary names, syncs it, and tells what its two files are.
///
/// # Errors
/// `Output`, naming the file.
pub(super) fn write(
    folder: &Path,
    segment: &str,
    number: u32,
    mut emptied: Emptied,
    logs: &[String],
) -> Result<[Seal; 2]> {
    let [flows, keys] = paths(folder, segment, number, false);
    let mut order: Vec<u32> = (0..emptied.facts.len() as u32).collect();
    order.sort_by(|a, b| emptied.facts[*a as usize].cmp(&emptied.facts[*b as usize]));
    let mut rank = vec![0; order.len()];
    for (place, number) in order.iter().enumerate() {
        rank[*number as usize] = place as u32;
    }
    let (halves, packets) = halves(&mut emptied, &rank);
    let rows = paired(&halves);
    let sorted: Vec<&Facts> = order.iter().map(|n| &emptied.facts[*n as usize]).collect();
    let behind = Behind {
        facts: &sorted,
        packets: &packets,
        logs,
    };
    let mut index = keys::Index::default();
    index.files(emptied.files, emptied.facts_files, &rank);
    for (n, row) in rows.iter().enumerate() {
        let block = (n / BLOCK) as u32;
        let packet = behind.packet(row.at.packet);
        index.row(block, row.at.facts, [Some((row.at.local, row.at.peer)), packet]);
    }
    let failed = |path: &Path, e: io::Error| Error::output(path, e);
    let sums = write_flows(&flows, &rows, &behind).map_err(|e| failed(&flows, e))?;
    let keys = index.write(&keys, &sorted).map_err(|e| failed(&keys, e))?;
    Ok([sums, keys])
}

impl Behind<'_> {
    fn packet(&self, number: u32) -> Option<(Addr, Addr)> {
        self.packets.get((number as usize).checked_sub(1)?).copied()
    }
}

/// Properties of both files: zstd, indexes of pages, short pages for what changes often.
pub(super) fn properties(restless: &[&str], bare: &[(&str, Encoding)], page: usize) -> Arc<WriterProperties> {
    let zstd = ZstdLevel::try_new(3).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(zstd))
        .set_created_by("flowtrail".into())
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(GROUP)
        .set_write_batch_size(page.min(1024));
    for name in restless {
        let path = ColumnPath::from(*name);
        properties = properties.set_column_data_page_row_count_limit(path, page);
    }
    for name in CALM {
        properties = properties.set_column_data_page_row_count_limit(ColumnPath::from(name), CALM_PAGE);
    }
    for (name, encoding) in bare {
        let path = ColumnPath::from(*name);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, *encoding);
    }
    Arc::new(properties.build())
}

/// Opens a new file of the store.
pub(super) fn create(
    path: &Path,
    schema: &str,
    properties: Arc<WriterProperties>,
) -> io::Result<SerializedFileWriter<To>> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let schema = Arc::new(parse_message_type(schema).map_err(io::Error::other)?);
    SerializedFileWriter::new(
        BufWriter::with_capacity(1 << 18, Sealing::new(file)),
        schema,
        properties,
    )
    .map_err(unwrapped)
}

/// Where the library writes to.
pub(super) type To = BufWriter<Sealing>;

/// Writes what is left, syncs, and tells what the file is.
pub(super) fn close(writer: SerializedFileWriter<To>) -> io::Result<Seal> {
    let file = writer.into_inner().map_err(unwrapped)?;
    file.into_inner().map_err(|e| e.into_error())?.finish()
}

/// The system's own error where there is one, so that its words reach the user.
pub(super) fn unwrapped(e: parquet::errors::ParquetError) -> io::Error {
    match e {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => *inner,
            Err(inner) => io::Error::other(inner),
        },
        e => io::Error::other(e),
    }
}

fn write_flows(path: &Path, rows: &[Row<'_>], behind: &Behind<'_>) -> io::Result<Seal> {
    // A dictionary is read whole for each few rows of a look-up; where values hardly repeat it takes more room, too.
    let bare = [
        ("peer", Encoding::DELTA_BYTE_ARRAY),
        ("peer_port", Encoding::PLAIN),
        ("egress_bytes", Encoding::DELTA_BINARY_PACKED),
        ("egress_packets", Encoding::PLAIN),
        ("ingress_bytes", Encoding::DELTA_BINARY_PACKED),
        ("ingress_packets", Encoding::PLAIN),
        ("start_second", Encoding::DELTA_BINARY_PACKED),
        ("seconds", Encoding::PLAIN),
    ];
    let mut writer = create(path, SCHEMA, properties(&RESTLESS, &bare, BLOCK))?;
    let mut texts = Texts::default();
    for rows in rows.chunks(GROUP) {
        let mut group = writer.next_row_group().map_err(unwrapped)?;
        write_group(&mut group, rows, behind, &mut texts)?;
        group.close().map_err(unwrapped)?;
    }
    close(writer)
}

type Group<'g> = SerializedRowGroupWriter<'g, To>;

fn write_group(group: &mut Group<'_>, rows: &[Row<'_>], behind: &Behind<'_>, texts: &mut Texts) -> io::Result<()> {
    let facts = |r: &Row<'_>| behind.facts[r.at.facts as usize];
    put::<Int64Type>(group, rows, |r| number(r.at.key.hour * HOUR))?;
    put::<ByteArrayType>(group, rows, |r| texts.bytes(&facts(r).interface))?;
    for fact in [
        |f: &Facts| f.account.clone(),
        |f: &Facts| f.vpc.clone(),
        |f: &Facts| f.subnet.clone(),
        |f: &Facts| f.region.clone(),
        |f: &Facts| f.kind.clone(),
        |f: &Facts| {
            f.instance
                .clone()
                .or_else(|| f.instance_column.then(|| Box::from(*b"-")))
        },
    ] {
        put_some::<ByteArrayType>(group, rows, |r| fact(facts(r)).map(|t| texts.bytes(&t)))?;
    }
    let log = |r: &Row<'_>| behind.logs.get(usize::from(r.at.key.log)).map_or("-", String::as_str);
    put::<ByteArrayType>(group, rows, |r| texts.bytes(log(r).as_bytes()))?;
    put::<ByteArrayType>(group, rows, |r| texts.addr(r.at.local))?;
    put::<ByteArrayType>(group, rows, |r| texts.addr(r.at.peer))?;
    put::<BoolType>(group, rows, |r| r.at.key.signs.direction().is_some())?;
    let packet = |r: &Row<'_>| behind.packet(r.at.packet);
    put_some::<ByteArrayType>(group, rows, |r| packet(r).map(|p| texts.addr(p.0)))?;
    put_some::<ByteArrayType>(group, rows, |r| packet(r).map(|p| texts.addr(p.1)))?;
    put_some::<Int32Type>(group, rows, |r| r.at.local_port.map(i32::from))?;
    put_some::<Int32Type>(group, rows, |r| r.at.peer_port.map(i32::from))?;
    put::<Int32Type>(group, rows, |r| r.at.key.protocol.into())?;
    put::<ByteArrayType>(group, rows, |r| texts.bytes(action(r.at.key.signs.action())))?;
    write_sums(group, rows)
}

/// Sums of both ways, and their times: once for both, and apart where they differ.
fn write_sums(group: &mut Group<'_>, rows: &[Row<'_>]) -> io::Result<()> {
    type Way = for<'r> fn(&'r Row<'_>) -> Option<&'r Sum>;
    let ways: [Way; 2] = [|r| r.out, |r| r.back];
    for way in ways {
        put::<Int64Type>(group, rows, |r| way(r).map_or(0, |s| number(s.bytes)))?;
        put::<Int64Type>(group, rows, |r| way(r).map_or(0, |s| number(s.packets)))?;
        put::<Int64Type>(group, rows, |r| way(r).map_or(0, |s| s.flows.into()))?;
    }
    let start = |first: u64| (first % HOUR) as i32;
    let seconds = |(first, last): (u64, u64)| last.wrapping_sub(first) as i64;
    put::<Int32Type>(group, rows, |r| start(r.span().0))?;
    put::<Int64Type>(group, rows, |r| seconds(r.span()))?;
    for way in ways {
        let apart = |r: &Row<'_>| way(r).map(|s| (s.first, s.last)).filter(|own| *own != r.span());
        put_some::<Int32Type>(group, rows, |r| apart(r).map(|own| start(own.0)))?;
        put_some::<Int64Type>(group, rows, |r| apart(r).map(seconds))?;
    }
    Ok(())
}

/// A number below 2^63, which all of a record are.
fn number(n: u64) -> i64 {
    n as i64
}

/// The word for an action.
pub(super) fn action(action: Action) -> &'static [u8] {
    match action {
        Action::Accept => b"ACCEPT",
        Action::Reject => b"REJECT",
        Action::Unknown => b"-",
        Action::Other => b"other",
    }
}

fn put<T: DataType>(group: &mut Group<'_>, rows: &[Row<'_>], of: impl FnMut(&Row<'_>) -> T::T) -> io::Result<()> {
    let values: Vec<T::T> = rows.iter().map(of).collect();
    write_column::<T>(group, &values, None)
}

fn put_some<T: DataType>(
    group: &mut Group<'_>,
    rows: &[Row<'_>],
    mut of: impl FnMut(&Row<'_>) -> Option<T::T>,
) -> io::Result<()> {
    let mut values = Vec::new();
    let mut levels = Vec::with_capacity(rows.len());
    for row in rows {
        let value = of(row);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    write_column::<T>(group, &values, Some(&levels))
}

fn write_column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) -> io::Result<()> {
    let column = group.next_column().map_err(unwrapped)?;
    let mut column = column.ok_or_else(|| io::Error::other("the schema has no such column"))?;
    let written = column.typed::<T>().write_batch(values, levels, None);
    written.map_err(unwrapped)?;
    column.close().map_err(unwrapped)
}

/// Texts that stand in many rows are made once.
#[derive(Default)]
pub(super) struct Texts {
    last: Option<(Addr, ByteArray)>,
    known: HashMap<Box<[u8]>, ByteArray, RandomState>,
}

impl Texts {
    pub(super) fn bytes(&mut self, text: &[u8]) -> ByteArray {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        // Other engines refuse a column of text that is not UTF-8.
        let made = match std::str::from_utf8(text) {
            Ok(text) => ByteArray::from(Bytes::copy_from_slice(text.as_bytes())),
            Err(_) => ByteArray::from(Bytes::from(String::from_utf8_lossy(text).into_owned())),
        };
        self.known.insert(text.into(), made.clone());
        made
    }

    pub(super) fn addr(&mut self, addr: Addr) -> ByteArray {
        if let Some((_, text)) = self.last.as_ref().filter(|(a, _)| *a == addr) {
            return text.clone();
        }
        let text = ByteArray::from(Bytes::from(addr.to_string()));
        self.last = Some((addr, text.clone()));
        text
    }
}
