//! One request against one policy, with three answers.
//!
//! Source: "Policy evaluation logic" in the IAM user guide. A deny wins; an endpoint lets pass only what is allowed. A key that
//! the request lacks makes a positive operator false, a negated one true, and one with `IfExists` true.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Verdict;
use super::policy::{Condition, Policy, Scope, Statement};
use super::wildcard::matches;

/// What the trail tells of requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// `s3:GetObject`.
    pub action: String,
    /// Bucket.
    pub bucket: &'a str,
    /// True if the call is on objects: their keys are not known.
    pub on_objects: bool,
    /// Account that owns the bucket.
    pub owner: Option<&'a str>,
    /// ARN of the user, or of the role behind a session.
    pub principal: Option<&'a str>,
    /// The caller's account.
    pub account: Option<&'a str>,
    /// True if an AWS service called.
    pub by_service: bool,
    /// True if a service called on somebody's behalf.
    pub via_service: bool,
    /// VPC endpoint.
    pub endpoint: Option<&'a str>,
    /// Its VPC.
    pub vpc: Option<&'a str>,
    /// The caller's address.
    pub address: Option<IpAddr>,
}

/// Yes, no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tri {
    Yes,
    No,
    Open,
}

impl Tri {
    fn of(b: bool) -> Self {
        if b { Tri::Yes } else { Tri::No }
    }

    fn and(self, other: Tri) -> Tri {
        match (self, other) {
            (Tri::No, _) | (_, Tri::No) => Tri::No,
            (Tri::Yes, Tri::Yes) => Tri::Yes,
            _ => Tri::Open,
        }
    }

    fn or(self, other: Tri) -> Tri {
        self.not().and(other.not()).not()
    }

    fn not(self) -> Tri {
        match self {
            Tri::Yes => Tri::No,
            Tri::No => Tri::Yes,
            Tri::Open => Tri::Open,
        }
    }
}

/// What the policy would have done; a request that it does not stand before is allowed.
pub fn judge(policy: &Policy, request: &Request<'_>) -> Verdict {
    if policy.scope == Scope::Endpoint && request.endpoint.is_none() {
        return Verdict::Allowed;
    }
    let any = |allows: bool| {
        let of_kind = policy.statements.iter().filter(|s| s.allows == allows);
        of_kind.fold(Tri::No, |all, s| all.or(applies(s, request)))
    };
    let allowed = match policy.scope {
        Scope::Endpoint => any(true),
        Scope::Bucket => Tri::Yes,
    };
    match allowed.and(any(false).not()) {
        Tri::Yes => Verdict::Allowed,
        Tri::No => Verdict::Stopped,
        Tri::Open => Verdict::Unknown,
    }
}

/// True if a statement is about calls of this kind.
pub(super) fn concerns(s: &Statement, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let (list, but) = &s.actions;
    list.iter().any(|p| matches(&p.to_ascii_lowercase(), &action)) != *but
}

fn applies(s: &Statement, r: &Request<'_>) -> Tri {
    let named = |(list, but): &(Vec<String>, bool), one: &dyn Fn(&str) -> Tri| {
        let found = list.iter().fold(Tri::No, |all, p| all.or(one(p)));
        if *but { found.not() } else { found }
    };
    let head = principal(s, r).and(Tri::of(concerns(s, &r.action)));
    let whole = head.and(named(&s.resources, &|p| resource(p, r)));
    s.conditions.iter().fold(whole, |all, c| all.and(condition(c, r)))
}

fn principal(s: &Statement, r: &Request<'_>) -> Tri {
    let Some(list) = &s.principals else { return Tri::Open };
    let one = |p: &String| {
        let root = p
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.strip_suffix(":root"));
        let account = root.unwrap_or(p);
        match (p.as_str(), r.principal, r.account) {
            ("*", _, _) => Tri::Yes,
            (_, Some(arn), _) if arn == p => Tri::Yes,
            (_, _, Some(own)) if own == account => Tri::Yes,
            (_, None, None) => Tri::Open,
            _ => Tri::No,
        }
    };
    list.iter().fold(Tri::No, |all, p| all.or(one(p)))
}

