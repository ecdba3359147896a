//! How a command ends: one message on stderr, one exit code.

use crate::log;
use flowtrail::net::printable;
use flowtrail::{Error, ErrorKind};
use std::io::{self, Write};
use std::process::ExitCode;

/// Done.
pub(crate) const DONE: u8 = 0;
/// Done, and something reached `--fail-on`.
pub(crate) const FOUND: u8 = 1;
/// Wrong usage, configuration or list: nothing was read.
pub(crate) const USAGE: u8 = 2;
/// Some input was not read whole.
pub(crate) const PARTIAL: u8 = 3;
/// Output or state could not be written.
pub(crate) const OUTPUT: u8 = 4;

/// Turns a command's result into the process's; says on stderr what went wrong.
pub(crate) fn exit_code(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => code.into(),
        Err(e) if is_closed_pipe(&e) => DONE.into(),
        Err(e) => {
            warn(&format!("error: {}", told(&e)));
            code_of(&e).into()
        }
    }
}

/// The error and its causes, each said once: some say their cause themselves.
fn told(e: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in e.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn code_of(e: &anyhow::Error) -> u8 {
    match e.downcast_ref::<Error>().map(Error::kind) {
        Some(ErrorKind::Usage(_) | ErrorKind::List(_)) => USAGE,
        Some(ErrorKind::Output(_)) => OUTPUT,
        Some(_) => PARTIAL,
        None if is_of_writing(e) => OUTPUT,
        None => USAGE,
    }
}

/// The reader of our output went away, as `head` does: no reason to complain.
fn is_closed_pipe(e: &anyhow::Error) -> bool {
    e.chain().any(|c| io_kind(c) == Some(io::ErrorKind::BrokenPipe))
}

/// True if output could not be written, and nobody has said so yet.
pub(crate) fn is_of_writing(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Error>().is_none() && e.chain().any(|c| io_kind(c).is_some())
}

/// The kind of a failed write, also of one that the JSON writer met.
fn io_kind(e: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let json = |e: &serde_json::Error| e.io_error_kind();
    let own = e.downcast_ref::<io::Error>().map(io::Error::kind);
    own.or_else(|| e.downcast_ref::<serde_json::Error>().and_then(json))
}

/// One line on stderr, safe to print. A stderr that is gone is nobody's loss.
pub(crate) fn warn(text: &str) {
    if log::takes(text) {
        return;
    }
    let mut err = io::stderr().lock();
    for line in text.split('\n') {
        let _ = writeln!(err, "flowtrail: {}", printable(line.as_bytes()));
    }
}
