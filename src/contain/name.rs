//! Identifiers that may stand in a control: each by AWS's own grammar, everything else is refused.
//!
//! Names in logs are chosen by whoever calls an API. A policy or a command line is made of nothing but texts that passed here,
//! so no bucket or user name can close a quote, add an option or widen a resource with `*`.

use ipnetwork::IpNetwork;

/// A grammar, and what people call such a name.
pub type Grammar = (&'static str, fn(&str) -> bool);

/// A 12-digit account.
pub const ACCOUNT: Grammar = ("account", |s| s.len() == 12 && all(s, |b| b.is_ascii_digit()));
/// A bucket: AmazonS3/latest/userguide/bucketnamingrules.
pub const BUCKET: Grammar = ("bucket", bucket);
/// An access key id, long-term or temporary.
pub const KEY: Grammar = ("access key", |s| {
    matches!(s.get(..4), Some("AKIA" | "ASIA"))
        && (16..=128).contains(&s.len())
        && all(s, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
});
/// A user, role or session: IAM's `[\w+=,.@-]{1,64}`, not beginning with `-`, which a command line would take for an option.
pub const PERSON: Grammar = ("IAM name", |s| {
    (1..=64).contains(&s.len())
        && !s.starts_with('-')
        && all(s, |b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
});
/// A VPC endpoint.
pub const ENDPOINT: Grammar = ("VPC endpoint", |s| resource(s, "vpce-"));
/// A VPC.
pub const VPC: Grammar = ("VPC", |s| resource(s, "vpc-"));
/// A network interface.
pub const INTERFACE: Grammar = ("network interface", |s| resource(s, "eni-"));
/// A region.
pub const REGION: Grammar = ("region", |s| {
    let parts: Vec<&str> = s.split('-').collect();
    let word = |p: &&str| !p.is_empty() && all(p, |b| b.is_ascii_lowercase());
    let number = |p: &&str| !p.is_empty() && all(p, |b| b.is_ascii_digit());
    s.len() <= 32 && parts.len() >= 3 && parts.last().is_some_and(number) && parts.iter().rev().skip(1).all(word)
});
/// An ARN of a trail.
pub const TRAIL: Grammar = ("trail", |s| {
    let name = |n: &str| (3..=128).contains(&n.len()) && all(n, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    arn(s, "cloudtrail", |rest| rest.strip_prefix("trail/").is_some_and(name))
});
/// An ARN of a user or role, its path included.
pub const PRINCIPAL: Grammar = ("principal", |s| {
    let path = |p: &str| !p.is_empty() && p.len() <= 512 && p.split('/').all(PERSON.1);
    arn(s, "iam", |rest| {
        rest.strip_prefix("role/")
            .or_else(|| rest.strip_prefix("user/"))
            .is_some_and(path)
    })
});
/// An id of an incident.
pub const INCIDENT: Grammar = ("incident", |s| {
    s.strip_prefix("inc-")
        .is_some_and(|h| h.len() == 16 && all(h, |b| b.is_ascii_hexdigit()))
});
/// An address or network.
pub const CIDR: Grammar = ("network", |s| s.parse::<IpNetwork>().is_ok());

/// The text, if it is such a name.
pub fn checked(text: &str, grammar: Grammar) -> Option<&str> {
    (grammar.1)(text).then_some(text)
}

fn all(s: &str, ok: impl Fn(u8) -> bool) -> bool {
    s.bytes().all(ok)
}

fn resource(s: &str, prefix: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    s.strip_prefix(prefix)
        .is_some_and(|h| matches!(h.len(), 8..=17) && all(h, hex))
}

fn bucket(s: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&s.len())
        && all(s, |b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'
        })
        && edge(s.bytes().next())
        && edge(s.bytes().last())
        && !s.contains("..")
        && s.parse::<std::net::Ipv4Addr>().is_err()
}

/// `arn:aws:service:region:account:rest`; IAM has no region.
fn arn(s: &str, service: &str, rest: impl Fn(&str) -> bool) -> bool {
    let parts: Vec<&str> = s.splitn(6, ':').collect();
    let [head, partition, named, region, account, tail] = parts.as_slice() else {
        return false;
    };
    *head == "arn"
        && matches!(*partition, "aws" | "aws-cn" | "aws-us-gov")
        && *named == service
        && (REGION.1(region) || service == "iam" && region.is_empty())
        && ACCOUNT.1(account)
        && rest(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_aws_pass() {
        let good = [
            (ACCOUNT, "111122223333"),
            (BUCKET, "customer-records-05544a"),
            (BUCKET, "logs.example.com"),
            (KEY, "AKIAGCU6FE3QQQI6WXYZ"),
            (PERSON, "j.rivera+ops@example.com"),
            (ENDPOINT, "vpce-08df8a9bd543af5d1"),
            (INTERFACE, "eni-015e3c15b193cf743"),
            (REGION, "us-gov-east-1"),
            (TRAIL, "arn:aws:cloudtrail:us-east-1:111122223333:trail/main"),
            (PRINCIPAL, "arn:aws:iam::111122223333:role/ops/break-glass"),
            (INCIDENT, "inc-af61b821a79cf6aa"),
            (CIDR, "10.0.0.0/8"),
        ];
        for (grammar, text) in good {
            assert!(checked(text, grammar).is_some(), "{text}");
        }
    }

    #[test]
    fn hostile_names_do_not() {
        let hostile = [
            "",
            "*",
            "a*b",
            "my-bucket; rm -rf /",
            "$(id)",
            "`id`",
            "a'b",
            "a\"b",
            "a b",
            "-rf",
            "--endpoint-url=http://x",
            "a\nb",
            "a\u{202e}b",
            "../../etc",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role/a'b",
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/a b",
            "${aws:username}",
        ];
        let all = [
            ACCOUNT, BUCKET, KEY, PERSON, ENDPOINT, VPC, INTERFACE, REGION, TRAIL, PRINCIPAL, INCIDENT, CIDR,
        ];
        for text in hostile {
            for grammar in all {
                assert!(checked(text, grammar).is_none(), "{} {text:?}", grammar.0);
            }
        }
        assert!(checked("vpce-XYZ", ENDPOINT).is_none() && checked("inc-../../x", INCIDENT).is_none());
    }
}
