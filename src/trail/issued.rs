//! Credentials handed out: which session and which key an instance, a service or a person got, and when.

use super::event::TrailEvent;
use super::identity::{is_instance_id, session_of_arn};
use crate::net::Seconds;

/// Credentials that a call handed out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssuedSession {
    /// When.
    pub time: Seconds,
    /// ARN of the session (from the answer, else built from role and session name); empty for plain keys.
    pub arn: String,
    /// Access key id of the new credentials; empty if the answer does not tell.
    pub access_key: String,
    /// Session name.
    pub session: String,
    /// ARN of the role.
    pub role: String,
    /// The call: `AssumeRole`, `AssumeRoleWithWebIdentity`, `GetSessionToken`, `CreateAccessKey`, …
    pub call: String,
    /// Service that asked for them, such as `ec2.amazonaws.com` for an instance.
    pub invoked_by: String,
    /// `sourceIPAddress` of the call.
    pub source: String,
    /// Who asked: index into [`super::PrincipalIndex::principals`].
    pub by: u32,
}

impl IssuedSession {
    /// The instance that the session is named after.
    pub fn instance(&self) -> Option<&str> {
        Some(self.session.as_str()).filter(|s| is_instance_id(s))
    }

    pub(super) fn of(e: &TrailEvent<'_>, by: u32) -> Option<Self> {
        let issued = e.issued.as_ref()?;
        let text = |t: &Option<std::borrow::Cow<'_, str>>| t.as_deref().unwrap_or_default().to_owned();
        let (role, arn) = (text(&issued.role), text(&issued.arn));
        let session = issued
            .session
            .as_deref()
            .or_else(|| session_of_arn(&arn))
            .unwrap_or_default()
            .to_owned();
        let arn = if arn.is_empty() {
            session_arn(&role, &session)
        } else {
            arn
        };
        Some(IssuedSession {
            time: e.time,
            access_key: text(&issued.access_key),
            call: e.name.to_string(),
            invoked_by: text(&e.identity.invoked_by),
            source: text(&e.source_ip),
            arn,
            session,
            role,
            by,
        })
    }
}

/// `arn:aws:iam::A:role/path/R` and a session name → `arn:aws:sts::A:assumed-role/R/session`.
fn session_arn(role: &str, session: &str) -> String {
    let Some((head, path)) = role.split_once(":role/").filter(|_| !session.is_empty()) else {
        return String::new();
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("{}:assumed-role/{name}/{session}", head.replacen(":iam:", ":sts:", 1))
}
