//! What would a policy have done with an upload into a bucket that is not ours?
//!
//! Such a bucket has any name and any owner, so the question is put for all that the policy can tell apart: an account and a
//! name that it does not mention, and each that it does. Only if every one of them is refused is the upload. Names that are
//! known for own buckets are left out: what those took has events, or is weighed by the caller.

use std::collections::BTreeSet;

use super::Verdict;
use super::judge::{Request, concerns, judge};
use super::policy::Policy;

/// An account that nobody has: AWS gives out none that begins with four zeros.
const NOBODY: &str = "000000000000";
/// A name that S3 gives to no bucket: it has a capital letter.
const NAMELESS: &str = "Elsewhere";
const ARN: &str = "arn:aws:s3:::";

/// True if the policy refuses `upload` to every bucket but those of `accounts` that are named in `own`.
pub(super) fn refused(
    policy: &Policy,
    upload: &Request<'_>,
    accounts: &BTreeSet<String>,
    own: &BTreeSet<String>,
) -> bool {
    let strangers = strangers(policy, accounts);
    let known: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let named = named(policy, &upload.action, own);
    let asks = |bucket: &str, owner: &str| {
        let request = Request {
            bucket,
            owner: Some(owner),
            ..upload.clone()
        };
        judge(policy, &request) == Verdict::Stopped
    };
    let all = |bucket: &str| strangers.iter().all(|owner| asks(bucket, owner));
    // a bucket that only the policy opens by name may be ours, without data events
    let new = |bucket: &String| all(bucket) && known.iter().all(|owner| asks(bucket, owner));
    all(NAMELESS) && named.iter().all(new)
}

/// Accounts of others, one for each that the policy can tell apart.
fn strangers(policy: &Policy, own: &BTreeSet<String>) -> BTreeSet<String> {
    let conditions = policy.statements.iter().flat_map(|s| &s.conditions);
    let asked = conditions.filter(|c| c.key.ends_with(":resourceaccount"));
    let values = asked.flat_map(|c| &c.values).filter(|v| !own.contains(*v));
    values.map(|v| instance(v)).chain([NOBODY.to_owned()]).collect()
}

/// Buckets that the policy opens by name for such calls, without those in `own`.
fn named(policy: &Policy, action: &str, own: &BTreeSet<String>) -> BTreeSet<String> {
    let opening = policy.statements.iter().filter(|s| s.allows && concerns(s, action));
    let patterns = opening.flat_map(|s| &s.resources.0);
    let names = patterns.filter_map(|p| p.strip_prefix(ARN)?.split('/').next());
    names.filter(|n| *n != "*" && !own.contains(*n)).map(instance).collect()
}

/// A text that the pattern stands for.
fn instance(pattern: &str) -> String {
    pattern.replace(['*', '?'], "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",
        "Condition":{"StringEquals":{"s3:ResourceAccount":["111122223333"]}}}"#;

    fn of(statements: &str) -> bool {
        let policy = Policy::parse(&format!(r#"{{"Statement":[{statements}]}}"#), None).unwrap();
        let upload = Request {
            action: "s3:PutObject".into(),
            on_objects: true,
            endpoint: Some("vpce-1"),
            ..Request::default()
        };
        let set = |t: &str| BTreeSet::from([t.to_owned()]);
        refused(&policy, &upload, &set("111122223333"), &set("logs"))
    }

    #[test]
    fn only_what_closes_every_bucket_of_others_refuses() {
        assert!(of(OWN));
        let reading = r#"{"Effect":"Allow","Action":["s3:GetObject"],"Resource":"arn:aws:s3:::al2023-repos/*"}"#;
        assert!(of(&format!("{OWN},{reading}")), "packages are only read");
        assert!(of(
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::logs/*"}"#
        ));
        assert!(!of(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#));
    }

    #[test]
    fn a_partner_that_may_be_written_to_leaves_it_open() {
        let account = OWN.replace("111122223333\"", "111122223333\",\"999999999999\"");
        assert!(!of(&account));
        assert!(!of(&OWN
            .replace("111122223333", "1111*")
            .replace("StringEquals", "StringLike")));
        let bucket = r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::partner-*/*"}"#;
        assert!(!of(&format!("{OWN},{bucket}")));
        let new = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::new/*",
            "Condition":{"StringEquals":{"s3:ResourceAccount":["111122223333"]}}}"#;
        assert!(!of(new), "an own bucket that no log has named");
    }

    #[test]
    fn what_is_not_understood_refuses_nothing() {
        assert!(!of(&OWN.replace("s3:ResourceAccount", "aws:ResourceOrgID")));
    }
}
