//! What is fuzzed: one function a target, over any bytes. `tests/mutations.rs` and `fuzz_targets/` run the same list.
//!
//! A target fails by panicking: in the code under test, or here, where something that must hold for any bytes does not.
//! Each has seeds to begin with: files below the crate root (a folder means every file in it; what is not there is passed
//! over) and texts in place.

use bytes::Bytes;
use flowtrail::aggregate::{Counting, Filter, Grain, Peer, Places, Shelf};
use flowtrail::baseline::Baseline;
use flowtrail::contain::whatif;
use flowtrail::detect::Settings;
use flowtrail::flow::lines::format_of;
use flowtrail::flow::{FlowRecord, LineCounts, LineReader, LogFormat, Reject, Rows, Sink};
use flowtrail::forms::columns::Table;
use flowtrail::forms::{Form, Mapped, Unwrap, told_by};
use flowtrail::incident::{AllowList, Suppressions};
use flowtrail::index::{IndexShelf, Manifest, Seal, Wanted as Sought, manifest};
use flowtrail::input::brackets::{Step, next_member, skip_space, value_end};
use flowtrail::input::{Again, Block, Content, ReadOptions, Reader, RemoteOptions, Source, gzip};
use flowtrail::intake::{SideFindings, Tool};
use flowtrail::intel::{ListKind, judge};
use flowtrail::inventory::Graph;
use flowtrail::lookup::{Key, subjects};
use flowtrail::net::{Addr, Class, TimeWindow, parse_rfc3339, printable};
use flowtrail::notify::{self, Journal};
use flowtrail::partial::{Fold, Partial};
use flowtrail::report::{REPORTERS, Wanted};
use flowtrail::scan::count_states;
use flowtrail::store::{self, Kind};
use flowtrail::trail::{TrailArchive, TrailFilter, read};
use libdeflater::Decompressor;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// One thing that takes bytes from strangers.
pub(crate) struct Target {
    /// Its name, and that of its corpus.
    pub(crate) name: &'static str,
    /// Runs it once.
    pub(crate) run: fn(&[u8]),
    /// Files to begin with.
    pub(crate) files: &'static [&'static str],
    /// Texts to begin with.
    pub(crate) texts: &'static [&'static str],
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "line",
        run: line,
        files: &["samples/first/default-v2.log", "../shared/badinputs/vpc"],
        texts: &["2 123456789012 eni-0a 10.0.0.1 203.0.113.9 40000 443 6 1 100 1700000000 1700000001 ACCEPT OK\n"],
    },
    Target {
        name: "format",
        run: format,
        files: &["samples/first/custom-v5.log", "../shared/badinputs/vpc"],
        texts: &[
            "${version} ${account-id} ${srcaddr} ${bytes}",
            "version srcaddr dstaddr bytes tgw-id x-y",
        ],
    },
    Target {
        name: "gzip",
        run: gzip,
        files: &["../shared/badinputs/gz"],
        texts: &["\u{1f}"],
    },
    Target {
        name: "content",
        run: content,
        files: &["../shared/badinputs/gz", "samples/first", "../shared/badinputs/parquet"],
        texts: &["PAR1", "BZh"],
    },
    Target {
        name: "envelope",
        run: envelope,
        files: &["../shared/badinputs/vpc/json_lines.log"],
        texts: &[
            r#"{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1700000000000,"message":"2 123456789012 eni-0a 10.0.0.1 203.0.113.9 40000 443 6 1 100 1700000000 1700000001 ACCEPT OK"}]}"#,
            r#"{"events":[{"ingestionTime":1,"timestamp":1,"message":"2 1 eni-0a - - - - - - - 1 2 - NODATA\n"}],"nextToken":null}"#,
            r#"{"srcaddr":"10.0.0.1","dstaddr":"::1","bytes":1,"x":{"y":[1,2,{"z":"\u0000\ud800"}]}}{"message":"x"}"#,
        ],
    },
    Target {
        name: "wrapping",
        run: wrapping,
        files: &["../shared/badinputs/vpc/csv.log", "../shared/badinputs/vpc/quoted.log"],
        texts: &[
            "timestamp,message\n1,\"2 1 eni-0a 10.0.0.1 10.0.0.2 1 2 6 1 1 1 2 ACCEPT OK\"\n",
            "2023-11-14T22:13:20.000Z 2 1 eni-0a 10.0.0.1 10.0.0.2 1 2 6 1 1 1 2 ACCEPT OK\n",
            "-----\n|  GetLogEvents  |\n+-----+\n||  events  ||\n|| message | 2 1 eni-0a 1.2.3.4 |\n",
        ],
    },
    Target {
        name: "trail",
        run: trail,
        files: &["../shared/badinputs/ct", "samples/first/cloudtrail.json"],
        texts: &[],
    },
    Target {
        name: "splitter",
        run: splitter,
        files: &["../shared/badinputs/ct"],
        texts: &[r#"{"a":[1,{"b":"\"}"}],"c":-1e9,"d":[[[[]]]]}"#],
    },
    Target {
        name: "parquet",
        run: parquet,
        files: &["fuzz/seeds/parquet", "../shared/badinputs/parquet"],
        texts: &[],
    },
    Target {
        name: "mmdb",
        run: mmdb,
        files: &[
            "fuzz/seeds/mmdb",
            "../shared/badinputs/mmdb",
            "../shared/corpus/geo/maxmind-test-data",
        ],
        texts: &[],
    },
    Target {
        name: "lists",
        run: lists,
        files: &["../shared/badinputs/lists"],
        texts: &[
            "01.2.3.4 # x\n10.0.0.0/8\n2001:db8::/32\n",
            r#"1{"createDate":"2026-01-01-00-00-00","prefixes":[{"ip_prefix":"3.5.140.0/22","region":"r","service":"S3"}],"ipv6_prefixes":[]}"#,
            r#"2{"PrefixLists":[{"PrefixListId":"pl-1","PrefixListName":"com.amazonaws.us-east-1.s3","Cidrs":["3.5.0.0/19"]}]}"#,
            "3ExitNode 0011\nPublished 2026-01-01 00:00:00\nExitAddress 1.2.3.4 2026-01-01 00:00:00\n",
            r#"4{"relays":[{"or_addresses":["1.2.3.4:9001","[2001:db8::1]:9001"],"flags":["Guard","Running"]}]}"#,
        ],
    },
    Target {
        name: "baseline",
        run: baseline,
        files: &["fuzz/seeds/baseline"],
        texts: &[],
    },
    Target {
        name: "state",
        run: state,
        files: &["fuzz/seeds/state"],
        texts: &[],
    },
    Target {
        name: "index",
        run: index,
        files: &["fuzz/seeds/index"],
        texts: &[],
    },
    Target {
        name: "journal",
        run: journal,
        files: &[],
        texts: &["\u{2}\u{1}a\u{5}inc-1\u{0}\u{1}b\u{5}inc-2\u{1}\u{2}{}"],
    },
    Target {
        name: "filters",
        run: filters,
        files: &[],
        texts: &[
            "family=ipv4 class=external,s3,aws port=443 dst=10.0.0.0/8 country!=US bytes>1e9",
            "event=GetObject principal=*user/* ip=10.0.0.0/8 error=no bytes>1e9",
            "arn:aws:sts::123456789012:assumed-role/r/i-0123456789abcdef0",
            "s3://bucket/key 2026-03-01T00:00:00.5+01:00 AKIAIOSFODNN7EXAMPLE eni-0a",
        ],
    },
    Target {
        name: "config",
        run: config,
        files: &["samples"],
        texts: &[
            "[volume-spike]\nquantile = 0.999\n[beacon]\n",
            "kind = \"webhook\"\nurl = \"https://a.example/x\"\nsecret-env = \"S\"\nmin-severity = \"high\"\n",
            "kind = \"syslog\"\naddress = \"log.example:6514\"\ntls = true\nif-unsure = \"hold\"\n",
            "[[entry]]\nid = \"1\"\nreason = \"r\"\neni = \"eni-0a\"\ndestination = \"10.0.0.0/8\"\nports = [443]\nfrom = 2026-01-01\nmax_bytes = 1\n",
            "[[suppress]]\nrule = \"beacon\"\ncidr = \"10.0.0.0/8\"\narn = \"arn:*\"\nexpires = 2026-01-01\n",
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}}]}"#,
        ],
    },
    Target {
        name: "inventory",
        run: inventory,
        files: &["samples/account/inventory"],
        texts: &[
            r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-0a","PrivateIpAddress":"10.0.0.1","Attachment":{"InstanceId":"i-1"}}]}"#,
        ],
    },
    Target {
        name: "alerts",
        run: alerts,
        files: &["samples/account/alerts"],
        texts: &[
            r#"{"Findings":[{"Id":"1","Type":"Exfiltration:S3/ObjectRead.Unusual","Severity":8,"Service":{"Action":{}}}]}"#,
        ],
    },
    Target {
        name: "result",
        run: result,
        files: &["fuzz/seeds/result"],
        texts: &[r#"{"schema":"flowtrail.result/1","incidents":[],"run":{}}"#],
    },
];

