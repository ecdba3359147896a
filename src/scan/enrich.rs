//! What findings and incidents are given once they stand: principals, coverage, what other tools said, what was done.

use super::{Counted, Inputs, Known};
use crate::aggregate::EgressTable;
use crate::attribute::{Attribution, PassedOn, Question, Toward};
use crate::coverage::{self, Claims};
use crate::detect::{self, Confidence, CoverageClaim, Finding, PrincipalClaim, Settings, TrailCase};
use crate::incident::{self, Checklists, Estate, Heard, Incident, Step};
use crate::intake::SideFindings;
use crate::inventory::Inventory;
use crate::net::{Class, TimeWindow};
use std::collections::{BTreeMap, BTreeSet};

/// What stands beside the incidents.
#[derive(Debug, Default)]
pub struct Beside {
    /// Findings of GuardDuty and Macie, with the incident that each is about; none if none were given.
    pub heard: Option<Vec<Heard>>,
    /// The containment checklist of each incident, by id.
    pub steps: BTreeMap<String, Vec<Step>>,
    /// What containment must not break.
    pub estate: Estate,
}

/// Lets GuardDuty and Macie speak, looks for containment, and says what is in use.
pub(super) fn beside(
    incidents: &mut [Incident],
    inputs: &Inputs,
    side: &SideFindings,
    case: &TrailCase<'_>,
    counted: &Counted,
) -> Beside {
    let given = !inputs.guardduty.is_empty() || !inputs.macie.is_empty();
    let heard = incident::hear(incidents, side, case.index);
    let lists = Checklists::new(case);
    let checklist = |i: &Incident| (i.id.clone(), lists.of(i));
    Beside {
        heard: Some(heard).filter(|_| given),
        steps: incidents.iter().map(checklist).collect(),
        estate: Estate::of(case, case.inventory, &counted.table, incidents),
    }
}

/// Names the principals behind each finding.
pub(super) fn attribute(findings: &mut [Finding], table: &EgressTable, known: &Known, gateways: &BTreeSet<String>) {
    if !known.has_trail {
        return;
    }
    let attribution = Attribution::new(&known.inventory, &known.index);
    for finding in findings {
        let Some(interface) = finding.interface else { continue };
        let window = TimeWindow {
            from: finding.first_seen,
            to: finding.last_seen.saturating_add(1),
        };
        let to_s3 = finding.destinations.iter().any(|d| d.class == Class::S3);
        let toward = if to_s3 { Toward::S3 } else { Toward::Anywhere };
        let mut question = Question::of_interface(table, interface, window, toward);
        // Pods and secondary addresses have callers of their own.
        question.addresses.clone_from(&finding.source_ips);
        if question.one_address
            && let Some(passed) = PassedOn::find(table, gateways, &finding.cells, &question, &known.inventory)
        {
            finding.explanation.push(format!(
                "This log shows one address for the whole node; the gateway's interface {} logged these bytes as sent by {}.",
                passed.gateway, passed.sender
            ));
            question = question.sent_by(&passed);
        }
        finding.principals = attribution
            .who(&question)
            .into_iter()
            .take(CANDIDATES)
            .map(claim)
            .collect();
        if finding.instance.is_none() {
            let id = finding.eni.clone().unwrap_or_default();
            finding.instance = known.inventory.instance_of(&id, window).map(|e| e.to.clone());
        }
    }
}

/// Principals shown with an incident, most likely first.
const CANDIDATES: usize = 5;

fn claim(p: crate::attribute::Principal) -> PrincipalClaim {
    PrincipalClaim {
        arn: p.arn,
        access_key: Some(p.access_key).filter(|k| !k.is_empty()),
        class: p.class.as_str().into(),
        confidence: Confidence::new(p.confidence),
        bytes: p.bytes,
        why: p.why,
    }
}

/// What the trail shows, weighed against the flow logs.
pub(super) fn callers(case: &TrailCase<'_>, counted: &Counted, settings: &Settings) -> Vec<Finding> {
    let mut findings = detect::trail::judge(case, settings);
    let logs = coverage::logs(&counted.archive, &counted.outcome, case.inventory);
    let claims = Claims::new(&counted.table, &counted.outcome, &logs);
    detect::trail::weigh_whereabouts(&mut findings, case, &counted.table, &claims);
    findings
}

/// Says with each incident how much of its time the flow logs could show.
pub(super) fn cover(incidents: &mut [Incident], counted: &Counted, inventory: &Inventory) {
    let logs = coverage::logs(&counted.archive, &counted.outcome, inventory);
    let claims = Claims::new(&counted.table, &counted.outcome, &logs);
    for incident in incidents {
        let window = TimeWindow {
            from: incident.first_seen,
            to: incident.last_seen.saturating_add(1),
        };
        let Some(eni) = &incident.eni else { continue };
        let claim = claims.of(eni, window);
        incident.coverage = CoverageClaim {
            observed: claim.observed,
            skipdata: claim.skipdata,
        };
    }
}
