//! Containment as a checklist: what should be done about an incident, and what of it the trail shows to be done.
//!
//! A step is done if an event of the trail, after the incident began, does it to the very key, user, role, bucket or host,
//! succeeded, and was not made by those whom the incident names. What no log shows (a secret scan) is never ticked here.

use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::Incident;
use crate::detect::{BucketClaim, PrincipalClaim, TrailCase};
use crate::net::{Seconds, rfc3339};
use crate::trail::{Notable, TrailRow, role_of_arn};

/// One box of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What kind of step.
    pub id: &'static str,
    /// A sentence for people; keys are masked.
    pub text: String,
    /// When it was done, and by whom, if the trail shows it.
    pub done: Option<(Seconds, String)>,
    /// The control of `contain` that does it.
    pub control: &'static str,
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            id: &'a str,
            text: &'a str,
            done: bool,
            at: Option<String>,
            by: Option<&'a str>,
            control: &'a str,
        }
        Line {
            id: self.id,
            text: &self.text,
            done: self.done.is_some(),
            at: self.done.as_ref().map(|d| rfc3339(d.0)),
            by: self.done.as_ref().map(|d| d.1.as_str()),
            control: self.control,
        }
        .serialize(s)
    }
}

/// Users, or roles, that steps are listed for.
const PEOPLE: usize = 3;

/// What checklists are made from: the events that contain something, by name, and whose buckets are.
#[derive(Debug)]
pub struct Checklists<'a> {
    case: &'a TrailCase<'a>,
    events: BTreeMap<&'a str, Vec<&'a Notable>>,
    foreign: BTreeSet<&'a str>,
}

impl<'a> Checklists<'a> {
    /// Looks through the trail once.
    pub fn new(case: &'a TrailCase<'a>) -> Self {
        let mut events: BTreeMap<&str, Vec<&Notable>> = BTreeMap::new();
        for event in case.index.notable.iter().filter(|n| n.error.is_none()) {
            events.entry(&event.event).or_default().push(event);
        }
        let text = |id: u32| case.index.text(id);
        let theirs = |r: &&TrailRow| r.bucket != 0 && case.is_foreign(text(r.owner));
        Checklists {
            case,
            events,
            foreign: case.index.rows.iter().filter(theirs).map(|r| text(r.bucket)).collect(),
        }
    }

    /// The checklist of an incident.
    pub fn of(&self, incident: &Incident) -> Vec<Step> {
        let log = Log { incident, all: self };
        let likely = |p: &&PrincipalClaim| matches!(p.class.as_str(), "exact" | "strong");
        let ours = |p: &&PrincipalClaim| account_of(&p.arn).is_some_and(|a| !self.case.is_foreign(a));
        let (mut users, mut roles, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for p in incident.principals.iter().filter(likely).filter(ours) {
            if let Some(key) = p.access_key.as_deref().filter(|k| k.starts_with("AKIA")) {
                push(&mut keys, key);
            }
            match (user_of(&p.arn), role_of_arn(&p.arn)) {
                (Some(user), _) => push(&mut users, user),
                (None, Some(role)) => push(&mut roles, role),
                _ => {}
            }
        }
        let mut out: Vec<Step> = keys.iter().map(|k| log.key(k)).collect();
        out.extend(users.iter().map(|u| log.user(u)));
        out.extend(roles.iter().map(|r| log.role(r)));
        out.extend(log.host());
        if touches_s3(incident) {
            out.push(log.endpoint());
            out.extend(log.buckets());
        }
        if !users.is_empty() {
            out.push(Step {
                id: "secret-scan",
                text: format!("Secret scan of the repositories of {} started", users.join(", ")),
                done: None,
                control: "secret-scan",
            });
        }
        out
    }
}

fn push<'a>(list: &mut Vec<&'a str>, item: &'a str) {
    if list.len() < PEOPLE && !list.contains(&item) {
        list.push(item);
    }
}

/// True if what left went to S3, or came out of a bucket.
fn touches_s3(incident: &Incident) -> bool {
    !incident.buckets.is_empty() || incident.destinations.iter().any(|d| d.class == crate::net::Class::S3)
}

/// The account in an ARN.
fn account_of(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(4)?;
    (!account.is_empty()).then_some(account)
}

/// `jane` of `arn:aws:iam::111122223333:user/path/jane`.
fn user_of(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    resource.strip_prefix("user/")?.rsplit('/').next()
}

