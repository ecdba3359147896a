//! The side store from the outside: answers are the archive's, whatever was added, changed or damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

#[path = "shared/place.rs"]
mod place;

use flowtrail::aggregate::Shelf;
use flowtrail::index::{IndexShelf, Manifest, Wanted};
use flowtrail::input::RemoteOptions;
use flowtrail::net::Addr;
use place::{Place, all_files, flowtrail, refused, said};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first days of the sample account, as many as are asked for.
fn place(days: usize) -> Place {
    let each = all_files().len() / 10;
    Place::account(|n| n >= each * days)
}

impl Place {
    fn lookup(&self, key: &str, with: &[&str]) -> String {
        said(&[&["lookup", key, "--format", "json", "--quiet"], with].concat())
    }

    /// Raw, checked line by line, and from the store.
    fn agree(&self, key: &str) {
        let raw = self.lookup(key, &["--flows", &self.flows, "--validate"]);
        let stored = self.lookup(key, &["--flows", &self.flows, "--index", &self.store]);
        assert!(raw == stored, "{key}: {raw}\n{stored}");
        let alone = self.lookup(key, &["--index", &self.store]);
        assert!(raw == alone, "{key}: {raw}\n{alone}");
    }

    /// The same while the store lacks some files: of those only hits are checked, and the card says so.
    fn agree_in_part(&self, key: &str) {
        let card = |with: &[&str]| {
            let mut document: serde_json::Value = serde_json::from_str(&self.lookup(key, with)).unwrap();
            let coverage = document["cards"][0]["coverage"]["flows"].take();
            (document, coverage["lines"].clone(), coverage["files"].clone())
        };
        let raw = card(&["--flows", &self.flows]);
        let stored = card(&["--flows", &self.flows, "--index", &self.store]);
        assert!(raw == stored, "{key}: {raw:?}\n{stored:?}");
    }
}

const KEYS: [&str; 6] = [
    "185.220.101.34",
    "10.20.0.0/16",
    "10.20.11.0/26",
    "eni-0c2f3a7d5b1e94a60",
    "203.0.113.0/24",
    "2600::/12",
];

fn some_keys(place: &Place) -> Vec<String> {
    let top = said(&[
        "top",
        &place.flows,
        "--by",
        "eni,src,dst",
        "--limit",
        "4",
        "--format",
        "csv",
        "--quiet",
    ]);
    let mut keys: Vec<String> = KEYS.iter().map(|k| (*k).to_owned()).collect();
    for line in top.lines().skip(1) {
        keys.extend(line.split(',').take(3).map(str::to_owned));
    }
    keys.sort();
    keys.dedup();
    keys
}

#[test]
fn a_look_up_by_the_store_is_the_one_by_every_line() {
    let place = place(2);
    place.build();
    for key in some_keys(&place) {
        place.agree(&key);
    }
}

#[test]
fn records_and_filters_on_records_come_from_the_raw_files() {
    let place = place(1);
    place.build();
    let key = "10.20.0.0/16";
    for more in [
        &["--records"][..],
        &["--where", "bytes>100000", "--no-pivot"],
        &["--from", "2026-03-02T03:10:00Z", "--to", "2026-03-02T05:20:00Z"],
    ] {
        let raw = place.lookup(key, &[&["--flows", &place.flows], more].concat());
        let stored = place.lookup(
            key,
            &[&["--flows", &place.flows, "--index", &place.store], more].concat(),
        );
        let without_basis = |t: &str| t.split("\"coverage\"").next().unwrap().to_owned();
        assert_eq!(without_basis(&raw), without_basis(&stored), "{more:?}");
    }
}

#[test]
fn top_over_the_store_is_top_over_the_archive() {
    let place = place(2);
    place.build();
    let tables: [&[&str]; 6] = [
        &["--by", "eni,dst"],
        &["--by", "eni,src,dst,port,hour,class", "--direction", "both"],
        &["--by", "hour,class", "--where", "class=external,s3,aws port=443"],
        &["--by", "dst,port", "--where", "class=home"],
        &[
            "--by",
            "service,asn",
            "--from",
            "2026-03-02T05:00:00Z",
            "--to",
            "2026-03-02T17:00:00Z",
        ],
        &["--by", "eni", "--home", "185.220.0.0/16", "--where", "bytes>100000"],
    ];
    for by in tables {
        let common = [
            "top",
            &place.flows,
            "--limit",
            "0",
            "--totals",
            "--format",
            "csv",
            "--quiet",
        ];
        let raw = said(&[&common, by].concat());
        assert!(raw.lines().count() > 2, "{by:?} shows nothing");
        assert_eq!(raw, said(&[&common, by, &["--index", &place.store]].concat()), "{by:?}");
    }
}

