//! What a result says that a control can be made of, each name checked by its grammar.
//!
//! A name that does not pass is left out and remembered: the plan says what it could not be made for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::name::{self, Grammar, checked};
use crate::detect::Severity;
use crate::detect::trail::aws_owner;
use crate::net::printable;

/// One bucket in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Account that owns it.
    pub owner: Option<String>,
    /// `own`, `foreign`, `aws` or `unknown`.
    pub standing: String,
    /// The service of AWS whose it is.
    pub service: Option<&'static str>,
    /// Requests of own principals, beside incidents, that came through no endpoint.
    pub own_without_endpoint: u64,
    /// What the selectors record of it.
    pub data_events: Option<String>,
}

/// A VPC endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Requests to S3 through it.
    pub requests: u64,
}

/// The account and its use of S3.
#[derive(Debug, Default)]
pub struct Account {
    /// Our accounts.
    pub accounts: Vec<String>,
    /// Regions.
    pub regions: Vec<String>,
    /// S3 endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Buckets in use, by requests.
    pub buckets: Vec<Bucket>,
    /// Trails and their selectors; null for one that was not understood.
    pub selectors: Vec<(String, Value)>,
    /// Hours of reads, and reads in the busiest.
    pub reads: (u64, u64),
    /// Buckets that incidents concern, sorted.
    pub concerned: BTreeSet<String>,
    /// True if bytes went to S3 that no event explains, or into buckets of others.
    pub blind: bool,
    /// Names that were refused.
    pub refused: RefCell<BTreeSet<String>>,
}

/// Somebody whose credentials were used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Account.
    pub account: String,
    /// User name, for an IAM user.
    pub user: Option<String>,
    /// Role name, for a session.
    pub role: Option<String>,
    /// Long-term key.
    pub key: Option<String>,
}

/// One incident.
#[derive(Debug, Default)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// Its title, for people: not checked, never in a control.
    pub title: String,
    /// Its severity.
    pub severity: String,
    /// Interface.
    pub interface: Option<String>,
    /// Those who did it, ours only, each once.
    pub people: Vec<Person>,
    /// Own buckets whose objects were touched.
    pub own_buckets: Vec<String>,
    /// Own buckets of which Macie said nothing.
    pub unclassified: Vec<String>,
    /// True if S3 has part in it.
    pub s3: bool,
    /// Where it sent to.
    pub destinations: Vec<String>,
    /// Usual destinations of the interface.
    pub usual: Vec<Usual>,
    /// Controls that the trail shows to be in place, with the time.
    pub done: Vec<(String, String)>,
}

/// A usual destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// Network.
    pub cidr: String,
    /// Port.
    pub port: u16,
    /// IANA number.
    pub protocol: u8,
    /// Class.
    pub class: String,
}

fn list<'a>(v: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    v.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(v: &Value, path: &str) -> u64 {
    v.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

impl Account {
    /// Of a result.
    pub fn of(result: &Value) -> Self {
        let estate = result.get("estate").cloned().unwrap_or_default();
        let mut out = Account::default();
        let take = |path: &str, grammar| -> Vec<String> {
            let texts = list(&estate, path).filter_map(Value::as_str);
            texts.filter_map(|t| out.name(t, grammar)).collect()
        };
        let (accounts, regions) = (take("/accounts", name::ACCOUNT), take("/regions", name::REGION));
        let endpoints = list(&estate, "/endpoints").filter_map(|e| out.endpoint(e)).collect();
        let buckets = list(&estate, "/buckets").filter_map(|b| out.bucket(b)).collect();
        let selector = |s: &Value| {
            let content = s.get("selector").filter(|c| is_plain(c)).cloned();
            Some((out.name(text(s, "trail"), name::TRAIL)?, content.unwrap_or_default()))
        };
        let selectors = list(&estate, "/selectors").filter_map(selector).collect();
        let rules = list(result, "/incidents")
            .flat_map(|i| list(i, "/rules"))
            .filter_map(Value::as_str);
        out.blind = rules
            .into_iter()
            .any(|r| matches!(r, "unaccounted-s3" | "s3-foreign-write"));
        let touched = list(result, "/incidents").flat_map(|i| list(i, "/buckets"));
        out.concerned = touched.map(|b| text(b, "name").to_owned()).collect();
        out.reads = (number(&estate, "/reads/hours"), number(&estate, "/reads/most"));
        (out.accounts, out.regions, out.endpoints, out.buckets, out.selectors) =
            (accounts, regions, endpoints, buckets, selectors);
        out
    }

    /// The name, if it is one; else it is remembered as refused.
    pub fn name(&self, text: &str, grammar: Grammar) -> Option<String> {
        let found = checked(text, grammar).map(str::to_owned);
        if found.is_none() && !text.is_empty() {
            let shown: String = printable(text.as_bytes()).chars().take(80).collect();
            self.refused.borrow_mut().insert(format!("no {}: {shown}", grammar.0));
        }
        found
    }

    /// The region to name where one must be named.
    pub fn region(&self) -> &str {
        self.regions.first().map_or("us-east-1", String::as_str)
    }