/// Counts what a reader hands out, and looks at every field of it.
#[derive(Default)]
struct Seen {
    records: u64,
    rejects: u64,
    sum: u128,
    columns: bool,
}

impl Sink for Seen {
    fn record(&mut self, line: u64, r: &FlowRecord<'_>) {
        assert!(line > 0);
        self.records += 1;
        self.sum += u128::from(r.bytes.unwrap_or(0)) + u128::from(r.start.unwrap_or(0));
    }

    fn reject(&mut self, line: u64, reject: &Reject<'_>) {
        assert!(line > 0 && !reject.field().is_empty() && reject.excerpt().len() <= 4 * 80 + 64);
        self.rejects += 1;
    }

    fn by_columns(&self) -> bool {
        self.columns
    }

    fn selects(&self, _: &LogFormat) -> bool {
        self.columns
    }

    fn is_passed(&self, destination: flowtrail::net::Addr) -> bool {
        destination.0.is_multiple_of(2)
    }

    fn rows(&mut self, rows: &Rows<'_>) {
        for row in rows.selected().unwrap_or_default() {
            assert!(rows.is_good(*row as usize) && !self.is_passed(rows.columns.dstaddr[*row as usize]));
        }
        for i in (0..rows.len()).filter(|i| rows.is_good(*i)) {
            self.records += 1;
            let known = |n: u64| {
                if n == flowtrail::flow::MISSING {
                    0
                } else {
                    u128::from(n)
                }
            };
            self.sum += known(rows.columns.bytes[i]) + known(rows.columns.start[i]);
        }
    }
}

