//! gen: what does an account with known incidents look like?
//!
//! [`generate`] writes a synthetic AWS account: weeks of VPC Flow Logs and CloudTrail in AWS's own layout, an inventory,
//! lists, other tools' findings, and `truth.json`. Same options, same bytes, for ever: no clock, no threads, a generator
//! of chance of its own. It serves for trying the tool out, for the checked-in `samples/`, and for tests. All identifiers
//! are invented; account numbers are AWS's documentation examples.

mod alerts;
mod archive;
mod background;
mod events;
mod flows;
mod habits;
mod inventory;
mod lines;
mod people;
mod readme;
mod rng;
mod stories;
mod truth;
mod world;

use std::path::Path;

use serde::Serialize;

pub use truth::{BucketTruth, Incident, Lookalike, PeerTruth, Truth};

use crate::error::{Error, Result};
use crate::net::{Seconds, rfc3339};
use archive::Archive;
use events::{Event, Trail};
use flows::{Flow, Owner, Status};
use stories::STORIES;
use world::{Role, World};

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Every seed is another account.
    pub seed: u64,
    /// Length of the archive in days, at least 4: the last three have the incidents, those before are for learning.
    pub days: u32,
    /// Midnight UTC of the first day, in seconds since the epoch.
    pub start: Seconds,
    /// Fields of the flow log.
    pub format: Format,
    /// How many interfaces and records.
    pub scale: Scale,
    /// Plain text instead of gzip.
    pub plain: bool,
    /// Incidents to leave out, by id.
    pub without: Vec<String>,
}

/// Fields of the flow log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AWS's default format of 14 fields.
    #[default]
    V2,
    /// All fields of versions 2 to 5.
    V5,
}

/// How large the account is. Volumes, incidents and identifiers are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// About 17 interfaces, few records: the checked-in sample.
    Small,
    /// About 30 interfaces.
    #[default]
    Full,
}

/// What was generated.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// `flowtrail.gen/1`.
    pub schema: &'static str,
    /// [`Options::seed`].
    pub seed: u64,
    /// [`Options::days`].
    pub days: u32,
    /// First second, RFC 3339.
    pub start: String,
    /// [`Options::format`].
    pub format: Format,
    /// [`Options::scale`].
    pub scale: Scale,
    /// Ids of the incidents that are in it.
    pub incidents: Vec<String>,
    /// Network interfaces.
    pub interfaces: usize,
    /// Counts of files and lines.
    pub counts: Counts,
}

/// Counts of what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Flow log files.
    pub flow_files: u64,
    /// Records with log-status OK.
    pub ok: u64,
    /// Of these, rejected connections.
    pub reject: u64,
    /// NODATA records.
    pub nodata: u64,
    /// SKIPDATA records.
    pub skipdata: u64,
    /// Sum of `bytes` over accepted records, all interfaces and both directions.
    pub accept_bytes: u64,
    /// CloudTrail files.
    pub trail_files: u64,
    /// CloudTrail records.
    pub trail_records: u64,
}

/// Writes the account into `out`, a folder that is new or empty.
///
/// # Errors
/// Options that make no sense (an unknown incident, fewer than four days, a start that is not midnight), a folder that
/// is not empty, or a file that cannot be written.
pub fn generate(options: &Options, out: &Path) -> Result<Manifest> {
    options.check()?;
    let archive = Archive::new(out, options.plain)?;
    let world = World::new(options);
    let made = make(options, &world);
    let mut manifest = manifest(options, &world, &made.truth);
    archive.flows(&world, options, &made.flows, &mut manifest.counts)?;
    archive.events(&world, &made.events, &mut manifest.counts)?;
    extras(&archive, &world, &manifest)?;
    archive.text("truth.json", &pretty(&made.truth))?;
    archive.text("manifest.json", &pretty(&manifest))?;
    archive.text("README.md", &readme::page(options, &manifest, &made.truth))?;
    Ok(manifest)
}

/// Ids of the incidents that `Options::without` takes.
pub fn incident_ids() -> impl Iterator<Item = &'static str> {
    STORIES.iter().map(|s| s.id)
}

