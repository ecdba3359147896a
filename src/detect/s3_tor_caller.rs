//! `s3-tor-caller`: somebody signs requests for our buckets and comes out of Tor.
//!
//! A list of *exits* names those who come out of Tor towards us. Visitors of a public bucket need no credentials and may
//! use Tor as they like; whoever holds our credentials and hides where he is has to be looked at.

use serde::{Deserialize, Serialize};

use super::trail::{API_READS, Aspect, Caller, Deed, Extent, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings, Severity};
use crate::trail::IdentityKind;

/// The detector.
pub struct S3TorCaller;

/// Parameters of `s3-tor-caller`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How the labels of the lists begin that mean: comes out of Tor.
    pub labels: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        let labels = vec!["tor-exit".to_owned()];
        Parameters { labels }
    }
}

impl TrailDetector for S3TorCaller {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-tor-caller",
            title: "S3 called through Tor",
            techniques: &["T1090.003"],
            guardduty: Some("UnauthorizedAccess:S3/TorIPCaller"),
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let own = &settings.s3_tor_caller;
        let listed = |c: &Caller| own.labels.iter().any(|l| !c.labels(l).is_empty());
        listed_callers(day, self.meta().id, "a Tor exit", &listed)
    }
}

/// A signal for each caller from listed addresses: citing what it did to objects, if it did something to objects.
pub(super) fn listed_callers(
    day: &TrailDay<'_>,
    rule: &'static str,
    what: &str,
    listed: &dyn Fn(&Caller) -> bool,
) -> Vec<TrailSignal> {
    let mut out = Vec::new();
    for (index, actor) in day.actors.iter().enumerate() {
        let from_list = |n: &u32| day.row(*n).and_then(|r| day.case.caller(r)).filter(|c| listed(c));
        let of_s3 = |n: &&u32| day.case.deed(**n) != Deed::Other && from_list(n).is_some();
        let all: Vec<u32> = actor.rows.iter().filter(of_s3).copied().collect();
        let worked = |n: &&u32| {
            let touches = !matches!(day.case.deed(**n), Deed::Discover);
            touches && day.row(**n).is_some_and(|r| r.error == 0)
        };
        let objects: Vec<u32> = all.iter().filter(worked).copied().collect();
        let rows = if objects.is_empty() { all } else { objects };
        let Some(caller) = rows.first().and_then(from_list) else {
            continue;
        };
        let signed = actor.who.kind != IdentityKind::Anonymous;
        let severity = if signed { Severity::Medium } else { Severity::Low };
        let extent = Extent::of(day.case, &rows);
        let reason = format!(
            "{} requests of {} came from {}, {what}: {} moved.",
            extent.requests,
            actor.name,
            caller.words(),
            extent.volume()
        );
        let signal = TrailSignal::new(rule, index, Aspect::Listed, severity, rows);
        out.push(signal.channel(API_READS).because(reason).surprise(2.0));
    }
    out
}
