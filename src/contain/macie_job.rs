//! `macie-job`: a one-time classification job over the buckets that were touched, so that the impact can be told.

use serde_json::json;
use std::collections::BTreeMap;

use super::control::{Control, Kind};
use super::plan::Given;
use super::shell::Command;

/// One job for all touched buckets of which Macie said nothing; else for all that were touched.
pub(super) fn job(given: Given<'_>) -> Vec<Control> {
    let unknown = &given.case.unclassified;
    let wanted = if unknown.is_empty() {
        &given.case.own_buckets
    } else {
        unknown
    };
    let mut by_account: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for bucket in wanted.iter().filter_map(|b| given.account.of_name(b)) {
        let owner = bucket
            .owner
            .as_deref()
            .or(given.account.accounts.first().map(String::as_str));
        by_account
            .entry(owner.unwrap_or_default())
            .or_default()
            .push(&bucket.name);
    }
    by_account.remove("");
    if by_account.is_empty() {
        return Vec::new();
    }
    let definitions: Vec<_> = by_account
        .iter()
        .map(|(a, b)| json!({ "accountId": a, "buckets": b }))
        .collect();
    let name = format!("classification-{}.json", given.case.id);
    let known = if unknown.is_empty() {
        "Macie knows these buckets; a whole pass tells what else they hold."
    } else {
        "Macie said nothing of these buckets: until it does, nobody knows what was taken."
    };
    let control = Control::new("macie-job", "One-time classification of the touched buckets")
        .why("What was lost decides whom to tell, and by when.")
        .why(known)
        .needs("Macie enabled in the region; macie2:CreateClassificationJob; with several accounts, Macie's administrator account")
        .careful("Macie is paid by the gigabyte looked at: give the job a sampling depth if the buckets are large.")
        .document(name.clone(), Kind::Parameter, json!({ "bucketDefinitions": definitions }))
        .run(
            Command::aws("macie2", "create-classification-job")
                .with("job-type", "ONE_TIME")
                .with("name", &format!("flowtrail-{}", given.case.id))
                .file("s3-job-definition", &name),
        );
    vec![control]
}