    /// A bucket in use by its name.
    pub fn of_name(&self, bucket: &str) -> Option<&Bucket> {
        self.buckets.iter().find(|b| b.name == bucket)
    }

    fn endpoint(&self, v: &Value) -> Option<Endpoint> {
        Some(Endpoint {
            id: self.name(text(v, "id"), name::ENDPOINT)?,
            vpc: self.name(text(v, "vpc"), name::VPC),
            requests: number(v, "/requests"),
        })
    }

    fn bucket(&self, v: &Value) -> Option<Bucket> {
        Some(Bucket {
            name: self.name(text(v, "name"), name::BUCKET)?,
            owner: self.name(text(v, "owner"), name::ACCOUNT),
            standing: text(v, "standing").to_owned(),
            service: aws_owner(text(v, "name")),
            own_without_endpoint: number(v, "/own_without_endpoint"),
            data_events: v.get("data_events").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

impl Case {
    /// Of one incident of a result.
    pub fn of(result: &Value, incident: &Value, account: &Account) -> Option<Self> {
        let id = account.name(text(incident, "id"), name::INCIDENT)?;
        let mut out = Case {
            id,
            title: text(incident, "title").to_owned(),
            severity: text(incident, "severity")
                .parse()
                .map_or("", Severity::as_str)
                .to_owned(),
            interface: account.name(text(incident, "eni"), name::INTERFACE),
            ..Case::default()
        };
        out.add_people(incident, account);
        out.add_buckets(incident, account);
        let to = |d: &Value| account.name(text(d, "ip"), name::CIDR);
        out.destinations = list(incident, "/destinations").filter_map(to).collect();
        let s3 = list(incident, "/destinations").any(|d| text(d, "class") == "s3");
        out.s3 = s3 || list(incident, "/buckets").next().is_some();
        let detail = list(result, "/details").find(|d| d.get("id") == incident.get("id"));
        for step in detail.into_iter().flat_map(|d| list(d, "/containment")) {
            if step.get("done").and_then(Value::as_bool) == Some(true) {
                out.done
                    .push((text(step, "control").to_owned(), text(step, "at").to_owned()));
            }
        }
        if let Some(eni) = &out.interface {
            let all = list(result, &format!("/estate/egress/{eni}"));
            out.usual = all.filter_map(|u| usual(u, account)).collect();
        }
        Some(out)
    }

    fn add_people(&mut self, incident: &Value, account: &Account) {
        for p in list(incident, "/principals") {
            if !matches!(text(p, "class"), "exact" | "strong") {
                continue;
            }
            let arn: Vec<&str> = text(p, "arn").splitn(6, ':').collect();
            let [_, _, _, _, owner, resource] = arn.as_slice() else {
                continue;
            };
            if !account.accounts.iter().any(|a| a == owner) {
                continue;
            }
            let mut person = Person {
                account: (*owner).to_owned(),
                ..Person::default()
            };
            if let Some(user) = resource.strip_prefix("user/").and_then(|u| u.rsplit('/').next()) {
                person.user = account.name(user, name::PERSON);
                let key = account.name(text(p, "access_key"), name::KEY);
                person.key = key.filter(|k| k.starts_with("AKIA"));
            } else if let Some(role) = resource.strip_prefix("assumed-role/").and_then(|r| r.split('/').next()) {
                person.role = account.name(role, name::PERSON);
            }
            let named = person.user.is_some() || person.role.is_some();
            if named && !self.people.contains(&person) && self.people.len() < PEOPLE {
                self.people.push(person);
            }
        }
    }

    fn add_buckets(&mut self, incident: &Value, account: &Account) {
        for b in list(incident, "/buckets") {
            let Some(bucket) = account.name(text(b, "name"), name::BUCKET) else {
                continue;
            };
            let own = account.of_name(&bucket).is_some_and(|b| b.standing == "own");
            if !own || number(b, "/objects") == 0 {
                continue;
            }
            if list(b, "/sensitivity").next().is_none() {
                self.unclassified.push(bucket.clone());
            }
            self.own_buckets.push(bucket);
        }
    }
}

/// True if every text in a selector is one that AWS's consoles and guides write: ARNs, names, words.
fn is_plain(v: &Value) -> bool {
    let ok = |t: &str| {
        t.len() <= 2_048
            && t.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b" _:/.*@+=,-!()".contains(&b))
    };
    match v {
        Value::String(t) => ok(t),
        Value::Array(list) => list.iter().all(is_plain),
        Value::Object(members) => members.iter().all(|(k, v)| ok(k) && is_plain(v)),
        _ => true,
    }
}

/// People that controls are written for.
const PEOPLE: usize = 5;

fn usual(v: &Value, account: &Account) -> Option<Usual> {
    Some(Usual {
        cidr: account.name(text(v, "cidr"), name::CIDR)?,
        port: u16::try_from(number(v, "/port")).ok()?,
        protocol: u8::try_from(number(v, "/protocol")).ok()?,
        class: text(v, "class").to_owned(),
    })
}
