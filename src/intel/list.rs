//! What is said of a list: where it came from, how old it is, what was good and what was not.
//!
//! A list with some bad lines serves and names them; one that cannot be read, that has no good entry, or more bad than
//! good, is an error: a run must not go on as if nobody were listed. A list that was not given is `not loaded`, which is
//! never the same as no hit.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::net::{Seconds, parse_rfc3339, printable};

/// A list in use, or one that could be and is not.
#[derive(Debug, Clone, Serialize)]
pub struct ListInfo {
    /// Short name: the file's, or that of the kind.
    pub name: String,
    /// What it tells of an address.
    pub kind: ListKind,
    /// The file as the user named it, or the package of an embedded snapshot with its version.
    pub source: String,
    /// When its content was made, RFC 3339; none where the list does not say.
    pub date: Option<String>,
    /// Prefixes, ranges or networks in it; none where counting would mean to walk a whole database.
    pub entries: Option<u64>,
    /// Of the file's bytes.
    pub sha256: Option<String>,
    /// Where it comes from, or that it is missing.
    pub status: Status,
    /// Entries that could be read.
    pub good: u64,
    /// Entries that could not.
    pub rejected: u64,
    /// What a reader should know: the first bad entries (`file:line: reason`), blocks that are too wide, and the like.
    pub warnings: Vec<String>,
    /// Why the list cannot be used, if so.
    pub file_error: Option<String>,
    #[serde(skip)]
    pub(super) path: PathBuf,
}

/// What a list tells of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// The organisation's own and the special ranges.
    Home,
    /// AWS's prefixes by service and region (ip-ranges.json).
    Aws,
    /// A VPC prefix list.
    PrefixList,
    /// Countries.
    Geoip,
    /// Autonomous systems.
    Asn,
    /// Where Tor leaves: callers.
    TorExit,
    /// Where Tor is entered: outbound use.
    TorGuard,
    /// Tor's directory authorities: outbound use, too.
    TorAuthority,
    /// A threat list of the user's.
    Threat,
}

/// Where a list in use comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A dated snapshot inside the program.
    Embedded,
    /// A file that the user named.
    File,
    /// There is none: nothing can be said, which is not the same as no hit.
    #[serde(rename = "not loaded")]
    NotLoaded,
}

impl ListKind {
    /// The name used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            ListKind::Home => "home",
            ListKind::Aws => "aws",
            ListKind::PrefixList => "prefix-list",
            ListKind::Geoip => "geoip",
            ListKind::Asn => "asn",
            ListKind::TorExit => "tor-exit",
            ListKind::TorGuard => "tor-guard",
            ListKind::TorAuthority => "tor-authority",
            ListKind::Threat => "threat",
        }
    }
}

impl Status {
    /// The word used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Embedded => "embedded",
            Status::File => "file",
            Status::NotLoaded => "not loaded",
        }
    }
}

impl ListInfo {
    fn new(kind: ListKind, name: &str, source: String, status: Status) -> Self {
        ListInfo {
            name: name.into(),
            kind,
            source,
            date: None,
            entries: None,
            sha256: None,
            status,
            good: 0,
            rejected: 0,
            warnings: Vec::new(),
            file_error: None,
            path: PathBuf::new(),
        }
    }

    /// A list that nobody gave.
    pub(super) fn not_loaded(kind: ListKind) -> Self {
        ListInfo::new(kind, kind.as_str(), "-".into(), Status::NotLoaded)
    }

    /// A snapshot inside the program.
    pub(super) fn embedded(kind: ListKind, source: String, entries: u64) -> Self {
        let info = ListInfo::new(kind, kind.as_str(), source, Status::Embedded);
        ListInfo {
            good: entries,
            entries: Some(entries),
            ..info
        }
    }

    /// Reads the file of a list whole; what goes wrong stands in `file_error` and the bytes are empty.
    pub(super) fn read(kind: ListKind, path: &Path) -> (Self, Vec<u8>) {
        let name = path
            .file_name()
            .map_or_else(String::new, |n| printable(n.as_encoded_bytes()));
        let mut info = ListInfo::new(
            kind,
            &name,
            printable(path.as_os_str().as_encoded_bytes()),
            Status::File,
        );
        info.path = path.to_path_buf();
        match read_bounded(path) {
            Ok(bytes) => {
                info.sha256 = Some(hex(&Sha256::digest(&bytes)));
                (info, bytes)
            }
            Err(reason) => {
                info.file_error = Some(reason);
                (info, Vec::new())
            }
        }
    }

    /// Counts a bad entry; the first ones are named.
    pub(super) fn reject(&mut self, place: &str, reason: &str) {
        self.rejected += 1;
        if self.rejected <= MAX_NAMED {
            self.warnings.push(format!("{}:{place}: {reason}", self.source));
        }
    }

    /// The verdict when all is read: `entries` are in force, unless the list is an error.
    pub(super) fn finish(&mut self, entries: u64) {
        self.entries = Some(entries);
        if self.rejected > MAX_NAMED {
            self.warnings.push(format!(
                "{}: {} more bad entries",
                self.source,
                self.rejected - MAX_NAMED
            ));
        }
        if self.file_error.is_none() && (self.good == 0 || self.rejected > self.good) {
            self.file_error = Some(self.verdict());
        }
    }

    fn verdict(&self) -> String {
        let first = self
            .warnings
            .first()
            .map_or_else(String::new, |w| format!("; first: {w}"));
        match (self.good, self.rejected) {
            (0, 0) => "an empty list: give one with at least one address, or leave the option out".into(),
            (0, bad) => format!("not a list: none of its {bad} entries is good{first}"),
            (good, bad) => format!("more bad than good entries ({bad} bad, {good} good){first}"),
        }
    }

    /// The date as seconds since 1970.
    pub fn date_seconds(&self) -> Option<Seconds> {
        self.date.as_deref().and_then(parse_rfc3339)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        Err(format!("larger than {MAX_BYTES} bytes: not a list"))
    } else {
        Ok(bytes)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// So many bad entries are named one by one.
const MAX_NAMED: u64 = 20;

/// The largest real database, MaxMind's Enterprise, has about 500 MB.
const MAX_BYTES: u64 = 1 << 30;
