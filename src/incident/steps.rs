//! Containment as a checklist: what should be done about an incident, and what of it the trail shows to be done.
//!
//! A step is done if an event of the trail, after the incident began, does it to the very key, user, role, bucket or host,
//! succeeded, and was not made by those whom the incident names. What no log shows (a secret scan) is never ticked here.

use serde::Serialize;
use serde_json::Value;

use super::Incident;
use crate::detect::{PrincipalClaim, TrailCase};
use crate::net::{Seconds, rfc3339};
use crate::trail::{Notable, PrincipalIndex, role_of_arn};

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

/// The checklist of an incident.
pub fn checklist(incident: &Incident, case: &TrailCase<'_>) -> Vec<Step> {
    let log = Log {
        incident,
        index: case.index,
    };
    let mut out = Vec::new();
    let likely = incident
        .principals
        .iter()
        .filter(|p| matches!(p.class.as_str(), "exact" | "strong"));
    let ours = likely.filter(|p| account_of(&p.arn).is_some_and(|a| !case.is_foreign(a)));
    let people: Vec<&PrincipalClaim> = ours.collect();
    let (mut users, mut roles, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for p in people {
        if let Some(key) = p.access_key.as_deref().filter(|k| k.starts_with("AKIA")) {
            push(&mut keys, key);
        }
        match (user_of(&p.arn), role_of_arn(&p.arn)) {
            (Some(user), _) => push(&mut users, user),
            (None, Some(role)) => push(&mut roles, role),
            _ => {}
        }
    }
    out.extend(keys.iter().map(|k| log.key(k)));
    out.extend(users.iter().map(|u| log.user(u)));
    out.extend(roles.iter().map(|r| log.role(r)));
    out.extend(log.host());
    if touches_s3(incident) {
        out.push(log.endpoint());
        out.extend(log.buckets(case));
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
    index: &'a PrincipalIndex,
}

type Done = Option<(Seconds, String)>;

impl Log<'_> {
    /// The first event of these names, by somebody else, whose request means it.
    fn first(&self, names: &[&str], means: &dyn Fn(&Value, &Notable) -> bool) -> Done {
        let events = self
            .index
            .notable
            .iter()
            .filter(|n| n.time >= self.incident.first_seen && n.error.is_none());
        for event in events.filter(|n| names.contains(&n.event.as_str())) {
            let who = self.index.principals.get(event.principal as usize);
            let key = who.map_or("", |p| p.access_key.as_str());
            let by = who.map_or("", |p| p.arn.as_str());
            let same =
                |p: &PrincipalClaim| p.arn == by || p.access_key.as_deref().is_some_and(|k| k == key && !k.is_empty());
            if self.incident.principals.iter().any(same) {
                continue;
            }
            let request: Value = serde_json::from_str(&event.request).unwrap_or_default();
            if means(&request, event) {
                return Some((event.time, by.to_owned()));
            }
        }
        None
    }

    fn key(&self, key: &str) -> Step {
        let done = self.first(&["UpdateAccessKey", "DeleteAccessKey"], &|r, n| {
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
        let of_user = |r: &Value, _: &Notable| r["userName"] == user;
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
        let done = self.first(&["PutRolePolicy", "DeleteRole"], &|r, n| {
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
        let done = self.first(&names, &|_, n| {
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
        let done = self.first(&["ModifyVpcEndpoint"], &|_, n| {
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
    fn buckets(&self, case: &TrailCase<'_>) -> Option<Step> {
        let owned = owners(self.index);
        let foreign = |name: &str| owned.iter().any(|(b, o)| *b == name && case.is_foreign(o));
        let mine = self
            .incident
            .buckets
            .iter()
            .filter(|b| b.objects > 0 && !foreign(&b.name));
        let names: Vec<&str> = mine.map(|b| b.name.as_str()).collect();
        if names.is_empty() {
            return None;
        }
        let closed = |name: &&str| {
            self.first(&["PutBucketPolicy"], &|r, n| {
                n.bucket.as_deref().or(r["bucketName"].as_str()) == Some(name) && n.request.contains("Deny")
            })
        };
        let done: Vec<(Seconds, String)> = names.iter().filter_map(closed).collect();
        let all = done.len() == names.len();
        let text = format!(
            "Bucket policy restricted to the VPC ({} of {} buckets)",
            done.len(),
            names.len()
        );
        Some(Step {
            id: "bucket-policy",
            text,
            done: done.into_iter().max().filter(|_| all),
            control: "bucket-policy",
        })
    }
}

/// Buckets and the accounts that own them, where the trail says.
fn owners(index: &PrincipalIndex) -> Vec<(&str, &str)> {
    let named = index.rows.iter().filter(|r| r.bucket != 0 && r.owner != 0);
    let mut out: Vec<(&str, &str)> = named.map(|r| (index.text(r.bucket), index.text(r.owner))).collect();
    out.sort_unstable();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_arns() {
        assert_eq!(user_of("arn:aws:iam::111122223333:user/dev/jane"), Some("jane"));
        assert_eq!(user_of("arn:aws:sts::111122223333:assumed-role/app/i-1"), None);
        assert_eq!(account_of("arn:aws:iam::111122223333:user/jane"), Some("111122223333"));
        assert_eq!(masked("AKIAIOSFODNN7EXAMPLE"), "AKIA…MPLE");
    }
}
