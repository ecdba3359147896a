//! Controls as a reader gets them: stored ones that validators have passed, and hostile names that must not get into them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowtrail::contain::pattern::is_pattern;
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn flowtrail(args: &[&str]) -> Output {
    let account = root().join("samples/account");
    Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .current_dir(account)
        .args(args)
        .output()
        .unwrap()
}

fn done(args: &[&str]) -> String {
    let out = flowtrail(args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The sample account's result, as tests/validate/golden.sh makes it.
fn result(folder: &Path) -> PathBuf {
    let path = folder.join("result.json");
    done(&[
        "scan",
        "flow",
        "--trail",
        "trail",
        "--inventory",
        "inventory",
        "--threat-list",
        "intel/threat-list.txt",
        "--tor-exits",
        "intel/torbulkexitlist",
        "--guardduty",
        "alerts/guardduty-findings.json",
        "--macie",
        "alerts/macie-findings.json",
        "--quiet",
        "--format",
        "json",
        "-o",
        path.to_str().unwrap(),
    ]);
    path
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(&next)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
        {
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_path_buf();
                    found.insert(name, std::fs::read_to_string(&path).unwrap());
                }
            }
        }
    }
    found
}

#[test]
fn the_stored_controls_are_what_the_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let result = result(folder.path());
    let target = folder.path().join("out");
    done(&[
        "contain",
        result.to_str().unwrap(),
        "--at",
        "2026-03-10T06:00:00Z",
        "--break-glass",
        "arn:aws:iam::111122223333:role/break-glass",
        "-o",
        target.to_str().unwrap(),
    ]);
    let (stored, fresh) = (files(&root().join("tests/data/contain")), files(&target));
    let names = |f: &BTreeMap<PathBuf, String>| f.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&stored),
        names(&fresh),
        "`just golden` writes them again, `just validate` judges them"
    );
    for (name, text) in &fresh {
        assert_eq!(
            stored[name],
            *text,
            "{}: `just golden`, then `just validate`",
            name.display()
        );
    }
}

#[test]
fn every_control_of_the_playbook_is_written_for_the_stolen_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = result(folder.path());
    let text = done(&[
        "contain",
        path.to_str().unwrap(),
        "--incident",
        "inc-af61",
        "--format",
        "json",
    ]);
    let plans: Value = serde_json::from_str(&text).unwrap();
    let ids = |n: usize| -> Vec<String> {
        let controls = plans["plans"][n]["controls"].as_array().unwrap();
        let mut ids: Vec<String> = controls.iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(
        ids(0),
        [
            "access-key",
            "user-reset",
            "endpoint-policy",
            "bucket-policy",
            "macie-job",
            "secret-scan"
        ]
    );
    assert_eq!(ids(1), ["guardduty-s3", "data-events", "metric-alarm", "event-rule"]);
    for control in plans["plans"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["controls"].as_array().unwrap())
    {
        assert!(!control["why"].as_array().unwrap().is_empty(), "{control}");
        assert!(!control["needs"].as_array().unwrap().is_empty(), "{control}");
    }
    let lines: Vec<&str> = plans["plans"][1]["controls"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|c| c["commands"].as_array().unwrap())
        .map(|l| l.as_str().unwrap())
        .collect();
    let filter = lines
        .iter()
        .find_map(|l| l.split("--filter-pattern '").nth(1)?.split('\'').next())
        .unwrap();
    assert!(is_pattern(filter), "{filter}");
}

#[test]
fn selectors_keep_what_is_there() {
    let present = json!({"ReadWriteType": "All", "IncludeManagementEvents": true,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::a-bucket/"]}, {"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]}]});
    let advanced = json!({"Name": "mine", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]});
    let merged = |selector: &Value| -> Value {
        let result = json!({"schema": "flowtrail.result/1", "incidents": [], "details": [], "estate": {"accounts": ["111122223333"],
            "regions": ["us-east-1"], "buckets": [{"name": "b-bucket", "owner": "111122223333", "standing": "own", "requests": 1, "data_events": "none"}],
            "selectors": [{"trail": "arn:aws:cloudtrail:us-east-1:111122223333:trail/main", "selector": selector}]}});
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        std::fs::write(&path, result.to_string()).unwrap();
        let plans: Value =
            serde_json::from_str(&done(&["contain", path.to_str().unwrap(), "--format", "json"])).unwrap();
        let controls = plans["plans"][0]["controls"].as_array().unwrap().clone();
        controls.iter().find(|c| c["id"] == "data-events").unwrap()["documents"][0]["content"].clone()
    };
    let basic = merged(&present);
    assert_eq!(
        basic[0]["DataResources"][0]["Values"],
        json!(["arn:aws:s3:::a-bucket/", "arn:aws:s3:::b-bucket/"])
    );
    assert_eq!(basic[0]["DataResources"][1], present["DataResources"][1]);
    let newer = merged(&advanced);
    assert_eq!(newer[0], advanced);
    assert_eq!(
        newer[1]["FieldSelectors"][2],
        json!({"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::b-bucket/"]})
    );
}

