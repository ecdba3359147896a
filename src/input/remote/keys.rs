//! Credentials: from the environment, a profile of the AWS CLI, or the machine's role; and the region that goes with them.
//!
//! The CLI knows every kind of profile (SSO, assumed roles, processes, MFA), so it is asked instead of its files:
//! `aws configure export-credentials` prints temporary keys, which stay in memory. Everything else (web identity,
//! containers, instance roles) is object_store's chain, which renews what expires.

use crate::error::{Error, Result};
use crate::input::remote::profile::aws;
use crate::net::parse_rfc3339;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where keys come from.
pub(super) enum Keys {
    Chain(Arc<dyn CredentialProvider<Credential = AwsCredential>>),
    Profile {
        name: Option<String>,
        now: Mutex<Option<Lease>>,
    },
}

/// Keys and the second from which on others are asked for.
pub(super) struct Lease {
    keys: Arc<AwsCredential>,
    until: u64,
}

/// Temporary keys are renewed so many seconds before their end, or after half of what is left if that is later.
const EARLY: u64 = 300;

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl Keys {
    /// The profile's if one is named; else the environment's; else the default profile's if the CLI has one; else the role
    /// of the machine.
    pub(super) fn find(profile: Option<&str>, bucket: &str) -> Result<Self> {
        let named = profile.map(str::to_string).or_else(|| variable("AWS_PROFILE"));
        let in_environment = variable("AWS_ACCESS_KEY_ID").is_some();
        if profile.is_some() || !in_environment && (named.is_some() || has_default_profile()) {
            let now = Mutex::new(None);
            return Ok(Keys::Profile { name: named, now });
        }
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let store = builder.with_region("us-east-1").build();
        let store = store.map_err(|_| Error::usage("the AWS settings in the environment make no sense together"))?;
        Ok(Keys::Chain(Arc::clone(store.credentials())))
    }

    /// Keys that are good now.
    pub(super) async fn get(&self) -> std::result::Result<Arc<AwsCredential>, String> {
        match self {
            Keys::Chain(chain) => {
                let keys = chain.get_credential().await;
                keys.map_err(|_| "no AWS credentials: set AWS_ACCESS_KEY_ID, --profile, or run where a role is".into())
            }
            Keys::Profile { name, now } => {
                let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
                let good = |l: &&Lease| l.until > seconds_now();
                if let Some(lease) = now.as_ref().filter(good) {
                    return Ok(Arc::clone(&lease.keys));
                }
                let lease = export(name.as_deref())?;
                let keys = Arc::clone(&lease.keys);
                *now = Some(lease);
                Ok(keys)
            }
        }
    }

    /// The region to start with, if anything says one.
    pub(super) fn region(&self, given: Option<&str>) -> Option<String> {
        let known = given.map(str::to_string).or_else(|| variable("AWS_REGION"));
        let known = known.or_else(|| variable("AWS_DEFAULT_REGION"));
        known.or_else(|| match self {
            Keys::Profile { name, .. } => {
                let out = aws(&["configure", "get", "region"], name.as_deref()).ok()?;
                Some(out.trim().to_string()).filter(|r| !r.is_empty())
            }
            Keys::Chain(_) => None,
        })
    }
}

/// Asks the CLI for the keys of a profile.
fn export(profile: Option<&str>) -> std::result::Result<Lease, String> {
    let text = aws(&["configure", "export-credentials", "--format", "process"], profile)?;
    let unusable = || "`aws configure export-credentials` printed no credentials (AWS CLI 2.9 or later)".to_string();
    let exported: Exported = serde_json::from_str(&text).map_err(|_| unusable())?;
    let token = exported.session_token.filter(|t| !t.is_empty());
    let usable = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !usable(&exported.access_key_id) || !usable(&exported.secret_access_key) || !token.as_ref().is_none_or(usable) {
        return Err(unusable());
    }
    let until = exported.expiration.as_deref().and_then(parse_rfc3339);
    Ok(Lease {
        until: renewal(until.unwrap_or(u64::MAX), seconds_now())?,
        keys: Arc::new(AwsCredential {
            key_id: exported.access_key_id,
            secret_key: exported.secret_access_key,
            token,
        }),
    })
}

/// When keys that end at `until` are renewed.
fn renewal(until: u64, now: u64) -> std::result::Result<u64, String> {
    match until.checked_sub(now) {
        None | Some(0) => Err("the profile's credentials have expired; sign in again (`aws sso login`)".into()),
        Some(left) => Ok(until - EARLY.min(left / 2)),
    }
}

fn has_default_profile() -> bool {
    let file = |name: &str, otherwise: &str| {
        let home = variable("HOME").map(|h| format!("{h}/.aws/{otherwise}"));
        variable(name)
            .or(home)
            .is_some_and(|p| std::path::Path::new(&p).is_file())
    };
    file("AWS_SHARED_CREDENTIALS_FILE", "credentials") || file("AWS_CONFIG_FILE", "config")
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_renewed_before_their_end_and_not_with_each_request() {
        assert_eq!(renewal(5_000, 1_000), Ok(4_700));
        assert_eq!(renewal(1_100, 1_000), Ok(1_050));
        assert!(renewal(1_000, 1_000).is_err() && renewal(5, 1_000).is_err());
        assert_eq!(renewal(u64::MAX, 1_000), Ok(u64::MAX - EARLY));
    }
}
