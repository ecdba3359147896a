//! What shows the next one: GuardDuty's S3 protection, data events of every bucket, and a rule that tells somebody.

use serde_json::{Value, json};

use super::control::{Control, Kind};
use super::facts::{Account, Bucket};
use super::plan::Given;
use super::shell::Command;

/// `guardduty-s3`: the protection in its present form, `--features`.
pub(super) fn protection(_: Given<'_>) -> Vec<Control> {
    let control = Control::new("guardduty-s3", "GuardDuty's S3 protection switched on")
        .why("GuardDuty reads data events of S3 only if this feature is on; it does not need the trail to record them.")
        .why("--data-sources is the older form of the same: --features is the present one.")
        .needs("guardduty:ListDetectors, guardduty:UpdateDetector; DETECTOR_ID from the first line, set in the shell")
        .careful("GuardDuty learns for one to two weeks what is usual: findings of a new detector are to be read with that in mind. It is paid by the event.")
        .run(Command::aws("guardduty", "list-detectors"))
        .run(
            Command::aws("guardduty", "update-detector")
                .variable("detector-id", "", "DETECTOR_ID", "")
                .with("features", "Name=S3_DATA_EVENTS,Status=ENABLED"),
        );
    vec![control]
}

/// `event-rule`: findings about S3 go to a topic.
pub(super) fn rule(_: Given<'_>) -> Vec<Control> {
    let control = Control::new("event-rule", "Findings of GuardDuty about S3 are sent to somebody")
        .why("A finding that nobody reads stops nothing. The pattern takes every type about S3, Exfiltration:S3/ first of all.")
        .needs("An SNS topic whose policy lets events.amazonaws.com publish; its ARN in ALERT_TOPIC_ARN; events:PutRule, events:PutTargets")
        .document(RULE_FILE.to_owned(), Kind::EventPattern, pattern())
        .run(
            Command::aws("events", "put-rule")
                .with("name", RULE)
                .with("state", "ENABLED")
                .file("event-pattern", RULE_FILE),
        )
        .run(
            Command::aws("events", "put-targets")
                .with("rule", RULE)
                .variable("targets", "Id=alerts,Arn=", "ALERT_TOPIC_ARN", ""),
        );
    vec![control]
}

const RULE: &str = "flowtrail-guardduty-s3";
const RULE_FILE: &str = "event-pattern-guardduty-s3.json";

/// Purposes that GuardDuty's types about S3 begin with.
const PURPOSES: [&str; 6] = [
    "Exfiltration:S3/",
    "Discovery:S3/",
    "UnauthorizedAccess:S3/",
    "Impact:S3/",
    "Policy:S3/",
    "AttackSequence:S3/",
];

/// The pattern of the rule.
pub(super) fn pattern() -> Value {
    let types: Vec<Value> = PURPOSES.iter().map(|p| json!({ "prefix": p })).collect();
    json!({ "source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"], "detail": { "type": types } })
}

/// `data-events`: selectors for the buckets that no trail covers, merged with the present ones.
pub(super) fn selectors(given: Given<'_>) -> Vec<Control> {
    let account = given.account;
    let uncovered: Vec<&Bucket> = account.buckets.iter().filter(|b| is_open(b)).take(MOST).collect();
    if uncovered.is_empty() && !account.blind && !account.selectors.is_empty() {
        return Vec::new();
    }
    let what = match (account.blind, uncovered.len()) {
        (true, _) => "of every bucket",
        (false, 0) => "of the buckets that matter",
        (false, _) => "of the buckets that no trail covers",
    };
    let mut out = Control::new("data-events", format!("Data events {what} recorded"))
        .why("Reads and writes of objects that no trail records leave no trace: nothing can be told of them, nor reconciled.");
    if account.blind {
        out = out.why("Bytes went to S3 that no event explains, or into buckets of others. Only a selector for all buckets shows writes of own credentials into a bucket that is not in the account.");
    }
    let names: Vec<&str> = uncovered.iter().map(|b| b.name.as_str()).collect();
    if !names.is_empty() {
        out = out.why(format!("Not covered now: {}.", shown(&names)));
    }
    out = out
        .needs("cloudtrail:GetEventSelectors, cloudtrail:PutEventSelectors on the trail")
        .careful("Data events are paid by the event, and busy buckets have millions.");
    if let Some((trail, merged)) = merged(account, &names) {
        out = with_trail(out, &trail, merged);
    }
    if account.selectors.is_empty() {
        out = out.needs("The present selectors: put-event-selectors replaces them. Scan with --inventory and what get-event-selectors prints");
    }
    vec![out]
}

