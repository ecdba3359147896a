//! CloudTrail digest files: were log files altered or taken away since AWS wrote them?
//!
//! Each hour's digest names the log files of that hour with the SHA-256 of their unpacked content, and the digest before
//! it with its own. Hashes and links are checked offline. The RSA signatures are not (they need AWS's public keys), so
//! whoever can rewrite every digest goes unnoticed: the report says `unsigned`.
//! Source: "CloudTrail digest file structure" in the CloudTrail user guide.

use crate::aggregate::workers;
use crate::input::{Archive, LogKind, LogName, ReadOptions, Reader, Source};
use rayon::ThreadPool;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What the digests of an archive say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestReport {
    /// Digest files read.
    pub digests: u64,
    /// Log files that they name.
    pub named: u64,
    /// Of these, with the content that AWS wrote.
    pub intact: u64,
    /// What is wrong, sorted by kind and file.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The file that it is about, by its name.
    pub file: String,
    /// More, for people.
    pub why: String,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A log file's content is not what AWS wrote.
    Altered,
    /// A log file that a digest names is not in the archive.
    Missing,
    /// A digest's content is not what the next digest says.
    AlteredDigest,
    /// A digest that the next one names is not in the archive.
    MissingDigest,
    /// A log file of the time that the digests cover is named by none.
    Unlisted,
    /// A digest that cannot be read.
    Unreadable,
}

impl FaultKind {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultKind::Altered => "log file altered",
            FaultKind::Missing => "log file missing",
            FaultKind::AlteredDigest => "digest altered",
            FaultKind::MissingDigest => "digest missing",
            FaultKind::Unlisted => "log file in no digest",
            FaultKind::Unreadable => "digest not readable",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    previous_digest_s3_object: Option<String>,
    #[serde(default)]
    previous_digest_hash_value: Option<String>,
    #[serde(default)]
    log_files: Vec<LogFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFile {
    s3_object: String,
    hash_value: String,
}

/// A digest with the hash of its own unpacked content.
struct Read {
    name: String,
    content: Result<Content, String>,
}

/// What was read of all files: digests, and the hash of every file by its name without folders.
struct Check<'a> {
    archive: &'a Archive,
    digests: Vec<Read>,
    hashes: BTreeMap<String, Option<String>>,
    report: DigestReport,
}

/// Checks the digests of an archive against each other and against its log files. `None` if it has no digest.
pub fn check(archive: &Archive, options: ReadOptions, pool: &ThreadPool) -> Option<DigestReport> {
    let is_digest = |s: &Source| LogName::parse(&s.name).is_some_and(|n| n.kind == LogKind::Digest);
    let sources: Vec<Source> = archive.sources.iter().filter(is_digest).collect();
    if sources.is_empty() {
        return None;
    }
    let step = |found: &mut Vec<Read>, i: usize| found.extend(sources.get(i).map(|s| read(s, options)));
    let mut digests: Vec<Read> = workers::run(pool, sources.len(), Vec::new, step)
        .into_iter()
        .flatten()
        .collect();
    digests.sort_by(|a, b| a.name.cmp(&b.name));
    let mut check = Check {
        archive,
        digests,
        hashes: BTreeMap::new(),
        report: DigestReport::default(),
    };
    check.hash(options, pool);
    check.all();
    Some(check.report)
}