impl Default for Options {
    /// 17 days from Monday 2026-03-02, the whole account, default format, gzip, all incidents.
    fn default() -> Self {
        let (format, scale) = (Format::default(), Scale::default());
        Options {
            seed: 1,
            days: 17,
            start: 1_772_409_600,
            format,
            scale,
            plain: false,
            without: Vec::new(),
        }
    }
}

impl Options {
    /// The command line that says the same, for the README.
    pub fn command(&self, out: &str) -> String {
        let Options { seed, days, .. } = self;
        let mut text = format!("gen {out} --seed {seed} --days {days}");
        text += &format!(" --start {}", rfc3339(self.start).get(..10).unwrap_or_default());
        text += if self.format == Format::V5 {
            " --format v5"
        } else {
            " --format v2"
        };
        text += if self.scale == Scale::Small {
            " --scale small"
        } else {
            ""
        };
        text += if self.plain { " --plain" } else { "" };
        self.without
            .iter()
            .fold(text, |text, id| format!("{text} --without {id}"))
    }

    fn check(&self) -> Result<()> {
        let known: Vec<&str> = incident_ids().collect();
        if let Some(id) = self.without.iter().find(|id| !known.contains(&id.as_str())) {
            return Err(Error::usage(format!(
                "no incident is called `{id}`: they are {}",
                known.join(", ")
            )));
        }
        if !(4..=3_650).contains(&self.days) {
            return Err(Error::usage(
                "give from 4 to 3650 days: the last three have the incidents",
            ));
        }
        if !self.start.is_multiple_of(86_400) || self.start > 253_000_000_000 {
            return Err(Error::usage("the start must be a midnight, UTC"));
        }
        Ok(())
    }
}

impl Counts {
    fn flow(&mut self, flow: &Flow) {
        match flow.status {
            Status::Accept => {
                self.ok += 1;
                self.accept_bytes += flow.bytes;
            }
            Status::Reject => {
                self.ok += 1;
                self.reject += 1;
            }
            Status::NoData => self.nodata += 1,
            Status::SkipData => self.skipdata += 1,
        }
    }
}

/// Everything before it is written, sorted.
struct Made {
    flows: Vec<Flow>,
    events: Vec<Event>,
    truth: Truth,
}

fn make(options: &Options, world: &World) -> Made {
    let mut flows = Vec::new();
    let mut trail = Trail::new(world, "background", 0);
    background::fill(world, &mut flows, &mut trail);
    people::fill(world, &mut trail);
    let mut events = trail.events;
    let mut incidents = Vec::new();
    for (owner, story) in (1 as Owner..).zip(&STORIES) {
        if !options.without.iter().any(|id| id == story.id) {
            let (stage, incident) = story.play(world, owner);
            flows.extend(stage.flows);
            events.extend(stage.trail.events);
            incidents.push(incident);
        }
    }
    flows.sort_unstable();
    events.sort_unstable();
    Made {
        flows,
        events,
        truth: truth(world, incidents),
    }
}

fn truth(world: &World, incidents: Vec<Incident>) -> Truth {
    let enis = |role| {
        world
            .role(role)
            .into_iter()
            .map(|i| world.hosts[i].eni.clone())
            .collect()
    };
    let alike = |id, role, title| Lookalike {
        id,
        title,
        enis: enis(role),
    };
    let lookalikes = vec![
        alike(
            "nightly-backup",
            Role::Batch,
            "every night at 01:00 and 02:00 the batch hosts write 2.8 GB each to an own bucket",
        ),
        alike(
            "deployment",
            Role::App,
            "on Mondays and Thursdays at 14:00 all application servers fetch a release",
        ),
        alike(
            "partner-export",
            Role::Report,
            "on Tuesdays at 06:00 1.6 GB go to a partner, announced in intel/allow.toml; the first time, after one day \
             of history, it may stand out",
        ),
        alike(
            "visitors",
            Role::Alb,
            "the load balancer answers visitors from everywhere, some of them through Tor exits",
        ),
        alike(
            "webhooks",
            Role::App,
            "customers' addresses that are hardly ever seen twice",
        ),
    ];
    Truth {
        schema: "flowtrail.truth/1",
        detect_from: rfc3339(world.at(0, 0, 0)),
        incidents,
        lookalikes,
    }
}

