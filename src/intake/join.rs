//! Is a finding of another tool about one of our incidents? By key, host, address, person or bucket, and by time.
//!
//! A key or a host names one actor; an address outside, or a person, nearly so; a private address only within an account,
//! since private ranges overlap; a bucket alone is enough only where the finding names nothing else. Whatever it is, the
//! times must meet: tools tell of an attack while it goes on or soon after.

use std::collections::BTreeSet;

use super::finding::SideFinding;
use crate::net::{Addr, HOUR, Seconds, TimeWindow};

/// What an incident can be recognised by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Id of the incident.
    pub id: String,
    /// Its time.
    pub first_seen: Seconds,
    /// Its end.
    pub last_seen: Seconds,
    /// Its account.
    pub account: Option<String>,
    /// Access keys of those who did it.
    pub keys: BTreeSet<String>,
    /// Names at the end of their ARNs, and the ARNs.
    pub people: BTreeSet<String>,
    /// Interfaces and instances.
    pub hosts: BTreeSet<String>,
    /// Addresses of either end.
    pub addrs: BTreeSet<Addr>,
    /// Buckets concerned.
    pub buckets: BTreeSet<String>,
}

/// Why a finding belongs to an incident, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The same bucket, and the finding names nothing else.
    Bucket,
    /// A private address of the same account.
    PrivateAddress,
    /// The same user, role or session.
    Person,
    /// The same address outside.
    Address,
    /// The same instance or interface.
    Host,
    /// The same access key.
    Key,
}

impl Link {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Link::Bucket => "bucket",
            Link::PrivateAddress => "private address",
            Link::Person => "principal",
            Link::Address => "address",
            Link::Host => "host",
            Link::Key => "access key",
        }
    }
}

/// Tools gather calls for a while, and flow logs come in windows.
const SLACK: Seconds = 2 * HOUR;

impl Subject {
    /// Adds a principal: the name at the end of its ARN is what findings call it.
    pub fn add_person(&mut self, arn: &str, key: Option<&str>) {
        self.keys.extend(key.filter(|k| !k.is_empty()).map(str::to_owned));
        let last = arn.rsplit('/').next().unwrap_or(arn);
        for name in [arn, last] {
            if !name.is_empty() {
                self.people.insert(name.to_owned());
            }
        }
    }

    /// The strongest reason to take a finding as one about this incident.
    pub fn claims(&self, f: &SideFinding) -> Option<Link> {
        let window = TimeWindow {
            from: self.first_seen,
            to: self.last_seen.saturating_add(1),
        };
        if !f.span()?.overlaps(&window.widen(SLACK)) {
            return None;
        }
        let any = |theirs: &[String], ours: &BTreeSet<String>| theirs.iter().any(|t| ours.contains(t));
        let outside = |a: &&Addr| !is_private(**a);
        let remote = || f.remote.iter().filter(outside).any(|a| self.addrs.contains(a));
        let inside = || {
            f.local
                .iter()
                .chain(&f.remote)
                .filter(|a| is_private(**a))
                .any(|a| self.addrs.contains(a))
        };
        let bare = f.keys.is_empty() && f.people.is_empty() && f.hosts.is_empty() && f.remote.is_empty();
        match () {
            () if any(&f.keys, &self.keys) => Some(Link::Key),
            () if any(&f.hosts, &self.hosts) => Some(Link::Host),
            () if remote() => Some(Link::Address),
            () if self.same_account(f) && any(&f.people, &self.people) => Some(Link::Person),
            () if self.same_account(f) && f.hosts.is_empty() && inside() => Some(Link::PrivateAddress),
            () if bare && any(&f.buckets, &self.buckets) => Some(Link::Bucket),
            () => None,
        }
    }

    /// True unless both name an account and the two differ.
    fn same_account(&self, f: &SideFinding) -> bool {
        match (&self.account, &f.account) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }

    /// Seconds between the incident and the finding's time; 0 if they overlap.
    fn distance(&self, f: &SideFinding) -> Seconds {
        let Some(span) = f.span() else { return Seconds::MAX };
        let after = span.from.saturating_sub(self.last_seen);
        after.max(self.first_seen.saturating_sub(span.to))
    }
}

