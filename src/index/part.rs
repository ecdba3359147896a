//! One part of a segment as two plain Parquet files: sums by the hour, and which key stands where.
//!
//! Rows are sorted by interface and far end, so that an interface is a run of rows and each of its far ends a run in it.
//! Columns that hardly change have long pages, the others short ones, so that few rows can be read alone. The second file
//! is sorted by key (address, interface, instance) and names the raw files and the blocks of rows that hold it.

use crate::aggregate::Facts;
use crate::aggregate::table::Role;
use crate::error::{Error, Result};
use crate::flow::{Action, FlowDirection};
use crate::index::keys;
use crate::index::seal::{Seal, Sealing};
use crate::index::sums::{Emptied, Key, Sum};
use crate::net::{Addr, HOUR};
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
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
    REQUIRED BYTE_ARRAY direction (UTF8);
    OPTIONAL BYTE_ARRAY flow_direction (UTF8);
    OPTIONAL BYTE_ARRAY pkt_srcaddr (UTF8);
    OPTIONAL BYTE_ARRAY pkt_dstaddr (UTF8);
    OPTIONAL INT32 srcport;
    OPTIONAL INT32 dstport;
    REQUIRED INT32 protocol;
    REQUIRED BYTE_ARRAY action (UTF8);
    REQUIRED INT64 bytes;
    REQUIRED INT64 packets;
    REQUIRED INT64 flows;
    REQUIRED INT32 start_second;
    REQUIRED INT64 seconds;
}";

/// Rows that a key names together, and rows of a short page.
pub(super) const BLOCK: usize = 2048;
/// Rows of a row group.
pub(super) const GROUP: usize = 64 * BLOCK;
/// Columns whose values change with nearly every row.
const RESTLESS: [&str; 8] = [
    "hour",
    "peer",
    "srcport",
    "dstport",
    "bytes",
    "packets",
    "start_second",
    "seconds",
];

/// A row before it is written.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Place of the facts in their order.
    facts: u32,
    peer: Addr,
    local: Addr,
    outward: bool,
    key: Key<Addr>,
    sum: Sum,
}

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
pub(super) fn write(folder: &Path, segment: &str, number: u32, emptied: Emptied, logs: &[String]) -> Result<[Seal; 2]> {
    let [flows, keys] = paths(folder, segment, number, false);
    let mut order: Vec<u32> = (0..emptied.facts.len() as u32).collect();
    order.sort_by(|a, b| emptied.facts[*a as usize].cmp(&emptied.facts[*b as usize]));
    let mut rank = vec![0; order.len()];
    for (place, number) in order.iter().enumerate() {
        rank[*number as usize] = place as u32;
    }
    let sorted: Vec<&Facts> = order.iter().map(|n| &emptied.facts[*n as usize]).collect();
    let rows = rows(emptied.sums, &rank);
    let behind = Behind {
        facts: &sorted,
        packets: &emptied.packets,
        logs,
    };
    let mut index = keys::Index::default();
    index.files(emptied.files, emptied.facts_files, &rank);
    for (n, row) in rows.iter().enumerate() {
        let block = (n / BLOCK) as u32;
        let packet = behind.packet(row.key.packet);
        index.row(block, row.facts, [Some((row.local, row.peer)), packet]);
    }
    let failed = |path: &Path, e: io::Error| Error::output(path, e);
    let sums = write_flows(&flows, &rows, &behind).map_err(|e| failed(&flows, e))?;
    let keys = index.write(&keys, &sorted).map_err(|e| failed(&keys, e))?;
    Ok([sums, keys])
}

/// Which end is the interface's: as logged, else the private one, else the one that most of its records have.
fn rows(sums: Vec<(Key<Addr>, Sum)>, rank: &[u32]) -> Vec<Row> {
    let mut met: HashMap<(u32, Addr), u32, RandomState> = HashMap::default();
    for (key, _) in sums.iter().filter(|(k, _)| decided(k).is_none()) {
        *met.entry((key.facts, key.src)).or_default() += 1;
        *met.entry((key.facts, key.dst)).or_default() += 1;
    }
    let often = |key: &Key<Addr>, a: Addr| (met.get(&(key.facts, a)).copied(), std::cmp::Reverse(a));
    let row = |(key, sum): (Key<Addr>, Sum)| {
        let outward = decided(&key).unwrap_or_else(|| often(&key, key.src) >= often(&key, key.dst));
        let (local, peer) = if outward {
            (key.src, key.dst)
        } else {
            (key.dst, key.src)
        };
        Row {
            facts: rank.get(key.facts as usize).copied().unwrap_or(0),
            peer,
            local,
            outward,
            key,
            sum,
        }
    };
    let mut rows: Vec<Row> = sums.into_iter().map(row).collect();
    let port = |k: &Key<Addr>| {
        k.src_port
            .min(k.dst_port)
            .max(k.src_port.max(k.dst_port) * u16::from(k.src_port == 0 || k.dst_port == 0))
    };
    let rest = |r: &Row| (r.outward, r.key, r.sum.first, r.sum.last, r.sum.bytes);
    rows.sort_unstable_by(|a, b| {
        let of = |r: &Row| (r.facts, r.peer, port(&r.key), r.key.hour);
        of(a).cmp(&of(b)).then_with(|| rest(a).cmp(&rest(b)))
    });
    rows
}

