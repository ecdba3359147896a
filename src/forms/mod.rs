//! forms: in which wrapping does a record come?
//!
//! AWS delivers the same record in many ways: CloudWatch Logs wraps lines in JSON, Firehose each in an object of its own,
//! exports put a time before them, queries write CSV. Each wrapping has a decoder here that turns it back into ordinary
//! lines, with the place where each stood; the line reader then reads them, so that every rule of counting holds
//! everywhere. Parquet has no lines: [`columns`] hands its rows to the same sink.

pub mod columns;
mod csv;
mod export;
mod json;
mod lines;
pub mod names;
mod record;
mod table;
mod values;

use lines::Out;
pub use lines::{Mapped, Place, Unwrap};

use crate::flow::lines::BOM;

/// A wrapping, told by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON values one after the other, with or without newlines between them: subscription envelopes, answers of
    /// `get-log-events` and its kin, Firehose objects, records with named members, OCSF.
    Json,
    /// A CSV file whose header names a column of messages, or the fields.
    Csv,
    /// What the AWS CLI prints with `--output table`.
    Table,
    /// Lines behind a time stamp, as CloudWatch Logs exports them.
    Export,
    /// The note that CloudWatch Logs leaves beside an export: no record is in it.
    ExportNote,
}

/// One way to tell a wrapping by the start of a content, and to undo it.
struct Way {
    form: Form,
    /// True if the start of a content, after a byte order mark, is this form's.
    tells: fn(&[u8]) -> bool,
    decoder: fn() -> Box<dyn Decoder>,
}

/// Turns a wrapping into lines. Bytes come in order, cut anywhere.
trait Decoder {
    /// Takes the next bytes and hands out what is whole.
    fn feed(&mut self, bytes: &[u8], out: &mut Out);

    /// No more bytes come. After damage, what is open is not handed out.
    fn finish(&mut self, whole: bool, out: &mut Out);
}

/// All wrappings; the first that tells a content has it.
const WAYS: &[Way] = &[
    Way {
        form: Form::Json,
        tells: json::tells,
        decoder: || Box::new(json::Json::default()),
    },
    Way {
        form: Form::Table,
        tells: table::tells,
        decoder: || Box::new(table::Table::default()),
    },
    Way {
        form: Form::Export,
        tells: export::tells,
        decoder: || Box::new(export::Export::default()),
    },
    Way {
        form: Form::ExportNote,
        tells: |start| start.starts_with(EXPORT_NOTE),
        decoder: || Box::new(Nothing),
    },
    Way {
        form: Form::Csv,
        tells: csv::tells,
        decoder: || Box::new(csv::Csv::default()),
    },
];

/// What the file `aws-logs-write-test` of an export holds.
const EXPORT_NOTE: &[u8] = b"Permission Check Successful";
/// So much of a content is looked at.
const LOOK: usize = 64 << 10;

/// Which wrapping a content that starts so has; `None` for plain lines.
pub fn told_by(start: &[u8]) -> Option<Form> {
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let start = start.get(..LOOK).unwrap_or(start);
    WAYS.iter().find(|w| (w.tells)(start)).map(|w| w.form)
}

fn decoder(form: Form) -> Box<dyn Decoder> {
    let way = WAYS.iter().find(|w| w.form == form);
    way.map_or_else(|| Box::new(Nothing) as Box<dyn Decoder>, |w| (w.decoder)())
}

/// Hands out no line.
struct Nothing;

impl Decoder for Nothing {
    fn feed(&mut self, _: &[u8], _: &mut Out) {}
    fn finish(&mut self, _: bool, _: &mut Out) {}
}
