//! `log-tampering`: somebody stops, narrows or deletes the logs that this tool and others live by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::s3_exposure_change::notable_signals;
use super::trail::{Aspect, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings, Severity};
use crate::trail::Notable;

/// The detector.
pub struct LogTampering;

/// Parameters of `log-tampering`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Calls that end logging, or detection, whatever their parameters.
    pub ending: Vec<String>,
    /// Calls that delete logs of all kinds, which tidying does too: LOW.
    pub tidying: Vec<String>,
    /// Objects of a log bucket that expire after fewer days than this were not meant to be read.
    pub short_days: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        let ending = [
            "DeleteConfigurationRecorder",
            "DeleteDetector",
            "DeleteEventDataStore",
            "DeleteFlowLogs",
            "DeleteResolverQueryLogConfig",
            "DeleteTrail",
            "DisableMacie",
            "DisassociateFromAdministratorAccount",
            "DisassociateFromMasterAccount",
            "DisassociateResolverQueryLogConfig",
            "LeaveOrganization",
            "StopConfigurationRecorder",
            "StopLogging",
            "StopMonitoringMembers",
        ];
        let tidying = ["DeleteLogGroup", "DeleteLogStream"];
        Parameters {
            ending: ending.map(str::to_owned).to_vec(),
            tidying: tidying.map(str::to_owned).to_vec(),
            short_days: 7,
        }
    }
}

impl TrailDetector for LogTampering {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "log-tampering",
            title: "Logging stopped, narrowed or deleted",
            techniques: &["T1562.008"],
            guardduty: Some("Stealth:IAMUser/CloudTrailLoggingDisabled"),
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let own = &settings.log_tampering;
        notable_signals(day, self.meta().id, Aspect::Tampered, &|n| tampering(n, own))
    }
}

fn tampering(event: &Notable, own: &Parameters) -> Option<(Severity, String)> {
    let name = event.event.as_str();
    let request: Value = serde_json::from_str(&event.request).unwrap_or_default();
    let about = about(&request);
    if own.ending.iter().any(|e| e == name) {
        return Some((Severity::Medium, format!("ended logging{about}")));
    }
    if own.tidying.iter().any(|e| e == name) {
        return Some((Severity::Low, format!("deleted logs{about}")));
    }
    if let Some((severity, what)) = narrows(&request).filter(|_| name == "PutEventSelectors") {
        return Some((severity, format!("{what}{about}")));
    }
    let narrowed = match name {
        "UpdateTrail" => weakens(&request),
        "UpdateDetector" => is_false(&request, "enable").then(|| "switched GuardDuty off".to_owned()),
        "PutBucketLogging" => no_target(&request).then(|| "switched access logging off".to_owned()),
        "PutBucketLifecycle" | "PutBucketLifecycleConfiguration" => expires(event, &request, own.short_days),
        _ => None,
    }?;
    Some((Severity::Medium, format!("{narrowed}{about}")))
}

/// " (name)" of what the request is about.
fn about(request: &Value) -> String {
    const NAMES: [&str; 8] = [
        "name",
        "trailName",
        "bucketName",
        "detectorId",
        "eventDataStore",
        "logGroupName",
        "resolverQueryLogConfigId",
        "flowLogIds",
    ];
    let direct = NAMES.iter().find_map(|n| request.get(n)?.as_str().map(str::to_owned));
    let flow_logs = || {
        let wrapped = request.get("DeleteFlowLogsRequest")?.get("FlowLogId")?;
        Some(
            wrapped
                .get("content")
                .and_then(Value::as_str)
                .map_or_else(|| wrapped.to_string(), str::to_owned),
        )
    };
    direct
        .or_else(flow_logs)
        .map_or_else(String::new, |n| format!(" ({n})"))
}

fn is_false(request: &Value, key: &str) -> bool {
    request
        .get(key)
        .is_some_and(|v| v.as_bool() == Some(false) || v.as_str() == Some("false"))
}

/// What selectors leave out that a trail should hold.
fn narrows(request: &Value) -> Option<(Severity, String)> {
    let advanced = request.get("advancedEventSelectors").and_then(Value::as_array);
    let basic = request.get("eventSelectors").and_then(Value::as_array);
    if advanced.is_some_and(|list| !list.is_empty()) {
        return None;
    }
    let list = basic?;
    let without = |s: &Value| is_false(s, "includeManagementEvents");
    let part = |s: &Value| {
        s.get("readWriteType")
            .and_then(Value::as_str)
            .is_some_and(|t| t != "All")
    };
    let data = |s: &Value| {
        s.get("dataResources")
            .and_then(Value::as_array)
            .is_some_and(|d| !d.is_empty())
    };
    if list.is_empty() || list.iter().all(without) {
        return Some((Severity::Medium, "took management events out of the trail".to_owned()));
    }
    if list.iter().all(part) {
        return Some((
            Severity::Medium,
            "kept only reads, or only writes, in the trail".to_owned(),
        ));
    }
    // A trail that never had any is set up like this too.
    (!list.iter().any(data)).then(|| (Severity::Low, "left no data events in the trail".to_owned()))
}

/// What an update of a trail makes worse.
fn weakens(request: &Value) -> Option<String> {
    const SWITCHES: [(&str, &str); 4] = [
        ("isMultiRegionTrail", "left other regions out of the trail"),
        ("includeGlobalServiceEvents", "left global services out of the trail"),
        ("enableLogFileValidation", "switched the validation of log files off"),
        ("isOrganizationTrail", "left other accounts out of the trail"),
    ];
    let off = SWITCHES.iter().find(|(key, _)| is_false(request, key));
    let moved = || {
        request
            .get("s3BucketName")
            .and_then(Value::as_str)
            .map(|b| format!("sent the trail to {b}"))
    };
    off.map(|(_, what)| (*what).to_owned()).or_else(moved)
}

/// `PutBucketLogging` without a target switches it off.
fn no_target(request: &Value) -> bool {
    !request.to_string().contains("TargetBucket")
}

/// A bucket of logs whose objects are made to expire at once.
fn expires(event: &Notable, request: &Value, short: u64) -> Option<String> {
    let bucket = event.bucket.as_deref()?;
    let of_logs = ["log", "trail", "audit"].iter().any(|w| bucket.contains(w));
    let days = days(request)?;
    (of_logs && days < short).then(|| format!("made the logs expire after {days} day(s)"))
}

/// The smallest `Days` of any expiration.
fn days(value: &Value) -> Option<u64> {
    match value {
        Value::Object(map) => {
            let own = map.get("Expiration").and_then(|e| e.get("Days"));
            let own = own.and_then(|d| d.as_u64().or_else(|| d.as_str()?.parse().ok()));
            own.into_iter().chain(map.values().filter_map(days)).min()
        }
        Value::Array(list) => list.iter().filter_map(days).min(),
        _ => None,
    }
}
