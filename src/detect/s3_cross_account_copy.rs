//! `s3-cross-account-copy`: objects are copied inside S3, out of our buckets into somebody else's account.
//!
//! No packet of it crosses any interface and the events carry no bytes: the trail's copy events are all there is. Seen are
//! copies whose target belongs to another account, and copies out of our buckets that another account asked for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::s3_unusual_caller::is_new_place;
use super::trail::{
    Actor, Aspect, Deed, Extent, SERVER_COPY, TrailDay, TrailDetector, TrailSignal, aws_owner, measure,
};
use super::{Meta, Settings, Severity};
use crate::net::{HOUR, rfc3339};
use crate::trail::TrailRow;

/// The detector.
pub struct S3CrossAccountCopy;

/// Parameters of `s3-cross-account-copy`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// So many distinct objects copied in a day by a partner that is new are a transfer; fewer are a try.
    pub least_objects: u64,
    /// A partner that is known copies at most so many times the most of any past day.
    pub factor: f64,
    /// Hours before the copy in which a change of the bucket's policy explains it.
    pub opened_before: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            least_objects: 100,
            factor: 3.0,
            opened_before: 48,
        }
    }
}

impl TrailDetector for S3CrossAccountCopy {
    fn meta(&self) -> &'static Meta {
        &Meta {
            id: "s3-cross-account-copy",
            title: "Objects copied into another account",
            techniques: &["T1537"],
            guardduty: None,
        }
    }

    fn detect(&self, day: &TrailDay<'_>, settings: &Settings) -> Vec<TrailSignal> {
        let of = |(index, actor): (usize, &Actor<'_>)| signal(day, index, actor, settings);
        day.actors.iter().enumerate().filter_map(of).collect()
    }
}

fn signal(day: &TrailDay<'_>, index: usize, actor: &Actor<'_>, settings: &Settings) -> Option<TrailSignal> {
    let own = &settings.s3_cross_account_copy;
    let copies = day.calls(actor, &[Deed::Copy]);
    let abroad: Vec<(u32, &TrailRow, String)> = copies
        .filter_map(|(n, row, _)| Some((n, row, stranger(day, actor, row)?)))
        .collect();
    let (_, first, _) = abroad.first()?;
    let rows: Vec<u32> = abroad.iter().map(|(n, _, _)| *n).collect();
    let to: BTreeSet<&str> = abroad.iter().map(|(_, _, a)| a.as_str()).collect();
    let past = day.history.of(actor);
    let known = past.is_some_and(|p| to.iter().all(|a| p.habits.accounts.contains(*a)));
    let most = past.map_or(0, |p| p.habits.day.copied);
    let copied = measure(day, &rows).copied;
    if known && copied as f64 <= own.factor * most as f64 {
        return None;
    }
    let many = copied >= own.least_objects;
    let severity = if many { Severity::Medium } else { Severity::Low };
    let extent = Extent::of(day.case, &rows);
    let into: BTreeSet<&str> = abroad.iter().map(|(_, r, _)| day.case.index.text(r.bucket)).collect();
    let reason = format!(
        "{} copies inside S3 took {copied} distinct objects of {} to {} (account {}), from {} to {}.",
        extent.requests,
        extent.bucket_names(),
        into.into_iter().collect::<Vec<_>>().join(", "),
        to.iter().copied().collect::<Vec<_>>().join(", "),
        rfc3339(extent.first),
        rfc3339(extent.last)
    );
    let novelty = if known {
        format!("This partner copied at most {most} objects in any day before.")
    } else {
        "This caller never copied to that account before.".to_owned()
    };
    let unseen = "The events carry no bytes and no interface sees such copies: the volume is not observable.";
    let signal = TrailSignal::new("s3-cross-account-copy", index, Aspect::Moved, severity, rows)
        .channel(SERVER_COPY)
        .surprise((copied as f64 / most.max(1) as f64).max(1.0).log10())
        .because(reason)
        .because(novelty)
        .because(unseen);
    Some(match opened(day, first, settings) {
        Some(opening) => opening.explain(signal, many),
        None => signal,
    })
}

/// The account, not ours, that gets the objects: the owner of the target, else whoever asked.
fn stranger(day: &TrailDay<'_>, actor: &Actor<'_>, row: &TrailRow) -> Option<String> {
    let text = |id| day.case.index.text(id);
    if aws_owner(text(row.bucket)).is_some() {
        return None;
    }
    let accounts = [Some(text(row.owner)), actor.who.account.as_deref()];
    let foreign = accounts.into_iter().flatten().find(|a| day.case.is_foreign(a));
    foreign.map(str::to_owned)
}

/// A change that opened the bucket shortly before.
struct Opening {
    words: String,
    row: u32,
    strange: bool,
}

impl Opening {
    /// The change belongs to the story; made from a strange place it is the second kind of evidence that HIGH needs.
    fn explain(self, mut signal: TrailSignal, many: bool) -> TrailSignal {
        signal.rows.push(self.row);
        if self.strange && many {
            signal.severity = Severity::High;
        }
        signal.because(self.words)
    }
}

fn opened(day: &TrailDay<'_>, first: &TrailRow, settings: &Settings) -> Option<Opening> {
    let own = &settings.s3_cross_account_copy;
    let index = day.case.index;
    let from = index.text(first.copied_from);
    let events = ["PutBucketPolicy", "PutBucketAcl", "PutBucketReplication"];
    let before = first.first.saturating_sub(own.opened_before * HOUR)..=first.first;
    let opens = |r: &TrailRow| {
        let named = events.contains(&index.text(r.event)) && index.text(r.bucket) == from;
        named && r.error == 0 && before.contains(&r.last)
    };
    let row = index.rows.iter().rposition(opens)?;
    let change = index.rows.get(row)?;
    let who = index.principal(change)?;
    let strange = day.case.caller(change).filter(|c| is_new_place(day, who, c, settings));
    let words = format!(
        "{} by {} had changed who may read {from} at {}{}.",
        index.text(change.event),
        who.arn,
        rfc3339(change.last),
        strange.map_or_else(String::new, |c| format!(
            ", from a place that is new for it: {}",
            c.words()
        ))
    );
    Some(Opening {
        words,
        row: u32::try_from(row).ok()?,
        strange: strange.is_some(),
    })
}
