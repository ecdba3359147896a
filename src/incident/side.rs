//! What GuardDuty and Macie add to an incident: their types and ids, confidence, sensitivity of buckets, severity.
//!
//! A finding of GuardDuty that rests on lists, credentials, patterns or calls is a second source beside bytes that were seen
//! to leave: MEDIUM becomes HIGH. Its volume findings rest on the same packets as ours, and only make us surer. Sensitive
//! data says what is at stake: a HIGH incident in whose buckets Macie found some is CRITICAL. Findings made up for trying
//! out, or put aside in the tool, are listed and change nothing.

use serde::Serialize;
use std::collections::BTreeMap;

use super::Incident;
use crate::detect::{Confidence, Severity};
use crate::intake::{Ground, Level, Link, SideFinding, SideFindings, Subject, Tool, best};
use crate::net::{Seconds, rfc3339};
use crate::trail::{PrincipalIndex, TrailRow};

/// A finding of another tool, and our incident that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The finding.
    pub finding: SideFinding,
    /// The incident's id, and what they share.
    pub matched: Option<(String, Link)>,
}

/// What an incident can be recognised by. Principals that are no more than possible are left out.
pub fn subject(incident: &Incident) -> Subject {
    let mut out = Subject {
        id: incident.id.clone(),
        first_seen: incident.first_seen,
        last_seen: incident.last_seen,
        account: incident.account.clone(),
        hosts: incident.eni.iter().chain(&incident.instance).cloned().collect(),
        addrs: incident
            .source_ips
            .iter()
            .copied()
            .chain(incident.destinations.iter().map(|d| d.ip))
            .collect(),
        buckets: incident.buckets.iter().map(|b| b.name.clone()).collect(),
        ..Subject::default()
    };
    for p in incident
        .principals
        .iter()
        .filter(|p| p.class != "ambiguous" && p.class != "weak")
    {
        out.add_person(&p.arn, p.access_key.as_deref());
    }
    out
}

/// Joins the findings to the incidents and lets them speak for them; findings that match nothing are kept all the same.
pub fn hear(incidents: &mut [Incident], side: &SideFindings, index: &PrincipalIndex) -> Vec<Heard> {
    let subjects: Vec<Subject> = incidents.iter().map(subject).collect();
    let mut told: BTreeMap<usize, Vec<&SideFinding>> = BTreeMap::new();
    let mut out = Vec::new();
    for finding in &side.list {
        let found = match finding.tool {
            Tool::GuardDuty => best(&subjects, finding),
            Tool::Macie => best(&subjects, finding).or_else(|| holding(incidents, finding)),
        };
        if let Some((n, _)) = found {
            told.entry(n).or_default().push(finding);
        }
        let matched = found.and_then(|(n, link)| Some((incidents.get(n)?.id.clone(), link)));
        out.push(Heard {
            finding: finding.clone(),
            matched,
        });
    }
    for (n, incident) in incidents.iter_mut().enumerate() {
        corroborate(incident, told.get(&n).map(Vec::as_slice).unwrap_or_default());
        at_stake(incident, side, index);
    }
    super::rank(incidents);
    out
}

/// What a bucket holds does not depend on when Macie looked: the first incident, the most severe, with objects of it.
fn holding(incidents: &[Incident], finding: &SideFinding) -> Option<(usize, Link)> {
    let of = |i: &Incident| {
        i.buckets
            .iter()
            .any(|b| b.objects > 0 && finding.buckets.contains(&b.name))
    };
    incidents.iter().position(of).map(|n| (n, Link::Bucket))
}

/// GuardDuty's part.
fn corroborate(incident: &mut Incident, told: &[&SideFinding]) {
    let of_duty: Vec<&SideFinding> = told.iter().copied().filter(|f| f.tool == Tool::GuardDuty).collect();
    for finding in &of_duty {
        incident.guardduty.push(format!("{}/{}", finding.kind, finding.id));
        incident.explanation.push(sentence(finding));
    }
    let speaks = |f: &&&SideFinding| f.counts();
    let kinds = of_duty.iter().filter(speaks).count().min(2);
    if kinds == 0 {
        return;
    }
    let surer = incident.confidence.get() + 0.1 * kinds as f64;
    incident.confidence = Confidence::new(surer.min(0.99).max(incident.confidence.get()));
    let apart = |f: &&SideFinding| {
        f.counts() && f.level >= Level::Medium && !matches!(f.kind.ground(), Ground::Volume | Ground::Posture)
    };
    if incident.bytes > 0 && incident.severity == Severity::Medium && of_duty.iter().copied().any(|f| apart(&f)) {
        raise(incident, Severity::High);
    }
    incident.corroborated |= of_duty.iter().copied().any(|f| apart(&f));
}

