//! Credentials: from the environment, a profile of the AWS CLI, or the machine's role; and the region that goes with them.
//!
//! The CLI knows every kind of profile (SSO, assumed roles, processes, MFA), so it is asked instead of its files:
//! `aws configure export-credentials` prints temporary keys, which stay in memory. Everything else (web identity,
//! containers, instance roles) is object_store's chain, which renews what expires.

use crate::error::{Error, Result};
use crate::net::{parse_rfc3339, printable};
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use std::process::{Command, Stdio};
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

/// Keys and the second at which they end.
pub(super) struct Lease {
    keys: Arc<AwsCredential>,
    until: u64,
}

/// Temporary keys are renewed so many seconds before their end.
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
                let good = |l: &&Lease| l.until > seconds_now().saturating_add(EARLY);
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
    let until = exported.expiration.as_deref().and_then(parse_rfc3339);
    Ok(Lease {
        keys: Arc::new(AwsCredential {
            key_id: exported.access_key_id,
            secret_key: exported.secret_access_key,
            token: exported.session_token,
        }),
        until: until.unwrap_or(u64::MAX),
    })
}

fn aws(arguments: &[&str], profile: Option<&str>) -> std::result::Result<String, String> {
    let mut command = Command::new("aws");
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command.args(profile.iter().flat_map(|p| ["--profile", *p]));
    let out = command
        .output()
        .map_err(|_| "the AWS CLI (`aws`), which is asked for the profile's credentials, was not found")?;
    if !out.status.success() {
        let said = printable(out.stderr.trim_ascii());
        let last: String = said
            .chars()
            .rev()
            .take(200)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        return Err(format!("`aws {}` failed: {last}", arguments.join(" ")));
    }
    String::from_utf8(out.stdout).map_err(|_| "the AWS CLI printed no text".into())
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
