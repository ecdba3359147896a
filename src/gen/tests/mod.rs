//! What a user of the synthetic account relies on: the same bytes for ever, valid lines, books that balance.
//!
//! The checks read what was written, with a reader of their own that shares no code with the writer.

mod stories;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::*;

/// All files below a folder: path and text.
type Tree = BTreeMap<String, String>;

fn tree(options: &Options) -> Tree {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("account");
    generate(options, &out).unwrap();
    let mut found = Tree::new();
    collect(&out, &out, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Four days, small, plain text: a second of work.
fn short() -> Options {
    Options {
        days: 4,
        scale: Scale::Small,
        plain: true,
        ..Options::default()
    }
}

/// The account of `short`, made once.
fn account() -> &'static Tree {
    static ACCOUNT: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
    ACCOUNT.get_or_init(|| tree(&short()))
}

fn flow_files(tree: &Tree) -> impl Iterator<Item = (&String, &String)> {
    tree.iter().filter(|(name, _)| name.starts_with("flow/"))
}

/// Every record's fields.
fn lines(tree: &Tree) -> impl Iterator<Item = Vec<&str>> {
    flow_files(tree)
        .flat_map(|(_, text)| text.lines().skip(1))
        .map(|l| l.split(' ').collect())
}

fn records(tree: &Tree) -> Vec<Value> {
    let files = tree.iter().filter(|(name, _)| name.starts_with("trail/"));
    let whole = files.map(|(_, text)| serde_json::from_str::<Value>(text).unwrap());
    whole.flat_map(|v| v["Records"].as_array().unwrap().clone()).collect()
}

fn truth_of(tree: &Tree, id: &str) -> Value {
    let truth: Value = serde_json::from_str(&tree["truth.json"]).unwrap();
    let found = truth["incidents"].as_array().unwrap().iter().find(|i| i["id"] == id);
    found.unwrap().clone()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

fn seconds(value: &Value) -> u64 {
    crate::net::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

fn s3_bytes(record: &Value, field: &str) -> u64 {
    record["additionalEventData"][field].as_u64().unwrap_or(0)
}

/// Counting rule 2 of the contract, spelled out.
fn is_good(header: &[&str], fields: &[&str]) -> bool {
    const NUMBERS: [&str; 10] = [
        "version",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "tcp-flags",
        "traffic-path",
    ];
    const NEEDED: [&str; 5] = ["srcaddr", "dstaddr", "bytes", "start", "end"];
    let ok = fields[header.iter().position(|h| *h == "log-status").unwrap()] == "OK";
    header.len() == fields.len()
        && header.iter().zip(fields).all(|(name, field)| {
            let missing = *field == "-" && !(ok && NEEDED.contains(name));
            missing
                || match *name {
                    n if NUMBERS.contains(&n) => field.parse::<u64>().is_ok(),
                    n if n.ends_with("addr") => field.parse::<std::net::IpAddr>().is_ok(),
                    "log-status" => ["OK", "NODATA", "SKIPDATA"].contains(field),
                    _ => !field.is_empty(),
                }
        })
}

#[test]
fn same_options_same_bytes_and_another_seed_is_another_account() {
    let (a, b, c) = (account(), &tree(&short()), tree(&Options { seed: 2, ..short() }));
    assert_eq!(a, b);
    let shared = a
        .iter()
        .filter(|(name, text)| name.starts_with("flow") && c.get(*name) == Some(text))
        .count();
    assert_eq!(shared, 0);
}

#[test]
fn gzip_holds_the_same_text() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    generate(
        &Options {
            plain: false,
            ..short()
        },
        folder.path(),
    )
    .unwrap();
    for (name, text) in tree(&short())
        .iter()
        .filter(|(n, _)| n.starts_with("flow") || n.starts_with("trail"))
        .take(40)
    {
        let packed = std::fs::read(folder.path().join(format!("{name}.gz"))).unwrap();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(&unpacked, text, "{name}");
    }
}

#[test]
fn every_line_is_good_in_its_slot_and_counted() {
    for format in [Format::V2, Format::V5] {
        let made = tree(&Options { format, ..short() });
        let mut counted = 0;
        for (name, text) in flow_files(&made) {
            let stamp = name.split('_').rev().nth(1).unwrap();
            let header: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split(' ').collect();
                assert!(is_good(&header, &fields), "{line}");
                let (start, end) = (number(fields[10]), number(fields[11]));
                let slot = rfc3339(end - end % 300).replace(['-', ':'], "");
                assert_eq!(slot.get(..13), stamp.get(..13), "{line}");
                assert!(start <= end && end - start < flows::WINDOW, "{line}");
                counted += 1;
            }
        }
        let manifest: Value = serde_json::from_str(&made["manifest.json"]).unwrap();
        let sum = ["ok", "nodata", "skipdata"]
            .iter()
            .map(|k| manifest["counts"][k].as_u64().unwrap())
            .sum::<u64>();
        assert_eq!(counted, sum);
        assert_eq!(
            records(&made).len() as u64,
            manifest["counts"]["trail_records"].as_u64().unwrap()
        );
    }
}

#[test]
fn the_truth_is_the_sum_over_the_written_lines() {
    let made = account();
    let with_flows = ["threat-host", "tor-guard", "foreign-write", "instance-upload"];
    for incident in with_flows.map(|id| truth_of(made, id)) {
        let eni = incident["eni"].as_str().unwrap();
        let (from, to) = (seconds(&incident["start"]), seconds(&incident["end"]));
        let mut total = 0;
        for peer in incident["peers"].as_array().unwrap() {
            let ip = peer["ip"].as_str().unwrap();
            let at = lines(made).filter(|f| f[2] == eni && (f[3] == ip || f[4] == ip));
            let (mut out, mut back, mut count) = (0, 0, 0);
            for f in at {
                assert!(from <= number(f[10]) && number(f[11]) <= to, "{f:?}");
                *(if f[4] == ip { &mut out } else { &mut back }) += number(f[9]);
                count += 1;
            }
            assert_eq!(
                (&peer["bytes_out"], &peer["bytes_in"], &peer["records"]),
                (&out.into(), &back.into(), &count.into())
            );
            total += out;
        }
        assert!(total > 5_000_000);
        assert_eq!(incident["flow_bytes"], total);
    }
}

/// The reconciliation's interval (field guide 4 C): payload and its overhead, acknowledgements, requests.
#[test]
fn the_trail_explains_what_hosts_send_to_s3_and_not_what_the_thief_sends() {
    let made = account();
    let thief = truth_of(made, "instance-upload")["eni"].as_str().unwrap().to_owned();
    let interfaces: Value = serde_json::from_str(&made["inventory/describe-network-interfaces.json"]).unwrap();
    let all = records(made);
    let mut judged = 0;
    for host in interfaces["NetworkInterfaces"].as_array().unwrap() {
        let (eni, ip) = (host["NetworkInterfaceId"].as_str().unwrap(), &host["PrivateIpAddress"]);
        let to_s3 = lines(made).filter(|f| f[2] == eni && (f[4].starts_with("52.216.") || f[4].starts_with("54.231.")));
        let sent: u64 = to_s3.map(|f| number(f[9])).sum();
        let calls: Vec<&Value> = all.iter().filter(|r| &r["sourceIPAddress"] == ip).collect();
        let sum = |field| calls.iter().map(|r| s3_bytes(r, field)).sum::<u64>();
        let (up, down, n) = (
            sum("bytesTransferredIn"),
            sum("bytesTransferredOut"),
            calls.len() as u64,
        );
        let least = up * 102 / 100 + down * 2 / 1_000 + n * 300;
        let most = up * 110 / 100 + down * 20 / 1_000 + n * 4_000;
        assert_eq!(
            (least..=most).contains(&sent),
            eni != thief,
            "{eni}: {sent} of {least} to {most}"
        );
        judged += u32::from(n > 0);
    }
    assert!(judged >= 8);
}

#[test]
fn what_passes_the_nat_gateway_is_there_twice() {
    let made = account();
    let interfaces: Value = serde_json::from_str(&made["inventory/describe-network-interfaces.json"]).unwrap();
    let all = interfaces["NetworkInterfaces"].as_array().unwrap();
    let nat = all.iter().find(|i| i["InterfaceType"] == "nat_gateway").unwrap();
    let (eni, ip) = (
        nat["NetworkInterfaceId"].as_str().unwrap(),
        nat["PrivateIpAddress"].as_str().unwrap(),
    );
    let with_public = all.iter().filter(|i| i["Association"]["PublicIp"].is_string());
    let public: Vec<&str> = with_public.map(|i| i["NetworkInterfaceId"].as_str().unwrap()).collect();
    let ours = |a: &str| a.starts_with("10.20.");
    let sum = |keep: &dyn Fn(&[&str]) -> bool| {
        lines(made)
            .filter(|f| f[12] == "ACCEPT" && keep(f))
            .map(|f| number(f[9]))
            .sum::<u64>()
    };
    let outer = sum(&|f| f[2] == eni && f[3] == ip && !ours(f[4]));
    let inner = sum(&|f| f[2] == eni && f[4] == ip && ours(f[3]));
    let owners = sum(&|f| {
        f[2] != eni
            && ours(f[3])
            && !ours(f[4])
            && !public.contains(&f[2])
            && !f[4].starts_with("52.216.")
            && !f[4].starts_with("54.231.")
    });
    assert_eq!((outer, inner), (owners, owners));
    assert!(outer > 2_900_000_000);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |o: Options| generate(&o, folder.path()).unwrap_err().to_string();
    assert!(
        refuse(Options {
            without: vec!["nothing".into()],
            ..short()
        })
        .contains("stolen-key")
    );
    assert!(refuse(Options { days: 3, ..short() }).contains("4"));
    assert!(refuse(Options { start: 5, ..short() }).contains("midnight"));
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    assert!(refuse(short()).contains("not empty"));
}

proptest::proptest! {
    /// A talk cut into windows is the same talk: nothing is lost, nothing counted twice.
    #[test]
    fn windows_share_a_talk_out_exactly(from in 0u64..5_000, length in 0u64..20_000, sent in 0u64..u64::MAX / 2, received in 0u64..9_000) {
        let far = flows::Far::Inside(0);
        let whole = flows::Talk { sent, received, ..flows::Talk::https(0, far, 40_000, from, from + length) };
        let parts = whole.over_windows();
        proptest::prop_assert_eq!(parts.iter().map(|p| u128::from(p.sent)).sum::<u128>(), u128::from(sent));
        proptest::prop_assert_eq!(parts.iter().map(|p| p.received).sum::<u64>(), received);
        proptest::prop_assert_eq!(parts.iter().map(|p| p.to + 1 - p.from).sum::<u64>(), length + 1);
        proptest::prop_assert!(parts.iter().all(|p| p.from / flows::WINDOW == p.to / flows::WINDOW));
        proptest::prop_assert_eq!(parts.iter().filter(|p| p.begins).count(), 1);
    }
}
