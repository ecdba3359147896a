//! What another log already accounts for: uploads to S3 whose events name caller, bucket and bytes.
//!
//! An unusual amount to S3 is worth a person's time while nobody knows where it went. Where CloudTrail's events of the same
//! machine and hours account for it, the trail's detectors judge bucket and caller, and what is left over is
//! `unaccounted-s3`'s to find: the volume alone stays on record, and does not use up the alert budget.

use std::collections::BTreeMap;

use super::signal::{Kind, Signal};
use crate::attribute::Reconciliation;
use crate::baseline::DayView;
use crate::net::{Class, Seconds, human_bytes};

/// Takes the alarm out of statistical signals that cite nothing but bytes to S3, fewer than `floor` of them unaccounted for.
pub(super) fn mark(view: &DayView<'_>, signals: &mut [Signal], books: Option<&Reconciliation>, floor: u64) {
    let Some(books) = books else { return };
    for signal in signals.iter_mut().filter(|s| s.kind == Kind::Statistical) {
        let Some((interface, sent)) = to_s3(view, signal) else {
            continue;
        };
        let open = books.unaccounted(interface);
        let left: u128 = sent.keys().filter_map(|hour| open.get(hour)).sum();
        if left < floor.into() {
            let all = human_bytes(sent.values().sum());
            signal.kind = Kind::Explained;
            signal.surprise = 0.0;
            signal.reasons.push(format!(
                "CloudTrail's events of this machine account for it ({all}): bucket and caller are judged there."
            ));
        }
    }
}

/// The interface and its bytes by hour, if all that is cited went to S3.
fn to_s3(view: &DayView<'_>, signal: &Signal) -> Option<(u32, BTreeMap<Seconds, u128>)> {
    let mut hours: BTreeMap<Seconds, u128> = BTreeMap::new();
    let interface = view.actors.get(signal.actor)?.interface;
    for cell in &signal.cells {
        let row = view.table.rows.get(*cell as usize)?;
        if view.table.peer(row).class != Class::S3 {
            return None;
        }
        *hours.entry(row.hour).or_default() += row.volume.bytes;
    }
    Some((interface, hours))
}