fn sentence(f: &SideFinding) -> String {
    let mut text = format!("GuardDuty says so too: {} ({}", f.kind, f.level.as_str());
    if f.kind.is_retired() && f.kind.current() != f.kind.plain() {
        text += &format!(", today called {}", f.kind.current());
    }
    text += ")";
    if let Some(created) = f.created {
        text += &format!(", written {}", rfc3339(created));
    }
    if f.sample {
        text += "; it is a sample finding and counts for nothing";
    } else if f.archived {
        text += "; it was put aside there, and counts for nothing here";
    }
    text + "."
}

/// Macie's part.
fn at_stake(incident: &mut Incident, side: &SideFindings, index: &PrincipalIndex) {
    let (mut names, mut worst) = (Vec::new(), Level::Low);
    for bucket in &mut incident.buckets {
        let Some(held) = side.sensitive.of(&bucket.name) else {
            continue;
        };
        bucket.sensitivity = held.words();
        if bucket.bytes > 0 || bucket.objects > 0 {
            names.push(bucket.name.clone());
            worst = worst.max(held.level);
        }
    }
    if names.is_empty() {
        return;
    }
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(3);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    incident.explanation.push(format!(
        "Macie found sensitive data in what was touched ({}): {shown}{rest}.",
        worst.as_str()
    ));
    incident.explanation.extend(named(incident, side, index));
    if incident.bytes > 0 && incident.severity == Severity::High && worst == Level::High {
        raise(incident, Severity::Critical);
    }
}

/// How many of the objects that Macie looked into were among those touched.
fn named(incident: &Incident, side: &SideFindings, index: &PrincipalIndex) -> Option<String> {
    let rows: Vec<&TrailRow> = incident
        .requests
        .iter()
        .filter_map(|n| index.rows.get(*n as usize))
        .collect();
    let (mut all, mut touched) = (0u64, 0u64);
    for bucket in &incident.buckets {
        for key in side.sensitive.of(&bucket.name).into_iter().flat_map(|h| &h.objects) {
            let of_bucket = rows.iter().filter(|r| index.text(r.bucket) == bucket.name);
            let held = of_bucket.map(|r| r.objects.holds_object(&bucket.name, key));
            all += 1;
            touched += u64::from(held.flatten().any(|h| h));
        }
    }
    (all > 0).then(|| format!("Of {all} objects that Macie found it in, {touched} are known to be among them."))
}

/// Lifts an incident, its score into the band of its severity.
fn raise(incident: &mut Incident, to: Severity) {
    let (least, most) = to.scores();
    incident.severity = to;
    incident.score = incident.score.clamp(least, most);
}

/// As result.json has it.
#[derive(Serialize)]
struct Line<'a> {
    source: Tool,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    current_type: &'a str,
    severity: Level,
    score: f64,
    title: &'a str,
    account: Option<&'a str>,
    region: Option<&'a str>,
    bucket: Option<&'a str>,
    buckets: &'a [String],
    object: Option<&'a str>,
    action: Option<&'a str>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    created_at: Option<String>,
    count: u64,
    sensitivity: &'a [String],
    sample: bool,
    archived: bool,
    matched: Option<&'a str>,
    by: Option<&'static str>,
    set_aside: Option<&'a str>,
}

/// The findings for the result. One about an incident that is not shown (announced, suppressed, not severe enough) matches
/// nothing there, and says which it is about in `set_aside`.
pub fn lines(heard: &[Heard], shown: &[Incident]) -> serde_json::Value {
    let is_shown = |id: &str| shown.iter().any(|i| i.id == id);
    let all = heard.iter().map(|h| serde_json::to_value(line(h, &is_shown)));
    all.map(Result::unwrap_or_default).collect()
}

