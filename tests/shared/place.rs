//! An archive of its own and its store, as the tests of the side store want them: of the sample account, or of hard cases.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "each test is a crate of its own, and not each uses all"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A file or folder of the samples.
pub(crate) fn samples(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    path.display().to_string()
}

/// Runs the program.
pub(crate) fn flowtrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap()
}

/// What it prints, if all is well.
pub(crate) fn said(args: &[&str]) -> String {
    let out = flowtrail(args);
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {error}");
    String::from_utf8(out.stdout).unwrap()
}

/// What is refused, and with which words.
pub(crate) fn refused(args: &[&str]) -> String {
    let out = flowtrail(args);
    assert_eq!(out.status.code(), Some(2), "{args:?}");
    assert!(out.stdout.is_empty(), "{args:?} shows a result");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// An archive of its own, and where its store is to be.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) flows: String,
    pub(crate) store: String,
}

impl Place {
    /// With nothing in it.
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let flows = folder.path().join("flows");
        fs::create_dir(&flows).unwrap();
        Place {
            flows: flows.display().to_string(),
            store: folder.path().join("store").display().to_string(),
            folder,
        }
    }

    /// The sample account, without every file that `leave` names.
    pub(crate) fn account(leave: impl Fn(usize) -> bool) -> Place {
        let place = Place::new();
        for (n, file) in all_files().iter().enumerate().filter(|(n, _)| !leave(*n)) {
            fs::copy(file, place.path_of(n)).unwrap();
        }
        place
    }

    /// Where a file of the sample account is here.
    pub(crate) fn path_of(&self, number: usize) -> PathBuf {
        Path::new(&self.flows).join(all_files()[number].file_name().unwrap())
    }

    /// Brings the store up to date, and gives back what is said of it.
    pub(crate) fn build(&self) -> String {
        let out = flowtrail(&["index", "build", &self.flows, "-o", &self.store]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stderr).unwrap()
    }

    /// Writes a file of a flow log, as AWS names it.
    pub(crate) fn write(&self, log: &str, hour: u32, part: &str, text: &str) {
        let name = format!(
            "111122223333_vpcflowlogs_eu-central-1_{log}_202603{:02}T{:02}00Z_{part}.log.gz",
            2 + hour / 24,
            hour % 24
        );
        let file = fs::File::create(Path::new(&self.flows).join(name)).unwrap();
        let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap();
    }
}

/// The first lines that differ.
pub(crate) fn first_difference(a: &str, b: &str) -> String {
    let differ = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    differ.map_or_else(|| "one is longer".to_owned(), |(a, b)| format!("{a}\n{b}"))
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The sample account's flow logs, in the order of time.
pub(crate) fn all_files() -> &'static [PathBuf] {
    static FILES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = Vec::new();
        walk(Path::new(&samples("account/flow")), &mut files);
        files.sort();
        files
    })
}

/// An archive of hard cases: two flow logs on one interface with holes, lost records and silence, IPv6 of which only the whole
/// tells whose end is whose, two high ports of which only the whole tells who listens, and one that sends much at last.
///
/// It has so many hours, of which the last five are those.
pub(crate) fn hard(hours: u32) -> Place {
    let place = Place::new();
    let late = hours - 5;
    for hour in 0..hours {
        let start = 1_772_409_600 + u64::from(hour) * 3_600;
        let mut texts = [String::new(), String::new()];
        for n in 0..24u64 {
            let (from, to) = (start + n * 140, start + n * 140 + 60);
            let bytes = if hour >= late { 90_000_000 } else { 4_000 + n % 3 };
            let far = if hour >= late { 77 } else { n % 5 };
            let port = 40_000 + n;
            let lines = format!(
                "2 111122223333 eni-0aa 10.0.0.5 198.51.100.{far} {port} 443 6 9 {bytes} {from} {to} ACCEPT OK\n\
                 2 111122223333 eni-0aa 198.51.100.{far} 10.0.0.5 443 {port} 6 9 700 {from} {to} ACCEPT OK\n\
                 2 111122223333 eni-0bb 2001:db8::5 2600:1f18::{far} {port} 443 6 9 {bytes} {from} {to} ACCEPT OK\n\
                 2 111122223333 eni-0bb 10.0.0.6 203.0.113.{far} 5{n:04} 47808 17 9 {bytes} {from} {to} ACCEPT OK\n\
                 2 111122223333 eni-0bb 10.0.0.6 203.0.113.9 33{n:03} 443 6 1 40 {from} {to} REJECT OK\n"
            );
            // The second flow log sees the first interface alone, and another share of the lines in some hours.
            if hour % 7 != 3 {
                texts[0] += &lines;
            }
            texts[1] += lines.lines().next().unwrap();
            texts[1] += "\n";
        }
        let quiet = format!(
            "2 111122223333 eni-0cc - - - - - - - {start} {} - NODATA\n",
            start + 600
        );
        let lost = format!(
            "2 111122223333 eni-0aa - - - - - - - {start} {} - SKIPDATA\n",
            start + 60 + u64::from(hour)
        );
        texts[0] += &quiet;
        texts[1] += if hour % 5 == 0 || hour >= late { &lost } else { "" };
        let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
        place.write("fl-0a", hour, "x", &format!("{header}{}", texts[0]));
        place.write("fl-0b", hour, "y", &format!("{header}{}", texts[1]));
    }
    place
}
