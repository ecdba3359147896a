//! Which column holds which field: from a header line, from the `${field}` string that AWS prints, or the default.
//!
//! A flow log's format is any subset of the fields in any order, fixed when the log is created. Text files on S3 carry
//! it as their first line; CloudWatch Logs and Firehose do not, so it can be given. Unknown names are opaque columns.

use crate::error::{Error, Result};
use crate::flow::field::{FIELDS, Field};
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::space1;
use nom::combinator::{all_consuming, recognize, verify};
use nom::multi::separated_list1;
use nom::sequence::{delimited, pair};
use nom::{IResult, Parser};

/// The columns of a flow log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    columns: Vec<Column>,
    position: [u16; Field::COUNT],
    transit_gateway: bool,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// A field of the table.
    Known(Field),
    /// A name newer than the table, or a second column of a field: carried as opaque text.
    Other(Box<str>),
}

const ABSENT: u16 = u16::MAX;
/// More columns than any AWS format has; a "header" beyond it is taken as an ordinary bad line.
const MAX_COLUMNS: usize = 512;
/// A line is a header if this many of its tokens are AWS's names.
const MIN_KNOWN: usize = 3;

impl LogFormat {
    /// The 14 fields of version 2, which AWS writes when nothing else was chosen.
    pub fn default_v2() -> Self {
        Self::of(FIELDS.iter().filter(|f| f.version == 2).map(|f| f.name))
    }

    /// Reads a header line: tokens of `[a-z][a-z0-9-]*`, at least three of them AWS field names.
    pub fn from_header(line: &[u8]) -> Option<Self> {
        let (_, names) = all_consuming(separated_list1(space1, name)).parse(line).ok()?;
        let known = names.iter().filter(|n| Field::from_name(n).is_some()).count();
        (known >= MIN_KNOWN && names.len() <= MAX_COLUMNS)
            .then(|| Self::of(names.iter().filter_map(|n| std::str::from_utf8(n).ok())))
    }

    /// Reads `${version} ${account-id} …` as AWS prints it (describe-flow-logs' `LogFormat`), or bare field names.
    ///
    /// # Errors
    /// `Usage` if the text has no column or something else stands between the fields.
    pub fn from_spec(spec: &str) -> Result<Self> {
        let text = spec.trim().as_bytes();
        let columns = all_consuming(separated_list1(space1, braced)).parse(text);
        let columns = columns.or_else(|_| all_consuming(separated_list1(space1, name)).parse(text));
        match columns {
            Ok((_, names)) if names.len() <= MAX_COLUMNS => {
                Ok(Self::of(names.iter().filter_map(|n| std::str::from_utf8(n).ok())))
            }
            _ => Err(Error::usage(format!(
                "flow format `{spec}` is not a list of fields like `${{version}} ${{account-id}} ${{interface-id}}`"
            ))),
        }
    }

    /// The same as AWS prints it: what [`LogFormat::from_spec`] reads.
    pub fn spec(&self) -> String {
        let names = (0..self.columns.len()).map(|i| format!("${{{}}}", self.column_name(i)));
        names.collect::<Vec<_>>().join(" ")
    }

    fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut format = LogFormat {
            columns: Vec::new(),
            position: [ABSENT; Field::COUNT],
            transit_gateway: false,
        };
        for name in names {
            match Field::from_name(name.as_bytes()) {
                Some(field) if format.position[field as usize] == ABSENT => {
                    format.position[field as usize] = format.columns.len() as u16;
                    format.transit_gateway |= field.is_transit_gateway();
                    format.columns.push(Column::Known(field));
                }
                _ => format.columns.push(Column::Other(name.into())),
            }
        }
        format
    }

    /// The columns in file order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Where a field stands, if the format has it.
    pub fn position(&self, field: Field) -> Option<usize> {
        match self.position[field as usize] {
            ABSENT => None,
            i => Some(usize::from(i)),
        }
    }

    /// True if the format has the field.
    pub fn has(&self, field: Field) -> bool {
        self.position(field).is_some()
    }

    /// True for transit gateway flow logs: their records are kept apart, for they show the same bytes once more.
    pub fn is_transit_gateway(&self) -> bool {
        self.transit_gateway
    }

    /// The name of column `i`, as the header spells it.
    pub fn column_name(&self, i: usize) -> &str {
        match self.columns.get(i) {
            Some(Column::Known(field)) => field.name(),
            Some(Column::Other(name)) => name,
            None => "field count",
        }
    }
}

/// `[a-z][a-z0-9-]*`
fn name(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let first = verify(nom::bytes::complete::take(1usize), |b: &[u8]| b[0].is_ascii_lowercase());
    recognize(pair(
        first,
        take_while(|b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
    ))
    .parse(i)
}

/// `${name}`
fn braced(i: &[u8]) -> IResult<&[u8], &[u8]> {
    delimited(
        tag(&b"${"[..]),
        take_while1(|b: u8| b != b'}' && b != b' '),
        tag(&b"}"[..]),
    )
    .parse(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_three_known_names_and_clean_tokens() {
        assert!(LogFormat::from_header(b"srcaddr dstaddr bytes brand-new-field").is_some());
        assert!(LogFormat::from_header(b"srcaddr dstaddr comment").is_none());
        assert!(LogFormat::from_header(b"srcaddr dstaddr bytes 10.0.0.1").is_none());
        assert!(LogFormat::from_header(b"srcaddr dstaddr bytes Extra").is_none());
    }

    #[test]
    fn the_spec_that_aws_prints_is_read() {
        let f = LogFormat::from_spec("${version} ${pkt-dstaddr} ${new-one}").unwrap();
        assert_eq!(f.position(Field::PktDstAddr), Some(1));
        assert_eq!(f.column_name(2), "new-one");
        assert_eq!(LogFormat::from_spec("version srcaddr").unwrap().columns().len(), 2);
        assert!(LogFormat::from_spec("${version},${bytes}").is_err());
        assert!(LogFormat::from_spec("").is_err());
    }

    #[test]
    fn a_field_named_twice_is_read_once() {
        let f = LogFormat::from_header(b"bytes bytes srcaddr dstaddr").unwrap();
        assert_eq!(f.position(Field::Bytes), Some(0));
        assert_eq!(f.columns()[1], Column::Other("bytes".into()));
    }

    #[test]
    fn the_default_has_14_columns_and_tgw_is_told_apart() {
        assert_eq!(LogFormat::default_v2().columns().len(), 14);
        assert!(
            LogFormat::from_header(b"version resource-type tgw-id srcaddr")
                .unwrap()
                .is_transit_gateway()
        );
    }
}
