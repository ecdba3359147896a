//! Plans: the controls of each incident, then those of the account, by two registries in the order of doing.

use serde_json::Value;

use super::control::Control;
use super::facts::{Account, Case};
use super::{access, alarm, bucket_policy, egress, endpoint_policy, events, macie_job};
use crate::error::{Error, Result};
use crate::net::{Seconds, rfc3339};

/// What a control can be made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) account: &'a Account,
    pub(super) case: &'a Case,
    pub(super) options: &'a Options,
}

/// What the reader decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sessions that began before are cut off.
    pub at: Seconds,
    /// ARNs of principals that stay able to reach closed buckets.
    pub break_glass: Vec<String>,
}

impl Options {
    /// The time as policies have it.
    pub(super) fn time(&self) -> String {
        rfc3339(self.at)
    }
}

/// Controls of an incident, or of the account.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The incident's id; `account` for what concerns all of it.
    pub id: String,
    /// One line for people, as the log has it: to be escaped.
    pub title: String,
    /// Its severity.
    pub severity: String,
    /// In the order of doing.
    pub controls: Vec<Control>,
    /// Names from logs that no control was made for.
    pub refused: Vec<String>,
}

type ForIncident = fn(Given<'_>) -> Vec<Control>;

/// Controls of one incident, in the order of doing.
pub const INCIDENT_CONTROLS: &[&str] = &[
    "access-key",
    "user-reset",
    "session-deny",
    "egress-cidrs",
    "endpoint-policy",
    "bucket-policy",
    "macie-job",
    "secret-scan",
];

/// Controls of the whole account.
pub const ACCOUNT_CONTROLS: &[&str] = &["guardduty-s3", "data-events", "metric-alarm", "event-rule"];

const OF_INCIDENT: [ForIncident; 8] = [
    access::keys,
    access::users,
    access::sessions,
    egress::egress,
    endpoint_policy::policies,
    bucket_policy::policies,
    macie_job::job,
    access::secret_scan,
];

const OF_ACCOUNT: [ForIncident; 4] = [events::protection, events::selectors, alarm::alarm, events::rule];

/// The plans of a result: one an incident (or the one whose id begins with `only`), and the account's.
///
/// # Errors
/// `Usage` if no incident, or more than one, has that id, or a break-glass ARN is none.
pub fn plans(result: &Value, only: Option<&str>, options: &Options) -> Result<Vec<Plan>> {
    for arn in &options.break_glass {
        if super::name::checked(arn, super::name::PRINCIPAL).is_none() {
            return Err(Error::usage(format!(
                "--break-glass {arn}: not the ARN of an IAM user or role"
            )));
        }
    }
    let account = Account::of(result);
    let mut out = Vec::new();
    for incident in chosen(result, only)? {
        let before = account.refused.borrow().clone();
        let Some(case) = Case::of(result, incident, &account) else {
            continue;
        };
        let refused = account.refused.borrow().difference(&before).cloned().collect();
        out.push(plan(&account, &case, options, refused));
    }
    let whole = Case {
        id: "account".to_owned(),
        title: "The account: what would show or stop the next one".to_owned(),
        ..Case::default()
    };
    let given = Given {
        account: &account,
        case: &whole,
        options,
    };
    let named = Account::of(result).refused.into_inner();
    out.push(Plan {
        id: whole.id.clone(),
        title: whole.title.clone(),
        severity: String::new(),
        controls: OF_ACCOUNT.iter().flat_map(|make| make(given)).collect(),
        refused: named.into_iter().collect(),
    });
    Ok(out)
}

fn plan(account: &Account, case: &Case, options: &Options, refused: Vec<String>) -> Plan {
    let given = Given { account, case, options };
    let mut controls: Vec<Control> = OF_INCIDENT.iter().flat_map(|make| make(given)).collect();
    for control in &mut controls {
        let done = case.done.iter().find(|(id, _)| id == control.id);
        control.done = done.map(|(_, at)| at.clone());
    }
    Plan {
        id: case.id.clone(),
        title: case.title.clone(),
        severity: case.severity.clone(),
        controls,
        refused,
    }
}

fn chosen<'r>(result: &'r Value, only: Option<&str>) -> Result<Vec<&'r Value>> {
    let all = result["incidents"].as_array().into_iter().flatten();
    let Some(id) = only else { return Ok(all.collect()) };
    let found: Vec<&Value> = all
        .filter(|i| i["id"].as_str().is_some_and(|have| have.starts_with(id)))
        .collect();
    match found.len() {
        1 => Ok(found),
        0 => Err(Error::usage(format!("no incident `{id}` in this result"))),
        n => Err(Error::usage(format!(
            "`{id}` is the start of {n} incidents: give more of it"
        ))),
    }
}