#[test]
fn buckets_of_aws_and_of_partners_in_use_stay_open() {
    let bucket = |name: &str, owner: &str, standing: &str| json!({"name": name, "owner": owner, "standing": standing, "requests": 5});
    let result = json!({"schema": "flowtrail.result/1", "details": [], "incidents": [{"id": "inc-0123456789abcdef", "severity": "high", "rules": ["s3-foreign-write"],
            "buckets": [{"name": "stolen-goods", "objects": 1, "bytes": 1}], "destinations": [], "principals": []}],
        "estate": {"accounts": ["111122223333"], "regions": ["eu-west-1"], "endpoints": [{"id": "vpce-0123456789abcdef0", "requests": 9}],
            "buckets": [bucket("own-data", "111122223333", "own"), bucket("partner-drop", "222233334444", "foreign"),
                bucket("stolen-goods", "999999999999", "foreign"), bucket("prod-eu-west-1-starport-layer-bucket", "333333333333", "aws")]}});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    std::fs::write(&path, result.to_string()).unwrap();
    let text = done(&[
        "contain",
        path.to_str().unwrap(),
        "--incident",
        "inc-0123",
        "--format",
        "json",
    ]);
    let plans: Value = serde_json::from_str(&text).unwrap();
    let control = plans["plans"][0]["controls"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["id"] == "endpoint-policy")
        .unwrap()
        .clone();
    let documents = control["documents"].to_string();
    assert!(documents.contains("partner-drop/*") && documents.contains("prod-eu-west-1-starport-layer-bucket/*"));
    assert!(
        !documents.contains("stolen-goods"),
        "what an incident concerns is not kept open"
    );
    assert_eq!(
        control["documents"][0]["content"]["Statement"][0]["Condition"]["StringEquals"]["s3:ResourceAccount"],
        json!(["111122223333"])
    );
}

/// Texts that would end a quote, run a command, add an option, leave a folder, or colour a terminal.
const HOSTILE: [&str; 10] = [
    "x'; touch PWNED; '",
    "$(touch PWNED)",
    "`touch PWNED`",
    "--endpoint-url=http://evil.example",
    "../../PWNED",
    "a\nb; touch PWNED",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}gnp.exe",
    "<script>alert(1)</script>",
    "[x](http://evil.example)",
];

/// A result whose every name is `bad`.
fn hostile(bad: &str) -> Value {
    json!({"schema": "flowtrail.result/1",
        "incidents": [{"id": "inc-0123456789abcdef", "title": bad, "severity": bad, "rules": [bad], "eni": bad, "instance": bad,
            "principals": [{"arn": format!("arn:aws:iam::111122223333:user/{bad}"), "access_key": bad, "class": "exact"},
                {"arn": format!("arn:aws:sts::111122223333:assumed-role/{bad}/s"), "access_key": "ASIAIOSFODNN7EXAMPLE", "class": "exact"}],
            "buckets": [{"name": bad, "objects": 1, "bytes": 1}], "destinations": [{"ip": bad, "class": "s3"}]},
            {"id": bad, "title": bad, "severity": "high", "rules": []}],
        "details": [{"id": "inc-0123456789abcdef", "containment": [{"id": bad, "control": bad, "text": bad, "done": true, "at": bad}]}],
        "estate": {"accounts": ["111122223333", bad], "regions": [bad], "endpoints": [{"id": bad, "vpc": bad, "requests": 1},
                {"id": "vpce-0123456789abcdef0", "requests": 1}],
            "buckets": [{"name": bad, "owner": "111122223333", "standing": "own", "service": bad, "requests": 1, "data_events": "none"},
                {"name": "good-bucket", "owner": bad, "standing": "foreign", "requests": 1}],
            "selectors": [{"trail": bad, "selector": {"ReadWriteType": "All"}},
                {"trail": "arn:aws:cloudtrail:us-east-1:111122223333:trail/main", "selector": {"ReadWriteType": bad}}],
            "egress": {"eni-0123456789abcdef0": [{"cidr": bad, "port": 443, "protocol": 6}]}}})
}

