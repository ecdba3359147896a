//! `metric-alarm`: more objects read in an hour than ever: a metric filter on the trail's log group, and an alarm.
//!
//! The threshold is the account's own where a week or more of reads is known, else the playbook's 1,000 an hour.

use serde_json::{Value, json};

use super::control::{Control, Kind};
use super::events;
use super::pattern::{Clause, Filter};
use super::plan::Given;
use super::shell::Command;

/// The playbook's.
const DEFAULT: u64 = 1_000;
/// Hours of reads that a threshold of one's own needs.
const LEARNED: u64 = 7 * 24;

const NAME: &str = "flowtrail-s3-objects-read";
const NAMESPACE: &str = "Flowtrail";
const TRANSFORMATIONS: &str = "metric-transformations.json";
const TEMPLATE: &str = "alerts.template.json";

/// Filter, alarm, and a template with both and the event rule.
pub(super) fn alarm(given: Given<'_>) -> Vec<Control> {
    let (threshold, from) = threshold(given.account.reads);
    let filter = objects_read().to_string();
    let control = Control::new("metric-alarm", format!("Alarm above {threshold} objects read in an hour"))
        .why(from)
        .why("The filter counts GetObject in the trail's log group; the alarm adds up an hour.")
        .needs("A trail with data events that is delivered to CloudWatch Logs: the name of its log group in TRAIL_LOG_GROUP. Without that delivery a metric filter sees nothing")
        .needs("An SNS topic that somebody reads: its ARN in ALERT_TOPIC_ARN; logs:PutMetricFilter, cloudwatch:PutMetricAlarm")
        .careful("One threshold for the account is coarse: it knows no principal and no bucket. It is a net below the detectors, not in their place.")
        .document(TRANSFORMATIONS.to_owned(), Kind::Parameter, transformations())
        .document(TEMPLATE.to_owned(), Kind::Template, template(&filter, threshold))
        .run(
            Command::aws("logs", "put-metric-filter")
                .variable("log-group-name", "", "TRAIL_LOG_GROUP", "")
                .with("filter-name", NAME)
                .with("filter-pattern", &filter)
                .file("metric-transformations", TRANSFORMATIONS),
        )
        .run(
            Command::aws("cloudwatch", "put-metric-alarm")
                .with("alarm-name", NAME)
                .with("alarm-description", "More objects read from S3 in an hour than usual")
                .with("namespace", NAMESPACE)
                .with("metric-name", "ObjectsRead")
                .with("statistic", "Sum")
                .with("period", "3600")
                .with("evaluation-periods", "1")
                .with("threshold", &threshold.to_string())
                .with("comparison-operator", "GreaterThanThreshold")
                .with("treat-missing-data", "notBreaching")
                .variable("alarm-actions", "", "ALERT_TOPIC_ARN", ""),
        );
    vec![control]
}

/// The threshold, and where it comes from.
fn threshold((hours, most): (u64, u64)) -> (u64, String) {
    if hours < LEARNED || most == 0 {
        let text = format!(
            "{DEFAULT} an hour is the playbook's: too few hours of reads are known for one of the account's own."
        );
        return (DEFAULT, text);
    }
    let own = rounded(most.saturating_mul(3).div_ceil(2).max(10));
    let text = format!(
        "In {hours} hours, without what incidents read, at most {most} objects were read in an hour: {own} is half as much again. (The playbook's is {DEFAULT}.)"
    );
    (own, text)
}

/// Up to two digits.
fn rounded(n: u64) -> u64 {
    let digits = n.checked_ilog10().unwrap_or(0);
    let unit = 10u64.pow(digits.saturating_sub(1));
    n.div_ceil(unit).saturating_mul(unit)
}

fn objects_read() -> Filter {
    Filter::all(vec![
        Clause::equals("eventSource", "s3.amazonaws.com"),
        Clause::equals("eventName", "GetObject"),
        Clause::absent("errorCode"),
    ])
}

fn transformations() -> Value {
    json!([{ "metricName": "ObjectsRead", "metricNamespace": NAMESPACE, "metricValue": "1", "defaultValue": 0 }])
}

/// The same as CloudFormation, with the event rule.
fn template(filter: &str, threshold: u64) -> Value {
    json!({ "AWSTemplateFormatVersion": "2010-09-09", "Description": "Alarms of data leaving S3, to review",
        "Parameters": { "TrailLogGroup": { "Type": "String" }, "AlertTopicArn": { "Type": "String" } },
        "Resources": {
            "ObjectsRead": { "Type": "AWS::Logs::MetricFilter", "Properties": { "LogGroupName": { "Ref": "TrailLogGroup" },
                "FilterPattern": filter, "MetricTransformations": [{ "MetricName": "ObjectsRead", "MetricNamespace": NAMESPACE,
                "MetricValue": "1", "DefaultValue": 0 }] } },
            "ObjectsReadAlarm": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "AlarmName": NAME, "Namespace": NAMESPACE,
                "MetricName": "ObjectsRead", "Statistic": "Sum", "Period": 3600, "EvaluationPeriods": 1, "Threshold": threshold,
                "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
                "AlarmActions": [{ "Ref": "AlertTopicArn" }] } },
            "FindingsAboutS3": { "Type": "AWS::Events::Rule", "Properties": { "State": "ENABLED", "EventPattern": events::pattern(),
                "Targets": [{ "Id": "alerts", "Arn": { "Ref": "AlertTopicArn" } }] } } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_the_accounts_own_where_a_week_is_known() {
        assert_eq!(threshold((0, 0)).0, 1_000);
        assert_eq!(threshold((100, 50_000)).0, 1_000);
        assert_eq!(threshold((240, 14)).0, 21);
        assert_eq!(threshold((400, 1_234)).0, 1_900);
        assert_eq!(threshold((400, 1)).0, 10);
    }
}