/// Buckets that selectors hold: a trail takes 250 data resources.
const MOST: usize = 200;

fn is_open(b: &Bucket) -> bool {
    b.standing == "own" && b.data_events.as_deref() != Some("all")
}

fn shown(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

fn with_trail(out: Control, trail: &str, merged: Merged) -> Control {
    let short = trail.rsplit('/').next().unwrap_or("trail");
    let name = format!("event-selectors-{short}.json");
    let option = if merged.advanced {
        "advanced-event-selectors"
    } else {
        "event-selectors"
    };
    let note = format!(
        "put-event-selectors replaces all selectors of {short}: the document holds the present ones, as the scan was given them, and the new. Compare with the first line's answer."
    );
    let out = if merged.whole {
        out
    } else {
        out.careful(format!("A selector of {short} is of a form that was not understood: add the new one to get-event-selectors' answer by hand."))
    };
    out.careful(note)
        .document(name.clone(), Kind::Parameter, Value::Array(merged.selectors))
        .run(Command::aws("cloudtrail", "get-event-selectors").with("trail-name", trail))
        .run(
            Command::aws("cloudtrail", "put-event-selectors")
                .with("trail-name", trail)
                .file(option, &name),
        )
}

/// Selectors of one trail with the new one.
struct Merged {
    advanced: bool,
    whole: bool,
    selectors: Vec<Value>,
}

/// The first trail takes the new selector.
fn merged(account: &Account, names: &[&str]) -> Option<(String, Merged)> {
    let (trail, _) = account.selectors.first()?;
    let own = account
        .selectors
        .iter()
        .filter(|(t, _)| t == trail)
        .map(|(_, s)| s.clone());
    let mut present: Vec<Value> = own.collect();
    let whole = present.iter().all(Value::is_object);
    present.retain(Value::is_object);
    let advanced = present.iter().any(|s| s.get("FieldSelectors").is_some());
    let values: Vec<String> = match account.blind {
        true => vec!["arn:aws:s3".to_owned()],
        false => names.iter().map(|n| format!("arn:aws:s3:::{n}/")).collect(),
    };
    let selectors = if advanced {
        add_advanced(present, account.blind, values)
    } else {
        add_basic(present, values)
    };
    let merged = Merged {
        advanced,
        whole,
        selectors,
    };
    Some((trail.clone(), merged))
}

/// A basic selector of its own; five fit into a trail, so that a full list takes the resources into its last one.
fn add_basic(mut present: Vec<Value>, values: Vec<String>) -> Vec<Value> {
    let resource = json!({ "Type": "AWS::S3::Object", "Values": values });
    let all = |s: &Value| s.get("ReadWriteType").and_then(Value::as_str).unwrap_or("All") == "All";
    match present.iter_mut().find(|s| all(s)) {
        Some(selector) => {
            let slot = selector
                .get("DataResources")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            selector["DataResources"] = Value::Array(widened(slot, resource));
        }
        None => present
            .push(json!({ "ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [resource] })),
    }
    present
}

/// Data resources with the values added to those of S3.
fn widened(mut resources: Vec<Value>, new: Value) -> Vec<Value> {
    match resources.iter_mut().find(|r| r["Type"] == "AWS::S3::Object") {
        Some(of_s3) => {
            let more = new["Values"].as_array().cloned().unwrap_or_default();
            let mut values = of_s3["Values"].as_array().cloned().unwrap_or_default();
            values.extend(
                more.into_iter()
                    .filter(|v| !of_s3["Values"].as_array().is_some_and(|a| a.contains(v))),
            );
            of_s3["Values"] = Value::Array(values);
        }
        None => resources.push(new),
    }
    resources
}

fn add_advanced(mut present: Vec<Value>, every: bool, values: Vec<String>) -> Vec<Value> {
    let mut fields = vec![
        json!({ "Field": "eventCategory", "Equals": ["Data"] }),
        json!({ "Field": "resources.type", "Equals": ["AWS::S3::Object"] }),
    ];
    if !every {
        fields.push(json!({ "Field": "resources.ARN", "StartsWith": values }));
    }
    present.push(json!({ "Name": "flowtrail: objects", "FieldSelectors": fields }));
    present
}