/// The accounting law.
fn adds_up(c: &LineCounts) {
    assert_eq!(
        c.lines,
        c.good + c.nodata + c.skipdata + c.rejected + c.headers + c.blank,
        "{c:?}"
    );
}

/// Lines by the fast path, by columns and by the slow path: all three say the same.
fn three_ways(format: &LogFormat, data: &[u8]) {
    let run = |columns, slow| {
        let mut seen = Seen {
            columns,
            ..Seen::default()
        };
        let mut lines = LineReader::new(format.clone());
        if slow {
            lines.read_slowly(data, &mut seen);
        } else {
            lines.read(data, &mut seen);
        }
        adds_up(&lines.counts);
        assert_eq!(seen.rejects, lines.counts.rejected);
        assert_eq!(
            seen.records,
            lines.counts.good + lines.counts.nodata + lines.counts.skipdata
        );
        (lines.counts, seen.sum, lines.format().clone())
    };
    let slow = run(false, true);
    assert_eq!(run(false, false), slow);
    assert_eq!(run(true, false), slow);
}

fn line(data: &[u8]) {
    three_ways(&LogFormat::default_v2(), data);
}

fn format(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(format) = LogFormat::from_spec(text)
    {
        assert!(!format.columns().is_empty());
        three_ways(&format, data);
    }
    if let Some(format) = LogFormat::from_header(data) {
        (0..format.columns().len()).for_each(|i| assert!(!format.column_name(i).is_empty()));
    }
    three_ways(&format_of(data, LogFormat::default_v2), data);
}

/// No more than this is unpacked of one input.
const MOST: usize = 4 << 20;

fn gzip(data: &[u8]) {
    let stream = |window: usize| {
        let mut read = gzip::GzipRead::twice(data, data);
        let (mut all, mut out) = (Vec::new(), vec![0; window]);
        loop {
            let (n, e) = read.fill(&mut out);
            all.extend_from_slice(&out[..n]);
            if n < window || e.is_some() || all.len() >= MOST {
                return (all, e.is_some());
            }
        }
    };
    let (text, damaged) = stream(64 << 10);
    if text.len() < 64 << 10 {
        assert_eq!(stream(61), (text.clone(), damaged), "the window changes what is read");
    }
    let (mut whole, mut decoder) = (Vec::new(), Decompressor::new());
    if data.starts_with(gzip::MAGIC) && gzip::inflate_whole(data, &mut whole, &mut decoder, MOST as u64) {
        let size = gzip::stated_size(data).map_or(0, |n| n as usize);
        assert!(
            !damaged && (text.len() >= MOST || text == whole[..size]),
            "two ways to unpack"
        );
    }
}