fn manifest(options: &Options, world: &World, truth: &Truth) -> Manifest {
    Manifest {
        schema: "flowtrail.gen/1",
        seed: options.seed,
        days: options.days,
        start: rfc3339(options.start),
        format: options.format,
        scale: options.scale,
        incidents: truth.incidents.iter().map(|i| i.id.clone()).collect(),
        interfaces: world.hosts.len(),
        counts: Counts::default(),
    }
}

/// Inventory, lists and other tools' findings.
fn extras(archive: &Archive<'_>, world: &World, manifest: &Manifest) -> Result<()> {
    archive.text(
        "inventory/describe-network-interfaces.json",
        &pretty(&inventory::interfaces(world)),
    )?;
    archive.text(
        "inventory/describe-vpc-endpoints.json",
        &pretty(&inventory::endpoints(world)),
    )?;
    archive.text(
        "inventory/describe-nat-gateways.json",
        &pretty(&inventory::nat_gateways(world)),
    )?;
    archive.text(
        "inventory/get-event-selectors.json",
        &pretty(&inventory::event_selectors(world)),
    )?;
    archive.text("intel/torbulkexitlist", &alerts::tor_exits())?;
    archive.text("intel/threat-list.txt", &alerts::threats())?;
    archive.text("intel/allow.toml", &alerts::allowed(world))?;
    archive.text(
        "alerts/guardduty-findings.json",
        &pretty(&alerts::guardduty(world, &manifest.incidents)),
    )?;
    archive.text("alerts/macie-findings.json", &pretty(&alerts::macie(world)))?;
    archive.text("alerts/timeline.txt", &alerts::timeline(world))
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value)
        .map(|s| s + "\n")
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! What a user of the synthetic account relies on: the same bytes for ever, valid lines, books that balance.
    //!
    //! The checks read what was written, with a reader of their own that shares no code with the writer.

    use std::collections::BTreeMap;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    /// All files below a folder: path and text.
    pub(super) type Tree = BTreeMap<String, String>;

    pub(super) fn tree(options: &Options) -> Tree {
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
    pub(super) fn short() -> Options {
        Options {
            days: 4,
            scale: Scale::Small,
            plain: true,
            ..Options::default()
        }
    }

    /// The account of `short`, made once.
    pub(super) fn account() -> &'static Tree {
        static ACCOUNT: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
        ACCOUNT.get_or_init(|| tree(&short()))
    }

    pub(super) fn flow_files(tree: &Tree) -> impl Iterator<Item = (&String, &String)> {
        tree.iter().filter(|(name, _)| name.starts_with("flow/"))
    }

    /// Every record's fields.
    pub(super) fn lines(tree: &Tree) -> impl Iterator<Item = Vec<&str>> {
        flow_files(tree)
            .flat_map(|(_, text)| text.lines().skip(1))
            .map(|l| l.split(' ').collect())
    }

    pub(super) fn records(tree: &Tree) -> Vec<Value> {
        let files = tree.iter().filter(|(name, _)| name.starts_with("trail/"));
        let whole = files.map(|(_, text)| serde_json::from_str::<Value>(text).unwrap());
        whole.flat_map(|v| v["Records"].as_array().unwrap().clone()).collect()
    }

    pub(super) fn truth_of(tree: &Tree, id: &str) -> Value {
        let truth: Value = serde_json::from_str(&tree["truth.json"]).unwrap();
        let found = truth["incidents"].as_array().unwrap().iter().find(|i| i["id"] == id);
        found.unwrap().clone()
    }

    pub(super) fn number(text: &str) -> u64 {
        text.parse().unwrap()
    }

    pub(super) fn seconds(value: &Value) -> u64 {
        crate::net::parse_rfc3339(value.as_str().unwrap()).unwrap()
    }

    pub(super) fn s3_bytes(record: &Value, field: &str) -> u64 {
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
            let to_s3 =
                lines(made).filter(|f| f[2] == eni && (f[4].starts_with("52.216.") || f[4].starts_with("54.231.")));
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
}
