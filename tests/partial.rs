//! States of some files: whatever the split, the order or the nesting, folding them gives what one run gives, byte for byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use flowtrail::aggregate::key::{Cell, Sides};
use flowtrail::aggregate::raw::{BLOCK, BlockReader, BlockWriter, RawEntry, RawKey};
use flowtrail::input::{Archive, Family, ReadOptions};
use flowtrail::net::Addr;
use flowtrail::trail::{TrailState, Wanted, read_state};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn flowtrail(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.current_dir(folder).args(args).output().unwrap()
}

/// What a run wrote that must succeed, with bad lines or without.
fn told(folder: &Path, args: &[&str]) -> Vec<u8> {
    let out = flowtrail(folder, args);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(0 | 3)), "{args:?}: {text}");
    out.stdout
}

/// What a run that must fail said.
fn refused(folder: &Path, args: &[&str]) -> String {
    let out = flowtrail(folder, args);
    assert_eq!(out.status.code(), Some(2), "{args:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

const V5: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                  log-status pkt-srcaddr pkt-dstaddr flow-direction tcp-flags instance-id";
const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// Addresses at home, of an endpoint, of S3, outside, and of IPv6, so that every way of counting is met.
const ADDRESSES: [&str; 8] = [
    "10.0.0.5",
    "10.0.0.6",
    "10.0.0.9",
    "10.0.1.7",
    "203.0.113.9",
    "198.51.100.7",
    "2001:db8::5",
    "2001:db8:1::9",
];

/// Interface, both ends, the packet's ends, ports, direction, hour, bytes, and what is special about the line.
type Line = (u8, u8, u8, u8, u8, u8, u8, u8, u32, u8);

fn line(v5: bool, n: &Line) -> String {
    let (eni, src, dst, source, destination, port, way, hour, bytes, special) = *n;
    let at = |i: u8| ADDRESSES[usize::from(i) % ADDRESSES.len()];
    let start = 1_772_409_600 + u64::from(hour) * 3_600 + u64::from(bytes % 3_000);
    let ports = [(50_000, 443), (443, 50_000), (40_000, 41_000), (41_000, 40_001)][usize::from(port % 4)];
    match special {
        0 => return format!("2 111111111111 eni-{eni} - - - - - - - {start} {} - NODATA", start + 60),
        1 => {
            return format!(
                "2 111111111111 eni-{eni} - - - - - - - {start} {} - SKIPDATA",
                start + 60
            );
        }
        2 => return "2 111111111111 eni-0 10.0.0.1 nowhere 1 2 6 1 1 1 1 ACCEPT OK".into(),
        _ => {}
    }
    let action = if special == 3 { "REJECT" } else { "ACCEPT" };
    let mut text = format!(
        "2 111111111111 eni-{eni} {} {} {} {} 6 9 {bytes} {start} {} {action} OK",
        at(src),
        at(dst),
        ports.0,
        ports.1,
        start + 60
    );
    if v5 {
        let way = ["-", "egress", "ingress"][usize::from(way % 3)];
        let instance = ["-", "i-0123456789abcdef0"][usize::from(eni % 2)];
        let (source, destination) = if special == 4 {
            (source, destination)
        } else {
            (src, dst)
        };
        write!(text, " {} {} {way} 2 {instance}", at(source), at(destination)).unwrap();
    }
    text
}

/// A file of version 2 or 5, under one of two flow logs.
fn log(v5: bool, lines: &[Line]) -> String {
    let mut text = format!("{}\n", if v5 { V5 } else { V2 });
    for n in lines {
        let mut line = line(v5, n);
        if v5 && matches!(n.9, 0 | 1) {
            line.push_str(" - - - - -");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A few events; equal numbers are copies of one event.
fn trail(events: &[(u8, u8, u8)]) -> String {
    let one = |(id, who, minute): &(u8, u8, u8)| {
        format!(
            r#"{{"eventTime":"2026-03-02T00:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",
            "eventID":"{id:08x}-0000-4000-8000-00000000000a","recipientAccountId":"111111111111","awsRegion":"us-east-1",
            "sourceIPAddress":"10.0.0.{who}","userAgent":"agent/{minute}","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111111111111:user/u{who}",
            "accountId":"111111111111","accessKeyId":"AKIAIOSFODNN7EXAMPL{who}"}},
            "requestParameters":{{"bucketName":"b{who}","key":"k{id}"}},"additionalEventData":{{"bytesTransferredOut":{id}000000}}}}"#
        )
    };
    format!(
        "{{\"Records\":[{}]}}",
        events.iter().map(one).collect::<Vec<_>>().join(",")
    )
}

const INVENTORY: &str = r#"{"VpcEndpoints":[{"VpcEndpointId":"vpce-1","VpcEndpointType":"Interface","VpcId":"vpc-1",
    "ServiceName":"com.amazonaws.us-east-1.s3","NetworkInterfaceIds":["eni-9"]}]}"#;
