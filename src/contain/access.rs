//! Credentials: a long-term key made inactive, its user reset, sessions cut off, and the search for how the key got out.

use serde_json::{Value, json};

use super::control::{Control, Kind};
use super::facts::Person;
use super::plan::Given;
use super::shell::Command;

/// `access-key`: for every long-term key.
pub(super) fn keys(given: Given<'_>) -> Vec<Control> {
    let own = given.case.people.iter();
    own.filter_map(|p| Some(key(p.user.as_deref()?, p.key.as_deref()?, given)))
        .collect()
}

fn key(user: &str, key: &str, given: Given<'_>) -> Control {
    let name = format!("deny-older-sessions-{user}.json");
    Control::new("access-key", format!("Access key of {user} made inactive"))
        .about(user)
        .why("An inactive key is refused at once. It is not deleted: its id stays known, and what it did stays findable.")
        .why("Temporary credentials that the key obtained live on until they expire: the policy refuses those issued before now.")
        .why("The other keys of the user are listed, since whoever had one may have made, or found, another.")
        .needs("iam:UpdateAccessKey, iam:ListAccessKeys, iam:GetAccessKeyLastUsed, iam:PutUserPolicy on the user")
        .careful("Whatever else runs with this key stops. Back: the same line with --status Active; delete-user-policy.")
        .document(name.clone(), Kind::IdentityPolicy, older_sessions(&given.options.time()))
        .run(Command::aws("iam", "list-access-keys").with("user-name", user))
        .run(Command::aws("iam", "get-access-key-last-used").with("access-key-id", key))
        .run(
            Command::aws("iam", "update-access-key")
                .with("user-name", user)
                .with("access-key-id", key)
                .with("status", "Inactive"),
        )
        .run(
            Command::aws("iam", "put-user-policy")
                .with("user-name", user)
                .with("policy-name", POLICY)
                .file("policy-document", &name),
        )
}

/// Name of the inline policies; AWS's console uses it for the same.
const POLICY: &str = "AWSRevokeOlderSessions";

/// Refuses whatever comes with credentials that were issued before.
fn older_sessions(time: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "RevokeOlderSessions", "Effect": "Deny", "Action": ["*"],
        "Resource": ["*"], "Condition": { "DateLessThan": { "aws:TokenIssueTime": time } } }] })
}

/// `user-reset`: for every user.
pub(super) fn users(given: Given<'_>) -> Vec<Control> {
    distinct(given, |p| p.user.as_deref()).into_iter().map(user).collect()
}

fn user(user: &str) -> Control {
    Control::new("user-reset", format!("Password of {user} reset and MFA enrolled anew"))
        .about(user)
        .why("Who has a key of a user may have the password, or a second factor enrolled on a machine that is lost.")
        .needs("iam:UpdateLoginProfile, iam:ListMFADevices, iam:DeactivateMFADevice, iam:CreateVirtualMFADevice, iam:EnableMFADevice")
        .needs("NEW_PASSWORD, OLD_SERIAL (from list-mfa-devices), NEW_SERIAL (from create-virtual-mfa-device), CODE1, CODE2 (two codes in a row from the new device) set in the shell")
        .careful("A user without a console password has no login profile: the first line answers NoSuchEntity, and there is nothing to reset.")
        .run(
            Command::aws("iam", "update-login-profile")
                .with("user-name", user)
                .variable("password", "", "NEW_PASSWORD", "")
                .flag("password-reset-required"),
        )
        .run(Command::aws("iam", "list-mfa-devices").with("user-name", user))
        .run(
            Command::aws("iam", "deactivate-mfa-device")
                .with("user-name", user)
                .variable("serial-number", "", "OLD_SERIAL", ""),
        )
        .run(
            Command::aws("iam", "create-virtual-mfa-device")
                .with("virtual-mfa-device-name", user)
                .with("outfile", "mfa-qr.png")
                .with("bootstrap-method", "QRCodePNG"),
        )
        .run(
            Command::aws("iam", "enable-mfa-device")
                .with("user-name", user)
                .variable("serial-number", "", "NEW_SERIAL", "")
                .variable("authentication-code1", "", "CODE1", "")
                .variable("authentication-code2", "", "CODE2", ""),
        )
}

/// `session-deny`: for every role whose sessions were used.
pub(super) fn sessions(given: Given<'_>) -> Vec<Control> {
    let time = given.options.time();
    let roles = distinct(given, |p| p.role.as_deref());
    roles
        .into_iter()
        .map(|r| session(r, &time, given.case.interface.is_some()))
        .collect()
}

fn session(role: &str, time: &str, on_host: bool) -> Control {
    let name = format!("deny-older-sessions-{role}.json");
    let reserved = role.starts_with("AWSReservedSSO_");
    let mut out = Control::new("session-deny", format!("Sessions of role {role} before {time} refused"))
        .about(role)
        .why("Temporary credentials cannot be made inactive: they are refused by the time at which they were issued.")
        .why("Sessions that begin afterwards work as before.")
        .needs("iam:PutRolePolicy on the role")
        .careful("Every session of the role is cut off, those of other machines too; instances fetch new credentials within minutes, other callers must assume the role again. Back: delete-role-policy.");
    if on_host {
        out = out.careful("Credentials of an instance are renewed on the instance: close its egress first, or whoever is on it fetches new ones.");
    }
    if reserved {
        out = out.careful(
            "A role of IAM Identity Center cannot be changed here: end the user's session in Identity Center instead.",
        );
    }
    if role.starts_with("AWSServiceRoleFor") {
        out = out.careful("A service-linked role cannot be changed: only its service uses it.");
    }
    out.document(name.clone(), Kind::IdentityPolicy, older_sessions(time))
        .run(
            Command::aws("iam", "put-role-policy")
                .with("role-name", role)
                .with("policy-name", POLICY)
                .file("policy-document", &name),
        )
}

/// `secret-scan`: a step without a command of AWS's.
pub(super) fn secret_scan(given: Given<'_>) -> Vec<Control> {
    let all = distinct(given, |p| p.key.as_ref().and(p.user.as_deref()));
    let of = |user: &str| {
        Control::new("secret-scan", format!("Secret scan of the repositories of {user} started"))
            .about(user)
            .why("A long-term key gets out through code, images, build logs and notebooks more often than through a machine that was broken into.")
            .needs("A scanner that reads the whole history, over the repositories, wikis, build logs and images that the user can write to; then the same key's id searched for in them")
            .careful("No log of AWS shows whether this was done: tick it by hand, or with a line of --timeline.")
    };
    all.into_iter().map(of).collect()
}

/// Values of those who did it, each once.
fn distinct<'a>(given: Given<'a>, of: impl Fn(&'a Person) -> Option<&'a str>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for value in given.case.people.iter().filter_map(of) {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out
}