/// A place of this thread, in memory where that can be had.
fn place() -> PathBuf {
    let folder = Some(PathBuf::from("/dev/shm")).filter(|p| p.is_dir());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    let name = format!(
        "flowtrail-fuzz-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    folder.join(name)
}

/// A file of this process for what reads files.
fn file(data: &[u8]) -> PathBuf {
    let path = place();
    std::fs::write(&path, data).expect("room for a temporary file");
    path
}

fn content(data: &[u8]) {
    let path = file(data);
    let source = Source {
        name: "x".into(),
        path: path.clone(),
        size: data.len() as u64,
        object: None,
    };
    let options = ReadOptions {
        max_unpacked: MOST as u64,
        line_cap: 4_096,
        ..ReadOptions::default()
    };
    let mut reader = Reader::new(options);
    match reader.open(&source) {
        Ok(Content::Whole(bytes)) => assert!(bytes.len() <= MOST.max(data.len())),
        Ok(Content::Stream(mut stream)) => {
            let mut end = 0;
            while let Some((offset, block)) = stream.next_block() {
                assert!(offset >= end, "blocks come in order");
                let (Block::Lines(bytes) | Block::TooLong(bytes)) = block;
                end = offset + bytes.len() as u64;
            }
            assert!(stream.unpacked() <= MOST as u64 && end <= stream.unpacked());
        }
        Ok(Content::Parquet(_)) | Err(_) => {}
    }
    let _ = std::fs::remove_file(path);
}

/// Unwraps, cut into pieces of `step`, and reads the lines.
fn unwrapped(form: Form, data: &[u8], step: usize) -> (LineCounts, u64, u128) {
    let mut unwrap = Unwrap::new(form, LogFormat::default_v2());
    let mut seen = Seen::default();
    let mut drain = |unwrap: &mut Unwrap| {
        while let Some((reader, lines, places)) = unwrap.next_lines() {
            reader.read(lines, &mut Mapped::new(&mut seen, places, reader));
        }
    };
    for piece in data.chunks(step) {
        unwrap.feed(piece);
        drain(&mut unwrap);
    }
    unwrap.finish(true);
    drain(&mut unwrap);
    let counts = unwrap.reader().counts;
    adds_up(&counts);
    (counts, seen.records, seen.sum)
}

fn envelope(data: &[u8]) {
    let whole = unwrapped(Form::Json, data, 1 << 20);
    assert_eq!(
        unwrapped(Form::Json, data, 7),
        whole,
        "where bytes are cut changes what is read"
    );
}

fn wrapping(data: &[u8]) {
    if let Some(form) = told_by(data) {
        let whole = unwrapped(form, data, 1 << 20);
        assert_eq!(
            unwrapped(form, data, 13),
            whole,
            "where bytes are cut changes what is read"
        );
    }
}

fn trail(data: &[u8]) {
    let mut archive = TrailArchive::default();
    let mut events = 0;
    let counts = read(data, &mut |event| {
        events += 1;
        archive.observe(&event);
    });
    assert_eq!(events, counts.records);
    archive.finish();
}

fn splitter(data: &[u8]) {
    let mut at = skip_space(data, 0);
    while let Some(end) = value_end(data, at) {
        assert!(end > at && end <= data.len(), "it goes on");
        at = skip_space(data, end);
    }
    let mut at = 1;
    while let Step::Member(member) = next_member(data, at) {
        assert!(member.value >= at && member.value < data.len());
        let Some(end) = value_end(data, member.value) else {
            break;
        };
        at = end;
    }
}

fn parquet(data: &[u8]) {
    for wants in [true, false] {
        let Ok(table) = Table::open(Bytes::copy_from_slice(data), &|_| wants) else {
            continue;
        };
        if (0..table.groups())
            .map(|g| table.rows_in(g))
            .fold(0, u64::saturating_add)
            > 100_000
        {
            continue;
        }
        let mut seen = Seen::default();
        let finished = table.read(TimeWindow::ALL, 0..u64::MAX, &mut seen);
        adds_up(&finished.counts);
        assert_eq!(seen.rejects, finished.counts.rejected);
        // By columns, with some rows passed over, the same is met.
        let mut again = Seen {
            columns: true,
            ..Seen::default()
        };
        let by_columns = table.read(TimeWindow::ALL, 0..u64::MAX, &mut again);
        assert_eq!(by_columns.counts, finished.counts);
        let met = |s: &Seen| (s.records, s.rejects, s.sum);
        assert_eq!(met(&again), met(&seen));
    }
}

fn mmdb(data: &[u8]) {
    let path = file(data);
    for kind in [ListKind::Geoip, ListKind::Asn] {
        judge(kind, &path);
    }
    let _ = std::fs::remove_file(path);
}

fn lists(data: &[u8]) {
    const KINDS: [ListKind; 5] = [
        ListKind::Threat,
        ListKind::Aws,
        ListKind::PrefixList,
        ListKind::TorExit,
        ListKind::TorGuard,
    ];
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let path = file(rest);
    let info = judge(KINDS[usize::from(first % 5)], &path);
    assert!(info.file_error.is_some() || info.good > 0, "an empty list is an error");
    let _ = std::fs::remove_file(path);
}

fn baseline(data: &[u8]) {
    let content = store::unpack(Kind::Baseline, data);
    for content in content.iter().map(Vec::as_slice).chain([data]) {
        if let Ok(baseline) = Baseline::decode(content) {
            let again = Baseline::decode(&baseline.encode()).expect("what was written is read");
            assert_eq!(again.encode(), baseline.encode());
        }
    }
}

/// Pieces (a byte for the sort, two for the length, the body) in frames whose sums and chain are right, as one who knows
/// the format would forge them.
fn framed(data: &[u8]) -> Vec<u8> {
    let (mut out, mut chain, mut rest) = (Vec::new(), 0u128, data);
    while let Some(([sort, low, high], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (body, after) = after.split_at(length.min(after.len()));
        let content = [&chain.to_le_bytes(), [*sort].as_slice(), body].concat();
        chain = xxh3_128(&content);
        out.extend(store::pack(Kind::Partial, &content).expect("small enough"));
        rest = after;
    }
    out
}

/// Lists that know nothing.
struct Nowhere;

impl Places for Nowhere {
    fn class(&self, _: Addr) -> Class {
        Class::External
    }

    fn peer(&self, addr: Addr) -> Peer {
        Peer {
            addr,
            class: Class::External,
            service: None,
            region: None,
            country: None,
            asn: None,
            labels: Vec::new(),
        }
    }
}

fn state(data: &[u8]) {
    let bytes = match data.starts_with(b"flowtrl") {
        true => data.to_vec(),
        false => framed(data),
    };
    let path = file(&bytes);
    if let Ok(mut partial) = Partial::open(&path)
        && partial.trail().is_ok()
    {
        while let Ok(Some(_)) = partial.next_cell() {}
    }
    let folded = || Fold::open(std::slice::from_ref(&path)).and_then(|f| f.fold(&|_| None));
    let counting = Counting {
        grain: Grain::SCAN,
        filter: Filter::default(),
        window: TimeWindow::ALL,
        largest: 0,
    };
    if let Ok(mut folded) = folded() {
        let _ = folded.trail().map(flowtrail::trail::TrailState::finish);
        let pool = flowtrail::scan::threads(1).expect("a thread can be started");
        let _ = count_states(&mut folded, &Nowhere, &counting, &BTreeSet::new(), (None, &pool));
    }
    if let Ok(folded) = folded() {
        let _ = folded.write(true, &mut std::io::sink());
    }
    let _ = std::fs::remove_file(path);
}

/// The store that the seeds come from: the content of its manifest, its sums, its keys, and the content of what it says of
/// records without flows; a digit stands before each.
const STORE: [&[u8]; 4] = [
    include_bytes!("seeds/index/manifest"),
    include_bytes!("seeds/index/flows"),
    include_bytes!("seeds/index/keys"),
    include_bytes!("seeds/index/quiet"),
];

/// A store in which `data` takes the place of one of its files; its first byte says of which.
fn index(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let mut files = STORE.map(|f| &f[1..]);
    files[usize::from(which % 4)] = rest;
    let framed = |content| store::pack(Kind::Index, content).expect("small enough");
    let quiet = framed(files[3]);
    let folder = place();
    let names = [
        manifest::NAME,
        "flows-000000-000.parquet",
        "keys-000000-000.parquet",
        "quiet-000000",
    ];
    // Sums over the files would keep all but the seeds from their reader: what is changed is sealed anew.
    let sealed = Manifest::decode(files[0])
        .ok()
        .filter(|_| which % 4 > 0)
        .map(|mut manifest| {
            let seals = Arc::new(vec![[Seal::of(files[1]), Seal::of(files[2])]]);
            for segment in &mut manifest.segments {
                segment.parts = Arc::clone(&seals);
                segment.quiet = Seal::of(&quiet);
            }
            manifest.encode()
        });
    let manifest = framed(sealed.as_deref().unwrap_or(files[0]));
    std::fs::create_dir_all(&folder).expect("room for a temporary folder");
    for (name, content) in names.iter().zip([&manifest, files[1], files[2], &quiet]) {
        std::fs::write(folder.join(name), content).expect("room for a temporary file");
    }
    let is_on_disk = |m: &Manifest| !m.files().any(|f| Again::is_object(&f.path));
    if let Some(manifest) = Manifest::open(&folder).ok().filter(is_on_disk) {
        let archive = manifest.archive(&RemoteOptions::default()).expect("files on disk");
        let sought = Sought {
            names: ["10.0.1.20".to_owned()].into(),
            networks: vec!["52.216.0.0/16".parse().expect("a network")],
            ends: false,
        };
        for wanted in [None, Some(sought.clone())] {
            let shelf = IndexShelf::new(&folder, &manifest, &archive, &archive, wanted);
            let mut sum = 0;
            shelf.quiet(&mut |_, id, seen| sum += id.len() as u128 + u128::from(seen.nodata));
            for part in 0..shelf.parts().min(4) {
                shelf.fill(part, &|_| 0, &mut |s| sum += s.volume.bytes);
            }
            let _ = shelf.check();
        }
        let _ = IndexShelf::of_files(&folder, &manifest, &archive, &archive, &sought);
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn journal(data: &[u8]) {
    let path = file(&store::pack(Kind::Journal, data).expect("small enough"));
    if let Ok(journal) = Journal::open(&path) {
        let waits: Vec<_> = ["a", "b"].iter().flat_map(|t| journal.waiting(t)).collect();
        journal.save().expect("it was read");
        drop(journal);
        let again = Journal::open(&path).expect("what was written is read");
        let now: Vec<_> = ["a", "b"].iter().flat_map(|t| again.waiting(t)).collect();
        assert_eq!(now, waits);
    }
    let _ = std::fs::remove_file(path);
}

fn filters(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (
        Filter::parse(&text),
        TrailFilter::parse(&text),
        Key::parse(&text),
        parse_rfc3339(&text),
    );
    let _ = subjects(data);
    let shown = printable(data);
    assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
}

fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = toml::from_str::<Settings>(text);
        if let Ok(table) = text.parse::<toml::Table>() {
            let _ = notify::Target::read("soc", &table);
        }
        let _ = whatif::Proposal::parse(text, None);
    }
    let path = file(data);
    let _ = (AllowList::load(&[&path]), Suppressions::load(&[&path], 1_700_000_000));
    let _ = std::fs::remove_file(path);
}

fn inventory(data: &[u8]) {
    let mut graph = Graph::default();
    let _ = graph.read_inventory(data);
    graph.resolve();
}

fn alerts(data: &[u8]) {
    for tool in [Tool::GuardDuty, Tool::Macie] {
        let _ = SideFindings::default().add(data, tool, Path::new("x"));
    }
}

fn result(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    for format in REPORTERS {
        let _ = format.draw(value.clone(), &Wanted::default(), &mut std::io::sink());
    }
}

/// The bytes that a target begins with.
pub(crate) fn seeds(target: &Target, root: &Path) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = target.texts.iter().map(|t| t.as_bytes().to_vec()).collect();
    for name in target.files {
        let path = root.join(name);
        let mut files = vec![path.clone()];
        if path.is_dir() {
            files = std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
                .collect();
            files.sort();
        }
        let small = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.len() <= 256 << 10);
        all.extend(files.iter().filter(|p| small(p)).filter_map(|p| std::fs::read(p).ok()));
    }
    all
}

/// Runs a target by its name.
pub(crate) fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target of that name");
    (target.run)(data);
}
