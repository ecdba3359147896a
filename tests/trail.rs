//! CloudTrail from the outside: every stored bad input against the manifest's rule, every real source against the
//! counts of its README. Both lie beside the repository (`FLOWTRAIL_SHARED`); without them the tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say what they skip"
)]

mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use flowtrail::attribute::{Attribution, Class, Question};
use flowtrail::inventory::Graph;
use flowtrail::net::TimeWindow;
use flowtrail::trail::{PrincipalIndex, Problem, TrailArchive, TrailCounts, TrailEvent, TrailRow, read};
use serde_json::Value;
use shared::shared;

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
    let Some(dir) = shared("badinputs") else {
        return;
    };
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
        return Some(format!(
            "{file}: {got:?}, expected one of {:?}",
            outcomes.collect::<Vec<_>>()
        ));
    }
    let named = item["rejects"].as_array().into_iter().flatten().enumerate();
    named
        .filter(|(n, want)| got.rejects.get(*n).is_none_or(|r| !names(r, want)))
        .map(|(_, want)| format!("{file}: not named: {want}, but {:?}", got.rejects))
        .next()
}

fn names(got: &flowtrail::trail::TrailReject, want: &Value) -> bool {
    let same = |key: &str, value: u64| want.get(key).is_none_or(|w| w.as_u64() == Some(value));
    same("record", got.record)
        && same("line", got.line)
        && want.get("field").is_none_or(|f| f.as_str() == Some(&got.field))
}

fn satisfies(got: &TrailCounts, want: &Value) -> bool {
    let same = |key: &str, value: u64| want.get(key).and_then(Value::as_u64).is_none_or(|w| w == value);
    let rejected = want
        .get("rejected_max")
        .and_then(Value::as_u64)
        .map_or_else(|| same("rejected", got.rejected), |max| got.rejected <= max);
    let error = match want["file_error"].as_str() {
        Some("required") => got.problem.is_some(),
        Some("none") => got.problem.is_none(),
        _ => true,
    };
    let least = want
        .get("good_min")
        .and_then(Value::as_u64)
        .is_none_or(|min| got.records >= min);
    same("good", got.records)
        && same("missing_user_identity", got.missing_user_identity)
        && same("digest_files", got.digest_files)
        && rejected
        && error
        && least
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
        *self
            .names
            .entry((e.source.to_string(), e.name.to_string()))
            .or_default() += 1;
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
    let path = shared("corpus/cloudtrail")?.join(source);
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
    assert_eq!(
        (t.files, t.counts.records, t.counts.rejected, t.problems.len()),
        (55, 2_900, 0, 0)
    );
    assert_eq!(
        (t.ids.len(), t.names.len(), t.arns.len(), t.sources.len()),
        (2_900, 262, 13, 16)
    );
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
    assert_eq!(
        (t.ids.len(), t.names.len(), t.arns.len(), t.odd_addresses),
        (310, 54, 41, 107)
    );
}

#[test]
fn flaws_cloud_is_an_old_version_in_a_tree() {
    let Some(t) = tally("flaws-cloud-excerpt") else { return };
    assert_eq!(
        (t.files, t.counts.records, t.ids.len(), t.names.len()),
        (5, 185, 184, 152)
    );
    assert_eq!(
        (t.arns.len(), t.sources.len(), t.errors, t.problems.len()),
        (1, 3, 92, 0)
    );
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
        assert_eq!(
            (t.files, t.counts.records, t.counts.rejected, t.problems.len()),
            (files, records, 0, 0),
            "{source}"
        );
        assert!(t.ids.len() <= ids, "{source}: {}", t.ids.len());
    }
    // One of the twenty has no time whatever, which the manifest's rule rejects.
    let custodian = tally("cloud-custodian-eventbridge").unwrap();
    assert_eq!(
        (custodian.files, custodian.counts.records, custodian.problems.len()),
        (20, 19, 0)
    );
    assert_eq!(
        custodian.counts.rejects.iter().map(|r| &*r.field).collect::<Vec<_>>(),
        ["eventTime"]
    );
    let coralogix = tally("coralogix").unwrap();
    assert_eq!((coralogix.name("GetBucketAcl"), coralogix.bytes_out), (5, 2_400));
}