/// The incident that a finding is about: the strongest link, then the nearest in time, then the first.
pub fn best(subjects: &[Subject], finding: &SideFinding) -> Option<(usize, Link)> {
    let claims = subjects
        .iter()
        .enumerate()
        .filter_map(|(n, s)| Some((n, s, s.claims(finding)?)));
    let chosen = claims.max_by_key(|(n, s, link)| {
        let nearest = std::cmp::Reverse(s.distance(finding));
        (*link, nearest, std::cmp::Reverse(*n))
    });
    chosen.map(|(n, _, link)| (n, link))
}

/// Addresses that many networks use at once.
fn is_private(addr: Addr) -> bool {
    match addr.ip() {
        std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        std::net::IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Tool, TypeName};

    fn finding() -> SideFinding {
        SideFinding {
            account: Some("111122223333".into()),
            first_seen: Some(10_000),
            last_seen: Some(20_000),
            ..SideFinding::new(Tool::GuardDuty, TypeName::new("Discovery:S3/TorIPCaller"))
        }
    }

    fn subject() -> Subject {
        let mut s = Subject {
            id: "inc-1".into(),
            first_seen: 15_000,
            last_seen: 16_000,
            account: Some("111122223333".into()),
            hosts: ["i-1".to_owned()].into(),
            addrs: ["10.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap()].into(),
            buckets: ["b".to_owned()].into(),
            ..Subject::default()
        };
        s.add_person("arn:aws:iam::111122223333:user/jane", Some("AKIA1"));
        s
    }

    #[test]
    fn each_kind_of_resource_links_and_a_stranger_does_not() {
        let link = |change: &dyn Fn(&mut SideFinding)| {
            let mut f = finding();
            change(&mut f);
            subject().claims(&f)
        };
        assert_eq!(link(&|f| f.keys.push("AKIA1".into())), Some(Link::Key));
        assert_eq!(link(&|f| f.hosts.push("i-1".into())), Some(Link::Host));
        assert_eq!(
            link(&|f| f.remote.push("203.0.113.9".parse().unwrap())),
            Some(Link::Address)
        );
        assert_eq!(link(&|f| f.people.push("jane".into())), Some(Link::Person));
        assert_eq!(link(&|f| f.buckets.push("b".into())), Some(Link::Bucket));
        assert_eq!(
            link(&|f| f.local.push("10.0.0.1".parse().unwrap())),
            Some(Link::PrivateAddress)
        );
        let other_key = |f: &mut SideFinding| (f.buckets, f.keys) = (vec!["b".into()], vec!["AKIA2".into()]);
        assert_eq!(link(&other_key), None, "a bucket is shared by many");
        assert_eq!(link(&|_| ()), None);
    }

    #[test]
    fn private_addresses_and_names_hold_within_their_account() {
        let mut f = finding();
        f.account = Some("999999999999".into());
        f.local.push("10.0.0.1".parse().unwrap());
        f.people.push("jane".into());
        assert_eq!(subject().claims(&f), None);
        f.keys.push("AKIA1".into());
        assert_eq!(subject().claims(&f), Some(Link::Key));
    }

    #[test]
    fn times_must_meet_and_the_nearest_incident_wins() {
        let mut f = finding();
        f.keys.push("AKIA1".into());
        let (near, mut far) = (subject(), subject());
        (far.first_seen, far.last_seen) = (24_000, 25_000);
        assert_eq!(best(&[far.clone(), near.clone()], &f), Some((1, Link::Key)));
        (far.first_seen, far.last_seen) = (90_000, 95_000);
        assert_eq!(best(&[far], &f), None);
        f.remote.push("203.0.113.9".parse().unwrap());
        let mut by_address = near.clone();
        by_address.keys.clear();
        assert_eq!(
            best(&[by_address, near], &f),
            Some((1, Link::Key)),
            "the stronger link wins"
        );
    }
}