#[test]
fn hostile_names_get_into_no_document_and_no_line() {
    for bad in HOSTILE {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        std::fs::write(&path, hostile(bad).to_string()).unwrap();
        let out = folder.path().join("out");
        done(&[
            "contain",
            path.to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
            "--at",
            "2026-03-10T06:00:00Z",
        ]);
        let written = files(&out);
        assert!(!written.is_empty());
        for (name, text) in &written {
            let known = ["inc-0123456789abcdef", "account"];
            assert!(
                known.iter().any(|k| name.starts_with(k)),
                "{} for {bad:?}",
                name.display()
            );
            if name.extension().is_some_and(|e| e == "json" || e == "sh") {
                assert!(!text.contains(bad), "{}: {text}", name.display());
            }
            assert!(
                !text.contains('\u{1b}')
                    && !text.contains("<script>")
                    && !text.contains("](http")
                    && !text.contains("http://evil"),
                "{}",
                name.display()
            );
        }
        run_lines(&written, folder.path());
        assert!(!folder.path().join("PWNED").exists(), "{bad:?}");
        for format in ["table", "md"] {
            let shown = done(&[
                "contain",
                path.to_str().unwrap(),
                "--format",
                format,
                "--at",
                "2026-03-10T06:00:00Z",
            ]);
            assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{bad:?}");
            assert!(shown.contains("refused"), "what is left out is named: {bad:?}");
        }
    }
}

