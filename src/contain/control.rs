//! One control: what it does and why, what it needs, what it may break, its documents and its command lines.

use serde_json::Value;

use super::shell::Command;

/// Something that a person may decide to do.
#[derive(Debug, Clone)]
pub struct Control {
    /// Stable name: `access-key`, `bucket-policy`, ….
    pub id: &'static str,
    /// What it is about: a user, a bucket, an endpoint; nothing for the whole account.
    pub about: Option<String>,
    /// One line.
    pub title: String,
    /// What it does and why, in sentences.
    pub why: Vec<String>,
    /// What must be there, or be known, first.
    pub needs: Vec<String>,
    /// What it may break, and how to take it back.
    pub careful: Vec<String>,
    /// JSON documents that the lines name.
    pub documents: Vec<Document>,
    /// AWS CLI lines, in order.
    pub commands: Vec<Command>,
    /// When the trail shows it to be done.
    pub done: Option<String>,
}

/// A JSON document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// File name: letters, digits, `-`, `.`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The content.
    pub content: Value,
}

/// What a document is, so that a validator knows what to hold it against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A policy on an identity.
    IdentityPolicy,
    /// A policy on a bucket.
    BucketPolicy,
    /// A policy on a VPC endpoint.
    EndpointPolicy,
    /// A pattern of EventBridge.
    EventPattern,
    /// A CloudFormation template.
    Template,
    /// A parameter of a command.
    Parameter,
}

impl Kind {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::IdentityPolicy => "identity-policy",
            Kind::BucketPolicy => "bucket-policy",
            Kind::EndpointPolicy => "endpoint-policy",
            Kind::EventPattern => "event-pattern",
            Kind::Template => "template",
            Kind::Parameter => "parameter",
        }
    }
}

impl Control {
    /// A control without anything yet.
    pub(super) fn new(id: &'static str, title: impl Into<String>) -> Self {
        Control {
            id,
            about: None,
            title: title.into(),
            why: Vec::new(),
            needs: Vec::new(),
            careful: Vec::new(),
            documents: Vec::new(),
            commands: Vec::new(),
            done: None,
        }
    }

    /// About this user, bucket, ….
    #[must_use]
    pub(super) fn about(mut self, name: &str) -> Self {
        self.about = Some(name.to_owned());
        self
    }

    /// One more reason.
    #[must_use]
    pub(super) fn why(mut self, text: impl Into<String>) -> Self {
        self.why.push(text.into());
        self
    }

    /// One more thing that must be there.
    #[must_use]
    pub(super) fn needs(mut self, text: impl Into<String>) -> Self {
        self.needs.push(text.into());
        self
    }

    /// One more warning.
    #[must_use]
    pub(super) fn careful(mut self, text: impl Into<String>) -> Self {
        self.careful.push(text.into());
        self
    }

    /// One more document.
    #[must_use]
    pub(super) fn document(mut self, name: String, kind: Kind, content: Value) -> Self {
        self.documents.push(Document { name, kind, content });
        self
    }

    /// One more line.
    #[must_use]
    pub(super) fn run(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }
}
