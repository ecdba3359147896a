//! Reports drawn from the sample account and from results that an attacker has written into every field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use flowtrail::report::story::Outside;
use flowtrail::report::{REPORTERS, Wanted, reporter};
use serde_json::{Value, json};

fn account() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account")
}

fn flowtrail(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command.args(args).current_dir(account()).output().unwrap()
}

/// The sample account scanned into a format.
fn scan(more: &[&str]) -> String {
    let mut args = vec!["scan", "flow", "--quiet", "--trail", "trail"];
    args.extend(["--tor-exits", "intel/torbulkexitlist"]);
    args.extend(["--threat-list", "intel/threat-list.txt"]);
    for file in ["network-interfaces", "nat-gateways", "vpc-endpoints"] {
        args.extend([
            "--inventory",
            Box::leak(format!("inventory/describe-{file}.json").into_boxed_str()),
        ]);
    }
    args.extend(more);
    let out = flowtrail(&args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The sample's result, with what GuardDuty, Macie and a search for containment would add.
static RESULT: LazyLock<Value> = LazyLock::new(|| {
    let mut result: Value = serde_json::from_str(&scan(&["--format", "json"])).unwrap();
    let worst = result["incidents"][0]["id"].clone();
    result["side_findings"] = json!([
        {"source": "guardduty", "id": "e519", "type": "Exfiltration:S3/AnomalousBehavior", "severity": 8.0, "title": "An access key read S3 objects in an unusual way.",
         "bucket": "customer-records-05544a", "action": "GetObject", "created_at": "2026-03-10T04:15:00Z",
         "first_seen": "2026-03-10T02:47:11Z", "last_seen": "2026-03-10T04:12:38Z", "matched": worst},
        {"source": "macie", "id": "aaf6", "type": "SensitiveData:S3Object/Personal", "severity": "High", "title": "The S3 object contains sensitive data.",
         "bucket": "customer-records-05544a", "action": null, "first_seen": "2026-03-02T01:00:00Z", "last_seen": "2026-03-02T01:00:00Z",
         "sensitivity": ["USA_SOCIAL_SECURITY_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD_NUMBER"], "matched": null},
        {"source": "guardduty", "id": "0000", "type": "Recon:EC2/PortProbeUnprotectedPort", "severity": 2, "title": "A port was probed.",
         "bucket": null, "action": "PORT_PROBE", "first_seen": "2026-03-05T10:00:00Z", "last_seen": "2026-03-05T10:00:00Z", "matched": null},
    ]);
    let by = "arn:aws:sts::111122223333:assumed-role/SecurityResponse/a.lindqvist";
    let step = |id: &str, text: &str, at: Option<&str>, control: Option<&str>| json!({"id": id, "text": text, "done": at.is_some(), "at": at, "by": at.map(|_| by), "control": control});
    result["details"][0]["containment"] = json!([
        step("disable-key", "Access key disabled", Some("2026-03-10T04:25:00Z"), None),
        step(
            "reset-password",
            "Password reset and MFA re-enrolled",
            Some("2026-03-10T04:38:00Z"),
            None
        ),
        step(
            "endpoint-policy",
            "VPC endpoint policy applied to the sensitive buckets",
            None,
            Some("endpoint-policy")
        ),
        step(
            "bucket-policy",
            "Bucket policy restricted to the VPC",
            Some("2026-03-10T05:05:00Z"),
            None
        ),
        step("secret-scan", "Secret scan of the developer's repositories", None, None),
    ]);
    result
});

fn wanted() -> Wanted {
    Wanted {
        outside: Outside::load(&account().join("alerts/timeline.txt")).unwrap(),
        ..Wanted::default()
    }
}

fn drawn(format: &str, result: &Value, wanted: &Wanted) -> String {
    let mut out = Vec::new();
    reporter(format)
        .unwrap()
        .draw(result.clone(), wanted, &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

/// The words of a page: its texts, with entities resolved.
fn words(html: &str) -> String {
    let mut out = String::new();
    let mut skip = false;
    for token in html5gum::Tokenizer::new(html) {
        match token.unwrap() {
            html5gum::Token::StartTag(t) => skip = *t.name == b"style"[..],
            html5gum::Token::EndTag(_) => skip = false,
            html5gum::Token::String(s) if !skip => {
                out.push_str(&String::from_utf8_lossy(&s));
                out.push(' ');
            }
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every line of the playbook's report, as data of the sample fills it.
const TEMPLATE: &[&str] = &[
    // title, account, source of detection, date
    "Investigation report",
    "111122223333",
    "GuardDuty Exfiltration:S3/AnomalousBehavior (severity 8.0)",
    "flowtrail s3-bulk-download",
    "10 March 2026",
    // timeline
    "2026-03-10 02:47:11",
    "first GetObject from 185.220.101.34",
    "12,847 GetObject requests from 185.220.101.34: 12,611 distinct objects, 4.70 GB",
    "2026-03-10 04:15:00",
    "GuardDuty finding Exfiltration:S3/AnomalousBehavior, severity 8.0",
    "2026-03-10 04:20:00",
    "PagerDuty alert to the SOC",
    "2026-03-10 04:25:00",
    // principal
    "arn:aws:iam::111122223333:user/j.rivera",
    "AKIA…WXYZ",
    "185.220.101.34 (Tor exit node, DE)",
    // impact
    "Buckets accessed",
    "customer-records-05544a: 7,068 objects, 2.61 GB",
    "finance-exports-05544a",
    "hr-documents-05544a",
    "12,611",
    "4.70 GB",
    "USA_SOCIAL_SECURITY_NUMBER",
    "EMAIL_ADDRESS",
    "CREDIT_CARD_NUMBER",
    "Macie severity",
    "High",
    // containment
    "Access key disabled",
    "Password reset and MFA re-enrolled",
    "VPC endpoint policy applied to the sensitive buckets",
    "Bucket policy restricted to the VPC",
    "Secret scan of the developer's repositories",
    // frame
    "What these logs can and cannot show",
    "33,532 lines in 1,440 files",
    "Method",
    "Inputs",
    "Lists",
];

#[test]
fn every_line_of_the_template_is_filled_in_html() {
    let text = words(&drawn("html", &RESULT, &wanted()));
    for line in TEMPLATE {
        assert!(text.contains(line), "{line}");
    }
    assert!(
        text.contains("The trail shows 3 of 5 steps of containment as done; 1 more as told from outside the logs.")
    );
}

#[test]
fn every_line_of_the_template_is_filled_in_markdown() {
    let page = drawn("md", &RESULT, &wanted());
    let html = comrak::markdown_to_html(&page, &options());
    let text = words(&html);
    for line in TEMPLATE {
        assert!(text.contains(line), "{line}");
    }
    assert!(page.contains("- [x] Access key disabled, 2026-03-10 04:25:00 UTC, by `arn:aws:sts::"));
    assert!(page.contains(
        "- [ ] VPC endpoint policy applied to the sensitive buckets: `flowtrail contain` writes `endpoint-policy`"
    ));
    assert!(page.contains(
        "- [x] Secret scan of the developer's repositories, 2026-03-10 05:30:00 UTC, as told from outside the logs"
    ));
    assert!(page.contains("## Findings of GuardDuty and Macie that match no incident"));
}

#[test]
fn keys_are_whole_only_if_asked_for() {
    let whole = Wanted {
        show_keys: true,
        ..wanted()
    };
    for format in ["md", "html"] {
        let key = "AKIAGCU6FE3QQQI6WXYZ";
        assert!(!drawn(format, &RESULT, &wanted()).contains(key), "{format}");
        assert!(drawn(format, &RESULT, &whole).contains(key), "{format}");
    }
}

#[test]
fn a_report_of_one_incident_tells_no_other() {
    let id = RESULT["incidents"][1]["id"].as_str().unwrap();
    let only = Wanted {
        only: vec![id.get(..8).unwrap().to_owned()],
        ..Wanted::default()
    };
    let page = drawn("md", &RESULT, &only);
    assert!(page.contains(id) && !page.contains(RESULT["incidents"][0]["id"].as_str().unwrap()));
    let nobody = Wanted {
        only: vec!["inc-nobody".to_owned()],
        ..Wanted::default()
    };
    let mut out = Vec::new();
    assert!(reporter("md").unwrap().draw(RESULT.clone(), &nobody, &mut out).is_err());
}

#[test]
fn scan_and_report_draw_the_same_page() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.json");
    std::fs::write(&result, scan(&["--format", "json"])).unwrap();
    for format in ["md", "html"] {
        let at_once = scan(&["--format", format, "--timeline", "alerts/timeline.txt"]);
        let later = flowtrail(&[
            "report",
            result.to_str().unwrap(),
            "--format",
            format,
            "--timeline",
            "alerts/timeline.txt",
        ]);
        assert!(later.status.success());
        assert!(at_once.as_bytes() == later.stdout, "{format}");
    }
}

#[test]
fn custody_names_every_file_with_its_hash() {
    let result: Value = serde_json::from_str(&scan(&["--format", "json", "--custody"])).unwrap();
    let custody = result["run"]["custody"].as_array().unwrap();
    let of = |kind: &str| custody.iter().filter(|c| c["kind"] == kind).count();
    assert_eq!((of("flow"), of("trail"), of("inventory")), (1_440, 240, 3));
    assert!(
        custody
            .iter()
            .all(|c| c["sha256"].as_str().is_some_and(|s| s.len() == 64))
    );
    assert!(RESULT["run"]["custody"].as_array().unwrap().is_empty());
}

// --- hostile texts -----------------------------------------------------------------------------------------------------

/// Ours, beside those of the shared set.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><svg/onload=alert(1)>",
    "'><img src=x onerror=alert(1)>",
    "</style><style>*{display:none}</style>",
    "</title></desc></svg><iframe src=//evil.example></iframe>",
    "--><!-- x",
    "]]><b>",
    "[click](https://evil.example/) ![i](https://evil.example/i.png)",
    "[x]: https://evil.example/ \"t\"",
    "<https://evil.example> https://evil.example/a?b=1 www.evil.example ftp://evil.example WWW.Evil.example",
    "mail root@evil.example mailto:root@evil.example xmpp:a@evil.example",
    "javascript:alert(1) JaVaScRiPt:alert(1)",
    "\n# heading\n\n## heading\n",
    "\n\n---\n\n===\n",
    "a\r\n| x | y |\r\n| --- | --- |",
    "`code` ``` fence\n```\n<b>\n```",
    "*bold* _it_ ~~no~~ $x$ ^[note] [^1]",
    "1. one\n- two\n- [x] three",
    "\u{202e}txet\u{2066} \u{200b} \u{feff}",
    "\u{1b}[31mred\u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7} \u{9b}31m \u{7} \u{8}",
    "&lt;b&gt; &#60;b&#62; &amp;lt;",
    "{{7*7}} ${7*7} <%= 7 %>",
    "arn:aws:iam::1:user/<b>x</b>|`y`@evil.example",
];

/// Hostile strings of the shared set, where it is there.
fn shared() -> Vec<String> {
    let root = std::env::var("FLOWTRAIL_SHARED").unwrap_or_else(|_| "../shared".into());
    let path = Path::new(&root).join("badinputs/ct/attacker_strings.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return Vec::new();
    };
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut out = BTreeSet::new();
    texts(&value, &mut out);
    out.into_iter()
        .filter(|s| s.chars().any(|c| !c.is_ascii_alphanumeric() && !":./-_ ".contains(c)))
        .collect()
}

fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(s) => {
            into.insert(s.clone());
        }
        Value::Array(list) => list.iter().for_each(|v| texts(v, into)),
        Value::Object(fields) => fields.values().for_each(|v| texts(v, into)),
        _ => {}
    }
}

/// Fields of which a report is made only if they are what they should be.
const KEPT: &[&str] = &[
    "schema",
    "time",
    "until",
    "at",
    "first_seen",
    "last_seen",
    "created_at",
    "from",
    "to",
];

/// Fields by which parts find each other: the text goes behind what they hold.
const TIED: &[&str] = &["id", "matched", "eni", "arn", "principal", "bucket", "name", "source"];

/// Puts a text into every field of a document that holds one.
fn poison(value: &mut Value, name: &str, text: &str) {
    match value {
        Value::String(s) if TIED.contains(&name) => s.push_str(text),
        Value::String(s) if !KEPT.contains(&name) => text.clone_into(s),
        Value::Array(list) if name != "hours" => list.iter_mut().for_each(|v| poison(v, name, text)),
        Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| poison(v, k, text)),
        _ => {}
    }
}

/// A small result: two incidents, and little of the long lists.
fn small() -> Value {
    let mut result = RESULT.clone();
    for list in ["incidents", "details"] {
        result[list].as_array_mut().unwrap().truncate(4);
    }
    result["run"]["inputs"].as_array_mut().unwrap().truncate(2);
    result["run"]["custody"] = json!([{"file": "a.log.gz", "kind": "flow", "bytes": 5, "sha256": "00ff"}]);
    result["view"]["suppressed"] = json!([{"id": "inc-x", "bytes": 5, "by": "me", "reason": "why"}]);
    result["stats"]["file_errors"] = json!([{"file": "b.log.gz", "reason": "cut"}]);
    result
}

/// Elements with their attributes' names; values of attributes that could load or lead somewhere.
fn shape(html: &str) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let (mut kinds, mut targets, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
    for token in html5gum::Tokenizer::new(html) {
        match token.unwrap() {
            html5gum::Token::StartTag(t) => {
                let name = String::from_utf8_lossy(&t.name).into_owned();
                count += 1;
                kinds.insert(name.clone());
                for (k, v) in &t.attributes {
                    let k = String::from_utf8_lossy(k).into_owned();
                    if ["href", "src", "xlink:href", "action", "style", "srcset"].contains(&k.as_str()) {
                        let v = String::from_utf8_lossy(v).into_owned();
                        targets.insert(v.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned());
                    }
                    kinds.insert(format!("{name} {k}"));
                }
            }
            html5gum::Token::Comment(_) => {
                kinds.insert("comment".to_owned());
            }
            html5gum::Token::Doctype(_) => {
                kinds.insert("doctype".to_owned());
            }
            _ => {}
        }
    }
    (kinds, targets, count)
}

fn hostile() -> Vec<String> {
    HOSTILE.iter().map(|s| (*s).to_owned()).chain(shared()).collect()
}

#[test]
fn hostile_texts_add_no_element_and_no_attribute_to_the_page() {
    let clean = small();
    let (kinds, targets, count) = shape(&drawn("html", &clean, &wanted()));
    assert_eq!(targets, ["#incident-".to_owned()].into());
    assert!(!kinds.contains("script") && !kinds.contains("comment") && kinds.contains("svg role"));
    for text in hostile() {
        let mut bad = clean.clone();
        poison(&mut bad, "", &text);
        let page = drawn("html", &bad, &wanted());
        let (k, t, n) = shape(&page);
        let news: Vec<&String> = k.difference(&kinds).collect();
        assert!(news.is_empty(), "{text:?}: {news:?}");
        assert!(t.is_subset(&targets), "{text:?}: {t:?}");
        assert!(n <= count + 200, "{text:?}: {n} elements, {count} of the clean page");
        assert!(!page.chars().any(odd), "{text:?}");
    }
}

/// Characters that a screen could act on.
fn odd(c: char) -> bool {
    c.is_control() && c != '\n' || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(c)
}

fn options() -> comrak::Options<'static> {
    let mut options = comrak::Options::default();
    let e = &mut options.extension;
    (e.table, e.autolink, e.tasklist, e.strikethrough, e.footnotes) = (true, true, true, true, true);
    e.math_dollars = true;
    options.render.r#unsafe = true;
    options
}

#[test]
fn hostile_texts_render_no_link_image_html_or_heading_in_markdown() {
    let clean = small();
    let (kinds, ..) = shape(&comrak::markdown_to_html(&drawn("md", &clean, &wanted()), &options()));
    assert!(kinds.contains("table") && !kinds.contains("a") && !kinds.contains("img"));
    let headings = |page: &str| page.lines().filter(|l| l.starts_with('#')).count();
    for text in hostile() {
        let mut bad = clean.clone();
        poison(&mut bad, "", &text);
        let page = drawn("md", &bad, &wanted());
        let html = comrak::markdown_to_html(&page, &options());
        let (k, t, _) = shape(&html);
        let news: Vec<&String> = k.difference(&kinds).collect();
        assert!(news.is_empty() && t.is_empty(), "{text:?}: {news:?} {t:?}");
        let rendered = ["<h1", "<h2", "<h3"]
            .map(|h| html.matches(h).count())
            .iter()
            .sum::<usize>();
        assert_eq!(rendered, headings(&page), "{text:?}");
        assert!(!page.chars().any(odd), "{text:?}");
    }
}

#[test]
fn a_hostile_timeline_is_only_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timeline.txt");
    let lines: Vec<String> = hostile()
        .iter()
        .map(|t| t.replace(['\n', '\r'], " "))
        .filter(|t| !t.trim().is_empty())
        .map(|t| format!("2026-03-10T04:20:00Z {t}"))
        .collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let bad = Wanted {
        outside: Outside::load(&path).unwrap(),
        ..Wanted::default()
    };
    let (kinds, ..) = shape(&drawn("html", &RESULT, &wanted()));
    let (k, ..) = shape(&drawn("html", &RESULT, &bad));
    assert_eq!(k.difference(&kinds).collect::<Vec<_>>(), Vec::<&String>::new());
    let html = comrak::markdown_to_html(&drawn("md", &RESULT, &bad), &options());
    assert!(!html.contains("<a ") && !html.contains("<img"));
}

