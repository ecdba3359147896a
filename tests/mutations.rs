//! Hostile bytes for everything that takes bytes from strangers, without a nightly toolchain: seeds, and what changes of
//! them by chance that is the same in every run. `fuzz/targets.rs` says what is run; `just fuzz` runs the same under
//! libFuzzer.
//!
//! A few thousand inputs a target in the normal run, a million with `--ignored` (`just mutations`). An input that takes more
//! than half a minute, or more than a bounded amount of memory, fails as one that panics does. What was ever found stands in
//! `fuzz/found/` and is run first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures, and what was skipped")]
#![allow(dead_code, reason = "the list is used by the fuzzer in another way")]

#[path = "../fuzz/targets.rs"]
mod targets;

use flowtrail::aggregate::watch::Quiet;
use flowtrail::index::{Manifest, Seal};
use flowtrail::store::Reader;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Counts what is allocated: a number in a damaged file must make no room.
struct Counting;

static NOW: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
// SAFETY: every call is handed on to the system's allocator as it came; only sizes are added up.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as the caller promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promised to us.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as the caller promised to us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        add(size);
        // SAFETY: as the caller promised to us.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn add(bytes: usize) {
    let now = NOW.fetch_add(bytes as isize, Ordering::Relaxed) + bytes as isize;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An input may take this much, and this much more for each of its bytes.
const MEMORY: isize = 48 << 20;
const MEMORY_A_BYTE: isize = 256;
/// More of the processor than this is a bug; more of the clock, where nothing else is known, or if everybody waits.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_ASLEEP: Duration = Duration::from_secs(600);

/// A small generator whose numbers are the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const WORDS: &[&[u8]] = &[
    b"18446744073709551616",
    b"9223372036854775808",
    b"4294967295",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\r\n",
    b"\n\n",
    b"  ",
    b"\\ud800",
    b"\"",
    b"{\"Records\":[",
    b"]}",
    b"::ffff:1.2.3.4",
    b"2001:db8::",
    b"0.0.0.0/0",
    b"\x1f\x8b\x08",
    b"PAR1",
    b"[[[[[[[[[[[[[[[[",
    b"${version} ",
];

/// One to eight changes of a seed.
fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    // Most inputs are short: a change then hits something.
    if bytes.len() > 4_096 && random.below(4) > 0 {
        let from = if random.below(2) == 0 {
            0
        } else {
            random.below(bytes.len())
        };
        let to = (from + 64 + random.below(4_096)).min(bytes.len());
        bytes = bytes[from..to].to_vec();
    }
    for _ in 0..=random.below(8) {
        change(&mut bytes, seeds, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = 1 + random.below(random.0 as usize % 64 + 1);
    let end = (at + length).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => drop(bytes.drain(at..end)),
        3 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        4 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
        5 => drop(bytes.splice(at..end, WORDS[random.below(WORDS.len())].iter().copied())),
        6 => bytes.truncate(at),
        7 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let piece = other[from..(from + length * 8).min(other.len())].to_vec();
            bytes.splice(at..end, piece);
        }
        _ => bytes[at..end].iter_mut().for_each(|b| *b = b.wrapping_add(1)),
    }
}

/// When the input in hand was begun, in milliseconds of the test's own clock; 0 for none.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Ends the process if an input takes too long: a loop without end would never fail. A busy machine is no loop, so it is
/// the processor's time that counts.
fn watch(clock: Instant) {
    std::thread::spawn(move || {
        let mut held = (0, Duration::ZERO);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun == 0 || begun != held.0 {
                held = (begun, busy().unwrap_or_default());
                continue;
            }
            let waited = clock.elapsed().saturating_sub(Duration::from_millis(begun));
            let worked = busy().map_or(waited, |now| now.saturating_sub(held.1));
            if worked > PATIENCE || waited > PATIENCE_ASLEEP {
                eprintln!(
                    "an input takes {worked:?} of work, {waited:?} by the clock: see the line above for its target"
                );
                std::process::abort();
            }
        }
    });
}

/// How long this process has been at work, where the system tells: in hundredths of a second (proc(5), utime and stime).
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(ticks * 10))
}

