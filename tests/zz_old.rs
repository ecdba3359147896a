//! `scan --index` from the outside: the result is that of the scan without a store, byte by byte, whatever was added, changed,
//! copied or left out; and what cannot be had is said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn samples(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    path.display().to_string()
}

fn flowtrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap()
}

fn said(args: &[&str]) -> String {
    let out = flowtrail(args);
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {error}");
    String::from_utf8(out.stdout).unwrap()
}

/// What is refused, and with which words.
fn refused(args: &[&str]) -> String {
    let out = flowtrail(args);
    assert_eq!(out.status.code(), Some(2), "{args:?}");
    assert!(out.stdout.is_empty(), "{args:?} shows a result");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// An archive of its own, and where its store is to be.
struct Place {
    folder: tempfile::TempDir,
    flows: String,
    store: String,
}

impl Place {
    fn new() -> Place {
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
    fn account(leave: impl Fn(usize) -> bool) -> Place {
        let place = Place::new();
        for (n, file) in all_files().iter().enumerate().filter(|(n, _)| !leave(*n)) {
            fs::copy(file, place.path_of(n)).unwrap();
        }
        place
    }

    fn path_of(&self, number: usize) -> PathBuf {
        Path::new(&self.flows).join(all_files()[number].file_name().unwrap())
    }

    fn build(&self) {
        said(&["index", "build", &self.flows, "-o", &self.store, "--quiet"]);
    }

    fn scan(&self, with: &[&str]) -> String {
        said(&[&["scan", &self.flows, "--quiet", "--format", "json"], with].concat())
    }

    /// Both ways, of which the result is given back.
    fn agree(&self, with: &[&str]) -> serde_json::Value {
        let raw = self.scan(with);
        let stored = self.scan(&[with, &["--index", &self.store]].concat());
        assert!(raw == stored, "{with:?}: {}", first_difference(&raw, &stored));
        serde_json::from_str(&raw).unwrap()
    }

    /// Writes a file of a flow log, as AWS names it.
    fn write(&self, log: &str, hour: u32, part: &str, text: &str) {
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

fn first_difference(a: &str, b: &str) -> String {
    let differ = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    differ.map_or_else(|| "one is longer".to_owned(), |(a, b)| format!("{a}\n{b}"))
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(Path::new(&samples("account/flow")), &mut files);
    files.sort();
    files
}

/// The number of the file of this time.
fn number(time: &str) -> usize {
    let files = all_files();
    files
        .iter()
        .position(|f| f.display().to_string().contains(time))
        .unwrap()
}

/// Lines that the incidents of a result cite.
fn cited(result: &serde_json::Value) -> usize {
    let all = result["incidents"].as_array().unwrap();
    all.iter().map(|i| i["evidence"].as_array().map_or(0, Vec::len)).sum()
}

#[test]
fn a_scan_by_the_store_is_the_one_of_the_account() {
    let place = Place::account(|_| false);
    place.build();
    let (trail, tor) = (samples("account/trail"), samples("account/intel/torbulkexitlist"));
    let inventory = samples("account/inventory/describe-network-interfaces.json");
    let both = ["--trail", &trail, "--inventory", &inventory, "--tor-exits", &tor];
    let result = place.agree(&both);
    assert!(cited(&result) >= 8, "too few lines are cited to tell anything");
    place.agree(&[&both[..], &["--threads", "1", "--min-severity", "info", "--custody"]].concat());
    place.agree(&["--home", "185.220.0.0/16"]);
    let times = ["--from", "2026-03-04T05:00:00Z", "--to", "2026-03-11T07:00:00Z"];
    place.agree(&[&both[..], &times].concat());
}

#[test]
fn files_that_were_added_or_changed_are_read_raw() {
    let late = number("20260310T0615Z");
    let place = Place::account(|n| n < 700 || n == late || n > 1_400);
    place.build();
    let before = place.agree(&[]);
    fs::copy(&all_files()[late], place.path_of(late)).unwrap();
    fs::copy(&all_files()[1_401], place.path_of(1_401)).unwrap();
    let added = place.agree(&[]);
    assert_ne!(before["incidents"], added["incidents"], "what was added shows nowhere");
    place.build();
    place.agree(&[]);
    // Written anew: a segment serves as a whole or not at all.
    fs::copy(&all_files()[1_402], place.path_of(1_401)).unwrap();
    place.agree(&[]);
    fs::remove_file(place.path_of(710)).unwrap();
    place.agree(&[]);
    place.build();
    place.agree(&[]);
    // A copy counts once, known or not, and the first file by name is cited.
    for name in ["aaa-copy.log.gz", "zzz-copy.log.gz"] {
        fs::copy(place.path_of(late), Path::new(&place.flows).join(name)).unwrap();
        place.agree(&[]);
    }
    place.build();
    place.agree(&[]);
}

#[test]
fn a_store_that_holds_nothing_of_the_archive_changes_nothing() {
    let other = Place::new();
    other.write(
        "fl-0a",
        0,
        "x",
        "2 1 eni-0 10.0.0.1 10.0.0.2 1 2 6 1 1 100 160 ACCEPT OK\n",
    );
    other.build();
    let place = Place {
        store: other.store.clone(),
        ..Place::account(|n| n < 1_200)
    };
    place.agree(&[]);
}

#[test]
fn a_baseline_learns_and_judges_the_same() {
    let place = Place::account(|n| n >= 600);
    place.build();
    let file = |name: &str| place.folder.path().join(name).display().to_string();
    let (raw, stored) = (file("raw.ftb"), file("stored.ftb"));
    let with_index = ["--index", place.store.as_str()];
    for (n, baseline) in [&raw, &stored].into_iter().enumerate() {
        let early = ["--baseline", baseline, "--learn", "--to", "2026-03-04T00:00:00Z"];
        let index = if n == 0 { &[][..] } else { &with_index };
        let first = place.scan(&[&early, index].concat());
        let all = ["--baseline", baseline, "--learn"];
        let second = place.scan(&[&all, index].concat());
        fs::write(file(&format!("{n}.json")), first + &second).unwrap();
    }
    let text = |name: &str| fs::read_to_string(file(name)).unwrap();
    assert!(
        text("0.json") == text("1.json"),
        "{}",
        first_difference(&text("0.json"), &text("1.json"))
    );
    assert_eq!(fs::read(&raw).unwrap(), fs::read(&stored).unwrap());
}

/// An archive of hard cases: two flow logs on one interface with holes, lost records and silence, IPv6 of which only the whole
/// tells whose end is whose, two high ports of which only the whole tells who listens, and one that sends much at last.
fn hard() -> Place {
    let place = Place::new();
    for hour in 0..96 {
        let start = 1_772_409_600 + u64::from(hour) * 3_600;
        let mut texts = [String::new(), String::new()];
        for n in 0..24u64 {
            let (from, to) = (start + n * 140, start + n * 140 + 60);
            let bytes = if hour > 90 { 90_000_000 } else { 4_000 + n % 3 };
            let far = if hour > 90 { 77 } else { n % 5 };
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
        texts[1] += if hour % 5 == 0 || hour > 90 { &lost } else { "" };
        let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
        place.write("fl-0a", hour, "x", &format!("{header}{}", texts[0]));
        place.write("fl-0b", hour, "y", &format!("{header}{}", texts[1]));
    }
    place
}

#[test]
fn what_only_the_whole_tells_is_told_by_the_store() {
    let place = hard();
    place.build();
    let all = ["--min-severity", "info", "--alert-budget", "50/day"];
    let result = place.agree(&all);
    assert!(cited(&result) > 5, "{result}");
    let skipped = result["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["coverage"]["skipdata"] != 0);
    assert!(skipped.count() > 0, "no incident tells of lost records");
    place.agree(&[&all[..], &["--from", "2026-03-03T03:00:00Z"]].concat());
    // The last hours come later, and another flow log delivers a file of the first once more.
    let files = |log: &str, hour: &str| {
        let of = fs::read_dir(&place.flows).unwrap().flatten().map(|e| e.path());
        of.filter(|p| p.display().to_string().contains(&format!("{log}_{hour}")))
            .collect::<Vec<_>>()
    };
    let late = files("fl-0a", "20260305T2");
    let kept: Vec<Vec<u8>> = late.iter().map(|p| fs::read(p).unwrap()).collect();
    late.iter().for_each(|p| fs::remove_file(p).unwrap());
    place.build();
    late.iter()
        .zip(&kept)
        .for_each(|(p, bytes)| fs::write(p, bytes).unwrap());
    place.agree(&all);
    let one = files("fl-0a", "20260305T23").remove(0);
    let twin = one.display().to_string().replace("fl-0a", "fl-0c");
    fs::copy(&one, twin).unwrap();
    place.agree(&all);
    place.build();
    place.agree(&all);
}

#[test]
fn text_without_a_header_is_read_by_the_format_that_the_inventory_knows() {
    let place = Place::new();
    for hour in 0..30 {
        let start = 1_772_409_600 + u64::from(hour) * 3_600;
        let bytes = if hour > 27 { 900_000_000 } else { 10_000 };
        let end = start + 60;
        let line =
            format!("2 111122223333 eni-0aa 10.0.0.5 198.51.100.7 41000 443 6 {bytes} 9 {start} {end} ACCEPT OK\n");
        place.write("fl-0a", hour, "x", &line);
    }
    place.build();
    let inventory = place.folder.path().join("flow-logs.json").display().to_string();
    let format = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                  ${bytes} ${packets} ${start} ${end} ${action} ${log-status}";
    let known = serde_json::json!({"FlowLogs": [{"FlowLogId": "fl-0a", "ResourceId": "vpc-0a", "LogFormat": format}]});
    fs::write(&inventory, known.to_string()).unwrap();
    let known = place.agree(&["--min-severity", "info", "--inventory", &inventory]);
    let default = place.agree(&["--min-severity", "info"]);
    assert_ne!(known["ledger"], default["ledger"], "the formats say the same");
}

#[test]
fn a_damaged_store_is_named_and_not_counted() {
    let place = Place::account(|n| n > 400);
    place.build();
    let args = ["scan", &place.flows, "--index", &place.store, "--format", "json"];
    for name in ["manifest", "keys-000000-000.parquet", "flows-000000-000.parquet"] {
        let path = Path::new(&place.store).join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for bad in [&whole[..whole.len() / 2], &flipped] {
            fs::write(&path, bad).unwrap();
            let error = refused(&args);
            assert!(error.contains("damaged") && error.contains(name), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(refused(&args).contains(name));
        fs::write(&path, &whole).unwrap();
    }
    place.agree(&[]);
}

#[test]
fn what_a_store_cannot_give_is_refused() {
    let place = Place::account(|n| n > 20);
    place.build();
    let scan = |with: &[&str]| refused(&[&["scan", &place.flows, "--index", &place.store], with].concat());
    let hours = scan(&["--from", "2026-03-02T03:10:00Z"]);
    assert!(hours.contains("give full hours to --from and --to"), "{hours}");
    let file = place.folder.path().join("out").display().to_string();
    for other in [
        &["--rejects", &file][..],
        &["--partial", &file],
        &["--state", &file],
        &["--plan"],
        &["--strict"],
    ] {
        let error = scan(other);
        assert!(error.contains("--index") && error.contains(other[0]), "{error}");
    }
    let missing = refused(&["scan", &place.flows, "--index", &file]);
    assert!(missing.contains("manifest"), "{missing}");
}
