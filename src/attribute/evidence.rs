//! The join itself: every tie between the two logs, tried from the strongest to the weakest.
//!
//! 1. The flow's private address in `sourceIPAddress`, with an endpoint of this VPC and account: exact.
//! 2. A role session named after the instance; credentials that EC2 handed to it: strong.
//! 3. A private address without endpoint, if the inventory knows one interface that has it: strong; several: ambiguous.
//! 4. The interface's own public address: weak. A NAT gateway's address: ambiguous, weak if the bytes agree by hour.
//! 5. Sessions assumed by the above; else, if nothing better is known, sessions of the instance's role: weak.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::question::Question;
use super::subject::Subject;
use super::verdict::{Case, Cases, Class, Principal, rank};
use crate::inventory::Inventory;
use crate::net::{Addr, HOUR, Seconds, TimeWindow, rfc3339};
use crate::trail::{IssuedSession, PrincipalIndex, TrailRow, is_instance_id, role_of_arn};

/// The longest life of role credentials.
const SESSION: Seconds = 12 * HOUR;

/// Answers questions about who used what.
#[derive(Debug)]
pub struct Attribution<'a> {
    inventory: &'a Inventory,
    index: &'a PrincipalIndex,
    /// Rows by source address.
    by_addr: HashMap<Addr, Vec<u32>>,
    /// Rows of sessions named after an instance.
    by_instance: BTreeMap<&'a str, Vec<u32>>,
}

impl<'a> Attribution<'a> {
    /// Prepares the joins.
    pub fn new(inventory: &'a Inventory, index: &'a PrincipalIndex) -> Self {
        let mut by_addr: HashMap<Addr, Vec<u32>> = HashMap::new();
        let mut by_instance: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (n, row) in index.rows.iter().enumerate() {
            if let Some(addr) = index.addr(row.source) {
                by_addr.entry(addr).or_default().push(n as u32);
            }
            if let Some(instance) = index.principal(row).and_then(|p| p.instance.as_deref()) {
                by_instance.entry(instance).or_default().push(n as u32);
            }
        }
        Attribution {
            inventory,
            index,
            by_addr,
            by_instance,
        }
    }

    /// All candidates, the best first: by class, then by bytes and requests, then by name.
    pub fn who(&self, question: &Question) -> Vec<Principal> {
        let subject = Subject::new(question, self.inventory);
        let mut cases = Cases::new();
        self.by_address(&subject, &mut cases);
        self.by_session(&subject, &mut cases);
        self.by_issue(&subject, &mut cases);
        self.by_chain(&subject, &mut cases);
        if !cases.values().any(|c| c.class <= Some(Class::Strong)) {
            self.by_role(&subject, &mut cases);
        }
        self.by_nat(&subject, &mut cases);
        name_gateway(question, &mut cases);
        doubt_node(question, &mut cases);
        rank(cases, question.toward)
    }