#[test]
fn a_cut_file_is_said_to_be_cut() {
    let Some(t) = tally("cado-cloudgrep") else { return };
    assert_eq!(
        (t.files, t.counts.records, t.counts.rejected, t.problems.len()),
        (3, 2, 0, 1)
    );
    assert!(matches!(t.problems[0], Problem::Truncated { .. }));
}

#[test]
fn panther_rule_tests_lack_only_times() {
    let Some(t) = tally("panther-rule-tests/cloudtrail-rule-tests.ndjson") else {
        return;
    };
    assert_eq!(t.counts.records + t.counts.rejected, 459);
    assert!(
        t.counts.rejects.iter().all(|r| r.field == "eventTime"),
        "{:?}",
        t.counts.rejects
    );
    assert_eq!((t.counts.rejected, t.ids.len() <= 126), (15, true));
    let s3 = tally("panther-rule-tests/s3-events.ndjson").unwrap();
    let of = |n: &str| s3.name(n);
    assert_eq!(
        (
            s3.counts.records + s3.counts.rejected,
            of("GetObject"),
            of("PutObject"),
            of("DeleteObjects")
        ),
        (75, 9, 3, 1)
    );
    let network = tally("panther-rule-tests/vpce-network-activity-events.ndjson").unwrap();
    assert_eq!(
        (
            network.counts.records + network.counts.rejected,
            network.with_endpoint,
            network.errors,
            network.arns.len()
        ),
        (9, 7, 1, 0)
    );
}

/// All of a source in one archive, its files dealt out to `workers` that merge in the end.
fn archive(source: &str, workers: usize, backwards: bool) -> Option<TrailArchive> {
    let path = shared("corpus/cloudtrail")?.join(source);
    let mut files = if path.is_dir() { files_below(&path) } else { vec![path] };
    if backwards {
        files.reverse();
    }
    let mut parts: Vec<TrailArchive> = (0..workers).map(|_| TrailArchive::default()).collect();
    for (n, file) in files.iter().enumerate() {
        read(&content(file), &mut |e| parts[n % workers].observe(&e));
    }
    let merge = |mut a: TrailArchive, b| {
        a.merge(b);
        a
    };
    parts.into_iter().reduce(merge)
}

fn requests(index: &PrincipalIndex) -> u64 {
    index.rows.iter().map(|r| r.requests).sum()
}

#[test]
fn copies_are_dropped_and_redacted_ids_are_no_ids() {
    for (source, events, copies) in [
        ("flaws-cloud-excerpt", 184, 1),
        ("trailscraper", 3, 4),
        ("panther-rule-tests/s3-events.ndjson", 0, 0),
    ] {
        let Some(a) = archive(source, 1, false) else { return };
        let (duplicates, index) = (a.duplicates(), a.finish());
        if events > 0 {
            assert_eq!((requests(&index), duplicates), (events, copies), "{source}");
        } else {
            let read = tally(source).unwrap().counts.records;
            assert!(
                requests(&index) > read - 8,
                "{source}: {} of {read} left",
                requests(&index)
            );
        }
    }
}

#[test]
fn any_number_of_workers_and_any_order_gives_the_same_index() {
    let Some(one) = archive("invictus-ir", 1, false) else {
        return;
    };
    let text = |a: TrailArchive| {
        let (graph, duplicates) = (a.graph().clone(), a.duplicates());
        let i = a.finish();
        let rows: Vec<String> = i
            .rows
            .iter()
            .map(|r| format!("{r:?} {:?}", r.objects.count()))
            .collect();
        format!(
            "{duplicates} {:?} {rows:?} {:?} {:?} {graph:?}",
            i.principals, i.issued, i.notable
        )
    };
    let expected = text(one);
    for (workers, backwards) in [(1, true), (2, false), (3, true), (7, false)] {
        assert!(
            text(archive("invictus-ir", workers, backwards).unwrap()) == expected,
            "{workers} workers, backwards: {backwards}"
        );
    }
}

