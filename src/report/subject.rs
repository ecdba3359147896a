//! What an incident is about, as cloud APIs name it: account, region, partition, ARNs, addresses.
//!
//! The formats for other products (ASFF, OCSF, ECS) all ask for these. A result says them where the logs do; what it does
//! not say is looked for in the places where AWS writes it (principals' ARNs, paths of log files), and stays unknown
//! otherwise. Nothing is taken for an account, a region or an address that does not have the form of one.

use std::net::IpAddr;

use super::document::{Head, Principal, Reported};

/// Account and region of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Twelve digits.
    pub account: Option<String>,
    /// As `us-east-1`.
    pub region: Option<String>,
}

impl Subject {
    /// What is known of an incident's account and region.
    pub fn of(incident: &Reported, head: &Head) -> Subject {
        let of_arns = || incident.principals.iter().filter_map(|p| Arn::parse(&p.arn)?.account);
        let own = incident.account.as_deref().filter(|a| is_account(a));
        let account = own.or_else(|| only(of_arns())).or_else(|| {
            let all = head.accounts.iter().map(String::as_str);
            only(all.filter(|a| is_account(a)))
        });
        let cited = incident.evidence.iter().filter_map(|e| region_in(&e.file));
        let read = head.inputs.iter().chain(&head.trail_inputs);
        let own = incident.region.as_deref().filter(|r| is_region(r));
        let region = own
            .or_else(|| only(cited))
            .or_else(|| only(read.filter_map(|f| region_in(f))));
        Subject {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
        }
    }

    /// `aws`, or the partition that the region belongs to.
    pub fn partition(&self) -> &'static str {
        partition(self.region.as_deref().unwrap_or_default())
    }

    /// The ARN of something of EC2's; its bare id where the account or the region is not known.
    pub fn ec2(&self, kind: &str, id: &str) -> String {
        match (&self.region, &self.account) {
            (Some(region), Some(account)) => format!("arn:{}:ec2:{region}:{account}:{kind}/{id}", self.partition()),
            _ => id.to_owned(),
        }
    }

    /// The ARN of a bucket.
    pub fn bucket(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", self.partition())
    }
}

/// The one value that all of these are.
fn only<'a>(mut all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// The partition of a region.
pub fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("us-iso-") => "aws-us-iso",
        r if r.starts_with("us-isob-") => "aws-us-iso-b",
        _ => "aws",
    }
}

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Two letters, words, a number: `us-gov-west-1`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, words @ .., number] = parts.as_slice() else {
        return false;
    };
    let is_word = |w: &&str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 16 && area.len() == 2 && is_word(area) && !words.is_empty() && words.iter().all(is_word) && is_number
}

/// The region in the path of a log file, as AWS delivers it (`…/us-east-1/2026/…`, `aws-region=us-east-1`).
fn region_in(path: &str) -> Option<&str> {
    let parts = path.split('/').map(|p| p.strip_prefix("aws-region=").unwrap_or(p));
    parts.into_iter().find(|p| is_region(p))
}

/// An address, if it is one.
pub fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// The parts of a principal's ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The account, if it has the form of one.
    pub account: Option<&'a str>,
    /// What it is.
    pub kind: Who,
    /// The user's name, the role's, or the last part.
    pub name: &'a str,
    /// The session's name.
    pub session: Option<&'a str>,
}

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A user of IAM.
    User,
    /// A role, or a session of one.
    Role,
    /// An account's root.
    Root,
    /// Something else.
    Other,
}

impl<'a> Arn<'a> {
    /// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        let ("arn", account, resource) = (parts.next()?, parts.nth(3)?, parts.next()?) else {
            return None;
        };
        let mut names = resource.split('/');
        let kind = names.next().unwrap_or_default();
        let last = resource.rsplit('/').next().unwrap_or_default();
        let (kind, name, session) = match kind {
            "user" => (Who::User, last, None),
            "role" => (Who::Role, last, None),
            "assumed-role" => (Who::Role, names.next().unwrap_or_default(), names.next()),
            "root" => (Who::Root, "root", None),
            _ => (Who::Other, last, None),
        };
        Some(Arn {
            account: Some(account).filter(|a| is_account(a)),
            kind,
            name,
            session,
        })
    }
}

/// The account of a principal: of its ARN, or itself, if it is only an account's number.
pub fn account_of(principal: &Principal) -> Option<&str> {
    let bare = Some(principal.arn.as_str()).filter(|a| is_account(a));
    bare.or_else(|| Arn::parse(&principal.arn)?.account)
}

/// Name of a protocol by IANA's number.
pub fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_the_form_of_regions() {
        for yes in ["us-east-1", "us-gov-west-1", "ap-southeast-2", "us-isob-east-1"] {
            assert!(is_region(yes), "{yes}");
        }
        for no in [
            "",
            "us-east",
            "2026-03-02",
            "us--1",
            "vpc-flow-logs",
            "US-EAST-1",
            "us-east-1a",
            "us-east-100",
        ] {
            assert!(!is_region(no), "{no}");
        }
        assert_eq!(
            region_in("AWSLogs/1/vpcflowlogs/eu-west-1/2026/a.gz"),
            Some("eu-west-1")
        );
        assert_eq!(region_in("aws-region=eu-west-1/year=2026/a.gz"), Some("eu-west-1"));
    }

    #[test]
    fn account_and_region_are_found_where_aws_writes_them_and_never_guessed() {
        let mut incident = Reported::default();
        let mut head = Head {
            inputs: vec!["a/eu-west-1/x".into(), "b/eu-west-1/y".into()],
            accounts: vec!["111122223333".into()],
            ..Head::default()
        };
        let found = Subject::of(&incident, &head);
        assert_eq!(found.account.as_deref(), Some("111122223333"));
        assert_eq!(
            found.ec2("instance", "i-1"),
            "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"
        );
        head.inputs.push("c/us-east-1/z".into());
        head.accounts.push("444455556666".into());
        assert_eq!(Subject::of(&incident, &head), Subject::default());
        incident.account = Some("=cmd|1234567".into());
        incident.region = Some("us-east-1\n".into());
        assert_eq!(Subject::of(&incident, &head), Subject::default());
    }

    #[test]
    fn arns_are_taken_apart() {
        let arn = Arn::parse("arn:aws:sts::111122223333:assumed-role/app/i-1").unwrap();
        assert_eq!((arn.kind, arn.name, arn.session), (Who::Role, "app", Some("i-1")));
        assert_eq!(Arn::parse("arn:aws:iam::1:user/a/b/j.rivera").unwrap().name, "j.rivera");
        assert_eq!(Arn::parse("arn:aws:iam::1:user/x").unwrap().account, None);
        assert!(Arn::parse("AWS:iam").is_none() && Arn::parse("").is_none());
    }
}