/// The keys of objects are not known: a pattern that asks for some of them stays open.
fn resource(pattern: &str, r: &Request<'_>) -> Tri {
    let bucket = format!("arn:aws:s3:::{}", r.bucket);
    if !r.on_objects {
        return Tri::of(matches(pattern, &bucket));
    }
    let whole = format!("{bucket}/*");
    // A pattern that matches the text `bucket/*` with its last `*` matches every key.
    if pattern == "*" || pattern.ends_with('*') && matches(pattern, &whole) && matches(pattern, &format!("{bucket}/")) {
        return Tri::Yes;
    }
    let in_bucket = pattern.split_once('/').map_or(pattern, |(head, _)| head);
    let reaches = matches(in_bucket, &bucket) && pattern.contains('/') || matches(pattern, &whole);
    if reaches { Tri::Open } else { Tri::No }
}

/// The value of a key, if it is known whether there is one.
enum Held {
    Text(String),
    Absent,
    Unknown,
}

fn held(key: &str, r: &Request<'_>) -> Held {
    let text = |t: Option<&str>| t.map_or(Held::Unknown, |t| Held::Text(t.to_owned()));
    let there = |t: Option<&str>| t.map_or(Held::Absent, |t| Held::Text(t.to_owned()));
    let address = || r.address.map_or(Held::Unknown, |a| Held::Text(a.to_string()));
    match key {
        "aws:principalaccount" => text(r.account),
        "aws:principalarn" => text(r.principal),
        "aws:principalisawsservice" => Held::Text(r.by_service.to_string()),
        "aws:viaawsservice" => Held::Text(r.via_service.to_string()),
        "aws:resourceaccount" | "s3:resourceaccount" => text(r.owner),
        "aws:sourcevpce" => there(r.endpoint),
        "aws:sourcevpc" if r.endpoint.is_none() => Held::Absent,
        "aws:sourcevpc" => text(r.vpc),
        "aws:sourceip" if r.endpoint.is_some() || r.by_service => Held::Absent,
        "aws:vpcsourceip" if r.endpoint.is_none() => Held::Absent,
        "aws:sourceip" | "aws:vpcsourceip" => address(),
        _ => Held::Unknown,
    }
}

fn condition(c: &Condition, r: &Request<'_>) -> Tri {
    if !c.is_known() {
        return Tri::Open;
    }
    let negated = c.operator.contains("not");
    let value = match held(&c.key, r) {
        Held::Unknown => return Tri::Open,
        found if c.operator == "null" => {
            let absent = matches!(found, Held::Absent);
            return Tri::of(c.values.iter().any(|v| v == &absent.to_string()));
        }
        Held::Absent => return Tri::of(c.if_exists || negated),
        Held::Text(text) => text,
    };
    let any = c.values.iter().any(|v| fits(&c.operator, v, &value));
    Tri::of(any != negated)
}