/// `AKIA…WXYZ`.
fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    match (chars.get(..4), chars.get(chars.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if chars.len() >= 12 => {
            format!(
                "{}…{}",
                head.iter().collect::<String>(),
                tail.iter().collect::<String>()
            )
        }
        _ => key.to_owned(),
    }
}

/// The events after an incident began.
struct Log<'a> {
    incident: &'a Incident,
    all: &'a Checklists<'a>,
}

type Done = Option<(Seconds, String)>;

/// The request of an event; null if it was cut off.
fn request(event: &Notable) -> Value {
    serde_json::from_str(&event.request).unwrap_or_default()
}

impl Log<'_> {
    /// The first event of these names, by somebody else, that means it.
    fn first(&self, names: &[&str], means: &dyn Fn(&Notable) -> bool) -> Done {
        let events = names.iter().filter_map(|n| self.all.events.get(n)).flatten();
        let after = events.filter(|n| n.time >= self.incident.first_seen && means(n));
        let by = |n: &&Notable| Some((n.time, self.by_another(n)?));
        after.filter_map(by).min()
    }

    /// Who made an event, unless it is one whom the incident names.
    fn by_another(&self, event: &Notable) -> Option<String> {
        let who = self.all.case.index.principals.get(event.principal as usize);
        let key = who.map_or("", |p| p.access_key.as_str());
        let by = who.map_or("", |p| p.arn.as_str());
        let same =
            |p: &PrincipalClaim| p.arn == by || p.access_key.as_deref().is_some_and(|k| k == key && !k.is_empty());
        (!self.incident.principals.iter().any(same)).then(|| by.to_owned())
    }

    fn key(&self, key: &str) -> Step {
        let done = self.first(&["UpdateAccessKey", "DeleteAccessKey"], &|n| {
            let r = request(n);
            r["accessKeyId"] == key && (n.event == "DeleteAccessKey" || r["status"] == "Inactive")
        });
        Step {
            id: "disable-key",
            text: format!("Access key {} disabled", masked(key)),
            done,
            control: "access-key",
        }
    }

    fn user(&self, user: &str) -> Step {
        let of_user = |n: &Notable| request(n)["userName"] == user;
        let password = self.first(&["UpdateLoginProfile", "DeleteLoginProfile"], &of_user);
        let device = self.first(&["EnableMFADevice"], &of_user);
        let rest = match (&password, &device) {
            (Some(_), None) => " (the password was reset; no new MFA device was seen)",
            (None, Some(_)) => " (MFA was enrolled; no password reset was seen)",
            _ => "",
        };
        Step {
            id: "reset-user",
            text: format!("Password of user {user} reset and MFA re-enrolled{rest}"),
            done: password.zip(device).map(|(a, b)| a.max(b)),
            control: "user-reset",
        }
    }

    fn role(&self, role: &str) -> Step {
        let done = self.first(&["PutRolePolicy", "DeleteRole"], &|n| {
            let r = request(n);
            let cuts = n.request.contains("aws:TokenIssueTime") || r["policyName"] == "AWSRevokeOlderSessions";
            r["roleName"] == role && (n.event == "DeleteRole" || cuts)
        });
        Step {
            id: "revoke-sessions",
            text: format!("Sessions of role {role} revoked"),
            done,
            control: "session-deny",
        }
    }

    fn host(&self) -> Option<Step> {
        let eni = self.incident.eni.as_deref()?;
        let host = self.incident.instance.as_deref();
        let names = [
            "ModifyInstanceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "StopInstances",
            "TerminateInstances",
        ];
        let done = self.first(&names, &|n| {
            let attribute = n.event.starts_with("Modify");
            let named = n.request.contains(eni) || host.is_some_and(|h| n.request.contains(h));
            named && (!attribute || n.request.contains("groupSet") || n.request.contains("groupId"))
        });
        Some(Step {
            id: "isolate-host",
            text: format!("Egress of {} closed or limited", host.unwrap_or(eni)),
            done,
            control: "egress-cidrs",
        })
    }

    fn endpoint(&self) -> Step {
        let done = self.first(&["ModifyVpcEndpoint"], &|n| {
            n.request.contains("PolicyDocument") || n.request.contains("policyDocument")
        });
        Step {
            id: "endpoint-policy",
            text: "VPC endpoint policy applied".to_owned(),
            done,
            control: "endpoint-policy",
        }
    }

    /// One box for all own buckets whose objects were touched.
    fn buckets(&self) -> Option<Step> {
        let own = |b: &&BucketClaim| b.objects > 0 && !self.all.foreign.contains(b.name.as_str());
        let names: Vec<&str> = self
            .incident
            .buckets
            .iter()
            .filter(own)
            .map(|b| b.name.as_str())
            .collect();
        if names.is_empty() {
            return None;
        }
        let closed = |name: &&str| {
            let denies = |n: &Notable| n.bucket.as_deref() == Some(name) && n.request.contains("Deny");
            self.first(&["PutBucketPolicy"], &denies)
        };
        let done: Vec<(Seconds, String)> = names.iter().filter_map(closed).collect();
        let all = done.len() == names.len();
        Some(Step {
            id: "bucket-policy",
            text: format!(
                "Bucket policy restricted to the VPC ({} of {} buckets)",
                done.len(),
                names.len()
            ),
            done: done.into_iter().max().filter(|_| all),
            control: "bucket-policy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Inventory;
    use crate::trail::{Principal, PrincipalIndex};

    const THIEF: &str = "arn:aws:iam::111122223333:user/jane";
    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    fn event(time: Seconds, name: &str, request: &str, principal: u32) -> Notable {
        Notable {
            time,
            event: name.to_owned(),
            service: String::new(),
            region: String::new(),
            source: String::new(),
            error: None,
            bucket: None,
            request: request.to_owned(),
            principal,
        }
    }

    /// What is ticked for the thief's key and user, given these events. Principal 0 is the thief, 1 a responder.
    fn ticked(events: Vec<Notable>) -> Vec<&'static str> {
        let principal = |arn: &str, key: &str| Principal {
            arn: arn.to_owned(),
            access_key: key.to_owned(),
            ..Principal::default()
        };
        let mut index = PrincipalIndex::default();
        index.principals = vec![
            principal(THIEF, KEY),
            principal("arn:aws:sts::111122223333:assumed-role/ops/kim", ""),
        ];
        index.notable = events;
        let inventory = Inventory::default();
        let unknown = |a| crate::aggregate::Peer::of_class(a, crate::net::Class::External);
        let case = TrailCase::new(&index, &inventory, ["111122223333".to_owned()], &unknown);
        let incident = Incident {
            first_seen: 1_000,
            principals: vec![PrincipalClaim {
                arn: THIEF.to_owned(),
                access_key: Some(KEY.to_owned()),
                class: "exact".to_owned(),
                ..PrincipalClaim::default()
            }],
            ..Incident::default()
        };
        let steps = Checklists::new(&case).of(&incident);
        assert!(steps.iter().all(|s| !s.text.contains(KEY)));
        steps.iter().filter(|s| s.done.is_some()).map(|s| s.id).collect()
    }

    #[test]
    fn a_box_is_ticked_by_what_somebody_else_did_afterwards_and_to_the_very_key() {
        let inactive = format!(r#"{{"userName":"jane","accessKeyId":"{KEY}","status":"Inactive"}}"#);
        let update = |time, by| event(time, "UpdateAccessKey", &inactive, by);
        assert_eq!(ticked(vec![update(2_000, 1)]), ["disable-key"]);
        assert!(ticked(vec![update(500, 1)]).is_empty(), "before the incident");
        assert!(ticked(vec![update(2_000, 0)]).is_empty(), "by the thief");
        let active = event(2_000, "UpdateAccessKey", &inactive.replace("Inactive", "Active"), 1);
        let other = event(2_000, "UpdateAccessKey", &inactive.replace(KEY, "AKIAOTHER"), 1);
        let failed = Notable {
            error: Some("AccessDenied".to_owned()),
            ..update(2_000, 1)
        };
        assert!(ticked(vec![active, other, failed]).is_empty());
        let password = event(2_000, "UpdateLoginProfile", r#"{"userName":"jane"}"#, 1);
        let device = event(3_000, "EnableMFADevice", r#"{"userName":"jane"}"#, 1);
        assert!(ticked(vec![password.clone()]).is_empty(), "half of it is not all");
        assert_eq!(ticked(vec![password, device]), ["reset-user"]);
    }

    #[test]
    fn names_are_taken_from_arns() {
        assert_eq!(user_of("arn:aws:iam::111122223333:user/dev/jane"), Some("jane"));
        assert_eq!(user_of("arn:aws:sts::111122223333:assumed-role/app/i-1"), None);
        assert_eq!(account_of("arn:aws:iam::111122223333:user/jane"), Some("111122223333"));
        assert_eq!(masked("AKIAIOSFODNN7EXAMPLE"), "AKIA…MPLE");
    }
}
