//! Who did it, and what it cost: the two tables of the playbook's report that an engineer acts on.

use std::collections::BTreeSet;

use super::lead::{known, with_facts};
use super::words::{count, principal};
use super::{Case, Fact};
use crate::net::human_bytes;
use crate::report::document::Principal;
use crate::report::grid::grouped;

/// Principals, addresses and buckets told of one incident; the rest is a number.
const SHOWN: usize = 12;

/// Severities of Macie's, weakest first. Its highest is High.
const MACIE: [&str; 3] = ["low", "medium", "high"];

impl Case<'_> {
    /// The compromised principals, likeliest first, each with what ties it to the incident.
    pub fn principals(&self) -> Vec<Vec<Fact>> {
        self.incident
            .principals
            .iter()
            .take(SHOWN)
            .map(|p| self.principal(p))
            .collect()
    }

    fn principal(&self, p: &Principal) -> Vec<Fact> {
        let mut out = vec![
            Fact::said("Principal", principal(&p.arn)),
            Fact::named("ARN", vec![p.arn.clone()]),
        ];
        out.extend(p.access_key.clone().map(|k| Fact::named("Access key", vec![k])));
        let first = self.incident.principals.first().is_some_and(|f| std::ptr::eq(f, p));
        if first {
            out.push(Fact::named("Source address", self.source_lines()));
        }
        out.push(Fact::said(
            "Tie to the incident",
            format!("{}, confidence {:.2}: {}", p.class, p.confidence, p.why),
        ));
        out
    }

    /// Callers' addresses with what the lists say of them; of a machine, its own.
    fn source_lines(&self) -> Vec<String> {
        let callers = self.callers_listed();
        let own = || self.incident.source_ips.clone();
        let mut lines = if callers.is_empty() { own() } else { callers };
        let more = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines
    }

    /// `185.220.101.34 (tor-exit, DE)` for each caller.
    pub(super) fn callers_listed(&self) -> Vec<String> {
        let callers = self
            .detail
            .and_then(|d| d.requests.as_ref())
            .map(|r| r.callers.as_slice());
        let told = |c: &crate::report::document::Caller| {
            let facts = known(&c.labels, c.country.as_deref(), c.asn, c.as_name.as_deref());
            if facts.is_empty() {
                c.source.clone()
            } else {
                format!("{} ({facts})", c.source)
            }
        };
        callers.unwrap_or_default().iter().map(told).collect()
    }

    /// What it cost: buckets, requests, objects, bytes, sensitive data, Macie's severity.
    pub fn impact(&self) -> Vec<Fact> {
        let i = self.incident;
        let mut out = vec![self.buckets()];
        let requests = self.detail.and_then(|d| d.requests.as_ref());
        match requests {
            Some(r) => {
                let failed = match r.failed {
                    0 => String::new(),
                    n => format!(", and {} that failed", grouped(n.into())),
                };
                out.push(Fact::said(
                    "Requests",
                    format!("{}{failed}", grouped(r.requests.into())),
                ));
                out.push(Fact::said("Distinct objects", grouped(r.objects.into())));
            }
            None if i.eni.is_none() => out.push(Fact::said("Requests", grouped(i.flows.into()))),
            None => out.push(Fact::said("Requests", "none in the trail: the flow logs alone show it")),
        }
        out.push(Fact::said("Total volume", self.volume()));
        if let [_, ..] = i.destinations.as_slice() {
            let mut lines: Vec<String> = i.destinations.iter().take(SHOWN).map(with_facts).collect();
            let more = i.destinations.len().saturating_sub(SHOWN);
            if more > 0 {
                lines.push(format!("… and {more} more"));
            }
            out.push(Fact::named("Destinations", lines));
        }
        out.push(Fact {
            lines: self.sensitive(),
            ..Fact::said("Sensitive data", "")
        });
        out.push(Fact::said("Macie severity", self.macie()));
        out
    }

    fn buckets(&self) -> Fact {
        let buckets = &self.incident.buckets;
        let told = |b: &crate::report::document::Bucket| {
            format!(
                "{}: {}, {}",
                b.name,
                count(b.objects, "object"),
                human_bytes(b.bytes.get())
            )
        };
        let mut lines: Vec<String> = buckets.iter().take(SHOWN).map(told).collect();
        match buckets.len() {
            0 => return Fact::said("Buckets accessed", "none known"),
            n if n > SHOWN => lines.push(format!("… and {} more", n - SHOWN)),
            _ => {}
        }
        lines.insert(0, grouped(buckets.len() as u128));
        Fact {
            lines,
            ..Fact::said("Buckets accessed", "")
        }
    }

    fn volume(&self) -> String {
        let requests = self.detail.and_then(|d| d.requests.as_ref());
        let all = human_bytes(self.incident.bytes.get());
        let mut parts = Vec::new();
        if let Some(r) = requests {
            let ways = [(r.read.get(), "read from S3"), (r.written.get(), "written to S3")];
            parts.extend(
                ways.iter()
                    .filter(|(n, _)| *n > 0)
                    .map(|(n, way)| format!("{} {way}", human_bytes(*n))),
            );
        }
        if self.incident.eni.is_some() {
            parts.push(format!("channel {}", self.incident.channel));
        }
        if parts.is_empty() {
            all
        } else {
            format!("{all} ({})", parts.join(", "))
        }
    }

    /// Kinds of sensitive data in the buckets, by Macie.
    fn sensitive(&self) -> Vec<String> {
        let of_buckets = self.incident.buckets.iter().flat_map(|b| &b.sensitivity);
        let of_macie = self
            .side
            .iter()
            .filter(|f| f.source == "macie")
            .flat_map(|f| &f.sensitivity);
        let kinds: BTreeSet<&String> = of_buckets.chain(of_macie).collect();
        if kinds.is_empty() {
            vec!["not known: no finding of Macie's names these buckets".to_owned()]
        } else {
            kinds.into_iter().cloned().collect()
        }
    }

    fn macie(&self) -> String {
        let rank = |word: &str| MACIE.iter().position(|m| m.eq_ignore_ascii_case(word));
        let severities = self
            .side
            .iter()
            .filter(|f| f.source == "macie")
            .map(|f| f.severity.0.as_str());
        let highest = severities.max_by_key(|s| rank(s));
        highest.map_or_else(|| "no finding".to_owned(), str::to_owned)
    }
}
