//! What a manager reads: one or two sentences, four figures, who detected it, and whether it is over.

use super::words::{clock, count, date, duration, label, period, principal, sentence};
use super::{Case, Fact, Story};
use crate::net::human_bytes;
use crate::report::document::{Place, Requests};

/// One of the figures at the top of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub label: &'static str,
    /// The figure.
    pub value: String,
    /// What stands below it.
    pub note: String,
}

impl Story<'_> {
    /// The head of the report: account, source of detection, date, and what else a reader asks first.
    pub fn head(&self) -> Vec<Fact> {
        let run = &self.document.run;
        let accounts = match run.accounts.as_slice() {
            [] => vec!["not known from these logs".to_owned()],
            all => all.to_vec(),
        };
        let mut out = vec![Fact::named("Account", accounts)];
        if let Some(worst) = self.cases.first() {
            out.push(Fact {
                lines: worst.sources(),
                ..Fact::said("Source of detection", "")
            });
            out.push(Fact::said("Date of the incident", date(worst.incident.first_seen)));
        }
        out.push(Fact::said(
            "Logs from",
            format!("{} to {}", date(run.from), date(run.to)),
        ));
        out.push(Fact::said("Incidents", self.tally()));
        out
    }

    /// `6 incidents: 1 critical, 2 high, 3 medium`, and what is not shown.
    pub fn tally(&self) -> String {
        let of = |severity: &str| self.cases.iter().filter(|c| c.incident.severity == severity).count();
        let counts: Vec<String> = SEVERITIES
            .iter()
            .filter(|s| of(s) > 0)
            .map(|s| format!("{} {s}", of(s)))
            .collect();
        let view = &self.document.view;
        let hidden: Vec<String> = [
            (view.below_min_severity, "below the severity asked for"),
            (view.allowed.len() as u64, "announced"),
            (view.suppressed.len() as u64, "suppressed"),
        ]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{n} {why}"))
        .collect();
        let mut text = count(self.cases.len() as u64, "incident");
        if !counts.is_empty() {
            text += &format!(": {}", counts.join(", "));
        }
        if !hidden.is_empty() {
            text += &format!(" (not shown: {})", hidden.join(", "));
        }
        text
    }
}

/// Most severe first.
const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