#[test]
fn files_met_twice_by_different_workers_count_once() {
    let Some(mut all) = archive("invictus-ir", 2, false) else {
        return;
    };
    let expected = requests(&archive("invictus-ir", 1, false).unwrap().finish());
    all.merge(archive("invictus-ir", 3, true).unwrap());
    assert_eq!((all.duplicates(), requests(&all.finish())), (2_900, expected));
}

#[test]
fn otrf_names_session_instance_and_both_objects() {
    let Some(a) = archive("otrf", 1, false) else { return };
    let inventory = a.graph().resolve();
    let index = a.finish();
    let instance = "i-0317f6c6b66ae9c40";
    let question = Question {
        instance: Some(instance.into()),
        window: Some(TimeWindow::ALL),
        ..Question::default()
    };
    let who = Attribution::new(&inventory, &index).who(&question);
    let session =
        format!("arn:aws:sts::123456789123:assumed-role/MordorNginxStack-BankingWAFRole-9S3E0UAE1MM0/{instance}");
    assert_eq!(
        (who[0].arn.as_str(), who[0].class),
        (session.as_str(), Class::Strong),
        "{who:#?}"
    );
    let of_session = |r: &&TrailRow| index.principal(r).unwrap().instance.as_deref() == Some(instance);
    let gets: Vec<_> = index
        .rows
        .iter()
        .filter(of_session)
        .filter(|r| index.text(r.event) == "GetObject")
        .collect();
    assert_eq!(
        gets.iter()
            .map(|r| (r.requests, r.bytes_out))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (2, 178)
    );
    println!(
        "{:?}",
        gets.iter()
            .map(|r| (index.text(r.bucket), r.objects.count()))
            .collect::<Vec<_>>()
    );
}

#[test]
fn invictus_teaches_interfaces_instances_and_nat_addresses() {
    let Some(a) = archive("invictus-ir", 2, false) else {
        return;
    };
    let inventory = a.graph().resolve();
    println!("{inventory:#?}");
    let interface = inventory.interface("eni-076fa9fb98a2500a7").unwrap();
    assert_eq!(interface.addresses[0].to.to_string(), "10.0.1.10");
    assert_eq!(interface.account.as_deref(), Some("123837392027"));
    let nat = inventory.nats.iter().find(|n| n.id == "nat-03575abbac42080d9").unwrap();
    assert_eq!(
        (nat.public[0].to.to_string().as_str(), nat.vpc.as_deref()),
        ("3.225.16.109", Some("vpc-06fe1a64761a0f720"))
    );
    let instance = inventory.instance("i-0dbc91f429e48eeed").unwrap();
    println!("{instance:#?}");
}

#[test]
fn inventories_are_told_apart_by_content() {
    let Some(dir) = shared("corpus/aws-network") else {
        return;
    };
    let mut graph = Graph::default();
    for (file, interfaces, endpoints, flow_logs) in [
        (
            "cloud-custodian-placebo/describe-network-interfaces-many.json",
            11,
            0,
            0,
        ),
        (
            "cloud-custodian-placebo/describe-network-interfaces-eip-nat.json",
            2,
            0,
            0,
        ),
        (
            "cloud-custodian-placebo/describe-network-interfaces-private-subnet.json",
            3,
            0,
            0,
        ),
        (
            "cloud-custodian-placebo/describe-network-interfaces-sg-used.json",
            4,
            0,
            0,
        ),
        (
            "cloud-custodian-placebo/describe-vpc-endpoints-gateway-and-interface.json",
            0,
            4,
            0,
        ),
        ("cloud-custodian-placebo/describe-vpc-endpoints-filter.json", 0, 3, 0),
        ("cloud-custodian-placebo/describe-vpc-endpoints-transfer.json", 0, 1, 0),
        ("cloud-custodian-placebo/describe-flow-logs.json", 0, 0, 2),
        ("cloud-custodian-placebo/describe-flow-logs-misconfigured.json", 0, 0, 5),
        ("aws-cli-examples/describe-network-interfaces-1.json", 2, 0, 0),
    ] {
        let found = graph.read_inventory(&content(&dir.join(file))).unwrap();
        assert_eq!(
            (found.interfaces, found.endpoints, found.flow_logs),
            (interfaces, endpoints, flow_logs),
            "{file}"
        );
    }
    assert!(
        graph
            .read_inventory(&content(&dir.join("ip-ranges-2026-08-22.json")))
            .is_err()
    );
    assert!(graph.read_inventory(b"<html>").is_err());
    let known = graph.resolve();
    let nat = known.interface("eni-0449d9bc9a2d3536c").unwrap();
    assert_eq!(
        (nat.kind.as_deref(), nat.nat.as_deref(), nat.managed),
        (Some("nat_gateway"), Some("nat-001ede673d090598b"), true)
    );
    assert_eq!(nat.public[0].to.to_string(), "3.216.70.200");
    let endpoint = known.interface("eni-099fba10036bb0b1b").unwrap();
    assert_eq!(
        (endpoint.endpoint.as_deref(), known.is_middlebox(&endpoint.id)),
        (Some("vpce-0ae25b74ddcffae7b"), Some(true))
    );
    let owned = known.interface("eni-0c460249c6f383b28").unwrap();
    assert_eq!(owned.instances[0].to, "i-02bdb80e43cda8576");
    assert_eq!(
        (known.accounts.len() > 1, known.is_middlebox(&owned.id)),
        (true, Some(false))
    );
}

