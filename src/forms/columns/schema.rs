//! Which columns of a Parquet file are fields of a flow log, and how each is stored.
//!
//! AWS writes the fields' names with underscores, numbers as INT32 and INT64, texts and addresses as strings. Others write
//! numbers as strings or floats, times as timestamps, or nest everything as OCSF does: what can be read is read.

use crate::error::{Error, Result};
use crate::flow::{Field, Kind, LogFormat};
use crate::forms::names::{OCSF, Reading, are_records, field_of};
use crate::net::printable;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

/// A column that is read.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Its index among the file's columns.
    pub(super) column: usize,
    /// What it holds.
    pub(super) field: Field,
    pub(super) reading: Reading,
    pub(super) physical: Type,
    /// The level at which a value is there.
    pub(super) max_level: u32,
    /// What a stored number is divided by.
    pub(super) scale: i64,
}

/// What is read of a file.
#[derive(Debug)]
pub(super) struct Schema {
    /// Columns in the order of [`Schema::format`]; alternatives of one field follow each other, the first that has a value
    /// counts.
    pub(super) leaves: Vec<Leaf>,
    /// The fields, as a header would name them.
    pub(super) format: LogFormat,
}

impl Schema {
    /// Finds the columns of fields that are numbers or addresses, which are all checked, and those that `wants` names.
    ///
    /// # Errors
    /// `Format` if the file holds something else than flow logs; the text names its columns.
    pub(super) fn of(file: &SchemaDescriptor, wants: &dyn Fn(Field) -> bool) -> Result<Self> {
        let mut leaves = named(file);
        if !are_records(leaves.iter().map(|l| l.field)) {
            leaves = ocsf(file);
        }
        if !are_records(leaves.iter().map(|l| l.field)) {
            let names = file
                .columns()
                .iter()
                .take(8)
                .map(|c| printable(c.path().string().as_bytes()));
            let names: Vec<String> = names.collect();
            let text = format!("this Parquet file has no flow log columns; it has {}", names.join(", "));
            return Err(Error::format(text));
        }
        leaves.retain(|l| l.field.info().kind != Kind::Text || wants(l.field));
        leaves.sort_by_key(|l| l.field);
        let mut names: Vec<&str> = leaves.iter().map(|l| l.field.name()).collect();
        names.dedup();
        let format = LogFormat::from_spec(&names.join(" "))?;
        Ok(Schema { leaves, format })
    }
}

fn named(file: &SchemaDescriptor) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = Vec::new();
    for (i, column) in file.columns().iter().enumerate() {
        let [name] = column.path().parts() else { continue };
        let Some(field) = field_of(name.as_bytes()).or_else(|| Field::from_name(name.as_bytes())) else {
            continue;
        };
        let reading = match field {
            Field::Start | Field::End if column.physical_type() == Type::BYTE_ARRAY => Reading::Time,
            _ => Reading::Plain,
        };
        if leaves.iter().all(|l| l.field != field) {
            leaves.extend(leaf(i, column, field, reading));
        }
    }
    leaves
}

fn ocsf(file: &SchemaDescriptor) -> Vec<Leaf> {
    let find = |path: &str| file.columns().iter().position(|c| c.path().string() == path);
    let rules = OCSF.iter().filter_map(|rule| {
        let i = find(rule.path)?;
        leaf(i, &file.columns()[i], rule.field, rule.reading)
    });
    rules.collect()
}

fn leaf(column: usize, descriptor: &ColumnDescriptor, field: Field, reading: Reading) -> Option<Leaf> {
    if descriptor.max_rep_level() > 0 {
        return None;
    }
    let scale = match (descriptor.logical_type_ref(), descriptor.converted_type()) {
        (Some(LogicalType::Timestamp(t)), _) => match t.unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        },
        (_, ConvertedType::TIMESTAMP_MILLIS) => 1_000,
        (_, ConvertedType::TIMESTAMP_MICROS) => 1_000_000,
        _ => 1,
    };
    Some(Leaf {
        column,
        field,
        reading,
        physical: descriptor.physical_type(),
        max_level: u32::try_from(descriptor.max_def_level()).ok()?,
        scale,
    })
}