fn line<'h>(heard: &'h Heard, is_shown: &dyn Fn(&str) -> bool) -> Line<'h> {
    let f = &heard.finding;
    let time = |t: Option<Seconds>| t.map(rfc3339);
    let about = heard.matched.as_ref().map(|m| m.0.as_str());
    Line {
        source: f.tool,
        id: &f.id,
        kind: f.kind.plain(),
        current_type: f.kind.current(),
        severity: f.level,
        score: f.score,
        title: &f.title,
        account: f.account.as_deref(),
        region: f.region.as_deref(),
        bucket: f.buckets.first().map(String::as_str),
        buckets: &f.buckets,
        object: f.object.as_deref(),
        action: f.action.as_deref(),
        first_seen: time(f.first_seen),
        last_seen: time(f.last_seen),
        created_at: time(f.created),
        count: f.count,
        sensitivity: &f.sensitivity,
        sample: f.sample,
        archived: f.archived,
        matched: about.filter(|id| is_shown(id)),
        by: heard.matched.as_ref().map(|m| m.1.as_str()),
        set_aside: about.filter(|id| !is_shown(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::BucketClaim;
    use std::path::Path;

    fn side(text: &str) -> SideFindings {
        let mut side = SideFindings::default();
        side.add(text.as_bytes(), Tool::GuardDuty, Path::new("f")).unwrap();
        side
    }

    fn incident(severity: Severity, bytes: u128) -> Incident {
        Incident {
            id: "inc-1".into(),
            severity,
            bytes,
            eni: Some("eni-1".into()),
            first_seen: 1_772_323_200,
            last_seen: 1_772_326_800,
            buckets: vec![BucketClaim {
                name: "a".into(),
                objects: 3,
                bytes,
                ..BucketClaim::default()
            }],
            ..Incident::default()
        }
    }

    fn duty(kind: &str, more: &str) -> String {
        format!(
            r#"{{"id":"x","type":"{kind}","severity":8,"service":{{"eventFirstSeen":"2026-03-01T00:30:00Z"{more}}},
            "resource":{{"instanceDetails":{{"networkInterfaces":[{{"networkInterfaceId":"eni-1"}}]}}}}}}"#
        )
    }

    fn after(severity: Severity, bytes: u128, findings: &str) -> (Severity, Vec<Heard>) {
        let mut all = [incident(severity, bytes)];
        let heard = hear(&mut all, &side(findings), &PrincipalIndex::default());
        (all[0].severity, heard)
    }

    #[test]
    fn a_second_source_lifts_what_moved_and_the_same_packets_do_not() {
        use Severity::{High, Low, Medium};
        let tor = duty("UnauthorizedAccess:EC2/TorClient", "");
        assert_eq!(after(Medium, 1, &tor).0, High);
        assert_eq!(after(Medium, 0, &tor).0, Medium, "nothing moved");
        assert_eq!(after(Low, 1, &tor).0, Low);
        assert_eq!(after(High, 1, &tor).0, High);
        assert_eq!(
            after(Medium, 1, &duty("Behavior:EC2/TrafficVolumeUnusual", "")).0,
            Medium
        );
        let sample = duty(
            "UnauthorizedAccess:EC2/TorClient",
            r#","additionalInfo":{"sample":true}"#,
        );
        let (severity, heard) = after(Medium, 1, &sample);
        assert_eq!(severity, Medium);
        assert_eq!(heard[0].matched, Some(("inc-1".to_owned(), Link::Host)));
        let aside = duty("UnauthorizedAccess:EC2/TorClient", r#","archived":true"#);
        assert_eq!(after(Medium, 1, &aside).0, Medium);
    }

    #[test]
    fn sensitive_data_makes_high_critical_and_medium_stays() {
        let macie = r#"{"id":"m","type":"SensitiveData:S3Object/Personal","severity":{"score":3},"createdAt":"2020-01-01T00:00:00Z",
            "resourcesAffected":{"s3Bucket":{"name":"a"}},"classificationDetails":{"result":{"sensitiveData":[
            {"category":"PERSONAL_INFORMATION","detections":[{"type":"EMAIL_ADDRESS","count":1}]}]}}}"#;
        for (before, then) in [
            (Severity::High, Severity::Critical),
            (Severity::Medium, Severity::Medium),
        ] {
            let mut all = [incident(before, 5)];
            let mut s = SideFindings::default();
            s.add(macie.as_bytes(), Tool::Macie, Path::new("m")).unwrap();
            let heard = hear(&mut all, &s, &PrincipalIndex::default());
            assert_eq!(all[0].severity, then);
            assert_eq!(all[0].buckets[0].sensitivity, ["PII: EMAIL_ADDRESS"]);
            assert!(heard[0].matched.is_some());
        }
    }

    #[test]
    fn what_matches_nothing_is_still_told() {
        let other = duty("UnauthorizedAccess:EC2/TorClient", "").replace("eni-1", "eni-9");
        let (_, heard) = after(Severity::Medium, 1, &other);
        assert_eq!((heard.len(), heard[0].matched.clone()), (1, None));
        let line = &lines(&heard, &[])[0];
        assert_eq!(
            (line["source"].as_str(), line["severity"].as_str()),
            (Some("guardduty"), Some("high"))
        );
        assert!(line["matched"].is_null());
    }
}
