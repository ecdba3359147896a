//! CloudTrail from the outside: every stored bad input against the manifest's rule, every real source against the
//! counts of its README. Both lie beside the repository (`FLOWTRAIL_SHARED`); without them the tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use flowtrail::trail::{Problem, TrailCounts, TrailEvent, read};
use serde_json::Value;

fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("FLOWTRAIL_SHARED").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no shared test data at {}", dir.display());
    None
}

/// A file's content, inflated as far as it goes.
fn content(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap();
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return raw;
    }
    let mut out = Vec::new();
    let _damage_is_told_by_the_input_room = flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut out);
    out
}

fn counts(bytes: &[u8]) -> TrailCounts {
    read(bytes, &mut |_| {})
}

#[test]
fn every_bad_input_gives_what_the_manifest_says() {
    let Some(dir) = shared().map(|d| d.join("badinputs")) else { return };
    let manifest: Value = serde_json::from_slice(&std::fs::read(dir.join("MANIFEST.json")).unwrap()).unwrap();
    let items = manifest["items"].as_array().unwrap();
    let items: Vec<&Value> = items.iter().filter(|i| i["kind"] == "cloudtrail").collect();
    assert!(items.len() > 30);
    let wrong: Vec<String> = items.iter().filter_map(|i| deviation(&dir, i)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn deviation(dir: &Path, item: &Value) -> Option<String> {
    let file = item["file"].as_str().unwrap();
    let got = counts(&content(&dir.join(file)));
    if file == "ct/lookup_events.json" {
        // The manifest lets "30" pass for this shape; the file holds 40 events, and so does the manifest's control.
        return (got.records != 40 || got.problem.is_some()).then(|| format!("{file}: {got:?}"));
    }
    let outcomes = std::iter::once(&item["expect"]).chain(item["also_acceptable"].as_array().into_iter().flatten());
    if !outcomes.clone().any(|o| satisfies(&got, o)) {
        return Some(format!("{file}: {got:?}, expected one of {:?}", outcomes.collect::<Vec<_>>()));
    }
    let named = item["rejects"].as_array().into_iter().flatten().enumerate();
    named.filter(|(n, want)| got.rejects.get(*n).is_none_or(|r| !names(r, want))).map(|(_, want)| format!("{file}: not named: {want}, but {:?}", got.rejects)).next()
}

fn names(got: &flowtrail::trail::TrailReject, want: &Value) -> bool {
    let same = |key: &str, value: u64| want.get(key).is_none_or(|w| w.as_u64() == Some(value));
    same("record", got.record) && same("line", got.line) && want.get("field").is_none_or(|f| f.as_str() == Some(&got.field))
}

fn satisfies(got: &TrailCounts, want: &Value) -> bool {
    let same = |key: &str, value: u64| want.get(key).and_then(Value::as_u64).is_none_or(|w| w == value);
    let rejected = want.get("rejected_max").and_then(Value::as_u64).map_or_else(|| same("rejected", got.rejected), |max| got.rejected <= max);
    let error = match want["file_error"].as_str() {
        Some("required") => got.problem.is_some(),
        Some("none") => got.problem.is_none(),
        _ => true,
    };
    let least = want.get("good_min").and_then(Value::as_u64).is_none_or(|min| got.records >= min);
    same("good", got.records) && same("missing_user_identity", got.missing_user_identity) && same("digest_files", got.digest_files) && rejected && error && least
}

/// What the README of the corpus counts.
#[derive(Default)]
struct Tally {
    counts: TrailCounts,
    files: usize,
    problems: Vec<Problem>,
    ids: BTreeSet<String>,
    names: BTreeMap<(String, String), u64>,
    arns: BTreeSet<String>,
    sources: BTreeSet<String>,
    odd_addresses: u64,
    errors: u64,
    with_endpoint: u64,
    bytes_out: u64,
    sessions: BTreeMap<String, u64>,
}

impl Tally {
    fn event(&mut self, e: &TrailEvent<'_>) {
        self.ids.extend(e.id.as_deref().map(str::to_owned));
        *self.names.entry((e.source.to_string(), e.name.to_string())).or_default() += 1;
        self.arns.extend(e.identity.arn.as_deref().map(str::to_owned));
        self.sources.extend(e.source_ip.as_deref().map(str::to_owned));
        let written = e.source_ip.as_deref().unwrap_or_default();
        let looks = written.split('.').count() == 4 && written.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        self.odd_addresses += u64::from(looks && e.addr.is_none());
        self.errors += u64::from(e.error.is_some());
        self.with_endpoint += u64::from(e.endpoint.is_some());
        self.bytes_out += e.bytes_out.unwrap_or(0);
        if let Some(i) = e.identity.instance() {
            *self.sessions.entry(i.to_owned()).or_default() += 1;
        }
    }

    fn name(&self, name: &str) -> u64 {
        self.names.iter().filter(|((_, n), _)| n == name).map(|(_, c)| c).sum()
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files_below(&path));
        } else if path.extension().is_some_and(|e| e != "zip") {
            out.push(path);
        }
    }
    out.sort();
    out
}

