//! AWS Security Finding Format: batches ready for Security Hub's `BatchImportFindings`, one a line.
//!
//! A batch holds findings of one account and region, since the call is made there; at most 100 findings, 240 KB a finding,
//! 6 MB a batch. `Id` follows from the incident alone, so that a later run updates the finding. What the format does not
//! take (long texts, more than 32 resources) is cut; what it cannot say stands in `ProductFields`.
//! Source: docs.aws.amazon.com/securityhub, "ASFF required attributes" and "Guidelines for BatchImportFindings".

mod network;
mod resource;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::document::{Head, Reported, When};
use super::shape::{cut, line, percent, pruned};
use super::story::Case;
use super::subject::Subject;
use super::{Reporter, Telling};

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "asff",
    about: "AWS Security Hub: a batch for BatchImportFindings a line",
    for_people: false,
    write,
};

/// Findings in one call.
pub const BATCH: usize = 100;

/// Bytes of one finding.
pub const FINDING_BYTES: usize = 240_000;

/// Bytes of one call.
pub const BATCH_BYTES: usize = 6_000_000;

/// What stands where the logs name no account; Security Hub takes no finding without one.
pub const NO_ACCOUNT: &str = "000000000000";

/// The region of the product's ARN where the logs name none.
pub const NO_REGION: &str = "us-east-1";

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut by_place: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
    for case in &telling.story.cases {
        let subject = Subject::of(case.incident, &telling.document.run);
        let finding = small_enough(finding(case, &subject, &telling.document.run))?;
        by_place.entry(subject).or_default().push(finding);
    }
    by_place
        .values()
        .flat_map(|findings| batches(findings))
        .try_for_each(|batch| writeln!(out, "{{\"Findings\":[{}]}}", batch.join(",")))
}

/// Cuts findings into calls, in their order.
fn batches(findings: &[String]) -> Vec<&[String]> {
    let mut out = Vec::new();
    let (mut start, mut size) = (0, FRAME);
    for (n, finding) in findings.iter().enumerate() {
        let full = n - start >= BATCH || size + finding.len() + 1 > BATCH_BYTES;
        if full && n > start {
            out.extend(findings.get(start..n));
            (start, size) = (n, FRAME);
        }
        size += finding.len() + 1;
    }
    out.extend(findings.get(start..).filter(|rest| !rest.is_empty()));
    out
}

/// `{"Findings":[]}` and the end of the line.
const FRAME: usize = 16;

/// What a finding can do without, the longest first.
const SHED: &[&str] = &[
    "ProductFields",
    "NetworkPath",
    "ThreatIntelIndicators",
    "Action",
    "Network",
];

/// Leaves out what makes a finding larger than the call takes.
fn small_enough(mut finding: Value) -> io::Result<String> {
    let mut text = line(&finding)?;
    for part in SHED {
        if text.len() <= FINDING_BYTES {
            break;
        }
        if let Some(fields) = finding.as_object_mut() {
            fields.shift_remove(*part);
        }
        text = line(&finding)?;
    }
    Ok(text)
}

/// One incident.
fn finding(case: &Case<'_>, subject: &Subject, head: &Head) -> Value {
    let i = case.incident;
    let account = subject.account.as_deref().unwrap_or(NO_ACCOUNT);
    let region = subject.region.as_deref().unwrap_or(NO_REGION);
    let product = format!(
        "arn:{}:securityhub:{region}:{account}:product/{account}/default",
        subject.partition()
    );
    let (first, last) = (time(i.first_seen, head), time(i.last_seen, head));
    let updated = if head.to > i.last_seen {
        time(head.to, head)
    } else {
        last.clone()
    };
    pruned(json!({
        "SchemaVersion": "2018-10-08",
        "Id": filled(&format!("flowtrail/{}", cut(&i.id, 256))),
        "ProductArn": product,
        "ProductName": "flowtrail",
        "CompanyName": "flowtrail",
        "GeneratorId": filled(&format!("flowtrail/{}", cut(&i.rule, 128))),
        "AwsAccountId": account,
        "Types": types(&i.rules),
        "FirstObservedAt": first,
        "LastObservedAt": last,
        "CreatedAt": first,
        "UpdatedAt": updated,
        "Severity": {"Label": label(&i.severity), "Normalized": score(i), "Original": cut(&i.severity, 64)},
        "Confidence": percent(i.confidence),
        "Title": filled(&cut(&i.title, 250)),
        "Description": filled(&cut(&i.explanation.join(" "), 1_000)),
        "Network": network::network(case),
        "NetworkPath": network::path(case),
        "Action": network::action(case),
        "ThreatIntelIndicators": network::indicators(i),
        "Resources": resource::resources(i, subject, account),
        "ProductFields": product_fields(i, head),
        "FindingProviderFields": {
            "Confidence": percent(i.confidence),
            "Severity": {"Label": label(&i.severity), "Original": cut(&i.severity, 64)},
            "Types": types(&i.rules),
        },
        "RecordState": "ACTIVE",
    }))
}