/// Runs every line with an `aws` that does nothing: whatever else happens came out of the line.
fn run_lines(written: &BTreeMap<PathBuf, String>, folder: &Path) {
    for text in written
        .iter()
        .filter(|(n, _)| n.ends_with("commands.sh"))
        .map(|(_, t)| t)
    {
        assert!(text.contains("exit 1\n"), "a file of lines does not run as it is");
        let lines: String = text
            .lines()
            .filter(|l| l.starts_with("aws "))
            .map(|l| format!("{l}\n"))
            .collect();
        let script = format!("aws() {{ :; }}\n{lines}");
        let ran = Command::new("sh")
            .current_dir(folder)
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(
            ran.status.success() && ran.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

#[test]
fn wrong_use_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    std::fs::write(
        &path,
        json!({"schema": "flowtrail.result/1", "incidents": []}).to_string(),
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let policy = folder.path().join("p.json");
    std::fs::write(
        &policy,
        r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
    )
    .unwrap();
    let policy = policy.to_str().unwrap();
    let wrong: [&[&str]; 6] = [
        &["contain", "manifest.json"],
        &["contain", path, "--incident", "inc-1"],
        &["contain", path, "--at", "tomorrow"],
        &["contain", path, "--break-glass", "arn:aws:iam::111122223333:role/*"],
        &["contain", "--what-if", policy],
        &["contain", "--what-if", policy, "--flows", "flow"],
    ];
    for args in wrong {
        assert_eq!(flowtrail(args).status.code(), Some(2), "{args:?}");
    }
}

fn what_if(proposal: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let result = result(folder.path());
    let mut args = vec![
        "contain",
        result.to_str().unwrap(),
        "--what-if",
        proposal,
        "--flows",
        "flow",
        "--trail",
        "trail",
    ];
    args.extend(["--inventory", "inventory", "--quiet", "--format", "json"]);
    args.extend(more);
    serde_json::from_str(&done(&args)).unwrap()
}

#[test]
fn an_endpoint_for_own_accounts_would_have_stopped_the_foreign_write_and_nothing_else() {
    let stored = root().join("tests/data/contain");
    let policy = files(&stored)
        .into_keys()
        .find(|n| n.to_str().unwrap().contains("own-accounts"))
        .unwrap();
    let answer = what_if(stored.join(policy).to_str().unwrap(), &[]);
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("samples/account/truth.json")).unwrap()).unwrap();
    let told = truth["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["id"] == "foreign-write")
        .unwrap();
    assert_eq!(
        answer["sums"]["stopped"],
        json!({"count": 80, "bytes": told["trail_bytes_in"]})
    );
    assert_eq!(answer["broken"], json!({"count": 0, "bytes": 0}));
    let stopped: Vec<&Value> = answer["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["verdict"] == "stopped")
        .collect();
    assert_eq!(stopped.len(), 1);
    // what went to S3 with credentials that are not ours: every own bucket has data events, so both logs together say it
    let peers = truth["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["id"] == "instance-upload")
        .unwrap()["peers"]
        .clone();
    let sent = |ip: &str| {
        let of = peers.as_array().unwrap().iter().find(|p| p["ip"] == ip).unwrap();
        of["bytes_out"].as_u64().unwrap()
    };
    let foreign = sent("54.231.171.24") + sent("54.231.202.73");
    let bytes = &answer["inferred"]["stopped_bytes"];
    let (low, high) = (bytes["low"].as_u64().unwrap(), bytes["high"].as_u64().unwrap());
    assert!(low <= foreign && foreign <= high, "{low} {foreign} {high}");
    assert!(
        low >= foreign / 100 * 99 && high <= foreign / 100 * 102,
        "{low} {foreign} {high}"
    );
    assert_eq!(answer["inferred"]["broken_bytes"], 0);
    assert_eq!(answer["inferred"]["buckets_without_data_events"], json!([]));
    assert_eq!(answer["sums"]["unknown"]["bytes"], 0);
    // what the same machine read before stays allowed
    let of_incident = stopped_by(&answer, "stopped in part");
    assert_eq!(of_incident.len(), 1);
    assert_eq!(of_incident[0]["inferred_bytes"], *bytes);
    assert!(of_incident[0]["sums"]["allowed"]["count"].as_u64().unwrap() >= 620);
    assert_eq!(answer["unsupported"], json!([]));
}

fn stopped_by<'a>(answer: &'a Value, verdict: &str) -> Vec<&'a Value> {
    let all = answer["incidents"].as_array().unwrap().iter();
    all.filter(|i| i["verdict"] == verdict).collect()
}

/// An upload that no event explains (`hit`), or one into an own bucket (`miss`), against a policy; the trail goes on after it.
fn upload(which: &str, selectors: Option<&str>, policy: &str, also: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let later = r#"{"Records":[{"eventTime":"2026-01-14T00:10:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances",
        "eventCategory":"Management","recipientAccountId":"123456789012","sourceIPAddress":"10.0.1.20","eventID":"00000000-0000-4000-8000-0000000000ff"}]}"#;
    let (policy, later, also) = (
        put("policy.json", policy),
        put("later.json", later),
        put("also.json", also),
    );
    let sample = |end: &str| {
        let path = root().join(format!("samples/detectors/unaccounted-s3/{which}.{end}"));
        path.to_str().unwrap().to_owned()
    };
    let (log, trail) = (sample("log"), sample("json"));
    let mut args = vec!["contain", "--what-if", &policy, "--flows", &log, "--trail", &trail];
    args.extend(["--trail", &later, "--trail", &also, "--quiet", "--format", "json"]);
    let inventory = selectors.map(|bucket| {
        put(
            "selectors.json",
            &json!({"TrailARN": "arn:aws:cloudtrail:us-east-1:123456789012:trail/t", "EventSelectors": [{"ReadWriteType": "All",
                "IncludeManagementEvents": true, "DataResources": [{"Type": "AWS::S3::Object", "Values": [bucket]}]}]})
            .to_string(),
        )
    });
    if let Some(path) = &inventory {
        args.extend(["--inventory", path]);
    }
    serde_json::from_str(&done(&args)).unwrap()
}

const OWN_ACCOUNTS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",
    "Condition":{"StringEquals":{"s3:ResourceAccount":"123456789012"}}}]}"#;
const NOTHING_ELSE: &str = r#"{"Records":[]}"#;
const ALL: Option<&str> = Some("arn:aws:s3");

#[test]
fn an_upload_that_no_own_bucket_can_have_taken_would_have_been_stopped() {
    let answer = upload("hit", ALL, OWN_ACCOUNTS, NOTHING_ELSE);
    let bytes = &answer["inferred"]["stopped_bytes"];
    let (low, high) = (bytes["low"].as_u64().unwrap(), bytes["high"].as_u64().unwrap());
    // 900 MB went, and the 4 MB that came back are acknowledged
    assert!(low > 890_000_000 && low <= high && high <= 900_000_000, "{low} {high}");
    assert_eq!(
        answer["inferred"]["broken_bytes"], low,
        "no result was given, so it is in no incident"
    );
    assert_eq!(answer["sums"]["stopped"]["bytes"], 0, "no request shows it");
    let line = &answer["lines"][0];
    assert_eq!(
        (&line["verdict"], &line["evidence"]),
        (&json!("stopped"), &json!("inferred"))
    );
    // a bucket named by a selector is as good, while no other own bucket is known
    let named = upload("hit", Some("arn:aws:s3:::backups/"), OWN_ACCOUNTS, NOTHING_ELSE);
    assert_eq!(named["inferred"]["stopped_bytes"], *bytes);
}