#[test]
fn the_page_loads_nothing_and_its_policy_names_its_style_sheet() {
    let page = drawn("html", &RESULT, &wanted());
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("style=\""));
}

#[test]
fn a_case_card_is_a_page_of_the_same_kind() {
    let args = [
        "lookup",
        "93.175.146.77",
        "--flows",
        "flow",
        "--trail",
        "trail",
        "--quiet",
        "--format",
        "html",
    ];
    let out = flowtrail(&args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let page = String::from_utf8(out.stdout).unwrap();
    let (kinds, targets, _) = shape(&page);
    assert!(targets.is_empty() && kinds.contains("table") && !kinds.contains("script"));
    let text = words(&page);
    assert!(
        text.contains("93.175.146.77 (ip)") && text.contains("eni-05995c602886f5b99"),
        "{text}"
    );
}

// --- size --------------------------------------------------------------------------------------------------------------

#[test]
fn a_thousand_incidents_stay_under_twenty_megabytes() {
    let mut result = RESULT.clone();
    let multiply = |list: &Value, n: usize| -> Value {
        let all = list.as_array().unwrap();
        let nth = |k: usize| {
            let mut one = all[k % all.len()].clone();
            one["id"] = json!(format!("inc-{k:016x}"));
            one
        };
        (0..n).map(nth).collect()
    };
    result["incidents"] = multiply(&result["incidents"], 1_000);
    result["details"] = multiply(&result["details"], 1_000);
    for format in ["md", "html"] {
        let page = drawn(format, &result, &wanted());
        assert!(page.len() < 20 << 20, "{format}: {} bytes", page.len());
        assert!(page.contains("inc-00000000000003e7"), "{format}");
    }
}

/// A result in which every number is as large as it can be, and times are at the ends of time.
fn extreme() -> Value {
    let most = u128::MAX.to_string();
    let place = json!({"ip": "::1", "bytes": most, "asn": u32::MAX, "country": "XX", "labels": ["tor-exit"]});
    let access = json!({"principal": "p", "bucket": "b", "requests": u64::MAX, "objects": u64::MAX, "read": most, "written": most});
    let (first, last) = ("1970-01-01T00:00:00Z", "9999-12-30T22:00:00Z");
    json!({
        "schema": "flowtrail.result/1",
        "incidents": [{
            "id": "inc-1", "eni": "e", "first_seen": first, "last_seen": last, "bytes": most, "flows": u64::MAX, "score": 1e308,
            "destinations": [place, place], "principals": [{"arn": "p"}], "coverage": {"observed": 1e308, "skipdata": u64::MAX},
        }],
        "details": [{"id": "inc-1", "timeline": [{"time": first, "until": last}, {"time": last, "text": "x"}], "requests": {
            "requests": u64::MAX, "failed": u64::MAX, "objects": u64::MAX, "read": most, "written": most, "access": [access, access],
        }}],
        "series": [{"eni": "e", "hours": [[first, most, most, most], [last, most, 0, 1]]}],
        "ledger": {"internet": most, "s3": most, "resolved_share": 1e308, "server_side_copy": {"objects": u64::MAX}},
        "places": {"countries": {"all": u64::MAX, "listed": [{"name": "XX", "bytes": most}], "more_bytes": most}},
        "access": [access, access],
    })
}

#[test]
fn results_of_other_shapes_are_reported_as_far_as_they_go() {
    for result in [
        json!({"schema": "flowtrail.result/1"}),
        json!({"schema": "flowtrail.result/1", "incidents": [{}], "details": [{}], "series": [{}], "ledger": {}, "places": {}, "access": []}),
        extreme(),
        json!({"schema": "flowtrail.result/1", "incidents": [{"id": "inc-1", "first_seen": "no time", "bytes": "x", "destinations": [{}], "principals": [{}]}]}),
    ] {
        for reporter in REPORTERS {
            let mut out = Vec::new();
            reporter.draw(result.clone(), &wanted(), &mut out).unwrap();
            // To a product, nothing is said of nothing.
            assert!(!out.is_empty() || !reporter.for_people, "{}", reporter.name);
        }
    }
}

// --- terminal ----------------------------------------------------------------------------------------------------------

#[test]
fn the_terminal_gets_only_our_own_colours() {
    let root = std::env::var("FLOWTRAIL_SHARED").unwrap_or_else(|_| "../shared".into());
    let hostile = Path::new(&root).join("badinputs/ct/attacker_strings.json");
    let Ok(hostile) = hostile.canonicalize() else {
        return println!("skipped: {} is not there", hostile.display());
    };
    let trail = hostile.to_str().unwrap();
    let scan = [
        "scan",
        "flow",
        "--trail",
        "trail",
        "--trail",
        trail,
        "--tor-exits",
        "intel/torbulkexitlist",
        "--color",
        "always",
        "--min-severity",
        "info",
    ];
    let own = ["[1;35m", "[1;31m", "[1;33m", "[36m", "[2m", "[0m"];
    let listed = ["trail", trail, "--by", "principal,bucket,event,key"];
    for (args, colours) in [(&scan[..], true), (&listed[..], false)] {
        let out = flowtrail(args);
        let told = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
        assert_eq!(told.contains('\u{1b}'), colours);
        assert!(told.lines().count() > 20, "{told}");
        for behind in told.split('\u{1b}').skip(1) {
            assert!(own.iter().any(|c| behind.starts_with(c)), "{behind:.40}");
        }
        assert!(!told.chars().any(|c| odd(c) && c != '\u{1b}'));
    }
}