fn fits(operator: &str, wanted: &str, value: &str) -> bool {
    match operator {
        "stringequals" | "stringnotequals" => wanted == value,
        "stringequalsignorecase" | "stringnotequalsignorecase" | "bool" => wanted.eq_ignore_ascii_case(value),
        "ipaddress" | "notipaddress" => {
            let network = wanted.parse::<IpNetwork>().ok();
            network.zip(value.parse().ok()).is_some_and(|(n, a)| n.contains(a))
        }
        _ => matches(wanted, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<'static> {
        Request {
            action: "s3:PutObject".into(),
            bucket: "logs",
            on_objects: true,
            owner: Some("111122223333"),
            principal: Some("arn:aws:iam::111122223333:role/app"),
            account: Some("111122223333"),
            endpoint: Some("vpce-1"),
            address: "10.0.0.9".parse().ok(),
            ..Request::default()
        }
    }

    fn of(statement: &str, r: &Request<'_>) -> Verdict {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        judge(&Policy::parse(&text, None).unwrap(), r)
    }

    const OWN: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",
        "Condition":{"StringEquals":{"s3:ResourceAccount":["111122223333"]}}}"#;
    const OUTSIDE: &str = r#"{"Effect":"Deny","Principal":"*","Action":["s3:GetObject","s3:PutObject"],
        "Resource":"arn:aws:s3:::logs/*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"},
        "BoolIfExists":{"aws:PrincipalIsAWSService":"false","aws:ViaAWSService":"false"}}}"#;

    #[test]
    fn an_endpoint_of_own_accounts_stops_foreign_buckets_and_only_them() {
        let mut r = request();
        assert_eq!(of(OWN, &r), Verdict::Allowed);
        r.owner = Some("999999999999");
        assert_eq!(of(OWN, &r), Verdict::Stopped);
        r.owner = None;
        assert_eq!(of(OWN, &r), Verdict::Unknown, "whose bucket it is, is not known");
        (r.owner, r.endpoint) = (Some("999999999999"), None);
        assert_eq!(of(OWN, &r), Verdict::Allowed, "it did not go through an endpoint");
    }

    #[test]
    fn a_bucket_closed_to_the_outside_lets_services_and_the_endpoint_in() {
        let mut r = request();
        assert_eq!(of(OUTSIDE, &r), Verdict::Allowed);
        r.endpoint = None;
        assert_eq!(of(OUTSIDE, &r), Verdict::Stopped);
        r.by_service = true;
        assert_eq!(of(OUTSIDE, &r), Verdict::Allowed);
        (r.by_service, r.bucket) = (false, "other");
        assert_eq!(of(OUTSIDE, &r), Verdict::Allowed);
    }

    #[test]
    fn unknown_keys_and_narrow_resources_are_never_guessed() {
        let odd = OWN.replace("s3:ResourceAccount", "aws:PrincipalOrgID");
        assert_eq!(of(&odd, &request()), Verdict::Unknown);
        let policy = Policy::parse(&format!(r#"{{"Statement":{odd}}}"#), None).unwrap();
        assert_eq!(policy.unsupported, ["stringequals aws:principalorgid"]);
        let prefix = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::logs/app/*"}"#;
        assert_eq!(of(prefix, &request()), Verdict::Unknown);
        let all = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::logs/*"}"#;
        assert_eq!(of(all, &request()), Verdict::Allowed);
        let other = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::lo/*"}"#;
        assert_eq!(of(other, &request()), Verdict::Stopped);
    }

    #[test]
    fn operators_actions_and_principals() {
        let with = |c: &str| {
            of(
                &format!(r#"{{"Effect":"Allow","Action":"s3:Put*","Resource":"*","Condition":{c}}}"#),
                &request(),
            )
        };
        assert_eq!(
            with(r#"{"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}}"#),
            Verdict::Allowed
        );
        assert_eq!(
            with(r#"{"NotIpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}}"#),
            Verdict::Stopped
        );
        assert_eq!(
            with(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#),
            Verdict::Stopped,
            "absent through an endpoint"
        );
        assert_eq!(
            with(r#"{"IpAddressIfExists":{"aws:SourceIp":"192.0.2.0/24"}}"#),
            Verdict::Allowed
        );
        assert_eq!(with(r#"{"Null":{"aws:SourceIp":"true"}}"#), Verdict::Allowed);
        assert_eq!(
            with(r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/app"}}"#),
            Verdict::Allowed
        );
        assert_eq!(
            with(r#"{"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}"#),
            Verdict::Unknown
        );
        let get = r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}"#;
        assert_eq!(of(get, &request()), Verdict::Stopped);
        let other =
            r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"*","Resource":"*"}"#;
        assert_eq!(of(other, &request()), Verdict::Stopped);
        let service = r#"{"Effect":"Allow","Principal":{"Service":"x.amazonaws.com"},"Action":"*","Resource":"*"}"#;
        assert_eq!(of(service, &request()), Verdict::Unknown);
    }
}
