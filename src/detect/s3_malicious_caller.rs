//! `s3-malicious-caller`: somebody calls S3 from an address on a threat list.

use serde::{Deserialize, Serialize};

use super::s3_tor_caller::listed_callers;
use super::trail::{Caller, TrailDay, TrailDetector, TrailSignal};
use super::{Meta, Settings};

/// The detector.
pub struct S3MaliciousCaller;

/// Parameters of `s3-malicious-caller`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How the labels of the lists begin that mean: known to be hostile.
    pub labels: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        let labels = vec!["threat".to_owned()];
        Parameters { labels }
    }
}

impl TrailDetector for S3MaliciousCaller {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-malicious-caller",
            title: "S3 called from an address on a threat list",
            techniques: &["T1530"],
            guardduty: Some("Exfiltration:S3/MaliciousIPCaller"),
        }
    }

    fn retired(&self) -> &'static [&'static str] {
        &["UnauthorizedAccess:S3/MaliciousIPCaller.Custom"]
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let own = &settings.s3_malicious_caller;
        let listed = |c: &Caller| own.labels.iter().any(|l| !c.labels(l).is_empty());
        listed_callers(day, self.meta().id, "an address on a threat list", &listed)
    }
}