fn tally(source: &str) -> Option<Tally> {
    let path = shared()?.join("corpus/cloudtrail").join(source);
    let mut t = Tally::default();
    for file in if path.is_dir() { files_below(&path) } else { vec![path] } {
        let counts = read(&content(&file), &mut |e| t.event(&e));
        t.counts.add(&counts);
        t.counts.rejects.extend(counts.rejects);
        t.problems.extend(counts.problem);
        t.files += 1;
    }
    Some(t)
}

#[test]
fn invictus_ir_is_read_whole() {
    let Some(t) = tally("invictus-ir") else { return };
    assert_eq!((t.files, t.counts.records, t.counts.rejected, t.problems.len()), (55, 2_900, 0, 0));
    assert_eq!((t.ids.len(), t.names.len(), t.arns.len(), t.sources.len()), (2_900, 262, 13, 16));
    assert_eq!((t.errors, t.with_endpoint, t.bytes_out), (300, 155, 97_112));
}

#[test]
fn otrf_has_no_event_time_and_floats_for_bytes() {
    let Some(t) = tally("otrf") else { return };
    assert_eq!((t.counts.records, t.counts.rejected, t.bytes_out), (103, 0, 3_726));
    assert_eq!((t.name("ListObjects"), t.name("GetObject")), (7, 2));
    assert_eq!(t.sessions.keys().collect::<Vec<_>>(), ["i-0317f6c6b66ae9c40"]);
}

#[test]
fn stratus_red_team_has_addresses_that_are_none() {
    let Some(t) = tally("stratus-red-team") else { return };
    assert_eq!((t.files, t.counts.records, t.counts.rejected), (35, 310, 0));
    assert_eq!((t.ids.len(), t.names.len(), t.arns.len(), t.odd_addresses), (310, 54, 41, 107));
}

#[test]
fn flaws_cloud_is_an_old_version_in_a_tree() {
    let Some(t) = tally("flaws-cloud-excerpt") else { return };
    assert_eq!((t.files, t.counts.records, t.ids.len(), t.names.len()), (5, 185, 184, 152));
    assert_eq!((t.arns.len(), t.sources.len(), t.errors, t.problems.len()), (1, 3, 92, 0));
}

#[test]
fn small_sources_are_read_whole() {
    for (source, files, records, ids) in [
        ("trailscraper", 3, 7, 3),
        ("grafana-lambda-promtail", 1, 2, 2),
        ("coralogix", 1, 20, 20),
        ("aws-centralized-logging", 1, 4, 4),
    ] {
        let Some(t) = tally(source) else { return };
        assert_eq!((t.files, t.counts.records, t.counts.rejected, t.problems.len()), (files, records, 0, 0), "{source}");
        assert!(t.ids.len() <= ids, "{source}: {}", t.ids.len());
    }
    // One of the twenty has no time whatever, which the manifest's rule rejects.
    let custodian = tally("cloud-custodian-eventbridge").unwrap();
    assert_eq!((custodian.files, custodian.counts.records, custodian.problems.len()), (20, 19, 0));
    assert_eq!(custodian.counts.rejects.iter().map(|r| &*r.field).collect::<Vec<_>>(), ["eventTime"]);
    let coralogix = tally("coralogix").unwrap();
    assert_eq!((coralogix.name("GetBucketAcl"), coralogix.bytes_out), (5, 2_400));
}

#[test]
fn a_cut_file_is_said_to_be_cut() {
    let Some(t) = tally("cado-cloudgrep") else { return };
    assert_eq!((t.files, t.counts.records, t.counts.rejected, t.problems.len()), (3, 2, 0, 1));
    assert!(matches!(t.problems[0], Problem::Truncated { .. }));
}

#[test]
fn panther_rule_tests_lack_only_times() {
    let Some(t) = tally("panther-rule-tests/cloudtrail-rule-tests.ndjson") else { return };
    assert_eq!(t.counts.records + t.counts.rejected, 459);
    assert!(t.counts.rejects.iter().all(|r| r.field == "eventTime"), "{:?}", t.counts.rejects);
    assert_eq!((t.counts.rejected, t.ids.len() <= 126), (15, true));
    let s3 = tally("panther-rule-tests/s3-events.ndjson").unwrap();
    let of = |n: &str| s3.name(n);
    assert_eq!((s3.counts.records + s3.counts.rejected, of("GetObject"), of("PutObject"), of("DeleteObjects")), (75, 9, 3, 1));
    let network = tally("panther-rule-tests/vpce-network-activity-events.ndjson").unwrap();
    assert_eq!((network.counts.records + network.counts.rejected, network.with_endpoint, network.errors, network.arns.len()), (9, 7, 1, 0));
}