    /// Rows with one of these numbers that fall into the window.
    fn rows<'s>(
        &'s self,
        numbers: Option<&'s Vec<u32>>,
        window: TimeWindow,
    ) -> impl Iterator<Item = &'a TrailRow> + 's {
        let rows = numbers
            .into_iter()
            .flatten()
            .filter_map(|n| self.index.rows.get(*n as usize));
        rows.filter(move |r| r.first < window.to && window.from <= r.last)
    }

    fn case<'c>(&self, row: &TrailRow, cases: &'c mut Cases) -> Option<&'c mut Case> {
        let p = self.index.principal(row)?;
        Some(cases.entry((p.arn.clone(), p.access_key.clone())).or_default())
    }

    /// Counts a row for its principal.
    fn credit(&self, row: &TrailRow, class: Class, why: String, cases: &mut Cases) {
        if let Some(case) = self.case(row, cases) {
            case.sent = case.sent.saturating_add(row.bytes_in);
            case.received = case.received.saturating_add(row.bytes_out);
            case.requests += row.requests;
            case.support(class, why);
        }
    }

    fn by_address(&self, s: &Subject<'_>, cases: &mut Cases) {
        for addr in &s.own {
            for row in self.rows(self.by_addr.get(addr), s.window) {
                if let Some((class, why)) = self.judge_address(s, *addr, row) {
                    self.credit(row, class, why, cases);
                    self.case(row, cases).into_iter().for_each(|case| case.direct = true);
                }
            }
        }
        for addr in &s.siblings {
            for row in self.rows(self.by_addr.get(addr), s.window) {
                if let Some((class, why)) = self.judge_address(s, *addr, row) {
                    let why = format!("{why} (another address of this interface)");
                    self.credit(row, class.max(Class::Weak), why, cases);
                }
            }
        }
        for addr in &s.public {
            for row in self.rows(self.by_addr.get(addr), s.window) {
                let why = format!("called from {addr}, the public address of this interface");
                let class = if self.is_session_of(s, row) {
                    Class::Strong
                } else {
                    Class::Weak
                };
                self.credit(row, class, why, cases);
            }
        }
    }

    /// What a row with one of the subject's own addresses is worth.
    fn judge_address(&self, s: &Subject<'_>, addr: Addr, row: &TrailRow) -> Option<(Class, String)> {
        let endpoint = self.index.text(row.endpoint);
        if !is_private(addr) && addr.is_v4() {
            // an interface logs its private address: a public one belongs to a gateway, or to somebody behind it
            return Some((
                Class::Ambiguous,
                format!("called from {addr}, which this interface logged as a sender"),
            ));
        }
        if !is_private(addr) {
            return Some((
                Class::Exact,
                format!("called from {addr}, the interface's own global address"),
            ));
        }
        if !endpoint.is_empty() {
            return self.same_network(s, row).then(|| {
                (
                    Class::Exact,
                    format!("called from {addr} through {endpoint}: the same private address as in the flow log"),
                )
            });
        }
        if self.is_session_of(s, row) {
            return Some((
                Class::Exact,
                format!("session of this instance, called from its address {addr}"),
            ));
        }
        let here = |account: &Option<String>| account.is_none() || s.account.is_none() || *account == s.account;
        let holders = self.inventory.interfaces_at(addr, s.window);
        let ours = holders
            .iter()
            .any(|i| Some(&i.id) == s.question.interface.as_ref() && here(&i.account));
        match (ours, holders.len()) {
            (true, 1) => Some((
                Class::Strong,
                format!("called from {addr}, which only this interface had"),
            )),
            (true, n) => Some((
                Class::Ambiguous,
                format!("called from {addr}, which {n} known interfaces had"),
            )),
            (false, _) => None,
        }
    }

    /// True unless the endpoint is known to be of another VPC or account.
    fn same_network(&self, s: &Subject<'_>, row: &TrailRow) -> bool {
        let known = self.inventory.endpoint(self.index.text(row.endpoint));
        let differs = |a: Option<&str>, b: Option<&str>| matches!((a, b), (Some(a), Some(b)) if a != b);
        let owner = Some(self.index.text(row.endpoint_owner)).filter(|o| !o.is_empty());
        let owner = owner.or_else(|| known.and_then(|e| e.account.as_deref()));
        let vpc = known.and_then(|e| e.vpc.as_deref());
        !differs(vpc, s.vpc.as_deref()) && !differs(owner, s.account.as_deref())
    }

    fn is_session_of(&self, s: &Subject<'_>, row: &TrailRow) -> bool {
        let named = self.index.principal(row).and_then(|p| p.instance.as_deref());
        named.is_some() && named == s.instance.as_deref()
    }

    fn by_session(&self, s: &Subject<'_>, cases: &mut Cases) {
        let Some(instance) = s.instance.as_deref() else { return };
        for row in self.rows(self.by_instance.get(instance), s.window) {
            let addr = self.index.addr(row.source);
            let counted = addr.is_some_and(|a| [&s.own, &s.siblings, &s.public].iter().any(|list| list.contains(&a)));
            let at = self.index.text(row.source);
            match addr {
                _ if counted => {}
                Some(a) if s.nat.contains(&a) => {
                    let why = format!("session named after instance {instance}, through the NAT address {a}");
                    self.credit(row, Class::Strong, why, cases);
                }
                Some(_) => {
                    let why = format!(
                        "session named after instance {instance}, but called from {at}, which is not known as its address"
                    );
                    self.note(row, why, cases);
                }
                None => self.note(row, format!("session named after instance {instance}"), cases),
            }
        }
    }

    /// A tie by name whose bytes did not pass this interface, as far as is known.
    fn note(&self, row: &TrailRow, why: String, cases: &mut Cases) {
        if let Some(case) = self.case(row, cases) {
            case.support(Class::Strong, why);
        }
    }

    /// Credentials handed to the instance, or asked for from one of the addresses (pods do that for themselves).
    fn by_issue(&self, s: &Subject<'_>, cases: &mut Cases) {
        for issued in self.alive(s.window) {
            let at = rfc3339(issued.time);
            if s.instance.is_some() && issued.instance() == s.instance.as_deref() {
                let by = if issued.invoked_by.is_empty() {
                    &issued.source
                } else {
                    &issued.invoked_by
                };
                let to = &issued.session;
                let why = format!(
                    "{} by {by} at {at} gave these credentials to instance {to}",
                    issued.call
                );
                support_issued(issued, Class::Strong, why, cases);
            } else if let Some((addr, own)) = s.asked_from(issued).filter(|(addr, _)| self.is_only_ours(s, *addr)) {
                let why = format!("{} at {at} from {addr}, which only this interface had", issued.call);
                // an address of the interface that was not asked about says less than one that was
                let class = if own { Class::Strong } else { Class::Weak };
                support_issued(issued, class, why, cases)
                    .into_iter()
                    .for_each(|case| (case.direct, case.beside) = (case.direct | own, case.beside | !own));
            }
        }
    }

    /// True if the inventory knows the address, and knows it only of the interface in question.
    fn is_only_ours(&self, s: &Subject<'_>, addr: Addr) -> bool {
        let holders = self.inventory.interfaces_at(addr, s.window);
        matches!(holders.as_slice(), [one] if Some(&one.id) == s.question.interface.as_ref())
    }

    /// Credentials that were handed out and can have been in use during the window.
    fn alive(&self, window: TimeWindow) -> impl Iterator<Item = &'a IssuedSession> {
        let from = self
            .index
            .issued
            .partition_point(|i| i.time.saturating_add(SESSION) < window.from);
        let rest = self.index.issued.get(from..).unwrap_or_default();
        rest.iter().take_while(move |i| i.time < window.to)
    }

    /// Sessions that a good candidate has assumed in its turn.
    fn by_chain(&self, s: &Subject<'_>, cases: &mut Cases) {
        let good = |c: &Case| c.class.is_some_and(|c| c <= Class::Strong);
        let parents: Vec<(String, String)> = cases.iter().filter(|(_, c)| good(c)).map(|(k, _)| k.clone()).collect();
        for issued in self.alive(s.window) {
            let Some(by) = self.index.principals.get(issued.by as usize) else {
                continue;
            };
            if parents.iter().any(|(arn, key)| *arn == by.arn && *key == by.access_key) {
                let why = format!("{} by {} at {}", issued.call, by.arn, rfc3339(issued.time));
                support_issued(issued, Class::Weak, why, cases);
            }
        }
    }

    /// Sessions of the instance's role that are named after no other instance.
    fn by_role(&self, s: &Subject<'_>, cases: &mut Cases) {
        let Some(instance) = s.instance.as_deref().and_then(|i| self.inventory.instance(i)) else {
            return;
        };
        for row in self.index.rows_within(s.window) {
            let Some(p) = self.index.principal(row) else { continue };
            let role = p
                .issuer
                .as_deref()
                .or(Some(&p.arn))
                .and_then(role_of_arn)
                .unwrap_or_default();
            let elsewhere = p.session.as_deref().is_some_and(is_instance_id);
            if !elsewhere && instance.roles.iter().any(|r| r == role) {
                let why = format!("a session of role {role}, which instance {} has", instance.id);
                self.credit(row, Class::Weak, why, cases);
            }
        }
    }

    /// Callers behind the NAT gateways of the VPC, unless something better is known of them.
    fn by_nat(&self, s: &Subject<'_>, cases: &mut Cases) {
        let mut shared: BTreeMap<u32, Vec<&TrailRow>> = BTreeMap::new();
        for addr in &s.nat {
            for row in self
                .rows(self.by_addr.get(addr), s.window)
                .filter(|r| !self.is_session_of(s, r))
            {
                shared.entry(row.principal).or_default().push(row);
            }
        }
        for rows in shared.values() {
            let agree = s.question.bytes_agree(rows);
            for row in rows {
                let Some(p) = self.index.principal(row).filter(|p| p.instance.is_none()) else {
                    continue;
                };
                let at = self.index.text(row.source);
                let known = cases
                    .get(&(p.arn.clone(), p.access_key.clone()))
                    .is_some_and(|c| c.class < Some(Class::Weak));
                let (class, why) = match agree {
                    true => (
                        Class::Weak,
                        format!("called from the NAT address {at}, and the bytes agree by hour"),
                    ),
                    false => (
                        Class::Ambiguous,
                        format!("called from the NAT address {at}, which others share"),
                    ),
                };
                if !known {
                    self.credit(row, class, why, cases);
                }
            }
        }
    }
}

