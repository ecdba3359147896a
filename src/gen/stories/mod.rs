//! The incidents: one file per kind, one registry.
//!
//! Each draws from a stream of its own and writes to its own owner number, so that `--without ID` takes away exactly its
//! lines. All happen in the last three days; what comes before is for learning.

mod foreign_write;
mod instance_upload;
mod small;
mod stolen_key;

use super::events::Trail;
use super::flows::{Flow, Owner};
use super::rng::Rng;
use super::truth::Incident;
use super::world::World;

pub(super) use stolen_key::{FINDING_AT, PAGER_AT};

/// An incident that can be told.
pub(super) struct Story {
    /// As `--without` takes it.
    pub(super) id: &'static str,
    tell: fn(&World, &mut Stage) -> Incident,
}

/// Every story, in order of time. The place in this list is the owner number, less one: only append.
pub(super) const STORIES: [Story; 5] = [
    Story {
        id: "threat-host",
        tell: small::threat_host,
    },
    Story {
        id: "tor-guard",
        tell: small::tor_guard,
    },
    Story {
        id: "stolen-key",
        tell: stolen_key::tell,
    },
    Story {
        id: "foreign-write",
        tell: foreign_write::tell,
    },
    Story {
        id: "instance-upload",
        tell: instance_upload::tell,
    },
];

/// Where a story is played.
pub(super) struct Stage {
    pub(super) owner: Owner,
    pub(super) rng: Rng,
    pub(super) flows: Vec<Flow>,
    pub(super) trail: Trail,
}

impl Story {
    /// Plays the story: its records, its calls, and what is true of them.
    pub(super) fn play(&self, world: &World, owner: Owner) -> (Stage, Incident) {
        let rng = Rng::fork(world.seed, &format!("story {}", self.id));
        let trail = Trail::new(world, self.id, owner);
        let mut stage = Stage {
            owner,
            rng,
            flows: Vec::new(),
            trail,
        };
        let incident = Incident {
            id: self.id.to_owned(),
            ..(self.tell)(world, &mut stage)
        };
        (stage, incident)
    }
}

impl Stage {
    /// A port of the client's side.
    pub(super) fn port(&mut self) -> u16 {
        self.rng.range(32_768, 60_999) as u16
    }
}

#[cfg(test)]
mod tests {
    //! The playbook's numbers, what the lists say, and what goes when one is left out.

    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::super::tests::*;
    use super::super::*;

    #[test]
    fn the_upload_is_all_of_its_bytes_and_in_a_place_never_met_before() {
        let made = account();
        let incident = truth_of(made, "instance-upload");
        let drop = world::DROP_HOST.to_string();
        let eni = incident["eni"].as_str().unwrap();
        let sent: u64 = lines(made)
            .filter(|f| f[2] == eni && f[4] == drop)
            .map(|f| number(f[9]))
            .sum();
        assert_eq!(sent, 2_900_000_000);
        let first = lines(made)
            .filter(|f| f.contains(&drop.as_str()))
            .map(|f| number(f[10]))
            .min();
        assert!(first.unwrap() >= seconds(&incident["start"]));
    }

    #[test]
    fn the_stolen_key_has_the_playbooks_numbers() {
        let made = account();
        let incident = truth_of(made, "stolen-key");
        let exit = world::TOR_EXIT.to_string();
        let all = records(made);
        let gets: Vec<&Value> = all
            .iter()
            .filter(|r| r["eventName"] == "GetObject" && r["sourceIPAddress"] == exit.as_str())
            .collect();
        assert_eq!(gets.len(), 12_847);
        assert_eq!(
            gets.iter().map(|r| s3_bytes(r, "bytesTransferredOut")).sum::<u64>(),
            4_700_000_000
        );
        let objects: BTreeSet<String> = gets.iter().map(|r| r["resources"][0]["ARN"].to_string()).collect();
        assert_eq!(incident["objects"], objects.len());
        let buckets: BTreeSet<String> = gets
            .iter()
            .map(|r| r["requestParameters"]["bucketName"].to_string())
            .collect();
        assert_eq!(buckets.len(), 3);
        assert!(
            gets.iter()
                .all(|r| r["userIdentity"]["accessKeyId"].as_str().unwrap().ends_with("WXYZ"))
        );
        let times: Vec<&str> = gets.iter().map(|r| r["eventTime"].as_str().unwrap()).collect();
        assert_eq!(
            (
                times.iter().min().unwrap().get(11..16),
                times.iter().max().unwrap().get(11..16)
            ),
            (Some("02:47"), Some("04:12"))
        );
    }

