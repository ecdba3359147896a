//! Secrets: read from the environment, where the configuration says only the variable's name, and never shown.
//!
//! Not even the name is repeated in an error, because what stands there by mistake may be the secret itself.

use std::fmt;

use super::{Environment, Target};
use crate::error::{Error, Result};

/// A secret, or a URL that holds one.
pub(super) struct Secret(String);

impl Secret {
    /// The value of the variable that `key` names; none if the table has no such key.
    pub(super) fn optional(target: &Target, key: &str, environment: &Environment<'_>) -> Result<Option<Secret>> {
        let Some(name) = target.text(key) else { return Ok(None) };
        let value = environment(name).map(|v| v.trim().to_owned());
        match value.filter(|v| !v.is_empty()) {
            Some(value) => Ok(Some(Secret(value))),
            None => Err(target.wrong(key, "the variable that it names is not set, or empty")),
        }
    }

    /// The value of the variable that `key` names.
    pub(super) fn needed(target: &Target, key: &str, environment: &Environment<'_>) -> Result<Secret> {
        let missing = || -> Error { target.wrong(key, "is needed: the name of the variable that holds the secret") };
        Secret::optional(target, key, environment)?.ok_or_else(missing)
    }

    /// The secret itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
