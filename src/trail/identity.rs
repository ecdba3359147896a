//! Who made a call: `userIdentity` in all its types, brought into one form.
//!
//! AWS: userguide/cloudtrail-event-reference-user-identity. A session's ARN names the role and the session; the
//! session name of an instance role is the instance's id, which is the cheapest strong link between the two logs.

use std::borrow::Cow;

use serde::Deserialize;

use super::json::{Part, Text};

/// The identity of a caller, borrowed from the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserIdentity<'a> {
    /// The kind, as AWS names it.
    pub kind: IdentityKind,
    /// ARN of the user, root or session.
    pub arn: Option<Cow<'a, str>>,
    /// Unique id, for a session `AROA…:session-name`.
    pub principal_id: Option<Cow<'a, str>>,
    /// Account of the caller.
    pub account: Option<Cow<'a, str>>,
    /// Access key id (`AKIA…` long-lived, `ASIA…` temporary).
    pub access_key: Option<Cow<'a, str>>,
    /// Friendly name.
    pub user_name: Option<Cow<'a, str>>,
    /// AWS service on whose behalf, or by which, the call was made.
    pub invoked_by: Option<Cow<'a, str>>,
    /// ARN of what issued the session's credentials: a role, a user, root.
    pub issuer: Option<Cow<'a, str>>,
    /// Type of the issuer.
    pub issuer_type: Option<Cow<'a, str>>,
    /// `1.0` or `2.0`: the instance metadata service by which an instance got these credentials.
    pub role_delivery: Option<Cow<'a, str>>,
    /// Function or task that the credentials were issued to (`inScopeOf.credentialsIssuedTo`).
    pub issued_to: Option<Cow<'a, str>>,
}

/// `userIdentity.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// The account's root user.
    Root,
    /// An IAM user.
    IamUser,
    /// A role session.
    AssumedRole,
    /// A role itself.
    Role,
    /// A federation token's user.
    FederatedUser,
    /// A SAML subject.
    SamlUser,
    /// An OpenID Connect subject.
    WebIdentityUser,
    /// A user of IAM Identity Center.
    IdentityCenterUser,
    /// A directory user.
    Directory,
    /// Another account, without details.
    AwsAccount,
    /// An AWS service.
    AwsService,
    /// Nobody: an unsigned request.
    Anonymous,
    /// A type that is absent, `Unknown` or not known here.
    #[default]
    Unknown,
}

impl IdentityKind {
    /// The name that AWS writes (`Anonymous` is ours: AWS writes `AWSAccount` with an empty principal).
    pub const fn as_str(self) -> &'static str {
        match self {
            IdentityKind::Root => "Root",
            IdentityKind::IamUser => "IAMUser",
            IdentityKind::AssumedRole => "AssumedRole",
            IdentityKind::Role => "Role",
            IdentityKind::FederatedUser => "FederatedUser",
            IdentityKind::SamlUser => "SAMLUser",
            IdentityKind::WebIdentityUser => "WebIdentityUser",
            IdentityKind::IdentityCenterUser => "IdentityCenterUser",
            IdentityKind::Directory => "Directory",
            IdentityKind::AwsAccount => "AWSAccount",
            IdentityKind::AwsService => "AWSService",
            IdentityKind::Anonymous => "Anonymous",
            IdentityKind::Unknown => "Unknown",
        }
    }

    /// The kind of that number.
    pub(super) fn of_number(n: u64) -> Option<Self> {
        use IdentityKind::*;
        const ALL: [IdentityKind; 13] = [
            Root,
            IamUser,
            AssumedRole,
            Role,
            FederatedUser,
            SamlUser,
            WebIdentityUser,
            IdentityCenterUser,
            Directory,
            AwsAccount,
            AwsService,
            Anonymous,
            Unknown,
        ];
        ALL.into_iter().find(|kind| *kind as u64 == n)
    }

    fn parse(name: &str) -> Self {
        use IdentityKind::*;
        const ALL: [IdentityKind; 11] = [
            Root,
            IamUser,
            AssumedRole,
            Role,
            FederatedUser,
            SamlUser,
            WebIdentityUser,
            IdentityCenterUser,
            Directory,
            AwsAccount,
            AwsService,
        ];
        ALL.into_iter().find(|k| k.as_str() == name).unwrap_or(Unknown)
    }
}

impl UserIdentity<'_> {
    /// The best name there is for the caller: ARN, else principal id, service, account, else `anonymous`, `unknown`.
    pub fn name(&self) -> &str {
        let known = [&self.arn, &self.principal_id, &self.invoked_by, &self.account];
        let fallback = if self.kind == IdentityKind::Anonymous {
            "anonymous"
        } else {
            "unknown"
        };
        match self.kind {
            IdentityKind::Anonymous => fallback,
            _ => known
                .into_iter()
                .flatten()
                .map(AsRef::as_ref)
                .find(|s| !s.is_empty())
                .unwrap_or(fallback),
        }
    }

    /// The session name, if this is a role session.
    pub fn session_name(&self) -> Option<&str> {
        match (self.arn.as_deref().and_then(session_of_arn), self.kind) {
            (Some(name), _) => Some(name),
            (None, IdentityKind::AssumedRole) => self.principal_id.as_deref()?.split_once(':').map(|(_, name)| name),
            _ => None,
        }
    }

    /// The instance whose role this session is, told by the session name.
    pub fn instance(&self) -> Option<&str> {
        self.session_name().filter(|s| is_instance_id(s))
    }
}