/// A required text; where the result has none, a word that says so.
fn filled(text: &str) -> &str {
    if text.trim().is_empty() { "not told" } else { text }
}

/// A required time: the incident's, else the archive's, else the beginning of time.
fn time(when: When, head: &Head) -> String {
    const CALENDAR: u64 = 253_402_300_800;
    let known = [when, head.from, head.to].into_iter().filter_map(|w| w.0);
    let inside = known.into_iter().find(|t| *t < CALENDAR);
    crate::net::rfc3339(inside.unwrap_or_default())
}

/// The score within the bounds that Security Hub ties to the label.
fn score(i: &Reported) -> u64 {
    let (least, most) = match label(&i.severity) {
        "CRITICAL" => (90.0, 100.0),
        "HIGH" => (70.0, 89.0),
        "MEDIUM" => (40.0, 69.0),
        "LOW" => (1.0, 39.0),
        _ => (0.0, 0.0),
    };
    i.score.clamp(least, most).round() as u64
}

fn label(severity: &str) -> &'static str {
    match severity {
        "critical" => "CRITICAL",
        "high" => "HIGH",
        "medium" => "MEDIUM",
        "low" => "LOW",
        _ => "INFORMATIONAL",
    }
}

/// Namespace, category, classifier of each rule.
fn types(rules: &[String]) -> Vec<String> {
    let mut out: Vec<String> = rules
        .iter()
        .take(50)
        .map(|rule| format!("{}/{}", category(rule), cut(&rule.replace('/', "-"), 64)))
        .collect();
    out.dedup();
    if out.is_empty() {
        out.push("Effects/Data Exfiltration".to_owned());
    }
    out
}

fn category(rule: &str) -> &'static str {
    match rule {
        "tor-egress" | "threat-ip" | "unusual-port" | "protocol-tunnel" | "beacon" => "TTPs/Command and Control",
        "new-country" | "new-destination" | "fan-out" => "Unusual Behaviors/Network Flow",
        "s3-tor-caller" | "s3-malicious-caller" | "s3-presigned" => "TTPs/Collection",
        "s3-unusual-caller" => "Unusual Behaviors/User",
        "s3-enumeration" => "TTPs/Discovery",
        "s3-mass-delete" => "Effects/Data Destruction",
        "s3-exposure-change" => "Effects/Data Exposure",
        "stolen-instance-credentials" => "TTPs/Credential Access",
        "log-tampering" | "coverage-gap" => "TTPs/Defense Evasion",
        _ => "Effects/Data Exfiltration",
    }
}

/// What the format has no place for.
fn product_fields(i: &Reported, head: &Head) -> Value {
    let join = |list: &[String]| cut(&list.join(" "), 2_000);
    let reasons = i.explanation.iter().take(12).enumerate();
    let reasons = reasons.map(|(n, text)| (format!("flowtrail/reason/{:02}", n + 1), json!(cut(text, 2_000))));
    let mut fields = json!({
        "aws/securityhub/ProductName": "flowtrail",
        "flowtrail/version": cut(&head.version, 64),
        "flowtrail/incident": cut(&i.id, 256),
        "flowtrail/rules": join(&i.rules),
        "flowtrail/score": format!("{:.0}", i.score.clamp(0.0, 100.0)),
        "flowtrail/bytes": i.bytes.0.map(|n| n.to_string()),
        "flowtrail/packets": i.packets.0.filter(|n| *n > 0).map(|n| n.to_string()),
        "flowtrail/flows": i.flows.to_string(),
        "flowtrail/channel": cut(&i.channel, 256),
        "flowtrail/attack/version": cut(&i.attack.version, 64),
        "flowtrail/attack/techniques": join(&i.attack.techniques),
        "flowtrail/guardduty": join(&i.guardduty),
        "flowtrail/destinations": i.destinations.len().to_string(),
        "flowtrail/coverage/observed": format!("{:.4}", i.coverage.observed.clamp(0.0, 1.0)),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(reasons);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_what_a_call_takes() {
        let many = vec!["x".repeat(50_000); 250];
        let cut = batches(&many);
        assert_eq!(cut.iter().map(|b| b.len()).collect::<Vec<_>>(), [100, 100, 50]);
        let large = vec!["x".repeat(FINDING_BYTES); 60];
        let cut = batches(&large);
        assert_eq!(cut.iter().map(|b| b.len()).sum::<usize>(), 60);
        assert!(
            cut.iter()
                .all(|b| b.iter().map(|f| f.len() + 1).sum::<usize>() + FRAME <= BATCH_BYTES)
        );
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn a_score_never_contradicts_its_label() {
        let of = |severity: &str, score: f64| {
            super::score(&Reported {
                severity: severity.into(),
                score,
                ..Reported::default()
            })
        };
        assert_eq!((of("high", 89.0), of("high", 20.0), of("high", 1e308)), (89, 70, 89));
        assert_eq!((of("info", 15.0), of("low", 0.0), of("odd", 50.0)), (0, 1, 0));
    }
}