impl Check<'_> {
    /// Hashes the files that digests name.
    fn hash(&mut self, options: ReadOptions, pool: &ThreadPool) {
        let good = || self.digests.iter().filter_map(|d| d.content.as_ref().ok());
        let logs = good().flat_map(|c| c.log_files.iter().map(|l| base(&l.s3_object)));
        let before = good().filter_map(|c| c.previous_digest_s3_object.as_deref().map(base));
        let wanted: BTreeSet<&str> = logs.chain(before).collect();
        let sources: Vec<Source> = self
            .archive
            .sources
            .iter()
            .filter(|s| wanted.contains(base(&s.name)))
            .collect();
        let step = |found: &mut Vec<(String, Option<String>)>, i: usize| {
            if let Some(source) = sources.get(i) {
                found.push((base(&source.name).to_string(), sha256(source, options)));
            }
        };
        self.hashes = workers::run(pool, sources.len(), Vec::new, step)
            .into_iter()
            .flatten()
            .collect();
    }

    fn all(&mut self) {
        let digests = std::mem::take(&mut self.digests);
        let mut listed = BTreeSet::new();
        for digest in &digests {
            match &digest.content {
                Ok(content) => {
                    self.report.digests += 1;
                    self.logs(&digest.name, content, &mut listed);
                    self.link(&digest.name, content, &digests);
                }
                Err(why) => self.fault(FaultKind::Unreadable, &digest.name, why.clone()),
            }
        }
        self.unlisted(&digests, &listed);
        self.report.faults.sort();
        self.report.faults.dedup();
    }

    fn logs(&mut self, digest: &str, content: &Content, listed: &mut BTreeSet<String>) {
        for log in &content.log_files {
            let file = base(&log.s3_object);
            listed.insert(file.to_string());
            self.report.named += 1;
            match self.hashes.get(file).cloned() {
                None => self.fault(FaultKind::Missing, file, format!("named by {digest}")),
                Some(Some(hash)) if hash.eq_ignore_ascii_case(&log.hash_value) => self.report.intact += 1,
                Some(_) => self.fault(FaultKind::Altered, file, format!("its SHA-256 is not that in {digest}")),
            }
        }
    }

    /// The link to the digest before. The first of a chain may point out of the archive.
    fn link(&mut self, digest: &str, content: &Content, digests: &[Read]) {
        let (Some(object), Some(expected)) = (&content.previous_digest_s3_object, &content.previous_digest_hash_value)
        else {
            return;
        };
        let before = base(object);
        match self.hashes.get(before).cloned() {
            Some(Some(hash)) if hash.eq_ignore_ascii_case(expected) => {}
            Some(_) => self.fault(
                FaultKind::AlteredDigest,
                before,
                format!("its SHA-256 is not that in {digest}"),
            ),
            None if is_first(digest, digests) => {}
            None => self.fault(FaultKind::MissingDigest, before, format!("named by {digest}")),
        }
    }

    /// Log files of accounts and regions with digests, stamped between the first and the last of them, that none names.
    fn unlisted(&mut self, digests: &[Read], listed: &BTreeSet<String>) {
        let mut spans: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
        for name in digests.iter().filter_map(|d| LogName::parse(&d.name)) {
            let (first, last) = spans
                .entry((name.account, name.region))
                .or_insert((name.stamp, name.stamp));
            (*first, *last) = ((*first).min(name.stamp), (*last).max(name.stamp));
        }
        // A digest lists what was delivered in the hour before its stamp; the last quarter of an hour may be in the next.
        const OPEN: u64 = 900;
        for source in &self.archive.sources {
            let Some(name) = LogName::parse(&source.name).filter(|n| n.kind == LogKind::Trail) else {
                continue;
            };
            let Some((first, last)) = spans.get(&(name.account, name.region)) else {
                continue;
            };
            let inside = *first < name.stamp && name.stamp.saturating_add(OPEN) < *last;
            if inside && !listed.contains(base(&source.name)) {
                self.report.faults.push(Fault {
                    kind: FaultKind::Unlisted,
                    file: base(&source.name).to_string(),
                    why: "AWS did not deliver it, or its digest is missing".into(),
                });
            }
        }
    }

    fn fault(&mut self, kind: FaultKind, file: &str, why: String) {
        self.report.faults.push(Fault {
            kind,
            file: file.to_string(),
            why,
        });
    }
}

/// True if no digest of the same trail is stamped earlier.
fn is_first(name: &str, digests: &[Read]) -> bool {
    let Some(own) = LogName::parse(name) else { return true };
    let same = |o: &LogName<'_>| (o.account, o.region, o.log) == (own.account, own.region, own.log);
    let others = digests.iter().filter_map(|d| LogName::parse(&d.name));
    others.filter(same).all(|o| o.stamp >= own.stamp)
}

fn read(source: &Source, options: ReadOptions) -> Read {
    let mut text = Vec::new();
    let content = match Reader::new(options).whole(source, &mut text) {
        Ok(None) => serde_json::from_slice(&text).map_err(|e| format!("not a digest: {e}")),
        Ok(Some(damage)) => Err(damage.reason()),
        Err(e) => Err(e.reason()),
    };
    Read {
        name: base(&source.name).to_string(),
        content,
    }
}

fn sha256(source: &Source, options: ReadOptions) -> Option<String> {
    let mut text = Vec::new();
    let damage = Reader::new(options).whole(source, &mut text).ok()?;
    let hash = Sha256::digest(&text);
    damage
        .is_none()
        .then(|| hash.iter().map(|b| format!("{b:02x}")).collect())
}

/// A name without its folders.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