/// The session name in `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
pub fn session_of_arn(arn: &str) -> Option<&str> {
    let (_, rest) = arn.split_once(":assumed-role/")?;
    rest.split_once('/').map(|(_, session)| session)
}

/// The role name in a role's or a session's ARN.
pub fn role_of_arn(arn: &str) -> Option<&str> {
    if let Some((_, rest)) = arn.split_once(":assumed-role/") {
        return rest.split('/').next();
    }
    let (_, rest) = arn.split_once(":role/")?;
    rest.rsplit('/').next()
}

/// True for `i-` and 8 or 17 hexadecimal digits.
pub fn is_instance_id(s: &str) -> bool {
    let digits = s.strip_prefix("i-").unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `userIdentity` as it stands in a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawIdentity<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) arn: Text<'a>,
    #[serde(borrow, alias = "principalid")]
    pub(super) principal_id: Text<'a>,
    #[serde(borrow, alias = "accountid")]
    pub(super) account_id: Text<'a>,
    #[serde(borrow, alias = "accesskeyid")]
    pub(super) access_key_id: Text<'a>,
    #[serde(borrow, alias = "username")]
    pub(super) user_name: Text<'a>,
    #[serde(borrow, alias = "invokedby")]
    pub(super) invoked_by: Text<'a>,
    #[serde(borrow, alias = "sessioncontext")]
    pub(super) session_context: Part<SessionContext<'a>>,
    #[serde(borrow)]
    pub(super) in_scope_of: Part<Scope<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SessionContext<'a> {
    #[serde(borrow, alias = "sessionissuer")]
    pub(super) session_issuer: Part<Issuer<'a>>,
    #[serde(borrow, alias = "ec2roledelivery")]
    pub(super) ec2_role_delivery: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Issuer<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) arn: Text<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Scope<'a> {
    #[serde(borrow)]
    pub(super) credentials_issued_to: Text<'a>,
}

impl<'a> From<RawIdentity<'a>> for UserIdentity<'a> {
    fn from(raw: RawIdentity<'a>) -> Self {
        let kind = raw.kind.0.as_deref().map_or(IdentityKind::Unknown, IdentityKind::parse);
        let some = |t: Text<'a>| t.0.filter(|s| !s.is_empty());
        let session = raw.session_context.value;
        let issuer = session.session_issuer.value;
        let anonymous = raw.account_id.0.as_deref() == Some("ANONYMOUS_PRINCIPAL");
        UserIdentity {
            kind: if anonymous { IdentityKind::Anonymous } else { kind },
            arn: some(raw.arn),
            principal_id: some(raw.principal_id),
            account: some(raw.account_id).filter(|_| !anonymous),
            access_key: some(raw.access_key_id),
            user_name: some(raw.user_name),
            invoked_by: some(raw.invoked_by),
            issuer: some(issuer.arn),
            issuer_type: some(issuer.kind),
            role_delivery: some(session.ec2_role_delivery),
            issued_to: some(raw.in_scope_of.value.credentials_issued_to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(json: &str) -> UserIdentity<'_> {
        serde_json::from_str::<RawIdentity<'_>>(json).unwrap().into()
    }

    #[test]
    fn an_instance_role_session_names_its_instance() {
        let i = identity(
            r#"{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/web/i-0317f6c6b66ae9c40","sessionContext":{"ec2RoleDelivery":"2.0","sessionIssuer":{"type":"Role","arn":"arn:aws:iam::1:role/path/web"}}}"#,
        );
        assert_eq!(
            (i.instance(), i.role_delivery.as_deref()),
            (Some("i-0317f6c6b66ae9c40"), Some("2.0"))
        );
        assert_eq!(i.issuer.as_deref().and_then(role_of_arn), Some("web"));
        assert_eq!(
            identity(r#"{"type":"AssumedRole","principalId":"AROA:i-12345678"}"#).instance(),
            Some("i-12345678")
        );
        assert_eq!(
            identity(r#"{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/web/i-am-a-person"}"#).instance(),
            None
        );
    }

    #[test]
    fn a_caller_always_has_a_name() {
        let anonymous = identity(r#"{"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"}"#);
        assert_eq!(
            (anonymous.kind, anonymous.name()),
            (IdentityKind::Anonymous, "anonymous")
        );
        assert_eq!(
            identity(r#"{"type":"AWSAccount","principalId":"AIDA1","accountId":"9"}"#).name(),
            "AIDA1"
        );
        assert_eq!(
            identity(r#"{"accountId":"9","invokedBy":"cloudtrail.amazonaws.com"}"#).name(),
            "cloudtrail.amazonaws.com"
        );
        assert_eq!(identity(r#"{"type":7,"sessionContext":"none"}"#).name(), "unknown");
    }
}