impl Case<'_> {
    /// What happened, in one or two sentences.
    pub fn lead(&self) -> String {
        let i = self.incident;
        let when = period(i.first_seen, i.last_seen);
        let asked = self.detail.and_then(|d| d.requests.as_ref());
        let deed = match (asked, &i.eni) {
            (Some(requests), None) => self.of_caller(requests),
            _ => self.of_machine(),
        };
        sentence(&format!("{when}, {deed}"))
    }

    /// Somebody who called AWS.
    fn of_caller(&self, asked: &Requests) -> String {
        let who = self.who().unwrap_or_else(|| "an unknown caller".to_owned());
        let buckets = count(self.incident.buckets.len() as u64, "bucket");
        let objects = count(asked.objects, "object");
        let from = self.callers();
        match (asked.read.get(), asked.written.get()) {
            (0, 0) => format!(
                "{who} made {} to AWS{from}: {}.",
                count(asked.requests.saturating_add(asked.failed), "request"),
                self.incident.title
            ),
            (0, written) => format!("{who} wrote {objects} ({}) into {buckets}{from}.", human_bytes(written)),
            (read, 0) => format!("{who} read {objects} ({}) of {buckets}{from}.", human_bytes(read)),
            (read, written) => format!(
                "{who} read {} and wrote {} ({objects} of {buckets}){from}.",
                human_bytes(read),
                human_bytes(written)
            ),
        }
    }

    /// A machine that sent.
    fn of_machine(&self) -> String {
        let i = self.incident;
        let host = match (&i.instance, &i.eni) {
            (Some(instance), Some(eni)) => format!("instance {instance} (interface {eni})"),
            (None, Some(eni)) => format!("interface {eni}"),
            (Some(instance), None) => format!("instance {instance}"),
            (None, None) => self.who().unwrap_or_else(|| "somebody".to_owned()),
        };
        let to = match i.destinations.as_slice() {
            [] => String::new(),
            [one] => format!(" to {}", with_facts(one)),
            [one, rest @ ..] => format!(
                " to {} and {}",
                with_facts(one),
                count(rest.len() as u64, "other address")
            ),
        };
        let who = match self.who() {
            Some(who) if i.eni.is_some() => format!(" The credentials in use there: {who}."),
            _ => String::new(),
        };
        format!("{host} sent {}{to}.{who}", human_bytes(i.bytes.get()))
    }

    /// The leading principal, by its short name.
    pub fn who(&self) -> Option<String> {
        self.incident.principals.first().map(|p| principal(&p.arn))
    }

    /// Where the calls came from.
    fn callers(&self) -> String {
        let callers = self.callers_listed();
        match callers.as_slice() {
            [] => String::new(),
            [one] => format!(" from {one}"),
            [one, rest @ ..] => format!(" from {one} and {} more", rest.len()),
        }
    }

    /// How much: bytes, or where none moved the requests.
    pub fn amount(&self) -> String {
        let requests = self.detail.and_then(|d| d.requests.as_ref());
        match (self.incident.bytes.get(), requests) {
            (0, Some(r)) => count(r.requests.saturating_add(r.failed), "request"),
            (bytes, _) => human_bytes(bytes),
        }
    }

    /// The four figures.
    pub fn figures(&self) -> [Figure; 4] {
        let i = self.incident;
        let lasted = i
            .last_seen
            .0
            .zip(i.first_seen.0)
            .map(|(to, from)| to.saturating_sub(from));
        let lasted = lasted.map(duration).unwrap_or_default();
        let requests = self.detail.and_then(|d| d.requests.as_ref());
        let amount = match requests {
            Some(r) if i.eni.is_none() => format!("{}, {}", count(r.objects, "object"), count(r.requests, "request")),
            _ => count(i.flows, "flow record"),
        };
        let key = i.principals.first().and_then(|p| p.access_key.as_deref());
        let whose = match (&i.instance, &i.eni) {
            (Some(machine), _) | (None, Some(machine)) => machine.clone(),
            _ => key.map(|k| format!("key {k}")).unwrap_or_default(),
        };
        let to = i.destinations.first();
        [
            Figure {
                label: if i.bytes.get() == 0 { "Requests" } else { "Data moved" },
                value: self.amount(),
                note: amount,
            },
            Figure {
                label: "By whom",
                value: self.who().unwrap_or_else(|| "not known".to_owned()),
                note: whose,
            },
            Figure {
                label: "To",
                value: to.map_or_else(|| "no address".to_owned(), |d| d.ip.clone()),
                note: to.map(facts).unwrap_or_default(),
            },
            Figure {
                label: "When",
                value: format!("{} UTC", clock(i.first_seen)),
                note: format!("{}, for {lasted}", date(i.first_seen)),
            },
        ]
    }

    /// Who detected it: GuardDuty's findings where they were imported, and our rules.
    pub fn sources(&self) -> Vec<String> {
        let i = self.incident;
        let theirs = self.side.iter().filter(|f| f.source != "macie");
        let mut out: Vec<String> = theirs
            .map(|f| format!("{} {} (severity {})", f.product(), f.kind, f.severity.0))
            .collect();
        let none = out.is_empty();
        out.push(format!("flowtrail {}", i.rules.join(", ")));
        if none && !i.guardduty.is_empty() {
            out.push(format!("nearest GuardDuty types: {}", i.guardduty.join(", ")));
        }
        out
    }

    /// Whether it is over, in a sentence.
    pub fn state(&self) -> String {
        match self.contained() {
            None => "The logs were not searched for containment.".to_owned(),
            Some((.., 0)) => "No step of containment applies.".to_owned(),
            Some((done, told, all)) => {
                let shown = match done {
                    0 => format!("none of the {all} steps"),
                    done if done == all => format!("all {all} steps"),
                    done => format!("{done} of {all} steps"),
                };
                let told = match told {
                    0 => String::new(),
                    n => format!("; {n} more as told from outside the logs"),
                };
                format!("The trail shows {shown} of containment as done{told}.")
            }
        }
    }
}

/// `185.220.101.34 (tor-exit, DE)`.
pub fn with_facts(place: &Place) -> String {
    match facts(place) {
        text if text.is_empty() => place.ip.clone(),
        text => format!("{} ({text})", place.ip),
    }
}

/// `tor-exit, DE, AS64500 Example`.
pub fn facts(place: &Place) -> String {
    known(
        &place.labels,
        place.country.as_deref(),
        place.asn,
        place.as_name.as_deref(),
    )
}

/// What the lists say of an address, in one line.
pub(super) fn known(labels: &[String], country: Option<&str>, asn: Option<u32>, as_name: Option<&str>) -> String {
    let mut parts: Vec<String> = labels.iter().map(|l| label(l)).collect();
    parts.extend(country.map(str::to_owned));
    parts.extend(asn.map(|n| match as_name {
        Some(name) => format!("AS{n} {name}"),
        None => format!("AS{n}"),
    }));
    parts.join(", ")
}