#[test]
fn only_new_and_changed_files_are_read() {
    let place = place(1);
    assert!(place.build().contains("144 files read, 0 held already"));
    assert!(
        place
            .build()
            .contains("0 files read, 144 held already, 0 segments dropped")
    );
    let added = all_files();
    fs::copy(&added[150], place.path_of(150)).unwrap();
    place.agree_in_part("10.20.0.0/16");
    assert!(place.build().contains("1 files read, 144 held already"));
    place.agree("10.20.0.0/16");
    // One that is written anew costs its segment.
    fs::copy(&added[160], place.path_of(150)).unwrap();
    let alone = said(&["lookup", "10.20.0.0/16", "--index", &place.store, "--quiet"]);
    assert!(alone.contains("145 files"), "{alone}");
    place.agree_in_part("10.20.0.0/16");
    assert!(
        place
            .build()
            .contains("1 files read, 144 held already, 1 segments dropped")
    );
    place.agree("10.20.0.0/16");
    // A copy counts once, before and after it is known.
    fs::copy(&added[3], Path::new(&place.flows).join("copy.log.gz")).unwrap();
    place.agree_in_part("10.20.0.0/16");
    place.build();
    place.agree("10.20.0.0/16");
}

#[test]
fn an_address_that_occurs_nowhere_is_said_so_with_the_coverage() {
    let place = place(1);
    place.build();
    for from in [["--flows", &place.flows], ["--index", &place.store]] {
        let text = said(&["lookup", "192.0.2.77", from[0], from[1], "--quiet"]);
        assert!(text.contains("occurs nowhere in what was read"), "{text}");
        assert!(text.contains("144 files"), "{text}");
    }
}

#[test]
fn a_damaged_store_is_refused_and_the_archive_still_answers() {
    let place = place(1);
    place.build();
    for name in ["manifest", "keys-000000-000.parquet", "flows-000000-000.parquet"] {
        let path = Path::new(&place.store).join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let out = flowtrail(&["lookup", "10.20.0.0/16", "--index", &place.store, "--quiet"]);
        assert_eq!(out.status.code(), Some(2), "{name}");
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(error.contains("damaged") && error.contains(name), "{error}");
        fs::write(&path, &whole).unwrap();
    }
    place.agree("10.20.0.0/16");
}

#[test]
fn what_a_question_does_not_print_is_not_read() {
    let place = place(1);
    place.build();
    let top = |with: &[&str]| said(&[&["top", &place.flows, "--format", "csv", "--quiet"], with].concat());
    let totals = top(&[]);
    let path = Path::new(&place.store).join("quiet-000000");
    for damage in [Some("no such thing"), None] {
        match damage {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        place.agree("10.20.0.0/16");
        assert_eq!(top(&["--index", &place.store]), totals);
        let out = flowtrail(&["scan", &place.flows, "--index", &place.store]);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{error}");
        assert!(error.contains("quiet-000000") && error.contains("damaged"), "{error}");
    }
}

#[test]
fn a_build_removes_what_no_manifest_names_and_nothing_else() {
    let place = place(1);
    place.build();
    let folder = Path::new(&place.store);
    let names = || -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    };
    let whole = names();
    assert!(whole.contains("quiet-000000"), "{whole:?}");
    for leftover in [
        "flows-000009-000.parquet",
        ".keys-000009-000.parquet.part",
        "quiet-000009",
        ".quiet-000009.part",
    ] {
        fs::write(folder.join(leftover), "left by a killed build").unwrap();
    }
    fs::write(folder.join("quiet-notes"), "of somebody else").unwrap();
    place.build();
    let others: Vec<String> = names().difference(&whole).cloned().collect();
    assert_eq!(others, ["quiet-notes"]);
    assert!(names().is_superset(&whole));
    place.agree("10.20.0.0/16");
}

