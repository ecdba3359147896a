//! The account's own README: what is in the folder, what happened, what a scan should say.

use super::truth::{Incident, Truth};
use super::{Manifest, Options};
use crate::net::human_bytes;

/// The page, from what was made.
pub(super) fn page(options: &Options, manifest: &Manifest, truth: &Truth) -> String {
    let c = &manifest.counts;
    let told: String = truth.incidents.iter().map(incident).collect();
    let alike: String = truth
        .lookalikes
        .iter()
        .map(|l| format!("- `{}`: {}\n", l.id, l.title))
        .collect();
    format!(
        "# A synthetic AWS account\n\nMade by `flowtrail {}`; nothing in it is real. {} interfaces, {} days from {}, \
         the last three of them with incidents.\n\n{TREE}\n\
         {} flow log files ({} records OK, {} NODATA, {} SKIPDATA; {} accepted), {} CloudTrail files ({} records).\n\n\
         ## What a scan should find\n\n```\n{SCAN}\n```\n\n{told}\n## What it should leave alone\n\n{alike}\n\
         `truth.json` has all this in numbers; it is for judging a scan, never an input of one.\n",
        options.command("OUT"),
        manifest.interfaces,
        options.days,
        manifest.start,
        c.flow_files,
        c.ok,
        c.nodata,
        c.skipdata,
        human_bytes(u128::from(c.accept_bytes)),
        c.trail_files,
        c.trail_records,
    )
}

const TREE: &str = "\
| path | what |\n| --- | --- |\n\
| `flow/AWSLogs/…` | VPC Flow Logs as S3 delivers them |\n\
| `trail/AWSLogs/…` | CloudTrail: management events and S3 data events of the own buckets |\n\
| `inventory/` | describe-network-interfaces, -vpc-endpoints, -nat-gateways, get-event-selectors |\n\
| `intel/` | Tor exits, a threat list, the announced transfer |\n\
| `alerts/` | GuardDuty and Macie findings, and a timeline of what no log knows |\n\
| `truth.json`, `manifest.json` | the labels; counts |\n";

const SCAN: &str = "flowtrail scan flow --trail trail --tor-exits intel/torbulkexitlist --threat-list intel/threat-list.txt \\\n  \
    --inventory inventory/describe-network-interfaces.json --inventory inventory/describe-vpc-endpoints.json \\\n  \
    --inventory inventory/describe-nat-gateways.json --inventory inventory/get-event-selectors.json \\\n  \
    --guardduty alerts/guardduty-findings.json --macie alerts/macie-findings.json";

fn incident(i: &Incident) -> String {
    let who = i.principal.as_deref().unwrap_or("nobody");
    let mut text = format!(
        "- **{}**, {} to {}: {}.\n  Principal `{who}`",
        i.id, i.start, i.end, i.title
    );
    if let Some(eni) = &i.eni {
        text += &format!(", interface `{eni}`; {} left it", human_bytes(u128::from(i.flow_bytes)));
        let peers: Vec<String> = i
            .peers
            .iter()
            .map(|p| format!("{} ({} bytes)", p.ip, p.bytes_out))
            .collect();
        text += &format!(" to {}", peers.join(", "));
    }
    if i.requests > 0 {
        text += &format!("; {} requests for {} objects", i.requests, i.objects);
        text += &format!(
            ", {} read, {} written",
            human_bytes(u128::from(i.trail_bytes_out)),
            human_bytes(u128::from(i.trail_bytes_in))
        );
    }
    format!("{text}.\n  Rules: {}.\n", i.rules.join(", "))
}