#[test]
fn a_backup_to_an_own_bucket_is_not_stopped() {
    let answer = upload("miss", ALL, OWN_ACCOUNTS, NOTHING_ELSE);
    assert_eq!(answer["inferred"]["stopped_bytes"], json!({"low": 0, "high": 0}));
    assert_eq!(answer["sums"]["stopped"], json!({"count": 0, "bytes": 0}));
    assert_eq!(answer["sums"]["unknown"]["bytes"], 0);
}

#[test]
fn without_coverage_and_under_other_policies_it_stays_unknown() {
    let open = |answer: &Value| {
        assert_eq!(answer["inferred"]["stopped_bytes"], json!({"low": 0, "high": 0}));
        assert_eq!(answer["sums"]["unknown"]["bytes"], answer["unexplained_bytes"]);
        assert!(answer["unexplained_bytes"].as_u64().unwrap() > 890_000_000);
    };
    open(&upload("hit", None, OWN_ACCOUNTS, NOTHING_ELSE));
    let everybody = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#;
    open(&upload("hit", ALL, everybody, NOTHING_ELSE));
    let partner = OWN_ACCOUNTS.replace("\"123456789012\"", "[\"123456789012\",\"999999999999\"]");
    open(&upload("hit", ALL, &partner, NOTHING_ELSE));
}

#[test]
fn beside_an_own_bucket_without_data_events_only_what_stands_out_counts() {
    let shipping = r#"{"Records":[{"eventTime":"2026-01-06T00:10:00Z","eventSource":"s3.amazonaws.com","eventName":"GetBucketLocation",
        "eventCategory":"Management","managementEvent":true,"recipientAccountId":"123456789012","sourceIPAddress":"10.0.1.20",
        "requestParameters":{"bucketName":"ops-logs"},"eventID":"00000000-0000-4000-8000-0000000000fe",
        "resources":[{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::ops-logs","accountId":"123456789012"}]}]}"#;
    let answer = upload("hit", Some("arn:aws:s3:::backups/"), OWN_ACCOUNTS, shipping);
    assert_eq!(answer["inferred"]["buckets_without_data_events"], json!(["ops-logs"]));
    // the detector of such uploads speaks for it: nothing like it was ever sent before
    assert!(answer["inferred"]["stopped_bytes"]["low"].as_u64().unwrap() > 890_000_000);
    let failed = shipping.replace("\"eventCategory\"", "\"errorCode\":\"NoSuchBucket\",\"eventCategory\"");
    let answer = upload("hit", Some("arn:aws:s3:::backups/"), OWN_ACCOUNTS, &failed);
    assert_eq!(
        answer["inferred"]["buckets_without_data_events"],
        json!([]),
        "somebody guessed a name"
    );
}

#[test]
fn a_closed_bucket_breaks_what_comes_from_outside_and_says_so() {
    let stored = root().join("tests/data/contain/inc-af61b821a79cf6aa");
    let policy = files(&stored)
        .into_keys()
        .find(|n| n.to_str().unwrap().starts_with("bucket-policy-finance"))
        .unwrap();
    let answer = what_if(stored.join(policy).to_str().unwrap(), &["--incident", "inc-af61"]);
    assert_eq!(answer["incidents"][0]["sums"]["stopped"]["count"], 3_319);
    assert_eq!(answer["broken"]["count"], 73);
}

#[test]
fn networks_are_replayed_for_the_interface_of_the_incident() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cidrs.txt");
    std::fs::write(&path, "10.0.0.0/8\n52.0.0.0/8 # AWS\n54.0.0.0/8\n151.101.0.0/16\n").unwrap();
    let answer = what_if(path.to_str().unwrap(), &["--incident", "inc-f7d5"]);
    let lines = answer["lines"].as_array().unwrap();
    let stopped: Vec<&str> = lines
        .iter()
        .filter(|l| l["verdict"] == "stopped")
        .map(|l| l["what"].as_str().unwrap())
        .collect();
    assert_eq!(stopped, ["93.175.146.77"]);
    assert_eq!(answer["broken"]["count"], 0);
}