/// A generated account with known incidents (`make_range.py`), at `FLOWTRAIL_RANGE`.
fn range() -> Option<PathBuf> {
    let dir = std::env::var_os("FLOWTRAIL_RANGE").map(PathBuf::from);
    if dir.is_none() {
        println!("skipped: no range at FLOWTRAIL_RANGE");
    }
    dir
}

#[test]
fn the_true_principal_of_an_incident_comes_first() {
    let Some(dir) = range() else { return };
    let truth: Value = serde_json::from_slice(&std::fs::read(dir.join("truth.json")).unwrap()).unwrap();
    let mut archive = TrailArchive::default();
    for file in files_below(&dir.join("trail")) {
        read(&content(&file), &mut |e| archive.observe(&e));
    }
    let mut graph = archive.graph().clone();
    graph
        .read_inventory(&content(&dir.join("inventory/describe-network-interfaces.json")))
        .unwrap();
    graph
        .read_inventory(&content(&dir.join("inventory/event-selectors.json")))
        .unwrap();
    let inventory = graph.resolve();
    println!("{} facts, {} duplicates", graph.len(), archive.duplicates());
    let index = archive.finish();
    println!(
        "{} rows, {} principals, {} issued",
        index.rows.len(),
        index.principals.len(),
        index.issued.len()
    );
    let manifest: Value = serde_json::from_slice(&std::fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(
        requests(&index),
        manifest["trail"]["events"].as_u64().unwrap(),
        "copies count once, nothing is lost"
    );
    let attribution = Attribution::new(&inventory, &index);
    let (mut asked, mut right) = (0, 0);
    for incident in truth["incidents"].as_array().unwrap() {
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let (Some(eni), Some(arn)) = (text(&incident["eni"]), text(&incident["principal"]["arn"])) else {
            continue;
        };
        let time = |key: &str| flowtrail::net::parse_rfc3339(incident[key].as_str().unwrap()).unwrap();
        let window = TimeWindow {
            from: time("start"),
            to: time("end") + 1,
        };
        let ips = incident["private_ips"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap().parse().unwrap());
        let local = ips.collect::<Vec<_>>().pop();
        let question = Question {
            interface: Some(eni),
            addresses: local.into_iter().collect(),
            window: Some(window),
            ..Question::default()
        };
        let who = attribution.who(&question);
        asked += 1;
        right += u32::from(who.first().is_some_and(|p| p.arn == arn));
        if who.first().is_none_or(|p| p.arn != arn) {
            println!(
                "{} {}: expected {arn}, got {:#?}",
                incident["id"],
                incident["kind"],
                who.iter().take(3).collect::<Vec<_>>()
            );
        }
    }
    println!("{right} of {asked} principals right");
    assert!(asked > 5 && right * 100 >= asked * 95, "{right} of {asked}");
}
