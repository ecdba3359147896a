//! `scan --index` from the outside: the result is that of the scan without a store, byte by byte, whatever was added, changed,
//! copied or left out; and what cannot be had is said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

#[path = "shared/place.rs"]
mod place;

use place::{Place, all_files, first_difference, hard, refused, said, samples};
use std::fs;
use std::path::Path;

fn scan(place: &Place, with: &[&str]) -> String {
    said(&[&["scan", &place.flows, "--quiet", "--format", "json"], with].concat())
}

/// Scans with and without the store, of which the result is given back.
fn agree(place: &Place, with: &[&str]) -> serde_json::Value {
    let raw = scan(place, with);
    let stored = scan(place, &[with, &["--index", &place.store]].concat());
    assert!(raw == stored, "{with:?}: {}", first_difference(&raw, &stored));
    serde_json::from_str(&raw).unwrap()
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
    let result = agree(&place, &both);
    assert!(cited(&result) >= 8, "too few lines are cited to tell anything");
    agree(&place, &["--threads", "1", "--min-severity", "info", "--custody"]);
    let times = ["--from", "2026-03-04T05:00:00Z", "--to", "2026-03-11T07:00:00Z"];
    agree(&place, &[&both[..], &times, &["--home", "185.220.0.0/16"]].concat());
}

#[test]
fn files_that_were_added_or_changed_are_read_raw() {
    let late = number("20260310T0615Z");
    let place = Place::account(|n| n < 1_000 || n == late || n > 1_400);
    place.build();
    let before = agree(&place, &[]);
    fs::copy(&all_files()[late], place.path_of(late)).unwrap();
    fs::copy(&all_files()[1_401], place.path_of(1_401)).unwrap();
    let added = agree(&place, &[]);
    assert_ne!(before["incidents"], added["incidents"], "what was added shows nowhere");
    place.build();
    agree(&place, &[]);
    // Written anew: a segment serves as a whole or not at all.
    fs::copy(&all_files()[1_402], place.path_of(1_401)).unwrap();
    agree(&place, &[]);
    fs::remove_file(place.path_of(1_010)).unwrap();
    agree(&place, &[]);
    place.build();
    agree(&place, &[]);
    // A copy counts once, known or not, and the first file by name is cited.
    for name in ["aaa-copy.log.gz", "zzz-copy.log.gz"] {
        fs::copy(place.path_of(late), Path::new(&place.flows).join(name)).unwrap();
        agree(&place, &[]);
    }
    place.build();
    agree(&place, &[]);
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
    agree(&place, &[]);
}

#[test]
fn a_baseline_learns_and_judges_the_same() {
    let place = Place::account(|n| n >= 440);
    place.build();
    let file = |name: &str| place.folder.path().join(name).display().to_string();
    let (raw, stored) = (file("raw.ftb"), file("stored.ftb"));
    let with_index = ["--index", place.store.as_str()];
    for (n, baseline) in [&raw, &stored].into_iter().enumerate() {
        let early = ["--baseline", baseline, "--learn", "--to", "2026-03-04T00:00:00Z"];
        let index = if n == 0 { &[][..] } else { &with_index };
        let first = scan(&place, &[&early, index].concat());
        let all = ["--baseline", baseline, "--learn"];
        let second = scan(&place, &[&all, index].concat());
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

#[test]
fn what_only_the_whole_tells_is_told_by_the_store() {
    let place = hard(36);
    place.build();
    let all = ["--min-severity", "info", "--alert-budget", "50/day"];
    let result = agree(&place, &all);
    assert!(cited(&result) > 5, "{result}");
    let skipped = result["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["coverage"]["skipdata"] != 0);
    assert!(skipped.count() > 0, "no incident tells of lost records");
    agree(&place, &[&all[..], &["--from", "2026-03-03T03:00:00Z"]].concat());
    // The last hours come later, and another flow log delivers a file of the first once more.
    let files = |log: &str, hour: &str| {
        let of = fs::read_dir(&place.flows).unwrap().flatten().map(|e| e.path());
        of.filter(|p| p.display().to_string().contains(&format!("{log}_{hour}")))
            .collect::<Vec<_>>()
    };
    let late = files("fl-0a", "20260303T1");
    let kept: Vec<Vec<u8>> = late.iter().map(|p| fs::read(p).unwrap()).collect();
    late.iter().for_each(|p| fs::remove_file(p).unwrap());
    place.build();
    late.iter()
        .zip(&kept)
        .for_each(|(p, bytes)| fs::write(p, bytes).unwrap());
    agree(&place, &all);
    let one = files("fl-0a", "20260303T11").remove(0);
    let twin = one.display().to_string().replace("fl-0a", "fl-0c");
    fs::copy(&one, twin).unwrap();
    agree(&place, &all);
    place.build();
    agree(&place, &all);
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
    let known = agree(&place, &["--min-severity", "info", "--inventory", &inventory]);
    let default = agree(&place, &["--min-severity", "info"]);
    assert_ne!(known["ledger"], default["ledger"], "the formats say the same");
    // A store of that format serves both who gives it and who has the inventory say it as well.
    fs::remove_dir_all(&place.store).unwrap();
    let given = ["--flow-format", format];
    said(
        &[
            &["index", "build", &place.flows, "-o", &place.store, "--quiet"],
            &given[..],
        ]
        .concat(),
    );
    let served = agree(
        &place,
        &[&given[..], &["--min-severity", "info", "--inventory", &inventory]].concat(),
    );
    assert_eq!(known["ledger"], served["ledger"]);
}

#[test]
fn a_damaged_store_is_named_and_not_counted() {
    let place = Place::account(|n| n > 400);
    place.build();
    let args = ["scan", &place.flows, "--index", &place.store, "--format", "json"];
    for name in [
        "manifest",
        "keys-000000-000.parquet",
        "flows-000000-000.parquet",
        "quiet-000000",
    ] {
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
    agree(&place, &[]);
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
