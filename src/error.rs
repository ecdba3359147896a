//! Ground floor: the one error type of the library.
//!
//! Every failure names what was being read ([`Position`]) and what to do about it. Bad *lines* are not errors: they
//! are counted where they are met (see `flow::Reject`), because one bad line must cost nothing but itself.

use std::fmt;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and where. One pointer wide, so that `Result` stays small.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    position: Option<Position>,
}

/// The classes of failure that callers tell apart (they decide the exit code).
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be opened, read or mapped.
    Io(std::io::Error),
    /// Content that is not what it claims to be; the text says what was expected.
    Format(String),
    /// A list, database or inventory that cannot be used: exit code 2, nothing is read.
    List(String),
    /// An option, a filter or a configuration value that makes no sense: exit code 2.
    Usage(String),
    /// Output or state that could not be written: exit code 4, the old one is whole.
    Output(std::io::Error),
}

/// A place in an input: file, byte offset and line where they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Byte offset in the (decompressed) content.
    pub byte: Option<u64>,
    /// Physical line, counted from 1.
    pub line: Option<u64>,
}

impl Error {
    /// An error without a place.
    pub fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner { kind, position: None }))
    }

    /// A [`ErrorKind::Format`] error.
    pub fn format(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format(text.into()))
    }

    /// A [`ErrorKind::List`] error.
    pub fn list(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::List(text.into()))
    }

    /// A [`ErrorKind::Usage`] error.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage(text.into()))
    }

    /// A [`ErrorKind::Output`] error on `path`.
    pub fn output(path: &Path, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Output(cause)).at(path)
    }

    /// The same error, placed in `path`.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.position.get_or_insert_with(Position::default).path = path.to_path_buf();
        self
    }

    /// The same error, placed at `line` (counted from 1).
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.0.position.get_or_insert_with(Position::default).line = Some(line);
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The place, where one is known.
    pub fn position(&self) -> Option<&Position> {
        self.0.position.as_ref()
    }

    /// The cause without the place: for lists that have the file in a column of their own.
    pub fn reason(&self) -> String {
        self.0.kind.to_string()
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Io(e) => write!(f, "cannot be read: {e}"),
            ErrorKind::Format(s) | ErrorKind::List(s) | ErrorKind::Usage(s) => f.write_str(s),
            ErrorKind::Output(e) => write!(f, "cannot be written: {e}"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match self.byte {
            Some(byte) => write!(f, " (byte {byte})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.position {
            Some(p) => write!(f, "{p}: {}", self.0.kind),
            None => self.0.kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(e) | ErrorKind::Output(e) => Some(e),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Error::new(ErrorKind::Io(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_file_and_line() {
        let e = Error::list("no good entry").at(Path::new("tor.txt")).line(3);
        assert_eq!(e.to_string(), "tor.txt:3: no good entry");
        assert_eq!(e.reason(), "no good entry");
    }
}
