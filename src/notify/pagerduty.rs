//! PagerDuty, Events API v2: one `trigger` an incident.
//!
//! `dedup_key` is the incident's id, so a repetition joins the alert that is there, as long as it is open. Severities are
//! mapped to PagerDuty's four. Source: developer.pagerduty.com, "Send an Alert Event" (summary 1,024 characters, key 255).

use serde_json::{Map, Value, json};

use super::http::Web;
use super::secret::Secret;
use super::{Answer, Carrier, Environment, Kind, Notice, Target};
use crate::detect::Severity;
use crate::error::Result;
use crate::report::shape::cut;

/// The registry's line.
pub(super) const KIND: Kind = Kind {
    name: "pagerduty",
    about: "PagerDuty, Events API v2",
    keys: &["key-env", "url"],
    open,
};

const URL: &str = "https://events.pagerduty.com/v2/enqueue";

#[derive(Debug)]
struct PagerDuty {
    web: Web,
    key: Secret,
}

fn open(target: &Target, environment: &Environment<'_>) -> Result<Box<dyn Carrier>> {
    let key = Secret::needed(target, "key-env", environment)?;
    let web = Web::open(target, "url", target.text("url").unwrap_or(URL))?;
    Ok(Box::new(PagerDuty { web, key }))
}

impl Carrier for PagerDuty {
    fn carry(&self, notice: &Notice, _: bool) -> Answer {
        self.web
            .post(&[], event(notice, self.key.reveal()).to_string().into_bytes())
    }
}

/// The event.
fn event(notice: &Notice, key: &str) -> Value {
    const SUMMARY: usize = 1_000;
    let i = &notice.people;
    let known = [&i.eni, &i.account].into_iter().flatten().next();
    let mut payload = json!({
        "summary": cut(&i.title, SUMMARY),
        "source": known.map_or("flowtrail", String::as_str),
        "severity": severity(notice.severity),
        "component": notice.interface(),
        "group": i.account,
        "class": i.rule,
        "custom_details": details(notice),
    });
    if let Some(time) = i.last_seen.0 {
        payload["timestamp"] = crate::net::rfc3339(time).into();
    }
    json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": notice.id,
        "client": "flowtrail",
        "payload": payload,
    })
}

/// What a responder reads.
fn details(notice: &Notice) -> Value {
    const TEXT: usize = 4_096;
    let mut all = Map::new();
    all.insert("Incident".into(), notice.id.clone().into());
    for (label, value) in notice.facts() {
        all.insert(label.into(), cut(&value, TEXT).into());
    }
    for (label, lines) in notice.lists() {
        let label = if label == "To" { "Destinations" } else { label };
        all.insert(label.into(), lines.iter().map(|l| cut(l, TEXT)).collect());
    }
    Value::Object(all)
}

fn severity(s: Severity) -> &'static str {
    match s {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::tests::sample;

    #[test]
    fn an_event_has_what_pagerduty_asks_for() {
        let event = event(&sample(), "KEY");
        assert_eq!(event["routing_key"], "KEY");
        assert_eq!(event["event_action"], "trigger");
        assert_eq!(event["dedup_key"], "inc-0123456789abcdef");
        let payload = &event["payload"];
        assert_eq!(payload["severity"], "error");
        assert_eq!(payload["source"], "eni-0a");
        assert_eq!(payload["timestamp"], "2026-03-10T04:12:00Z");
        assert_eq!(payload["custom_details"]["Bytes"], "7.00 MB");
        assert_eq!(payload["custom_details"]["Destinations"][5], "and 2 more");
        assert!(!event.to_string().contains("AKIAIOSFODNN7EXAMPLE"));
    }
}