#[test]
fn a_store_of_an_older_format_says_what_to_do() {
    let place = place(1);
    place.build();
    let path = Path::new(&place.store).join("manifest");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] -= 1;
    fs::write(&path, &bytes).unwrap();
    for args in [
        ["lookup", "10.20.0.0/16", "--index", &place.store],
        ["index", "build", &place.flows, "--output"],
    ] {
        let mut args = args.to_vec();
        if args[0] == "index" {
            args.push(&place.store);
        }
        let out = flowtrail(&args);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{error}");
        assert!(
            error.contains("an older flowtrail") && error.contains("build it again"),
            "{error}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// What a store says when it is asked for all, and for one address: sums, and the files that need not be read.
fn answer(folder: &Path) -> Result<[u128; 3], flowtrail::Error> {
    let manifest = Manifest::open(folder)?;
    let archive = manifest.archive(&RemoteOptions::default())?;
    let sought = Wanted {
        names: ["52.46.150.17".to_owned()].into(),
        networks: vec!["10.20.0.0/16".parse().unwrap()],
        ends: false,
    };
    let mut said = [0u128; 3];
    for (sum, wanted) in said.iter_mut().zip([None, Some(sought.clone())]) {
        let shelf = IndexShelf::new(folder, &manifest, &archive, &archive, wanted);
        shelf.quiet(&mut |log, id, seen| {
            let windows: u64 = seen.lost.iter().map(|w| 3 * w.from + w.to).sum();
            let texts: u64 = log.bytes().chain(id.iter().copied()).map(u64::from).sum();
            *sum += u128::from(seen.first ^ seen.last) + u128::from(5 * seen.nodata + windows + texts);
        });
        let mut place = 1;
        for part in 0..shelf.parts() {
            shelf.fill(part, &|_| 0, &mut |s| {
                let v = &s.volume;
                let ports = u128::from(s.src_port) << 16 | u128::from(s.dst_port);
                let row = v.bytes + 3 * v.packets + 7 * u128::from(v.flows) + 11 * u128::from(v.first ^ v.last) + ports;
                let end = |a: Addr| match a.ip() {
                    std::net::IpAddr::V4(a) => u128::from(a.to_bits()),
                    std::net::IpAddr::V6(a) => a.to_bits() >> 32,
                };
                *sum = u128::wrapping_add(*sum, row * place + 13 * end(s.src) + 17 * end(s.dst));
                place += 1;
            });
        }
        shelf.check()?;
    }
    let files = IndexShelf::of_files(folder, &manifest, &archive, &archive, &sought)?;
    said[2] = (0..archive.sources.len() as u32)
        .map(|f| u128::from(files.holds(f)) << (f % 100))
        .sum();
    Ok(said)
}

#[test]
fn no_flipped_bit_of_a_store_gives_another_answer() {
    let place = place(1);
    place.build();
    let folder = Path::new(&place.store);
    let whole = answer(folder).unwrap();
    let (mut told, mut all) = (0, 0);
    for name in [
        "manifest",
        "keys-000000-000.parquet",
        "flows-000000-000.parquet",
        "quiet-000000",
    ] {
        let path = folder.join(name);
        let content = fs::read(&path).unwrap();
        // a fixed sequence of places and bits, spread over the file
        for n in 0..300u64 {
            let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 7);
            let at = (random >> 16) as usize % content.len();
            let mut bad = content.clone();
            bad[at] ^= 1 << (random % 8);
            fs::write(&path, &bad).unwrap();
            match answer(folder) {
                Err(e) => {
                    assert!(e.to_string().contains(name), "{e}");
                    told += 1;
                }
                Ok(same) => assert_eq!(same, whole, "{name}: byte {at} was flipped, and nobody noticed"),
            }
            all += 1;
        }
        fs::write(&path, &content).unwrap();
    }
    println!("{told} of {all} flips refused, the others lie in blocks that nobody read; none gave another answer");
    assert!(told * 10 > all * 9, "{told} of {all}");
    assert_eq!(answer(folder).unwrap(), whole);
}

#[test]
fn other_engines_read_the_store() {
    let place = place(1);
    place.build();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/venv/bin/python");
    let python = std::env::var_os("FLOWTRAIL_PYTHON").map_or(python, PathBuf::from);
    let query = format!(
        "import duckdb; print(duckdb.sql(\"select sum(egress_bytes + ingress_bytes), sum(egress_packets + ingress_packets), \
         sum(egress_flows + ingress_flows), min(hour + start_second), max(hour + start_second + seconds) \
         from read_parquet('{}/flows-*.parquet') where peer = '52.46.150.17' and action = 'ACCEPT'\").fetchall())",
        place.store
    );
    let Ok(out) = Command::new(python).args(["-c", &query]).output() else {
        return println!("skipped: no Python with DuckDB (FLOWTRAIL_PYTHON)");
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let numbers: Vec<u64> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    let card: serde_json::Value =
        serde_json::from_str(&place.lookup("52.46.150.17", &["--flows", &place.flows])).unwrap();
    let flows = &card["cards"][0]["flows"];
    let sum = |field: &str| flows["to"][field].as_u64().unwrap() + flows["from"][field].as_u64().unwrap();
    assert_eq!(
        numbers.get(..3),
        Some(&[sum("bytes"), sum("packets"), sum("flows")][..]),
        "{text}"
    );
}

/// Records whose bytes and packets stand the other way round.
const SWAPPED: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                       ${bytes} ${packets} ${start} ${end} ${action} ${log-status}";

#[test]
fn a_store_is_of_the_flow_format_that_it_was_built_with() {
    let place = Place::new();
    let line = "2 111122223333 eni-0aa 10.0.0.5 198.51.100.7 41000 443 6 900 3 1772409600 1772409660 ACCEPT OK\n";
    place.write("fl-0a", 0, "x", line);
    let swapped = ["--flow-format", SWAPPED];
    let build = ["index", "build", &place.flows, "-o", &place.store, "--quiet"];
    said(&[&build[..], &swapped].concat());
    let manifest = || fs::read(Path::new(&place.store).join("manifest")).unwrap();
    let was = manifest();
    let lookup = [
        "lookup",
        "198.51.100.7",
        "--flows",
        &place.flows,
        "--format",
        "json",
        "--quiet",
    ];
    let top = ["top", &place.flows, "--by", "dst", "--format", "csv", "--quiet"];
    let scan = ["scan", &place.flows, "--format", "json", "--quiet"];
    let index = ["--index", place.store.as_str()];
    for question in [&lookup[..], &top, &scan, &build, &["lookup", "198.51.100.7"]] {
        let with = if question[1] == "build" { &[][..] } else { &index };
        let question = [question, with].concat();
        let error = refused(&question);
        assert!(
            error.contains("run this command with --flow-format '${version} "),
            "{error}"
        );
        let error = refused(&[&question[..], &["--flow-format", "${srcaddr} ${dstaddr} ${bytes}"]].concat());
        assert!(error.contains("was built with --flow-format"), "{error}");
        // The same in other words is the same.
        let bare = SWAPPED.replace(['$', '{', '}'], "");
        said(&[&question[..], &["--flow-format", &bare]].concat());
    }
    assert_eq!(manifest(), was);
    for question in [&lookup[..], &top, &scan] {
        let raw = said(&[question, &swapped].concat());
        assert_ne!(raw, said(question), "the formats say the same");
        let raw = raw.replace("\"validated\": false", "\"validated\": true");
        assert_eq!(raw, said(&[question, &swapped, &index].concat()));
    }
    // A store that was built without the option is no other than one that was told the default.
    fs::remove_dir_all(&place.store).unwrap();
    said(&build);
    let default = SWAPPED.replace("${bytes} ${packets}", "${packets} ${bytes}");
    assert!(place.build().contains("1 held already"));
    said(&[&lookup[..], &index, &["--flow-format", &default]].concat());
    let error = refused(&[&lookup[..], &index, &swapped].concat());
    assert!(error.contains("run this command without --flow-format too"), "{error}");
}

#[test]
fn text_whose_format_an_inventory_knows_better_is_looked_up_raw() {
    let place = Place::new();
    let line = "2 111122223333 eni-0aa 10.0.0.5 198.51.100.7 41000 443 6 900 3 1772409600 1772409660 ACCEPT OK\n";
    place.write("fl-0a", 0, "x", line);
    place.build();
    let inventory = place.folder.path().join("flow-logs.json").display().to_string();
    let known = serde_json::json!({"FlowLogs": [{"FlowLogId": "fl-0a", "ResourceId": "vpc-0a", "LogFormat": SWAPPED}]});
    fs::write(&inventory, known.to_string()).unwrap();
    let card = |with: &[&str]| {
        let text = place.lookup("198.51.100.7", &[with, &["--inventory", &inventory]].concat());
        let card: serde_json::Value = serde_json::from_str(&text).unwrap();
        card["cards"][0]["flows"].clone()
    };
    let raw = card(&["--flows", &place.flows]);
    assert_eq!(raw["to"]["bytes"], 900, "{raw}");
    assert_eq!(raw, card(&["--flows", &place.flows, "--index", &place.store]));
    assert_eq!(raw, card(&["--index", &place.store]));
}