const INTERFACES: &str = r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-9","PrivateIpAddress":"10.0.0.9","VpcId":"vpc-1",
    "PrivateIpAddresses":[{"PrivateIpAddress":"10.0.0.9"}]}]}"#;

/// What scans are told beside the logs.
const BESIDE: [&str; 8] = [
    "--inventory",
    "endpoints.json",
    "--inventory",
    "interfaces.json",
    "--min-severity",
    "info",
    "--format",
    "json",
];

struct World {
    folder: tempfile::TempDir,
    flows: Vec<String>,
    trails: Vec<String>,
}

impl World {
    fn new(files: &[(bool, u8, Vec<Line>)], copies: &[usize], events: &[Vec<(u8, u8, u8)>]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World {
            folder,
            flows: Vec::new(),
            trails: Vec::new(),
        };
        world.put("endpoints.json", INVENTORY);
        world.put("interfaces.json", INTERFACES);
        for (n, (v5, log_id, lines)) in files.iter().enumerate() {
            world.flow(n, *log_id, &log(*v5, lines));
        }
        for (n, original) in copies.iter().enumerate() {
            let (v5, log_id, lines) = &files[original % files.len()];
            world.flow(100 + n, *log_id, &log(*v5, lines));
        }
        for (n, events) in events.iter().enumerate() {
            let name = format!("t{n}.json");
            world.put(&name, &trail(events));
            world.trails.push(name);
        }
        world
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn flow(&mut self, n: usize, log: u8, text: &str) {
        let (hour, minute) = (n / 60, n % 60);
        let name = format!("111111111111_vpcflowlogs_us-east-1_fl-0{log}_20260302T{hour:02}{minute:02}Z_{n:08x}.log");
        self.put(&name, text);
        self.flows.push(name);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Scans some files, with a `--trail` before each of the trail's.
    fn scan(&self, flows: &[&String], trails: &[&String], more: &[&str]) -> Vec<u8> {
        let mut args = vec!["scan", "--quiet"];
        args.extend(flows.iter().map(|f| f.as_str()));
        trails.iter().for_each(|t| args.extend(["--trail", t]));
        args.extend(more);
        told(self.path(), &args)
    }

    fn whole(&self) -> Vec<u8> {
        let (flows, trails): (Vec<_>, Vec<_>) = (self.flows.iter().collect(), self.trails.iter().collect());
        self.scan(&flows, &trails, &BESIDE)
    }

    /// One state for each part that has a file.
    fn states(&self, parts: usize, of: impl Fn(usize) -> usize) -> Vec<String> {
        let mut states = Vec::new();
        for part in 0..parts {
            let mine = |names: &'_ [String], from: usize| {
                let of = &of;
                let chosen = names
                    .iter()
                    .enumerate()
                    .filter(move |(n, _)| of(from + n) % parts == part);
                chosen.map(|(_, f)| f.clone()).collect::<Vec<_>>()
            };
            let (flows, trails) = (mine(&self.flows, 0), mine(&self.trails, self.flows.len()));
            if flows.is_empty() && trails.is_empty() {
                continue;
            }
            let name = format!("part-{part}.ftp");
            let (flows, trails): (Vec<_>, Vec<_>) = (flows.iter().collect(), trails.iter().collect());
            self.scan(&flows, &trails, &["--partial", &name]);
            states.push(name);
        }
        states
    }

    fn merge(&self, states: &[String], more: &[&str]) -> Vec<u8> {
        let mut args = vec!["merge", "--quiet"];
        args.extend(states.iter().map(String::as_str));
        args.extend(more);
        told(self.path(), &args)
    }

    fn top(&self, inputs: &[String]) -> Vec<u8> {
        let mut args = vec![
            "top",
            "--quiet",
            "--limit",
            "0",
            "--totals",
            "--direction",
            "both",
            "--format",
            "csv",
        ];
        args.extend(["--by", "eni,dst,port,hour,class"]);
        args.extend(inputs.iter().map(String::as_str));
        told(self.path(), &args)
    }
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (
        0u8..4,
        0u8..8,
        0u8..8,
        0u8..8,
        0u8..8,
        0u8..4,
        0u8..3,
        0u8..30,
        1u32..90_000_000,
        0u8..40,
    );
    prop::collection::vec(line, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_split_order_and_nesting_gives_the_same_bytes(
        files in prop::collection::vec((any::<bool>(), 0u8..2, lines()), 1..8),
        copies in prop::collection::vec(0usize..8, 0..3),
        events in prop::collection::vec(prop::collection::vec((0u8..5, 0u8..3, 0u8..60), 1..5), 0..4),
        parts in 1usize..6,
        seed in prop::collection::vec(0usize..6, 24),
        turn in 0usize..6,
        nested in any::<bool>(),
    ) {
        let world = World::new(&files, &copies, &events);
        let mut states = world.states(parts, |n| seed[n % seed.len()]);
        let at = turn % states.len();
        states.rotate_left(at);
        if nested && states.len() > 2 {
            let (some, rest) = states.split_at(states.len() / 2);
            world.merge(some, &["--partial", "half.ftp"]);
            states = [&["half.ftp".to_string()], rest].concat();
        }
        prop_assert_eq!(String::from_utf8(world.merge(&states, &BESIDE)), String::from_utf8(world.whole()));
        if states.len() > 1 {
            world.merge(&states, &["--partial", "all.ftp"]);
            let all = ["all.ftp".to_string()];
            prop_assert_eq!(world.merge(&all, &BESIDE), world.whole());
            prop_assert_eq!(String::from_utf8(world.top(&all)), String::from_utf8(world.top(&world.flows)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_bound_of_memory_changes_no_byte(
        files in prop::collection::vec((any::<bool>(), 0u8..2, lines()), 1..6),
        by in prop::sample::subsequence(vec!["eni", "src", "dst", "country", "port", "hour", "class"], 1..4),
        way in prop::sample::select(vec!["egress", "ingress", "both"]),
        limit in prop::sample::select(vec!["0", "1", "3"]),
        threads in prop::sample::select(vec!["1", "2"]),
    ) {
        let world = World::new(&files, &[], &[]);
        let bound = ["--max-memory", "1M", "--threads", threads];
        let by = by.join(",");
        let mut args = vec!["top", "--quiet", "--totals", "--format", "csv", "--by", &by, "--direction", way, "--limit", limit];
        args.extend(world.flows.iter().map(String::as_str));
        let bounded = told(world.path(), &[&args[..], &bound[..]].concat());
        prop_assert_eq!(String::from_utf8(bounded), String::from_utf8(told(world.path(), &args)));
        let flows: Vec<_> = world.flows.iter().collect();
        world.scan(&flows, &[], &["--partial", "whole.ftp"]);
        world.scan(&flows, &[], &[&["--partial", "bounded.ftp"], &bound[..]].concat());
        let read = |name: &str| std::fs::read(world.path().join(name)).unwrap();
        prop_assert!(read("whole.ftp") == read("bounded.ftp"));
    }
}

/// Raw cells of all sorts, sorted, each key once.
fn cells() -> impl Strategy<Value = Vec<RawEntry>> {
    let ends = prop_oneof![
        Just(Addr::v4(0x0a00_0001)),
        any::<u32>().prop_map(Addr::v4),
        any::<u128>().prop_map(Addr)
    ];
    let key = (
        0u32..4,
        ends.clone(),
        ends.clone(),
        proptest::option::of((ends.clone(), ends)),
        0u8..11,
        any::<u32>(),
    );
    let sums = (
        0u128..1 << 99,
        0u64..1 << 50,
        1u64..9,
        any::<u64>(),
        any::<u64>(),
        any::<(u32, u64)>(),
    );
    let entry = (key, any::<(u8, u16, u16, u16)>(), sums).prop_map(|(key, service, sums)| {
        let (interface, src, dst, packet, sides, hour) = key;
        let (protocol, port, other_port, log) = service;
        let (bytes, packets, flows, first, last, sample) = sums;
        let sides = Sides::from_bits(sides);
        let key = RawKey {
            interface,
            src,
            dst,
            packet,
            sides,
            protocol,
            port,
            other_port,
            log,
            hour,
        };
        let packets = packets.into();
        (
            key,
            Cell {
                bytes,
                packets,
                flows,
                first,
                last,
                sample,
            },
        )
    });
    prop::collection::vec(entry, 1..200).prop_map(|mut all| {
        all.sort_by_key(|(key, _)| *key);
        all.dedup_by_key(|(key, _)| *key);
        all
    })
}

fn read_block(bytes: Vec<u8>) -> flowtrail::Result<Vec<RawEntry>> {
    let mut block = BlockReader::new(bytes, 0)?;
    let mut all = Vec::new();
    while let Some(entry) = block.read_next()? {
        all.push(entry);
    }
    Ok(all)
}

proptest! {
    #[test]
    fn cells_survive_their_block_and_nothing_in_a_block_is_trusted(
        cells in cells(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut blocks, mut bytes) = (BlockWriter::new(BLOCK), Vec::new());
        for (key, cell) in &cells {
            blocks.push(key, cell, &mut |_| unreachable!("a block of few cells")).unwrap();
        }
        blocks.end(&mut |block| { bytes = block.to_vec(); Ok(()) }).unwrap();
        prop_assert_eq!(&read_block(bytes.clone()).unwrap(), &cells);
        let mut forged = bytes;
        for (at, value) in flips {
            let at = at.index(forged.len());
            forged[at] = value;
        }
        let _ = read_block(forged);
    }

    #[test]
    fn nothing_in_a_trails_pieces_is_trusted(
        flips in prop::collection::vec((0usize..3, any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/first/cloudtrail.json");
        let archive = Archive::discover(&[path], Family::Trail).unwrap();
        let pool = flowtrail::scan::threads(1).unwrap();
        let state = || read_state(&archive, ReadOptions::default(), &Wanted::ALL, &pool, u64::MAX);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        state().encode(&mut |piece| { pieces.push(piece.to_vec()); Ok(()) }).unwrap();
        let real = flips.is_empty();
        for (piece, at, value) in flips {
            let piece = &mut pieces[piece];
            let at = at.index(piece.len());
            piece[at] = value;
        }
        let mut read = TrailState::default();
        let decoded = pieces.iter().try_for_each(|p| read.decode(p));
        if real {
            decoded.unwrap();
            let (own, whole) = (read.finish(), state().finish());
            prop_assert_eq!(format!("{:?}", own.index.rows), format!("{:?}", whole.index.rows));
            prop_assert_eq!(own.graph, whole.graph);
        } else if decoded.is_ok() {
            read.merge(state());
            read.finish();
        }
    }
}

const LINE: Line = (0, 0, 4, 0, 4, 0, 1, 3, 70_000, 9);

fn small() -> World {
    let lines = |n: u32| {
        (0..30)
            .map(|i| (0, 0, 4, 0, 4, 0, 1, 3, n * 100 + i, 9))
            .collect::<Vec<Line>>()
    };
    let files: Vec<_> = (1..5).map(|n| (n % 2 == 0, 0, lines(n))).collect();
    World::new(&files, &[], &[vec![(1, 1, 1), (2, 1, 2)], vec![(2, 1, 2), (3, 0, 9)]])
}

#[test]
fn the_same_files_give_the_same_state_whatever_the_threads() {
    let world = small();
    let (flows, trails): (Vec<_>, Vec<_>) = (world.flows.iter().collect(), world.trails.iter().collect());
    for threads in ["1", "3"] {
        let name = format!("{threads}.ftp");
        world.scan(&flows, &trails, &["--partial", &name, "--threads", threads]);
    }
    let read = |name: &str| std::fs::read(world.path().join(name)).unwrap();
    assert_eq!(read("1.ftp"), read("3.ftp"));
}

#[test]
fn a_task_that_ran_twice_counts_once_and_shared_files_are_refused() {
    let world = small();
    let whole = world.whole();
    let states = world.states(2, |n| n);
    std::fs::copy(world.path().join("part-0.ftp"), world.path().join("again.ftp")).unwrap();
    let twice = [states.clone(), vec!["again.ftp".into()]].concat();
    assert_eq!(world.merge(&twice, &BESIDE), whole);
    world.scan(&[&world.flows[0], &world.flows[1]], &[], &["--partial", "across.ftp"]);
    let known = [states, vec!["across.ftp".into()]].concat();
    assert_eq!(world.merge(&known, &BESIDE), whole);
    let text = refused(world.path(), &["merge", "part-0.ftp", "across.ftp"]);
    assert!(text.contains("1 of its 2 files are in another"), "{text}");
}

#[test]
fn a_copy_in_another_state_is_taken_out_or_the_fold_refused() {
    let files = vec![
        (false, 0, vec![LINE; 3]),
        (false, 0, vec![(1, 0, 4, 0, 4, 0, 1, 3, 9, 9)]),
    ];
    let world = World::new(&files, &[0], &[]);
    let (states, whole) = (world.states(3, |n| n), world.whole());
    assert_eq!(world.merge(&states, &BESIDE), whole);
    // One of the two is enough to know what it had added.
    std::fs::remove_file(world.path().join(&world.flows[2])).unwrap();
    assert_eq!(world.merge(&states, &BESIDE), whole);
    std::fs::remove_file(world.path().join(&world.flows[0])).unwrap();
    let mut args = vec!["merge"];
    args.extend(states.iter().map(String::as_str));
    let text = refused(world.path(), &args);
    assert!(
        text.contains("same content as") && text.contains(&world.flows[0]),
        "{text}"
    );
}

#[test]
fn shards_are_whole_or_named_and_rules_must_agree() {
    let world = small();
    let here = world.path();
    std::fs::create_dir(here.join("logs")).unwrap();
    world
        .flows
        .iter()
        .for_each(|f| std::fs::rename(here.join(f), here.join("logs").join(f)).unwrap());
    let shard = |n: &str, name: &str| told(here, &["scan", "--quiet", "logs", "--shard", n, "--partial", name]);
    shard("1/3", "1.ftp");
    shard("2/3", "2.ftp");
    shard("3/3", "3.ftp");
    let single = told(here, &["scan", "--quiet", "logs", "--format", "json"]);
    assert_eq!(
        told(
            here,
            &["merge", "--quiet", "3.ftp", "1.ftp", "2.ftp", "--format", "json"]
        ),
        single
    );
    assert!(refused(here, &["merge", "1.ftp", "3.ftp"]).contains("shard 2/3 is missing"));
    assert!(refused(here, &["top", "1.ftp"]).contains("shard 2/3 is missing"));
    std::fs::write(here.join("logs/late.log"), V2).unwrap();
    shard("2/3", "2.ftp");
    assert!(refused(here, &["merge", "1.ftp", "2.ftp", "3.ftp"]).contains("different listings"));
    told(
        here,
        &[
            "scan",
            "--quiet",
            "logs/late.log",
            "--from",
            "2026-03-01",
            "--partial",
            "late.ftp",
        ],
    );
    let text = refused(here, &["merge", "1.ftp", "late.ftp"]);
    assert!(text.contains("late.ftp") && text.contains("--from"), "{text}");
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let world = small();
    world.states(1, |_| 0);
    let path = world.path().join("part-0.ftp");
    let whole = std::fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        std::fs::write(world.path().join("bad.ftp"), bytes).unwrap();
        let text = refused(world.path(), &["merge", "bad.ftp"]);
        assert!(text.contains("bad.ftp"), "{what}: {text}");
    };
    for at in (0..whole.len()).step_by(whole.len() / 23) {
        check(&whole[..at], &format!("cut at {at}"));
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        check(&flipped, &format!("bit at {at}"));
    }
    check(&[&whole[..], &whole[..]].concat(), "twice");
    check(
        b"2 111111111111 eni-1 10.0.0.1 192.0.2.1 1 2 6 1 1 1 2 ACCEPT OK\n",
        "a log",
    );
}

#[test]
fn a_state_asks_for_nothing_that_judges() {
    let world = small();
    let text = refused(
        world.path(),
        &["scan", &world.flows[0], "--partial", "p.ftp", "--fail-on", "high"],
    );
    assert!(text.contains("cannot be used with"), "{text}");
    let text = refused(world.path(), &["scan", &world.flows[0], "--shard", "1/2"]);
    assert!(text.contains("--partial"), "{text}");
}

#[test]
fn a_state_that_goes_on_says_what_one_run_says_and_reads_only_what_is_new() {
    let world = small();
    let here = world.path();
    let (flows, trails): (Vec<_>, Vec<_>) = (world.flows.iter().collect(), world.trails.iter().collect());
    let more = [&["--state", "kept", "--stats", "stats.json"], &BESIDE[..]].concat();
    let read = || {
        let stats: serde_json::Value =
            serde_json::from_slice(&std::fs::read(here.join("stats.json")).unwrap()).unwrap();
        (stats["lines"].as_u64().unwrap(), stats["files"]["ok"].as_u64().unwrap())
    };
    world.scan(&flows[1..3], &trails[..1], &more);
    assert_eq!(read().1, 2);
    // A late file, and one that comes again under another name.
    let copy = world.flows[1].replace("T00", "T23");
    std::fs::copy(here.join(&world.flows[1]), here.join(&copy)).unwrap();
    let all = [&flows[..], &[&copy]].concat();
    assert_eq!(world.scan(&all, &trails, &more), world.scan(&all, &trails, &BESIDE));
    assert_eq!(read().1, 3);
    assert_eq!(world.scan(&all, &trails, &more), world.scan(&all, &trails, &BESIDE));
    assert_eq!(read(), (0, 0));
    // What was delivered is not needed any more; what changes is refused.
    std::fs::remove_file(here.join(&world.flows[3])).unwrap();
    let kept = world.scan(&all[..1], &trails, &more);
    assert_eq!(kept, world.scan(&all[..2], &trails, &more));
    std::fs::write(here.join(&world.flows[0]), V2).unwrap();
    let text = refused(here, &["scan", "--quiet", &world.flows[0], "--state", "kept"]);
    assert!(text.contains("has changed since it was counted"), "{text}");
    let names: Vec<_> = std::fs::read_dir(here.join("kept"))
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names, ["aggregate.ftp"]);
}

#[test]
fn a_plan_tells_the_shares_of_workers() {
    let world = small();
    let args = [
        "scan",
        &world.flows[0],
        &world.flows[1],
        "--trail",
        "t0.json",
        "--plan",
        "--workers",
        "3",
    ];
    let text = String::from_utf8(told(world.path(), &args)).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["WORKERS", "FILES", "BYTES"], "{text}");
    assert_eq!(
        (rows[1][0], rows[1][1], rows[2][0], rows[2][1]),
        ("1", "3", "3", "1"),
        "{text}"
    );
}