/// Says of what a gateway logged that it is the reason why these addresses are in question.
fn name_gateway(question: &Question, cases: &mut Cases) {
    let Some(gateway) = &question.gateway else { return };
    for case in cases.values_mut().filter(|c| c.direct) {
        let why = format!("the gateway's interface {gateway} logged these bytes as sent by its address");
        case.why.insert((Class::Exact, why));
    }
}

/// Where pods have credentials of their own and the log writes the node's address for all of them, the node's session is
/// one candidate among them and no better than they are.
fn doubt_node(question: &Question, cases: &mut Cases) {
    const WHY: &str = "this flow log has no pkt-srcaddr: it shows one address for the node and for all pods on it, which call for themselves";
    if question.one_address && cases.values().any(|c| c.beside) {
        let node = cases.values_mut().filter(|c| !c.beside && !c.direct);
        node.for_each(|case| case.doubt(WHY));
    }
}

fn support_issued<'c>(issued: &IssuedSession, class: Class, why: String, cases: &'c mut Cases) -> Option<&'c mut Case> {
    let name = Some(&issued.arn)
        .filter(|arn| !arn.is_empty())
        .unwrap_or(&issued.access_key);
    if name.is_empty() {
        return None;
    }
    let case = cases.entry((name.clone(), issued.access_key.clone())).or_default();
    case.support(class, why);
    Some(case)
}