fn decided(key: &Key<Addr>) -> Option<bool> {
    match (key.signs.direction(), is_private(key.src), is_private(key.dst)) {
        (Some(direction), ..) => Some(direction == FlowDirection::Egress),
        (None, true, false) => Some(true),
        (None, false, true) => Some(false),
        _ => None,
    }
}

fn is_private(addr: Addr) -> bool {
    match addr.ip() {
        std::net::IpAddr::V4(a) => a.is_private(),
        std::net::IpAddr::V6(a) => a.is_unique_local(),
    }
}

impl Behind<'_> {
    fn packet(&self, number: u32) -> Option<(Addr, Addr)> {
        self.packets.get((number as usize).checked_sub(1)?).copied()
    }
}

/// Properties of both files: zstd, indexes of pages, short pages for what changes often.
pub(super) fn properties(restless: &[&str], delta: &[(&str, Encoding)], page: usize) -> Arc<WriterProperties> {
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
    for (name, encoding) in delta {
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

fn write_flows(path: &Path, rows: &[Row], behind: &Behind<'_>) -> io::Result<Seal> {
    let delta = [
        ("peer", Encoding::DELTA_BYTE_ARRAY),
        ("bytes", Encoding::DELTA_BINARY_PACKED),
    ];
    let mut writer = create(path, SCHEMA, properties(&RESTLESS, &delta, BLOCK))?;
    let mut texts = Texts::default();
    for rows in rows.chunks(GROUP) {
        let mut group = writer.next_row_group().map_err(unwrapped)?;
        write_group(&mut group, rows, behind, &mut texts)?;
        group.close().map_err(unwrapped)?;
    }
    close(writer)
}

type Group<'g> = SerializedRowGroupWriter<'g, To>;

fn write_group(group: &mut Group<'_>, rows: &[Row], behind: &Behind<'_>, texts: &mut Texts) -> io::Result<()> {
    let facts = |r: &Row| behind.facts[r.facts as usize];
    put::<Int64Type>(group, rows, |r| number(r.key.hour * HOUR))?;
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
    let log = |r: &Row| behind.logs.get(usize::from(r.key.log)).map_or("-", String::as_str);
    put::<ByteArrayType>(group, rows, |r| texts.bytes(log(r).as_bytes()))?;
    put::<ByteArrayType>(group, rows, |r| texts.addr(r.local))?;
    put::<ByteArrayType>(group, rows, |r| texts.addr(r.peer))?;
    put::<ByteArrayType>(group, rows, |r| texts.bytes(way(r.outward)))?;
    let logged = |r: &Row| r.key.signs.direction().map(|d| way(d == FlowDirection::Egress));
    put_some::<ByteArrayType>(group, rows, |r| logged(r).map(|t| texts.bytes(t)))?;
    let packet = |r: &Row| behind.packet(r.key.packet);
    put_some::<ByteArrayType>(group, rows, |r| packet(r).map(|p| texts.addr(p.0)))?;
    put_some::<ByteArrayType>(group, rows, |r| packet(r).map(|p| texts.addr(p.1)))?;
    let role = |r: &Row| r.key.signs.role();
    put_some::<Int32Type>(group, rows, |r| {
        (role(r) != Role::Client).then_some(r.key.src_port.into())
    })?;
    put_some::<Int32Type>(group, rows, |r| {
        (role(r) != Role::Server).then_some(r.key.dst_port.into())
    })?;
    put::<Int32Type>(group, rows, |r| r.key.protocol.into())?;
    put::<ByteArrayType>(group, rows, |r| texts.bytes(action(r.key.signs.action())))?;
    put::<Int64Type>(group, rows, |r| number(r.sum.bytes))?;
    put::<Int64Type>(group, rows, |r| number(r.sum.packets))?;
    put::<Int64Type>(group, rows, |r| r.sum.flows.into())?;
    put::<Int32Type>(group, rows, |r| (r.sum.first % HOUR) as i32)?;
    put::<Int64Type>(group, rows, |r| r.sum.last.wrapping_sub(r.sum.first) as i64)
}

/// A number below 2^63, which all of a record are.
fn number(n: u64) -> i64 {
    n as i64
}

/// The word for a direction.
pub(super) fn way(outward: bool) -> &'static [u8] {
    if outward { b"egress" } else { b"ingress" }
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

fn put<T: DataType>(group: &mut Group<'_>, rows: &[Row], of: impl FnMut(&Row) -> T::T) -> io::Result<()> {
    let values: Vec<T::T> = rows.iter().map(of).collect();
    write_column::<T>(group, &values, None)
}

fn put_some<T: DataType>(
    group: &mut Group<'_>,
    rows: &[Row],
    mut of: impl FnMut(&Row) -> Option<T::T>,
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