/// Runs one input within its bounds.
fn once(target: &Target, clock: Instant, data: &[u8]) -> Result<(), String> {
    BEGUN.store(clock.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = std::panic::catch_unwind(|| (target.run)(data));
    BEGUN.store(0, Ordering::Relaxed);
    let took = PEAK.load(Ordering::Relaxed) - before;
    if result.is_err() {
        return Err("panicked".into());
    }
    if took > MEMORY + MEMORY_A_BYTE * data.len() as isize {
        return Err(format!("took {took} bytes of memory for {} bytes", data.len()));
    }
    Ok(())
}

/// Runs a target on what was found before, its seeds, and `count` changes of them.
fn campaign(target: &Target, count: u64, start: u64, clock: Instant) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    let mut tell = |what: String, data: &[u8], e: String| {
        let path = std::env::temp_dir().join(format!("flowtrail-{}-{:x}", target.name, wrong.len()));
        std::fs::write(&path, data).unwrap();
        wrong.push(format!(
            "{}: {what}: {e}; the input is in {}",
            target.name,
            path.display()
        ));
    };
    for entry in std::fs::read_dir(root.join("fuzz/found").join(target.name))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        once(target, clock, &data).unwrap_or_else(|e| tell(path.display().to_string(), &data, e));
    }
    let seeds = targets::seeds(target, root);
    for (n, seed) in seeds.iter().enumerate() {
        once(target, clock, seed).unwrap_or_else(|e| tell(format!("seed {n}"), seed, e));
    }
    let mut random = Random(start);
    let began = Instant::now();
    for n in 0..count {
        let data = mutated(&seeds, &mut random);
        once(target, clock, &data).unwrap_or_else(|e| tell(format!("mutation {n} of {start}"), &data, e));
        if n % 100_000 == 99_999 {
            println!("{}: {} in {:.1?}", target.name, n + 1, began.elapsed());
        }
    }
    println!(
        "{}: {count} mutations of {} seeds in {:.1?}",
        target.name,
        seeds.len(),
        began.elapsed()
    );
    wrong
}

/// All targets, one after the other: the memory of a process is counted as a whole. `FLOWTRAIL_TARGET` names some,
/// `FLOWTRAIL_SEED` begins elsewhere.
fn all(count: u64) {
    let chosen = std::env::var("FLOWTRAIL_TARGET").unwrap_or_default();
    let seed = std::env::var("FLOWTRAIL_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(12);
    let clock = Instant::now();
    watch(clock);
    let names: Vec<&str> = chosen.split([',', ' ']).filter(|n| !n.is_empty()).collect();
    for name in &names {
        assert!(TARGETS.iter().any(|t| t.name == *name), "no target is called {name}");
    }
    let wanted = |t: &&Target| names.is_empty() || names.contains(&t.name);
    let wrong: Vec<String> = TARGETS
        .iter()
        .filter(wanted)
        .flat_map(|t| {
            println!("{} …", t.name);
            campaign(t, count, seed, clock)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn thousands_of_mutations_do_no_harm() {
    all(1_000);
}

#[test]
#[ignore = "a million inputs a target: `just mutations`"]
fn a_million_mutations_do_no_harm() {
    let count = std::env::var("FLOWTRAIL_MUTATIONS").ok().and_then(|s| s.parse().ok());
    all(count.unwrap_or(1_000_000));
}

#[test]
fn every_target_has_seeds_and_a_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(
            root.join(format!("fuzz/fuzz_targets/{}.rs", target.name)).exists(),
            "{}",
            target.name
        );
        assert!(
            manifest.contains(&format!("name = \"{}\"", target.name)),
            "{}",
            target.name
        );
        // Its own: what lies beside the repository only adds to them.
        let own = |f: &&&str| !f.starts_with("..");
        let files = target.files.iter().filter(own).count();
        assert!(files + target.texts.len() > 0, "{} has no seeds", target.name);
        assert!(!targets::seeds(target, root).is_empty(), "{} has no seeds", target.name);
    }
}

#[test]
fn the_seed_of_an_index_is_of_this_format() {
    let seed = include_bytes!("../fuzz/seeds/index/manifest");
    let manifest = Manifest::decode(&seed[1..]).unwrap();
    assert_eq!(manifest.files().count(), 2);
    assert_eq!(manifest.encode(), seed[1..]);
    let [flows, keys, quiet]: [&[u8]; 3] = [
        include_bytes!("../fuzz/seeds/index/flows"),
        include_bytes!("../fuzz/seeds/index/keys"),
        include_bytes!("../fuzz/seeds/index/quiet"),
    ];
    assert_eq!(*manifest.segments[0].parts, [[&flows[1..], &keys[1..]].map(Seal::of)]);
    let (mut told, mut from) = (Vec::new(), Reader::new(&quiet[1..]));
    Quiet::each(&mut from, &mut |log, id, seen| {
        told.push((log.to_owned(), id.to_owned(), seen))
    })
    .unwrap();
    from.done().unwrap();
    let [(log, id, seen)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((log.as_str(), id.as_slice()), ("-", b"eni-0a2".as_slice()));
    assert_eq!((seen.nodata, seen.lost.len()), (1, 1));
}