/// True for addresses that mean something only inside one network.
fn is_private(addr: Addr) -> bool {
    match addr.ip() {
        IpAddr::V4(a) => a.is_private() || a.is_link_local() || (a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64),
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Toward;
    use crate::inventory::{Graph, Mark, Origin, Relation};
    use crate::trail::{TrailArchive, read};

    const INSTANCE: &str = "i-0aaaaaaaaaaaaaaaa";

    /// One S3 upload of 5 MB at 2025-03-01T02:10:00Z.
    fn upload(arn: &str, ip: &str, endpoint: &str) -> String {
        let endpoint = if endpoint.is_empty() {
            String::new()
        } else {
            format!(r#""vpcEndpointId":"{endpoint}","#)
        };
        format!(
            r#"{{"eventTime":"2025-03-01T02:10:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject",
            "userIdentity":{{"type":"AssumedRole","arn":"{arn}","accessKeyId":"ASIA1"}},"sourceIPAddress":"{ip}",{endpoint}
            "requestParameters":{{"bucketName":"b","key":"k"}},"additionalEventData":{{"bytesTransferredIn":5000000.0}},
            "recipientAccountId":"111122223333"}}"#
        )
    }

    fn session(name: &str) -> String {
        format!("arn:aws:sts::111122223333:assumed-role/app/{name}")
    }

    /// One interface with one private and one public address in vpc-1; a NAT gateway there; an endpoint elsewhere.
    fn inventory() -> Inventory {
        let mut g = Graph::default();
        let mut say = |s, r, o| g.say(s, r, Some(o), Mark::Seen, Origin("test"));
        say("eni-1", Relation::InterfaceVpc, "vpc-1");
        say("eni-1", Relation::InterfaceAccount, "111122223333");
        say("eni-1", Relation::InterfaceAddress, "10.0.0.5");
        say("eni-1", Relation::InterfacePublic, "198.51.100.5");
        say("eni-1", Relation::InterfaceInstance, INSTANCE);
        say("nat-1", Relation::NatVpc, "vpc-1");
        say("eipalloc-1", Relation::AllocationTarget, "nat-1");
        say("eipalloc-1", Relation::AllocationAddress, "198.51.100.9");
        say("vpce-here", Relation::EndpointVpc, "vpc-1");
        say("vpce-there", Relation::EndpointVpc, "vpc-2");
        g.resolve()
    }

    fn ask(inventory: &Inventory, log: &[String], question: &Question) -> Vec<(String, Class, u128)> {
        let mut archive = TrailArchive::default();
        read(log.join("\n").replace("\n            ", "").as_bytes(), &mut |e| {
            archive.observe(&e)
        });
        let index = archive.finish();
        let who = Attribution::new(inventory, &index).who(question);
        who.into_iter().map(|p| (p.arn, p.class, p.bytes)).collect()
    }

    fn about_eni_1(hourly: u128) -> Question {
        let hour = 1_740_794_400;
        Question {
            interface: Some("eni-1".into()),
            window: Some(TimeWindow {
                from: hour,
                to: hour + HOUR,
            }),
            toward: Toward::S3,
            hourly: vec![(hour, hourly)],
            ..Question::default()
        }
    }

    #[test]
    fn the_same_private_address_through_an_endpoint_of_this_network_is_exact() {
        let log = [
            upload(&session("job"), "10.0.0.5", "vpce-here"),
            upload(&session("far"), "10.0.0.5", "vpce-there"),
        ];
        assert_eq!(
            ask(&inventory(), &log, &about_eni_1(0)),
            [(session("job"), Class::Exact, 5_000_000)]
        );
    }

    #[test]
    fn a_global_ipv6_address_is_its_own_and_a_public_ipv4_address_is_not() {
        let log = [upload(&session("job"), "2001:db8::5", "")];
        let about = |a: &str| Question {
            addresses: vec![a.parse().unwrap()],
            ..about_eni_1(0)
        };
        assert_eq!(ask(&inventory(), &log, &about("2001:db8::5"))[0].1, Class::Exact);
        let log = [upload(&session("job"), "203.0.113.66", "")];
        assert_eq!(ask(&inventory(), &log, &about("203.0.113.66"))[0].1, Class::Ambiguous);
    }

    #[test]
    fn a_private_address_without_endpoint_or_known_interface_is_never_joined() {
        let log = [upload(&session("job"), "10.0.0.5", "")];
        let question = Question {
            addresses: vec!["10.0.0.5".parse().unwrap()],
            ..Question::default()
        };
        assert_eq!(ask(&Inventory::default(), &log, &question), []);
        assert_eq!(
            ask(&inventory(), &log, &about_eni_1(0)),
            [(session("job"), Class::Strong, 5_000_000)]
        );
    }

    #[test]
    fn a_session_named_after_the_instance_is_strong_through_the_nat_and_uncounted_from_elsewhere() {
        let log = [upload(&session(INSTANCE), "198.51.100.9", "")];
        assert_eq!(
            ask(&inventory(), &log, &about_eni_1(0)),
            [(session(INSTANCE), Class::Strong, 5_000_000)]
        );
        let stolen = [upload(&session(INSTANCE), "203.0.113.66", "")];
        assert_eq!(
            ask(&inventory(), &stolen, &about_eni_1(0)),
            [(session(INSTANCE), Class::Strong, 0)]
        );
    }

    #[test]
    fn behind_the_nat_everybody_is_ambiguous_unless_the_bytes_agree() {
        let log = [upload(&session("job"), "198.51.100.9", "")];
        assert_eq!(
            ask(&inventory(), &log, &about_eni_1(90_000_000)),
            [(session("job"), Class::Ambiguous, 5_000_000)]
        );
        assert_eq!(
            ask(&inventory(), &log, &about_eni_1(5_200_000)),
            [(session("job"), Class::Weak, 5_000_000)]
        );
    }

    #[test]
    fn credentials_handed_to_the_instance_name_it_without_any_request() {
        let issue = format!(
            r#"{{"eventTime":"2025-03-01T00:05:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","sourceIPAddress":"ec2.amazonaws.com",
            "userIdentity":{{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}},"requestParameters":{{"roleArn":"arn:aws:iam::111122223333:role/p/app",
            "roleSessionName":"{INSTANCE}"}},"responseElements":{{"credentials":{{"accessKeyId":"ASIA9","sessionToken":"secret"}}}}}}"#
        );
        assert_eq!(
            ask(&inventory(), &[issue], &about_eni_1(0)),
            [(session(INSTANCE), Class::Strong, 0)]
        );
    }

    #[test]
    fn where_the_log_shows_one_address_for_all_pods_the_node_is_one_candidate_among_them() {
        let issue = |call: &str, source: &str, name: &str, key: &str| {
            format!(
                r#"{{"eventTime":"2025-03-01T00:05:00Z","eventSource":"sts.amazonaws.com","eventName":"{call}","sourceIPAddress":"{source}",
            "userIdentity":{{"type":"WebIdentityUser"}},"requestParameters":{{"roleArn":"arn:aws:iam::111122223333:role/app",
            "roleSessionName":"{name}"}},"responseElements":{{"credentials":{{"accessKeyId":"{key}"}}}}}}"#
            )
        };
        let log = [
            issue("AssumeRole", "ec2.amazonaws.com", INSTANCE, "ASIA9"),
            issue("AssumeRoleWithWebIdentity", "10.0.0.6", "pod", "ASIA8"),
        ];
        let mut g = Graph::default();
        let mut say = |s, r, o| g.say(s, r, Some(o), Mark::Seen, Origin("test"));
        say("eni-1", Relation::InterfaceAddress, "10.0.0.5");
        say("eni-1", Relation::InterfaceAddress, "10.0.0.6");
        say("eni-1", Relation::InterfaceInstance, INSTANCE);
        let node = Question {
            addresses: vec!["10.0.0.5".parse().unwrap()],
            ..about_eni_1(0)
        };
        let classes = |question: &Question| -> Vec<(String, Class)> {
            let who = ask(&g.clone().resolve(), &log, question);
            who.into_iter().map(|(arn, class, _)| (arn, class)).collect()
        };
        let told_apart = classes(&node);
        assert_eq!(told_apart[0], (session(INSTANCE), Class::Strong));
        let hidden = Question {
            one_address: true,
            ..node
        };
        let mut all = classes(&hidden);
        all.sort();
        assert_eq!(all, [(session(INSTANCE), Class::Weak), (session("pod"), Class::Weak)]);
    }
}