    #[test]
    fn the_containment_is_in_the_trail_in_the_reports_order() {
        let made = account();
        let key = truth_of(made, "stolen-key")["access_keys"][0].clone();
        let all = records(made);
        let at = |name: &str| -> Vec<&Value> { all.iter().filter(|r| r["eventName"] == name).collect() };
        let disabled = at("UpdateAccessKey");
        assert_eq!(
            (&disabled[0]["requestParameters"]["accessKeyId"], disabled.len()),
            (&key, 1)
        );
        assert_eq!(disabled[0]["requestParameters"]["status"], "Inactive");
        assert_eq!(disabled[0]["eventTime"].as_str().unwrap().get(11..16), Some("04:25"));
        let order = [
            "UpdateAccessKey",
            "UpdateLoginProfile",
            "EnableMFADevice",
            "ModifyVpcEndpoint",
            "PutBucketPolicy",
        ];
        let times = order.map(|name| seconds(&at(name)[0]["eventTime"]));
        assert!(times.is_sorted());
        assert_eq!(at("PutBucketPolicy").len(), 3);
        let findings: Value = serde_json::from_str(&made["alerts/guardduty-findings.json"]).unwrap();
        assert_eq!(
            findings["Findings"][0]["CreatedAt"].as_str().unwrap().get(11..16),
            Some("04:15")
        );
        assert_eq!(
            findings["Findings"][0]["Resource"]["AccessKeyDetails"]["AccessKeyId"],
            key
        );
    }

    #[test]
    fn leaving_an_incident_out_takes_exactly_its_lines() {
        let whole = account();
        let (all, ids) = (records(whole), event_ids(whole));
        for id in incident_ids() {
            let incident = truth_of(whole, id);
            let less = tree(&Options {
                without: vec![id.to_owned()],
                ..short()
            });
            let gone = minus(whole, &less);
            assert_eq!(minus(&less, whole), Vec::<&str>::new(), "{id}");
            let gone: Vec<Vec<&str>> = gone.iter().map(|l| l.split(' ').collect()).collect();
            let (from, to) = (seconds(&incident["start"]), seconds(&incident["end"]));
            let own = gone.iter().filter(|f| incident["eni"] == f[2]);
            let counted: u64 = incident["peers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["records"].as_u64().unwrap())
                .sum();
            assert_eq!(own.count() as u64, counted, "{id}");
            assert!(
                gone.iter().all(|f| from <= number(f[10]) && number(f[11]) <= to),
                "{id}"
            );
            let rest = event_ids(&less);
            assert!(rest.is_subset(&ids), "{id}");
            let calls = all
                .iter()
                .filter(|r| !rest.contains(&r["eventID"].to_string()) && is_object_call(r))
                .count();
            assert_eq!(calls as u64, incident["requests"].as_u64().unwrap(), "{id}");
            assert!(!less["truth.json"].contains(&format!("\"id\": \"{id}\"")), "{id}");
        }
    }

    /// Lines of one account that the other lacks, as often as it lacks them.
    fn minus<'a>(all: &'a Tree, taken: &'a Tree) -> Vec<&'a str> {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        let raw = |tree: &'a Tree| flow_files(tree).flat_map(|(_, text)| text.lines().skip(1));
        raw(all).for_each(|l| *counts.entry(l).or_default() += 1);
        raw(taken).for_each(|l| *counts.entry(l).or_default() -= 1);
        counts
            .into_iter()
            .flat_map(|(l, n)| vec![l; n.max(0) as usize])
            .collect()
    }

    fn event_ids(made: &Tree) -> BTreeSet<String> {
        records(made).iter().map(|r| r["eventID"].to_string()).collect()
    }

    fn is_object_call(record: &Value) -> bool {
        record["eventCategory"] == "Data" && record["requestParameters"]["key"].is_string()
    }

    /// The lists that come with the tool and those of the account say of each address what its story needs.
    #[test]
    fn the_lists_know_the_far_ends() {
        use crate::intel::{Intel, IntelOptions};
        use crate::net::{Addr, Class};
        let folder = tempfile::tempdir().unwrap();
        for name in ["intel/torbulkexitlist", "intel/threat-list.txt"] {
            let path = folder.path().join(name.trim_start_matches("intel/"));
            std::fs::write(path, &account()[name]).unwrap();
        }
        let intel = Intel::load(&IntelOptions {
            tor_exits: vec![folder.path().join("torbulkexitlist")],
            threat_lists: vec![folder.path().join("threat-list.txt")],
            ..IntelOptions::default()
        });
        let intel = intel.unwrap();
        let country = |a| intel.country(a).map(|c| c.to_string());
        assert_eq!(intel.labels(world::TOR_EXIT), ["tor-exit"]);
        assert_eq!(intel.labels(world::TOR_AUTHORITY), ["tor-authority"]);
        assert_eq!(intel.labels(world::THREAT_HOST), ["threat:threat-list"]);
        assert_eq!(country(world::TOR_EXIT).as_deref(), Some("DE"));
        assert_eq!(country(world::DROP_HOST).as_deref(), Some("NL"));
        let far: BTreeSet<Addr> = lines(account())
            .flat_map(|f| [f[3], f[4]].map(str::parse))
            .flatten()
            .collect();
        let dutch: Vec<Addr> = far
            .iter()
            .copied()
            .filter(|a| country(*a).as_deref() == Some("NL"))
            .collect();
        assert_eq!(dutch, [world::DROP_HOST]);
        for addr in far.into_iter().filter(|a| !a.ip().to_string().starts_with("10.20.")) {
            let facts = intel.peer(addr);
            assert_eq!(facts.class == Class::S3, flows::is_s3(addr), "{addr}");
            assert!(
                facts.class.is_egress() && (!flows::is_s3(addr) || facts.region == Some(world::REGION)),
                "{addr}"
            );
        }
    }
}
